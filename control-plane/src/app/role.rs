//! Roles: the logins of a database.

use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database::{self, pg_name, quota};
use crate::app::operation::{self, Operation};
use crate::app::state::OperationKind;
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Member, Platform, ProblemType};
use crate::identity::{SealPurpose, random, scram};
use crate::store::in_place::{self, OpenInPlace};
use crate::store::role::{self, RoleRow, StoredPassword};
use crate::store::{RegionTx, StoreError, TenantTx, database as store_database, logical_database};
use lumadb_contract::id::{DatabaseId, LogicalDatabaseId, RoleId};
use lumadb_contract::name::PgName;
use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Most roles of one database.
pub const ROLES_MAX: usize = 100;

/// A login of a database.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Role {
    pub id: RoleId,
    pub name: PgName,
    /// The owner may create databases, and cannot be deleted.
    pub is_owner: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub password_changed_at: OffsetDateTime,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleCreate {
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
}

/// A role with its new password.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoleWithPassword {
    pub role: Role,
    pub password: String,
    pub operation: Operation,
}

/// A role that is going away.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoleDeleted {
    pub role: Role,
    pub operation: Operation,
}

impl From<RoleRow> for Role {
    fn from(row: RoleRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            is_owner: row.is_owner,
            created_at: row.created_at,
            password_changed_at: row.password_changed_at,
        }
    }
}

/// Makes a role with a password of its own.
pub(super) async fn make(
    platform: &Platform,
    change: &mut Change,
    database: DatabaseId,
    name: &PgName,
    is_owner: bool,
) -> Result<(Role, Secret), AppError> {
    let id = RoleId::from_uuid(platform.clock.new_uuid());
    let now = platform.clock.now();
    let (password, verifier, sealed) = new_password(platform, id)?;
    let stored = StoredPassword {
        verifier: &verifier,
        sealed: &sealed,
    };
    role::insert(change, database, id, name, is_owner, &stored, now)
        .await
        .map_err(|error| name_taken(error, name))?;
    let role = Role {
        id,
        name: name.clone(),
        is_owner,
        created_at: now,
        password_changed_at: now,
    };
    Ok((role, password))
}

/// Gives a new database the roles, passwords and logical databases of another. Passwords are sealed
/// anew: each seal is bound to its role.
pub(super) async fn copy(
    platform: &Platform,
    change: &mut Change,
    from: DatabaseId,
    to: DatabaseId,
) -> Result<(), AppError> {
    let now = platform.clock.now();
    let mut copies = HashMap::new();
    for row in role::list(change, from).await? {
        let id = RoleId::from_uuid(platform.clock.new_uuid());
        let password = password_of(platform, &row)?;
        let sealed = platform
            .seal_key
            .seal(SealPurpose::RolePassword, id.uuid(), &password)
            .map_err(AppError::internal)?;
        let stored = StoredPassword {
            verifier: &row.verifier,
            sealed: &sealed,
        };
        role::insert(change, to, id, &row.name, row.is_owner, &stored, now).await?;
        copies.insert(row.name, id);
    }
    for row in logical_database::list(change, from).await? {
        let owner = *copies
            .get(&row.owner_role)
            .ok_or_else(|| StoreError::Corrupt("a logical database has no owner".into()))?;
        let id = LogicalDatabaseId::from_uuid(platform.clock.new_uuid());
        logical_database::insert(change, to, id, &row.name, owner, now).await?;
    }
    Ok(())
}

/// Gives the one that is kept the roles and passwords of the database that it is kept for.
pub(crate) async fn follow(
    platform: &Platform,
    tx: &mut RegionTx,
    open: &OpenInPlace,
) -> Result<(), AppError> {
    let there = in_place::roles(tx, open.kept.id).await?;
    for row in in_place::roles(tx, open.database.id).await? {
        let known = there.iter().find(|known| known.name == row.name);
        let id = known.map_or_else(
            || RoleId::from_uuid(platform.clock.new_uuid()),
            |known| known.id,
        );
        let password = password_of(platform, &row)?;
        let sealed = platform
            .seal_key
            .seal(SealPurpose::RolePassword, id.uuid(), &password)
            .map_err(AppError::internal)?;
        let stored = StoredPassword {
            verifier: &row.verifier,
            sealed: &sealed,
        };
        in_place::role_put(tx, open, id, &row, &stored).await?;
    }
    Ok(())
}

fn new_password(platform: &Platform, id: RoleId) -> Result<(Secret, String, Vec<u8>), AppError> {
    let password = random::role_password().map_err(AppError::internal)?;
    let verifier = scram::fresh_verifier(&password).map_err(AppError::internal)?;
    let sealed = platform
        .seal_key
        .seal(SealPurpose::RolePassword, id.uuid(), &password)
        .map_err(AppError::internal)?;
    Ok((password, verifier.expose().to_owned(), sealed))
}

/// The password of a role, for a caller who may connect.
pub(super) fn password_of(platform: &Platform, row: &RoleRow) -> Result<Secret, AppError> {
    platform
        .seal_key
        .open(
            SealPurpose::RolePassword,
            row.id.uuid(),
            &row.password_sealed,
        )
        .map_err(AppError::internal)
}

fn name_taken(error: StoreError, name: &PgName) -> AppError {
    if error.constraint() == Some(role::NAME_UNIQUE) {
        return AppError::rejected(
            ProblemType::Conflict,
            format!("The database has a role called \u{201c}{name}\u{201d} already."),
        );
    }
    error.into()
}

/// All roles of a database, the owner first. There are at most [`ROLES_MAX`].
pub async fn role_list(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
) -> Result<Vec<Role>, AppError> {
    let (mut tx, _) = database::reading(platform, caller, database).await?;
    let rows = role::list(&mut tx, database).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Role::from).collect())
}

pub async fn role_create(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
    request: Option<&IdempotentRequest>,
    input: RoleCreate,
) -> Result<RoleWithPassword, AppError> {
    let member = authorize(platform, caller, database, Action::RoleWrite).await?;
    let name = checked_name(&input.name)?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    database::find_for_change(&mut change, database).await?;
    if role::list(&mut change, database).await?.len() >= ROLES_MAX {
        return Err(quota(format!("A database has at most {ROLES_MAX} roles.")));
    }
    let (role, password) = make(platform, &mut change, database, &name, false).await?;
    let kind = OperationKind::RoleCreate;
    let operation = apply(platform, &mut change, caller, database, kind).await?;
    let details = json!({ "database": database, "name": name });
    change
        .audit(AuditAction::RoleCreate, role.id, details)
        .await?;
    change
        .commit(RoleWithPassword {
            role,
            password: password.expose().to_owned(),
            operation,
        })
        .await
}

/// Gives a role a new password. Sessions that were opened with the old one are cut.
pub async fn role_rotate_password(
    platform: &Platform,
    caller: &Caller,
    (database, id): (DatabaseId, RoleId),
    request: Option<&IdempotentRequest>,
) -> Result<RoleWithPassword, AppError> {
    let member = authorize(platform, caller, database, Action::RoleWrite).await?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    database::find_for_change(&mut change, database).await?;
    let mut row = find(&mut change, database, id).await?;
    let (password, verifier, sealed) = new_password(platform, id)?;
    let stored = StoredPassword {
        verifier: &verifier,
        sealed: &sealed,
    };
    let now = platform.clock.now();
    role::password_change(&mut change, id, &stored, now).await?;
    row.password_changed_at = now;
    let kind = OperationKind::RoleRotatePassword;
    let operation = apply(platform, &mut change, caller, database, kind).await?;
    let details = json!({ "database": database, "name": row.name });
    change
        .audit(AuditAction::RoleRotatePassword, id, details)
        .await?;
    change
        .commit(RoleWithPassword {
            role: row.into(),
            password: password.expose().to_owned(),
            operation,
        })
        .await
}

/// Removes a role; what it owns becomes the owner's.
pub async fn role_delete(
    platform: &Platform,
    caller: &Caller,
    (database, id): (DatabaseId, RoleId),
) -> Result<RoleDeleted, AppError> {
    let member = authorize(platform, caller, database, Action::RoleWrite).await?;
    let mut change = begin(platform, caller, member).await?;
    database::find_for_change(&mut change, database).await?;
    let row = find(&mut change, database, id).await?;
    let owner = role::list(&mut change, database)
        .await?
        .into_iter()
        .find(|role| role.is_owner)
        .ok_or_else(|| StoreError::Corrupt("a database has no owner".into()))?;
    if owner.id == id {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The owner of a database cannot be deleted.",
        ));
    }
    role::delete(&mut change, id, owner.id).await?;
    let kind = OperationKind::RoleDelete;
    let operation = apply(platform, &mut change, caller, database, kind).await?;
    let details = json!({ "database": database, "name": row.name });
    change.audit(AuditAction::RoleDelete, id, details).await?;
    change
        .commit(RoleDeleted {
            role: row.into(),
            operation,
        })
        .await
}

/// Has the database take on what was changed inside of it.
pub(super) async fn apply(
    platform: &Platform,
    change: &mut Change,
    caller: &Caller,
    database: DatabaseId,
    kind: OperationKind,
) -> Result<Operation, AppError> {
    let now = platform.clock.now();
    let generation = store_database::bump_generation(change, database, now).await?;
    operation::begin(platform, change, caller, database, kind, generation, None).await
}

pub(super) async fn begin(
    platform: &Platform,
    caller: &Caller,
    member: Member,
) -> Result<Change, AppError> {
    match Change::begin::<()>(platform, caller, member, None).await? {
        Begun::Fresh(change) => Ok(change),
        Begun::Replayed(()) => Err(AppError::internal("a change without a key was replayed")),
    }
}

pub(super) fn checked_name(text: &str) -> Result<PgName, AppError> {
    let mut fields = FieldErrors::new();
    let name = pg_name(&mut fields, "name", text);
    fields.finish()?;
    name.ok_or_else(|| AppError::field("name", "is not a name"))
}

async fn find(tx: &mut TenantTx, database: DatabaseId, id: RoleId) -> Result<RoleRow, AppError> {
    role::list(tx, database)
        .await?
        .into_iter()
        .find(|role| role.id == id)
        .ok_or_else(|| AppError::not_found("role", id))
}
