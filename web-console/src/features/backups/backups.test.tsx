import { screen, waitFor, within } from "@testing-library/react";
import { http } from "msw";
import { expect, it } from "vitest";
import { DATABASE, database, deletedDatabase, drill, restoreWindow } from "#mock/data";
import { handlers, problem } from "#mock/handlers";
import { open } from "../../test/render";
import { server, useCloud } from "../../test/server";

const cloud = useCloud();
const here = `/databases/${DATABASE}/backups`;

/** What the console asked for when it restored. */
function listen(): { body: Record<string, unknown> | undefined } {
  const heard: { body: Record<string, unknown> | undefined } = { body: undefined };
  server.use(
    http.post("*/v1/databases/:id/restore", async ({ request }) => {
      heard.body = (await request.clone().json()) as Record<string, unknown>;
      return undefined;
    }),
  );
  return heard;
}

it("shows the window, the backups with what they weigh, and the restore points", async () => {
  open(here);
  expect(await screen.findByRole("img", { name: /any moment from/ })).toBeVisible();
  expect(await screen.findByText("before the migration")).toBeVisible();
  const list = screen.getByRole("region", { name: "Backups" });
  expect(within(list).getAllByText("7.00 MiB")).toHaveLength(2);
  expect(within(list).getByText("Failed")).toBeVisible();
  expect(screen.getByRole("progressbar", { name: /before the migration/ })).toHaveAttribute(
    "aria-valuenow",
    "62",
  );
  expect(await screen.findByText("release 7")).toBeVisible();
});

it("offers nothing to restore before there is a backup", async () => {
  cloud.current.backups = [];
  cloud.current.restoreWindow = restoreWindow({ earliest: null, latest: null, lag_ms: null });
  open(here);
  expect(await screen.findByText("The first backup is on its way")).toBeVisible();
  expect(screen.getByRole("button", { name: "Restore" })).toBeDisabled();
});

it("says so when the archive does not go on", async () => {
  cloud.current.restoreWindow = restoreWindow({ is_stuck: true, lag_ms: 93_000 });
  open(here);
  expect(await screen.findByText(/does not go on/)).toBeVisible();
  expect(screen.getByText("1 min 33 s")).toBeVisible();
});

it("asks for a backup with a name, and for one without", async () => {
  const { user } = open(here);
  await user.click(await screen.findByRole("button", { name: "Back up now" }));
  let dialog = await screen.findByRole("dialog");
  await user.type(within(dialog).getByRole("textbox"), "release 8");
  await user.click(within(dialog).getByRole("button", { name: "Back up now" }));
  expect(await screen.findByText("The backup is asked for.")).toBeVisible();
  expect(cloud.current.backups[0]).toMatchObject({ name: "release 8", state: "pending" });
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  await user.click(screen.getByRole("button", { name: "Back up now" }));
  dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("button", { name: "Back up now" }));
  await waitFor(() => expect(cloud.current.backups[0]?.name).toBeNull());
});

it("restores to a moment of the reader's own time zone, into a database that it then follows", async () => {
  const heard = listen();
  const { user, router } = open(here);
  await user.click(await screen.findByRole("button", { name: "Restore" }));
  const dialog = await screen.findByRole("dialog");
  const field = within(dialog).getByLabelText("A moment");
  const at = new Date(Date.now() - 3_600_000);
  at.setMilliseconds(0);
  const two = (part: number) => String(part).padStart(2, "0");
  const local = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  await user.clear(field);
  await user.type(field, local);
  expect(within(dialog).getByText(/\d UTC$/)).toHaveTextContent(
    at.toISOString().slice(0, 19).replace("T", " "),
  );
  await user.click(within(dialog).getByRole("button", { name: "Restore into a new database" }));
  await waitFor(() => expect(router.state.location.pathname).toMatch(/\/creation$/));
  expect(heard.body).toEqual({ name: "shop restored", time: at.toISOString() });
  expect(await screen.findByText("Restoring shop restored")).toBeVisible();
  expect(await screen.findByText("30.0 MiB of 46.0 MiB")).toBeVisible();
});

it("restores to a restore point, a position or everything", async () => {
  const heard = listen();
  const { user } = open(here);
  await user.click(await screen.findByRole("button", { name: "Restore" }));
  const dialog = await screen.findByRole("dialog");
  const kind = within(dialog).getByLabelText("Restore to");
  const submit = within(dialog).getByRole("button", { name: "Restore into a new database" });
  await user.selectOptions(kind, "A WAL position");
  const field = within(dialog).getByLabelText("A WAL position");
  await user.clear(field);
  await user.type(field, "nowhere");
  await user.click(submit);
  expect(await within(dialog).findByText("Has the form 16/B374D848")).toBeVisible();
  expect(heard.body).toBeUndefined();
  await user.selectOptions(kind, "A restore point");
  await user.click(submit);
  await waitFor(() =>
    expect(heard.body).toEqual({ name: "shop restored", restore_point: "release 7" }),
  );
});

it("shows the server's refusal at the field that is at fault", async () => {
  server.use(
    http.post("*/v1/databases/:id/restore", () =>
      problem(422, "restore_target", "is after the latest moment to restore to", "time"),
    ),
  );
  const { user, router } = open(here);
  await user.click(await screen.findByRole("button", { name: "Restore" }));
  const dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("button", { name: "Restore into a new database" }));
  expect(await within(dialog).findByText(/after the latest moment/)).toBeVisible();
  expect(router.state.location.pathname).toBe(here);
});

it("makes a restore point and shows that it is on its way", async () => {
  const { user } = open(here);
  await user.click(await screen.findByRole("button", { name: "Make restore point" }));
  const dialog = await screen.findByRole("dialog");
  await user.type(within(dialog).getByRole("textbox"), "release 8");
  await user.click(within(dialog).getByRole("button", { name: "Make restore point" }));
  expect(await screen.findByText("Being made")).toBeVisible();
});

it("restores a deleted database under its old name, as it was at last", async () => {
  cloud.current.deleted = [
    deletedDatabase(),
    deletedDatabase({ id: "db_01jdk3x5v9e8rb6w4q2n7m0c5b", name: "brief", latest: null }),
  ];
  const heard = listen();
  const { user, router } = open("/databases");
  const list = await screen.findByRole("region", { name: "Deleted databases" });
  expect(within(list).getByText("Never backed up")).toBeVisible();
  await user.click(within(list).getByRole("button", { name: /Restore old-shop/ }));
  const dialog = await screen.findByRole("dialog");
  await user.click(
    await within(dialog).findByRole("button", { name: "Restore into a new database" }),
  );
  await waitFor(() => expect(router.state.location.pathname).toMatch(/\/creation$/));
  expect(heard.body).toEqual({ name: "old-shop", latest: true });
});

it("shows what drills found, and what is wrong where one failed", async () => {
  cloud.current.drills = [
    drill({
      id: "drl_01jdk3x5v9e8rb6w4q2n7m0c1w",
      state: "failed",
      rpo_ms: 820,
      rto_ms: null,
      tables_checked: 60,
      fault: "the index public.orders_pkey of main: a row is missing",
    }),
    drill(),
  ];
  open(here);
  const list = await screen.findByRole("region", { name: "Drills" });
  expect(await within(list).findByText("68 tables, 131 indexes")).toBeVisible();
  expect(within(list).getByText("6.41 s")).toBeVisible();
  expect(within(list).getByText("820 ms")).toBeVisible();
  expect(within(list).getByText("Failed")).toBeVisible();
  expect(within(list).getByText(/orders_pkey of main/)).toBeVisible();
  // Too wide for a phone, it scrolls; nothing in it could take a keyboard there.
  expect(within(list).getByRole("group", { name: "Drills" })).toHaveAttribute("tabindex", "0");
});

it("restores in place once the name is typed, and follows what takes its place", async () => {
  const heard = listen();
  const { user, router } = open(here);
  await user.click(await screen.findByRole("button", { name: "Restore" }));
  const dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("radio", { name: /In place/ }));
  expect(within(dialog).getByText(/connections are cut for some seconds/)).toBeVisible();
  expect(within(dialog).queryByLabelText("Name of the new database")).not.toBeInTheDocument();
  await user.selectOptions(within(dialog).getByLabelText("Restore to"), "The latest moment");
  const submit = within(dialog).getByRole("button", { name: "Restore in place" });
  expect(submit).toBeDisabled();
  await user.type(within(dialog).getByLabelText(/Type/), "shop");
  await user.click(submit);
  await waitFor(() => expect(router.state.location.pathname).toMatch(/\/creation$/));
  expect(heard.body).toEqual({ in_place: true, latest: true });
  expect(await screen.findByText("Restoring shop")).toBeVisible();
  expect(await screen.findByText("30.0 MiB of 46.0 MiB")).toBeVisible();
  await waitFor(() => expect(router.state.location.pathname).toBe(here), { timeout: 15_000 });
  const kept = await screen.findByRole("region", { name: "Kept from before" });
  expect(within(kept).getByRole("link", { name: "shop-before-2026-11-27" })).toBeVisible();
}, 20_000);

it("goes back to what was kept once the name is typed", async () => {
  const id = "db_01jdk3x5v9e8rb6w4q2n7m0c5k";
  const in_place_restore = {
    operation_id: "op_01jdk3x5v9e8rb6w4q2n7m0c5m",
    database_id: DATABASE,
    kept_database_id: id,
    phase: "done" as const,
    created_at: "2026-11-27T12:00:00Z",
    ended_at: "2026-11-27T12:01:00Z",
  };
  const name = "shop-before-2026-11-27";
  cloud.current.databases.push(database({ id, name, state: "asleep", in_place_restore }));
  const heard = listen();
  const { user, router } = open(here);
  await user.click(await screen.findByRole("button", { name: `Go back to ${name}` }));
  const dialog = await screen.findByRole("dialog");
  await user.type(within(dialog).getByRole("textbox"), "shop");
  await user.click(within(dialog).getByRole("button", { name: "Go back" }));
  await waitFor(() => expect(router.state.location.pathname).toMatch(/\/creation$/));
  expect(heard.body).toEqual({ in_place: true, kept_database_id: id });
});

it("ends in an error with a way to try again where it is not known what can be restored", async () => {
  cloud.current.deleted = [deletedDatabase()];
  server.use(
    http.get("*/v1/databases/:id/restore-window", () =>
      problem(403, "forbidden", "You may not see it."),
    ),
  );
  const { user } = open("/databases");
  await user.click(await screen.findByRole("button", { name: /Restore old-shop/ }));
  const dialog = await screen.findByRole("dialog", { name: "Restore old-shop" });
  expect(await within(dialog).findByText("You may not see it.")).toBeVisible();
  server.resetHandlers();
  server.use(...handlers(cloud.current));
  await user.click(within(dialog).getByRole("button", { name: "Try again" }));
  expect(await within(dialog).findByLabelText("Name of the new database")).toHaveValue("old-shop");
});

it("restores to any moment where restore points cannot be read", async () => {
  server.use(
    http.get("*/v1/databases/:id/restore-points", () =>
      problem(403, "forbidden", "You may not see them."),
    ),
  );
  const { user } = open(here);
  await user.click(await screen.findByRole("button", { name: "Restore" }));
  const dialog = await screen.findByRole("dialog");
  expect(await within(dialog).findByLabelText("A moment")).toBeVisible();
  expect(within(dialog).queryByRole("option", { name: "A restore point" })).toBeNull();
});
