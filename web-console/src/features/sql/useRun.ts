import { useEffect, useRef, useState } from "react";
import { api } from "#/api/client";
import { type ApiError, asApiError } from "#/api/problem";
import type { QueryAnswer } from "#/api/types";
import { uuid } from "#/lib/uuid";

export type Request = {
  role: string;
  logicalDatabase: string;
  sql: string;
  rowLimit: number;
  /** The tab it was run from, and what stands in it before the text. */
  tabId: string;
  before: string;
};

export type Run =
  | { state: "running"; request: Request; queryId: string; cancelling: boolean }
  | { state: "answered"; request: Request; answer: QueryAnswer; isCancelled: boolean }
  | { state: "failed"; request: Request; error: ApiError };

/** SQLSTATE of what was cancelled; by a time limit too, and that is an error. */
const QUERY_CANCELED = "57014";

/** Runs one text at a time; what came of it, or why nothing did. */
export function useRun(databaseId: string) {
  const [run, setRun] = useState<Run>();
  const current = useRef<string>(undefined);
  const cancelled = useRef<string>(undefined);

  const cancelById = (queryId: string) =>
    api.POST("/v1/databases/{database_id}/query/{query_id}/cancel", {
      params: { path: { database_id: databaseId, query_id: queryId } },
    });

  const start = async (request: Request) => {
    const queryId = uuid();
    current.current = queryId;
    const show = (next: Run) => {
      if (current.current === queryId) setRun(next);
    };
    show({ state: "running", request, queryId, cancelling: false });
    try {
      const { data } = await api.POST("/v1/databases/{database_id}/query", {
        params: { path: { database_id: databaseId } },
        body: {
          role: request.role,
          logical_database: request.logicalDatabase,
          sql: request.sql,
          row_limit: request.rowLimit,
          query_id: queryId,
        },
      });
      if (data === undefined) throw new Error("an answer without a body");
      const isCancelled = cancelled.current === queryId && data.error?.code === QUERY_CANCELED;
      show({ state: "answered", request, answer: data, isCancelled });
    } catch (thrown) {
      show({ state: "failed", request, error: asApiError(thrown) });
    }
  };

  const cancel = async () => {
    if (run?.state !== "running") return;
    setRun({ ...run, cancelling: true });
    cancelled.current = run.queryId;
    try {
      await cancelById(run.queryId);
    } catch {
      // It goes on; the button can be pressed again.
      setRun((now) => (now?.state === "running" ? { ...now, cancelling: false } : now));
    }
  };

  // A page that is left leaves no query running behind it.
  const leave = useRef(() => {});
  leave.current = () => {
    if (run?.state === "running") void cancelById(run.queryId).catch(() => {});
  };
  useEffect(() => () => leave.current(), []);

  return { run, start, cancel };
}
