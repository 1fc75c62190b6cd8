import { expect, it } from "vitest";
import type { AuditAction } from "#/api/types";
import { actionOf, actorOf } from "./words";

it("finds the words of an action", () => {
  expect(actionOf({ action: "database.restore_in_place" })).toBe("database_restore_in_place");
  expect(actionOf({ action: "spend_cap_order.set" })).toBe("spend_cap_order_set");
  expect(actionOf({ action: "other" })).toBe("other");
});

it("leaves what is newer than the console as the API says it", () => {
  const action = "user.sing" as AuditAction;
  expect(actionOf({ action })).toBeUndefined();
});

it("tells persons, tokens and the cloud itself apart", () => {
  expect(actorOf({ actor: "usr_a" }, "usr_a")).toBe("you");
  expect(actorOf({ actor: "usr_b" }, "usr_a")).toBe("member");
  expect(actorOf({ actor: "tok_a" }, "usr_a")).toBe("token");
  expect(actorOf({ actor: "system" }, "usr_a")).toBe("system");
});
