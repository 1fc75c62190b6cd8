//! Messages that we write ourselves, and the few that we read.

use super::startup::Startup;
use std::borrow::Cow;

/// A message of the engine's side: letter, length, body.
pub fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    out.push(letter);
    out.extend(length_field(body.len()));
    out.extend(body);
    out
}

/// The length field of a body: itself included, saturating (no body of ours comes near).
fn length_field(body_bytes: usize) -> [u8; 4] {
    u32::try_from(body_bytes + 4)
        .unwrap_or(u32::MAX)
        .to_be_bytes()
}

/// A FATAL error for a client: the five-letter SQLSTATE and a text that is safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    pub sqlstate: &'static str,
    pub text: Cow<'static, str>,
}

/// SQLSTATE codes (PostgreSQL's appendix A) that we use.
pub mod sqlstate {
    pub const PROTOCOL_VIOLATION: &str = "08P01";
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const INVALID_AUTHORIZATION: &str = "28000";
    pub const INVALID_PASSWORD: &str = "28P01";
    pub const INVALID_CATALOG_NAME: &str = "3D000";
    pub const TOO_MANY_CONNECTIONS: &str = "53300";
    pub const CONFIGURATION_LIMIT_EXCEEDED: &str = "53400";
    pub const ADMIN_SHUTDOWN: &str = "57P01";
    pub const CANNOT_CONNECT_NOW: &str = "57P03";
}

impl Fatal {
    pub fn new(sqlstate: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            sqlstate,
            text: text.into(),
        }
    }

    /// ErrorResponse with the fields that every driver reads.
    pub fn to_message(&self) -> Vec<u8> {
        error_message(&ErrorFields {
            severity: "FATAL",
            sqlstate: self.sqlstate,
            message: &self.text,
            detail: None,
            hint: None,
        })
    }
}

/// What an ErrorResponse of ours says.
#[derive(Debug, Clone, Copy)]
pub struct ErrorFields<'a> {
    /// `ERROR`, or `FATAL` when the connection ends with it.
    pub severity: &'static str,
    pub sqlstate: &'static str,
    pub message: &'a str,
    pub detail: Option<&'a str>,
    pub hint: Option<&'a str>,
}

/// ErrorResponse.
pub fn error_message(fields: &ErrorFields<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(fields.message.len() + 40);
    for (field, value) in [
        (b'S', Some(fields.severity)),
        (b'V', Some(fields.severity)),
        (b'C', Some(fields.sqlstate)),
        (b'M', Some(fields.message)),
        (b'D', fields.detail),
        (b'H', fields.hint),
    ] {
        let Some(value) = value else { continue };
        body.push(field);
        body.extend(value.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    body.push(0);
    message(b'E', &body)
}

/// ReadyForQuery of a session without a transaction.
pub fn ready_for_query() -> Vec<u8> {
    message(b'Z', b"I")
}

/// The SQLSTATE of an ErrorResponse's body.
pub fn error_sqlstate(body: &[u8]) -> Option<&[u8]> {
    body.split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(b"C"))
}

/// `AuthenticationSASL` with the mechanisms offered, best first.
pub fn authentication_sasl(mechanisms: &[&str]) -> Vec<u8> {
    let mut body = 10_u32.to_be_bytes().to_vec();
    for mechanism in mechanisms {
        body.extend(mechanism.as_bytes());
        body.push(0);
    }
    body.push(0);
    message(b'R', &body)
}

/// `AuthenticationSASLContinue`.
pub fn authentication_sasl_continue(data: &str) -> Vec<u8> {
    message(b'R', &[&11_u32.to_be_bytes()[..], data.as_bytes()].concat())
}

/// `AuthenticationSASLFinal`.
pub fn authentication_sasl_final(data: &str) -> Vec<u8> {
    message(b'R', &[&12_u32.to_be_bytes()[..], data.as_bytes()].concat())
}

/// `NegotiateProtocolVersion`: the newest minor version that we speak (of protocol 3), and the
/// protocol options that we do not know.
pub fn negotiate_protocol_version(minor: u16, unknown_options: &[&str]) -> Vec<u8> {
    let version = (3_u32 << 16) | u32::from(minor);
    let mut body = version.to_be_bytes().to_vec();
    body.extend(
        u32::try_from(unknown_options.len())
            .unwrap_or(0)
            .to_be_bytes(),
    );
    for option in unknown_options {
        body.extend(option.as_bytes());
        body.push(0);
    }
    message(b'v', &body)
}

/// `BackendKeyData`.
pub fn backend_key_data(process_id: i32, secret: &[u8]) -> Vec<u8> {
    message(b'K', &[&process_id.to_be_bytes()[..], secret].concat())
}

/// A start-up packet for the engine.
pub fn startup_packet(startup: &Startup) -> Vec<u8> {
    let version = (3_u32 << 16) | u32::from(startup.minor);
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in &startup.parameters {
        for text in [name, value] {
            body.extend(text.bytes().filter(|byte| *byte != 0));
            body.push(0);
        }
    }
    body.push(0);
    [&length_field(body.len())[..], &body].concat()
}

/// A cancel request for the engine.
pub fn cancel_packet(process_id: i32, secret: &[u8]) -> Vec<u8> {
    let body = [
        &super::startup::CANCEL_CODE.to_be_bytes()[..],
        &process_id.to_be_bytes(),
        secret,
    ]
    .concat();
    [&length_field(body.len())[..], &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_written_as_drivers_read_it() {
        let error = Fatal::new(sqlstate::TOO_MANY_CONNECTIONS, "too many\0 connections");
        let bytes = error.to_message();
        assert_eq!(bytes[0], b'E');
        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        assert_eq!(length as usize, bytes.len() - 1);
        assert_eq!(error_sqlstate(&bytes[5..]), Some(&b"53300"[..]));
        assert!(bytes.ends_with(b"Mtoo many connections\0\0"));
    }
}
