//! What can be known to be wrong before anything runs: calls of what does not exist.
//!
//! Rhai finds undefined variables and namespaces when it compiles, but a function only when it is called, which may
//! be in the one branch that no test took.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::lines::Lines;
use super::program::File;
use super::{Script, standard};
use crate::diagnostic::{Diagnostic, Diagnostics, closest};

/// What Rhai handles by itself, in every number of arguments.
const SPECIAL: [&str; 8] = ["Fn", "call", "curry", "is_def_var", "is_def_fn", "type_of", "is_shared", "eval"];

/// Our own functions without a namespace.
pub(super) const OWN: [(&str, usize); 7] =
    [("phase", 2), ("output", 2), ("inventory", 0), ("template", 1), ("template", 2), ("is_known", 1), ("secret", 1)];

/// Names with the numbers of arguments they take.
type Known = BTreeMap<String, BTreeSet<usize>>;

pub(super) fn check(files: &[File], lines: &Lines, script: &Script, words: &[(&str, usize)]) -> Diagnostics {
    let mut natives = Known::new();
    let own = words.iter().map(|(name, count)| (name.to_string(), *count));
    for (name, count) in standard::functions().iter().cloned().chain(own) {
        natives.entry(name).or_default().insert(count);
    }
    let known = Checker { files, lines, natives, qualified: qualified(script), members: members(files) };
    let mut found = vec![];
    for file in files {
        known.file(file, &mut found);
    }
    found.sort_by_key(|(position, _)| (position.line(), position.position()));
    found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
}

fn qualified(script: &Script) -> Known {
    let mut known = Known::new();
    for kind in script.kinds {
        known.insert(kind.name.to_string(), [2, 3].into());
    }
    for compound in script.compounds {
        known.insert(compound.name.to_string(), [2, 3].into());
    }
    for lookup in script.lookups {
        let required = lookup.parameters.iter().take_while(|field| field.required).count();
        // A kind may have the same name: it is called with inputs.
        known.entry(lookup.name.to_string()).or_default().extend(required..=lookup.parameters.len());
    }
    known
}

/// Names under which a map may hold a function: those of all maps and of all properties that are assigned.
fn members(files: &[File]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        file.ast.walk(&mut |nodes| {
            match nodes.last() {
                Some(ASTNode::Expr(Expr::Map(map, _))) => {
                    names.extend(map.0.iter().map(|(key, _)| key.name.to_string()))
                }
                Some(ASTNode::Expr(Expr::Property(property, _))) => drop(names.insert(property.2.to_string())),
                Some(ASTNode::Expr(Expr::StringConstant(key, _))) => drop(names.insert(key.to_string())),
                _ => {}
            }
            true
        });
    }
    names
}

/// Variables that are set to what `inventory()` gives.
pub(super) fn holding_inventory(ast: &AST) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    ast.walk(&mut |nodes| {
        if let Some(ASTNode::Stmt(Stmt::Var(variable, ..))) = nodes.last()
            && let Expr::FnCall(call, _) = &variable.1
            && call.name == "inventory"
        {
            names.insert(variable.0.name.to_string());
        }
        true
    });
    names
}

struct Checker<'a> {
    files: &'a [File],
    lines: &'a Lines,
    natives: Known,
    qualified: Known,
    members: BTreeSet<String>,
}

type Found = Vec<(Position, Diagnostic)>;

impl Checker<'_> {
    fn file(&self, file: &File, found: &mut Found) {
        let mut tell = |position: Position, diagnostic: Diagnostic| {
            found.push((position, diagnostic.at(&self.lines.site(position), "")));
        };
        for statement in file.ast.statements() {
            self.top(statement, file.is_module, &mut tell);
        }
        for (name, count) in file.functions.keys() {
            let function = &file.functions[&(name.clone(), *count)];
            let position = function.body.position();
            if name.starts_with("__") {
                tell(position, Diagnostic::error(format!("the name `{name}` begins with `__`, which is reserved")));
            }
            if function.this_type.is_some() {
                let text = format!("the function `{name}` is bound to a type, which is not part of playbooks");
                tell(position, Diagnostic::error(text).hint("make it an ordinary function of one more parameter"));
            }
        }
        file.ast.walk(&mut |nodes| {
            match nodes.last() {
                Some(ASTNode::Stmt(Stmt::FnCall(call, position)) | ASTNode::Expr(Expr::FnCall(call, position))) => {
                    if let Some(diagnostic) = self.call(file, call) {
                        tell(*position, diagnostic);
                    }
                }
                Some(ASTNode::Expr(Expr::MethodCall(call, position))) => {
                    if let Some(diagnostic) = self.method(file, call) {
                        tell(*position, diagnostic);
                    }
                }
                Some(ASTNode::Expr(Expr::Variable(variable, _, position))) if !variable.2.is_empty() => {
                    if let Some(diagnostic) = self.constant(file, variable.2.root(), &variable.1) {
                        tell(variable.2.position().or_else(*position), diagnostic);
                    }
                }
                _ => {}
            }
            true
        });
    }

    fn top(&self, statement: &Stmt, is_module: bool, tell: &mut impl FnMut(Position, Diagnostic)) {
        match statement {
            Stmt::Return(_, flags, position) if is_module && !flags.contains(ASTFlags::BREAK) => {
                tell(*position, Diagnostic::error("a module cannot `return`; only its functions can"));
            }
            Stmt::Export(_, position) => tell(
                *position,
                Diagnostic::error("`export` is not needed")
                    .hint("every constant and function of a module can be used as `module::NAME`; make it a `const`"),
            ),
            Stmt::Var(variable, flags, position)
                if flags.contains(ASTFlags::EXPORTED) && !flags.contains(ASTFlags::CONSTANT) =>
            {
                let text = format!("a module cannot export the variable `{}`", variable.0.name);
                tell(*position, Diagnostic::error(text).hint("make it a `const`"));
            }
            _ => {}
        }
    }

    fn call(&self, file: &File, call: &FnCallExpr) -> Option<Diagnostic> {
        let (name, count) = (call.name.as_str(), call.args.len());
        if call.op_token.is_some() || name.starts_with("anon$") {
            return None;
        }
        if name.starts_with("__") {
            return Some(unknown(name, None, ""));
        }
        if !call.namespace.is_empty() {
            return self.qualified_call(file, &call.namespace.to_string(), name, count);
        }
        if SPECIAL.contains(&name) || file.has(name, count) {
            return None;
        }
        let own = arities(file, name);
        match self.natives.get(name) {
            Some(arities) if arities.contains(&count) => None,
            None if own.is_empty() => {
                let mine = file.functions.keys().map(|(name, _)| name.as_str());
                let known = mine.chain(self.natives.keys().map(String::as_str));
                let near = closest(name, known).map(str::to_owned);
                let near = near.or_else(|| self.elsewhere(file, name));
                Some(unknown(name, near, "function"))
            }
            natives => Some(arity(name, count, &own.iter().chain(natives.into_iter().flatten()).copied().collect())),
        }
    }

    /// The name under which another module's function can be called.
    fn elsewhere(&self, file: &File, name: &str) -> Option<String> {
        let mut imports = file.imports.iter();
        let (alias, _) =
            imports.find(|(_, index)| self.files[**index].functions.keys().any(|(known, _)| known == name))?;
        Some(format!("{alias}::{name}"))
    }

    fn qualified_call(&self, file: &File, space: &str, name: &str, count: usize) -> Option<Diagnostic> {
        let full = format!("{space}::{name}");
        if file.broken.contains(space) {
            return None;
        }
        if let Some(index) = file.imports.get(space) {
            let module = &self.files[*index];
            if module.exports(name, count) {
                return None;
            }
            if module.has(name, count) {
                return Some(Diagnostic::error(format!("`{full}` is private to `{}`", module.shown)));
            }
            let known = arities(module, name);
            if !known.is_empty() {
                return Some(arity(&full, count, &known));
            }
            let near = closest(name, module.functions.keys().map(|(name, _)| name.as_str()));
            return Some(unknown(&full, near.map(|near| format!("{space}::{near}")), "function"));
        }
        match self.qualified.get(&full) {
            Some(arities) if arities.contains(&count) => None,
            Some(arities) => Some(arity(&full, count, arities)),
            None if !self.is_space(space) => Some(no_space(space, file, &self.qualified)),
            None => {
                let near = closest(&full, self.qualified.keys().map(String::as_str));
                Some(unknown(&full, near.map(str::to_owned), "kind or lookup"))
            }
        }
    }

    fn is_space(&self, space: &str) -> bool {
        self.qualified.keys().any(|name| name.split_once("::").is_some_and(|(known, _)| known == space))
    }

    /// A method may be a standard function, a function of the file, or a closure that a map holds.
    fn method(&self, file: &File, call: &FnCallExpr) -> Option<Diagnostic> {
        let (name, count) = (call.name.as_str(), call.args.len());
        if SPECIAL.contains(&name) || self.members.contains(name) || file.has(name, count) {
            return None;
        }
        match self.natives.get(name) {
            Some(arities) if arities.contains(&(count + 1)) => None,
            Some(arities) => Some(arity(name, count, &arities.iter().filter(|n| **n > 0).map(|n| n - 1).collect())),
            None => {
                let near = closest(name, self.natives.keys().map(String::as_str));
                Some(unknown(name, near.map(str::to_owned), "function"))
            }
        }
    }

    fn constant(&self, file: &File, space: &str, name: &str) -> Option<Diagnostic> {
        if file.broken.contains(space) {
            return None;
        }
        let from = match space {
            "global" => file,
            alias => match file.imports.get(alias) {
                Some(index) => &self.files[*index],
                None if !self.is_space(space) => return Some(no_space(space, file, &self.qualified)),
                None => return Some(unknown(&format!("{space}::{name}"), None, "constant")),
            },
        };
        if from.constants.contains(name) {
            return None;
        }
        let near = closest(name, from.constants.iter().map(String::as_str)).map(|near| format!("{space}::{near}"));
        Some(unknown(&format!("{space}::{name}"), near, "constant"))
    }
}

fn no_space(space: &str, file: &File, qualified: &Known) -> Diagnostic {
    let providers = qualified.keys().filter_map(|name| name.split_once("::")).map(|(space, _)| space);
    let known = file.imports.keys().map(String::as_str).chain(providers);
    let hint = match closest(space, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("a module is imported with `import \"path\" as {space};`"),
    };
    Diagnostic::error(format!("there is no module or provider `{space}`")).hint(hint)
}

fn arities(file: &File, name: &str) -> BTreeSet<usize> {
    file.functions.keys().filter(|(known, _)| known == name).map(|(_, count)| *count).collect()
}

fn unknown(name: &str, near: Option<String>, what: &str) -> Diagnostic {
    let what = if what.is_empty() { "function" } else { what };
    // As Terraform has it.
    let near =
        near.or_else(|| name.split_once('_').filter(|(space, _)| *space == "aws").map(|(s, n)| format!("{s}::{n}")));
    Diagnostic::error(format!("there is no {what} `{name}`"))
        .maybe_hint(near.map(|near| format!("did you mean `{near}`?")))
}

fn arity(name: &str, count: usize, known: &BTreeSet<usize>) -> Diagnostic {
    let known: Vec<String> = known.iter().map(usize::to_string).collect();
    Diagnostic::error(format!("`{name}` takes {} argument(s), not {count}", known.join(" or ")))
}
