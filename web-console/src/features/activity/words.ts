import type { AuditEvent } from "#/api/types";
import { en } from "#/i18n/en";
import type { ActionKey } from "#/i18n/en/activity";

/** The key of an event's action among the texts; none where the API is newer than the console. */
export function actionOf({ action }: Pick<AuditEvent, "action">): ActionKey | undefined {
  const key = action.replace(".", "_");
  return key in en.activity.action ? (key as ActionKey) : undefined;
}

/** Who did it, by the prefix of the identifier. */
export function actorOf(
  { actor }: Pick<AuditEvent, "actor">,
  me: string,
): keyof typeof en.activity.actor {
  if (actor === me) return "you";
  if (actor.startsWith("tok_")) return "token";
  return actor.startsWith("usr_") ? "member" : "system";
}
