//! Reduces messages of the compiler to one line each.

/// The longest message that is shown, in characters.
const MAX_CHARS: usize = 600;

/// Makes text one line that is safe to print: white space becomes single spaces, and control characters, which a module could
/// smuggle to a terminal in its names, are escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&printable(word));
    }
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// Escapes control characters, as `\u{1b}`.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, char| {
        match char.is_control() {
            true => shown.extend(char.escape_default()),
            false => shown.push(char),
        }
        shown
    })
}

/// Shortens an error of the text format, which comes with a picture of the line. The result continues a sentence that begins with the
/// module's name.
///
/// ```text
/// expected `(`
///      --> <anon>:1:2
///       |
///     1 | ...
/// ```
pub(super) fn text_error(text: &str) -> String {
    let position = text.split_once("--> <anon>:").and_then(|(message, rest)| {
        let (line, column) = rest.lines().next()?.trim().split_once(':')?;
        Some((message, line, column))
    });
    match position {
        Some((message, line, column)) => format!(
            "is not valid WebAssembly text: {} (line {}, column {})",
            one_line(message),
            one_line(line),
            one_line(column)
        ),
        None => format!("is not valid WebAssembly text: {}", one_line(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_errors_have_line_and_column() {
        let said = |text: &str| text_error(&wat::parse_bytes(text.as_bytes()).unwrap_err().to_string());
        assert_eq!(
            said("(module\n  (fun))"),
            "is not valid WebAssembly text: expected valid module field (line 2, column 4)"
        );
        assert_eq!(
            said("(module (func (call $none)))"),
            "is not valid WebAssembly text: unknown func: failed to find name `$none` (line 1, column 21)"
        );
    }

    #[test]
    fn messages_are_one_bounded_printable_line() {
        assert_eq!(one_line("  a\n\t b\u{1b}[31m "), "a b\\u{1b}[31m");
        assert_eq!(one_line(&"x".repeat(10_000)).chars().count(), MAX_CHARS + 3);
    }
}
