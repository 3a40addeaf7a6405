//! Remembers the hashes of large module files, so that a file that has not changed is not read again: a language runtime has tens of
//! MiB, which take longer to read and hash than its code takes to load.
//!
//! What is known of a file is itself a file of the cache. It is named after the module file's device and inode, and holds the hash of
//! its content and a hash of that and the [`FileState`] in which it was read. `cache::content_hash` says which changes go undetected.
//! For precompiled code, it also says that the code's checksum was right.

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use super::cache::Cache;
use super::source::ModuleFile;
use crate::sys::file_clock;
use crate::sys::file_state::FileState;

/// The suffix of the names of files that hold the hash of another file's content.
pub(super) const CONTENT_SUFFIX: &str = ".content";

impl Cache {
    /// The hash of the file's content, if it was hashed in its present state.
    pub(super) fn recall(&self, file: &ModuleFile) -> Option<[u8; 32]> {
        let (known, _) = self.0.file(&name_of(&file.state))?;
        let (mut content, mut check) = ([0; 32], [0; 32]);
        known.read_exact_at(&mut content, 0).ok()?;
        known.read_exact_at(&mut check, content.len() as u64).ok()?;
        (check_of(&file.state, &content) == blake3::Hash::from_bytes(check)).then_some(content)
    }

    /// Remembers the hash of the file's content, which was read after the file was found in this state. Does nothing if the file had
    /// changed so shortly before that another change could leave that state as it is, or if it has changed since.
    pub(super) fn remember(&self, file: &ModuleFile, content: &[u8; 32]) {
        let ModuleFile { file, state, opened } = file;
        let is_settled = state.unsettled_for(*opened, file_clock::granule(file)).is_zero();
        if is_settled && file.metadata().is_ok_and(|now| FileState::of(&now) == *state) {
            // If it cannot be written, the file is read again the next time.
            let _ = self.0.write(&name_of(state), |known| {
                known.write_all(content)?;
                known.write_all(check_of(state, content).as_bytes())
            });
        }
    }
}

/// A file that is changed in place keeps its name here, so what was known of it before is replaced.
fn name_of(state: &FileState) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("wrun known module file 1");
    hasher.update(&state.device.to_le_bytes()).update(&state.inode.to_le_bytes());
    format!("{}{CONTENT_SUFFIX}", hasher.finalize().to_hex())
}

fn check_of(state: &FileState, content: &[u8; 32]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key("wrun known module content 1");
    hasher.update(&state.to_bytes()).update(content).finalize()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;

    /// The file in its present state, opened at this time after its last change.
    fn opened(path: &Path, after: Duration) -> ModuleFile {
        let file = File::open(path).unwrap();
        let state = FileState::of(&file.metadata().unwrap());
        let changed = SystemTime::UNIX_EPOCH + Duration::new(state.changed.0 as u64, state.changed.1 as u32);
        ModuleFile { file, state, opened: changed + after }
    }

    #[test]
    fn a_file_is_known_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (path, later) = (dir.path().join("m.wasm"), Duration::from_secs(10));
        let cache = Cache::create(&dir.path().join("cache")).unwrap();
        std::fs::write(&path, "module").unwrap();
        cache.remember(&opened(&path, Duration::ZERO), &[1; 32]);
        assert_eq!(cache.recall(&opened(&path, later)), None, "another change could have left its state as it is");
        cache.remember(&opened(&path, later), &[1; 32]);
        assert_eq!(cache.recall(&opened(&path, later)), Some([1; 32]));

        let before = opened(&path, later);
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        cache.remember(&before, &[2; 32]);
        assert_eq!(cache.recall(&before), Some([1; 32]), "what was read may be of another state");
        assert_eq!(cache.recall(&opened(&path, later)), None);
        cache.remember(&opened(&path, later), &[3; 32]);
        assert_eq!(cache.recall(&opened(&path, later)), Some([3; 32]));
        let files = || std::fs::read_dir(cache.dir()).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(files().count(), 1, "what was known before is replaced");

        let known = files().next().unwrap();
        let mut bytes = std::fs::read(&known).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&known, &bytes).unwrap();
        assert_eq!(cache.recall(&opened(&path, later)), None, "a damaged record was used");
        std::fs::write(&known, &bytes[..40]).unwrap();
        assert_eq!(cache.recall(&opened(&path, later)), None);
        assert_eq!(cache.clear().unwrap().entries, 0);
        assert_eq!(files().count(), 0);
    }
}
