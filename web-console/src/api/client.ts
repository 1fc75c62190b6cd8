import { QueryCache, QueryClient } from "@tanstack/react-query";
import createFetchClient, { type Middleware } from "openapi-fetch";
import createQueryHooks from "openapi-react-query";
import { uuid } from "#/lib/uuid";
import { ApiError, problemOf } from "./problem";
import type { paths } from "./schema";

/** Whatever is not a success is thrown, so that no caller can take it for one. */
const failuresThrow: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
  },
};

/** Every POST carries a key: sent twice by a retry of the browser or a proxy, it acts once. */
const postsAreIdempotent: Middleware = {
  onRequest({ request }) {
    if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
      request.headers.set("Idempotency-Key", uuid());
    }
    return request;
  },
};

export const api = createFetchClient<paths>({
  baseUrl: globalThis.location?.origin ?? "",
  credentials: "same-origin",
  // Looked up at each call: tests replace it.
  fetch: (request) => globalThis.fetch(request),
});
api.use(failuresThrow, postsAreIdempotent);

export const $api = createQueryHooks(api);

/** Attempts after the first, of reads that may succeed later. */
const RETRIES_MAX = 2;

export function createQueryClient(onSignedOut: () => void): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError(error) {
        if (error instanceof ApiError && error.status === 401) onSignedOut();
      },
    }),
    defaultOptions: {
      queries: {
        // Without this a lost network pauses queries: a skeleton that never ends.
        networkMode: "always",
        staleTime: 5_000,
        retry: (failures, error) =>
          failures < RETRIES_MAX && (!(error instanceof ApiError) || error.isTransient),
        retryDelay: (failures) => Math.min(400 * 2 ** failures, 4_000),
      },
      mutations: { networkMode: "always", retry: false },
    },
  });
}
