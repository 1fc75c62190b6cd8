//! Logging in.

use crate::app::account::throttle::{Rule, attempt};
use crate::app::account::{LoggedIn, Visitor, log_out, mailed, normalized_email, session};
use crate::app::{AppError, Platform, ProblemType};
use crate::store::user::{self, UserRow};
use lumadb_contract::secret::Secret;
use serde::Deserialize;
use time::Duration;
use utoipa::ToSchema;

const WINDOW: Duration = Duration::minutes(15);
const MAIL_WINDOW: Duration = Duration::hours(1);

/// What a person types to be known again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
}

pub async fn log_in(
    platform: &Platform,
    visitor: &Visitor,
    input: LogIn,
) -> Result<LoggedIn, AppError> {
    // What nobody can have is treated like an address that nobody has.
    let email = normalized_email(&input.email).unwrap_or_default();
    let limits = platform.settings.limits;
    let account = limits.log_in_failures_per_account;
    let address = limits.log_in_failures_per_address;
    let attempt = attempt(
        platform,
        vec![
            Rule::new("log_in_account", &email, account, WINDOW),
            Rule::address("log_in_address", visitor.client_address, address, WINDOW),
        ],
    )
    .await?;
    let mut tx = platform.store.identity(None, Some(&email)).await?;
    let found = user::find_by_email(&mut tx, &email).await?;
    tx.commit().await?;
    let hash = found.as_ref().map(|user| user.password_hash.as_str());
    let matches = platform
        .passwords
        .verify(&input.password, hash)
        .await
        .map_err(AppError::internal)?;
    let Some(user) = found.filter(|_| matches) else {
        return Err(AppError::rejected(
            ProblemType::Unauthenticated,
            "The e-mail address or the password is wrong.",
        ));
    };
    attempt.forgive(platform).await?;
    if user.email_verified_at.is_none() {
        return Err(refuse_unverified(platform, &user).await?);
    }
    let mut tx = platform.store.identity(Some(user.id), None).await?;
    let logged_in = session::open(platform, &mut tx, visitor, user).await?;
    tx.commit().await?;
    log_out(platform, visitor.earlier_session.as_ref()).await?;
    Ok(logged_in)
}

/// Mails the link once more, unless that happened often just now.
async fn refuse_unverified(platform: &Platform, user: &UserRow) -> Result<AppError, AppError> {
    let mails_max = platform.settings.limits.mails_per_account;
    let rule = Rule::new("mail_account", &user.email, mails_max, MAIL_WINDOW);
    let detail = match attempt(platform, vec![rule]).await {
        Ok(_) => {
            let mut tx = platform.store.identity(Some(user.id), None).await?;
            mailed::send_verification(platform, &mut tx, user, None).await?;
            tx.commit().await?;
            "We have sent you the link once more: open it to verify your address."
        }
        Err(error) if error.problem() == ProblemType::RateLimited => {
            "Open the link that we have sent you to verify your address."
        }
        Err(error) => return Err(error),
    };
    Ok(AppError::rejected(ProblemType::EmailNotVerified, detail))
}
