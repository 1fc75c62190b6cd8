//! The maintenance window: when what can wait may restart a database. UTC.

use k8s_openapi::jiff::civil;
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// When what can wait may restart the database: changes that come with a newer operator, and those
/// of compute that the machine has no room for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    #[serde(default = "days_default")]
    #[schemars(length(min = 1, max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Weekday>,
    /// Time of day, UTC, such as 03:00.
    #[serde(default)]
    pub start: TimeOfDay,
    #[serde(default = "duration_default")]
    #[schemars(range(min = 30, max = 1440))]
    pub duration_minutes: u16,
}

impl Default for MaintenanceWindow {
    fn default() -> Self {
        Self {
            days: days_default(),
            start: TimeOfDay::default(),
            duration_minutes: duration_default(),
        }
    }
}

fn days_default() -> Vec<Weekday> {
    vec![Weekday::Sunday]
}

fn duration_default() -> u16 {
    120
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Weekday> for civil::Weekday {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

/// Hour and minute.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    minutes: u16,
}

impl Default for TimeOfDay {
    fn default() -> Self {
        Self { minutes: 3 * 60 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day such as 03:00")]
pub struct InvalidTimeOfDay(String);

impl FromStr for TimeOfDay {
    type Err = InvalidTimeOfDay;

    fn from_str(text: &str) -> Result<Self, InvalidTimeOfDay> {
        let two_digits = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            plain.then(|| digits.parse::<u16>().ok())
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Some((two_digits(hour)??, two_digits(minute)??)))
            .filter(|(hour, minute)| *hour < 24 && *minute < 60)
            .map(|(hour, minute)| Self {
                minutes: hour * 60 + minute,
            })
            .ok_or_else(|| InvalidTimeOfDay(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = InvalidTimeOfDay;

    fn try_from(text: String) -> Result<Self, InvalidTimeOfDay> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Days looked ahead: the window of today's weekday may lie behind.
const DAYS_AHEAD: i64 = 8;

impl MaintenanceWindow {
    /// The earliest moment from `now` on at which the window is open; `now` while it is. `delay`
    /// keeps databases that share a window apart: that much of the window is left out at its start,
    /// and at most half of it.
    pub fn next(&self, now: Timestamp, delay: SignedDuration) -> Option<Timestamp> {
        let length = SignedDuration::from_mins(i64::from(self.duration_minutes));
        let delay = delay.min(length / 2);
        let today = TimeZone::UTC.to_datetime(now).date();
        // A window that began yesterday may still be open.
        (-1..DAYS_AHEAD).find_map(|ahead| {
            let date = today
                .checked_add(SignedDuration::from_hours(24 * ahead))
                .ok()?;
            if !self.days.iter().any(|day| date.weekday() == (*day).into()) {
                return None;
            }
            let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
            let minutes = SignedDuration::from_mins(i64::from(self.start.minutes));
            let opens = midnight.checked_add(minutes).ok()?;
            let closes = opens.checked_add(length).ok()?;
            (now < closes).then(|| opens.checked_add(delay).map(|start| start.max(now)).ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn next(window: &MaintenanceWindow, now: &str, delay_minutes: i64) -> String {
        let delay = SignedDuration::from_mins(delay_minutes);
        window.next(at(now), delay).expect("a moment").to_string()
    }

    #[test]
    fn the_window_is_the_next_one_or_the_one_that_is_open() {
        // 2026-11-29 is a Sunday.
        let window = MaintenanceWindow::default();
        for (now, then) in [
            ("2026-11-27T12:00:00Z", "2026-11-29T03:00:00Z"),
            ("2026-11-29T03:00:00Z", "2026-11-29T03:00:00Z"),
            ("2026-11-29T04:59:59Z", "2026-11-29T04:59:59Z"),
            ("2026-11-29T05:00:00Z", "2026-12-06T03:00:00Z"),
        ] {
            assert_eq!(next(&window, now, 0), then, "{now}");
        }
    }

    #[test]
    fn a_window_reaches_over_midnight() {
        let window = MaintenanceWindow {
            days: vec![Weekday::Saturday],
            start: "23:30".parse().expect("a time"),
            duration_minutes: 60,
        };
        assert_eq!(
            next(&window, "2026-11-29T00:10:00Z", 0),
            "2026-11-29T00:10:00Z"
        );
        assert_eq!(
            next(&window, "2026-11-29T00:30:00Z", 0),
            "2026-12-05T23:30:00Z"
        );
    }

    #[test]
    fn a_delay_moves_the_start_and_at_most_to_the_middle() {
        let window = MaintenanceWindow::default();
        assert_eq!(
            next(&window, "2026-11-27T12:00:00Z", 20),
            "2026-11-29T03:20:00Z"
        );
        assert_eq!(
            next(&window, "2026-11-27T12:00:00Z", 600),
            "2026-11-29T04:00:00Z"
        );
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for given in ["24:00", "3:00", "03:60", "0300", "", "+1:00"] {
            assert!(given.parse::<TimeOfDay>().is_err(), "{given}");
        }
    }
}
