import type { BillingAccount, ChangeQuote } from "../../src/api/types";
import { ago, ORGANIZATION } from "./common.ts";

export function billing(given: Partial<BillingAccount> = {}): BillingAccount {
  return {
    organization_id: ORGANIZATION,
    plan_id: "free",
    collection: "manual",
    standing: "good",
    standing_since: ago(60 * 24 * 9),
    name: null,
    email: null,
    address: { line1: "", line2: "", city: "", postal_code: "", state: "", country: "" },
    tax_id: null,
    tax: { kind: "none" },
    spend_cap_cents: 5_000,
    budgets_cents: [2_500, 4_000],
    revision: 4,
    ...given,
  };
}

export function changeQuote(given: Partial<ChangeQuote> = {}): ChangeQuote {
  return {
    plan_id: "pro-starter",
    monthly_before_cents: 0,
    monthly_after_cents: 2_900,
    monthly_difference_cents: 2_900,
    quotas: [
      { quota: "databases", held: 2, allowed: 100, is_exceeded: false },
      { quota: "database_milli_vcpu", held: 250, allowed: 2_000, is_exceeded: false },
    ],
    is_possible: true,
    ...given,
  };
}
