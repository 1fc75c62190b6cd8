import { screen, waitFor, within } from "@testing-library/react";
import { HttpResponse, http } from "msw";
import { expect, it } from "vitest";
import { billing, changeQuote, INVOICE } from "#mock/data";
import { problem } from "#mock/handlers";
import { open } from "../../test/render";
import { server, useCloud } from "../../test/server";

const cloud = useCloud();

// The first one: what other tests were told is not shown yet.
it("says that it was not saved where the server refuses, and nothing else", async () => {
  server.use(
    http.patch("*/v1/organizations/:id/billing", () =>
      problem(403, "forbidden", "Only an owner may do this."),
    ),
  );
  const { user } = open("/billing");
  await user.click(await screen.findByRole("button", { name: "Remove the cap" }));
  expect(await screen.findByText("Only an owner may do this.")).toBeVisible();
  expect(screen.queryByText("The spend cap is saved.")).toBeNull();
});

it("shows what is owed, and opens an invoice into databases and hours", async () => {
  const { user } = open("/billing");
  await user.click(await screen.findByRole("link", { name: "INV-2026-000007" }));
  expect(await screen.findByRole("heading", { name: "INV-2026-000007" })).toBeVisible();
  expect(screen.getByRole("link", { name: "Download PDF" })).toHaveAttribute(
    "href",
    `/v1/invoices/${INVOICE}/document.pdf`,
  );
  expect(screen.getByText("46.5 GB-months")).toBeVisible();
  expect(screen.getByText("VAT 19 %")).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Storage" }));
  await user.click(await screen.findByRole("button", { name: "shop" }));
  const hours = await screen.findByRole("region", { name: "Hours" });
  const [hour, ...others] = within(hours).getAllByRole("button");
  expect(others).toHaveLength(1);
  expect(within(hours).getByText("0.25")).toBeVisible();
  await user.click(hour as HTMLElement);
  const samples = await screen.findByRole("table", { name: "What the database’s node said" });
  expect(within(samples).getAllByRole("row")).toHaveLength(2);
  expect(within(samples).getByRole("columnheader", { name: "Held" })).toBeVisible();
  await user.click(within(hours).getByRole("button", { name: "Show more" }));
  await waitFor(() => expect(within(samples).getAllByRole("row")).toHaveLength(3));
});

it("names databases on an invoice that the first page of their list does not hold", async () => {
  server.use(
    http.get("*/v1/projects/:id/databases", () =>
      HttpResponse.json({ items: [], next_cursor: "next" }),
    ),
  );
  const { user } = open(`/billing/invoices/${INVOICE}`);
  await user.click(await screen.findByRole("button", { name: "Storage" }));
  expect(await screen.findByRole("button", { name: "shop" })).toBeVisible();
});

it("sets and removes a spend cap as it was last seen", async () => {
  const { user } = open("/billing");
  const cap = await screen.findByRole("textbox", { name: "Dollars a month" });
  await user.clear(cap);
  await user.type(cap, "ten");
  const form = cap.closest("form") as HTMLElement;
  await user.click(within(form).getByRole("button", { name: "Save" }));
  expect(await screen.findByText(/Is an amount in dollars/)).toBeVisible();
  expect(cloud.current.billing.spend_cap_cents).toBe(5_000);
  await user.clear(cap);
  await user.type(cap, "79.90");
  await user.click(within(form).getByRole("button", { name: "Save" }));
  await waitFor(() => expect(cloud.current.billing.spend_cap_cents).toBe(7_990));
  await user.click(await screen.findByRole("button", { name: "Remove the cap" }));
  await waitFor(() => expect(cloud.current.billing.spend_cap_cents).toBeNull());
});

it("says how far the cap goes, and has another database stop first", async () => {
  const { user } = open("/billing");
  const first = await screen.findByRole("button", { name: "Stop analytics-staging earlier" });
  expect(first).toBeDisabled();
  expect(screen.getByText("Read-only")).toBeVisible();
  const [staging, other] = cloud.current.capStages;
  await user.click(screen.getByRole("button", { name: `Stop ${other?.name} earlier` }));
  await waitFor(() => expect(cloud.current.capStages).toEqual([other, staging]));
  expect(await screen.findByText("The order is saved.")).toBeVisible();
});

it("says which limits are reached, and leads to larger plans", async () => {
  const notice = { limit: 100_000, created_at: new Date().toISOString(), used: 100_000 };
  cloud.current.limitNotices = [
    { ...notice, id: "ntc_2", meter: "requests", percent: 100 },
    { ...notice, id: "ntc_1", meter: "requests", percent: 80 },
    { ...notice, id: "ntc_3", meter: "compute", percent: 100 },
  ];
  open("/billing");
  expect(
    await screen.findByText("Requests: your plan’s limit was reached this month."),
  ).toBeVisible();
  expect(screen.queryByText(/80 %/)).toBeNull();
  expect(screen.getAllByRole("link", { name: "See larger plans" })).toHaveLength(1);
});

it("adds and removes budget alerts", async () => {
  const { user } = open("/billing");
  await user.type(await screen.findByRole("textbox", { name: "Dollars of a month" }), "60");
  await user.click(screen.getByRole("button", { name: "Add alert" }));
  await waitFor(() => expect(cloud.current.billing.budgets_cents).toEqual([2_500, 4_000, 6_000]));
  await user.click(await screen.findByRole("button", { name: "Remove the alert at $25.00" }));
  await waitFor(() => expect(cloud.current.billing.budgets_cents).toEqual([4_000, 6_000]));
});

it("begins with what is not paid", async () => {
  cloud.current.billing = billing({ standing: "overdue" });
  open("/billing");
  expect(await screen.findByText(/was not paid when it was due/)).toBeVisible();
});

it("compares the plans and marks the own one", async () => {
  open("/billing/plan");
  const own = (await screen.findByText("Yours")).closest("li") as HTMLElement;
  expect(within(own).getByRole("heading", { name: "Free" })).toBeVisible();
  expect(screen.getByText("100 GB of storage")).toBeVisible();
  expect(screen.getByText("$0.05 per vCPU-hour")).toBeVisible();
});

it("leads nowhere for an invoice that is not there", async () => {
  open("/billing/invoices/inv_00000000000000000000000000");
  expect(await screen.findByText("Nothing is here")).toBeVisible();
});

it("says what a change of plan costs before it is made", async () => {
  const { user } = open("/billing/plan");
  await user.click(await screen.findByRole("button", { name: "Choose Pro: Starter" }));
  const dialog = await screen.findByRole("dialog", { name: "Change to Pro: Starter" });
  expect(await within(dialog).findAllByText("$29.00")).toHaveLength(2);
  expect(cloud.current.planChanges).toHaveLength(0);
  await user.click(within(dialog).getByRole("button", { name: "Change to Pro: Starter" }));
  expect(await screen.findByText("You are on Pro: Starter.")).toBeVisible();
  expect(cloud.current.planChanges).toHaveLength(1);
});

it("lists what must shrink, and does not offer the change before", async () => {
  cloud.current.quote = changeQuote({
    monthly_difference_cents: -2_900,
    is_possible: false,
    quotas: [
      { quota: "databases", held: 5, allowed: 3, is_exceeded: true },
      { quota: "database_milli_vcpu", held: 2_000, allowed: 250, is_exceeded: true },
      { quota: "members", held: 1, allowed: 1, is_exceeded: false },
    ],
  });
  const { user } = open("/billing/plan");
  await user.click(await screen.findByRole("button", { name: "Choose Pro: Starter" }));
  const dialog = await screen.findByRole("dialog");
  expect(await within(dialog).findByText("Databases: 5, and 3 are allowed")).toBeVisible();
  expect(
    within(dialog).getByText("Largest database: 2 vCPU, and 0.25 vCPU are allowed"),
  ).toBeVisible();
  expect(within(dialog).queryByText(/Members/)).toBeNull();
  expect(within(dialog).getByRole("button", { name: "Change to Pro: Starter" })).toBeDisabled();
});

it("shows a change that waits for the month's end, and takes it back", async () => {
  cloud.current.quote = changeQuote({ monthly_difference_cents: -2_900 });
  const { user } = open("/billing/plan");
  await user.click(await screen.findByRole("button", { name: "Choose Pro: Starter" }));
  const dialog = await screen.findByRole("dialog");
  await user.click(await within(dialog).findByRole("button", { name: "Change to Pro: Starter" }));
  await user.click(await screen.findByRole("button", { name: "Stay on the plan" }));
  expect(await screen.findByText("The plan stays as it is.")).toBeVisible();
  expect(cloud.current.planChanges[0]?.state).toBe("cancelled");
});

it("shows the running invoice as a draft, with how far the cap is used", async () => {
  const { user } = open("/billing");
  expect(await screen.findByText("$4.65")).toBeVisible();
  expect(await screen.findByText("$6.12")).toBeVisible();
  expect(screen.getAllByText("$34.09")).toHaveLength(2);
  expect(screen.getByText(/\$42\.50 of the spend cap of \$50\.00/)).toBeVisible();
  await user.click(screen.getByRole("link", { name: "Open the draft invoice" }));
  expect(await screen.findByRole("heading", { name: "Draft invoice" })).toBeVisible();
  expect(await screen.findByText("46.5 GB-months")).toBeVisible();
});

it("leads from a change of plan that waits to the page for a card", async () => {
  cloud.current.billing = billing({ collection: "stripe" });
  cloud.current.planChanges.unshift({
    id: "plc_01jdk3x5v9e8rb6w4q2n7m0c5e",
    from_plan_id: "free",
    plan_id: "pro-starter",
    state: "waiting",
    effective_at: null,
    created_at: "2026-11-23T12:00:00Z",
  });
  const { user } = open("/billing");
  expect(await screen.findByText(/begins as soon as there is a way to pay/)).toBeVisible();
  const [first] = await screen.findAllByRole("button", { name: "Add a card" });
  await user.click(first as HTMLElement);
  await waitFor(() => expect(globalThis.location.hash).toBe("#card-page"));
});

it("shows the card, and what its bank refused", async () => {
  cloud.current.billing = billing({ collection: "stripe" });
  cloud.current.card = {
    card: { brand: "visa", last4: "4242", exp_month: 4, exp_year: 2031 },
    refused_charges: [{ invoice_id: INVOICE, because: "No money.", url: "https://pay.example/1" }],
  };
  const { user } = open("/billing");
  expect(await screen.findByText("Visa •••• 4242, good until 04/2031")).toBeVisible();
  expect(screen.getByText(/A charge was refused: No money\./)).toBeVisible();
  expect(screen.getByRole("link", { name: "Pay it by hand" })).toHaveAttribute(
    "href",
    "https://pay.example/1",
  );
  await user.click(screen.getByRole("button", { name: "Change the card" }));
  await waitFor(() => expect(globalThis.location.hash).toBe("#portal-page"));
});
