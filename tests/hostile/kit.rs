//! Runs guests, and compares how they end with a table.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::kit::{Place, Said, objects, why};

/// Something that a guest tries, and how it must end.
pub struct Act {
    /// The file in `guests/`, without its extension.
    guest: &'static str,
    /// The task, or the scalar function.
    call: &'static str,
    options: &'static [&'static str],
    status: &'static str,
    says: Says,
    control: Control,
}

/// The message of a task that failed.
#[derive(Clone, Copy)]
pub enum Says {
    Exactly(&'static str),
    Begins(&'static str),
}

/// The same act in an allowed form.
#[derive(Clone, Copy)]
enum Control {
    /// With the item `control`.
    Item,
    /// With the item `control`, and these options instead.
    ItemWith(&'static [&'static str]),
    /// With these additional options.
    Options(&'static [&'static str]),
    /// No control, for this reason.
    None(#[expect(dead_code, reason = "for readers of the tables")] &'static str),
}

/// An act that ends with this status and message.
pub const fn act(guest: &'static str, call: &'static str, status: &'static str, says: Says) -> Act {
    Act { guest, call, options: &[], status, says, control: Control::Item }
}

impl Act {
    /// Runs with these options.
    pub const fn with(mut self, options: &'static [&'static str]) -> Act {
        self.options = options;
        self
    }

    /// Runs with these options, which are too tight for the control on a busy machine; the control runs with the others.
    pub const fn with_but(mut self, options: &'static [&'static str], control: &'static [&'static str]) -> Act {
        self.options = options;
        self.control = Control::ItemWith(control);
        self
    }

    /// Succeeds unchanged with these additional options.
    pub const fn allowed_by(mut self, options: &'static [&'static str]) -> Act {
        self.control = Control::Options(options);
        self
    }

    /// Can never succeed.
    pub const fn never_allowed(mut self, why: &'static str) -> Act {
        self.control = Control::None(why);
        self
    }

    fn run(&self, place: &Place, options: &[&str], items: &[&str]) -> Said {
        let path = guest(self.guest);
        let path = path.to_str().expect("a path in UTF-8");
        // One worker, so that the next task sees whatever a task does to it.
        let start = ["map", path, "--json", "-j", "1", "--call", self.call];
        place.says(&[&start[..], options, items].concat())
    }

    /// How its end differs from the expected one.
    fn check(&self, place: &Place) -> Result<(), String> {
        let items: &[&str] = match self.control {
            Control::Item => &["attack", "control", "attack"],
            _ => &["attack", "attack"],
        };
        let said = self.run(place, self.options, items);
        let ended = tasks(&said, items.len())?;
        for (item, task) in items.iter().zip(&ended) {
            match *item {
                "control" => succeeded(task)?,
                _ => self.failed(task)?,
            }
        }
        if said.code != Some(100) {
            return Err(format!("exit code {:?}", said.code));
        }
        // Only a task that is stopped from outside takes its worker with it.
        if self.status != "timeout" && said.stderr.contains("another takes its place") {
            return Err(format!("a worker was lost: {}", said.stderr));
        }
        let control = match self.control {
            Control::Item | Control::None(_) => return Ok(()),
            Control::ItemWith(options) => self.run(place, options, &["control"]),
            Control::Options(options) => self.run(place, &[self.options, options].concat(), &["attack"]),
        };
        succeeded(&tasks(&control, 1)?[0])
    }

    fn failed(&self, task: &Value) -> Result<(), String> {
        let message = why(task);
        let expected = match self.says {
            Says::Exactly(text) => message == text,
            Says::Begins(text) => message.starts_with(text),
        };
        let no_result = task.get("output").is_none() && task.get("output_base64").is_none();
        if task["status"] == self.status && expected && no_result { Ok(()) } else { Err(task.to_string()) }
    }
}

fn succeeded(task: &Value) -> Result<(), String> {
    if task["status"] == "ok" { Ok(()) } else { Err(format!("the control failed: {task}")) }
}

/// The JSON objects that a run prints; there must be this many tasks.
fn tasks(said: &Said, count: usize) -> Result<Vec<Value>, String> {
    let ended = objects(&said.stdout);
    if ended.len() == count { Ok(ended) } else { Err(format!("{} outcomes: {said:?}", ended.len())) }
}

/// Checks each act of a table, and reports all mismatches together.
///
/// # Panics
///
/// If any act ends in an unexpected way.
#[track_caller]
pub fn check(acts: &[Act]) {
    let place = Place::new();
    for name in ["data", "attack", "control"] {
        place.file(name, DATA.repeat(20_000));
    }
    let before = listing(place.path());
    let wrong = acts.iter().filter_map(|act| {
        let error = act.check(&place).err()?;
        Some(format!("{} {}: {error}", act.guest, act.call))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {} acts:\n{}", wrong.len(), acts.len(), wrong.join("\n"));
    assert_eq!(listing(place.path()), before, "nothing was created, changed or removed");
}

/// The results of tasks that all succeed, on one worker.
///
/// # Panics
///
/// If one fails.
#[track_caller]
pub fn map_outputs(file: &str, call: &str, options: &[&str], items: &[&str]) -> Vec<String> {
    let place = Place::new();
    place.file("data", DATA.repeat(20_000));
    let before = listing(place.path());
    let path = guest(file);
    let start = ["map", path.to_str().expect("UTF-8"), "--json", "-j", "1", "--call", call];
    let said = place.says(&[&start[..], options, items].concat());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    assert_eq!(listing(place.path()), before, "nothing was created, changed or removed");
    objects(&said.stdout).iter().map(|task| task["output"].as_str().expect("text").to_owned()).collect()
}

/// The ten bytes that the file `data` repeats; the file is 200,000 bytes long and ends inside a page.
pub const DATA: &str = "0123456789";

/// The options that give a task the file `data`, and part of it as a second input.
pub const WITH_DATA: &[&str] = &["-i", "data=data", "-i", "part=data@5000+5000", "--timeout", "20s"];

/// The path of a guest.
pub fn guest(name: &str) -> PathBuf {
    guests().join(name).with_extension("wat")
}

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/guests")
}

/// Everything in a directory: names, lengths, kinds and times.
pub fn listing(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten();
    let mut all: Vec<String> = entries
        .map(|entry| {
            let metadata = entry.metadata().expect("a file");
            format!(
                "{:?} {} {:?} {:?}",
                entry.file_name(),
                metadata.len(),
                metadata.file_type(),
                metadata.modified().ok()
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn every_guest_begins_with_what_it_tries_and_is_used() {
    let tables: String = std::fs::read_dir(guests().parent().expect("a directory"))
        .expect("a directory")
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .map(|entry| std::fs::read_to_string(entry.path()).expect("text"))
        .collect();
    let mut count = 0;
    for entry in std::fs::read_dir(guests()).expect("a directory").flatten() {
        let path = entry.path();
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.starts_with(";; ") && text.lines().count() > 2, "{} says what it tries", path.display());
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8");
        assert!(tables.contains(&format!("\"{name}\"")), "{} is used", path.display());
        count += 1;
    }
    assert!(count > 10, "{count} guests were found");
}
