import { Button } from "@mantine/core";
import {
  type UseQueryResult,
  useQuery,
  useQueryClient,
  useSuspenseQuery,
} from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Backup, Database, RestorePoint, RestoreWindow } from "#/api/types";
import { formatDuration, formatMoment } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { notifyDone } from "#/ui/notify";
import { useTitle } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { BackupList } from "./BackupList";
import { DrillList } from "./DrillList";
import { isKeptOf, KeptList } from "./KeptList";
import { formatUtc } from "./moments";
import { PointList } from "./PointList";
import { Timeline } from "./Timeline";

const RestoreDialog = lazy(() => import("./RestoreDialog"));
const NameDialog = lazy(() => import("./NameDialog"));

/** Milliseconds between looks; while a backup is being made, and otherwise. */
const REFRESH_MOVING_MS = 1_500;
const REFRESH_MS = 10_000;

type Dialog = { kind: "restore"; at?: string } | { kind: "backup" } | { kind: "point" };

/** The past of a database: what can be restored, and the backups that it rests on. */
export function Backups({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const { data: database } = useSuspenseQuery({
    ...queries.database(databaseId),
    refetchInterval: ({ state }) => (isRestoring(state.data) ? REFRESH_MOVING_MS : false),
  });
  useTitle(`${t("nav.backups")} · ${database.name}`);
  const [dialog, setDialog] = useState<Dialog>();
  const backups = useQuery({
    ...queries.backups(databaseId),
    refetchInterval: ({ state }) =>
      state.data?.items.some(isMoving) ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const window = useQuery({
    ...queries.restoreWindow(databaseId),
    refetchInterval: backups.data?.items.some(isMoving) ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const points = useQuery({
    ...queries.restorePoints(databaseId),
    refetchInterval: ({ state }) =>
      state.data?.items.some(({ made_at }) => !made_at) ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const drills = useQuery({
    ...queries.drills(databaseId),
    refetchInterval: ({ state }) =>
      state.data?.items.some(({ state }) => state === "running") ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const { data: databases } = useQuery({
    ...queries.databases(database.project_id),
    refetchInterval: REFRESH_MS,
  });
  const kept = databases?.items.filter((other) => isKeptOf(database, other)) ?? [];
  const pointItems = points.data?.items ?? [];
  const isResting = database.state === "suspended" || database.state === "deleting";
  return (
    <div className="stack">
      <InPlaceNote database={database} />
      <Loaded query={window} skeleton={<Bone height={240} panel />}>
        {(known) => (
          <Window
            window={known}
            backups={backups.data?.items ?? []}
            points={pointItems}
            onRestore={() => setDialog({ kind: "restore" })}
          />
        )}
      </Loaded>
      <Section
        title={t("backups.list")}
        lead={t("backups.listLead")}
        none={t("backups.none")}
        query={backups}
        action={t("backups.create")}
        disabled={isResting}
        onAction={() => setDialog({ kind: "backup" })}
      >
        {(items) => (
          <BackupList backups={items} onRestore={(at) => setDialog({ kind: "restore", at })} />
        )}
      </Section>
      <Section
        title={t("backups.points")}
        lead={t("backups.pointsLead")}
        none={t("backups.pointsNone")}
        query={points}
        action={t("backups.pointCreate")}
        disabled={isResting}
        onAction={() => setDialog({ kind: "point" })}
      >
        {(items) => <PointList points={items} />}
      </Section>
      {kept.length === 0 ? null : <KeptList database={database} kept={kept} />}
      <Section
        title={t("drills.title")}
        lead={t("drills.lead")}
        none={t("drills.none")}
        query={drills}
      >
        {(items) => <DrillList drills={items} />}
      </Section>
      {dialog === undefined ? null : (
        <Suspense>
          <Dialogs
            database={database}
            window={window.data}
            points={pointItems}
            dialog={dialog}
            onClose={() => setDialog(undefined)}
          />
        </Suspense>
      )}
    </div>
  );
}

/** That a restore in place goes on, and where it can be followed. */
function InPlaceNote({ database }: { database: Database }) {
  const { t } = useTranslation();
  const { in_place_restore } = database;
  if (!in_place_restore || !isRestoring(database)) return null;
  return (
    <p className={ui.note} role="status">
      {t("restore.inPlaceOpen")}{" "}
      <Link
        to="/databases/$databaseId/creation"
        params={{ databaseId: in_place_restore.database_id }}
        search={{ operation: in_place_restore.operation_id }}
      >
        {t("restore.inPlaceFollow")}
      </Link>
    </p>
  );
}

/** Whether a restore in place goes on that a database takes part in. */
function isRestoring(database: Database | undefined): boolean {
  return database?.in_place_restore?.ended_at === null;
}

function isMoving({ state }: Pick<Backup, "state">): boolean {
  return state === "pending" || state === "running";
}

/** A titled list, with a button to add to it where there is one. */
function Section<Item>({
  title,
  lead,
  none,
  query,
  action,
  disabled = false,
  onAction,
  children,
}: {
  title: string;
  lead: string;
  /** Said in the place of an empty list. */
  none: string;
  query: UseQueryResult<{ items: Item[] }, unknown>;
  action?: string;
  disabled?: boolean;
  onAction?: () => void;
  children: (items: Item[]) => ReactNode;
}) {
  return (
    <Panel
      title={title}
      lead={lead}
      flush
      actions={
        action === undefined ? undefined : (
          <Button size="sm" variant="default" disabled={disabled} onClick={onAction}>
            {action}
          </Button>
        )
      }
    >
      <Loaded
        query={query}
        skeleton={
          <div style={{ padding: 20 }}>
            <Bone height={60} />
          </div>
        }
      >
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted" style={{ padding: 20 }}>
              {none}
            </p>
          ) : (
            children(items)
          )
        }
      </Loaded>
    </Panel>
  );
}

function Window({
  window,
  backups,
  points,
  onRestore,
}: {
  window: RestoreWindow;
  backups: readonly Backup[];
  points: readonly RestorePoint[];
  onRestore: () => void;
}) {
  const { t } = useTranslation();
  const { earliest, latest, lag_ms } = window;
  const hasWindow = Boolean(earliest && latest);
  return (
    <Panel
      title={hasWindow ? t("backups.title") : t("backups.emptyTitle")}
      lead={hasWindow ? t("backups.lead", { count: window.window_days }) : t("backups.empty")}
      actions={
        <Button size="sm" disabled={!hasWindow} onClick={onRestore}>
          {t("backups.restoreTo")}
        </Button>
      }
    >
      <Timeline window={window} backups={backups} points={points} />
      {window.is_stuck ? (
        <p className={`${ui.note} ${ui.bad}`} role="status" style={{ marginBottom: 20 }}>
          {t("backups.stuck")}
        </p>
      ) : null}
      <dl className={ui.facts}>
        <Moment term={t("backups.earliest")} at={earliest} />
        <Moment term={t("backups.latest")} at={latest} />
        <div>
          <dt>{t("backups.lag")}</dt>
          <dd>
            {lag_ms === null || lag_ms === undefined
              ? "–"
              : lag_ms === 0
                ? t("backups.lagNone")
                : formatDuration(lag_ms)}
          </dd>
        </div>
        <div>
          <dt>{t("backups.gaps")}</dt>
          <dd>{window.gaps.length}</dd>
        </div>
      </dl>
    </Panel>
  );
}

function Moment({ term, at }: { term: string; at: string | null | undefined }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd title={at ? formatUtc(at) : undefined}>{at ? formatMoment(at) : "–"}</dd>
    </div>
  );
}

function Dialogs({
  database,
  window,
  points,
  dialog,
  onClose,
}: {
  database: Database;
  window: RestoreWindow | undefined;
  points: readonly RestorePoint[];
  dialog: Dialog;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const done = (message: string) => () => {
    onClose();
    notifyDone(message);
    return databasesChanged(client);
  };
  const backUp = $api.useMutation("post", "/v1/databases/{database_id}/backups", {
    onSuccess: done(t("backups.created")),
  });
  const mark = $api.useMutation("post", "/v1/databases/{database_id}/restore-points", {
    onSuccess: done(t("backups.pointCreated")),
  });
  const params = { path: { database_id: database.id } };
  switch (dialog.kind) {
    case "restore":
      return window === undefined ? null : (
        <RestoreDialog
          database={database}
          window={window}
          points={points}
          at={dialog.at}
          onClose={onClose}
        />
      );
    case "backup":
      return (
        <NameDialog
          title={t("backups.createTitle")}
          lead={t("backups.createLead")}
          action={t("backups.create")}
          required={false}
          busy={backUp.isPending}
          error={backUp.error}
          onSubmit={(name) => backUp.mutate({ params, body: name === "" ? {} : { name } })}
          onClose={onClose}
        />
      );
    case "point":
      return (
        <NameDialog
          title={t("backups.pointCreate")}
          lead={t("backups.pointLead")}
          action={t("backups.pointCreate")}
          required
          busy={mark.isPending}
          error={mark.error}
          onSubmit={(name) => mark.mutate({ params, body: { name } })}
          onClose={onClose}
        />
      );
  }
}
