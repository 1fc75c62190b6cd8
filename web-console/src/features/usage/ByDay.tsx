import { useTranslation } from "react-i18next";
import type { OrganizationUsage } from "#/api/types";
import { formatMonth } from "#/lib/format";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { Bars } from "./Bars";
import { byDay, formatSoldNumber, type Meter, type Month } from "./meters";
import css from "./usage.module.css";

/** A day of the month, as it is counted: in UTC. */
function dayName(month: Month, index: number): string {
  return new Intl.DateTimeFormat("en-US", {
    month: "short",
    day: "numeric",
    timeZone: "UTC",
  }).format(new Date(new Date(month.from).getTime() + index * 86_400_000));
}

/** A meter on each day of a month, as bars and as a table. */
export function ByDay({
  meter,
  usage,
  month,
}: {
  meter: Meter;
  usage: OrganizationUsage;
  month: Month;
}) {
  const { t } = useTranslation();
  const days = byDay(meter, usage.items, month);
  const said = (index: number) =>
    `${dayName(month, index)}: ${formatSoldNumber(days[index] ?? 0)} ${t(`sold.${meter}`)}`;
  return (
    <Panel title={t("usagePage.byDay", { meter: t(`meter.${meter}`) })} lead={t("usagePage.utc")}>
      <Bars
        values={days}
        label={t("usagePage.byDayLabel", {
          meter: t(`meter.${meter}`),
          month: formatMonth(month.from),
        })}
        titleOf={said}
      />
      <div className={css.scale} aria-hidden="true">
        <span>{dayName(month, 0)}</span>
        <span>{dayName(month, month.days - 1)}</span>
      </div>
      <details className={css.days}>
        <summary>{t("usagePage.asTable")}</summary>
        <div className={ui.tableWrap}>
          <table className={ui.table}>
            <thead>
              <tr>
                <th scope="col">{t("usagePage.day")}</th>
                <th scope="col" className={css.number}>
                  {t(`sold.${meter}`)}
                </th>
              </tr>
            </thead>
            <tbody>
              {days.map((value, index) => (
                <tr key={index}>
                  <td>{dayName(month, index)}</td>
                  <td className={css.number}>{formatSoldNumber(value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </Panel>
  );
}
