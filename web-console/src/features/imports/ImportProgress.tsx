import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Import } from "#/api/types";
import { formatBytes, formatMoment } from "#/lib/format";
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
  onComplete,
}: {
  of: Import;
  busy: boolean;
  error: unknown;
  onCancel: () => void;
  onComplete: () => void;
}) {
  const { t } = useTranslation();
  const { source } = of;
  const follows = of.state === "following" || of.state === "validating";
  const place = { host: source.host, database: source.database };
  return (
    <Panel
      title={follows ? t("imports.followed", place) : t("imports.progress", place)}
      lead={t(`imports.phase.${phaseOf(of)}`)}
      actions={
        <Button
          size="sm"
          variant="default"
          loading={busy}
          disabled={of.is_cancelling || of.state === "validating"}
          onClick={onCancel}
        >
          {t("imports.cancel")}
        </Button>
      }
    >
      <div className={css.progress}>
        {error ? <Failure error={error} /> : null}
        {follows ? <Following of={of} busy={busy} onComplete={onComplete} /> : <Copying of={of} />}
      </div>
    </Panel>
  );
}

function phaseOf(of: Import): Import["state"] | "completing" {
  if (of.is_cancelling) return "cleaning";
  return of.state === "following" && of.is_completing ? "completing" : of.state;
}

function Copying({ of }: { of: Import }) {
  const { t } = useTranslation();
  const { tables_done, tables_total, bytes_copied, source_bytes } = of;
  return (
    <>
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
    </>
  );
}

/** How far behind its source it is, and the way to leave that. */
function Following({
  of,
  busy,
  onComplete,
}: {
  of: Import;
  busy: boolean;
  onComplete: () => void;
}) {
  const { t } = useTranslation();
  const { lag_bytes, last_change_at, bytes_copied } = of;
  return (
    <>
      <dl className={ui.facts}>
        <div>
          <dt>{t("imports.lag")}</dt>
          <dd>{lag_bytes === null ? "–" : formatBytes(lag_bytes)}</dd>
        </div>
        <div>
          <dt>{t("imports.lastChange")}</dt>
          <dd>{last_change_at === null ? "–" : formatMoment(last_change_at)}</dd>
        </div>
        <div>
          <dt>{t("imports.copied")}</dt>
          <dd>{formatBytes(bytes_copied)}</dd>
        </div>
      </dl>
      {of.state === "following" ? (
        <>
          <p className="muted">{t("imports.switchOverLead")}</p>
          <div className="end">
            <Button
              size="sm"
              loading={busy}
              disabled={of.is_completing || of.is_cancelling}
              onClick={onComplete}
            >
              {t("imports.switchOver")}
            </Button>
          </div>
        </>
      ) : null}
    </>
  );
}
