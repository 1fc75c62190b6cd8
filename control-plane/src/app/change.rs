//! A change that happens once, however often it is asked for.
//!
//! ```text
//! let mut change = match Change::begin(platform, caller, member, key).await? {
//!     Begun::Replayed(answer) => return Ok(answer),
//!     Begun::Fresh(change) => change,
//! };
//! store::thing::insert(&mut change, …).await?;      // derefs to TenantTx
//! change.audit(AuditAction::ThingCreate, id, json!({})).await?;
//! change.commit(answer).await                         // stores the answer, commits, returns it
//! ```

use crate::app::audit::AuditAction;
use crate::app::{AppError, Caller, Member, Platform, ProblemType};
use crate::identity::SealPurpose;
use crate::store::audit::{self, NewAuditEvent};
use crate::store::idempotency::{self, IdempotencyRecord};
use crate::store::{StoreError, TenantTx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lumadb_contract::id::AuditEventId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::ops::{Deref, DerefMut};

/// A request that names itself, so that it may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// Chosen by the client, 1 to 255 characters.
    pub key: String,
    /// Hex SHA-256 of method, path and body.
    pub request_hash: String,
}

/// A transaction of one organization in which a caller changes something.
#[derive(Debug)]
pub struct Change {
    tx: TenantTx,
    platform: Platform,
    caller: Caller,
    key: Option<String>,
}

/// What [`Change::begin`] found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for one `match`")]
pub enum Begun<T> {
    Fresh(Change),
    /// The same request was answered before; nothing is to be done.
    Replayed(T),
}

impl Change {
    /// Claims the key. Fails with `idempotency_mismatch` if it was used for another request; waits
    /// for the same request if that is under way.
    pub async fn begin<T: DeserializeOwned>(
        platform: &Platform,
        caller: &Caller,
        member: Member,
        request: Option<&IdempotentRequest>,
    ) -> Result<Begun<T>, AppError> {
        let mut tx = platform.store.tenant(member.organization).await?;
        let mut key = None;
        if let Some(request) = request {
            let name = caller.name();
            let record = IdempotencyRecord {
                caller: &name,
                key: &request.key,
                request_hash: &request.request_hash,
            };
            if !idempotency::claim(&mut tx, &record, platform.clock.now()).await? {
                return replay(platform, tx, &record).await.map(Begun::Replayed);
            }
            key = Some(request.key.clone());
        }
        Ok(Begun::Fresh(Self {
            tx,
            platform: platform.clone(),
            caller: caller.clone(),
            key,
        }))
    }

    /// Records what is being done in the organization's audit log.
    pub async fn audit(
        &mut self,
        action: AuditAction,
        resource: impl std::fmt::Display,
        details: serde_json::Value,
    ) -> Result<(), StoreError> {
        let event = new_audit_event(&self.platform, &self.caller, action, resource, details);
        audit::insert(&mut self.tx, &event).await
    }

    /// Keeps the answer under the key, if there is one, and commits.
    pub async fn commit<T: Serialize>(mut self, answer: T) -> Result<T, AppError> {
        if let Some(key) = self.key.take() {
            let caller = self.caller.name();
            let plain = serde_json::to_vec(&answer).map_err(AppError::internal)?;
            // An answer may hold a password that is shown once: it lies here sealed.
            let sealed = self
                .platform
                .seal_key
                .seal_bytes(
                    SealPurpose::IdempotentAnswer,
                    &place(&self.tx, &caller, &key),
                    &plain,
                )
                .map_err(AppError::internal)?;
            let body = json!({ "sealed": STANDARD.encode(sealed) });
            idempotency::answer(&mut self.tx, &caller, &key, 200, &body).await?;
        }
        self.tx.commit().await?;
        Ok(answer)
    }
}

impl Deref for Change {
    type Target = TenantTx;

    fn deref(&self) -> &TenantTx {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut TenantTx {
        &mut self.tx
    }
}

/// An audit event of a caller's doing, at this moment.
pub fn new_audit_event(
    platform: &Platform,
    caller: &Caller,
    action: AuditAction,
    resource: impl std::fmt::Display,
    details: serde_json::Value,
) -> NewAuditEvent {
    NewAuditEvent {
        id: AuditEventId::from_uuid(platform.clock.new_uuid()),
        actor: caller.name(),
        action,
        resource: resource.to_string(),
        details,
        client_address: caller.client_address,
        created_at: platform.clock.now(),
    }
}

fn place(tx: &TenantTx, caller: &str, key: &str) -> Vec<u8> {
    format!("{}\0{caller}\0{key}", tx.organization()).into_bytes()
}

async fn replay<T: DeserializeOwned>(
    platform: &Platform,
    mut tx: TenantTx,
    record: &IdempotencyRecord<'_>,
) -> Result<T, AppError> {
    let stored = idempotency::find(&mut tx, record.caller, record.key)
        .await?
        .ok_or_else(|| StoreError::Corrupt("an idempotency key went away".into()))?;
    let place = place(&tx, record.caller, record.key);
    tx.commit().await?;
    if stored.request_hash != record.request_hash {
        return Err(AppError::rejected(
            ProblemType::IdempotencyMismatch,
            "This Idempotency-Key was used before, with another path or body.",
        ));
    }
    let sealed = stored.body["sealed"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(|| StoreError::Corrupt("a stored answer has no body".into()))?;
    let plain = platform
        .seal_key
        .open_bytes(SealPurpose::IdempotentAnswer, &place, &sealed)
        .map_err(AppError::internal)?;
    serde_json::from_slice(&plain).map_err(AppError::internal)
}
