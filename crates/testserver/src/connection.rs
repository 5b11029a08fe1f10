//! One connection: reads frames, hands them to what answers them, and lets faults happen.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use asbackup_codec::Step;
use asbackup_codec::wire::{
    FRAME_BYTES, FrameHeader, FrameKind, Message, ResultCode, SecurityMessage, begin_frame, end_frame,
};
use asbackup_model::PartitionId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::fault::{Command, FaultAction, Faults};
use crate::info::{self, Session};
use crate::message::{self, Request};
use crate::node::Node;
use crate::security::Client;

/// A socket, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin> Stream for S {}

/// Takes a client, with TLS if the server has it.
pub(crate) async fn accept(stream: TcpStream, node: &Node) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some((config, _)) = &node.shared.tls else {
        return serve(Box::new(stream), Client::Unknown, node).await;
    };
    let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
    let client = match stream.get_ref().1.peer_certificates() {
        Some(_) => Client::Certified,
        None => Client::Unknown,
    };
    serve(Box::new(stream), client, node).await
}

/// Answers one client until it hangs up, sends what no client sends, or a fault ends the connection.
async fn serve(mut stream: Box<dyn Stream>, mut client: Client, node: &Node) -> io::Result<()> {
    let mut input = Vec::new();
    let mut session = Session::default();
    while let Some(frame) = read_frame(&mut stream, &mut input).await? {
        let body = &input[FRAME_BYTES..FRAME_BYTES + frame.body_bytes as usize];
        let faults = &node.shared.faults;
        let mut replies = Replies { stream: &mut stream, faults, limit: None, timeout: None };
        let refused = (!node.shared.security.allows(client)).then_some(ResultCode::NOT_AUTHENTICATED);
        match frame.kind {
            FrameKind::Info => answer_info(node, &mut session, body, refused, &mut replies).await?,
            FrameKind::Security => answer_security(node, body, &mut client, &mut replies).await?,
            FrameKind::Message => answer_message(node, body, refused, &mut replies).await?,
            FrameKind::Compressed => return Err(io::Error::other("compressed requests aren't supported")),
        }
        input.drain(..FRAME_BYTES + frame.body_bytes as usize);
    }
    Ok(())
}

/// Reads until `input` begins with a whole frame. Nothing means that the client has hung up between two frames.
async fn read_frame(stream: &mut Box<dyn Stream>, input: &mut Vec<u8>) -> io::Result<Option<FrameHeader>> {
    loop {
        let mut wanted = READ_BYTES;
        if let Some(head) = input.first_chunk() {
            let header = FrameHeader::decode(*head).map_err(io::Error::other)?;
            let frame_bytes = FRAME_BYTES + header.body_bytes as usize;
            if input.len() >= frame_bytes {
                return Ok(Some(header));
            }
            wanted = wanted.max(frame_bytes - input.len());
        }
        input.reserve(wanted);
        if stream.read_buf(input).await? == 0 {
            return if input.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

/// The way back to the client.
#[derive(Debug)]
pub(crate) struct Replies<'a> {
    stream: &'a mut Box<dyn Stream>,
    faults: &'a Faults,
    /// How far a fault lets the answer come.
    limit: Option<Limit>,
    /// How long the client may take none.
    timeout: Option<Duration>,
}

/// How many bytes of an answer are let through, and what happens then.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Cut(usize),
    Hold(usize),
}

impl Replies<'_> {
    /// Sets how long a client may leave an answer unread before it loses the connection.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Sends what has gathered in `out`, and empties it.
    pub(crate) async fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(limit) = self.limit {
            self.send_within(limit, out).await?;
        } else if let Some(timeout) = self.timeout {
            tokio::time::timeout(timeout, self.stream.write_all(out)).await??;
        } else {
            self.stream.write_all(out).await?;
        }
        out.clear();
        // TLS holds back what hasn't been flushed.
        self.stream.flush().await
    }

    async fn send_within(&mut self, limit: Limit, out: &[u8]) -> io::Result<()> {
        let (Limit::Cut(left) | Limit::Hold(left)) = limit;
        let (allowed, rest) = out.split_at(out.len().min(left));
        self.stream.write_all(allowed).await?;
        self.limit = match limit {
            Limit::Cut(_) if !rest.is_empty() => {
                self.stream.flush().await?;
                return Err(cut());
            }
            Limit::Hold(_) if !rest.is_empty() => {
                self.stream.flush().await?;
                self.faults.hold().await;
                self.stream.write_all(rest).await?;
                None
            }
            Limit::Cut(_) => Some(Limit::Cut(left - allowed.len())),
            Limit::Hold(_) => Some(Limit::Hold(left - allowed.len())),
        };
        Ok(())
    }
}

/// What is left of a fault once what concerns every command has happened.
#[derive(Debug, Default)]
pub(crate) struct Injected {
    /// This is the whole answer.
    pub(crate) error: Option<ResultCode>,
    /// That many rows aren't done and get that answer.
    pub(crate) fail_rows: Option<(u32, ResultCode)>,
    /// These partitions aren't here.
    pub(crate) unavailable: Vec<PartitionId>,
}

impl Injected {
    /// Lets a fault happen to a command.
    async fn meet(node: &Node, command: Command, replies: &mut Replies<'_>) -> io::Result<Self> {
        let mut injected = Self::default();
        match node.shared.faults.on(command, node.number) {
            None => {}
            Some(FaultAction::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(FaultAction::Refuse) => return Err(cut()),
            Some(FaultAction::CutAfter(bytes)) => replies.limit = Some(Limit::Cut(bytes)),
            Some(FaultAction::HoldAfter(bytes)) => replies.limit = Some(Limit::Hold(bytes)),
            Some(FaultAction::ErrorCode(code)) => injected.error = Some(code),
            Some(FaultAction::FailRows { rows, code }) => injected.fail_rows = Some((rows, code)),
            Some(FaultAction::Unavailable(partitions)) => injected.unavailable = partitions,
        }
        Ok(injected)
    }
}

async fn answer_info(
    node: &Node,
    session: &mut Session,
    body: &[u8],
    refused: Option<ResultCode>,
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let injected = Injected::meet(node, Command::Info, replies).await?;
    let mut out = Vec::new();
    let start = begin_frame(&mut out, FrameKind::Info);
    match injected
        .error
        .map(|code| (code, "injected fault"))
        .or(refused.map(|code| (code, "not authenticated")))
    {
        Some((code, text)) => info::refuse(body, code, text, &mut out),
        None => info::answer(node, session, body, &mut out),
    }
    end_frame(&mut out, start);
    replies.send(&mut out).await
}

async fn answer_security(
    node: &Node,
    body: &[u8],
    client: &mut Client,
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let injected = Injected::meet(node, Command::Security, replies).await?;
    let mut out = Vec::new();
    match injected.error {
        Some(code) => SecurityMessage { result: code.0, ..SecurityMessage::default() }.encode(&mut out),
        None => node.shared.security.answer(body, client, &mut out),
    }
    replies.send(&mut out).await
}

async fn answer_message(
    node: &Node,
    body: &[u8],
    refused: Option<ResultCode>,
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let Step::Done { value: message, .. } = Message::decode(body) else {
        return Err(io::Error::other("a request that is no message"));
    };
    let request = Request::new(&message);
    let mut injected = Injected::meet(node, request.command(), replies).await?;
    injected.error = injected.error.or(refused);
    message::answer(node, &request, &injected, replies).await
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut by a fault rule")
}

const READ_BYTES: usize = 64 * 1024;
