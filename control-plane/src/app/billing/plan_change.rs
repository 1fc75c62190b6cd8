//! Changes of plan: up at once, down at the end of the period, and not before what is held fits.
//!
//! A plan with a fee begins only where there is a way to charge it ([`Collection::can_charge`]);
//! until then the change waits, and [`plan_activate`] brings it into force.
//!
//! [`Collection::can_charge`]: super::Collection::can_charge

use super::quote::{self, Asked, ChangeQuote, Held, Proposal};
use super::{
    InvoiceKind, InvoiceSummary, NewInvoice, PlanChangeState, collector, gone, issue, mail, reckon,
};
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::{Action, AppError, Caller, FieldError, Platform, ProblemType};
use crate::store::EitherTx;
use crate::store::billing::customer::{self, CustomerRow};
use crate::store::billing::invoice::InvoiceRow;
use crate::store::billing::plan_change::{self, PlanChangeRow};
use crate::store::billing::subscription::{self, NewSubscription};
use lumadb_billing::period::Period;
use lumadb_billing::price_book::{Excess, Plan, PlanId, Quota};
use lumadb_billing::rating::{Agreement, Terms, fees_at_change};
use lumadb_contract::id::{OrganizationId, PlanChangeId, SubscriptionId};
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The plan that an organization shall be on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanChangeCreate {
    #[schema(max_length = 32, examples("pro-starter"))]
    pub plan_id: String,
}

/// A change of plan.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanChange {
    pub id: PlanChangeId,
    pub from_plan_id: String,
    pub plan_id: String,
    pub state: PlanChangeState,
    /// When it comes, or came, into force; null: once there is a way to pay, or never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub effective_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<PlanChangeRow> for PlanChange {
    fn from(row: PlanChangeRow) -> Self {
        Self {
            id: row.id,
            from_plan_id: row.from_plan_id,
            plan_id: row.plan_id,
            state: row.state,
            effective_at: row.effective_at,
            created_at: row.created_at,
        }
    }
}

/// A change of plan, and the invoice of its fees if there are any.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanChanged {
    pub plan_change: PlanChange,
    #[schema(required = true)]
    pub invoice: Option<InvoiceSummary>,
}

/// Changes the plan, or says what that would cost.
pub async fn plan_change_create(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    request: Option<&IdempotentRequest>,
    dry_run: bool,
    input: PlanChangeCreate,
) -> Result<Asked<PlanChanged>, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingWrite).await?;
    let request = request.filter(|_| !dry_run);
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(Asked::Done(answer)),
        Begun::Fresh(change) => change,
    };
    let tx = &mut EitherTx::Tenant(&mut change);
    let customer = customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let now = super::now(platform, tx).await?;
    apply_due(platform, tx, &customer, now).await?;
    let wish = Wish::check(platform, tx, organization, &input.plan_id, now).await?;
    if dry_run {
        return wish
            .quote(platform, tx, organization, now)
            .await
            .map(Asked::Quoted);
    }
    if wish.is_current {
        return Err(conflict("The organization is on this plan already."));
    }
    refuse_excess(&wish.plan, tx, organization).await?;
    let (row, invoice) = begin(platform, tx, &customer, &wish, &caller.name(), now).await?;
    let details =
        json!({ "plan_id": row.plan_id, "from_plan_id": row.from_plan_id, "state": row.state });
    change
        .audit(AuditAction::PlanChange, organization, details)
        .await?;
    let answer = PlanChanged {
        plan_change: row.into(),
        invoice: invoice.map(InvoiceSummary::try_from).transpose()?,
    };
    change.commit(answer).await.map(Asked::Done)
}

/// What is asked for, and what it would be.
struct Wish {
    plan: Plan,
    is_current: bool,
    /// Cheaper than now: it waits for the end of the period.
    is_down: bool,
}

impl Wish {
    async fn check(
        platform: &Platform,
        tx: &mut EitherTx<'_>,
        organization: OrganizationId,
        asked: &str,
        now: OffsetDateTime,
    ) -> Result<Self, AppError> {
        let book = platform
            .books
            .at(Period::of(now)?)
            .map_err(AppError::internal)?;
        let unknown = || AppError::field("plan_id", "there is no such plan");
        let id: PlanId = asked.parse().map_err(|_| unknown())?;
        let plan = book.plan(&id).map_err(|_| unknown())?;
        let (current, agreement) = quote::current(tx, organization).await?;
        let fee_now = agreement
            .fee
            .or_else(|| book.plan(&current).ok().and_then(|plan| plan.fee));
        let is_current = current == id;
        let Some(fee) = plan.fee.or(fee_now.filter(|_| is_current)) else {
            return Err(AppError::rejected(
                ProblemType::Forbidden,
                "This plan comes with an agreement: talk to us.",
            ));
        };
        Ok(Self {
            plan: plan.clone(),
            is_current,
            is_down: fee_now.is_some_and(|before| fee < before),
        })
    }

    async fn quote(
        &self,
        platform: &Platform,
        tx: &mut EitherTx<'_>,
        organization: OrganizationId,
        now: OffsetDateTime,
    ) -> Result<ChangeQuote, AppError> {
        let (_, agreement) = quote::current(tx, organization).await?;
        let nothing = Agreement::default();
        let proposal = Proposal::Plan {
            plan: &self.plan.id,
            agreement: if self.is_current {
                &agreement
            } else {
                &nothing
            },
        };
        quote::quote(platform, tx, organization, proposal, now).await
    }
}

/// Writes the change in the place of one that is open, and makes it where nothing is waited for.
async fn begin(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    wish: &Wish,
    by: &str,
    now: OffsetDateTime,
) -> Result<(PlanChangeRow, Option<InvoiceRow>), AppError> {
    let organization = customer.organization_id;
    if let Some(open) = plan_change::open(tx, organization).await? {
        let cancelled = PlanChangeState::Cancelled;
        plan_change::end(tx, organization, open.id, cancelled, None, now).await?;
    }
    let has_fee = wish.plan.fee.is_some_and(|fee| fee > Cents::ZERO);
    let can_charge = match collector(platform, customer) {
        Some(collector) if has_fee => collector.can_charge(tx, organization).await?,
        _ => true,
    };
    let (state, effective_at) = if wish.is_down {
        (PlanChangeState::Scheduled, Some(Period::of(now)?.end()))
    } else if can_charge {
        (PlanChangeState::Done, Some(now))
    } else {
        (PlanChangeState::Waiting, None)
    };
    let row = PlanChangeRow {
        id: PlanChangeId::from_uuid(platform.clock.new_uuid()),
        from_plan_id: customer.plan_id.clone(),
        plan_id: wish.plan.id.to_string(),
        state,
        effective_at,
        requested_by: by.to_owned(),
        created_at: now,
        ended_at: (state == PlanChangeState::Done).then_some(now),
    };
    plan_change::insert(tx, organization, &row).await?;
    let invoice = match state {
        PlanChangeState::Done => activate(platform, tx, organization, &wish.plan, by, now).await?,
        _ => None,
    };
    Ok((row, invoice))
}

/// Puts an organization on a plan from this moment on, and invoices what that costs at once. The
/// customer's row must be locked.
async fn activate(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    plan: &Plan,
    by: &str,
    at: OffsetDateTime,
) -> Result<Option<InvoiceRow>, AppError> {
    let new = NewSubscription {
        id: SubscriptionId::from_uuid(platform.clock.new_uuid()),
        organization,
        plan_id: plan.id.as_str(),
        agreement: &Agreement::default(),
        starts_at: at,
        created_by: by,
    };
    subscription::replace(tx, &new).await?;
    if let Some(seconds) = plan.idle_timeout_seconds {
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        let now = platform.clock.now();
        plan_change::idle_timeouts_bound(tx, organization, seconds, now).await?;
    }
    let terms = reckon::terms(tx, organization).await?;
    let lines = fees_at_change(&platform.books, &terms)?;
    if lines.is_empty() {
        return Ok(None);
    }
    let invoice = NewInvoice {
        organization,
        kind: InvoiceKind::Change,
        period: Period::of(at)?,
        lines,
        at,
    };
    issue(platform, tx, invoice).await.map(Some)
}

/// Brings a change into force that waited for a way to pay. `None`: none waits, or what is held
/// does not fit the plan any more; then it is cancelled.
pub async fn plan_activate(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Option<PlanChanged>, AppError> {
    let customer = customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let now = super::now(platform, tx).await?;
    apply_due(platform, tx, &customer, now).await?;
    let open = plan_change::open(tx, organization).await?;
    let Some(open) = open.filter(|open| open.state == PlanChangeState::Waiting) else {
        return Ok(None);
    };
    enact(platform, tx, &customer, open, now, now).await
}

/// Brings a scheduled change into force whose time has come. The customer's row must be locked.
pub(super) async fn apply_due(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    now: OffsetDateTime,
) -> Result<Option<PlanChanged>, AppError> {
    let open = plan_change::open(tx, customer.organization_id).await?;
    let open = open.filter(|open| open.state == PlanChangeState::Scheduled);
    let Some((open, at)) = open.and_then(|open| Some((open.clone(), open.effective_at?))) else {
        return Ok(None);
    };
    if now < at {
        return Ok(None);
    }
    enact(platform, tx, customer, open, at, now).await
}

async fn enact(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    open: PlanChangeRow,
    at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Option<PlanChanged>, AppError> {
    let organization = customer.organization_id;
    let book = platform
        .books
        .at(Period::of(at)?)
        .map_err(AppError::internal)?;
    let plan = book
        .plan(&reckon::plan_id(&open.plan_id)?)
        .map_err(AppError::internal)?;
    let excess = plan.excess(&Held::read(tx, organization).await?.holdings());
    if !excess.is_empty() {
        let cancelled = PlanChangeState::Cancelled;
        plan_change::end(tx, organization, open.id, cancelled, None, now).await?;
        mail::plan_kept(platform, tx, customer, &plan.display_name, &shrink(&excess)).await?;
        return Ok(None);
    }
    let done = PlanChangeState::Done;
    plan_change::end(tx, organization, open.id, done, Some(at), now).await?;
    let by = open.requested_by.clone();
    let invoice = activate(platform, tx, organization, plan, &by, at).await?;
    let plan_change = PlanChange {
        state: done,
        effective_at: Some(at),
        ..open.into()
    };
    Ok(Some(PlanChanged {
        plan_change,
        invoice: invoice.map(InvoiceSummary::try_from).transpose()?,
    }))
}

/// The plan that will hold from the end of the period on, if that is another one.
pub(super) async fn scheduled(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Option<Terms>, AppError> {
    let open = plan_change::open(tx, organization).await?;
    let open = open.filter(|open| open.state == PlanChangeState::Scheduled);
    let Some((open, from)) = open.and_then(|open| Some((open.clone(), open.effective_at?))) else {
        return Ok(None);
    };
    Ok(Some(Terms {
        from,
        plan: reckon::plan_id(&open.plan_id)?,
        agreement: Agreement::default(),
    }))
}

/// Refuses a plan that allows less than what is held, with everything that must shrink first.
async fn refuse_excess(
    plan: &Plan,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<(), AppError> {
    let excess = plan.excess(&Held::read(tx, organization).await?.holdings());
    if excess.is_empty() {
        return Ok(());
    }
    let errors = excess.iter().map(|excess| FieldError {
        field: "plan_id".into(),
        message: shrink(std::slice::from_ref(excess)),
    });
    Err(AppError::Rejected {
        problem: ProblemType::QuotaExceeded,
        detail: format!(
            "{} allows less than you have: {}",
            plan.display_name,
            shrink(&excess)
        ),
        errors: errors.collect(),
        retry_after_seconds: None,
        operation: None,
    })
}

/// What must shrink, in words.
fn shrink(excess: &[Excess]) -> String {
    let parts: Vec<String> = excess
        .iter()
        .map(
            |Excess {
                 quota,
                 held,
                 allowed,
             }| match quota {
                Quota::Databases => format!("{held} databases, at most {allowed}"),
                Quota::DatabaseMilliVcpu => {
                    format!("a database of {held} thousandths of a vCPU, at most {allowed}")
                }
                Quota::Regions => format!("databases in {held} regions, at most {allowed}"),
                Quota::Members => format!("{held} members, at most {allowed}"),
                Quota::PointInTimeDays => format!("a window of {held} days, at most {allowed}"),
                Quota::S3Databases => {
                    format!("durability `s3`, which it does not have (databases: {held})")
                }
            },
        )
        .collect();
    format!("{}.", parts.join("; "))
}

fn conflict(text: &str) -> AppError {
    AppError::rejected(ProblemType::Conflict, text)
}

/// Newest first, from behind `before` on; one more than is shown.
pub async fn plan_change_list(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    before: Option<PlanChangeId>,
    limit: i64,
) -> Result<Vec<PlanChange>, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let either = &mut EitherTx::Tenant(&mut tx);
    let rows = plan_change::list(either, organization, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(PlanChange::from).collect())
}

/// Takes back a change that has not come into force.
pub async fn plan_change_cancel(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    id: PlanChangeId,
) -> Result<PlanChange, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingWrite).await?;
    let Begun::Fresh(mut change) = Change::begin::<()>(platform, caller, member, None).await?
    else {
        return Err(AppError::internal("a change without a key was replayed"));
    };
    let tx = &mut EitherTx::Tenant(&mut change);
    let customer = customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let now = super::now(platform, tx).await?;
    apply_due(platform, tx, &customer, now).await?;
    let open = plan_change::open(tx, organization).await?;
    let open = open
        .filter(|open| open.id == id)
        .ok_or_else(|| AppError::not_found("open change of plan", id))?;
    let cancelled = PlanChangeState::Cancelled;
    plan_change::end(tx, organization, id, cancelled, None, now).await?;
    let details = json!({ "plan_id": open.plan_id });
    change
        .audit(AuditAction::PlanChangeCancel, organization, details)
        .await?;
    let answer = PlanChange {
        state: cancelled,
        ..open.into()
    };
    change.commit(answer).await
}
