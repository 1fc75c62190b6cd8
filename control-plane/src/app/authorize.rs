//! The one way to a tenant's data: find who owns it, what the caller is there, and whether that
//! allows the action.
//!
//! What the caller may not see does not exist (404); what it may see but not do is refused (403).

use crate::app::{Action, Actor, AppError, Caller, Member, Platform, ProblemType};
use crate::store::membership::{self, Located};
use crate::store::{IdentityTx, StoreError};
use lumadb_contract::id::{
    BackupId, DatabaseId, ImportId, InvoiceId, OperationId, OrganizationId, ProjectId,
};

/// What a path names; each belongs to one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Organization(OrganizationId),
    Project(ProjectId),
    Database(DatabaseId),
    Operation(OperationId),
    Backup(BackupId),
    Invoice(InvoiceId),
    Import(ImportId),
}

macro_rules! from_id {
    ($id:ident, $variant:ident) => {
        impl From<$id> for Resource {
            fn from(id: $id) -> Self {
                Self::$variant(id)
            }
        }
    };
}

from_id!(OrganizationId, Organization);
from_id!(ProjectId, Project);
from_id!(DatabaseId, Database);
from_id!(OperationId, Operation);
from_id!(BackupId, Backup);
from_id!(InvoiceId, Invoice);
from_id!(ImportId, Import);

impl Resource {
    async fn locate(self, tx: &mut IdentityTx) -> Result<Option<Located>, StoreError> {
        match self {
            Self::Organization(id) => membership::organization_locate(tx, id).await,
            Self::Project(id) => membership::project_locate(tx, id).await,
            Self::Database(id) => membership::database_locate(tx, id).await,
            Self::Operation(id) => membership::operation_locate(tx, id).await,
            Self::Backup(id) => membership::backup_locate(tx, id).await,
            Self::Invoice(id) => membership::invoice_locate(tx, id).await,
            Self::Import(id) => membership::import_locate(tx, id).await,
        }
    }

    fn not_found(self) -> AppError {
        match self {
            Self::Organization(id) => AppError::not_found("organization", id),
            Self::Project(id) => AppError::not_found("project", id),
            Self::Database(id) => AppError::not_found("database", id),
            Self::Operation(id) => AppError::not_found("operation", id),
            Self::Backup(id) => AppError::not_found("backup", id),
            Self::Invoice(id) => AppError::not_found("invoice", id),
            Self::Import(id) => AppError::not_found("import", id),
        }
    }
}

/// The caller as a member of the organization that owns the resource, if it may do this there.
pub async fn authorize(
    platform: &Platform,
    caller: &Caller,
    resource: impl Into<Resource>,
    action: Action,
) -> Result<Member, AppError> {
    let resource = resource.into();
    let mut tx = platform.store.identity(Some(caller.user), None).await?;
    let located = resource.locate(&mut tx).await?;
    tx.commit().await?;
    let member = located
        .and_then(|located| member(caller, located))
        .ok_or_else(|| resource.not_found())?;
    if member.may(action) {
        return Ok(member);
    }
    let detail = if member.read_only && !action.is_read() {
        "This token may only read."
    } else {
        "Your role in this organization does not allow it."
    };
    Err(AppError::rejected(ProblemType::Forbidden, detail))
}

/// `None` for a token of another organization: to it there is only its own.
fn member(caller: &Caller, located: Located) -> Option<Member> {
    let read_only = match caller.actor {
        Actor::Session(_) => false,
        Actor::Token {
            organization,
            read_only,
            ..
        } => {
            if organization != located.organization {
                return None;
            }
            read_only
        }
    };
    Some(Member {
        organization: located.organization,
        role: located.role,
        read_only,
    })
}

/// Refuses a token: what it would do belongs to a person who logged in.
pub fn require_session(caller: &Caller) -> Result<lumadb_contract::id::SessionId, AppError> {
    match caller.actor {
        Actor::Session(session) => Ok(session),
        Actor::Token { .. } => Err(AppError::rejected(
            ProblemType::Forbidden,
            "A token may not do this: log in.",
        )),
    }
}
