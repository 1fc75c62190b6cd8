//! Cancel keys: clients get ours, the engine's own never leave the node.

use super::wire;
use rand::RngExt;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Bytes of a secret in protocol 3.0, and in 3.2.
const SECRET_BYTES_3_0: usize = 4;
const SECRET_BYTES_3_2: usize = 32;

/// A backend of the engine, as it wants to be told when something is cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineKey {
    pub process_id: i32,
    pub secret: Vec<u8>,
}

impl EngineKey {
    /// Asks the engine to cancel what this backend runs; returns when it has taken note.
    pub async fn cancel(&self, engine_socket: &Path) -> io::Result<()> {
        let mut stream = UnixStream::connect(engine_socket).await?;
        stream
            .write_all(&wire::cancel_packet(self.process_id, &self.secret))
            .await?;
        // The engine answers nothing and closes when the signal is sent.
        let _ = stream.read(&mut [0]).await?;
        Ok(())
    }
}

/// The secrets given to clients, and whom each one stands for.
#[derive(Debug, Default)]
pub struct CancelKeys {
    keys: Mutex<HashMap<Vec<u8>, EngineKey>>,
}

impl CancelKeys {
    /// Draws a secret of the length that the client's protocol knows.
    pub fn give(self: &Arc<Self>, protocol_minor: u16, engine_key: EngineKey) -> GivenKey {
        let length = if protocol_minor >= 2 {
            SECRET_BYTES_3_2
        } else {
            SECRET_BYTES_3_0
        };
        let mut secret = vec![0; length];
        let mut keys = self.lock();
        loop {
            rand::rng().fill(secret.as_mut_slice());
            if !keys.contains_key(&secret) {
                break;
            }
        }
        keys.insert(secret.clone(), engine_key);
        drop(keys);
        GivenKey {
            keys: self.clone(),
            secret,
        }
    }

    pub fn find(&self, secret: &[u8]) -> Option<EngineKey> {
        self.lock().get(secret).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, EngineKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's secret, valid until this is dropped.
#[derive(Debug)]
pub struct GivenKey {
    keys: Arc<CancelKeys>,
    secret: Vec<u8>,
}

impl GivenKey {
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl Drop for GivenKey {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stands_for_one_backend_as_long_as_its_session() {
        let keys = Arc::new(CancelKeys::default());
        let engine_key = EngineKey {
            process_id: 7,
            secret: vec![1, 2, 3, 4],
        };
        let short = keys.give(0, engine_key.clone());
        let long = keys.give(2, engine_key.clone());
        assert_eq!((short.secret().len(), long.secret().len()), (4, 32));
        assert_eq!(keys.find(short.secret()), Some(engine_key));
        assert_eq!(keys.find(&[0; 5]), None);
        let secret = short.secret().to_vec();
        drop(short);
        assert_eq!(keys.find(&secret), None);
    }
}
