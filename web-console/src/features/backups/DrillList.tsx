import { useTranslation } from "react-i18next";
import type { Drill } from "#/api/types";
import { formatBytes, formatCount, formatDuration, formatMoment } from "#/lib/format";
import { State } from "#/ui/State";
import ui from "#/ui/ui.module.css";
import css from "./backups.module.css";

const TONES = { running: "warm", succeeded: "good", failed: "bad", abandoned: "calm" } as const;

/** Every restore that was tried, the newest first. */
export function DrillList({ drills }: { drills: readonly Drill[] }) {
  const { t } = useTranslation();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    // biome-ignore lint/a11y/useSemanticElements: no fields are in it
    <div className={ui.tableWrap} role="group" tabIndex={0} aria-label={t("drills.title")}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("drills.tried")}</th>
            <th scope="col">{t("backups.state")}</th>
            <th scope="col">{t("drills.rpo")}</th>
            <th scope="col">{t("drills.rto")}</th>
            <th scope="col" className={ui.spare}>
              {t("drills.checked")}
            </th>
          </tr>
        </thead>
        <tbody>
          {drills.map((drill) => (
            <tr key={drill.id}>
              <td>
                {formatMoment(drill.started_at)}
                {drill.fault ? (
                  <span className={css.sub} style={{ whiteSpace: "pre-line" }}>
                    {drill.fault}
                  </span>
                ) : null}
              </td>
              <td>
                <State
                  tone={TONES[drill.state]}
                  moving={drill.state === "running"}
                  label={t(`drills.stateOf.${drill.state}`)}
                />
              </td>
              <td className="nowrap tabular">
                {drill.rpo_ms === 0 ? t("backups.lagNone") : formatDuration(drill.rpo_ms)}
              </td>
              <td className="nowrap tabular">
                {drill.rto_ms === null ? "–" : formatDuration(drill.rto_ms)}
              </td>
              <td className={ui.spare}>
                {t("drills.counts", {
                  tables: formatCount(drill.tables_checked),
                  indexes: formatCount(drill.indexes_checked),
                })}
                <span className={css.sub}>{formatBytes(drill.restored_bytes)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
