//! A proxy before the API server that sees every request and breaks on demand.
//!
//! Whoever works through it speaks plain HTTP to it and shows a token, which goes on to the API
//! server. It counts the writes that were done, refuses requests as an overloaded or forgetful API
//! server does, ends watches, and cuts everybody off right after a write was done and before its
//! author hears of it: the moment to kill whoever wrote.

mod half;
mod request;
mod serve;
mod state;
mod upstream;
mod watch_body;

pub use half::Half;
pub use request::{Fault, Seen, Sort};

use super::cluster::{Cluster, client_of};
use super::identity::write_kubeconfig;
use crate::Outcome;
use kube::Client;
use state::State;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use upstream::Upstream;

/// A running proxy. It lives in the runtime that starts it; dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    owner_token: String,
    state: Arc<State>,
    folder: TempDir,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before a cluster's API server that lets everything through.
    pub async fn start(cluster: &Cluster) -> Outcome<Self> {
        let upstream = Arc::new(Upstream::new(cluster.address(), cluster.authority_pem())?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(serve::accept(listener, upstream, Arc::clone(&state)));
        Ok(Self {
            address,
            owner_token: cluster.owner_token().to_owned(),
            state,
            folder: crate::cloud::new_folder()?,
            accepting,
        })
    }

    /// Where it is, as a URL without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig of the cluster's owner, through this proxy.
    pub fn kubeconfig(&self) -> Outcome<PathBuf> {
        self.kubeconfig_for("owner", &self.owner_token)
    }

    /// A kubeconfig for the bearer of another token, through this proxy.
    pub fn kubeconfig_for(&self, name: &str, token: &str) -> Outcome<PathBuf> {
        let path = self.folder.path().join(format!("kubeconfig-{name}"));
        write_kubeconfig(&path, &self.url(), None, token)?;
        Ok(path)
    }

    /// A client of the cluster's owner, through this proxy.
    pub async fn client(&self) -> Outcome<Client> {
        client_of(&self.kubeconfig()?).await
    }

    /// How many writes were done, by what the API server answered. Leases, events and reviews are
    /// none: they come with time, not with work.
    pub fn writes(&self) -> u64 {
        self.state.writes()
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen()
    }

    /// How many watches are open.
    pub fn watches(&self) -> usize {
        self.state.watches()
    }

    /// From now on `plan` says of each request what goes wrong with it.
    pub fn plan(&self, plan: impl Fn(&Seen) -> Option<Fault> + Send + Sync + 'static) {
        self.state.set_plan(Box::new(plan));
    }

    /// Breaks every open watch off in the middle, as a lost connection does.
    pub fn drop_watches(&self) {
        self.state.end_watches(watch_body::Ending::Dropped);
    }

    /// Has every open watch say that what it started from is forgotten, and end.
    pub fn expire_watches(&self) {
        self.state.end_watches(watch_body::Ending::Expired);
    }

    /// Lets so many more writes be done, one at a time. The answer to the last one is lost, and with
    /// it every connection; none is served until [`Proxy::mend`].
    pub fn cut_after(&self, writes: u64) {
        self.state.cut_after(writes);
    }

    /// Waits until everybody is cut off.
    pub async fn until_cut(&self) {
        self.state.until_cut().await;
    }

    /// Serves again, as if nothing had been; the plan stays.
    pub fn mend(&self) {
        self.state.mend();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.cut_after(0);
        self.accepting.abort();
    }
}
