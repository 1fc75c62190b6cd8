//! How documents write amounts, quantities, moments and names.

use crate::exact::mul_div_half_up;
use crate::period::Period;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Cents, Money};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, UtcOffset};
use unicode_normalization::UnicodeNormalization as _;

/// Decimals of a quantity of one or more, and of a smaller one.
const PLACES: u32 = 3;
const PLACES_SMALL: u32 = 6;

/// `$1,234.56`, with a minus sign in front where it is below zero.
pub(super) fn money(amount: Cents) -> String {
    let text = amount.to_string();
    signed(&text, "$")
}

/// A price: at least two decimals, more where it has them.
pub(super) fn price(price: Money) -> String {
    signed(&price.to_string(), "$")
}

/// Sets the sign before the symbol, and commas between thousands.
fn signed(text: &str, symbol: &str) -> String {
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => ("\u{2212}", size),
        None => ("", text),
    };
    let (whole, fraction) = size.split_once('.').unwrap_or((size, ""));
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{symbol}{}{point}{fraction}", thousands(whole))
}

fn thousands(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count in units of which one has `unit`: rounded half up, no zeros at the end.
pub(super) fn quantity(count: i128, unit: u128) -> String {
    let size = count.unsigned_abs();
    let places = if size >= unit { PLACES } else { PLACES_SMALL };
    let scale = 10_u128.pow(places);
    let Some(scaled) = mul_div_half_up(size, scale, unit) else {
        return count.to_string();
    };
    let sign = if count < 0 { "-" } else { "" };
    let width = usize::try_from(places).unwrap_or_default();
    let fraction = format!("{:0width$}", scaled % scale);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    signed(&format!("{sign}{}{point}{fraction}", scaled / scale), "")
}

/// A quantity of a meter in the units in which it is sold: `126.5 GB-months`.
pub(super) fn sold(meter: Meter, count: i128, month_seconds: u32) -> String {
    let number = quantity(count, meter.counted_per_sold(month_seconds));
    let plural = matches!(meter, Meter::Storage | Meter::Compute) && number != "1";
    format!(
        "{number} {}{}",
        meter.sold_in(),
        if plural { "s" } else { "" }
    )
}

/// What a meter is called in a line.
pub(super) const fn meter(meter: Meter) -> &'static str {
    match meter {
        Meter::Storage => "Storage",
        Meter::Compute => "Compute",
        Meter::Requests => "Requests",
        Meter::TransferOut => "Data transfer out",
        Meter::VectorOperations => "Vector operations",
    }
}

fn utc(at: OffsetDateTime) -> OffsetDateTime {
    at.to_offset(UtcOffset::UTC)
}

/// `Nov 30, 2026`
pub(super) fn date(at: OffsetDateTime) -> String {
    day(utc(at).date())
}

fn day(date: Date) -> String {
    date.format(format_description!(
        "[month repr:short] [day padding:none], [year]"
    ))
    .unwrap_or_default()
}

/// `Nov 7, 2026, 13:17:42`; the day alone at midnight.
fn moment(at: OffsetDateTime) -> String {
    let at = utc(at);
    if at.time() == time::Time::MIDNIGHT {
        return day(at.date());
    }
    let clock = format_description!("[hour]:[minute]:[second]");
    format!(
        "{}, {}",
        day(at.date()),
        at.format(clock).unwrap_or_default()
    )
}

/// From a moment to another that is not included: whole days by their first and last one.
pub(super) fn span(from: OffsetDateTime, to: OffsetDateTime) -> String {
    let (from, to) = (utc(from), utc(to));
    let whole = |at: OffsetDateTime| at.time() == time::Time::MIDNIGHT;
    if whole(from) && whole(to) && from < to {
        let (first, last) = (from.date(), (to - Duration::DAY).date());
        if first == last {
            return day(first);
        }
        let short = format_description!("[month repr:short] [day padding:none]");
        let begins = if first.year() == last.year() {
            first.format(short).unwrap_or_default()
        } else {
            day(first)
        };
        return format!("{begins} \u{2013} {}", day(last));
    }
    format!("{} \u{2013} {} UTC", moment(from), moment(to))
}

/// `November 2026`
pub(super) fn month(period: Period) -> String {
    period
        .start()
        .date()
        .format(format_description!("[month repr:long] [year]"))
        .unwrap_or_default()
}

/// `23 d 10:42:18`
pub(super) fn duration(seconds: u128) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    if rest == 0 {
        format!("{days} d")
    } else {
        format!("{days} d {hours:02}:{minutes:02}:{seconds:02}")
    }
}

/// A rate in parts per million as percent: `8.875%`.
pub(super) fn percent(ppm: u32) -> String {
    format!("{}%", quantity(ppm.into(), 10_000))
}

/// A text that somebody else wrote, on one line: composed, without control characters and without
/// what turns the direction of the text around it.
pub(super) fn clean(text: &str) -> String {
    let visible = text.nfc().filter_map(|one| match one {
        one if one.is_control() || one.is_whitespace() => Some(' '),
        // Marks and overrides of direction, joiners of nothing, byte order marks.
        '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => None,
        one => Some(one),
    });
    let visible: String = visible.collect();
    visible
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn amounts_have_a_sign_a_symbol_and_commas() {
        for (cents, written) in [
            (0, "$0.00"),
            (5, "$0.05"),
            (123_456, "$1,234.56"),
            (100_000_000, "$1,000,000.00"),
            (-1200, "\u{2212}$12.00"),
        ] {
            assert_eq!(money(Cents::new(cents)), written);
        }
        assert_eq!(price("0.10".parse().expect("price")), "$0.10");
        assert_eq!(price("0.0000015".parse().expect("price")), "$0.0000015");
    }

    #[test]
    fn quantities_are_short_and_never_nothing_where_there_is_something() {
        for (count, unit, written) in [
            (1_500, 1_000, "1.5"),
            (1_000, 1_000, "1"),
            (1_234_567_891, 1_000_000, "1,234.568"),
            (1, 1_000_000, "0.000001"),
            (-2_500_000, 1_000_000, "\u{2212}2.5"),
            (0, 7, "0"),
        ] {
            assert_eq!(quantity(count, unit), written);
        }
        let unit = i128::try_from(Meter::Storage.counted_per_sold(2_592_000)).expect("unit");
        assert_eq!(sold(Meter::Storage, unit, 2_592_000), "1 GB-month");
        assert_eq!(sold(Meter::Requests, 2_000_000, 2_592_000), "2 million");
        assert_eq!(percent(88_750), "8.875%");
        assert_eq!(percent(190_000), "19%");
    }

    #[test]
    fn spans_of_whole_days_end_with_their_last_day() {
        let november = datetime!(2026-11-01 0:00 UTC);
        let december = datetime!(2026-12-01 0:00 UTC);
        let january = datetime!(2027-01-01 0:00 UTC);
        assert_eq!(span(november, december), "Nov 1 \u{2013} Nov 30, 2026");
        assert_eq!(span(november, november + Duration::DAY), "Nov 1, 2026");
        assert_eq!(
            span(december, january + Duration::DAY),
            "Dec 1, 2026 \u{2013} Jan 1, 2027"
        );
        assert_eq!(
            span(datetime!(2026-11-07 14:17:42 +1), december),
            "Nov 7, 2026, 13:17:42 \u{2013} Dec 1, 2026 UTC"
        );
        assert_eq!(duration(2_025_738), "23 d 10:42:18");
        assert_eq!(duration(172_800), "2 d");
    }

    #[test]
    fn names_keep_their_letters_and_lose_what_is_no_text() {
        assert_eq!(clean(" Zoë\u{202e}\n\tA\u{0}B "), "Zoë A B");
        assert_eq!(clean("e\u{301}"), "é");
        assert_eq!(clean("株式会社ルーマ"), "株式会社ルーマ");
        assert_eq!(clean("\u{feff}\u{200b}"), "");
    }
}
