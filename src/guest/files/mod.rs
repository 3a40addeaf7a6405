//! A task's own files: its inputs, read-only, and a scratch directory in memory.
//!
//! ```text
//! Tree       nodes and names              changes   what a task may change in it
//! Contents   bytes of a scratch file      walk      a path to a node, or to a place in a granted directory
//! Space      what all of that takes       own_tree  what a task finds when it begins
//! ```
//!
//! No path of the host is opened for any of this. Nothing here knows how a version of WASI lays out its calls.

mod changes;
mod contents;
mod error;
mod own_tree;
mod space;
mod tree;
mod walk;

pub(super) use contents::MAX_FILE_BYTES;
pub(super) use error::FileError;
pub(super) use own_tree::{Mount, OwnFiles};
pub(super) use tree::{Device, Directory, Kind, NodeId, Stat, Tree};
pub(super) use walk::{Base, Last, MAX_PATH_BYTES, Walked};
