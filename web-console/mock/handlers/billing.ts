import { HttpResponse, http, type RequestHandler } from "msw";
import type { BillingAccount } from "../../src/api/types";
import * as data from "../data/index.ts";
import { problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** How an organization pays, and its caps. */
export function billingHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/organizations/:id/billing", () => HttpResponse.json(state.billing)),
    http.patch("*/v1/organizations/:id/billing", async ({ request }) => {
      const body = (await request.json()) as Partial<BillingAccount>;
      if (request.headers.get("if-match") !== `"${state.billing.revision}"`) {
        return problem(412, "precondition_failed", "It was changed meanwhile.");
      }
      state.billing = { ...state.billing, ...body, revision: state.billing.revision + 1 };
      return HttpResponse.json(state.billing);
    }),
    http.get("*/v1/organizations/:id/limit-notices", () =>
      HttpResponse.json({ items: state.limitNotices }),
    ),
    http.get("*/v1/organizations/:id/spend-cap-order", () =>
      HttpResponse.json({ databases: state.capStages }),
    ),
    http.put("*/v1/organizations/:id/spend-cap-order", async ({ request }) => {
      const { database_ids: ids } = (await request.json()) as { database_ids: string[] };
      state.capStages = state.capStages.toSorted((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id));
      return HttpResponse.json({ databases: state.capStages });
    }),
    http.get("*/v1/organizations/:id/card", () => HttpResponse.json(state.card)),
    http.post("*/v1/organizations/:id/card", () =>
      HttpResponse.json({ url: "#card-page" }, { status: 201 }),
    ),
    http.post("*/v1/organizations/:id/portal", () =>
      HttpResponse.json({ url: "#portal-page" }, { status: 201 }),
    ),
    http.get("*/v1/organizations/:id/forecast", () =>
      HttpResponse.json({
        period: "2026-11",
        as_of: data.ago(0),
        fees_cents: 2_900,
        usage_cents: 612,
        cost_cents: 3_512,
        lines: [],
      }),
    ),
  ];
}
