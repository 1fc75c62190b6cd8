import { HttpResponse, http, type RequestHandler } from "msw";
import * as data from "../data/index.ts";
import { nothing, page, paged, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** The person, with sessions and API tokens. */
export function accountHandlers(state: Cloud): RequestHandler[] {
  return [
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
    http.get("*/v1/organizations/:id/projects", ({ request }) => paged(request, state.projects)),
    http.get("*/v1/organizations/:id/tokens", ({ request }) => paged(request, state.tokens)),
    http.post("*/v1/organizations/:id/tokens", () =>
      HttpResponse.json(
        { token: data.token(), secret: "luma_pat_4Fh2kQ8sVn3RzXw7bTmY6pLc9dJg5aKe" },
        { status: 201 },
      ),
    ),
    http.delete("*/v1/organizations/:id/tokens/:token", nothing),
    http.get("*/v1/organizations/:id/audit-events", ({ request }) =>
      HttpResponse.json(data.auditEvents(new URL(request.url).searchParams.get("cursor"))),
    ),
  ];
}
