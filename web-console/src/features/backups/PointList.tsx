import { useTranslation } from "react-i18next";
import type { RestorePoint } from "#/api/types";
import { formatMoment } from "#/lib/format";
import { State } from "#/ui/State";
import ui from "#/ui/ui.module.css";
import css from "./backups.module.css";
import { formatUtc } from "./moments";

/** The named moments of a database, the newest first. */
export function PointList({ points }: { points: readonly RestorePoint[] }) {
  const { t } = useTranslation();
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("form.nameOf")}</th>
            <th scope="col">{t("backups.made")}</th>
          </tr>
        </thead>
        <tbody>
          {points.map(({ id, name, made_at, lsn }) => (
            <tr key={id}>
              <td>
                <span className={css.name}>{name}</span>
                {lsn ? <span className={css.sub}>{lsn}</span> : null}
              </td>
              <td title={made_at ? formatUtc(made_at) : undefined}>
                {made_at ? (
                  formatMoment(made_at)
                ) : (
                  <State tone="warm" moving label={t("backups.pointPending")} />
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
