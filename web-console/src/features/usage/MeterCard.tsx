import { useTranslation } from "react-i18next";
import type { OrganizationUsage, Plan } from "#/api/types";
import { amountOf, formatSoldNumber, type Meter, type Month, projected, soldOf } from "./meters";
import css from "./usage.module.css";

/** What a month comes to of one meter, beside what the plan has; pressed, the page is about it. */
export function MeterCard({
  meter,
  usage,
  month,
  now,
  plan,
  pressed,
  onPress,
}: {
  meter: Meter;
  usage: OrganizationUsage;
  month: Month;
  now: Date;
  plan: Plan | undefined;
  pressed: boolean;
  onPress: () => void;
}) {
  const { t } = useTranslation();
  const total = soldOf(meter, usage.totals, month);
  const limit = plan?.limits.find((amount) => amount.meter === meter);
  const included = plan?.included.find((amount) => amount.meter === meter);
  const amount = limit ?? included;
  const whole = amount === undefined ? undefined : amountOf(amount, month);
  const forecast = projected(total, month, now);
  const share = whole === undefined ? 0 : Math.min(total / whole, 1);
  const tone = share >= 1 ? (limit ? "bad" : "warm") : share >= 0.8 ? "warm" : "good";
  return (
    <button type="button" className={css.meter} aria-pressed={pressed} onClick={onPress}>
      <span>{t(`meter.${meter}`)}</span>
      <strong>
        {formatSoldNumber(total)}
        <small>{t(`sold.${meter}`)}</small>
      </strong>
      {whole === undefined ? null : (
        <>
          <div className={css.gauge} data-tone={tone}>
            <span style={{ width: `${share * 100}%` }} />
          </div>
          <span>
            {t(limit ? "usagePage.ofLimit" : "usagePage.ofIncluded", {
              amount: formatSoldNumber(whole),
            })}
          </span>
        </>
      )}
      {forecast === undefined ? null : (
        <span>{t("usagePage.forecast", { amount: formatSoldNumber(forecast) })}</span>
      )}
    </button>
  );
}
