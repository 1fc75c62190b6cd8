import { expect, it } from "vitest";
import { actionOf, actorOf } from "./words";

it("has words for what the cloud does by itself, and for every kind of restore and import", () => {
  const actions = [
    "archive.remove",
    "drill.fail",
    "database.change_places",
    "database.recovery_begin",
    "database.recovery_end",
    "database.recovery_fail",
    "database.restore",
    "database.restore_in_place",
    "database.go_back",
    "import.create",
    "import.complete",
    "import.cancel",
    "plan.change",
    "plan.change_cancel",
    "spend_cap_order.set",
  ];
  expect(actions.filter((action) => actionOf({ action }) === undefined)).toEqual([]);
});

it("leaves what is newer than the console as the API says it", () => {
  expect(actionOf({ action: "user.sing" })).toBeUndefined();
});

it("tells persons, tokens and the cloud itself apart", () => {
  expect(actorOf({ actor: "usr_a" }, "usr_a")).toBe("you");
  expect(actorOf({ actor: "usr_b" }, "usr_a")).toBe("member");
  expect(actorOf({ actor: "tok_a" }, "usr_a")).toBe("token");
  expect(actorOf({ actor: "system" }, "usr_a")).toBe("system");
});
