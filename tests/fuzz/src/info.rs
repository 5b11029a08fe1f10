//! The parsers of info replies.

use asbackup_cluster::{ServerIndex, fuzz::parse_reply};
use asbackup_codec::asb::Spelling;
use asbackup_codec::wire::{FRAME_BYTES, info};
use asbackup_model::SecondaryIndex;

use crate::asb::{self, Entry};

/// Reads any bytes as an info request, as an info reply, and as what the server says to one command.
pub fn wire_info(input: &[u8]) {
    let commands: Vec<_> = info::commands(input).collect();
    let mut frame = Vec::new();
    info::encode_request(&mut frame, &commands);
    assert!(info::commands(&frame[FRAME_BYTES..]).eq(commands.iter().copied()), "another request");
    let mut replies = 0;
    for (command, reply) in info::replies(input) {
        assert!(!command.contains(&b'\t') && !reply.contains(&b'\n'));
        check_reply(reply);
        replies += 1;
    }
    assert_eq!(replies, commands.len());
    if !input.contains(&b'\n') {
        check_reply(input);
    }
}

fn check_reply(reply: &[u8]) {
    match (info::check(reply), info::check_udf(reply)) {
        (Ok(passed), Ok(udf)) => assert_eq!((passed, udf), (reply, reply)),
        (Err(refusal), Err(udf)) => {
            assert_eq!(refusal, udf);
            assert!(!refusal.to_string().is_empty());
        }
        (Ok(_), Err(refusal)) => assert!(!refusal.to_string().is_empty()),
        (Err(refusal), Ok(_)) => panic!("{refusal} only without UDFs"),
    }
    for index in parse_reply(reply) {
        if let ServerIndex::Secondary(index) = index {
            check_index(index);
        }
    }
}

/// Checks that an index which a server lists comes back from the text of a backup.
fn check_index(index: SecondaryIndex) {
    // The text has one place for both, and reads it as the expression. Source: docs/format/asb.md, "Global lines".
    let has_both = index.context.is_some() && index.expression.is_some();
    let entry = Entry::Index(index);
    if has_both || !entry.fits() {
        return;
    }
    let outcome = asb::read(&[&asb::write(std::slice::from_ref(&entry), Spelling::Base64)]);
    assert_eq!(outcome.end, Ok(()));
    assert_eq!(outcome.entries, [entry]);
}
