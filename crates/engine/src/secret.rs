//! Asking a Secret Agent: one connection for each secret. Source: docs/format/secret-agent.md.

use std::{io, time::Duration};

use asbackup_cluster::Error as ClusterError;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::config::{AgentAddress, AgentTls, SecretAgent, SecretEncoding, SecretName};

impl SecretAgent {
    /// Returns a secret.
    ///
    /// # Errors
    /// If the agent can't be reached, doesn't answer in time, refuses, or answers what isn't its protocol.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; nothing is changed.
    pub async fn secret(&self, name: &SecretName) -> Result<SecretSlice<u8>, SecretError> {
        let failed = |cause| SecretError { agent: self.address.to_string(), name: name.clone(), cause };
        let value = self.ask(name).await.map_err(failed)?;
        match self.encoding {
            SecretEncoding::Plain => Ok(value.expose_secret().as_bytes().to_vec().into()),
            SecretEncoding::Base64 => base64_simd::STANDARD
                .decode_to_vec(value.expose_secret())
                .map(SecretSlice::from)
                .map_err(|_| failed(SecretErrorCause::NotBase64)),
        }
    }

    async fn ask(&self, name: &SecretName) -> Result<SecretString, SecretErrorCause> {
        let mut stream = self.within("connect", connect(&self.address)).await??;
        let request = request(name)?;
        self.within("send", async {
            stream.write_all(&request).await?;
            // TLS holds back what hasn't been flushed.
            stream.flush().await
        })
        .await?
        .map_err(SecretErrorCause::Broken)?;
        let body = self.within("reply", read_reply(&mut stream)).await??;
        parse_reply(&body)
    }

    async fn within<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, SecretErrorCause> {
        let longest = self.timeout;
        timeout(longest, work).await.map_err(|_| SecretErrorCause::Timeout { step, longest })
    }
}

/// Why a secret can't be had.
#[derive(Debug, thiserror::Error)]
#[error("no secret {name} from the secret agent at {agent}")]
pub struct SecretError {
    /// Address of the agent.
    pub agent: String,
    /// Name of the secret.
    pub name: SecretName,
    /// Why.
    #[source]
    pub cause: SecretErrorCause,
}

/// Why a Secret Agent gave no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretErrorCause {
    /// Nobody listens there.
    #[error("no connection")]
    Connect(#[source] io::Error),
    /// The connection can't be encrypted.
    #[error("no encrypted connection")]
    Tls(#[source] ClusterError),
    /// A step took too long.
    #[error("no {step} within {longest:?}")]
    Timeout {
        /// What was waited for: connect, send or reply.
        step: &'static str,
        /// For how long.
        longest: Duration,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The name is too long for a request.
    #[error("name of the secret is too long")]
    NameTooLong,
    /// The reply doesn't begin as one does.
    #[error("reply begins with {found:02x?}, it must begin with {MAGIC:02x?}: this is no secret agent")]
    Magic {
        /// Its first bytes.
        found: [u8; 4],
    },
    /// The reply is too long.
    #[error("reply of {bytes} bytes, the limit is {MAX_REPLY_BYTES}")]
    TooLong {
        /// Length that it says to have.
        bytes: u32,
    },
    /// The reply isn't JSON of the right form.
    #[error("reply isn't JSON with a SecretValue or an Error (line {line}, column {column})")]
    Json {
        /// Line of the reply, from 1.
        line: usize,
        /// Column of the reply, from 1.
        column: usize,
    },
    /// The agent refuses.
    #[error("the agent says: {0}")]
    Refused(String),
    /// The secret isn't base64, which it should be.
    #[error("secret isn't base64")]
    NotBase64,
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn connect(address: &AgentAddress) -> Result<Box<dyn Stream>, SecretErrorCause> {
    match address {
        AgentAddress::Unix(path) => {
            Ok(Box::new(UnixStream::connect(path).await.map_err(SecretErrorCause::Connect)?))
        }
        AgentAddress::Tcp { host, port, tls } => {
            let address = (host.as_str(), *port);
            let stream = TcpStream::connect(address).await.map_err(SecretErrorCause::Connect)?;
            match tls {
                None => Ok(Box::new(stream)),
                Some(AgentTls { tls, name }) => {
                    let name = name.as_ref().unwrap_or(host);
                    Ok(Box::new(tls.connect(name, stream).await.map_err(SecretErrorCause::Tls)?))
                }
            }
        }
    }
}

/// What is asked; this order, and both always there. Source: docs/format/secret-agent.md, "Frames".
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    resource: &'a str,
    secret_key: &'a str,
}

fn request(name: &SecretName) -> Result<Vec<u8>, SecretErrorCause> {
    let request = Request { resource: name.resource(), secret_key: name.key() };
    let body = serde_json::to_vec(&request).map_err(|error| json_error(&error))?;
    let bytes = u32::try_from(body.len()).map_err(|_| SecretErrorCause::NameTooLong)?;
    Ok([&MAGIC[..], &bytes.to_be_bytes(), &body].concat())
}

async fn read_reply(stream: &mut Box<dyn Stream>) -> Result<Zeroizing<Vec<u8>>, SecretErrorCause> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await.map_err(SecretErrorCause::Broken)?;
    let [m0, m1, m2, m3, length @ ..] = head;
    let found = [m0, m1, m2, m3];
    if found != MAGIC {
        return Err(SecretErrorCause::Magic { found });
    }
    let bytes = u32::from_be_bytes(length);
    if bytes > MAX_REPLY_BYTES {
        return Err(SecretErrorCause::TooLong { bytes });
    }
    // Grows as bytes come, whatever the length says.
    let mut body = Zeroizing::new(Vec::new());
    stream.take(u64::from(bytes)).read_to_end(&mut body).await.map_err(SecretErrorCause::Broken)?;
    if body.len() as u64 != u64::from(bytes) {
        return Err(SecretErrorCause::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(body)
}

/// What is answered: one of the two. Source: docs/format/secret-agent.md, "Frames".
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Reply {
    secret_value: String,
    error: String,
}

fn parse_reply(body: &[u8]) -> Result<SecretString, SecretErrorCause> {
    let reply: Reply = serde_json::from_slice(body).map_err(|error| json_error(&error))?;
    match reply.error.is_empty() {
        true => Ok(SecretString::from(reply.secret_value)),
        false => Err(SecretErrorCause::Refused(reply.error)),
    }
}

/// Leaves out the text of the error, which may quote the secret.
fn json_error(error: &serde_json::Error) -> SecretErrorCause {
    SecretErrorCause::Json { line: error.line(), column: error.column() }
}

/// Begins each frame. Source: docs/format/secret-agent.md, "Frames".
const MAGIC: [u8; 4] = [0x51, 0xde, 0xc1, 0xcc];

/// The longest reply: ours.
const MAX_REPLY_BYTES: u32 = 16 << 20;
