//! Info commands: lines of text. Source: docs/format/wire.md, "Info".

use std::fmt;

use super::{FrameKind, ResultCode, begin_frame, end_frame};

/// Appends the frame of a request for these commands. A command must hold no line feed.
pub fn encode_request<C: AsRef<[u8]>>(out: &mut Vec<u8>, commands: &[C]) {
    let start = begin_frame(out, FrameKind::Info);
    for command in commands {
        out.extend_from_slice(command.as_ref());
        out.push(b'\n');
    }
    end_frame(out, start);
}

/// Returns the commands of a request's body, for a server.
pub fn commands(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// Returns each command of a reply's body with what the server says to it.
pub fn replies(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    commands(body).map(|line| {
        let tab = memchr::memchr(b'\t', line).unwrap_or(line.len());
        (line.get(..tab).unwrap_or_default(), line.get(tab + 1..).unwrap_or_default())
    })
}

/// Why a server doesn't do what an info command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code, if the reply has one.
    pub code: Option<ResultCode>,
    /// What the server says.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text.as_str(), self.code) {
            ("", None) => f.write_str("no reason given"),
            ("", Some(code)) => code.fmt(f),
            (text, None) => f.write_str(text),
            (text, Some(code)) => write!(f, "{text} ({code})"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Returns the reply unless it says that the command failed.
///
/// # Errors
/// If it begins with `ERROR` or `FAIL` in any case, followed by a colon or nothing: statistics begin with
/// `failed_best_practices=`, and a set may be named `ERROR_LOG`.
pub fn check(reply: &[u8]) -> Result<&[u8], Refusal> {
    let word = reply.split(|&byte| byte == b':').next().unwrap_or_default();
    if !word.eq_ignore_ascii_case(b"error") && !word.eq_ignore_ascii_case(b"fail") {
        return Ok(reply);
    }
    let mut parts = reply.splitn(3, |&byte| byte == b':').skip(1);
    let first = parts.next().unwrap_or_default();
    let code = str::from_utf8(first).ok().and_then(|number| number.parse().ok()).map(ResultCode);
    // Without a number the part behind the first colon is text, or the place of an unknown code.
    let rest = parts.next().unwrap_or_default();
    let text = if code.is_none() && rest.is_empty() { first } else { rest };
    Err(Refusal { code, text: String::from_utf8_lossy(text).into_owned() })
}

/// Returns the reply to a UDF command unless it says that the command failed; these say it as `error=` too.
///
/// # Errors
/// As [`check`], and if the reply begins with `error=`.
pub fn check_udf(reply: &[u8]) -> Result<&[u8], Refusal> {
    match reply.split_at_checked(b"error=".len()) {
        Some((word, text)) if word.eq_ignore_ascii_case(b"error=") => {
            Err(Refusal { code: None, text: String::from_utf8_lossy(text).into_owned() })
        }
        _ => check(reply),
    }
}
