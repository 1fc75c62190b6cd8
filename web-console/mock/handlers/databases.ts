import { HttpResponse, http, type RequestHandler } from "msw";
import type { Database, Operation } from "../../src/api/types";
import * as data from "../data/index.ts";
import { page, paged, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";
import { begun } from "./operations.ts";

/** Databases of the project, and what they come from: regions, plans, sizes. */
export function databaseHandlers(state: Cloud): RequestHandler[] {
  const find = (id: unknown) => state.databases.find((each) => each.id === id);
  const missing = () => problem(404, "not_found", "There is no such database.");
  const change = (id: unknown, given: Partial<Database>, kind: Operation["kind"]) => {
    const found = find(id);
    if (found === undefined) return missing();
    Object.assign(found, given, { revision: found.revision + 1 });
    const operation = data.operation({ kind });
    return HttpResponse.json({ database: found, operation });
  };
  return [
    http.get("*/v1/regions", () => page(data.regions)),
    http.get("*/v1/plans", () =>
      HttpResponse.json({
        book: "2026-11",
        prices: data.prices,
        items: data.plans,
        compute_sizes: data.computeSizes,
      }),
    ),
    http.get("*/v1/projects/:id/databases", ({ request }) => paged(request, state.databases)),
    http.post("*/v1/projects/:id/databases", async ({ request }) => {
      const body = (await request.json()) as { name: string };
      if (state.databases.some(({ name }) => name === body.name)) {
        return problem(409, "conflict", "A database of this name exists already.", "name");
      }
      const database = data.database({
        id: data.nextId("db", state.databases.length),
        name: body.name,
        state: "pending",
        connections: 0,
      });
      state.databases.push(database);
      const operation = begun(state, "database_create", database.id, data.CREATION_STEPS);
      return HttpResponse.json(
        {
          database,
          operation,
          role: data.role(),
          password: data.PASSWORD,
          connection: data.connection("owner", "main"),
        },
        { status: 201 },
      );
    }),
    http.get("*/v1/databases/:id", ({ params }) => {
      const found = find(params.id);
      return found === undefined ? missing() : HttpResponse.json(found);
    }),
    http.patch("*/v1/databases/:id", async ({ params, request }) => {
      const body = (await request.json()) as Partial<Database>;
      return change(params.id, body, "database_resize");
    }),
    http.delete("*/v1/databases/:id", ({ params }) =>
      change(params.id, { state: "deleting" }, "database_delete"),
    ),
    http.post("*/v1/databases/:id/suspend", ({ params }) =>
      change(params.id, { state: "suspended", connections: 0 }, "database_suspend"),
    ),
    http.post("*/v1/databases/:id/resume", ({ params }) =>
      change(params.id, { state: "running" }, "database_resume"),
    ),
  ];
}
