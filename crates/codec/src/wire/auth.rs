//! Logging in, and authenticating connections. Source: docs/format/wire.md, "Security".

use crate::cursor::{Cursor, Stop};

use super::frame::{FrameKind, MAX_BODY_BYTES, begin_frame, end_frame};
use super::{DecodeError, ResultCode, Rule};

/// What a client says to log in or to authenticate a connection, or a server answers: a command or a result, and fields.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityMessage<'a> {
    /// What is asked for.
    pub command: u8,
    /// What became of it; 0 in a request.
    pub result: u8,
    /// Name of the user.
    pub user: Option<&'a [u8]>,
    /// The hash of the password, see [`credential`].
    pub credential: Option<&'a [u8]>,
    /// The password itself, for servers that ask somebody else about it.
    pub clear_password: Option<&'a [u8]>,
    /// What stands for a login on further connections.
    pub token: Option<&'a [u8]>,
    /// For how many seconds the token is good.
    pub ttl_s: Option<u32>,
}

/// Authenticates a connection with a token. Source: docs/format/wire.md, "Security".
pub const AUTHENTICATE: u8 = 0;

/// Logs in, which gives a token. Source: docs/format/wire.md, "Security".
pub const LOGIN: u8 = 20;

impl<'a> SecurityMessage<'a> {
    /// Appends the frame of this message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin_frame(out, FrameKind::Security);
        let ttl = self.ttl_s.map(u32::to_be_bytes);
        let fields = [
            (USER, self.user),
            (CREDENTIAL, self.credential),
            (CLEAR_PASSWORD, self.clear_password),
            (TOKEN, self.token),
            (TTL, ttl.as_ref().map(<[u8; 4]>::as_slice)),
        ];
        let count = fields.iter().fold(0_u8, |count, (_, data)| count + u8::from(data.is_some()));
        out.extend_from_slice(&[0, self.result, self.command, count]);
        out.extend_from_slice(&[0; 12]);
        for (id, data) in fields {
            let Some(data) = data else { continue };
            // What is too long for its length makes the frame too long as well, which the receiver refuses.
            let bytes = u32::try_from(data.len() + 1).unwrap_or(u32::MAX);
            out.extend_from_slice(&bytes.to_be_bytes());
            out.push(id);
            out.extend_from_slice(data);
        }
        end_frame(out, start);
    }

    /// Returns the message that the body of a frame holds. Fields of other kinds are skipped.
    ///
    /// # Errors
    /// If header or fields are longer than the body, or a field breaks a rule.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body, MAX_BODY_BYTES as usize);
        Self::parse(&mut cursor).map_err(|stop| match stop {
            Stop::Damaged { rule, at } => DecodeError::new(rule, at),
            Stop::Need(_) => DecodeError::new(Rule::SecurityTruncated, body.len()),
        })
    }

    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Stop> {
        let [_scheme, result, command, count] = cursor.array()?;
        cursor.take(12)?;
        let mut message = Self { command, result, ..Self::default() };
        for _ in 0..count {
            let bytes = u32::from_be_bytes(cursor.array()?) as usize;
            let data_bytes = bytes.checked_sub(1).ok_or_else(|| cursor.damaged(Rule::EmptyField))?;
            let [id] = cursor.array()?;
            let data = cursor.take(data_bytes)?;
            match id {
                USER => message.user = Some(data),
                CREDENTIAL => message.credential = Some(data),
                CLEAR_PASSWORD => message.clear_password = Some(data),
                TOKEN => message.token = Some(data),
                TTL => {
                    let ttl = data
                        .try_into()
                        .map_err(|_| cursor.damaged(Rule::FieldBytes { kind: TTL, bytes: data.len() }))?;
                    message.ttl_s = Some(u32::from_be_bytes(ttl));
                }
                _ => {}
            }
        }
        Ok(message)
    }

    /// Returns the result as a code.
    #[must_use]
    pub fn code(&self) -> ResultCode {
        ResultCode(self.result)
    }
}

impl std::fmt::Debug for SecurityMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // All that it holds may be a secret.
        f.debug_struct("SecurityMessage")
            .field("command", &self.command)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

/// Returns the hash of a password that servers compare: bcrypt with a salt that all clients share. Takes about 50 ms, and
/// counts the first 72 bytes alone, as bcrypt does. None for a password with a zero byte, which bcrypt can't take.
#[must_use]
pub fn credential(password: &[u8]) -> Option<String> {
    if password.contains(&0) {
        return None;
    }
    let hash = bcrypt::hash_with_salt(password, COST, SALT).ok()?;
    Some(hash.format_for_version(bcrypt::Version::TwoA))
}

// Kinds of fields. Source: docs/format/wire.md, "Security".
const USER: u8 = 0;
const CREDENTIAL: u8 = 3;
const CLEAR_PASSWORD: u8 = 4;
const TOKEN: u8 = 5;
const TTL: u8 = 6;

/// The cost in `$2a$10$7EqJtq98hPqEX7fNZaFWoO`. Source: docs/format/wire.md, "Security".
const COST: u32 = 10;

/// The salt in `$2a$10$7EqJtq98hPqEX7fNZaFWoO`. Source: docs/format/wire.md, "Security".
const SALT: [u8; 16] = *b"\xf4\x6b\x0b\xbe\xcf\xfe\x8d\x1b\x06\x67\xd8\x4f\x6d\xc1\xd8\xa9";
