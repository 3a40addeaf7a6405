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

/// Shortens wasmtime's message about a module that it cannot compile. The result continues a sentence that begins with the module's
/// name.
pub(super) fn compile_error(text: &str) -> String {
    if let Some(message) = text_error(text) {
        return message;
    }
    // Either `Invalid input WebAssembly code at offset 26: MESSAGE` or `MESSAGE (at offset 0x1a)`.
    let text = text.strip_prefix("failed to parse WebAssembly module: ").unwrap_or(text);
    const INVALID: &str = "Invalid input WebAssembly code at offset ";
    let message = match text.split_once(INVALID).and_then(|(_, rest)| rest.split_once(": ")) {
        Some((offset, message)) => match offset.parse::<u64>() {
            Ok(offset) => format!("{} (at offset {offset:#x})", one_line(message)),
            Err(_) => one_line(message),
        },
        None => one_line(text),
    };
    if ["disallowed", "not enabled", "not supported"].iter().any(|sign| message.contains(sign)) {
        format!("uses a feature of WebAssembly that wrun does not support: {message}")
    } else if message.contains("(at offset 0x") {
        format!("is not a valid module: {message}")
    } else {
        format!("cannot be compiled: {message}")
    }
}

/// Shortens an error of the text format, which comes with a picture of the line:
///
/// ```text
/// expected `(`
///      --> <anon>:1:2
///       |
///     1 | ...
/// ```
fn text_error(text: &str) -> Option<String> {
    let (message, rest) = text.split_once("--> <anon>:")?;
    let position = rest.lines().next()?;
    let (line, column) = position.trim().split_once(':')?;
    Some(format!(
        "is not valid WebAssembly text: {} (line {}, column {})",
        one_line(message),
        one_line(line),
        one_line(column)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message about a module.
    fn said(module: &str) -> String {
        let error = wasmtime::Module::new(&wasmtime::Engine::default(), module).unwrap_err();
        compile_error(&format!("{error:#}"))
    }

    #[test]
    fn text_errors_have_line_and_column() {
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
    fn validation_errors_have_an_offset() {
        assert_eq!(
            said("(module (func (result i32) (i64.const 1)))"),
            "is not a valid module: type mismatch: expected i32, found i64 (at offset 0x1a)"
        );
    }

    #[test]
    fn proposals_that_are_not_supported_are_named() {
        let said = said(
            "(module (func (result i64 i64) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))))",
        );
        assert!(said.starts_with("uses a feature of WebAssembly that wrun does not support: "), "{said}");
    }

    #[test]
    fn messages_are_one_bounded_printable_line() {
        assert_eq!(one_line("  a\n\t b\u{1b}[31m "), "a b\\u{1b}[31m");
        assert_eq!(one_line(&"x".repeat(10_000)).chars().count(), MAX_CHARS + 3);
    }
}
