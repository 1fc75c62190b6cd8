import { HttpResponse, http, type RequestHandler } from "msw";
import type { PlanChange } from "../../src/api/types";
import * as data from "../data/index.ts";
import { page, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** Changes of plan. */
export function planHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/organizations/:id/plan-changes", () => page(state.planChanges)),
    http.post("*/v1/organizations/:id/plan-changes", async ({ request }) => {
      if (new URL(request.url).searchParams.get("dry_run") === "true") {
        return HttpResponse.json(state.quote);
      }
      const { plan_id } = (await request.json()) as { plan_id: string };
      const isDown = state.quote.monthly_difference_cents < 0;
      const change: PlanChange = {
        id: "plc_01jdk3x5v9e8rb6w4q2n7m0c5d",
        from_plan_id: "free",
        plan_id,
        state: isDown ? "scheduled" : "done",
        effective_at: isDown ? "2026-12-01T00:00:00Z" : data.ago(0),
        created_at: data.ago(0),
      };
      state.planChanges.unshift(change);
      return HttpResponse.json({ plan_change: change, invoice: null }, { status: 201 });
    }),
    http.delete("*/v1/organizations/:id/plan-changes/:change", ({ params }) => {
      const found = state.planChanges.find(({ id }) => id === params.change);
      if (found === undefined) return problem(404, "not_found", "There is no such change.");
      found.state = "cancelled";
      return HttpResponse.json(found);
    }),
  ];
}
