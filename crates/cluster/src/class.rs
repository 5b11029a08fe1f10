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

    /// Source: docs/format/wire.md, "Result codes".
    #[test]
    fn each_code_has_its_class() {
        let outcomes = [0, 3, 5];
        let transient = [9, 11, 14, 15, 18, 152];
        let fatal = [8, 16, 20, 25, 150, 151];
        for code in 0..=u8::MAX {
            let expected = match code {
                _ if outcomes.contains(&code) => ResultClass::Outcome,
                _ if transient.contains(&code) => ResultClass::Transient,
                _ if fatal.contains(&code) || (50..=94).contains(&code) => ResultClass::JobFatal,
                _ => ResultClass::Record,
            };
            assert_eq!(class(ResultCode(code)), expected, "{code}");
        }
    }
}
