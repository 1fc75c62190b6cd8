import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { UsageSamples } from "#/api/types";
import { formatBytes, formatClock, formatCompute, formatCount } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { More } from "#/ui/More";
import ui from "#/ui/ui.module.css";
import type { Meter } from "../usage/meters";
import css from "./billing.module.css";

type Sample = UsageSamples["items"][number];

/** What nodes said of an hour: the samples that add up to it, or the times of granted compute. */
export function HourSamples({
  databaseId,
  hour,
  meter,
}: {
  databaseId: string;
  hour: string;
  meter: Meter;
}) {
  const { t } = useTranslation();
  const query = useInfiniteQuery(queries.usageSamples(databaseId, hour));
  return (
    <div className="stack">
      <Loaded query={query} skeleton={<Bone height={60} />}>
        {({ pages }) => {
          const rows =
            meter === "compute"
              ? pages.flatMap(({ spans }) => spans).map(spanRow)
              : pages.flatMap(({ items }) => items).map((item) => sampleRow(item, meter));
          if (rows.length === 0) return <p className="muted">{t("invoice.noSamples")}</p>;
          return (
            <table className={ui.table} aria-label={t("invoice.samples")}>
              <thead>
                <tr>
                  <th scope="col">{t("invoice.said")}</th>
                  <th scope="col" className={css.number}>
                    {t(
                      meter === "storage" || meter === "compute" ? "invoice.held" : "invoice.added",
                    )}
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ key, when, amount }) => (
                  <tr key={key}>
                    <td>{when}</td>
                    <td className={css.number}>{amount}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          );
        }}
      </Loaded>
      <More query={query} label={t("more")} size="xs" />
    </div>
  );
}

type Row = { key: string; when: string; amount: string };

function spanRow({ from, to, milli_vcpu }: UsageSamples["spans"][number]): Row {
  return {
    key: from,
    when: `${formatClock(from)} – ${formatClock(to)}`,
    amount: formatCompute(milli_vcpu),
  };
}

function sampleRow(sample: Sample, meter: Exclude<Meter, "compute">): Row {
  return {
    key: `${sample.incarnation_id}/${sample.sequence}`,
    when: formatClock(sample.taken_at),
    amount: amountOf(sample, meter),
  };
}

function amountOf(sample: Sample, meter: Exclude<Meter, "compute">): string {
  switch (meter) {
    case "storage":
      return formatBytes(sample.storage_bytes);
    case "requests":
      return formatCount(sample.added.requests);
    case "transfer_out":
      return formatBytes(sample.added.transfer_out_bytes);
    case "vector_operations":
      return formatCount(sample.added.vector_operations);
  }
}
