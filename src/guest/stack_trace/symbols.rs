//! Finds names and lines for addresses in a module's code, for traps and timeouts alike.

use std::fmt::{self, Write};
use std::fs::File;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use wasmtime::WasmBacktrace;

use super::backtrace::{Backtrace, BacktraceLine};
use super::dwarf_lines::{DwarfLines, SourceLine};
use crate::guest::code::Code;
use crate::ipc::stack_trace::Detail;
use crate::module::code_file::debug_part;
use crate::module::debug::DebugInfo;
use crate::module::engine::MAX_FRAMES;

/// An active function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Frame {
    /// The function's index in the module.
    pub function: u32,
    /// The offset of the instruction in the module's binary form, in bytes.
    pub offset: Option<u32>,
}

/// The symbols of a module.
pub(in crate::guest) struct Symbols {
    code: Code,
    file: Option<File>,
    /// Read at the first trap and kept for later ones.
    details: Mutex<Option<Details>>,
}

/// What the code's file holds for stack traces. Only the lines take memory of note; the rest is mapped from the file.
struct Details {
    info: DebugInfo<'static>,
    lines: Option<DwarfLines>,
}

impl Symbols {
    /// `file` is the file that the code was loaded from.
    pub fn new(code: Code, file: Option<File>) -> Symbols {
        Symbols { code, file, details: Mutex::new(None) }
    }

    /// The functions at these addresses in the module's machine code. The first address is that of an instruction; the others are return
    /// addresses. Addresses in no function are left out (wasmtime has trampolines between host and guest).
    pub fn frames_at(&self, addresses: &[usize]) -> Vec<Frame> {
        let text = self.code.addresses().start;
        // A call instruction ends before its return address.
        let offset = |(index, address): (usize, &usize)| address.checked_sub(text)?.checked_sub(usize::from(index > 0));
        let offsets: Vec<_> = addresses.iter().enumerate().filter_map(offset).collect();
        let mut frames = vec![None; offsets.len()];
        let mut starts = vec![0; offsets.len()];
        for function in self.code.functions() {
            let within = |offset: &usize| (function.offset..function.offset + function.len).contains(offset);
            for (at, _) in offsets.iter().enumerate().filter(|(_, offset)| within(offset)) {
                frames[at] = Some(Frame { function: function.index.as_u32(), offset: None });
                starts[at] = function.offset;
            }
        }
        // The map lists where each instruction begins, in the order of the machine code. Machine code of no instruction (a jump, a
        // move between registers) counts as the instruction before it; otherwise it would be chance whether there is an offset.
        for (start, offset) in self.code.address_map() {
            let Some(offset) = offset else { continue };
            for (at, frame) in frames.iter_mut().enumerate() {
                if let Some(frame) = frame.as_mut().filter(|_| (starts[at]..=offsets[at]).contains(&start)) {
                    frame.offset = Some(offset);
                }
            }
        }
        frames.into_iter().flatten().collect()
    }

    /// The backtrace of a guest that trapped. What was read for it is kept for the next one.
    pub fn backtrace(&self, trace: &WasmBacktrace) -> String {
        let frame = |frame: &wasmtime::FrameInfo| Frame {
            function: frame.func_index(),
            offset: frame.module_offset().and_then(|offset| u32::try_from(offset).ok()),
        };
        let frames: Vec<_> = trace.frames().iter().map(frame).collect();
        let names: Vec<_> = trace.frames().iter().map(|frame| frame.func_name().map(symbol)).collect();
        let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        let details = details.get_or_insert_with(|| {
            let info = self.debug_info();
            Details { lines: DwarfLines::read(&info), info }
        });
        if details.lines.as_ref().is_some_and(DwarfLines::is_worn) {
            // What was kept goes first.
            details.lines = None;
            details.lines = DwarfLines::read(&details.info);
        }
        details.trace(&frames, &names).to_string()
    }

    /// Reports a backtrace twice: first with names, which are quick to find, then with lines as well. Takes no lock, because a stopped
    /// thread may hold it.
    pub fn tell(&self, frames: &[Frame], mut tell: impl FnMut(Detail, &Backtrace)) {
        let names = self.names(frames);
        let mut details = Details { info: self.debug_info(), lines: None };
        tell(Detail::Names, &details.trace(frames, &names));
        details.lines = DwarfLines::read(&details.info);
        tell(Detail::All, &details.trace(frames, &names));
    }

    fn debug_info(&self) -> DebugInfo<'static> {
        self.file.as_ref().and_then(debug_part).and_then(DebugInfo::read).unwrap_or_default()
    }

    /// The names that the module itself gives the functions, as far as it has any.
    fn names(&self, frames: &[Frame]) -> Vec<Option<String>> {
        let mut names = vec![None; frames.len()];
        for function in self.code.functions() {
            let is_of = |frame: &Frame| frame.function == function.index.as_u32();
            for (name, _) in names.iter_mut().zip(frames).filter(|(_, frame)| is_of(frame)) {
                *name = function.name.as_deref().map(symbol);
            }
        }
        names
    }
}

impl Details {
    /// `names` are the names that the module itself gives the functions.
    fn trace(&self, frames: &[Frame], names: &[Option<String>]) -> Backtrace {
        let Details { info, lines } = self;
        let mut is_cut = frames.len() > MAX_FRAMES;
        let mut all = Vec::new();
        for (frame, name) in frames.iter().zip(names).take(MAX_FRAMES) {
            if all.len() >= MAX_LINES {
                is_cut = true;
                break;
            }
            let mut found =
                frame.offset.zip(lines.as_ref()).map(|(offset, lines)| lines.at(offset)).unwrap_or_default();
            if found.is_empty() {
                found.push(SourceLine { function: None, location: None });
            }
            let outermost = found.len() - 1;
            let name = name.as_deref().or_else(|| info.exports.get(&frame.function).copied());
            for (index, line) in found.into_iter().enumerate() {
                // The module's own name says more than DWARF's short name. An inlined function has only the latter.
                let own = name.filter(|_| index == outermost);
                let function = match own.or(line.function.as_deref()) {
                    Some(name) => demangle(name),
                    None if index == outermost => format!("<wasm function {}>", frame.function),
                    None => "<inlined function>".to_owned(),
                };
                all.push(BacktraceLine {
                    function,
                    location: line.location,
                    offset: frame.offset,
                    inlined: index < outermost,
                });
            }
        }
        Backtrace::new(all, is_cut)
    }
}

/// The beginning of a symbol, as much of it as is of use.
fn symbol(name: &str) -> String {
    name[..name.floor_char_boundary(MAX_SYMBOL_BYTES)].to_owned()
}

/// A name as in the source, or its beginning. A name that makes a demangler panic stays mangled.
fn demangle(name: &str) -> String {
    catch_unwind(|| demangled(name)).unwrap_or_else(|_| name.chars().take(MAX_NAME_BYTES / 4).collect())
}

fn demangled(name: &str) -> String {
    let name = &name[..name.floor_char_boundary(MAX_SYMBOL_BYTES)];
    let mut text = Bounded(String::new());
    // The text is cut while it is written, because some short names expand without end.
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        // `#` leaves out the hash.
        let _ = write!(text, "{name:#}");
        return text.0;
    }
    // That demangler accepts names of C++ types as well: a function `f` would be called `float`.
    if name.starts_with("_Z")
        && let Ok(symbol) = cpp_demangle::Symbol::new(name)
    {
        let written = symbol.structured_demangle(&mut text, &cpp_demangle::DemangleOptions::default());
        if written.is_ok() || text.is_full() {
            return text.0;
        }
        text.0.clear();
    }
    let _ = text.write_str(name);
    text.0
}

/// The longest symbol that is demangled, in bytes. A demangler may take a hundred times as much memory.
pub(super) const MAX_SYMBOL_BYTES: usize = 16 << 10;

/// The most lines of a trace; with those of one more frame, a few hundred kilobytes of text.
const MAX_LINES: usize = 256;

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 1000;

/// A string of at most [`MAX_NAME_BYTES`] bytes.
struct Bounded(String);

impl Bounded {
    fn is_full(&self) -> bool {
        self.0.len() + 4 > MAX_NAME_BYTES
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(MAX_NAME_BYTES - self.0.len());
        self.0.push_str(&text[..end]);
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (mangled, name) in [
            ("_ZN5probe5panic17h38d149b5bc8e4494E", "probe::panic"),
            ("_RNvCs4fqI2P2rA04_5probe5panic", "probe::panic"),
            ("_ZN5shape4areaEii", "shape::area(int, int)"),
            ("f", "f"),
            ("wrun:task/count", "wrun:task/count"),
            ("_Znonsense", "_Znonsense"),
        ] {
            assert_eq!(demangle(mangled), name);
        }
        assert_eq!(demangle(&"ä".repeat(2000)), "ä".repeat(MAX_NAME_BYTES / 2));
        // `f(P<int, int>, P<that one, that one>, ...)`: each type is twice as long as the previous one.
        let doubled = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars().map(|digit| format!("S_IS{digit}_S{digit}_E"));
        let name = demangle(&format!("_Z1f1PIiiE{}", doubled.collect::<String>()));
        assert!(name.starts_with("f(P<int, int>, P<P<int, int>, P<int, int> >"), "{name}");
        assert!(name.len() <= MAX_NAME_BYTES, "{}", name.len());
    }
}
