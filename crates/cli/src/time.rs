//! Points in time as people write them.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

/// Returns the point in time that a text means: `YYYY-MM-DD_HH:MM:SS`, `YYYY-MM-DD` (midnight) or `HH:MM:SS` (today), on
/// the clocks of `zone`; RFC 3339; `@` and seconds since 1970; or `-` and a span before `now`, such as `-90m` or `-2d`.
///
/// # Errors
/// If it is none of these, or clocks show it twice or never.
pub(crate) fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds
            .parse()
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or_else(wrong);
    }
    if let Some(span) = text.strip_prefix('-') {
        return span_before(span).and_then(|span| now.checked_sub(span).ok()).ok_or_else(wrong);
    }
    if let Some(civil) = civil(text, now, zone) {
        return on_clocks(civil, zone);
    }
    // Without an offset it isn't a point in time, and the parser refuses it.
    if text.contains('T') { text.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

fn wrong() -> String {
    "must be YYYY-MM-DD_HH:MM:SS, YYYY-MM-DD, HH:MM:SS, RFC 3339, @SECONDS since 1970, or a time ago such as -90m or -2d"
        .to_owned()
}

fn civil(text: &str, now: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    match text.split_once('_') {
        Some((date, time)) => Some(parse_date(date)?.to_datetime(parse_time(time)?)),
        None if text.contains('-') => Some(parse_date(text)?.to_datetime(Time::midnight())),
        None => Some(now.to_zoned(zone.clone()).date().to_datetime(parse_time(text)?)),
    }
}

fn parse_date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(year, month, day).ok()
}

fn parse_time(text: &str) -> Option<Time> {
    let [hour, minute, second] = numbers(text, ':', [2, 2, 2])?.map(|number| i8::try_from(number).ok());
    Time::new(hour?, minute?, second?, 0).ok()
}

/// Returns three numbers of so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i16; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let parts: [&str; 3] = parts.try_into().ok()?;
    let is_number = |(part, digits): (&&str, usize)| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !parts.iter().zip(digits).all(is_number) {
        return None;
    }
    let [first, second, third] = parts.map(|part| part.parse().ok());
    Some([first?, second?, third?])
}

/// Returns when the clocks of a zone show this.
fn on_clocks(civil: DateTime, zone: &TimeZone) -> Result<Timestamp, String> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let how = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => return ambiguous.unambiguous().map_err(|_| wrong()),
        AmbiguousOffset::Gap { .. } => "never",
        AmbiguousOffset::Fold { .. } => "twice",
    };
    let hint = "say which time is meant by an offset, such as 2026-01-31T12:00:00+01:00, or use --utc";
    Err(format!("clocks show this {how}, because they are changed then: {hint}"))
}

fn span_before(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-06-15T22:30:00Z";

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn parsed(text: &str, zone: &TimeZone) -> Result<String, String> {
        parse(text, NOW.parse().unwrap(), zone).map(|time| time.to_string())
    }

    #[test]
    fn every_form_is_one_point_in_time() {
        for (text, in_berlin, in_utc) in [
            ("2026-01-31_12:00:01", "2026-01-31T11:00:01Z", "2026-01-31T12:00:01Z"),
            ("2026-07-31", "2026-07-30T22:00:00Z", "2026-07-31T00:00:00Z"),
            // It is the 16th already in Berlin.
            ("01:02:03", "2026-06-15T23:02:03Z", "2026-06-15T01:02:03Z"),
            ("2026-01-31T12:00:00.5+01:00", "2026-01-31T11:00:00.5Z", "2026-01-31T11:00:00.5Z"),
            ("@1700000000", "2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"),
            ("@-1", "1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
            ("-90m", "2026-06-15T21:00:00Z", "2026-06-15T21:00:00Z"),
            ("-2d", "2026-06-13T22:30:00Z", "2026-06-13T22:30:00Z"),
            ("-1w", "2026-06-08T22:30:00Z", "2026-06-08T22:30:00Z"),
            ("-3h", "2026-06-15T19:30:00Z", "2026-06-15T19:30:00Z"),
            ("-0s", "2026-06-15T22:30:00Z", "2026-06-15T22:30:00Z"),
        ] {
            assert_eq!(parsed(text, &berlin()).as_deref(), Ok(in_berlin), "{text}");
            assert_eq!(parsed(text, &TimeZone::UTC).as_deref(), Ok(in_utc), "{text}");
        }
    }

    #[test]
    fn times_that_clocks_show_twice_or_never_are_refused() {
        for (text, how) in [("2026-10-25_02:30:00", "twice"), ("2026-03-29_02:30:00", "never")] {
            let error = parsed(text, &berlin()).unwrap_err();
            assert!(error.starts_with(&format!("clocks show this {how},")), "{error}");
            assert!(parsed(text, &TimeZone::UTC).is_ok());
        }
    }

    #[test]
    fn all_else_is_refused() {
        for text in [
            "",
            "now",
            "2026",
            "2026-1-1",
            "2026-13-01",
            "2026-02-30",
            "24:00:00",
            "12:00",
            "2026-01-01_",
            "_12:00:00",
            "2026-01-01 12:00:00",
            "2026-01-01T12:00:00",
            "@",
            "@1.5",
            "@99999999999999",
            "-",
            "-5",
            "-m",
            "--5m",
            "-5y",
            "-99999999999999999d",
            "2026-01-01_12:00:00_1",
            "+026-01-01",
        ] {
            assert_eq!(parsed(text, &berlin()), Err(wrong()), "{text:?}");
        }
    }
}
