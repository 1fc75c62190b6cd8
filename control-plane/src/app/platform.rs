//! What every call of the product needs.

use crate::app::archive::Archives;
use crate::app::billing::{Collection, Seller};
use crate::app::limits::Quotas;
use crate::clock::Clock;
use crate::collect::Account;
use crate::identity::{PasswordError, PasswordHasher, SealKey, ServiceSigner, ServiceVerifier};
use crate::store::Store;
use lumadb_billing::price_book::{InvalidBook, PriceBooks};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Hashes of passwords that one process makes at once.
const PASSWORD_HASHES_PARALLEL: usize = 4;

/// The control plane's parts, made once a process and cloned into each request.
#[derive(Debug, Clone)]
pub struct Platform {
    pub store: Store,
    pub clock: Clock,
    pub links: Links,
    pub settings: Arc<Settings>,
    pub passwords: PasswordHasher,
    /// Seals role passwords and stored answers.
    pub seal_key: SealKey,
    /// Signs what the API shows to edges.
    pub service_signer: ServiceSigner,
    /// Checks what edges show to the API.
    pub edge_verifier: ServiceVerifier,
    /// Where databases are archived; `None`: nowhere.
    pub archives: Option<Arc<Archives>>,
    /// What is sold.
    pub books: Arc<PriceBooks>,
    /// Who collects what customers owe; `None`: the platform's owner, by hand.
    pub collection: Option<Arc<dyn Collection>>,
    /// The account through which cards are charged.
    pub stripe: Option<Account>,
}

/// The control plane's secret keys.
#[derive(Debug, Clone)]
pub struct Keys {
    pub seal_key: SealKey,
    pub service_signer: ServiceSigner,
    pub edge_verifier: ServiceVerifier,
    pub archives: Option<Archives>,
}

/// Why a platform cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Book(#[from] InvalidBook),
}

impl Platform {
    pub fn new(
        store: Store,
        clock: Clock,
        links: Links,
        keys: Keys,
        settings: Settings,
    ) -> Result<Self, PlatformError> {
        Ok(Self {
            store,
            clock,
            links,
            settings: Arc::new(settings),
            passwords: PasswordHasher::new(PASSWORD_HASHES_PARALLEL)?,
            seal_key: keys.seal_key,
            service_signer: keys.service_signer,
            edge_verifier: keys.edge_verifier,
            archives: keys.archives.map(Arc::new),
            books: Arc::new(PriceBooks::committed()?),
            collection: None,
            stripe: None,
        })
    }
}

/// Addresses that the product writes into mails and answers.
#[derive(Debug, Clone)]
pub struct Links {
    /// Of the console, without a slash at the end, such as `http://127.0.0.1:8400`.
    pub console_url: String,
}

impl Links {
    /// Whether the console is reached over TLS: only then may its cookie be `Secure`.
    pub fn is_https(&self) -> bool {
        self.console_url.starts_with("https://")
    }
}

/// What an operator can set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder of the local mail transport, whose mails are shown at `/outbox`; `None` when mail
    /// leaves by SMTP.
    pub outbox_folder: Option<PathBuf>,
    /// Certificate authority that clients of databases must trust, PEM; `None` when it is one that
    /// they trust anyway.
    pub ca_certificate_pem: Option<String>,
    /// Folder of the edge's own unix socket, for the sessions of the SQL editor.
    pub edge_socket_folder: Option<PathBuf>,
    /// Region of a new database for which none is named.
    pub default_region: String,
    /// Plan of an organization made at sign-up.
    pub default_plan: String,
    /// Proxies whose `X-Forwarded-For` is believed; nobody's by default.
    pub trusted_proxies: Vec<IpAddr>,
    pub limits: Limits,
    /// For developers: whether billing's clock may be moved ahead.
    pub billing_clock_moves: bool,
    /// Who sells, as invoices say it.
    pub seller: Seller,
    /// Limits of plans that have some, instead of the price book's.
    pub quotas: Quotas,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            outbox_folder: None,
            ca_certificate_pem: None,
            edge_socket_folder: None,
            default_region: "local".into(),
            default_plan: "free".into(),
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            billing_clock_moves: false,
            seller: Seller::default(),
            quotas: Quotas::default(),
        }
    }
}

/// How often is too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// API requests of one session or token, or of one address without either, in a minute and in
    /// one process.
    pub requests_per_minute: u32,
    /// Failed log-ins of one account in 15 minutes.
    pub log_in_failures_per_account: u32,
    /// Failed log-ins from one address in 15 minutes.
    pub log_in_failures_per_address: u32,
    /// Sign-ups from one address in an hour.
    pub sign_ups_per_address: u32,
    /// Mails that anybody can cause to one address in an hour: sign-up, reset, verification.
    pub mails_per_account: u32,
    /// Password resets asked for from one address in an hour.
    pub resets_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: 600,
            log_in_failures_per_account: 10,
            log_in_failures_per_address: 100,
            sign_ups_per_address: 20,
            mails_per_account: 5,
            resets_per_address: 20,
        }
    }
}
