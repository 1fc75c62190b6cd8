//! A client's first words in TLS, looked at and not read: whoever answers them sees them from the
//! first byte.

use super::client::{HandshakeError, peek_at_least};
use rustls::server::{Accepted, Acceptor};
use tokio::net::TcpStream;

/// Bytes of a TLS record's header, and its longest content in the clear.
const RECORD_HEADER_BYTES: usize = 5;
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// Waits for a ClientHello. `None`: it comes in several records, or it is none.
pub async fn peek_hello(socket: &TcpStream) -> Result<Option<Accepted>, HandshakeError> {
    let mut header = [0; RECORD_HEADER_BYTES];
    if peek_at_least(socket, &mut header, RECORD_HEADER_BYTES).await? < RECORD_HEADER_BYTES {
        return Err(HandshakeError::Closed);
    }
    let content = usize::from(u16::from_be_bytes([header[3], header[4]]));
    if content > RECORD_BYTES_MAX {
        return Ok(None);
    }
    let mut record = vec![0; RECORD_HEADER_BYTES + content];
    let whole = record.len();
    if peek_at_least(socket, &mut record, whole).await? < whole {
        return Err(HandshakeError::Closed);
    }
    let mut acceptor = Acceptor::default();
    if acceptor.read_tls(&mut record.as_slice()).is_err() {
        return Ok(None);
    }
    Ok(acceptor.accept().ok().flatten())
}
