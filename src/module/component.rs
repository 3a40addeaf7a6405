//! Describes components, and knows which interfaces wrun gives them.

use wasmtime::component::Component;

use super::description::{Description, Extern};
use super::explain::one_line;

/// The interfaces of WASI 0.2 that components may import. Sockets are among them, because runtimes of languages import them whether or
/// not a program uses the network; each of their functions refuses.
///
/// Source: the world `wasi:cli/imports` (<https://github.com/WebAssembly/WASI>, version 0.2).
const INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The version of WASI that wrun gives to components. Versions that differ in the last number alone fit each other.
const VERSION: &str = "0.2.";

/// The interface that a command exports, without its version.
const RUN: &str = "wasi:cli/run";

/// The type of imports and exports that are interfaces, in the form of [`Extern::ty`].
const INTERFACE: &str = "interface";

/// Describes `component`.
pub(super) fn describe(component: &Component) -> Description {
    let (engine, ty) = (component.engine(), component.component_type());
    let interface = |name: &str| Extern { module: String::new(), name: name.to_owned(), ty: INTERFACE.to_owned() };
    let imports: Vec<Extern> = ty.imports(engine).map(|(name, _)| interface(name)).collect();
    let exports: Vec<Extern> = ty.exports(engine).map(|(name, _)| interface(name)).collect();
    let needs = component.resources_required();
    Description {
        tasks: Vec::new(),
        scalars: Vec::new(),
        component: true,
        command: exports.iter().any(|export| is_interface(&export.name, RUN)),
        initialize: false,
        wasi: imports.iter().any(|import| import.name.starts_with("wasi:")),
        wrun_imports: Vec::new(),
        memory: None,
        memories: needs.as_ref().map_or(0, |needs| needs.num_memories),
        tables: needs.as_ref().map_or(0, |needs| needs.num_tables),
        table_elements: needs.and_then(|needs| needs.max_initial_table_size).unwrap_or(0),
        large_memories: false,
        imports,
        exports,
    }
}

/// Whether `name` is this interface in the version of WASI that wrun gives.
fn is_interface(name: &str, interface: &str) -> bool {
    name.strip_prefix(interface).and_then(|rest| rest.strip_prefix('@')).is_some_and(|rest| rest.starts_with(VERSION))
}

/// Why wrun does not provide this import of a component, or `None` if it does. The text continues a sentence that begins with the module.
pub(super) fn import_problem(name: &str) -> Option<String> {
    if INTERFACES.iter().any(|interface| is_interface(name, interface)) {
        return None;
    }
    let advice = match name {
        _ if name.starts_with("wasi:http/") => "tasks have no network; build it without HTTP",
        _ if INTERFACES.iter().any(|interface| name.split('@').next() == Some(interface)) => {
            "wrun gives version 0.2 of WASI; build it for wasm32-wasip2 or wasi:cli 0.2"
        }
        _ => "only interfaces of the world wasi:cli/command 0.2 are",
    };
    Some(format!("imports {}, which wrun does not provide: {advice}", one_line(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_a_version() {
        assert_eq!(import_problem("wasi:cli/environment@0.2.0"), None);
        assert_eq!(import_problem("wasi:sockets/tcp@0.2.12"), None);
        for (name, says) in [
            ("wasi:cli/environment@0.3.0", "wrun gives version 0.2 of WASI"),
            ("wasi:cli/environment", "wrun gives version 0.2 of WASI"),
            ("wasi:http/outgoing-handler@0.2.0", "tasks have no network"),
            ("wasi:cli/environments@0.2.0", "only interfaces of the world"),
            ("own:kv/store", "only interfaces of the world"),
        ] {
            let problem = import_problem(name).unwrap();
            assert!(problem.starts_with(&format!("imports {name}, which")) && problem.contains(says), "{problem}");
        }
    }
}
