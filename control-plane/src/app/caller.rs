//! Who calls, and what they may do.

use lumadb_contract::id::{ApiTokenId, OrganizationId, SessionId, UserId};
use std::net::IpAddr;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: UserId,
    pub actor: Actor,
    /// Address of the client, behind trusted proxies only.
    pub client_address: Option<IpAddr>,
}

/// By what means the caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    Session(SessionId),
    /// Acts in this organization alone, at most as far as its maker may.
    Token {
        token: ApiTokenId,
        organization: OrganizationId,
        read_only: bool,
    },
}

impl Caller {
    /// As it stands in audit events and idempotency records: `usr_…` or `tok_…`.
    pub fn name(&self) -> String {
        match self.actor {
            Actor::Session(_) => self.user.to_string(),
            Actor::Token { token, .. } => token.to_string(),
        }
    }
}

/// A caller that was found to belong to an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub organization: OrganizationId,
    pub role: OrganizationRole,
    pub read_only: bool,
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationRole {
    Viewer,
    Billing,
    Member,
    Admin,
    Owner,
}

/// Everything that can be allowed or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    OrganizationRead,
    OrganizationUpdate,
    ProjectRead,
    ProjectWrite,
    TokenRead,
    TokenWrite,
    AuditRead,
    DatabaseRead,
    /// Create, rename, resize, suspend, resume.
    DatabaseWrite,
    DatabaseDelete,
    /// Passwords and connection strings with a password; the SQL editor.
    DatabaseConnect,
    RoleWrite,
    UsageRead,
    /// Invoices, the running one, and what the organization pays as.
    BillingRead,
    /// The plan, the address, the spend cap and budgets.
    BillingWrite,
}

impl OrganizationRole {
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Billing,
        Self::Member,
        Self::Admin,
        Self::Owner,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Billing => "billing",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such role")]
pub struct UnknownRole;

impl std::str::FromStr for OrganizationRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

impl Member {
    /// The whole of what each role may do; what is not named is refused.
    pub const fn may(self, action: Action) -> bool {
        use OrganizationRole::{Admin, Billing, Member, Owner, Viewer};
        if self.read_only && !action.is_read() {
            return false;
        }
        match (action, self.role) {
            (_, Owner) => true,
            (
                Action::OrganizationUpdate
                | Action::AuditRead
                | Action::TokenRead
                | Action::TokenWrite,
                role,
            ) => {
                matches!(role, Admin)
            }
            (Action::BillingRead | Action::BillingWrite, role) => matches!(role, Admin | Billing),
            (
                Action::OrganizationRead
                | Action::UsageRead
                | Action::ProjectRead
                | Action::DatabaseRead,
                role,
            ) => {
                matches!(role, Admin | Member | Billing | Viewer)
            }
            (
                Action::ProjectWrite
                | Action::DatabaseWrite
                | Action::DatabaseDelete
                | Action::DatabaseConnect
                | Action::RoleWrite,
                role,
            ) => matches!(role, Admin | Member),
        }
    }
}

impl Action {
    /// Whether it changes nothing and reveals no secret.
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Self::OrganizationRead
                | Self::ProjectRead
                | Self::TokenRead
                | Self::AuditRead
                | Self::DatabaseRead
                | Self::UsageRead
                | Self::BillingRead
        )
    }
}
