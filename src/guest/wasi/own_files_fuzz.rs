//! Random calls on a scratch directory and on a real one, which have to give the same answers.
//!
//! `WRUN_FUZZ_CALLS` sets how many calls there are for each of the seeds, and `WRUN_FUZZ_SEEDS` how many seeds.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use wasmtime::Engine;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as preview1, WasiSnapshotPreview1 as _};
use wasmtime_wasi::runtime::in_tokio;
use wiggle::GuestMemory;

use super::context::{Wasi, WasiSettings, context};
use super::listings::entries;
use crate::Access;
use crate::guest::job_context::{JobContext, Preopen, for_tests};

/// Places in the memory of the calls.
const RESULT: i32 = 0;
const IOVECS: i32 = 64;
const PATH: i32 = 256;
const SECOND_PATH: i32 = 1024;
const BUFFER: i32 = 4096;
const BUFFER_BYTES: usize = 16 << 10;

const FD_READ: i64 = 1 << 1;
const FD_WRITE: i64 = 1 << 6;

/// Two directories that should not differ, and their task.
struct Pair {
    wasi: Wasi,
    /// Descriptors in the scratch directory, and the same ones in the real one; the first is the directory itself.
    open: Vec<[i32; 2]>,
    /// How many calls have succeeded.
    succeeded: u64,
}

/// A call, without its descriptors.
#[derive(Clone, Debug)]
enum Call {
    Open { at: usize, lookup: i32, path: String, open: i32, rights: i64, flags: i32 },
    Close { file: usize },
    Read { file: usize, len: usize, at: Option<i64> },
    Write { file: usize, len: usize, at: Option<i64>, byte: u8 },
    Seek { file: usize, offset: i64, whence: i32 },
    Tell { file: usize },
    SetSize { file: usize, len: i64 },
    Stat { file: usize },
    Flags { file: usize },
    SetFlags { file: usize, flags: i32 },
    Sync { file: usize },
    Advise { file: usize, len: i64 },
    Allocate { file: usize },
    List { file: usize },
    StatPath { at: usize, lookup: i32, path: String },
    MakeDirectory { at: usize, path: String },
    RemoveDirectory { at: usize, path: String },
    Unlink { at: usize, path: String },
    Rename { at: usize, path: String, to: usize, new: String },
    Link { at: usize, lookup: i32, path: String, to: usize, new: String },
    Symlink { target: String, at: usize, path: String },
    ReadLink { at: usize, path: String, len: i32 },
    Renumber { from: usize, to: usize },
}

impl Pair {
    fn new(real: &std::path::Path) -> Pair {
        std::fs::create_dir(real.join("tmp")).expect("a new directory");
        let empty = for_tests::empty(&Engine::default());
        let opened = (File::open(real).expect("it is there"), Access::ReadWrite);
        let mut spec = empty.spec.clone();
        (spec.directories, spec.scratch_bytes, spec.open_files) = (vec!["/real".into()], 64 << 20, 4096);
        let job = Arc::new(JobContext { preopens: vec![Preopen::new("/real", &opened)], spec, ..empty });
        let settings = WasiSettings { job: &job, args: &[], own_inputs: &[], merges: false, argument: b"", index: 0 };
        let wasi = context(&settings).expect("the directory is there");
        let mut pair = Pair { wasi, open: Vec::new(), succeeded: 0 };
        const GRANTED: i32 = 3;
        const OWN: i32 = 4;
        let base = Call::Open { at: 0, lookup: 0, path: "tmp".into(), open: 2, rights: FD_READ, flags: 0 };
        let opened = [OWN, GRANTED].map(|root| {
            let mut memory = base.memory();
            assert_eq!(pair.call(&base, [root, 0], &mut memory), 0);
            number_at(&memory)
        });
        pair.open.push(opened);
        pair
    }

    /// Makes a call on both sides, and compares the answers. An error says how they differ, and whether neither call did anything.
    fn compare(&mut self, call: &Call) -> Result<(), (String, bool)> {
        let [first, second] = call.descriptors().map(|at| self.open[at % self.open.len()]);
        let mut answers = [0, 1].map(|side| {
            let mut memory = call.memory();
            (self.call(call, [first[side], second[side]], &mut memory), memory)
        });
        let errnos = [answers[0].0, answers[1].0];
        if errnos == [0, 0] {
            self.succeeded += 1;
            match *call {
                Call::Open { .. } => {
                    let opened = [number_at(&answers[0].1), number_at(&answers[1].1)];
                    self.open.push(opened);
                    return Ok(());
                }
                Call::Close { file } => {
                    let at = file % self.open.len();
                    self.open.swap_remove(at);
                }
                Call::Renumber { from, to } => {
                    let (from, to) = (from % self.open.len(), to % self.open.len());
                    if from != to {
                        self.open.swap_remove(from);
                    }
                }
                _ => {}
            }
        }
        for (_, memory) in &mut answers {
            call.mask(memory);
        }
        match answers[0] == answers[1] {
            true => Ok(()),
            false => {
                let differs = answers[0].1.iter().zip(&answers[1].1).position(|(own, real)| own != real);
                let how = format!("errors {errnos:?} (own, real), first difference in memory at {differs:?}");
                Err((how, !errnos.contains(&0)))
            }
        }
    }

    fn call(&mut self, call: &Call, [first, second]: [i32; 2], bytes: &mut [u8]) -> i32 {
        let wasi = self.wasi.begin_call();
        wasi.set_hostcall_fuel(1 << 20);
        let mut memory = GuestMemory::Unshared(bytes);
        let m = &mut memory;
        let path = call.path().len() as i32;
        let new = call.second_path().len() as i32;
        let errno = in_tokio(async {
            match call {
                Call::Open { lookup, open, rights, flags, .. } => {
                    preview1::path_open(wasi, m, first, *lookup, PATH, path, *open, *rights, 0, *flags, RESULT).await
                }
                Call::Close { .. } => preview1::fd_close(wasi, m, first).await,
                Call::Read { at: None, .. } => preview1::fd_read(wasi, m, first, IOVECS, 1, RESULT).await,
                Call::Read { at: Some(at), .. } => preview1::fd_pread(wasi, m, first, IOVECS, 1, *at, RESULT).await,
                Call::Write { at: None, .. } => preview1::fd_write(wasi, m, first, IOVECS, 1, RESULT).await,
                Call::Write { at: Some(at), .. } => preview1::fd_pwrite(wasi, m, first, IOVECS, 1, *at, RESULT).await,
                Call::Seek { offset, whence, .. } => preview1::fd_seek(wasi, m, first, *offset, *whence, RESULT).await,
                Call::Tell { .. } => preview1::fd_tell(wasi, m, first, RESULT),
                Call::SetSize { len, .. } => preview1::fd_filestat_set_size(wasi, m, first, *len).await,
                Call::Stat { .. } => preview1::fd_filestat_get(wasi, m, first, RESULT).await,
                Call::Flags { .. } => preview1::fd_fdstat_get(wasi, m, first, RESULT).await,
                Call::SetFlags { flags, .. } => preview1::fd_fdstat_set_flags(wasi, m, first, *flags),
                Call::Sync { .. } => preview1::fd_sync(wasi, m, first).await,
                Call::Advise { len, .. } => preview1::fd_advise(wasi, m, first, 0, *len, 0).await,
                Call::Allocate { .. } => preview1::fd_allocate(wasi, m, first, 0, 1),
                Call::List { .. } => preview1::fd_readdir(wasi, m, first, BUFFER, BUFFER_BYTES as i32, 0, RESULT).await,
                Call::StatPath { lookup, .. } => {
                    preview1::path_filestat_get(wasi, m, first, *lookup, PATH, path, RESULT).await
                }
                Call::MakeDirectory { .. } => preview1::path_create_directory(wasi, m, first, PATH, path).await,
                Call::RemoveDirectory { .. } => preview1::path_remove_directory(wasi, m, first, PATH, path).await,
                Call::Unlink { .. } => preview1::path_unlink_file(wasi, m, first, PATH, path).await,
                Call::Rename { .. } => {
                    preview1::path_rename(wasi, m, first, PATH, path, second, SECOND_PATH, new).await
                }
                Call::Link { lookup, .. } => {
                    preview1::path_link(wasi, m, first, *lookup, PATH, path, second, SECOND_PATH, new).await
                }
                Call::Symlink { .. } => preview1::path_symlink(wasi, m, SECOND_PATH, new, first, PATH, path).await,
                Call::ReadLink { len, .. } => {
                    preview1::path_readlink(wasi, m, first, PATH, path, BUFFER, *len, RESULT).await
                }
                Call::Renumber { .. } => preview1::fd_renumber(wasi, m, first, second).await,
            }
        });
        errno.expect("no call traps")
    }
}

impl Call {
    /// A call that a generator of random numbers chooses.
    fn random(random: &mut Xoshiro256PlusPlus) -> Call {
        let r = random;
        let file = r.random_range(0..64);
        let (at, to) = (if r.random_ratio(2, 3) { 0 } else { file }, r.random_range(0..8));
        let lookup = r.random_range(0..2);
        let offset = || [0, 1, 100, 4095, 4096, 4097, 12_000, 1 << 20, i64::MAX, -1];
        let len = [0, 1, 10, 4096, 5000, 12_288][r.random_range(0..6)];
        let at_offset = r.random_bool(0.4).then(|| offset()[r.random_range(0..8)]);
        match r.random_range(0..100) {
            0..22 => Call::Open {
                at,
                lookup,
                path: path(r),
                open: if r.random_bool(0.6) { r.random_range(0..2) } else { r.random_range(0..16) },
                rights: [FD_READ, FD_WRITE, FD_READ | FD_WRITE, FD_READ | FD_WRITE, 0][r.random_range(0..5)],
                flags: if r.random_bool(0.9) { [0, 0, 1, 4][r.random_range(0..4)] } else { r.random_range(0..32) },
            },
            // The directory itself stays open.
            22..28 => Call::Close { file },
            28..36 => Call::Read { file, len: if at_offset.is_some() { len.max(1) } else { len }, at: at_offset },
            36..46 => Call::Write { file, len, at: at_offset, byte: r.random() },
            46..50 => {
                // Real file systems have shorter files.
                let offset = if r.random_bool(0.1) { -1 } else { offset()[r.random_range(0..8)] };
                Call::Seek { file, offset, whence: r.random_range(0..3) }
            }
            50 => Call::Tell { file },
            51..54 => Call::SetSize { file, len: offset()[r.random_range(0..8)] },
            54..57 => Call::Stat { file },
            57 => Call::Flags { file },
            58 => Call::SetFlags { file, flags: r.random_range(0..32) },
            59 => Call::Sync { file },
            60 => Call::Advise { file, len: offset()[r.random_range(0..10)] },
            61 => Call::Allocate { file },
            62..65 => Call::List { file },
            65..71 => {
                let path = path(r);
                // wasmtime-wasi overlooks the slash of a single name, if it does not follow links.
                let lookup = if path.ends_with('/') || path.ends_with("/.") { 1 } else { lookup };
                Call::StatPath { at, lookup, path }
            }
            71..77 => Call::MakeDirectory { at, path: path(r) },
            77..80 => Call::RemoveDirectory { at, path: path(r) },
            80..84 => Call::Unlink { at, path: path(r) },
            84..90 => Call::Rename { at, path: path(r), to, new: path(r) },
            90..93 => Call::Link { at, lookup: lookup * r.random_range(0..2), path: path(r), to, new: path(r) },
            93..96 => Call::Symlink { target: path(r), at, path: path(r) },
            96..99 => Call::ReadLink { at, path: path(r), len: [0, 1, 4000][r.random_range(0..3)] },
            _ => Call::Renumber { from: file, to: r.random_range(0..64) },
        }
    }

    /// Whether it would close the directory that everything lies in.
    fn ends_all(&self, open: usize) -> bool {
        match self {
            Call::Close { file } => file % open == 0,
            Call::Renumber { from, to } => from % open == 0 || to % open == 0,
            _ => false,
        }
    }

    fn descriptors(&self) -> [usize; 2] {
        match *self {
            Call::Open { at, .. }
            | Call::StatPath { at, .. }
            | Call::MakeDirectory { at, .. }
            | Call::RemoveDirectory { at, .. }
            | Call::Unlink { at, .. }
            | Call::Symlink { at, .. }
            | Call::ReadLink { at, .. } => [at, at],
            Call::Rename { at, to, .. } | Call::Link { at, to, .. } => [at, to],
            Call::Renumber { from, to } => [from, to],
            Call::Close { file }
            | Call::Read { file, .. }
            | Call::Write { file, .. }
            | Call::Seek { file, .. }
            | Call::Tell { file }
            | Call::SetSize { file, .. }
            | Call::Stat { file }
            | Call::Flags { file }
            | Call::SetFlags { file, .. }
            | Call::Sync { file }
            | Call::Advise { file, .. }
            | Call::Allocate { file }
            | Call::List { file } => [file, file],
        }
    }

    fn path(&self) -> &str {
        match self {
            Call::Open { path, .. }
            | Call::StatPath { path, .. }
            | Call::MakeDirectory { path, .. }
            | Call::RemoveDirectory { path, .. }
            | Call::Unlink { path, .. }
            | Call::Rename { path, .. }
            | Call::Link { path, .. }
            | Call::Symlink { path, .. }
            | Call::ReadLink { path, .. } => path,
            _ => "",
        }
    }

    fn second_path(&self) -> &str {
        match self {
            Call::Rename { new, .. } | Call::Link { new, .. } => new,
            Call::Symlink { target, .. } => target,
            _ => "",
        }
    }

    /// The memory before the call.
    fn memory(&self) -> Vec<u8> {
        let mut memory = vec![0; BUFFER as usize + BUFFER_BYTES];
        let mut put = |at: i32, bytes: &[u8]| memory[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        put(PATH, self.path().as_bytes());
        put(SECOND_PATH, self.second_path().as_bytes());
        if let Call::Read { len, .. } | Call::Write { len, .. } = self {
            put(IOVECS, &BUFFER.to_le_bytes());
            put(IOVECS + 4, &(*len as u32).to_le_bytes());
        }
        if let Call::Write { byte, len, .. } = self {
            put(BUFFER, &vec![*byte; *len]);
        }
        memory
    }

    /// Takes away what may differ: numbers of devices and inodes, times, sizes of directories, and the order of names.
    fn mask(&self, memory: &mut [u8]) {
        match self {
            Call::Stat { .. } | Call::StatPath { .. } => {
                const DIRECTORY: u8 = 3;
                memory[..16].fill(0);
                memory[40..64].fill(0);
                if memory[16] == DIRECTORY {
                    memory[24..40].fill(0);
                }
            }
            Call::List { .. } => {
                let used = number_at(memory) as usize;
                let buffer = &mut memory[BUFFER as usize..];
                let mut names: Vec<_> =
                    entries(&buffer[..used]).map(|entry| (entry.name.to_vec(), entry.kind)).collect();
                names.sort();
                buffer.fill(0);
                for (at, byte) in names.into_iter().flat_map(|(name, kind)| [name, vec![kind, 0]].concat()).enumerate()
                {
                    buffer[at] = byte;
                }
            }
            _ => {}
        }
    }
}

/// A path of few names, so that calls meet.
fn path(r: &mut Xoshiro256PlusPlus) -> String {
    const NAMES: [&str; 14] = ["a", "a", "a", "b", "b", "c", "d", "link", ".", "..", "", "a b", "é", "LONG"];
    let mut path = String::new();
    for depth in 0..[1, 1, 1, 1, 2, 2, 2, 3, 3, 4][r.random_range(0..10)] {
        if depth > 0 {
            path.push('/');
        }
        path.push_str(NAMES[r.random_range(0..NAMES.len())]);
    }
    match r.random_range(0..60) {
        0..3 => path.push('/'),
        3 => path.push_str("//"),
        4 => path.push_str("/."),
        5 => path.insert(0, '/'),
        6 => path.push('\0'),
        _ => {}
    }
    path.replace("LONG", &"n".repeat(256))
}

fn number_at(memory: &[u8]) -> i32 {
    i32::from_le_bytes(memory[..4].try_into().expect("four bytes"))
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn a_scratch_directory_answers_as_a_real_one() {
    for seed in 0..setting("WRUN_FUZZ_SEEDS", 8) {
        let real = tempfile::tempdir().expect("a directory");
        let mut pair = Pair::new(real.path());
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut last = VecDeque::new();
        let mut differences = Vec::new();
        let calls = setting("WRUN_FUZZ_CALLS", 1000);
        for number in 0..calls {
            let call = Call::random(&mut random);
            if call.ends_all(pair.open.len()) {
                continue;
            }
            last.push_back(format!("{call:?}"));
            if let Err((how, goes_on)) = pair.compare(&call) {
                differences.push(format!("call {number}: {call:?}: {how}").replace(&"n".repeat(256), "LONG"));
                if !goes_on || differences.len() == 20 {
                    differences.push("Last calls:".into());
                    differences.extend(last);
                    break;
                }
            }
            if last.len() > 40 {
                last.pop_front();
            }
        }
        assert!(differences.is_empty(), "seed {seed}:\n{}", differences.join("\n"));
        // Calls that only fail would show little.
        assert!(pair.succeeded > calls / 10, "{} of {calls} calls succeeded", pair.succeeded);
    }
}
