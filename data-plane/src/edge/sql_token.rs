//! Tokens of SQL sessions: the control plane says who runs what, in place of a password.

use super::config::{SqlDoor, SqlEntrance};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use lumadb_contract::service_token::{LIFETIME_SECONDS_MAX, SqlClaims, audience, issuer};
use std::io;
use time::OffsetDateTime;

/// How far two machines' clocks may differ, seconds.
const LEEWAY_SECONDS: u64 = 5;

#[derive(Debug, thiserror::Error)]
pub(super) enum SqlTokenError {
    #[error("the token is refused: {0}")]
    Refused(#[from] jsonwebtoken::errors::Error),
    #[error("the token is refused: its time is not now")]
    OutOfTime,
    #[error("the key of tokens cannot be read: {0}")]
    Key(#[from] io::Error),
}

pub(super) struct SqlTokens(SqlDoor);

impl SqlTokens {
    pub(super) const fn new(door: SqlDoor) -> Self {
        Self(door)
    }

    /// Whether they are shown where clients connect.
    pub(super) const fn come_with_clients(&self) -> bool {
        matches!(self.0.entrance, SqlEntrance::WithClients)
    }

    pub(super) fn check(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<SqlClaims, SqlTokenError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience::EDGE_SQL]);
        validation.set_issuer(&[issuer::API]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // The library reads the system's clock; ours is given.
        validation.validate_exp = false;
        let key = DecodingKey::from_ed_pem(self.0.token_key.read()?.as_bytes())?;
        let claims = jsonwebtoken::decode::<SqlClaims>(token, &key, &validation)?.claims;
        let now = u64::try_from(now.unix_timestamp()).unwrap_or(0);
        let lives = claims.iat <= now + LEEWAY_SECONDS
            && now < claims.exp + LEEWAY_SECONDS
            && claims.exp.saturating_sub(claims.iat) <= LIFETIME_SECONDS_MAX;
        if lives {
            Ok(claims)
        } else {
            Err(SqlTokenError::OutOfTime)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Source;
    use jsonwebtoken::{EncodingKey, Header};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

    fn check(change: impl Fn(&mut SqlClaims), other_key: bool) -> Result<SqlClaims, SqlTokenError> {
        let keys =
            [(); 2].map(|()| rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key"));
        let iat = NOW.unix_timestamp().unsigned_abs();
        let mut claims = SqlClaims {
            iss: issuer::API.into(),
            aud: audience::EDGE_SQL.into(),
            iat,
            exp: iat + 60,
            database_id: "db_01jd8k2m9n0000000000000001".parse().expect("valid"),
            role: "app".parse().expect("valid"),
        };
        change(&mut claims);
        let private = keys[0].serialize_pem();
        let key = EncodingKey::from_ed_pem(private.as_bytes()).expect("a key");
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key);
        let public = keys[usize::from(other_key)].public_key_pem();
        let tokens = SqlTokens::new(SqlDoor {
            entrance: SqlEntrance::WithClients,
            token_key: Source::new(move || Ok(public.clone())),
        });
        tokens.check(&token.expect("signed"), NOW)
    }

    #[test]
    fn a_token_counts_for_its_audience_its_time_and_its_signer_only() {
        assert!(check(|_| (), false).is_ok());
        assert!(check(|_| (), true).is_err());
        assert!(check(|claims| claims.aud = audience::EDGE_CONTROL.into(), false).is_err());
        assert!(check(|claims| claims.iss = issuer::EDGE.into(), false).is_err());
        assert!(check(|claims| claims.exp = claims.iat + 3600, false).is_err());
        let old = |claims: &mut SqlClaims| {
            claims.iat -= 100;
            claims.exp -= 100;
        };
        assert!(check(old, false).is_err());
    }
}
