//! From sampled records to an interval for the size of all. Plain functions.
//!
//! What is sampled are partitions, chosen at random, and of each its records or the first of them. So the mean is a ratio
//! of two sums over partitions, and its error comes from how much partitions differ, not records: it would hold also if
//! records of a partition were alike. Where every record was read, nothing is left to chance.

/// What was sampled of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) records: u64,
    /// Of their text.
    pub(super) bytes: u64,
}

/// A mean and how far it may be off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mean {
    pub(super) records: u64,
    pub(super) bytes_per_record: f64,
    /// Standard error.
    error: f64,
    /// Degrees of freedom.
    freedom: f64,
}

/// How sure an interval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confidence {
    P95,
    P99,
}

impl Mean {
    /// Returns the mean of sampled partitions, those without records included, of `total` records in all.
    #[expect(clippy::cast_precision_loss, reason = "sizes need no more than 52 bits")]
    pub(super) fn of(parts: &[Part], total: u64) -> Self {
        let records: u64 = parts.iter().map(|part| part.records).sum();
        let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        let bytes_per_record = bytes as f64 / records.max(1) as f64;
        let residual = |part: &Part| part.bytes as f64 - bytes_per_record * part.records as f64;
        let squares: f64 = parts.iter().map(|part| residual(part).powi(2)).sum();
        let count = parts.len().max(2) as f64;
        let unread = 1.0 - (records as f64 / total.max(1) as f64).min(1.0);
        let error = (unread * squares * count / (count - 1.0)).sqrt() / records.max(1) as f64;
        Self { records, bytes_per_record, error, freedom: count.min(records.max(2) as f64) - 1.0 }
    }

    /// Returns how far the mean may be off at most, with that confidence.
    pub(super) fn margin(&self, confidence: Confidence) -> f64 {
        self.error * quantile(confidence, self.freedom)
    }
}

/// Returns the two-sided quantile of Student's t distribution, by the first terms of its expansion around the normal one:
/// Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5. It is right to 1 % from 5 degrees of freedom on.
fn quantile(confidence: Confidence, freedom: f64) -> f64 {
    let z: f64 = match confidence {
        Confidence::P95 => 1.959_964,
        Confidence::P99 => 2.575_829,
    };
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    z + first / freedom + second / freedom.powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(parts: &[(u64, u64)]) -> Vec<Part> {
        parts.iter().map(|&(records, bytes)| Part { records, bytes }).collect()
    }

    /// Source of the expected values: tables of Student's t distribution.
    #[test]
    fn quantiles_are_those_of_tables() {
        for (confidence, freedom, expected) in [
            (Confidence::P95, 10.0, 2.228),
            (Confidence::P95, 63.0, 1.998),
            (Confidence::P99, 10.0, 3.169),
            (Confidence::P99, 63.0, 2.656),
            (Confidence::P99, 1e9, 2.576),
        ] {
            let found = quantile(confidence, freedom);
            assert!((found - expected).abs() < 0.01 * expected, "{confidence:?} {freedom}: {found}");
        }
    }

    #[test]
    fn error_comes_from_how_partitions_differ() {
        let alike = Mean::of(&parts(&[(10, 1000), (20, 2000), (0, 0)]), 1000);
        assert_eq!((alike.records, alike.bytes_per_record), (30, 100.0));
        assert_eq!(alike.margin(Confidence::P99), 0.0);
        let differ = Mean::of(&parts(&[(10, 900), (10, 1100), (10, 1000)]), 30_000_000);
        // Residuals of ±100: the square root of 20,000 · 3/2, over 30 records.
        assert!((differ.error - 30_000_f64.sqrt() / 30.0).abs() < 1e-3, "{}", differ.error);
        assert!(differ.margin(Confidence::P95) < differ.margin(Confidence::P99));
    }

    #[test]
    fn nothing_is_left_to_chance_where_all_was_read() {
        let mean = Mean::of(&parts(&[(10, 900), (10, 1100)]), 20);
        assert_eq!((mean.bytes_per_record, mean.margin(Confidence::P99)), (100.0, 0.0));
        let none = Mean::of(&[Part::default(); 4], 0);
        assert_eq!((none.records, none.bytes_per_record, none.margin(Confidence::P99)), (0, 0.0, 0.0));
    }
}
