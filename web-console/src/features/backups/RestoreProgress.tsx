import { useTranslation } from "react-i18next";
import type { Restore } from "#/api/types";
import { formatBytes, formatMoment } from "#/lib/format";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import css from "./backups.module.css";
import { formatUtc, percentOf } from "./moments";
import { Progress } from "./Progress";

/** How far a database is that is made from the archive of another. */
export function RestoreProgress({ restore }: { restore: Restore }) {
  const { t } = useTranslation();
  const { bytes_done, bytes_total, reached, replayed_lsn } = restore;
  const fetched =
    bytes_total > 0
      ? t("restore.bytesOf", { done: formatBytes(bytes_done), whole: formatBytes(bytes_total) })
      : formatBytes(bytes_done);
  return (
    <Panel title={t("restore.progress")} lead={t(`restore.phase.${restore.phase}`)}>
      <div className={css.progress}>
        <Progress percent={percentOf(bytes_done, bytes_total)} label={t("restore.fetched")} />
        <dl className={ui.facts}>
          <div>
            <dt>{t("restore.fetched")}</dt>
            <dd>{fetched}</dd>
          </div>
          <div>
            <dt>{t("restore.reached")}</dt>
            <dd title={reached ? formatUtc(reached) : undefined}>
              {reached ? formatMoment(reached) : "–"}
            </dd>
          </div>
          <div>
            <dt>{t("restore.replayed")}</dt>
            <dd>{replayed_lsn ?? "–"}</dd>
          </div>
        </dl>
      </div>
    </Panel>
  );
}
