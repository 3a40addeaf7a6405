//! The proposals of WebAssembly that wrun runs, and what to say of a module or component that uses others.
//!
//! Messages are not matched: a binary that is valid with all proposals is validated again with fewer and fewer of them, until those are
//! left that it needs.

use wasmparser::WasmFeatures;

use super::binary::{self, Threads};
use super::component;
use super::explain::one_line;
use super::source::is_component;

/// What wasmtime runs by default. A test compares this with wasmtime.
pub(super) const SUPPORTED: WasmFeatures = WasmFeatures::WASM3;

/// The same for components.
pub(super) const SUPPORTED_BY_COMPONENTS: WasmFeatures = SUPPORTED.union(WasmFeatures::COMPONENT_MODEL);

/// A proposal that wrun does not run.
struct Proposal {
    feature: WasmFeatures,
    name: &'static str,
    /// What to do about it.
    advice: &'static str,
}

/// The proposals for components that are recognized. Those for modules are recognized in a component, too.
const OTHERS_OF_COMPONENTS: &[Proposal] = &[
    Proposal {
        feature: WasmFeatures::CM_ASYNC
            .union(WasmFeatures::CM_ASYNC_STACKFUL)
            .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
            .union(WasmFeatures::CM_THREADING)
            .union(WasmFeatures::CM_ERROR_CONTEXT),
        name: "the component model's async functions",
        advice: "build it for WASI 0.2, without async (componentize-qjs --sync)",
    },
    Proposal { feature: WasmFeatures::CM_GC, name: "the component model's GC values", advice: "build it without them" },
    Proposal { feature: WasmFeatures::CM_MAP, name: "the component model's maps", advice: "use lists of tuples" },
    Proposal {
        feature: WasmFeatures::CM_FIXED_LENGTH_LISTS,
        name: "the component model's lists of fixed length",
        advice: "use lists or tuples",
    },
    Proposal {
        feature: WasmFeatures::CM_VALUES
            .union(WasmFeatures::CM_NESTED_NAMES)
            .union(WasmFeatures::CM_IMPLEMENTS)
            .union(WasmFeatures::CM_CANON_NAMES),
        name: "drafts of the component model",
        advice: "build it for WASI 0.2",
    },
];

/// The proposals for modules that are recognized.
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
        advice: "build it with pages of 64 KiB",
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

/// Why wrun does not run a module or component that is not valid with the supported features, with this error. The text continues a
/// sentence that begins with it.
pub(super) fn explain(bytes: &[u8], error: &wasmparser::Error, threads: Threads) -> String {
    let needed = match needed(bytes, threads) {
        Ok(needed) => needed,
        // What is wrong apart from the proposals is what is wrong with it.
        Err(other) if error.missing_wasm_feature().is_some() => return invalid(bytes, &other),
        Err(_) => return invalid(bytes, error),
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

/// Checks a module or component, the bodies of functions included, with what wrun runs and these features.
///
/// # Errors
///
/// Returns the first error.
pub(super) fn check(bytes: &[u8], others: WasmFeatures, threads: Threads) -> wasmparser::Result<()> {
    match is_component(bytes) {
        true => component::check(bytes, SUPPORTED_BY_COMPONENTS.union(others), threads),
        false => binary::check(bytes, SUPPORTED.union(others), threads),
    }
}

/// The fewest proposals that make it valid.
fn needed(bytes: &[u8], threads: Threads) -> wasmparser::Result<Vec<&'static Proposal>> {
    let of_components = if is_component(bytes) { OTHERS_OF_COMPONENTS } else { &[] };
    let mut needed: Vec<&Proposal> = of_components.iter().chain(OTHERS).collect();
    let check = |proposals: &[&Proposal]| {
        let features = proposals.iter().fold(WasmFeatures::empty(), |all, proposal| all.union(proposal.feature));
        check(bytes, features, threads)
    };
    check(&needed)?;
    for proposal in needed.clone() {
        let fewer: Vec<&Proposal> = needed.iter().copied().filter(|other| other.feature != proposal.feature).collect();
        if check(&fewer).is_ok() {
            needed = fewer;
        }
    }
    Ok(needed)
}

/// Why it is not valid. A limit of the validator's own is no fault of the module.
fn invalid(bytes: &[u8], error: &wasmparser::Error) -> String {
    let message = one_line(error.message());
    if let Some((what, most)) = message.split_once(" count exceeds limit of ") {
        return format!("is too large: wrun runs modules with at most {most} {what}");
    }
    let kind = if is_component(bytes) { "component" } else { "module" };
    format!("is not a valid {kind}: {message} (at offset {:#x})", error.offset())
}
