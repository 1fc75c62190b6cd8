import type {
  ApiToken,
  Backup,
  BillingAccount,
  CardView,
  ChangeQuote,
  Database,
  DeletedDatabase,
  Drill,
  Import,
  Invoice,
  InvoiceSummary,
  LimitNotice,
  Operation,
  PlanChange,
  Project,
  RestorePoint,
  RestoreWindow,
  Role,
  SpendCapStages,
} from "../../src/api/types";
import * as data from "../data/index.ts";

/** An API that remembers what it was told, for as long as it lives. */
export type Cloud = {
  signedIn: boolean;
  projects: Project[];
  tokens: ApiToken[];
  databases: Database[];
  deleted: DeletedDatabase[];
  roles: Role[];
  backups: Backup[];
  imports: Import[];
  restorePoints: RestorePoint[];
  drills: Drill[];
  restoreWindow: RestoreWindow;
  operations: Map<string, Operation>;
  billing: BillingAccount;
  limitNotices: LimitNotice[];
  capStages: SpendCapStages["databases"];
  card: CardView;
  invoices: InvoiceSummary[];
  invoice: Invoice;
  quote: ChangeQuote;
  planChanges: PlanChange[];
};

/** A shop and what belongs to it, but for what is given. */
export function cloud(given: Partial<Cloud> = {}): Cloud {
  return {
    signedIn: true,
    projects: [],
    tokens: [
      data.token(),
      data.token({
        id: "tok_01jdk3x5v9e8rb6w4q2n7m0c1k",
        name: "dashboards",
        read_only: true,
        created_at: data.ago(60 * 24 * 2),
        expires_at: data.ago(-60 * 24 * 363),
        last_used_at: null,
      }),
    ],
    databases: [
      data.database(),
      data.database({
        id: "db_01jdk3x5v9e8rb6w4q2n7m0c2a",
        name: "analytics-staging",
        state: "asleep",
        connections: 0,
        storage_bytes: 1_288_490_188,
      }),
    ],
    deleted: [],
    roles: [
      data.role(),
      data.role({
        id: "rol_01jdk3x5v9e8rb6w4q2n7m0c2b",
        name: "app",
        is_owner: false,
        password_changed_at: data.ago(95),
      }),
    ],
    backups: data.backups(),
    imports: [data.importOf()],
    restorePoints: [data.restorePoint()],
    drills: [data.drill()],
    restoreWindow: data.restoreWindow(),
    operations: new Map([["op_01jdk3x5v9e8rb6w4q2n7m0c1e", data.operation()]]),
    billing: data.billing(),
    limitNotices: [],
    capStages: [
      { id: "db_01jdk3x5v9e8rb6w4q2n7m0c2a", name: "analytics-staging", stage: "read_only" },
      { id: data.database().id, name: data.database().name, stage: null },
    ],
    card: { card: null, refused_charges: [] },
    invoices: [
      data.invoiceSummary(),
      data.invoiceSummary({
        id: "inv_01jdk3x5v9e8rb6w4q2n7m0c5c",
        number: "INV-2026-000003",
        kind: "change",
        state: "paid",
        total_cents: 1_417,
        outstanding_cents: 0,
      }),
    ],
    invoice: data.invoice(),
    quote: data.changeQuote(),
    planChanges: [],
    ...given,
  };
}
