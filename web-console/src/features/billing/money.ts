/** Whole cents in dollars: `$1,234.56`, `−$5.00`. */
export function formatCents(cents: number): string {
  const size = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" }).format(
    Math.abs(cents) / 100,
  );
  return cents < 0 ? `−${size}` : size;
}

/** A price as the API writes it, in dollars: `$0.10`. */
export function formatPrice(price: string): string {
  return `$${price}`;
}

const THOUSANDTHS = 1_000n;

/**
 * A count of the API in units of which one has `perUnit`, with at most three decimals: `126.5`.
 * Both are integers that may be larger than 2^53.
 */
export function formatSold(count: string, perUnit: string): string {
  const unit = BigInt(perUnit);
  const given = BigInt(count);
  const size = given < 0n ? -given : given;
  const rounded = (size * THOUSANDTHS * 2n + unit) / (unit * 2n);
  if (rounded === 0n && size > 0n) return given < 0n ? "> −0.001" : "< 0.001";
  const whole = new Intl.NumberFormat("en-US").format(rounded / THOUSANDTHS);
  const fraction = String(rounded % THOUSANDTHS)
    .padStart(3, "0")
    .replace(/0+$/, "");
  return `${given < 0n ? "−" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Dollars as a person types them, in cents; undefined where they are no amount. */
export function parseDollars(text: string): number | undefined {
  const found = /^\$?\s*(\d{1,8})(?:\.(\d{1,2}))?$/.exec(text.trim().replaceAll(",", ""));
  if (found === null) return undefined;
  return Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0"));
}

/** Cents as a person would type them: `50`, `49.99`. */
export function writeDollars(cents: number): string {
  return cents % 100 === 0 ? String(cents / 100) : (cents / 100).toFixed(2);
}

/** From a moment to another that is not included, in UTC: `Nov 1 – Nov 30, 2026`. */
export function formatSpan(from: string, to: string): string {
  const whole = (at: string) => new Date(at).getTime() % 86_400_000 === 0;
  if (whole(from) && whole(to)) {
    const day = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeZone: "UTC" });
    return day.formatRange(new Date(from), new Date(new Date(to).getTime() - 1));
  }
  const moment = new Intl.DateTimeFormat("en-US", {
    dateStyle: "medium",
    timeStyle: "medium",
    hourCycle: "h23",
    timeZone: "UTC",
  });
  return `${moment.format(new Date(from))} – ${moment.format(new Date(to))} UTC`;
}
