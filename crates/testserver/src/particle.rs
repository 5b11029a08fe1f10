//! What the server asks of a value before it stores it. Source: docs/format/wire.md, "Particles".

use asbackup_codec::wire::ResultCode;
use asbackup_model::particle;

/// Returns why a value can't be stored, if so. Lists and maps are only looked at, not walked.
pub(crate) fn refusal(particle: u8, value: &[u8]) -> Option<ResultCode> {
    match particle {
        particle::INTEGER | particle::FLOAT => (value.len() != 8).then_some(ResultCode::PARAMETER),
        particle::BOOL => (!matches!(value, [0 | 1])).then_some(ResultCode::PARAMETER),
        particle::STRING | particle::BLOB | particle::JAVA_BLOB..=particle::ERLANG_BLOB => None,
        particle::HLL => (!is_hll(value)).then_some(ResultCode::PARAMETER),
        particle::LIST => {
            (!matches!(value, [0x90..=0x9f | 0xdc | 0xdd, ..])).then_some(ResultCode::SERVER_ERROR)
        }
        particle::MAP => {
            (!matches!(value, [0x80..=0x8f | 0xde | 0xdf, ..])).then_some(ResultCode::SERVER_ERROR)
        }
        particle::GEOJSON => (!is_geo_json(value)).then_some(ResultCode::GEOJSON),
        _ => Some(ResultCode::PARAMETER),
    }
}

/// Flags 0, bits of the index, bits of the minhash, a cached count of 8 bytes, and as many registers as the bits say.
fn is_hll(value: &[u8]) -> bool {
    let &[0, index_bits @ 4..=16, minhash_bits @ (0 | 4..=51), ..] = value else { return false };
    let register_bits = (HLL_BITS + usize::from(minhash_bits)) << index_bits;
    u32::from(index_bits) + u32::from(minhash_bits) <= 64
        && value.len() == HLL_HEAD_BYTES + register_bits.div_ceil(8)
}

/// Flags, a count of cells, that many cells of 8 bytes, and a JSON object.
fn is_geo_json(value: &[u8]) -> bool {
    let Some((&[_flags, high, low], rest)) = value.split_first_chunk() else { return false };
    let json = rest.get(8 * usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default();
    json.trim_ascii().first() == Some(&b'{') && json.trim_ascii().last() == Some(&b'}')
}

const HLL_BITS: usize = 6;
const HLL_HEAD_BYTES: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: u8, value: &[u8], expected: Option<ResultCode>) {
        assert_eq!(refusal(kind, value), expected, "{kind} {value:x?}");
    }

    #[test]
    fn values_of_fixed_length_have_it() {
        for kind in [particle::INTEGER, particle::FLOAT] {
            check(kind, &[0; 8], None);
            check(kind, &[0; 4], Some(ResultCode::PARAMETER));
        }
        check(particle::BOOL, &[1], None);
        check(particle::BOOL, &[2], Some(ResultCode::PARAMETER));
        check(particle::BOOL, &[], Some(ResultCode::PARAMETER));
    }

    #[test]
    fn any_bytes_are_a_string_or_a_blob() {
        for kind in [particle::STRING, particle::BLOB, particle::JAVA_BLOB, particle::ERLANG_BLOB] {
            check(kind, &[0xff, 0], None);
        }
    }

    #[test]
    fn unknown_types_are_refused() {
        for kind in [particle::NIL, 5, 6, 13, 99] {
            check(kind, &[0; 8], Some(ResultCode::PARAMETER));
        }
    }

    #[test]
    fn lists_and_maps_begin_as_such() {
        check(particle::LIST, &[0x91, 1], None);
        check(particle::LIST, &[0x81, 1, 1], Some(ResultCode::SERVER_ERROR));
        check(particle::MAP, &[0x81, 1, 1], None);
        check(particle::MAP, &[0x91, 1], Some(ResultCode::SERVER_ERROR));
        check(particle::MAP, &[], Some(ResultCode::SERVER_ERROR));
    }

    #[test]
    fn sketches_are_as_long_as_their_bits_say() {
        let sketch = |index_bits, minhash_bits, bytes| {
            let mut value = vec![0; bytes];
            (value[1], value[2]) = (index_bits, minhash_bits);
            value
        };
        check(particle::HLL, &sketch(4, 0, 11 + 12), None);
        check(particle::HLL, &sketch(8, 4, 11 + 320), None);
        check(particle::HLL, &sketch(4, 0, 11 + 13), Some(ResultCode::PARAMETER));
        check(particle::HLL, &sketch(3, 0, 11 + 6), Some(ResultCode::PARAMETER));
        check(particle::HLL, &sketch(16, 51, 11 + 57 * 8192), Some(ResultCode::PARAMETER));
        check(particle::HLL, &[0, 4], Some(ResultCode::PARAMETER));
        let mut flagged = sketch(4, 0, 11 + 12);
        flagged[0] = 1;
        check(particle::HLL, &flagged, Some(ResultCode::PARAMETER));
    }

    #[test]
    fn geo_values_hold_a_json_object_behind_their_cells() {
        check(particle::GEOJSON, b"\0\0\0 {\"type\":\"Point\"} ", None);
        check(particle::GEOJSON, b"\0\0\x01cellcell{}", None);
        check(particle::GEOJSON, b"\0\0\x01cell{}", Some(ResultCode::GEOJSON));
        check(particle::GEOJSON, b"\0\0\0nowhere", Some(ResultCode::GEOJSON));
        check(particle::GEOJSON, b"\0\0", Some(ResultCode::GEOJSON));
    }
}
