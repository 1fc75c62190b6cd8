import { NativeSelect } from "@mantine/core";
import IconActivity from "@tabler/icons-react/dist/esm/icons/IconActivity.mjs";
import IconChartBar from "@tabler/icons-react/dist/esm/icons/IconChartBar.mjs";
import IconDatabase from "@tabler/icons-react/dist/esm/icons/IconDatabase.mjs";
import IconDatabaseImport from "@tabler/icons-react/dist/esm/icons/IconDatabaseImport.mjs";
import IconHistory from "@tabler/icons-react/dist/esm/icons/IconHistory.mjs";
import IconKey from "@tabler/icons-react/dist/esm/icons/IconKey.mjs";
import IconReceipt from "@tabler/icons-react/dist/esm/icons/IconReceipt.mjs";
import IconRestore from "@tabler/icons-react/dist/esm/icons/IconRestore.mjs";
import IconSearch from "@tabler/icons-react/dist/esm/icons/IconSearch.mjs";
import IconSettings from "@tabler/icons-react/dist/esm/icons/IconSettings.mjs";
import IconTerminal2 from "@tabler/icons-react/dist/esm/icons/IconTerminal2.mjs";
import IconUser from "@tabler/icons-react/dist/esm/icons/IconUser.mjs";
import IconUsers from "@tabler/icons-react/dist/esm/icons/IconUsers.mjs";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import { queries } from "#/api/queries";
import { useWhole } from "#/api/whole";
import { Logo } from "#/ui/Logo";
import { Person } from "./Person";
import { SchemeSwitch } from "./SchemeSwitch";
import css from "./shell.module.css";
import { chooseScope, useScope } from "./useScope";

const ICON = { size: 18, stroke: 1.7 } as const;
const COMMAND = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "") ? "⌘K" : "Ctrl K";

export function Navigation({ onSearch }: { onSearch: () => void }) {
  const { t } = useTranslation();
  const { organization } = useScope();
  const { databaseId } = useParams({ strict: false });
  return (
    <nav className={css.nav} aria-label={t("nav.main")}>
      <Link to="/databases" className={css.brand} aria-label={t("nav.home")}>
        <Logo />
      </Link>
      <button type="button" className={css.search} onClick={onSearch}>
        <IconSearch size={15} />
        {t("nav.search")}
        <kbd>{COMMAND}</kbd>
      </button>
      <div className={css.group}>
        <span className={css.groupTitle}>{organization.name}</span>
        <ProjectChoice />
        <Link
          to="/databases"
          className={css.link}
          activeOptions={{ exact: databaseId !== undefined }}
        >
          <IconDatabase {...ICON} />
          {t("nav.databases")}
        </Link>
        <Link to="/activity" className={css.link}>
          <IconHistory {...ICON} />
          {t("nav.activity")}
        </Link>
        <Link to="/usage" className={css.link}>
          <IconChartBar {...ICON} />
          {t("nav.usage")}
        </Link>
        <Link to="/billing" className={css.link}>
          <IconReceipt {...ICON} />
          {t("nav.billing")}
        </Link>
      </div>
      {databaseId === undefined ? null : <DatabaseLinks databaseId={databaseId} />}
      <div className={css.group}>
        <span className={css.groupTitle}>{t("nav.account")}</span>
        <Link to="/account" className={css.link} activeOptions={{ exact: true }}>
          <IconUser {...ICON} />
          {t("nav.sessions")}
        </Link>
        <Link to="/account/tokens" className={css.link}>
          <IconKey {...ICON} />
          {t("nav.tokens")}
        </Link>
      </div>
      <div className={css.foot}>
        <SchemeSwitch />
        <Person />
      </div>
    </nav>
  );
}

function DatabaseLinks({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const { data, error } = useQuery(queries.database(databaseId));
  if (error && asApiError(error).status === 404) return null;
  const params = { databaseId };
  return (
    <div className={css.group}>
      <span className={css.groupTitle}>{data?.name ?? t("nav.database")}</span>
      <Link
        to="/databases/$databaseId"
        params={params}
        className={css.link}
        activeOptions={{ exact: true, includeSearch: false }}
      >
        <IconActivity {...ICON} />
        {t("nav.overview")}
      </Link>
      <Link to="/databases/$databaseId/sql" params={params} className={css.link}>
        <IconTerminal2 {...ICON} />
        {t("nav.sql")}
      </Link>
      <Link to="/databases/$databaseId/roles" params={params} className={css.link}>
        <IconUsers {...ICON} />
        {t("nav.roles")}
      </Link>
      <Link to="/databases/$databaseId/backups" params={params} className={css.link}>
        <IconRestore {...ICON} />
        {t("nav.backups")}
      </Link>
      <Link to="/databases/$databaseId/imports" params={params} className={css.link}>
        <IconDatabaseImport {...ICON} />
        {t("nav.imports")}
      </Link>
      <Link to="/databases/$databaseId/settings" params={params} className={css.link}>
        <IconSettings {...ICON} />
        {t("nav.settings")}
      </Link>
    </div>
  );
}

/** A choice of project, for those who have more than one. */
function ProjectChoice() {
  const { t } = useTranslation();
  const { me, organization, projectId } = useScope();
  const { items: projects = [] } = useWhole(queries.projects(organization.id));
  const others = me.organizations.filter(({ id }) => id !== organization.id);
  if (projects.length < 2 && others.length === 0) return null;
  const choose = (value: string) => {
    const [organizationId, chosen] = value.split("/");
    if (organizationId && chosen) chooseScope({ organizationId, projectId: chosen });
  };
  return (
    <NativeSelect
      className={css.project}
      size="xs"
      aria-label={t("nav.project")}
      value={`${organization.id}/${projectId}`}
      onChange={(event) => choose(event.currentTarget.value)}
      data={[
        ...projects.map(({ id, name }) => ({ value: `${organization.id}/${id}`, label: name })),
        ...others.map(({ id, name, default_project_id }) => ({
          value: `${id}/${default_project_id ?? ""}`,
          label: name,
        })),
      ]}
    />
  );
}
