//! What becomes of databases once a spend cap is used. Values in, values out.
//!
//! First all of them become read-only; then, look by look, one after the other falls asleep, in the
//! owner's order. As soon as something is left again everything is as it was.

use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How far a database is degraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapStage {
    /// Every write is refused.
    ReadOnly,
    /// It stands still, and clients do not wake it.
    Asleep,
}

impl CapStage {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Asleep => "asleep",
        }
    }
}

/// The stages after this look. `order` has every database, the first to fall asleep first.
pub(super) fn degrade(
    order: &[DatabaseId],
    stages: &BTreeMap<DatabaseId, CapStage>,
    is_used: bool,
) -> BTreeMap<DatabaseId, CapStage> {
    if !is_used {
        return BTreeMap::new();
    }
    let stage = |database: &DatabaseId| stages.get(database).copied();
    let all_read_only = order.iter().all(|database| stage(database).is_some());
    let next = order
        .iter()
        .find(|database| all_read_only && stage(database) == Some(CapStage::ReadOnly));
    order
        .iter()
        .map(|database| {
            let before = stage(database).unwrap_or(CapStage::ReadOnly);
            let now = if Some(database) == next {
                CapStage::Asleep
            } else {
                before
            };
            (*database, now)
        })
        .collect()
}

/// The owner's order, then what it does not name: the newest first, so that what is oldest stays up
/// longest. What is gone drops out.
pub(super) fn order(named: &[DatabaseId], databases: &[DatabaseId]) -> Vec<DatabaseId> {
    let there = |database: &&DatabaseId| databases.contains(database);
    let mut order: Vec<_> = named.iter().filter(there).copied().collect();
    let mut rest: Vec<_> = databases.to_vec();
    rest.sort_unstable();
    rest.reverse();
    rest.retain(|database| !order.contains(database));
    order.extend(rest);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> DatabaseId {
        DatabaseId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn all_become_read_only_and_then_sleep_one_by_one_in_the_owner_s_order() {
        use CapStage::{Asleep, ReadOnly};
        let order = order(&[id(2), id(9)], &[id(1), id(2), id(3)]);
        assert_eq!(order, [id(2), id(3), id(1)]);
        let look = |stages: &BTreeMap<_, _>| degrade(&order, stages, true);
        let first = look(&BTreeMap::new());
        assert!(first.values().all(|stage| *stage == ReadOnly));
        let second = look(&first);
        assert_eq!(
            [id(2), id(3), id(1)].map(|id| second[&id]),
            [Asleep, ReadOnly, ReadOnly]
        );
        let third = look(&second);
        assert_eq!(
            [id(2), id(3), id(1)].map(|id| third[&id]),
            [Asleep, Asleep, ReadOnly]
        );
        let last = look(&third);
        assert!(last.values().all(|stage| *stage == Asleep));
        assert_eq!(look(&last), last);
        assert!(degrade(&order, &last, false).is_empty());
    }

    #[test]
    fn a_database_that_is_new_begins_as_read_only() {
        let all = degrade(&[id(1)], &BTreeMap::new(), true);
        let both = degrade(&[id(2), id(1)], &all, true);
        assert!(both.values().all(|stage| *stage == CapStage::ReadOnly));
    }
}
