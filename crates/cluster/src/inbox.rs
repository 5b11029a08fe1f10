//! The messages of an answer, straight from the socket: one buffer, no copy but that of a message's unfinished front.

use std::time::Duration;

use asbackup_codec::Step;
use asbackup_codec::wire::{DecodeError, FRAME_BYTES, FrameHeader, FrameKind, MAX_BODY_BYTES};

use crate::connection::Connection;
use crate::{Error, ErrorKind};

/// What a buffer may grow to: the largest message, and the header of its frame.
const LARGEST_BYTES: usize = MAX_BODY_BYTES as usize + FRAME_BYTES;

/// What came of an answer and wasn't handed on yet.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// All of it is initialised; what came lies between `start` and `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How much of the current frame's body is still to be handed on. A message never spans frames.
    frame_left: usize,
    /// How much must lie in the buffer before it makes sense to look again.
    wanted: usize,
    /// What the buffer begins with and shrinks back to.
    usual_bytes: usize,
}

impl Inbox {
    /// Starts with a buffer of that size.
    pub(crate) fn new(usual_bytes: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0, frame_left: 0, wanted: FRAME_BYTES, usual_bytes }
    }

    /// Forgets what came, for a new answer.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end, self.frame_left, self.wanted) = (0, 0, 0, FRAME_BYTES);
        self.shrink();
    }

    /// Returns whether everything that came was handed on and ended with a frame.
    pub(crate) fn is_finished(&self) -> bool {
        self.start == self.end && self.frame_left == 0
    }

    /// Reads once from the socket.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped.
    pub(crate) async fn fill(&mut self, connection: &mut Connection, longest: Duration) -> Result<(), Error> {
        self.make_room();
        self.end += connection.read(&mut self.buffer[self.end..], longest).await?;
        Ok(())
    }

    /// Gives the next message to `decode`, and returns what came of it; nothing if more has to come first.
    pub(crate) fn message<T>(
        &mut self,
        decode: impl FnOnce(&[u8]) -> Step<T, DecodeError>,
    ) -> Result<Option<T>, Error> {
        while self.frame_left == 0 {
            if !self.begin_frame()? {
                return Ok(None);
            }
        }
        let there = self.end - self.start;
        if there < self.wanted {
            return Ok(None);
        }
        let whole_frame = there >= self.frame_left;
        let bytes = &self.buffer[self.start..self.start + there.min(self.frame_left)];
        match decode(bytes) {
            Step::Done { value, used } => {
                self.start += used;
                self.frame_left -= used;
                self.wanted = 1;
                if self.start == self.end {
                    self.shrink();
                }
                Ok(Some(value))
            }
            Step::Need(_) if whole_frame => Err(damaged("a message is longer than its frame")),
            Step::Need(more) => {
                self.wanted = there + more;
                Ok(None)
            }
            Step::Damaged(error) => Err(damaged("damaged answer").with_source(error)),
        }
    }

    /// Reads the header of a frame, if it is there.
    fn begin_frame(&mut self) -> Result<bool, Error> {
        let Some(head) = self.buffer[self.start..self.end].first_chunk() else {
            self.wanted = FRAME_BYTES;
            return Ok(false);
        };
        let header =
            FrameHeader::decode(*head).map_err(|error| damaged("damaged answer").with_source(error))?;
        if header.kind != FrameKind::Message {
            return Err(damaged("answer of another type"));
        }
        self.start += FRAME_BYTES;
        self.frame_left = header.body_bytes as usize;
        self.wanted = 1;
        Ok(true)
    }

    /// Returns whether the next message needs a larger buffer than the usual one.
    pub(crate) fn is_large(&self) -> bool {
        self.wanted > self.usual_bytes
    }

    /// Moves what is left to the front, and sees to it that there is room behind it.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            // Twice as much each time, whatever a length says: a damaged one must not take memory. And no more than the
            // message has, so that nothing of the next one lies behind it when the buffer shrinks.
            let most = self.wanted.min(LARGEST_BYTES).max(self.usual_bytes).max(self.end + 1);
            let bytes = (2 * self.buffer.len()).clamp(self.usual_bytes, most);
            self.buffer.reserve_exact(bytes - self.buffer.len());
            self.buffer.resize(bytes, 0);
        }
    }

    /// Goes back to the usual size behind a large message.
    fn shrink(&mut self) {
        if self.buffer.len() > self.usual_bytes {
            self.buffer = vec![0; self.usual_bytes];
            (self.start, self.end) = (0, 0);
        }
    }
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Damaged, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER_BYTES: usize = 1024;

    /// Hands on messages of three equal bytes.
    fn three(bytes: &[u8]) -> Step<u8, DecodeError> {
        match bytes.first_chunk::<3>() {
            Some([byte, ..]) => Step::Done { value: *byte, used: 3 },
            None => Step::Need(3 - bytes.len()),
        }
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let body_bytes = u32::try_from(body.len()).unwrap();
        [&FrameHeader { kind: FrameKind::Message, body_bytes }.encode()[..], body].concat()
    }

    /// What a socket would do.
    fn receive(inbox: &mut Inbox, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            inbox.make_room();
            let room = &mut inbox.buffer[inbox.end..];
            let count = bytes.len().min(room.len());
            room[..count].copy_from_slice(&bytes[..count]);
            inbox.end += count;
            bytes = &bytes[count..];
        }
    }

    #[test]
    fn messages_come_out_whole_wherever_the_stream_is_cut() {
        let stream = [frame(b"aaabbb"), frame(b""), frame(b"ccc")].concat();
        for split in 0..=stream.len() {
            let mut inbox = Inbox::new(BUFFER_BYTES);
            let mut messages = Vec::new();
            for part in [&stream[..split], &stream[split..]] {
                receive(&mut inbox, part);
                while let Some(message) = inbox.message(three).unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, b"abc", "split at byte {split}");
            assert!(inbox.is_finished());
        }
    }

    #[test]
    fn a_message_ends_with_its_frame() {
        let mut inbox = Inbox::new(BUFFER_BYTES);
        receive(&mut inbox, &[frame(b"aa"), frame(b"a")].concat());
        let error = inbox.message(three).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Damaged, "a message is longer than its frame")
        );
    }

    #[test]
    fn damaged_frames_are_refused() {
        for frame in [[2, 1, 0, 0, 0, 0, 0, 3], [9; 8]] {
            let mut inbox = Inbox::new(BUFFER_BYTES);
            receive(&mut inbox, &frame);
            assert_eq!(inbox.message(three).unwrap_err().kind(), ErrorKind::Damaged);
        }
    }

    #[test]
    fn a_large_message_makes_the_buffer_grow_and_shrink_again() {
        let size = 3 * BUFFER_BYTES;
        let whole = |bytes: &[u8]| match size.checked_sub(bytes.len()) {
            None | Some(0) => Step::Done { value: bytes.len(), used: bytes.len() },
            Some(missing) => Step::Need(missing),
        };
        let stream = frame(&vec![7; size]);
        let mut inbox = Inbox::new(BUFFER_BYTES);
        receive(&mut inbox, &stream[..BUFFER_BYTES]);
        assert_eq!(inbox.message(whole).unwrap(), None);
        assert!(inbox.is_large());
        receive(&mut inbox, &stream[BUFFER_BYTES..]);
        assert_eq!(inbox.buffer.len(), size, "not a byte behind the message has come");
        assert_eq!(inbox.message(whole).unwrap(), Some(size));
        assert_eq!(inbox.buffer.len(), BUFFER_BYTES);
        assert!(inbox.is_finished() && !inbox.is_large());
        receive(&mut inbox, &frame(b"aaa"));
        assert_eq!(inbox.message(three).unwrap(), Some(b'a'));
    }
}
