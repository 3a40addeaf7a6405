//! Lets the unit tests' program be started again as a worker or compiler, although its `main` is not ours.
#![expect(unsafe_code, reason = "a function that runs before main")]

/// Becomes a worker or compiler if the program was started as one.
extern "C" fn before_main() {
    if crate::sys::self_exe::is_started_again() {
        if let Ok(lie) = std::env::var(crate::pool::liar::LIE) {
            let parent = std::env::args().nth(3).and_then(|pid| pid.parse().ok());
            crate::pool::liar::main(parent.unwrap_or_default(), &lie);
        }
        crate::init();
    }
}

// SAFETY: the section holds pointers to functions that the C library calls before `main`, and this is one. The
// standard library relies only on its own entry there, which comes earlier.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// A compiler that needs no `wrun` executable and caches nothing.
pub(crate) fn compiler() -> crate::Compiler {
    crate::Compiler { exe: Some("/proc/self/exe".into()), cache_dir: None, ..crate::Compiler::default() }
}
