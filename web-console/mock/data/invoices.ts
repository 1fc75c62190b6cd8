import type { Invoice, InvoiceDraft, InvoiceSummary, LineHours } from "../../src/api/types";
import { ago, DATABASE, GB, ORGANIZATION, PROJECT } from "./common.ts";

export const INVOICE = "inv_01jdk3x5v9e8rb6w4q2n7m0c5a";

export function invoiceSummary(given: Partial<InvoiceSummary> = {}): InvoiceSummary {
  return {
    id: INVOICE,
    organization_id: ORGANIZATION,
    number: "INV-2026-000007",
    kind: "period",
    period: "2026-11",
    state: "final",
    collection: "manual",
    currency: "USD",
    lines_cents: 3_365,
    credits_cents: 500,
    net_cents: 2_865,
    tax_cents: 544,
    total_cents: 3_409,
    outstanding_cents: 3_409,
    issued_at: "2026-12-01T00:10:00Z",
    due_at: "2026-12-15T00:10:00Z",
    state_since: "2026-12-01T00:10:00Z",
    ...given,
  };
}

const MONTH_US = 30n * 86_400n * 1_000_000n;

export function invoice(given: Partial<Invoice> = {}): Invoice {
  const gbMonth = BigInt(GB) * MONTH_US;
  return {
    ...invoiceSummary(),
    customer_name: "Analytical Engines",
    customer_address: {
      line1: "5 Dorset Street",
      line2: "",
      city: "London",
      postal_code: "W1U 6QL",
      state: "",
      country: "GB",
    },
    customer_tax_id: null,
    tax: { kind: "rate", name: "VAT", rate_ppm: 190_000 },
    lines: [
      {
        position: 0,
        kind: "usage",
        plan_id: "pro-starter",
        book: "2026-11",
        from: "2026-11-01T00:00:00Z",
        to: "2026-12-01T00:00:00Z",
        corrects: null,
        amount_cents: 465,
        usage: {
          meter: "storage",
          counted_in: "byte-microseconds",
          sold_in: "GB-month",
          counted_per_sold: String(gbMonth),
          used: String((gbMonth * 1_465n) / 10n),
          included: String(gbMonth * 100n),
          billed: String((gbMonth * 465n) / 10n),
          unit_price: "0.10",
          shares: [
            {
              database_id: DATABASE,
              used: String((gbMonth * 1_465n) / 10n),
              billed: String((gbMonth * 465n) / 10n),
              amount_cents: 465,
            },
          ],
        },
      },
      {
        position: 1,
        kind: "fee",
        plan_id: "pro-starter",
        book: "2026-11",
        from: "2026-12-01T00:00:00Z",
        to: "2027-01-01T00:00:00Z",
        corrects: null,
        amount_cents: 2_900,
        usage: null,
      },
    ],
    credits: [{ credit_id: "crd_01jdk3x5v9e8rb6w4q2n7m0c5b", amount_cents: 500 }],
    databases: [{ id: DATABASE, project_id: PROJECT, name: "shop", is_deleted: false }],
    ...given,
  };
}

export function invoiceDraft(given: Partial<InvoiceDraft> = {}): InvoiceDraft {
  const { lines, credits, databases, tax } = invoice();
  return {
    organization_id: ORGANIZATION,
    period: "2026-11",
    state: "draft",
    as_of: ago(0),
    currency: "USD",
    lines_cents: 3_365,
    credits_cents: 500,
    net_cents: 2_865,
    tax_cents: 544,
    total_cents: 3_409,
    tax,
    lines,
    credits,
    spend_cap: { cap_cents: 5_000, committed_cents: 4_250, left_cents: 750 },
    databases,
    ...given,
  };
}

/** Two hours of the invoice's line for storage. */
export function lineHours(): LineHours {
  const hourOf = (gb: bigint) => String(BigInt(GB) * gb * 3_600n * 1_000_000n);
  return {
    meter: "storage",
    counted_in: "byte-microseconds",
    used: hourOf(300n),
    items: [
      { start: "2026-11-26T09:00:00Z", used: hourOf(180n) },
      { start: "2026-11-26T10:00:00Z", used: hourOf(120n) },
    ],
  };
}
