//! Ports for programs that are told theirs before they listen.

use crate::Outcome;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where ports are looked for: below those that Linux gives to whoever names none, clients among
/// them (32768 to 60999, `ip_local_port_range`), and above those that `up` takes by itself. One of
/// those may be gone again before the program listens.
const FIRST: u16 = 24_000;
const COUNT: u16 = 8_000;

/// How many were looked at by this process.
static LOOKED_AT: AtomicU16 = AtomicU16::new(0);

/// A port of loopback that nobody listens on, and that this process was not given before.
pub fn free() -> Outcome<u16> {
    let pid = std::process::id();
    // Processes beside each other begin far apart.
    let begin = u16::try_from(pid.wrapping_mul(997) % u32::from(COUNT))?;
    let mut refused = None;
    for _ in 0..COUNT {
        let looked_at = LOOKED_AT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (begin + looked_at) % COUNT;
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.map_or_else(|| "no port was looked at".into(), Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_given_twice_and_none_that_is_taken() {
        let mut given: Vec<u16> = (0..100).map(|_| free().expect("a port")).collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 100);
        let next = free().expect("a port") + 1;
        let _taken = TcpListener::bind(("127.0.0.1", next));
        assert_ne!(free().expect("a port"), next);
    }
}
