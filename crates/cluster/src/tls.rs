//! Encrypting a socket: which certificates count, and the handshake.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use secrecy::SecretSlice;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::private_key::private_key;
use crate::{Error, ErrorKind};

/// Which servers are trusted, and who the client is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Certificates of the authorities that sign those of servers, in PEM; each text may hold several. Those of the
    /// operating system don't count.
    pub authorities: Vec<Vec<u8>>,
    /// What the client shows of itself. Default: nothing.
    pub identity: Option<Identity>,
    /// Versions of TLS. Default: 1.2 and 1.3; older ones aren't safe.
    pub versions: TlsVersions,
}

/// The certificate of a client and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, and those between it and its authority behind it, in PEM.
    pub certificates: Vec<u8>,
    /// The private key, in PEM (PKCS#8, PKCS#1 or SEC1).
    pub key: SecretSlice<u8>,
    /// The password of a key that is encrypted (PKCS#8 with PBES2). One that isn't needed does no harm.
    pub password: Option<SecretSlice<u8>>,
}

/// Versions of TLS that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    Both,
    /// 1.2 alone.
    Tls12,
    /// 1.3 alone.
    Tls13,
}

impl TlsConfig {
    /// Returns a configuration with defaults for all but the authorities.
    pub fn new(authorities: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { authorities: authorities.into_iter().collect(), identity: None, versions: TlsVersions::Both }
    }
}

/// What encrypts sockets: a [`TlsConfig`] that was checked. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    shows: Shows,
}

/// Whether a client shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    Certificate,
}

impl Tls {
    /// Checks a configuration.
    ///
    /// # Errors
    /// Of the kind `Input` if there is no authority, or something isn't what it should be: PEM, a certificate, a key,
    /// the key of that certificate.
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        let roots = roots(&config.authorities)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(config.versions))
            .map_err(|error| input("TLS can't be set up").with_source(error))?
            .with_root_certificates(roots);
        let (config, shows) = match &config.identity {
            None => (builder.with_no_client_auth(), Shows::Nothing),
            Some(identity) => {
                let (chain, key) = (chain(identity)?, private_key(identity)?);
                let config = builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| input("client certificate and key can't be used").with_source(error))?;
                (config, Shows::Certificate)
            }
        };
        Ok(Self { config: Arc::new(config), shows })
    }

    /// Returns whether the client shows a certificate to servers that ask for one.
    #[must_use]
    pub fn shows_certificate(&self) -> bool {
        self.shows == Shows::Certificate
    }

    /// Makes the handshake with a server whose certificate must be for `name`, a host name or an IP address.
    ///
    /// # Errors
    /// `Input` for what is no name; `Tls` if the server isn't trusted, or doesn't trust the client; `Connect` if the
    /// connection breaks.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect<S>(
        &self,
        name: &str,
        stream: S,
    ) -> Result<impl AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin + use<S>, Error>
    where
        S: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin,
    {
        let server = ServerName::try_from(name.to_owned())
            .map_err(|error| input(&format!("{name:?} is no name for TLS")).with_source(error))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(server, stream).await.map_err(|error| handshake_error(name, error))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("shows", &self.shows).finish_non_exhaustive()
    }
}

/// What TLS finds wrong comes as invalid data; all else is the network's.
fn handshake_error(name: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::InvalidData => ErrorKind::Tls,
        _ => ErrorKind::Connect,
    };
    Error::new(kind, format!("no TLS connection to a server with the name {name:?}")).with_source(error)
}

fn versions(versions: TlsVersions) -> Vec<&'static SupportedProtocolVersion> {
    match versions {
        TlsVersions::Both => vec![&TLS12, &TLS13],
        TlsVersions::Tls12 => vec![&TLS12],
        TlsVersions::Tls13 => vec![&TLS13],
    }
}

fn roots(authorities: &[Vec<u8>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for text in authorities {
        for certificate in CertificateDer::pem_slice_iter(text) {
            let certificate =
                certificate.map_err(|error| input("CA certificates aren't PEM").with_source(error))?;
            roots.add(certificate).map_err(|error| input("CA certificate is damaged").with_source(error))?;
        }
    }
    if roots.is_empty() { Err(input("no CA certificate is given")) } else { Ok(roots) }
}

fn chain(identity: &Identity) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&identity.certificates).collect();
    let chain = chain.map_err(|error| input("client certificate isn't PEM").with_source(error))?;
    if chain.is_empty() { Err(input("client certificate is missing")) } else { Ok(chain) }
}

/// Returns the error of certificates, keys or passwords that can't be used.
pub(crate) fn input(what: &str) -> Error {
    Error::new(ErrorKind::Input, what)
}
