//! Flags that say what is backed up.

use std::{num::NonZeroU64, str::FromStr, time::SystemTime};

use asbackup::{
    BackupConfig, BinSelection, FilterExpression, Lifetime, Local, Modified, NodeSelector, PartitionList,
    RackId, Scope,
};
use jiff::{Timestamp, tz::TimeZone};

use super::names;
use crate::{
    args::{Backup, Records, ScopeFlags},
    failure::{Failure, Failures},
    time,
};

/// Sets what is backed up.
pub(super) fn select(config: &mut BackupConfig, args: &Backup, wrong: &mut Failures) {
    let records = &args.records;
    wrong.set(&mut config.scope, scope(&args.scope));
    let racks = parse_all(&args.scope.prefer_racks, "change --prefer-racks");
    wrong.set(&mut config.preferred_racks, racks);
    wrong.set(&mut config.sets, names(&records.set_list, "change --set-list"));
    wrong.set(&mut config.bins, bins(records));
    config.lifetime = if records.no_ttl_only { Lifetime::Unlimited } else { Lifetime::Any };
    wrong.set(&mut config.filter, records.filter_exp.as_deref().map(filter).transpose());
    config.max_records = NonZeroU64::new(records.max_records);
}

fn bins(args: &Records) -> Result<BinSelection, Failure> {
    Ok(match names(&args.bin_list, "change --bin-list")? {
        Some(names) => BinSelection::Only(names),
        None if args.no_bins => BinSelection::None,
        None => BinSelection::All,
    })
}

fn scope(args: &ScopeFlags) -> Result<Scope, Failure> {
    if !args.partition_list.is_empty() {
        // The flag may be given again, and a partition is then named in either.
        let list = args.partition_list.join(",").parse::<PartitionList>();
        return list.map(Scope::Partitions).map_err(|error| wrong(&error, "change --partition-list"));
    }
    if let Some(digest) = &args.after_digest {
        return Scope::after_digest(digest).map_err(|error| wrong(&error, "change --after-digest"));
    }
    if !args.node_list.is_empty() {
        let hint = "change --node-list";
        let nodes: Vec<NodeSelector> = parse_all(&args.node_list, hint)?;
        return Scope::nodes(nodes).map_err(|error| wrong(&error, hint));
    }
    if !args.rack_list.is_empty() {
        let hint = "change --rack-list";
        let racks: Vec<RackId> = parse_all(&args.rack_list, hint)?;
        return Scope::racks(racks).map_err(|error| wrong(&error, hint));
    }
    Ok(Scope::Namespace)
}

fn parse_all<T: FromStr<Err: std::fmt::Display>>(
    list: &[String],
    hint: &'static str,
) -> Result<Vec<T>, Failure> {
    list.iter().map(|text| text.parse().map_err(|error| wrong(&error, hint))).collect()
}

fn wrong(error: &dyn std::fmt::Display, hint: &'static str) -> Failure {
    Failure::usage(error.to_string(), hint)
}

fn filter(text: &str) -> Result<FilterExpression, Failure> {
    text.parse().map_err(|error| wrong(&error, "change --filter-exp"))
}

/// Sets when what is backed up was last updated. A run that goes on with another one reckons from the same moment.
pub(super) fn select_modified(
    config: &mut BackupConfig,
    args: &Records,
    target: &Local,
    wrong: &mut Failures,
) {
    if args.modified_after.is_none() && args.modified_before.is_none() {
        return;
    }
    let now = config.as_of_unfinished(target).unwrap_or_else(SystemTime::now);
    // No clock is beyond the year 9999.
    wrong.set(&mut config.modified, modified(args, Timestamp::try_from(now).unwrap_or(Timestamp::MAX)));
    config.as_of = Some(now);
}

fn modified(args: &Records, now: Timestamp) -> Result<Modified, Failure> {
    let zone = if args.utc { TimeZone::UTC } else { TimeZone::system() };
    let resolve = |text: &Option<String>, hint| -> Result<Option<SystemTime>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let time = time::parse(text, now, &zone);
        time.map(|time| Some(time.into()))
            .map_err(|error| Failure::usage(format!("time {text:?}: {error}"), hint))
    };
    let after = resolve(&args.modified_after, "change --modified-after")?;
    let before = resolve(&args.modified_before, "change --modified-before")?;
    Modified::new(after, before)
        .map_err(|error| wrong(&error, "change --modified-after or --modified-before"))
}

#[cfg(test)]
mod tests {
    use asbackup::{ErrorKind, Names};
    use clap::Parser;

    use super::*;
    use crate::args::Asbackup;

    fn selected(flags: &str) -> Result<BackupConfig, Failure> {
        let line = format!("asbackup -n test -d out{flags}");
        super::super::backup(&Asbackup::try_parse_from(line.split(' ')).unwrap().backup)
    }

    /// Checks that a flag changes the configuration as expected, and nothing else.
    #[track_caller]
    fn check(flags: &str, change: impl FnOnce(&mut BackupConfig)) {
        let mut expected = BackupConfig::new("test");
        change(&mut expected);
        let found = selected(flags).unwrap();
        expected.as_of = found.as_of;
        assert_eq!(found, expected, "{flags}");
    }

    #[test]
    fn each_flag_has_its_effect() {
        let list = |text: &str| Scope::Partitions(text.parse().unwrap());
        let digest = "AgAAAAAAAAAAAAAAAAAAAAAAAAE=";
        check(" --partition-list 0-10,20 -X 30..31", |config| config.scope = list("0..9,20,30..31"));
        check(&format!(" --after-digest {digest}"), |config| {
            config.scope = Scope::after_digest(digest).unwrap()
        });
        check(" --node-list a,b:3000", |config| {
            config.scope = Scope::Nodes(vec!["a".parse().unwrap(), "b:3000".parse().unwrap()]);
        });
        let racks = |ids: &[u32]| ids.iter().map(|&id| RackId::new(id).unwrap()).collect();
        check(" --rack-list 1,2", |config| config.scope = Scope::Racks(racks(&[1, 2])));
        check(" --prefer-racks 2,1", |config| config.preferred_racks = racks(&[2, 1]));
        let names = |names: &[&str]| Names::new(names.iter().copied()).unwrap();
        check(" --set-list a,b --set c", |config| config.sets = Some(names(&["a", "b", "c"])));
        check(" --bin-list a,b", |config| config.bins = BinSelection::Only(names(&["a", "b"])));
        check(" --no-bins", |config| config.bins = BinSelection::None);
        let at = |seconds| Some(Timestamp::from_second(seconds).unwrap().into());
        check(" --modified-after @5", |config| config.modified = Modified::new(at(5), None).unwrap());
        check(" --modified-before 1970-01-02 --utc", |config| {
            config.modified = Modified::new(None, at(86_400)).unwrap();
        });
        check(" --no-ttl-only", |config| config.lifetime = Lifetime::Unlimited);
        check(" --filter-exp kwOTUQKjYWdlQA==", |config| config.filter = "kwOTUQKjYWdlQA==".parse().ok());
        check(" --max-records 5", |config| config.max_records = NonZeroU64::new(5));
        check(" --max-records 0", |_| {});
        let span = selected(" --modified-after -90m -b -1m").unwrap().modified;
        let (after, before) = (span.after().unwrap(), span.before().unwrap());
        assert_eq!(before.duration_since(after).unwrap().as_secs(), 89 * 60);
    }

    #[test]
    fn bad_values_are_refused_before_connecting() {
        for (flags, message, hint) in [
            ("-X 4096", "the last one is 4095", "--partition-list"),
            ("-X 0-10,5", "names partition 5 again", "--partition-list"),
            ("-X 0-10 -X 5", "names partition 5 again", "--partition-list"),
            ("-X 4095-2", "stands a count", "--partition-list"),
            ("-X -1", "is no partition", "--partition-list"),
            ("-D AA==", "a digest has 20", "--after-digest"),
            ("-l h:0", "is no node", "--node-list"),
            ("-l a,a", "a is named twice", "--node-list"),
            ("--rack-list 1000001", "is no rack", "--rack-list"),
            ("--rack-list 1,1", "1 is named twice", "--rack-list"),
            ("--prefer-racks x", "is no rack", "--prefer-racks"),
            ("-s a,a", "is named twice", "--set-list"),
            ("-B a,a", "is named twice", "--bin-list"),
            ("-a yesterday", "must be YYYY-MM-DD_HH:MM:SS", "--modified-after"),
            ("-b 1", "must be YYYY-MM-DD_HH:MM:SS", "--modified-before"),
            ("-a @2 -b @2", "no time lies between", "--modified-before"),
            ("-f !", "is no base64", "--filter-exp"),
            ("-f AQI=", "not of one whole expression", "--filter-exp"),
        ] {
            let failure = selected(&format!(" {flags}")).expect_err(flags);
            assert_eq!(failure.kind, ErrorKind::Config, "{flags}");
            let lines = failure.lines();
            assert!(lines.iter().any(|line| line.contains(message)), "{lines:?}");
            assert!(lines.last().unwrap().contains(hint), "{lines:?}");
        }
    }

    #[test]
    fn flags_that_exclude_each_other_are_refused_by_name() {
        for (flags, first, second) in [
            ("-X 1 -D x", "--after-digest", "--partition-list"),
            ("-X 1 -l x", "--node-list", "--partition-list"),
            ("-D x -l x", "--node-list", "--after-digest"),
            ("-X 1 --rack-list 1", "--rack-list", "--partition-list"),
            ("-D x --rack-list 1", "--rack-list", "--after-digest"),
            ("-l x --rack-list 1", "--rack-list", "--node-list"),
            ("-l x --prefer-racks 1", "--prefer-racks", "--node-list"),
            ("--rack-list 2 --prefer-racks 1", "--prefer-racks", "--rack-list"),
            ("-B x --no-bins", "--no-bins", "--bin-list"),
        ] {
            let line = format!("asbackup -n test -d out {flags}");
            let message = Asbackup::try_parse_from(line.split(' ')).unwrap_err().to_string();
            assert!(message.contains(first) && message.contains(second), "{flags}: {message}");
        }
    }
}
