//! What a module's tasks can see of the files that a job gives them. What they cannot see is refused, because it would be ignored.

use super::compiled::Module;
use super::description::Description;
use super::task_world::Interface;
use super::wasi_imports::is_wasi;
use crate::ipc::Setting;
use crate::{Error, Result};

/// How the names of the contract's functions about inputs begin.
const INPUTS: &str = "input_";

/// WASI's functions that read a task's own input: as a file, or as standard input.
const OWN_INPUTS: [&str; 3] = ["path_open", "fd_read", "fd_pread"];

/// WASI's function that opens inputs of a job as files.
const SHARED_INPUTS: [&str; 1] = ["path_open"];

impl Description {
    /// Whether tasks can read inputs of their own ([`Task::inputs`](crate::Task::inputs)): by the contract, or as a file or standard
    /// input of WASI.
    pub fn reads_own_inputs(&self) -> bool {
        self.reads_results() || self.imports_wasi(&OWN_INPUTS) || self.imports_interface("wasi:cli/stdin")
    }

    /// Whether tasks can read the inputs that they share ([`Job::inputs`](crate::Job::inputs)): by the contract, or as files of WASI.
    pub fn reads_shared_inputs(&self) -> bool {
        self.reads_results() || self.imports_wasi(&SHARED_INPUTS)
    }

    /// Whether tasks can merge results, which are inputs that only the contract gives.
    pub(crate) fn reads_results(&self) -> bool {
        self.imports_contract(INPUTS) || self.imports_task_interface(Interface::Inputs)
    }

    /// Whether tasks can ask for the arguments of a WASI program ([`Job::argv`](crate::Job::argv)).
    pub fn reads_argv(&self) -> bool {
        self.imports_wasi(&["args_get", "args_sizes_get"]) || self.imports_interface("wasi:cli/environment")
    }

    /// Whether tasks can end with an exit code.
    pub(crate) fn can_exit(&self) -> bool {
        self.imports_wasi(&["proc_exit"]) || self.component && self.command
    }

    fn imports_contract(&self, begin: &str) -> bool {
        self.wrun_imports.iter().any(|import| import.starts_with(begin))
    }

    /// Whether a component imports this interface of `wrun:task`.
    pub(super) fn imports_task_interface(&self, interface: Interface) -> bool {
        self.imports_interface(&interface.path())
    }

    /// Whether a component imports this interface, in any version.
    fn imports_interface(&self, name: &str) -> bool {
        self.component && self.imports.iter().any(|import| import.name.split('@').next() == Some(name))
    }

    fn imports_wasi(&self, names: &[&str]) -> bool {
        let mut wasi = self.imports.iter().filter(|import| is_wasi(&import.module));
        wasi.any(|import| names.contains(&import.name.as_str()))
    }
}

impl Module {
    /// Checks that tasks can read inputs of their own.
    ///
    /// # Errors
    ///
    /// Returns an error that says what they would have to import.
    pub fn check_own_inputs(&self) -> Result<()> {
        self.unseen_own_inputs().map_or(Ok(()), |message| Err(Error::request(message).because_of(Setting::OwnInputs)))
    }

    /// Why tasks cannot read inputs of their own.
    pub(crate) fn unseen_own_inputs(&self) -> Option<String> {
        (!self.description().reads_own_inputs()).then(|| match self.description().component {
            true => self.reads_no("inputs", "neither wrun:task/inputs nor wasi:cli/stdin"),
            false => self.reads_no("inputs", "no wrun_v1::input_* and neither path_open nor fd_read of WASI"),
        })
    }

    /// Why tasks cannot read inputs that they share.
    pub(crate) fn unseen_shared_inputs(&self) -> Option<String> {
        (!self.description().reads_shared_inputs()).then(|| match self.description().component {
            true => self.reads_no("inputs that tasks share", "no wrun:task/inputs"),
            false => self.reads_no("inputs that tasks share", "no wrun_v1::input_* and no path_open of WASI"),
        })
    }

    fn reads_no(&self, what: &str, imports: &str) -> String {
        format!("module {} reads no {what} (it imports {imports})", self.name())
    }

    /// Why tasks cannot write to an output file.
    pub(crate) fn unseen_output_file(&self) -> Option<String> {
        (!self.description().writes_slices()).then(|| match self.description().component {
            true => self.uses_none("output file", Interface::OutputSlice),
            false => self.maps_no_regions(),
        })
    }

    /// Why tasks cannot use shared memory.
    pub(crate) fn unseen_shared_memory(&self) -> Option<String> {
        (!self.description().uses_shared_memory()).then(|| match self.description().component {
            true => self.uses_none("shared memory", Interface::Shared),
            false => self.maps_no_regions(),
        })
    }

    fn uses_none(&self, what: &str, interface: Interface) -> String {
        format!("module {} writes to no {what} (it imports no {}): give it none", self.name(), interface.path())
    }

    fn maps_no_regions(&self) -> String {
        format!(
            "module {} writes to no output file and no shared memory (it imports neither wrun_v1::{} nor wrun_v1::{}): give \
             it none",
            self.name(),
            wrun_abi::import::REGION_MAP,
            wrun_abi::import::REGION_MAP_AT
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::binary::{self, Threads};
    use super::super::wasi_imports::WASI_MODULE;

    /// Whether a module with this import sees own inputs, and shared inputs.
    fn sees(module: &str, name: &str) -> (bool, bool) {
        let text = format!("(module (import {module:?} {name:?} (func)))");
        let bytes = wat::parse_str(text).unwrap();
        let description = binary::read(&bytes, Threads::One).unwrap().declarations().describe();
        (description.reads_own_inputs(), description.reads_shared_inputs())
    }

    #[test]
    fn what_is_seen_follows_from_what_is_imported() {
        for import in ["input_count", "input_len", "input_find", "input_map", "input_map_at", "input_read"] {
            assert_eq!(sees("wrun_v1", import), (true, true), "{import}");
        }
        for import in ["arg_read", "region_map", "output_write", "path_open"] {
            assert_eq!(sees("wrun_v1", import), (false, false), "{import}");
        }
        assert_eq!(sees(WASI_MODULE, "path_open"), (true, true));
        assert_eq!(sees(WASI_MODULE, "fd_read"), (true, false));
        assert_eq!(sees(WASI_MODULE, "fd_write"), (false, false));
        assert_eq!(sees("env", "input_map"), (false, false));
    }
}
