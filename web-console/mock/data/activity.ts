import type { AuditAction, AuditEvent } from "../../src/api/types";
import { me } from "./account.ts";
import { ago, DATABASE } from "./common.ts";

/** As an API answers that is newer than the console. */
const NEWER_ACTION = "user.sing" as AuditAction;

/** Two pages of what happened; `after` is the cursor of the second. */
export function auditEvents(after: string | null): {
  items: AuditEvent[];
  next_cursor: string | null;
} {
  const event = (part: Pick<AuditEvent, "id" | "action" | "resource" | "actor">): AuditEvent => ({
    client_address: "203.0.113.7",
    // Described as an object of any shape, which the generated types take for an empty one.
    details: { name: "shop" } as unknown as AuditEvent["details"],
    created_at: ago(5),
    ...part,
  });
  const actor = me.user.id;
  if (after === "evt_2") {
    return {
      items: [event({ id: "evt_1", action: NEWER_ACTION, resource: "usr_1", actor: "system" })],
      next_cursor: null,
    };
  }
  return {
    items: [event({ id: "evt_2", action: "database.create", resource: DATABASE, actor })],
    next_cursor: "evt_2",
  };
}
