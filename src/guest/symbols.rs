//! Names and lines for places in a module's code: the one way to a backtrace, for traps and for timeouts.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Mutex, PoisonError};

use wasmtime::{Module, WasmBacktrace};

use super::job::debug_part;
use super::lines::{Line, Lines};
use super::trace::{Trace, TraceLine};
use crate::ipc::place::Detail;
use crate::module::debug::DebugInfo;

/// The most functions under way that are told, the innermost ones.
pub(super) const MAX_FRAMES: usize = 64;

/// A function under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The function's index in the module.
    pub function: u32,
    /// Where in the module's binary form the instruction stands, in bytes.
    pub offset: Option<u32>,
}

/// What is known of a module's code.
pub(super) struct Symbols {
    module: Module,
    code: Option<File>,
    /// What was read at the first trap, for the next ones.
    details: Mutex<Option<Details>>,
}

/// What stands in the code's file besides the code.
struct Details {
    exports: HashMap<u32, String>,
    lines: Option<Lines>,
}

impl Symbols {
    /// `code` is the file that the module was loaded from.
    pub fn new(module: Module, code: Option<File>) -> Symbols {
        Symbols { module, code, details: Mutex::new(None) }
    }

    /// The functions at these addresses in the module's machine code: the first is that of an instruction, the others are
    /// addresses to which calls return. Those that are in no function (wasmtime puts small pieces of its own between the host
    /// and the guest) are left out.
    pub fn frames_at(&self, addresses: &[usize]) -> Vec<Frame> {
        let text = self.module.text().as_ptr() as usize;
        // The instruction of a call is before the address to which it returns.
        let offset = |(index, address): (usize, &usize)| address.checked_sub(text)?.checked_sub(usize::from(index > 0));
        let offsets: Vec<_> = addresses.iter().enumerate().filter_map(offset).collect();
        let mut frames = vec![None; offsets.len()];
        for function in self.module.functions() {
            let within = |offset: &usize| (function.offset..function.offset + function.len).contains(offset);
            for (frame, _) in frames.iter_mut().zip(&offsets).filter(|(_, offset)| within(offset)) {
                *frame = Some(Frame { function: function.index.as_u32(), offset: None });
            }
        }
        // The map has the places where something new begins, in the order of the machine code.
        for (start, place) in self.module.address_map().into_iter().flatten() {
            for (frame, _) in frames.iter_mut().zip(&offsets).filter(|(_, offset)| start <= **offset) {
                if let Some(frame) = frame {
                    frame.offset = place;
                }
            }
        }
        frames.into_iter().flatten().collect()
    }

    /// The backtrace of a guest that trapped. What it takes to read is remembered for the next one.
    pub fn backtrace(&self, trace: &WasmBacktrace) -> String {
        let frame = |frame: &wasmtime::FrameInfo| Frame {
            function: frame.func_index(),
            offset: frame.module_offset().and_then(|offset| u32::try_from(offset).ok()),
        };
        let frames: Vec<_> = trace.frames().iter().map(frame).collect();
        let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        let details = details.get_or_insert_with(|| {
            let info = self.debug_info();
            Details { lines: Lines::read(&info), exports: info.exports }
        });
        self.trace(&frames, &details.exports, details.lines.as_ref()).to_string()
    }

    /// Tells a backtrace twice: with names, which are there soon, and with lines as well. Takes nothing that a thread holds which
    /// stands still.
    pub fn tell(&self, frames: &[Frame], mut tell: impl FnMut(Detail, &Trace)) {
        let info = self.debug_info();
        tell(Detail::Names, &self.trace(frames, &info.exports, None));
        tell(Detail::All, &self.trace(frames, &info.exports, Lines::read(&info).as_ref()));
    }

    fn debug_info(&self) -> DebugInfo<'static> {
        self.code.as_ref().and_then(debug_part).and_then(DebugInfo::read).unwrap_or_default()
    }

    fn trace(&self, frames: &[Frame], exports: &HashMap<u32, String>, lines: Option<&Lines>) -> Trace {
        let is_cut = frames.len() > MAX_FRAMES;
        let frames = &frames[..frames.len().min(MAX_FRAMES)];
        let mut names = vec![None; frames.len()];
        for function in self.module.functions() {
            let is_of = |frame: &Frame| frame.function == function.index.as_u32();
            for (name, _) in names.iter_mut().zip(frames).filter(|(_, frame)| is_of(frame)) {
                name.clone_from(&function.name);
            }
        }
        let mut all = Vec::new();
        for (frame, name) in frames.iter().zip(names) {
            let mut found = frame.offset.zip(lines).map(|(offset, lines)| lines.at(offset)).unwrap_or_default();
            if found.is_empty() {
                found.push(Line { function: None, place: None });
            }
            let outermost = found.len() - 1;
            let name = name.or_else(|| exports.get(&frame.function).cloned());
            for (index, line) in found.into_iter().enumerate() {
                // What the module itself calls a function says more than DWARF's short name; an inlined one has no other.
                let own = if index == outermost { name.as_deref() } else { None };
                let function = match own.or(line.function.as_deref()) {
                    Some(name) => demangle(name),
                    None if index == outermost => format!("<wasm function {}>", frame.function),
                    None => "<inlined function>".to_owned(),
                };
                all.push(TraceLine { function, place: line.place, offset: frame.offset, inlined: index < outermost });
            }
        }
        Trace::new(all, is_cut)
    }
}

fn demangle(name: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        // Without the hash that makes symbols differ.
        return format!("{name:#}");
    }
    // The demangler takes names of C++'s types as well, so that a function `f` would be called `float`.
    let cpp = name.starts_with("_Z").then(|| cpp_demangle::Symbol::new(name).ok()).flatten();
    cpp.and_then(|symbol| symbol.demangle().ok()).unwrap_or_else(|| name.to_owned())
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
    }
}
