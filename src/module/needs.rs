//! What a module needs of the engine that compiles it, read from its bytes before there is an engine.

use wasmparser::{MemoryType, Parser, Payload, TableType, TypeRef};

/// What a module needs of its engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// It has a memory with 64-bit addresses.
    pub large_memories: bool,
    /// The elements of its largest table at start.
    pub table_elements: u64,
}

impl Needs {
    /// Reads a binary module up to the first part that cannot be parsed, which the compiler will name.
    pub fn of(module: &[u8]) -> Needs {
        let mut needs = Needs::default();
        for payload in Parser::new(0).parse_all(module).map_while(Result::ok) {
            match payload {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports().map_while(Result::ok) {
                        match import.ty {
                            TypeRef::Memory(memory) => needs.add_memory(&memory),
                            TypeRef::Table(table) => needs.add_table(&table),
                            _ => {}
                        }
                    }
                }
                Payload::MemorySection(memories) => {
                    memories.into_iter().map_while(Result::ok).for_each(|memory| needs.add_memory(&memory));
                }
                Payload::TableSection(tables) => {
                    tables.into_iter().map_while(Result::ok).for_each(|table| needs.add_table(&table.ty));
                }
                _ => {}
            }
        }
        needs
    }

    fn add_memory(&mut self, memory: &MemoryType) {
        self.large_memories |= memory.memory64;
    }

    fn add_table(&mut self, table: &TableType) {
        self.table_elements = self.table_elements.max(table.initial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str) -> (bool, u64) {
        let Needs { large_memories, table_elements } = Needs::of(&wat::parse_str(text).unwrap());
        (large_memories, table_elements)
    }

    #[test]
    fn memories_and_tables_are_found() {
        assert_eq!(needs("(module (memory 1) (table 7 funcref) (table 3 funcref))"), (false, 7));
        assert_eq!(needs("(module (memory 1) (memory i64 1))"), (true, 0));
        assert_eq!(needs(r#"(module (import "" "" (memory i64 1)) (import "" "" (table 9 funcref)))"#), (true, 9));
        assert_eq!(Needs::of(b"no module"), Needs::default());
    }
}
