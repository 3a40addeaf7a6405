//! A parser for the subset of Python literals that headers use: a dictionary from strings to strings, booleans and tuples
//! of integers.

use super::{Error, MAX_AXES, error};

/// The value of an entry.
#[derive(Debug)]
pub enum Value<'a> {
    /// A quoted string, without its quotes.
    Text(&'a [u8]),
    /// `True` or `False`.
    Bool(bool),
    /// Integers in parentheses.
    Tuple(Vec<u64>),
    /// The start of a list, whose contents were not read.
    List,
}

/// A parser over text, with what it has not read yet.
#[derive(Debug)]
pub struct Literal<'a> {
    rest: &'a [u8],
}

impl<'a> Literal<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Literal { rest: text }
    }

    /// Reads a dictionary, which only white space may follow, and passes each entry to `take`.
    pub fn dictionary(&mut self, mut take: impl FnMut(&'a [u8], Value<'a>) -> Result<(), Error>) -> Result<(), Error> {
        self.expect(b'{')?;
        while !self.skip(b'}') {
            let key = self.quoted()?;
            self.expect(b':')?;
            take(key, self.value()?)?;
            if !self.skip(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.space();
        if self.rest.is_empty() { Ok(()) } else { malformed() }
    }

    fn value(&mut self) -> Result<Value<'a>, Error> {
        self.space();
        match self.rest {
            [b'\'' | b'"', ..] => self.quoted().map(Value::Text),
            [b'[', ..] => Ok(Value::List),
            [b'(', rest @ ..] => {
                self.rest = rest;
                self.tuple().map(Value::Tuple)
            }
            [b'T', b'r', b'u', b'e', rest @ ..] => {
                self.rest = rest;
                Ok(Value::Bool(true))
            }
            [b'F', b'a', b'l', b's', b'e', rest @ ..] => {
                self.rest = rest;
                Ok(Value::Bool(false))
            }
            _ => malformed(),
        }
    }

    /// Integers up to a closing parenthesis.
    fn tuple(&mut self) -> Result<Vec<u64>, Error> {
        let mut numbers = Vec::new();
        while !self.skip(b')') {
            if numbers.len() == MAX_AXES {
                return error(format_args!("the .npy header has a shape of more than {MAX_AXES} axes"));
            }
            numbers.push(self.number()?);
            if !self.skip(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(numbers)
    }

    fn number(&mut self) -> Result<u64, Error> {
        self.space();
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(digits);
        // Python 2 wrote an L after long integers.
        self.rest = rest.strip_prefix(b"L").unwrap_or(rest);
        if number.is_empty() {
            return malformed();
        }
        match std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()) {
            Some(number) => Ok(number),
            None => error("the .npy header has an axis of more elements than 64 bits can count"),
        }
    }

    fn quoted(&mut self) -> Result<&'a [u8], Error> {
        self.space();
        let Some((quote @ (b'\'' | b'"'), rest)) = self.rest.split_first() else { return malformed() };
        let Some(end) = rest.iter().position(|byte| byte == quote) else { return malformed() };
        self.rest = &rest[end + 1..];
        match &rest[..end] {
            text if text.contains(&b'\\') => malformed(),
            text => Ok(text),
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.skip(byte) { Ok(()) } else { malformed() }
    }

    /// Whether `byte` comes next, after white space; if so, moves past it.
    fn skip(&mut self, byte: u8) -> bool {
        self.space();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

fn malformed<T>() -> Result<T, Error> {
    error("the .npy header is not a dictionary of descr, fortran_order and shape; save the array again with numpy.save")
}
