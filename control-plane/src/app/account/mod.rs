//! People: signing up, logging in and out, and what they show us to be known again.
//!
//! Invariants:
//! - An answer never tells whether an address has an account: known and unknown ones are answered
//!   alike, after the same work.
//! - A session's secret is new at each log-in; the one that the browser had before ends.
//! - What is mailed rides the transaction that causes it.

mod authenticate;
mod log_in;
mod mailed;
mod profile;
mod reset;
mod session;
mod sign_up;
mod throttle;

pub use authenticate::{authenticate_session, authenticate_token};
pub use log_in::{LogIn, log_in};
pub use profile::{PasswordChange, UserUpdate, password_change, user_update};
pub use reset::{PasswordReset, PasswordResetConfirm, password_reset, password_reset_confirm};
pub use session::{SessionView, log_out, session_delete, session_list};
pub use sign_up::{SignUp, VerifyEmail, sign_up, verify_email};

use crate::app::validate::FieldErrors;
use crate::identity::password;
use crate::store::user::UserRow;
use lumadb_contract::id::UserId;
use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Longest name of a person, characters.
pub const DISPLAY_NAME_CHARACTERS_MAX: usize = 100;

/// Longest e-mail address, bytes (RFC 5321 with its erratum 1690).
const EMAIL_BYTES_MAX: usize = 254;

/// Somebody who is not known yet.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    pub client_address: Option<IpAddr>,
    pub user_agent: String,
    /// The session that its browser still shows; it ends at a log-in.
    pub earlier_session: Option<Secret>,
}

/// A person who is logged in now.
#[derive(Debug)]
pub struct LoggedIn {
    pub user: UserView,
    /// For the browser's cookie.
    pub session_secret: Secret,
}

/// A person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserView {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<UserRow> for UserView {
    fn from(user: UserRow) -> Self {
        Self {
            id: user.id,
            email: user.email,
            display_name: user.display_name,
            created_at: user.created_at,
        }
    }
}

/// An address as we compare it: trimmed and in lower case. `None`: nobody can have it.
fn normalized_email(text: &str) -> Option<String> {
    let email = text.trim().to_ascii_lowercase();
    let plausible = email.is_ascii()
        && email.len() <= EMAIL_BYTES_MAX
        && email.parse::<lettre::Address>().is_ok();
    plausible.then_some(email)
}

fn checked_email(fields: &mut FieldErrors, text: &str) -> String {
    normalized_email(text).unwrap_or_else(|| {
        fields.add("email", "is not an e-mail address");
        String::new()
    })
}

fn check_password(fields: &mut FieldErrors, field: &str, password: &Secret) {
    let (min, max) = (password::CHARACTERS_MIN, password::CHARACTERS_MAX);
    let length = password.expose().chars().count();
    fields.check(
        field,
        (min..=max).contains(&length),
        format!("has {min} to {max} characters"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_one_form() {
        let normal = |text| normalized_email(text);
        assert_eq!(normal(" Ada@Example.COM "), Some("ada@example.com".into()));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@exa mple.com",
            "ädä@example.com",
        ] {
            assert_eq!(normal(bad), None, "{bad}");
        }
        assert_eq!(normal(&format!("{}@example.com", "a".repeat(250))), None);
    }
}
