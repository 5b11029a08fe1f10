//! The key of a job's encryption, fetched before anything else is done.

use asbackup_codec::envelope::{AesKey, DerivedKey, KeyError};

use crate::{
    Error, ErrorKind, blocking,
    config::{Encryption, KeySource},
};

/// Fetches the key, if there is one.
///
/// # Errors
/// If it can't be had, or is no key.
pub(crate) async fn fetch(encryption: Option<&Encryption>) -> Result<Option<AesKey>, Error> {
    let Some(Encryption { mode, key }) = encryption else { return Ok(None) };
    let derived = match key {
        KeySource::File(path) => {
            let file = path.clone();
            let content = blocking(move || std::fs::read(file)).await?.map_err(|error| {
                let message = format!("cannot read the encryption key {}", path.display());
                Error::of(ErrorKind::Secret, message).source(error).build()
            })?;
            DerivedKey::from_pem_file(&content).map_err(|error| no_key(&path.display().to_string(), error))?
        }
        KeySource::Text(text) => DerivedKey::from_text(text.reveal().as_bytes())
            .map_err(|error| no_key("the text that was given", error))?,
    };
    Ok(Some(mode.key(&derived)))
}

fn no_key(what: &str, error: KeyError) -> Error {
    Error::of(ErrorKind::Secret, format!("{what} holds no encryption key"))
        .hint("the key is an RSA private key as PEM, without a password")
        .source(error)
        .build()
}
