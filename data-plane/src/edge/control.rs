//! The control plane as an edge sees it: three calls, each with a token.

use super::config::{ControlPlane, EdgeConfig};
use super::control_dial;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lumadb_contract::cluster::edge_secret;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::{Resolve, Route, RouteUpdate, Wake, WatchRoutes};
use lumadb_contract::rpc::EdgeControlClient;
use lumadb_contract::service_token::{EdgeClaims, audience, issuer};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use time::OffsetDateTime;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// Life of a token, seconds; a new one is signed for each call.
const TOKEN_SECONDS: u64 = 60;

/// Longest time for an answer that waits for nothing.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest message, bytes: the routes of a whole region come as one.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    #[error("a token could not be signed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error("the token in {path} cannot be read: {source}")]
    TokenFile { path: PathBuf, source: io::Error },
    #[error("the control plane answered: {0}")]
    Status(#[from] Status),
    #[error("the control plane did not answer in time")]
    Timeout,
}

/// Where tokens come from.
#[derive(Clone)]
enum Tokens {
    Signed(EncodingKey),
    /// Of a file that somebody keeps fresh.
    Read(PathBuf),
}

#[derive(Clone)]
pub(super) struct Control {
    client: EdgeControlClient<Channel>,
    tokens: Tokens,
    region: String,
    clock: fn() -> OffsetDateTime,
}

impl Control {
    /// Connects lazily: the control plane may be away now.
    pub(super) fn new(config: &EdgeConfig) -> Result<Self, jsonwebtoken::errors::Error> {
        let (tokens, channel) = match &config.control {
            ControlPlane::Here {
                socket,
                signing_key_pem,
            } => {
                let key = EncodingKey::from_ed_pem(signing_key_pem.expose().as_bytes())?;
                (Tokens::Signed(key), control_dial::here(socket.clone()))
            }
            ControlPlane::Elsewhere { folder } => {
                let file = folder.join(edge_secret::TOKEN);
                (Tokens::Read(file), control_dial::elsewhere(folder.clone()))
            }
        };
        Ok(Self {
            client: EdgeControlClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX),
            tokens,
            region: config.region.clone(),
            clock: config.clock,
        })
    }

    /// All routes that changed at or after `cursor`, and every later change.
    pub(super) async fn watch(
        &self,
        cursor: Option<u64>,
    ) -> Result<Streaming<RouteUpdate>, ControlError> {
        let request = self.request(WatchRoutes {
            region: self.region.clone(),
            cursor,
        })?;
        let answer = self.client.clone().watch_routes(request).await?;
        Ok(answer.into_inner())
    }

    pub(super) async fn resolve(&self, id: DatabaseId) -> Result<Option<Route>, ControlError> {
        let request = self.request(Resolve {
            region: self.region.clone(),
            database_id: id,
        })?;
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(RESOLVE_TIMEOUT, client.resolve(request))
            .await
            .map_err(|_| ControlError::Timeout)??;
        Ok(answer.into_inner().route)
    }

    /// Asks for a database to be awake; answers when it is, or with its state after `timeout`.
    pub(super) async fn wake(
        &self,
        id: DatabaseId,
        timeout: Duration,
    ) -> Result<Option<Route>, ControlError> {
        let mut request = self.request(Wake {
            region: self.region.clone(),
            database_id: id,
        })?;
        request.set_timeout(timeout);
        let mut client = self.client.clone();
        // The control plane ends the call at its deadline; a little later we do.
        let patience = timeout + Duration::from_secs(1);
        let answer = tokio::time::timeout(patience, client.wake(request))
            .await
            .map_err(|_| ControlError::Timeout)??;
        Ok(answer.into_inner().route)
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, ControlError> {
        let token = self.token()?;
        let mut request = Request::new(message);
        let bearer = MetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|error| Status::internal(error.to_string()))?;
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }

    fn token(&self) -> Result<String, ControlError> {
        let signing_key = match &self.tokens {
            Tokens::Signed(key) => key,
            Tokens::Read(path) => {
                // A page of memory, where it is mounted: not worth another thread.
                let read = std::fs::read_to_string(path);
                return match read {
                    Ok(token) => Ok(token.trim().to_owned()),
                    Err(source) => Err(ControlError::TokenFile {
                        path: path.clone(),
                        source,
                    }),
                };
            }
        };
        let now = u64::try_from((self.clock)().unix_timestamp()).unwrap_or(0);
        let claims = EdgeClaims {
            iss: issuer::EDGE.to_owned(),
            aud: audience::EDGE_CONTROL.to_owned(),
            iat: now,
            exp: now + TOKEN_SECONDS,
            region: self.region.clone(),
        };
        let header = Header::new(Algorithm::EdDSA);
        Ok(jsonwebtoken::encode(&header, &claims, signing_key)?)
    }
}
