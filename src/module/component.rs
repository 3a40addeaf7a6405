//! Describes components, and knows which interfaces wrun gives them.

use wasmparser::{ComponentExternalKind, Parser, Payload, Validator, WasmFeatures};
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::description::{Description, Extern};
use super::explain::one_line;
use super::proposals;
use super::resources::Resources;

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

/// Reads and checks a binary component, and describes it.
///
/// # Errors
///
/// Returns why wrun does not run it. The text continues a sentence that begins with the module.
pub(super) fn read(bytes: &[u8]) -> Result<Description, String> {
    let features = proposals::SUPPORTED.union(WasmFeatures::COMPONENT_MODEL);
    let invalid = |error: wasmparser::Error| {
        format!("is not a valid component: {} (at offset {:#x})", one_line(error.message()), error.offset())
    };
    Validator::new_with_features(features).validate_all(bytes).map_err(invalid)?;
    let mut contents = Contents::default();
    contents.read(bytes).map_err(invalid)?;
    if contents.shares_memory {
        return Err(proposals::shared_memory());
    }
    contents.resources.problem().map_or(Ok(contents.describe()), Err)
}

/// Describes a component that was compiled elsewhere. What its modules need is not known as exactly as for [`read`].
pub(super) fn describe(component: &Component) -> Description {
    let (engine, ty) = (component.engine(), component.component_type());
    let needs = component.resources_required();
    let resources = Resources {
        memories: needs.as_ref().map_or(0, |needs| needs.num_memories),
        tables: needs.as_ref().map_or(0, |needs| needs.num_tables),
        memory_pages: 0,
        table_elements: needs.and_then(|needs| needs.max_initial_table_size).unwrap_or(0),
        large_memories: false,
    };
    let imports = ty.imports(engine).map(|(name, item)| (name.to_owned(), kind_of(&item.ty))).collect();
    let exports = ty.exports(engine).map(|(name, item)| (name.to_owned(), kind_of(&item.ty))).collect();
    Contents { imports, exports, resources, shares_memory: false }.describe()
}

/// What a component imports and exports, and what its modules define.
#[derive(Default)]
struct Contents {
    /// Names and kinds.
    imports: Vec<(String, &'static str)>,
    exports: Vec<(String, &'static str)>,
    resources: Resources,
    shares_memory: bool,
}

impl Contents {
    fn read(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        // Modules and components lie within each other.
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import?;
                        self.imports.push((import.name.name.to_owned(), kind_name(import.ty.kind())));
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export?;
                        self.exports.push((export.name.name.to_owned(), kind_name(export.kind)));
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = memory?;
                        self.shares_memory |= memory.shared;
                        self.resources.memories += 1;
                        self.resources.memory_pages = self.resources.memory_pages.max(memory.initial);
                        self.resources.large_memories |= memory.memory64;
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        self.resources.tables += 1;
                        self.resources.table_elements = self.resources.table_elements.max(table?.ty.initial);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn describe(self) -> Description {
        let Contents { imports, exports, resources, .. } = self;
        let item = |(name, kind): (String, &str)| Extern { module: String::new(), name, ty: kind.to_owned() };
        let imports: Vec<Extern> = imports.into_iter().map(item).collect();
        let exports: Vec<Extern> = exports.into_iter().map(item).collect();
        Description {
            tasks: Vec::new(),
            scalars: Vec::new(),
            component: true,
            command: exports.iter().any(|export| is_interface(&export.name, RUN)),
            initialize: false,
            wasi: imports.iter().any(|import| import.name.starts_with("wasi:")),
            wrun_imports: Vec::new(),
            imports,
            exports,
            memory: None,
            memories: resources.memories,
            tables: resources.tables,
            table_elements: resources.table_elements,
            large_memories: resources.large_memories,
            owns_memory: None,
            grows_safely: false,
            data_segments: None,
        }
    }
}

/// The kind of an import or export, as in the component model's text format; an instance is an interface.
fn kind_name(kind: ComponentExternalKind) -> &'static str {
    match kind {
        ComponentExternalKind::Instance => INTERFACE,
        ComponentExternalKind::Func => "func",
        ComponentExternalKind::Module => "core module",
        ComponentExternalKind::Value => "value",
        ComponentExternalKind::Type => "type",
        ComponentExternalKind::Component => "component",
    }
}

fn kind_of(item: &ComponentItem) -> &'static str {
    match item {
        ComponentItem::ComponentInstance(_) => INTERFACE,
        ComponentItem::ComponentFunc(_) | ComponentItem::CoreFunc(_) => "func",
        ComponentItem::Module(_) => "core module",
        ComponentItem::Component(_) => "component",
        ComponentItem::Type(_) | ComponentItem::Resource(_) => "type",
    }
}

const INTERFACE: &str = "interface";

/// Whether `name` is this interface in the version of WASI that wrun gives.
fn is_interface(name: &str, interface: &str) -> bool {
    name.strip_prefix(interface).and_then(|rest| rest.strip_prefix('@')).is_some_and(|rest| rest.starts_with(VERSION))
}

/// Why wrun does not provide this import of a component, or `None` if it does. The text continues a sentence that begins with the module.
pub(super) fn import_problem(import: &Extern) -> Option<String> {
    let name = import.name.as_str();
    // Types have no value that somebody would have to provide.
    if import.ty == "type" || INTERFACES.iter().any(|interface| is_interface(name, interface)) {
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
        let import_problem = |name: &str| {
            import_problem(&Extern { module: String::new(), name: name.to_owned(), ty: INTERFACE.to_owned() })
        };
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
