//! Landlock: takes away this process's access to all paths and the network, except to the directories that it keeps.
//!
//! Sources: landlock(7), open(2) `O_PATH`.

use std::fs::File;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{CWD, Mode, OFlags, openat};
pub use wrun_ipc::confinement::Access;

/// How much of the restriction the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    /// Everything that this program asks for.
    Fully,
    /// The part that an older kernel supports.
    Partly,
    /// Nothing: the kernel has no Landlock, or it is switched off.
    Not,
}

/// Restricts the calling thread and all threads and processes that it starts later: they can open, create or execute no path, bind or
/// connect to no TCP port, reach no abstract socket and signal no process outside, each as far as the kernel supports it. The
/// contents of `directories` stay accessible.
pub fn restrict(directories: &[(File, Access)]) -> io::Result<Enforced> {
    let newest = ABI::V7;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(newest)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(newest)))
        .and_then(|ruleset| ruleset.create())
        .and_then(|ruleset| {
            let beneath = directories.iter().map(|(directory, access)| PathBeneath::new(directory, rights(*access)));
            ruleset.add_rules(beneath.map(Ok::<_, RulesetError>))
        })
        .and_then(|ruleset| ruleset.restrict_self())
        .map_err(io::Error::other)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Enforced::Fully,
        RulesetStatus::PartiallyEnforced => Enforced::Partly,
        RulesetStatus::NotEnforced => Enforced::Not,
    })
}

/// What may be done beneath a directory. This does not include executing files, or making device files, sockets and pipes.
fn rights(access: Access) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    match access {
        Access::ReadOnly => read,
        Access::ReadWrite => {
            let files = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
            let directories = AccessFs::MakeDir | AccessFs::RemoveDir | AccessFs::Refer | AccessFs::MakeSym;
            read | files | directories
        }
    }
}

/// Opens a directory as a starting point for paths, which takes no permission to read it.
pub fn open_directory(path: &Path) -> io::Result<File> {
    Ok(openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?.into())
}
