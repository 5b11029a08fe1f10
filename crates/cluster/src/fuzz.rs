//! A door for fuzz targets to the parsers of what a server says, which are no business of other crates.

use crate::ServerIndex;
use crate::replies::{self, Build};

/// Gives a reply to each parser, whatever it is the reply to, and returns the indexes that it lists if it is such a list.
///
/// # Panics
/// If a parser does, or if what it found can't be.
#[must_use]
pub fn parse_reply(reply: &[u8]) -> Vec<ServerIndex> {
    if let Ok(masters) = replies::masters(reply) {
        for masters in masters {
            let owned =
                (0..usize::from(asbackup_model::PARTITIONS)).filter(|id| masters.contains(*id)).count();
            let bits: u32 = masters.bitmap.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!(owned, bits as usize, "a partition for each bit");
        }
    }
    // Refusing a reply is as good as taking it: only a panic is wrong.
    let _ = (replies::peers(reply), Build::parse(reply), replies::udf_names(reply));
    let _ = (replies::statistic(reply, "objects"), replies::objects_in_sets(reply, &[b"demo"]));
    let _ = replies::racks(reply, b"test");
    if let Ok(Some(held)) = replies::replicas(reply, b"test") {
        let _ = asbackup_model::PartitionId::all().filter_map(|id| held.column(id)).count();
    }
    replies::indexes(reply)
}
