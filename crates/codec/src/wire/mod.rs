//! The protocol between client and server, as far as backup and restore need it. Client and test server share it.
//!
//! A connection carries frames ([`FrameHeader`]). A frame of type [`FrameKind::Message`] holds one or many messages
//! ([`Message`], [`decode_answer`]), one of type [`FrameKind::Info`] holds lines of text ([`info`]). A message has no
//! length of its own: where it ends is known only when its fields and ops have been walked. The facts about bytes are
//! in docs/format/wire.md.

mod answer;
mod auth;
mod batch;
mod error;
mod expression;
mod flags;
mod frame;
pub mod info;
mod message;
mod query;
mod result;
mod value;
mod write;

pub use answer::{Answer, decode_answer, encode_record_answer};
pub use auth::{AUTHENTICATE, LOGIN, SecurityMessage, credential};
pub use batch::{
    BatchAnswer, BatchRow, BatchRows, ROW_BYTES, RowAnswer, begin_batch, decode_batch_answer, encode_row,
    encode_row_alone, encode_row_of_bins, end_batch, patch_row, row_digest,
};
pub use error::{DecodeError, Rule};
pub use expression::Expression;
pub use flags::{field, info1, info2, info3, info4, op, ttl};
pub use frame::{FRAME_BYTES, FrameHeader, FrameKind, MAX_BODY_BYTES, begin_frame, end_frame};
pub use message::{Field, HEADER_BYTES, Message, MessageHeader, Op, put_field, put_op};
pub use query::{Content, QueryRequest, monitor_set_filter};
pub use result::ResultCode;
pub use value::{decode_key, decode_value};
pub use write::{ExistsRule, GenerationRule, WriteRules, encode_write};
