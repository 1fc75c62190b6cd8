//! One question of a node, answered in one transaction.

use super::grant::{self, Stand};
use super::{limit, notice};
use crate::app::{AppError, Platform};
use crate::store::allowance::{self, Asker, Granted, Owner};
use crate::store::billing::clock;
use crate::store::{EitherTx, RegionTx, cap};
use lumadb_billing::period::Period;
use lumadb_contract::allowance::{
    Allowance, AllowanceRequest, LEASE_SECONDS, MeterAllowance, MeterRequest, StorageAllowance,
};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;
use time::{Duration, OffsetDateTime, Time, UtcOffset};

/// A node asks again after so long: while its limits are far, when one is near, and without any.
const RENEW_SECONDS: u32 = 15;
const RENEW_SECONDS_NEAR: u32 = 3;
const RENEW_SECONDS_UNLIMITED: u32 = 10;

/// Meters of which nodes are given room.
const METERS: [Meter; 3] = [Meter::Requests, Meter::TransferOut, Meter::VectorOperations];

/// Room beyond which a node does not outlive its answer: it is taken to use it all until then.
const LEASE: Duration = Duration::seconds(LEASE_SECONDS.cast_signed());

/// The times of an answer, in billing's time.
#[derive(Debug, Clone, Copy)]
struct Times {
    now: OffsetDateTime,
    /// How far that is ahead of the clock.
    ahead: Duration,
    day: OffsetDateTime,
    period: Period,
}

impl Times {
    /// When the limit of a meter began, and when it begins anew.
    fn window(&self, meter: Meter) -> (OffsetDateTime, OffsetDateTime) {
        match meter {
            Meter::Requests => (self.day, self.day + Duration::DAY),
            _ => (self.period.start(), self.period.end()),
        }
    }
}

/// A question with what is known of who asks.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    platform: &'a Platform,
    database: DatabaseId,
    owner: &'a Owner,
    request: &'a AllowanceRequest,
    times: Times,
}

/// Answers the node of an instance; `None` when no database has it.
pub async fn answer(
    platform: &Platform,
    instance: DatabaseId,
    request: &AllowanceRequest,
) -> Result<Option<Allowance>, AppError> {
    let mut tx = platform.store.region().await?;
    let Some(owner) = allowance::owner_lock(&mut tx, instance).await? else {
        return Ok(None);
    };
    let question = Question {
        platform,
        database: owner.database,
        owner: &owner,
        request,
        times: times(platform, &mut tx).await?,
    };
    let mut answer = Allowance {
        number: request.number,
        incarnation_id: request.incarnation_id,
        meters: Vec::new(),
        storage: None,
        read_only: None,
        upgrade_url: format!("{}/billing", platform.links.console_url),
        renew_after_seconds: RENEW_SECONDS_UNLIMITED,
    };
    question.meters(&mut tx, &mut answer).await?;
    question.storage(&mut tx, &mut answer).await?;
    question.spend_cap(&mut tx, &mut answer).await?;
    tx.commit().await?;
    Ok(Some(answer))
}

async fn times(platform: &Platform, tx: &mut RegionTx) -> Result<Times, AppError> {
    let ahead = clock::ahead(&mut EitherTx::Region(tx)).await?;
    let now = (platform.clock.now() + ahead).to_offset(UtcOffset::UTC);
    Ok(Times {
        now,
        ahead,
        day: now.replace_time(Time::MIDNIGHT),
        period: Period::of(now).map_err(AppError::internal)?,
    })
}

impl Question<'_> {
    /// The meters of the question that the plan limits, each with its limit.
    fn limited(&self) -> Result<Vec<(&MeterRequest, u64)>, AppError> {
        let mut limited = Vec::new();
        for meter in METERS {
            let mut asked = self.request.meters.iter();
            let asked = asked.find(|asked| asked.meter == meter);
            if let (Some(asked), Some(limit)) = (asked, self.limit(meter)?) {
                limited.push((asked, limit));
            }
        }
        Ok(limited)
    }

    fn limit(&self, meter: Meter) -> Result<Option<u64>, AppError> {
        limit(self.platform, &self.owner.plan_id, meter, self.times.now)
    }

    async fn meters(&self, tx: &mut RegionTx, answer: &mut Allowance) -> Result<(), AppError> {
        let limited = self.limited()?;
        if limited.is_empty() {
            return Ok(());
        }
        let asker = Asker {
            organization: self.owner.organization,
            database: self.database,
            incarnation: self.request.incarnation_id,
            day: self.times.day,
            month: self.times.period.start(),
            now: self.times.now,
        };
        let stood = allowance::stood(tx, &asker).await?;
        for (asked, limit) in limited {
            let meter = asked.meter;
            let (began_at, resets_at) = self.times.window(meter);
            let stand = Stand {
                limit,
                used: stood.used.of(meter),
                others: stood.others.of(meter),
                marked: stood.marked.of(meter),
            };
            let granted = grant::grant(stand, asked);
            let lease = Granted {
                meter,
                incarnation: self.request.incarnation_id,
                ceiling: granted.ceiling,
                window_starts_at: began_at,
                expires_at: self.times.now + LEASE,
            };
            allowance::grant(tx, self.owner.organization, self.database, lease).await?;
            self.tell(tx, meter, granted.used, limit).await?;
            let is_near = granted.used >= limit / 2;
            let renew_after = if is_near {
                RENEW_SECONDS_NEAR
            } else {
                RENEW_SECONDS
            };
            answer.renew_after_seconds = answer.renew_after_seconds.min(renew_after);
            answer.meters.push(MeterAllowance {
                meter,
                ceiling: granted.ceiling,
                limit,
                is_used_up: granted.is_used_up,
                is_scarce: granted.is_scarce,
                resets_at: resets_at - self.times.ahead,
            });
        }
        Ok(())
    }

    async fn storage(&self, tx: &mut RegionTx, answer: &mut Allowance) -> Result<(), AppError> {
        let Some(limit) = self.limit(Meter::Storage)? else {
            return Ok(());
        };
        let organization = self.owner.organization;
        let others = allowance::stored_by_others(tx, organization, self.database).await?;
        let used = others.saturating_add(self.request.storage_bytes.unwrap_or_default());
        self.tell(tx, Meter::Storage, used, limit).await?;
        if used >= limit / 2 {
            answer.renew_after_seconds = answer.renew_after_seconds.min(RENEW_SECONDS_NEAR);
        }
        answer.storage = Some(StorageAllowance {
            ceiling_bytes: limit.saturating_sub(others),
            limit_bytes: limit,
        });
        Ok(())
    }

    async fn spend_cap(&self, tx: &mut RegionTx, answer: &mut Allowance) -> Result<(), AppError> {
        let Some(cap) = cap::degraded(tx, self.database).await? else {
            return Ok(());
        };
        let cap = cap.map_or_else(String::new, |cents| format!(" of ${}", Cents::new(cents)));
        answer.read_only = Some(format!(
            "The spend cap{cap} of the organization is used for this month."
        ));
        answer.renew_after_seconds = answer.renew_after_seconds.min(RENEW_SECONDS_NEAR);
        Ok(())
    }

    async fn tell(
        &self,
        tx: &mut RegionTx,
        meter: Meter,
        used: u64,
        limit: u64,
    ) -> Result<(), AppError> {
        let (owner, now) = (self.owner, self.times.now);
        notice::tell(self.platform, tx, owner, meter, used, limit, now).await
    }
}
