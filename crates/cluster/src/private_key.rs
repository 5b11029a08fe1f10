//! The private key of a client, from its text; one with a password is decrypted. Source of the forms: docs/format/key.md,
//! "PEM".

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::ExposeSecret as _;

use crate::tls::input;
use crate::{Error, Identity};

/// Reads the key of an identity.
pub(crate) fn private_key(identity: &Identity) -> Result<PrivateKeyDer<'static>, Error> {
    let text = identity.key.expose_secret();
    if let Some(encrypted) = between(text, BEGIN, END) {
        return decrypt(encrypted, identity);
    }
    if between(text, TRADITIONAL, b"\n").is_some() {
        return Err(input(
            "client key is encrypted in a form that isn't taken: openssl pkcs8 -topk8 -v2 aes-256-cbc makes one that is",
        ));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| input("client key isn't PEM").with_source(error))
}

fn decrypt(base64: &[u8], identity: &Identity) -> Result<PrivateKeyDer<'static>, Error> {
    let Some(password) = &identity.password else {
        return Err(input("client key is encrypted with a password, and none is given"));
    };
    let base64: Vec<u8> = base64.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = base64_simd::STANDARD.decode_to_vec(base64);
    let der = der.map_err(|error| input("client key isn't PEM").with_source(error))?;
    let key = EncryptedPrivateKeyInfoRef::try_from(der.as_slice())
        .map_err(|error| input("client key is damaged, or encrypted in an unknown way").with_source(error))?;
    // The library's error says no more, and tells nothing of the password.
    let plain = key.decrypt(password.expose_secret()).map_err(|error| {
        let what =
            "client key can't be decrypted: the password is wrong, or the key is encrypted in an unknown way";
        input(what).with_source(error)
    })?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

/// Returns what lies between two texts.
fn between<'a>(text: &'a [u8], begin: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|window| window == what);
    let inner = &text[find(text, begin)? + begin.len()..];
    Some(&inner[..find(inner, end)?])
}

const BEGIN: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &[u8] = b"-----END ENCRYPTED PRIVATE KEY-----";
/// Its key comes from the password by one round of MD5, which protects nothing.
const TRADITIONAL: &[u8] = b"Proc-Type: 4,ENCRYPTED";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ErrorKind;

    fn golden(name: &str) -> Vec<u8> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/keys");
        std::fs::read(directory.join(name)).unwrap()
    }

    fn read(key: Vec<u8>, password: Option<&str>) -> Result<PrivateKeyDer<'static>, Error> {
        let password = password.map(|password| password.as_bytes().to_vec().into());
        private_key(&Identity { certificates: Vec::new(), key: key.into(), password })
    }

    const FORMS: [&str; 3] = [
        "encrypted_pbkdf2_sha256_aes256.pem",
        "encrypted_pbkdf2_sha1_aes128.pem",
        "encrypted_scrypt_aes256.pem",
    ];

    #[test]
    fn key_with_a_password_is_the_same_as_without() {
        let plain = read(golden("a_rsa_pkcs8.pem"), None).unwrap();
        for name in FORMS {
            let found = read(golden(name), Some("pass-word"));
            assert_eq!(found.unwrap().secret_der(), plain.secret_der(), "{name}");
        }
        let unneeded = read(golden("a_rsa_pkcs8.pem"), Some("pass-word")).unwrap();
        assert_eq!(unneeded.secret_der(), plain.secret_der());
    }

    #[test]
    fn what_is_wrong_is_said_and_the_password_is_not() {
        for name in FORMS {
            for (password, words) in [
                (None, "encrypted with a password, and none is given"),
                (Some("hunter2"), "the password is wrong"),
                (Some(""), "the password is wrong"),
            ] {
                let error = read(golden(name), password).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Input);
                assert!(error.to_string().contains(words), "{name}: {error}");
                assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            }
        }
        let traditional = read(golden("encrypted_traditional.pem"), Some("pass-word")).unwrap_err();
        assert!(traditional.to_string().contains("openssl pkcs8 -topk8"), "{traditional}");
    }

    #[test]
    fn damaged_key_is_no_panic() {
        let whole = golden(FORMS[0]);
        for byte in (0..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1;
            // Some bytes say nothing, such as those around the key; most make it unreadable.
            let _ = read(damaged, Some("pass-word"));
            assert!(read(whole[..byte].to_vec(), Some("pass-word")).is_err(), "cut at {byte}");
        }
    }
}
