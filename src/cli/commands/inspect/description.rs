//! The description of a module as text.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use indicatif::HumanBytes;
use wrun::module::{Description, Entry, Extern, Function, Grant, Memory, Scalar};

use crate::report::{advice, name, one_line, shell_quote};

/// The whole text, in paragraphs; `path` is the module as the user named it.
pub fn describe(module: &str, description: &Description, path: impl AsRef<Path>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let out = &mut text;
    writeln!(out, "{}", name(module))?;
    write_calls(out, description)?;
    write_initializer(out, description)?;
    write_imports(out, description)?;
    write_grants(out, &description.grants())?;
    write_memory(out, description)?;
    write_exports(out, &description.exports)?;
    write_wit(out, description.wit.as_deref())?;
    match (description.check_imports(), description.entry(None, None)) {
        (Err(problem), _) => {
            let advice = problem.setting().map(|setting| format!("; {}", advice(setting))).unwrap_or_default();
            writeln!(out, "\nCannot be run: {}{advice}", name(&problem.to_string()))?;
        }
        (_, Err(problem)) if offers_no_function(description) => {
            writeln!(out, "\nCannot be run: {}", name(&problem.to_string()))?;
        }
        (_, entry) => write_how_to_run(out, description, entry.ok(), path.as_ref())?,
    }
    Ok(text)
}

/// Whether it has nothing that is called by its name.
fn offers_no_function(description: &Description) -> bool {
    description.tasks.is_empty() && description.scalars.is_empty() && description.functions.is_empty()
}

fn write_calls(out: &mut String, description: &Description) -> fmt::Result {
    writeln!(out, "\nCan be called as:")?;
    for task in &description.tasks {
        writeln!(out, "  task      {}", name(task))?;
    }
    for scalar in &description.scalars {
        writeln!(out, "  function  {}", name(&scalar.to_string()))?;
    }
    for function in &description.functions {
        writeln!(out, "  function  {}", one_line(&function.to_string()))?;
    }
    if description.command {
        let what = if description.component { "wasi:cli/run (WASI preview 2)" } else { "_start (WASI preview 1)" };
        writeln!(out, "  command   {what}")?;
    }
    if offers_no_function(description) && !description.command {
        let what = match description.component {
            true => "no task, no function of plain values, and no wasi:cli/run",
            false => "no task, no function of numbers, and no _start",
        };
        writeln!(out, "  nothing: there is {what}")?;
    }
    if !description.not_callable.is_empty() {
        writeln!(out, "\nCannot be called:")?;
        for function in &description.not_callable {
            writeln!(out, "  {}: {}", name(&function.name), name(&function.reason))?;
        }
    }
    Ok(())
}

/// What is called before a task.
fn write_initializer(out: &mut String, description: &Description) -> fmt::Result {
    match (description.initializer, description.snapshot) {
        (false, _) => Ok(()),
        (true, false) => {
            writeln!(out, "\nHas an initializer, which runs once: all instances begin with a snapshot of it.")
        }
        (true, true) => writeln!(out, "\nInstances begin with a snapshot of what its initializer has left."),
    }
}

/// The module that an import comes from, and its name there. Interfaces of a component come from a package.
fn place(import: &Extern, is_component: bool) -> (&str, &str) {
    match import.name.split_once('/') {
        Some(place) if is_component => place,
        _ => (&import.module, &import.name),
    }
}

/// One line for each module that is imported from, in order of appearance; imports that wrun does not provide are marked.
fn write_imports(out: &mut String, description: &Description) -> fmt::Result {
    let imports = &description.imports;
    if imports.is_empty() {
        return writeln!(out, "\nImports nothing.");
    }
    writeln!(out, "\nImports:")?;
    let mut modules: Vec<(&str, Vec<&Extern>)> = Vec::new();
    let mut positions: HashMap<&str, usize> = HashMap::new();
    let place = |import| place(import, description.component);
    for import in imports {
        let (module, _) = place(import);
        let position = *positions.entry(module).or_insert(modules.len());
        if position == modules.len() {
            modules.push((module, Vec::new()));
        }
        modules[position].1.push(import);
    }
    for (module, imports) in modules {
        let provided: Vec<String> = imports
            .iter()
            .filter(|import| description.problem_of_import(import).is_none())
            .map(|import| name(place(import).1))
            .collect();
        if !provided.is_empty() {
            writeln!(out, "  {}: {}", name(module), provided.join(", "))?;
        }
        for import in imports.iter().filter(|import| description.problem_of_import(import).is_some()) {
            writeln!(out, "  {}: {} ({}) is NOT provided by wrun", name(module), name(place(import).1), import.ty)?;
        }
    }
    Ok(())
}

fn write_grants(out: &mut String, grants: &[Grant]) -> fmt::Result {
    if grants.is_empty() {
        return Ok(());
    }
    let words = grants.iter().map(|grant| match grant {
        Grant::Files => "files (--dir)",
        Grant::Environment => "environment variables (--env)",
        Grant::Clock => "the clock (--clock)",
        Grant::Random => "random numbers (--random)",
        Grant::Sockets => "sockets (never)",
    });
    writeln!(out, "\nSimulated or refused unless granted: {}.", words.collect::<Vec<_>>().join(", "))
}

fn write_memory(out: &mut String, description: &Description) -> fmt::Result {
    if description.component {
        return Ok(());
    }
    let Some(memory) = &description.memory else { return writeln!(out, "\nExports no memory.") };
    let size = |pages: u64| HumanBytes(pages.saturating_mul(64 << 10));
    write!(out, "\nMemory: {} at start, ", size(memory.minimum))?;
    match memory.maximum {
        Some(maximum) => write!(out, "at most {}", size(maximum))?,
        None => write!(out, "no maximum")?,
    }
    if let Some(language) = &description.owns_memory {
        writeln!(out, "; {language}'s allocator takes all of it: inputs can be read, or mapped over its buffers")
    } else if memory.room_pages() == 0 {
        writeln!(out, "; no room for mapped inputs: raise its maximum (wasm-ld --max-memory=BYTES)")
    } else if memory.room_pages() < SCARCE_PAGES && memory.maximum.is_some_and(|maximum| maximum < Memory::MAX_PAGES) {
        writeln!(out, "; room for {} of mapped inputs and its own growth together", size(memory.room_pages()))
    } else {
        writeln!(out)
    }
}

/// With fewer pages of room than this (64 MiB), pieces of a usual size do not fit.
const SCARCE_PAGES: u64 = 1024;

fn write_exports(out: &mut String, exports: &[Extern]) -> fmt::Result {
    writeln!(out, "\nExports:{}", if exports.is_empty() { " nothing" } else { "" })?;
    for export in exports {
        writeln!(out, "  {}: {}", name(&export.name), export.ty)?;
    }
    Ok(())
}

/// The WIT without the packages of WASI, which everybody has.
fn write_wit(out: &mut String, wit: Option<&str>) -> fmt::Result {
    let Some(wit) = wit else { return Ok(()) };
    writeln!(out, "\nWIT (--json has that of WASI as well):")?;
    let mut is_wasi = false;
    for line in wit.lines() {
        is_wasi |= line.starts_with("package wasi:");
        if !is_wasi && !line.is_empty() {
            writeln!(out, "  {}", name(line))?;
        }
        is_wasi &= line != "}";
    }
    Ok(())
}

/// A command line for the function that is called by default, or if there is none, for each function.
fn write_how_to_run(out: &mut String, description: &Description, entry: Option<Entry>, path: &Path) -> fmt::Result {
    writeln!(out, "\nRun it with:")?;
    // A task that reads inputs usually gets files.
    let items = if description.reads_inputs() { "--files FILE..." } else { "ITEM..." };
    // A name that no command line can hold is shown with escapes.
    let word =
        |text: &str| shell_quote(text.as_bytes()).or_else(|| shell_quote(name(text).as_bytes())).unwrap_or_default();
    let path = shell_quote(path.as_os_str().as_bytes()).unwrap_or_default();
    match entry {
        Some(Entry::Task(_)) => writeln!(out, "  wrun map {path} {items}"),
        Some(Entry::Scalar(scalar)) => writeln!(out, "  wrun map {path} {}...", item_of(&scalar)),
        Some(Entry::Command) => writeln!(out, "  wrun run {path} [ARG]..."),
        Some(Entry::Function(function)) => writeln!(out, "  wrun map {path} {}...", values_of(&function)),
        // Other entries, and several of them.
        _ if !description.tasks.is_empty() => description
            .tasks
            .iter()
            .try_for_each(|task| writeln!(out, "  wrun map {path} --call {} {items}", word(task))),
        _ => {
            let scalars = description.scalars.iter().map(|scalar| (&scalar.name, item_of(scalar)));
            let functions = description.functions.iter().map(|function| (&function.name, values_of(function)));
            scalars
                .chain(functions)
                .try_for_each(|(name, item)| writeln!(out, "  wrun map {path} --call {} {item}...", word(name)))
        }
    }
}

/// What an item looks like: a number for each parameter.
fn item_of(scalar: &Scalar) -> String {
    match &*scalar.params {
        [] => "''".into(),
        [param] => param.to_string().to_uppercase(),
        params => {
            format!("'{}'", params.iter().map(|param| param.to_string().to_uppercase()).collect::<Vec<_>>().join(" "))
        }
    }
}

/// What an item of a component's function looks like: a value for each parameter.
fn values_of(function: &Function) -> String {
    match &*function.params {
        [] => "''".into(),
        params => {
            let names: Vec<String> = params.iter().map(|param| name(&param.name).to_uppercase()).collect();
            format!("'{}'", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(changes: serde_json::Value) -> Description {
        let mut all = serde_json::json!({
            "tasks": [], "scalars": [], "component": false, "command": false, "initialize": false, "wasi": false,
            "wrun_imports": [], "imports": [], "exports": [], "memory": null, "memories": 0, "tables": 0,
            "table_elements": 0, "large_memories": false,
        });
        for (key, value) in changes.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_module_is_shown_with_all_it_provides_and_needs() {
        let description = description(serde_json::json!({
            "tasks": ["count", "merge"],
            "wasi": true,
            "imports": [
                {"module": "wrun_v1", "name": "arg_len", "ty": "func () -> (i32)"},
                {"module": "wasi_snapshot_preview1", "name": "random_get", "ty": "func (i32 i32) -> (i32)"},
                {"module": "wrun_v1", "name": "input_count", "ty": "func () -> (i32)"},
            ],
            "exports": [{"name": "memory", "ty": "memory 1..3"}],
            "memory": {"minimum": 1, "maximum": 3, "is_64": false},
        }));
        assert_eq!(
            describe("words.wasm", &description, "dir/words.wasm").unwrap(),
            "words.wasm

Can be called as:
  task      count
  task      merge

Imports:
  wrun_v1: arg_len, input_count
  wasi_snapshot_preview1: random_get

Simulated or refused unless granted: random numbers (--random).

Memory: 64.00 KiB at start, at most 192.00 KiB; room for 128.00 KiB of mapped inputs and its own growth together

Exports:
  memory: memory 1..3

Run it with:
  wrun map dir/words.wasm --call count ITEM...
  wrun map dir/words.wasm --call merge ITEM...
"
        );
    }

    #[test]
    fn what_cannot_be_run_is_marked() {
        let description = description(serde_json::json!({
            "scalars": [{"name": "f\u{1b}[2J", "params": ["i32", "f64"], "results": []}],
            "imports": [{"module": "env", "name": "puts", "ty": "func (i32) -> (i32)"}],
        }));
        let text = describe("m.wasm", &description, "m.wasm").unwrap();
        assert!(text.contains("  env: puts (func (i32) -> (i32)) is NOT provided by wrun\n"), "{text}");
        assert!(text.contains("\nCannot be run: the module imports env::puts, which wrun does not provide"), "{text}");
        assert!(!text.contains("Run it with") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn items_of_a_function_have_a_number_for_each_parameter() {
        use wrun::module::Number::{F64, I32};
        for (params, item) in [(&[][..], "''"), (&[F64], "F64"), (&[I32, F64], "'I32 F64'")] {
            let scalar = Scalar { name: "f".into(), params: params.to_vec(), results: vec![] };
            assert_eq!(item_of(&scalar), item);
        }
    }
}
