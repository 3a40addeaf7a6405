//! The only unsafe code of this crate: the imports, the types that own or share mapped memory, and numbers as bytes.
//!
//! On WebAssembly, `host` is a safe wrapper of the contract's imports. Elsewhere it is a stand-in that
//! [`TestTask`](crate::TestTask) fills, so that tasks can be tested natively.

#![expect(unsafe_code, reason = "imports take addresses, and mapped memory is known only by its address")]

#[cfg(not(target_family = "wasm"))]
#[path = "native.rs"]
pub(crate) mod host;
#[cfg(target_family = "wasm")]
#[path = "wasm.rs"]
pub(crate) mod host;
#[cfg(target_family = "wasm")]
pub mod imports;
mod output_buffer;
pub(crate) mod pod;
#[cfg(feature = "arrow")]
pub(crate) mod shared;
mod window;
mod window_mut;
mod words;

pub use output_buffer::OutputBuffer;
pub use pod::Pod;
pub use window::Window;
pub use window_mut::WindowMut;
pub(crate) use words::Words;

#[cfg(test)]
mod tests {
    const RUST: &str = include_str!("imports.rs");
    const C: &str = include_str!("../../c/wrun.h");

    #[test]
    fn rust_and_c_declare_the_imports_of_the_contract() {
        for import in wrun_abi::IMPORTS {
            assert!(RUST.contains(&format!(" fn {}(", import.name)), "{} is missing in imports.rs", import.name);
            assert!(C.contains(&format!("WRUN_IMPORT(\"{}\")", import.name)), "{} is missing in wrun.h", import.name);
        }
        assert_eq!(C.matches("WRUN_IMPORT(\"").count(), wrun_abi::IMPORTS.len());
        assert!(RUST.contains(&format!("wasm_import_module = \"{}\"", wrun_abi::MODULE)));
        assert!(C.contains(&format!("import_module(\"{}\")", wrun_abi::MODULE)));
        assert!(C.contains(&format!("export_name(\"{}\"", wrun_abi::TASK_EXPORT_PREFIX)));
        assert!(C.contains(&format!("#define WRUN_CONTRACT_VERSION {}\n", wrun_abi::VERSION)));
    }
}
