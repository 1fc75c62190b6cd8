import { HttpResponse, http, type RequestHandler } from "msw";
import type { Import } from "../../src/api/types";
import * as data from "../data/index.ts";
import { paged, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** Copies from servers elsewhere. */
export function importHandlers(state: Cloud): RequestHandler[] {
  const change = (id: unknown, given: Partial<Import>) => {
    const found = state.imports.find((each) => each.id === id);
    if (found === undefined) return problem(404, "not_found", "There is no such import.");
    return HttpResponse.json(Object.assign(found, given));
  };
  return [
    http.get("*/v1/databases/:id/imports", ({ params, request }) =>
      paged(
        request,
        state.imports.filter((each) => each.database_id === params.id),
      ),
    ),
    http.post("*/v1/databases/:id/imports", async ({ params, request }) => {
      const asked = (await request.json()) as Pick<Import, "logical_database" | "continuous">;
      const made = data.importOf({
        id: `imp_${state.imports.length}`,
        database_id: String(params.id),
        state: "pending",
        logical_database: asked.logical_database,
        continuous: asked.continuous,
      });
      state.imports.unshift(made);
      return HttpResponse.json(made, { status: 201 });
    }),
    http.post("*/v1/imports/:id/complete", ({ params }) =>
      change(params.id, { is_completing: true }),
    ),
    http.post("*/v1/imports/:id/cancel", ({ params }) =>
      change(params.id, { is_cancelling: true }),
    ),
  ];
}
