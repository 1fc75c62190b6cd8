/** What the console reads, each under one name: query options that pages and tests share. */
import type { QueryClient } from "@tanstack/react-query";
import { $api, api } from "./client";

/** Projects, tokens, databases, backups, restore points or imports on one page of their list. */
const PAGE_ITEMS = 100;

/** Drills on one page of their list: a quarter of a year. */
const DRILLS_ITEMS = 13;

/** Events on one page of the activity. */
const EVENTS_ITEMS = 50;

/** Invoices on one page: a year of them. */
const INVOICES_ITEMS = 12;

/** Samples on one page: as many as the API gives. */
const SAMPLES_ITEMS = 100;

/** What an answer holds; one that holds nothing is a failure. */
async function bodyOf<Body>(answer: Promise<{ data?: Body }>): Promise<Body> {
  const { data } = await answer;
  if (data === undefined) throw new Error("an answer without a body");
  return data;
}

/** Where a page that is asked for begins: at the cursor, or at the list's own beginning. */
export type Asked = { pageParam: string | undefined; signal: AbortSignal };

/** What tells where the page behind it begins. */
export type Page = { next_cursor: string | null };

/** A list that is read page by page, as far as somebody asks for. */
function paged<Body extends Page>(
  queryKey: readonly string[],
  ask: (cursor: string | undefined, signal: AbortSignal) => Promise<{ data?: Body }>,
) {
  return {
    queryKey,
    queryFn: ({ pageParam, signal }: Asked) => bodyOf(ask(pageParam, signal)),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }: Page) => next_cursor ?? undefined,
  };
}

/** All that was read so far of a list that is read page by page. */
export function itemsOf<Item>(read: { pages: { items: Item[] }[] } | undefined): Item[] {
  return read?.pages.flatMap(({ items }) => items) ?? [];
}

export const queries = {
  me: () => $api.queryOptions("get", "/v1/me", {}, { staleTime: 60_000 }),
  sessions: () => $api.queryOptions("get", "/v1/me/sessions", {}),
  regions: () => $api.queryOptions("get", "/v1/regions", {}, { staleTime: 600_000 }),
  plans: () => $api.queryOptions("get", "/v1/plans", {}, { staleTime: 600_000 }),
  projects: (organizationId: string) =>
    paged(
      ["get", "/v1/organizations/{organization_id}/projects", organizationId],
      (cursor, signal) =>
        api.GET("/v1/organizations/{organization_id}/projects", {
          params: {
            path: { organization_id: organizationId },
            query: { limit: PAGE_ITEMS, cursor },
          },
          signal,
        }),
    ),
  tokens: (organizationId: string) =>
    paged(["get", "/v1/organizations/{organization_id}/tokens", organizationId], (cursor, signal) =>
      api.GET("/v1/organizations/{organization_id}/tokens", {
        params: { path: { organization_id: organizationId }, query: { limit: PAGE_ITEMS, cursor } },
        signal,
      }),
    ),
  auditEvents: (organizationId: string) =>
    paged(
      ["get", "/v1/organizations/{organization_id}/audit-events", organizationId],
      (cursor, signal) =>
        api.GET("/v1/organizations/{organization_id}/audit-events", {
          params: {
            path: { organization_id: organizationId },
            query: { limit: EVENTS_ITEMS, cursor },
          },
          signal,
        }),
    ),
  databases: (projectId: string) =>
    paged(["get", "/v1/projects/{project_id}/databases", projectId], (cursor, signal) =>
      api.GET("/v1/projects/{project_id}/databases", {
        params: { path: { project_id: projectId }, query: { limit: PAGE_ITEMS, cursor } },
        signal,
      }),
    ),
  deletedDatabases: (projectId: string) =>
    paged(["get", "/v1/projects/{project_id}/deleted-databases", projectId], (cursor, signal) =>
      api.GET("/v1/projects/{project_id}/deleted-databases", {
        params: { path: { project_id: projectId }, query: { limit: PAGE_ITEMS, cursor } },
        signal,
      }),
    ),
  database: (databaseId: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}", {
      params: { path: { database_id: databaseId } },
    }),
  connection: (databaseId: string, role: string, logicalDatabase: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/connection", {
      params: {
        path: { database_id: databaseId },
        query: { role, logical_database: logicalDatabase },
      },
    }),
  roles: (databaseId: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/roles", {
      params: { path: { database_id: databaseId } },
    }),
  logicalDatabases: (databaseId: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/logical-databases", {
      params: { path: { database_id: databaseId } },
    }),
  restoreWindow: (databaseId: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/restore-window", {
      params: { path: { database_id: databaseId } },
    }),
  backups: (databaseId: string) =>
    paged(["get", "/v1/databases/{database_id}/backups", databaseId], (cursor, signal) =>
      api.GET("/v1/databases/{database_id}/backups", {
        params: { path: { database_id: databaseId }, query: { limit: PAGE_ITEMS, cursor } },
        signal,
      }),
    ),
  drills: (databaseId: string) =>
    paged(["get", "/v1/databases/{database_id}/drills", databaseId], (cursor, signal) =>
      api.GET("/v1/databases/{database_id}/drills", {
        params: { path: { database_id: databaseId }, query: { limit: DRILLS_ITEMS, cursor } },
        signal,
      }),
    ),
  imports: (databaseId: string) =>
    paged(["get", "/v1/databases/{database_id}/imports", databaseId], (cursor, signal) =>
      api.GET("/v1/databases/{database_id}/imports", {
        params: { path: { database_id: databaseId }, query: { limit: PAGE_ITEMS, cursor } },
        signal,
      }),
    ),
  restorePoints: (databaseId: string) =>
    paged(["get", "/v1/databases/{database_id}/restore-points", databaseId], (cursor, signal) =>
      api.GET("/v1/databases/{database_id}/restore-points", {
        params: { path: { database_id: databaseId }, query: { limit: PAGE_ITEMS, cursor } },
        signal,
      }),
    ),
  operations: (databaseId: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/operations", {
      params: { path: { database_id: databaseId } },
    }),
  /** Usage from a moment to now, by day. */
  usage: (databaseId: string, from: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/usage", {
      params: { path: { database_id: databaseId }, query: { from, granularity: "day" } },
    }),
  /** Usage of an organization in a month, by day and database; of those too that are gone. */
  usageOfMonth: (organizationId: string, from: string, to: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/usage", {
      params: {
        path: { organization_id: organizationId },
        query: { from, to, granularity: "day", group_by: "database" },
      },
    }),
  /** Usage of at most a month, by hour. */
  usageByHour: (databaseId: string, from: string, to: string) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/usage", {
      params: { path: { database_id: databaseId }, query: { from, to, granularity: "hour" } },
    }),
  /** What one database's part of an invoice's line has of each hour. */
  lineHours: (invoiceId: string, position: number, databaseId: string) =>
    $api.queryOptions("get", "/v1/invoices/{invoice_id}/lines/{position}/hours", {
      params: {
        path: { invoice_id: invoiceId, position },
        query: { database_id: databaseId },
      },
    }),
  usageSamples: (databaseId: string, hour: string) =>
    paged(
      ["get", "/v1/databases/{database_id}/usage/samples", databaseId, hour],
      (cursor, signal) =>
        api.GET("/v1/databases/{database_id}/usage/samples", {
          params: {
            path: { database_id: databaseId },
            query: { hour, limit: SAMPLES_ITEMS, cursor },
          },
          signal,
        }),
    ),
  limitNotices: (organizationId: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/limit-notices", {
      params: { path: { organization_id: organizationId } },
    }),
  capOrder: (organizationId: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/spend-cap-order", {
      params: { path: { organization_id: organizationId } },
    }),
  billing: (organizationId: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/billing", {
      params: { path: { organization_id: organizationId } },
    }),
  card: (organizationId: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/card", {
      params: { path: { organization_id: organizationId } },
    }),
  draft: (organizationId: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/invoices/draft", {
      params: { path: { organization_id: organizationId } },
    }),
  forecast: (organizationId: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/forecast", {
      params: { path: { organization_id: organizationId } },
    }),
  planChanges: (organizationId: string) =>
    $api.queryOptions("get", "/v1/organizations/{organization_id}/plan-changes", {
      params: { path: { organization_id: organizationId }, query: { limit: 1 } },
    }),
  /** What a change of plan would cost; asks, and changes nothing. */
  planQuote: (organizationId: string, planId: string) => ({
    queryKey: ["post", "/v1/organizations/{organization_id}/plan-changes", organizationId, planId],
    queryFn: async ({ signal }: { signal: AbortSignal }) => {
      const { data } = await api.POST("/v1/organizations/{organization_id}/plan-changes", {
        params: { path: { organization_id: organizationId }, query: { dry_run: true } },
        body: { plan_id: planId },
        signal,
      });
      if (data === undefined || !("is_possible" in data))
        throw new Error("an answer without a quote");
      return data;
    },
    gcTime: 0,
  }),
  invoice: (invoiceId: string) =>
    $api.queryOptions("get", "/v1/invoices/{invoice_id}", {
      params: { path: { invoice_id: invoiceId } },
    }),
  invoices: (organizationId: string) =>
    paged(
      ["get", "/v1/organizations/{organization_id}/invoices", organizationId],
      (cursor, signal) =>
        api.GET("/v1/organizations/{organization_id}/invoices", {
          params: {
            path: { organization_id: organizationId },
            query: { limit: INVOICES_ITEMS, cursor },
          },
          signal,
        }),
    ),
  metrics: (databaseId: string, minutes: number) =>
    $api.queryOptions("get", "/v1/databases/{database_id}/metrics", {
      params: { path: { database_id: databaseId }, query: { minutes } },
    }),
};

/** Has the plan and everything about billing read again. */
export async function billingChanged(client: QueryClient): Promise<void> {
  await client.invalidateQueries({
    predicate: ({ queryKey: [method, path] }) =>
      method === "get" &&
      typeof path === "string" &&
      (path === "/v1/me" || path.startsWith("/v1/organizations/")),
  });
}

/** Has everything about databases read again. */
export function databasesChanged(client: QueryClient): Promise<void> {
  return client.invalidateQueries({
    predicate: ({ queryKey }) => {
      const path = queryKey[1];
      return (
        typeof path === "string" &&
        (path.startsWith("/v1/databases/") || path.startsWith("/v1/projects/"))
      );
    },
  });
}
