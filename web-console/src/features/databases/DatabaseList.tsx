import { Button, TextInput } from "@mantine/core";
import IconPlus from "@tabler/icons-react/dist/esm/icons/IconPlus.mjs";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { itemsOf, queries } from "#/api/queries";
import type { Database } from "#/api/types";
import { formatBytes, formatCompute, formatCount, formatDay, formatMemory } from "#/lib/format";
import { DawnArt } from "#/ui/art/DawnArt";
import { Empty } from "#/ui/Empty";
import { Bone, Loaded } from "#/ui/Loaded";
import { More } from "#/ui/More";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import { StateBadge } from "#/ui/State";
import { useScope } from "../shell/useScope";
import css from "./DatabaseList.module.css";
import { DeletedDatabases } from "./DeletedDatabases";

/** Databases from which on a filter is offered. */
const FILTER_FROM = 7;

/** Milliseconds between looks: states change by themselves. */
const REFRESH_MS = 5_000;

export function DatabaseList() {
  const { t } = useTranslation();
  const { projectId } = useScope();
  const query = useInfiniteQuery({ ...queries.databases(projectId), refetchInterval: REFRESH_MS });
  // An empty list has the button in its middle.
  const hasSome = itemsOf(query.data).length > 0;
  return (
    <Page title={t("databases.title")} actions={hasSome ? <CreateButton /> : undefined}>
      <div className="stack">
        <Loaded query={query} skeleton={<ListSkeleton />}>
          {(read) =>
            hasSome ? (
              <Cards databases={itemsOf(read)} isPart={query.hasNextPage} />
            ) : (
              <NoDatabases />
            )
          }
        </Loaded>
        <More query={query} label={t("more")} />
        <DeletedDatabases projectId={projectId} />
      </div>
    </Page>
  );
}

function CreateButton() {
  const { t } = useTranslation();
  return (
    <Button component={Link} to="/databases/new" leftSection={<IconPlus size={16} />}>
      {t("databases.create")}
    </Button>
  );
}

function NoDatabases() {
  const { t } = useTranslation();
  return (
    <Panel flush>
      <Empty art={<DawnArt />} title={t("databases.emptyTitle")} actions={<CreateButton />}>
        <p>{t("databases.empty")}</p>
      </Empty>
    </Panel>
  );
}

function Cards({
  databases,
  isPart,
}: {
  databases: readonly Database[];
  /** Whether there are more than these. */
  isPart: boolean;
}) {
  const { t } = useTranslation();
  // Not kept anywhere: a filter that outlives the page hides databases from who forgot it.
  const [filter, setFilter] = useState("");
  const words = filter.trim().toLowerCase();
  const shown = databases.filter(
    ({ name, id }) => name.toLowerCase().includes(words) || id.includes(words),
  );
  return (
    <div className="stack">
      {databases.length < FILTER_FROM ? null : (
        <div className={css.filter}>
          <TextInput
            type="search"
            aria-label={t("databases.filter")}
            placeholder={t("databases.filter")}
            value={filter}
            onChange={(event) => setFilter(event.currentTarget.value)}
            className={css.filterField}
          />
          {filter === "" ? null : (
            <Button variant="subtle" onClick={() => setFilter("")}>
              {t("databases.clearFilter")}
            </Button>
          )}
        </div>
      )}
      {words !== "" && isPart ? (
        <p className="muted" role="status">
          {t("databases.filterPart", { formatted: formatCount(databases.length) })}
        </p>
      ) : null}
      {shown.length === 0 ? (
        <p className="muted">{t("databases.noMatch", { filter })}</p>
      ) : (
        <ul className={css.list}>
          {shown.map((database) => (
            <li key={database.id}>
              <Card database={database} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Card({ database }: { database: Database }) {
  const { t } = useTranslation();
  const { data: regions } = useQuery(queries.regions());
  const region =
    regions?.items.find(({ name }) => name === database.region)?.display_name ?? database.region;
  return (
    <article className={css.card}>
      <div className={css.cardHead}>
        <Link to="/databases/$databaseId" params={{ databaseId: database.id }} className={css.name}>
          {database.name}
        </Link>
        <StateBadge state={database.state} />
      </div>
      <div className={css.facts}>
        <span>PostgreSQL {database.engine_version}</span>
        <span aria-hidden="true">·</span>
        <span>{region}</span>
        <span aria-hidden="true">·</span>
        <span>
          {formatCompute(database.milli_vcpu)}, {formatMemory(database.memory_mib)}
        </span>
      </div>
      <dl className={css.figures}>
        <div>
          <dt>{t("overview.storage")}</dt>
          <dd>{formatBytes(database.storage_bytes)}</dd>
        </div>
        <div>
          <dt>{t("overview.connections")}</dt>
          <dd>{formatCount(database.connections)}</dd>
        </div>
        <div>
          <dt>{t("overview.created")}</dt>
          <dd>{formatDay(database.created_at)}</dd>
        </div>
      </dl>
    </article>
  );
}

function ListSkeleton() {
  return (
    <div className={css.list}>
      <Bone height={150} panel />
      <Bone height={150} panel />
      <Bone height={150} panel />
    </div>
  );
}
