//! The proposals of WebAssembly that wrun runs, and what to say of a module that uses others.
//!
//! Messages are not matched: a module that is valid with all proposals is validated again with fewer and fewer of them, until those are
//! left that it needs.

use wasmparser::WasmFeatures;

use super::binary::{self, Threads};
use super::explain::one_line;

/// What wasmtime runs by default. A test compares this with wasmtime.
pub(super) const SUPPORTED: WasmFeatures = WasmFeatures::WASM3;

/// A proposal that wrun does not run.
struct Proposal {
    feature: WasmFeatures,
    name: &'static str,
    /// What to do about it.
    advice: &'static str,
}

/// The proposals that are recognized.
const OTHERS: &[Proposal] = &[
    Proposal {
        feature: WasmFeatures::LEGACY_EXCEPTIONS,
        name: "legacy exceptions",
        advice: "translate them with `wasm-opt -all --disable-compact-imports --translate-to-exnref`, or build it with \
                 clang's -mllvm -wasm-use-legacy-eh=false or Emscripten's -sWASM_LEGACY_EXCEPTIONS=0",
    },
    Proposal {
        feature: WasmFeatures::COMPACT_IMPORTS,
        name: "compact imports",
        advice: "build it without them (binaryen's --disable-compact-imports, after -all)",
    },
    Proposal {
        feature: WasmFeatures::SHARED_EVERYTHING_THREADS,
        name: "shared-everything threads",
        advice: "build it without threads",
    },
    Proposal {
        feature: WasmFeatures::CUSTOM_PAGE_SIZES,
        name: "custom page sizes",
        advice: "build it with pages of 64 KiB (wasm-ld --page-size=65536)",
    },
    Proposal {
        feature: WasmFeatures::WIDE_ARITHMETIC,
        name: "wide arithmetic",
        advice: "build it without it (clang -mno-wide-arithmetic, rustc -Ctarget-feature=-wide-arithmetic)",
    },
    Proposal { feature: WasmFeatures::STACK_SWITCHING, name: "stack switching", advice: "build it without it" },
    Proposal { feature: WasmFeatures::MEMORY_CONTROL, name: "memory control", advice: "build it without it" },
    Proposal { feature: WasmFeatures::CUSTOM_DESCRIPTORS, name: "custom descriptors", advice: "build it without them" },
];

/// Why wrun does not run a module that is not valid with the supported features, with this error. The text continues a sentence that
/// begins with the module.
pub(super) fn explain(bytes: &[u8], error: &wasmparser::Error, threads: Threads) -> String {
    let needed = match needed(bytes, threads) {
        Ok(needed) => needed,
        // What is wrong apart from the proposals is what is wrong with it.
        Err(other) if error.missing_wasm_feature().is_some() => return invalid(&other),
        Err(_) => return invalid(error),
    };
    let names: Vec<&str> = needed.iter().map(|proposal| proposal.name).collect();
    let advice: Vec<&str> = needed.iter().map(|proposal| proposal.advice).collect();
    refusal(&names.join(" and "), &advice.join("; "))
}

/// The refusal of a module with a memory that threads share.
pub(super) fn shared_memory() -> String {
    refusal(
        "a shared memory",
        "tasks have no threads; build it without them (no -pthread, no -matomics, no --shared-memory)",
    )
}

fn refusal(name: &str, advice: &str) -> String {
    format!("uses {name}, which wrun does not run: {advice}")
}

/// The fewest proposals that make the module valid.
fn needed(bytes: &[u8], threads: Threads) -> wasmparser::Result<Vec<&'static Proposal>> {
    let features = |proposals: &[&Proposal]| {
        proposals.iter().fold(SUPPORTED, |features, proposal| features.union(proposal.feature))
    };
    let mut needed: Vec<&Proposal> = OTHERS.iter().collect();
    binary::check(bytes, features(&needed), threads)?;
    for proposal in OTHERS {
        let fewer: Vec<&Proposal> = needed.iter().copied().filter(|other| other.feature != proposal.feature).collect();
        if binary::check(bytes, features(&fewer), threads).is_ok() {
            needed = fewer;
        }
    }
    Ok(needed)
}

/// Why a module is not valid. A limit of the validator's own is no fault of the module.
fn invalid(error: &wasmparser::Error) -> String {
    let message = one_line(error.message());
    if let Some((what, most)) = message.split_once(" count exceeds limit of ") {
        return format!("is too large: wrun runs modules with at most {most} {what}");
    }
    format!("is not a valid module: {message} (at offset {:#x})", error.offset())
}
