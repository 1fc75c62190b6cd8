//! The answer to a watch, which may be made to end.

use super::request::Fault;
use super::state::OpenWatch;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use serde_json::{Value, json};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::watch;

/// How a watch ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// In the middle, without a word.
    Dropped,
    /// By saying that the version which it started from is forgotten.
    Expired,
}

type Order = Pin<Box<dyn Future<Output = Ending> + Send>>;

pub(super) struct WatchBody {
    inner: Incoming,
    order: Order,
    ordered: Option<Ending>,
    /// Whether what was passed on ends with a whole event.
    whole: bool,
    ended: bool,
    _open: OpenWatch,
}

impl WatchBody {
    pub(super) fn new(
        inner: Incoming,
        mut endings: watch::Receiver<Ending>,
        open: OpenWatch,
    ) -> Self {
        let order = async move {
            // The proxy itself is gone: so is what it would order.
            if endings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            *endings.borrow()
        };
        Self {
            inner,
            order: Box::pin(order),
            ordered: None,
            whole: true,
            ended: false,
            _open: open,
        }
    }
}

impl Body for WatchBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.ordered.is_none()
            && let Poll::Ready(ending) = self.order.as_mut().poll(context)
        {
            self.ordered = Some(ending);
        }
        match self.ordered {
            Some(Ending::Dropped) => {
                self.ended = true;
                return Poll::Ready(Some(Err(io::Error::other("dropped as ordered"))));
            }
            Some(Ending::Expired) if self.whole => {
                self.ended = true;
                return Poll::Ready(Some(Ok(Frame::data(expired()))));
            }
            _ => {}
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.whole = data.ends_with(b"\n");
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }
}

/// The event by which the API server says so.
fn expired() -> Bytes {
    let object = Fault::Gone
        .status()
        .map_or(Value::Null, |(_, status)| status);
    Bytes::from(format!(
        "{}\n",
        json!({ "type": "ERROR", "object": object })
    ))
}
