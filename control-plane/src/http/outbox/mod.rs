//! The mails of the local transport, for a cloud that has no mail server: `/outbox` for people and
//! `/outbox.json` for scripts. The routes are there only while mail goes into a folder.
//!
//! Whoever reaches the console can read them: this is for one machine, not for the open network.

mod page;

use crate::http::ApiState;
use crate::notify::{LocalMail, read_local};
use axum::extract::State;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CONTENT_SECURITY_POLICY;
use serde::Serialize;

/// Our own inline styles, no script, links that open in a new tab.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub fn router(state: &ApiState) -> Router<ApiState> {
    if state.platform.settings.outbox_folder.is_none() {
        return Router::new();
    }
    Router::new()
        .route("/outbox", get(html))
        .route("/outbox.json", get(json))
}

#[derive(Debug, Serialize)]
struct Mails {
    /// Newest first.
    items: Vec<LocalMail>,
}

async fn mails(state: &ApiState) -> Vec<LocalMail> {
    let Some(folder) = state.platform.settings.outbox_folder.clone() else {
        return Vec::new();
    };
    tokio::task::spawn_blocking(move || read_local(&folder))
        .await
        .unwrap_or_default()
}

async fn html(State(state): State<ApiState>) -> impl IntoResponse {
    let page = page::render(&mails(&state).await);
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(page))
}

async fn json(State(state): State<ApiState>) -> Json<Mails> {
    Json(Mails {
        items: mails(&state).await,
    })
}
