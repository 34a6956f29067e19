//! The templates that a template names, and theirs: read, and not rendered.

use std::collections::BTreeMap;

use super::limits;
use minijinja::machinery::ast::{Expr, Stmt};

use super::{Templates, tree};
use crate::diagnostic::{Diagnostic, Diagnostics, Site, closest};

impl Templates {
    /// The text of a template, and of all that it names.
    pub(super) fn gather(&self, name: &str, texts: &mut BTreeMap<String, String>, found: &mut Diagnostics) {
        if texts.contains_key(name) {
            return;
        }
        let text = match self.read(name) {
            Ok(Some(text)) => text,
            Ok(None) => {
                let names = self.names();
                let near =
                    closest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
                let hint = near.unwrap_or_else(|| format!("templates are the files in {}", self.root.display()));
                return found.push(Diagnostic::error(format!("there is no template `{name}`")).hint(hint));
            }
            Err(error) => return found.push(Diagnostic::error(error.detail().unwrap_or("it cannot be read"))),
        };
        let mut asked = vec![];
        if let Ok(template) = limits::parse(&text, name) {
            names(&template, &mut asked);
        }
        texts.insert(name.to_owned(), text);
        for (other, line, column, optional) in asked {
            let before = found.len();
            self.gather(&other, texts, found);
            let site = Site::new(self.label(name), line as u32, column as u32);
            for missing in found.drain(before..).collect::<Vec<_>>() {
                if !(optional && missing.places.is_empty()) {
                    let placed = missing.places.is_empty();
                    found.push(if placed { missing.at(&site, "asked for here") } else { missing });
                }
            }
        }
    }
}

/// The templates that one names, with where, and whether it does without.
fn names(stmt: &Stmt, asked: &mut Vec<(String, usize, usize, bool)>) {
    let mut one = |expr: &Expr, optional: bool| {
        if let Expr::Const(name) = expr
            && let Some(name) = name.value.as_str()
        {
            let (line, column) = tree::start(expr);
            asked.push((name.to_owned(), line, column, optional));
        }
    };
    match stmt {
        Stmt::Include(i) => one(&i.name, i.ignore_missing),
        Stmt::Import(i) => one(&i.expr, false),
        Stmt::FromImport(i) => one(&i.expr, false),
        Stmt::Extends(e) => one(&e.name, false),
        _ => {}
    }
    bodies(stmt).into_iter().flatten().for_each(|inner| names(inner, asked));
}

/// What stands inside of a statement.
pub(super) fn bodies<'s, 'a>(stmt: &'s Stmt<'a>) -> Vec<&'s [Stmt<'a>]> {
    match stmt {
        Stmt::Template(t) => vec![&t.children],
        Stmt::ForLoop(l) => vec![&l.body, &l.else_body],
        Stmt::IfCond(c) => vec![&c.true_body, &c.false_body],
        Stmt::WithBlock(w) => vec![&w.body],
        Stmt::SetBlock(s) => vec![&s.body],
        Stmt::AutoEscape(a) => vec![&a.body],
        Stmt::FilterBlock(f) => vec![&f.body],
        Stmt::Block(b) => vec![&b.body],
        Stmt::Macro(m) => vec![&m.body],
        Stmt::CallBlock(c) => vec![&c.macro_decl.body],
        _ => vec![],
    }
}
