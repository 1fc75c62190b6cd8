//! What the tests share.

pub(crate) mod documents;
pub(crate) mod pdf_text;
pub(crate) mod render;
pub(crate) mod scenario;

use lumadb_billing::price_book::PriceBooks;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use std::path::{Path, PathBuf};
use uuid::Uuid;

pub(crate) fn books() -> PriceBooks {
    PriceBooks::committed().expect("the committed price books")
}

pub(crate) fn database(number: u32) -> DatabaseId {
    DatabaseId::from_uuid(Uuid::from_u128(number.into()))
}

pub(crate) fn incarnation(number: u32) -> IncarnationId {
    IncarnationId::from_uuid(Uuid::from_u128(number.into()))
}

pub(crate) fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// Compares with a committed file, or writes it with `LUMADB_GOLDEN=write`. Whether they agree.
pub(crate) fn agrees(path: &Path, made: &str) -> bool {
    if std::env::var_os("LUMADB_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(path, made).expect("written");
    }
    std::fs::read_to_string(path).unwrap_or_default() == made
}
