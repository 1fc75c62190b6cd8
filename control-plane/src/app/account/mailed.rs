//! Links that are mailed: made, stored as a hash, and written into the outbox.

use crate::app::{AppError, Platform};
use crate::identity::secret_token;
use crate::notify::{Mail, content};
use crate::store::user::{self, LinkPurpose, NewLink, UserRow};
use crate::store::{IdentityTx, outbox};
use lumadb_contract::id::OutboxId;
use time::Duration;

const VERIFY_LIFE: Duration = Duration::hours(24);
const RESET_LIFE: Duration = Duration::hours(1);

/// What a sign-up with a known address asked for; in force once its own link is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub password_hash: &'a str,
    pub display_name: &'a str,
}

/// Mails a link that proves the address.
pub(super) async fn send_verification(
    platform: &Platform,
    tx: &mut IdentityTx,
    user: &UserRow,
    wish: Option<Wish<'_>>,
) -> Result<(), AppError> {
    let url = make_link(platform, tx, user, LinkPurpose::VerifyEmail, wish).await?;
    let name = wish.map_or(user.display_name.as_str(), |wish| wish.display_name);
    send(platform, tx, content::verify_email(&user.email, name, &url)).await
}

/// Mails a link that sets a new password.
pub(super) async fn send_reset(
    platform: &Platform,
    tx: &mut IdentityTx,
    user: &UserRow,
) -> Result<(), AppError> {
    let url = make_link(platform, tx, user, LinkPurpose::ResetPassword, None).await?;
    let mail = content::reset_password(&user.email, &user.display_name, &url);
    send(platform, tx, mail).await
}

/// Tells the owner of an account that somebody signed up with its address.
pub(super) async fn send_known(
    platform: &Platform,
    tx: &mut IdentityTx,
    user: &UserRow,
) -> Result<(), AppError> {
    let console = &platform.links.console_url;
    let mail = content::account_exists(&user.email, &user.display_name, console);
    send(platform, tx, mail).await
}

/// Tells that the password was changed.
pub(super) async fn send_password_changed(
    platform: &Platform,
    tx: &mut IdentityTx,
    user: &UserRow,
) -> Result<(), AppError> {
    let console = &platform.links.console_url;
    let mail = content::password_changed(&user.email, &user.display_name, console);
    send(platform, tx, mail).await
}

/// Tells that the password was changed by somebody who is logged in.
pub(super) async fn send_password_replaced(
    platform: &Platform,
    tx: &mut IdentityTx,
    user: &UserRow,
) -> Result<(), AppError> {
    let console = &platform.links.console_url;
    let mail = content::password_replaced(&user.email, &user.display_name, console);
    send(platform, tx, mail).await
}

async fn make_link(
    platform: &Platform,
    tx: &mut IdentityTx,
    user: &UserRow,
    purpose: LinkPurpose,
    wish: Option<Wish<'_>>,
) -> Result<String, AppError> {
    let token = secret_token::opaque().map_err(AppError::internal)?;
    let now = platform.clock.now();
    let (page, life) = match purpose {
        LinkPurpose::VerifyEmail => ("verify", VERIFY_LIFE),
        LinkPurpose::ResetPassword => ("reset", RESET_LIFE),
    };
    let link = NewLink {
        token_hash: &secret_token::hash(token.expose()),
        user: user.id,
        purpose,
        password_hash: wish.map(|wish| wish.password_hash),
        display_name: wish.map(|wish| wish.display_name),
        created_at: now,
        expires_at: now + life,
    };
    user::insert_link(tx, &link).await?;
    let console = &platform.links.console_url;
    Ok(format!("{console}/{page}?token={}", token.expose()))
}

async fn send(platform: &Platform, tx: &mut IdentityTx, mail: Mail) -> Result<(), AppError> {
    let id = OutboxId::from_uuid(platform.clock.new_uuid());
    let payload = serde_json::to_value(mail).map_err(AppError::internal)?;
    outbox::insert_mail(tx, id, &payload, platform.clock.now()).await?;
    Ok(())
}
