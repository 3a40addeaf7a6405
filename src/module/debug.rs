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

/// The prefix of the names of DWARF's sections.
const PREFIX: &str = ".debug_";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Header {
    /// Where the code section's contents begin in the module: DWARF counts from there.
    code_start: u64,
    /// The index and the name of each exported function.
    exports: Vec<(u32, String)>,
    /// The name and the length in bytes of each section.
    sections: Vec<(String, u64)>,
}

/// A module's data for backtraces.
#[derive(Debug, Default)]
pub(crate) struct DebugInfo<'a> {
    /// Where the code section's contents begin in the module, in bytes: DWARF counts from there.
    pub code_start: u64,
    /// The names of exported functions, by index.
    pub exports: HashMap<u32, String>,
    /// DWARF's sections, by name.
    pub sections: HashMap<String, &'a [u8]>,
}

/// Collects a binary module's data for backtraces, up to the first part that cannot be parsed.
pub(super) fn collect(module: &[u8]) -> Vec<u8> {
    let mut header = Header::default();
    let mut sections: Vec<&[u8]> = Vec::new();
    for payload in Parser::new(0).parse_all(module).map_while(Result::ok) {
        match payload {
            Payload::CodeSectionStart { range, .. } => header.code_start = range.start as u64,
            Payload::CustomSection(section) if section.name().starts_with(PREFIX) => {
                header.sections.push((section.name().to_owned(), section.data().len() as u64));
                sections.push(section.data());
            }
            Payload::ExportSection(exports) => {
                let exports = exports.into_iter().map_while(Result::ok);
                let functions = exports.filter(|export| matches!(export.kind, ExternalKind::Func));
                header.exports.extend(functions.map(|export| (export.index, export.name.to_owned())));
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
        let header: Header = postcard::from_bytes(header).ok()?;
        let mut sections = HashMap::new();
        for (name, len) in header.sections {
            let (section, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            // If a name is there twice, the first one counts.
            sections.entry(name).or_insert(section);
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
        (@custom ".debug_line" ""))"#;

    #[test]
    fn names_and_sections_come_back_as_they_were() {
        let module = wat::parse_str(MODULE).expect("a module");
        let part = collect(&module);
        let info = DebugInfo::read(&part).expect("understood");
        assert_eq!(info.exports, HashMap::from([(1, "one".to_owned()), (2, "two".to_owned())]));
        let sections =
            HashMap::from([(".debug_info".to_owned(), &b"information"[..]), (".debug_line".to_owned(), b"")]);
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
