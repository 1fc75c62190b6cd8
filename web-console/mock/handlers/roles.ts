import { HttpResponse, http, type RequestHandler } from "msw";
import * as data from "../data/index.ts";
import { page, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** Roles, logical databases, and how to connect as one to the other. */
export function roleHandlers(state: Cloud): RequestHandler[] {
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
  ];
}
