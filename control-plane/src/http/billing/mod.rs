//! What organizations pay as, what they are on, invoices, and billing's clock.

mod clock_advance;
mod clock_get;
mod cost_export;
mod credit_note_list;
mod draft_get;
mod forecast_get;
mod get;
mod invoice_get;
mod invoice_html;
mod invoice_list;
mod invoice_pdf;
mod line_hours_get;
mod plan_change_cancel;
mod plan_change_create;
mod plan_change_list;
mod update;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(get::billing_get, update::billing_update))
        .routes(routes!(draft_get::invoice_draft_get))
        .routes(routes!(forecast_get::forecast_get))
        .routes(routes!(invoice_list::invoice_list))
        .routes(routes!(invoice_get::invoice_get))
        .routes(routes!(credit_note_list::credit_note_list))
        .routes(routes!(line_hours_get::invoice_line_hours_get))
        .routes(routes!(invoice_html::invoice_html))
        .routes(routes!(invoice_pdf::invoice_pdf))
        .routes(routes!(cost_export::cost_export))
        .routes(routes!(
            plan_change_list::plan_change_list,
            plan_change_create::plan_change_create
        ))
        .routes(routes!(plan_change_cancel::plan_change_cancel))
        .routes(routes!(
            clock_get::billing_clock_get,
            clock_advance::billing_clock_advance
        ))
}
