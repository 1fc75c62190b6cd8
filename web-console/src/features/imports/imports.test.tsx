import { screen, waitFor, within } from "@testing-library/react";
import { http } from "msw";
import { expect, it } from "vitest";
import { DATABASE, importOf } from "#mock/data";
import { problem } from "#mock/handlers";
import { open } from "../../test/render";
import { server, useCloud } from "../../test/server";

const cloud = useCloud();
const here = `/databases/${DATABASE}/imports`;

it("shows how far an import is, and cancels it", async () => {
  const { user } = open(here);
  expect(
    await screen.findByRole("heading", { name: "Copying shop from db.example.com" }),
  ).toBeVisible();
  expect(screen.getByText("3 / 12")).toBeVisible();
  expect(screen.getByRole("progressbar", { name: "Tables" })).toHaveAttribute(
    "aria-valuenow",
    "25",
  );
  expect(screen.getByRole("button", { name: "Import" })).toBeDisabled();
  await user.click(screen.getByRole("button", { name: "Cancel import" }));
  expect(await screen.findByText("The import is being cancelled.")).toBeVisible();
  expect(await screen.findByText(/Removing what was copied/)).toBeVisible();
  expect(screen.getByRole("button", { name: "Cancel import" })).toBeDisabled();
});

it("says in words why an import failed", async () => {
  cloud.current.imports = [
    importOf({
      state: "failed",
      ended_at: new Date().toISOString(),
      error: "The source does not speak TLS.",
    }),
  ];
  open(here);
  expect(await screen.findByText("The source does not speak TLS.")).toBeVisible();
  expect(screen.getByText("Failed")).toBeVisible();
});

it("begins an import, and shows the server's refusal at the field that is at fault", async () => {
  cloud.current.imports = [];
  const { user } = open(here);
  expect(await screen.findByText("Nothing was imported yet")).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Import" }));
  const dialog = await screen.findByRole("dialog");
  const submit = within(dialog).getByRole("button", { name: "Import" });
  await user.click(submit);
  expect(await within(dialog).findByText("This cannot be empty")).toBeVisible();
  server.use(
    http.post(
      "*/v1/databases/:id/imports",
      () => problem(400, "invalid_request", "needs the name of the user", "source"),
      { once: true },
    ),
  );
  const field = within(dialog).getByLabelText("Connection string of the source");
  await user.type(field, "postgres://db.example.com/shop");
  await user.click(submit);
  expect(await within(dialog).findByText("needs the name of the user")).toBeVisible();
  await user.clear(field);
  await user.type(field, "postgres://ada:secret@db.example.com/shop");
  await user.selectOptions(
    within(dialog).getByRole("combobox", { name: "After the copy" }),
    "Follow the source",
  );
  await user.click(submit);
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  expect(await screen.findByText("The import begins.")).toBeVisible();
  expect(cloud.current.imports[0]).toMatchObject({
    state: "pending",
    logical_database: "main",
    continuous: true,
  });
});

it("shows how far behind a followed source is, and switches over", async () => {
  cloud.current.imports = [
    importOf({
      state: "following",
      continuous: true,
      lag_bytes: 2_048,
      last_change_at: new Date().toISOString(),
    }),
  ];
  const { user } = open(here);
  expect(
    await screen.findByRole("heading", { name: "Following shop at db.example.com" }),
  ).toBeVisible();
  expect(screen.getByText("Not applied yet").nextSibling).toHaveTextContent("2");
  expect(screen.getByText(/Stop writing at the source first/)).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Switch over" }));
  expect(await screen.findByText("It switches over.")).toBeVisible();
  expect(await screen.findByText(/Applying the last of the source/)).toBeVisible();
  expect(screen.getByRole("button", { name: "Switch over" })).toBeDisabled();
});
