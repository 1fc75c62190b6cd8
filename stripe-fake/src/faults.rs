//! What goes wrong on purpose.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Not served: 429.
    TooMany,
    /// Not served: 500.
    ServerError,
    /// Not served, and the answer 500 stays with the idempotency key for its 24 hours.
    ServerErrorKept,
    /// Not served: 502 with a page of HTML.
    BadGateway,
    /// Served, and the connection is cut instead of an answer.
    AnswerLost,
}

/// Which requests a fault is for, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `POST`, `GET`; none: any.
    pub method: Option<String>,
    /// In the path.
    pub contains: String,
    pub fault: Fault,
    /// Requests that it is for.
    pub times: u32,
}

/// What becomes of the webhook of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFault {
    Twice,
    Never,
    /// Kept until it is released: late, and after those that came after it.
    Held,
}

/// All faults. Those of the queue come first; then, by chance, those of `percent`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    pub rules: Vec<Rule>,
    /// One for each of the next events.
    pub webhooks: VecDeque<WebhookFault>,
    /// Share of requests and of webhooks that go wrong.
    pub percent: u8,
    /// Where chance begins; not zero.
    pub seed: u64,
}

impl Faults {
    pub(crate) fn of_request(&mut self, method: &str, path: &str) -> Option<Fault> {
        let rule = self.rules.iter_mut().find(|rule| {
            rule.times > 0
                && rule.method.as_deref().is_none_or(|wanted| wanted == method)
                && path.contains(&rule.contains)
        });
        if let Some(rule) = rule {
            rule.times -= 1;
            return Some(rule.fault);
        }
        let all = [
            Fault::TooMany,
            Fault::ServerError,
            Fault::ServerErrorKept,
            Fault::BadGateway,
            Fault::AnswerLost,
            Fault::AnswerLost,
        ];
        self.chance(&all)
    }

    pub(crate) fn of_webhook(&mut self) -> Option<WebhookFault> {
        let queued = self.webhooks.pop_front();
        let all = [WebhookFault::Twice, WebhookFault::Never, WebhookFault::Held];
        queued.or_else(|| self.chance(&all))
    }

    /// One of several, in `percent` of all calls.
    fn chance<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if self.percent == 0 {
            return None;
        }
        // Xorshift (Marsaglia 2003): the same faults again for the same seed.
        let mut x = self.seed.max(1);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed = x;
        if x % 100 >= u64::from(self.percent) {
            return None;
        }
        let index = usize::try_from((x >> 32) % of.len() as u64).unwrap_or_default();
        of.get(index).copied()
    }
}
