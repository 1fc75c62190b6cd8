import { useTranslation } from "react-i18next";
import type { Backup, RestorePoint, RestoreWindow } from "#/api/types";
import { formatMoment } from "#/lib/format";
import css from "./backups.module.css";
import { placeOf, spanOf, stretchesOf } from "./moments";

const percent = (share: number) => `${(share * 100).toFixed(3)}%`;

/** The plan's window as a line, with what of it can be restored to. */
export function Timeline({
  window,
  backups,
  points,
}: {
  window: RestoreWindow;
  backups: readonly Backup[];
  points: readonly RestorePoint[];
}) {
  const { t } = useTranslation();
  const now = new Date();
  const span = spanOf(window, now);
  const stretches = stretchesOf(window, now);
  const complete = backups.filter(({ state }) => state === "complete");
  const label =
    window.earliest && window.latest
      ? t("backups.timelineLabel", {
          from: formatMoment(window.earliest),
          until: formatMoment(window.latest),
          count: window.gaps.length,
        })
      : t("backups.timelineEmpty");
  return (
    <div className={css.timeline}>
      <div className={css.line} role="img" aria-label={label}>
        {stretches.map(({ from, until }) => (
          <span
            key={from}
            className={css.stretch}
            style={{ left: percent(from), width: percent(until - from) }}
          />
        ))}
        {complete.map(({ id, ended_at }) =>
          ended_at ? (
            <span
              key={id}
              className={css.mark}
              style={{ left: percent(placeOf(ended_at, span)) }}
            />
          ) : null,
        )}
        {points.map(({ id, made_at }) =>
          made_at ? (
            <span
              key={id}
              className={css.point}
              style={{ left: percent(placeOf(made_at, span)) }}
            />
          ) : null,
        )}
      </div>
      <div className={css.scale} aria-hidden="true">
        <span>{t("backups.daysAgo", { count: window.window_days })}</span>
        <span>{t("backups.now")}</span>
      </div>
      <ul className={css.legend} aria-hidden="true">
        <li data-kind="stretch">{t("backups.legendStretch")}</li>
        <li data-kind="mark">{t("backups.legendBackup")}</li>
        <li data-kind="point">{t("backups.legendPoint")}</li>
      </ul>
    </div>
  );
}
