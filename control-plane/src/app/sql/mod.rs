//! The SQL editor: statements of a caller, run as a role of a database.
//!
//! A session is opened through the edge, as any client's is, so that it is routed, woken, counted
//! and limited alike; in the place of a password it shows a token that names role and database and
//! lives for a minute. What comes back is bounded in rows, bytes and time.

mod session;
mod wire;

use crate::app::authorize::authorize;
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType, database};
use crate::edge_door::EdgeDoor;
use crate::store::route::RegionEdges;
use crate::store::{role, signal};
use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Serialize};
use session::Session;
use sha2::{Digest, Sha256};
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest text of one query, bytes.
pub const SQL_BYTES_MAX: usize = 256 * 1024;
/// Most rows of one result.
pub const ROWS_MAX: u32 = 1000;
const ROWS_DEFAULT: u32 = 200;
/// Most bytes of values in one answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest time that a query may take, opening the session included.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// Statements to run.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlQuery {
    /// Name of the role to run as.
    #[schema(min_length = 1, max_length = 63)]
    pub role: String,
    /// Name of the logical database to run in.
    #[schema(min_length = 1, max_length = 63)]
    pub logical_database: String,
    /// One statement or several; they are one transaction unless they say otherwise.
    #[schema(min_length = 1, max_length = 262_144)]
    pub sql: String,
    /// Most rows of each result.
    #[schema(minimum = 1, maximum = 1000, default = 200)]
    pub row_limit: Option<u32>,
    /// Chosen by the client: by it the query can be cancelled.
    #[schema(value_type = String, format = "uuid")]
    pub query_id: Uuid,
}

/// What came back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SqlAnswer {
    /// One for each statement that was carried out.
    pub results: Vec<SqlResult>,
    /// Milliseconds from sending the statements to their end.
    pub duration_ms: u64,
    /// Why the statements ended early.
    #[schema(required = true)]
    pub error: Option<SqlError>,
}

/// Result of one statement.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SqlResult {
    /// Tag of the command, such as `SELECT` or `CREATE TABLE`.
    pub command: String,
    /// Rows that it returned or touched; null for commands that count none.
    #[schema(required = true)]
    pub rows_affected: Option<u64>,
    pub columns: Vec<SqlColumn>,
    /// Values as text, as PostgreSQL writes them.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether rows were left out.
    pub truncated: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SqlColumn {
    pub name: String,
    /// Name of PostgreSQL's type, or its number for types of the tenant's own.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// An error of PostgreSQL's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SqlError {
    pub message: String,
    /// SQLSTATE, such as `42P01`.
    pub code: String,
    #[schema(required = true)]
    pub detail: Option<String>,
    #[schema(required = true)]
    pub hint: Option<String>,
    /// Characters into the SQL at which it is, from 1.
    #[schema(required = true)]
    pub position: Option<u32>,
}

/// Runs statements. An error of PostgreSQL's is an answer, not a failure of the call.
pub async fn sql_query(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    input: SqlQuery,
) -> Result<SqlAnswer, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseConnect).await?;
    let row_limit = check(&input)?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = database::find(&mut tx, id, false).await?;
    let roles = role::list(&mut tx, id).await?;
    tx.commit().await?;
    let role = roles
        .into_iter()
        .find(|role| role.name.as_str() == input.role)
        .ok_or_else(|| AppError::field("role", "the database has no such role"))?;
    let edges = RegionEdges {
        host: row.host,
        port: row.port,
        edge_authority_pem: row.edge_authority_pem,
        edges_elsewhere: row.edges_elsewhere,
    };
    let door = EdgeDoor::of(&platform.settings, edges).map_err(AppError::internal)?;
    let Some(door) = door else {
        return Err(AppError::rejected(
            ProblemType::Unavailable,
            "The SQL editor is not set up on this server.",
        ));
    };
    let token = platform
        .service_signer
        .sql(&platform.clock, id, role.name.clone())
        .map_err(AppError::internal)?;
    let mut cancels = platform.store.signals().subscribe();
    let cancelled = cancels.query_cancelled(query_name(id, input.query_id));
    let limits = wire::Limits {
        rows: row_limit as usize,
        bytes: ANSWER_BYTES_MAX,
    };
    let session = Session {
        door,
        user: format!("{}.{id}", role.name),
        database: input.logical_database,
        token,
    };
    session
        .run(&input.sql, limits, TIME_LIMIT, cancelled)
        .await
        .map_err(|error| {
            tracing::warn!(database = %id, %error, "a session of the SQL editor was not opened");
            AppError::Rejected {
                problem: ProblemType::Unavailable,
                detail: "The database could not be reached. Try again in a moment.".into(),
                errors: Vec::new(),
                retry_after_seconds: Some(2),
                operation: None,
            }
        })
}

fn check(input: &SqlQuery) -> Result<u32, AppError> {
    let mut fields = FieldErrors::new();
    fields.check(
        "sql",
        (1..=SQL_BYTES_MAX).contains(&input.sql.len()),
        format!("has 1 to {SQL_BYTES_MAX} bytes"),
    );
    let row_limit = input.row_limit.unwrap_or(ROWS_DEFAULT);
    fields.check(
        "row_limit",
        (1..=ROWS_MAX).contains(&row_limit),
        format!("is 1 to {ROWS_MAX}"),
    );
    fields.check(
        "logical_database",
        (1..=63).contains(&input.logical_database.len()),
        "has 1 to 63 bytes",
    );
    // The protocol ends texts with it.
    for (field, text) in [
        ("sql", &input.sql),
        ("logical_database", &input.logical_database),
    ] {
        fields.check(field, !text.contains('\0'), "must not hold a NUL character");
    }
    fields.finish()?;
    Ok(row_limit)
}

/// Ends a query, in whichever process it runs. One that has ended is no error.
pub async fn sql_cancel(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    query_id: Uuid,
) -> Result<(), AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseConnect).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    database::find(&mut tx, id, false).await?;
    signal::cancel_query(&mut tx, query_name(id, query_id)).await?;
    tx.commit().await?;
    Ok(())
}

/// A query's name among all: the client's name for it counts within its database alone.
fn query_name(database: DatabaseId, query_id: Uuid) -> Uuid {
    let hash = Sha256::new()
        .chain_update(database.uuid().as_bytes())
        .chain_update(query_id.as_bytes())
        .finalize();
    let mut name = [0; 16];
    name.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(name)
}
