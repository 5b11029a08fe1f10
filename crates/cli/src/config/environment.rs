//! The environment as a layer: `ASBACKUP_PARALLEL` is `--parallel`.

use std::ffi::OsString;

use super::{
    flags::{CONFIG, Flag, PREFIX, Takes, suggestion, variable},
    setting::{Finding, Given, Origin, Setting},
};

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The file that `ASBACKUP_CONFIG` names.
    pub(super) file: Option<String>,
    pub(super) settings: Vec<Setting>,
    pub(super) findings: Vec<Finding>,
}

/// Reads the variables that begin with the prefix. Those of the other tool's flags are left alone, since both may run in
/// one environment; all others are findings. An empty one counts as not set.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[Flag],
    foreign: &[Flag],
) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if is_of_kubernetes(name, &value.to_string_lossy()) {
            continue;
        }
        let origin = Origin::Variable(name.to_owned());
        let Ok(value) = value.into_string() else {
            environment.findings.push(Finding { origin, message: "isn't UTF-8".to_owned() });
            continue;
        };
        if name == variable(CONFIG) {
            environment.file = Some(value).filter(|path| !path.is_empty());
            continue;
        }
        match setting(name, &value, flags, foreign) {
            Ok(given) => environment.settings.extend(given.map(|(flag, given)| Setting {
                flag: flag.clone(),
                given,
                origin,
            })),
            Err(message) => environment.findings.push(Finding { origin, message }),
        }
    }
    environment
}

/// Returns whether a variable is one of those by which Kubernetes tells each container of a service `asbackup`. They have
/// the forms of the old links between Docker containers, and no tool of ours asked for them.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let Some(name) = name.strip_prefix(PREFIX) else { return false };
    let is_word = |word: &str| {
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        !word.is_empty() && word.bytes().all(is_letter)
    };
    match name {
        "SERVICE_HOST" | "SERVICE_PORT" => return true,
        "PORT" => return value.split_once("://").is_some_and(|(protocol, _)| is_protocol(protocol)),
        _ => {}
    }
    if let Some(port_name) = name.strip_prefix("SERVICE_PORT_") {
        return is_word(port_name);
    }
    let Some((port, rest)) = name.strip_prefix("PORT_").and_then(|rest| rest.split_once('_')) else {
        return false;
    };
    let (protocol, part) =
        rest.split_once('_').map_or((rest, None), |(protocol, part)| (protocol, Some(part)));
    let is_part = matches!(part, None | Some("PROTO" | "PORT" | "ADDR"));
    port.parse::<u16>().is_ok() && is_protocol(&protocol.to_lowercase()) && is_part
}

fn is_protocol(name: &str) -> bool {
    matches!(name, "tcp" | "udp" | "sctp")
}

fn setting<'a>(
    name: &str,
    value: &str,
    flags: &'a [Flag],
    foreign: &[Flag],
) -> Result<Option<(&'a Flag, Given)>, String> {
    let Some(flag) = flags.iter().find(|flag| flag.variable() == name) else {
        let is_foreign = foreign.iter().any(|flag| flag.variable() == name);
        return if is_foreign { Ok(None) } else { Err(unknown(name, flags.iter().chain(foreign))) };
    };
    if value.is_empty() {
        return Ok(None);
    }
    let given = match (flag.takes, value) {
        (Takes::Nothing | Takes::ValueOrNothing, "true") => Given::On,
        (Takes::Nothing | Takes::ValueOrNothing, "false") => Given::Off,
        (Takes::Nothing, _) => return Err("must be true or false".to_owned()),
        _ => Given::Values(vec![value.to_owned()]),
    };
    Ok(Some((flag, given)))
}

fn unknown<'a>(name: &str, flags: impl Iterator<Item = &'a Flag>) -> String {
    let names: Vec<String> = flags.map(Flag::variable).collect();
    match suggestion(name, names.iter().map(String::as_str)) {
        Some(meant) => format!("no flag has this variable; is {meant} meant?"),
        None => "no flag has this variable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{backup_command, flags::flags, restore_command};

    fn read_one(name: &str, value: &str) -> Environment {
        let variables = [(name.into(), value.into())];
        read(variables, &flags(&backup_command()), &flags(&restore_command()))
    }

    #[track_caller]
    fn check(name: &str, value: &str, expected: Option<Given>) {
        let environment = read_one(name, value);
        assert_eq!(environment.findings, []);
        assert_eq!(environment.settings.first().map(|setting| setting.given.clone()), expected);
    }

    #[test]
    fn variables_are_flags() {
        check("ASBACKUP_FILE_LIMIT", "7", Some(Given::Values(vec!["7".to_owned()])));
        check("ASBACKUP_COMPACT", "true", Some(Given::On));
        check("ASBACKUP_COMPACT", "false", Some(Given::Off));
        check("ASBACKUP_FILE_LIMIT", "", None);
        check("ASBACKUP_INPUT_FILE", "of-asrestore", None);
        check("HOME", "/", None);
        assert_eq!(read_one("ASBACKUP_CONFIG", "c.yaml").file.as_deref(), Some("c.yaml"));
    }

    #[test]
    fn service_of_kubernetes_with_this_name_is_no_setting() {
        for (name, value) in [
            ("ASBACKUP_SERVICE_HOST", "10.0.0.11"),
            ("ASBACKUP_SERVICE_PORT", "8080"),
            ("ASBACKUP_SERVICE_PORT_HTTP_API", "8080"),
            ("ASBACKUP_PORT", "tcp://10.0.0.11:8080"),
            ("ASBACKUP_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
            ("ASBACKUP_PORT_8080_TCP_PROTO", "tcp"),
            ("ASBACKUP_PORT_8080_TCP_PORT", "8080"),
            ("ASBACKUP_PORT_53_UDP_ADDR", "10.0.0.11"),
        ] {
            check(name, value, None);
        }
        check("ASBACKUP_PORT", "4000", Some(Given::Values(vec!["4000".to_owned()])));
        // A URL of another protocol is no port, which clap says.
        check("ASBACKUP_PORT", "http://x", Some(Given::Values(vec!["http://x".to_owned()])));
        for name in [
            "ASBACKUP_SERVICE",
            "ASBACKUP_SERVICE_HOSTS",
            "ASBACKUP_SERVICE_PORT_",
            "ASBACKUP_SERVICE_PORT_http",
            "ASBACKUP_PORTS",
            "ASBACKUP_PORT_TCP",
            "ASBACKUP_PORT_X_TCP",
            "ASBACKUP_PORT_8080_IPX",
            "ASBACKUP_PORT_8080_TCP_NAME",
        ] {
            assert_eq!(read_one(name, "1").findings.len(), 1, "{name}");
        }
    }

    #[test]
    fn what_isnt_understood_is_a_finding() {
        for (name, value, words) in [
            ("ASBACKUP_COMPACT", "yes", "ASBACKUP_COMPACT: must be true or false"),
            ("ASBACKUP_PARALEL", "1", "is ASBACKUP_PARALLEL meant?"),
            ("ASBACKUP_ZZZ", "1", "ASBACKUP_ZZZ: no flag has this variable"),
        ] {
            let findings = read_one(name, value).findings;
            assert!(findings[0].to_string().contains(words), "{}", findings[0]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn value_that_isnt_utf_8_is_a_finding() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(vec![0xff]);
        let read = read([("ASBACKUP_NAMESPACE".into(), value)], &flags(&backup_command()), &[]);
        assert_eq!(read.findings[0].to_string(), "ASBACKUP_NAMESPACE: isn't UTF-8");
    }
}
