/** The API's document as types, until `npm run generate` writes them from openapi.json. */

type Json<Body> = { headers: Record<string, unknown>; content: { "application/json": Body } };
type Empty = { headers: Record<string, unknown>; content?: never };
type Failure = {
  headers: Record<string, unknown>;
  content: { "application/problem+json": components["schemas"]["Problem"] };
};
type Call<Path, Query, Body, Status extends number, Answer> = {
  parameters: { query?: Query; header?: Record<string, string>; cookie?: never } & PathOf<Path>;
  requestBody: Body extends never ? never : { content: { "application/json": Body } };
  responses: { [S in Status]: Answer } & { default: Failure };
};
type Read<Path, Answer, Query = Record<string, never>> = {
  parameters: { query?: Query; header?: never; cookie?: never } & PathOf<Path>;
  requestBody?: never;
  responses: { 200: Json<Answer>; default: Failure };
};
type Send<Path, Body, Status extends number, Answer> = Call<Path, never, Body, Status, Answer>;
type Act<Path, Status extends number, Answer> = {
  parameters: { query?: never; header?: Record<string, string>; cookie?: never } & PathOf<Path>;
  requestBody?: never;
  responses: { [S in Status]: Answer } & { default: Failure };
};
type None = Record<never, never>;
type PathOf<Path> = keyof Path extends never ? { path?: never } : { path: Path };
type S = components["schemas"];
type Db = { database_id: string };
type Page<Item> = { items: Item[]; next_cursor: string | null };

export interface paths {
  "/v1/auth/sign-up": { post: Send<None, S["SignUp"], 202, Json<None>> };
  "/v1/auth/verify-email": { post: Send<None, { token: string }, 200, Json<{ user: S["User"] }>> };
  "/v1/auth/log-in": { post: Send<None, S["LogIn"], 200, Json<{ user: S["User"] }>> };
  "/v1/auth/log-out": { post: Act<None, 204, Empty> };
  "/v1/auth/password-reset": { post: Send<None, { email: string }, 202, Json<None>> };
  "/v1/auth/password-reset/confirm": {
    post: Send<None, { token: string; password: string }, 204, Empty>;
  };
  "/v1/me": { get: Read<None, S["Me"]> };
  "/v1/me/sessions": { get: Read<None, Page<S["Session"]>> };
  "/v1/me/sessions/{session_id}": { delete: Act<{ session_id: string }, 204, Empty> };
  "/v1/organizations/{organization_id}/projects": {
    get: Read<{ organization_id: string }, Page<S["Project"]>>;
  };
  "/v1/organizations/{organization_id}/tokens": {
    get: Read<{ organization_id: string }, Page<S["ApiToken"]>>;
    post: Send<
      { organization_id: string },
      S["ApiTokenCreate"],
      201,
      Json<{ token: S["ApiToken"]; secret: string }>
    >;
  };
  "/v1/organizations/{organization_id}/tokens/{token_id}": {
    delete: Act<{ organization_id: string; token_id: string }, 204, Empty>;
  };
  "/v1/regions": { get: Read<None, Page<S["Region"]>> };
  "/v1/plans": { get: Read<None, { items: S["Plan"][]; compute_sizes: S["ComputeSize"][] }> };
  "/v1/projects/{project_id}/databases": {
    get: Read<{ project_id: string }, Page<S["Database"]>, { limit?: number; cursor?: string }>;
    post: Send<{ project_id: string }, S["DatabaseCreate"], 201, Json<S["DatabaseCreated"]>>;
  };
  "/v1/databases/{database_id}": {
    get: Read<Db, S["Database"]>;
    patch: Send<Db, S["DatabaseUpdate"], 200, Json<S["DatabaseChanged"]>>;
    delete: Act<Db, 200, Json<S["DatabaseChanged"]>>;
  };
  "/v1/databases/{database_id}/suspend": { post: Act<Db, 200, Json<S["DatabaseChanged"]>> };
  "/v1/databases/{database_id}/resume": { post: Act<Db, 200, Json<S["DatabaseChanged"]>> };
  "/v1/databases/{database_id}/connection": {
    get: Read<Db, S["Connection"], { role?: string; logical_database?: string }>;
  };
  "/v1/databases/{database_id}/roles": {
    get: Read<Db, Page<S["Role"]>>;
    post: Send<Db, { name: string }, 201, Json<S["RoleWithPassword"]>>;
  };
  "/v1/databases/{database_id}/roles/{role_id}/rotate-password": {
    post: Act<Db & { role_id: string }, 200, Json<S["RoleWithPassword"]>>;
  };
  "/v1/databases/{database_id}/roles/{role_id}": {
    delete: Act<Db & { role_id: string }, 200, Json<None>>;
  };
  "/v1/databases/{database_id}/logical-databases": {
    get: Read<Db, Page<S["LogicalDatabase"]>>;
    post: Send<Db, { name: string; owner_role?: string }, 201, Json<None>>;
  };
  "/v1/databases/{database_id}/logical-databases/{logical_database_id}": {
    delete: Act<Db & { logical_database_id: string }, 200, Json<None>>;
  };
  "/v1/databases/{database_id}/operations": { get: Read<Db, Page<S["Operation"]>> };
  "/v1/operations/{operation_id}": {
    get: Read<{ operation_id: string }, S["Operation"], { wait?: number }>;
  };
  "/v1/databases/{database_id}/metrics": { get: Read<Db, S["Metrics"], { minutes?: number }> };
  "/v1/databases/{database_id}/query": { post: Send<Db, S["Query"], 200, Json<S["QueryAnswer"]>> };
  "/v1/databases/{database_id}/query/{query_id}/cancel": {
    post: Act<Db & { query_id: string }, 204, Empty>;
  };
}

export interface components {
  schemas: {
    Problem: {
      type: string;
      title: string;
      status: number;
      detail?: string;
      errors?: { field: string; message: string }[];
      operation_id?: string | null;
    };
    SignUp: { email: string; password: string; display_name: string };
    LogIn: { email: string; password: string };
    User: { id: string; email: string; display_name: string; created_at: string };
    Me: {
      user: S["User"];
      organizations: {
        id: string;
        name: string;
        role: string;
        plan_id: string;
        default_project_id: string;
      }[];
    };
    Session: {
      id: string;
      created_at: string;
      last_used_at: string;
      expires_at: string;
      client_address: string | null;
      user_agent: string | null;
      current: boolean;
    };
    Project: { id: string; organization_id: string; name: string; created_at: string };
    ApiToken: {
      id: string;
      name: string;
      read_only: boolean;
      created_at: string;
      expires_at: string;
      last_used_at: string | null;
    };
    ApiTokenCreate: { name: string; expires_in_days: number; read_only: boolean };
    Region: { name: string; display_name: string; host: string; port: number };
    Plan: {
      id: string;
      display_name: string;
      compute_milli_vcpu_max: number;
      compute_milli_vcpu_default: number;
      databases_max: number | null;
      idle_timeout_seconds: number | null;
    };
    ComputeSize: { milli_vcpu: number; memory_mib: number; connections_max: number };
    DatabaseState:
      | "pending"
      | "running"
      | "asleep"
      | "suspended"
      | "resizing"
      | "deleting"
      | "failed";
    Database: {
      id: string;
      project_id: string;
      organization_id: string;
      name: string;
      region: string;
      state: S["DatabaseState"];
      engine_version: string;
      engine_minor: string | null;
      milli_vcpu: number;
      memory_mib: number;
      connections_max: number;
      deletion_protection: boolean;
      idle_timeout_seconds: number | null;
      host: string;
      port: number;
      connections: number;
      storage_bytes: number;
      created_at: string;
      updated_at: string;
      revision: number;
      system_identifier: string | null;
    };
    DatabaseCreate: {
      name: string;
      region?: string;
      milli_vcpu?: number;
      deletion_protection?: boolean;
      owner_role?: string;
      logical_database?: string;
      idle_timeout_seconds?: number | null;
    };
    DatabaseUpdate: {
      name?: string;
      deletion_protection?: boolean;
      milli_vcpu?: number;
      idle_timeout_seconds?: number | null;
    };
    DatabaseCreated: {
      database: S["Database"];
      operation: S["Operation"];
      role: S["Role"];
      password: string;
      connection: S["Connection"];
    };
    DatabaseChanged: { database: S["Database"]; operation: S["Operation"] | null };
    Role: {
      id: string;
      name: string;
      is_owner: boolean;
      created_at: string;
      password_changed_at: string;
    };
    RoleWithPassword: { role: S["Role"]; password: string; operation: S["Operation"] };
    LogicalDatabase: { id: string; name: string; owner_role: string; created_at: string };
    ConnectionString: { id: string; label: string; language: string; text: string };
    Connection: {
      host: string;
      port: number;
      user: string;
      logical_database: string;
      password_included: boolean;
      ca_certificate_pem: string | null;
      strings: S["ConnectionString"][];
    };
    OperationState: "pending" | "running" | "succeeded" | "failed" | "cancelled";
    OperationStep: {
      name: string;
      state: "pending" | "running" | "succeeded" | "failed";
      started_at: string | null;
      ended_at: string | null;
    };
    Operation: {
      id: string;
      kind: string;
      state: S["OperationState"];
      database_id: string;
      steps: S["OperationStep"][];
      error: string | null;
      created_at: string;
      started_at: string | null;
      ended_at: string | null;
    };
    MetricPoint: {
      at: string;
      requests_per_second: number;
      errors_per_second: number;
      connections: number;
      storage_bytes: number;
      transfer_out_bytes_per_second: number;
    };
    Metrics: { interval_seconds: number; points: S["MetricPoint"][] };
    Query: {
      role: string;
      logical_database: string;
      sql: string;
      row_limit: number;
      query_id: string;
    };
    QueryResult: {
      command: string;
      rows_affected: number | null;
      columns: { name: string; type: string }[];
      rows: (string | null)[][];
      truncated: boolean;
    };
    QueryError: {
      message: string;
      code: string;
      detail: string | null;
      hint: string | null;
      position: number | null;
    };
    QueryAnswer: {
      results: S["QueryResult"][];
      duration_ms: number;
      error: S["QueryError"] | null;
    };
  };
}
