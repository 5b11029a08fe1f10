//! Where the tools keep what they would have to do again, as the XDG Base Directory Specification has it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Returns the folder for what this program keeps, if the user has a place for such things.
pub(crate) fn directory() -> Option<PathBuf> {
    choose(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME"))
}

/// A path that isn't absolute is to be ignored. Source: the specification, "Environment variables".
fn choose(cache: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| Path::is_absolute(path);
    let cache = cache.map(PathBuf::from).filter(absolute);
    let home = home.map(PathBuf::from).filter(absolute).map(|home| home.join(".cache"));
    Some(cache.or(home)?.join("asbackup"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_the_one_of_the_user() {
        let choose = |cache: &str, home: &str| choose(Some(cache.into()), Some(home.into()));
        assert_eq!(choose("/c", "/h"), Some("/c/asbackup".into()));
        assert_eq!(choose("", "/h"), Some("/h/.cache/asbackup".into()));
        assert_eq!(choose("c", "/h"), Some("/h/.cache/asbackup".into()));
        assert_eq!(choose("", ""), None);
    }
}
