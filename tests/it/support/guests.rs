//! The example guests, built before the first test that needs one.
//!
//! The tests build them rather than a build script, because the published crate neither contains nor needs them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use super::{stderr, stdout};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The sources of all guests.
const SOURCES: [&str; 3] = ["examples/guests", "guest-sdk", "rust-toolchain.toml"];

/// Written by the Makefile when all guests are up to date; its time is the start of that build.
const STAMP: &str = "target/wasm/.built";

/// The directory `examples/guests`, with all guests built in `target/wasm`. Without clang, the C guest is missing.
///
/// # Panics
///
/// If they cannot be built.
pub fn built_guests() -> PathBuf {
    // A failure is remembered, too: each test that needs a guest fails with the same message, and none tries again.
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let dir = Path::new(ROOT).join("examples/guests");
    match BUILT.get_or_init(|| build(&dir)) {
        Ok(()) => dir,
        Err(message) => panic!("the example guests cannot be built: {message}"),
    }
}

/// Builds what is out of date. One process at a time does so, and the others then find everything built.
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
    // These come from a make that runs the tests.
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
    // For example, that a guest was skipped.
    tell(&output.stderr);
    Ok(())
}

/// Writes to standard error directly, because the output of `eprint` is hidden for tests that pass.
fn tell(text: &[u8]) {
    // It does not matter if nobody reads it.
    let _ = std::io::stderr().write_all(text);
}

/// Whether the toolchain that builds the guests is installed without the standard library of their target.
fn lacks_wasm_target() -> bool {
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", "wasm32-wasip1"]).output();
    rustc.is_ok_and(|rustc| rustc.status.success() && !Path::new(stdout(&rustc).trim()).is_dir())
}

/// Whether no source has changed since all guests were built, and the C guest exists if it can be built.
fn is_current(dir: &Path) -> bool {
    let Ok(built) = fs::metadata(dir.join(STAMP)).and_then(|stamp| stamp.modified()) else { return false };
    let clang = std::env::var_os("CLANG").unwrap_or("clang".into());
    let has_clang =
        || Command::new(&clang).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let is_older = |source: &&str| newest(&Path::new(ROOT).join(source)).is_some_and(|changed| changed < built);
    SOURCES.iter().all(is_older) && (dir.join("target/wasm/wordcount-c.wasm").exists() || !has_clang())
}

/// When the file, or the newest file in the directory, last changed, ignoring build outputs. `None` if it cannot be read.
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
