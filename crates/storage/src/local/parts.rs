//! Directories that are read together: those of a list, and those below one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Local, Shape};
use crate::{Action, Error};

/// One of several directories that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The directory that was named: this one, or one that it lies below.
    pub root: PathBuf,
    /// The directory by itself.
    pub directory: Local,
    /// What the names of its files begin with among those of all.
    pub prefix: PathBuf,
}

impl Local {
    /// Returns each of several directories by itself, those below a directory in the order of their paths' bytes; none if
    /// this isn't several.
    ///
    /// # Errors
    /// If a directory can't be listed below which others are to be found.
    pub fn parts(&self) -> Result<Option<Vec<Part>>, Error> {
        let with_path = |root: &Path, below: &Path| Part::new(root, below, at(root, below));
        Ok(Some(match &self.shape {
            Shape::Directory | Shape::File | Shape::Streams => return Ok(None),
            Shape::Directories(paths) => paths.iter().map(|path| with_path(path, Path::new(""))).collect(),
            Shape::Tree => {
                let below = tree(&self.path)?;
                below.into_iter().map(|below| Part::new(&self.path, &below, below.clone())).collect()
            }
            Shape::Trees(paths) => {
                let mut parts = Vec::new();
                for path in paths {
                    parts.extend(tree(path)?.iter().map(|below| with_path(path, below)));
                }
                parts
            }
        }))
    }
}

impl Part {
    fn new(root: &Path, below: &Path, prefix: PathBuf) -> Self {
        Self { root: root.to_owned(), directory: Local::directory(at(root, below)), prefix }
    }
}

/// Returns the path of a directory below another one; empty: the other one itself.
fn at(root: &Path, below: &Path) -> PathBuf {
    // To join nothing would add a separator.
    if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) }
}

/// Returns a directory and all those below it by their paths within it. Links to directories aren't followed: they may lead
/// in circles, or to what is found anyway.
fn tree(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = vec![PathBuf::new()];
    let mut listed = 0;
    while let Some(directory) = found.get(listed).cloned() {
        found.extend(directories_in(root, &directory)?);
        listed += 1;
    }
    // Paths compare by their parts otherwise.
    found.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(found)
}

fn directories_in(root: &Path, directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let path = at(root, directory);
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::new(Action::List, &path))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::new(Action::List, &path))?;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.push(directory.join(entry.file_name())),
            Ok(_) => {}
            // Removed just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::new(Action::List, entry.path())(error)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a directory with these directories below it.
    fn directory(below: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for path in below {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        directory
    }

    fn prefixes(local: &Local) -> Vec<PathBuf> {
        local.parts().unwrap().unwrap().into_iter().map(|part| part.prefix).collect()
    }

    #[test]
    fn directories_below_are_in_the_order_of_their_bytes() {
        let root = directory(&["b", "a/c", "a-b", "a"]);
        let tree = Local::tree(root.path());
        assert_eq!(prefixes(&tree), ["", "a", "a-b", "a/c", "b"].map(PathBuf::from));
        let parts = tree.parts().unwrap().unwrap();
        assert!(parts.iter().all(|part| part.root == root.path()));
        let paths: Vec<&Path> = parts.iter().map(|part| part.directory.path()).collect();
        let expected = parts.iter().map(|part| root.path().join(&part.prefix));
        assert_eq!(paths, expected.collect::<Vec<_>>());
        assert!(!paths[0].to_str().unwrap().ends_with('/'));
    }

    #[test]
    fn names_of_several_trees_begin_with_the_paths_of_their_directories() {
        let root = directory(&["x/a", "y"]);
        let [x, y] = ["x", "y"].map(|name| root.path().join(name));
        fs::write(x.join("a/1.asb"), "one").unwrap();
        let trees = Local::trees([y.clone(), x.clone()]);
        assert_eq!(prefixes(&trees), [y, x.clone(), x.join("a")]);
        let [file] = trees.list().unwrap().try_into().unwrap();
        assert_eq!((file.name.as_str(), file.bytes), (x.join("a/1.asb").to_str().unwrap(), 3));
        let text = io::read_to_string(trees.read(&file.name).unwrap()).unwrap();
        assert_eq!(text, "one");
    }

    #[test]
    fn names_in_one_tree_are_those_within_it() {
        let root = directory(&["a/b"]);
        for name in ["1.asb", "a/b/2.asb"] {
            fs::write(root.path().join(name), name).unwrap();
        }
        let tree = Local::tree(root.path());
        let names: Vec<String> = tree.list().unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["1.asb", "a/b/2.asb"]);
        let text = io::read_to_string(tree.read("a/b/2.asb").unwrap()).unwrap();
        assert_eq!(text, "a/b/2.asb");
    }

    #[test]
    fn links_to_directories_are_not_followed_but_the_root_may_be_one() {
        let root = directory(&["in/a"]);
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(root.path().join(to), root.path().join(name)).unwrap();
        };
        link("in", "in/a/circle");
        link("in", "link");
        assert_eq!(prefixes(&Local::tree(root.path().join("link"))), ["", "a"].map(PathBuf::from));
    }

    #[test]
    fn tree_is_only_read_and_one_that_is_not_there_is_empty() {
        let root = directory(&[]);
        let tree = Local::tree(root.path().join("none"));
        assert_eq!(prefixes(&tree), [PathBuf::new()]);
        assert!(tree.list().unwrap().is_empty());
        for tree in [tree, Local::trees([root.path().join("none")])] {
            assert_eq!(tree.prepare().unwrap_err().source.kind(), io::ErrorKind::Unsupported);
            assert!(tree.is_recursive() && !tree.is_directory());
        }
        assert!(!root.path().join("none").exists());
    }

    #[test]
    fn directory_that_cannot_be_listed_is_named() {
        let root = directory(&[]);
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Local::tree(&file).parts().unwrap_err();
        assert_eq!((error.action, error.path), (Action::List, file));
    }

    #[test]
    fn directory_below_that_cannot_be_listed_is_named() {
        // No path may have more than 4,096 bytes, which holds for every user.
        let [part, root] = [(); 2].map(|()| directory(&[["a".repeat(200).as_str(); 12].join("/").as_str()]));
        let mut deepest = root.path().to_owned();
        while let Some(below) = directories_in(&deepest, Path::new("")).unwrap().pop() {
            deepest.push(below);
        }
        fs::rename(part.path().join("a".repeat(200)), deepest.join("b")).unwrap();
        let error = Local::tree(root.path()).parts().unwrap_err();
        assert_eq!((error.action, error.source.kind()), (Action::List, io::ErrorKind::InvalidFilename));
        assert!(error.path.starts_with(deepest.join("b")), "{error}");
    }
}
