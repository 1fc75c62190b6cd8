import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { Database } from "#/api/types";
import { formatCompute, formatDay, formatDuration, formatMemory } from "#/lib/format";
import { useTitle } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import { CopyButton } from "#/ui/Secret";
import ui from "#/ui/ui.module.css";
import { usePlan } from "../databases/usePlan";
import { Charts } from "./Charts";
import { Operations } from "./Operations";
import { PowerButton } from "./PowerButton";
import { Usage } from "./Usage";

export function Overview({ databaseId }: { databaseId: string }) {
  const { data: database } = useSuspenseQuery(queries.database(databaseId));
  useTitle(database.name);
  return (
    <div className="stack">
      <Facts database={database} />
      <Charts database={database} />
      <Usage databaseId={databaseId} />
      <Operations databaseId={databaseId} />
    </div>
  );
}

function Facts({ database }: { database: Database }) {
  const { t } = useTranslation();
  const { data } = usePlan();
  const { data: regions } = useQuery(queries.regions());
  const region = regions?.items.find(({ name }) => name === database.region)?.display_name;
  const idleMs = (database.idle_timeout_seconds ?? 0) * 1_000;
  const facts: [string, string][] = [
    [t("overview.plan"), data?.plan?.display_name ?? "–"],
    [t("overview.region"), region ?? database.region],
    [
      t("overview.compute"),
      `${formatCompute(database.milli_vcpu)}, ${formatMemory(database.memory_mib)}`,
    ],
    [t("overview.version"), `PostgreSQL ${database.engine_minor ?? database.engine_version}`],
    [t("overview.address"), `${database.host}:${database.port}`],
    [
      t("overview.sleep"),
      idleMs === 0
        ? t("overview.sleepNever")
        : t("overview.sleepAfter", { time: formatDuration(idleMs) }),
    ],
    [t("overview.protection"), database.deletion_protection ? t("on") : t("off")],
    [t("overview.created"), formatDay(database.created_at)],
  ];
  return (
    <Panel
      title={t("overview.title")}
      lead={t(`stateHint.${database.state}`)}
      actions={<PowerButton database={database} />}
    >
      <dl className={ui.facts}>
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="row" style={{ marginTop: 20 }}>
        <code className="muted" style={{ overflowWrap: "anywhere" }}>
          {database.id}
        </code>
        <CopyButton text={database.id} label={t("copy.label", { what: t("overview.id") })} />
      </div>
    </Panel>
  );
}
