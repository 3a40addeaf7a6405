//! Writes a dictionary of made-up words, one `WORD<TAB>MEANING` a line, which is the same in every build.

use std::fmt::Write as _;
use std::path::Path;

/// Some 5 MB.
const WORDS: u32 = 200_000;

fn main() {
    let mut text = String::new();
    for number in 0..WORDS {
        let _ = writeln!(text, "{}\t{} {}", word(number), word(number.wrapping_mul(2_654_435_761)), number);
    }
    let out = std::env::var_os("OUT_DIR").expect("set by cargo");
    std::fs::write(Path::new(&out).join("dictionary.txt"), text).expect("the dictionary can be written");
    println!("cargo::rerun-if-changed=build.rs");
}

/// The word with this number: a syllable for each digit of the number, in base 32.
fn word(mut number: u32) -> String {
    const SYLLABLES: [&str; 32] = [
        "ba", "be", "bi", "bo", "da", "de", "di", "do", "fa", "fe", "fi", "fo", "ka", "ke", "ki", "ko", "la", "le",
        "li", "lo", "ma", "me", "mi", "mo", "na", "ne", "ni", "no", "ta", "te", "ti", "to",
    ];
    let mut word = String::new();
    loop {
        word.push_str(SYLLABLES[(number % 32) as usize]);
        number /= 32;
        if number == 0 {
            return word;
        }
    }
}
