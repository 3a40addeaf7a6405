//! The memories and tables of a module, and whether a worker has room for them.

use super::description::Description;
use super::engine::{
    LARGE_MEMORY_BYTES, MAX_LARGE_MEMORIES, MAX_MEMORIES, MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS, MAX_TABLES,
};

/// What every instance of a module needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resources {
    /// How many linear memories it defines.
    pub memories: u32,
    /// How many tables it defines.
    pub tables: u32,
    /// With how many pages the largest memory starts.
    pub memory_pages: u64,
    /// With how many elements the largest table starts.
    pub table_elements: u64,
    /// Whether a memory, also an imported one, has 64-bit addresses.
    pub large_memories: bool,
}

/// The size of a page of linear memory, in bytes.
const PAGE_BYTES: u64 = 64 << 10;

impl Resources {
    /// The description of a module that has these and offers nothing.
    pub fn describe(&self) -> Description {
        let &Resources { memories, tables, memory_pages: _, table_elements, large_memories } = self;
        Description { memories, tables, table_elements, large_memories, ..Description::default() }
    }

    /// Why no worker could run the module, whatever its job allows. The text continues a sentence that begins with the module.
    pub fn problem(&self) -> Option<String> {
        let memory_bytes = self.memory_pages.saturating_mul(PAGE_BYTES);
        let (kind, most_memories, most_bytes) = match self.large_memories {
            true => (" with 64-bit memories", MAX_LARGE_MEMORIES, LARGE_MEMORY_BYTES),
            false => ("", MAX_MEMORIES, MAX_MEMORY_BYTES),
        };
        if self.memories > most_memories {
            Some(format!("has {} memories, and wrun runs modules{kind} with at most {most_memories}", self.memories))
        } else if self.tables > MAX_TABLES {
            Some(format!("has {} tables, and wrun runs modules with at most {MAX_TABLES}", self.tables))
        } else if memory_bytes > most_bytes {
            Some(format!(
                "has a memory that starts with {memory_bytes} bytes, and wrun gives a memory at most {most_bytes}"
            ))
        } else if self.table_elements > u64::from(MAX_TABLE_ELEMENTS) {
            Some(format!(
                "has a table that starts with {} elements, and wrun gives a table at most {MAX_TABLE_ELEMENTS}",
                self.table_elements
            ))
        } else {
            None
        }
    }
}

/// If wasmtime refuses a module or component because no pool of a worker has room for its instances, says so.
pub(super) fn instance_too_large(message: &str) -> Option<String> {
    let number_after = |text: &str, before: &str| -> Option<u64> {
        let (_, rest) = text.split_once(before)?;
        rest.split(' ').next()?.parse().ok()
    };
    let most = number_after(message, "exceeds the configured maximum of ")?;
    if let Some((_, contents)) = message.split_once("transitively contains ") {
        let (contents, _) = contents.split_once(", which")?;
        return Some(format!("has {contents}, and wrun runs components with at most {most}"));
    }
    let (kind, needed) = ["module", "component"].iter().find_map(|kind| {
        Some((kind, number_after(message, &format!("instance allocation for this {kind} requires "))?))
    })?;
    let of = match *kind {
        "module" => "its functions, globals and segments",
        _ => "the functions, globals and segments of its modules",
    };
    Some(format!("is too large: an instance needs {needed} bytes for {of}, and wrun gives it at most {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_worker_has_room_for_is_named() {
        let usual = Resources { memories: 1, tables: 1, memory_pages: 17, table_elements: 200, large_memories: false };
        assert_eq!(usual.problem(), None);
        let most = Resources {
            memories: MAX_MEMORIES,
            tables: MAX_TABLES,
            memory_pages: MAX_MEMORY_BYTES / PAGE_BYTES,
            table_elements: u64::from(MAX_TABLE_ELEMENTS),
            large_memories: false,
        };
        assert_eq!(most.problem(), None);
        let large =
            Resources { memories: 4, memory_pages: LARGE_MEMORY_BYTES / PAGE_BYTES, large_memories: true, ..most };
        assert_eq!(large.problem(), None);
        for (more, says) in [
            (Resources { memories: MAX_MEMORIES + 1, ..most }, "has 17 memories"),
            (Resources { memories: 5, ..large }, "has 5 memories, and wrun runs modules with 64-bit memories"),
            (Resources { memory_pages: large.memory_pages + 1, ..large }, "has a memory that starts with"),
            (Resources { tables: MAX_TABLES + 1, ..most }, "has 17 tables"),
            (Resources { memory_pages: u64::MAX, ..most }, "has a memory that starts with"),
            (Resources { table_elements: u64::MAX, ..most }, "has a table that starts with"),
        ] {
            let problem = more.problem().unwrap();
            assert!(problem.starts_with(says), "{problem}");
        }
    }
}
