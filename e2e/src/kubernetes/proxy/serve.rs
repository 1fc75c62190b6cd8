//! One client's connection, and the API server's behind it.

use super::request::{Fault, Sort};
use super::state::State;
use super::upstream::{Sender, Upstream};
use super::watch_body::WatchBody;
use crate::Outcome;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

// A failure in words alone: the compiler cannot yet tell that a boxed error lives long enough.
type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

pub(super) async fn accept(listener: TcpListener, upstream: Arc<Upstream>, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (upstream, state) = (Arc::clone(&upstream), Arc::clone(&state));
        tokio::spawn(serve(stream, upstream, state));
    }
}

/// Serves one connection until it ends or the line is cut.
async fn serve(stream: TcpStream, upstream: Arc<Upstream>, state: Arc<State>) {
    let mut line = state.line();
    let begun = *line.borrow_and_update();
    if !begun.open {
        return;
    }
    // Events shall not wait for more to come.
    let _ = stream.set_nodelay(true);
    let behind = Arc::new(Mutex::new(None));
    let service = service_fn(move |request| {
        let (upstream, state) = (Arc::clone(&upstream), Arc::clone(&state));
        let behind = Arc::clone(&behind);
        async move {
            let answer = answer(request, &upstream, &behind, &state).await;
            answer.map_err(io::Error::other)
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        _ = line.wait_for(|line| line.life != begun.life) => {}
        _ = serving => {}
    }
}

/// An error closes the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    upstream: &Upstream,
    behind: &Mutex<Option<Sender>>,
    state: &State,
) -> Outcome<Answer> {
    let (sort, fault) = state.see(&request);
    if let Some((code, status)) = fault.and_then(Fault::status) {
        return refusal(code, fault, status.to_string());
    }
    if fault == Some(Fault::Lost) {
        return Err("lost as planned".into());
    }
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, Full::new(body.collect().await?.to_bytes()));
    let answer = if sort == Sort::Write {
        let turn = state.turn_to_write().await;
        if !state.may_write() {
            return Err("cut off".into());
        }
        let answer = pass(request, upstream, behind).await?;
        if answer.status().is_success() {
            state.written();
        }
        drop(turn);
        if !state.may_write() {
            return Err("cut off".into());
        }
        answer
    } else {
        pass(request, upstream, behind).await?
    };
    if fault == Some(Fault::AnswerLost) {
        return Err("lost as planned".into());
    }
    if sort == Sort::Watch && answer.status().is_success() {
        let (endings, open) = (state.endings(), state.open_watch());
        return Ok(answer.map(|body| WatchBody::new(body, endings, open).boxed_unsync()));
    }
    Ok(answer.map(|body| body.map_err(io::Error::other).boxed_unsync()))
}

/// Sends a request on, over the connection that is there or a new one.
async fn pass(
    request: Request<Full<Bytes>>,
    upstream: &Upstream,
    behind: &Mutex<Option<Sender>>,
) -> Outcome<Response<Incoming>> {
    let mut behind = behind.lock().await;
    let kept = match behind.take() {
        Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
        None => None,
    };
    let mut sender = match kept {
        Some(sender) => sender,
        None => upstream.connect().await?,
    };
    let answer = sender.send_request(request).await?;
    *behind = Some(sender);
    Ok(answer)
}

fn refusal(code: u16, fault: Option<Fault>, text: String) -> Outcome<Answer> {
    let mut answer = Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json");
    if fault == Some(Fault::TooMany) {
        answer = answer.header(header::RETRY_AFTER, "1");
    }
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    Ok(answer.body(body.boxed_unsync())?)
}
