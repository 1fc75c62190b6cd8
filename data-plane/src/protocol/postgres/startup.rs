//! The first packet of a connection: pure parsing, with PostgreSQL's own limits and texts.

use super::wire::{Fatal, sqlstate};

/// Longest start-up packet, bytes, its length field included (`MAX_STARTUP_PACKET_LENGTH`).
pub const STARTUP_BYTES_MAX: usize = 10_000;

/// Bytes in front of a first packet's content: its length and its code.
pub const PREAMBLE_BYTES: usize = 8;

/// Newest minor version of protocol 3 that engine and node speak.
pub const MINOR_NEWEST: u16 = 2;

/// Codes that stand where a start-up packet has its version.
pub const CANCEL_CODE: u32 = special_code(5678);
pub const SSL_CODE: u32 = special_code(5679);
pub const GSS_CODE: u32 = special_code(5680);

/// `NEGOTIATE_…_CODE` and `CANCEL_REQUEST_CODE` of the protocol: "major version" 1234.
const fn special_code(minor: u32) -> u32 {
    (1234 << 16) + minor
}

/// Shortest and longest secret of a cancel key, bytes.
const CANCEL_SECRET_BYTES: std::ops::RangeInclusive<usize> = 4..=256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstPacket {
    /// Asks for TLS; answered with one byte, `S` or `N`.
    Ssl,
    /// Asks for GSSAPI encryption; answered with one byte.
    Gss,
    Cancel(CancelRequest),
    Startup(Startup),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    pub process_id: i32,
    pub secret: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Minor version of protocol 3 that is asked for.
    pub minor: u16,
    /// Names and values in the client's order, `user` and protocol options (`_pq_.…`) among them.
    pub parameters: Vec<(String, String)>,
}

/// Checks the length field of a first packet and answers how many bytes follow it.
pub fn body_bytes(length: u32) -> Result<usize, Fatal> {
    let length = length as usize;
    if !(PREAMBLE_BYTES..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(Fatal::new(
            sqlstate::PROTOCOL_VIOLATION,
            "invalid length of startup packet",
        ));
    }
    Ok(length - 4)
}

/// Reads a first packet: everything behind its length field.
pub fn parse(body: &[u8]) -> Result<FirstPacket, Fatal> {
    let (code, rest) = body.split_first_chunk::<4>().ok_or_else(malformed)?;
    let code = u32::from_be_bytes(*code);
    match code {
        SSL_CODE | GSS_CODE if !rest.is_empty() => Err(malformed()),
        SSL_CODE => Ok(FirstPacket::Ssl),
        GSS_CODE => Ok(FirstPacket::Gss),
        CANCEL_CODE => parse_cancel(rest),
        _ => parse_startup(code, rest).map(FirstPacket::Startup),
    }
}

fn malformed() -> Fatal {
    Fatal::new(
        sqlstate::PROTOCOL_VIOLATION,
        "invalid startup packet layout",
    )
}

fn parse_cancel(rest: &[u8]) -> Result<FirstPacket, Fatal> {
    let (process_id, secret) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    if !CANCEL_SECRET_BYTES.contains(&secret.len()) {
        return Err(malformed());
    }
    Ok(FirstPacket::Cancel(CancelRequest {
        process_id: i32::from_be_bytes(*process_id),
        secret: secret.to_vec(),
    }))
}

fn parse_startup(code: u32, rest: &[u8]) -> Result<Startup, Fatal> {
    let (major, minor) = (code >> 16, (code & 0xffff) as u16);
    if major != 3 {
        return Err(Fatal::new(
            sqlstate::FEATURE_NOT_SUPPORTED,
            format!(
                "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{MINOR_NEWEST}"
            ),
        ));
    }
    let mut parameters = Vec::new();
    let mut texts = rest.split(|byte| *byte == 0);
    loop {
        let name = texts.next().ok_or_else(malformed)?;
        if name.is_empty() {
            break;
        }
        let value = texts.next().ok_or_else(malformed)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| not_utf8());
        parameters.push((text(name)?, text(value)?));
    }
    // The terminator is the last byte: nothing but the empty rest behind it.
    if texts.next() != Some(&[]) || texts.next().is_some() {
        return Err(Fatal::new(
            sqlstate::PROTOCOL_VIOLATION,
            "invalid startup packet layout: expected terminator as last byte",
        ));
    }
    let startup = Startup { minor, parameters };
    if startup.get("user").is_none_or(str::is_empty) {
        return Err(Fatal::new(
            sqlstate::INVALID_AUTHORIZATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    Ok(startup)
}

fn not_utf8() -> Fatal {
    Fatal::new(
        sqlstate::PROTOCOL_VIOLATION,
        "a startup parameter is not valid UTF-8",
    )
}

impl Startup {
    /// The last value given for a parameter, as PostgreSQL takes it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Protocol options that were asked for; none is known.
    pub fn protocol_options(&self) -> Vec<&str> {
        self.parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with("_pq_."))
            .collect()
    }

    /// The minor version that the session speaks: 0 or 2 (3.1 was never given out).
    pub fn spoken_minor(&self) -> u16 {
        if self.minor >= MINOR_NEWEST {
            MINOR_NEWEST
        } else {
            0
        }
    }

    /// The answer to a client that asks for more than we speak.
    pub fn negotiation(&self) -> Option<Vec<u8>> {
        let unknown = self.protocol_options();
        (self.minor > MINOR_NEWEST || !unknown.is_empty())
            .then(|| super::wire::negotiate_protocol_version(self.spoken_minor(), &unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(version: u32, texts: &[&str]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        for text in texts {
            body.extend(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        body
    }

    const V3_0: u32 = 3 << 16;

    #[test]
    fn a_start_up_packet_is_read_in_order() {
        let body = packet(V3_0 | 2, &["user", "app", "database", "main"]);
        let Ok(FirstPacket::Startup(startup)) = parse(&body) else {
            panic!("not read")
        };
        assert_eq!(startup.minor, 2);
        assert_eq!(startup.get("user"), Some("app"));
        assert_eq!(startup.get("database"), Some("main"));
        assert_eq!(startup.negotiation(), None);
        let mut written = super::super::wire::startup_packet(&startup);
        assert_eq!(written.split_off(4), body);
    }

    #[test]
    fn what_a_client_asks_beyond_us_is_negotiated() {
        let body = packet(V3_0 + 9999, &["user", "a", "_pq_.future", "x"]);
        let Ok(FirstPacket::Startup(startup)) = parse(&body) else {
            panic!("not read")
        };
        let answer = startup.negotiation().expect("negotiated");
        assert_eq!(answer[5..13], [0, 3, 0, 2, 0, 0, 0, 1]);
        assert!(answer.ends_with(b"_pq_.future\0"));
        assert_eq!(startup.spoken_minor(), 2);
    }

    #[test]
    fn requests_of_other_kinds_are_told_apart() {
        assert_eq!(parse(&SSL_CODE.to_be_bytes()), Ok(FirstPacket::Ssl));
        assert_eq!(parse(&GSS_CODE.to_be_bytes()), Ok(FirstPacket::Gss));
        let cancel = [&CANCEL_CODE.to_be_bytes()[..], &[0, 0, 0, 7], &[9; 32]].concat();
        let expected = CancelRequest {
            process_id: 7,
            secret: vec![9; 32],
        };
        assert_eq!(parse(&cancel), Ok(FirstPacket::Cancel(expected)));
    }

    #[test]
    fn broken_packets_are_refused_with_the_protocols_own_codes() {
        let code = |body: &[u8]| parse(body).expect_err("refused").sqlstate;
        assert_eq!(code(&[0, 3]), "08P01");
        assert_eq!(code(&packet(2 << 16, &["user", "a"])), "0A000");
        assert_eq!(code(&packet(V3_0, &["database", "a"])), "28000");
        assert_eq!(code(&packet(V3_0, &["user"])), "08P01");
        let mut trailing = packet(V3_0, &["user", "a"]);
        trailing.push(b'x');
        assert_eq!(code(&trailing), "08P01");
        let mut cut = packet(V3_0, &["user", "a"]);
        cut.pop();
        assert_eq!(code(&cut), "08P01");
        assert_eq!(code(&[&SSL_CODE.to_be_bytes()[..], b"x"].concat()), "08P01");
        assert_eq!(code(&CANCEL_CODE.to_be_bytes()), "08P01");
        assert_eq!(code(b"\0\x03\0\0user\0\xff\0\0"), "08P01");
    }

    #[test]
    fn lengths_are_bounded() {
        for refused in [0, 7, 10_001, u32::MAX] {
            assert!(body_bytes(refused).is_err(), "{refused}");
        }
        assert_eq!(body_bytes(8), Ok(4));
        assert_eq!(body_bytes(10_000), Ok(9_996));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_fail_in_another_way(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
            let _ = parse(&[&V3_0.to_be_bytes()[..], &body].concat());
        }
    }
}
