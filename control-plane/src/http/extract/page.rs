//! Lists come in pages of one shape everywhere.

use crate::app::AppError;
use crate::http::extract::ValidQuery;
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 100;

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Ask with it for the next page; null on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that always fits on one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
        }
    }

    /// Makes a page of rows of which one more than asked for was read ([`Pagination::fetch`]).
    /// `cursor` names a row, and the next page starts behind it.
    pub fn of<R>(
        mut rows: Vec<R>,
        pagination: &Pagination,
        cursor: impl Fn(&R) -> String,
        convert: impl Fn(R) -> T,
    ) -> Self {
        let limit = pagination.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(cursor);
        Self {
            items: rows.into_iter().map(convert).collect(),
            next_cursor,
        }
    }
}

/// Which page is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most items in the answer.
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 64)]
    pub cursor: Option<String>,
}

/// A checked [`PageQuery`], as an extractor.
#[derive(Debug, Clone)]
pub struct Pagination {
    /// 1 to 100.
    pub limit: u32,
    cursor: Option<String>,
}

impl Pagination {
    pub fn new(query: PageQuery) -> Result<Self, AppError> {
        let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(AppError::field("limit", format!("is 1 to {LIMIT_MAX}")));
        }
        Ok(Self {
            limit,
            cursor: query.cursor,
        })
    }

    /// How many rows to read: one more than are shown tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The row behind which the page starts.
    pub fn cursor<C: FromStr>(&self) -> Result<Option<C>, AppError> {
        self.cursor
            .as_deref()
            .map(|text| {
                text.parse()
                    .map_err(|_| AppError::field("cursor", "is not one that a page gave"))
            })
            .transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Pagination {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let ValidQuery(query) = ValidQuery::<PageQuery>::from_request_parts(parts, state).await?;
        Self::new(query)
    }
}
