//! Landlock: this process can reach no path and no network any more, but the directories that it keeps.
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

/// How much of it the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    /// All that this program asks for.
    Fully,
    /// What an older kernel knows of it.
    Partly,
    /// Nothing: the kernel has no Landlock, or it is switched off.
    Not,
}

/// Restricts the calling thread, and all that it starts later: no path can be opened, created or executed, no TCP port bound or
/// connected to, no abstract socket reached and no process outside signalled, each as far as the kernel knows it. What is
/// in `directories` stays in reach.
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

/// What may be done with the files beneath a directory. Executing them, device files, sockets and pipes are not among it.
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

/// Opens a directory as a place to start from, which needs no right to read it.
pub fn open_directory(path: &Path) -> io::Result<File> {
    Ok(openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?.into())
}
