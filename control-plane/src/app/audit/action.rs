use serde::Serialize;
use utoipa::ToSchema;

macro_rules! audit_actions {
    // `tt`, not `literal`: what derives the schema reads no literal that a macro has wrapped.
    ($($(#[$doc:meta])* $variant:ident = $text:tt),+ $(,)?) => {
        /// What was done: `<noun>.<what happened>`; `other`: something that a newer release than
        /// the one that answers wrote down.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        pub enum AuditAction {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)+
            /// Only read, never written: the schema refuses it.
            #[serde(rename = "other")]
            Other,
        }

        impl AuditAction {
            /// All that are written.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As the log and the API spell it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other => "other",
                }
            }
        }
    };
}

// One that is written no longer stays: logs have it.
audit_actions! {
    ArchiveRemove = "archive.remove",
    BackupCreate = "backup.create",
    BillingUpdate = "billing.update",
    /// It got the content of another: a restore in place, or one taken back.
    DatabaseChangePlaces = "database.change_places",
    DatabaseCreate = "database.create",
    DatabaseDelete = "database.delete",
    DatabaseGoBack = "database.go_back",
    DatabaseRecoveryBegin = "database.recovery_begin",
    DatabaseRecoveryEnd = "database.recovery_end",
    DatabaseRecoveryFail = "database.recovery_fail",
    DatabaseRestore = "database.restore",
    DatabaseRestoreInPlace = "database.restore_in_place",
    DatabaseResume = "database.resume",
    DatabaseSuspend = "database.suspend",
    DatabaseUpdate = "database.update",
    DrillFail = "drill.fail",
    ImportCancel = "import.cancel",
    ImportComplete = "import.complete",
    ImportCreate = "import.create",
    LogicalDatabaseCreate = "logical_database.create",
    LogicalDatabaseDelete = "logical_database.delete",
    OperationCancel = "operation.cancel",
    OrganizationCreate = "organization.create",
    OrganizationUpdate = "organization.update",
    PlanChange = "plan.change",
    PlanChangeCancel = "plan.change_cancel",
    ProjectCreate = "project.create",
    ProjectUpdate = "project.update",
    RestorePointCreate = "restore_point.create",
    RoleCreate = "role.create",
    RoleDelete = "role.delete",
    RoleRotatePassword = "role.rotate_password",
    SpendCapOrderSet = "spend_cap_order.set",
    TokenCreate = "token.create",
    TokenDelete = "token.delete",
    UserLogIn = "user.log_in",
    UserPasswordChange = "user.password_change",
    UserPasswordReset = "user.password_reset",
    UserUpdate = "user.update",
}

impl AuditAction {
    /// Of what the log holds; a word that is not known here is [`AuditAction::Other`].
    pub fn of(text: &str) -> Self {
        let known = Self::ALL.iter().find(|action| action.as_str() == text);
        known.copied().unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::of(action.as_str()), *action);
            let said = serde_json::to_value(action).expect("JSON");
            assert_eq!(said, action.as_str());
        }
    }

    #[test]
    fn an_action_is_a_noun_and_a_verb() {
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c == '_' || c.is_ascii_lowercase())
        };
        for action in AuditAction::ALL {
            let (noun, verb) = action.as_str().split_once('.').expect("two words");
            assert!(is_word(noun) && is_word(verb), "{action:?}");
        }
    }

    #[test]
    fn a_word_of_another_release_is_something_else() {
        for text in ["user.sing", "database", ""] {
            assert_eq!(AuditAction::of(text), AuditAction::Other);
        }
        // The schema asks for a noun and a verb.
        assert!(!AuditAction::Other.as_str().contains('.'));
    }
}
