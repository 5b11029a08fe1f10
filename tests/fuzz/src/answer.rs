//! The decoder of what a scan sends.

use asbackup_codec::Step;
use asbackup_codec::wire::{Answer, HEADER_BYTES, Message, decode_answer};
use asbackup_model::RecordLayout;
use asbackup_model::owned::Record;

use crate::{choices, record};

/// Reads any bytes as messages of a scan's answer; each record survives our encoders of the wire and of the text.
pub fn wire_answer(input: &[u8]) {
    let mut layout = RecordLayout::new();
    let mut rest = input;
    loop {
        match decode_answer(rest, &mut layout) {
            Step::Done { value, used } => {
                assert!((HEADER_BYTES..=rest.len()).contains(&used), "a message of {used} bytes");
                check_length(rest, used);
                check_cuts(&rest[..used]);
                if value == Answer::Record {
                    // Nothing behind the message belongs to the record.
                    let found = Record::from(layout.view(&rest[..used]));
                    record::check_answer(&found);
                    record::check_row(&found);
                    record::check_text(&found);
                }
                rest = &rest[used..];
            }
            Step::Need(bytes) => {
                assert!(bytes > 0, "nothing was asked for");
                return;
            }
            Step::Damaged(error) => {
                assert!(error.at() <= rest.len(), "{error} is behind the end");
                let again = decode_answer(rest, &mut layout);
                assert_eq!(again, Step::Damaged(error), "another answer to the same question");
                return;
            }
        }
    }
}

/// Checks that the decoder for any message finds the same end.
fn check_length(input: &[u8], expected: usize) {
    match Message::decode(input) {
        Step::Done { used, .. } => assert_eq!(used, expected),
        other => panic!("{other:?} in place of a message of {expected} bytes"),
    }
}

/// Checks at a few places that a cut message asks for more, and for no more than is missing.
fn check_cuts(message: &[u8]) {
    let mut layout = RecordLayout::new();
    let mut choices = choices(message);
    for _ in 0..3 {
        let cut = choices.usize(0..message.len());
        match decode_answer(&message[..cut], &mut layout) {
            Step::Need(missing) if (1..=message.len() - cut).contains(&missing) => {}
            other => panic!("{other:?} after {cut} of {} bytes", message.len()),
        }
    }
}
