//! Restoring in place: a database stays what it is to its clients, and gets the content that it had
//! at a moment of its past; what it had until then is kept as another database.
//!
//! Two databases change instances. The one that will be kept is made here, and what shall be restored
//! is restored into it as into any other; meanwhile the database serves. Then both stop and change
//! places in one transaction ([`crate::workflow::in_place`]). Going back is the same with one that was
//! kept before: there is nothing to restore first.

use crate::app::AppError;
use crate::app::ProblemType;
use crate::app::change::Change;
use crate::app::database::{self, NAME_CHARACTERS_MAX};
use crate::app::state::{Desired, InPlacePhase, OperationKind};
use crate::store::billing::hold;
use crate::store::database::DatabaseRow;
use crate::store::import;
use crate::store::in_place::{self, InPlaceRow};
use crate::store::recovery;
use lumadb_contract::id::{DatabaseId, OperationId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A branch that is kept falls asleep again after this, where its database never does, seconds.
pub(super) const KEPT_IDLE_TIMEOUT_SECONDS: i32 = 300;

/// A restore in place, as both databases that take part in it show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InPlaceRestore {
    pub operation_id: OperationId,
    /// What was restored, or went back.
    pub database_id: DatabaseId,
    /// Has what that had until then. While it is being prepared: what shall take its place.
    pub kept_database_id: DatabaseId,
    pub phase: InPlacePhase,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub ended_at: Option<OffsetDateTime>,
}

impl From<InPlaceRow> for InPlaceRestore {
    fn from(row: InPlaceRow) -> Self {
        Self {
            operation_id: row.operation(),
            database_id: row.database(),
            kept_database_id: row.kept(),
            phase: row.phase,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}

/// Whether an operation is one of these: it is ended by others than those that run a database.
pub(in crate::app) const fn is(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::DatabaseRestoreInPlace | OperationKind::DatabaseGoBack
    )
}

fn conflict<T>(text: &str) -> Result<T, AppError> {
    Err(AppError::rejected(ProblemType::Conflict, text))
}

/// Nothing that says whether a database runs, or that goes on for long, beside a restore in place.
/// The database must be locked.
pub(in crate::app) async fn refuse_open(
    change: &mut Change,
    id: DatabaseId,
) -> Result<(), AppError> {
    match in_place::open_of(change, id).await? {
        None => Ok(()),
        Some(_) => conflict(
            "The database is being restored in place: wait for the end of that, or cancel it.",
        ),
    }
}

/// What is being made ready to take a database's place, or to be kept, is nobody's to change.
pub(in crate::app) async fn refuse_kept(
    change: &mut Change,
    id: DatabaseId,
) -> Result<(), AppError> {
    match in_place::open_of(change, id).await? {
        Some(open) if open.kept() == id => conflict(
            "Another database is being restored in place with this one: wait for the end of that, \
             or cancel it.",
        ),
        _ => Ok(()),
    }
}

/// Nothing wakes a database that changes places.
pub(in crate::app) async fn refuse_stopping(
    change: &mut Change,
    id: DatabaseId,
) -> Result<(), AppError> {
    match in_place::open_of(change, id).await? {
        Some(open) if open.phase == InPlacePhase::Stopping => {
            conflict("The database is just changing places with another; try again in a moment.")
        }
        _ => Ok(()),
    }
}

/// Whether a database can be restored in place, or go back, now.
pub(super) async fn admit(change: &mut Change, row: &DatabaseRow) -> Result<(), AppError> {
    if row.deleted_at.is_some() {
        return conflict("The database is deleted: it can be restored into a new one alone.");
    }
    refuse_open(change, row.id).await?;
    if recovery::is_open(change, row.id).await? {
        return conflict(
            "The database's data was lost and is being restored from its archive; wait for the end \
             of that.",
        );
    }
    database::refuse_held(hold::reason(change, row.id).await?)?;
    if row.desired == Desired::Suspended {
        return conflict("The database is suspended; resume it, then it can be restored in place.");
    }
    if import::is_open(change, row.id).await? {
        return conflict(
            "Something is being imported into the database; wait for the end of that.",
        );
    }
    Ok(())
}

/// Whether a database and one that was kept of it can change places now. Both stay until the
/// transaction ends.
pub(super) async fn admit_kept(
    change: &mut Change,
    row: &DatabaseRow,
    kept: DatabaseId,
) -> Result<(), AppError> {
    if !in_place::was_kept(change, row.id, kept).await? {
        let text = "is not one that was kept when this database was restored in place";
        return Err(AppError::field("kept_database_id", text));
    }
    let kept = database::find_for_change(change, kept).await?;
    admit(change, &kept).await
}

/// A name for what is kept, such as `shop-before-2026-11-27`: the first that the project does not
/// have.
pub(super) async fn name_of_kept(
    change: &mut Change,
    row: &DatabaseRow,
    now: OffsetDateTime,
) -> Result<String, AppError> {
    let taken = in_place::names_like(change, row.id, &beginning(&row.name)).await?;
    Ok(name_free(&row.name, now, &taken))
}

/// What of a database's name its kept ones have, so that there is room for the rest.
fn beginning(name: &str) -> String {
    // "-before-2026-11-27" and a number.
    name.chars().take(NAME_CHARACTERS_MAX - 18 - 4).collect()
}

fn name_free(name: &str, now: OffsetDateTime, taken: &[String]) -> String {
    let first = format!("{}-before-{}", beginning(name), now.date());
    let mut free = first.clone();
    let mut number = 1;
    while taken.contains(&free) {
        number += 1;
        free = format!("{first}-{number}");
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn what_is_kept_is_called_after_its_database_and_the_day() {
        let now = datetime!(2026-11-27 12:00 UTC);
        let free = |name: &str, taken: &[&str]| {
            let taken: Vec<String> = taken.iter().map(ToString::to_string).collect();
            name_free(name, now, &taken)
        };
        assert_eq!(free("shop", &[]), "shop-before-2026-11-27");
        let twice = ["shop-before-2026-11-27", "shop-before-2026-11-27-2"];
        assert_eq!(free("shop", &twice), "shop-before-2026-11-27-3");
        let long = "ä".repeat(NAME_CHARACTERS_MAX);
        let name = free(&long, &[]);
        assert!(name.chars().count() <= NAME_CHARACTERS_MAX - 4, "{name}");
        assert!(name.ends_with("-before-2026-11-27"));
    }
}
