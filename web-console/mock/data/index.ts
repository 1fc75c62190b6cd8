/** A small cloud of its own for tests and for working on the console without an API. */
export * from "./account.ts";
export * from "./activity.ts";
export * from "./backups.ts";
export * from "./billing.ts";
export * from "./common.ts";
export * from "./connection.ts";
export * from "./databases.ts";
export * from "./imports.ts";
export * from "./invoices.ts";
export * from "./operations.ts";
export * from "./plans.ts";
export * from "./roles.ts";
export * from "./usage.ts";
