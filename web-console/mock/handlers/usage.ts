import { HttpResponse, http, type RequestHandler } from "msw";
import type { OrganizationUsage } from "../../src/api/types";
import * as data from "../data/index.ts";
import type { Cloud } from "./cloud.ts";

type Named = OrganizationUsage["databases"][number];

function named(
  databases: readonly Omit<Named, "is_deleted">[],
  deleted: Pick<Named, "is_deleted">,
): Named[] {
  return databases.map(({ id, project_id, name }) => ({ id, project_id, name, ...deleted }));
}

/** What databases use, now and over time. */
export function usageHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/organizations/:id/usage", () =>
      HttpResponse.json(
        data.organizationUsage([
          ...named(state.databases, { is_deleted: false }),
          ...named(state.deleted, { is_deleted: true }),
        ]),
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
