//! What holds for each record, wherever it was decoded from.

use asbackup_codec::Step;
use asbackup_codec::asb::Spelling;
use asbackup_codec::wire::{
    self, Answer, BatchRows, FRAME_BYTES, Message, WriteRules, decode_key, decode_value, field,
};
use asbackup_model::owned::{OwnedKey, OwnedValue, Record};
use asbackup_model::{BytesType, RecordLayout};

use crate::asb::{self, Entry};

/// Checks that a server which reads the row of a record in a batch gets the record.
pub(crate) fn check_row(record: &Record) {
    let layout = record.layout();
    let mut frame = Vec::new();
    let start = wire::begin_batch(&mut frame, 0);
    let row_at = frame.len();
    wire::encode_row(&mut frame, &layout.view(&[]), b"target", WriteRules::default());
    wire::patch_row(&mut frame[row_at..], INDEX, TTL);
    assert_eq!(wire::row_digest(&frame[row_at..]), record.digest);
    wire::end_batch(&mut frame, start, 1);

    let Step::Done { value: message, used } = Message::decode(&frame[FRAME_BYTES..]) else {
        panic!("a batch of ours can't be read")
    };
    assert_eq!(used, frame.len() - FRAME_BYTES);
    let data = message.field(field::BATCH).expect("a batch has a field with its rows");
    let mut rows = BatchRows::new(data).expect("the rows have a count and flags");
    let row = rows.next().expect("there is a row").expect("a row of ours can be read");
    assert!(rows.next().is_none());
    let header = row.message.header;
    assert_eq!((row.index, row.digest, header.ttl), (INDEX, record.digest, TTL));
    assert_eq!(header.generation, u32::from(record.generation));
    assert_eq!(row.message.field(field::NAMESPACE), Some(&b"target"[..]));
    assert_eq!(row.message.field(field::SET), record.set.as_deref().filter(|set| !set.is_empty()));
    let key = row.message.field(field::USER_KEY).and_then(decode_key);
    assert_eq!(key.map(OwnedKey::from), record.key);
    let bins: Vec<_> = row
        .message
        .ops()
        .map(|op| (op.name.to_vec(), OwnedValue::from(decode_value(op.particle, op.value))))
        .collect();
    assert_eq!(bins, bins_to_write(record));
}

/// Returns the bins that a write sends: those with a value, names cut at what a message has room for.
fn bins_to_write(record: &Record) -> Vec<(Vec<u8>, OwnedValue)> {
    let with_value = record.bins.iter().filter(|(_, value)| *value != OwnedValue::Nil);
    with_value.map(|(name, value)| (name.iter().copied().take(255).collect(), value.clone())).collect()
}

/// Checks that a record of a scan, sent again by our encoder, is the same record.
pub(crate) fn check_answer(record: &Record) {
    let mut message = Vec::new();
    wire::encode_record_answer(&mut message, &record.layout().view(&[]));
    let mut layout = RecordLayout::new();
    let done = Step::Done { value: Answer::Record, used: message.len() };
    assert_eq!(wire::decode_answer(&message, &mut layout), done);
    assert_eq!(Record::from(layout.view(&message)), *record);
}

/// Checks that a record of a scan comes back from the text of a backup.
pub(crate) fn check_text(record: &Record) {
    let entry = Entry::Record(record.clone());
    if !entry.fits() {
        return;
    }
    let expected = Entry::Record(left_in_text(without_repeated_bins(record.clone())));
    for spelling in [Spelling::Base64, Spelling::Compact] {
        let outcome = asb::read(&[&asb::write(std::slice::from_ref(&entry), spelling)]);
        assert_eq!(outcome.end, Ok(()));
        assert_eq!(outcome.entries, std::slice::from_ref(&expected));
    }
}

/// Returns what is left of a record in the text: one NaN for all, and no unknown particle types.
pub(crate) fn left_in_text(mut record: Record) -> Record {
    if let Some(OwnedKey::Float(bits)) = &mut record.key {
        *bits = one_nan(*bits);
    }
    for (_, value) in &mut record.bins {
        match value {
            OwnedValue::Float(bits) => *bits = one_nan(*bits),
            OwnedValue::Bytes(kind @ BytesType::Unknown(_), _) => *kind = BytesType::Blob,
            _ => {}
        }
    }
    record
}

fn one_nan(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() { f64::NAN.to_bits() } else { bits }
}

/// Drops each bin whose name comes again later, slowly and plainly.
fn without_repeated_bins(mut record: Record) -> Record {
    let names: Vec<_> = record.bins.iter().map(|(name, _)| name.clone()).collect();
    let mut later = names.iter();
    record.bins.retain(|(name, _)| {
        later.next();
        !later.as_slice().contains(name)
    });
    record
}

const INDEX: u32 = 7;
const TTL: u32 = 9;
