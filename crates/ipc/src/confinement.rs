//! How a worker is confined, as the pool asks for it and the worker reports it.

use serde::{Deserialize, Serialize};

/// How much confinement of workers a pool insists on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sandbox {
    /// All layers that this machine has; the caller is told of those that it has not.
    #[default]
    Default,
    /// All layers; where one is missing, nothing runs.
    Strict,
    /// None, for finding errors in wrun itself.
    Off,
}

impl Sandbox {
    const ALL: [(Sandbox, &str); 3] =
        [(Sandbox::Default, "default"), (Sandbox::Strict, "strict"), (Sandbox::Off, "off")];

    /// Its word on a command line.
    pub fn as_str(self) -> &'static str {
        Sandbox::ALL.iter().find(|(sandbox, _)| *sandbox == self).map_or("default", |(_, word)| word)
    }

    /// What the word stands for.
    pub fn from_word(word: &str) -> Option<Sandbox> {
        Sandbox::ALL.iter().find(|(_, other)| *other == word).map(|(sandbox, _)| *sandbox)
    }
}

/// A layer of confinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// No way to more privileges than the user's (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    NoNewPrivileges,
    /// Bounded core files, descriptors, processes and written files (setrlimit(2)).
    ResourceLimits,
    /// No path and no network (landlock(7)).
    Landlock,
    /// Only the system calls that a worker needs (seccomp(2)).
    Seccomp,
    /// No new executable memory and no new threads once the module is loaded (seccomp(2)).
    NoNewCode,
}

impl Layer {
    /// All layers, in the order in which a worker puts them on.
    pub const ALL: [Layer; 5] =
        [Layer::NoNewPrivileges, Layer::ResourceLimits, Layer::Landlock, Layer::Seccomp, Layer::NoNewCode];

    /// What it keeps a worker from, for a person.
    pub fn effect(self) -> &'static str {
        match self {
            Layer::NoNewPrivileges => "it can gain no privileges",
            Layer::ResourceLimits => "bounded descriptors, processes and files, no core file",
            Layer::Landlock => "it can reach no path and no network",
            Layer::Seccomp => "it can make only the system calls that it needs",
            Layer::NoNewCode => "it can make no executable memory and no threads once its module is loaded",
        }
    }

    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Layer::NoNewPrivileges => "no new privileges",
            Layer::ResourceLimits => "resource limits",
            Layer::Landlock => "landlock",
            Layer::Seccomp => "seccomp",
            Layer::NoNewCode => "no new code",
        }
    }
}

/// Why a layer is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The layer.
    pub layer: Layer,
    /// What the system said.
    pub why: String,
}

impl Missing {
    /// All of them, for a message: `landlock (why), seccomp (why)`.
    pub fn list(missing: &[Missing]) -> String {
        let each = missing.iter().map(|missing| format!("{} ({})", missing.layer.name(), missing.why));
        each.collect::<Vec<_>>().join(", ")
    }
}

/// What may be done in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Listing it and reading its files.
    ReadOnly,
    /// Also creating, writing, renaming and removing.
    ReadWrite,
}
