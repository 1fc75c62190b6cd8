//! Takes connections, and what is refused before s3s reads it.

use crate::access::{Keys, denied};
use crate::body::Arriving;
use crate::clock::Clock;
use crate::service::Service;
use crate::storage::{Storage, StorageError};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lumadb_contract::scope::parse_access_key_id;
use lumadb_contract::secret::Secret;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Error, s3_error};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Connections at the same time; more wait until one ends.
const CONNECTIONS_MAX: usize = 512;

/// Time for the head of a request, from the end of the one before it, seconds. Longer than clients
/// keep a connection that they do not use.
const HEAD_SECONDS: u64 = 120;

/// Largest body of a request that is XML, bytes: 10,000 parts with their checksums, or 1,000 keys.
const XML_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Time for requests under way when the server ends, seconds.
const DRAIN_SECONDS: u64 = 10;

/// Between two looks for uploads that nobody finishes, seconds.
const EXPIRY_SECONDS: u64 = 3600;

/// Pause after a connection could not be taken, milliseconds.
const ACCEPT_PAUSE_MS: u64 = 100;

#[derive(Debug, Clone)]
pub struct Config {
    /// Holds everything; made if it is not there.
    pub folder: PathBuf,
    /// Access key ID of the key that may do all.
    pub root_access_key_id: String,
    /// Its secret, from which those of scoped keys follow.
    pub root_secret: Secret,
    /// Made at the start where they are not there.
    pub buckets: Vec<String>,
    pub clock: Clock,
}

impl Config {
    pub fn new(
        folder: impl Into<PathBuf>,
        root_access_key_id: impl Into<String>,
        root_secret: Secret,
    ) -> Self {
        Self {
            folder: folder.into(),
            root_access_key_id: root_access_key_id.into(),
            root_secret,
            buckets: Vec::new(),
            clock: Clock::system(),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the root key is called `{0}`, as a scoped key could be")]
    RootKey(String),
    #[error("opening the object store in `{folder}`")]
    Open {
        folder: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn open(config: &Config) -> Result<Storage, StorageError> {
    let storage = Storage::open(&config.folder, config.clock.clone())?;
    for bucket in &config.buckets {
        match storage.bucket_create(bucket) {
            Ok(()) | Err(StorageError::BucketExists) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(storage)
}

/// Serves until `shutdown` ends, then lets requests under way end; then another may have the
/// folder. Connections that come while the folder is being read wait.
///
/// s3s logs each answer that is an error, *not there* among them, at level `error` with the target
/// `s3s`; what an operator must know is logged by this crate.
///
/// # Errors
/// The folder cannot be read, or another server has it.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let root_id = config.root_access_key_id.clone();
    if parse_access_key_id(&root_id).is_some() {
        return Err(ServeError::RootKey(root_id));
    }
    let keys = Keys {
        root_id,
        root_secret: config.root_secret.clone(),
    };
    let failed = |source| ServeError::Open {
        folder: config.folder.clone(),
        source,
    };
    let opening = config.clone();
    let opened = tokio::task::spawn_blocking(move || open(&opening)).await;
    let storage = opened.map_err(|error| failed(error.into()))?;
    let storage = Arc::new(storage.map_err(|error| failed(error.into()))?);
    let service = s3_service(keys, storage.clone());
    let (ending, ended) = watch::channel(false);
    tokio::join!(
        take_connections(&listener, service, shutdown, ending),
        expire_uploads(storage, ended),
    );
    Ok(())
}

fn s3_service(keys: Keys, storage: Arc<Storage>) -> S3Service {
    let mut limits = S3Config::default();
    limits.xml_max_body_size = XML_BYTES_MAX;
    let mut builder = S3ServiceBuilder::new(Service::new(storage));
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    builder.set_auth(keys.clone());
    builder.set_access(keys);
    builder.build()
}

/// Ends when the server does, and not while a look is under way: it holds the folder.
async fn expire_uploads(storage: Arc<Storage>, mut ended: watch::Receiver<bool>) {
    let mut ticks = interval(Duration::from_secs(EXPIRY_SECONDS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = ended.wait_for(|ended| *ended) => return,
        }
        let storage = storage.clone();
        let swept = tokio::task::spawn_blocking(move || {
            for bucket in storage.buckets() {
                bucket.uploads_expire();
            }
        });
        if let Err(error) = swept.await {
            tracing::error!(?error, "looking for uploads that nobody finishes");
        }
    }
}

async fn take_connections(
    listener: &TcpListener,
    service: S3Service,
    shutdown: impl Future<Output = ()>,
    ending: watch::Sender<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let taken = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (accepted, place) = taken => match accepted {
                Ok((stream, _)) => {
                    let (service, ended) = (service.clone(), ending.subscribe());
                    connections.spawn(async move {
                        serve_connection(stream, service, ended).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "taking a connection");
                    sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            },
        }
    }
    ending.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(Duration::from_secs(DRAIN_SECONDS), drained)
        .await
        .is_err()
    {
        tracing::warn!("requests were cut at the end");
    }
}

async fn serve_connection(stream: TcpStream, service: S3Service, mut ended: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting TCP_NODELAY");
    }
    let answer = service_fn(move |request| handle(service.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEAD_SECONDS))
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let ending = async { drop(ended.wait_for(|ended| *ended).await) };
    let served = tokio::select! {
        served = &mut connection => Some(served),
        () = ending => None,
    };
    let served = if let Some(served) = served {
        served
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection was cut");
    }
}

async fn handle(
    service: S3Service,
    request: Request<Incoming>,
) -> Result<Response<Body>, HttpError> {
    if let Some(refusal) = refusal(&request) {
        drop(request.map(|body| Arriving::new(body, false)));
        let answer = refusal.to_http_response();
        return answer.map_err(|error| HttpError::new(error.into()));
    }
    let hash = request.headers().get("x-amz-content-sha256");
    let chunked = hash.is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING-"));
    let request = request.map(|body| Body::http_body(Arriving::new(body, chunked)));
    service.call(request).await
}

/// Forms are refused to everybody: s3s reads the file in one into memory before it looks at who
/// sends it. So are signatures of version 2, which do not cover the body.
fn refusal<B>(request: &Request<B>) -> Option<S3Error> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map(http::HeaderValue::as_bytes).unwrap_or_default()
    };
    let is_form = header("content-type")
        .get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"));
    if request.method() == Method::POST && is_form {
        return Some(denied());
    }
    let query = request.uri().query().unwrap_or_default();
    let mut names = query.split('&').filter_map(|pair| pair.split('=').next());
    // No name needs to be encoded, and an encoded one may be any.
    let old = |name: &str| name == "Signature" || name.contains('%');
    if header("authorization").starts_with(b"AWS ") || names.any(old) {
        return Some(s3_error!(
            InvalidRequest,
            "the signature is not of version 4: use AWS4-HMAC-SHA256"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, address: &str, name: &str, value: &str) -> bool {
        let request = Request::builder().method(method).uri(address);
        let request = request.header(name, value).body(()).unwrap();
        refusal(&request).is_some()
    }

    #[test]
    fn forms_and_old_signatures_are_refused() {
        let form = "Multipart/form-data; boundary=x";
        assert!(refused(Method::POST, "/b", "content-type", form));
        assert!(!refused(Method::PUT, "/b/k", "content-type", form));
        assert!(!refused(
            Method::POST,
            "/b/k?uploads",
            "content-type",
            "text/xml"
        ));
        assert!(refused(
            Method::GET,
            "/b/k",
            "authorization",
            "AWS id:signature"
        ));
        assert!(!refused(
            Method::GET,
            "/b/k",
            "authorization",
            "AWS4-HMAC-SHA256 x"
        ));
        assert!(refused(Method::GET, "/b/k?a=b&Signature=x", "x", "x"));
        assert!(refused(Method::GET, "/b/k?%53ignature=x", "x", "x"));
        assert!(!refused(
            Method::GET,
            "/b/k?X-Amz-Signature=x&list-type=2",
            "x",
            "x"
        ));
    }
}
