//! Changing, suspending, resuming and deleting a database.

use super::create::{
    check_compute_quota, check_durability, check_idle_timeout, check_networks, check_size,
    name_taken, quote_of, unpaid,
};
use super::{Database, DatabaseChanged, NAME_CHARACTERS_MAX, find, find_for_change};
use crate::app::archive::in_place;
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::billing::quote::Proposal;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::operation::{self, Operation};
use crate::app::state::{Desired, Durability, Observed, OperationKind, Undo};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::billing::hold::{self, HoldReason};
use crate::store::database::{self, DatabaseChange, DatabaseRow};
use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::ToSchema;

/// What to change of a database; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseUpdate {
    #[schema(min_length = 1, max_length = 63)]
    pub name: Option<String>,
    pub deletion_protection: Option<bool>,
    /// Compute, thousandths of a vCPU, one of the sizes on offer.
    pub milli_vcpu: Option<i32>,
    /// Seconds without a client after which it falls asleep; null: never.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<u32>, minimum = 5, maximum = 2_592_000)]
    pub idle_timeout_seconds: Option<Option<u32>>,
    /// When a client hears that its transaction is committed. Not together with `milli_vcpu`.
    pub durability: Option<Durability>,
    /// Networks that clients may come from, such as `203.0.113.0/24` or an address; empty: everywhere.
    /// Sessions from elsewhere end.
    #[schema(max_items = 64)]
    pub allowed_networks: Option<Vec<String>>,
}

/// Tells a null from a field that is left out.
#[expect(
    clippy::option_option,
    reason = "a field is left out, null or a number"
)]
fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::<u32>::deserialize(from).map(Some)
}

/// A caller's wish about whether a database runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunChange {
    Suspend,
    Resume,
}

/// Changes fields. `check_revision` gets the revision that is there.
pub async fn database_update(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    check_revision: impl FnOnce(i64) -> Result<(), AppError>,
    dry_run: bool,
    input: DatabaseUpdate,
) -> Result<DatabaseChanged, AppError> {
    let mut change = begin(platform, caller, id, Action::DatabaseWrite).await?;
    let row = find_for_change(&mut change, id).await?;
    check_revision(row.revision)?;
    let limits = database::plan_limits(&mut change).await?;
    let mut fields = FieldErrors::new();
    let mut to = unchanged(&row);
    let name = input
        .name
        .map(|name| fields.display_name("name", &name, NAME_CHARACTERS_MAX));
    if let Some(name) = &name {
        to.name = name;
    }
    if let Some(protection) = input.deletion_protection {
        to.deletion_protection = protection;
    }
    if let Some(asked) = input.idle_timeout_seconds {
        to.idle_timeout_seconds = check_idle_timeout(&mut fields, &limits, asked);
    }
    if let Some(milli_vcpu) = input.milli_vcpu {
        check_size(&mut change, &mut fields, milli_vcpu).await?;
        to.milli_vcpu = milli_vcpu;
    }
    if let Some(durability) = input.durability {
        to.durability = durability;
    }
    let networks = (input.allowed_networks).map(|asked| check_networks(&mut fields, &asked));
    if let Some(networks) = &networks {
        to.allowed_networks = networks;
    }
    let undo = undo(&row, &to, &mut fields);
    fields.finish()?;
    if dry_run {
        let proposal = Proposal::Resize {
            database: id,
            milli_vcpu: to.milli_vcpu,
        };
        let quote = quote_of(platform, &mut change, proposal).await?;
        return Ok(DatabaseChanged {
            database: row.into(),
            operation: None,
            quote: Some(quote),
        });
    }
    if to == unchanged(&row) {
        return Ok(DatabaseChanged {
            database: row.into(),
            operation: None,
            quote: None,
        });
    }
    match &undo {
        Some((OperationKind::DatabaseResize, _)) => check_compute_quota(&limits, to.milli_vcpu)?,
        Some(_) => check_durability(platform, &limits, to.durability)?,
        None => {}
    }
    // Edges hear of networks at once, and need no operation for it; the node ends sessions of its own.
    let is_news = undo.is_some() || to.allowed_networks != row.allowed_networks;
    to.generation += i64::from(is_news);
    database::change(&mut change, id, &to, platform.clock.now())
        .await
        .map_err(|error| name_taken(error, to.name))?;
    let generation = to.generation;
    let operation = match undo {
        Some((kind, undo)) => {
            let undo = Some(undo);
            let begun = operation::begin(platform, &mut change, caller, id, kind, generation, undo);
            Some(begun.await?)
        }
        None => None,
    };
    let details = json!({
        "name": to.name, "deletion_protection": to.deletion_protection,
        "milli_vcpu": to.milli_vcpu, "idle_timeout_seconds": to.idle_timeout_seconds,
        "durability": to.durability, "allowed_networks": to.allowed_networks,
    });
    change
        .audit(AuditAction::DatabaseUpdate, id, details)
        .await?;
    let database = find(&mut change, id, false).await?.into();
    change
        .commit(DatabaseChanged {
            database,
            operation,
            quote: None,
        })
        .await
}

/// The operation that a change takes, and what cancelling it does. One operation does one thing.
fn undo(
    row: &DatabaseRow,
    to: &DatabaseChange<'_>,
    fields: &mut FieldErrors,
) -> Option<(OperationKind, Undo)> {
    let resized = to.milli_vcpu != row.milli_vcpu;
    if to.durability == row.durability {
        let undo = Undo::MilliVcpu(row.milli_vcpu);
        return resized.then_some((OperationKind::DatabaseResize, undo));
    }
    if resized {
        fields.add("durability", "cannot be changed together with milli_vcpu");
    }
    let undo = Undo::Durability(row.durability);
    Some((OperationKind::DatabaseUpdate, undo))
}

pub async fn database_run_change(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    request: Option<&IdempotentRequest>,
    wish: RunChange,
) -> Result<DatabaseChanged, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseWrite).await?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    let row = find_for_change(&mut change, id).await?;
    let (to, kind, action) = match wish {
        RunChange::Suspend => (
            Desired::Suspended,
            OperationKind::DatabaseSuspend,
            AuditAction::DatabaseSuspend,
        ),
        RunChange::Resume => (
            Desired::Running,
            OperationKind::DatabaseResume,
            AuditAction::DatabaseResume,
        ),
    };
    in_place::refuse_open(&mut change, id).await?;
    if wish == RunChange::Resume {
        refuse_held(hold::reason(&mut change, id).await?)?;
    }
    refuse_run_change(&row, wish)?;
    let (database, operation) = turn(platform, &mut change, caller, &row, to, kind).await?;
    change.audit(action, id, json!({})).await?;
    change
        .commit(DatabaseChanged {
            database,
            operation: Some(operation),
            quote: None,
        })
        .await
}

pub(in crate::app) fn refuse_held(reason: Option<HoldReason>) -> Result<(), AppError> {
    match reason {
        None => Ok(()),
        Some(HoldReason::Payment) => Err(unpaid()),
        Some(HoldReason::SpendCap) => Err(AppError::rejected(
            ProblemType::QuotaExceeded,
            "The spend cap of this month is used: the database goes on once the cap is raised, or \
             with the next month.",
        )),
    }
}

fn refuse_run_change(row: &DatabaseRow, wish: RunChange) -> Result<(), AppError> {
    let conflict = |text: &str| Err(AppError::rejected(ProblemType::Conflict, text));
    match (wish, row.desired) {
        (RunChange::Suspend, Desired::Suspended) => conflict("The database is suspended already."),
        (RunChange::Suspend, _)
            if row.observed == Observed::Pending && row.observed_generation == 0 =>
        {
            conflict("The database is being created; suspend it once it is there.")
        }
        (RunChange::Resume, Desired::Running | Desired::Asleep) => {
            conflict("The database is not suspended.")
        }
        _ => Ok(()),
    }
}

/// Deletes a database and everything in it.
pub async fn database_delete(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    check_revision: impl FnOnce(i64) -> Result<(), AppError>,
) -> Result<DatabaseChanged, AppError> {
    let mut change = begin(platform, caller, id, Action::DatabaseDelete).await?;
    let row = find_for_change(&mut change, id).await?;
    check_revision(row.revision)?;
    in_place::refuse_open(&mut change, id).await?;
    if row.deletion_protection {
        return Err(AppError::rejected(
            ProblemType::DeletionProtected,
            "Switch deletion protection off first.",
        ));
    }
    let kind = OperationKind::DatabaseDelete;
    let (database, operation) =
        turn(platform, &mut change, caller, &row, Desired::Deleted, kind).await?;
    change
        .audit(AuditAction::DatabaseDelete, id, json!({ "name": row.name }))
        .await?;
    change
        .commit(DatabaseChanged {
            database,
            operation: Some(operation),
            quote: None,
        })
        .await
}

/// Changes whether the database runs, in the place of whatever was asked of that before.
async fn turn(
    platform: &Platform,
    change: &mut Change,
    caller: &Caller,
    row: &DatabaseRow,
    desired: Desired,
    kind: OperationKind,
) -> Result<(Database, Operation), AppError> {
    operation::supersede(platform, change, row.id, desired).await?;
    let mut to = unchanged(row);
    to.desired = desired;
    to.generation += 1;
    to.run_generation = to.generation;
    database::change(change, row.id, &to, platform.clock.now()).await?;
    let undo = (desired != Desired::Deleted).then_some(Undo::Desired(row.desired));
    let operation =
        operation::begin(platform, change, caller, row.id, kind, to.generation, undo).await?;
    let database = find(change, row.id, false).await?.into();
    Ok((database, operation))
}

async fn begin(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    action: Action,
) -> Result<Change, AppError> {
    let member = authorize(platform, caller, id, action).await?;
    match Change::begin::<()>(platform, caller, member, None).await? {
        Begun::Fresh(change) => Ok(change),
        Begun::Replayed(()) => Err(AppError::internal("a change without a key was replayed")),
    }
}

pub(in crate::app) fn unchanged(row: &DatabaseRow) -> DatabaseChange<'_> {
    DatabaseChange {
        name: &row.name,
        deletion_protection: row.deletion_protection,
        milli_vcpu: row.milli_vcpu,
        idle_timeout_seconds: row.idle_timeout_seconds,
        durability: row.durability,
        allowed_networks: &row.allowed_networks,
        desired: row.desired,
        generation: row.generation,
        run_generation: row.run_generation,
    }
}
