//! The name of a new project.

use std::path::Path;

use super::language::Language;
use crate::cli::errors::usage;
use crate::report::shown_path;

/// The longest name, in bytes: the shortest limit of the languages' own tools.
const MAX_LEN: usize = 64;

/// The project's name: the last part of its path.
pub fn of(path: &Path, language: Language) -> anyhow::Result<&str> {
    let Some(name) = path.file_name() else {
        return Err(usage(format!("{} names no new directory; give a name such as words", shown_path(path))));
    };
    let problem = match name.to_str() {
        Some(name) => match problem(name, language) {
            None => return Ok(name),
            Some(problem) => problem,
        },
        None => LETTERS.to_owned(),
    };
    Err(usage(format!("{} is no name for a package in {}: {problem}", shown_path(name.as_ref()), language.title())))
}

const LETTERS: &str = "begin with a letter, and use ASCII letters, digits, - and _";

/// What is wrong with a name. These names work in every file, command and manifest without being quoted.
fn problem(name: &str, language: Language) -> Option<String> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.chars().all(is_plain) {
        return Some(LETTERS.to_owned());
    }
    if name.len() > MAX_LEN {
        return Some(format!("it is longer than {MAX_LEN} bytes"));
    }
    if matches!(language, Language::Assemblyscript | Language::Javascript)
        && name.chars().any(|char| char.is_ascii_uppercase())
    {
        return Some("npm allows lower-case letters only".to_owned());
    }
    let is_taken = match language {
        Language::Rust => RUST.contains(&name),
        Language::Go => ["internal", "testdata", "vendor"].contains(&name),
        Language::Assemblyscript => ["assemblyscript", "node_modules", "wrun"].contains(&name),
        Language::Javascript => name == "node_modules",
        Language::C | Language::Cpp | Language::Zig | Language::Python => false,
    };
    is_taken.then(|| "it has another meaning there".to_owned())
}

/// Names that cargo refuses (keywords, and crates of the toolchain), and the SDK's.
const RUST: &[&str] = &[
    "Self",
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wrun-guest",
    "wrun_guest",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages() {
        for language in [Language::Rust, Language::C, Language::Go, Language::Assemblyscript] {
            for name in ["words", "a", "my-words_2", &"x".repeat(64)] {
                assert_eq!(of(Path::new(name), language).unwrap(), name);
            }
            assert_eq!(of(Path::new("/some/where/words/"), language).unwrap(), "words");
            for name in ["2words", "-words", "_words", "a b", "a$b", "wörter", "a.b", "..", "", "/", &"x".repeat(65)] {
                assert!(of(Path::new(name), language).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn names_with_another_meaning_are_refused_where_they_have_it() {
        for (name, language, has_it) in [
            ("fn", Language::Rust, true),
            ("fn", Language::C, false),
            ("Words", Language::Assemblyscript, true),
            ("Words", Language::Rust, false),
            ("vendor", Language::Go, true),
            ("wrun", Language::Assemblyscript, true),
            ("wrun", Language::Go, false),
        ] {
            assert_eq!(of(Path::new(name), language).is_err(), has_it, "{name}");
        }
    }
}
