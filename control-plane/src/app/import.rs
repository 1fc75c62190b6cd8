//! Imports: a logical database of another PostgreSQL, copied into one of ours.
//!
//! Here an import is asked for, shown and cancelled; `crate::import` does it.

use crate::app::archive::backup::have_it_run;
use crate::app::archive::in_place;
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database;
use crate::app::state::ImportState;
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::identity::SealPurpose;
use crate::import::{SealedSource, Source};
use crate::store::import::{self, ImportRow, NewImport};
use crate::store::{StoreError, TenantTx, logical_database};
use lumadb_contract::id::{DatabaseId, ImportId};
use lumadb_contract::name::IDENTIFIER_BYTES_MAX;
use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Longest connection string, bytes.
const SOURCE_BYTES_MAX: usize = 4096;

/// Largest bundle of certificates, bytes.
const CERTIFICATES_BYTES_MAX: usize = 64 * 1024;

/// Why an import that nobody had begun ended.
const CANCELLED: &str = "It was cancelled.";

/// A copy from another PostgreSQL.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Import {
    pub id: ImportId,
    pub database_id: DatabaseId,
    /// Where it is copied to.
    pub logical_database: String,
    pub source: ImportSource,
    pub state: ImportState,
    /// It was asked to end before its end.
    pub is_cancelling: bool,
    /// Tables whose rows are copied; of partitioned ones each partition counts.
    pub tables_done: u64,
    pub tables_total: u64,
    /// Rows as text, so it may end below or above the size of the source.
    pub bytes_copied: u64,
    /// Size of the source's tables and large objects without indexes; 0: not known yet.
    pub source_bytes: u64,
    /// It follows its source until it is completed.
    pub continuous: bool,
    /// It was asked to switch over, and has not ended.
    pub is_completing: bool,
    /// Of one that follows: WAL of the source that is not applied yet, bytes.
    #[schema(required = true)]
    pub lag_bytes: Option<u64>,
    /// Of one that follows: when the newest transaction that is applied committed, by the source's
    /// clock.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub last_change_at: Option<OffsetDateTime>,
    /// Why it failed or was cancelled, and what is left in the target or at the source, if anything
    /// is. Of one that succeeded: what is not as it was at the source.
    #[schema(required = true)]
    pub error: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub ended_at: Option<OffsetDateTime>,
}

/// Where an import copies from. The password is never shown.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportSource {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportCreate {
    /// `postgres://user:password@host:port/database?sslmode=…`. Kept sealed until the import ends.
    /// `sslmode` is `require` unless it is given: `disable`, `require`, `verify-ca` or
    /// `verify-full`.
    #[schema(value_type = String, format = "password", min_length = 1, max_length = 4096)]
    pub source: Secret,
    /// Certificates in PEM that the source's must come from; without it those that browsers trust.
    /// Only `verify-ca` and `verify-full` look at it.
    #[schema(max_length = 65536)]
    pub ca_certificate_pem: Option<String>,
    /// Name of the logical database to copy into. It must be empty.
    #[schema(min_length = 1, max_length = 63)]
    pub logical_database: String,
    /// Goes on following the source by logical replication, until `import_complete` switches over.
    /// The source has `wal_level = logical`, and its user owns the tables and may replicate.
    #[serde(default)]
    pub continuous: bool,
}

impl From<ImportRow> for Import {
    fn from(row: ImportRow) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        Self {
            id: row.id,
            database_id: row.database_id,
            logical_database: row.logical_database,
            source: ImportSource {
                host: row.source_host,
                port: u16::try_from(row.source_port).unwrap_or_default(),
                database: row.source_database,
                user: row.source_user,
            },
            is_cancelling: row.cancel_requested_at.is_some() && row.ended_at.is_none(),
            state: row.state,
            continuous: row.continuous,
            is_completing: row.complete_requested_at.is_some() && row.ended_at.is_none(),
            lag_bytes: row.lag_bytes.map(count),
            last_change_at: row.last_change_at,
            tables_done: count(row.tables_done),
            tables_total: count(row.tables_total),
            bytes_copied: count(row.bytes_copied),
            source_bytes: count(row.source_bytes),
            error: row.error,
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
        }
    }
}

/// Asks for an import. A database that sleeps wakes up for it.
pub async fn import_create(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    request: Option<&IdempotentRequest>,
    input: ImportCreate,
) -> Result<Import, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseWrite).await?;
    let source = check(&input)?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    have_it_run(platform, &mut change, id, "imported into").await?;
    // It would go on in what takes the place of the content that it began in.
    in_place::refuse_open(&mut change, id).await?;
    let target = logical_database::list(&mut change, id)
        .await?
        .into_iter()
        .find(|row| row.name.as_str() == input.logical_database)
        .ok_or_else(|| AppError::field("logical_database", "the database has none of this name"))?;
    let import = ImportId::from_uuid(platform.clock.new_uuid());
    let sealed = SealedSource {
        source: input.source,
        ca_certificate_pem: input.ca_certificate_pem,
    };
    let plain = serde_json::to_vec(&sealed).map_err(AppError::internal)?;
    let sealed = platform
        .seal_key
        .seal_bytes(SealPurpose::ImportSource, import.uuid().as_bytes(), &plain)
        .map_err(AppError::internal)?;
    let new = NewImport {
        id: import,
        database: id,
        logical_database: target.name.as_str(),
        role: &target.owner_role,
        source_host: &source.host,
        source_port: source.port,
        source_database: &source.database,
        source_user: &source.user,
        source_sealed: &sealed,
        continuous: input.continuous,
        now: platform.clock.now(),
    };
    import::insert(&mut change, &new)
        .await
        .map_err(one_at_a_time)?;
    let details = json!({
        "database": id,
        "logical_database": target.name,
        "source_host": source.host,
        "source_database": source.database,
        "continuous": input.continuous,
    });
    change
        .audit(AuditAction::ImportCreate, import, details)
        .await?;
    let row = found(&mut change, import).await?;
    change.commit(row.into()).await
}

fn check(input: &ImportCreate) -> Result<Source, AppError> {
    let mut fields = FieldErrors::new();
    fields.check(
        "source",
        input.source.expose().len() <= SOURCE_BYTES_MAX,
        format!("has at most {SOURCE_BYTES_MAX} bytes"),
    );
    fields.check(
        "logical_database",
        (1..=IDENTIFIER_BYTES_MAX).contains(&input.logical_database.len()),
        format!("has 1 to {IDENTIFIER_BYTES_MAX} bytes"),
    );
    let certificates = input.ca_certificate_pem.as_deref();
    fields.check(
        "ca_certificate_pem",
        certificates.is_none_or(|pem| pem.len() <= CERTIFICATES_BYTES_MAX),
        format!("has at most {CERTIFICATES_BYTES_MAX} bytes"),
    );
    if let Some(Err(error)) = certificates.map(crate::import::certificates) {
        fields.add("ca_certificate_pem", error);
    }
    let source = input.source.expose().parse::<Source>();
    if let Err(error) = &source {
        fields.add("source", error.to_string());
    }
    fields.finish()?;
    source.map_err(|error| AppError::field("source", error.to_string()))
}

fn one_at_a_time(error: StoreError) -> AppError {
    if error.constraint() == Some(import::OPEN_UNIQUE) {
        return AppError::rejected(
            ProblemType::Conflict,
            "An import into this database is under way; wait for its end, or cancel it.",
        );
    }
    error.into()
}

pub async fn import_get(
    platform: &Platform,
    caller: &Caller,
    id: ImportId,
) -> Result<Import, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = found(&mut tx, id).await?;
    tx.commit().await?;
    Ok(row.into())
}

/// Imports into a database, newest first, from below `before` on.
pub async fn import_list(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
    before: Option<ImportId>,
    limit: i64,
) -> Result<Vec<Import>, AppError> {
    let (mut tx, _) = database::reading(platform, caller, database).await?;
    let rows = import::list(&mut tx, database, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Import::from).collect())
}

/// Has an import end. Asking again changes nothing; one that has ended cannot be cancelled.
pub async fn import_cancel(
    platform: &Platform,
    caller: &Caller,
    id: ImportId,
    request: Option<&IdempotentRequest>,
) -> Result<Import, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseWrite).await?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    let before = found(&mut change, id).await?;
    if before.ended_at.is_some() {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The import has ended.",
        ));
    }
    if before.state == ImportState::Validating {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The import has switched over; the database is yours.",
        ));
    }
    import::cancel(&mut change, id, CANCELLED, platform.clock.now()).await?;
    let details = json!({ "database": before.database_id });
    change.audit(AuditAction::ImportCancel, id, details).await?;
    let row = found(&mut change, id).await?;
    change.commit(row.into()).await
}

/// Has an import that follows its source switch over. Asking again changes nothing.
pub async fn import_complete(
    platform: &Platform,
    caller: &Caller,
    id: ImportId,
    request: Option<&IdempotentRequest>,
) -> Result<Import, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseWrite).await?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    let before = found(&mut change, id).await?;
    if !import::complete(&mut change, id, platform.clock.now()).await? {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The import does not follow its source now: only one whose state is following switches \
             over.",
        ));
    }
    let details = json!({ "database": before.database_id });
    change
        .audit(AuditAction::ImportComplete, id, details)
        .await?;
    let row = found(&mut change, id).await?;
    change.commit(row.into()).await
}

async fn found(tx: &mut TenantTx, id: ImportId) -> Result<ImportRow, AppError> {
    import::find(tx, id)
        .await?
        .ok_or_else(|| AppError::not_found("import", id))
}
