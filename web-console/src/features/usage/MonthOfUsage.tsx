import { useQueries } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { Database } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Bone, Loading } from "#/ui/Loaded";
import { usePlan } from "../databases/usePlan";
import { ByDatabase } from "./ByDatabase";
import { ByDay } from "./ByDay";
import { MeterCard } from "./MeterCard";
import { METERS, type Meter, type Month } from "./meters";
import css from "./usage.module.css";

/** Milliseconds between looks: usage is counted, not watched. */
const REFRESH_MS = 60_000;

/** What stands for the meters and their days while they are read. */
export function UsageSkeleton() {
  return (
    <div className="stack">
      <Bone height={110} panel />
      <Bone height={280} panel />
    </div>
  );
}

/** A month by meter, and the chosen meter by day and by database. */
export function MonthOfUsage({
  databases,
  month,
  now,
}: {
  databases: readonly Database[];
  month: Month;
  now: Date;
}) {
  const { t } = useTranslation();
  const [meter, setMeter] = useState<Meter>("storage");
  const plan = usePlan();
  const results = useQueries({
    queries: databases.map(({ id }) => ({
      ...queries.usageOfMonth(id, month.from, month.to),
      refetchInterval: REFRESH_MS,
    })),
  });
  const failed = results.find(({ isError, data }) => isError && data === undefined);
  if (failed !== undefined) {
    return (
      <Failure
        error={failed.error}
        isRetrying={failed.isFetching}
        onRetry={() => void failed.refetch()}
      />
    );
  }
  const usages = results.map(({ data }) => data);
  if (usages.some((usage) => usage === undefined)) {
    return (
      <Loading>
        <UsageSkeleton />
      </Loading>
    );
  }
  const known = usages.filter((usage) => usage !== undefined);
  return (
    <div className="stack">
      <fieldset className={css.meters} style={{ border: 0, margin: 0, padding: 0 }}>
        <legend className="unseen">{t("usagePage.meter")}</legend>
        {METERS.map((one) => (
          <MeterCard
            key={one}
            meter={one}
            usages={known}
            month={month}
            now={now}
            plan={plan.data?.plan}
            pressed={one === meter}
            onPress={() => setMeter(one)}
          />
        ))}
      </fieldset>
      <ByDay meter={meter} usages={known} month={month} />
      <ByDatabase meter={meter} databases={databases} usages={known} month={month} />
    </div>
  );
}
