//! Whether a webhook comes from Stripe.
//!
//! The header `Stripe-Signature` holds a time and HMAC-SHA256 signatures (`v1`) of that time and
//! the body as it came: `t=1,v1=…,v1=…`. Two secrets may sign for a while when one is replaced.

use hmac::{Hmac, KeyInit, Mac};
use lumadb_contract::secret::Secret;
use sha2::Sha256;

/// How old a signature may be, and how far ahead, seconds.
const TOLERANCE_SECONDS: i64 = 300;

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("the Stripe-Signature header is missing or cannot be read")]
    Unreadable,
    #[error("the signature does not fit the body")]
    Wrong,
    #[error("the signature is more than {TOLERANCE_SECONDS} seconds away from now")]
    Stale,
}

/// Checks the signature of a body; `now` in seconds since 1970.
///
/// # Errors
/// It was not signed with this secret, or not now.
pub fn verify(secret: &Secret, header: &str, body: &[u8], now: i64) -> Result<(), Forged> {
    let mut at = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", time)) => at = Some(time.parse::<i64>().map_err(|_| Forged::Unreadable)?),
            Some(("v1", signature)) => {
                let signature = data_encoding::HEXLOWER.decode(signature.as_bytes());
                signatures.push(signature.map_err(|_| Forged::Unreadable)?);
            }
            _ => {}
        }
    }
    let at = at.ok_or(Forged::Unreadable)?;
    if signatures.is_empty() {
        return Err(Forged::Unreadable);
    }
    let key = secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Forged::Wrong)?;
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    let fits = |signature: &Vec<u8>| mac.clone().verify_slice(signature).is_ok();
    if !signatures.iter().any(fits) {
        return Err(Forged::Wrong);
    }
    if (now - at).abs() > TOLERANCE_SECONDS {
        return Err(Forged::Stale);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calculated with `openssl dgst -sha256 -hmac whsec_test` of `1700000000.{}`.
    const SIGNED: &str = "t=1700000000,v1=\
        35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91";

    fn check(header: &str, body: &str, now: i64) -> Result<(), Forged> {
        verify(&Secret::new("whsec_test"), header, body.as_bytes(), now)
    }

    #[test]
    fn a_signature_fits_its_body_its_secret_and_its_time() {
        assert_eq!(check(SIGNED, "{}", 1_700_000_300), Ok(()));
        assert_eq!(check(SIGNED, "{ }", 1_700_000_000), Err(Forged::Wrong));
        assert_eq!(check(SIGNED, "{}", 1_700_000_301), Err(Forged::Stale));
        assert_eq!(check(SIGNED, "{}", 1_699_999_699), Err(Forged::Stale));
        let moved = SIGNED.replace("1700000000", "1700000001");
        assert_eq!(check(&moved, "{}", 1_700_000_000), Err(Forged::Wrong));
        let other = verify(&Secret::new("whsec_other"), SIGNED, b"{}", 1_700_000_000);
        assert_eq!(other, Err(Forged::Wrong));
        let two = SIGNED.replace("v1=", "v1=00,v0=zz,v1=");
        assert_eq!(check(&two, "{}", 1_700_000_000), Ok(()));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_refused() {
        for bad in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=zz", "t=1,v0=00"] {
            assert_eq!(check(bad, "{}", 1), Err(Forged::Unreadable), "{bad}");
        }
    }
}
