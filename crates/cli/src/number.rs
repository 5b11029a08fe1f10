//! Numbers as people read them.

use std::time::Duration;

/// Returns a number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns bytes in MiB, with one decimal.
pub(crate) fn mib(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Returns a time as `h:mm:ss`, or `m:ss`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Returns a time in seconds with one decimal, or as a clock if it is a minute or more.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
    } else {
        clock(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn bytes_are_in_mib() {
        for (bytes, text) in [(0, "0.0 MiB"), (1_572_864, "1.5 MiB"), (u64::MAX, "17592186044415.9 MiB")] {
            assert_eq!(mib(bytes), text);
        }
    }

    #[test]
    fn hours_are_shown_when_there_are_any() {
        for (seconds, text) in [(0, "0:00"), (61, "1:01"), (3599, "59:59"), (36_005, "10:00:05")] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn short_times_have_a_decimal() {
        for (ms, text) in [(0, "0.0 s"), (59_999, "59.9 s"), (60_000, "1:00")] {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }
}
