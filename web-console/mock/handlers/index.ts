/** What the mocked API answers. */
import type { RequestHandler } from "msw";
import { accountHandlers } from "./account.ts";
import { authHandlers } from "./auth.ts";
import { backupHandlers } from "./backups.ts";
import { billingHandlers } from "./billing.ts";
import type { Cloud } from "./cloud.ts";
import { databaseHandlers } from "./databases.ts";
import { importHandlers } from "./imports.ts";
import { invoiceHandlers } from "./invoices.ts";
import { operationHandlers } from "./operations.ts";
import { planHandlers } from "./plans.ts";
import { roleHandlers } from "./roles.ts";
import { sqlHandlers } from "./sql.ts";
import { usageHandlers } from "./usage.ts";

export { problem } from "./answers.ts";
export { type Cloud, cloud } from "./cloud.ts";

export function handlers(state: Cloud): RequestHandler[] {
  return [
    ...authHandlers(state),
    ...accountHandlers(state),
    ...databaseHandlers(state),
    ...operationHandlers(state),
    ...usageHandlers(state),
    ...backupHandlers(state),
    ...importHandlers(state),
    ...billingHandlers(state),
    ...planHandlers(state),
    ...invoiceHandlers(state),
    ...roleHandlers(state),
    ...sqlHandlers,
  ];
}
