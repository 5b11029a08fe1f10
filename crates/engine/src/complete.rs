//! The end of a backup in shares: when all of them are there, their manifests become one.

use std::{sync::Arc, time::SystemTime};

use asbackup_codec::envelope::AesKey;
use asbackup_storage::Local;

use crate::{
    Error, ErrorKind, blocking, checkpoint,
    config::{CompleteConfig, ExtraFiles, ManifestRule, Shard},
    event::Phase,
    job::{JobContext, Outcome},
    key,
    manifest::{
        DocumentError, Hashing, Manifest, SetRules, Unclosed, close, read, refuse, survey, survey_against,
    },
    naming::{self, ShareFile},
    report::{CompleteReport, Span},
    source::open::{missing_key_by, unused_key},
};

/// Runs a completion to its end and says what it did.
pub(crate) async fn run(
    config: CompleteConfig,
    target: Local,
    started: SystemTime,
    job: JobContext,
) -> Outcome<CompleteReport> {
    let (done, result) = match complete(config, target.clone(), &job).await {
        Ok(ended) => ended,
        Err(error) => (Done::default(), Err(error)),
    };
    let span = Span::new(started, job.counters.elapsed());
    Outcome { report: Some(Arc::new(CompleteReport::new(span, &target, &done))), result }
}

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The manifest that is in place.
    pub(crate) manifest: Option<Manifest>,
    pub(crate) warnings: Vec<String>,
}

async fn complete(
    config: CompleteConfig,
    target: Local,
    job: &JobContext,
) -> Result<(Done, Result<(), Error>), Error> {
    let key = job.or_cancelled(key::fetch(config.encryption.as_ref())).await??;
    job.begin(Phase::Publishing);
    let job = job.clone();
    blocking(move || {
        let mut done = Done::default();
        let result = Directory { target: &target, key: key.as_ref(), job: &job }.complete(&mut done);
        (done, result)
    })
    .await
}

/// Where the shares lie.
struct Directory<'a> {
    target: &'a Local,
    key: Option<&'a AesKey>,
    job: &'a JobContext,
}

impl Directory<'_> {
    fn complete(&self, done: &mut Done) -> Result<(), Error> {
        if !self.target.is_directory() {
            let message = "only a directory can hold shares of a backup";
            return Err(Error::of(ErrorKind::Config, message).hint("name one with --directory").build());
        }
        if !self.target.path().is_dir() {
            return Err(self.no_shares());
        }
        let _hold = checkpoint::lock(self.target)?;
        let names: Vec<String> = self.target.list()?.into_iter().map(|file| file.name).collect();
        let manifest = match names.iter().any(|name| name == naming::MANIFEST) {
            true => self.closed(&names, done)?,
            false => self.close(&names)?,
        };
        let removed = self.clear_up(&manifest, &names);
        done.manifest = Some(manifest);
        removed
    }

    /// The manifest is in place already. If it was made of shares, what is left of them goes.
    fn closed(&self, names: &[String], done: &mut Done) -> Result<Manifest, Error> {
        let set = survey(self.target, &self.rules())?;
        refuse(&set.findings)?;
        let warning = match names.iter().any(|name| naming::is_of_share(name)) {
            true => "the backup is complete already: only what was left of its shares is removed",
            false => "the backup is complete already: nothing was done",
        };
        self.job.warn(warning);
        done.warnings.push(warning.to_owned());
        let lost = || Error::of(ErrorKind::Internal, "the manifest went away while it was read").build();
        set.manifest.map(|manifest| *manifest).ok_or_else(lost)
    }

    /// Makes one manifest of all, and puts it into its place.
    fn close(&self, names: &[String]) -> Result<Manifest, Error> {
        let shares = self.shares(names)?;
        let shares = shares.into_iter().map(|shard| Ok((shard, self.read(shard)?)));
        let shares = shares.collect::<Result<Vec<_>, Error>>()?;
        check_same(&shares)?;
        let manifest = close(&shares).map_err(|error| {
            Error::of(ErrorKind::Integrity, "the shares don't make a whole backup").source(error).build()
        })?;
        refuse(&survey_against(self.target, &manifest, &self.rules())?.findings)?;
        if self.job.token.is_cancelled() {
            return Err(Error::cancelled());
        }
        manifest.write(self.target, naming::MANIFEST, &Hashing::of(self.key))?;
        Ok(manifest)
    }

    /// Returns the shares if all of them are complete.
    fn shares(&self, names: &[String]) -> Result<Vec<Shard>, Error> {
        let mut found = Unclosed::find(names.iter().map(String::as_str));
        let path = self.target.path().display();
        let error = |message| Error::of(ErrorKind::Config, message);
        match found.pop() {
            None => Err(self.no_shares()),
            Some(other) if !found.is_empty() => {
                let counts: Vec<_> = found.iter().chain([&other]).map(|shares| shares.of.to_string()).collect();
                let message = format!("{path} holds shares of several backups: in {} shares", counts.join(" and in "));
                Err(error(message).hint("give each backup a directory of its own").build())
            }
            Some(shares) if shares.is_ready() => Ok(shares.complete),
            Some(shares) => Err(error(format!("the backup in {path} isn't complete: {shares}"))
                .hint("run asbackup with --shard I/N for each that is missing, and --continue for each that was begun")
                .build()),
        }
    }

    fn read(&self, shard: Shard) -> Result<Manifest, Error> {
        let name = ShareFile::Manifest.name(shard);
        let decoded = read(self.target, &name)?;
        decoded.and_then(|bytes| Manifest::decode_of(Some(shard), &bytes, self.key)).map_err(|error| {
            match error {
                DocumentError::KeyMissing => missing_key_by(&name),
                DocumentError::KeyUnused => unused_key(&name),
                error => Error::of(
                    ErrorKind::Integrity,
                    format!("the manifest of share {shard} can't be relied on"),
                )
                .place(|place| place.file = Some(name.clone()))
                .hint("back that share up anew into an empty directory, with all others")
                .source(error)
                .build(),
            }
        })
    }

    fn rules(&self) -> SetRules {
        let (manifest, extra) = (ManifestRule::Required, ExtraFiles::Refuse);
        SetRules { manifest, extra, key: self.key.cloned(), compression: None }
    }

    /// Removes what lies beside the data of the shares that a manifest was made of: nobody needs it from now on.
    fn clear_up(&self, manifest: &Manifest, names: &[String]) -> Result<(), Error> {
        let Some(shares) = manifest.all_shards() else { return Ok(()) };
        // The name of the manifest must be durable before anything that it takes the place of goes.
        self.target.sync()?;
        let of_set = |name: &str| {
            let of = ShareFile::of(name).filter(|(kind, _)| kind.is_of_backup()).map(|(_, shard)| shard.of());
            of == Some(shares.of) || of.is_none() && naming::is_unfinished(name)
        };
        names.iter().filter(|name| of_set(name)).try_for_each(|name| self.target.remove(name))?;
        Ok(self.target.sync()?)
    }

    fn no_shares(&self) -> Error {
        let message = format!("{} holds no shares of a backup", self.target.path().display());
        Error::of(ErrorKind::Config, message).hint("name another directory with --directory").build()
    }
}

/// Checks that all shares are of the same backup.
fn check_same(shares: &[(Shard, Manifest)]) -> Result<(), Error> {
    let Some(((first, manifest), others)) = shares.split_first() else { return Ok(()) };
    for (other, theirs) in others {
        if let Some(what) = manifest.difference(theirs) {
            let message =
                format!("share {other} isn't of the same backup as share {first}: they differ in {what}");
            return Err(Error::of(ErrorKind::Config, message)
                .place(|place| place.file = Some(ShareFile::Manifest.name(*other)))
                .hint("back all shares up anew into an empty directory, with the same options")
                .build());
        }
    }
    Ok(())
}
