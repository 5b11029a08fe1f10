//! Filter expressions of scans: as much as backups send. Source: docs/format/wire.md, "Filters".
//!
//! An expression is an array in `MessagePack`: an operator and what it works on. Comparisons, `and`, `or` and `not` over
//! numbers, strings, bins and what is known about a record are understood; everything else is refused.

use asbackup_codec::wire::{ResultCode, decode_value};
use asbackup_model::{Value, VoidTime};

use crate::namespace::Record;
use crate::stored::Stored;

/// A filter expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Expression);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Integer(i64),
    String(Vec<u8>),
    Compare(Comparison, Box<(Self, Self)>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    LastUpdate,
    VoidTime,
    Ttl,
    SetName,
    Bin(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What an expression comes to for one record. Nothing is known of a bin that isn't there, nor of what can't be
/// compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term<'a> {
    Integer(i64),
    String(&'a [u8]),
    Bool(bool),
    Unknown,
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// With the code for the client if it isn't understood.
    pub(crate) fn parse(expression: &[u8]) -> Result<Self, ResultCode> {
        let mut reader = Reader { rest: expression };
        match reader.expression(MAX_DEPTH) {
            Some(expression) if reader.rest.is_empty() => Ok(Self(expression)),
            _ => Err(ResultCode::PARAMETER),
        }
    }

    /// Returns whether a record passes. One of which too little is known doesn't.
    pub(crate) fn keeps(&self, namespace: &[u8], record: &Record, now_s: u32) -> bool {
        let subject = Subject { namespace, record, now_s };
        subject.evaluate(&self.0) == Term::Bool(true)
    }
}

/// What an expression is about.
struct Subject<'a> {
    namespace: &'a [u8],
    record: &'a Record,
    now_s: u32,
}

impl<'a> Subject<'a> {
    fn evaluate<'e: 'a>(&self, expression: &'e Expression) -> Term<'a> {
        let stored = Stored(&self.record.message);
        match expression {
            Expression::Integer(value) => Term::Integer(*value),
            Expression::String(value) => Term::String(value),
            Expression::Compare(comparison, sides) => {
                compare(*comparison, self.evaluate(&sides.0), self.evaluate(&sides.1))
            }
            Expression::And(parts) => self.join(parts, false),
            Expression::Or(parts) => self.join(parts, true),
            Expression::Not(part) => match self.evaluate(part) {
                Term::Bool(value) => Term::Bool(!value),
                _ => Term::Unknown,
            },
            Expression::LastUpdate => Term::Integer(self.record.last_update_ns.cast_signed()),
            Expression::VoidTime => Term::Integer(void_time_ns(stored.void_time_s())),
            Expression::Ttl => Term::Integer(match stored.void_time_s() {
                0 => NEVER,
                void_time_s => i64::from(void_time_s) - i64::from(self.now_s),
            }),
            Expression::SetName => Term::String(stored.set(self.namespace).unwrap_or_default()),
            Expression::Bin(name) => match stored.message().ops().find(|bin| bin.name == *name) {
                Some(bin) => match decode_value(bin.particle, bin.value) {
                    Value::Integer(value) => Term::Integer(value),
                    Value::String(value) => Term::String(value),
                    Value::Bool(value) => Term::Bool(value),
                    _ => Term::Unknown,
                },
                None => Term::Unknown,
            },
        }
    }

    /// Joins parts of which a single one that is `decisive` decides, whatever the others are.
    fn join<'e: 'a>(&self, parts: &'e [Expression], decisive: bool) -> Term<'a> {
        let mut joined = Term::Bool(!decisive);
        for part in parts {
            match self.evaluate(part) {
                Term::Bool(value) if value == decisive => return Term::Bool(decisive),
                Term::Bool(_) => {}
                _ => joined = Term::Unknown,
            }
        }
        joined
    }
}

fn compare(comparison: Comparison, left: Term<'_>, right: Term<'_>) -> Term<'static> {
    let order = match (left, right) {
        (Term::Integer(left), Term::Integer(right)) => left.cmp(&right),
        (Term::String(left), Term::String(right)) => left.cmp(right),
        (Term::Bool(left), Term::Bool(right)) => left.cmp(&right),
        _ => return Term::Unknown,
    };
    Term::Bool(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
    })
}

fn void_time_ns(void_time_s: u32) -> i64 {
    match void_time_s {
        0 => NEVER,
        void_time_s => (i64::from(void_time_s) + VoidTime::EPOCH_UNIX_SECONDS.cast_signed())
            .saturating_mul(1_000_000_000),
    }
}

/// Reads an expression from its front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn expression(&mut self, depth: usize) -> Option<Expression> {
        match self.rest.first()? {
            0x90..=0x9f | 0xdc | 0xdd => self.operation(depth.checked_sub(1)?),
            0xa0..=0xbf | 0xd9..=0xdb => match self.string()?.split_first()? {
                (&STRING_TYPE, text) => Some(Expression::String(text.to_vec())),
                _ => None,
            },
            _ => self.integer().map(Expression::Integer),
        }
    }

    fn operation(&mut self, depth: usize) -> Option<Expression> {
        let len = match self.byte()? {
            0xdc => self.length(2)?,
            0xdd => self.length(4)?,
            head => usize::from(head & 0x0f),
        };
        let arguments = len.checked_sub(1)?;
        let operator = self.integer()?;
        let parts =
            |reader: &mut Self| (0..arguments).map(|_| reader.expression(depth)).collect::<Option<Vec<_>>>();
        Some(match (operator, arguments) {
            (1..=6, 2) => {
                let comparison = COMPARISONS[usize::try_from(operator).ok()? - 1];
                Expression::Compare(comparison, Box::new((self.expression(depth)?, self.expression(depth)?)))
            }
            (16, _) => Expression::And(parts(self)?),
            (17, _) => Expression::Or(parts(self)?),
            (18, 1) => Expression::Not(Box::new(self.expression(depth)?)),
            (66, 0) => Expression::LastUpdate,
            (68, 0) => Expression::VoidTime,
            (69, 0) => Expression::Ttl,
            (70, 0) => Expression::SetName,
            (81, 2) => {
                let _type_of_bin = self.integer()?;
                Expression::Bin(self.string()?.to_vec())
            }
            _ => return None,
        })
    }

    fn integer(&mut self) -> Option<i64> {
        let head = self.byte()?;
        match head {
            0x00..=0x7f | 0xe0..=0xff => Some(i64::from(head.cast_signed())),
            0xcc..=0xcf => i64::try_from(u64::from_be_bytes(self.padded(0, 1 << (head - 0xcc))?)).ok(),
            0xd0..=0xd3 => {
                let width = 1 << (head - 0xd0);
                let sign = if self.rest.first()? & 0x80 == 0 { 0 } else { 0xff };
                Some(i64::from_be_bytes(self.padded(sign, width)?))
            }
            _ => None,
        }
    }

    /// Reads a number of that many bytes, with others in front that bring it to 8.
    fn padded(&mut self, front: u8, width: usize) -> Option<[u8; 8]> {
        let mut bytes = [front; 8];
        bytes[8 - width..].copy_from_slice(self.take(width)?);
        Some(bytes)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let bytes = match self.byte()? {
            head @ 0xa0..=0xbf => usize::from(head & 0x1f),
            head @ 0xd9..=0xdb => self.length(1 << (head - 0xd9))?,
            _ => return None,
        };
        self.take(bytes)
    }

    /// Reads a length of that many bytes.
    fn length(&mut self, width: usize) -> Option<usize> {
        usize::try_from(u64::from_be_bytes(self.padded(0, width)?)).ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
];
/// Void time and TTL of a record that never expires.
const NEVER: i64 = -1;
/// Stands before the text of a string that is a value.
const STRING_TYPE: u8 = 3;
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use asbackup_codec::wire::{Expression as Sent, monitor_set_filter, op, put_op};
    use asbackup_model::{Digest, particle};

    use super::*;
    use crate::stored::{Head, put_head};

    /// Returns a record with the bin `age`, last updated at this time.
    fn record(set: Option<&[u8]>, age: i64, void_time_s: u32, last_update_ns: u64) -> Record {
        let head = Head {
            namespace: b"test",
            digest: Digest::default(),
            set,
            key: None,
            generation: 1,
            void_time_s,
        };
        let mut message = Vec::new();
        put_head(&mut message, &head, 1);
        put_op(&mut message, op::READ, particle::INTEGER, b"age", &age.to_be_bytes());
        Record { last_update_ns, message: message.into() }
    }

    fn keeps(expression: &[u8], record: &Record) -> bool {
        Filter::parse(expression).unwrap().keeps(b"test", record, 1000)
    }

    /// Returns a recorded expression.
    fn recorded(name: &str) -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/wire/filters.json");
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let filters = file["filters"].as_array().unwrap();
        let filter = filters.iter().find(|filter| filter["name"] == name).unwrap();
        base64_simd::STANDARD.decode_to_vec(filter["base64"].as_str().unwrap()).unwrap()
    }

    const FROM_NS: u64 = 1_700_000_000_000_000_000;
    const TO_NS: u64 = 1_800_000_000_123_456_789;

    #[test]
    fn monitor_records_are_kept_out() {
        assert!(!keeps(monitor_set_filter(), &record(Some(b"<ERO~MRT"), 1, 0, 1)));
        assert!(keeps(monitor_set_filter(), &record(Some(b"demo"), 1, 0, 1)));
        assert!(keeps(monitor_set_filter(), &record(None, 1, 0, 1)));
    }

    #[test]
    fn times_of_update_have_an_inclusive_lower_and_an_exclusive_upper_bound() {
        let table = [
            ("after", FROM_NS - 1, false),
            ("after", FROM_NS, true),
            ("before", TO_NS - 1, true),
            ("before", TO_NS, false),
            ("between", FROM_NS - 1, false),
            ("between", FROM_NS, true),
            ("between", TO_NS, false),
        ];
        for (name, updated_ns, kept) in table {
            assert_eq!(keeps(&recorded(name), &record(None, 1, 0, updated_ns)), kept, "{name} {updated_ns}");
        }
    }

    #[test]
    fn records_with_a_ttl_are_told_from_others() {
        assert!(keeps(&recorded("no_ttl"), &record(None, 1, 0, 1)));
        assert!(!keeps(&recorded("no_ttl"), &record(None, 1, 2000, 1)));
        let ttl_over_999 = b"\x93\x03\x91\x45\xcd\x03\xe7";
        assert!(keeps(ttl_over_999, &record(None, 1, 2000, 1)));
        assert!(!keeps(ttl_over_999, &record(None, 1, 1999, 1)));
        let void_time_unset = b"\x93\x01\x91\x44\xd0\xff";
        assert!(keeps(void_time_unset, &record(None, 1, 0, 1)));
        assert!(!keeps(void_time_unset, &record(None, 1, 2000, 1)));
    }

    #[test]
    fn a_user_s_filter_sees_bins() {
        assert!(keeps(&recorded("user"), &record(None, 65, 0, 1)));
        assert!(!keeps(&recorded("user"), &record(None, 64, 0, 1)));
        assert!(keeps(&recorded("all"), &record(None, 65, 0, FROM_NS)));
        assert!(!keeps(&recorded("all"), &record(None, 65, 9, FROM_NS)));
    }

    #[test]
    fn records_of_several_sets_are_told_from_others() {
        let names: Vec<Vec<u8>> =
            (0..20).map(|number| vec![b'a' + number; 20 * (usize::from(number) + 1)]).collect();
        let filter = Sent::in_sets(names.iter().map(Vec::as_slice)).into_bytes();
        for set in [&names[0], &names[1], &names[19]] {
            assert!(keeps(&filter, &record(Some(set), 1, 0, 1)));
        }
        assert!(!keeps(&filter, &record(Some(b"other"), 1, 0, 1)) && !keeps(&filter, &record(None, 1, 0, 1)));
    }

    #[test]
    fn what_is_unknown_neither_passes_nor_passes_when_negated() {
        let missing = b"\x93\x01\x93\x51\x02\xa1x\x01";
        let true_part = b"\x93\x01\x01\x01";
        let one = record(None, 1, 0, 1);
        assert!(!keeps(missing, &one));
        assert!(!keeps(&[&b"\x92\x12"[..], missing].concat(), &one));
        assert!(!keeps(&[&b"\x93\x10"[..], missing, true_part].concat(), &one));
        assert!(keeps(&[&b"\x93\x11"[..], missing, true_part].concat(), &one));
        assert!(!keeps(b"\x93\x01\xa2\x03x\x01", &one));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let deep = [&[0x92, 18].repeat(17)[..], b"\x93\x01\x01\x01"].concat();
        let table: [&[u8]; 9] = [
            b"",
            b"\x90",
            b"\x92\x07\x01",
            b"\x93\x01\x01",
            b"\x93\x01\x01\x01\x01",
            b"\x93\x01\x01\xa2\x04x",
            b"\x93\x01\x01\xc3",
            b"\x93\x01\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            &deep,
        ];
        for expression in table {
            assert_eq!(Filter::parse(expression), Err(ResultCode::PARAMETER), "{expression:x?}");
        }
    }
}
