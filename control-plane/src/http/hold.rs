//! Answers that are held until their operation ends (`Prefer: wait=N`).

use crate::app::database::{self, Database};
use crate::app::operation::{self, Operation};
use crate::app::{AppError, Caller, Platform, ProblemType};
use crate::http::extract::Prefer;
use std::time::Duration;

/// Waits as long as the client asks, and brings up to date what it is going to be told.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    platform: &'a Platform,
    caller: &'a Caller,
    longest: Option<Duration>,
}

impl<'a> Hold<'a> {
    pub(super) fn new(platform: &'a Platform, caller: &'a Caller, prefer: Prefer) -> Self {
        let longest = prefer
            .wait_seconds
            .map(|seconds| Duration::from_secs(u64::from(seconds)));
        Self {
            platform,
            caller,
            longest,
        }
    }

    /// Holds until the operation ends.
    pub(super) async fn operation(&self, operation: &mut Operation) -> Result<(), AppError> {
        if let Some(longest) = self.longest {
            *operation =
                operation::operation_get(self.platform, self.caller, operation.id, longest).await?;
        }
        Ok(())
    }

    /// The same, and reads the database again; one that is gone by then stays as it was.
    pub(super) async fn database(
        &self,
        operation: Option<&mut Operation>,
        database: &mut Database,
    ) -> Result<(), AppError> {
        let (Some(operation), Some(_)) = (operation, self.longest) else {
            return Ok(());
        };
        self.operation(operation).await?;
        match database::database_get(self.platform, self.caller, database.id).await {
            Ok(now) => *database = now,
            Err(error) if error.problem() == ProblemType::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
