//! What is sold: prices, plans, limits. Data in versions, each in force from a month on.
//!
//! A version is a committed file under `billing/price_book/`. It begins with a month, so that a
//! period is rated with exactly one version, and it is never edited once it is in force: a change is
//! a new version with a later month. Lines of an invoice name the version that they were rated with.

mod amount;
mod plan;
mod quota;

pub use amount::{Amounts, IncludedAmount, Per};
pub use plan::{Feature, InvalidPlanId, Plan, PlanId, Support, UsageTerms};
pub use quota::{Excess, Holdings, Quota};

use crate::period::Period;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Currency, Money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every version so far, the oldest first.
const COMMITTED: &[&str] = &[include_str!("../../price_book/2026-11.toml")];

/// Longest name of a version, bytes.
const VERSION_BYTES_MAX: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum InvalidBook {
    #[error("the price book does not parse")]
    Syntax(#[from] toml::de::Error),
    #[error("version `{version}` of the price book: {reason}")]
    Content {
        version: BookVersion,
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotInBook {
    #[error("no price book is in force in {0}")]
    Period(Period),
    #[error("version `{version}` of the price book has no plan `{plan}`")]
    Plan { version: BookVersion, plan: PlanId },
}

/// Name of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BookVersion(String);

impl BookVersion {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for BookVersion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// One version of what is sold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceBook {
    pub version: BookVersion,
    pub currency: Currency,
    /// The first period that is rated with it.
    pub valid_from: Period,
    /// Price of one sold unit of each meter ([`Meter::sold_in`]).
    pub prices: BTreeMap<Meter, Money>,
    pub self_hosted: SelfHosted,
    /// In the order in which they are shown, the smallest first.
    pub plans: Vec<Plan>,
}

/// What the customer's own installations cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfHosted {
    /// Enterprise, for a server and a year.
    pub enterprise_server_year: Money,
}

impl PriceBook {
    /// Reads one version from its file.
    ///
    /// # Errors
    /// A key is unknown or missing, or what it says contradicts itself.
    pub fn parse(text: &str) -> Result<Self, InvalidBook> {
        let book: Self = toml::from_str(text)?;
        book.check().map_err(|reason| InvalidBook::Content {
            version: book.version.clone(),
            reason,
        })?;
        Ok(book)
    }

    fn check(&self) -> Result<(), String> {
        let version = self.version.as_str();
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        if version.is_empty() || version.len() > VERSION_BYTES_MAX || !version.bytes().all(plain) {
            return Err("a version is 1 to 32 characters of a-z, 0-9, `-` and `.`".into());
        }
        for meter in Meter::ALL {
            match self.prices.get(&meter) {
                None => return Err(format!("{meter} has no price")),
                Some(price) if *price < Money::ZERO => {
                    return Err(format!("{meter} costs less than nothing"));
                }
                Some(_) => {}
            }
        }
        for (index, plan) in self.plans.iter().enumerate() {
            plan.check()
                .map_err(|reason| format!("plan `{}`: {reason}", plan.id))?;
            if self.plans[..index].iter().any(|other| other.id == plan.id) {
                return Err(format!("plan `{}` is there twice", plan.id));
            }
        }
        Ok(())
    }

    /// A plan of this version.
    ///
    /// # Errors
    /// It has no such plan.
    pub fn plan(&self, id: &PlanId) -> Result<&Plan, NotInBook> {
        self.plans
            .iter()
            .find(|plan| plan.id == *id)
            .ok_or_else(|| NotInBook::Plan {
                version: self.version.clone(),
                plan: id.clone(),
            })
    }

    /// Price of one sold unit.
    pub fn price(&self, meter: Meter) -> Money {
        self.prices.get(&meter).copied().unwrap_or_default()
    }
}

/// All versions, in the order in which they come into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceBooks(Vec<PriceBook>);

impl PriceBooks {
    /// # Errors
    /// Two versions have one name, or begin with one month, or stand in the wrong order.
    pub fn new(books: Vec<PriceBook>) -> Result<Self, InvalidBook> {
        for (index, book) in books.iter().enumerate() {
            let before = &books[..index];
            let reason = if before.iter().any(|other| other.version == book.version) {
                "the version is there twice"
            } else if before
                .iter()
                .any(|other| other.valid_from >= book.valid_from)
            {
                "it must begin later than the version before it"
            } else {
                continue;
            };
            return Err(InvalidBook::Content {
                version: book.version.clone(),
                reason: reason.into(),
            });
        }
        Ok(Self(books))
    }

    /// The versions that this program was built with.
    ///
    /// # Errors
    /// A committed file is wrong; a test proves that none is.
    pub fn committed() -> Result<Self, InvalidBook> {
        let books = COMMITTED.iter().map(|text| PriceBook::parse(text));
        Self::new(books.collect::<Result<_, _>>()?)
    }

    /// The version in force in a period.
    ///
    /// # Errors
    /// The period is before the first version.
    pub fn at(&self, period: Period) -> Result<&PriceBook, NotInBook> {
        self.0
            .iter()
            .rev()
            .find(|book| book.valid_from <= period)
            .ok_or(NotInBook::Period(period))
    }
}
