import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { OrganizationUsage } from "#/api/types";
import { usePlan } from "../databases/usePlan";
import { ByDatabase } from "./ByDatabase";
import { ByDay } from "./ByDay";
import { MeterCard } from "./MeterCard";
import { METERS, type Meter, type Month } from "./meters";
import css from "./usage.module.css";

/** A month by meter, and the chosen meter by day and by database. */
export function MonthOfUsage({
  usage,
  month,
  now,
}: {
  usage: OrganizationUsage;
  month: Month;
  now: Date;
}) {
  const { t } = useTranslation();
  const [meter, setMeter] = useState<Meter>("storage");
  const plan = usePlan();
  return (
    <div className="stack">
      <fieldset className={css.meters} style={{ border: 0, margin: 0, padding: 0 }}>
        <legend className="unseen">{t("usagePage.meter")}</legend>
        {METERS.map((one) => (
          <MeterCard
            key={one}
            meter={one}
            usage={usage}
            month={month}
            now={now}
            plan={plan.data?.plan}
            pressed={one === meter}
            onPress={() => setMeter(one)}
          />
        ))}
      </fieldset>
      <ByDay meter={meter} usage={usage} month={month} />
      <ByDatabase meter={meter} usage={usage} month={month} />
    </div>
  );
}
