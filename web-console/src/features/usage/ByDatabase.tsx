import { useTranslation } from "react-i18next";
import type { OrganizationUsage } from "#/api/types";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { formatSoldNumber, type Meter, type Month, soldOf } from "./meters";
import css from "./usage.module.css";

/** A meter in a month by database, the one that used most first. One that is gone counts too. */
export function ByDatabase({
  meter,
  usage,
  month,
}: {
  meter: Meter;
  usage: OrganizationUsage;
  month: Month;
}) {
  const { t } = useTranslation();
  const names = new Map(usage.databases.map(({ id, name }) => [id, name]));
  const used = new Map(usage.databases.map(({ id }) => [id, 0]));
  for (const { database_id: id, ...item } of usage.items) {
    if (id) used.set(id, (used.get(id) ?? 0) + soldOf(meter, item, month));
  }
  const rows = [...used].sort(([, one], [, other]) => other - one);
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
            {rows.map(([id, amount]) => (
              <tr key={id}>
                <td style={{ overflowWrap: "anywhere" }}>{names.get(id) ?? id}</td>
                <td className={css.number}>{formatSoldNumber(amount)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
