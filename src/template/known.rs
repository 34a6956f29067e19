//! What is known of a template's expressions without rendering it.

use std::collections::BTreeMap;

use minijinja::ErrorKind;
use minijinja::machinery::ast::{CompareOpKind, Expr, Macro};

use super::{mistake, tree};
use crate::diagnostic::{Diagnostic, Site, closest};
use crate::resource::Value;
use crate::resource::shape::{Entry, Shape};

/// Names that every template has.
pub(super) const GLOBALS: [&str; 12] = [
    "range",
    "dict",
    "namespace",
    "loop",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
    "cycler",
    "joiner",
    "lipsum",
];
/// Filters of the engine that the list for "did you mean" leaves out.
const FILTERS: &str = "d e items tojson urlencode format keys values split chain filesizeformat pluralize random \
                       striptags truncate wordcount wordwrap center xmlattr";
const TESTS: &str = "filter test safe escaped startingwith endingwith";

/// What to say of the name of a filter or a test that there is not.
pub(super) fn strange_word(name: &str, kind: ErrorKind, site: &Site) -> Option<Diagnostic> {
    let (what, more) = if kind == ErrorKind::UnknownFilter { ("filter", FILTERS) } else { ("test", TESTS) };
    let known = || mistake::known(kind).chain(more.split_whitespace());
    if known().any(|one| one == name) {
        return None;
    }
    let near = closest(name, known()).map(|near| format!("did you mean `{near}`?"));
    Some(Diagnostic::error(format!("there is no {what} `{name}`")).at(site, "").maybe_hint(near))
}

pub(super) fn variable<'a>(expr: &Expr<'a>) -> Option<&'a str> {
    match expr {
        Expr::Var(var) => Some(var.id),
        _ => None,
    }
}

pub(super) fn parameters(m: &Macro) -> BTreeMap<String, Entry> {
    m.args.iter().filter_map(variable).map(|name| (name.to_owned(), Entry::new(Shape::Any))).collect()
}

/// Where the last name of `a.b.c` stands.
pub(super) fn end(expr: &Expr) -> (usize, usize) {
    let Expr::GetAttr(get) = expr else { return tree::start(expr) };
    let (line, column) = end(&get.expr);
    let width = match &get.expr {
        Expr::Var(var) => var.id.chars().count(),
        Expr::GetAttr(inner) => inner.name.chars().count(),
        _ => return tree::start(expr),
    };
    (line, column + width + 1)
}

pub(super) fn truth(shape: &Shape) -> Option<bool> {
    match shape {
        Shape::Known(Value::Bool(known)) => Some(*known),
        Shape::Known(value @ (Value::String(_) | Value::Null)) => Some(!value.is_empty()),
        Shape::Known(Value::Int(number)) => Some(*number != 0),
        Shape::List(items) => Some(!items.is_empty()),
        Shape::Map(table) if !table.open && table.entries.is_empty() => Some(false),
        Shape::Map(table) if table.entries.values().any(|entry| !entry.maybe) => Some(true),
        _ => None,
    }
}

pub(super) fn compared(op: &CompareOpKind, a: &Shape, b: &Shape) -> Shape {
    let (Some(a), Some(b)) = (a.value(), b.value()) else { return Shape::Any };
    match op {
        CompareOpKind::Eq => Shape::Known(Value::Bool(a == b)),
        CompareOpKind::Ne => Shape::Known(Value::Bool(a != b)),
        _ => Shape::Any,
    }
}
