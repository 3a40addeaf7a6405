//! Names for places in a module's code.

use std::fmt;

use wasmtime::Module;

/// A function under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The function's index in the module.
    pub function: u32,
    /// Where in the module's binary form the instruction stands.
    pub offset: Option<u32>,
}

/// What is known of a module's code.
pub(super) struct Symbols {
    module: Module,
}

impl Symbols {
    pub fn new(module: Module) -> Symbols {
        Symbols { module }
    }

    /// The functions at these addresses in the module's machine code: the first is that of an instruction, the others are
    /// addresses to which calls return. Those that are in no function (wasmtime puts small pieces of its own between the host
    /// and the guest) are left out.
    pub fn frames_at(&self, addresses: &[usize]) -> Vec<Frame> {
        let text = self.module.text().as_ptr() as usize;
        let offset = |(index, address): (usize, &usize)| address.checked_sub(text)?.checked_sub(usize::from(index > 0));
        let offsets: Vec<_> = addresses.iter().enumerate().filter_map(offset).collect();
        let mut frames = vec![None; offsets.len()];
        for function in self.module.functions() {
            for (frame, _) in frames
                .iter_mut()
                .zip(&offsets)
                .filter(|(_, offset)| offset.checked_sub(function.offset).is_some_and(|within| within < function.len))
            {
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

    /// The frames with their names.
    pub fn trace(&self, frames: &[Frame]) -> Trace {
        let mut names = vec![None; frames.len()];
        for function in self.module.functions() {
            for (name, _) in names.iter_mut().zip(frames).filter(|(_, frame)| frame.function == function.index.as_u32())
            {
                name.clone_from(&function.name);
            }
        }
        let lines = frames.iter().zip(names).map(|(frame, name)| Line {
            function: name.map_or_else(|| format!("<wasm function {}>", frame.function), |name| demangle(&name)),
            offset: frame.offset,
        });
        Trace { lines: lines.collect() }
    }
}

/// A backtrace with names, the innermost function first.
pub(super) struct Trace {
    lines: Vec<Line>,
}

struct Line {
    function: String,
    offset: Option<u32>,
}

impl Trace {
    /// The function that was running.
    pub fn innermost(&self) -> Option<&str> {
        self.lines.first().map(|line| line.function.as_str())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{index:>4}: ")?;
            if let Some(offset) = line.offset {
                write!(f, "{offset:#8x} - ")?;
            }
            f.write_str(&line.function)?;
        }
        Ok(())
    }
}

fn demangle(name: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        return format!("{name:#}");
    }
    let cpp = cpp_demangle::Symbol::new(name).ok().and_then(|symbol| symbol.demangle().ok());
    cpp.unwrap_or_else(|| name.to_owned())
}
