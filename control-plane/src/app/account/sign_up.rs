//! Signing up, and proving the address.

use crate::app::account::throttle::{Rule, attempt};
use crate::app::account::{
    DISPLAY_NAME_CHARACTERS_MAX, LoggedIn, Visitor, check_password, checked_email, log_out,
    mailed::{self, Wish},
    session,
};
use crate::app::audit::AuditAction;
use crate::app::billing;
use crate::app::change::new_audit_event;
use crate::app::validate::FieldErrors;
use crate::app::{Actor, AppError, Caller, OrganizationRole, Platform, ProblemType};
use crate::identity::secret_token;
use crate::store::organization::{self, OrganizationRow};
use crate::store::project::{self, ProjectRow};
use crate::store::user::{self, LinkPurpose, UserRow};
use crate::store::{IdentityTx, StoreError, audit};
use lumadb_contract::id::{OrganizationId, ProjectId, SessionId, UserId};
use lumadb_contract::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

const WINDOW: Duration = Duration::hours(1);

/// Name of the project that everybody starts with.
const FIRST_PROJECT: &str = "Default";

/// Somebody who wants an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    pub password: Secret,
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    pub display_name: String,
}

/// Makes an account with an organization and a project, and mails a link that proves the address.
/// A known address is answered alike; its owner gets a mail that says so.
pub async fn sign_up(
    platform: &Platform,
    visitor: &Visitor,
    input: SignUp,
) -> Result<(), AppError> {
    let mut fields = FieldErrors::new();
    let email = checked_email(&mut fields, &input.email);
    check_password(&mut fields, "password", &input.password);
    let display_name = fields.display_name(
        "display_name",
        &input.display_name,
        DISPLAY_NAME_CHARACTERS_MAX,
    );
    fields.finish()?;
    let limits = platform.settings.limits;
    let sign_ups = limits.sign_ups_per_address;
    let mails = limits.mails_per_account;
    attempt(
        platform,
        vec![
            Rule::address("sign_up_address", visitor.client_address, sign_ups, WINDOW),
            Rule::new("mail_account", &email, mails, WINDOW),
        ],
    )
    .await?;
    let password_hash = platform
        .passwords
        .hash(&input.password)
        .await
        .map_err(AppError::internal)?;
    let user = UserRow {
        id: UserId::from_uuid(platform.clock.new_uuid()),
        email,
        display_name,
        password_hash,
        email_verified_at: None,
        created_at: platform.clock.now(),
    };
    let mut tx = platform.store.identity(None, Some(&user.email)).await?;
    if user::insert(&mut tx, &user).await? {
        tx.become_user(user.id).await?;
        first_organization(platform, &mut tx, visitor, &user).await?;
        mailed::send_verification(platform, &mut tx, &user, None).await?;
    } else {
        again(platform, &mut tx, &user).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Somebody signed up with an address that has an account.
async fn again(platform: &Platform, tx: &mut IdentityTx, wished: &UserRow) -> Result<(), AppError> {
    let known = user::find_by_email(tx, &wished.email)
        .await?
        .ok_or_else(|| StoreError::Corrupt("an address is taken by nobody".into()))?;
    tx.become_user(known.id).await?;
    if known.email_verified_at.is_some() {
        return mailed::send_known(platform, tx, &known).await;
    }
    let wish = Wish {
        password_hash: &wished.password_hash,
        display_name: &wished.display_name,
    };
    mailed::send_verification(platform, tx, &known, Some(wish)).await
}

async fn first_organization(
    platform: &Platform,
    tx: &mut IdentityTx,
    visitor: &Visitor,
    user: &UserRow,
) -> Result<(), AppError> {
    let organization = OrganizationRow {
        id: OrganizationId::from_uuid(platform.clock.new_uuid()),
        name: user.display_name.clone(),
        plan_id: platform.settings.default_plan.clone(),
        revision: 1,
        created_at: user.created_at,
    };
    organization::insert(tx, &organization, user.id, OrganizationRole::Owner).await?;
    let project = ProjectRow {
        id: ProjectId::from_uuid(platform.clock.new_uuid()),
        organization_id: organization.id,
        name: FIRST_PROJECT.into(),
        revision: 1,
        created_at: user.created_at,
    };
    project::insert_as_identity(tx, &project).await?;
    let caller = Caller {
        user: user.id,
        // A sign-up has no session yet; the event names the user.
        actor: Actor::Session(SessionId::from_uuid(Uuid::nil())),
        client_address: visitor.client_address,
    };
    billing::start(platform, tx, &organization, &caller.name()).await?;
    let details = json!({ "name": organization.name, "plan_id": organization.plan_id });
    let event = new_audit_event(
        platform,
        &caller,
        AuditAction::OrganizationCreate,
        organization.id,
        details,
    );
    audit::insert_as_identity(tx, organization.id, &event).await?;
    Ok(())
}

/// The secret of a mailed link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    #[schema(value_type = String, max_length = 128)]
    pub token: Secret,
}

/// Uses a mailed link up: the address is the user's, who is logged in by it.
pub async fn verify_email(
    platform: &Platform,
    visitor: &Visitor,
    input: VerifyEmail,
) -> Result<LoggedIn, AppError> {
    let hash = secret_token::hash(input.token.expose());
    let now = platform.clock.now();
    let mut tx = platform.store.identity(None, Some(&hash)).await?;
    let link = user::use_link(&mut tx, &hash, LinkPurpose::VerifyEmail, now)
        .await?
        .ok_or_else(link_gone)?;
    tx.become_user(link.user).await?;
    user::verify(
        &mut tx,
        link.user,
        link.password_hash.as_deref(),
        link.display_name.as_deref(),
        now,
    )
    .await?;
    user::expire_links(&mut tx, link.user, LinkPurpose::VerifyEmail, now).await?;
    let user = user::find(&mut tx, link.user)
        .await?
        .ok_or_else(|| StoreError::Corrupt("a link belongs to nobody".into()))?;
    let logged_in = session::open(platform, &mut tx, visitor, user).await?;
    tx.commit().await?;
    log_out(platform, visitor.earlier_session.as_ref()).await?;
    Ok(logged_in)
}

/// Alike for a link that never was: it tells nothing about those that are.
pub(super) fn link_gone() -> AppError {
    AppError::rejected(
        ProblemType::Gone,
        "This link was used already or has expired. Ask for a new one.",
    )
}
