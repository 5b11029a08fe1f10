//! What flags a tool has, and by which key and variable each of them can be given. All of it comes from clap: a new flag is
//! a key and a variable at once.

use clap::{Arg, ArgAction, Command};

/// What the names of all variables begin with, for both tools: a file or a shell may serve both.
pub(super) const PREFIX: &str = "ASBACKUP_";

/// The flag that names the file. It has a variable and no key.
pub(super) const CONFIG: &str = "config";

/// A flag.
#[derive(Debug, Clone)]
pub(super) struct Flag {
    /// Its name in clap.
    pub(super) id: String,
    /// Its long name, without dashes.
    pub(super) long: String,
    /// Its key in a file, as a path with dots.
    pub(super) key: String,
    pub(super) takes: Takes,
    /// What separates values of a list.
    pub(super) delimiter: Option<char>,
    /// What it is if nothing is given.
    pub(super) default: Vec<String>,
    pub(super) secrecy: Secrecy,
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: it is given or not.
    Nothing,
    /// One value.
    Value,
    /// One value or none.
    ValueOrNothing,
    /// Any number of values.
    List,
}

/// Whether a value may be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    Open,
    Secret,
}

impl Flag {
    /// Returns the variable that gives the flag.
    pub(super) fn variable(&self) -> String {
        variable(&self.long)
    }

    /// Returns a value as it may be printed. References to where a secret lies are no secrets.
    pub(super) fn printable<'a>(&self, value: &'a str) -> &'a str {
        let is_reference = REFERENCES.iter().any(|prefix| value.starts_with(prefix));
        match self.secrecy {
            Secrecy::Secret if !is_reference => MASK,
            // A private key may stand here in place of its file.
            Secrecy::Open if value.starts_with("b64:") => MASK,
            _ => value,
        }
    }

    /// Returns what a value of the flag looks like, for messages.
    pub(super) fn expected(&self) -> &'static str {
        match self.takes {
            Takes::Nothing => "true or false",
            Takes::Value => "a text or number",
            Takes::ValueOrNothing => "a text, a number, true or false",
            Takes::List => "a list of texts or numbers",
        }
    }
}

/// What is printed instead of a secret.
pub(super) const MASK: &str = "***";

/// What begins a value that only says where a secret lies. Source: docs/cli.md, "Secrets".
const REFERENCES: [&str; 4] = ["env:", "env-b64:", "file:", "secrets:"];

/// Returns the variable of a flag.
pub(super) fn variable(long: &str) -> String {
    format!("{PREFIX}{}", long.to_uppercase().replace('-', "_"))
}

/// Returns the flags of a tool that can be configured, in the order of its help.
pub(super) fn flags(command: &Command) -> Vec<Flag> {
    command.get_arguments().filter_map(|arg| flag(arg, own_section(command))).collect()
}

/// Returns the section of a tool's own flags.
fn own_section(command: &Command) -> &'static str {
    if command.get_name() == "asrestore" { "restore" } else { "backup" }
}

fn flag(arg: &Arg, own_section: &str) -> Option<Flag> {
    let long = arg.get_long().filter(|long| *long != CONFIG)?;
    let takes = match arg.get_action() {
        ArgAction::SetTrue => Takes::Nothing,
        ArgAction::Append => Takes::List,
        ArgAction::Set if arg.get_value_delimiter().is_some() => Takes::List,
        ArgAction::Set if arg.get_num_args().is_some_and(|range| range.min_values() == 0) => {
            Takes::ValueOrNothing
        }
        ArgAction::Set => Takes::Value,
        // Help and version.
        _ => return None,
    };
    Some(Flag {
        id: arg.get_id().to_string(),
        long: long.to_owned(),
        key: key(long, arg.get_help_heading().unwrap_or_default(), own_section),
        takes,
        delimiter: arg.get_value_delimiter(),
        default: arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect(),
        secrecy: if is_secret(long) { Secrecy::Secret } else { Secrecy::Open },
    })
}

/// Returns the key of a flag: that of absctl where it has one.
fn key(long: &str, heading: &str, own_section: &str) -> String {
    if let Some((_, key)) = KEYS.iter().find(|(name, _)| *name == long) {
        return (*key).to_owned();
    }
    for (prefix, section) in SECTIONS {
        if let Some(rest) = long.strip_prefix(prefix) {
            return format!("{section}.{rest}");
        }
    }
    let section = match heading {
        // absctl has them in the section of each command, though they are about the cluster.
        _ if long.starts_with("info-") => own_section,
        "Connection" => "cluster",
        "Output" => "app",
        _ => own_section,
    };
    format!("{section}.{long}")
}

/// Flags whose key follows from no rule. Source of all keys: docs/cli.md, "Configuration file".
const KEYS: [(&str, &str); 11] = [
    ("host", SEEDS),
    ("user", "cluster.user"),
    ("password", "cluster.password"),
    ("auth", "cluster.auth"),
    ("client-timeout", "cluster.client-timeout"),
    ("client-idle-timeout", "cluster.client-idle-timeout"),
    ("client-login-timeout", "cluster.client-login-timeout"),
    ("compress", "compression.compress"),
    ("compression-level", "compression.level"),
    ("encrypt", "encryption.encrypt"),
    ("local-buffer-size", "local.disk.buffer-size"),
];

/// The key of `--host`, whose items may be sections.
pub(super) const SEEDS: &str = "cluster.seeds";

/// Flags whose beginning says in which section they are, where they go without it.
const SECTIONS: [(&str, &str); 6] = [
    ("tls-", "cluster.tls"),
    ("encryption-", "encryption"),
    ("sa-", "secret-agent"),
    ("s3-", "aws.s3"),
    ("gcp-", "gcp.storage"),
    ("azure-", "azure.blob"),
];

/// A URL of Azure may carry a token.
fn is_secret(long: &str) -> bool {
    const SECRETS: [&str; 5] = [
        "s3-access-key-id",
        "s3-secret-access-key",
        "azure-account-key",
        "azure-client-secret",
        "azure-endpoint",
    ];
    long.ends_with("password") || SECRETS.contains(&long)
}

/// Returns the one of `names` that was probably meant.
pub(super) fn suggestion<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Returns how many letters must be changed, added or removed to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (line, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, to) in b.chars().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_absctl() {
        for (long, heading, expected) in [
            ("host", "Connection", "cluster.seeds"),
            ("port", "Connection", "cluster.port"),
            ("info-timeout", "Connection", "backup.info-timeout"),
            ("client-login-timeout", "Login", "cluster.client-login-timeout"),
            ("tls-cafile", "TLS", "cluster.tls.cafile"),
            ("log-level", "Output", "app.log-level"),
            ("parallel", "Backup", "backup.parallel"),
            ("encryption-key-file", "Backup", "encryption.key-file"),
            ("sa-is-base64", "Secret agent", "secret-agent.is-base64"),
            ("s3-region", "", "aws.s3.region"),
            ("gcp-key-path", "", "gcp.storage.key-path"),
            ("azure-block-size", "", "azure.blob.block-size"),
        ] {
            assert_eq!(key(long, heading, "backup"), expected);
        }
    }

    #[test]
    fn no_two_flags_share_a_key() {
        for command in [super::super::backup_command(), super::super::restore_command()] {
            let mut keys: Vec<String> = flags(&command).into_iter().map(|flag| flag.key).collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), count, "{keys:?}");
        }
    }

    #[test]
    fn what_was_meant_is_near() {
        let names = ["parallel", "file-limit", "directory"];
        for (wrong, meant) in
            [("paralel", Some("parallel")), ("file_limit", Some("file-limit")), ("xyz", None)]
        {
            assert_eq!(suggestion(wrong, names.into_iter()), meant);
        }
    }

    #[test]
    fn references_to_secrets_are_printed_and_secrets_are_not() {
        let long = "password".to_owned();
        let (takes, secrecy) = (Takes::Value, Secrecy::Secret);
        let flag = Flag {
            id: long.clone(),
            key: long.clone(),
            long,
            takes,
            delimiter: None,
            default: Vec::new(),
            secrecy,
        };
        assert_eq!(flag.printable("file:/run/secret"), "file:/run/secret");
        assert_eq!(flag.printable("hunter2"), MASK);
        assert_eq!(flag.printable("b64:aHVudGVyMg=="), MASK);
        let open = Flag { secrecy: Secrecy::Open, ..flag };
        assert_eq!((open.printable("key.pem"), open.printable("b64:aHVudGVyMg==")), ("key.pem", MASK));
        assert!(is_secret("tls-keyfile-password") && !is_secret("tls-keyfile"));
    }
}
