//! The part of a compiled module that backtraces need besides wasmtime's own data: DWARF, and the names of exported functions.
//!
//! ```text
//! | length of the header: u32 little-endian | header: postcard of `Header` | the sections' bytes, in order |
//! ```
//!
//! The compiler process writes it, because modules are parsed only there. A worker reads it at its first backtrace. The sections are
//! untrusted, and only workers interpret them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use wasmparser::{ExternalKind, Parser, Payload};

/// The sections of DWARF in which functions and lines are found. Others are left out.
const SECTIONS: [&str; 13] = [
    ".debug_abbrev",
    ".debug_addr",
    ".debug_aranges",
    ".debug_info",
    ".debug_line",
    ".debug_line_str",
    ".debug_loc",
    ".debug_loclists",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_str",
    ".debug_str_offsets",
    ".debug_types",
];

#[derive(Debug, Default, Serialize, Deserialize)]
struct Header<'a> {
    /// Where the code section's contents begin in the module: DWARF counts from there.
    code_start: u64,
    /// The index and the name of each exported function.
    #[serde(borrow)]
    exports: Vec<(u32, &'a str)>,
    /// The name and the length in bytes of each section.
    #[serde(borrow)]
    sections: Vec<(&'a str, u64)>,
}

/// A module's data for backtraces.
#[derive(Debug, Default)]
pub(crate) struct DebugInfo<'a> {
    /// Where the code section's contents begin in the module, in bytes: DWARF counts from there.
    pub code_start: u64,
    /// The names of exported functions, by index.
    pub exports: HashMap<u32, &'a str>,
    /// DWARF's sections, by name.
    pub sections: HashMap<&'a str, &'a [u8]>,
}

/// Collects a binary module's data for backtraces, up to the first part that cannot be parsed.
pub(super) fn collect(module: &[u8]) -> Vec<u8> {
    let mut header = Header::default();
    let mut sections: Vec<&[u8]> = Vec::new();
    for payload in Parser::new(0).parse_all(module).map_while(Result::ok) {
        match payload {
            Payload::CodeSectionStart { range, .. } => header.code_start = range.start as u64,
            Payload::CustomSection(section) => {
                // If a name is there twice, the first one counts.
                let is_new = header.sections.iter().all(|(name, _)| *name != section.name());
                if is_new && SECTIONS.contains(&section.name()) {
                    header.sections.push((section.name(), section.data().len() as u64));
                    sections.push(section.data());
                }
            }
            Payload::ExportSection(exports) => {
                let exports = exports.into_iter().map_while(Result::ok);
                let functions = exports.filter(|export| matches!(export.kind, ExternalKind::Func));
                header.exports.extend(functions.map(|export| (export.index, export.name)));
            }
            _ => {}
        }
    }
    // Encoding to a vector cannot fail. An empty part means that there is no data for backtraces.
    let header = postcard::to_stdvec(&header).unwrap_or_default();
    let len = u32::try_from(header.len()).unwrap_or(0);
    let mut part = [&len.to_le_bytes(), &header[..]].concat();
    sections.iter().for_each(|section| part.extend_from_slice(section));
    part
}

impl<'a> DebugInfo<'a> {
    /// Parses what [`collect`] returned; `None` if it is something else.
    pub fn read(part: &'a [u8]) -> Option<Self> {
        let (len, rest) = part.split_first_chunk()?;
        let (header, mut rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let header: Header<'a> = postcard::from_bytes(header).ok()?;
        let mut sections = HashMap::new();
        for (name, len) in header.sections {
            let (section, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            sections.insert(name, section);
            rest = behind;
        }
        let mut exports = HashMap::new();
        for (index, name) in header.exports {
            exports.entry(index).or_insert(name);
        }
        Some(DebugInfo { code_start: header.code_start, exports, sections })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"(module
        (import "m" "f" (func))
        (func (export "one") (export "uno"))
        (memory (export "memory") 1)
        (func (export "two") (nop))
        (@custom ".debug_info" "information")
        (@custom "name-of-another-kind" "noise")
        (@custom ".debug_nonsense" "noise")
        (@custom ".debug_info" "again")
        (@custom ".debug_line" ""))"#;

    #[test]
    fn names_and_sections_come_back_as_they_were() {
        let module = wat::parse_str(MODULE).expect("a module");
        let part = collect(&module);
        let info = DebugInfo::read(&part).expect("understood");
        assert_eq!(info.exports, HashMap::from([(1, "one"), (2, "two")]));
        let sections = HashMap::from([(".debug_info", &b"information"[..]), (".debug_line", b"")]);
        assert_eq!(info.sections, sections);
        // The count of bodies, then the length of the first one.
        let start = info.code_start as usize;
        assert_eq!(module[start..start + 3], [2, 2, 0]);
    }

    #[test]
    fn what_is_cut_is_not_understood_and_nonsense_has_nothing() {
        let part = collect(&wat::parse_str(MODULE).expect("a module"));
        for len in 0..part.len() {
            assert!(DebugInfo::read(&part[..len]).is_none(), "cut to {len} bytes");
        }
        let nothing = collect(b"no module at all");
        let info = DebugInfo::read(&nothing).expect("understood");
        assert!(info.exports.is_empty() && info.sections.is_empty());
    }
}
