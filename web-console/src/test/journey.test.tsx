import { screen, waitFor, within } from "@testing-library/react";
import { HttpResponse, http } from "msw";
import { expect, it, vi } from "vitest";
import { DATABASE, PASSWORD } from "#mock/data";
import { problem } from "#mock/handlers";
import { open } from "./render";
import { server, useCloud } from "./server";

const cloud = useCloud();

it("who is not logged in comes to the log-in, and from there to where they wanted", async () => {
  cloud.current.signedIn = false;
  const { user, router } = open(`/databases/${DATABASE}/roles`);
  await user.type(await screen.findByLabelText("E-mail"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "wrong-password");
  await user.click(screen.getByRole("button", { name: "Log in" }));
  expect(await screen.findByText("E-mail or password is wrong.")).toBeVisible();
  await user.clear(screen.getByLabelText("Password"));
  await user.type(screen.getByLabelText("Password"), "correct horse");
  await user.click(screen.getByRole("button", { name: "Log in" }));
  await waitFor(() => expect(router.state.location.pathname).toBe(`/databases/${DATABASE}/roles`));
});

it("a sign-up is checked before it is sent, and leads to the mail", async () => {
  cloud.current.signedIn = false;
  const { user } = open("/sign-up");
  await user.type(await screen.findByLabelText("Your name"), "Ada");
  await user.type(screen.getByLabelText("E-mail"), "ada");
  await user.type(screen.getByLabelText("Password"), "short");
  await user.click(screen.getByRole("button", { name: "Create account" }));
  expect(await screen.findByText("This is not an e-mail address")).toBeVisible();
  expect(screen.getByText("At least 10 characters")).toBeVisible();
  await user.type(screen.getByLabelText("E-mail"), "@example.com");
  await user.type(screen.getByLabelText("Password"), " horse battery");
  await user.click(screen.getByRole("button", { name: "Create account" }));
  expect(await screen.findByRole("heading", { name: "Check your mail" })).toBeVisible();
  expect(screen.getByText("ada@example.com")).toBeVisible();
});

it("an unverified address leads to the mail instead of an error", async () => {
  cloud.current.signedIn = false;
  server.use(
    http.post("*/v1/auth/log-in", () => problem(403, "email_not_verified", "Not verified.")),
  );
  const { user } = open("/log-in");
  await user.type(await screen.findByLabelText("E-mail"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "correct horse");
  await user.click(screen.getByRole("button", { name: "Log in" }));
  expect(await screen.findByRole("heading", { name: "Check your mail" })).toBeVisible();
});

it("a cloud without a mail server shows the way to its outbox, and no other does", async () => {
  cloud.current.signedIn = false;
  const first = open("/check-mail?email=ada%40example.com");
  expect(await screen.findByText(/sends the mail again/)).toBeVisible();
  expect(screen.queryByRole("link", { name: "Open the outbox" })).not.toBeInTheDocument();
  first.unmount();
  server.use(
    http.head(
      "*/outbox.json",
      () => new HttpResponse(null, { headers: { "content-type": "application/json" } }),
    ),
  );
  open("/check-mail?email=ada%40example.com");
  const link = await screen.findByRole("link", { name: "Open the outbox" });
  expect(link).toHaveAttribute("href", "/outbox");
});

it("a link of a mail is used once, and a used one says so", async () => {
  let used = 0;
  server.use(
    http.post("*/v1/auth/verify-email", () => {
      used += 1;
      return problem(410, "gone", "Used already.");
    }),
  );
  open("/verify?token=abc");
  expect(await screen.findByRole("heading", { name: "This link is used up" })).toBeVisible();
  expect(used).toBe(1);
});

it("creating a database shows its steps, then opens the Connect dialog by itself", async () => {
  cloud.current.databases = [];
  const { user, router } = open("/databases");
  await user.click(await screen.findByRole("link", { name: "Create database" }));
  await user.type(await screen.findByLabelText("Name"), "orders");
  await user.click(screen.getByRole("button", { name: "Create database" }));
  expect(await screen.findByText("Start the engine")).toBeVisible();
  expect(
    await screen.findByRole("dialog", { name: "Connect to orders" }, { timeout: 15_000 }),
  ).toBeVisible();
  expect(router.state.location.search).toEqual({ connect: true });
}, 30_000);

it("the same form sent again after a lost answer carries the same key; a changed one another", async () => {
  const keys: (string | null)[] = [];
  server.use(
    http.post("*/v1/projects/:id/databases", ({ request }) => {
      keys.push(request.headers.get("idempotency-key"));
      return HttpResponse.error();
    }),
  );
  const { user } = open("/databases/new");
  await user.type(await screen.findByLabelText("Name"), "orders");
  const button = await screen.findByRole("button", { name: "Create database" });
  for (const expected of [1, 2]) {
    await user.click(button);
    await waitFor(() => expect(keys).toHaveLength(expected));
    await waitFor(() => expect(button).toBeEnabled());
  }
  await user.type(screen.getByLabelText("Name"), "2");
  await user.click(button);
  await waitFor(() => expect(keys).toHaveLength(3));
  expect(keys[0]).toBeTruthy();
  expect(keys[1]).toBe(keys[0]);
  expect(keys[2]).not.toBe(keys[0]);
});

it("a message about a field stands at the field", async () => {
  const { user } = open("/databases/new");
  await user.type(await screen.findByLabelText("Name"), "shop");
  await user.click(await screen.findByRole("button", { name: "Create database" }));
  expect(await screen.findByText("A database of this name exists already.")).toBeVisible();
  expect(screen.getByLabelText("Name")).toBeInvalid();
  expect(screen.queryByRole("alert")).not.toBeInTheDocument();
});

it("a connection string is shown without its password and copied with it", async () => {
  const { user } = open(`/databases/${DATABASE}?connect=true`);
  const dialog = await screen.findByRole("dialog");
  const text = await within(dialog).findByRole("region", { name: "URI" });
  expect(text).not.toHaveTextContent(PASSWORD);
  const copied = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  await user.click(within(dialog).getByRole("button", { name: "Copy URI" }));
  await waitFor(() => expect(copied).toHaveBeenCalledWith(expect.stringContaining(PASSWORD)));
  await user.click(within(dialog).getByRole("button", { name: "Show the password" }));
  expect(text).toHaveTextContent(PASSWORD);
  await user.click(within(dialog).getByLabelText("JDBC"));
  expect(within(dialog).getByRole("region", { name: "JDBC" })).toHaveTextContent(
    "jdbc:postgresql://",
  );
});

it("a new role's password is shown once", async () => {
  const { user } = open(`/databases/${DATABASE}/roles`);
  await user.click(await screen.findByRole("button", { name: "Create role" }));
  const form = await screen.findByRole("dialog");
  await user.type(within(form).getByLabelText("Name"), "Reporting");
  await user.click(within(form).getByRole("button", { name: "Create role" }));
  expect(await within(form).findByText(/Lower-case letters/)).toBeVisible();
  await user.clear(within(form).getByLabelText("Name"));
  await user.type(within(form).getByLabelText("Name"), "reporting");
  await user.click(within(form).getByRole("button", { name: "Create role" }));
  const once = await screen.findByRole("dialog", { name: "Password of reporting" });
  await user.click(within(once).getByRole("button", { name: "Done" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  expect(await screen.findByText("reporting")).toBeVisible();
});

it("a database that is somebody else's is not there", async () => {
  open("/databases/db_01zzzzzzzzzzzzzzzzzzzzzzzz");
  expect(await screen.findByRole("heading", { name: "Nothing is here" })).toBeVisible();
});

it("an address without a page says so, and leads back", async () => {
  open("/nowhere");
  expect(await screen.findByRole("heading", { name: "Nothing is here" })).toBeVisible();
  expect(screen.getByRole("link", { name: "Go to databases" })).toHaveAttribute(
    "href",
    "/databases",
  );
});

it("the activity tells who did what, also what the console has no words for", async () => {
  const { user } = open("/activity");
  expect(await screen.findByText("Created the database")).toBeVisible();
  expect(screen.getByText("You")).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Show older" }));
  expect(await screen.findByText("user.sing")).toBeVisible();
  expect(screen.queryByRole("button", { name: "Show older" })).not.toBeInTheDocument();
});
