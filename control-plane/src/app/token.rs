//! Tokens for the API.

use crate::app::audit::AuditAction;
use crate::app::authorize::{authorize, require_session};
use crate::app::change::{Begun, Change, IdempotentRequest, new_audit_event};
use crate::app::organization::NAME_CHARACTERS_MAX;
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::identity::secret_token;
use crate::store::api_token::{self, ApiTokenRow};
use crate::store::audit;
use lumadb_contract::id::{ApiTokenId, OrganizationId, UserId};
use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// Most tokens of an organization.
const TOKENS_MAX: i64 = 1000;

const LIFE_DAYS_MAX: i64 = 365;

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    pub id: ApiTokenId,
    /// Who made it: it may do what this user may, at most.
    pub user_id: UserId,
    pub name: String,
    /// The first characters of its secret.
    pub hint: String,
    pub read_only: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
}

impl From<ApiTokenRow> for ApiToken {
    fn from(row: ApiTokenRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            hint: row.hint,
            read_only: row.read_only,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// A token that was made just now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiTokenCreated {
    pub token: ApiToken,
    /// Shown this once.
    #[schema(value_type = String, examples("luma_pat_…"))]
    pub secret: Secret,
}

/// A token that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenCreate {
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    pub name: String,
    #[schema(minimum = 1, maximum = 365)]
    pub expires_in_days: i64,
    /// Whether it may change nothing and see no password.
    #[serde(default)]
    pub read_only: bool,
}

/// A token cannot make tokens: one that leaks could outlive itself.
pub async fn token_create(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    request: Option<&IdempotentRequest>,
    input: ApiTokenCreate,
) -> Result<ApiTokenCreated, AppError> {
    let member = authorize(platform, caller, organization, Action::TokenWrite).await?;
    require_session(caller)?;
    let mut fields = FieldErrors::new();
    let name = fields.display_name("name", &input.name, NAME_CHARACTERS_MAX);
    fields.check(
        "expires_in_days",
        (1..=LIFE_DAYS_MAX).contains(&input.expires_in_days),
        format!("is 1 to {LIFE_DAYS_MAX}"),
    );
    fields.finish()?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    if api_token::count(&mut change).await? >= TOKENS_MAX {
        return Err(AppError::rejected(
            ProblemType::QuotaExceeded,
            format!("An organization has at most {TOKENS_MAX} tokens: delete some."),
        ));
    }
    let secret = secret_token::api_token().map_err(AppError::internal)?;
    let now = platform.clock.now();
    let row = ApiTokenRow {
        id: ApiTokenId::from_uuid(platform.clock.new_uuid()),
        user_id: caller.user,
        name,
        hint: secret_token::hint(&secret),
        read_only: input.read_only,
        created_at: now,
        expires_at: now + Duration::days(input.expires_in_days),
        last_used_at: None,
    };
    api_token::insert(&mut change, &row, &secret_token::hash(secret.expose())).await?;
    let details = json!({ "name": row.name, "read_only": row.read_only });
    change
        .audit(AuditAction::TokenCreate, row.id, details)
        .await?;
    let token = row.into();
    change.commit(ApiTokenCreated { token, secret }).await
}

/// Newest first, from below `before` on; one more than is shown.
pub async fn token_list(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    before: Option<ApiTokenId>,
    limit: i64,
) -> Result<Vec<ApiToken>, AppError> {
    let member = authorize(platform, caller, organization, Action::TokenRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let rows = api_token::list(&mut tx, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(ApiToken::from).collect())
}

/// The token stops working at once.
pub async fn token_delete(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    id: ApiTokenId,
) -> Result<(), AppError> {
    let member = authorize(platform, caller, organization, Action::TokenWrite).await?;
    require_session(caller)?;
    let mut tx = platform.store.tenant(member.organization).await?;
    if !api_token::delete(&mut tx, id).await? {
        return Err(AppError::not_found("token", id));
    }
    let event = new_audit_event(platform, caller, AuditAction::TokenDelete, id, json!({}));
    audit::insert(&mut tx, &event).await?;
    tx.commit().await?;
    Ok(())
}
