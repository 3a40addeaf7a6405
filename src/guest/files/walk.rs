//! Follows a path through a tree.
//!
//! A path begins at a directory and cannot leave it, as in WASI. A name that a fixed directory lacks belongs to the granted directory
//! behind it, if there is one: the rest of the path is for that one.

use std::borrow::Cow;

use super::error::FileError;
use super::tree::{Kind, NodeId, Tree};

/// The longest path, in bytes, with the NUL byte that POSIX counts.
pub(in crate::guest) const MAX_PATH_BYTES: usize = 4096;

/// How many symbolic links a path may lead through (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where a path begins.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) struct Base {
    pub node: NodeId,
    /// The descriptor of the granted directory behind it.
    pub granted: Option<u32>,
}

/// What happens to the last name of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Last {
    /// If it is a symbolic link, it is followed.
    Follow,
    /// It is looked up.
    Keep,
    /// It is followed, as the name of a file that is made if there is none.
    Create,
    /// It is looked up, as the name of a file that is made.
    CreateNew,
    /// It is a name for a call that makes or removes names. A path that ends in `/`, `.` or `..` has none.
    Name,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Walked {
    /// To a directory as such, and the place in a granted directory behind it.
    Itself(NodeId, Option<(u32, String)>),
    /// To a name in a directory.
    Entry {
        directory: NodeId,
        name: String,
        /// What has the name.
        node: Option<NodeId>,
        /// The place in a granted directory behind it, if it is a directory.
        behind: Option<(u32, String)>,
    },
    /// To this place in the granted directory of this descriptor.
    Granted(u32, String),
}

/// The way from the start of a path to a directory.
struct Way {
    base: Base,
    steps: Vec<Step>,
}

struct Step {
    name: String,
    node: NodeId,
    /// The granted directory that begins here.
    mounted: Option<u32>,
}

impl Way {
    fn here(&self) -> NodeId {
        self.steps.last().map_or(self.base.node, |step| step.node)
    }

    /// A path below here, as the granted directory has it that stands behind.
    fn behind(&self, rest: &str) -> Option<(u32, String)> {
        let mounted = self.steps.iter().rposition(|step| step.mounted.is_some());
        let (granted, steps) = match mounted {
            Some(at) => (self.steps[at].mounted?, &self.steps[at + 1..]),
            None => (self.base.granted?, &self.steps[..]),
        };
        let mut path = String::new();
        for name in steps.iter().map(|step| &*step.name).chain([rest]).filter(|name| !name.is_empty()) {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(name);
        }
        Some((granted, if path.is_empty() { ".".to_owned() } else { path }))
    }
}

impl Tree {
    /// Checks a name for a directory.
    ///
    /// # Errors
    ///
    /// If there can be none.
    pub fn check_name(&self, directory: NodeId, name: &str) -> Result<(), FileError> {
        /// The longest name, in bytes.
        const MAX_BYTES: usize = 255;
        match name {
            _ if name.contains('\0') => Err(FileError::Invalid),
            _ if self.is_removed(directory) => Err(FileError::NoEntry),
            _ if name.len() > MAX_BYTES => Err(FileError::NameTooLong),
            _ => Ok(()),
        }
    }

    /// Follows a path.
    ///
    /// From the root, `..` leads to the root again, as in POSIX, if that is how the path reaches something of the task's own: programs
    /// get such paths as arguments.
    ///
    /// # Errors
    ///
    /// As path_resolution(7) has them; a path that leads out is not permitted.
    pub fn walk(&self, base: Base, path: &str, last: Last) -> Result<Walked, FileError> {
        // As on a system, which looks for the directory of a new name first.
        let looked_for =
            if last == Last::Name { path.rsplit_once('/').map_or("", |(directory, _)| directory) } else { path };
        if looked_for.contains('\0') {
            return Err(FileError::Invalid);
        }
        if path.len() >= MAX_PATH_BYTES {
            return Err(FileError::NameTooLong);
        }
        if path.is_empty() {
            return Err(FileError::NoEntry);
        }
        if path.starts_with('/') {
            return Err(FileError::NotPermitted);
        }
        let mut has_left = false;
        let walked = self.follow(base, path, last, &mut has_left);
        match walked {
            walked if !has_left => walked,
            Ok(Walked::Granted(..)) => {
                let granted = base.granted.ok_or(FileError::NotPermitted)?;
                Ok(Walked::Granted(granted, path.to_owned()))
            }
            Ok(Walked::Entry { node: Some(_), .. }) => walked,
            Ok(Walked::Itself(node, _)) if node != base.node => walked,
            Ok(_) | Err(FileError::NoEntry) => Err(FileError::NotPermitted),
            Err(error) => Err(error),
        }
    }

    fn follow(&self, base: Base, path: &str, last: Last, has_left: &mut bool) -> Result<Walked, FileError> {
        let mut way = Way { base, steps: Vec::new() };
        let mut rest: Cow<'_, str> = path.into();
        let (mut at, mut links) = (0, 0);
        loop {
            let next = Next::of(&rest[at..]);
            match next.name {
                "" | "." => {}
                ".." if way.steps.pop().is_some() => {}
                ".." if base.node == NodeId::ROOT => *has_left = true,
                ".." => return Err(FileError::NotPermitted),
                _ => match self.step(&way, &next, last)? {
                    Stepped::Into(step) => way.steps.push(step),
                    Stepped::Arrived(walked) => return Ok(walked),
                    Stepped::Link(_) if links == MAX_LINKS => return Err(FileError::Loop),
                    Stepped::Link(target) => {
                        let slash = if next.is_directory { "/" } else { "" };
                        rest = format!("{target}{slash}{}", next.after).into();
                        (at, links) = (0, links + 1);
                        continue;
                    }
                },
            }
            if next.is_last() {
                let here = way.here();
                let is_scratch = self.directory(here).is_some_and(|directory| directory.is_scratch);
                return Ok(Walked::Itself(here, way.behind("").filter(|_| !is_scratch)));
            }
            at = rest.len() - next.after.len();
        }
    }

    /// Looks up the next name of a path, in the directory to which the way has led.
    fn step(&self, way: &Way, next: &Next<'_>, last: Last) -> Result<Stepped<'_>, FileError> {
        let &Next { name, all, is_directory, .. } = next;
        let here = way.here();
        let directory = self.directory(here).ok_or(FileError::NotDirectory)?;
        let node = self.child(here, name);
        if node.is_none()
            && !directory.is_scratch
            && let Some((granted, path)) = way.behind(all)
        {
            return Ok(Stepped::Arrived(Walked::Granted(granted, path)));
        }
        let is_last = next.is_last();
        // No file is made with a slash at the end of its path, whatever is there.
        if is_last && is_directory && matches!(last, Last::Create | Last::CreateNew) {
            return Err(FileError::IsDirectory);
        }
        // The call looks at its own names, after both directories of a call with two paths.
        if !is_last || is_directory || last != Last::Name {
            self.check_name(here, name)?;
        }
        // A new name ends no path with a slash: calls that ignore slashes take them away first.
        let is_way = !is_last || is_directory && last == Last::Name;
        let behind = match node.map(|node| self.kind(node)) {
            None if is_way => return Err(FileError::NoEntry),
            Some(Kind::Directory(found)) if is_way => {
                let node = node.ok_or(FileError::NoEntry)?;
                return Ok(Stepped::Into(Step { name: name.to_owned(), node, mounted: found.granted }));
            }
            Some(Kind::Link(target)) if is_way || is_directory || matches!(last, Last::Follow | Last::Create) => {
                // Where links to absolute paths may be made, they cannot be followed.
                return match target.starts_with('/') {
                    true => Err(FileError::NotPermitted),
                    false => Ok(Stepped::Link(target)),
                };
            }
            Some(Kind::Directory(found)) => match found.granted {
                Some(granted) => Some((granted, ".".to_owned())),
                None => way.behind(name).filter(|_| !found.is_scratch),
            },
            Some(_) if is_way || is_directory => return Err(FileError::NotDirectory),
            _ => None,
        };
        Ok(Stepped::Arrived(Walked::Entry { directory: here, name: name.to_owned(), node, behind }))
    }
}

/// The next name of a path.
struct Next<'a> {
    name: &'a str,
    /// The path from this name on.
    all: &'a str,
    /// The path behind it.
    after: &'a str,
    /// Whether a slash follows it.
    is_directory: bool,
}

impl Next<'_> {
    fn of(path: &str) -> Next<'_> {
        let all = path.trim_start_matches('/');
        let (name, after) =
            all.split_once('/').map_or((all, ""), |(name, after)| (name, after.trim_start_matches('/')));
        Next { name, all, after, is_directory: all.len() > name.len() }
    }

    fn is_last(&self) -> bool {
        self.after.is_empty()
    }
}

/// What the next name of a path is.
enum Stepped<'a> {
    /// A directory on the way.
    Into(Step),
    /// A symbolic link that is followed.
    Link(&'a str),
    /// The end.
    Arrived(Walked),
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
