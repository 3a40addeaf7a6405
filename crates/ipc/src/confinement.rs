//! How a worker is confined: what the pool asks for, and what the worker reports.

use serde::{Deserialize, Serialize};

/// How strictly the system must confine the workers of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sandbox {
    /// All layers that this machine supports; the others are reported.
    #[default]
    Default,
    /// All layers; if one is missing, nothing runs.
    Strict,
    /// No layers, for debugging wrun itself.
    Off,
}

impl Sandbox {
    const ALL: [(Sandbox, &str); 3] =
        [(Sandbox::Default, "default"), (Sandbox::Strict, "strict"), (Sandbox::Off, "off")];

    /// The word for it on a command line.
    pub fn as_str(self) -> &'static str {
        Sandbox::ALL.iter().find(|(sandbox, _)| *sandbox == self).map_or("default", |(_, word)| word)
    }

    /// The setting with this word.
    pub fn from_word(word: &str) -> Option<Sandbox> {
        Sandbox::ALL.iter().find(|(_, other)| *other == word).map(|(sandbox, _)| *sandbox)
    }
}

/// A layer of confinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    /// No more privileges than the user has (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    NoNewPrivileges,
    /// Limits on core files, descriptors, processes and written files (setrlimit(2)).
    ResourceLimits,
    /// No access to paths or the network (landlock(7)).
    Landlock,
    /// Only the system calls that a worker needs (seccomp(2)).
    Seccomp,
    /// No new executable memory and no new threads once the module is loaded (seccomp(2)).
    NoNewCode,
}

impl Layer {
    /// All layers, in the order in which a worker applies them.
    pub const ALL: [Layer; 5] =
        [Layer::NoNewPrivileges, Layer::ResourceLimits, Layer::Landlock, Layer::Seccomp, Layer::NoNewCode];

    /// What the layer means for a worker, for people.
    pub fn effect(self) -> &'static str {
        match self {
            Layer::NoNewPrivileges => "it can gain no privileges",
            Layer::ResourceLimits => "bounded descriptors, processes and files, no core file",
            Layer::Landlock => "it can reach no path and no network",
            Layer::Seccomp => "it can make only the system calls that it needs",
            Layer::NoNewCode => "it can make no executable memory and no threads once its module is loaded",
        }
    }

    /// The layer's name in messages.
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

/// A layer that is not in force, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MissingLayer {
    /// The layer.
    pub layer: Layer,
    /// The system's reason.
    pub why: String,
}

impl MissingLayer {
    /// A layer that is missing for this reason.
    pub fn new(layer: Layer, why: impl Into<String>) -> MissingLayer {
        MissingLayer { layer, why: why.into() }
    }

    /// A list for messages: `landlock (why), seccomp (why)`.
    pub fn list(missing: &[MissingLayer]) -> String {
        let each = missing.iter().map(|missing| format!("{} ({})", missing.layer.name(), missing.why));
        each.collect::<Vec<_>>().join(", ")
    }
}

/// What tasks may do in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// List it and read its files.
    ReadOnly,
    /// Also create, write, rename and remove files.
    ReadWrite,
}
