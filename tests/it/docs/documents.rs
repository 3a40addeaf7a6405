//! README.md, the book in docs/ and the other documents: their size, pages and links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::tidy::{Complaints, Text, all_texts, hold};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The directory of the book's pages.
const BOOK: &str = "docs/src/";

/// The text of a document, by its path from the root.
pub fn document(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of the book's pages from the root, in order.
pub fn pages() -> Vec<String> {
    let pages = documents().into_iter().map(|text| text.path);
    pages.filter(|path| path.starts_with(BOOK) && !path.ends_with("/SUMMARY.md")).collect()
}

fn documents() -> Vec<Text> {
    let mut texts = all_texts();
    texts.retain(|text| text.path.ends_with(".md"));
    texts
}

/// A path with its `..` resolved.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(resolved.pop(), "{} leads out of the repository", path.display()),
            Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved
}

/// A page with each `{{#include PATH:FIRST:}}` replaced by that file, or by its lines from `FIRST` on, as mdBook does.
fn rendered(path: &str, text: &str) -> String {
    let mut parts = text.split("{{#include ");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (what, rest) = part.split_once("}}").expect("the end of an include");
        let mut words = what.split(':');
        let file = Path::new(path).with_file_name(words.next().expect("a path"));
        let first = words.next().map_or(1, |line| line.parse::<usize>().expect("a line's number"));
        let included = document(resolved(&file).to_str().expect("UTF-8"));
        included.lines().skip(first - 1).for_each(|line| page += &format!("{line}\n"));
        page += rest;
    }
    page
}

/// Text without fenced blocks and code in backticks.
fn prose(markdown: &str) -> String {
    let mut in_block = false;
    let mut prose = String::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            line.split('`').step_by(2).for_each(|text| prose += text);
            prose.push('\n');
        }
    }
    prose
}

/// The anchors of a document's headings.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let mut anchors = BTreeSet::new();
    for line in markdown.lines() {
        in_block ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if !in_block && line.starts_with('#') && heading.starts_with(' ') {
            let kept = heading.trim().chars().filter(|char| char.is_alphanumeric() || "-_ ".contains(*char));
            anchors.insert(kept.map(|char| if char == ' ' { '-' } else { char.to_ascii_lowercase() }).collect());
        }
    }
    anchors
}

/// Broken relative links. Pages of the book may link only to each other, because the built book contains nothing else.
fn lost_links(texts: &[Text]) -> Complaints {
    let mut complaints = Vec::new();
    for text in texts {
        let in_book = text.path.starts_with(BOOK);
        let page = if in_book { rendered(&text.path, &text.text) } else { text.text.clone() };
        let prose = prose(&page);
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => PathBuf::from(&text.path),
                file => resolved(&Path::new(&text.path).with_file_name("").join(file)),
            };
            let target = target.to_str().expect("UTF-8");
            let mut complain = |why: &str| complaints.push(format!("{}: the link {link} {why}", text.path));
            if file.is_empty() {
                if !anchors(&page).contains(anchor) {
                    complain("has no such section");
                }
            } else if in_book && !(target.starts_with(BOOK) && target.ends_with(".md")) {
                complain("leads out of the book");
            } else if !Path::new(ROOT).join(target).exists() {
                complain("leads nowhere");
            } else if !anchor.is_empty() && !anchors(&rendered(target, &document(target))).contains(anchor) {
                complain("has no such section");
            }
        }
    }
    complaints
}

#[test]
fn the_readme_is_short() {
    const MOST_BYTES: usize = 8192;
    let bytes = document("README.md").len();
    assert!(bytes <= MOST_BYTES, "README.md has {bytes} bytes, but the limit is {MOST_BYTES}");
}

#[test]
fn links_of_all_documents_lead_somewhere() {
    let bad = [
        ("README.md", "[x](docs/src/nothing.md)"),
        ("README.md", "see [x](SECURITY.md#no-such-section) and `[y](z.md)`"),
        ("CONTRIBUTING.md", "# A b\n[x](#a-b) [y](#a-c)"),
        ("docs/src/index.md", "[x](../../README.md)"),
        ("docs/src/index.md", "[x](guide/tour.md#set-up) [y](guide/tour.md#no-such-section)"),
        ("docs/src/index.md", "# A\n{{#include ../../SECURITY.md}}\n[x](#threat-model) [y](#a) [z](#b)"),
    ];
    hold(lost_links, &documents(), &bad);
}

#[test]
fn the_summary_lists_every_page() {
    let summary = document("docs/src/SUMMARY.md");
    let listed: Vec<&str> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let mut listed: Vec<String> = listed.into_iter().map(|path| format!("{BOOK}{path}")).collect();
    listed.sort();
    let mut pages = pages();
    pages.sort();
    assert_eq!(listed, pages, "docs/src/SUMMARY.md lists the left, but the right exist");
}

#[test]
fn all_measurements_are_in_the_book() {
    let page = rendered("docs/src/measurements.md", &document("docs/src/measurements.md"));
    let results = document("benches/RESULTS.md");
    let (_, table) = results.split_once("\n```text\n").expect("the table");
    assert!(page.contains(&format!("\n\n```text\n{table}")), "the page has lost the table, or its beginning");
}
