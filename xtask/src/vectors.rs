//! `vectors`: the golden files against the codec.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Runs the codec's tests over files of backup-go and bytes recorded from a real server. Those over files print how many
/// there are of which kind.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut test = workspace.cargo(["test", "--package", "asbackup-codec", "--test", "it", "--"]);
    process::run(test.args(["asb_vectors", "wire_info", "wire_replies", "wire_requests", "--nocapture"]))
}
