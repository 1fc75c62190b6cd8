//! Restoring: a new database as another was at a moment of its past.

use super::restore_point::check_name;
use super::window::{Reach, archive_of, outside};
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database::{self, Database};
use crate::app::operation::{self, Operation};
use crate::app::state::{Desired, Durability, OperationKind, RestorePhase, Undo};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType, role};
use crate::store::archive::ArchiveRow;
use crate::store::database::{self as store_database, DatabaseRow, NewDatabase};
use crate::store::removal;
use crate::store::restore::{self, NewRestore, RestoreRow};
use crate::store::restore_point;
use lumadb_contract::archive::RestoreTarget;
use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Longest text of a WAL position, characters.
const LSN_CHARACTERS_MAX: usize = 17;

/// What to restore: a name for the new database, and exactly one of the others.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseRestore {
    /// Of the new database, unique in its project.
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
    /// Everything that is archived.
    pub latest: Option<bool>,
    /// The last transaction that ended at or before this moment.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub time: Option<OffsetDateTime>,
    /// Up to and including the record at this WAL position, such as `16/B374D848`.
    #[schema(max_length = 17)]
    pub lsn: Option<String>,
    /// Up to and including this transaction: the lower 32 bits of its ID.
    pub transaction: Option<u32>,
    /// Name of a restore point.
    #[schema(max_length = 63)]
    pub restore_point: Option<String>,
}

/// Where a restored database came from, and how far its restore is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restore {
    pub source_database_id: DatabaseId,
    pub target: RestoredTo,
    pub phase: RestorePhase,
    /// Bytes of the backup fetched and written.
    pub bytes_done: u64,
    /// 0: not known yet.
    pub bytes_total: u64,
    /// Changes are replayed up to this WAL position.
    #[schema(required = true)]
    pub replayed_lsn: Option<String>,
    /// The last transaction that was replayed ended at this moment.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub reached: Option<OffsetDateTime>,
    /// Why it cannot be done as asked.
    #[schema(required = true)]
    pub refusal: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub ended_at: Option<OffsetDateTime>,
}

/// What was asked for: one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoredTo {
    pub latest: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub time: Option<OffsetDateTime>,
    #[schema(required = true)]
    pub lsn: Option<String>,
    #[schema(required = true)]
    pub transaction: Option<u32>,
    #[schema(required = true)]
    pub restore_point: Option<String>,
}

/// The new database and its operation. Its roles and their passwords are those of the source.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DatabaseRestored {
    pub database: Database,
    pub operation: Operation,
}

impl From<RestoreTarget> for RestoredTo {
    fn from(target: RestoreTarget) -> Self {
        let none = Self::default();
        match target {
            RestoreTarget::Latest => Self {
                latest: true,
                ..none
            },
            RestoreTarget::Time(at) => Self {
                time: Some(at),
                ..none
            },
            RestoreTarget::Lsn(lsn) => Self {
                lsn: Some(lsn.to_string()),
                ..none
            },
            RestoreTarget::Transaction(id) => Self {
                transaction: Some(id),
                ..none
            },
            RestoreTarget::Name(name) => Self {
                restore_point: Some(name),
                ..none
            },
        }
    }
}

impl From<RestoreRow> for Restore {
    fn from(row: RestoreRow) -> Self {
        let bytes = |count: i64| u64::try_from(count).unwrap_or_default();
        Self {
            source_database_id: row.source_database(),
            phase: row.phase,
            bytes_done: bytes(row.bytes_done),
            bytes_total: bytes(row.bytes_total),
            replayed_lsn: row.replayed_lsn,
            reached: row.reached,
            refusal: row.refusal,
            created_at: row.created_at,
            ended_at: row.ended_at,
            target: row.target.into(),
        }
    }
}

/// Makes a database as another was, which may be deleted. Nothing of the other changes.
pub async fn database_restore(
    platform: &Platform,
    caller: &Caller,
    source: DatabaseId,
    request: Option<&IdempotentRequest>,
    input: DatabaseRestore,
) -> Result<DatabaseRestored, AppError> {
    let member = authorize(platform, caller, source, Action::DatabaseWrite).await?;
    let (name, asked) = check(&input)?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    let limits = store_database::plan_limits(&mut change).await?;
    removal::hold_off(&mut change, source).await?;
    let row = database::find_past(&mut change, source).await?;
    if row.desired == Desired::Deleted && row.deleted_at.is_none() {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The database is being deleted; it can be restored once that is done.",
        ));
    }
    let archive = archive_of(&mut change, source).await?;
    let target = admit(platform, &mut change, &row, &archive, asked).await?;
    database::check_room(&limits, row.milli_vcpu)?;
    let id = insert(platform, &mut change, &row, &name).await?;
    let now = platform.clock.now();
    let new = NewRestore {
        database: id,
        source_database: source,
        source_archive: archive.id,
        target: &target,
        now,
    };
    restore::insert(&mut change, &new).await?;
    if row.deleted_at.is_none() {
        // The source must hear at once what it has to keep.
        store_database::bump_generation(&mut change, source, now).await?;
    }
    let operation = operation::begin(
        platform,
        &mut change,
        caller,
        id,
        OperationKind::DatabaseRestore,
        1,
        Some(Undo::Desired(Desired::Deleted)),
    )
    .await?;
    let details = json!({ "name": name, "source": source, "target": target });
    change.audit("database.restore", id, details).await?;
    let database = database::find(&mut change, id, false).await?.into();
    change
        .commit(DatabaseRestored {
            database,
            operation,
        })
        .await
}

/// The name, and the one target that was given.
fn check(input: &DatabaseRestore) -> Result<(String, RestoreTarget), AppError> {
    let mut fields = FieldErrors::new();
    let name = fields.display_name("name", &input.name, database::NAME_CHARACTERS_MAX);
    let mut targets = Vec::new();
    if input.latest == Some(true) {
        targets.push(("latest", RestoreTarget::Latest));
    }
    if let Some(at) = input.time {
        targets.push(("time", RestoreTarget::Time(at)));
    }
    if let Some(text) = &input.lsn {
        match text.parse() {
            Ok(lsn) if text.len() <= LSN_CHARACTERS_MAX => {
                targets.push(("lsn", RestoreTarget::Lsn(lsn)));
            }
            _ => fields.add("lsn", "is a WAL position such as 16/B374D848"),
        }
    }
    if let Some(transaction) = input.transaction {
        targets.push(("transaction", RestoreTarget::Transaction(transaction)));
    }
    if let Some(text) = &input.restore_point {
        let name = check_name(&mut fields, "restore_point", text);
        targets.push(("restore_point", RestoreTarget::Name(name)));
    }
    match targets.as_slice() {
        [_] => {}
        [] => fields.add(
            "time",
            "is needed, or one of latest, lsn, transaction, restore_point",
        ),
        [(first, _), (second, _), ..] => {
            fields.add(second, format!("cannot be given together with {first}"));
        }
    }
    fields.finish()?;
    let target = targets.pop().map(|(_, target)| target);
    target
        .map(|target| (name, target))
        .ok_or_else(|| AppError::field("time", "is needed"))
}

/// The target as the node is told it, if the archive reaches it.
async fn admit(
    platform: &Platform,
    change: &mut Change,
    row: &DatabaseRow,
    archive: &ArchiveRow,
    asked: RestoreTarget,
) -> Result<RestoreTarget, AppError> {
    let now = platform.clock.now();
    let reach = Reach::of(archive, row.at_rest_until(now), now);
    let target = reach.admit(asked)?;
    if let RestoreTarget::Name(name) = &target {
        let point = restore_point::find_by_name(change, archive.id, name).await?;
        match point.map(|point| point.made_at) {
            None => return Err(outside("restore_point", "is not one of this database's")),
            Some(None) => return Err(outside("restore_point", "has not been made yet; try again")),
            Some(Some(made_at)) => reach.admit_point(made_at)?,
        }
    }
    Ok(target)
}

/// A database like the source, with the same logins.
async fn insert(
    platform: &Platform,
    change: &mut Change,
    source: &DatabaseRow,
    name: &str,
) -> Result<DatabaseId, AppError> {
    let id = DatabaseId::from_uuid(platform.clock.new_uuid());
    let new = NewDatabase {
        id,
        project: source.project_id,
        name,
        region: &source.region,
        milli_vcpu: source.milli_vcpu,
        idle_timeout_seconds: source.idle_timeout_seconds,
        // Whoever restores wants it back soon: `s3` has to wait for the first backup.
        durability: Durability::Local,
        deletion_protection: false,
        now: platform.clock.now(),
    };
    store_database::insert(change, &new)
        .await
        .map_err(|error| database::name_taken(error, name))?;
    database::archive_make(platform, change, id, new.durability).await?;
    role::copy(platform, change, source.id, id).await?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: serde_json::Value) -> Result<RestoreTarget, String> {
        let input: DatabaseRestore = serde_json::from_value(json).expect("reads");
        check(&input)
            .map(|(_, target)| target)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn exactly_one_target_is_taken() {
        let target = asked(json!({ "name": "x", "transaction": 7 }));
        assert_eq!(target, Ok(RestoreTarget::Transaction(7)));
        let target = asked(json!({ "name": "x", "latest": true, "lsn": null }));
        assert_eq!(target, Ok(RestoreTarget::Latest));
        let none = asked(json!({ "name": "x", "latest": false })).expect_err("none");
        assert!(none.contains("time: is needed"), "{none}");
        let two = asked(json!({ "name": "x", "lsn": "0/1", "transaction": 7 }));
        let two = two.expect_err("two");
        assert!(two.contains("together with lsn"), "{two}");
        let bad = asked(json!({ "name": "x", "lsn": "16-1" })).expect_err("bad");
        assert!(bad.contains("lsn: is a WAL position"), "{bad}");
    }
}
