/** What people change of themselves. */
import { notifications } from "@mantine/notifications";
import { screen, waitFor, within } from "@testing-library/react";
import { HttpResponse, http } from "msw";
import { beforeEach, expect, it } from "vitest";
import { me } from "#mock/data";
import { problem } from "#mock/handlers";
import { open } from "./render";
import { server, useCloud } from "./server";

useCloud();
// What one test was told outlives it.
beforeEach(() => notifications.clean());

const panel = async (name: string) => within(await screen.findByRole("region", { name }));

it("a new name is saved, said, and shown", async () => {
  const sent: unknown[] = [];
  let user = me.user;
  server.use(
    http.get("*/v1/me", () => HttpResponse.json({ ...me, user })),
    http.patch("*/v1/me", async ({ request }) => {
      const body = (await request.json()) as { display_name: string };
      sent.push(body);
      user = { ...user, ...body };
      return HttpResponse.json(user);
    }),
  );
  const page = open("/account");
  const name = await panel("Your name");
  const save = name.getByRole("button", { name: "Save" });
  const box = name.getByRole("textbox", { name: "Your name" });
  expect(save).toBeDisabled();
  await page.user.clear(box);
  await page.user.click(save);
  expect(await name.findByText("This cannot be empty")).toBeVisible();
  await page.user.type(box, "  Ada King ");
  await page.user.click(save);
  expect(await screen.findByText("Your name is saved.")).toBeVisible();
  expect(sent).toEqual([{ display_name: "Ada King" }]);
  await waitFor(() => expect(box).toHaveValue("Ada King"));
  expect(save).toBeDisabled();
});

it("a refused name is told at its field, and the old one stays", async () => {
  server.use(
    http.patch("*/v1/me", () =>
      problem(400, "invalid_request", "must not hold control characters", "display_name"),
    ),
  );
  const { user } = open("/account");
  const name = await panel("Your name");
  await user.type(name.getByRole("textbox"), "x");
  await user.click(name.getByRole("button", { name: "Save" }));
  expect(await name.findByText("must not hold control characters")).toBeVisible();
  expect(screen.queryByText("Your name is saved.")).not.toBeInTheDocument();
});

it("a password is changed with the present one, and neither stays in the form", async () => {
  const sent: unknown[] = [];
  server.use(
    http.post("*/v1/me/password", async ({ request }) => {
      sent.push(await request.json());
      return new HttpResponse(null, { status: 204 });
    }),
  );
  const { user } = open("/account");
  const password = await panel("Password");
  const current = password.getByLabelText("Current password");
  const next = password.getByLabelText("New password");
  const change = password.getByRole("button", { name: "Change password" });
  await user.type(current, "correct horse battery");
  await user.type(next, "short");
  await user.click(change);
  expect(await password.findByText("At least 10 characters")).toBeVisible();
  expect(sent).toEqual([]);
  await user.type(next, " no longer");
  await user.click(change);
  expect(await screen.findByText(/Your password is changed/)).toBeVisible();
  expect(sent).toEqual([
    { current_password: "correct horse battery", new_password: "short no longer" },
  ]);
  expect(current).toHaveValue("");
  expect(next).toHaveValue("");
});

it("a wrong present password is told at its field, and too many guesses above the form", async () => {
  let answer = () => problem(400, "invalid_request", "is wrong", "current_password");
  server.use(http.post("*/v1/me/password", () => answer()));
  const { user, router } = open("/account");
  const password = await panel("Password");
  await user.type(password.getByLabelText("Current password"), "a guess");
  await user.type(password.getByLabelText("New password"), "a wholly new one");
  await user.click(password.getByRole("button", { name: "Change password" }));
  expect(await password.findByText("is wrong")).toBeVisible();
  answer = () => problem(429, "rate_limited", "Too many attempts. Try again in 600 s.");
  await user.click(password.getByRole("button", { name: "Change password" }));
  expect(await password.findByText("Too many attempts. Try again in 600 s.")).toBeVisible();
  expect(screen.queryByText(/Your password is changed/)).not.toBeInTheDocument();
  expect(router.state.location.pathname).toBe("/account");
});
