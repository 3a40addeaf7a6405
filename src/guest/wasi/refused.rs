//! Things that a task asked for and was not granted.

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

    /// What the guest was refused, if only its message shows that. Libraries know the granted directories and do not ask WASI for anything
    /// outside, and writes to a read-only directory fail with ordinary errors of WASI.
    ///
    /// Sources: the standard library of Rust for wasip1 (`open_parent`), `strerror` of wasi-libc, the error numbers of WASI
    /// preview 1 as Rust prints them.
    pub fn said_by(message: &str, grants_directories: bool) -> Option<Said> {
        let says = |signs: &[&str]| signs.iter().any(|sign| message.contains(sign));
        // No file is there for a guest without directories; one that has some may have named a wrong one.
        let refused = if grants_directories { Refused::OutsideGrant } else { Refused::Files };
        if says(&["pre-opened file descriptor", "(os error 76)", "(os error 63)"])
            || !grants_directories && says(&["(os error 44)", "(os error 8)"])
        {
            return Some(Said::Clearly(refused));
        }
        if says(&["Capabilities insufficient", "Operation not permitted"])
            || !grants_directories && says(&["No such file or directory", "Bad file descriptor"])
        {
            return Some(Said::Perhaps(refused));
        }
        None
    }
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
        let said = Refused::said_by;
        let rust = r#"failed to find a pre-opened file descriptor through which "a" could be opened"#;
        assert_eq!(said(rust, false), Some(Said::Clearly(Refused::Files)));
        assert_eq!(said(rust, true), Some(Said::Clearly(Refused::OutsideGrant)));
        let not_permitted = "a: Operation not permitted (os error 63)";
        assert_eq!(said(not_permitted, true), Some(Said::Clearly(Refused::OutsideGrant)));
        assert_eq!(said("a: Operation not permitted", true), Some(Said::Perhaps(Refused::OutsideGrant)));
        assert_eq!(said("a: No such file or directory (os error 44)", false), Some(Said::Clearly(Refused::Files)));
        assert_eq!(said("a: No such file or directory (os error 44)", true), None);
        assert_eq!(said("a: Bad file descriptor", false), Some(Said::Perhaps(Refused::Files)));
        assert_eq!(said("a: Bad file descriptor", true), None);
        assert_eq!(said("no such file", true), None);
    }
}
