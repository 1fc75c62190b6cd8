//! Mails and notices at 80 % and 100 % of a limit, once each in a period.

use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::notify::Mail;
use crate::notify::limit_content::{self, LimitMail};
use crate::store::allowance::{self, NoticeRow, Owner};
use crate::store::billing::{clock, customer};
use crate::store::{EitherTx, RegionTx, outbox};
use lumadb_billing::period::Period;
use lumadb_contract::id::{LimitNoticeId, OrganizationId, OutboxId};
use lumadb_contract::meter::{BYTES_PER_GB, Meter};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Of a limit, at which its organization is told.
const PERCENTS: [i16; 2] = [80, 100];

/// What an organization was told of one of its limits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LimitNotice {
    pub id: LimitNoticeId,
    pub meter: Meter,
    /// 80 or 100.
    pub percent: i16,
    /// At that moment, in the meter's smallest unit: bytes, or a count.
    pub used: i64,
    pub limit: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The notices of the current period, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LimitNoticeList {
    pub items: Vec<LimitNotice>,
}

/// Tells what is to be told, with the change that makes it so.
pub(super) async fn tell(
    platform: &Platform,
    tx: &mut RegionTx,
    owner: &Owner,
    meter: Meter,
    used: u64,
    limit: u64,
    now: OffsetDateTime,
) -> Result<(), AppError> {
    let reached = |percent: i16| {
        u128::from(used) * 100 >= u128::from(limit) * u128::from(percent.unsigned_abs())
    };
    let period = Period::of(now).map_err(AppError::internal)?;
    for percent in PERCENTS.into_iter().filter(|percent| reached(*percent)) {
        let notice = NoticeRow {
            id: LimitNoticeId::from_uuid(platform.clock.new_uuid()),
            meter: meter.name().to_owned(),
            percent,
            period: period.start().date(),
            used: i64::try_from(used).unwrap_or(i64::MAX),
            limit_amount: i64::try_from(limit).unwrap_or(i64::MAX),
            created_at: platform.clock.now(),
        };
        if allowance::notice_insert(tx, owner.organization, &notice).await? {
            let (name, amount) = described(meter, limit);
            let said = LimitMail {
                meter: name,
                limit: &amount,
                percent,
                is_storage: meter == Meter::Storage,
            };
            mail_owners(platform, tx, owner.organization, |to, name, url| {
                limit_content::limit_reached(to, name, &said, url)
            })
            .await?;
        }
    }
    Ok(())
}

/// A mail to each owner of an organization; `content` makes it for an address, a name and the
/// page with usage and plan.
pub(super) async fn mail_owners(
    platform: &Platform,
    tx: &mut RegionTx,
    organization: OrganizationId,
    content: impl Fn(&str, &str, &str) -> Mail,
) -> Result<(), AppError> {
    let url = format!("{}/billing", platform.links.console_url);
    let mut tx = EitherTx::Region(tx);
    for (email, name) in customer::owners(&mut tx, organization).await? {
        let id = OutboxId::from_uuid(platform.clock.new_uuid());
        let mail = content(&email, &name, &url);
        let payload = serde_json::to_value(mail).map_err(AppError::internal)?;
        outbox::insert_mail_of(&mut tx, id, &payload, platform.clock.now()).await?;
    }
    Ok(())
}

/// What a meter is called among people, and a limit of it with its unit.
fn described(meter: Meter, limit: u64) -> (&'static str, String) {
    let gigabytes = |bytes: u64| {
        let hundredths = u128::from(bytes) * 100 / BYTES_PER_GB;
        match hundredths % 100 {
            0 => format!("{} GB", hundredths / 100),
            rest => format!("{}.{rest:02} GB", hundredths / 100),
        }
    };
    match meter {
        Meter::Storage => ("storage", gigabytes(limit)),
        Meter::TransferOut => ("data transfer", format!("{} a month", gigabytes(limit))),
        Meter::Requests => ("requests", format!("{limit} requests a day")),
        Meter::VectorOperations => ("vector operations", format!("{limit} a month")),
        Meter::Compute => ("compute", limit.to_string()),
    }
}

/// What the caller's organization was told in the current period.
pub async fn notice_list(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
) -> Result<LimitNoticeList, AppError> {
    let member = authorize(platform, caller, organization, Action::OrganizationRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let ahead = clock::ahead(&mut EitherTx::Tenant(&mut tx)).await?;
    let period = Period::of(platform.clock.now() + ahead).map_err(AppError::internal)?;
    let rows = allowance::notices(&mut tx, period.start().date()).await?;
    tx.commit().await?;
    let items = rows.into_iter().filter_map(|row| {
        Some(LimitNotice {
            id: row.id,
            meter: Meter::ALL
                .into_iter()
                .find(|meter| meter.name() == row.meter)?,
            percent: row.percent,
            used: row.used,
            limit: row.limit_amount,
            created_at: row.created_at,
        })
    });
    Ok(LimitNoticeList {
        items: items.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_with_their_units() {
        let said = |meter, limit| described(meter, limit).1;
        assert_eq!(said(Meter::Storage, 1_000_000_000), "1 GB");
        assert_eq!(said(Meter::Storage, 64_000_000), "0.06 GB");
        assert_eq!(said(Meter::TransferOut, 1_500_000_000), "1.50 GB a month");
        assert_eq!(said(Meter::Requests, 100_000), "100000 requests a day");
    }
}
