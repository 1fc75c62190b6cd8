import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { itemsOf, queries } from "#/api/queries";
import type { AuditEvent } from "#/api/types";
import { formatMoment, formatRelative } from "#/lib/format";
import { Empty } from "#/ui/Empty";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { More } from "#/ui/More";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";
import { actionOf, actorOf } from "./words";

/** Who changed what in the organization, the newest first. */
export function Activity() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const query = useInfiniteQuery(queries.auditEvents(organization.id));
  return (
    <Page title={t("nav.activity")} lead={t("activity.lead")}>
      <div className="stack">
        <Panel flush>
          <Loaded query={query} skeleton={<BoneRows />}>
            {(read) => <Events events={itemsOf(read)} />}
          </Loaded>
        </Panel>
        <More query={query} label={t("older")} />
      </div>
    </Page>
  );
}

function Events({ events }: { events: readonly AuditEvent[] }) {
  const { t } = useTranslation();
  const now = new Date();
  if (events.length === 0) {
    return (
      <Empty title={t("activity.emptyTitle")}>
        <p>{t("activity.empty")}</p>
      </Empty>
    );
  }
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("activity.what")}</th>
            <th scope="col">{t("activity.who")}</th>
            <th scope="col" className={ui.spare}>
              {t("account.address")}
            </th>
            <th scope="col" style={{ minWidth: 112 }}>
              {t("activity.when")}
            </th>
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <Event key={event.id} event={event} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Event({ event, now }: { event: AuditEvent; now: Date }) {
  const { t } = useTranslation();
  const { me } = useScope();
  const action = actionOf(event);
  const { name } = event.details as { name?: unknown };
  // Whom it was done to, "who" tells already.
  const isOfPerson = event.resource === event.actor;
  return (
    <tr>
      <td>
        <span className="row">
          {action === undefined ? event.action : t(`activity.action.${action}`)}
          {isOfPerson ? null : (
            <code className="muted" style={{ overflowWrap: "anywhere" }} title={event.resource}>
              {typeof name === "string" ? name : event.resource}
            </code>
          )}
        </span>
      </td>
      <td className="muted">{t(`activity.actor.${actorOf(event, me.user.id)}`)}</td>
      <td className={`muted tabular ${ui.spare}`}>{event.client_address ?? "–"}</td>
      <td className="muted" title={formatMoment(event.created_at)}>
        {formatRelative(event.created_at, now)}
      </td>
    </tr>
  );
}
