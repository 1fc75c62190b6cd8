import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Backup, RestorePoint, RestoreWindow } from "#/api/types";
import { formatDuration, formatMoment } from "#/lib/format";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { formatUtc } from "./moments";
import { Timeline } from "./Timeline";

/** What can be restored to, how far the archive is behind, and the way to restore. */
export function WindowPanel({
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
