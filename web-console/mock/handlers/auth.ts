import { HttpResponse, http, type RequestHandler } from "msw";
import * as data from "../data/index.ts";
import { nothing, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** Logging in and out, and what needs a mail. */
export function authHandlers(state: Cloud): RequestHandler[] {
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
  ];
}
