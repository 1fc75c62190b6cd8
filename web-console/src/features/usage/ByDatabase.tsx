import { useTranslation } from "react-i18next";
import type { Database, Usage } from "#/api/types";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { formatSoldNumber, type Meter, type Month, soldOf } from "./meters";
import css from "./usage.module.css";

/** A meter in a month by database, the one that used most first. */
export function ByDatabase({
  meter,
  databases,
  usages,
  month,
}: {
  meter: Meter;
  databases: readonly Database[];
  usages: readonly Usage[];
  month: Month;
}) {
  const { t } = useTranslation();
  const rows = databases.map(({ id, name }, index) => {
    const totals = usages[index]?.totals;
    return { id, name, used: totals === undefined ? 0 : soldOf(meter, totals, month) };
  });
  rows.sort((one, other) => other.used - one.used);
  return (
    <Panel title={t("usagePage.byDatabase", { meter: t(`meter.${meter}`) })} flush>
      <div className={ui.tableWrap}>
        <table className={ui.table}>
          <thead>
            <tr>
              <th scope="col">{t("nav.database")}</th>
              <th scope="col" className={css.number}>
                {t(`sold.${meter}`)}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ id, name, used }) => (
              <tr key={id}>
                <td style={{ overflowWrap: "anywhere" }}>{name}</td>
                <td className={css.number}>{formatSoldNumber(used)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
