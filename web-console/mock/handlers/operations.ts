import { HttpResponse, http, type RequestHandler } from "msw";
import type { Operation } from "../../src/api/types";
import * as data from "../data/index.ts";
import { page, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** Operations, which go on as they are looked at. */
export function operationHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/databases/:id/operations", () => page([...state.operations.values()])),
    http.get("*/v1/operations/:id", ({ params }) => {
      const found = state.operations.get(String(params.id));
      if (found === undefined) return problem(404, "not_found", "There is no such operation.");
      return HttpResponse.json(advance(state, found));
    }),
    http.get("*/v1/operations/:id/events", () => problem(503, "unavailable", "No events here.")),
  ];
}

/** Begins an operation, with every step of it still to come. */
export function begun(
  state: Cloud,
  kind: Operation["kind"],
  databaseId: string,
  steps: readonly string[],
): Operation {
  const operation = data.operation({
    id: data.nextId("op", state.operations.size),
    kind,
    database_id: databaseId,
    state: "pending",
    created_at: new Date().toISOString(),
    ended_at: null,
    steps: steps.map((name) => ({ name, state: "pending", started_at: null, ended_at: null })),
  });
  state.operations.set(operation.id, operation);
  return operation;
}

/** Each look takes an operation one step further. */
function advance(state: Cloud, operation: Operation): Operation {
  const now = new Date().toISOString();
  const running = operation.steps.find((step) => step.state === "running");
  if (running !== undefined) Object.assign(running, { state: "succeeded", ended_at: now });
  const next = operation.steps.find((step) => step.state === "pending");
  if (next !== undefined) {
    Object.assign(next, { state: "running", started_at: now });
    operation.state = "running";
  } else if (operation.ended_at === null) {
    Object.assign(operation, { state: "succeeded", ended_at: now });
    const database = state.databases.find(({ id }) => id === operation.database_id);
    if (database !== undefined) database.state = "running";
    for (const { in_place_restore } of state.databases) {
      if (in_place_restore?.operation_id === operation.id) {
        Object.assign(in_place_restore, { phase: "done", ended_at: now });
      }
    }
  }
  return { ...operation, steps: operation.steps.map((step) => ({ ...step })) };
}
