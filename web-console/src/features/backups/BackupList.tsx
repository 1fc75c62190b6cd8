import { Button, VisuallyHidden } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Backup } from "#/api/types";
import { formatBytes, formatMoment, formatRelative } from "#/lib/format";
import { State } from "#/ui/State";
import ui from "#/ui/ui.module.css";
import css from "./backups.module.css";
import { percentOf } from "./moments";
import { Progress } from "./Progress";

const TONES = {
  pending: "warm",
  running: "warm",
  complete: "good",
  failed: "bad",
  expired: "calm",
} as const;

/** Whether a backup is still to come. */
export function isMoving({ state }: Pick<Backup, "state">): boolean {
  return state === "pending" || state === "running";
}

/** Every backup of a database, the newest first. */
export function BackupList({
  backups,
  onRestore,
}: {
  backups: readonly Backup[];
  onRestore: (at: string) => void;
}) {
  const { t } = useTranslation();
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("backups.backup")}</th>
            <th scope="col">{t("backups.state")}</th>
            <th scope="col" className={ui.spare}>
              {t("backups.size")}
            </th>
            <th scope="col" className={ui.tight}>
              <VisuallyHidden>{t("actions")}</VisuallyHidden>
            </th>
          </tr>
        </thead>
        <tbody>
          {backups.map((backup) => (
            <Row key={backup.id} backup={backup} onRestore={onRestore} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ backup, onRestore }: { backup: Backup; onRestore: (at: string) => void }) {
  const { t } = useTranslation();
  const { state, ended_at, requested_at } = backup;
  const at = ended_at ?? requested_at;
  const name = backup.name ?? t(`backups.origin.${backup.origin}`);
  return (
    <tr>
      <td>
        <span className={css.name}>{name}</span>
        <span className={css.sub} title={formatRelative(at, new Date())}>
          {formatMoment(at)}
          {backup.kind === "incremental" ? ` · ${t("backups.incremental")}` : ""}
          {backup.bytes_stored > 0 ? (
            <span className={css.onSmall}>{` · ${formatBytes(backup.bytes_stored)}`}</span>
          ) : null}
        </span>
      </td>
      <td>
        <State
          tone={TONES[state]}
          moving={isMoving(backup)}
          label={t(`backups.stateOf.${state}`)}
        />
      </td>
      <td className={`${ui.spare} nowrap tabular`}>
        {state === "running" ? (
          <Progress
            percent={percentOf(backup.bytes_read, backup.bytes_expected)}
            label={t("backups.progressOf", { name })}
          />
        ) : backup.bytes_stored > 0 ? (
          formatBytes(backup.bytes_stored)
        ) : (
          "–"
        )}
      </td>
      <td className={ui.tight}>
        {state === "complete" && ended_at ? (
          <Button
            size="xs"
            variant="default"
            aria-label={t("backups.restoreNamed", { name, at: formatMoment(ended_at) })}
            onClick={() => onRestore(ended_at)}
          >
            {t("backups.restore")}
          </Button>
        ) : null}
      </td>
    </tr>
  );
}
