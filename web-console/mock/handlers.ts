import { HttpResponse, http, type RequestHandler } from "msw";
import type {
  Backup,
  BillingAccount,
  CardView,
  ChangeQuote,
  Database,
  DatabaseRestore,
  DeletedDatabase,
  Drill,
  Import,
  Invoice,
  InvoiceSummary,
  LimitNotice,
  Operation,
  PlanChange,
  QueryAnswer,
  RestorePoint,
  RestoreWindow,
  Role,
  SpendCapStages,
} from "../src/api/types";
import * as data from "./data.ts";

/** An API that remembers what it was told, for as long as it lives. */
export type Cloud = {
  signedIn: boolean;
  databases: Database[];
  deleted: DeletedDatabase[];
  roles: Role[];
  backups: Backup[];
  imports: Import[];
  restorePoints: RestorePoint[];
  drills: Drill[];
  restoreWindow: RestoreWindow;
  operations: Map<string, Operation>;
  billing: BillingAccount;
  limitNotices: LimitNotice[];
  capStages: SpendCapStages["databases"];
  card: CardView;
  invoices: InvoiceSummary[];
  invoice: Invoice;
  quote: ChangeQuote;
  planChanges: PlanChange[];
};

export function cloud(given: Partial<Cloud> = {}): Cloud {
  return {
    signedIn: true,
    databases: [
      data.database(),
      data.database({
        id: "db_01jdk3x5v9e8rb6w4q2n7m0c2a",
        name: "analytics-staging",
        state: "asleep",
        connections: 0,
        storage_bytes: 1_288_490_188,
      }),
    ],
    deleted: [],
    roles: [
      data.role(),
      data.role({
        id: "rol_01jdk3x5v9e8rb6w4q2n7m0c2b",
        name: "app",
        is_owner: false,
        password_changed_at: data.ago(95),
      }),
    ],
    backups: data.backups(),
    imports: [data.importOf()],
    restorePoints: [data.restorePoint()],
    drills: [data.drill()],
    restoreWindow: data.restoreWindow(),
    operations: new Map([["op_01jdk3x5v9e8rb6w4q2n7m0c1e", data.operation()]]),
    billing: data.billing(),
    limitNotices: [],
    capStages: [
      { id: "db_01jdk3x5v9e8rb6w4q2n7m0c2a", name: "analytics-staging", stage: "read_only" },
      { id: data.database().id, name: data.database().name, stage: null },
    ],
    card: { card: null, refused_charges: [] },
    invoices: [
      data.invoiceSummary(),
      data.invoiceSummary({
        id: "inv_01jdk3x5v9e8rb6w4q2n7m0c5c",
        number: "INV-2026-000003",
        kind: "change",
        state: "paid",
        total_cents: 1_417,
        outstanding_cents: 0,
      }),
    ],
    invoice: data.invoice(),
    quote: data.changeQuote(),
    planChanges: [],
    ...given,
  };
}

export function problem(status: number, slug: string, detail: string, field?: string) {
  return HttpResponse.json(
    {
      type: `/problems/${slug}`,
      title: slug,
      status,
      detail,
      ...(field === undefined ? {} : { errors: [{ field, message: detail }] }),
    },
    { status, headers: { "content-type": "application/problem+json" } },
  );
}

const page = <Item>(items: readonly Item[]) => HttpResponse.json({ items, next_cursor: null });
const nothing = () => new HttpResponse(null, { status: 204 });

export function handlers(state: Cloud): RequestHandler[] {
  return [
    ...accountHandlers(state),
    ...databaseHandlers(state),
    ...backupHandlers(state),
    ...billingHandlers(state),
    ...insideHandlers(state),
  ];
}

function accountHandlers(state: Cloud): RequestHandler[] {
  const signIn = () => {
    state.signedIn = true;
    return HttpResponse.json({ user: data.me.user });
  };
  return [
    http.head("*/outbox.json", () => new HttpResponse(null, { status: 404 })),
    http.post("*/v1/auth/sign-up", () => HttpResponse.json({}, { status: 202 })),
    http.post("*/v1/auth/verify-email", signIn),
    http.post("*/v1/auth/log-in", async ({ request }) => {
      const body = (await request.json()) as { password: string };
      if (body.password === "wrong-password") {
        return problem(401, "unauthenticated", "E-mail or password is wrong.");
      }
      return signIn();
    }),
    http.post("*/v1/auth/log-out", () => {
      state.signedIn = false;
      return nothing();
    }),
    http.post("*/v1/auth/password-reset", () => HttpResponse.json({}, { status: 202 })),
    http.post("*/v1/auth/password-reset/confirm", nothing),
    http.get("*/v1/me", () =>
      state.signedIn
        ? HttpResponse.json(data.me)
        : problem(401, "unauthenticated", "Log in first."),
    ),
    http.patch("*/v1/me", async ({ request }) =>
      HttpResponse.json({ ...data.me.user, ...((await request.json()) as object) }),
    ),
    http.post("*/v1/me/password", nothing),
    http.get("*/v1/me/sessions", () => page(data.sessions)),
    http.delete("*/v1/me/sessions/:id", nothing),
    http.get("*/v1/organizations/:id/projects", () => page([])),
    http.get("*/v1/organizations/:id/tokens", () => page(data.tokens)),
    http.post("*/v1/organizations/:id/tokens", () =>
      HttpResponse.json(
        { token: data.tokens[0], secret: "luma_pat_4Fh2kQ8sVn3RzXw7bTmY6pLc9dJg5aKe" },
        { status: 201 },
      ),
    ),
    http.delete("*/v1/organizations/:id/tokens/:token", nothing),
    http.get("*/v1/regions", () => page(data.regions)),
    http.get("*/v1/plans", () =>
      HttpResponse.json({
        book: "2026-11",
        prices: data.prices,
        items: data.plans,
        compute_sizes: data.computeSizes,
      }),
    ),
  ];
}

function databaseHandlers(state: Cloud): RequestHandler[] {
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
    http.get("*/v1/projects/:id/databases", () => page(state.databases)),
    http.post("*/v1/projects/:id/databases", async ({ request }) => {
      const body = (await request.json()) as { name: string };
      if (state.databases.some(({ name }) => name === body.name)) {
        return problem(409, "conflict", "A database of this name exists already.", "name");
      }
      const database = data.database({
        id: "db_01jdk3x5v9e8rb6w4q2n7m0c3z",
        name: body.name,
        state: "pending",
        connections: 0,
      });
      state.databases.push(database);
      const operation = data.operation({
        id: "op_01jdk3x5v9e8rb6w4q2n7m0c3y",
        database_id: database.id,
        state: "pending",
        created_at: new Date().toISOString(),
        ended_at: null,
        steps: data.CREATION_STEPS.map((name) => ({
          name,
          state: "pending",
          started_at: null,
          ended_at: null,
        })),
      });
      state.operations.set(operation.id, operation);
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
    http.get("*/v1/databases/:id/operations", () => page([...state.operations.values()])),
    http.get("*/v1/operations/:id", ({ params }) => {
      const found = state.operations.get(String(params.id));
      if (found === undefined) return problem(404, "not_found", "There is no such operation.");
      return HttpResponse.json(advance(state, found));
    }),
    http.get("*/v1/operations/:id/events", () => problem(503, "unavailable", "No events here.")),
    http.get("*/v1/databases/:id/metrics", () => HttpResponse.json(data.metrics())),
    http.get("*/v1/organizations/:id/audit-events", ({ request }) =>
      HttpResponse.json(data.auditEvents(new URL(request.url).searchParams.get("cursor"))),
    ),
    http.get("*/v1/databases/:id/usage", () => HttpResponse.json(data.usage())),
    http.get("*/v1/databases/:id/usage/samples", ({ request }) => {
      const query = new URL(request.url).searchParams;
      return HttpResponse.json(data.usageSamples(query.get("hour") ?? "", query.get("cursor")));
    }),
  ];
}

function backupHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/projects/:id/deleted-databases", () => page(state.deleted)),
    http.get("*/v1/databases/:id/restore-window", () => HttpResponse.json(state.restoreWindow)),
    http.get("*/v1/databases/:id/backups", () => page(state.backups)),
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
    http.get("*/v1/databases/:id/drills", () => page(state.drills)),
    http.get("*/v1/databases/:id/imports", () => page(state.imports)),
    http.post("*/v1/databases/:id/imports", async ({ request }) => {
      const asked = (await request.json()) as Pick<Import, "logical_database" | "continuous">;
      const made = data.importOf({
        id: `imp_${state.imports.length}`,
        state: "pending",
        logical_database: asked.logical_database,
        continuous: asked.continuous,
      });
      state.imports.unshift(made);
      return HttpResponse.json(made, { status: 201 });
    }),
    http.post("*/v1/imports/:id/complete", ({ params }) => {
      const found = state.imports.find(({ id }) => id === params.id);
      if (found === undefined) return problem(404, "not_found", "There is no such import.");
      found.is_completing = true;
      return HttpResponse.json(found);
    }),
    http.post("*/v1/imports/:id/cancel", ({ params }) => {
      const found = state.imports.find(({ id }) => id === params.id);
      if (found === undefined) return problem(404, "not_found", "There is no such import.");
      found.is_cancelling = true;
      return HttpResponse.json(found);
    }),
    http.get("*/v1/databases/:id/restore-points", () => page(state.restorePoints)),
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

function billingHandlers(state: Cloud): RequestHandler[] {
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
    http.get("*/v1/organizations/:id/invoices/draft", () => HttpResponse.json(data.invoiceDraft())),
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
    http.get("*/v1/organizations/:id/invoices", () => page(state.invoices)),
    http.get("*/v1/invoices/:id/lines/:position/hours", () => HttpResponse.json(data.lineHours())),
    http.get("*/v1/invoices/:id", ({ params }) =>
      params.id === state.invoice.id
        ? HttpResponse.json(state.invoice)
        : problem(404, "not_found", "There is no such invoice."),
    ),
  ];
}

function restored(state: Cloud, body: DatabaseRestore) {
  if (body.kept_database_id) return changingPlaces(state, body.kept_database_id, true);
  const database = data.database({
    id: "db_01jdk3x5v9e8rb6w4q2n7m0c4z",
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

function begun(
  state: Cloud,
  kind: Operation["kind"],
  databaseId: string,
  steps: readonly string[],
): Operation {
  const operation = data.operation({
    id: "op_01jdk3x5v9e8rb6w4q2n7m0c4y",
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

function insideHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/databases/:id/connection", ({ request }) => {
      const { searchParams } = new URL(request.url);
      return HttpResponse.json(
        data.connection(
          searchParams.get("role") ?? "owner",
          searchParams.get("logical_database") ?? "main",
        ),
      );
    }),
    http.get("*/v1/databases/:id/roles", () => page(state.roles)),
    http.post("*/v1/databases/:id/roles", async ({ request }) => {
      const { name } = (await request.json()) as { name: string };
      if (state.roles.some((each) => each.name === name)) {
        return problem(409, "conflict", "A role of this name exists already.", "name");
      }
      const role = data.role({
        id: `rol_${name}`,
        name,
        is_owner: false,
        password_changed_at: data.ago(0),
      });
      state.roles.push(role);
      return HttpResponse.json(
        { role, password: data.PASSWORD, operation: data.operation({ kind: "role_create" }) },
        { status: 201 },
      );
    }),
    http.post("*/v1/databases/:id/roles/:role/rotate-password", ({ params }) =>
      HttpResponse.json({
        role: state.roles.find(({ id }) => id === params.role),
        password: data.PASSWORD,
        operation: data.operation({ kind: "role_rotate_password" }),
      }),
    ),
    http.delete("*/v1/databases/:id/roles/:role", ({ params }) => {
      state.roles = state.roles.filter(({ id }) => id !== params.role);
      return HttpResponse.json({});
    }),
    http.get("*/v1/databases/:id/logical-databases", () => page(data.logicalDatabases)),
    http.post("*/v1/databases/:id/logical-databases", () => HttpResponse.json({}, { status: 201 })),
    http.delete("*/v1/databases/:id/logical-databases/:ldb", () => HttpResponse.json({})),
    http.post("*/v1/databases/:id/query", async ({ request }) => {
      const { sql, row_limit } = (await request.json()) as { sql: string; row_limit: number };
      return HttpResponse.json(answerTo(sql, row_limit));
    }),
    http.post("*/v1/databases/:id/query/:query/cancel", nothing),
  ];
}

/** Rows for everything, but an error where the text says `form`. */
function answerTo(sql: string, rowLimit: number): QueryAnswer {
  const at = sql.search(/\bform\b/);
  if (at !== -1) {
    return {
      results: [],
      duration_ms: 1.2,
      error: {
        message: 'syntax error at or near "form"',
        code: "42601",
        detail: null,
        hint: null,
        position: at + 1,
      },
    };
  }
  const cities = ["Lisbon", "Tallinn", "Montréal", "Ōsaka", null, "Valparaíso"];
  return {
    results: [
      {
        command: `SELECT ${rowLimit}`,
        rows_affected: rowLimit,
        columns: [
          { name: "id", type: "int8" },
          { name: "customer", type: "text" },
          { name: "city", type: "text" },
          { name: "total", type: "numeric" },
          { name: "placed_at", type: "timestamptz" },
          { name: "items", type: "jsonb" },
        ],
        rows: Array.from({ length: rowLimit }, (_, index) => [
          String(1000 + index),
          `customer-${(index * 7919) % 512}@example.com`,
          cities[index % cities.length] ?? null,
          ((index * 37.13) % 900).toFixed(2),
          new Date(Date.UTC(2026, 10, 1, index % 24, index % 60)).toISOString(),
          `[{"sku": "A-${index % 40}", "count": ${(index % 3) + 1}}]`,
        ]),
        truncated: true,
      },
    ],
    duration_ms: 12.4,
    error: null,
  };
}
