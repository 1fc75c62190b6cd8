//! Pages of lists.

use crate::error::ApiError;
use crate::params::Params;
use crate::shapes::integer;
use serde_json::{Value, json};

/// Objects on a page that did not say how many.
const LIMIT_DEFAULT: i64 = 10;

const LIMIT_MAX: i64 = 100;

/// Which part of a list is wanted.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    after: Option<String>,
    before: Option<String>,
    created_from: Option<i64>,
    created_before: Option<i64>,
}

impl Page {
    pub(super) fn read(params: &mut Params) -> Result<Self, ApiError> {
        let limit = params.integer("limit")?.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let message = "This value must be between 1 and 100.";
            return Err(ApiError::parameter(
                "parameter_invalid_integer",
                "limit",
                message,
            ));
        }
        let mut created = params.object("created")?.unwrap_or_default();
        let page = Self {
            limit: usize::try_from(limit).unwrap_or_default(),
            after: params.text("starting_after")?,
            before: params.text("ending_before")?,
            created_from: created.integer("gte")?,
            created_before: created.integer("lt")?,
        };
        created.finish()?;
        Ok(page)
    }

    /// The page of what is given, the latest first.
    pub(super) fn of<'a>(&self, url: &str, all: impl Iterator<Item = &'a Value>) -> Value {
        let mut fitting: Vec<&Value> = all
            .filter(|object| {
                let created = integer(object, "created");
                self.created_from.is_none_or(|from| created >= from)
                    && self.created_before.is_none_or(|before| created < before)
            })
            .collect();
        let place = |id: &str| fitting.iter().position(|object| object["id"] == id);
        let from = self.after.as_deref().and_then(place).map(|index| index + 1);
        let until = self.before.as_deref().and_then(place);
        let mut has_more = false;
        if let Some(until) = until {
            fitting.truncate(until);
            let skip = fitting.len().saturating_sub(self.limit);
            has_more = skip > 0;
            fitting.drain(..skip);
        } else {
            fitting.drain(..from.unwrap_or_default());
            if fitting.len() > self.limit {
                has_more = true;
                fitting.truncate(self.limit);
            }
        }
        json!({ "object": "list", "url": url, "has_more": has_more, "data": fitting })
    }
}
