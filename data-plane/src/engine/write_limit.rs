//! Which statements the engine refuses for the limits of the organization: the settings of our
//! module inside it (`engine-module/`), as the configuration file has them.

use serde::{Deserialize, Serialize};

/// How much of writing is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteStage {
    #[default]
    Allowed,
    /// Rows and files do not grow; deleting, dropping and vacuuming work.
    NoGrowth,
    /// Nothing is written.
    ReadOnly,
}

impl WriteStage {
    const ALL: [Self; 3] = [Self::Allowed, Self::NoGrowth, Self::ReadOnly];

    const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::NoGrowth => "no_growth",
            Self::ReadOnly => "read_only",
        }
    }
}

/// A stage, and what a tenant reads when a statement is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteLimit {
    pub stage: WriteStage,
    /// Which limit was reached.
    pub detail: String,
    /// What lifts it.
    pub hint: String,
}

const STAGE: &str = "lumadb.writes";
const DETAIL: &str = "lumadb.writes_detail";
const HINT: &str = "lumadb.writes_hint";

impl WriteLimit {
    pub(super) fn settings(&self) -> [(&'static str, String); 3] {
        [
            (STAGE, self.stage.name().to_owned()),
            (DETAIL, escape(&self.detail)),
            (HINT, escape(&self.hint)),
        ]
    }

    /// The limit that a configuration file was written with. What it does not say is allowed.
    pub(super) fn of_config(postgresql: &str) -> Self {
        let value = |name: &str| {
            postgresql
                .lines()
                .filter_map(|line| line.split_once(" = "))
                .find(|(key, _)| *key == name)
                .and_then(|(_, value)| value.strip_prefix('\'')?.strip_suffix('\''))
                .map(unescape)
                .unwrap_or_default()
        };
        let stage = value(STAGE);
        Self {
            stage: WriteStage::ALL
                .into_iter()
                .find(|known| known.name() == stage)
                .unwrap_or_default(),
            detail: value(DETAIL),
            hint: value(HINT),
        }
    }
}

/// For between two quotes: PostgreSQL reads backslashes there, and a line has no other line in it.
fn escape(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    plain.replace('\\', "\\\\").replace('\'', "''")
}

fn unescape(text: &str) -> String {
    text.replace("''", "'").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ConfigFiles, Machine, Settings};

    #[test]
    fn a_limit_is_read_back_from_the_file_that_it_was_written_into() {
        let settings = Settings {
            connections_max: 5,
            milli_vcpu: 250,
            memory_mib: 64,
        };
        let machine = Machine { memory_mib: 64 };
        for stage in WriteStage::ALL {
            let limit = WriteLimit {
                stage,
                detail: "Ada's \\ 1 GB = all".into(),
                hint: String::new(),
            };
            let files = ConfigFiles::new(settings, machine, &limit);
            assert_eq!(WriteLimit::of_config(&files.postgresql), limit);
        }
        assert_eq!(WriteLimit::of_config("port = '1'\n"), WriteLimit::default());
        assert_eq!(escape("a\nb"), "a b");
    }
}
