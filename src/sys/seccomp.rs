//! Applies seccomp filters, which `build.rs` compiles.
//!
//! Source: seccomp(2).

use std::io;

use seccompiler::{Error, apply_filter_all_threads, sock_filter};

/// The fields of a [`sock_filter`], in order.
type Instruction = (u16, u8, u8, u32);

include!(concat!(env!("OUT_DIR"), "/seccomp_programs.rs"));

/// Applies the filter with this name to all threads of this process, irrevocably.
///
/// # Errors
///
/// If the kernel has no seccomp, or there is no such filter.
pub fn apply(name: &str) -> io::Result<()> {
    let (_, program) = PROGRAMS
        .iter()
        .find(|(program, _)| *program == name)
        .ok_or_else(|| io::Error::other(format!("there is no filter {name}")))?;
    let own_process = std::process::id();
    let program: Vec<sock_filter> = program
        .iter()
        .map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k: if k == OWN_PROCESS { own_process } else { k } })
        .collect();
    apply_filter_all_threads(&program).map_err(|error| match error {
        Error::Prctl(error) | Error::Seccomp(error) => error,
        other => io::Error::other(other),
    })
}
