//! What a person who is logged in changes of itself: its name and its password.

use crate::app::account::throttle::{Rule, attempt};
use crate::app::account::{
    DISPLAY_NAME_CHARACTERS_MAX, UserView, Visitor, check_password, mailed, session,
};
use crate::app::audit::AuditAction;
use crate::app::authorize::require_session;
use crate::app::validate::FieldErrors;
use crate::app::{AppError, Caller, Platform, ProblemType};
use crate::identity::secret_token;
use crate::store::user::{self, LinkPurpose, UserRow};
use crate::store::{IdentityTx, session as sessions};
use lumadb_contract::secret::Secret;
use serde::Deserialize;
use time::Duration;
use utoipa::ToSchema;

const WINDOW: Duration = Duration::minutes(15);

/// What to change of oneself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserUpdate {
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    pub display_name: String,
}

pub async fn user_update(
    platform: &Platform,
    caller: &Caller,
    input: UserUpdate,
) -> Result<UserView, AppError> {
    let session = require_session(caller)?;
    let mut fields = FieldErrors::new();
    let max = DISPLAY_NAME_CHARACTERS_MAX;
    let name = fields.display_name("display_name", &input.display_name, max);
    fields.finish()?;
    let mut tx = platform.store.identity(Some(caller.user), None).await?;
    user::rename(&mut tx, caller.user, &name).await?;
    let user = find(&mut tx, caller).await?;
    let visitor = visitor(caller);
    session::record(
        platform,
        &mut tx,
        &visitor,
        user.id,
        AuditAction::UserUpdate,
        session,
    )
    .await?;
    tx.commit().await?;
    Ok(user.into())
}

/// A new password, and the one that it takes the place of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    #[schema(value_type = String, format = Password)]
    pub current_password: Secret,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    pub new_password: Secret,
}

/// Sets the password; every other session of the person ends. Gives the new secret of this one: who
/// had copied the old one has nothing.
pub async fn password_change(
    platform: &Platform,
    caller: &Caller,
    input: PasswordChange,
) -> Result<Secret, AppError> {
    let current = require_session(caller)?;
    let mut fields = FieldErrors::new();
    check_password(&mut fields, "new_password", &input.new_password);
    fields.check(
        "new_password",
        input.new_password != input.current_password,
        "is the one that you have",
    );
    fields.finish()?;
    let mut tx = platform.store.identity(Some(caller.user), None).await?;
    let before = find(&mut tx, caller).await?;
    tx.commit().await?;
    check_current(platform, &before, &input.current_password).await?;
    let password_hash = platform
        .passwords
        .hash(&input.new_password)
        .await
        .map_err(AppError::internal)?;
    let secret = secret_token::opaque().map_err(AppError::internal)?;
    let token_hash = secret_token::hash(secret.expose());
    let now = platform.clock.now();
    let mut tx = platform.store.identity(Some(caller.user), None).await?;
    let earlier = &before.password_hash;
    if !user::replace_password(&mut tx, caller.user, earlier, &password_hash).await? {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The password was changed in the meantime.",
        ));
    }
    // A link that waits in a mailbox would undo it.
    for purpose in [LinkPurpose::ResetPassword, LinkPurpose::VerifyEmail] {
        user::expire_links(&mut tx, caller.user, purpose, now).await?;
    }
    sessions::delete_others(&mut tx, caller.user, current).await?;
    if !sessions::rotate(&mut tx, caller.user, current, &token_hash).await? {
        return Err(gone());
    }
    let visitor = visitor(caller);
    let action = AuditAction::UserPasswordChange;
    session::record(platform, &mut tx, &visitor, before.id, action, current).await?;
    mailed::send_password_replaced(platform, &mut tx, &before).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Fails unless it is the user's password. Who took over a session must not guess for ever, and
/// must not keep the owner from logging in by guessing: it is counted apart from log-ins.
async fn check_current(
    platform: &Platform,
    user: &UserRow,
    password: &Secret,
) -> Result<(), AppError> {
    let whom = user.id.to_string();
    let max = platform.settings.limits.log_in_failures_per_account;
    // Not forgiven on success: each one sends a mail.
    attempt(
        platform,
        vec![Rule::new("password_change", &whom, max, WINDOW)],
    )
    .await?;
    let matches = platform
        .passwords
        .verify(password, Some(&user.password_hash))
        .await
        .map_err(AppError::internal)?;
    if matches {
        Ok(())
    } else {
        Err(AppError::field("current_password", "is wrong"))
    }
}

async fn find(tx: &mut IdentityTx, caller: &Caller) -> Result<UserRow, AppError> {
    user::find(tx, caller.user).await?.ok_or_else(gone)
}

fn gone() -> AppError {
    AppError::rejected(ProblemType::Unauthenticated, "Log in again.")
}

fn visitor(caller: &Caller) -> Visitor {
    Visitor {
        client_address: caller.client_address,
        ..Visitor::default()
    }
}
