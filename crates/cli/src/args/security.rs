//! Who the user is, and how connections are encrypted.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::value::{milliseconds, pause_milliseconds};

/// Who the user is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Login")]
pub(crate) struct Login {
    /// User of the cluster
    #[arg(short = 'U', long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// Password, or env:VARIABLE, env-b64:VARIABLE, b64:TEXT, file:PATH; without a value it is asked for on the terminal
    #[arg(short = 'P', long, value_name = "PASSWORD", num_args = 0..=1, requires = "user")]
    pub(crate) password: Option<Option<Password>>,

    /// Who checks the password: the cluster, somebody whom it asks (needs TLS), or the certificate instead of one
    #[arg(
        short = 'A',
        long,
        value_name = "MODE",
        value_enum,
        ignore_case = true,
        default_value = "INTERNAL"
    )]
    pub(crate) auth: AuthMode,

    /// Longest wait for the answer to a login, in ms
    #[arg(long, value_name = "MS", value_parser = milliseconds, default_value = "10000")]
    pub(crate) client_login_timeout: Duration,

    /// Drop connections that were unused for so long, in ms; 0: never. Keep it below the limit of the server
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "50000")]
    pub(crate) client_idle_timeout: Duration,
}

/// A password as it was given. `Debug` shows nothing of it.
#[derive(Clone)]
pub(crate) struct Password(pub(crate) String);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// Who checks a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthMode {
    #[value(name = "INTERNAL")]
    Internal,
    #[value(name = "EXTERNAL")]
    External,
    #[value(name = "PKI")]
    Pki,
}

/// How connections are encrypted.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsFlags {
    /// Encrypt connections to the cluster; without it the other flags of TLS do nothing
    #[arg(long)]
    pub(crate) tls_enable: bool,

    /// Name in the certificates of hosts that name none; none: the host
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_name: Option<String>,

    /// CA certificates in PEM: a file, or env-b64:VARIABLE, b64:TEXT
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cafile: Option<String>,

    /// Directory of files with CA certificates in PEM
    #[arg(long, value_name = "PATH")]
    pub(crate) tls_capath: Option<String>,

    /// Certificate of the client in PEM: a file, or env-b64:VARIABLE, b64:TEXT
    #[arg(long, value_name = "FILE", requires = "tls_keyfile")]
    pub(crate) tls_certfile: Option<String>,

    /// Key of that certificate in PEM: a file, or env-b64:VARIABLE, b64:TEXT
    #[arg(long, value_name = "FILE", requires = "tls_certfile")]
    pub(crate) tls_keyfile: Option<String>,

    /// Password of that key, or env:VARIABLE, env-b64:VARIABLE, b64:TEXT, file:PATH
    #[arg(long, value_name = "PASSWORD", requires = "tls_keyfile")]
    pub(crate) tls_keyfile_password: Option<Password>,

    /// Versions of TLS, as in +TLSv1.2 -TLSv1.3 or all; 1.2 and 1.3 are known
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, default_value = "all")]
    pub(crate) tls_protocols: String,
}
