import { screen, waitFor, within } from "@testing-library/react";
import { HttpResponse, http } from "msw";
import { expect, it } from "vitest";
import { deletedDatabase, usage } from "#mock/data";
import { problem } from "#mock/handlers";
import { open } from "../../test/render";
import { server, useCloud } from "../../test/server";
import { amountOf, byDay, monthOf, projected, soldOf } from "./meters";

const cloud = useCloud();

it("shows each meter with its limit, by day and by database", async () => {
  const { user } = open("/usage");
  const requests = await screen.findByRole("button", { name: /Requests/ });
  // Of two databases that used the same.
  expect(requests).toHaveTextContent("2.57million");
  await user.click(requests);
  expect(requests).toHaveAttribute("aria-pressed", "true");
  expect(screen.getByRole("img", { name: /Requests on each day of/ })).toBeVisible();
  expect(screen.getByRole("heading", { name: "Requests by database" })).toBeVisible();
  expect(screen.getByText("analytics-staging")).toBeVisible();
});

it("ends in an error with a way to try again where usage cannot be read", async () => {
  server.use(
    http.get("*/v1/organizations/:id/usage", () =>
      problem(403, "forbidden", "You may not see it."),
    ),
  );
  open("/usage");
  expect(await screen.findByText("You may not see it.")).toBeVisible();
  expect(screen.getByRole("button", { name: "Try again" })).toBeEnabled();
});

it("keeps the error, and the way to try again, while it is tried again", async () => {
  let asked = 0;
  server.use(
    http.get("*/v1/organizations/:id/usage", async () => {
      asked += 1;
      if (asked > 1) await new Promise(() => {});
      return problem(403, "forbidden", "You may not see it.");
    }),
  );
  const { user } = open("/usage");
  await user.click(await screen.findByRole("button", { name: "Try again" }));
  await waitFor(() => expect(asked).toBe(2));
  expect(screen.getByText("You may not see it.")).toBeVisible();
});

it("counts databases too that are deleted, by name", async () => {
  cloud.current.deleted = [deletedDatabase()];
  open("/usage");
  expect(await screen.findByRole("button", { name: /Requests/ })).toHaveTextContent("3.85million");
  const list = screen.getByRole("region", { name: "Storage by database" });
  expect(await within(list).findByText("old-shop")).toBeVisible();
  expect(within(list).getAllByRole("row")).toHaveLength(4);
});

it("names databases that the first page of their list does not hold", async () => {
  server.use(
    http.get("*/v1/projects/:id/databases", () =>
      HttpResponse.json({ items: [], next_cursor: "next" }),
    ),
  );
  open("/usage");
  const list = await screen.findByRole("region", { name: "Storage by database" });
  expect(within(list).getByText("shop")).toBeVisible();
  expect(within(list).getByText("analytics-staging")).toBeVisible();
});

it("teaches where there is no database yet", async () => {
  cloud.current.databases = [];
  open("/usage");
  expect(await screen.findByText("Nothing was used yet")).toBeVisible();
});

it("counts in the units that are sold", () => {
  const november = monthOf(new Date("2026-11-15T12:00:00Z"));
  expect(november).toMatchObject({ id: "2026-11", days: 30 });
  expect(monthOf(new Date("2026-01-31T23:00:00Z"), 1).id).toBe("2025-12");
  const { totals } = usage();
  expect(soldOf("compute", totals, november)).toBeCloseTo(12.3);
  expect(soldOf("transfer_out", totals, november)).toBeCloseTo(4.832, 3);
  const held = { ...totals, storage_byte_seconds: String(1_000_000_000n * 2_592_000n) };
  expect(soldOf("storage", held, november)).toBe(1);
  expect(amountOf({ meter: "compute", amount: 1_000, per: "moment" }, november)).toBe(720);
  expect(amountOf({ meter: "requests", amount: 100_000, per: "day" }, november)).toBe(3);
  const days = byDay("requests", [...usage().items, ...usage().items], november);
  expect(days[25]).toBeCloseTo(2.568, 3);
  expect(days.filter((value) => value === 0)).toHaveLength(29);
});

it("projects a running month and no other", () => {
  const november = monthOf(new Date("2026-11-15T12:00:00Z"));
  expect(projected(10, november, new Date("2026-11-16T00:00:00Z"))).toBeCloseTo(20);
  expect(projected(10, november, new Date("2026-11-01T01:00:00Z"))).toBeUndefined();
  expect(projected(10, november, new Date("2026-12-05T00:00:00Z"))).toBeUndefined();
});
