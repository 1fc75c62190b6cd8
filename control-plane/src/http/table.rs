//! Tables as files to keep.

use crate::app::billing::Table;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

/// A table as CSV, under its name.
pub(super) fn csv(table: Table) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", table.name),
        ),
    ];
    (headers, table.csv).into_response()
}
