//! Describes components, and knows which interfaces wrun gives them.

use wasmparser::{ComponentExternalKind, Parser, Payload, ValidPayload, Validator, WasmFeatures, types};
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::binary::{self, Bodies, Threads};
use super::description::{Description, Extern};
use super::explain::one_line;
use super::functions::Functions;
use super::proposals;
use super::resources::Resources;
use super::task_world::{self, is_task, is_task_type};
use super::wit;

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

/// A binary component whose declarations are valid.
pub(super) struct BinaryComponent<'a> {
    bytes: &'a [u8],
    contents: Contents,
    /// Those of the component itself.
    types: Option<types::Types>,
    bodies: Bodies<'a>,
}

impl<'a> BinaryComponent<'a> {
    /// Reads a component that wrun runs, as far as its declarations show. All of it is checked except the bodies of its functions.
    ///
    /// # Errors
    ///
    /// Returns why wrun does not run it. The text continues a sentence that begins with the module.
    pub fn read(bytes: &'a [u8], threads: Threads) -> Result<BinaryComponent<'a>, String> {
        let component = BinaryComponent::parse(bytes, proposals::SUPPORTED_BY_COMPONENTS)
            .map_err(|error| proposals::explain(bytes, &error, threads))?;
        if component.contents.shares_memory {
            return Err(proposals::shared_memory());
        }
        component.contents.resources.problem().map_or(Ok(component), Err)
    }

    fn parse(bytes: &'a [u8], features: WasmFeatures) -> wasmparser::Result<BinaryComponent<'a>> {
        let mut validator = Validator::new_with_features(features);
        let (mut contents, mut bodies, mut types, mut depth) = (Contents::default(), Bodies::new(), None, 0);
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match validator.payload(&payload)? {
                ValidPayload::Func(function, body) => bodies.push((function, body)),
                ValidPayload::End(ended) if depth == 0 => types = Some(ended),
                _ => {}
            }
            contents.add(payload, &mut depth)?;
        }
        Ok(BinaryComponent { bytes, contents, types, bodies })
    }

    /// Checks the bodies of all functions.
    ///
    /// # Errors
    ///
    /// Returns the first error.
    pub fn check_bodies(self, threads: Threads) -> wasmparser::Result<()> {
        binary::check_bodies(self.bodies, threads)
    }

    /// What it offers and needs.
    pub fn describe(&self) -> Description {
        let exports = || self.contents.exports.iter().map(|(name, _)| name.as_str());
        let (tasks, functions) = match &self.types {
            Some(types) => (
                exports().filter(|name| is_task(types, name)).map(str::to_owned).collect(),
                Functions::of_binary(types, exports()),
            ),
            None => Default::default(),
        };
        Description { wit: wit::of(self.bytes), ..self.contents.describe(tasks, functions) }
    }
}

/// Checks a component with these features, the bodies of its functions included.
///
/// # Errors
///
/// Returns the first error.
pub(super) fn check(bytes: &[u8], features: WasmFeatures, threads: Threads) -> wasmparser::Result<()> {
    BinaryComponent::parse(bytes, features)?.check_bodies(threads)
}

/// Describes a component that was compiled elsewhere. What its modules need is not known as exactly as for a binary one.
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
    let is_task =
        |item: &ComponentItem| matches!(item, ComponentItem::ComponentFunc(function) if is_task_type(function));
    let tasks = ty.exports(engine).filter(|(_, item)| is_task(&item.ty)).map(|(name, _)| name.to_owned()).collect();
    let contents = Contents { imports, exports, resources, shares_memory: false };
    contents.describe(tasks, Functions::of_compiled(component))
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
    /// Adds a part. Modules and components lie within each other: `depth` says in how many this one lies.
    fn add(&mut self, payload: Payload<'_>, depth: &mut u32) -> wasmparser::Result<()> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => *depth += 1,
            Payload::End(_) => *depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if *depth == 0 => {
                for import in section {
                    let import = import?;
                    self.imports.push((import.name.name.to_owned(), kind_name(import.ty.kind())));
                }
            }
            Payload::ComponentExportSection(section) if *depth == 0 => {
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
        Ok(())
    }

    fn describe(&self, tasks: Vec<String>, functions: Functions) -> Description {
        let Functions { mut callable, mut not_callable, .. } = functions;
        // What a command is run by has an entry of its own, and so have tasks.
        callable.retain(|function| !function.place().0.is_some_and(|interface| is_interface(interface, RUN)));
        callable.retain(|function| !tasks.contains(&function.name));
        not_callable.retain(|function| !function.name.starts_with(RUN));
        let list = |items: &[(String, &str)]| -> Vec<Extern> {
            let item = |(name, kind): &(String, &str)| Extern {
                module: String::new(),
                name: name.clone(),
                ty: (*kind).to_owned(),
            };
            items.iter().map(item).collect()
        };
        Description {
            component: true,
            tasks,
            functions: callable,
            not_callable,
            command: self.exports.iter().any(|(name, _)| is_interface(name, RUN)),
            wasi: self.imports.iter().any(|(name, _)| name.starts_with("wasi:")),
            imports: list(&self.imports),
            exports: list(&self.exports),
            ..self.resources.describe()
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
        _ if let Some(problem) = task_world::import_problem(name) => match problem {
            Ok(()) => return None,
            Err(advice) => advice,
        },
        _ if name.starts_with("wasi:http/") => "tasks have no network; build it without HTTP",
        _ if INTERFACES.iter().any(|interface| name.split('@').next() == Some(interface)) => {
            "wrun gives version 0.2 of WASI; build it for wasm32-wasip2 or wasi:cli 0.2"
        }
        _ => "only interfaces of the world wasi:cli/command 0.2 and of wrun:task 0.1 are",
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
