//! When tasks may start: while the machine has memory and processors to spare.

use std::fmt;
use std::sync::Arc;

use crate::sys::machine::{self, Machine};

/// What the machine must have to spare before a task starts.
///
/// Running tasks continue. But if less than half of the memory is left, and more than one task runs, the one that started last is
/// stopped and runs again later.
///
/// ```
/// use wrun::job::Admission;
///
/// let admission = Admission { free_memory_bytes: Some(1 << 30), ..Admission::default() };
/// assert!(!admission.is_none());
/// ```
#[derive(Clone, Default)]
pub struct Admission {
    /// Bytes of memory that must be available (`MemAvailable` of proc_meminfo(5), or what the control group leaves, if
    /// that is less); `None` for no condition.
    pub free_memory_bytes: Option<u64>,
    /// Threads that may be running or ready to run, on the whole machine (proc_loadavg(5)), including those of this run; `None` for
    /// no condition.
    pub load: Option<f64>,
    /// Where the measurements come from; `None` for this machine.
    pub measure: Option<Measure>,
}

/// Measures a machine; see [`Admission::measured_by`].
pub type Measure = Arc<dyn Fn() -> Machine + Send + Sync>;

/// What keeps tasks from starting.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Shortage {
    /// Less memory is available than the job asks for.
    Memory {
        /// Bytes that are available.
        free_bytes: u64,
        /// Bytes that the job asks for.
        wanted_bytes: u64,
        /// Bytes that the machine, or its control group, has in all; `None` if that is unknown.
        total_bytes: Option<u64>,
        /// Less than half of that is available.
        dire: bool,
    },
    /// More threads want to run than the job allows.
    Load {
        /// Threads that want to run.
        load: f64,
        /// Threads that the job allows.
        most: f64,
    },
}

/// For messages: `280 MiB of memory are available, and --memfree asks for 1024 MiB`.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Shortage::Memory { free_bytes, wanted_bytes, total_bytes, .. } => {
                let (free, wanted) = (free_bytes >> 20, wanted_bytes >> 20);
                write!(f, "{free} MiB of memory are available, and {wanted} MiB are to stay free")?;
                match total_bytes {
                    Some(total) if total < wanted_bytes => {
                        write!(
                            f,
                            ", which is never so on a machine with {} MiB; ask for less than {free} MiB",
                            total >> 20
                        )
                    }
                    _ => Ok(()),
                }
            }
            Shortage::Load { load, most } => {
                write!(f, "{load} threads want to run on this machine, and {most} are allowed")
            }
        }
    }
}

impl Admission {
    /// Uses these measurements instead of the system's: if tasks run on other machines, for example.
    #[must_use]
    pub fn measured_by(self, measure: impl Fn() -> Machine + Send + Sync + 'static) -> Self {
        Admission { measure: Some(Arc::new(measure)), ..self }
    }

    /// Whether there is no condition.
    pub fn is_none(&self) -> bool {
        self.free_memory_bytes.is_none() && self.load.is_none()
    }

    /// What keeps tasks from starting now.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        let machine = self.measure.as_ref().map_or_else(machine::measure, |measure| measure());
        let (free_bytes, load) = (machine.free_memory_bytes, machine.load);
        if let Some(wanted_bytes) = self.free_memory_bytes.filter(|wanted| free_bytes < *wanted) {
            let total_bytes = if self.measure.is_none() { machine::memory_bytes() } else { None };
            let dire = free_bytes < wanted_bytes / 2;
            return Some(Shortage::Memory { free_bytes, wanted_bytes, total_bytes, dire });
        }
        self.load.filter(|most| load > *most).map(|most| Shortage::Load { load, most })
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Admission { free_memory_bytes, load, measure } = self;
        let measured = measure.is_some();
        f.debug_struct("Admission")
            .field("free_memory_bytes", free_memory_bytes)
            .field("load", load)
            .field("measured", &measured)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_before_load_and_half_of_it_is_dire() {
        let machine = |free_memory_bytes, load| Machine { free_memory_bytes, load };
        let asked = Admission { free_memory_bytes: Some(100), load: Some(2.0), measure: None };
        let shortage = |machine| asked.clone().measured_by(move || machine).shortage();
        assert_eq!(shortage(machine(100, 2.0)), None);
        let memory =
            |free_bytes, dire| Some(Shortage::Memory { free_bytes, wanted_bytes: 100, total_bytes: None, dire });
        assert_eq!(shortage(machine(99, 9.0)), memory(99, false));
        assert_eq!(shortage(machine(50, 0.0)), memory(50, false));
        assert_eq!(shortage(machine(49, 0.0)), memory(49, true));
        assert_eq!(shortage(machine(100, 2.5)), Some(Shortage::Load { load: 2.5, most: 2.0 }));
    }

    #[test]
    fn this_machine_has_memory_and_a_load() {
        let machine = machine::measure();
        assert!(machine.free_memory_bytes > 1 << 20 && machine.free_memory_bytes < 1 << 50, "{machine:?}");
        assert!(machine.load >= 0.0 && machine.load < 1e6, "{machine:?}");
    }
}
