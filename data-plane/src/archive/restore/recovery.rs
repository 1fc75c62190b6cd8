//! What PostgreSQL is told to replay. Pure.

use super::plan::Plan;
use lumadb_contract::archive::RestoreTarget;
use std::fmt::Write;
use std::path::Path;
use time::UtcOffset;
use time::macros::format_description;

/// Where replaying ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryTarget {
    /// Where the plan says; PostgreSQL fails if it meets nothing of the kind.
    AsPlanned,
    /// Where WAL ends: for a moment or a position behind which nothing happened.
    End,
}

/// Lines for `postgresql.conf`, without the command that fetches WAL.
pub fn recovery_settings(plan: &Plan, target: RecoveryTarget) -> String {
    let mut settings = vec![
        ("recovery_target_timeline", plan.timeline.to_string()),
        ("recovery_target_action", "promote".to_owned()),
        ("recovery_target_inclusive", "on".to_owned()),
        // Nobody reads meanwhile, so this server may allow less than the one that was backed up.
        ("hot_standby", "off".to_owned()),
        // All that was unpacked is made durable by one call instead of one for each file.
        ("recovery_init_sync_method", "syncfs".to_owned()),
    ];
    if target == RecoveryTarget::AsPlanned {
        settings.extend(match &plan.target {
            RestoreTarget::Latest => None,
            RestoreTarget::Time(moment) => {
                let form = format_description!(
                    "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]+00"
                );
                let moment = moment.to_offset(UtcOffset::UTC);
                // Four digits of a year can always be written.
                let moment = moment.format(&form).unwrap_or_default();
                Some(("recovery_target_time", moment))
            }
            RestoreTarget::Lsn(lsn) => Some(("recovery_target_lsn", lsn.to_string())),
            RestoreTarget::Transaction(id) => Some(("recovery_target_xid", id.to_string())),
            RestoreTarget::Name(name) => Some(("recovery_target_name", name.clone())),
        });
    }
    let mut lines = String::new();
    for (name, value) in settings {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{name} = {}", setting_quote(&value));
    }
    lines
}

/// The line that makes PostgreSQL ask at `socket` for WAL, by `program`, which is this one.
pub fn restore_command(program: &Path, socket: &Path) -> String {
    let command = format!(
        "{} restore-command --socket {} %f %p",
        shell_quote(&program.to_string_lossy()),
        shell_quote(&socket.to_string_lossy()),
    );
    format!("restore_command = {}\n", setting_quote(&command))
}

fn setting_quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// The shell takes the word as it is, and PostgreSQL finds no placeholder in it.
fn shell_quote(word: &str) -> String {
    let word = word.replace('\'', "'\\''").replace('%', "%%");
    format!("'{word}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::archive::Lsn;
    use time::macros::datetime;

    fn settings(target: RestoreTarget, end: RecoveryTarget) -> String {
        let plan = Plan {
            chain: Vec::new(),
            target,
            timeline: 3,
            start_lsn: Lsn(1),
            wal_until: Lsn(2),
            reaches_end: true,
            wal_segment_bytes: 16 << 20,
            bytes: 0,
        };
        recovery_settings(&plan, end)
    }

    #[test]
    fn each_target_is_told_as_postgresql_reads_it() {
        let moment = datetime!(2026-11-27 04:05:06.789 +02:00);
        for (target, line) in [
            (
                RestoreTarget::Time(moment),
                "recovery_target_time = '2026-11-27 02:05:06.789000+00'",
            ),
            (
                RestoreTarget::Lsn(Lsn(0x16_0000_0001)),
                "recovery_target_lsn = '16/1'",
            ),
            (RestoreTarget::Transaction(77), "recovery_target_xid = '77'"),
            (
                RestoreTarget::Name("o'clock".to_owned()),
                "recovery_target_name = 'o''clock'",
            ),
        ] {
            let lines = settings(target.clone(), RecoveryTarget::AsPlanned);
            assert!(lines.lines().any(|each| each == line), "{lines}");
            let lines = settings(target, RecoveryTarget::End);
            assert!(!lines.lines().any(|each| each == line), "{lines}");
            assert!(lines.contains("recovery_target_timeline = '3'\n"));
        }
    }

    #[test]
    fn a_word_with_quotes_and_percent_signs_stays_one_word() {
        assert_eq!(shell_quote("a b"), "'a b'");
        let line = restore_command(Path::new("/a b/node"), Path::new("/run/wal.sock"));
        assert_eq!(
            line,
            "restore_command = '''/a b/node'' restore-command --socket ''/run/wal.sock'' %f %p'\n"
        );
        assert_eq!(shell_quote("50%'s"), "'50%%'\\''s'");
    }
}
