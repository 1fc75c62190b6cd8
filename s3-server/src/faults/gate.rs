//! Holds requests, so that whoever sent them can be killed, or can sleep, at a certain one.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, Default)]
struct Hold {
    /// Of this hold, from 1.
    number: u64,
    /// So many pass before. `None`: none is held.
    passing: Option<usize>,
    /// Whether the first one that is held is served before.
    served: bool,
    /// It has come.
    met: bool,
    /// It is held, and was served before where it shall be.
    reached: bool,
    /// What was held up to this number is cut.
    cut: u64,
}

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    Passes,
    /// It is the first that is held, by the hold of this number.
    Held {
        number: u64,
        served: bool,
    },
    /// It comes behind that.
    Behind {
        number: u64,
    },
}

#[derive(Debug, Clone, Default)]
pub(super) struct Gate(watch::Sender<Hold>);

impl Gate {
    pub(super) fn hold_from(&self, nth: usize, served: bool) {
        self.0.send_modify(|hold| {
            *hold = Hold {
                number: hold.number + 1,
                passing: Some(nth.saturating_sub(1)),
                served,
                met: false,
                reached: false,
                cut: hold.cut,
            }
        });
    }

    pub(super) async fn held(&self) {
        // The sender is ours: it does not go away.
        let _ = self.0.subscribe().wait_for(|hold| hold.reached).await;
    }

    /// Ends the hold; answers whether anything was held.
    pub(super) fn open(&self, cut: bool) -> bool {
        let mut reached = false;
        self.0.send_modify(|hold| {
            reached = std::mem::take(&mut hold.reached);
            hold.passing = None;
            if cut {
                hold.cut = hold.number;
            }
        });
        reached
    }

    pub(super) fn meet(&self) -> Met {
        let mut met = Met::Passes;
        self.0.send_if_modified(|hold| {
            let number = hold.number;
            let Some(passing) = &mut hold.passing else {
                return false;
            };
            if let Some(left) = passing.checked_sub(1) {
                *passing = left;
                return false;
            }
            if hold.met {
                met = Met::Behind { number };
                return false;
            }
            let served = hold.served;
            met = Met::Held { number, served };
            hold.met = true;
            hold.reached = !served;
            hold.reached
        });
        met
    }

    /// The first one was served.
    pub(super) fn was_served(&self) {
        self.0
            .send_modify(|hold| hold.reached = hold.passing.is_some());
    }

    /// Waits for the end of a hold; answers whether what it held goes on.
    pub(super) async fn opens(&self, number: u64) -> bool {
        let mut hold = self.0.subscribe();
        let ended = hold.wait_for(|hold| hold.number != number || hold.passing.is_none());
        ended.await.is_ok_and(|hold| hold.cut < number)
    }
}
