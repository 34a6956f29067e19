//! Rhai's errors in plain words, with the place in the playbook and what to do.

use rhai::{Dynamic, EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use super::lines::Lines;
use super::program::Program;
use super::rewrite::plain;
use super::{Inventory, Limits};
use crate::diagnostic::{Diagnostic, closest};
use crate::resource::{Segment, Value};

/// A mistake in the text of a file.
pub(super) fn of_parsing(error: &ParseError, lines: &Lines, text: &str) -> Diagnostic {
    use ParseErrorType as P;
    let diagnostic = match &*error.0 {
        P::VariableUndefined(name) => {
            let near = closest(name, variables(text).into_iter().filter(|known| known != name));
            let elsewhere = variables(text).contains(&name.as_str());
            Diagnostic::error(format!("there is no variable `{name}`"))
                .maybe_hint(elsewhere.then_some("functions do not see variables outside of them: pass it along"))
                .maybe_hint(near.map(|near| format!("did you mean `{near}`?")))
        }
        P::ModuleUndefined(name) => Diagnostic::error(format!("there is no module or provider `{name}`"))
            .hint(format!("a module is imported with `import \"path\" as {name};`")),
        P::UnexpectedEOF => {
            Diagnostic::error("the file ends in the middle of something").hint("a bracket is not closed")
        }
        P::BadInput(LexError::ImproperSymbol(symbol, why)) if why.is_empty() => {
            Diagnostic::error(format!("`{symbol}` means nothing here"))
        }
        P::MissingToken(token, why) => Diagnostic::error(format!("`{token}` is missing {why}")),
        P::Reserved(word) => Diagnostic::error(format!("`{word}` cannot be used here: the word is reserved")),
        P::ExprTooDeep => Diagnostic::error("this expression is nested too deeply").hint("split it with `let`"),
        other => Diagnostic::error(lower(&other.to_string())),
    };
    diagnostic.at(&lines.site(error.1), "")
}

/// The names that a text introduces.
fn variables(text: &str) -> Vec<&str> {
    let mut names = vec![];
    let mut previous = "";
    for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()) {
        if matches!(previous, "let" | "const" | "for" | "as") {
            names.push(word);
        }
        previous = word;
    }
    let bracketed = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('(')?.1.split_once(')'));
    let closures = text.split('|').skip(1).step_by(2).map(|inner| (inner, ""));
    for (list, _) in bracketed.chain(closures) {
        names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()));
    }
    names
}

/// What stopped the script while it ran.
pub(super) fn of_running(
    error: EvalAltResult,
    program: &Program,
    inventory: &Inventory,
    limits: &Limits,
) -> Diagnostic {
    let (mut frames, mut inner) = (vec![], error);
    while let EvalAltResult::ErrorInFunctionCall(name, _, cause, position) = inner {
        frames.push((name, position));
        inner = *cause;
    }
    let position = inner.position();
    // The innermost frame that says where it is.
    let position = frames.iter().rev().fold(position, |found, (_, frame)| found.or_else(*frame));
    let mut diagnostic = explain(inner, position, program, inventory, limits);
    if diagnostic.places.is_empty() {
        diagnostic = diagnostic.at(&program.lines.site(position), "");
    }
    for (name, position) in frames.iter().rev().filter(|(_, frame)| !frame.is_none()).take(8) {
        let name = plain(name);
        let label =
            if name.starts_with("anon$") { "called from here".into() } else { format!("`{name}` called from here") };
        let site = program.lines.site(*position);
        if diagnostic.places.iter().all(|place| place.site != site) {
            diagnostic = diagnostic.at(&site, label);
        }
    }
    diagnostic
}

fn explain(
    error: EvalAltResult,
    position: Position,
    program: &Program,
    inventory: &Inventory,
    limits: &Limits,
) -> Diagnostic {
    use EvalAltResult as E;
    let say = |text: String| Diagnostic::error(text);
    match error {
        E::ErrorRuntime(value, _) => thrown(value),
        E::ErrorPropertyNotFound(name, _) => property(&name, position, program, inventory),
        E::ErrorVariableNotFound(name, _) => say(format!("there is no variable `{}`", plain(&name))),
        E::ErrorFunctionNotFound(signature, _) => function(&signature),
        E::ErrorIndexNotFound(index, _) => say(format!("there is no `{index}` here")),
        E::ErrorModuleNotFound(name, _) => say(format!("there is no module `{name}`")),
        E::ErrorUnboundThis(_) => say("`this` is only there in a function called as a method".into()),
        E::ErrorMismatchDataType(wanted, got, _) | E::ErrorMismatchOutputType(wanted, got, _) => {
            say(mismatch(&wanted, &got))
        }
        E::ErrorIndexingType(what, _) => say(format!("a value of type {} has no parts to index", types(&what))),
        E::ErrorArrayBounds(length, index, _) => say(format!("there is no item {index} in a list of {length}")),
        E::ErrorStringBounds(length, index, _) => say(format!("there is no character {index} in a text of {length}")),
        E::ErrorBitFieldBounds(length, index, _) => {
            say(format!("there is no bit {index} in a number of {length} bits"))
        }
        E::ErrorFor(_) => say("`for` needs a list, a map's keys or values, a range, or a text".into()),
        E::ErrorDataRace(name, _) if name.is_empty() => {
            say("a closure uses the very variable that it is called on".into())
                .hint("put what the closure needs into a variable of its own first: `let id = front.id;`")
        }
        E::ErrorDataRace(name, _) => say(format!("`{name}` is changed while it is in use")),
        E::ErrorNonPureMethodCallOnConstant(name, _) => {
            say(format!("`{}` would change a constant", plain(&name))).hint("make a copy of it with `let`")
        }
        E::ErrorAssignmentToConstant(name, _) => {
            say(format!("the constant `{name}` cannot be changed")).hint("declare it with `let`")
        }
        E::ErrorArithmetic(text, _) => say(lower(&text)),
        E::ErrorStackOverflow(_) => say(format!("functions call each other more than {} deep", limits.depth))
            .hint("a function that calls itself has to come to an end"),
        E::ErrorTooManyOperations(_) => say(format!("the script runs for more than {} operations", limits.operations)),
        E::ErrorDataTooLarge(what, _) => say(format!("a value grows too large: {}", lower(&what))),
        E::ErrorParsing(kind, _) => say(lower(&kind.to_string())),
        E::ErrorDotExpr(text, _) => say(no_property(&text)),
        other => {
            let text = other.unwrap_inner().to_string();
            say(lower(text.split(" (line ").next().unwrap_or_default()))
        }
    }
}

/// What was thrown: our own diagnostics, or whatever the author gave to `throw`.
fn thrown(value: Dynamic) -> Diagnostic {
    match value.try_cast_result::<Diagnostic>() {
        Ok(diagnostic) => diagnostic,
        Err(value) if value.is_unit() => Diagnostic::error("the playbook gives up"),
        Err(value) => Diagnostic::error(super::value::shown(&value)),
    }
}

/// `Unknown property 'x' - a getter is not registered for type 'i64'`, or a setter, is all there is.
fn no_property(text: &str) -> String {
    let quoted: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    match quoted[..] {
        [name, ty, ..] => format!("a value of type {} has no property `{name}`", types(ty)),
        _ => "this has no such property".into(),
    }
}

/// `"name (type, type)"` is all there is of a call that found nothing.
fn function(signature: &str) -> Diagnostic {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let name = plain(name);
    let arguments = types(arguments.trim_end_matches(')'));
    if let Some(property) = name.strip_prefix("get$").or_else(|| name.strip_prefix("set$")) {
        return Diagnostic::error(format!("a value of type {arguments} has no property `{property}`"));
    }
    if name.starts_with("index$") {
        return Diagnostic::error(format!("a value of this type cannot be indexed: {arguments}"));
    }
    if name.starts_with("anon$") {
        return Diagnostic::error("a function is called with the wrong number of arguments");
    }
    let is_word = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match (is_word, arguments.is_empty()) {
        (_, true) => Diagnostic::error(format!("there is no function `{name}` without arguments")),
        (true, _) => Diagnostic::error(format!("`{name}` does not take these values: {arguments}")),
        (false, _) => Diagnostic::error(format!("`{name}` cannot work on these values: {arguments}")),
    }
}

fn mismatch(wanted: &str, got: &str) -> String {
    match (types(wanted).as_str(), types(got).as_str()) {
        ("", got) => format!("a value of type {got} does not fit here"),
        (wanted, "") => format!("a value of type {wanted} is needed here"),
        (wanted, got) => format!("a value of type {wanted} is needed here, not of type {got}"),
    }
}

/// Rhai's names of types as a person would say them.
fn types(names: &str) -> String {
    let one = |name: &str| match name.trim().trim_start_matches("&mut ").trim_start_matches('&') {
        "array" | "Array" => "list".to_owned(),
        "()" => "nothing".into(),
        "i64" | "int" => "integer".into(),
        "f64" | "float" => "number".into(),
        "&str" | "ImmutableString" | "str" | "str | ImmutableString | String" => "string".into(),
        "Fn" | "FnPtr" => "function".into(),
        "char" => "character".into(),
        other => other.rsplit("::").next().unwrap_or(other).to_owned(),
    };
    names.split(',').map(one).collect::<Vec<_>>().join(", ")
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// A property that is not there: of the inventory if the path leads there, else of some map.
fn property(name: &str, position: Position, program: &Program, inventory: &Inventory) -> Diagnostic {
    let Some(path) = program.paths.get(&position) else {
        return Diagnostic::error(format!("this map has no `{name}`"));
    };
    let is_whole = path.root.as_ref().is_some_and(|root| program.inventories.contains(root));
    let parent = &path.names[..path.names.len().saturating_sub(1)];
    let found = match is_whole {
        true => map_at(&inventory.value, parent).map(|_| parent.to_vec()),
        // The variable may hold any part of it; take the one that the path below it tells.
        false if !parent.is_empty() => only_one_ending(&inventory.value, parent, name),
        false => {
            path.root.as_ref().and_then(|root| only_one_ending(&inventory.value, std::slice::from_ref(root), name))
        }
    };
    let (Some(found), Some(file)) = (found, inventory.files.first()) else {
        return Diagnostic::error(format!("this map has no `{name}`"));
    };
    let full: Vec<&str> = found.iter().map(String::as_str).chain([name]).collect();
    let text = format!("`{}` is not in the inventory `{}`", full.join("."), inventory.name);
    let siblings = map_at(&inventory.value, &found).map(|map| map.keys().map(String::as_str).collect::<Vec<_>>());
    let hint = match (closest(name, siblings.unwrap_or_default()), &inventory.files[1..]) {
        (Some(near), _) => format!("did you mean `{near}`? If not, define it in {file}"),
        (None, []) => format!("define it in {file}"),
        (None, more) => format!("define it in {file} (or a file it extends: {})", more.join(", ")),
    };
    Diagnostic::error(text).hint(hint)
}

fn map_at<'a>(value: &'a Value, path: &[String]) -> Option<&'a crate::resource::Map> {
    let path: Vec<Segment> = path.iter().cloned().map(Segment::Key).collect();
    value.get(&path)?.as_map()
}

/// The path of the one map in the inventory that ends like this and lacks the name.
fn only_one_ending(value: &Value, ending: &[String], name: &str) -> Option<Vec<String>> {
    fn walk(value: &Value, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &crate::resource::Map)) {
        let Value::Map(map) = value else { return };
        visit(path, map);
        for (key, inner) in map {
            path.push(key.clone());
            walk(inner, path, visit);
            path.pop();
        }
    }
    let mut found = vec![];
    walk(value, &mut vec![], &mut |path, map| {
        if path.ends_with(ending) && !map.contains_key(name) {
            found.push(path.to_vec());
        }
    });
    (found.len() == 1).then(|| found.remove(0))
}
