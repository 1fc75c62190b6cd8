//! Opaque secrets that people and programs show: sessions, links sent by mail, API tokens.

use crate::identity::random::{self, BASE62, NoRandomness};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use lumadb_contract::secret::Secret;

/// What an API token starts with, for secret scanners.
pub const API_TOKEN_PREFIX: &str = "luma_pat_";

const API_TOKEN_RANDOM: usize = 30;
const API_TOKEN_CHECKSUM: usize = 6;

/// How much of an API token is kept in the clear, to recognize it by: the prefix and four more.
const HINT_CHARACTERS: usize = API_TOKEN_PREFIX.len() + 4;

/// 256 random bits in URL-safe base64: for cookies and links.
pub fn opaque() -> Result<Secret, NoRandomness> {
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?)))
}

/// What is stored of a secret: hex SHA-256. The secrets have 178 random bits or more, so a slow
/// hash would protect nothing.
pub fn hash(secret: &str) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}

/// `luma_pat_`, 30 random symbols of base62, and the CRC-32 of these in six.
pub fn api_token() -> Result<Secret, NoRandomness> {
    let random = random::base62(API_TOKEN_RANDOM)?;
    let checksum = checksum(&random);
    Ok(Secret::new(format!("{API_TOKEN_PREFIX}{random}{checksum}")))
}

/// Whether a text can be one of our API tokens: a typing error is told without a query.
pub fn is_api_token(text: &str) -> bool {
    text.strip_prefix(API_TOKEN_PREFIX)
        .filter(|rest| rest.len() == API_TOKEN_RANDOM + API_TOKEN_CHECKSUM)
        .filter(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric()))
        .is_some_and(|rest| checksum(&rest[..API_TOKEN_RANDOM]) == rest[API_TOKEN_RANDOM..])
}

/// The first characters of an API token.
pub fn hint(token: &Secret) -> String {
    token.expose().chars().take(HINT_CHARACTERS).collect()
}

fn checksum(random: &str) -> String {
    let mut rest = crc32fast::hash(random.as_bytes()) as usize;
    let mut digits = [b'0'; API_TOKEN_CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % BASE62.len()];
        rest /= BASE62.len();
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_one_wrong_symbol_is_refused_by_its_checksum() {
        let token = api_token().expect("random");
        let text = token.expose();
        assert_eq!(text.len(), 45);
        assert!(is_api_token(text));
        assert_eq!(hint(&token), text[..13]);
        for index in API_TOKEN_PREFIX.len()..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[index] = if wrong[index] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert!(!is_api_token(&wrong), "{index}");
        }
        assert!(!is_api_token("luma_pat_"));
        assert!(!is_api_token(&format!("{text}0")));
    }

    #[test]
    fn the_format_of_tokens_stays_as_published() {
        let text = format!("{API_TOKEN_PREFIX}{}", "0".repeat(API_TOKEN_RANDOM));
        assert!(is_api_token(&format!(
            "{text}{}",
            checksum(&"0".repeat(30))
        )));
        assert_eq!(hash("abc").len(), 64);
        assert_eq!(opaque().expect("random").expose().len(), 43);
    }
}
