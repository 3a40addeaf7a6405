//! Functions of components: how one is found and called, with values as WAVE text.

use std::fmt;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::wasm_wave::writer::Writer;
use wasmtime::component::{Component, ComponentExportIndex, Instance, Type, Val};
use wasmtime::{Result, Store, format_err};

use super::host_error::HostError;
use super::outcome::Returned;
use super::state::State;
use crate::module::{Function, parse_arguments};
use crate::shown::shown;

/// A function of a component.
pub(super) struct ComponentFunction {
    export: ComponentExportIndex,
    function: Function,
    params: Vec<Type>,
    has_result: bool,
}

impl ComponentFunction {
    /// Finds an exported function.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such function.
    pub fn find(component: &Component, function: &Function) -> Result<ComponentFunction> {
        let missing = || format_err!("the component has no function {:?} (any more)", function.name);
        let (interface, name) = function.place();
        let interface = match interface {
            Some(interface) => Some(component.get_export_index(None, interface).ok_or_else(missing)?),
            None => None,
        };
        let (item, export) = component.get_export(interface.as_ref(), name).ok_or_else(missing)?;
        let ComponentItem::ComponentFunc(ty) = item else { return Err(missing()) };
        Ok(ComponentFunction {
            export,
            function: function.clone(),
            params: ty.params().map(|(_, ty)| ty).collect(),
            has_result: ty.results().len() > 0,
        })
    }

    /// Calls it with the task's argument. Its result becomes the task's output; an `err` is the task's failure.
    pub fn call(&self, instance: &Instance, store: &mut Store<Box<State>>) -> Result<Returned> {
        let text = shown(&store.data().argument);
        let arguments = match parse_arguments::<Val>(&self.function, &self.params, &text) {
            Ok(arguments) => arguments,
            Err(message) => return Ok(Returned::BadArgument(message)),
        };
        drop(text);
        let function = instance.get_func(&mut *store, self.export);
        let function = function.ok_or_else(|| format_err!("the export is not a function"))?;
        let mut results = vec![Val::Bool(false); usize::from(self.has_result)];
        function.call(&mut *store, &arguments, &mut results)?;
        let state = store.data_mut();
        let Some(result) = results.first() else { return Ok(Returned::Code(0)) };
        let limit_bytes = state.job.spec.output_bytes;
        let mut text = BoundedText { text: String::new(), room: state.output_room() };
        if Writer::new(&mut text).write_value(result).is_err() {
            return Err(HostError::output_limit(limit_bytes).into());
        }
        if matches!(result, Val::Result(Err(_))) {
            state.failure = Some(text.text);
            return Ok(Returned::Code(1));
        }
        state.output.extend_from_slice(text.text.as_bytes());
        Ok(Returned::Code(0))
    }
}

/// Text of at most so many bytes.
struct BoundedText {
    text: String,
    room: u64,
}

impl fmt::Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.room = self.room.checked_sub(text.len() as u64).ok_or(fmt::Error)?;
        self.text.push_str(text);
        Ok(())
    }
}
