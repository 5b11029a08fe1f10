//! What `--version` says.

use std::sync::LazyLock;

/// Returns the version, with commit and time of the build if whoever built it said so.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let known = [option_env!("ASBACKUP_COMMIT"), option_env!("ASBACKUP_BUILD_TIME")];
        text(env!("CARGO_PKG_VERSION"), known)
    });
    &VERSION
}

fn text(version: &str, known: [Option<&str>; 2]) -> String {
    let known: Vec<&str> = known.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    match known.is_empty() {
        true => version.to_owned(),
        false => format!("{version} ({})", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_and_time_are_said_where_they_are_known() {
        assert_eq!(text("0.1.0", [None, None]), "0.1.0");
        assert_eq!(text("0.1.0", [Some("25865c6"), None]), "0.1.0 (25865c6)");
        assert_eq!(text("0.1.0", [Some("25865c6"), Some("2026-01-01")]), "0.1.0 (25865c6, 2026-01-01)");
        assert_eq!(text("0.1.0", [Some(""), Some("2026-01-01")]), "0.1.0 (2026-01-01)");
    }
}
