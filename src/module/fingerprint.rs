//! A fingerprint of everything that compiled code depends on besides the module.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use super::engine::{self, CodeSettings, Fuel};
use crate::{Error, Result};

/// The version of the artifact format (see `artifact`) and of how snapshots are made.
const FORMAT: u32 = 7;

/// The kind of code to compile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Whether it counts fuel.
    pub fuel: Fuel,
    /// The fingerprint of such code.
    pub fingerprint: &'static str,
}

impl Target {
    /// Code for this machine and this program.
    pub fn new(fuel: Fuel) -> Result<Target> {
        Ok(Target { fuel, fingerprint: fingerprint(fuel)? })
    }
}

/// The fingerprint of code, in hexadecimal. It covers wasmtime's version and settings, whether code counts fuel, the features of this
/// machine's CPU, this crate's version and the artifact format.
///
/// Code of a module with 64-bit memories is made with other settings, which follow from the module and this crate's version. It has the
/// fingerprint of the usual code.
///
/// It needs an `Engine`, which is made once per process, without a pool of instances. The hash that wasmtime's own cache uses is the only
/// complete account of which settings affect code.
pub(super) fn fingerprint(fuel: Fuel) -> Result<&'static str> {
    static FINGERPRINTS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    let kept = &FINGERPRINTS[usize::from(fuel == Fuel::Counted)];
    if let Some(fingerprint) = kept.get() {
        return Ok(fingerprint);
    }
    let engine = engine::engine(&engine::config(CodeSettings::usual(fuel)))
        .map_err(|error| Error::module(format!("this machine cannot run compiled modules: {error:#}")))?;
    Ok(kept.get_or_init(|| of_engine(&engine)))
}

/// The fingerprint of code that `engine` compiles.
fn of_engine(engine: &wasmtime::Engine) -> String {
    let mut hasher = Blake3(blake3::Hasher::new_derive_key("wrun compiled module"));
    FORMAT.hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().to_hex().to_string()
}

/// Whether code with this fingerprint is of this program and this machine.
pub(crate) fn is_this_compiler(other: &str) -> bool {
    [Fuel::NotCounted, Fuel::Counted].into_iter().any(|fuel| fingerprint(fuel).is_ok_and(|ours| ours == other))
}

/// The cache key of the module with this hash, whose code calls its initializer in each instance.
pub(super) fn cache_key_without_snapshot(fingerprint: &str, module: &[u8]) -> String {
    cache_key(&format!("{fingerprint} without snapshot "), module)
}

/// The cache key of the module with this hash.
pub(super) fn cache_key(fingerprint: &str, module: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(fingerprint.as_bytes()).update(module);
    hasher.finalize().to_hex().to_string()
}

/// Feeds blake3 with values that implement `Hash`: 64 bits, as of the usual hashers, are too few to name trusted code.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_the_same_fingerprint() {
        for fuel in [Fuel::Counted, Fuel::NotCounted] {
            let pooled = wasmtime::Engine::new(&engine::worker_config(&engine::for_tests::worker(fuel))).unwrap();
            assert_eq!(fingerprint(fuel).unwrap(), of_engine(&pooled));
        }
        assert_ne!(fingerprint(Fuel::Counted).unwrap(), fingerprint(Fuel::NotCounted).unwrap());
    }

    #[test]
    fn compiler_settings_change_the_fingerprint() {
        let mut config = engine::config(CodeSettings::usual(Fuel::NotCounted));
        config.cranelift_opt_level(wasmtime::OptLevel::None);
        assert_ne!(fingerprint(Fuel::NotCounted).unwrap(), of_engine(&wasmtime::Engine::new(&config).unwrap()));
    }

    #[test]
    fn keys_depend_on_module_and_compiler() {
        assert_ne!(cache_key("a", b"module"), cache_key("b", b"module"));
        assert_ne!(cache_key("a", b"module"), cache_key("a", b"modulo"));
    }
}
