//! States of billing: closed lists, each with the same constraint in the schema.

use crate::app::state::text_enum;
use lumadb_billing::invoice;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

text_enum! {
    /// How an organization's invoices are paid.
    CollectionMode {
        /// By transfer; the platform's owner says when money has come.
        Manual = "manual",
        /// By card, through Stripe.
        Stripe = "stripe",
    }
}

text_enum! {
    /// How an organization stands with what it owes.
    Standing {
        Good = "good",
        /// An invoice was not paid when it was due.
        Overdue = "overdue",
        /// Not within the grace after that either: its databases are held.
        Suspended = "suspended",
    }
}

text_enum! {
    /// What an invoice is for.
    InvoiceKind {
        /// Closes a period: its usage, and the fee of the next one.
        Period = "period",
        /// The fees of a change of plan.
        Change = "change",
    }
}

text_enum! {
    /// Where an invoice stands.
    InvoiceState {
        /// The running one: its lines still change.
        Draft = "draft",
        /// Numbered and sent, not paid yet.
        Final = "final",
        Paid = "paid",
        /// Not paid when it was due.
        Overdue = "overdue",
        /// Was never owed; it keeps its number.
        Void = "void",
    }
}

text_enum! {
    /// How far a change of plan is. Moves: to `done` or `cancelled`, which are final.
    PlanChangeState {
        /// For a way to pay.
        Waiting = "waiting",
        /// For the end of the period.
        Scheduled = "scheduled",
        Done = "done",
        Cancelled = "cancelled",
    }
}

impl From<invoice::InvoiceState> for InvoiceState {
    fn from(state: invoice::InvoiceState) -> Self {
        match state {
            invoice::InvoiceState::Draft => Self::Draft,
            invoice::InvoiceState::Final => Self::Final,
            invoice::InvoiceState::Paid => Self::Paid,
            invoice::InvoiceState::Overdue => Self::Overdue,
            invoice::InvoiceState::Void => Self::Void,
        }
    }
}

impl From<InvoiceState> for invoice::InvoiceState {
    fn from(state: InvoiceState) -> Self {
        match state {
            InvoiceState::Draft => Self::Draft,
            InvoiceState::Final => Self::Final,
            InvoiceState::Paid => Self::Paid,
            InvoiceState::Overdue => Self::Overdue,
            InvoiceState::Void => Self::Void,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_and_the_schema_spell_states_alike() {
        for state in InvoiceState::ALL {
            assert_eq!(serde_json::to_value(state).expect("text"), state.as_str());
            let billed = invoice::InvoiceState::from(*state);
            assert_eq!(billed.name(), state.as_str());
            assert_eq!(InvoiceState::from(billed), *state);
        }
        for state in PlanChangeState::ALL {
            assert_eq!(serde_json::to_value(state).expect("text"), state.as_str());
        }
        for standing in Standing::ALL {
            assert_eq!(
                serde_json::to_value(standing).expect("text"),
                standing.as_str()
            );
        }
        for kind in InvoiceKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("text"), kind.as_str());
        }
        for mode in CollectionMode::ALL {
            assert_eq!(serde_json::to_value(mode).expect("text"), mode.as_str());
        }
    }
}
