//! Arguments of a component's functions: values as WAVE text.

use wasmtime::component::wasm_wave::ast::Node;
use wasmtime::component::wasm_wave::lex::{Lexer, Token};
use wasmtime::component::wasm_wave::parser::ParserError;
use wasmtime::component::wasm_wave::untyped::UntypedValue;
use wasmtime::component::wasm_wave::value::{Type, Value};
use wasmtime::component::wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue};
use wrun_ipc::entry::{Function, Param, ValueType};

use super::explain::one_line;

/// Checks that `text` has a value for each parameter, separated by commas. Workers read it the same way.
///
/// # Errors
///
/// Returns a line that names the parameter and the place in the text. It continues a sentence that says which argument does not fit.
pub fn check_arguments(function: &Function, text: &str) -> Result<(), String> {
    let types: Option<Vec<Type>> = function.params.iter().map(|param| wave_type(&param.ty)).collect();
    let types = types.ok_or("it has a type without values")?;
    parse_arguments::<Value>(function, &types, text).map(drop)
}

/// Reads a value for each parameter, separated by commas. Options at the end may be left out.
///
/// # Errors
///
/// As for [`check_arguments`].
pub(crate) fn parse_arguments<V: WasmValue>(
    function: &Function,
    types: &[V::Type],
    text: &str,
) -> Result<Vec<V>, String> {
    // As the elements of a list, whose end is on a line of its own because the text may end with a comment.
    let source = format!("[{text}\n]");
    let told = |error: &ParserError| explain(function, &source, text, error);
    let list = UntypedValue::parse(&source).map_err(|error| told(&error))?;
    let nodes: Vec<&Node> = list.node().as_list().map_err(|error| told(&error))?.collect();
    if nodes.len() > types.len() {
        return Err(format!("it takes {}, {} given", values(types.len()), nodes.len()));
    }
    let mut nodes = nodes.into_iter();
    function
        .params
        .iter()
        .zip(types)
        .map(|(param, ty)| match nodes.next() {
            Some(node) => node.to_wasm_value::<V>(ty, &source).map_err(|error| told(&error)),
            None if ty.kind() == WasmTypeKind::Option => V::make_option(ty, None).map_err(|error| error.to_string()),
            None => Err(format!("{} is missing", shown(param))),
        })
        .collect()
}

fn values(count: usize) -> String {
    match count {
        1 => "1 value".to_owned(),
        count => format!("{count} values"),
    }
}

/// A parameter with its type, which is shortened.
fn shown(param: &Param) -> String {
    const MAX_CHARS: usize = 100;
    let ty = one_line(&param.ty.to_string());
    let end = ty.char_indices().nth(MAX_CHARS).map_or(ty.len(), |(end, _)| end);
    let dots = if end < ty.len() { "..." } else { "" };
    format!("parameter {} ({}{dots})", one_line(&param.name), &ty[..end])
}

/// What is wrong with which parameter, and where: `text` follows one byte in `source`.
fn explain(function: &Function, source: &str, text: &str, error: &ParserError) -> String {
    let span = error.span();
    let at = span.start.saturating_sub(1);
    let param = function.params.get(param_at(source, span.start));
    let what = param.map_or("the text".to_owned(), shown);
    let place = match text.get(at..span.end.saturating_sub(1).min(text.len())) {
        Some(part) if !part.trim().is_empty() => {
            let position = text[..at].chars().count() + 1;
            let part: String = part.chars().take(40).collect();
            format!("at character {position} ({:?})", one_line(&part))
        }
        _ => "at the end".to_owned(),
    };
    let detail = std::error::Error::source(error).map(ToString::to_string);
    let detail = detail.map(|detail| format!(": {}", one_line(&detail))).unwrap_or_default();
    let hint = match param {
        Some(Param { ty: ValueType::String, .. }) if !text.contains('"') => "; write text in double quotes",
        _ => "",
    };
    format!("{what}, {place}: {}{detail}{hint}", error.kind())
}

/// The number of the parameter that a place in the source belongs to.
fn param_at(source: &str, place: usize) -> usize {
    let (mut depth, mut param) = (0_u32, 0);
    for (token, span) in Lexer::new(source).spanned() {
        if span.start >= place {
            break;
        }
        match token {
            Ok(Token::BraceOpen | Token::ParenOpen | Token::BracketOpen) => depth += 1,
            Ok(Token::BraceClose | Token::ParenClose | Token::BracketClose) => depth = depth.saturating_sub(1),
            Ok(Token::Comma) if depth == 1 => param += 1,
            _ => {}
        }
    }
    param
}

/// The type as the crate of WAVE has it; `None` if it has no values.
fn wave_type(ty: &ValueType) -> Option<Type> {
    let payload = |ty: &Option<Box<ValueType>>| match ty {
        Some(ty) => wave_type(ty).map(Some),
        None => Some(None),
    };
    match ty {
        ValueType::Bool => Some(Type::BOOL),
        ValueType::S8 => Some(Type::S8),
        ValueType::U8 => Some(Type::U8),
        ValueType::S16 => Some(Type::S16),
        ValueType::U16 => Some(Type::U16),
        ValueType::S32 => Some(Type::S32),
        ValueType::U32 => Some(Type::U32),
        ValueType::S64 => Some(Type::S64),
        ValueType::U64 => Some(Type::U64),
        ValueType::F32 => Some(Type::F32),
        ValueType::F64 => Some(Type::F64),
        ValueType::Char => Some(Type::CHAR),
        ValueType::String => Some(Type::STRING),
        ValueType::List(element) => Some(Type::list(wave_type(element)?)),
        ValueType::Option(some) => Some(Type::option(wave_type(some)?)),
        ValueType::Result(ok, err) => Some(Type::result(payload(ok)?, payload(err)?)),
        ValueType::Tuple(types) => Type::tuple(types.iter().map(wave_type).collect::<Option<Vec<_>>>()?),
        ValueType::Record(fields) => {
            let fields = fields.iter().map(|(name, ty)| Some((name.as_str(), wave_type(ty)?)));
            Type::record(fields.collect::<Option<Vec<_>>>()?)
        }
        ValueType::Variant(cases) => {
            let cases = cases.iter().map(|(name, ty)| match ty {
                Some(ty) => Some((name.as_str(), Some(wave_type(ty)?))),
                None => Some((name.as_str(), None)),
            });
            Type::variant(cases.collect::<Option<Vec<_>>>()?)
        }
        ValueType::Enum(names) => Type::enum_ty(names.iter().map(String::as_str)),
        ValueType::Flags(names) => Type::flags(names.iter().map(String::as_str)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(params: &[(&str, ValueType)]) -> Function {
        let params = params.iter().map(|(name, ty)| Param { name: (*name).into(), ty: ty.clone() }).collect();
        Function { name: "f".into(), params, result: None }
    }

    #[test]
    fn a_value_is_needed_for_each_parameter() {
        let two = function(&[("a", ValueType::U32), ("b", ValueType::String)]);
        for text in [r#"1, "x""#, r#" 1,"x", "#, "1, \"x\" // a comment", "1,\n\"],[\""] {
            assert_eq!(check_arguments(&two, text), Ok(()), "{text}");
        }
        for (text, says) in [
            ("", "parameter a (u32) is missing"),
            ("1", "parameter b (string) is missing"),
            (r#"1, "x", 2"#, "it takes 2 values, 3 given"),
            (r#"-1, "x""#, "parameter a (u32), at character 1 (\"-1\"): invalid value"),
            ("1, x", "parameter b (string), at character 4 (\"x\"): invalid value type; write text in double quotes"),
            ("1, \"x", "parameter b (string), at character 4"),
            (r#"1, "é" 2"#, "parameter b (string), at character 8 (\"2\"): unexpected token"),
            ("1], [2", "parameter a (u32), at character 3 (\",\"): trailing characters"),
            ("1, [", "parameter b (string), at the end: unexpected"),
        ] {
            let error = check_arguments(&two, text).expect_err(text);
            assert!(error.starts_with(says), "{text}: {error}");
        }
        let none = function(&[]);
        assert_eq!(check_arguments(&none, " "), Ok(()));
        assert_eq!(check_arguments(&none, "1"), Err("it takes 0 values, 1 given".into()));
    }

    #[test]
    fn every_kind_of_type_has_values() {
        let boxed = |ty| Some(Box::new(ty));
        let all = function(&[
            ("r", ValueType::Record(vec![("x".into(), ValueType::S8), ("y".into(), ValueType::F64)])),
            ("t", ValueType::Tuple(vec![ValueType::Char, ValueType::Bool])),
            ("v", ValueType::Variant(vec![("one".into(), Some(ValueType::U64)), ("none".into(), None)])),
            ("e", ValueType::Enum(vec!["red".into(), "green".into()])),
            ("f", ValueType::Flags(vec!["left".into(), "right".into()])),
            ("l", ValueType::List(Box::new(ValueType::F32))),
            ("s", ValueType::Result(boxed(ValueType::S64), None)),
            ("o", ValueType::Option(Box::new(ValueType::String))),
        ]);
        let most = "{y: nan, x: -1}, ('é', true), one(1), green, {right}, [1.5, -inf], ok(2)";
        assert_eq!(check_arguments(&all, &format!("{most}, some(\"x\")")), Ok(()));
        assert_eq!(check_arguments(&all, most), Ok(()), "an option at the end may be left out");
        let error = check_arguments(&all, &most.replace("green", "blue")).expect_err("no color");
        assert!(error.starts_with("parameter e (enum { red, green }), at character"), "{error}");
        let error = check_arguments(&all, &most.replace("x: -1", "z: 1")).expect_err("no field");
        assert!(error.starts_with("parameter r (record { x: s8, y: f64 }), at character 1"), "{error}");
        let deep = "[".repeat(10_000);
        assert!(check_arguments(&all, &deep).expect_err("too deep").contains("nesting too deep"));
    }
}
