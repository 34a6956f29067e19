//! The engine's errors as diagnostics: the file and line of the template, and the name that was probably meant.

use std::error::Error as _;

use minijinja::machinery::ast::Expr;
use minijinja::{Error, ErrorKind};

use super::Templates;
use crate::diagnostic::{Diagnostic, Site, closest};
use crate::resource::{Map, Value};

pub fn diagnostic(error: &Error, templates: &Templates, name: &str, vars: &Map) -> Diagnostic {
    let chain = chain(error);
    let inner = chain.last().copied().unwrap_or(error);
    let site = site(error, templates, name);
    let name = inner.name().unwrap_or(name);
    match inner.kind() {
        ErrorKind::UndefinedError => undefined(inner, templates, site, vars),
        ErrorKind::TemplateNotFound => {
            let names = templates.names();
            let wanted =
                inner.detail().and_then(|detail| detail.split(['"', '\'', '`']).nth(1)).unwrap_or(name).to_owned();
            let hint = closest(&wanted, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            let missing = Diagnostic::error(format!("there is no template `{wanted}`"));
            let missing = if chain.len() > 1 || site.line > 0 { missing.at(&site, "asked for here") } else { missing };
            missing.maybe_hint(hint.or(Some(format!("templates are the files in {}", templates.root.display()))))
        }
        ErrorKind::OutOfFuel => {
            let most = super::limits::FUEL;
            let steps = || format!("it takes more than {most} steps, of which every 64 bytes of text are one");
            let what = inner.detail().map_or_else(steps, str::to_owned);
            let told = Diagnostic::error(format!("template `{name}` goes on for too long: {what}")).at(&site, "");
            includes(told, &chain, templates)
                .hint("look for loops inside of loops, and for what grows with every turn of one")
        }
        kind => {
            let what = inner.detail().map_or_else(|| kind.to_string(), str::to_owned);
            let near = matches!(kind, ErrorKind::UnknownFilter | ErrorKind::UnknownTest)
                .then(|| what.split(' ').nth(1).and_then(|word| closest(word, known(kind))))
                .flatten();
            let told = Diagnostic::error(format!("failed to render template `{name}`: {what}")).at(&site, "");
            includes(told, &chain, templates).maybe_hint(near.map(|near| format!("did you mean `{near}`?")))
        }
    }
}

/// The names that a typo can be meant for.
pub fn known(kind: ErrorKind) -> std::str::SplitWhitespace<'static> {
    let names = match kind {
        ErrorKind::UnknownFilter => {
            "abs attr b64decode b64encode batch bool capitalize chain count default dictsort escape first float format groupby indent int \
             items join last length lines list lower map max min pprint quote reject rejectattr replace reverse round \
             safe select selectattr sha256 slice sort split string sum title to_json to_yaml trim unique upper zip"
        }
        _ => {
            "boolean defined divisibleby endingwith eq even false float ge gt in integer iterable le lower lt mapping ne \
             none number odd sameas sequence startingwith string true undefined upper"
        }
    };
    names.split_whitespace()
}

/// Where the innermost error happened.
pub fn site(error: &Error, templates: &Templates, name: &str) -> Site {
    let chain = chain(error);
    let inner = chain.iter().rev().find(|error| error.line().is_some());
    match inner {
        Some(error) => {
            let line = error.line().unwrap_or(0) as u32;
            Site::new(templates.label(error.name().unwrap_or(name)), line, 0)
        }
        None => Site::new(templates.label(name), 0, 0),
    }
}

/// The error and the errors of the engine that caused it, outermost first.
fn chain(error: &Error) -> Vec<&Error> {
    let mut chain = vec![error];
    let mut source = error.source();
    while let Some(cause) = source {
        chain.extend(cause.downcast_ref::<Error>());
        source = cause.source();
    }
    chain
}

fn includes(mut diagnostic: Diagnostic, chain: &[&Error], templates: &Templates) -> Diagnostic {
    for outer in chain.iter().rev().skip(1) {
        if let (Some(name), Some(line)) = (outer.name(), outer.line()) {
            diagnostic = diagnostic.at(&Site::new(templates.label(name), line as u32, 0), "included from here");
        }
    }
    diagnostic
}

/// Finds on the line of the error the name that is not there, and one that is.
fn undefined(error: &Error, templates: &Templates, site: Site, vars: &Map) -> Diagnostic {
    let text = templates.sources.text(&site.file).unwrap_or_default();
    let mut paths = vec![];
    if let Ok(template) = super::limits::parse(&text, "") {
        super::tree::each_expr(&template, &mut |expr| paths.extend(path(expr)));
    }
    let line = error.line().unwrap_or(0) as u32;
    let missing = paths.iter().filter(|path| path.line == line).find_map(|path| missing(path, vars));
    let Some((site, name, known)) =
        missing.map(|(column, name, known)| (Site::new(site.file.clone(), site.line, column), name, known))
    else {
        return Diagnostic::error("a value in a template is not defined").at(&site, "");
    };
    let hint = match closest(&name, known.iter().map(String::as_str)) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("defined are: {}", known.join(", "))),
    };
    Diagnostic::error(format!("`{name}` is not defined")).at(&site, "not defined").maybe_hint(hint)
}

/// `a.b.c` with where it stands.
struct Path<'a> {
    line: u32,
    column: u32,
    names: Vec<&'a str>,
}

fn path<'a>(expr: &Expr<'a>) -> Option<Path<'a>> {
    let mut names = vec![];
    let mut at = expr;
    loop {
        match at {
            Expr::GetAttr(get) => {
                names.push(get.name);
                at = &get.expr;
            }
            Expr::Var(var) => {
                names.push(var.id);
                names.reverse();
                let (line, column) = super::tree::start(expr);
                return Some(Path { line: line as u32, column: column as u32, names });
            }
            _ => return None,
        }
    }
}

/// The first name of a path that leads nowhere, with its column and the names there are.
fn missing(path: &Path, vars: &Map) -> Option<(u32, String, Vec<String>)> {
    let (mut map, mut column) = (vars, path.column);
    for name in &path.names {
        match map.get(*name) {
            Some(Value::Map(inner)) => map = inner,
            Some(_) => return None,
            None => return Some((column, (*name).to_owned(), map.keys().cloned().collect())),
        }
        column += name.chars().count() as u32 + 1;
    }
    None
}
