import type { AuditAction } from "#/api/types";

/** The key of an action's words: a dot would separate keys. */
export type ActionKey<Action extends AuditAction = AuditAction> =
  Action extends `${infer Noun}.${infer Happened}` ? `${Noun}_${Happened}` : Action;

/** Words for every action; what it was done to follows them. */
const action = {
  archive_remove: "Removed what was kept of the database",
  backup_create: "Asked for a backup",
  billing_update: "Changed the billing settings",
  plan_change: "Changed the plan of",
  plan_change_cancel: "Took back the change of plan of",
  drill_fail: "Found a backup that cannot be restored, of the database",
  database_create: "Created the database",
  database_change_places: "Gave other content to the database",
  database_delete: "Deleted the database",
  database_go_back: "Began to go back to what was kept of the database",
  database_recovery_begin: "Began to bring back from its archive the database",
  database_recovery_end: "Brought back from its archive the database",
  database_recovery_fail: "Could not bring back from its archive the database",
  database_restore: "Restored into the database",
  database_restore_in_place: "Began to restore in place the database",
  database_resume: "Resumed the database",
  database_suspend: "Suspended the database",
  database_update: "Changed the database",
  import_cancel: "Cancelled the import",
  import_complete: "Switched over the import",
  import_create: "Began the import",
  logical_database_create: "Created the logical database",
  logical_database_delete: "Deleted the logical database",
  operation_cancel: "Cancelled the operation",
  organization_create: "Created the organization",
  organization_update: "Changed the organization",
  restore_point_create: "Made the restore point",
  project_create: "Created the project",
  project_update: "Changed the project",
  role_create: "Created the role",
  role_delete: "Deleted the role",
  role_rotate_password: "Reset the password of the role",
  spend_cap_order_set: "Chose which databases stop first in",
  token_create: "Created the API token",
  token_delete: "Revoked the API token",
  user_log_in: "Logged in",
  user_password_change: "Changed the password",
  user_password_reset: "Reset the password",
  user_update: "Changed the profile",
  other: "Did something that this release has no words for, to",
} as const satisfies Record<ActionKey, string>;

/** Who changed what. */
export const activity = {
  activity: {
    lead: "Who changed what in this organization, the newest first.",
    what: "What",
    who: "Who",
    when: "When",
    emptyTitle: "Nothing happened yet",
    empty: "Every change, by console or by API, is written down here.",
    actor: { you: "You", member: "A member", token: "API token", system: "LumaDB" },
    action,
  },
} as const;
