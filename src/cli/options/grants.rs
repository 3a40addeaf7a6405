//! Options that grant tasks access to the outside world: directories, environment variables, the clock, random numbers.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::SystemTime;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::{Access, Directory, Grants, Job};

/// What tasks may use of the outside world.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sandbox")]
pub struct GrantArgs {
    /// Let tasks read the directory HOST, or with :rw also write it, under the path GUEST [default: HOST]; repeatable
    #[arg(
        long = "dir",
        value_name = "HOST[::GUEST][:rw]",
        value_parser = OsStringValueParser::new().try_map(directory)
    )]
    directories: Vec<NamedDirectory>,

    /// Set an environment variable for tasks; without VALUE, pass on the value that it has here; repeatable
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = variable)]
    environment: Vec<(String, String)>,

    /// Show tasks the real time instead of a clock of their own, which starts at --clock-start for each task and moves by the time that
    /// the task sleeps, without any waiting
    #[arg(long, conflicts_with = "clock_start")]
    clock: bool,

    /// Start the clock of each task at this time (2026-11-27T08:00:00Z, UTC) [default: 2000-01-01T00:00:00Z]
    #[arg(long, value_name = "TIME", value_parser = clock_start)]
    clock_start: Option<SystemTime>,

    /// Give tasks real random numbers instead of ones derived from --seed and the task's index
    #[arg(long, conflicts_with = "seed")]
    random: bool,

    /// Derive the random numbers of tasks from N; they are the same in every run
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl GrantArgs {
    /// Opens the directories and passes all grants to the job.
    ///
    /// # Errors
    ///
    /// If a directory cannot be opened.
    pub fn grant(&self, job: &mut Job) -> wrun::Result<()> {
        job.seed = self.seed;
        if let Some(start) = self.clock_start {
            job.clock_start = start;
        }
        job.grants = Grants {
            directories: self.directories.iter().map(NamedDirectory::open).collect::<wrun::Result<_>>()?,
            environment: self.environment.clone(),
            clock: self.clock,
            random: self.random,
        };
        Ok(())
    }
}

/// A value of `--dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDirectory {
    host: PathBuf,
    guest: String,
    access: Access,
}

impl NamedDirectory {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// If there is no such directory, or it may not be used.
    pub fn open(&self) -> wrun::Result<Directory> {
        Directory::open(&self.host, self.guest.clone(), self.access)
    }
}

/// Parses `HOST[::GUEST][:rw]`. The last `::` counts, because HOST may contain others.
pub fn directory(text: OsString) -> Result<NamedDirectory, String> {
    let text = text.into_vec();
    let (text, access) = match (text.strip_suffix(b":rw"), text.strip_suffix(b":ro")) {
        (Some(text), _) => (text, Access::ReadWrite),
        (None, Some(text)) => (text, Access::ReadOnly),
        (None, None) => (&text[..], Access::ReadOnly),
    };
    let colons = text.windows(2).rposition(|pair| pair == b"::");
    let (host, guest) = colons.map_or((text, text), |at| (&text[..at], &text[at + 2..]));
    if host.is_empty() || guest.is_empty() {
        return Err("give HOST or HOST::GUEST, such as /srv/data::/data, and append :rw to let tasks write".into());
    }
    let guest = std::str::from_utf8(guest).map_err(|_| "the path for tasks is not UTF-8; give HOST::GUEST")?;
    if guest.contains(':') {
        return Err("GUEST cannot contain a colon; give HOST, HOST::GUEST or HOST::GUEST:rw".into());
    }
    if colons.is_some() && guest.split('/').any(|part| part == "..") {
        return Err("GUEST cannot contain `..`; give the path that tasks will use".into());
    }
    Ok(NamedDirectory { host: PathBuf::from(OsStr::from_bytes(host)), guest: guest.to_owned(), access })
}

/// Parses a time of UTC, as RFC 3339 has it; a space may take the place of the `T`, and the `Z` may be left out.
fn clock_start(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text).map_err(|error| format!("{error}; give a time such as 2026-11-27T08:00:00Z"))
}

/// Parses `NAME=VALUE`; a `NAME` alone gets the value that this process has.
pub fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match std::env::var(text) {
            Ok(value) => (text, value),
            Err(_) => return Err(format!("{text} is not set here, or is not UTF-8; give {text}=VALUE")),
        },
    };
    match name {
        "" => Err("give NAME=VALUE, such as LANG=C".into()),
        name => Ok((name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_have_a_name_in_the_guest_and_may_be_writable() {
        let parse = |text: &str| directory(text.into());
        let named =
            |host: &str, guest: &str, access| Ok(NamedDirectory { host: host.into(), guest: guest.into(), access });
        assert_eq!(parse("/a"), named("/a", "/a", Access::ReadOnly));
        assert_eq!(parse("/a:rw"), named("/a", "/a", Access::ReadWrite));
        assert_eq!(parse("/a::b"), named("/a", "b", Access::ReadOnly));
        assert_eq!(parse("/a::/b:rw"), named("/a", "/b", Access::ReadWrite));
        assert_eq!(parse("a:b::c:ro"), named("a:b", "c", Access::ReadOnly));
        assert_eq!(parse("a::b::c"), named("a::b", "c", Access::ReadOnly));
        for text in ["", "::", "a::", "::b", ":rw", "a:::rw", "a:b", "a::b:wr", "a::b:RW", "a::b:rw:rw", "a::/b/../c"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables_have_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), String::new())));
        assert!(variable("=x").is_err());
        assert!(variable("").is_err());
        assert!(variable("WRUN_TEST_NO_SUCH_VARIABLE").unwrap_err().contains("give WRUN_TEST_NO_SUCH_VARIABLE=VALUE"));
        assert_eq!(variable("CARGO_PKG_NAME").map(|(_, value)| value), Ok("wrun".into()));
    }
}
