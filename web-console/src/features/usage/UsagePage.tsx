import { Button, NativeSelect } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { Database, Plan, Usage } from "#/api/types";
import { formatMonth } from "#/lib/format";
import { DawnArt } from "#/ui/art/DawnArt";
import { Empty } from "#/ui/Empty";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { usePlan } from "../databases/usePlan";
import { useScope } from "../shell/useScope";
import { Bars } from "./Bars";
import { LimitNotices } from "./LimitNotices";
import {
  amountOf,
  byDay,
  formatSoldNumber,
  METERS,
  type Meter,
  type Month,
  monthOf,
  projected,
  soldOf,
} from "./meters";
import css from "./usage.module.css";

/** Months that can be looked at. */
const MONTHS = 12;

/** Milliseconds between looks: usage is counted, not watched. */
const REFRESH_MS = 60_000;

/** What was used in a month: by meter, by day, by database. */
export function UsagePage() {
  const { t } = useTranslation();
  const { organization, projectId } = useScope();
  const [before, setBefore] = useState(0);
  const now = new Date();
  const month = monthOf(now, before);
  const databases = useQuery(queries.databases(projectId));
  return (
    <Page
      title={t("usagePage.title")}
      lead={t("usagePage.lead")}
      actions={
        <div className="row">
          <Button
            variant="default"
            component="a"
            href={`/v1/organizations/${organization.id}/usage-export?period=${month.id}`}
            download
          >
            {t("usagePage.export")}
          </Button>
          <NativeSelect
            aria-label={t("usagePage.month")}
            value={String(before)}
            onChange={(event) => setBefore(Number(event.currentTarget.value))}
            data={Array.from({ length: MONTHS }, (_, back) => ({
              value: String(back),
              label: formatMonth(monthOf(now, back).from),
            }))}
          />
        </div>
      }
    >
      <LimitNotices />
      <Loaded query={databases} skeleton={<Skeleton />}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty art={<DawnArt />} title={t("usagePage.emptyTitle")}>
              <p>{t("usagePage.empty")}</p>
            </Empty>
          ) : (
            <MonthOfUsage key={month.id} databases={items} month={month} now={now} />
          )
        }
      </Loaded>
    </Page>
  );
}

function Skeleton() {
  return (
    <div className="stack">
      <Bone height={110} panel />
      <Bone height={280} panel />
    </div>
  );
}

function MonthOfUsage({
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
      <div role="status" aria-label={t("loading")}>
        <Skeleton />
      </div>
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
      <Days meter={meter} usages={known} month={month} />
      <ByDatabase meter={meter} databases={databases} usages={known} month={month} />
    </div>
  );
}

function MeterCard({
  meter,
  usages,
  month,
  now,
  plan,
  pressed,
  onPress,
}: {
  meter: Meter;
  usages: readonly Usage[];
  month: Month;
  now: Date;
  plan: Plan | undefined;
  pressed: boolean;
  onPress: () => void;
}) {
  const { t } = useTranslation();
  const total = usages.reduce((sum, { totals }) => sum + soldOf(meter, totals, month), 0);
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

/** A day of the month, as it is counted: in UTC. */
function dayName(month: Month, index: number): string {
  return new Intl.DateTimeFormat("en-US", {
    month: "short",
    day: "numeric",
    timeZone: "UTC",
  }).format(new Date(new Date(month.from).getTime() + index * 86_400_000));
}

function Days({ meter, usages, month }: { meter: Meter; usages: readonly Usage[]; month: Month }) {
  const { t } = useTranslation();
  const days = byDay(meter, usages, month);
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

function ByDatabase({
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
