//! Flags to configurations of the engine: the one place that knows both.

mod paths;
mod places;
mod security;
mod selection;

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    thread,
    time::Duration,
};

use asbackup::{
    Addresses, BackupConfig, BatchLimits, ByteSize, Checkpoint, ClusterConfig, Effect, EntryClass,
    ExistingFiles, ExistsRule, ExtraFiles, FilePrefix, GenerationRule, InfoRetry, Limits, ManifestRule,
    MetadataOrder, Names, Parallelism, RecordErrors, Rename, RestoreConfig, Sampling, ScanRetry, Seed, Shard,
    Spelling, Start, StateConfig, StatePlace, StateRule, ValidateConfig, Verification, WriteRetry,
    WriteRules, Writes,
};

use crate::{
    args::{Backup, Connection, IndexConflict, LeftOut, Rates, Restore, State},
    envelope,
    failure::{Failure, Failures},
    value_source::ValueSource,
};
pub(crate) use paths::{check_directory, check_inspected, check_source, check_target};
pub(crate) use places::{inspected, source, target};

/// Connections to a node beside those that carry data: for information requests.
const SPARE_CONNECTIONS: usize = 2;

/// Returns how to reach the cluster with that many data connections.
pub(crate) async fn cluster(
    args: &Connection,
    values: &ValueSource,
    data_connections: usize,
) -> Result<ClusterConfig, Failure> {
    let mut seeds = Vec::new();
    for given in &args.host {
        let text = values.text("--host", given).await?;
        for text in text.split(',') {
            seeds.push(seed(text, args.port)?);
        }
    }
    let mut config = ClusterConfig::new(seeds);
    config.addresses = if args.services_alternate { Addresses::Alternate } else { Addresses::Standard };
    config.first_timeout = args.client_timeout;
    config.info_timeout = args.info_timeout;
    config.info_retry = InfoRetry {
        max_retries: args.info_max_retries,
        first_pause: args.info_retry_interval,
        multiplier: args.info_retry_multiplier,
    };
    config.connections_per_node = config.connections_per_node.max(data_connections + SPARE_CONNECTIONS);
    security::secure(&mut config, &args.login, &args.tls, values).await?;
    Ok(config)
}

fn seed(text: &str, port: u16) -> Result<Seed, Failure> {
    Seed::parse(text, port).map_err(|error| {
        let hint = "--host takes host, host:port, host:tls-name:port or [IPv6]:port, separated by commas";
        Failure::usage(format!("{text:?} is no node"), hint).because(&error)
    })
}

/// Returns what a backup is to do, but for its encryption.
pub(crate) fn backup(args: &Backup) -> Result<BackupConfig, Failure> {
    let mut wrong = Failures::default();
    let mut config = BackupConfig::new(args.namespace.clone().unwrap_or_default());
    config.left_out = left_out(&args.left_out);
    selection::select(&mut config, args, &mut wrong);
    wrong.set(&mut config.shard, args.shard.as_deref().map(shard).transpose());
    wrong.set(&mut config.readers, parallelism(usize::from(args.parallel)));
    let writers = parallelism(usize::from(args.parallel_write.unwrap_or(args.parallel)));
    wrong.set(&mut config.writers, writers);
    config.file_limit = (args.file_limit > 0).then(|| ByteSize::mib(args.file_limit));
    config.spelling = if args.compact { Spelling::Compact } else { Spelling::Base64 };
    wrong.set(&mut config.envelope.compression, envelope::compression(&args.compression));
    config.existing = match (args.remove_files || args.force, &args.resume.go_on) {
        (true, _) => ExistingFiles::Replace,
        (false, Some(_)) => ExistingFiles::Continue,
        (false, None) => ExistingFiles::Refuse,
    };
    wrong.set(&mut config.file_prefix, args.output_file_prefix.clone().map(file_prefix).transpose());
    config.checkpoint =
        if args.resume.no_resume { Checkpoint::Off } else { Checkpoint::Every(args.resume.state_interval) };
    config.state_name = args.resume.state_name().cloned();
    config.state_directory = args.resume.state_dir.clone();
    selection::select_modified(&mut config, &args.records, &target(args), &mut wrong);
    config.socket_timeout = longest_silence(args.socket_timeout, args.total_timeout);
    config.total_timeout = Some(args.total_timeout).filter(|longest| !longest.is_zero());
    config.page_records = NonZeroU64::new(args.scan_page_size);
    config.retry = ScanRetry { max_retries: args.max_retries, first_pause: args.sleep_between_retries };
    config.throttle_pause = args.throttle_pause;
    config.limits = limits(&args.rates);
    wrong.or(config)
}

/// Returns how long a socket may stay silent, where 0 stands for the time that all may take. If that is 0 too, it stays 0, by
/// which sockets wait ten minutes.
fn longest_silence(socket: Duration, total: Duration) -> Duration {
    if socket.is_zero() { total } else { socket }
}

fn shard(text: &str) -> Result<Shard, Failure> {
    text.parse().map_err(|error: asbackup::ShardError| Failure::usage(error.to_string(), "change --shard"))
}

fn file_prefix(text: String) -> Result<FilePrefix, Failure> {
    FilePrefix::new(text).map_err(|error| Failure::usage(error.to_string(), "change --output-file-prefix"))
}

/// Returns what an estimate reads.
pub(crate) fn sampling(args: &Backup) -> Sampling {
    let mut sampling = Sampling::default();
    sampling.samples = args.sample.estimate_samples;
    sampling
}

/// Returns what a restore is to do, but for its encryption. `cache` is where states lie that can't lie beside their data.
pub(crate) fn restore(args: &Restore, cache: Option<PathBuf>) -> Result<RestoreConfig, Failure> {
    let mut wrong = Failures::default();
    wrong.check(places::check_directories(args));
    let mut config = RestoreConfig::new();
    config.rename = args.namespace.clone().map(|names| Rename { from: names.source, to: names.target });
    wrong.set(&mut config.readers, parallelism(files_at_once(args)));
    wrong.set(&mut config.shard, args.shard.as_deref().map(shard).transpose());
    config.left_out = left_out(&args.selection.left_out);
    wrong.set(&mut config.sets, names(&args.selection.set_list, "change --set-list"));
    wrong.set(&mut config.bins, names(&args.selection.bin_list, "change --bin-list"));
    config.extra_ttl = Duration::from_secs(u64::from(args.rules.extra_ttl));
    config.metadata =
        if args.metadata.apply_metadata_last { MetadataOrder::Last } else { MetadataOrder::First };
    config.index_conflict = match args.metadata.index_conflict {
        IndexConflict::Keep => asbackup::IndexConflict::Keep,
        IndexConflict::Replace => asbackup::IndexConflict::Replace,
        IndexConflict::Fail => asbackup::IndexConflict::Fail,
    };
    config.writes = writes(args);
    config.record_errors =
        if args.rules.ignore_record_error { RecordErrors::Ignore } else { RecordErrors::Stop };
    config.dead_letter.clone_from(&args.rules.dead_letter);
    config.rules = rules(args);
    config.socket_timeout = longest_silence(args.waits.socket_timeout, args.waits.total_timeout);
    config.total_timeout = args.waits.total_timeout;
    config.retry = WriteRetry {
        max_retries: args.waits.retry_max_attempts,
        first_pause: args.waits.retry_scale_factor.unwrap_or(args.waits.retry_base_interval),
        multiplier: args.waits.retry_multiplier,
    };
    config.limits = limits(&args.rates);
    (config.manifest, config.extra_files) = set_rules(args);
    config.verification = if args.verify_first { Verification::First } else { Verification::WhileReading };
    config.effect = if args.dry_run { Effect::Count } else { Effect::Write };
    config.state = state(&args.state, cache);
    config.expected_compression = envelope::expected_compression(args.compress);
    wrong.or(config)
}

fn state(args: &State, cache: Option<PathBuf>) -> StateRule {
    if args.no_resume {
        return StateRule::Off;
    }
    let mut state = StateConfig::new();
    state.period = args.state_interval;
    state.place = match &args.state_dir {
        Some(directory) => StatePlace::Directory(directory.clone()),
        None => StatePlace::Beside { otherwise: cache },
    };
    if let Some(name) = &args.go_on {
        state.start = Start::Continue;
        state.name = name.clone().unwrap_or(state.name);
    }
    StateRule::Kept(state)
}

/// Returns what a validation is to do, but for its encryption.
pub(crate) fn validate(args: &Restore) -> Result<ValidateConfig, Failure> {
    places::check_directories(args)?;
    let mut config = ValidateConfig::new();
    config.readers = parallelism(files_at_once(args))?;
    (config.manifest, config.extra_files) = set_rules(args);
    config.expected_compression = envelope::expected_compression(args.compress);
    Ok(config)
}

/// Returns how many files are read at once.
fn files_at_once(args: &Restore) -> usize {
    let cpus = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    args.parallel.map_or_else(cpus, usize::from).min(Parallelism::MAX.count())
}

fn parallelism(count: usize) -> Result<Parallelism, Failure> {
    Parallelism::new(count).map_err(|error| Failure::usage(error.to_string(), "change --parallel"))
}

fn limits(args: &Rates) -> Limits {
    let mut limits = Limits::default();
    limits.records_per_second = NonZeroU32::new(args.records_per_second);
    limits.bandwidth = (args.bandwidth > 0).then(|| ByteSize::mib(args.bandwidth));
    limits
}

fn left_out(args: &LeftOut) -> BTreeSet<EntryClass> {
    let classes = [
        (args.no_records, EntryClass::Records),
        (args.no_indexes, EntryClass::Indexes),
        (args.no_udfs, EntryClass::UdfModules),
    ];
    classes.into_iter().filter_map(|(out, class)| out.then_some(class)).collect()
}

fn names(list: &[String], hint: &'static str) -> Result<Option<Names>, Failure> {
    if list.is_empty() {
        return Ok(None);
    }
    Names::new(list.iter().map(String::as_str))
        .map(Some)
        .map_err(|error| Failure::usage(error.to_string(), hint))
}

fn writes(args: &Restore) -> Writes {
    let in_flight = args.max_async_batches;
    if args.disable_batch_writes {
        Writes::Single { in_flight }
    } else {
        Writes::Batches(BatchLimits { rows: args.batch_size, in_flight })
    }
}

/// Returns what is asked of the backup itself.
fn set_rules(args: &Restore) -> (ManifestRule, ExtraFiles) {
    (
        if args.require_manifest { ManifestRule::Required } else { ManifestRule::Optional },
        if args.allow_extra { ExtraFiles::LeaveOut } else { ExtraFiles::Refuse },
    )
}

fn rules(args: &Restore) -> WriteRules {
    let exists = match (args.rules.unique, args.rules.replace) {
        (true, _) => ExistsRule::CreateOnly,
        (false, true) => ExistsRule::Replace,
        (false, false) => ExistsRule::Update,
    };
    let generation = if args.rules.no_generation { GenerationRule::Ignore } else { GenerationRule::Newer };
    WriteRules { exists, generation }
}

#[cfg(test)]
mod tests {
    use asbackup::{ErrorKind, ExpectedCompression, Zstd};
    use clap::Parser;

    use super::*;
    use crate::args::{Asbackup, Asrestore};

    fn backup_config(flags: &str) -> BackupConfig {
        let line = format!("asbackup -n test -d out{flags}");
        backup(&Asbackup::try_parse_from(line.split(' ')).unwrap().backup).unwrap()
    }

    fn restore_config(flags: &str) -> RestoreConfig {
        let line = format!("asrestore -d in -w 1{flags}");
        restore(&Asrestore::try_parse_from(line.split(' ')).unwrap().restore, None).unwrap()
    }

    #[test]
    fn defaults_are_those_of_the_engine() {
        assert_eq!(backup_config(""), BackupConfig::new("test"));
        assert_eq!(restore_config(""), RestoreConfig::new());
    }

    /// Checks that a flag changes the configuration as expected, and nothing else.
    #[track_caller]
    fn check_backup(flags: &str, change: impl FnOnce(&mut BackupConfig)) {
        let mut expected = BackupConfig::new("test");
        change(&mut expected);
        assert_eq!(backup_config(flags), expected, "{flags}");
    }

    #[test]
    fn each_backup_flag_has_its_effect() {
        let zstd = |level| Zstd::level(level).ok();
        check_backup(" -z zstd", |config| config.envelope.compression = zstd(3));
        check_backup(" --compress ZSTD --compression-level 19", |config| {
            config.envelope.compression = zstd(19);
        });
        check_backup(" --compress ZSTD --compression-level -1", |config| {
            config.envelope.compression = zstd(3);
        });
        check_backup(" --parallel 8", |config| {
            config.readers = Parallelism::new(8).unwrap();
            config.writers = Parallelism::new(8).unwrap();
        });
        check_backup(" --parallel 8 --parallel-write 2", |config| {
            config.readers = Parallelism::new(8).unwrap();
            config.writers = Parallelism::new(2).unwrap();
        });
        check_backup(" --file-limit 3", |config| config.file_limit = Some(ByteSize(3 << 20)));
        check_backup(" --file-limit 0", |config| config.file_limit = None);
        check_backup(" --compact", |config| config.spelling = Spelling::Compact);
        check_backup(" --no-records", |config| config.left_out = [EntryClass::Records].into());
        check_backup(" --no-indexes", |config| config.left_out = [EntryClass::Indexes].into());
        check_backup(" --no-udfs", |config| config.left_out = [EntryClass::UdfModules].into());
        check_backup(" --state-interval 50", |config| {
            config.checkpoint = Checkpoint::Every(Duration::from_millis(50));
        });
        check_backup(" --remove-files", |config| config.existing = ExistingFiles::Replace);
        check_backup(" --shard 2/3", |config| config.shard = Shard::new(2, 3).ok());
        check_backup(" --total-timeout 7", |config| config.total_timeout = Some(Duration::from_millis(7)));
        check_backup(" --scan-page-size 9", |config| config.page_records = NonZeroU64::new(9));
        check_backup(" --output-file-prefix a-", |config| config.file_prefix = FilePrefix::new("a-").ok());
        check_backup(" --socket-timeout 7", |config| config.socket_timeout = Duration::from_millis(7));
        check_backup(" --max-retries 3", |config| config.retry.max_retries = 3);
        check_backup(" --sleep-between-retries 0", |config| config.retry.first_pause = Duration::ZERO);
        check_backup(" --throttle-pause 5", |config| config.throttle_pause = Duration::from_millis(5));
        check_backup(" --records-per-second 7", |config| {
            config.limits.records_per_second = NonZeroU32::new(7);
        });
        for flag in ["--bandwidth", "--nice", "-N"] {
            check_backup(&format!(" {flag} 7"), |config| config.limits.bandwidth = Some(ByteSize::mib(7)));
        }
    }

    #[test]
    fn estimate_takes_as_many_samples_as_asked_for() {
        for (flags, samples) in [("-e", 10_000), ("--estimate --estimate-samples 7", 7)] {
            let line = format!("asbackup -n test {flags}");
            let args = Asbackup::try_parse_from(line.split(' ')).unwrap().backup;
            assert_eq!((args.sample.estimate, sampling(&args).samples.get()), (true, samples));
            assert_eq!(backup(&args).unwrap(), BackupConfig::new("test"));
        }
    }

    #[track_caller]
    fn check_restore(flags: &str, change: impl FnOnce(&mut RestoreConfig)) {
        let mut expected = RestoreConfig::new();
        change(&mut expected);
        assert_eq!(restore_config(flags), expected, "{flags}");
    }

    #[test]
    fn each_restore_flag_has_its_effect() {
        check_restore(" -z zstd", |config| config.expected_compression = Some(ExpectedCompression::Zstd));
        check_restore(" --compress NONE", |config| {
            config.expected_compression = Some(ExpectedCompression::None);
        });
        let rename = |from: &str, to: &str| Some(Rename { from: from.to_owned(), to: to.to_owned() });
        check_restore(" --shard 2/3", |config| config.shard = Shard::new(2, 3).ok());
        check_restore(" --namespace a,b", |config| config.rename = rename("a", "b"));
        check_restore(" --namespace a", |config| config.rename = rename("a", "a"));
        let count = |count| NonZeroUsize::new(count).unwrap();
        let batches =
            |rows, in_flight| Writes::Batches(BatchLimits { rows: count(rows), in_flight: count(in_flight) });
        check_restore(" --batch-size 5", |config| config.writes = batches(5, 32));
        check_restore(" --max-async-batches 6", |config| config.writes = batches(128, 6));
        check_restore(" --disable-batch-writes", |config| {
            config.writes = Writes::Single { in_flight: count(32) };
        });
        let names = |names: &[&str]| Names::new(names.iter().copied()).ok();
        check_restore(" --set-list a,b --set c", |config| config.sets = names(&["a", "b", "c"]));
        check_restore(" --bin-list a", |config| config.bins = names(&["a"]));
        check_restore(" --no-records", |config| config.left_out = [EntryClass::Records].into());
        check_restore(" --no-indexes", |config| config.left_out = [EntryClass::Indexes].into());
        check_restore(" --no-udfs", |config| config.left_out = [EntryClass::UdfModules].into());
        check_restore(" --extra-ttl 60", |config| config.extra_ttl = Duration::from_secs(60));
        check_restore(" --ignore-record-error", |config| config.record_errors = RecordErrors::Ignore);
        check_restore(" --dead-letter x.asb", |config| config.dead_letter = Some("x.asb".into()));
        check_restore(" --apply-metadata-last", |config| config.metadata = MetadataOrder::Last);
        for (word, conflict) in [
            ("keep", asbackup::IndexConflict::Keep),
            ("replace", asbackup::IndexConflict::Replace),
            ("fail", asbackup::IndexConflict::Fail),
        ] {
            check_restore(&format!(" --index-conflict {word}"), |config| config.index_conflict = conflict);
        }
        check_restore(" --no-generation", |config| config.rules.generation = GenerationRule::Ignore);
        check_restore(" --unique", |config| config.rules.exists = ExistsRule::CreateOnly);
        check_restore(" --replace", |config| config.rules.exists = ExistsRule::Replace);
        check_restore(" --socket-timeout 7", |config| config.socket_timeout = Duration::from_millis(7));
        check_restore(" --total-timeout 8", |config| config.total_timeout = Duration::from_millis(8));
        check_restore(" --retry-base-interval 9", |config| {
            config.retry.first_pause = Duration::from_millis(9);
        });
        check_restore(" --retry-multiplier 1.5", |config| config.retry.multiplier = 1.5);
        check_restore(" --retry-max-attempts 0", |config| config.retry.max_retries = 0);
        check_restore(" -L 7", |config| config.limits.records_per_second = NonZeroU32::new(7));
        for flag in ["--bandwidth", "--nice", "-N"] {
            check_restore(&format!(" {flag} 7"), |config| config.limits.bandwidth = Some(ByteSize::mib(7)));
        }
        check_restore(" --require-manifest", |config| config.manifest = ManifestRule::Required);
        let kept = |change: fn(&mut StateConfig)| {
            let mut state = StateConfig::new();
            change(&mut state);
            StateRule::Kept(state)
        };
        check_restore(" --verify-first", |config| config.verification = Verification::First);
        check_restore(" --dry-run", |config| config.effect = Effect::Count);
        check_restore(" --no-resume", |config| config.state = StateRule::Off);
        check_restore(" --state-dir there", |config| {
            config.state = kept(|state| state.place = StatePlace::Directory("there".into()));
        });
        check_restore(" --state-interval 50", |config| {
            config.state = kept(|state| state.period = Duration::from_millis(50));
        });
        check_restore(" --continue", |config| config.state = kept(|state| state.start = Start::Continue));
        check_restore(" --continue mine.json", |config| {
            config.state = kept(|state| {
                (state.start, state.name) = (Start::Continue, "mine.json".to_owned());
            });
        });
        check_restore(" --allow-extra", |config| config.extra_files = ExtraFiles::LeaveOut);
    }

    #[test]
    fn timeouts_of_0_leave_the_end_to_the_other_one() {
        check_backup(" --socket-timeout 0 --total-timeout 7", |config| {
            config.socket_timeout = Duration::from_millis(7);
            config.total_timeout = Some(Duration::from_millis(7));
        });
        check_backup(" --socket-timeout 0", |config| config.socket_timeout = Duration::ZERO);
        check_restore(" --socket-timeout 0 --total-timeout 7", |config| {
            config.socket_timeout = Duration::from_millis(7);
            config.total_timeout = Duration::from_millis(7);
        });
        check_restore(" --total-timeout 0", |config| config.total_timeout = Duration::ZERO);
    }

    #[test]
    fn pause_of_the_c_tool_is_in_microseconds() {
        check_restore(" --retry-scale-factor 1500", |config| {
            config.retry.first_pause = Duration::from_micros(1500);
        });
    }

    #[test]
    fn a_name_that_is_listed_twice_is_bad_usage() {
        for (flags, flag) in [("-s a,b,a", "--set-list"), ("-B a,a", "--bin-list"), ("-s a,,b", "--set-list")]
        {
            let line = format!("asrestore -d in {flags}");
            let args = Asrestore::try_parse_from(line.split(' ')).unwrap().restore;
            let failure = restore(&args, None).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Config, "{flags}");
            assert!(failure.lines().last().unwrap().contains(flag), "{flags}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let line = "asbackup -n test -d out -X 4096 -B a,a -q a/b --compression-level 3 --shard 3/2";
        let failure = backup(&Asbackup::try_parse_from(line.split(' ')).unwrap().backup).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Config);
        let lines = failure.lines();
        assert_eq!((lines[0].as_str(), lines.len()), ("5 arguments can't be used", 6), "{lines:?}");
        for flag in ["--partition-list", "--bin-list", "--output-file-prefix", "--compress", "--shard"] {
            assert!(lines.iter().any(|line| line.contains(flag)), "{flag}: {lines:?}");
        }
        let line = "asrestore --directory-list a,a -s b,b -B c,c";
        let failure =
            restore(&Asrestore::try_parse_from(line.split(' ')).unwrap().restore, None).unwrap_err();
        assert_eq!(failure.lines().len(), 4, "{failure:?}");
    }

    #[test]
    fn files_are_read_by_all_cpus_unless_told_otherwise() {
        let args = |line: &str| Asrestore::try_parse_from(line.split(' ')).unwrap().restore;
        let cpus = thread::available_parallelism().unwrap().get();
        assert_eq!(validate(&args("asrestore -d in")).unwrap().readers.count(), cpus);
        assert_eq!(validate(&args("asrestore -d in -w 5")).unwrap().readers.count(), 5);
    }

    #[test]
    fn levels_without_compression_or_beyond_the_range_are_bad_usage() {
        for (flags, words) in [
            ("--compression-level 3", "--compression-level is given, but nothing is compressed"),
            ("-z zstd --compression-level 23", "compression level is 23, but must be from 1 to 22"),
            ("-z zstd --compression-level -2", "compression level is -2"),
        ] {
            let line = format!("asbackup -n test -d out {flags}");
            let args = Asbackup::try_parse_from(line.split(' ')).unwrap().backup;
            let failure = backup(&args).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Config, "{flags}");
            assert!(failure.lines().join("\n").contains(words), "{flags}: {:?}", failure.lines());
        }
    }

    #[test]
    fn validation_asks_the_same_of_a_backup_as_a_restore() {
        let line = "asrestore -d in --validate --require-manifest --allow-extra -z zstd";
        let config = validate(&Asrestore::try_parse_from(line.split(' ')).unwrap().restore).unwrap();
        assert_eq!((config.manifest, config.extra_files), (ManifestRule::Required, ExtraFiles::LeaveOut));
        assert_eq!(config.expected_compression, Some(ExpectedCompression::Zstd));
    }

    /// Returns the arguments of a backup with these flags.
    fn args(flags: &str) -> Asbackup {
        Asbackup::try_parse_from(format!("asbackup -n test -d out {flags}").split_whitespace()).unwrap()
    }

    fn cluster(args: &Asbackup, streams: usize) -> Result<ClusterConfig, Failure> {
        let values = ValueSource::new(&args.secret_agent)?;
        cluster_of(&args.connection, &values, streams)
    }

    fn cluster_of(args: &Connection, values: &ValueSource, streams: usize) -> Result<ClusterConfig, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(super::cluster(args, values, streams))
    }

    #[test]
    fn seeds_take_the_port_that_they_lack() {
        let config = cluster(&args("-h a,b:1,[::1]:2,c:name:3 -p 7"), 8).unwrap();
        let seeds: Vec<_> = config.seeds.iter().map(|seed| (seed.host.as_str(), seed.port)).collect();
        assert_eq!(seeds, [("a", 7), ("b", 1), ("::1", 2), ("c", 3)]);
        assert_eq!(config.seeds[3].tls_name.as_deref(), Some("name"));
        for wrong in ["a,,b", "a:0", "a:tls-name"] {
            let failure = cluster(&args(&format!("-h {wrong}")), 1).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Config, "{wrong}");
            assert!(failure.lines().last().unwrap().contains("--host"), "{wrong}");
        }
    }

    #[test]
    fn info_flags_have_their_effect_on_both_tools() {
        let flags =
            "--info-timeout 7 --info-max-retries 8 --info-retry-interval 9 --info-retry-multiplier 1.5";
        let restore = Asrestore::try_parse_from(format!("asrestore -d in {flags}").split(' ')).unwrap();
        let backup = args(flags);
        let values = ValueSource::new(&backup.secret_agent).unwrap();
        for connection in [backup.connection, restore.connection] {
            let config = cluster_of(&connection, &values, 1).unwrap();
            assert_eq!(config.info_timeout, Duration::from_millis(7));
            let first_pause = Duration::from_millis(9);
            assert_eq!(config.info_retry, InfoRetry { max_retries: 8, first_pause, multiplier: 1.5 });
        }
    }

    #[test]
    fn login_and_idle_timeout_reach_the_cluster() {
        let config = cluster(&args("--client-login-timeout 7 --client-idle-timeout 0"), 1).unwrap();
        assert_eq!((config.login_timeout, config.idle_timeout), (Duration::from_millis(7), Duration::ZERO));
        let config = cluster(&args(""), 1).unwrap();
        assert_eq!(config.idle_timeout, Duration::from_secs(50));
        assert!(config.auth.is_none() && config.tls.is_none());
    }

    #[test]
    fn every_stream_may_have_a_connection() {
        let args = args("");
        for streams in [1, 1024] {
            assert!(cluster(&args, streams).unwrap().connections_per_node > streams);
        }
    }
}
