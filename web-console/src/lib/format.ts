const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes with a binary unit and three significant digits: `1.21 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${BINARY_UNITS[unit]}`;
}

/** Thousandths of a vCPU: `0.25 vCPU`, `2 vCPU`. */
export function formatCompute(milliVcpu: number): string {
  return `${milliVcpu / 1000} vCPU`;
}

/** Mebibytes, as `1 GiB`. */
export function formatMemory(mib: number): string {
  return mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;
}

/** A count with separators: `12,345`. */
export function formatCount(count: number): string {
  return new Intl.NumberFormat("en-US").format(count);
}

/** A rate with as many digits as it deserves: `0.4`, `12.5`, `1,204`. */
export function formatRate(rate: number): string {
  const digits = rate >= 100 || Number.isInteger(rate) ? 0 : 1;
  return new Intl.NumberFormat("en-US", { maximumFractionDigits: digits }).format(rate);
}

/** Milliseconds: `0.4 ms`, `128 ms`, `2.41 s`, `5 min`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = `${Math.floor(seconds / 60)} min`;
  return seconds % 60 === 0 ? minutes : `${minutes} ${seconds % 60} s`;
}

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** How long before or after `now` a moment lies: `3 hours ago`. */
export function formatRelative(at: string, now: Date): string {
  const seconds = (new Date(at).getTime() - now.getTime()) / 1000;
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return "just now";
}

/** A moment in the reader's time zone: `Nov 23, 2026, 08:15:30`. */
export function formatMoment(at: string): string {
  return new Intl.DateTimeFormat("en-US", {
    dateStyle: "medium",
    timeStyle: "medium",
    hourCycle: "h23",
  }).format(new Date(at));
}

/** A moment of today, to the second: `08:15:30`. */
export function formatClock(at: string): string {
  return new Intl.DateTimeFormat("en-US", { timeStyle: "medium", hourCycle: "h23" }).format(
    new Date(at),
  );
}

/** The month of a moment, as usage is counted: in UTC, `November 2026`. */
export function formatMonth(at: string): string {
  return new Intl.DateTimeFormat("en-US", {
    month: "long",
    year: "numeric",
    timeZone: "UTC",
  }).format(new Date(at));
}

/** A day: `Nov 23, 2026`. */
export function formatDay(at: string): string {
  return new Intl.DateTimeFormat("en-US", { dateStyle: "medium" }).format(new Date(at));
}
