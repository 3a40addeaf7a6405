//! Uses files, variables, the clock and random numbers as its arguments say, to show what a guest may do.
//!
//! ```text
//! $ wrun map wasi-probe.wasm --dir /srv/data::/data list -- {} /data
//! ```

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match act(&words) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn act(words: &[&str]) -> io::Result<String> {
    let done = || "done".to_owned();
    match *words {
        ["read", path] => fs::read_to_string(path),
        ["list", path] => {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names.join(" "))
        }
        ["stat", path] => fs::metadata(path).map(|metadata| metadata.len().to_string()),
        ["follow", path] => fs::read_link(path).map(|target| target.display().to_string()),
        ["write", path, text] => fs::write(path, text).map(|()| done()),
        ["append", path, text] => {
            OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes()).map(|()| done())
        }
        ["cut", path] => OpenOptions::new().write(true).open(path)?.set_len(0).map(|()| done()),
        ["sync", path] => File::open(path)?.sync_all().map(|()| done()),
        ["mkdir", path] => fs::create_dir(path).map(|()| done()),
        ["rmdir", path] => fs::remove_dir(path).map(|()| done()),
        ["remove", path] => fs::remove_file(path).map(|()| done()),
        ["rename", from, to] => fs::rename(from, to).map(|()| done()),
        ["link", from, to] => fs::hard_link(from, to).map(|()| done()),
        #[expect(deprecated, reason = "the standard library's only way to make a symbolic link on this target")]
        ["symlink", target, path] => fs::soft_link(target, path).map(|()| done()),
        // This many bytes at once.
        ["print", bytes] => {
            let bytes = bytes.parse().map_err(io::Error::other)?;
            io::stdout().write_all(&vec![b'x'; bytes]).map(|()| String::new())
        }
        // Opens files until that fails, and says how many were open.
        ["hoard", path] => {
            let mut files = Vec::new();
            loop {
                match File::open(path) {
                    Ok(file) => files.push(file),
                    Err(error) => return Err(io::Error::other(format!("{} were open: {error}", files.len()))),
                }
            }
        }
        // The last bytes of a file.
        ["tail", path, bytes] => {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::End(-bytes.parse::<i64>().map_err(io::Error::other)?))?;
            let mut text = String::new();
            file.read_to_string(&mut text).map(|_| text)
        }
        // Makes a file, which must be the only one in its directory, and reads it again by another name.
        ["alone", directory, text] => {
            let (first, second) = (format!("{directory}/first"), format!("{directory}/second"));
            if fs::read_dir(directory)?.next().is_some() {
                return Err(io::Error::other("somebody else was here"));
            }
            File::create_new(&first)?.write_all(text.as_bytes())?;
            fs::rename(first, &second)?;
            fs::read_to_string(second)
        }
        // Writes to a file until that fails.
        ["fill", path] => {
            let mut file = File::create(path)?;
            loop {
                file.write_all(&[b'x'; 64 << 10])?;
            }
        }
        // Looks for a file that may be missing, and fails for another reason.
        ["miss", path, reason] => {
            let _ = fs::metadata(path);
            Err(io::Error::other(reason.to_owned()))
        }
        ["variables"] => {
            let variables = std::env::vars().map(|(name, value)| format!("{name}={value}"));
            Ok(variables.collect::<Vec<_>>().join(" "))
        }
        ["seconds"] => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
            let start = Instant::now();
            let passed = start.elapsed().as_nanos() > 0;
            Ok(format!("{} {passed}", now.as_secs()))
        }
        ["random"] => Ok(RandomState::new().hash_one(0u8).to_string()),
        _ => Err(io::Error::other("unknown action")),
    }
}
