import { useTranslation } from "react-i18next";
import type { Import } from "#/api/types";
import { formatBytes, formatMoment } from "#/lib/format";
import { State, type Tone } from "#/ui/State";
import ui from "#/ui/ui.module.css";
import css from "../backups/backups.module.css";

const TONES: Record<Import["state"], Tone> = {
  pending: "warm",
  checking: "warm",
  copying: "warm",
  finishing: "warm",
  following: "good",
  validating: "good",
  cleaning: "warm",
  succeeded: "good",
  failed: "bad",
  cancelled: "calm",
};

/** Every import into a database, the newest first. */
export function ImportList({ imports }: { imports: readonly Import[] }) {
  const { t } = useTranslation();
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("imports.from")}</th>
            <th scope="col">{t("imports.state")}</th>
            <th scope="col" className={ui.spare}>
              {t("imports.copied")}
            </th>
          </tr>
        </thead>
        <tbody>
          {imports.map((each) => (
            <Row key={each.id} of={each} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ of }: { of: Import }) {
  const { t } = useTranslation();
  const { source, state, error } = of;
  return (
    <tr>
      <td>
        <span className={css.name}>
          {source.host} / {source.database}
        </span>
        <span className={css.sub}>
          {t("imports.into", { name: of.logical_database })} ·{" "}
          {formatMoment(of.ended_at ?? of.created_at)}
        </span>
        {error === null ? null : <span className={css.sub}>{error}</span>}
      </td>
      <td>
        <State
          tone={TONES[state]}
          moving={of.ended_at === null}
          label={t(`imports.stateOf.${state}`)}
        />
      </td>
      <td className={`${ui.spare} nowrap tabular`}>
        {of.bytes_copied > 0 ? formatBytes(of.bytes_copied) : "–"}
      </td>
    </tr>
  );
}
