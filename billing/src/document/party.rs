//! What a document needs to know beyond the invoice.

use super::content::Block;
use super::words;
use crate::invoice::CreditNote;
use crate::price_book::PlanId;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Who sells, or who buys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    pub name: String,
    /// Line by line, with the country.
    pub address: Vec<String>,
    /// With its kind: `VAT DE123456789`.
    pub tax_id: Option<String>,
    pub email: Option<String>,
}

impl Party {
    pub(super) fn block(&self, heading: &'static str) -> Block {
        let lines = self.address.iter();
        let lines = lines.chain(&self.tax_id).chain(&self.email);
        Block {
            heading,
            name: words::clean(&self.name),
            lines: lines
                .map(|line| words::clean(line))
                .filter(|line| !line.is_empty())
                .collect(),
        }
    }
}

/// What an invoice calls a plan, and what a month of it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanText {
    pub name: String,
    /// To explain a part of a month by. `None`, or another fee than the line's: it is left out.
    pub monthly: Option<Cents>,
}

/// Money that came in; below zero, that went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub at: OffsetDateTime,
    pub amount: Cents,
    /// `Visa ending in 4242`, `bank transfer`.
    pub method: String,
}

/// A credit note and when it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub note: CreditNote,
    pub at: OffsetDateTime,
}

/// How what is due reaches us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HowToPay {
    /// There is nothing to say.
    #[default]
    Unsaid,
    /// A card on file is charged by itself.
    Charged { method: String },
    /// On a page.
    Online { url: String },
    /// To an account; what its owner, number and so on are, label by label.
    Transfer { account: Vec<(String, String)> },
}

/// Everything around an invoice. A name that is missing here is shown by its identifier.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    pub seller: &'a Party,
    pub buyer: &'a Party,
    /// Of a draft: when it was looked at.
    pub issued_at: OffsetDateTime,
    pub due_at: Option<OffsetDateTime>,
    pub plans: &'a BTreeMap<PlanId, PlanText>,
    pub databases: &'a BTreeMap<DatabaseId, String>,
    pub payments: &'a [Payment],
    pub credit_notes: &'a [Issued],
    pub how_to_pay: &'a HowToPay,
    /// Where its lines open into hours.
    pub url: Option<&'a str>,
}

impl Context<'_> {
    pub(super) fn plan_name(&self, plan: &PlanId) -> String {
        self.plans
            .get(plan)
            .map_or_else(|| plan.to_string(), |plan| words::clean(&plan.name))
    }

    pub(super) fn database_name(&self, database: DatabaseId) -> String {
        self.databases
            .get(&database)
            .map(|name| words::clean(name))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| database.to_string())
    }
}
