import { HttpResponse, http, type RequestHandler } from "msw";
import type { DatabaseRestore } from "../../src/api/types";
import * as data from "../data/index.ts";
import { paged, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";
import { begun } from "./operations.ts";

/** The past of a database. */
export function backupHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/projects/:id/deleted-databases", ({ request }) => paged(request, state.deleted)),
    http.get("*/v1/databases/:id/restore-window", () => HttpResponse.json(state.restoreWindow)),
    http.get("*/v1/databases/:id/backups", ({ request }) => paged(request, state.backups)),
    http.post("*/v1/databases/:id/backups", async ({ request }) => {
      const { name } = (await request.json()) as { name?: string };
      const backup = data.backup({
        id: `bak_${state.backups.length}`,
        name: name ?? null,
        origin: "manual",
        state: "pending",
        requested_at: data.ago(0),
        started_at: null,
        ended_at: null,
        bytes_read: 0,
        bytes_stored: 0,
      });
      state.backups.unshift(backup);
      return HttpResponse.json(backup, { status: 201 });
    }),
    http.get("*/v1/databases/:id/drills", ({ request }) => paged(request, state.drills)),
    http.get("*/v1/databases/:id/restore-points", ({ request }) =>
      paged(request, state.restorePoints),
    ),
    http.post("*/v1/databases/:id/restore-points", async ({ request }) => {
      const { name } = (await request.json()) as { name: string };
      if (state.restorePoints.some((each) => each.name === name)) {
        return problem(409, "conflict", "A restore point of this name exists already.");
      }
      const point = data.restorePoint({ id: `rpt_${name}`, name, made_at: null, lsn: null });
      state.restorePoints.unshift(point);
      return HttpResponse.json(point, { status: 201 });
    }),
    http.post("*/v1/databases/:id/restore", async ({ request }) => {
      const body = (await request.json()) as DatabaseRestore;
      const { earliest } = state.restoreWindow;
      if (body.time && earliest && body.time < earliest) {
        return problem(422, "restore_target", `time: is before ${earliest}`, "time");
      }
      return HttpResponse.json(restored(state, body), { status: 201 });
    }),
  ];
}

/** Makes what a restore makes: another database, and for one in place what is kept. */
function restored(state: Cloud, body: DatabaseRestore) {
  if (body.kept_database_id) return changingPlaces(state, body.kept_database_id, true);
  const database = data.database({
    id: data.nextId("db", state.databases.length),
    name: body.name ?? "shop-before-2026-11-27",
    state: "pending",
    connections: 0,
    restore: {
      source_database_id: data.DATABASE,
      target: {
        latest: body.latest ?? false,
        time: body.time ?? null,
        lsn: body.lsn ?? null,
        transaction: body.transaction ?? null,
        restore_point: body.restore_point ?? null,
      },
      phase: "fetching",
      bytes_done: 31_457_280,
      bytes_total: 48_234_496,
      replayed_lsn: null,
      reached: null,
      refusal: null,
      created_at: data.ago(0),
      ended_at: null,
    },
  });
  state.databases.push(database);
  if (body.in_place) return changingPlaces(state, database.id, false);
  const operation = begun(state, "database_restore", database.id, data.RESTORE_STEPS);
  return { database, operation, kept: null };
}

/** The shop gets other content, and its own is kept. */
function changingPlaces(state: Cloud, keptId: string, back: boolean) {
  const operation = begun(
    state,
    back ? "database_go_back" : "database_restore_in_place",
    data.DATABASE,
    back ? data.IN_PLACE_STEPS.slice(3) : data.IN_PLACE_STEPS,
  );
  const sides = [data.DATABASE, keptId].map((side) =>
    state.databases.find(({ id }) => id === side),
  );
  for (const side of sides) {
    if (side === undefined) continue;
    side.in_place_restore = {
      operation_id: operation.id,
      database_id: data.DATABASE,
      kept_database_id: keptId,
      phase: "preparing",
      created_at: data.ago(0),
      ended_at: null,
    };
  }
  const [database, kept] = sides;
  return { database, operation, kept };
}
