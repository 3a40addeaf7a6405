//! Things that a task asked for and was not granted.

use super::lookups::Lookups;
use crate::ipc::Setting;

/// Something that was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Refused {
    Files,
    OutsideGrant,
    Network,
}

impl Refused {
    /// Explains the refusal. Appended to the task's own message.
    pub fn reason(self) -> &'static str {
        match self {
            Refused::Files => "it was granted no directory",
            Refused::OutsideGrant => {
                "it may not leave the directories that it was granted, nor write to those that are read-only"
            }
            Refused::Network => "it may not use the network, which nothing grants",
        }
    }

    /// What grants it.
    pub fn setting(self) -> Option<Setting> {
        match self {
            Refused::Files | Refused::OutsideGrant => Some(Setting::Directories),
            Refused::Network => None,
        }
    }

    /// Whether a guest's message shows that one WASI call would have copied too much: the error number `nomem`, which nothing else returns.
    pub fn too_much_at_once(message: &str) -> bool {
        message.contains("(os error 48)")
    }

    /// Whether a guest's message is about a lack of space.
    pub fn no_space(message: &str) -> bool {
        says(message, &["(os error 51)", "No space left on device", "ENOSPC"])
    }

    /// What the guest was refused, if its words or its last calls show that. Programs look for many files that need not be there, and
    /// libraries do not ask WASI for anything outside of the directories that they know. So a path that was missed counts if the words
    /// say so, and name it or follow the call.
    ///
    /// Sources: the standard library of Rust for wasip1 (`open_parent`), `strerror` of wasi-libc, the error numbers of WASI
    /// preview 1 as Rust and Python print them.
    pub fn said_by(words: Words<'_>, lookups: &Lookups, sees: Sees) -> Option<Said> {
        const NOT_PERMITTED: [&str; 3] = ["(os error 63)", "Capabilities insufficient", "Operation not permitted"];
        const MISSING: [&str; 9] = [
            "(os error 44)",
            "(os error 54)",
            "(os error 69)",
            "Errno 44",
            "Errno 69",
            "ENOENT",
            "No such file or directory",
            "Not a directory",
            "Read-only file system",
        ];
        let grants_directories = sees == Sees::Directories;
        let refused = if grants_directories { Refused::OutsideGrant } else { Refused::Files };
        let Words::Of(words) = words else { return lookups.last_failed().then_some(Said::Clearly(refused)) };
        let (not_permitted, missing) = (says(words, &NOT_PERMITTED), says(words, &MISSING));
        let is_clear = says(words, &["pre-opened file descriptor", "(os error 76)"])
            || grants_directories && says(words, &["(os error 63)"])
            || (not_permitted || missing) && (lookups.last_failed() || lookups.are_named_in(words));
        // What sees no files at all cannot have named a wrong one.
        if is_clear || sees == Sees::Nothing && (not_permitted || missing) {
            return Some(Said::Clearly(refused));
        }
        // One that was granted a directory may have named a wrong file in it.
        (not_permitted || missing && !grants_directories).then_some(Said::Perhaps(refused))
    }
}

fn says(words: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| words.contains(sign))
}

/// Which files a task sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Sees {
    /// None, as a component without directories.
    Nothing,
    /// Its inputs and its scratch directory.
    OwnFiles,
    /// Also those in directories that are granted.
    Directories,
}

/// What a guest said at its end.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) enum Words<'a> {
    None,
    Of(&'a str),
}

/// What a guest's words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Said {
    /// They are a library's, about a file that was refused.
    Clearly(Refused),
    /// They may be about something else.
    Perhaps(Refused),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_say_what_was_refused() {
        let nothing = Lookups::default();
        let sees = |grants| if grants { Sees::Directories } else { Sees::OwnFiles };
        let said = |words, grants| Refused::said_by(Words::Of(words), &nothing, sees(grants));
        let rust = r#"failed to find a pre-opened file descriptor through which "a" could be opened"#;
        assert_eq!(said(rust, false), Some(Said::Clearly(Refused::Files)));
        assert_eq!(said(rust, true), Some(Said::Clearly(Refused::OutsideGrant)));
        let not_permitted = "a: Operation not permitted (os error 63)";
        assert_eq!(said(not_permitted, true), Some(Said::Clearly(Refused::OutsideGrant)));
        assert_eq!(said("a: Operation not permitted", true), Some(Said::Perhaps(Refused::OutsideGrant)));
        assert_eq!(said("a: No such file or directory", false), Some(Said::Perhaps(Refused::Files)));
        assert_eq!(said("a: No such file or directory", true), None);
        assert_eq!(said("no such file", false), None);
        let component = Refused::said_by(Words::Of("a: No such file or directory"), &nothing, Sees::Nothing);
        assert_eq!(component, Some(Said::Clearly(Refused::Files)));
    }

    #[test]
    fn a_path_that_was_missed_counts_if_the_words_are_about_it() {
        let mut lookups = Lookups::default();
        lookups.miss("data/t.csv");
        lookups.miss("lib/site.py");
        lookups.pass();
        let said = |words, lookups: &Lookups| Refused::said_by(Words::Of(words), lookups, Sees::OwnFiles);
        let python = "FileNotFoundError: [Errno 44] No such file or directory: '/data/t.csv'";
        assert_eq!(said(python, &lookups), Some(Said::Clearly(Refused::Files)));
        assert_eq!(said("ValueError: t.csv has no rows", &lookups), None);
        assert_eq!(said("other: No such file or directory", &lookups), Some(Said::Perhaps(Refused::Files)));
        assert_eq!(Refused::said_by(Words::None, &lookups, Sees::OwnFiles), None);
        lookups.miss("other");
        assert_eq!(said("cannot read it: No such file or directory", &lookups), Some(Said::Clearly(Refused::Files)));
        assert_eq!(said("it is wrong", &lookups), None);
        assert_eq!(
            Refused::said_by(Words::None, &lookups, Sees::Directories),
            Some(Said::Clearly(Refused::OutsideGrant))
        );
    }
}
