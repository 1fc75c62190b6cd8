import { useInfiniteQuery, useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { itemsOf, queries } from "#/api/queries";
import { useWhole } from "#/api/whole";
import { Bone, Loaded } from "#/ui/Loaded";
import { useTitle } from "#/ui/Page";
import { BackupList, isMoving } from "./BackupList";
import { type Dialog, Dialogs } from "./Dialogs";
import { DrillList } from "./DrillList";
import { InPlaceNote, isRestoring } from "./InPlaceNote";
import { isKeptOf, KeptList } from "./KeptList";
import { PointList } from "./PointList";
import { Section } from "./Section";
import { WindowPanel } from "./WindowPanel";

/** Milliseconds between looks; while a backup is being made, and otherwise. */
const REFRESH_MOVING_MS = 1_500;
const REFRESH_MS = 10_000;

/** The past of a database: what can be restored, and the backups that it rests on. */
export function Backups({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const { data: database } = useSuspenseQuery({
    ...queries.database(databaseId),
    refetchInterval: ({ state }) => (isRestoring(state.data) ? REFRESH_MOVING_MS : false),
  });
  useTitle(`${t("nav.backups")} · ${database.name}`);
  const [dialog, setDialog] = useState<Dialog>();
  const backups = useInfiniteQuery({
    ...queries.backups(databaseId),
    refetchInterval: ({ state }) =>
      itemsOf(state.data).some(isMoving) ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const window = useQuery({
    ...queries.restoreWindow(databaseId),
    refetchInterval: itemsOf(backups.data).some(isMoving) ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const points = useInfiniteQuery({
    ...queries.restorePoints(databaseId),
    refetchInterval: ({ state }) =>
      itemsOf(state.data).some(({ made_at }) => !made_at) ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const drills = useInfiniteQuery({
    ...queries.drills(databaseId),
    refetchInterval: ({ state }) =>
      itemsOf(state.data).some(({ state }) => state === "running") ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const databases = useWhole(queries.databases(database.project_id), {
    refetchInterval: REFRESH_MS,
  });
  const kept = databases.items?.filter((other) => isKeptOf(database, other)) ?? [];
  const isResting = database.state === "suspended" || database.state === "deleting";
  return (
    <div className="stack">
      <InPlaceNote database={database} />
      <Loaded query={window} skeleton={<Bone height={240} panel />}>
        {(known) => (
          <WindowPanel
            window={known}
            backups={itemsOf(backups.data)}
            points={itemsOf(points.data)}
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
          <Dialogs database={database} dialog={dialog} onClose={() => setDialog(undefined)} />
        </Suspense>
      )}
    </div>
  );
}
