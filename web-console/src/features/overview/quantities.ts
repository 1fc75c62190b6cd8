const SECONDS_PER_HOUR = 3_600;

/** The first moment of the month in UTC, in which usage is counted. */
export function monthStart(now: Date): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth())).toISOString();
}

/** Thousandths of a vCPU times seconds, as hours of one vCPU: `0.09`. */
export function vcpuHours(milliVcpuSeconds: number): string {
  return hours(milliVcpuSeconds / 1_000 / SECONDS_PER_HOUR);
}

/** Bytes times seconds, as hours of one GiB. Read as an integer: it may be larger than 2^53. */
export function gibibyteHours(byteSeconds: string): string {
  const mibibyteSeconds = Number(BigInt(byteSeconds) >> 20n);
  return hours(mibibyteSeconds / 1_024 / SECONDS_PER_HOUR);
}

function hours(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return new Intl.NumberFormat("en-US", { maximumFractionDigits: digits }).format(value);
}
