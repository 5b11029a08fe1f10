//! Flags about logins and encryption to the configuration of a cluster.

use std::{fs, io, path::Path};

use asbackup::{Auth, ClusterConfig, ClusterError, Identity, Tls, TlsConfig, TlsVersions};
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::{
    args::{AuthMode, Login, TlsFlags},
    failure::Failure,
    value_source::ValueSource,
};

/// Adds to a configuration who the user is, and how connections are encrypted.
pub(super) async fn secure(
    config: &mut ClusterConfig,
    login: &Login,
    tls: &TlsFlags,
    values: &ValueSource,
) -> Result<(), Failure> {
    config.login_timeout = login.client_login_timeout;
    config.idle_timeout = login.client_idle_timeout;
    config.auth = auth(login, values).await?;
    if tls.tls_enable {
        config.tls = Some(encryption(tls, values).await?);
        config.tls_name = match &tls.tls_name {
            Some(name) => Some(values.text("--tls-name", name).await?),
            None => None,
        };
    }
    let hint = "EXTERNAL needs --tls-enable, PKI --tls-certfile and --tls-keyfile too";
    config.check().map_err(|error| Failure::usage("--auth can't be used", hint).because(&error))
}

async fn auth(login: &Login, values: &ValueSource) -> Result<Option<Auth>, Failure> {
    if login.auth == AuthMode::Pki {
        return match login.user {
            None => Ok(Some(Auth::pki())),
            Some(_) => {
                Err(Failure::usage("--auth PKI has no --user", "leave it out: the certificate names it"))
            }
        };
    }
    let Some(user) = &login.user else {
        return match login.auth {
            AuthMode::Internal => Ok(None),
            _ => Err(Failure::usage("--auth EXTERNAL without a user", "add --user and --password")),
        };
    };
    let user = values.text("--user", user).await?;
    let password = password(login, values).await?;
    let auth = match login.auth {
        AuthMode::External => Auth::external(user, password),
        _ => Auth::internal(user, &password),
    };
    auth.map(Some).map_err(|error| Failure::usage("--password can't be used", "change it").because(&error))
}

async fn password(login: &Login, values: &ValueSource) -> Result<SecretSlice<u8>, Failure> {
    match &login.password {
        Some(Some(given)) => values.secret("--password", &given.0).await,
        Some(None) => rpassword::prompt_password("password: ")
            .map(|password| password.into_bytes().into())
            .map_err(|error| {
                let hint = "give it with --password file:PATH or env:VARIABLE";
                Failure::usage("the password can't be asked for: there is no terminal", hint).because(&error)
            }),
        None => Err(Failure::usage("--user without a password", "add --password")),
    }
}

async fn encryption(tls: &TlsFlags, values: &ValueSource) -> Result<Tls, Failure> {
    let mut authorities = Vec::new();
    if let Some(file) = &tls.tls_cafile {
        authorities.push(values.pem("--tls-cafile", file).await?.expose_secret().to_vec());
    }
    if let Some(path) = &tls.tls_capath {
        let path = values.text("--tls-capath", path).await?;
        authorities.extend(files(Path::new(&path)).map_err(|error| {
            Failure::usage(format!("--tls-capath can't be read: {path}"), "check the path").because(&error)
        })?);
    }
    let mut config = TlsConfig::new(authorities);
    config.versions = versions(&values.text("--tls-protocols", &tls.tls_protocols).await?)?;
    if let (Some(certificate), Some(key)) = (&tls.tls_certfile, &tls.tls_keyfile) {
        let certificates = values.pem("--tls-certfile", certificate).await?.expose_secret().to_vec();
        let password = match &tls.tls_keyfile_password {
            Some(given) => Some(values.secret("--tls-keyfile-password", &given.0).await?),
            None => None,
        };
        let key = values.pem("--tls-keyfile", key).await?;
        config.identity = Some(Identity { certificates, key, password });
    }
    let failed = |error: ClusterError| {
        let hint =
            "check --tls-cafile or --tls-capath, --tls-certfile, --tls-keyfile and --tls-keyfile-password";
        Failure::usage("TLS can't be set up", hint).because(&error)
    };
    Tls::new(&config).map_err(failed)
}

/// Returns what the files of a directory hold, in the order of their names.
fn files(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<_> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(fs::read).collect()
}

/// Parses versions as Apache's `SSLProtocol` takes them: each word adds or takes away. Only the first may be bare, since a
/// bare one would begin anew, which is hardly ever meant.
fn versions(list: &str) -> Result<TlsVersions, Failure> {
    let wrong = |what: String| {
        let hint = "--tls-protocols takes all, TLSv1.2 and TLSv1.3, each but the first with + or - before it";
        Failure::usage(what, hint)
    };
    let (mut tls12, mut tls13) = (false, false);
    for (place, word) in list.split_whitespace().enumerate() {
        let (on, name) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(name), _) => (true, name),
            (None, Some(name)) => (false, name),
            (None, None) if place == 0 => (true, word),
            (None, None) => return Err(wrong(format!("{word:?} has neither + nor - before it"))),
        };
        match name.to_ascii_lowercase().as_str() {
            "all" => (tls12, tls13) = (on, on),
            "tlsv1.2" => tls12 = on,
            "tlsv1.3" => tls13 = on,
            "sslv2" | "sslv3" | "tlsv1" | "tlsv1.0" | "tlsv1.1" if on => {
                return Err(wrong(format!("{name} isn't safe and isn't supported")));
            }
            "sslv2" | "sslv3" | "tlsv1" | "tlsv1.0" | "tlsv1.1" => {}
            _ => return Err(wrong(format!("{name:?} is no version of TLS"))),
        }
    }
    match (tls12, tls13) {
        (true, true) => Ok(TlsVersions::Both),
        (true, false) => Ok(TlsVersions::Tls12),
        (false, true) => Ok(TlsVersions::Tls13),
        (false, false) => Err(wrong("--tls-protocols leaves no version".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_added_and_taken_away() {
        for (list, expected) in [
            ("all", TlsVersions::Both),
            ("+TLSv1.2", TlsVersions::Tls12),
            ("TLSv1.2", TlsVersions::Tls12),
            ("TLSv1.2 +TLSv1.3", TlsVersions::Both),
            ("all -TLSv1.2", TlsVersions::Tls13),
            ("-all +tlsv1.3", TlsVersions::Tls13),
            ("all -TLSv1.1 -SSLv3 -TLSv1.3", TlsVersions::Tls12),
        ] {
            assert_eq!(versions(list).unwrap(), expected, "{list}");
        }
        for (list, word) in [
            ("+TLSv1", "TLSv1 isn't safe"),
            ("TLSv1.1", "TLSv1.1 isn't safe"),
            ("SSLv3", "SSLv3 isn't safe"),
            ("all -all", "leaves no version"),
            ("", "leaves no version"),
            ("TLSv2", "\"TLSv2\" is no version"),
            ("TLSv1.2 TLSv1.3", "\"TLSv1.3\" has neither + nor -"),
            ("-all TLSv1.3", "\"TLSv1.3\" has neither + nor -"),
        ] {
            let failure = versions(list).unwrap_err();
            assert!(failure.lines()[0].contains(word), "{list}: {failure:?}");
        }
    }
}
