import { screen, waitFor, within } from "@testing-library/react";
import type { UserEvent } from "@testing-library/user-event";
import { HttpResponse, http } from "msw";
import { expect, it } from "vitest";
import { store } from "#/lib/storage";
import { open } from "#/test/render";
import { server, useCloud } from "#/test/server";
import { DATABASE } from "#mock/data";
import { problem } from "#mock/handlers";

useCloud();
const path = `/databases/${DATABASE}/sql`;

/** Opens the editor with a text in it, as it was kept from the last time. */
function openWith(sql: string, count = 1) {
  const tabs = Array.from({ length: count }, (_, index) => ({
    id: `tab-${index}`,
    title: `Query ${index}`,
    sql: index === 0 ? sql : `select ${index} as saved`,
  }));
  store(`luma-sql-${DATABASE}`, { tabs, activeId: "tab-0" });
  return open(path);
}

async function run(user: UserEvent) {
  await screen.findByRole("textbox", { name: "SQL" });
  await user.click(screen.getByRole("button", { name: "Run" }));
}

it("an error of the database is shown beside the editor, which stays", async () => {
  const { user, container } = openWith("select *\nform orders");
  await run(user);
  expect(await screen.findByText('syntax error at or near "form"')).toBeVisible();
  expect(screen.getByText(/Error 42601 at line 2, character 1/)).toBeVisible();
  expect(screen.getByRole("textbox", { name: "SQL" })).toBeVisible();
  await waitFor(() =>
    expect(container.querySelector(".cm-lintRange-error")).toHaveTextContent("form"),
  );
});

it("an API that fails leaves the page whole", async () => {
  server.use(
    http.post("*/v1/databases/:id/query", () =>
      problem(503, "unavailable", "The engine is restarting."),
    ),
  );
  const { user } = openWith("select 1");
  await run(user);
  expect(await screen.findByText("The engine is restarting.")).toBeVisible();
  expect(screen.getByRole("button", { name: "Run" })).toBeEnabled();
});

it("what takes something away is asked about first, and runs only when confirmed", async () => {
  const ran: string[] = [];
  server.use(
    http.post("*/v1/databases/:id/query", async ({ request }) => {
      ran.push(((await request.json()) as { sql: string }).sql);
      return HttpResponse.json({ results: [], duration_ms: 1, error: null });
    }),
  );
  const { user } = openWith("delete from orders");
  await run(user);
  const dialog = await screen.findByRole("dialog");
  expect(within(dialog).getByText(/without a WHERE/)).toBeVisible();
  await user.click(within(dialog).getByRole("button", { name: "Cancel" }));
  expect(ran).toEqual([]);
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  await run(user);
  await user.click(await screen.findByRole("button", { name: "Run it" }));
  await waitFor(() => expect(ran).toEqual(["delete from orders"]));
});

it("a running query can be cancelled, and what then comes is shown", async () => {
  let cancel = () => {};
  const cancelled = new Promise<void>((resolve) => {
    cancel = resolve;
  });
  let asked = "";
  server.use(
    http.post("*/v1/databases/:id/query", async ({ request }) => {
      asked = ((await request.json()) as { query_id: string }).query_id;
      await cancelled;
      const error = {
        message: "canceling statement due to user request",
        code: "57014",
        detail: null,
        hint: null,
        position: null,
      };
      return HttpResponse.json({ results: [], duration_ms: 900, error });
    }),
    http.post("*/v1/databases/:id/query/:query/cancel", ({ params }) => {
      if (params.query === asked) cancel();
      return new HttpResponse(null, { status: 204 });
    }),
  );
  const { user } = openWith("select pg_sleep(60)");
  await run(user);
  await user.click(await screen.findByRole("button", { name: "Cancel" }));
  expect(await screen.findByText("The query was cancelled.")).toBeVisible();
});

it("of a thousand rows only those in sight are in the page", async () => {
  server.use(
    http.post("*/v1/databases/:id/query", () =>
      HttpResponse.json({
        results: [
          {
            command: "SELECT 1000",
            rows_affected: 1000,
            columns: [{ name: "n", type: "int4" }],
            rows: Array.from({ length: 1000 }, (_, index) => [String(index)]),
            truncated: true,
          },
        ],
        duration_ms: 3,
        error: null,
      }),
    ),
  );
  const { user } = openWith("select n from numbers");
  await run(user);
  expect(await screen.findByText(/1,000 rows/)).toBeVisible();
  expect(screen.getByRole("table")).toHaveAttribute("aria-rowcount", "1001");
  expect(screen.getAllByRole("row").length).toBeLessThan(80);
});

it("hundreds of kept queries do not slow the editor: there is one, whatever their number", async () => {
  const { user, container } = openWith("select 'first'", 400);
  await screen.findByRole("textbox", { name: "SQL" });
  expect(container.querySelectorAll(".cm-editor")).toHaveLength(1);
  await user.click(screen.getByText("select 7 as saved"));
  await waitFor(() =>
    expect(container.querySelector(".cm-content")).toHaveTextContent("select 7 as saved"),
  );
  expect(container.querySelectorAll(".cm-editor")).toHaveLength(1);
});
