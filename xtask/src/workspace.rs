//! Where the parts of this repository are, and how they are built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::process;

/// This repository and its target folder.
#[derive(Debug)]
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo about the workspace that this program was built in.
    pub(crate) fn locate() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
        Ok(Self { metadata })
    }

    /// Returns the members and what their manifests ask for.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the path of `name` in the repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.metadata.workspace_root.join(name).into()
    }

    /// Returns the path of `name` in the target folder.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.metadata.target_directory.join(name).into()
    }

    /// Returns a call of cargo in this workspace.
    pub(crate) fn cargo<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.metadata.workspace_root).args(args);
        command
    }

    /// Builds every program of the workspace with optimisations.
    pub(crate) fn build_programs(&self) -> Result<()> {
        process::run(&mut self.cargo(["build", "--release", "--workspace", "--bins"]))
    }

    /// Returns a program that [`Self::build_programs`] built.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target("release").join(name)
    }

    /// Checks, tests and builds the driver over backup-go, and returns its path.
    pub(crate) fn build_driver(&self) -> Result<PathBuf> {
        process::require("go", "version", "the interop driver is a Go module")?;
        let driver = self.target("interop/driver");
        let go = |args: &[&str]| {
            let mut command = Command::new("go");
            command.current_dir(self.path("interop/go")).args(args);
            command
        };
        process::run(&mut go(&["vet", "./..."]))?;
        process::run(&mut go(&["test", "./..."]))?;
        process::run(go(&["build", "-trimpath", "-o"]).arg(&driver))?;
        Ok(driver)
    }

    /// Makes a Python environment with the pinned packages of the interop check, and returns its interpreter.
    pub(crate) fn python(&self) -> Result<PathBuf> {
        process::require("python3", "--version", "the check with the official Python client needs it")?;
        let requirements = self.path("interop/python/requirements.txt");
        ensure!(requirements.is_file(), "{} is missing", requirements.display());
        let environment = self.target("interop/venv");
        let python = environment.join("bin/python");
        if !python.is_file() {
            process::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        }
        process::run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements))
            .context("install the Python client")?;
        Ok(python)
    }
}
