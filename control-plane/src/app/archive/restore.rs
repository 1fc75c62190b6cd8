//! Restoring: a new database as another was at a moment of its past, or the database itself.

use super::in_place;
use super::reach::{Admitted, Asking, Reach, outside};
use super::restore_point::check_name;
use super::window::archive_of;
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database::{self, Database};
use crate::app::operation::{self, Operation};
use crate::app::state::{Desired, Durability, Observed, OperationKind, RestorePhase, Undo};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType, role};
use crate::store::archive::ArchiveRow;
use crate::store::database::{self as store_database, DatabaseRow, NewDatabase};
use crate::store::in_place::{self as store_in_place, NewInPlace};
use crate::store::removal;
use crate::store::restore::{self, NewRestore, RestoreRow};
use crate::store::{EitherTx, restore_point};
use lumadb_contract::archive::RestoreTarget;
use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Longest text of a WAL position, characters.
const LSN_CHARACTERS_MAX: usize = 17;

/// What to restore: exactly one target, and where to.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseRestore {
    /// Of the new database, unique in its project. In place: of the one that keeps what there was
    /// until then; may be left out.
    #[schema(min_length = 1, max_length = 63)]
    pub name: Option<String>,
    /// Whether the database itself shall be as it was: address, roles, passwords and settings stay.
    /// What it had until then is kept as another database, asleep, from which one can go back. Else
    /// a new database is made, and nothing changes here.
    pub in_place: Option<bool>,
    /// Everything that was committed until now, of a database that runs and archives; otherwise
    /// everything that is archived.
    pub latest: Option<bool>,
    /// The last transaction that ended at or before this moment. It may be just now: the restore
    /// begins once that is archived.
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
    /// A database that was kept when this one was restored in place: the two change places, and
    /// nothing is restored for that. Only with `in_place`.
    pub kept_database_id: Option<DatabaseId>,
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

/// What is being restored, and its operation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DatabaseRestored {
    /// The new database, with roles and passwords of the source; in place: the one that there is.
    pub database: Database,
    pub operation: Operation,
    /// In place: the database that keeps what there was until then.
    #[schema(required = true)]
    pub kept: Option<Database>,
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

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: Option<String>,
    in_place: bool,
    from: Origin,
}

/// Where the content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Archive(RestoreTarget),
    Kept(DatabaseId),
}

/// Makes a database as another was, which may be deleted; nothing of the other changes. Or has it be
/// so itself: then `check_revision` gets the revision that is there.
pub async fn database_restore(
    platform: &Platform,
    caller: &Caller,
    source: DatabaseId,
    request: Option<&IdempotentRequest>,
    check_revision: impl FnOnce(i64) -> Result<(), AppError>,
    input: DatabaseRestore,
) -> Result<DatabaseRestored, AppError> {
    let member = authorize(platform, caller, source, Action::DatabaseWrite).await?;
    let wanted = check(&input)?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    let limits = store_database::plan_limits(&mut change).await?;
    removal::hold_off(&mut change, source).await?;
    let row = database::find_past(&mut change, source).await?;
    check_revision(row.revision)?;
    if row.desired == Desired::Deleted && row.deleted_at.is_none() {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The database is being deleted; it can be restored once that is done.",
        ));
    }
    if wanted.in_place {
        in_place::admit(&mut change, &row).await?;
    }
    let asked = match wanted.from {
        Origin::Archive(asked) => asked,
        Origin::Kept(kept) => {
            in_place::admit_kept(&mut change, &row, kept).await?;
            return change_places(platform, caller, change, &row, kept, None).await;
        }
    };
    let archive = archive_of(&mut change, source).await?;
    let admitted = admit(platform, &mut change, &row, &archive, asked).await?;
    database::check_room(&limits, row.milli_vcpu)?;
    let now = platform.clock.now();
    let name = match wanted.name {
        Some(name) => name,
        None => in_place::name_of_kept(&mut change, &row, now).await?,
    };
    let id = insert(platform, &mut change, &row, &name, wanted.in_place).await?;
    let (target, phase) = match admitted {
        Admitted::Now(target) => (target, RestorePhase::Pending),
        Admitted::Soon(target) => (target, RestorePhase::Waiting),
    };
    let new = NewRestore {
        database: id,
        source_database: source,
        source_archive: archive.id,
        target: &target,
        phase,
        now,
    };
    restore::insert(&mut change, &new).await?;
    if row.deleted_at.is_none() {
        // The source must hear at once what it has to keep.
        store_database::bump_generation(&mut change, source, now).await?;
    }
    if wanted.in_place {
        let target = Some(&target);
        return change_places(platform, caller, change, &row, id, target).await;
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
    change
        .audit(AuditAction::DatabaseRestore, id, details)
        .await?;
    let database = database::find(&mut change, id, false).await?.into();
    change
        .commit(DatabaseRestored {
            database,
            operation,
            kept: None,
        })
        .await
}

/// Has a database change places with one that was made for that (`target` says how) or kept before.
async fn change_places(
    platform: &Platform,
    caller: &Caller,
    mut change: Change,
    row: &DatabaseRow,
    kept: DatabaseId,
    target: Option<&RestoreTarget>,
) -> Result<DatabaseRestored, AppError> {
    let (kind, action) = match target {
        Some(_) => (
            OperationKind::DatabaseRestoreInPlace,
            AuditAction::DatabaseRestoreInPlace,
        ),
        None => (OperationKind::DatabaseGoBack, AuditAction::DatabaseGoBack),
    };
    let now = platform.clock.now();
    // Which generation it ends with is known once they have changed places.
    let operation = operation::begin(
        platform,
        &mut change,
        caller,
        row.id,
        kind,
        row.generation + 1,
        None,
    )
    .await?;
    let new = NewInPlace {
        operation: operation.id,
        database: row.id,
        kept,
        is_made: target.is_some(),
        now,
    };
    store_in_place::insert(&mut change, &new).await?;
    // It tells those who bring it about, too.
    store_database::bump_generation(&mut change, kept, now).await?;
    let details = json!({ "kept": kept, "target": target });
    change.audit(action, row.id, details).await?;
    let database = database::find(&mut change, row.id, false).await?.into();
    let kept = database::find(&mut change, kept, false).await?.into();
    change
        .commit(DatabaseRestored {
            database,
            operation,
            kept: Some(kept),
        })
        .await
}

/// The name, and the one target that was given.
fn check(input: &DatabaseRestore) -> Result<Wanted, AppError> {
    let mut fields = FieldErrors::new();
    let in_place = input.in_place == Some(true);
    let name = input
        .name
        .as_ref()
        .map(|name| fields.display_name("name", name, database::NAME_CHARACTERS_MAX));
    fields.check("name", in_place || name.is_some(), "is needed");
    let mut targets = Vec::new();
    if input.latest == Some(true) {
        targets.push(("latest", Origin::Archive(RestoreTarget::Latest)));
    }
    if let Some(at) = input.time {
        targets.push(("time", Origin::Archive(RestoreTarget::Time(at))));
    }
    if let Some(text) = &input.lsn {
        match text.parse() {
            Ok(lsn) if text.len() <= LSN_CHARACTERS_MAX => {
                targets.push(("lsn", Origin::Archive(RestoreTarget::Lsn(lsn))));
            }
            _ => fields.add("lsn", "is a WAL position such as 16/B374D848"),
        }
    }
    if let Some(id) = input.transaction {
        targets.push((
            "transaction",
            Origin::Archive(RestoreTarget::Transaction(id)),
        ));
    }
    if let Some(text) = &input.restore_point {
        let name = check_name(&mut fields, "restore_point", text);
        targets.push(("restore_point", Origin::Archive(RestoreTarget::Name(name))));
    }
    if let Some(kept) = input.kept_database_id {
        targets.push(("kept_database_id", Origin::Kept(kept)));
        fields.check("kept_database_id", in_place, "needs in_place");
        let text = "stays as it is where a database that was kept is given";
        fields.check("name", name.is_none(), text);
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
    let from = targets.pop().map(|(_, from)| from);
    let from = from.ok_or_else(|| AppError::field("time", "is needed"))?;
    Ok(Wanted {
        name,
        in_place,
        from,
    })
}

/// Whether the archive reaches the target, or will.
async fn admit(
    platform: &Platform,
    change: &mut Change,
    row: &DatabaseRow,
    archive: &ArchiveRow,
    asked: RestoreTarget,
) -> Result<Admitted, AppError> {
    let now = platform.clock.now();
    let reach = Reach::of(archive, row.at_rest_until(now), now);
    let asking = Asking {
        now,
        goes_on: row.desired == Desired::Running && row.observed != Observed::Failed,
    };
    match reach.admit(asked, asking)? {
        Admitted::Now(RestoreTarget::Name(name)) => {
            let either = &mut EitherTx::Tenant(change);
            let point = restore_point::find_by_name(either, archive.id, &name).await?;
            let Some(point) = point else {
                return Err(outside(
                    "restore_point",
                    "is not the name of a restore point of this database",
                ));
            };
            reach.admit_point(name, point.made_at, asking)
        }
        admitted => Ok(admitted),
    }
}

/// A database like the source, with the same logins.
async fn insert(
    platform: &Platform,
    change: &mut Change,
    source: &DatabaseRow,
    name: &str,
    in_place: bool,
) -> Result<DatabaseId, AppError> {
    let id = DatabaseId::from_uuid(platform.clock.new_uuid());
    let new = NewDatabase {
        id,
        project: source.project_id,
        name,
        region: &source.region,
        milli_vcpu: source.milli_vcpu,
        idle_timeout_seconds: match source.idle_timeout_seconds {
            None if in_place => Some(in_place::KEPT_IDLE_TIMEOUT_SECONDS),
            timeout => timeout,
        },
        // Whoever restores wants it back soon: `s3` has to wait for the first backup. In place that
        // is waited for while the database still serves.
        durability: if in_place {
            source.durability
        } else {
            Durability::Local
        },
        // What was kept from others is not open to them as a copy.
        allowed_networks: &source.allowed_networks,
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

    fn asked(json: serde_json::Value) -> Result<Origin, String> {
        let input: DatabaseRestore = serde_json::from_value(json).expect("reads");
        check(&input)
            .map(|wanted| wanted.from)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn exactly_one_target_is_taken() {
        let target = asked(json!({ "name": "x", "transaction": 7 }));
        assert_eq!(target, Ok(Origin::Archive(RestoreTarget::Transaction(7))));
        let target = asked(json!({ "name": "x", "latest": true, "lsn": null }));
        assert_eq!(target, Ok(Origin::Archive(RestoreTarget::Latest)));
        let none = asked(json!({ "name": "x", "latest": false })).expect_err("none");
        assert!(none.contains("time: is needed"), "{none}");
        let two = asked(json!({ "name": "x", "lsn": "0/1", "transaction": 7 }));
        let two = two.expect_err("two");
        assert!(two.contains("together with lsn"), "{two}");
        let bad = asked(json!({ "name": "x", "lsn": "16-1" })).expect_err("bad");
        assert!(bad.contains("lsn: is a WAL position"), "{bad}");
    }

    #[test]
    fn in_place_a_name_may_be_left_out_and_one_may_go_back() {
        let kept = "db_01jd8k2m9n0000000000000001";
        let none = asked(json!({ "latest": true })).expect_err("no name");
        assert!(none.contains("name: is needed"), "{none}");
        let latest = asked(json!({ "latest": true, "in_place": true }));
        assert_eq!(latest, Ok(Origin::Archive(RestoreTarget::Latest)));
        let back = asked(json!({ "in_place": true, "kept_database_id": kept }));
        assert_eq!(back, Ok(Origin::Kept(kept.parse().expect("an ID"))));
        let aside = asked(json!({ "name": "x", "kept_database_id": kept }));
        let aside = aside.expect_err("not in place");
        assert!(
            aside.contains("kept_database_id: needs in_place"),
            "{aside}"
        );
    }
}
