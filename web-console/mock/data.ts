/** A small cloud of its own for tests and for working on the console without an API. */
import type {
  ApiToken,
  AuditEvent,
  Backup,
  BillingAccount,
  ChangeQuote,
  ComputeSize,
  Connection,
  Database,
  DeletedDatabase,
  Drill,
  Import,
  Invoice,
  InvoiceDraft,
  InvoiceSummary,
  LineHours,
  LogicalDatabase,
  Me,
  Metrics,
  Operation,
  Plan,
  Price,
  Region,
  RestorePoint,
  RestoreWindow,
  Role,
  Session,
  Usage,
  UsageSamples,
} from "../src/api/types";

export const PASSWORD = "mK3v9QxT7rLw2ZpB5nYc";

const ORGANIZATION = "org_01jdk3x5v9e8rb6w4q2n7m0c1a";
export const PROJECT = "prj_01jdk3x5v9e8rb6w4q2n7m0c1b";
export const DATABASE = "db_01jdk3x5v9e8rb6w4q2n7m0c1c";

/** Minutes ago, as the API writes it. */
export function ago(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}

export function database(given: Partial<Database> = {}): Database {
  return {
    id: DATABASE,
    project_id: PROJECT,
    organization_id: ORGANIZATION,
    name: "shop",
    region: "local",
    state: "running",
    engine_version: "18",
    engine_minor: "18.6",
    milli_vcpu: 250,
    memory_mib: 1024,
    connections_max: 100,
    deletion_protection: false,
    idle_timeout_seconds: 300,
    durability: "local",
    host: "localhost",
    port: 6432,
    connections: 7,
    storage_bytes: 48_234_496,
    created_at: ago(60 * 24 * 3),
    updated_at: ago(4),
    revision: 3,
    system_identifier: "7573291045861123074",
    restore: null,
    in_place_restore: null,
    ...given,
  };
}

export function deletedDatabase(given: Partial<DeletedDatabase> = {}): DeletedDatabase {
  return {
    id: "db_01jdk3x5v9e8rb6w4q2n7m0c5a",
    project_id: PROJECT,
    name: "old-shop",
    region: "local",
    created_at: ago(60 * 24 * 30),
    deleted_at: ago(60 * 24),
    restorable_until: ago(-60 * 24 * 6),
    earliest: ago(60 * 24 * 7),
    latest: ago(60 * 24),
    ...given,
  };
}

export function role(given: Partial<Role> = {}): Role {
  return {
    id: "rol_01jdk3x5v9e8rb6w4q2n7m0c1d",
    name: "owner",
    is_owner: true,
    created_at: ago(60 * 24 * 3),
    password_changed_at: ago(60 * 24 * 3),
    ...given,
  };
}

export function operation(given: Partial<Operation> = {}): Operation {
  return {
    id: "op_01jdk3x5v9e8rb6w4q2n7m0c1e",
    kind: "database_create",
    state: "succeeded",
    database_id: DATABASE,
    steps: [],
    error: null,
    created_at: ago(60),
    started_at: ago(60),
    ended_at: new Date(new Date(ago(60)).getTime() + 412).toISOString(),
    ...given,
  };
}

export const IN_PLACE_STEPS = [
  "Reserve an address for what is kept",
  "Fetch the backup",
  "Replay the changes",
  "Cut connections and change places",
  "Accept connections",
] as const;

export const RESTORE_STEPS = [
  "Reserve an address",
  "Fetch the backup",
  "Replay the changes",
  "Accept connections",
] as const;

export function restoreWindow(given: Partial<RestoreWindow> = {}): RestoreWindow {
  return {
    earliest: ago(60 * 24 * 3),
    latest: ago(0),
    earliest_lsn: "0/2000028",
    latest_lsn: "0/9A41F30",
    gaps: [],
    window_days: 7,
    lag_ms_max: 1000,
    lag_ms: 0,
    lag_bytes: 0,
    is_stuck: false,
    ...given,
  };
}

export function backup(given: Partial<Backup> = {}): Backup {
  return {
    id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1p",
    database_id: DATABASE,
    name: null,
    origin: "scheduled",
    kind: "full",
    state: "complete",
    requested_at: ago(60 * 24),
    started_at: ago(60 * 24),
    ended_at: ago(60 * 24 - 1),
    start_lsn: "0/2000028",
    end_lsn: "0/2000158",
    bytes_read: 48_234_496,
    bytes_expected: 48_234_496,
    bytes_stored: 7_340_032,
    parent_id: null,
    ...given,
  };
}

export function importOf(given: Partial<Import> = {}): Import {
  return {
    id: "imp_01jdk3x5v9e8rb6w4q2n7m0c1a",
    database_id: DATABASE,
    logical_database: "main",
    source: { host: "db.example.com", port: 5432, database: "shop", user: "ada" },
    state: "copying",
    is_cancelling: false,
    tables_done: 3,
    tables_total: 12,
    bytes_copied: 30_000_000,
    source_bytes: 120_000_000,
    continuous: false,
    is_completing: false,
    lag_bytes: null,
    last_change_at: null,
    error: null,
    created_at: ago(2),
    started_at: ago(2),
    ended_at: null,
    ...given,
  };
}

export function backups(): Backup[] {
  return [
    backup({
      id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1s",
      name: "before the migration",
      origin: "manual",
      state: "running",
      requested_at: ago(1),
      started_at: ago(1),
      ended_at: null,
      bytes_read: 30_000_000,
      bytes_stored: 4_200_000,
    }),
    backup(),
    backup({
      id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1n",
      state: "failed",
      requested_at: ago(60 * 48 + 12),
      ended_at: ago(60 * 48 + 11),
      bytes_stored: 0,
    }),
    backup({
      id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1m",
      requested_at: ago(60 * 24 * 3),
      ended_at: ago(60 * 24 * 3),
    }),
  ];
}

export function drill(given: Partial<Drill> = {}): Drill {
  return {
    id: "drl_01jdk3x5v9e8rb6w4q2n7m0c1v",
    database_id: DATABASE,
    state: "succeeded",
    started_at: ago(60 * 24 * 2),
    ended_at: ago(60 * 24 * 2 - 1),
    rpo_ms: 0,
    rto_ms: 6_410,
    reached: ago(60 * 24 * 2),
    restored_bytes: 7_340_032,
    tables_checked: 68,
    indexes_checked: 131,
    fault: null,
    ...given,
  };
}

export function restorePoint(given: Partial<RestorePoint> = {}): RestorePoint {
  return {
    id: "rpt_01jdk3x5v9e8rb6w4q2n7m0c1q",
    name: "release 7",
    created_at: ago(60 * 40),
    made_at: ago(60 * 40),
    lsn: "0/51C0A28",
    ...given,
  };
}

export const CREATION_STEPS = [
  "Reserve an address",
  "Start the engine",
  "Create role and database",
  "Accept connections",
] as const;

export function connection(roleName: string, logical: string): Connection {
  const user = `${roleName}.${DATABASE}`;
  const uri = `postgresql://${user}:${PASSWORD}@localhost:6432/${logical}?sslmode=require`;
  const form = (
    id: Connection["strings"][number]["id"],
    label: string,
    language: string,
    text: string,
  ) => ({
    id,
    label,
    language,
    text,
  });
  return {
    host: "localhost",
    port: 6432,
    user,
    logical_database: logical,
    password_included: true,
    ca_certificate_pem: "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n",
    strings: [
      form("uri", "URI", "text", uri),
      form("psql", "psql", "shell", `psql "${uri}"`),
      form(
        "keyword_value",
        "Keyword/value",
        "text",
        `host=localhost port=6432 user=${user} password=${PASSWORD} dbname=${logical} sslmode=require`,
      ),
      form(
        "jdbc",
        "JDBC",
        "java",
        `jdbc:postgresql://localhost:6432/${logical}?user=${user}&password=${PASSWORD}&sslmode=require`,
      ),
      form(
        "sqlalchemy",
        "SQLAlchemy",
        "python",
        `from sqlalchemy import create_engine\n\nengine = create_engine(\n    "${uri.replace("postgresql", "postgresql+psycopg")}",\n)`,
      ),
      form(
        "django",
        "Django",
        "python",
        `DATABASES = {\n    "default": {\n        "ENGINE": "django.db.backends.postgresql",\n        "HOST": "localhost",\n        "PORT": 6432,\n        "USER": "${user}",\n        "PASSWORD": "${PASSWORD}",\n        "NAME": "${logical}",\n        "OPTIONS": {"sslmode": "require"},\n    },\n}`,
      ),
      form("prisma", "Prisma", "dotenv", `DATABASE_URL="${uri}"`),
      form("rails", "Rails", "yaml", `production:\n  url: "${uri}"`),
      form("dotenv", ".env", "dotenv", `DATABASE_URL="${uri}"`),
    ],
  };
}

export const me: Me = {
  user: {
    id: "usr_01jdk3x5v9e8rb6w4q2n7m0c1f",
    email: "ada@example.com",
    display_name: "Ada Lovelace",
    created_at: ago(60 * 24 * 9),
  },
  organizations: [
    {
      id: ORGANIZATION,
      name: "Analytical Engines",
      role: "owner",
      plan_id: "free",
      default_project_id: PROJECT,
    },
  ],
};

export const regions: Region[] = [
  { name: "local", display_name: "This machine", host: "localhost", port: 6432 },
];

const GB = 1_000_000_000;

export const plans: Plan[] = [
  {
    id: "free",
    display_name: "Free",
    compute_milli_vcpu_max: 250,
    compute_milli_vcpu_default: 250,
    databases_max: 3,
    idle_timeout_seconds: 300,
    members_max: 1,
    durability_s3: false,
    fee_cents: 0,
    usage: "limit",
    included: [],
    limits: [
      { meter: "storage", amount: GB, per: "moment" },
      { meter: "requests", amount: 100_000, per: "day" },
      { meter: "transfer_out", amount: GB, per: "month" },
      { meter: "vector_operations", amount: 1_000_000, per: "month" },
    ],
    restore_window_days_max: 1,
    features: [],
    support: "community",
  },
  {
    id: "pro-starter",
    display_name: "Pro: Starter",
    compute_milli_vcpu_max: 2_000,
    compute_milli_vcpu_default: 250,
    databases_max: 100,
    idle_timeout_seconds: null,
    members_max: null,
    fee_cents: 2_900,
    usage: "included",
    included: [
      { meter: "storage", amount: 100 * GB, per: "moment" },
      { meter: "compute", amount: 1_000, per: "moment" },
      { meter: "requests", amount: 10_000_000, per: "day" },
      { meter: "transfer_out", amount: 100 * GB, per: "month" },
      { meter: "vector_operations", amount: 10_000_000, per: "month" },
    ],
    limits: [],
    durability_s3: false,
    restore_window_days_max: 7,
    features: [],
    support: "email",
  },
  {
    id: "enterprise",
    display_name: "Enterprise",
    compute_milli_vcpu_max: 32_000,
    compute_milli_vcpu_default: 250,
    databases_max: null,
    idle_timeout_seconds: null,
    members_max: null,
    fee_cents: null,
    usage: "included",
    included: [],
    limits: [],
    durability_s3: true,
    restore_window_days_max: 365,
    features: ["oidc", "saml"],
    support: "dedicated",
  },
];

export const prices: Price[] = [
  { meter: "storage", sold_in: "GB-month", price: "0.10" },
  { meter: "compute", sold_in: "vCPU-hour", price: "0.05" },
  { meter: "requests", sold_in: "million", price: "0.10" },
  { meter: "transfer_out", sold_in: "GB", price: "0.05" },
  { meter: "vector_operations", sold_in: "million", price: "0.20" },
];

export function billing(given: Partial<BillingAccount> = {}): BillingAccount {
  return {
    organization_id: ORGANIZATION,
    plan_id: "free",
    collection: "manual",
    standing: "good",
    standing_since: ago(60 * 24 * 9),
    name: null,
    email: null,
    address: { line1: "", line2: "", city: "", postal_code: "", state: "", country: "" },
    tax_id: null,
    tax: { kind: "none" },
    spend_cap_cents: 5_000,
    budgets_cents: [2_500, 4_000],
    revision: 4,
    ...given,
  };
}

export const INVOICE = "inv_01jdk3x5v9e8rb6w4q2n7m0c5a";

export function invoiceSummary(given: Partial<InvoiceSummary> = {}): InvoiceSummary {
  return {
    id: INVOICE,
    organization_id: ORGANIZATION,
    number: "INV-2026-000007",
    kind: "period",
    period: "2026-11",
    state: "final",
    collection: "manual",
    currency: "USD",
    lines_cents: 3_365,
    credits_cents: 500,
    net_cents: 2_865,
    tax_cents: 544,
    total_cents: 3_409,
    outstanding_cents: 3_409,
    issued_at: "2026-12-01T00:10:00Z",
    due_at: "2026-12-15T00:10:00Z",
    state_since: "2026-12-01T00:10:00Z",
    ...given,
  };
}

const MONTH_US = 30n * 86_400n * 1_000_000n;

export function invoice(given: Partial<Invoice> = {}): Invoice {
  const gbMonth = BigInt(GB) * MONTH_US;
  return {
    ...invoiceSummary(),
    customer_name: "Analytical Engines",
    customer_address: {
      line1: "5 Dorset Street",
      line2: "",
      city: "London",
      postal_code: "W1U 6QL",
      state: "",
      country: "GB",
    },
    customer_tax_id: null,
    tax: { kind: "rate", name: "VAT", rate_ppm: 190_000 },
    lines: [
      {
        position: 0,
        kind: "usage",
        plan_id: "pro-starter",
        book: "2026-11",
        from: "2026-11-01T00:00:00Z",
        to: "2026-12-01T00:00:00Z",
        corrects: null,
        amount_cents: 465,
        usage: {
          meter: "storage",
          counted_in: "byte-microseconds",
          sold_in: "GB-month",
          counted_per_sold: String(gbMonth),
          used: String((gbMonth * 1_465n) / 10n),
          included: String(gbMonth * 100n),
          billed: String((gbMonth * 465n) / 10n),
          unit_price: "0.10",
          shares: [
            {
              database_id: DATABASE,
              used: String((gbMonth * 1_465n) / 10n),
              billed: String((gbMonth * 465n) / 10n),
              amount_cents: 465,
            },
          ],
        },
      },
      {
        position: 1,
        kind: "fee",
        plan_id: "pro-starter",
        book: "2026-11",
        from: "2026-12-01T00:00:00Z",
        to: "2027-01-01T00:00:00Z",
        corrects: null,
        amount_cents: 2_900,
        usage: null,
      },
    ],
    credits: [{ credit_id: "crd_01jdk3x5v9e8rb6w4q2n7m0c5b", amount_cents: 500 }],
    ...given,
  };
}

export function invoiceDraft(given: Partial<InvoiceDraft> = {}): InvoiceDraft {
  const { lines, credits, tax } = invoice();
  return {
    organization_id: ORGANIZATION,
    period: "2026-11",
    state: "draft",
    as_of: ago(0),
    currency: "USD",
    lines_cents: 3_365,
    credits_cents: 500,
    net_cents: 2_865,
    tax_cents: 544,
    total_cents: 3_409,
    tax,
    lines,
    credits,
    spend_cap: { cap_cents: 5_000, committed_cents: 4_250, left_cents: 750 },
    databases: [{ id: DATABASE, project_id: PROJECT, name: "shop", is_deleted: false }],
    ...given,
  };
}

export function changeQuote(given: Partial<ChangeQuote> = {}): ChangeQuote {
  return {
    plan_id: "pro-starter",
    monthly_before_cents: 0,
    monthly_after_cents: 2_900,
    monthly_difference_cents: 2_900,
    quotas: [
      { quota: "databases", held: 2, allowed: 100, is_exceeded: false },
      { quota: "database_milli_vcpu", held: 250, allowed: 2_000, is_exceeded: false },
    ],
    is_possible: true,
    ...given,
  };
}

export const computeSizes: ComputeSize[] = [
  { milli_vcpu: 250, memory_mib: 1024, connections_max: 100 },
  { milli_vcpu: 500, memory_mib: 2048, connections_max: 200 },
  { milli_vcpu: 1000, memory_mib: 4096, connections_max: 400 },
  { milli_vcpu: 2000, memory_mib: 8192, connections_max: 800 },
];

export const sessions: Session[] = [
  {
    id: "ses_01jdk3x5v9e8rb6w4q2n7m0c1g",
    created_at: ago(300),
    last_seen_at: ago(0),
    expires_at: ago(-60 * 24 * 14),
    client_address: "127.0.0.1",
    user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    current: true,
  },
  {
    id: "ses_01jdk3x5v9e8rb6w4q2n7m0c1h",
    created_at: ago(60 * 24 * 4),
    last_seen_at: ago(60 * 26),
    expires_at: ago(-60 * 24 * 10),
    client_address: "192.0.2.44",
    user_agent:
      "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
    current: false,
  },
];

export const tokens: ApiToken[] = [
  {
    id: "tok_01jdk3x5v9e8rb6w4q2n7m0c1j",
    name: "deploy script",
    user_id: "usr_01jdk3x5v9e8rb6w4q2n7m0c1f",
    hint: "luma_pat_4Fh2…",
    read_only: false,
    created_at: ago(60 * 24 * 6),
    expires_at: ago(-60 * 24 * 84),
    last_used_at: ago(47),
  },
  {
    id: "tok_01jdk3x5v9e8rb6w4q2n7m0c1k",
    name: "dashboards",
    user_id: "usr_01jdk3x5v9e8rb6w4q2n7m0c1f",
    hint: "luma_pat_4Fh2…",
    read_only: true,
    created_at: ago(60 * 24 * 2),
    expires_at: ago(-60 * 24 * 363),
    last_used_at: null,
  },
];

export const logicalDatabases: LogicalDatabase[] = [
  {
    id: "ldb_01jdk3x5v9e8rb6w4q2n7m0c1m",
    name: "main",
    owner_role: "owner",
    created_at: ago(60 * 24 * 3),
  },
];

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
      items: [event({ id: "evt_1", action: "user.sing", resource: "usr_1", actor: "system" })],
      next_cursor: null,
    };
  }
  return {
    items: [event({ id: "evt_2", action: "database.create", resource: DATABASE, actor })],
    next_cursor: "evt_2",
  };
}

/** Two hours of the invoice's line for storage. */
export function lineHours(): LineHours {
  const hourOf = (gb: bigint) => String(BigInt(GB) * gb * 3_600n * 1_000_000n);
  return {
    meter: "storage",
    counted_in: "byte-microseconds",
    used: hourOf(300n),
    items: [
      { start: "2026-11-26T09:00:00Z", used: hourOf(180n) },
      { start: "2026-11-26T10:00:00Z", used: hourOf(120n) },
    ],
  };
}

/** Samples of an hour, on two pages. */
export function usageSamples(hour: string, cursor: string | null): UsageSamples {
  const second = cursor === "second";
  const at = new Date(new Date(hour).getTime() + (second ? 120_000 : 60_000)).toISOString();
  return {
    hour,
    items: [
      {
        incarnation_id: "inc_01jdk3x5v9e8rb6w4q2n7m0c5f",
        sequence: second ? 2 : 1,
        taken_at: at,
        received_at: at,
        storage_bytes: GB,
        added: {
          requests: second ? 2_345 : 1_234,
          errors: 0,
          transfer_out_bytes: 5_000,
          vector_operations: 0,
        },
      },
    ],
    spans: second ? [] : [{ from: hour, to: at, milli_vcpu: 250 }],
    next_cursor: second ? null : "second",
  };
}

export function usage(): Usage {
  const totals = {
    requests: 1_284_031,
    errors: 12,
    transfer_out_bytes: 4_831_838_208,
    vector_operations: 0,
    compute_milli_vcpu_seconds: 44_280_000,
    storage_byte_seconds: "1546188226560000",
  };
  return {
    from: "2026-11-01T00:00:00Z",
    to: "2026-11-27T00:00:00Z",
    granularity: "day",
    totals,
    items: [{ start: "2026-11-26T00:00:00Z", ...totals }],
  };
}

/** A quarter of an hour of a shop that is neither quiet nor busy. */
export function metrics(): Metrics {
  const interval = 5;
  const points = Array.from({ length: 180 }, (_, index) => {
    const wave = Math.sin(index / 17) * 18 + Math.sin(index / 5.3) * 6 + Math.sin(index * 12.9) * 3;
    return {
      at: new Date(Date.now() - (180 - index) * interval * 1000).toISOString(),
      requests_per_second: Math.max(0, 46 + wave),
      errors_per_second: 0,
      connections: Math.round(7 + Math.sin(index / 23) * 3),
      storage_bytes: 47_100_000 + index * 6_300,
      transfer_out_bytes_per_second: 9_000 + wave * 40,
    };
  });
  return { interval_seconds: interval, points };
}
