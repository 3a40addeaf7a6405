//! Compiles the workers' system call filters, so that a starting worker only has to install them.
//!
//! Source: seccomp(2); the `seccompiler` crate's documentation for the JSON format.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde_json::{Value, json};

const DESCRIPTION: &str = "src/sandbox/seccomp.json";

/// The filters that workers install. Each is a filter of the description, or the first of several with the rules of the
/// others added.
const FILTERS: [&[&str]; 5] =
    [&["worker"], &["worker", "reading"], &["worker", "reading", "writing"], &["loaded"], &["loaded", "no-paths"]];

/// A placeholder in the compiled filters for `own process` in the description. No process has this number
/// (`PID_MAX_LIMIT`, proc(5)).
const OWN_PROCESS: u32 = 0x7fff_fff1;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DESCRIPTION}");
    println!("cargo::rerun-if-changed=build.rs");
    let description: Value = serde_json::from_str(&fs::read_to_string(DESCRIPTION)?)?;
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?.as_str().try_into()?;
    let mut code = format!("const OWN_PROCESS: u32 = {OWN_PROCESS};\nconst PROGRAMS: &[(&str, &[Instruction])] = &[\n");
    for names in FILTERS {
        let (filter, own_process_rules) = filter(&description, names)?;
        let compiled = seccompiler::compile_from_json(json!({ "whole": filter }).to_string().as_bytes(), arch)?;
        let program = &compiled["whole"];
        // Each such rule has one comparison with the placeholder, and nothing else contains it.
        let replaced = program.iter().filter(|instruction| instruction.k == OWN_PROCESS).count();
        assert_eq!(
            replaced, own_process_rules,
            "{names:?}: {OWN_PROCESS:#x} must only stand for the worker's own process"
        );
        writeln!(code, "({:?}, &[", names.join("+"))?;
        for instruction in program {
            let (code_, jt, jf, k) = (instruction.code, instruction.jt, instruction.jf, instruction.k);
            writeln!(code, "({code_}, {jt}, {jf}, {k}),")?;
        }
        writeln!(code, "]),")?;
    }
    code.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("seccomp_programs.rs"), code)?;
    Ok(())
}

/// The first filter with the rules of the others, and the number of its rules about the worker's own process.
fn filter(description: &Value, names: &[&str]) -> Result<(Value, usize), Box<dyn Error>> {
    let named = |name: &str| description.get(name).cloned().ok_or_else(|| format!("there is no filter {name}"));
    let mut whole = named(names[0])?;
    for name in &names[1..] {
        whole["filter"] = sum(&whole["filter"], &named(name)?["filter"]);
    }
    let mut own_process_rules = 0;
    let rules = whole["filter"].as_array_mut().into_iter().flatten();
    for arg in rules.filter_map(|rule| rule["args"].as_array_mut()).flatten() {
        if arg["val"] == "own process" {
            arg["val"] = OWN_PROCESS.into();
            own_process_rules += 1;
        }
    }
    Ok((whole, own_process_rules))
}

/// The rules of both. A rule without conditions makes the other rules for its call redundant, and the compiler rejects
/// them, so it replaces them.
fn sum(rules: &Value, added: &Value) -> Value {
    let list = |rules: &Value| rules.as_array().cloned().unwrap_or_default();
    let (mut rules, added) = (list(rules), list(added));
    rules.retain(|rule| !added.iter().any(|new| new["syscall"] == rule["syscall"] && new["args"].is_null()));
    rules.extend(added);
    Value::Array(rules)
}
