//! What a caller may know of itself.

use crate::app::account::UserView;
use crate::app::{Actor, AppError, Caller, OrganizationRole, Platform, ProblemType};
use crate::store::organization::{self, MembershipRow};
use crate::store::{StoreError, user};
use lumadb_contract::id::{OrganizationId, ProjectId};
use serde::Serialize;
use utoipa::ToSchema;

/// The caller, and where it belongs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub user: UserView,
    /// A token sees its own organization alone.
    pub organizations: Vec<MembershipView>,
    /// Where this request came from: the address of the caller's network, such as allowed networks
    /// may name.
    #[schema(required = true)]
    pub client_address: Option<String>,
}

/// An organization that the caller belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct MembershipView {
    pub id: OrganizationId,
    pub name: String,
    pub role: OrganizationRole,
    pub plan_id: String,
    /// Its first project.
    pub default_project_id: Option<ProjectId>,
}

fn view(row: MembershipRow) -> Result<MembershipView, StoreError> {
    let role = row.role.parse().map_err(|_| {
        StoreError::Corrupt(format!("`{}` is no role of an organization", row.role))
    })?;
    Ok(MembershipView {
        id: row.id,
        name: row.name,
        role,
        plan_id: row.plan_id,
        default_project_id: row.default_project_id,
    })
}

pub async fn me(platform: &Platform, caller: &Caller) -> Result<Me, AppError> {
    let mut tx = platform.store.identity(Some(caller.user), None).await?;
    let user = user::find(&mut tx, caller.user)
        .await?
        .ok_or_else(|| AppError::rejected(ProblemType::Unauthenticated, "This user is gone."))?;
    let mut rows = organization::list_of_user(&mut tx).await?;
    tx.commit().await?;
    if let Actor::Token { organization, .. } = caller.actor {
        rows.retain(|row| row.id == organization);
    }
    Ok(Me {
        user: UserView::from(user),
        organizations: rows.into_iter().map(view).collect::<Result<_, _>>()?,
        client_address: caller.client_address.map(|address| address.to_string()),
    })
}
