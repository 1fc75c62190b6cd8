import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { Database, Metrics } from "#/api/types";
import { formatBytes, formatClock, formatCount, formatRate } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import panel from "#/ui/Panel.module.css";
import css from "./overview.module.css";

const STEPS = {
  requests_per_second: "rate",
  connections: "count",
  storage_bytes: "bytes",
} as const;

const Plot = lazy(() => import("./Plot"));

/** Minutes that the charts look back. */
const WINDOW_MINUTES = 15;

/** Milliseconds between looks, whatever the points' own interval is. */
const REFRESH_MS_MIN = 2_000;

/** What a database does right now. */
export function Charts({ database }: { database: Database }) {
  const { t } = useTranslation();
  const query = useQuery({
    ...queries.metrics(database.id, WINDOW_MINUTES),
    refetchInterval: ({ state }) =>
      Math.max((state.data?.interval_seconds ?? 5) * 1_000, REFRESH_MS_MIN),
  });
  return (
    <Loaded query={query} skeleton={<ChartsSkeleton />}>
      {(metrics) => {
        const last = metrics.points.at(-1);
        return (
          <div className={css.charts}>
            <Chart
              title={t("charts.requests")}
              value={last?.requests_per_second ?? 0}
              unit={t("charts.perSecond")}
              metrics={metrics}
              field="requests_per_second"
              format={formatRate}
            />
            <Chart
              title={t("charts.connections")}
              value={database.connections}
              unit={t("charts.ofMax", { max: formatCount(database.connections_max) })}
              metrics={metrics}
              field="connections"
              format={formatCount}
            />
            <Chart
              title={t("charts.storage")}
              value={last?.storage_bytes ?? database.storage_bytes}
              metrics={metrics}
              field="storage_bytes"
              format={formatBytes}
            />
          </div>
        );
      }}
    </Loaded>
  );
}

function Chart({
  title,
  value,
  unit = "",
  metrics,
  field,
  format,
}: {
  title: string;
  /** What it is right now. */
  value: number;
  unit?: string;
  metrics: Metrics;
  field: "requests_per_second" | "connections" | "storage_bytes";
  format: (value: number) => string;
}) {
  const { t } = useTranslation();
  // While somebody points into the chart, its head tells that moment instead of this one.
  const [pointed, setPointed] = useState<number>();
  const point = pointed === undefined ? undefined : metrics.points[pointed];
  return (
    <section className={`${panel.panel} ${css.chart}`} aria-label={title}>
      <div className={css.chartHead}>
        <h2>{title}</h2>
        <span>
          {point ? formatClock(point.at) : t("charts.window", { minutes: WINDOW_MINUTES })}
        </span>
      </div>
      <p className={css.value}>
        {format(point ? point[field] : value)} <small>{unit}</small>
      </p>
      {metrics.points.length < 2 ? (
        <div className={css.quiet}>{t("charts.quiet")}</div>
      ) : (
        <Suspense fallback={<Bone height={132} />}>
          <Plot
            seconds={metrics.points.map(({ at }) => new Date(at).getTime() / 1000)}
            values={metrics.points.map((each) => each[field])}
            format={format}
            steps={STEPS[field]}
            label={t("charts.label", { title, minutes: WINDOW_MINUTES })}
            onPoint={setPointed}
          />
        </Suspense>
      )}
    </section>
  );
}

function ChartsSkeleton() {
  return (
    <div className={css.charts}>
      <Bone height={220} panel />
      <Bone height={220} panel />
      <Bone height={220} panel />
    </div>
  );
}
