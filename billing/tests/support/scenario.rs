//! A scenario: what an organization did in a period, written so that a person reads it at a glance.

use super::{database, incarnation};
use lumadb_billing::exact::Ppm;
use lumadb_billing::invoice::{Credit, Tax};
use lumadb_billing::period::Period;
use lumadb_billing::rating::{Account, Agreement, ComputeSpan, Terms, Usage, UsageHour};
use lumadb_contract::id::CreditId;
use lumadb_contract::money::Cents;
use serde::Deserialize;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) about: String,
    pub(crate) period: Period,
    pub(crate) terms: Vec<PlanFrom>,
    #[serde(default, rename = "use")]
    pub(crate) used: Vec<Use>,
    /// Known only after the period was closed.
    #[serde(default)]
    pub(crate) late: Vec<Use>,
    pub(crate) spend_cap: Option<Cents>,
    #[serde(default)]
    pub(crate) credits: Vec<Grant>,
    /// Parts per million.
    pub(crate) tax: Option<Ppm>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFrom {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) from: OffsetDateTime,
    pub(crate) plan: String,
    #[serde(default)]
    pub(crate) agreement: Agreement,
}

/// Steady use of one database, from a moment to another.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Use {
    pub(crate) database: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) to: OffsetDateTime,
    /// One span of compute.
    #[serde(default)]
    pub(crate) milli_vcpu: u32,
    #[serde(default)]
    pub(crate) storage_bytes: u64,
    #[serde(default)]
    pub(crate) requests_per_hour: u64,
    #[serde(default)]
    pub(crate) transfer_bytes_per_hour: u64,
    #[serde(default)]
    pub(crate) vectors_per_hour: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) credit: u32,
    pub(crate) remaining: Cents,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl Scenario {
    pub(crate) fn account(&self) -> Account {
        self.account_with(&self.used)
    }

    /// With what came late.
    pub(crate) fn account_later(&self) -> Account {
        let all: Vec<Use> = self.used.iter().chain(&self.late).cloned().collect();
        self.account_with(&all)
    }

    fn account_with(&self, used: &[Use]) -> Account {
        Account {
            terms: self.terms.iter().map(PlanFrom::terms).collect(),
            usage: usage(used),
            spend_cap: self.spend_cap,
        }
    }

    pub(crate) fn credits(&self) -> Vec<Credit> {
        let credits = self.credits.iter().map(|grant| Credit {
            id: CreditId::from_uuid(Uuid::from_u128(grant.credit.into())),
            remaining: grant.remaining,
            expires_at: grant.expires_at,
        });
        credits.collect()
    }

    pub(crate) fn tax(&self) -> Tax {
        self.tax.map_or(Tax::None, |rate| Tax::Rate {
            name: "VAT".to_owned(),
            rate,
        })
    }
}

impl PlanFrom {
    fn terms(&self) -> Terms {
        Terms {
            from: self.from,
            plan: self.plan.parse().expect("a plan's identifier"),
            agreement: self.agreement.clone(),
        }
    }
}

/// Hours and spans of steady uses; uses of one database add up.
pub(crate) fn usage(used: &[Use]) -> Usage {
    let mut hours: BTreeMap<(u32, OffsetDateTime), UsageHour> = BTreeMap::new();
    let mut spans = Vec::new();
    for (index, one) in used.iter().enumerate() {
        if one.milli_vcpu > 0 {
            spans.push(ComputeSpan {
                database: database(one.database),
                incarnation: incarnation(u32::try_from(index).expect("few")),
                started_at: one.from,
                ended_at: one.to,
                milli_vcpu: one.milli_vcpu,
            });
        }
        let mut from = one.from;
        while from < one.to {
            let seconds = from.unix_timestamp().rem_euclid(3600);
            let start = from
                - Duration::seconds(seconds)
                - Duration::nanoseconds(i64::from(from.nanosecond()));
            let to = (start + Duration::HOUR).min(one.to);
            let us = u128::try_from((to - from).whole_microseconds()).expect("forward");
            add(&mut hours, one, start, us);
            from = to;
        }
    }
    Usage {
        hours: hours.into_values().collect(),
        spans,
    }
}

fn add(
    hours: &mut BTreeMap<(u32, OffsetDateTime), UsageHour>,
    one: &Use,
    start: OffsetDateTime,
    us: u128,
) {
    let part = |count: u64| {
        u64::try_from(u128::from(count) * us / 3_600_000_000).expect("a part of an hour")
    };
    let counts = [
        part(one.requests_per_hour),
        part(one.transfer_bytes_per_hour),
        part(one.vectors_per_hour),
    ];
    if one.storage_bytes == 0 && counts == [0; 3] {
        return;
    }
    let hour = hours
        .entry((one.database, start))
        .or_insert_with(|| UsageHour {
            database: database(one.database),
            starts_at: start,
            storage_byte_us: 0,
            requests: 0,
            transfer_out_bytes: 0,
            vector_operations: 0,
        });
    hour.storage_byte_us += u128::from(one.storage_bytes) * us;
    hour.requests += counts[0];
    hour.transfer_out_bytes += counts[1];
    hour.vector_operations += counts[2];
}
