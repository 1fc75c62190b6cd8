import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Import } from "#/api/types";
import { formatBytes } from "#/lib/format";
import { Failure } from "#/ui/Failure";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import css from "../backups/backups.module.css";
import { percentOf } from "../backups/moments";
import { Progress } from "../backups/Progress";

/** How far an import is that is under way. */
export function ImportProgress({
  of,
  busy,
  error,
  onCancel,
}: {
  of: Import;
  busy: boolean;
  error: unknown;
  onCancel: () => void;
}) {
  const { t } = useTranslation();
  const { source, tables_done, tables_total, bytes_copied, source_bytes } = of;
  const state = of.is_cancelling ? "cleaning" : of.state;
  return (
    <Panel
      title={t("imports.progress", { host: source.host, database: source.database })}
      lead={t(`imports.phase.${state}`)}
      actions={
        <Button
          size="sm"
          variant="default"
          loading={busy}
          disabled={of.is_cancelling}
          onClick={onCancel}
        >
          {t("imports.cancel")}
        </Button>
      }
    >
      <div className={css.progress}>
        {error ? <Failure error={error} /> : null}
        <Progress percent={percentOf(tables_done, tables_total)} label={t("imports.tables")} />
        <dl className={ui.facts}>
          <div>
            <dt>{t("imports.tables")}</dt>
            <dd>{tables_total > 0 ? `${tables_done} / ${tables_total}` : "–"}</dd>
          </div>
          <div>
            <dt>{t("imports.copied")}</dt>
            <dd>{formatBytes(bytes_copied)}</dd>
          </div>
          <div>
            <dt>{t("imports.sourceSize")}</dt>
            <dd>{source_bytes > 0 ? formatBytes(source_bytes) : "–"}</dd>
          </div>
        </dl>
      </div>
    </Panel>
  );
}
