//! The package `wrun:task` of WIT (`guest-sdk/wit`): its interfaces, and which exports of a component are tasks.

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{ComponentDefinedType, ComponentEntityType, ComponentValType};
use wasmparser::types::Types;
use wasmtime::component::types::{ComponentFunc, Type};

/// The begin of the names of all interfaces.
const PACKAGE: &str = "wrun:task/";

/// The version that wrun gives. Versions that differ in the last number alone fit each other.
const VERSION: &str = "0.1.0";

/// How all versions begin that fit.
const COMPATIBLE: &str = "0.1.";

/// The task that is called by default, if there are several.
pub(super) const DEFAULT_TASK: &str = "run";

/// An interface that components may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    Context,
    Log,
    Inputs,
    Output,
    OutputSlice,
    Shared,
}

impl Interface {
    const ALL: [Interface; 6] = [
        Interface::Context,
        Interface::Log,
        Interface::Inputs,
        Interface::Output,
        Interface::OutputSlice,
        Interface::Shared,
    ];

    /// Its name in the package.
    fn name(self) -> &'static str {
        match self {
            Interface::Context => "context",
            Interface::Log => "log",
            Interface::Inputs => "inputs",
            Interface::Output => "output",
            Interface::OutputSlice => "output-slice",
            Interface::Shared => "shared",
        }
    }

    /// Its whole name, as linkers know it.
    pub fn versioned_name(self) -> String {
        format!("{PACKAGE}{}@{VERSION}", self.name())
    }

    /// Its name without a version.
    pub fn path(self) -> String {
        format!("{PACKAGE}{}", self.name())
    }
}

/// What is wrong with the import of this interface; `None` if it is not of this package. The text continues "which wrun does not provide:".
pub(super) fn import_problem(interface: &str) -> Option<Result<(), &'static str>> {
    let (name, version) = interface.strip_prefix(PACKAGE)?.split_once('@').unwrap_or_default();
    Some(match Interface::ALL.iter().any(|known| known.name() == name) {
        true if version.starts_with(COMPATIBLE) => Ok(()),
        true => Err("wrun gives version 0.1 of wrun:task; build it with the current WIT"),
        false => Err("there is no such interface; build it with version 0.1 of wrun:task"),
    })
}

/// Whether the export of this name in a validated component is a task.
pub(super) fn is_task(types: &Types, name: &str) -> bool {
    let Some(ComponentEntityType::Func(id)) = types.component_item_for_export(name).map(|item| item.ty) else {
        return false;
    };
    let function = &types[id];
    let is_string = |ty: &ComponentValType| matches!(ty, ComponentValType::Primitive(PrimitiveValType::String));
    match function.result {
        Some(ComponentValType::Type(result)) if function.params.is_empty() && !function.async_ => {
            matches!(&types[result], ComponentDefinedType::Result { ok: None, err: Some(err), .. } if is_string(err))
        }
        _ => false,
    }
}

/// Whether a function of a compiled component is a task.
pub(super) fn is_task_type(function: &ComponentFunc) -> bool {
    let mut results = function.results();
    match (results.next(), results.next()) {
        (Some(Type::Result(result)), None) if function.params().len() == 0 && !function.async_() => {
            result.ok().is_none() && result.err() == Some(Type::String)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_a_version() {
        for interface in Interface::ALL {
            assert_eq!(import_problem(&interface.versioned_name()), Some(Ok(())));
        }
        assert_eq!(import_problem("wrun:task/inputs@0.1.7"), Some(Ok(())));
        for name in ["wrun:task/inputs@0.2.0", "wrun:task/inputs@1.0.0", "wrun:task/input@0.1.0", "wrun:task/inputs"] {
            assert!(import_problem(name).is_some_and(|problem| problem.is_err()), "{name}");
        }
        assert_eq!(import_problem("wrun:other/inputs@0.1.0"), None);
    }
}
