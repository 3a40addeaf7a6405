//! Lines of source code, from a module's DWARF.
//!
//! DWARF is untrusted. Any error means that nothing is known, what is read and kept of it is bounded, and a bug in the reader costs only
//! the lines.
//!
//! Source: "DWARF for WebAssembly", <https://yurydelendik.github.io/webassembly-dwarf/>: addresses count from the start of
//! the code section.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gimli::Reader as _;

use super::bounded_reader::{BoundedReader, Budget};
use super::symbols::MAX_SYMBOL_BYTES;
use crate::module::debug::DebugInfo;

/// The most DWARF that is read, in bytes; it is mapped, not copied.
const MAX_DWARF_BYTES: usize = 512 << 20;
/// About the most memory that is kept for the lines of a module, in bytes (see [`Budget`]).
const BUDGET_BYTES: usize = 64 << 20;
/// The most inlined functions that are reported for one instruction. Compilers inline a few; untrusted DWARF may claim any number.
const MAX_INLINED: usize = 32;
/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 1000;

/// The lines of a module.
pub(super) struct DwarfLines {
    context: addr2line::Context<BoundedReader>,
    budget: Arc<Budget>,
    code_start: u64,
}

/// A function and a position in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLine {
    /// The name in DWARF.
    pub function: Option<String>,
    pub location: Option<SourceLocation>,
}

/// A position in source code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLocation {
    pub file: String,
    pub line: u32,
    pub column: Option<u32>,
    /// It is in Rust's or C's standard library.
    pub of_library: bool,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

impl DwarfLines {
    /// Reads what every look-up needs; `None` if there is no usable DWARF.
    pub fn read(info: &DebugInfo<'static>) -> Option<DwarfLines> {
        if info.sections.is_empty()
            || info.sections.values().map(|section| section.len()).sum::<usize>() > MAX_DWARF_BYTES
        {
            return None;
        }
        let budget = Budget::new(BUDGET_BYTES);
        let section = |id: gimli::SectionId| {
            let bytes = info.sections.get(id.name()).copied().unwrap_or_default();
            Ok::<_, gimli::Error>(BoundedReader::new(bytes, &budget))
        };
        let read = || addr2line::Context::from_dwarf(gimli::Dwarf::load(section)?);
        let context = catch_unwind(AssertUnwindSafe(read)).ok()?.ok()?;
        Some(DwarfLines { context, budget, code_start: info.code_start })
    }

    /// Whether so much has been read that another stack trace might not get all its lines. What was read is kept, so the memory comes
    /// back when these lines are dropped.
    pub fn is_worn(&self) -> bool {
        self.budget.left_bytes() < BUDGET_BYTES / 2
    }

    /// The functions at this offset of the module: the innermost one first, then those that it was inlined into.
    pub fn at(&self, offset: u32) -> Vec<SourceLine> {
        let find = || {
            let address = u64::from(offset).checked_sub(self.code_start)?;
            self.budget.begin();
            let unit = self.context.find_dwarf_and_unit(address).skip_all_loads();
            let directory = unit.and_then(|unit| unit.comp_dir.as_ref());
            let directory = directory.and_then(|directory| directory.to_string_lossy().ok());
            let mut frames = self.context.find_frames(address).skip_all_loads().ok()?;
            let mut lines = Vec::new();
            while let (true, Ok(Some(frame))) = (lines.len() < MAX_INLINED, frames.next()) {
                let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
                let location = frame.location.and_then(|found| {
                    let (file, of_library) = short(found.file?, directory.as_deref().unwrap_or_default());
                    let column = found.column.filter(|column| *column > 0);
                    Some(SourceLocation {
                        file: file[..file.floor_char_boundary(MAX_PATH_BYTES)].to_owned(),
                        line: found.line?,
                        column,
                        of_library,
                    })
                });
                let function = name.map(|name| name[..name.floor_char_boundary(MAX_SYMBOL_BYTES)].to_owned());
                lines.push(SourceLine { function, location });
            }
            Some(lines)
        };
        catch_unwind(AssertUnwindSafe(find)).ok().flatten().unwrap_or_default()
    }
}

/// Removes from a path what is specific to the machine that compiled: the compiler's working directory, and the directories of
/// Rust's and C's libraries and of cargo's registry. Also returns whether it is in a standard library.
fn short<'a>(path: &'a str, directory: &str) -> (&'a str, bool) {
    let behind = |marker: &str| path.find(marker).map(|at| &path[at + marker.len()..]).filter(|rest| !rest.is_empty());
    let behind_next = |marker: &str| behind(marker)?.split_once('/').map(|(_, rest)| rest);
    let rust = if path.starts_with("/rustc/") { behind_next("/rustc/") } else { behind("/lib/rustlib/src/rust/") };
    let c = || path.rfind("/wasi-libc/").map(|at| &path[at + 1..]);
    if let Some(library) = rust.or_else(c) {
        return (library, true);
    }
    let inside = || path.strip_prefix(directory)?.strip_prefix('/').filter(|_| !directory.is_empty());
    (behind_next("/registry/src/").or_else(inside).unwrap_or(path), false)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn paths_lose_the_part_that_is_one_machines_own() {
        for (path, expected, of_library) in [
            ("/build/a/project/src/lib.rs", "src/lib.rs", false),
            ("/build/a/project-2/src/lib.rs", "/build/a/project-2/src/lib.rs", false),
            ("/build/a/project", "/build/a/project", false),
            ("library/lib.rs", "library/lib.rs", false),
            ("/rustc/0123abcd/library/core/src/option.rs", "library/core/src/option.rs", true),
            ("/opt/rust/lib/rustlib/src/rust/library/std/src/io.rs", "library/std/src/io.rs", true),
            ("sdk://v30/src/wasi-libc/libc-bottom-half/abort.c", "wasi-libc/libc-bottom-half/abort.c", true),
            ("/build/.cargo/registry/src/crates.io-01ab/memchr-2.8.0/src/lib.rs", "memchr-2.8.0/src/lib.rs", false),
            ("/rustc/", "/rustc/", false),
        ] {
            assert_eq!(short(path, "/build/a/project"), (expected, of_library));
        }
        assert_eq!(short("/a.c", ""), ("/a.c", false));
    }

    #[test]
    fn nonsense_has_no_lines() {
        let noise: &'static [u8] = b"\x13\0\0\0\x04\0\0\0\0\0\x04\x01\xff\xff\xff\x7f no DWARF";
        let names = [".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_ranges", ".debug_aranges"];
        for count in 0..=names.len() {
            let sections: HashMap<_, _> = names[..count].iter().map(|name| (*name, noise)).collect();
            let lines = DwarfLines::read(&DebugInfo { sections, ..DebugInfo::default() });
            let found = lines.map(|lines| [0, 7, u32::MAX].map(|offset| lines.at(offset)));
            assert!(found.is_none_or(|found| found.iter().flatten().all(|line| line.location.is_none())));
        }
    }

    /// Many functions that all refer to the same long list of ranges.
    #[test]
    fn few_bytes_that_stand_for_very_many_are_not_followed() {
        const FUNCTIONS: usize = 20_000;
        const RANGES: u32 = 20_000;
        // A unit with its addresses (low and high); a function with its ranges.
        let abbrev = [1, 0x11, 1, 0x11, 0x01, 0x12, 0x06, 0, 0, 2, 0x2e, 0, 0x55, 0x17, 0, 0, 0];
        let mut unit = vec![4, 0, 0, 0, 0, 0, 4, 1];
        unit.extend([0u32, 1 << 30].iter().flat_map(|address| address.to_le_bytes()));
        unit.extend([2, 0, 0, 0, 0].repeat(FUNCTIONS));
        unit.push(0);
        let info = [&(unit.len() as u32).to_le_bytes()[..], &unit].concat();
        let ranges = (1..=RANGES).flat_map(|start| [start * 4, start * 4 + 2]).chain([0, 0]);
        let ranges: Vec<u8> = ranges.flat_map(u32::to_le_bytes).collect();
        let lines_of = |functions: bool| {
            let info = if functions { info.clone() } else { [&23u32.to_le_bytes()[..], &unit[..21], &[0; 2]].concat() };
            let sections =
                [(".debug_abbrev", abbrev.to_vec()), (".debug_info", info), (".debug_ranges", ranges.clone())];
            let sections = sections.map(|(name, bytes)| (name, &*Vec::leak(bytes)));
            DwarfLines::read(&DebugInfo { sections: HashMap::from(sections), ..DebugInfo::default() }).expect("DWARF")
        };
        let bomb = lines_of(true);
        assert_eq!(bomb.at(8), []);
        assert_eq!(bomb.budget.left_bytes(), 0, "it was read as far as is allowed");
        let control = lines_of(false);
        control.at(8);
        assert!(control.budget.left_bytes() > BUDGET_BYTES / 2, "one function is read to its end");
    }
}
