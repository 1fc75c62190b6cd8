//! Setting a new password by a mailed link.

use crate::app::account::sign_up::link_gone;
use crate::app::account::throttle::{Rule, attempt};
use crate::app::account::{Visitor, check_password, checked_email, mailed, session};
use crate::app::audit::AuditAction;
use crate::app::validate::FieldErrors;
use crate::app::{AppError, Platform};
use crate::identity::secret_token;
use crate::store::user::{self, LinkPurpose};
use crate::store::{StoreError, session as sessions};
use lumadb_contract::id::SessionId;
use lumadb_contract::secret::Secret;
use serde::Deserialize;
use time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

const WINDOW: Duration = Duration::hours(1);

/// Whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    #[schema(format = "email", max_length = 254)]
    pub email: String,
}

/// Mails a link, if the address has an account.
pub async fn password_reset(
    platform: &Platform,
    visitor: &Visitor,
    input: PasswordReset,
) -> Result<(), AppError> {
    let mut fields = FieldErrors::new();
    let email = checked_email(&mut fields, &input.email);
    fields.finish()?;
    let limits = platform.settings.limits;
    let resets = limits.resets_per_address;
    let mails = limits.mails_per_account;
    attempt(
        platform,
        vec![
            Rule::address("reset_address", visitor.client_address, resets, WINDOW),
            Rule::new("mail_account", &email, mails, WINDOW),
        ],
    )
    .await?;
    let mut tx = platform.store.identity(None, Some(&email)).await?;
    if let Some(user) = user::find_by_email(&mut tx, &email).await? {
        tx.become_user(user.id).await?;
        mailed::send_reset(platform, &mut tx, &user).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// A new password, with the secret of the mailed link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetConfirm {
    #[schema(value_type = String, max_length = 128)]
    pub token: Secret,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    pub password: Secret,
}

/// Uses the link up and sets the password; every session of the user ends.
pub async fn password_reset_confirm(
    platform: &Platform,
    visitor: &Visitor,
    input: PasswordResetConfirm,
) -> Result<(), AppError> {
    let mut fields = FieldErrors::new();
    check_password(&mut fields, "password", &input.password);
    fields.finish()?;
    let password_hash = platform
        .passwords
        .hash(&input.password)
        .await
        .map_err(AppError::internal)?;
    let hash = secret_token::hash(input.token.expose());
    let now = platform.clock.now();
    let mut tx = platform.store.identity(None, Some(&hash)).await?;
    let link = user::use_link(&mut tx, &hash, LinkPurpose::ResetPassword, now)
        .await?
        .ok_or_else(link_gone)?;
    tx.become_user(link.user).await?;
    // Who can read the mails owns the address, whether or not that was proved before.
    user::verify(&mut tx, link.user, Some(&password_hash), None, now).await?;
    for purpose in [LinkPurpose::ResetPassword, LinkPurpose::VerifyEmail] {
        user::expire_links(&mut tx, link.user, purpose, now).await?;
    }
    sessions::delete_all(&mut tx, link.user).await?;
    let user = user::find(&mut tx, link.user)
        .await?
        .ok_or_else(|| StoreError::Corrupt("a link belongs to nobody".into()))?;
    let nobody = SessionId::from_uuid(Uuid::nil());
    session::record(
        platform,
        &mut tx,
        visitor,
        user.id,
        AuditAction::UserPasswordReset,
        nobody,
    )
    .await?;
    mailed::send_password_changed(platform, &mut tx, &user).await?;
    tx.commit().await?;
    Ok(())
}
