import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
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

/** Milliseconds after which a read is given up: a server that hangs is as good as away. */
const READ_MS_MAX = 10_000;

/** Looked up at each call: tests replace it. */
function send(request: Request): Promise<Response> {
  if (request.method !== "GET") return globalThis.fetch(request);
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(READ_MS_MAX)]);
  return globalThis.fetch(request, { signal });
}

export const api = createFetchClient<paths>({
  baseUrl: globalThis.location?.origin ?? "",
  credentials: "same-origin",
  fetch: send,
});
api.use(failuresThrow, postsAreIdempotent);

export const $api = createQueryHooks(api);

/** Attempts after the first, of reads that may succeed later. */
const RETRIES_MAX = 2;

/** `onSignedOut` is called when the session turns out to be over. */
export function createQueryClient(onSignedOut: () => void): QueryClient {
  const ended = (error: unknown, [, path]: readonly unknown[]) => {
    const isLogIn = typeof path === "string" && path.startsWith("/v1/auth/");
    // Whether somebody is there at all is asked by the pages' own guard, which knows the way back.
    if (isLogIn || path === "/v1/me") return;
    if (error instanceof ApiError && error.status === 401) onSignedOut();
  };
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error, { queryKey }) => ended(error, queryKey),
    }),
    mutationCache: new MutationCache({
      onError: (error, _variables, _result, { options }) => ended(error, options.mutationKey ?? []),
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
