//! Values that a flag doesn't hold itself: secrets, environment variables, files, base64.

use std::{env, fs, path::Path};

use asbackup::{
    AgentAddress, AgentTls, ErrorKind, Identity, SecretAgent, SecretEncoding, SecretName, Seed, Tls,
    TlsConfig,
};
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::{
    args::{self, AgentConnection},
    failure::Failure,
};

/// Finds what the values of flags stand for.
#[derive(Debug)]
pub(crate) struct ValueSource {
    agent: Option<SecretAgent>,
}

impl ValueSource {
    /// Checks how the secret agent is to be reached.
    pub(crate) fn new(args: &args::SecretAgent) -> Result<Self, Failure> {
        Ok(Self { agent: agent(args)? })
    }

    /// Returns what a flag's value stands for: a secret, or itself.
    pub(crate) async fn text(&self, flag: &str, given: &str) -> Result<String, Failure> {
        Ok(self.named(flag, given).await?.unwrap_or_else(|| given.to_owned()))
    }

    /// Returns the secret that a flag's value names, if it names one.
    pub(crate) async fn named(&self, flag: &str, given: &str) -> Result<Option<String>, Failure> {
        self.asked(flag, given).await?.map(|secret| as_text(flag, &secret)).transpose()
    }

    /// Returns the secret that a flag's value must name.
    pub(crate) async fn must_name(&self, flag: &str, given: &str) -> Result<String, Failure> {
        self.named(flag, given).await?.ok_or_else(|| unusable(flag, "it names no secret", NAME_HINT))
    }

    /// Returns what a secret value stands for: `secrets:`, `env:`, `env-b64:`, `b64:`, `file:`, or itself.
    pub(crate) async fn secret(&self, flag: &str, given: &str) -> Result<SecretSlice<u8>, Failure> {
        if let Some(secret) = self.asked(flag, given).await? {
            return Ok(secret);
        }
        if let Some(variable) = given.strip_prefix("env:") {
            return variable_value(flag, variable).map(|value| value.into_bytes().into());
        }
        if let Some(path) = given.strip_prefix("file:") {
            return read(flag, Path::new(path)).map(without_line_break);
        }
        match base64_value(flag, given)? {
            Some(secret) => Ok(secret),
            None => Ok(given.as_bytes().to_vec().into()),
        }
    }

    /// Returns a certificate or a key: the content of `secrets:`, `env-b64:` or `b64:`, or that of the file of this name.
    pub(crate) async fn pem(&self, flag: &str, given: &str) -> Result<SecretSlice<u8>, Failure> {
        if let Some(secret) = self.asked(flag, given).await? {
            return Ok(secret);
        }
        match base64_value(flag, given)? {
            Some(content) => Ok(content),
            None => {
                read(flag, Path::new(given.strip_prefix("file:").unwrap_or(given))).map(SecretSlice::from)
            }
        }
    }

    /// Asks the agent if the value names a secret.
    async fn asked(&self, flag: &str, given: &str) -> Result<Option<SecretSlice<u8>>, Failure> {
        let name = SecretName::parse(given)
            .map_err(|error| unusable(flag, "the name is broken", NAME_HINT).because(&error))?;
        let Some(name) = name else { return Ok(None) };
        let Some(agent) = &self.agent else {
            return Err(unusable(flag, "no secret agent is known", "give its address with --sa-address"));
        };
        let secret = agent.secret(&name).await;
        secret.map(Some).map_err(|error| {
            let mut failure = unusable(flag, "the secret can't be had", SA_HINT).because(&error);
            failure.kind = ErrorKind::Secret;
            failure
        })
    }
}

fn agent(args: &args::SecretAgent) -> Result<Option<SecretAgent>, Failure> {
    let Some(address) = &args.sa_address else { return Ok(None) };
    let address = match args.sa_connection_type {
        AgentConnection::Tcp => {
            let seed = Seed::parse(address, args.sa_port.unwrap_or(0))
                .map_err(|error| unusable("--sa-address", "it is no host", SA_HINT).because(&error))?;
            if seed.port == 0 {
                return Err(unusable("--sa-address", "it names no port", "add --sa-port"));
            }
            AgentAddress::Tcp { tls: agent_tls(args)?, host: seed.host, port: seed.port }
        }
        AgentConnection::Unix if args.sa_port.is_some() || args.sa_ca_file.is_some() => {
            let what = "a Unix socket has neither a port nor TLS";
            return Err(unusable("--sa-connection-type", what, "leave out --sa-port and --sa-ca-file"));
        }
        AgentConnection::Unix => AgentAddress::Unix(address.into()),
    };
    let mut agent = SecretAgent::new(address);
    agent.timeout = args.sa_timeout;
    agent.encoding = if args.sa_is_base64 { SecretEncoding::Base64 } else { SecretEncoding::Plain };
    Ok(Some(agent))
}

fn agent_tls(args: &args::SecretAgent) -> Result<Option<AgentTls>, Failure> {
    let Some(authority) = &args.sa_ca_file else { return Ok(None) };
    let mut config = TlsConfig::new([read("--sa-ca-file", authority)?]);
    if let (Some(certificate), Some(key)) = (&args.sa_cert_file, &args.sa_key_file) {
        let certificates = read("--sa-cert-file", certificate)?;
        config.identity =
            Some(Identity { certificates, key: read("--sa-key-file", key)?.into(), password: None });
    }
    let hint = "check --sa-ca-file, --sa-cert-file and --sa-key-file";
    let tls = Tls::new(&config)
        .map_err(|error| Failure::usage("TLS to the secret agent can't be set up", hint).because(&error))?;
    Ok(Some(AgentTls { tls, name: args.sa_tls_name.clone() }))
}

fn as_text(flag: &str, secret: &SecretSlice<u8>) -> Result<String, Failure> {
    String::from_utf8(secret.expose_secret().to_vec())
        .map_err(|_| unusable(flag, "the secret isn't UTF-8", "store it as text"))
}

/// Returns what `env-b64:` and `b64:` hold.
fn base64_value(flag: &str, given: &str) -> Result<Option<SecretSlice<u8>>, Failure> {
    let text = if let Some(variable) = given.strip_prefix("env-b64:") {
        variable_value(flag, variable)?
    } else if let Some(text) = given.strip_prefix("b64:") {
        text.to_owned()
    } else {
        return Ok(None);
    };
    let decoded = base64_simd::STANDARD.decode_to_vec(text.trim());
    let decoded = decoded.map_err(|_| unusable(flag, "it isn't base64", "encode it, with padding"))?;
    Ok(Some(decoded.into()))
}

fn variable_value(flag: &str, variable: &str) -> Result<String, Failure> {
    env::var(variable).map_err(|error| {
        unusable(flag, &format!("the environment variable {variable:?} can't be read"), "set it")
            .because(&error)
    })
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        unusable(flag, &format!("{} can't be read", path.display()), "check the path").because(&error)
    })
}

/// Leaves out the line break with which editors end a file.
fn without_line_break(mut content: Vec<u8>) -> SecretSlice<u8> {
    if content.last() == Some(&b'\n') {
        content.pop();
        if content.last() == Some(&b'\r') {
            content.pop();
        }
    }
    content.into()
}

/// Never shows the value, which may be a secret.
fn unusable(flag: &str, what: &str, hint: &'static str) -> Failure {
    Failure::usage(format!("{flag} can't be used: {what}"), hint)
}

const NAME_HINT: &str = "write it as secrets:RESOURCE:KEY";
const SA_HINT: &str = "check the --sa flags";
