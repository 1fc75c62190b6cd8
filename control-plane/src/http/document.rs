//! The OpenAPI document: what is common to all operations.

use axum::Json;
use std::sync::OnceLock;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::http::problem::{Problem, ProblemField};

const DESCRIPTION: &str = "\
Accounts, databases and their usage.

Changes that take time answer with the resource and an *operation*; `Prefer: wait=N` holds the \
answer until it ends. Every POST takes an `Idempotency-Key`. Errors are problem documents \
(RFC 9457). Lists come in pages.";

/// The document before any route is in it.
pub(super) fn base() -> OpenApi {
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("LumaDB Cloud")
                .version("1")
                .description(Some(DESCRIPTION))
                .license(Some(LicenseBuilder::new().name("MIT").build()))
                .build(),
        )
        .security(Some([
            SecurityRequirement::new("token", Vec::<String>::new()),
            SecurityRequirement::new("session", Vec::<String>::new()),
        ]))
        .build()
}

/// Adds what every operation has: problems, and the ways to authenticate.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    for (name, schema) in [
        (Problem::name(), Problem::schema()),
        (ProblemField::name(), ProblemField::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("An API token: `luma_pat_…`."))
                .build(),
        ),
    );
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "lumadb_session",
            "The console's session; over TLS the cookie is called `__Host-lumadb_session`.",
        ))),
    );
    for item in document.paths.paths.values_mut() {
        for operation in [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.put,
            &mut item.delete,
        ]
        .into_iter()
        .flatten()
        {
            add_problem(operation);
        }
    }
    document
}

fn add_problem(operation: &mut Operation) {
    let problem = ResponseBuilder::new()
        .description("What went wrong, as a problem document.")
        .content(
            "application/problem+json",
            ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(Problem::name())))
                .build(),
        )
        .build();
    operation
        .responses
        .responses
        .entry("default".into())
        .or_insert(RefOr::T(problem));
}

/// `GET /openapi.json`
pub(super) async fn get() -> Json<&'static OpenApi> {
    static DOCUMENT: OnceLock<OpenApi> = OnceLock::new();
    Json(DOCUMENT.get_or_init(crate::http::openapi))
}
