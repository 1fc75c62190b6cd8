//! Sockets: binding, who is at the other end, and options.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// Pause after an accept that failed, so that a process without free descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds a unix socket that only its owner may connect to, in place of one that a process before
/// left behind.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The next connection of root or of our own user: nobody else speaks for clients.
pub async fn accept_trusted(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_trusted(&stream) => return stream,
            Ok(_) => tracing::warn!("a connection from another user was refused"),
            Err(error) => accept_failed(&error).await,
        }
    }
}

fn is_trusted(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

/// Says why accepting failed and waits a little: descriptors or memory may come free.
pub async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Sends at once, and notices a client that is gone without a word.
pub fn tune(stream: &TcpStream) {
    use rustix::net::sockopt;
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| Ok(sockopt::set_socket_keepalive(stream, true)?))
        .and_then(|()| Ok(sockopt::set_tcp_keepidle(stream, Duration::from_mins(1))?))
        .and_then(|()| Ok(sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?))
        .and_then(|()| Ok(sockopt::set_tcp_keepcnt(stream, 6)?));
    if let Err(error) = tuned {
        tracing::debug!(%error, "a socket option was not set");
    }
}
