//! The states of an invoice, and from which it may come to which.

use serde::{Deserialize, Serialize};

/// Where an invoice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// Its lines still change; it has no number.
    Draft,
    /// Numbered, sent, not paid yet.
    Final,
    Paid,
    /// Not paid when it was due.
    Overdue,
    /// Was never owed; it keeps its number.
    Void,
}

/// Every legal move.
const MOVES: &[(InvoiceState, InvoiceState)] = &[
    (InvoiceState::Draft, InvoiceState::Final),
    (InvoiceState::Final, InvoiceState::Paid),
    (InvoiceState::Final, InvoiceState::Overdue),
    (InvoiceState::Final, InvoiceState::Void),
    (InvoiceState::Overdue, InvoiceState::Paid),
    (InvoiceState::Overdue, InvoiceState::Void),
    // A payment that was taken back, as a bank does after a dispute.
    (InvoiceState::Paid, InvoiceState::Overdue),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invoice does not go from {from:?} to {to:?}")]
pub struct IllegalMove {
    pub from: InvoiceState,
    pub to: InvoiceState,
}

impl InvoiceState {
    pub const ALL: [Self; 5] = [
        Self::Draft,
        Self::Final,
        Self::Paid,
        Self::Overdue,
        Self::Void,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Final => "final",
            Self::Paid => "paid",
            Self::Overdue => "overdue",
            Self::Void => "void",
        }
    }

    /// The state after a move.
    ///
    /// # Errors
    /// The table has no such move.
    pub fn moved_to(self, to: Self) -> Result<Self, IllegalMove> {
        if MOVES.contains(&(self, to)) {
            Ok(to)
        } else {
            Err(IllegalMove { from: self, to })
        }
    }

    /// Whether money is still expected for it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Final | Self::Overdue)
    }
}

#[cfg(test)]
mod tests {
    use super::InvoiceState::{self, Draft, Final, Overdue, Paid, Void};

    #[test]
    fn the_table_of_moves_is_as_promised() {
        let mut legal = Vec::new();
        for from in InvoiceState::ALL {
            for to in InvoiceState::ALL {
                if from.moved_to(to) == Ok(to) {
                    legal.push((from, to));
                }
            }
        }
        let promised = [
            (Draft, Final),
            (Final, Paid),
            (Final, Overdue),
            (Final, Void),
            (Paid, Overdue),
            (Overdue, Paid),
            (Overdue, Void),
        ];
        assert_eq!(legal, promised);
    }

    #[test]
    fn a_state_is_written_by_its_name() {
        for state in InvoiceState::ALL {
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.name());
        }
    }
}
