/** What people say about the consoles of others, each held here as a promise. */
import { screen, waitFor, within } from "@testing-library/react";
import { HttpResponse, http } from "msw";
import { expect, it, vi } from "vitest";
import { DATABASE, database } from "#mock/data";
import { problem } from "#mock/handlers";
import { open } from "./render";
import { server, useCloud } from "./server";

const cloud = useCloud();
const here = `/databases/${DATABASE}`;

it("a skeleton ends in an error that can be tried again, never in itself", async () => {
  let broken = true;
  server.use(
    http.get("*/v1/projects/:id/databases", () =>
      broken ? problem(503, "unavailable", "The control plane is starting.") : undefined,
    ),
  );
  const { user } = open("/databases");
  expect(await screen.findByText("The control plane is starting.")).toBeVisible();
  expect(screen.queryByRole("status", { name: "Loading" })).not.toBeInTheDocument();
  broken = false;
  await user.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("link", { name: "shop" })).toBeVisible();
});

it("a lost network ends in an error too", async () => {
  server.use(http.get("*/v1/projects/:id/databases", () => HttpResponse.error()));
  vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
  open("/databases");
  expect(await screen.findByText(/cannot be reached/)).toBeVisible();
});

it("figures that are no longer looked after say so", async () => {
  open("/databases");
  expect(await screen.findByRole("link", { name: "shop" })).toBeVisible();
  expect(screen.queryByText("The server cannot be reached.")).not.toBeInTheDocument();
  server.use(http.get("*/v1/projects/:id/databases", () => HttpResponse.error()));
  const away = await screen.findByText("The server cannot be reached.", {}, { timeout: 20_000 });
  expect(away).toBeVisible();
  expect(screen.getByRole("link", { name: "shop" })).toBeVisible();
});

it("success is never said when the server said no", async () => {
  server.use(
    http.post("*/v1/databases/:id/suspend", () => problem(409, "conflict", "A resize is running.")),
  );
  const { user } = open(here);
  await user.click(await screen.findByRole("button", { name: "Suspend" }));
  const dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("button", { name: "Suspend" }));
  expect(await within(dialog).findByText("A resize is running.")).toBeVisible();
  expect(screen.queryByText("The database is being suspended.")).not.toBeInTheDocument();
  expect(screen.getAllByText("Running").length).toBeGreaterThan(0);
});

it("success is said once the server said so, and not before", async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  server.use(
    http.post("*/v1/databases/:id/suspend", async () => {
      await held;
      return undefined;
    }),
  );
  const { user } = open(here);
  await user.click(await screen.findByRole("button", { name: "Suspend" }));
  const dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("button", { name: "Suspend" }));
  expect(screen.queryByText("The database is being suspended.")).not.toBeInTheDocument();
  release();
  expect(await screen.findByText("The database is being suspended.")).toBeVisible();
});

it("a deletion needs the name, to the letter", async () => {
  const { user, router } = open(`${here}/settings`);
  await user.click(await screen.findByRole("button", { name: "Delete database" }));
  const dialog = await screen.findByRole("dialog");
  const confirm = within(dialog).getByRole("button", { name: "Delete database" });
  const box = within(dialog).getByRole("textbox");
  expect(confirm).toBeDisabled();
  await user.type(box, "Shop{Enter}");
  expect(confirm).toBeDisabled();
  expect(cloud.current.databases[0]?.state).toBe("running");
  await user.clear(box);
  await user.type(box, "shop");
  await user.click(confirm);
  await waitFor(() => expect(cloud.current.databases[0]?.state).toBe("deleting"));
  await waitFor(() => expect(router.state.location.pathname).toBe("/databases"));
});

it("a name typed for one deletion does not confirm the next", async () => {
  const { user } = open(`${here}/settings`);
  await user.click(await screen.findByRole("button", { name: "Delete database" }));
  await user.type(within(await screen.findByRole("dialog")).getByRole("textbox"), "shop");
  await user.keyboard("{Escape}");
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  await user.click(screen.getByRole("button", { name: "Delete database" }));
  const again = await screen.findByRole("dialog");
  expect(within(again).getByRole("textbox")).toHaveValue("");
  expect(within(again).getByRole("button", { name: "Delete database" })).toBeDisabled();
});

it("a protected database cannot be deleted from its settings", async () => {
  cloud.current.databases[0] = database({ deletion_protection: true });
  open(`${here}/settings`);
  expect(await screen.findByRole("button", { name: "Delete database" })).toBeDisabled();
});

it("what is no network is refused beside the field, and nothing typed is lost", async () => {
  server.use(
    http.patch("*/v1/databases/:id", () =>
      problem(400, "invalid_request", "`x` is no address", "allowed_networks"),
    ),
  );
  const { user } = open(`${here}/settings`);
  const field = await screen.findByRole("textbox", { name: "Allowed networks" });
  const panel = within(screen.getByRole("region", { name: "Allowed networks" }));
  expect(panel.getByRole("button", { name: "Save" })).toBeDisabled();
  await user.type(field, "x");
  await user.click(panel.getByRole("button", { name: "Save" }));
  expect(await panel.findByText("`x` is no address")).toBeVisible();
  expect(field).toHaveValue("x");
});

it("networks are saved as they were typed, one a line or between commas", async () => {
  const bodies: unknown[] = [];
  server.use(
    http.patch("*/v1/databases/:id", async ({ request }) => {
      bodies.push(await request.clone().json());
    }),
  );
  const { user } = open(`${here}/settings`);
  const field = await screen.findByRole("textbox", { name: "Allowed networks" });
  await user.type(field, "203.0.113.0/24, 198.51.100.7{enter}2001:db8::/32 ");
  const panel = within(screen.getByRole("region", { name: "Allowed networks" }));
  await user.click(panel.getByRole("button", { name: "Save" }));
  await waitFor(() =>
    expect(bodies).toEqual([
      { allowed_networks: ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32"] },
    ]),
  );
});

it("one's own address is added to the networks with a click, once", async () => {
  const { user } = open(`${here}/settings`);
  const field = await screen.findByRole("textbox", { name: "Allowed networks" });
  await user.type(field, "203.0.113.0/24");
  await user.click(screen.getByRole("button", { name: "Add my address, 198.51.100.23" }));
  expect(field).toHaveValue("203.0.113.0/24\n198.51.100.23");
  expect(screen.queryByRole("button", { name: /Add my address/ })).not.toBeInTheDocument();
});

it("a filter does not stick: it is gone when the page is opened again", async () => {
  cloud.current.databases = Array.from({ length: 9 }, (_, index) =>
    database({ id: `db_${index}`, name: `database-${index}` }),
  );
  const first = open("/databases");
  await first.user.type(await screen.findByRole("searchbox"), "database-3");
  await waitFor(() => expect(screen.getAllByRole("article")).toHaveLength(1));
  first.unmount();
  open("/databases");
  await waitFor(() => expect(screen.getAllByRole("article")).toHaveLength(9));
  expect(screen.getByRole("searchbox")).toHaveValue("");
});

it("a changed meanwhile database is not written over", async () => {
  const revisions: (string | null)[] = [];
  server.use(
    http.patch("*/v1/databases/:id", ({ request }) => {
      revisions.push(request.headers.get("if-match"));
      return problem(412, "precondition_failed", "The database was changed meanwhile.");
    }),
  );
  const { user } = open(`${here}/settings`);
  await user.click(await screen.findByRole("switch", { name: "Protect this database" }));
  expect(await screen.findByText("The database was changed meanwhile.")).toBeVisible();
  expect(revisions).toEqual(['"3"']);
  expect(screen.getByRole("switch", { name: "Protect this database" })).not.toBeChecked();
});
