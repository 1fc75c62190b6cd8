import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { $api } from "./client";
import { hasEnded, type Operation } from "./types";

/** Milliseconds between looks while no event stream is open. */
const POLL_MS = 1_000;

function operationOptions(operationId: string) {
  return $api.queryOptions("get", "/v1/operations/{operation_id}", {
    params: { path: { operation_id: operationId } },
  });
}

/**
 * An operation as it goes on: by server-sent events, and by asking again where those do not come
 * through (proxies exist that hold them back).
 */
export function useOperation(operationId: string) {
  const queries = useQueryClient();
  const query = useQuery({
    ...operationOptions(operationId),
    refetchInterval: ({ state }) => (state.data && hasEnded(state.data) ? false : POLL_MS),
  });
  const ended = query.data !== undefined && hasEnded(query.data);
  useEffect(() => {
    if (ended) return;
    return followOperation(queries, operationId);
  }, [queries, operationId, ended]);
  return query;
}

function followOperation(queries: QueryClient, operationId: string): () => void {
  if (typeof EventSource === "undefined") return () => {};
  const source = new EventSource(`/v1/operations/${encodeURIComponent(operationId)}/events`);
  source.addEventListener("operation", (event) => {
    const operation = JSON.parse(event.data) as Operation;
    queries.setQueryData(operationOptions(operationId).queryKey, operation);
    if (hasEnded(operation)) source.close();
  });
  // The browser reconnects by itself; a stream that ended for good would only be asked for again.
  source.addEventListener("error", () => source.close());
  return () => source.close();
}
