//! Short-lived tokens between our own services: JWT signed with Ed25519.

use crate::clock::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use lumadb_contract::service_token::{
    EdgeClaims, LIFETIME_SECONDS_MAX, REGION_LIFETIME_SECONDS_MAX, RegionClaims, SqlClaims,
    audience, issuer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use time::OffsetDateTime;

/// Life of a token that we sign, seconds.
const LIFETIME_SECONDS: u64 = 60;

/// How far two machines' clocks may differ, seconds.
const LEEWAY_SECONDS: u64 = 5;

#[derive(Debug, thiserror::Error)]
pub enum ServiceTokenError {
    #[error("the key {path} cannot be read: {source}")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("a key for service tokens is Ed25519 in PEM: {0}")]
    Malformed(jsonwebtoken::errors::Error),
    #[error("a service token could not be signed: {0}")]
    NotSigned(jsonwebtoken::errors::Error),
    #[error("the service token is refused: {0}")]
    Refused(jsonwebtoken::errors::Error),
    #[error("the service token is refused: its time is not now")]
    OutOfTime,
}

fn read(path: &Path) -> Result<Vec<u8>, ServiceTokenError> {
    std::fs::read(path).map_err(|source| ServiceTokenError::Unreadable {
        path: path.display().to_string(),
        source,
    })
}

fn seconds(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp()).unwrap_or_default()
}

/// Signs as one of our services.
#[derive(Clone)]
pub struct ServiceSigner(EncodingKey);

impl std::fmt::Debug for ServiceSigner {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ServiceSigner(…)")
    }
}

impl ServiceSigner {
    /// Reads a PKCS#8 private key in PEM.
    pub fn load(path: &Path) -> Result<Self, ServiceTokenError> {
        Self::from_pem(&read(path)?)
    }

    pub fn from_pem(pem: &[u8]) -> Result<Self, ServiceTokenError> {
        EncodingKey::from_ed_pem(pem)
            .map(Self)
            .map_err(ServiceTokenError::Malformed)
    }

    /// For a session of one role of one database, opened by the control plane at an edge.
    pub fn sql(
        &self,
        clock: &Clock,
        database_id: DatabaseId,
        role: PgName,
    ) -> Result<String, ServiceTokenError> {
        let iat = seconds(clock.now());
        self.sign(&SqlClaims {
            iss: issuer::API.into(),
            aud: audience::EDGE_SQL.into(),
            iat,
            exp: iat + LIFETIME_SECONDS,
            database_id,
            role,
        })
    }

    /// For an edge that asks the control plane for the routes of its region.
    pub fn edge(&self, clock: &Clock, region: &str) -> Result<String, ServiceTokenError> {
        let iat = seconds(clock.now());
        self.sign(&EdgeClaims {
            iss: issuer::EDGE.into(),
            aud: audience::EDGE_CONTROL.into(),
            iat,
            exp: iat + LIFETIME_SECONDS,
            region: region.into(),
        })
    }

    /// For the operator of a region's cluster, which hands in what its nodes said.
    pub fn region(&self, clock: &Clock, region: &str) -> Result<String, ServiceTokenError> {
        self.sign_for_cluster(clock, region, audience::REGION_LINK)
    }

    /// For the edges in a region's cluster, which ask for its routes.
    pub fn region_edges(&self, clock: &Clock, region: &str) -> Result<String, ServiceTokenError> {
        self.sign_for_cluster(clock, region, audience::EDGE_CONTROL)
    }

    fn sign_for_cluster(
        &self,
        clock: &Clock,
        region: &str,
        audience: &str,
    ) -> Result<String, ServiceTokenError> {
        let iat = seconds(clock.now());
        self.sign(&RegionClaims {
            iss: issuer::API.into(),
            aud: audience.into(),
            iat,
            exp: iat + REGION_LIFETIME_SECONDS_MAX,
            region: region.into(),
        })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, ServiceTokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.0)
            .map_err(ServiceTokenError::NotSigned)
    }
}

/// Checks what one other service signed.
#[derive(Clone)]
pub struct ServiceVerifier(DecodingKey);

impl std::fmt::Debug for ServiceVerifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ServiceVerifier(…)")
    }
}

impl ServiceVerifier {
    /// Reads a public key in PEM.
    pub fn load(path: &Path) -> Result<Self, ServiceTokenError> {
        Self::from_pem(&read(path)?)
    }

    pub fn from_pem(pem: &[u8]) -> Result<Self, ServiceTokenError> {
        DecodingKey::from_ed_pem(pem)
            .map(Self)
            .map_err(ServiceTokenError::Malformed)
    }

    pub fn edge(&self, clock: &Clock, token: &str) -> Result<EdgeClaims, ServiceTokenError> {
        let claims: EdgeClaims = self.verify(token, issuer::EDGE, audience::EDGE_CONTROL)?;
        in_time(clock, claims.iat, claims.exp, LIFETIME_SECONDS_MAX)?;
        Ok(claims)
    }

    pub fn region(&self, clock: &Clock, token: &str) -> Result<RegionClaims, ServiceTokenError> {
        self.verify_of_cluster(clock, token, audience::REGION_LINK)
    }

    pub fn region_edges(
        &self,
        clock: &Clock,
        token: &str,
    ) -> Result<RegionClaims, ServiceTokenError> {
        self.verify_of_cluster(clock, token, audience::EDGE_CONTROL)
    }

    fn verify_of_cluster(
        &self,
        clock: &Clock,
        token: &str,
        audience: &str,
    ) -> Result<RegionClaims, ServiceTokenError> {
        let claims: RegionClaims = self.verify(token, issuer::API, audience)?;
        in_time(clock, claims.iat, claims.exp, REGION_LIFETIME_SECONDS_MAX)?;
        Ok(claims)
    }

    pub fn sql(&self, clock: &Clock, token: &str) -> Result<SqlClaims, ServiceTokenError> {
        let claims: SqlClaims = self.verify(token, issuer::API, audience::EDGE_SQL)?;
        in_time(clock, claims.iat, claims.exp, LIFETIME_SECONDS_MAX)?;
        Ok(claims)
    }

    fn verify<T: DeserializeOwned + Clone>(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
    ) -> Result<T, ServiceTokenError> {
        let mut rules = Validation::new(Algorithm::EdDSA);
        // A token without an audience would pass if it were not required by name.
        rules.set_required_spec_claims(&["exp", "aud", "iss"]);
        rules.set_audience(&[audience]);
        rules.set_issuer(&[issuer]);
        // The library reads the wall clock; `in_time` reads ours.
        rules.validate_exp = false;
        jsonwebtoken::decode::<T>(token, &self.0, &rules)
            .map(|data| data.claims)
            .map_err(ServiceTokenError::Refused)
    }
}

fn in_time(
    clock: &Clock,
    iat: u64,
    exp: u64,
    lifetime_seconds_max: u64,
) -> Result<(), ServiceTokenError> {
    let now = seconds(clock.now());
    let begun = iat <= now + LEEWAY_SECONDS;
    let alive = now < exp + LEEWAY_SECONDS;
    let short = exp.saturating_sub(iat) <= lifetime_seconds_max;
    if begun && alive && short {
        Ok(())
    } else {
        Err(ServiceTokenError::OutOfTime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use time::macros::datetime;

    fn pair() -> (ServiceSigner, ServiceVerifier, Vec<u8>) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let public = key.public_key_pem();
        (
            ServiceSigner::from_pem(key.serialize_pem().as_bytes()).expect("private key"),
            ServiceVerifier::from_pem(public.as_bytes()).expect("public key"),
            public.into_bytes(),
        )
    }

    fn clock() -> Clock {
        Clock::manual(datetime!(2026-11-23 12:00 UTC))
    }

    fn claims(clock: &Clock) -> Value {
        let now = seconds(clock.now());
        json!({ "iss": issuer::EDGE, "aud": audience::EDGE_CONTROL, "iat": now, "exp": now + 60,
                "region": "local" })
    }

    #[test]
    fn a_token_is_good_for_its_audience_and_for_a_minute() {
        let (signer, verifier, _) = pair();
        let clock = clock();
        let token = signer.edge(&clock, "local").expect("signed");
        assert_eq!(verifier.edge(&clock, &token).expect("good").region, "local");
        assert!(verifier.sql(&clock, &token).is_err());
        let (_, stranger, _) = pair();
        assert!(stranger.edge(&clock, &token).is_err());
        clock.advance(time::Duration::seconds(70));
        assert!(verifier.edge(&clock, &token).is_err());
    }

    #[test]
    fn what_lies_in_a_cluster_is_good_for_one_endpoint_and_for_an_hour() {
        let (signer, verifier, _) = pair();
        let clock = clock();
        let edges = signer.region_edges(&clock, "eu").expect("signed");
        let operator = signer.region(&clock, "eu").expect("signed");
        let claims = verifier.region_edges(&clock, &edges).expect("good");
        assert_eq!(claims.region, "eu");
        assert!(verifier.region(&clock, &edges).is_err());
        assert!(verifier.region_edges(&clock, &operator).is_err());
        assert!(verifier.edge(&clock, &edges).is_err());
        let of_an_edge = signer.edge(&clock, "eu").expect("signed");
        assert!(verifier.region_edges(&clock, &of_an_edge).is_err());
        clock.advance(time::Duration::minutes(61));
        assert!(verifier.region_edges(&clock, &edges).is_err());
    }

    #[test]
    fn a_missing_claim_a_long_life_and_a_future_start_are_refused() {
        let (signer, verifier, _) = pair();
        let clock = clock();
        for missing in ["iss", "aud", "exp", "iat", "region"] {
            let mut claims = claims(&clock);
            claims.as_object_mut().expect("object").remove(missing);
            let token = signer.sign(&claims).expect("signed");
            assert!(verifier.edge(&clock, &token).is_err(), "{missing}");
        }
        let now = seconds(clock.now());
        for (iat, exp) in [
            (now, now + 3600),
            (now + 600, now + 660),
            (now - 90, now - 30),
        ] {
            let mut claims = claims(&clock);
            claims["iat"] = json!(iat);
            claims["exp"] = json!(exp);
            let token = signer.sign(&claims).expect("signed");
            assert!(verifier.edge(&clock, &token).is_err(), "{iat} {exp}");
        }
    }

    #[test]
    fn no_algorithm_and_a_symmetric_one_are_refused() {
        let (_, verifier, public) = pair();
        let clock = clock();
        let body = URL_SAFE_NO_PAD.encode(claims(&clock).to_string());
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        assert!(verifier.edge(&clock, &format!("{none}.{body}.")).is_err());
        let symmetric = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims(&clock),
            &EncodingKey::from_secret(&public),
        )
        .expect("signed");
        assert!(verifier.edge(&clock, &symmetric).is_err());
    }
}
