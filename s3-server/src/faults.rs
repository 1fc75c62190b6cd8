//! A proxy that breaks requests on purpose, for tests of whoever talks to an S3 server.
//!
//! It stands in front of a server and passes everything on, until it is told what to do with
//! requests that match. It does not look at signatures: they cover the host that the client names,
//! which stays as it is.

mod gate;

use bytes::Bytes;
use futures::StreamExt;
use gate::{Gate, Met};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

type Cause = Box<dyn std::error::Error + Send + Sync>;
type ProxyBody = BoxBody<Bytes, Cause>;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is served after a pause.
    Delay(Duration),
    /// It is not served: the answer is this status and S3 error code.
    Refuse(u16, &'static str),
    /// It is not served, and the answer says that it was.
    Pretend,
    /// It is served, and the answer is this status and S3 error code all the same.
    LoseAnswer(u16, &'static str),
    /// It is served, and the connection is cut instead of an answer.
    CutAfter,
    /// The connection is cut after so many bytes of its body.
    CutRequest(usize),
    /// The connection is cut after so many bytes of the answer's body.
    CutAnswer(usize),
    /// This byte of the answer's body has a bit flipped.
    FlipAnswer(usize),
    /// It is served twice, and the second answer is given.
    Duplicate,
}

/// Which requests a fault is for, and how many of them.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `None`: any.
    pub method: Option<Method>,
    /// In path and query.
    pub contains: String,
    /// So many that match pass before.
    pub passing: usize,
    pub times: usize,
    pub fault: Fault,
}

impl Rule {
    /// For the next request, whatever it is.
    pub fn next(fault: Fault) -> Self {
        Self {
            method: None,
            contains: String::new(),
            passing: 0,
            times: 1,
            fault,
        }
    }

    /// For the next requests of a method whose address contains a text.
    pub fn on(method: Method, contains: &str, times: usize, fault: Fault) -> Self {
        Self {
            method: Some(method),
            contains: contains.to_owned(),
            passing: 0,
            times,
            fault,
        }
    }

    /// The same, from the `nth` of them on, counted from 1.
    #[must_use]
    pub fn from_nth(self, nth: usize) -> Self {
        Self {
            passing: nth.saturating_sub(1),
            ..self
        }
    }

    fn matches(&self, method: &Method, address: &str) -> bool {
        let same = self.method.as_ref().is_none_or(|mine| mine == method);
        self.times > 0 && same && address.contains(&self.contains)
    }
}

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rules: Arc<Mutex<Vec<Rule>>>,
    gate: Gate,
    serving: AbortHandle,
}

impl Proxy {
    /// Starts on a free port of this machine, in front of `server`.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let rules = Arc::<Mutex<Vec<Rule>>>::default();
        let gate = Gate::default();
        let way = Way {
            server,
            client: Client::builder(TokioExecutor::new()).build_http(),
            rules: rules.clone(),
            gate: gate.clone(),
        };
        let serving = tokio::spawn(take_connections(listener, way)).abort_handle();
        Ok(Self {
            address,
            rules,
            gate,
            serving,
        })
    }

    /// Holds every request from the `nth` on, counted from 1, until [`Self::go_on`] or
    /// [`Self::cut`]. That one is `served` before, and its answer held; or it is not, as those
    /// behind it.
    pub fn hold_from(&self, nth: usize, served: bool) {
        self.gate.hold_from(nth, served);
    }

    /// Waits until the first request is held.
    pub async fn held(&self) {
        self.gate.held().await;
    }

    /// Holds no more, and lets pass what was held; answers whether anything was.
    pub fn go_on(&self) -> bool {
        self.gate.open(false)
    }

    /// Holds no more, and cuts what was held: whoever sent it is gone.
    pub fn cut(&self) -> bool {
        self.gate.open(true)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds what shall go wrong. Of several rules for a request the first counts.
    pub fn play(&self, rules: impl IntoIterator<Item = Rule>) {
        let mut mine = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        mine.extend(rules);
    }

    /// From here on everything passes. How often the rules that are dropped still had to happen.
    pub fn calm(&self) -> usize {
        let mut mine = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        mine.drain(..).map(|rule| rule.times).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct Way {
    server: SocketAddr,
    client: Client<HttpConnector, ProxyBody>,
    rules: Arc<Mutex<Vec<Rule>>>,
    gate: Gate,
}

async fn take_connections(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let way = way.clone();
        connections.spawn(async move {
            let pass = service_fn(move |request| pass(way.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), pass);
            // Cutting connections is what this is for.
            drop(connection.await);
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Way {
    fn fault(&self, request: &Request<Incoming>) -> Option<Fault> {
        let address = request.uri().to_string();
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules
            .iter_mut()
            .find(|rule| rule.matches(request.method(), &address))?;
        if let Some(left) = rule.passing.checked_sub(1) {
            rule.passing = left;
            return None;
        }
        rule.times -= 1;
        let fault = rule.fault;
        rules.retain(|rule| rule.times > 0);
        Some(fault)
    }
}

fn cut() -> Cause {
    io::Error::other("the proxy cuts here").into()
}

fn answer(status: u16, code: &str) -> Result<Response<ProxyBody>, Cause> {
    let text = format!("<Error><Code>{code}</Code><Message>by the proxy</Message></Error>");
    let mut response = Response::new(Full::from(text).map_err(Into::into).boxed());
    *response.status_mut() = StatusCode::from_u16(status)?;
    Ok(response)
}

/// The body up to byte `bytes`, and then an error.
fn cut_body(body: ProxyBody, bytes: usize) -> ProxyBody {
    let cut_at = BodyStream::new(body).scan(Some(bytes), |left, frame| {
        let now = left.take().map(|bytes| match frame {
            Ok(frame) => {
                let mut data = frame.into_data().unwrap_or_default();
                data.truncate(bytes);
                match data.len() {
                    // Cut, even if nothing else is to come.
                    0 if bytes == 0 => Err(cut()),
                    here => {
                        *left = Some(bytes - here);
                        Ok(Frame::data(data))
                    }
                }
            }
            Err(error) => Err(error),
        });
        std::future::ready(now)
    });
    let end = futures::stream::iter([Err(cut())]);
    BodyExt::boxed(StreamBody::new(cut_at.chain(end)))
}

fn flip_body(body: ProxyBody, at: usize) -> ProxyBody {
    let flipped = BodyStream::new(body).scan(0, move |passed, frame| {
        let frame = frame.map(|frame| {
            let mut data = frame.into_data().unwrap_or_default().to_vec();
            if let Some(byte) = at.checked_sub(*passed).and_then(|at| data.get_mut(at)) {
                *byte ^= 1;
            }
            *passed += data.len();
            Frame::data(data.into())
        });
        std::future::ready(Some(frame))
    });
    BodyExt::boxed(StreamBody::new(flipped))
}

async fn pass(way: Way, request: Request<Incoming>) -> Result<Response<ProxyBody>, Cause> {
    match way.gate.meet() {
        Met::Passes => played(way, request).await,
        Met::Held {
            number,
            served: true,
        } => {
            let answer = played(way.clone(), request).await;
            way.gate.was_served();
            if way.gate.opens(number).await {
                answer
            } else {
                Err(cut())
            }
        }
        Met::Held { number, .. } | Met::Behind { number } => {
            if way.gate.opens(number).await {
                played(way, request).await
            } else {
                Err(cut())
            }
        }
    }
}

async fn played(way: Way, request: Request<Incoming>) -> Result<Response<ProxyBody>, Cause> {
    let fault = way.fault(&request);
    let (mut head, body) = request.into_parts();
    let mut body = body.map_err(Into::into).boxed();
    match fault {
        Some(Fault::Delay(pause)) => sleep(pause).await,
        Some(Fault::Refuse(status, code)) => {
            // Read first: a client that is still sending may not see an answer.
            drop(body.collect().await?);
            return answer(status, code);
        }
        Some(Fault::Pretend) => {
            drop(body.collect().await?);
            return Ok(Response::new(Full::default().map_err(Into::into).boxed()));
        }
        Some(Fault::CutRequest(bytes)) => body = cut_body(body, bytes),
        _ => {}
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = Uri::try_from(format!("http://{}{path}", way.server))?;
    if fault == Some(Fault::Duplicate) {
        let whole = body.collect().await?.to_bytes();
        let copy = || Full::from(whole.clone()).map_err(Into::into).boxed();
        let first = Request::from_parts(head.clone(), copy());
        drop(
            way.client
                .request(first)
                .await?
                .into_body()
                .collect()
                .await?,
        );
        body = copy();
    }
    let served = way.client.request(Request::from_parts(head, body)).await?;
    let (head, body) = served.into_parts();
    let body: ProxyBody = body.map_err(Into::into).boxed();
    let body = match fault {
        Some(Fault::LoseAnswer(status, code)) => {
            drop(body.collect().await?);
            return answer(status, code);
        }
        Some(Fault::CutAfter) => {
            drop(body.collect().await?);
            return Err(cut());
        }
        Some(Fault::CutAnswer(bytes)) => cut_body(body, bytes),
        Some(Fault::FlipAnswer(at)) => flip_body(body, at),
        _ => body,
    };
    Ok(Response::from_parts(head, body))
}
