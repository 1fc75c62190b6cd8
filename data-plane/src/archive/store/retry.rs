//! What a failed request means, and how often it is tried.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use rand::RngExt;
use std::error::Error;
use std::time::Duration;
use tokio::time::sleep;

/// Time to connect, seconds.
pub(super) const CONNECT_SECONDS: u64 = 5;

/// Time for one try of a request, seconds: a part of 8 MiB at 300 KiB/s.
pub(super) const ATTEMPT_SECONDS: u64 = 30;

/// Tries of a request, at most.
const ATTEMPTS_MAX: u32 = 5;

/// Pause before the second try, milliseconds; doubles with each, up to the second number.
const PAUSE_MS: (u64, u64) = (50, 2_000);

type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not do it within all tries; it may later. A write may have happened.
    #[error("{doing} `{name}`: the object store does not answer as it should")]
    Unavailable {
        doing: &'static str,
        name: String,
        #[source]
        source: Cause,
    },
    /// The store says no, and will until credentials, rights or settings change.
    #[error("{doing} `{name}`: the object store refuses ({status} {code})")]
    Refused {
        doing: &'static str,
        name: String,
        status: u16,
        code: String,
        #[source]
        source: Cause,
    },
    #[error("`{name}` has {bytes} bytes, more than are read at once")]
    TooLarge { name: String, bytes: u64 },
    #[error("`{name}` changed while it was read")]
    Changed { name: String },
    #[error(
        "the object store accepts a key twice although it was told not to (`If-None-Match: *`): an archive needs a store that honours it"
    )]
    NotExclusive,
    #[error("`{name}` would take more than {parts_max} parts")]
    TooManyParts { name: String, parts_max: usize },
}

impl StoreError {
    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Why one try failed.
#[derive(Debug)]
pub(super) struct Fault {
    /// `None`: no answer came.
    status: Option<u16>,
    code: String,
    source: Cause,
}

impl Fault {
    /// The key exists and was not to.
    pub(super) fn is_taken(&self) -> bool {
        self.status == Some(412)
    }

    /// There is no such object. A missing bucket is something else.
    pub(super) fn is_absent(&self) -> bool {
        self.status == Some(404) && (self.code == "NoSuchKey" || self.code == "NotFound")
    }

    pub(super) fn is_upload_absent(&self) -> bool {
        self.status == Some(404) && self.code == "NoSuchUpload"
    }

    /// Whether another try may end otherwise. 409 is a write of the same key at the same time.
    fn is_transient(&self) -> bool {
        match self.status {
            None => true,
            Some(status) => {
                status >= 500
                    || matches!(status, 408 | 409 | 412 | 425 | 429)
                    || matches!(
                        self.code.as_str(),
                        "RequestTimeout" | "SlowDown" | "RequestTimeTooSkewed"
                    )
            }
        }
    }
}

/// Takes apart what the client says.
pub(super) fn fault<E>(error: SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    Fault {
        status: error.raw_response().map(|answer| answer.status().as_u16()),
        code: error.code().unwrap_or_default().to_owned(),
        source: Box::new(error),
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(super) struct Retry<'name> {
    doing: &'static str,
    name: &'name str,
    attempts: u32,
}

impl<'name> Retry<'name> {
    pub(super) fn new(doing: &'static str, name: &'name str) -> Self {
        Self {
            doing,
            name,
            attempts: 0,
        }
    }

    pub(super) async fn attempt<T, E>(
        &mut self,
        sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.attempts += 1;
        sent.await.map_err(fault)
    }

    /// Pauses before the next try; an error if there is none.
    pub(super) async fn again(&mut self, fault: Fault) -> Result<(), StoreError> {
        if !fault.is_transient() || self.attempts >= ATTEMPTS_MAX {
            return Err(self.error(fault));
        }
        tracing::debug!(error = ?fault.source, self.doing, self.name, "trying again");
        // None was made yet where a body breaks that an earlier call began to read.
        let doubled = PAUSE_MS.0 << self.attempts.saturating_sub(1).min(16);
        let pause = doubled.min(PAUSE_MS.1);
        // Whoever fails together does not come back together.
        let pause = pause / 2 + rand::rng().random_range(0..=pause / 2);
        sleep(Duration::from_millis(pause)).await;
        Ok(())
    }

    pub(super) fn error(&self, fault: Fault) -> StoreError {
        let (doing, name) = (self.doing, self.name.to_owned());
        match fault.status {
            Some(status) if !fault.is_transient() => StoreError::Refused {
                doing,
                name,
                status,
                code: fault.code,
                source: fault.source,
            },
            _ => StoreError::Unavailable {
                doing,
                name,
                source: fault.source,
            },
        }
    }

    /// A fault on the way of an answer's body.
    pub(super) fn cut(source: impl Into<Cause>) -> Fault {
        Fault {
            status: None,
            code: String::new(),
            source: source.into(),
        }
    }
}
