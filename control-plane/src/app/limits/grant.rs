//! How much of what is left of a limit a node gets. Values in, values out.
//!
//! While much is left a node gets a tenth of it and is not heard of for a while; of what is scarce
//! it gets a half, and those who idle give theirs back, so that the last of it is given out one by
//! one and a limit is reached to the unit.

use lumadb_contract::allowance::MeterRequest;

/// One meter of an organization, when one of its nodes asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stand {
    pub(super) limit: u64,
    /// Folded since the limit began, of every database.
    pub(super) used: u64,
    /// Other nodes may count so much more.
    pub(super) others: u64,
    /// What of the asking incarnation is folded.
    pub(super) marked: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// Total of the asking incarnation.
    pub(super) ceiling: u64,
    /// By the whole organization, with what is not folded yet.
    pub(super) used: u64,
    pub(super) is_used_up: bool,
    pub(super) is_scarce: bool,
}

pub(super) fn grant(stand: Stand, asked: &MeterRequest) -> Grant {
    let unfolded = asked.counted.saturating_sub(stand.marked);
    let used = stand.used.saturating_add(unfolded);
    let left = stand
        .limit
        .saturating_sub(used)
        .saturating_sub(stand.others);
    let is_scarce = left <= stand.limit / 10;
    // What it said that it holds it may have used since: that is never taken away.
    let held = asked.held.saturating_sub(asked.counted);
    let share = match (asked.wants_more, is_scarce) {
        (false, _) => 0,
        (true, true) => left.div_ceil(2),
        (true, false) => left / 10,
    };
    Grant {
        ceiling: asked.counted.saturating_add(share.max(held)),
        used,
        is_used_up: used >= stand.limit,
        is_scarce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::meter::Meter;

    /// A node as far as its leases go.
    #[derive(Debug, Clone, Copy, Default)]
    struct Node {
        counted: u64,
        marked: u64,
        ceiling: u64,
    }

    impl Node {
        fn asks(self, wants_more: bool) -> MeterRequest {
            MeterRequest {
                meter: Meter::Requests,
                counted: self.counted,
                held: if wants_more {
                    self.ceiling.max(self.counted)
                } else {
                    self.counted
                },
                wants_more,
            }
        }
    }

    fn ask(nodes: &mut [Node], index: usize, limit: u64, wants_more: bool) -> Grant {
        let others = nodes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let others = others.map(|(_, node)| node.ceiling.saturating_sub(node.marked));
        let stand = Stand {
            limit,
            used: nodes.iter().map(|node| node.marked).sum(),
            others: others.sum(),
            marked: nodes[index].marked,
        };
        let granted = grant(stand, &nodes[index].asks(wants_more));
        nodes[index].ceiling = granted.ceiling;
        granted
    }

    #[test]
    fn nodes_of_one_organization_reach_its_limit_together_and_to_the_unit() {
        for seed in 0..200_u64 {
            let limit = 1000 + seed * 37;
            let mut nodes = [Node::default(); 3];
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let mut rounds = 0;
            loop {
                let index = usize::try_from(next(3)).expect("small");
                let granted = ask(&mut nodes, index, limit, next(4) > 0);
                let node = &mut nodes[index];
                node.counted += next(node.ceiling - node.counted + 1);
                // Samples are folded later, or much later.
                if next(3) == 0 {
                    node.marked = node.counted;
                }
                let counted: u64 = nodes.iter().map(|node| node.counted).sum();
                assert!(counted <= limit, "{counted} of {limit}");
                rounds += 1;
                if rounds > 20_000 || granted.is_used_up && counted == limit {
                    break;
                }
            }
            // Two go to rest; the third gets all that is left.
            ask(&mut nodes, 0, limit, false);
            ask(&mut nodes, 1, limit, false);
            let last = loop {
                let granted = ask(&mut nodes, 2, limit, true);
                nodes[2].counted = granted.ceiling;
                if granted.is_used_up {
                    break granted;
                }
                for node in &mut nodes {
                    node.marked = node.counted;
                }
            };
            assert_eq!(nodes.iter().map(|node| node.counted).sum::<u64>(), limit);
            assert_eq!(last.used, limit);
        }
    }

    #[test]
    fn what_a_node_holds_is_not_taken_away_by_a_smaller_limit() {
        let stand = Stand {
            limit: 10,
            used: 50,
            others: 0,
            marked: 50,
        };
        let asked = MeterRequest {
            meter: Meter::Requests,
            counted: 50,
            held: 80,
            wants_more: true,
        };
        let granted = grant(stand, &asked);
        assert_eq!((granted.ceiling, granted.is_used_up), (80, true));
    }
}
