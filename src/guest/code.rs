//! Loaded machine code, of a module or of a component.

use std::ops::Range;

use wasmtime::component::Component;
use wasmtime::{Module, ModuleFunction};

/// A loaded module or component. Cheap to clone.
#[derive(Clone)]
pub(super) enum Code {
    Module(Module),
    Component(Component),
}

impl Code {
    /// Where its machine code lies in this process.
    pub fn addresses(&self) -> Range<usize> {
        let text = match self {
            Code::Module(module) => module.text(),
            Code::Component(component) => component.text(),
        };
        let text = text.as_ptr_range();
        text.start as usize..text.end as usize
    }

    /// The functions in its machine code. Those of a component are those of all its modules, and their indices are not unique.
    pub fn functions(&self) -> Box<dyn Iterator<Item = ModuleFunction> + '_> {
        match self {
            Code::Module(module) => Box::new(module.functions()),
            Code::Component(component) => Box::new(component.functions()),
        }
    }

    /// Where in the machine code each instruction begins, in order, and its offset in the module's binary form.
    pub fn address_map(&self) -> impl Iterator<Item = (usize, Option<u32>)> + '_ {
        let (module, component) = match self {
            Code::Module(module) => (module.address_map(), None),
            Code::Component(component) => (None, component.address_map()),
        };
        module.into_iter().flatten().chain(component.into_iter().flatten())
    }
}
