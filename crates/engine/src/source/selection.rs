//! What the scans of a backup ask the server for.

use std::time::SystemTime;

use asbackup_cluster::{Cluster, Query, QuerySpec};
use asbackup_codec::wire::{Content, Expression};
use asbackup_model::PartitionId;

use crate::{
    config::{BackupConfig, BinSelection, Lifetime},
    plan::BackupPlan,
};

/// Returns one of a backup's scans. An earlier run may have come further than where the selection begins, and may have
/// read some of the records that are allowed.
pub(crate) fn query(
    cluster: &Cluster,
    config: &BackupConfig,
    plan: &BackupPlan,
    (spec, partitions): (&QuerySpec, &[PartitionId]),
) -> Query {
    let mut spec = spec.clone();
    spec.max_records = plan.start.records_left(config).unwrap_or(0);
    spec.readers = plan.readers.clone();
    let mut query = scan(cluster, config, spec, partitions.to_vec());
    plan.start.state.cursors_of(partitions).for_each(|digest| query.resume_after(digest));
    query
}

/// Returns a scan of some of the partitions that are asked for.
pub(crate) fn scan(
    cluster: &Cluster,
    config: &BackupConfig,
    spec: QuerySpec,
    partitions: Vec<PartitionId>,
) -> Query {
    let begun_after = config.scope.begun_after().iter();
    let begun_after: Vec<_> =
        begun_after.filter(|digest| partitions.contains(&digest.partition())).copied().collect();
    let mut query = cluster.query(spec, partitions);
    begun_after.into_iter().for_each(|digest| query.resume_after(digest));
    query
}

/// Returns what each scan asks for. One scan covers all that is asked for.
pub(crate) fn spec(cluster: &Cluster, config: &BackupConfig) -> QuerySpec {
    let mut spec = QuerySpec::new(config.namespace.as_bytes());
    spec.set = only_set(config).map(<[u8]>::to_vec);
    match &config.bins {
        BinSelection::All => {}
        BinSelection::Only(names) => spec.bins = names.iter().map(<[u8]>::to_vec).collect(),
        BinSelection::None => spec.content = Content::Metadata,
    }
    spec.filter = cluster.knows_expressions().then(|| filter(config).into_bytes());
    spec.socket_timeout = config.socket_timeout;
    spec.total_timeout = config.total_timeout;
    spec.max_retries = config.retry.max_retries;
    spec.first_pause = config.retry.first_pause;
    spec.throttle_pause = config.throttle_pause;
    spec.max_records = config.max_records.map_or(0, |count| count.get());
    spec.page_records = config.page_records.map_or(0, |count| count.get());
    spec
}

/// Returns the set if there is a single one, which needs no expression.
fn only_set(config: &BackupConfig) -> Option<&[u8]> {
    let mut sets = config.sets.as_ref()?.iter();
    sets.next().filter(|_| sets.len() == 0)
}

/// Returns all conditions in one. Source of their order: docs/format/wire.md, "Filters".
fn filter(config: &BackupConfig) -> Expression {
    let mut parts = vec![Expression::not_monitor_set()];
    parts.extend(conditions(config));
    Expression::all(parts)
}

/// Returns whether the server must know filter expressions for what is asked for.
pub(crate) fn needs_expressions(config: &BackupConfig) -> bool {
    !conditions(config).is_empty()
}

/// Returns whether records are left out for what they are, beyond their sets.
pub(crate) fn has_filter(config: &BackupConfig) -> bool {
    let is_timed = config.modified.after().is_some() || config.modified.before().is_some();
    config.filter.is_some() || is_timed || config.lifetime != Lifetime::Any
}

fn conditions(config: &BackupConfig) -> Vec<Expression> {
    let mut parts = Vec::new();
    if only_set(config).is_none() {
        parts.extend(config.sets.as_ref().map(|sets| Expression::in_sets(sets.iter())));
    }
    parts.extend(config.filter.as_ref().map(|filter| filter.expression().clone()));
    let after = config.modified.after().map(|time| Expression::modified_since(unix_ns(time)));
    let before = config.modified.before().map(|time| Expression::modified_before(unix_ns(time)));
    let times: Vec<_> = after.into_iter().chain(before).collect();
    if !times.is_empty() {
        parts.push(Expression::all(times));
    }
    if config.lifetime == Lifetime::Unlimited {
        parts.push(Expression::never_expires());
    }
    parts
}

/// Returns nanoseconds since 1970. A time that the wire can't say is the nearest one: no record is from 1677 or 2262.
fn unix_ns(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Names;

    fn config(change: impl FnOnce(&mut BackupConfig)) -> BackupConfig {
        let mut config = BackupConfig::new("test");
        change(&mut config);
        config
    }

    fn names(names: &[&str]) -> Option<Names> {
        Names::new(names.iter().copied()).ok()
    }

    #[test]
    fn a_single_set_needs_no_expression() {
        let one = config(|config| config.sets = names(&["one"]));
        assert_eq!(only_set(&one), Some(&b"one"[..]));
        assert_eq!(filter(&one), Expression::not_monitor_set());
        let two = config(|config| config.sets = names(&["one", "two"]));
        assert_eq!(only_set(&two), None);
        let sets = Expression::in_sets([&b"one"[..], b"two"]);
        assert_eq!(filter(&two), Expression::all(vec![Expression::not_monitor_set(), sets]));
    }

    #[test]
    fn times_beyond_the_wire_are_the_nearest() {
        let second = Duration::from_secs(1);
        assert_eq!(unix_ns(SystemTime::UNIX_EPOCH + second), 1_000_000_000);
        assert_eq!(unix_ns(SystemTime::UNIX_EPOCH - second), -1_000_000_000);
        let ages = Duration::from_secs(400 * 366 * 86_400);
        assert_eq!(unix_ns(SystemTime::UNIX_EPOCH + ages), i64::MAX);
        assert_eq!(unix_ns(SystemTime::UNIX_EPOCH - ages), i64::MIN);
    }
}
