//! From one form of a record to the other, in one synchronous pass that allocates nothing per record.

pub(crate) mod to_rows;
pub(crate) mod to_text;
