//! Which tools of a language are installed.

use std::path::Path;
use std::process::{Command, Stdio};

use super::language::Language;

/// What was found. Where there are several, the first one that works.
pub struct Tools {
    /// How to call Zig, if the project needs it: as `zig`, or as the package of Python.
    pub zig: Option<&'static str>,
    /// What is missing.
    pub missing: Option<String>,
}

/// How Zig can be called.
const ZIGS: [&str; 2] = ["zig", "python3 -m ziglang"];

/// The version of Zig that the template and the SDK are written for: its standard library changes with each.
const ZIG_VERSION: &str = "0.17";

/// Looks for a language's tools.
pub fn find(language: Language) -> Tools {
    let only =
        |is_there: bool, what: &str| Tools { zig: None, missing: (!is_there).then(|| format!("no {what} was found")) };
    match language {
        Language::Rust => only(has_rust_target(), "Rust for wasm32-wasip1"),
        Language::C => clang_or_zig("clang", "stdlib.h"),
        Language::Cpp => clang_or_zig("clang++", "algorithm"),
        Language::Zig => match zig(|version| version.starts_with(ZIG_VERSION)) {
            Some(zig) => Tools { zig: Some(zig), missing: None },
            None => only(false, &format!("Zig {ZIG_VERSION}")),
        },
        Language::Go => only(output("go", &["version"]).is_some(), "go"),
        Language::Assemblyscript | Language::Javascript => only(output("npm", &["--version"]).is_some(), "npm"),
        Language::Python => only(output("componentize-py", &["--version"]).is_some(), "componentize-py"),
    }
}

fn has_rust_target() -> bool {
    let libraries = output("rustc", &["--print", "target-libdir", "--target", "wasm32-wasip1"]);
    output("cargo", &["--version"]).is_some() && libraries.is_some_and(|path| Path::new(path.trim()).is_dir())
}

/// Clang with the standard library for WebAssembly, or else Zig, which brings both.
fn clang_or_zig(clang: &str, header: &str) -> Tools {
    let language = if clang == "clang" { "c" } else { "c++" };
    let arguments = ["--target=wasm32-wasi", "-include", header, "-fsyntax-only", "-x", language, "/dev/null"];
    if output(clang, &arguments).is_some() {
        return Tools { zig: None, missing: None };
    }
    match zig(|_| true) {
        Some(zig) => Tools { zig: Some(zig), missing: None },
        None => Tools { zig: None, missing: Some(format!("no {clang} with libraries for WebAssembly was found")) },
    }
}

fn zig(is_right: impl Fn(&str) -> bool) -> Option<&'static str> {
    ZIGS.into_iter().find(|command| {
        let mut words = command.split(' ').chain(["version"]);
        let program = words.next().unwrap_or_default();
        output(program, &Vec::from_iter(words)).is_some_and(|version| is_right(&version))
    })
}

/// What a program prints, if it is there and succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
