//! The files of a new project.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::cli::errors::usage;
use crate::report::shown_path;

/// A file of a project: its path in it, and its text.
pub type File = (&'static str, String);

/// Makes the directory, which must not exist, and writes the files into it. If that fails, it leaves nothing.
pub fn write(directory: &Path, files: &[File]) -> anyhow::Result<()> {
    let shown = shown_path(directory);
    // That of a plain name is empty.
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    match fs::create_dir(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(anyhow!("{shown} exists; give another name"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound && parent.is_some_and(|parent| !parent.exists()) => {
            let parent = shown_path(parent.unwrap_or(directory));
            return Err(anyhow!("cannot make directory {shown}: there is no {parent}; make that first"));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot make directory {shown}")),
    }
    let written = files.iter().try_for_each(|(path, text)| {
        let path = directory.join(path);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        parent.and_then(|()| fs::write(&path, text)).with_context(|| format!("cannot write {}", shown_path(&path)))
    });
    if written.is_err() {
        // The first error matters more.
        let _ = fs::remove_dir_all(directory);
    }
    written
}

/// The folder of the SDK for Rust: the one that was given, or that of the clone in which this command was built.
pub fn rust_sdk(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        let sdk = fs::canonicalize(path).ok().filter(|path| is_sdk(path));
        return sdk.ok_or_else(|| {
            usage(format!("--sdk {}: that is no folder guest-sdk of a clone of wrun", shown_path(path)))
        });
    }
    let command = std::env::current_exe().context("cannot find this command's own file")?;
    let sdk = command.ancestors().map(|folder| folder.join("guest-sdk")).find(|path| is_sdk(path));
    sdk.ok_or_else(|| {
        usage("a project in Rust needs the crate wrun-guest, which is on no registry yet: name the folder guest-sdk of a clone of wrun with --sdk")
    })
}

fn is_sdk(path: &Path) -> bool {
    fs::read_to_string(path.join("Cargo.toml")).is_ok_and(|manifest| manifest.contains("name = \"wrun-guest\""))
}
