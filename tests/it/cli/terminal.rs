//! What a user at a terminal sees: progress that appears and disappears.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::cli::kit::{Place, objects, ok, output, texts};
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
fn a_module_that_takes_long_to_compile_is_mentioned_once_where_there_is_no_terminal() {
    let place = Place::new();
    let modules = ["piped.wat", "quiet.wat", "terminal.wat", "json.wat"].map(|name| SlowModule::new(&place, name));
    let mut plain = place.wrun(&["map", "piped.wat", "4"]).spawn().expect("wrun starts");
    let quiet = place.wrun(&["map", "--progress", "none", "quiet.wat", "4"]).spawn().expect("wrun starts");
    let mut quiet_terminal = at_a_terminal(&place, "map --progress none terminal.wat 4");
    let mut json = place.wrun(&["map", "--progress", "json", "json.wat", "4"]).spawn().expect("wrun starts");
    let mut log = plain.stderr.take().expect("a pipe");
    let mut json_log = json.stderr.take().expect("a pipe");
    let mut said = read_until(&mut log, "\n");
    let mut said_as_json = read_until(&mut json_log, "\n");
    modules.iter().for_each(SlowModule::arrive);
    log.read_to_string(&mut said).expect("a pipe");
    json_log.read_to_string(&mut said_as_json).expect("a pipe");
    assert_eq!(texts(output(plain)), ok("8\n"));
    let long = "5 s so far; its code is kept for later runs";
    assert_eq!(said, format!("wrun: reading and compiling piped.wat, {long}\n"));
    assert_eq!(texts(output(json)), ok("8\n"));
    let event = &objects(&said_as_json)[0];
    assert_eq!(
        (&event["event"], &event["message"]),
        (&"notice".into(), &format!("reading and compiling json.wat, {long}").into(),)
    );
    // These have been waiting as long, and say nothing.
    assert_eq!(texts(output(quiet)), ok("8\n"));
    let mut written = String::new();
    quiet_terminal.stdout.take().expect("a pipe").read_to_string(&mut written).expect("a terminal");
    assert_eq!((quiet_terminal.wait().expect("the end").code(), written.as_str()), (Some(0), ""));
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
