//! Certificates for tests, made anew in each run.

use std::fmt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// An authority that signs certificates. Its methods panic if a certificate can't be made, which is a mistake of the test.
pub struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both in PEM.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its private key, in PKCS#8.
    pub key: String,
}

/// Which clients a server with TLS takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// All.
    Any,
    /// Those with a certificate of the same authority.
    Certified,
}

impl Certificates {
    /// Makes an authority.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "an authority is made anew each time, so none is the default"
    )]
    pub fn new() -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority signs itself");
        Self { authority }
    }

    /// Returns the certificate of the authority, in PEM.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// Makes a certificate for these host names and IP addresses.
    #[must_use]
    pub fn sign(&self, names: &[&str]) -> Signed {
        self.sign_key(names, &key())
    }

    /// Makes a certificate for these names and a key in PEM.
    #[must_use]
    pub fn sign_for(&self, names: &[&str], key: &str) -> Signed {
        self.sign_key(names, &KeyPair::from_pem(key).expect("it is a key in PEM"))
    }

    fn sign_key(&self, names: &[&str], key: &KeyPair) -> Signed {
        let certificate = params(names).signed_by(key, &self.authority).expect("the authority signs");
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Makes a certificate for these names, and returns what a server needs to show it.
    #[must_use]
    pub fn server(
        &self,
        names: &[&str],
        clients: Clients,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let signed = self.sign(names);
        let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).expect("it is PEM");
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("it is PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("the versions are known");
        let builder = match clients {
            Clients::Any => builder.with_no_client_auth(),
            Clients::Certified => {
                let mut roots = RootCertStore::empty();
                roots.add(self.authority.der().clone()).expect("the authority is one");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("there is an authority"))
            }
        };
        Arc::new(
            builder.with_single_cert(vec![certificate], key).expect("certificate and key belong together"),
        )
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("the names are ASCII")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
