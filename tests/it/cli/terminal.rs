//! What a user at a terminal sees: progress that appears and disappears.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::cli::kit::{Place, ok, output, texts};
use crate::support::WRUN;

/// A module whose file is a pipe, so that a test controls how long it takes to load.
struct SlowModule(PathBuf);

impl SlowModule {
    fn new(place: &Place, name: &str) -> SlowModule {
        let path = place.path().join(name);
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo starts");
        assert!(made.success(), "a pipe");
        SlowModule(path)
    }

    /// Lets loading finish.
    fn arrive(&self) {
        let mut pipe = File::options().write(true).open(&self.0).expect("a pipe with a reader");
        let module =
            r#"(module (func (export "twice") (param f64) (result f64) (f64.add (local.get 0) (local.get 0))))"#;
        pipe.write_all(module.as_bytes()).expect("a reader");
    }
}

/// `wrun` with these words and with standard error on its own terminal. Everything written to that terminal is the standard output
/// of this command; wrun's own standard output goes to the file `out`.
fn at_a_terminal(place: &Place, words: &str) -> Child {
    let wrun = place.wrun(&[]);
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &format!("exec \"$EXE\" {words} > out"), "/dev/null"]).current_dir(place.path());
    script.env_clear().envs(wrun.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("EXE", WRUN).env("TERM", "xterm").env("PATH", "/usr/bin:/bin");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("script starts")
}

/// Reads what a terminal shows until this text appears.
fn read_until(screen: &mut impl Read, shown: &str) -> String {
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = screen.read(&mut chunk).expect("a terminal");
        seen.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&seen);
        if text.contains(shown) {
            return text.into_owned();
        }
        assert!(read > 0, "{shown:?} was not shown, but: {text:?}");
    }
}

/// What is left on the last line of a terminal: the text after the last sequence that clears the line.
fn last_line(written: &str) -> &str {
    written.rsplit("\u{1b}[2K").next().expect("a part")
}

fn out(place: &Place) -> String {
    std::fs::read_to_string(place.path().join("out")).expect("a file")
}

#[test]
fn a_module_that_takes_long_to_compile_is_shown_on_a_terminal_until_it_is_there() {
    let place = Place::new();
    for (words, name, result) in [
        ("map m1.wat 4", "m1.wat", "8\n"),
        ("run m2.wat 4", "m2.wat", "8\n"),
        ("compile m3.wat -o m.cwasm", "m3.wat", ""),
        ("map --progress bar m4.wat 4", "m4.wat", "8\n"),
    ] {
        let module = SlowModule::new(&place, name);
        let mut child = at_a_terminal(&place, words);
        let mut screen = child.stdout.take().expect("a pipe");
        let mut written = read_until(&mut screen, &format!("reading and compiling {name}"));
        module.arrive();
        screen.read_to_string(&mut written).expect("a terminal");
        assert_eq!(child.wait().expect("the end").code(), Some(0), "{written:?}");
        assert_eq!(last_line(&written).trim_end(), "", "nothing is left of it: {written:?}");
        assert_eq!(out(&place), result, "{words}");
    }
}

#[test]
fn nothing_is_shown_where_there_is_no_terminal_or_nobody_wants_it() {
    let place = Place::new();
    let modules = ["piped.wat", "quiet.wat", "shown.wat"].map(|name| SlowModule::new(&place, name));
    let without = place.wrun(&["map", "piped.wat", "4"]).spawn().expect("wrun starts");
    let mut quiet = at_a_terminal(&place, "map --progress none quiet.wat 4");
    // When the control shows that it is waiting, those two have been waiting even longer.
    let mut control = at_a_terminal(&place, "inspect shown.wat");
    let mut screen = control.stdout.take().expect("a pipe");
    read_until(&mut screen, "compiling shown.wat");
    modules.iter().for_each(SlowModule::arrive);
    assert_eq!(texts(output(without)), ok("8\n"));
    let mut written = String::new();
    quiet.stdout.take().expect("a pipe").read_to_string(&mut written).expect("a terminal");
    assert_eq!((quiet.wait().expect("the end").code(), written.as_str()), (Some(0), ""));
    screen.read_to_string(&mut written).expect("a terminal");
    assert_eq!(control.wait().expect("the end").code(), Some(0));
}

#[test]
fn a_bar_appears_with_what_is_known_and_not_before() {
    let place = Place::new();
    // A failure is printed above the bar, which is then redrawn below it; this early there is no bar yet.
    let mut child = at_a_terminal(&place, "map kit.wat --call fail a");
    let mut written = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut written).expect("a terminal");
    assert_eq!(child.wait().expect("the end").code(), Some(100));
    assert!(written.contains("task 0 (a) failed: a") && written.contains("wrun: 1 of 1 tasks failed"), "{written:?}");
    assert!(!written.contains("0/0"), "{written:?}");
}

#[test]
fn the_rest_is_not_guessed_before_a_task_has_ended() {
    let place = Place::new();
    let mut child = at_a_terminal(&place, "map kit.wat --call loop-l --timeout 2s l");
    let mut screen = child.stdout.take().expect("a pipe");
    let mut written = read_until(&mut screen, " 0/1 0.0/s remaining -");
    screen.read_to_string(&mut written).expect("a terminal");
    assert_eq!(child.wait().expect("the end").code(), Some(100));
}
