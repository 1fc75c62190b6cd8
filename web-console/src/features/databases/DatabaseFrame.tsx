import { Button, VisuallyHidden } from "@mantine/core";
import IconPlugConnected from "@tabler/icons-react/dist/esm/icons/IconPlugConnected.mjs";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import { queries } from "#/api/queries";
import { Bone, Loaded } from "#/ui/Loaded";
import { StateBadge } from "#/ui/State";
import { Lost } from "../shell/Lost";
import css from "./DatabaseFrame.module.css";

const ConnectDialog = lazy(() => import("../connect/ConnectDialog"));

/** Milliseconds between looks at a database that is shown. */
const REFRESH_MS = 4_000;

/** The same while it is on its way to another state. */
const REFRESH_MOVING_MS = 1_000;

/** What every page of one database has around it. */
export function DatabaseFrame({
  databaseId,
  connecting,
  children,
}: {
  databaseId: string;
  connecting: boolean;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const query = useQuery({
    ...queries.database(databaseId),
    refetchInterval: ({ state }) =>
      state.data?.state === "pending" || state.data?.state === "deleting"
        ? REFRESH_MOVING_MS
        : REFRESH_MS,
  });
  if (query.isError && asApiError(query.error).status === 404) return <Lost />;
  const show = (connect: boolean) =>
    void navigate({ to: ".", search: connect ? { connect: true } : {}, replace: true });
  return (
    <>
      <Tabs databaseId={databaseId} />
      {query.data === undefined ? (
        <VisuallyHidden component="h1">{t("nav.database")}</VisuallyHidden>
      ) : (
        <div className={css.frameHead}>
          <div className={css.frameTitle}>
            <h1>{query.data.name}</h1>
            <StateBadge state={query.data.state} />
          </div>
          <Button
            disabled={query.data.state === "deleting"}
            leftSection={<IconPlugConnected size={17} />}
            onClick={() => show(true)}
          >
            {t("connect.open")}
          </Button>
        </div>
      )}
      <div className={css.frameBody}>
        <Loaded query={query} skeleton={<FrameSkeleton />}>
          {() => children}
        </Loaded>
      </div>
      {connecting && query.data ? (
        <Suspense>
          <ConnectDialog database={query.data} onClose={() => show(false)} />
        </Suspense>
      ) : null}
    </>
  );
}

/** On small screens, where the menu is put away, a database's pages stay one touch apart. */
function Tabs({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const params = { databaseId };
  return (
    <nav className={css.tabs} aria-label={t("nav.database")}>
      <Link
        to="/databases/$databaseId"
        params={params}
        activeOptions={{ exact: true, includeSearch: false }}
      >
        {t("nav.overview")}
      </Link>
      <Link to="/databases/$databaseId/sql" params={params}>
        {t("nav.sqlShort")}
      </Link>
      <Link to="/databases/$databaseId/roles" params={params}>
        {t("nav.roles")}
      </Link>
      <Link to="/databases/$databaseId/backups" params={params}>
        {t("nav.backups")}
      </Link>
      <Link to="/databases/$databaseId/imports" params={params}>
        {t("nav.imports")}
      </Link>
      <Link to="/databases/$databaseId/settings" params={params}>
        {t("nav.settings")}
      </Link>
    </nav>
  );
}

function FrameSkeleton() {
  return (
    <div className="stack-lg">
      <Bone width={260} height={30} />
      <Bone height={256} panel />
      <Bone height={220} panel />
    </div>
  );
}
