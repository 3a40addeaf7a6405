//! The example guests, built before the first test that needs one.
//!
//! The tests build them, and not a build script: the published crate has neither the guests nor a need of them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use super::{stderr, stdout};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What all guests are built from.
const SOURCES: [&str; 3] = ["examples/guests", "guest-sdk", "rust-toolchain.toml"];

/// Written by the Makefile when all guests are up to date; as old as the start of that build.
const STAMP: &str = "target/wasm/.built";

/// The directory `examples/guests`, with all guests built in `target/wasm`. The C guest is missing where clang is.
///
/// # Panics
///
/// If they cannot be built.
pub fn built_guests() -> PathBuf {
    // A failure is kept, too: each test that needs a guest fails with the same message, and none tries again.
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let dir = Path::new(ROOT).join("examples/guests");
    match BUILT.get_or_init(|| build(&dir)) {
        Ok(()) => dir,
        Err(message) => panic!("the example guests cannot be built: {message}"),
    }
}

/// Builds what is not up to date. One process at a time does so, and the others then find everything built.
fn build(dir: &Path) -> Result<(), String> {
    if is_current(dir) {
        return Ok(());
    }
    let target = dir.join("target");
    let locked = fs::create_dir_all(&target).and_then(|()| File::create(target.join("wasm.lock")));
    let lock = locked.and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| format!("{}: {error}", target.display()))?;
    if is_current(dir) { Ok(()) } else { make(dir) }
}

fn make(dir: &Path) -> Result<(), String> {
    let mut make = Command::new("make");
    make.arg("--no-print-directory").arg("-C").arg(dir).stdin(Stdio::null());
    // Of a make that runs these tests.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("MAKELEVEL");
    tell(b"building the example guests\n");
    let output = make.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => "install make".to_owned(),
        _ => format!("make: {error}"),
    })?;
    if !output.status.success() {
        return Err(if lacks_wasm_target() {
            "run `rustup target add wasm32-wasip1`".to_owned()
        } else {
            format!("`make guests` fails:\n{}", stderr(&output))
        });
    }
    // That a guest was skipped.
    tell(&output.stderr);
    Ok(())
}

/// Writes to standard error. `eprint` would show nothing of tests that pass.
fn tell(text: &[u8]) {
    // It is no harm if nobody reads it.
    let _ = std::io::stderr().write_all(text);
}

/// Whether the toolchain that builds the guests is there, and the standard library of their target is not.
fn lacks_wasm_target() -> bool {
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", "wasm32-wasip1"]).output();
    rustc.is_ok_and(|rustc| rustc.status.success() && !Path::new(stdout(&rustc).trim()).is_dir())
}

/// Whether no source was changed since all guests were built, and the C guest is there if it can be.
fn is_current(dir: &Path) -> bool {
    let Ok(built) = fs::metadata(dir.join(STAMP)).and_then(|stamp| stamp.modified()) else { return false };
    let clang = std::env::var_os("CLANG").unwrap_or("clang".into());
    let has_clang =
        || Command::new(&clang).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let is_older = |source: &&str| newest(&Path::new(ROOT).join(source)).is_some_and(|changed| changed < built);
    SOURCES.iter().all(is_older) && (dir.join("target/wasm/wordcount-c.wasm").exists() || !has_clang())
}

/// When the file, or the last of all in the directory, was changed; without what was built. `None` if it cannot be read.
fn newest(path: &Path) -> Option<SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    let mut newest = metadata.modified().ok()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).ok()? {
            let path = entry.ok()?.path();
            if path.file_name() != Some(OsStr::new("target")) {
                newest = newest.max(self::newest(&path)?);
            }
        }
    }
    Some(newest)
}
