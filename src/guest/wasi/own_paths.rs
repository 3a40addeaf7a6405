//! Where a path of a task leads: to something of its own, or into a granted directory.

use std::sync::Arc;

use wasmtime_wasi::p1::types::{Errno, Error, Fd, Lookupflags};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr};

use super::context::{Wasi, WasiSettings};
use super::descriptors::Descriptor;
use crate::guest::files::{Base, FileError, Last, MAX_PATH_BYTES, Mount, NodeId, OwnFiles, Tree, Walked};
use crate::guest::job_context::JobContext;
use crate::guest::open_files::GuestInput;

/// The context's descriptor of the first granted directory; standard streams precede it.
const FIRST_GRANTED: u32 = 3;

/// The path of the root, as programs are told.
const ROOT_PATH: &str = "/";

/// The files of a task's own. Their tree is made when the task first uses a path.
pub(super) struct Files {
    job: Arc<JobContext>,
    own_inputs: Vec<GuestInput>,
    /// The path of the first own input.
    item_path: Option<Box<str>>,
    made: Option<Made>,
}

struct Made {
    tree: Tree,
    /// The nodes of the granted directories.
    mounts: Vec<NodeId>,
}

impl Files {
    pub fn new(settings: &WasiSettings<'_>) -> Files {
        let &WasiSettings { job, own_inputs, merges, argument, .. } = settings;
        let has_path = !merges && !own_inputs.is_empty() && argument.len() < MAX_PATH_BYTES;
        let item_path = if has_path { std::str::from_utf8(argument).ok() } else { None };
        Files { job: job.clone(), own_inputs: own_inputs.to_vec(), item_path: item_path.map(Box::from), made: None }
    }

    fn granted(&self) -> impl Iterator<Item = Mount<'_>> {
        let names = self.job.spec.directories.iter();
        names.zip(FIRST_GRANTED..).map(|(guest_path, descriptor)| Mount { guest_path, descriptor })
    }

    /// How many directories the task has from the start: those that are granted and, unless one of them is the root, the root.
    pub fn preopens(&self) -> usize {
        let granted = self.job.spec.directories.len();
        granted + usize::from(!self.granted().any(|mount| mount.is_root()))
    }

    /// What programs are told that a directory is called which they have from the start.
    pub fn preopen_path(&self, position: usize) -> &str {
        self.job.spec.directories.get(position).map_or(ROOT_PATH, String::as_str)
    }

    /// The context's descriptor of a directory that the task has from the start; `None` for the task's own root.
    pub fn preopen_granted(&self, position: usize) -> Option<u32> {
        (position < self.job.spec.directories.len()).then_some(FIRST_GRANTED + position as u32)
    }

    pub fn tree(&self) -> &Tree {
        &self.made.as_ref().expect("descriptors of its nodes come later").tree
    }

    pub fn tree_mut(&mut self) -> &mut Tree {
        &mut self.made.as_mut().expect("descriptors of its nodes come later").tree
    }

    /// The node of a directory that the task has from the start, if it is one.
    pub fn mounted(&self, position: usize) -> Option<NodeId> {
        let made = self.made.as_ref()?;
        let node = made.mounts.get(position).copied().unwrap_or(NodeId::ROOT);
        made.tree.directory(node).map(|_| node)
    }

    /// Whether the task's scratch directory was too small.
    pub fn is_full(&self) -> bool {
        self.made.as_ref().is_some_and(|made| made.tree.is_full())
    }
}

/// Where a path leads.
pub(super) enum Place {
    /// To this path from a descriptor of the context.
    Granted(u32, String),
    /// To something of the task's own.
    Own(Walked),
}

/// Where a path begins.
enum Start {
    Context(u32),
    Own(Base),
}

/// A path in memory of the host's, for calls of wasmtime-wasi.
pub(super) struct HostPath(Vec<u8>);

impl HostPath {
    pub fn new(path: String) -> HostPath {
        HostPath(path.into_bytes())
    }

    pub fn pointer(&self) -> GuestPtr<str> {
        GuestPtr::new((0, self.0.len() as u32))
    }

    pub fn memory(&mut self) -> GuestMemory<'_> {
        GuestMemory::Unshared(&mut self.0)
    }
}

impl Wasi {
    /// Makes the task's own files, if they are not there yet.
    pub(super) async fn make_files(&mut self) {
        if self.files.made.is_some() {
            return;
        }
        let now = self.file_time();
        let root = self.files.granted().find(Mount::is_root).map(|root| root.descriptor);
        let root_has_tmp = match root {
            Some(root) => {
                let mut path = HostPath::new("tmp".into());
                let pointer = path.pointer();
                self.ctx.path_filestat_get(&mut path.memory(), root.into(), Lookupflags::empty(), pointer).await.is_ok()
            }
            None => false,
        };
        let Files { job, own_inputs, item_path, .. } = &self.files;
        let names = job.spec.inputs.iter().map(|(name, _)| &**name);
        let own = OwnFiles {
            own_inputs,
            item_path: item_path.as_deref(),
            inputs: names.zip(&job.inputs).collect(),
            scratch_bytes: job.spec.scratch_bytes,
            mounts: self.files.granted().collect(),
            root_has_tmp,
            now,
        };
        let (tree, mounts) = own.tree();
        self.files.made = Some(Made { tree, mounts });
    }

    /// Where paths begin that are relative to a descriptor.
    async fn start(&mut self, descriptor: Fd) -> Result<Start, Error> {
        let position = match *self.descriptors.get(descriptor.into())? {
            Descriptor::Preopen(position) => position,
            Descriptor::Directory { node, granted } => return Ok(Start::Own(Base { node, granted })),
            // The context knows the error for what is no directory.
            Descriptor::Stream(number) | Descriptor::Granted(number) => return Ok(Start::Context(number)),
            Descriptor::File(_) => return Err(Errno::Badf.into()),
        };
        self.make_files().await;
        let Some(granted) = self.files.preopen_granted(position) else {
            return Ok(Start::Own(Base { node: NodeId::ROOT, granted: None }));
        };
        Ok(match self.files.mounted(position).filter(|node| self.files.tree().has_names(*node)) {
            Some(node) => Start::Own(Base { node, granted: Some(granted) }),
            None => Start::Context(granted),
        })
    }

    /// Copies a path from the task.
    pub(super) fn read_path(&mut self, memory: &GuestMemory<'_>, path: GuestPtr<str>) -> Result<String, Error> {
        self.take_fuel(path.len().into())?;
        // It may lie in a window of a file that changes meanwhile, so it is only examined once it is copied.
        let bytes = memory.to_vec(path.as_bytes())?;
        String::from_utf8(bytes).map_err(|_| Errno::Ilseq.into())
    }

    /// Follows a path.
    pub(super) async fn place(&mut self, descriptor: Fd, path: &str, last: Last) -> Result<Place, Error> {
        let base = match self.start(descriptor).await? {
            Start::Context(number) => return Ok(Place::Granted(number, path.to_owned())),
            Start::Own(base) => base,
        };
        match self.files.tree().walk(base, path, last) {
            Ok(Walked::Granted(number, path)) => Ok(Place::Granted(number, path)),
            Ok(walked) => Ok(Place::Own(walked)),
            Err(error) => Err(self.missed(path, base.node, error)),
        }
    }

    /// The error for a path, noted if a grant might have helped.
    pub(super) fn missed(&mut self, path: &str, base: NodeId, error: FileError) -> Error {
        let tree = self.files.tree();
        let first = path.split('/').find(|name| !matches!(*name, "" | "." | ".."));
        let is_scratch = |node| tree.directory(node).is_some_and(|directory| directory.is_scratch);
        let in_scratch = is_scratch(base)
            || !path.starts_with('/') && first.and_then(|name| tree.child(base, name)).is_some_and(is_scratch);
        let by_grant = matches!(
            error,
            FileError::NoEntry | FileError::NotDirectory | FileError::NotPermitted | FileError::ReadOnly
        );
        match by_grant && !in_scratch {
            true => self.lookups.miss(path),
            false => self.lookups.pass(),
        }
        error.into()
    }

    /// The node at the start of paths that are relative to a descriptor.
    pub(super) fn base_node(&self, descriptor: Fd) -> NodeId {
        match self.descriptors.get(descriptor.into()) {
            Ok(Descriptor::Directory { node, .. }) => *node,
            _ => NodeId::ROOT,
        }
    }
}
