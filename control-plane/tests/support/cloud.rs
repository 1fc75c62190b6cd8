//! A control plane with a clock that tests move.

use super::cluster::cluster;
use super::request::{Answer, Call};
use axum::Router;
use http::Method;
use lumadb_contract::archive::ObjectStoreSpec;
use lumadb_contract::id::{OrganizationId, ProjectId};
use lumadb_contract::key_chain::Key;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::app::archive::{Archives, StoreCredentials};
use lumadb_control_plane::app::{Keys, Limits, Links, Platform, Settings};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::http::{ApiState, router};
use lumadb_control_plane::identity::master_keys::MasterKeys;
use lumadb_control_plane::identity::{SealKey, ServiceSigner, ServiceVerifier};
use lumadb_control_plane::store::Store;
use serde_json::json;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::sync::Arc;
use time::OffsetDateTime;
use time::macros::datetime;

/// When every test begins.
pub(crate) const START: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Where the console is said to be.
pub(crate) const CONSOLE: &str = "http://127.0.0.1:8400";

/// A control plane of one test.
pub(crate) struct TestCloud {
    pub(crate) platform: Platform,
    pub(crate) clock: Clock,
    pub(crate) router: Router,
    /// Signs as an edge does.
    pub(crate) edge_signer: ServiceSigner,
    /// Sees everything, as no part of the product does.
    pub(crate) admin: PgPool,
    /// Logs in as the product does, and takes no scope.
    pub(crate) app: PgPool,
}

/// Somebody who has signed up and is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    /// The `Cookie` header of its browser.
    pub(crate) cookie: String,
    pub(crate) organization: OrganizationId,
    pub(crate) project: ProjectId,
}

impl TestCloud {
    pub(crate) async fn new() -> Self {
        Self::with(Settings {
            limits: Limits {
                requests_per_minute: 1_000_000,
                ..Limits::default()
            },
            ..Settings::default()
        })
        .await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::with_archives(settings, true).await
    }

    /// A control plane that archives nothing.
    pub(crate) async fn without_archives() -> Self {
        Self::with_archives(Settings::default(), false).await
    }

    /// The same control plane, which archives from now on.
    pub(crate) fn with_archives_from_now_on(mut self) -> Self {
        self.platform.archives = Some(Arc::new(archives()));
        self.router = router(&ApiState::new(self.platform.clone()));
        self
    }

    async fn with_archives(settings: Settings, is_archived: bool) -> Self {
        let database = cluster().database().await;
        let store = Store::open(cluster().options("lumadb_app", &database), 8);
        let pool = |role: &str| {
            PgPoolOptions::new()
                .max_connections(2)
                .connect_lazy_with(cluster().options(role, &database))
        };
        let clock = Clock::manual(START);
        let links = Links {
            console_url: CONSOLE.into(),
        };
        let (mut keys, edge_signer) = keys();
        keys.archives = keys.archives.filter(|_| is_archived);
        let platform =
            Platform::new(store, clock.clone(), links, keys, settings).expect("a platform");
        Self {
            router: router(&ApiState::new(platform.clone())),
            platform,
            clock,
            edge_signer,
            admin: pool("lumadb_admin"),
            app: pool("lumadb_app"),
        }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.router.clone(), method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Signs up, opens the mail, and is logged in.
    pub(crate) async fn person(&self, email: &str) -> Person {
        self.sign_up(email, PASSWORD).await.expect(202);
        let token = self.mailed_token(email).await;
        let verified = self
            .post("/v1/auth/verify-email")
            .json(&json!({ "token": token }))
            .send()
            .await;
        verified.expect(200);
        let cookie = verified.cookie().expect("a session");
        let me = self.get("/v1/me").cookie(&cookie).send().await;
        me.expect(200);
        let id = |pointer: &str| me.text(pointer);
        Person {
            email: email.to_owned(),
            organization: id("/organizations/0/id").parse().expect("an ID"),
            project: id("/organizations/0/default_project_id")
                .parse()
                .expect("an ID"),
            cookie,
        }
    }

    pub(crate) async fn sign_up(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password, "display_name": "Ada" });
        self.post("/v1/auth/sign-up").json(&body).send().await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/v1/auth/log-in").json(&body).send().await
    }

    /// Text of every mail to this address, the latest first.
    pub(crate) async fn mails(&self, email: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select payload->>'text' from outbox where payload->>'to' = $1 order by id desc",
        )
        .bind(email)
        .fetch_all(&self.admin)
        .await
        .expect("the outbox")
    }

    /// The secret of the link in the latest mail to this address.
    pub(crate) async fn mailed_token(&self, email: &str) -> String {
        let mails = self.mails(email).await;
        let latest = mails.first().expect("a mail");
        let (_, rest) = latest.split_once("?token=").expect("a link");
        rest.lines().next().expect("a token").to_owned()
    }

    /// An API token of this person's, made by the console.
    pub(crate) async fn token(&self, person: &Person, read_only: bool) -> String {
        let path = format!("/v1/organizations/{}/tokens", person.organization);
        let body = json!({ "name": "ci", "expires_in_days": 30, "read_only": read_only });
        let made = self
            .post(&path)
            .cookie(&person.cookie)
            .json(&body)
            .send()
            .await;
        made.expect(201);
        made.text("/secret")
    }
}

/// Where nobody listens: these tests run no node.
fn archives() -> Archives {
    Archives {
        master_keys: MasterKeys::fixed(Key::new([7; 32])),
        store: ObjectStoreSpec {
            endpoint: Some("http://127.0.0.1:1".into()),
            region: "test".into(),
            bucket: "lumadb".into(),
            prefix: String::new(),
            path_style: true,
            credentials: None,
            storage_class: None,
            server_side_encryption: None,
        },
        credentials: StoreCredentials::Scoped(Secret::new("root of the tests")),
    }
}

fn keys() -> (Keys, ServiceSigner) {
    let signer = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let edge = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let private = Secret::new(signer.serialize_pem());
    let edge_private = Secret::new(edge.serialize_pem());
    let edge_signer = ServiceSigner::from_pem(edge_private.expose().as_bytes()).expect("a key");
    let keys = Keys {
        seal_key: SealKey::from_bytes(&[7; 32]).expect("a key"),
        service_signer: ServiceSigner::from_pem(private.expose().as_bytes()).expect("a key"),
        edge_verifier: ServiceVerifier::from_pem(edge.public_key_pem().as_bytes()).expect("a key"),
        archives: Some(archives()),
    };
    (keys, edge_signer)
}
