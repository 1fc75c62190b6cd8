//! What this node holds of the organization's limits. Pure: what was counted, asked and answered,
//! and the time; out come questions, ceilings and refusals.
//!
//! - Never answered: no limits, because the parent may not know them.
//! - Answered: counting stops at the ceilings of the last answer, at its end, and when a limit begins
//!   anew; the next answer says how it goes on.
//! - Nobody answers: for [`GRACE_SECONDS`] after the last answer everything goes on.

use crate::engine::{WriteLimit, WriteStage};
use crate::metering::{Ceilings, QuotaRefusal};
use lumadb_contract::allowance::{
    Allowance, AllowanceRequest, GRACE_SECONDS, LEASE_SECONDS, MeterAllowance, MeterRequest,
};
use lumadb_contract::id::IncarnationId;
use lumadb_contract::meter::{BYTES_PER_GB, Meter};
use lumadb_contract::usage::UsageCounters;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;

/// Meters that a node counts and that have limits.
const METERS: [Meter; 3] = [Meter::Requests, Meter::TransferOut, Meter::VectorOperations];

/// A question that is not answered within this is asked again, and who waits for it goes on.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Room that others hold is waited for so long: they give it back when they idle.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(5);

/// Pause between two questions while a client waits.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A node gives room back when nothing was counted for so long: all where it is scarce, else all but
/// a small part of the limit, with which the next client begins at once.
const IDLE: Duration = Duration::from_secs(1);
const IDLE_PART: u64 = 1000;

/// Another size of what is stored is told after this.
const STORAGE_PAUSE: Duration = Duration::from_secs(1);

/// The node as it is now. Times are since the node's start, but for the wall's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Duration,
    pub(crate) wall: OffsetDateTime,
    pub(crate) counters: UsageCounters,
    pub(crate) storage_bytes: Option<u64>,
}

impl Now {
    fn counted(&self, meter: Meter) -> u64 {
        match meter {
            Meter::Requests => self.counters.requests,
            Meter::TransferOut => self.counters.transfer_out_bytes,
            Meter::VectorOperations => self.counters.vector_operations,
            Meter::Storage | Meter::Compute => 0,
        }
    }
}

/// What holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) ceilings: Ceilings,
    pub(crate) refusal: Option<QuotaRefusal>,
    pub(crate) writes: WriteLimit,
}

#[derive(Debug)]
struct Question {
    request: AllowanceRequest,
    asked_at: Duration,
}

#[derive(Debug)]
pub(crate) struct Leases {
    incarnation_id: IncarnationId,
    /// What the last life of this node left.
    writes_before: WriteLimit,
    number: u64,
    open: Option<Question>,
    /// What the question before said, answered or not.
    said: Option<AllowanceRequest>,
    answer: Option<(Allowance, Duration)>,
    waiting_since: Option<Duration>,
    /// What was counted at the last look, and since when it has been the same.
    still: Option<(UsageCounters, Duration)>,
}

impl Leases {
    pub(crate) fn new(incarnation_id: IncarnationId, writes_before: WriteLimit) -> Self {
        Self {
            incarnation_id,
            writes_before,
            number: 0,
            open: None,
            said: None,
            answer: None,
            waiting_since: None,
            still: None,
        }
    }

    /// Notes whether something is counted.
    pub(crate) fn observe(&mut self, now: &Now) {
        let counted = |counters: &UsageCounters| {
            [
                counters.requests,
                counters.transfer_out_bytes,
                counters.vector_operations,
            ]
        };
        let is_still = self
            .still
            .as_ref()
            .is_some_and(|(before, _)| counted(before) == counted(&now.counters));
        if !is_still {
            self.still = Some((now.counters, now.at));
        }
    }

    /// A client waits for room. Where there is none it is refused, and nobody needs to be asked.
    pub(crate) fn waited_for(&mut self, now: &Now) {
        if self.standing(now).refusal.is_none() {
            self.waiting_since.get_or_insert(now.at);
        }
    }

    /// The next question. What it says it holds is binding at once.
    pub(crate) fn ask(&mut self, now: &Now) -> AllowanceRequest {
        self.number += 1;
        let meters = METERS.map(|meter| {
            let counted = now.counted(meter);
            let known = self.known(meter);
            let is_idle = self.is_idle(now) && self.waiting_since.is_none();
            let ceiling = known.map_or(counted, |known| self.ceiling(known, now));
            let held = match known.filter(|_| is_idle) {
                Some(known) => ceiling.min(counted.saturating_add(kept_idle(known))),
                None => ceiling,
            };
            MeterRequest {
                meter,
                counted,
                held: held.max(counted),
                wants_more: !is_idle,
            }
        });
        let request = AllowanceRequest {
            number: self.number,
            incarnation_id: self.incarnation_id,
            meters: meters.to_vec(),
            storage_bytes: now.storage_bytes,
        };
        self.said = Some(request.clone());
        self.open = Some(Question {
            request: request.clone(),
            asked_at: now.at,
        });
        request
    }

    /// Takes an answer; one to an earlier question changes nothing.
    pub(crate) fn answered(&mut self, answer: Allowance, now: &Now) {
        let is_last = self.open.as_ref().is_some_and(|open| {
            open.request.number == answer.number
                && open.request.incarnation_id == answer.incarnation_id
        });
        if !is_last {
            return;
        }
        self.open = None;
        self.answer = Some((answer, now.at));
        let is_full = |meter| {
            let known = self.known(meter);
            known.is_some_and(|known| now.counted(meter) >= known.ceiling && !known.is_used_up)
        };
        if !METERS.into_iter().any(is_full) {
            self.waiting_since = None;
        }
    }

    /// When the next question is due.
    pub(crate) fn ask_at(&self, now: &Now) -> Duration {
        if let Some(open) = &self.open {
            return open.asked_at + ANSWER_WITHIN;
        }
        let Some((answer, at)) = &self.answer else {
            return now.at;
        };
        let mut due = *at + Duration::from_secs(answer.renew_after_seconds.into());
        let mut sooner = |pause: Duration| due = due.min(*at + pause);
        if answer.storage.is_some() && self.storage_said() != now.storage_bytes {
            sooner(STORAGE_PAUSE);
        }
        for known in &answer.meters {
            let counted = now.counted(known.meter);
            let resets_in = known.resets_at - now.wall;
            match Duration::try_from(resets_in) {
                Ok(resets_in) => due = due.min(now.at + resets_in),
                Err(_) => due = due.min(*at + ASK_AGAIN),
            }
            if known.is_used_up {
                continue;
            }
            let said = self.counted_before(known.meter).unwrap_or_default();
            let half = said + known.ceiling.saturating_sub(said) / 2;
            if counted > said && counted >= half {
                due = due.min(*at + ASK_AGAIN);
            }
            if let Some((_, since)) = self.still
                && known.ceiling > counted.saturating_add(kept_idle(known))
            {
                due = due.min((since + IDLE).max(*at + ASK_AGAIN));
            }
        }
        if self.waiting_since.is_some() {
            due = due.min(*at + ASK_AGAIN);
        }
        due
    }

    pub(crate) fn standing(&self, now: &Now) -> Standing {
        let Some((answer, _)) = &self.answer else {
            return Standing {
                ceilings: Ceilings::NONE,
                refusal: None,
                writes: self.writes_before.clone(),
            };
        };
        let mut refusal = None;
        let [requests, transfer_out_bytes, vector_operations] = METERS.map(|meter| {
            let Some(known) = self.known(meter) else {
                return u64::MAX;
            };
            let ceiling = self.ceiling(known, now);
            let counted = now.counted(meter);
            if counted < ceiling {
                return ceiling;
            }
            let waited = |since: Duration| now.at > since + WAIT_FOR_OTHERS;
            if now.wall < known.resets_at
                && (known.is_used_up || self.waiting_since.is_some_and(waited))
            {
                refusal.get_or_insert_with(|| used_up(known, &answer.upgrade_url));
            } else if self.is_away(now) {
                if self.in_grace(now) {
                    return u64::MAX;
                }
                refusal.get_or_insert_with(|| unconfirmed(meter));
            }
            ceiling
        });
        Standing {
            ceilings: Ceilings {
                requests,
                transfer_out_bytes,
                vector_operations,
            },
            refusal,
            writes: writes(answer, now),
        }
    }

    /// Where counting stops: at what was granted, unless it has ended or was given back.
    fn ceiling(&self, known: &MeterAllowance, now: &Now) -> u64 {
        let has_ended = now.wall >= known.resets_at || !self.is_leased(now);
        let open = self.open.as_ref().and_then(|open| {
            let mut meters = open.request.meters.iter();
            meters.find(|asked| asked.meter == known.meter)
        });
        let held = open.map_or(known.ceiling, |asked| asked.held.min(known.ceiling));
        if has_ended {
            held.min(now.counted(known.meter))
        } else {
            held
        }
    }

    fn known(&self, meter: Meter) -> Option<&MeterAllowance> {
        let (answer, _) = self.answer.as_ref()?;
        answer.meters.iter().find(|known| known.meter == meter)
    }

    /// Nothing has been counted for a while.
    fn is_idle(&self, now: &Now) -> bool {
        self.still.is_some_and(|(_, since)| now.at >= since + IDLE)
    }

    fn counted_before(&self, meter: Meter) -> Option<u64> {
        let meters = &self.said.as_ref()?.meters;
        let said = meters.iter().find(|said| said.meter == meter)?;
        Some(said.counted)
    }

    fn storage_said(&self) -> Option<u64> {
        self.said.as_ref()?.storage_bytes
    }

    fn since_answer(&self, now: &Now) -> Duration {
        let answered = self.answer.as_ref().map(|(_, at)| *at);
        now.at.saturating_sub(answered.unwrap_or_default())
    }

    fn is_leased(&self, now: &Now) -> bool {
        self.since_answer(now) < Duration::from_secs(LEASE_SECONDS)
    }

    fn is_away(&self, now: &Now) -> bool {
        self.since_answer(now) > ANSWER_WITHIN && self.open.is_some()
    }

    fn in_grace(&self, now: &Now) -> bool {
        self.since_answer(now) < Duration::from_secs(GRACE_SECONDS)
    }
}

/// Room that a node keeps though it idles.
fn kept_idle(known: &MeterAllowance) -> u64 {
    if known.is_scarce {
        0
    } else {
        known.limit / IDLE_PART
    }
}

fn writes(answer: &Allowance, now: &Now) -> WriteLimit {
    let hint = |what: &str| format!("{what}: {}", answer.upgrade_url);
    if let Some(why) = &answer.read_only {
        return WriteLimit {
            stage: WriteStage::ReadOnly,
            detail: why.clone(),
            hint: hint("Writing works again once the spend cap is raised"),
        };
    }
    match (answer.storage, now.storage_bytes) {
        (Some(storage), Some(stored)) if stored >= storage.ceiling_bytes => WriteLimit {
            stage: WriteStage::NoGrowth,
            detail: format!(
                "The databases of the organization together have reached its storage limit of {}.",
                bytes(storage.limit_bytes)
            ),
            hint: hint("Delete rows and vacuum, drop or truncate tables, or upgrade"),
        },
        _ => WriteLimit::default(),
    }
}

fn used_up(known: &MeterAllowance, upgrade_url: &str) -> QuotaRefusal {
    let limit = match known.meter {
        Meter::TransferOut | Meter::Storage => bytes(known.limit),
        Meter::Requests | Meter::VectorOperations | Meter::Compute => grouped(known.limit),
    };
    let (name, per) = match known.meter {
        Meter::Requests => ("requests", "a day"),
        Meter::TransferOut => ("transfer out", "a month"),
        Meter::VectorOperations => ("vector operations", "a month"),
        Meter::Storage => ("storage", ""),
        Meter::Compute => ("compute", ""),
    };
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let resets_at = known.resets_at.to_offset(time::UtcOffset::UTC);
    let resets_at = resets_at.format(format).unwrap_or_default();
    QuotaRefusal {
        message: format!("quota exceeded: {name}, {limit} {per}"),
        detail: format!(
            "The databases of the organization have used all {limit} of {name} that its plan allows {per}. The limit begins anew at {resets_at}."
        ),
        hint: format!("Upgrade the plan to go on at once: {upgrade_url}"),
    }
}

fn unconfirmed(meter: Meter) -> QuotaRefusal {
    QuotaRefusal {
        message: format!("quota cannot be confirmed: {meter}"),
        detail: format!(
            "The control plane has not been reached for {} minutes.",
            GRACE_SECONDS / 60
        ),
        hint: "It goes on by itself when the control plane is back.".to_owned(),
    }
}

/// `1 GB`, `1.5 GB`, `64 MB`.
fn bytes(count: u64) -> String {
    let (unit, name) = match u128::from(count) {
        count if count >= BYTES_PER_GB => (1_000_000_000, "GB"),
        _ => (1_000_000, "MB"),
    };
    let tenths = count / (unit / 10);
    match tenths % 10 {
        0 => format!("{} {name}", grouped(tenths / 10)),
        tenth => format!("{}.{tenth} {name}", grouped(tenths / 10)),
    }
}

/// `100,000`
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
