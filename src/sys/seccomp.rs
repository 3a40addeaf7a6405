//! Seccomp filters, from their description as JSON.
//!
//! Sources: seccomp(2); the `seccompiler` crate's documentation for the format.

use std::io;

use seccompiler::{BpfProgram, Error, apply_filter_all_threads, compile_from_json};
use serde_json::{Value, json};

/// Applies a filter to all threads of this process, for good: that with the first of the `names`, with the rules of the others
/// added to it.
///
/// # Errors
///
/// Where the kernel has no seccomp, or the description is wrong.
pub fn apply(filters: &str, names: &[&str]) -> io::Result<()> {
    apply_filter_all_threads(&compile(filters, names)?).map_err(|error| match error {
        Error::Prctl(error) | Error::Seccomp(error) => error,
        other => io::Error::other(other),
    })
}

/// Compiles such a filter for this machine.
pub fn compile(filters: &str, names: &[&str]) -> io::Result<BpfProgram> {
    let mut filters: Value = serde_json::from_str(filters)?;
    let mut filter = |name: &str| match filters[name].take() {
        Value::Null => Err(io::Error::other(format!("there is no filter {name}"))),
        filter => Ok(filter),
    };
    let (first, others) = names.split_first().ok_or_else(|| io::Error::other("a filter has a name"))?;
    let mut whole = filter(first)?;
    for other in others {
        let added = filter(other)?;
        whole["filter"] = sum(&whole["filter"], &added["filter"]);
    }
    name_own_process(&mut whole);
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let compiled = compile_from_json(json!({ "whole": whole }).to_string().as_bytes(), arch);
    let program = compiled.map_err(io::Error::other)?.remove("whole");
    program.ok_or_else(|| io::Error::other("the filter is empty"))
}

/// Puts this process's number where a rule says `own process`.
fn name_own_process(filter: &mut Value) {
    let rules = filter["filter"].as_array_mut().into_iter().flatten();
    for arg in rules.filter_map(|rule| rule["args"].as_array_mut()).flatten() {
        if arg["val"] == "own process" {
            arg["val"] = std::process::id().into();
        }
    }
}

/// All rules of both; where a call has one without conditions, the others say nothing and the compiler does not take them.
fn sum(rules: &Value, added: &Value) -> Value {
    let list = |rules: &Value| rules.as_array().cloned().unwrap_or_default();
    let (mut rules, added) = (list(rules), list(added));
    rules.retain(|rule| !added.iter().any(|new| new["syscall"] == rule["syscall"] && new["args"].is_null()));
    rules.extend(added);
    Value::Array(rules)
}
