//! States of databases and operations: closed lists, each with the same constraint in the schema.

use lumadb_contract::archive;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema,
                 sqlx::Type)]
        #[serde(rename_all = "snake_case")]
        #[sqlx(type_name = "text", rename_all = "snake_case")]
        pub enum $name {
            $($(#[$doc])* $variant),+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As the schema and the API spell it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }
    };
}

pub(in crate::app) use text_enum;

text_enum! {
    /// What a database shall be.
    Desired {
        Running = "running",
        /// Not running because nobody is connected; a connection wakes it.
        Asleep = "asleep",
        /// Not running because its owner said so; connections are refused.
        Suspended = "suspended",
        Deleted = "deleted",
    }
}

text_enum! {
    /// What a database was when it was looked at last.
    Observed {
        /// Not seen running yet, or on its way from one state to another.
        Pending = "pending",
        Running = "running",
        Asleep = "asleep",
        Suspended = "suspended",
        Deleted = "deleted",
        /// Does not start; the platform goes on trying.
        Failed = "failed",
    }
}

text_enum! {
    /// What a database is to its owner.
    DatabaseState {
        /// Being created, started, stopped or repaired.
        Pending = "pending",
        Running = "running",
        /// Starts by itself when a client connects.
        Asleep = "asleep",
        Suspended = "suspended",
        Deleting = "deleting",
        Failed = "failed",
    }
}

text_enum! {
    /// When a client hears that its transaction is committed.
    Durability {
        /// When it is on the database's own disk; it leaves for the archive within the plan's lag.
        Local = "local",
        /// When it is in the archive: what was acknowledged survives the loss of the machine.
        S3 = "s3",
    }
}

text_enum! {
    /// What was asked for.
    OperationKind {
        DatabaseCreate = "database_create",
        /// Another durability.
        DatabaseUpdate = "database_update",
        DatabaseResize = "database_resize",
        DatabaseSuspend = "database_suspend",
        DatabaseResume = "database_resume",
        DatabaseDelete = "database_delete",
        /// A new database from the archive of another.
        DatabaseRestore = "database_restore",
        /// A database as it was; what it had until then is kept as another.
        DatabaseRestoreInPlace = "database_restore_in_place",
        /// A database and what was kept of it change places.
        DatabaseGoBack = "database_go_back",
        /// A database whose content was lost, from its own archive. The platform begins it.
        DatabaseRecover = "database_recover",
        RoleCreate = "role_create",
        RoleRotatePassword = "role_rotate_password",
        RoleDelete = "role_delete",
        LogicalDatabaseCreate = "logical_database_create",
        LogicalDatabaseDelete = "logical_database_delete",
    }
}

text_enum! {
    /// How far a change is. Moves: pending → running → one of the three last, which are final.
    OperationState {
        Pending = "pending",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// How a drill stands.
    DrillState {
        /// Being restored and checked.
        Running = "running",
        /// It came back whole.
        Succeeded = "succeeded",
        Failed = "failed",
        /// The database was deleted meanwhile.
        Abandoned = "abandoned",
    }
}

text_enum! {
    /// Who asked for a backup.
    BackupOrigin {
        /// The platform's schedule.
        Scheduled = "scheduled",
        Manual = "manual",
    }
}

text_enum! {
    /// What a backup holds.
    BackupKind {
        /// Everything.
        Full = "full",
        /// What changed since the backup that it builds on.
        Incremental = "incremental",
    }
}

text_enum! {
    /// How far a backup is.
    BackupState {
        /// Asked for; the database has not begun.
        Pending = "pending",
        Running = "running",
        /// It can be restored.
        Complete = "complete",
        Failed = "failed",
        /// It fell out of the window and was removed.
        Expired = "expired",
    }
}

text_enum! {
    /// How far a restore is. Moves forward only; the two last are final.
    RestorePhase {
        /// Until the archive has what was asked for, which was written just now.
        Waiting = "waiting",
        Pending = "pending",
        /// Fetching the backup.
        Fetching = "fetching",
        /// Replaying the changes since.
        Replaying = "replaying",
        Done = "done",
        /// It cannot be done as asked.
        Refused = "refused",
    }
}

text_enum! {
    /// How far a restore in place is. Moves forward only; the two last are final.
    InPlacePhase {
        /// What shall be restored is on its way; the database serves.
        Preparing = "preparing",
        /// Connections are cut, both databases stop.
        Stopping = "stopping",
        /// They changed places.
        Done = "done",
        /// It was cancelled, or could not be done: the database is as it was.
        Abandoned = "abandoned",
    }
}

text_enum! {
    /// How far a database is whose content was lost; the three last are final.
    RecoveryPhase {
        /// To be looked at again after a while.
        Noticed = "noticed",
        /// What is left of its instance ends.
        Clearing = "clearing",
        Restoring = "restoring",
        /// An attempt failed, and another one comes.
        Waiting = "waiting",
        Done = "done",
        GivenUp = "given_up",
        /// Its content was there after all.
        FalseAlarm = "false_alarm",
    }
}

text_enum! {
    /// How far an import is. Moves forward, and back where a worker died over it; the three last are
    /// final.
    ImportState {
        /// Asked for; no worker has begun.
        Pending = "pending",
        /// Looking at both sides, before anything is copied.
        Checking = "checking",
        /// Tables and their rows.
        Copying = "copying",
        /// Indexes, constraints and statistics.
        Finishing = "finishing",
        /// Everything is copied, and what changes at the source is applied; it waits for `complete`.
        Following = "following",
        /// It has switched over: the database is yours. Foreign keys are checked and materialized
        /// views refreshed.
        Validating = "validating",
        /// It ends without success: what was copied is being removed.
        Cleaning = "cleaning",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// How far a step of an operation is.
    StepState {
        Pending = "pending",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
    }
}

impl From<archive::BackupKind> for BackupKind {
    fn from(kind: archive::BackupKind) -> Self {
        match kind {
            archive::BackupKind::Full => Self::Full,
            archive::BackupKind::Incremental => Self::Incremental,
        }
    }
}

impl From<BackupKind> for archive::BackupKind {
    fn from(kind: BackupKind) -> Self {
        match kind {
            BackupKind::Full => Self::Full,
            BackupKind::Incremental => Self::Incremental,
        }
    }
}

impl From<archive::BackupState> for BackupState {
    fn from(state: archive::BackupState) -> Self {
        match state {
            archive::BackupState::Running => Self::Running,
            archive::BackupState::Complete => Self::Complete,
            archive::BackupState::Failed => Self::Failed,
        }
    }
}

impl From<archive::RestorePhase> for RestorePhase {
    fn from(phase: archive::RestorePhase) -> Self {
        match phase {
            archive::RestorePhase::Fetching => Self::Fetching,
            archive::RestorePhase::Replaying => Self::Replaying,
            archive::RestorePhase::Done => Self::Done,
            archive::RestorePhase::Refused => Self::Refused,
        }
    }
}

impl OperationState {
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A step of an operation, as the console shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    pub name: String,
    pub state: StepState,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

/// What cancelling an operation does: the desired state of before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Of `database_create`, `database_suspend`, `database_resume`.
    Desired(Desired),
    /// Of `database_resize`.
    MilliVcpu(i32),
    /// Of `database_update`.
    Durability(Durability),
}

impl DatabaseState {
    /// `observed_generation` and `run_generation` say whether what was observed belongs to what is
    /// desired now.
    pub const fn of(desired: Desired, observed: Observed, is_current: bool) -> Self {
        match (desired, observed) {
            (Desired::Deleted, _) => Self::Deleting,
            (_, Observed::Failed) => Self::Failed,
            (Desired::Running, Observed::Running) if is_current => Self::Running,
            // It serves until it has fallen asleep.
            (Desired::Asleep, Observed::Running) => Self::Running,
            (Desired::Asleep, Observed::Asleep) => Self::Asleep,
            (Desired::Suspended, Observed::Suspended) => Self::Suspended,
            _ => Self::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled<T: Serialize>(all: &[T], text: impl Fn(&T) -> &'static str) {
        for value in all {
            assert_eq!(serde_json::to_value(value).expect("text"), text(value));
        }
    }

    #[test]
    fn the_api_and_the_schema_spell_states_alike() {
        spelled(Desired::ALL, |state| state.as_str());
        spelled(Observed::ALL, |state| state.as_str());
        spelled(Durability::ALL, |durability| durability.as_str());
        spelled(OperationKind::ALL, |kind| kind.as_str());
        spelled(OperationState::ALL, |state| state.as_str());
        spelled(BackupOrigin::ALL, |origin| origin.as_str());
        spelled(BackupKind::ALL, |kind| kind.as_str());
        spelled(BackupState::ALL, |state| state.as_str());
        spelled(RestorePhase::ALL, |phase| phase.as_str());
        spelled(InPlacePhase::ALL, |phase| phase.as_str());
        spelled(RecoveryPhase::ALL, |state| state.as_str());
        spelled(ImportState::ALL, |state| state.as_str());
    }

    #[test]
    fn a_database_is_running_only_once_that_was_seen_after_it_was_asked_for() {
        let of = DatabaseState::of;
        assert_eq!(
            of(Desired::Running, Observed::Running, true),
            DatabaseState::Running
        );
        assert_eq!(
            of(Desired::Running, Observed::Running, false),
            DatabaseState::Pending
        );
        assert_eq!(
            of(Desired::Running, Observed::Asleep, true),
            DatabaseState::Pending
        );
        assert_eq!(
            of(Desired::Deleted, Observed::Failed, true),
            DatabaseState::Deleting
        );
    }
}
