/** The API's resources under the names that the console uses. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type ApiToken = Schemas["ApiToken"];
export type AuditAction = Schemas["AuditAction"];
export type AuditEvent = Schemas["AuditEvent"];
export type BillingAccount = Schemas["BillingAccount"];
export type BillingUpdate = Schemas["BillingUpdate"];
export type CardView = Schemas["CardView"];
export type ChangeQuote = Schemas["ChangeQuote"];
export type ComputeSize = Schemas["ComputeSize"];
export type Backup = Schemas["Backup"];
export type Connection = Schemas["Connection"];
export type Database = Schemas["Database"];
export type DatabaseRestore = Schemas["DatabaseRestore"];
export type DatabaseState = Database["state"];
export type DeletedDatabase = Schemas["DeletedDatabase"];
export type Drill = Schemas["Drill"];
export type Import = Schemas["Import"];
export type Invoice = Schemas["Invoice"];
export type InvoiceDraft = Schemas["InvoiceDraft"];
export type InvoiceLine = Schemas["InvoiceLine"];
export type InvoiceSummary = Schemas["InvoiceSummary"];
export type LineHours = Schemas["LineHours"];
export type LimitNotice = Schemas["LimitNotice"];
export type LogicalDatabase = Schemas["LogicalDatabase"];
export type Me = Schemas["Me"];
export type Metrics = Schemas["Metrics"];
export type Operation = Schemas["Operation"];
export type OperationStep = Operation["steps"][number];
export type OrganizationUsage = Schemas["OrganizationUsage"];
export type Plan = Schemas["Plan"];
export type PlanChange = Schemas["PlanChange"];
export type Price = Schemas["Price"];
export type Problem = Schemas["Problem"];
export type Project = Schemas["Project"];
export type QueryAnswer = Schemas["SqlAnswer"];
export type QueryError = NonNullable<QueryAnswer["error"]>;
export type QueryResult = QueryAnswer["results"][number];
export type Region = Schemas["Region"];
export type Restore = Schemas["Restore"];
export type RestorePoint = Schemas["RestorePoint"];
export type RestoreWindow = Schemas["RestoreWindow"];
export type Role = Schemas["Role"];
export type Session = Schemas["SessionView"];
export type SpendCapStages = Schemas["SpendCapStages"];
export type Usage = Schemas["Usage"];
export type UsageSamples = Schemas["UsageSamples"];

/** Whether an operation goes on no longer. */
export function hasEnded(operation: Pick<Operation, "state">): boolean {
  return (
    operation.state === "succeeded" ||
    operation.state === "failed" ||
    operation.state === "cancelled"
  );
}
