import { Button, VisuallyHidden } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { queries } from "#/api/queries";
import type { Session } from "#/api/types";
import { formatDay, formatMoment, formatRelative } from "#/lib/format";
import { Failure } from "#/ui/Failure";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { notifyDone } from "#/ui/notify";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";
import { describeAgent } from "./agent";
import { OwnName } from "./OwnName";
import { OwnPassword } from "./OwnPassword";

export function Account() {
  const { t } = useTranslation();
  const { me, organization } = useScope();
  const facts: [string, string][] = [
    [t("form.email"), me.user.email],
    [t("account.organization"), organization.name],
    [t("account.since"), formatDay(me.user.created_at)],
  ];
  return (
    <Page title={t("nav.account")}>
      <div className="stack">
        <Panel title={t("account.profile")}>
          <dl className={ui.facts}>
            {facts.map(([term, value]) => (
              <div key={term}>
                <dt>{term}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </Panel>
        <OwnName user={me.user} />
        <OwnPassword email={me.user.email} />
        <Sessions />
      </div>
    </Page>
  );
}

function Sessions() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const query = useQuery(queries.sessions());
  const revoke = $api.useMutation("delete", "/v1/me/sessions/{session_id}", {
    onSuccess: async () => {
      notifyDone(t("account.revoked"));
      await client.invalidateQueries({ queryKey: queries.sessions().queryKey });
    },
  });
  return (
    <Panel title={t("account.sessions")} lead={t("account.sessionsLead")} flush>
      {revoke.isError ? (
        <div style={{ padding: "0 20px 12px" }}>
          <Failure error={revoke.error} />
        </div>
      ) : null}
      <Loaded query={query} skeleton={<BoneRows />}>
        {({ items }) => (
          <Table
            sessions={items}
            busy={revoke.isPending}
            onRevoke={(id) => revoke.mutate({ params: { path: { session_id: id } } })}
          />
        )}
      </Loaded>
    </Panel>
  );
}

function Table({
  sessions,
  busy,
  onRevoke,
}: {
  sessions: readonly Session[];
  busy: boolean;
  onRevoke: (id: string) => void;
}) {
  const { t } = useTranslation();
  const now = new Date();
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("account.device")}</th>
            <th scope="col" className={ui.spare}>
              {t("account.address")}
            </th>
            <th scope="col">{t("account.lastUsed")}</th>
            <th scope="col" className={ui.tight}>
              <VisuallyHidden>{t("actions")}</VisuallyHidden>
            </th>
          </tr>
        </thead>
        <tbody>
          {sessions.map((session) => (
            <tr key={session.id}>
              <td>
                <span className="row">
                  {describeAgent(session.user_agent ?? "") ?? t("account.unknownDevice")}
                  {session.current ? <span className={ui.tag}>{t("account.current")}</span> : null}
                </span>
              </td>
              <td className={`muted tabular ${ui.spare}`}>{session.client_address ?? "–"}</td>
              <td className="muted nowrap" title={formatMoment(session.last_seen_at)}>
                {formatRelative(session.last_seen_at, now)}
              </td>
              <td className={ui.tight}>
                {session.current ? null : (
                  <Button
                    size="xs"
                    variant="default"
                    disabled={busy}
                    onClick={() => onRevoke(session.id)}
                  >
                    {t("account.revoke")}
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
