//! One socket, with a deadline on every wait.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use asbackup_codec::wire::{FRAME_BYTES, FrameHeader, FrameKind, SecurityMessage, info};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use secrecy::zeroize::Zeroizing;

use crate::{ClusterConfig, Error, ErrorKind, Seed};

/// A connection to a node.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// When the session is over that it was authenticated with.
    end: Option<Instant>,
}

/// A socket, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> Stream for S {}

impl Connection {
    /// Opens a connection, encrypted if the configuration says so.
    pub(crate) async fn open(address: &Seed, config: &ClusterConfig) -> Result<Self, Error> {
        let longest = config.connect_timeout;
        let failed = |what: &str| Error::new(ErrorKind::Connect, format!("{what} {address}"));
        let opened = timeout(longest, TcpStream::connect((address.host.as_str(), address.port))).await;
        let stream = opened
            .map_err(|_| failed(&format!("no connection within {longest:?} to")))?
            .map_err(|error| failed("no connection to").with_source(error))?;
        // Requests are small and waited for; bundling them would only delay them.
        stream.set_nodelay(true).map_err(|error| failed("no connection to").with_source(error))?;
        let stream: Box<dyn Stream> = match &config.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = address.tls_name.as_ref().or(config.tls_name.as_ref()).unwrap_or(&address.host);
                let encrypted = timeout(longest, tls.connect(name, stream)).await;
                Box::new(encrypted.map_err(|_| failed(&format!("no TLS within {longest:?} with")))??)
            }
        };
        Ok(Self { stream, end: None })
    }

    /// Sets when the session is over that it was authenticated with.
    pub(crate) fn set_end(&mut self, end: Option<Instant>) {
        self.end = end;
    }

    /// Returns whether it may be used again: its session goes on, and the other end has neither closed it nor sent what
    /// nobody asked for.
    pub(crate) fn is_usable(&mut self, now: Instant) -> bool {
        if self.end.is_some_and(|end| now >= end) {
            return false;
        }
        // With TLS bytes may have come that aren't data; only reading tells.
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
        matches!(read, Poll::Pending)
    }

    /// Sends a login or an authentication and returns the body of the answer.
    pub(crate) async fn security(
        &mut self,
        message: &SecurityMessage<'_>,
        longest: Duration,
    ) -> Result<Vec<u8>, Error> {
        let mut request = Zeroizing::new(Vec::new());
        message.encode(&mut request);
        let exchange = async {
            write(&mut self.stream, &request).await?;
            self.body(FrameKind::Security).await
        };
        timeout(longest, exchange).await.unwrap_or_else(|_| Err(timed_out("no answer to the login", longest)))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8], longest: Duration) -> Result<(), Error> {
        let longest = bounded(longest);
        timeout(longest, write(&mut self.stream, bytes))
            .await
            .unwrap_or_else(|_| Err(timed_out("the request could not be sent", longest)))
    }

    /// Reads once, as much as is there and has room, and returns how much that was; never 0.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped.
    pub(crate) async fn read(&mut self, room: &mut [u8], longest: Duration) -> Result<usize, Error> {
        let longest = bounded(longest);
        match timeout(longest, self.stream.read(room)).await {
            Err(_) => Err(timed_out("no answer", longest)),
            Ok(Err(error)) => Err(broken(error)),
            Ok(Ok(0)) => Err(Error::new(ErrorKind::Network, "the server closed the connection")),
            Ok(Ok(count)) => Ok(count),
        }
    }

    /// Sends info commands and returns the reply to each. `longest` is for the whole exchange.
    pub(crate) async fn info<C: AsRef<[u8]>>(
        &mut self,
        commands: &[C],
        longest: Duration,
    ) -> Result<Vec<Vec<u8>>, Error> {
        if commands.iter().any(|command| command.as_ref().contains(&b'\n')) {
            return Err(Error::new(ErrorKind::Input, "info command with a line feed"));
        }
        let mut request = Vec::new();
        info::encode_request(&mut request, commands);
        let exchange = async {
            write(&mut self.stream, &request).await?;
            self.body(FrameKind::Info).await
        };
        let body =
            timeout(longest, exchange).await.unwrap_or_else(|_| Err(timed_out("no reply", longest)))?;
        let mut replies = Vec::with_capacity(commands.len());
        for ((echo, reply), command) in info::replies(&body).zip(commands) {
            if echo != command.as_ref() {
                break;
            }
            replies.push(reply.to_vec());
        }
        if replies.len() != commands.len() {
            return Err(Error::new(ErrorKind::Damaged, "info replies that don't belong to their commands"));
        }
        Ok(replies)
    }

    /// Reads a frame of this kind and returns its body.
    async fn body(&mut self, kind: FrameKind) -> Result<Vec<u8>, Error> {
        let mut head = [0; FRAME_BYTES];
        self.stream.read_exact(&mut head).await.map_err(broken)?;
        let header = FrameHeader::decode(head)
            .map_err(|error| Error::new(ErrorKind::Damaged, "damaged info reply").with_source(error))?;
        if header.kind != kind {
            return Err(Error::new(ErrorKind::Damaged, "info reply of another type"));
        }
        // Grows as bytes come, whatever the length says.
        let mut body = Vec::new();
        let whole = u64::from(header.body_bytes);
        (&mut self.stream).take(whole).read_to_end(&mut body).await.map_err(broken)?;
        if body.len() as u64 != whole {
            return Err(Error::new(ErrorKind::Network, "the server closed the connection within a reply"));
        }
        Ok(body)
    }
}

/// Writes all of it; TLS holds back what hasn't been flushed.
async fn write(stream: &mut Box<dyn Stream>, bytes: &[u8]) -> Result<(), Error> {
    stream.write_all(bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

/// Users say zero for "no limit"; but a server that died without a word must be noticed one day.
fn bounded(longest: Duration) -> Duration {
    if longest.is_zero() { UNLIMITED } else { longest }
}

fn broken(error: io::Error) -> Error {
    Error::new(ErrorKind::Network, "the connection broke").with_source(error)
}

fn timed_out(what: &str, longest: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} within {longest:?}"))
}

const UNLIMITED: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_ten_minutes() {
        assert_eq!(bounded(Duration::ZERO), Duration::from_secs(600));
        assert_eq!(bounded(Duration::from_millis(1)), Duration::from_millis(1));
    }
}
