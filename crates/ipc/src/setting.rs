//! The settings that a refusal is about.

/// What to change so that a task, or a whole request, gets what it was refused. Whoever shows the refusal to a person knows what this is
/// called there: the command names its option, a program the field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// Bytes of memories and tables.
    Memory,
    /// Bytes of a result.
    OutputSize,
    /// Bytes of stack.
    Stack,
    /// Units of fuel.
    Fuel,
    /// Open files, directories and events of WASI.
    OpenFiles,
    /// Bytes that one call of WASI takes over.
    HostCallSize,
    /// Bytes of an argument.
    ArgumentSize,
    /// Linear memories of a module.
    Memories,
    /// Tables of a module.
    Tables,
    /// Elements of a table.
    TableElements,
    /// Granted directories.
    Directories,
    /// The output file and shared memory.
    InPlaceFiles,
    /// How long a compilation may take.
    CompileTime,
    /// Bytes of memory that a compilation may use.
    CompileMemory,
    /// Whether precompiled code is accepted.
    Precompiled,
    /// Whether code counts fuel.
    CountFuel,
    /// Which function is called.
    Call,
    /// How long a task may run.
    Timeout,
    /// After how long a task is reported as slow.
    Slow,
    /// What separates items.
    ItemSeparator,
    /// Whether each task gets a fresh instance.
    FreshInstances,
    /// What happens to unknown imports.
    UnknownImports,
    /// The inputs that each task has of its own.
    OwnInputs,
    /// The inputs that tasks share.
    SharedInputs,
    /// Bytes in a scratch directory.
    Scratch,
    /// Which export is the module's initializer.
    Initializer,
    /// The directories that an initializer may use.
    InitializerDirectories,
    /// Whether an initializer's work is done once, in a snapshot.
    Snapshot,
    /// Core dumps of failed tasks.
    CoreDumps,
}

impl Setting {
    /// All of them, in the order of this definition.
    pub const ALL: [Setting; 29] = {
        use Setting::*;
        [
            Memory,
            OutputSize,
            Stack,
            Fuel,
            OpenFiles,
            HostCallSize,
            ArgumentSize,
            Memories,
            Tables,
            TableElements,
            Directories,
            InPlaceFiles,
            CompileTime,
            CompileMemory,
            Precompiled,
            CountFuel,
            Call,
            Timeout,
            Slow,
            ItemSeparator,
            FreshInstances,
            UnknownImports,
            OwnInputs,
            SharedInputs,
            Scratch,
            Initializer,
            InitializerDirectories,
            Snapshot,
            CoreDumps,
        ]
    };

    /// What to do, as the rest of a sentence for users of the library `wrun`: `raise Limits::memory_bytes`.
    pub fn advice(self) -> &'static str {
        match self {
            Setting::Memory => "raise Limits::memory_bytes",
            Setting::OutputSize => "raise Limits::output_bytes",
            Setting::Stack => "raise Limits::stack_bytes",
            Setting::Fuel => "raise Limits::fuel",
            Setting::OpenFiles => "raise Limits::open_files",
            Setting::HostCallSize => "raise Limits::host_call_bytes",
            Setting::ArgumentSize => "raise Limits::argument_bytes, or pass it as an input",
            Setting::Memories => "raise Limits::memories",
            Setting::Tables => "raise Limits::tables",
            Setting::TableElements => "raise Limits::table_elements",
            Setting::Directories => "grant one with Grants::directories",
            Setting::InPlaceFiles => "provide one with Job::out or Job::shared",
            Setting::CompileTime => "raise Compiler::timeout",
            Setting::CompileMemory => "raise Compiler::memory_bytes",
            Setting::Precompiled => "allow it with Compiler::allow_precompiled",
            Setting::CountFuel => "compile it again with Compiler::count_fuel",
            Setting::Call => "choose one with Job::call",
            Setting::Timeout => "set no Limits::timeout but Limits::fuel, or run it in processes",
            Setting::ItemSeparator => "split items at NUL bytes, if that is what separates them",
            Setting::FreshInstances => "leave Job::instances fresh",
            Setting::UnknownImports => "set Job::unknown_imports to let it trap only when it is called",
            Setting::OwnInputs => "give tasks no Task::inputs",
            Setting::SharedInputs => "leave Job::inputs empty",
            Setting::Scratch => "raise Limits::scratch_bytes",
            Setting::Initializer => "name another one with SnapshotOptions::initializer",
            Setting::InitializerDirectories => "make a snapshot for which SnapshotOptions::directories grants one",
            Setting::Snapshot => "set Compiler::snapshot to false to call its initializer in each instance",
            Setting::CoreDumps => "leave Job::core_dumps out",
            Setting::Slow => "set no Job::slow, or run it in processes or threads",
        }
    }

    /// As one byte of a message; 0 is none.
    pub fn encode(setting: Option<Setting>) -> u8 {
        setting.map_or(0, |setting| setting as u8 + 1)
    }

    /// Reads that byte; `None` if it is no setting's.
    pub fn decode(byte: u8) -> Option<Option<Setting>> {
        match byte.checked_sub(1) {
            None => Some(None),
            Some(index) => Setting::ALL.get(usize::from(index)).copied().map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_one_byte_of_its_own() {
        for setting in Setting::ALL.into_iter().map(Some).chain([None]) {
            assert_eq!(Setting::decode(Setting::encode(setting)), Some(setting));
        }
        assert_eq!(Setting::decode(Setting::ALL.len() as u8 + 1), None);
    }
}
