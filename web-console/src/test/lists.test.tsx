/** Lists that are longer than a page: the rest is a button away, and nothing of it is forgotten. */
import { screen, waitFor, within } from "@testing-library/react";
import { http } from "msw";
import { expect, it } from "vitest";
import {
  backup,
  DATABASE,
  database,
  deletedDatabase,
  drill,
  importOf,
  restorePoint,
  token,
} from "#mock/data";
import { type Cloud, problem } from "#mock/handlers";
import { open } from "./render";
import { server, useCloud } from "./server";

const cloud = useCloud();
const here = `/databases/${DATABASE}`;

/** Items on a full page, but of drills. */
const PAGE_ITEMS = 100;

const id = (index: number) => `item-${index}`;

/** A page and one item more, each with a name by which it is found. */
function many<Item>(make: (name: string) => Item, pageItems = PAGE_ITEMS): Item[] {
  return Array.from({ length: pageItems + 1 }, (_, index) => make(id(index)));
}

type List = {
  list: string;
  path: string;
  button: "Show more" | "Show older";
  fill: (state: Cloud) => object[];
  /** What of an item is shown as it is. */
  shown: string;
};

const LISTS: List[] = [
  {
    list: "tokens",
    path: "/account/tokens",
    button: "Show older",
    fill: (state) => {
      state.tokens = many((name) => token({ id: name, name }));
      return state.tokens;
    },
    shown: "name",
  },
  {
    list: "databases",
    path: "/databases",
    button: "Show more",
    fill: (state) => {
      state.databases = many((name) => database({ id: name, name }));
      return state.databases;
    },
    shown: "name",
  },
  {
    list: "deleted databases",
    path: "/databases",
    button: "Show more",
    fill: (state) => {
      state.deleted = many((name) => deletedDatabase({ id: name, name }));
      return state.deleted;
    },
    shown: "name",
  },
  {
    list: "backups",
    path: `${here}/backups`,
    button: "Show older",
    fill: (state) => {
      state.backups = many((name) => backup({ id: name, name }));
      return state.backups;
    },
    shown: "name",
  },
  {
    list: "restore points",
    path: `${here}/backups`,
    button: "Show older",
    fill: (state) => {
      state.restorePoints = many((name) => restorePoint({ id: name, name }));
      return state.restorePoints;
    },
    shown: "name",
  },
  {
    list: "drills",
    path: `${here}/backups`,
    button: "Show older",
    fill: (state) => {
      state.drills = many((name) => drill({ id: name, fault: name }), 13);
      return state.drills;
    },
    shown: "fault",
  },
  {
    list: "imports",
    path: `${here}/imports`,
    button: "Show older",
    fill: (state) => {
      const ended_at = new Date().toISOString();
      state.imports = many((name) =>
        importOf({ id: name, state: "failed", error: name, ended_at }),
      );
      return state.imports;
    },
    shown: "error",
  },
];

it.each(LISTS)(
  "$list: those behind the first page are shown on demand, and every page is read again",
  async ({ path, button, fill, shown }) => {
    const items = fill(cloud.current);
    const { user, queryClient } = open(path);
    expect(await screen.findByText(id(0))).toBeVisible();
    const last = items.length - 1;
    expect(screen.queryByText(id(last))).not.toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: button }));
    expect(await screen.findByText(id(last))).toBeVisible();
    expect(screen.getByText(id(0))).toBeVisible();
    expect(screen.queryByRole("button", { name: button })).not.toBeInTheDocument();
    Object.assign(items[0] ?? {}, { [shown]: "first, changed" });
    Object.assign(items[last] ?? {}, { [shown]: "last, changed" });
    await queryClient.invalidateQueries();
    expect(await screen.findByText("first, changed")).toBeVisible();
    expect(screen.getByText("last, changed")).toBeVisible();
  },
);

it("the choice of project has those behind the first page too", async () => {
  cloud.current.projects = many((name) => ({
    id: name,
    name,
    organization_id: "org_01jdk3x5v9e8rb6w4q2n7m0c1g",
    created_at: new Date().toISOString(),
    revision: 1,
  }));
  open("/databases");
  const choice = await screen.findByLabelText("Project");
  expect(within(choice).getAllByRole("option")).toHaveLength(PAGE_ITEMS + 1);
});

it("every page that is shown is looked at again by itself", async () => {
  const items = many((name) => restorePoint({ id: name, name }));
  const last = items.at(-1) ?? {};
  Object.assign(last, { made_at: null });
  cloud.current.restorePoints = items;
  const { user } = open(`${here}/backups`);
  await screen.findByText(id(0));
  await user.click(screen.getByRole("button", { name: "Show older" }));
  expect(await screen.findByText("Being made")).toBeVisible();
  Object.assign(items[0] ?? {}, { name: "first, changed" });
  Object.assign(last, { made_at: new Date().toISOString() });
  expect(await screen.findByText("first, changed", {}, { timeout: 20_000 })).toBeVisible();
  expect(screen.queryByText("Being made")).not.toBeInTheDocument();
});

it("a next page that cannot be read says so, keeps the first, and can be asked for again", async () => {
  cloud.current.restorePoints = many((name) => restorePoint({ id: name, name }));
  let broken = true;
  server.use(
    http.get("*/v1/databases/:id/restore-points", ({ request }) =>
      broken && new URL(request.url).searchParams.has("cursor")
        ? problem(503, "unavailable", "The control plane is starting.")
        : undefined,
    ),
  );
  const { user } = open(`${here}/backups`);
  await screen.findByText(id(0));
  await user.click(screen.getByRole("button", { name: "Show older" }));
  expect(await screen.findByText("The control plane is starting.")).toBeVisible();
  expect(screen.getByText(id(0))).toBeVisible();
  broken = false;
  await user.click(screen.getByRole("button", { name: "Show older" }));
  expect(await screen.findByText(id(PAGE_ITEMS))).toBeVisible();
  expect(screen.queryByText("The control plane is starting.")).not.toBeInTheDocument();
});

it("a filter says that it searches a part, for as long as there is more", async () => {
  cloud.current.databases = many((name) => database({ id: name, name }));
  const { user } = open("/databases");
  await user.type(await screen.findByRole("searchbox"), id(PAGE_ITEMS));
  expect(await screen.findByText(/No database matches/)).toBeVisible();
  expect(screen.getByText(/only the first 100 are searched/)).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Show more" }));
  expect(await screen.findByRole("link", { name: id(PAGE_ITEMS) })).toBeVisible();
  expect(screen.queryByText(/are searched/)).not.toBeInTheDocument();
});

it("the palette finds a database behind the first page", async () => {
  cloud.current.databases = many((name) => database({ id: name, name }));
  const { user } = open("/account");
  await screen.findByRole("heading", { level: 1 });
  await user.keyboard("{Control>}k{/Control}");
  await user.type(await screen.findByRole("combobox"), id(PAGE_ITEMS));
  expect(await screen.findByRole("option", { name: /item-100/ })).toBeVisible();
});

it("what was kept of a database is found behind the first page", async () => {
  const kept = "kept-from-before";
  const in_place_restore = {
    operation_id: "op_01jdk3x5v9e8rb6w4q2n7m0c5m",
    database_id: DATABASE,
    kept_database_id: kept,
    phase: "done" as const,
    created_at: "2026-11-27T12:00:00Z",
    ended_at: "2026-11-27T12:01:00Z",
  };
  cloud.current.databases = [
    database(),
    ...many((name) => database({ id: name, name })),
    database({ id: kept, name: kept, in_place_restore }),
  ];
  open(`${here}/backups`);
  const list = await screen.findByRole("region", { name: "Kept from before" });
  expect(within(list).getByRole("link", { name: kept })).toBeVisible();
});

it("a restore offers the restore points behind the first page", async () => {
  cloud.current.restorePoints = many((name) => restorePoint({ id: name, name }));
  const { user } = open(`${here}/backups`);
  await user.click(await screen.findByRole("button", { name: "Restore" }));
  const dialog = await screen.findByRole("dialog");
  await user.selectOptions(await within(dialog).findByLabelText("Restore to"), "A restore point");
  const points = within(dialog).getByLabelText("A restore point");
  await waitFor(() =>
    expect(within(points).getByRole("option", { name: /^item-100 / })).toBeInTheDocument(),
  );
});
