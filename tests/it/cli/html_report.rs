//! `wrun report`: a job log as an HTML page.

use std::fs;

use crate::cli::kit::{Place, said};

/// The page of `log`, on standard output.
fn page(place: &Place) -> String {
    let said = place.says(&["report", "log", "-o", "-"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    said.stdout
}

/// A line of a log.
fn line(index: u64, status: &str, start: f64, seconds: f64) -> String {
    let line = serde_json::json!({
        "key": format!("{index:064x}"), "index": index, "item": format!("item-{index}"), "status": status,
        "start": 1e9 + start, "seconds": seconds, "worker": index % 3, "attempts": 1, "error": "because",
    });
    // A log line begins with its key.
    let rest = line.to_string();
    let key = format!(r#""key":"{index:064x}","#);
    format!("{{{key}{}\n", rest.replacen(&key, "", 1).trim_start_matches('{'))
}

#[test]
fn a_page_has_totals_timeline_durations_and_failures() {
    let place = Place::new();
    place.map("fail-f", &["--joblog", "log", "a", "f<b>&\"'", "b"]);
    let page = page(&place);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
    for part in [
        "<dt>tasks</dt><dd>3</dd>",
        "<dt>ok</dt><dd>2</dd>",
        r#"<div class="bad"><dt>error</dt><dd>1</dd>"#,
        "<h2>Timeline</h2>",
        "<h2>Durations</h2>",
        "<h2>Slowest tasks</h2>",
        "<h2>Failed tasks</h2>",
        "<pre>f&#60;b&#62;&#38;&#34;&#39;</pre>",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert_eq!(page.matches("<title>task ").count(), 3, "a bar each");
}

#[test]
fn what_strangers_wrote_is_text_and_nothing_else() {
    let place = Place::new();
    let evil = "</td></pre></title><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J";
    place.map_lines("fail", &["--joblog", "log", "-0"], [evil.as_bytes(), b"\0\xff<script>"].concat());
    let page = page(&place);
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.contains("&#60;script&#62;alert(1)") && page.contains(r"\xff&#60;script&#62;"), "{page}");
    assert!(page.contains(r"\u{202e}\u{1b}[2J") && !page.contains('\u{1b}') && !page.contains('\u{202e}'));
    assert!(page.contains(r#"content="default-src 'none'; style-src 'unsafe-inline'""#), "no script can run");
    // Nothing is fetched over the network: the only addresses are those in the texts above.
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("href="), "{page}");
}

#[test]
fn a_large_log_makes_a_page_of_a_bounded_size() {
    let place = Place::new();
    let status = |index| if index % 1000 == 0 { "trap" } else { "ok" };
    let lines = (0..100_000u64).map(|index| line(index, status(index), index as f64 * 0.001, 0.002));
    place.file("log", lines.collect::<String>());
    let page = page(&place);
    assert!(page.contains("<dt>tasks</dt><dd>100,000</dd>") && page.contains("<dt>trap</dt><dd>100</dd>"), "{page}");
    assert!(page.matches("<rect").count() < 3 * 1000 + 100 && page.len() < 1 << 20, "{} bytes", page.len());
    // 100 s with three workers; the last task begins 1 ms before the end.
    assert!(page.contains("<dt>time</dt><dd>1m40s</dd>") && page.contains("<dt>speed-up</dt><dd>2.00</dd>"), "{page}");
}

#[test]
fn a_line_that_was_replaced_counts_no_more() {
    let place = Place::new();
    let args = ["--reuse", "-j1", "--joblog", "log"];
    assert_eq!(place.map("pass-on-call", &[&args[..], &["2"]].concat()).code, Some(100));
    assert!(page(&place).contains("<dt>error</dt>"));
    assert_eq!(place.map("pass-on-call", &[&args[..], &["--resume-failed", "0", "2"]].concat()).code, Some(0));
    let page = page(&place);
    assert!(page.contains("<dt>tasks</dt><dd>2</dd>") && !page.contains("<dt>error</dt>"), "{page}");
}

#[test]
fn torn_lines_are_passed_over_and_bad_ones_are_named() {
    let place = Place::new();
    let whole = line(0, "ok", 0.0, 1.0);
    place.file("log", format!("{whole}{}", &whole[..whole.len() / 2]));
    assert!(page(&place).contains("<dt>tasks</dt><dd>1</dd>"));
    place.file("log", "");
    assert!(page(&place).contains("<dt>tasks</dt><dd>0</dd>"), "the log of a run in which no task has ended yet");
    let report = |text: String| {
        place.file("log", text);
        place.says(&["report", "log", "-o", "-"])
    };
    let wrong = "wrun: line 2 of joblog \"log\" is not from a joblog; name the right file, or remove it\n";
    assert_eq!(report(format!("{whole}hello\n{whole}")), said(1, "", wrong));
    let passed_over = report(format!("{whole}hello\n"));
    let warning = "wrun: warning: joblog \"log\" ends in 6 bytes that are not from a joblog, from line 2 on; they are passed over\n";
    assert_eq!((passed_over.code, passed_over.stderr.as_str()), (Some(0), warning));
    let wrong = "wrun: line 1 of joblog \"log\" has an unknown status: \"fine\"\n";
    assert_eq!(report(line(0, "fine", 0.0, 1.0)), said(1, "", wrong));
    let wrong = "wrun: line 1 of joblog \"log\" lacks fields that a task's line has; name the right file\n";
    assert_eq!(report("{\"key\":null,\"status\":\"ok\"}\n".to_owned()), said(1, "", wrong));
    // Numbers that no run wrote.
    let odd = report(line(0, "ok", 1e300, 1e300) + &line(1, "ok", -1e300, -5.0));
    assert_eq!((odd.code, odd.stderr.as_str()), (Some(0), ""));
    assert!(!odd.stdout.contains("NaN") && !odd.stdout.contains("inf"), "{}", odd.stdout);
}

#[test]
fn pauses_between_runs_are_cut_out() {
    let place = Place::new();
    place.file("log", line(0, "ok", 0.0, 1.0) + &line(1, "ok", 80_000.0, 1.0));
    let page = page(&place);
    assert!(page.contains("<dt>time</dt><dd>2.0s</dd>") && page.matches(r#"class="cut""#).count() == 1, "{page}");
}

#[test]
fn a_page_that_cannot_be_written_leaves_the_old_one() {
    let place = Place::new();
    place.map("echo", &["--joblog", "log", "a"]);
    assert_eq!(place.says(&["report", "log", "-o", "page.html"]), said(0, "", ""));
    assert!(fs::read_to_string(place.path().join("page.html")).expect("a page").contains("<dt>tasks</dt><dd>1</dd>"));
    let full = place.says(&["report", "log", "-o", "/dev/full"]);
    assert_eq!(full, said(1, "", "wrun: cannot write page \"/dev/full\": No space left on device (os error 28)\n"));
    let log = place.says(&["report", "log", "-o", "./log"]);
    assert_eq!(log, said(2, "", "wrun: the page would replace the job log; name another file with -o\n"));
    let none = place.says(&["report", "nolog", "-o", "-"]);
    assert_eq!(none, said(1, "", "wrun: cannot open joblog \"nolog\": No such file or directory (os error 2)\n"));
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let place = Place::new();
    place.file("log", line(0, "ok", 0.0, 1.0));
    place.file("page", "old");
    // As /dev/stdout with `> page`.
    std::os::unix::fs::symlink("page", place.path().join("link")).expect("a link");
    for args in [&["report", "log", "-o", "link"][..], &["compile", "sqrt.wat", "-o", "link"]] {
        let before = fs::read(place.path().join("page")).expect("a file");
        assert_eq!(place.says(args), said(0, "", ""));
        assert!(place.path().join("link").is_symlink(), "{args:?}");
        assert_ne!(fs::read(place.path().join("page")).expect("a file"), before);
    }
}
