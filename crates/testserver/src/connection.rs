//! One connection: reads frames, hands them to what answers them, and lets faults happen.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use asbackup_codec::Step;
use asbackup_codec::wire::{
    FRAME_BYTES, FrameHeader, FrameKind, Message, ResultCode, begin_frame, end_frame,
};
use asbackup_model::PartitionId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fault::{Command, FaultAction};
use crate::info::{self, Session};
use crate::message::{self, Request};
use crate::server::Shared;

/// Answers one client until it hangs up, sends what no client sends, or a fault ends the connection.
pub(crate) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    let mut session = Session::default();
    while let Some(frame) = read_frame(&mut stream, &mut input).await? {
        let body = &input[FRAME_BYTES..FRAME_BYTES + frame.body_bytes as usize];
        let mut replies = Replies { stream: &mut stream, left: None, timeout: None };
        match frame.kind {
            FrameKind::Info => answer_info(&shared, &mut session, body, &mut replies).await?,
            FrameKind::Security => answer_security(&shared, &mut replies).await?,
            FrameKind::Message => answer_message(&shared, body, &mut replies).await?,
            FrameKind::Compressed => return Err(io::Error::other("compressed requests aren't supported")),
        }
        input.drain(..FRAME_BYTES + frame.body_bytes as usize);
    }
    Ok(())
}

/// Reads until `input` begins with a whole frame. Nothing means that the client has hung up between two frames.
async fn read_frame(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<Option<FrameHeader>> {
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
    stream: &'a mut TcpStream,
    /// How many bytes a fault lets through.
    left: Option<usize>,
    /// How long the client may take none.
    timeout: Option<Duration>,
}

impl Replies<'_> {
    /// Sets how long a client may leave an answer unread before it loses the connection.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Sends what has gathered in `out`, and empties it.
    pub(crate) async fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            let allowed = out.len().min(*left);
            *left -= allowed;
            self.stream.write_all(&out[..allowed]).await?;
            if allowed < out.len() {
                return Err(cut());
            }
        } else if let Some(timeout) = self.timeout {
            tokio::time::timeout(timeout, self.stream.write_all(out)).await??;
        } else {
            self.stream.write_all(out).await?;
        }
        out.clear();
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
    async fn meet(shared: &Shared, command: Command, replies: &mut Replies<'_>) -> io::Result<Self> {
        let mut injected = Self::default();
        match shared.faults.on(command) {
            None => {}
            Some(FaultAction::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(FaultAction::Refuse) => return Err(cut()),
            Some(FaultAction::CutAfter(bytes)) => replies.left = Some(bytes),
            Some(FaultAction::ErrorCode(code)) => injected.error = Some(code),
            Some(FaultAction::FailRows { rows, code }) => injected.fail_rows = Some((rows, code)),
            Some(FaultAction::Unavailable(partitions)) => injected.unavailable = partitions,
        }
        Ok(injected)
    }
}

async fn answer_info(
    shared: &Shared,
    session: &mut Session,
    body: &[u8],
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let injected = Injected::meet(shared, Command::Info, replies).await?;
    let mut out = Vec::new();
    let start = begin_frame(&mut out, FrameKind::Info);
    match injected.error {
        Some(code) => info::refuse(body, code, &mut out),
        None => info::answer(shared, session, body, &mut out),
    }
    end_frame(&mut out, start);
    replies.send(&mut out).await
}

/// Answers as a server without security does. Source: docs/format/wire.md, "Security".
async fn answer_security(shared: &Shared, replies: &mut Replies<'_>) -> io::Result<()> {
    let injected = Injected::meet(shared, Command::Security, replies).await?;
    let mut out = Vec::new();
    let start = begin_frame(&mut out, FrameKind::Security);
    let mut header = [0; 16];
    header[1] = injected.error.unwrap_or(ResultCode::SECURITY_NOT_SUPPORTED).0;
    out.extend_from_slice(&header);
    end_frame(&mut out, start);
    replies.send(&mut out).await
}

async fn answer_message(shared: &Shared, body: &[u8], replies: &mut Replies<'_>) -> io::Result<()> {
    let Step::Done { value: message, .. } = Message::decode(body) else {
        return Err(io::Error::other("a request that is no message"));
    };
    let request = Request::new(&message);
    let injected = Injected::meet(shared, request.command(), replies).await?;
    message::answer(shared, &request, &injected, replies).await
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut by a fault rule")
}

const READ_BYTES: usize = 64 * 1024;
