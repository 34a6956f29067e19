//! How much may stand in one tag of a template. The engine reads a tag by recursion, and bounds only what is in brackets.

use minijinja::machinery::ast::Stmt;
use minijinja::machinery::{Token, tokenize};
use minijinja::{Error, ErrorKind};

use super::guard::authors;

/// Words and signs of one tag.
const WORDS: usize = 500;
/// How many `elif` one template may have.
const BRANCHES: usize = 200;

/// What one rendering may use up: steps, and a unit for every 64 bytes that it makes.
pub const FUEL: u64 = 1_000_000;

/// Lists and maps in each other. Deeper than any data a person writes, and as deep as a script's may be.
pub const DEPTH: usize = 100;

pub fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("a value is nested more than {DEPTH} deep"))
}

/// A value that would be gone through: counted part by part, since one that holds another twice may be written in a few
/// words and have no end.
pub struct Parts(u64);

impl Default for Parts {
    fn default() -> Self {
        Parts(FUEL)
    }
}

impl Parts {
    /// Counts a part, and the bytes of its text.
    pub fn count(&mut self, bytes: usize) -> Result<(), Error> {
        let fuel = 1 + bytes as u64 / 64;
        self.0 = self.0.checked_sub(fuel).ok_or_else(|| {
            let what = format!("a value has more than {FUEL} parts, or as many times 64 bytes");
            Error::new(ErrorKind::OutOfFuel, what)
        })?;
        Ok(())
    }
}

/// A template's syntax tree, if it is of a size that can be walked.
pub fn parse<'a>(source: &'a str, name: &'a str) -> Result<Stmt<'a>, Error> {
    let (mut words, mut branches, mut begins) = (0, 0, false);
    for token in tokenize(source, false, authors()) {
        // The parser says better what is wrong.
        let Ok((token, span)) = token else { break };
        let wrong = |what: &str| {
            Err(Error::new(ErrorKind::SyntaxError, format!("line {} of `{name}`: {what}", span.start_line)))
        };
        match token {
            Token::TemplateData(_) => {}
            Token::VariableStart | Token::BlockStart => words = 0,
            Token::Ident("elif") if begins => branches += 1,
            _ => words += 1,
        }
        begins = matches!(token, Token::BlockStart);
        if words > WORDS {
            return wrong(&format!("a tag has more than {WORDS} words and signs: split it with `set`"));
        }
        if branches > BRANCHES {
            return wrong(&format!("a template has more than {BRANCHES} `elif`: look it up in a map"));
        }
    }
    minijinja::machinery::parse(source, name, authors())
}
