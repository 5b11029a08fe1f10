//! What a result code means for a restore.

use asbackup_codec::wire::ResultCode;

/// What a writer can do about a result code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultClass {
    /// Not a failure: written, or something newer or equal was there.
    Outcome,
    /// May pass: worth another attempt after a pause.
    Transient,
    /// Will be the same for every record.
    JobFatal,
    /// About this one record.
    Record,
}

/// Returns the class of a result code. Source: docs/format/wire.md, "Result codes".
#[must_use]
pub fn class(code: ResultCode) -> ResultClass {
    match code.0 {
        0 | 3 | 5 => ResultClass::Outcome,
        9 | 11 | 14 | 15 | 18 | 152 => ResultClass::Transient,
        8 | 16 | 20 | 25 | 50..=94 | 150 | 151 => ResultClass::JobFatal,
        _ => ResultClass::Record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_class() {
        for (class_, codes) in [
            (ResultClass::Outcome, &[0, 3, 5][..]),
            (ResultClass::Transient, &[9, 11, 14, 15, 18, 152]),
            (ResultClass::JobFatal, &[8, 16, 20, 25, 50, 66, 80, 94, 150, 151]),
            (ResultClass::Record, &[1, 2, 4, 10, 12, 13, 17, 19, 21, 22, 27, 28, 49, 95, 160, 255]),
        ] {
            for &code in codes {
                assert_eq!(class(ResultCode(code)), class_, "{code}");
            }
        }
    }
}
