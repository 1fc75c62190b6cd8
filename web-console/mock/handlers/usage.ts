import { HttpResponse, http, type RequestHandler } from "msw";
import * as data from "../data/index.ts";
import type { Cloud } from "./cloud.ts";

/** What databases use, now and over time. */
export function usageHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/organizations/:id/usage", () =>
      HttpResponse.json(
        data.organizationUsage([...state.databases, ...state.deleted].map(({ id }) => id)),
      ),
    ),
    http.get("*/v1/databases/:id/metrics", () => HttpResponse.json(data.metrics())),
    http.get("*/v1/databases/:id/usage", () => HttpResponse.json(data.usage())),
    http.get("*/v1/databases/:id/usage/samples", ({ request }) => {
      const query = new URL(request.url).searchParams;
      return HttpResponse.json(data.usageSamples(query.get("hour") ?? "", query.get("cursor")));
    }),
  ];
}
