//! Random secrets, from the operating system's generator.

use aws_lc_rs::rand;
use lumadb_contract::secret::Secret;

/// The generator of the operating system failed; nothing that needs a secret can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// 62 symbols that need no escaping in a URL, a shell or a configuration file.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of a generated role password, characters: 62^28 is more than 2^166.
pub const PASSWORD_CHARACTERS: usize = 28;

pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| NoRandomness)?;
    Ok(out)
}

/// `length` symbols of [`BASE62`], each equally likely.
pub fn base62(length: usize) -> Result<String, NoRandomness> {
    // Bytes from 248 on would make the first symbols likelier than the rest.
    const BOUND: u8 = 248;
    let mut out = String::with_capacity(length);
    while out.len() < length {
        for byte in bytes::<32>()? {
            if byte < BOUND && out.len() < length {
                out.push(char::from(BASE62[usize::from(byte) % BASE62.len()]));
            }
        }
    }
    Ok(out)
}

/// A password for a login role; connection strings can hold it as it is.
pub fn role_password() -> Result<Secret, NoRandomness> {
    base62(PASSWORD_CHARACTERS).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_need_no_escaping_and_do_not_repeat() {
        let first = role_password().expect("random");
        let second = role_password().expect("random");
        assert_eq!(first.expose().len(), PASSWORD_CHARACTERS);
        assert!(first.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(first, second);
    }

    #[test]
    fn every_symbol_is_drawn() {
        let text = base62(10_000).expect("random");
        assert!(BASE62.iter().all(|s| text.bytes().any(|b| b == *s)));
    }
}
