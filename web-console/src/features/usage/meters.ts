import type { Plan, Usage } from "#/api/types";

/** What is metered, in the order in which invoices list it. */
export const METERS = [
  "storage",
  "compute",
  "requests",
  "transfer_out",
  "vector_operations",
] as const;

export type Meter = (typeof METERS)[number];

type Quantities = Usage["totals"];

const DAY_MS = 86_400_000;
const GB = 1_000_000_000;

/** A month in UTC. */
export type Month = {
  /** `2026-11` */
  id: string;
  from: string;
  /** Not included. */
  to: string;
  days: number;
};

/** The month in which a moment lies, or one that many months before it. */
export function monthOf(now: Date, before = 0): Month {
  const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - before));
  const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - before + 1));
  return {
    id: from.toISOString().slice(0, 7),
    from: from.toISOString(),
    to: to.toISOString(),
    days: Math.round((to.getTime() - from.getTime()) / DAY_MS),
  };
}

/** A quantity in the unit that it is sold in: GB-months, vCPU-hours, millions, GB. */
export function soldOf(meter: Meter, used: Quantities, month: Month): number {
  switch (meter) {
    case "storage":
      // In megabyte-seconds an integer is small enough to be exact.
      return Number(BigInt(used.storage_byte_seconds) / 1_000_000n) / 1_000 / (month.days * 86_400);
    case "compute":
      return used.compute_milli_vcpu_seconds / 3_600_000;
    case "requests":
      return used.requests / 1_000_000;
    case "transfer_out":
      return used.transfer_out_bytes / GB;
    case "vector_operations":
      return used.vector_operations / 1_000_000;
  }
}

type Amount = Plan["included"][number];

/** An amount of a plan over a whole month, in the unit that it is sold in. */
export function amountOf({ meter, amount, per }: Amount, month: Month): number {
  const perMonth = per === "day" ? amount * month.days : amount;
  switch (meter) {
    case "storage":
      return amount / GB;
    case "compute":
      return (amount / 1_000) * month.days * 24;
    case "requests":
    case "vector_operations":
      return perMonth / 1_000_000;
    case "transfer_out":
      return perMonth / GB;
  }
}

/** As short as it can be said: `< 0.001`, `0.004`, `12.5`, `1,204`. */
export function formatSoldNumber(value: number): string {
  if (value > 0 && value < 0.0005) return "< 0.001";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return new Intl.NumberFormat("en-US", { maximumFractionDigits: digits }).format(value);
}

/** What a meter comes to on each day of a month; a day without usage is zero. */
export function byDay(
  meter: Meter,
  items: readonly (Quantities & { start: string })[],
  month: Month,
): number[] {
  const days = new Array<number>(month.days).fill(0);
  const first = new Date(month.from).getTime();
  for (const item of items) {
    const day = Math.floor((new Date(item.start).getTime() - first) / DAY_MS);
    const before = days[day];
    if (before !== undefined) days[day] = before + soldOf(meter, item, month);
  }
  return days;
}

/** What the month comes to if it goes on as it went so far; undefined on its first hours. */
export function projected(total: number, month: Month, now: Date): number | undefined {
  const from = new Date(month.from).getTime();
  const to = new Date(month.to).getTime();
  const gone = now.getTime() - from;
  if (gone >= to - from) return undefined;
  return gone < DAY_MS ? undefined : (total * (to - from)) / gone;
}
