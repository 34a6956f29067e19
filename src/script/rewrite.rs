//! The pass over a compiled file that makes seeing explicit, and names belong to their file.
//!
//! Rhai lets a native type take part in operators and calls, but not in `if`, `switch`, `for`, `??`, an index or
//! `${…}`: there a value is looked at without asking it. So each such place is wrapped in a call of a native hook
//! ([`super::seen`]) that can answer for references. The same pass gives every function of every file a name that
//! no other file can hit, because Rhai looks functions up by name wherever the caller happens to be; that is also
//! what lets all files become one program, in which closures may go anywhere.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rhai::{
    ASTFlags, BinaryExpr, Dynamic, Engine, Expr, FlowControl, FnCallExpr, FnCallHashes, FnPtr, ImmutableString,
    OptimizationLevel, Position, ScriptFuncDef, Stmt, StmtBlock, Token,
};

use super::program::File;

/// The natives that the pass calls. A script cannot name them: names that begin with `__` are refused.
pub(super) const SEE: &str = "__see";
pub(super) const SEE_OUTERMOST: &str = "__see_outermost";
pub(super) const CONDITION: &str = "__condition";
pub(super) const ADDED: &str = "__added";
pub(super) const NESTED: &str = "__nested";
pub(super) const TEXT: &str = "__text";
pub(super) const TYPE_OF: &str = "__type_of";
pub(super) const PRINT: &str = "__print";
pub(super) const DEFINE: &str = "__define";
pub(super) const CONSTANT: &str = "__constant";

pub(super) const CLOSURE: &str = "__closure";

/// A rewritten closure on its way to the native that makes a function pointer of it.
#[derive(Clone)]
pub(super) struct Closure(pub Arc<ScriptFuncDef>);

/// A function's name in the whole program.
pub(super) fn mangled(file: usize, name: &str) -> String {
    format!("__f{file}_{name}")
}

/// The author's name of a function, from the one in the program.
pub(super) fn plain(name: &str) -> &str {
    name.strip_prefix("__f")
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        .and_then(|rest| rest.strip_prefix('_'))
        .unwrap_or(name)
}

pub(super) struct Rewriter<'a> {
    pub file: usize,
    pub files: &'a [File],
    /// The lifted closures of this file, by the name Rhai gave them.
    pub closures: HashMap<ImmutableString, Arc<ScriptFuncDef>>,
    /// Every `a.b.c` of the program, by the position of its last name: Rhai's error has only that.
    pub paths: HashMap<Position, Path>,
}

/// A chain of property names and the variable it starts at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    pub root: Option<String>,
    pub names: Vec<String>,
}

/// How a call must look to reach a function of this name. Rhai does not export the way it computes this, so a call
/// is compiled and its hashes are taken; once per name and number of arguments.
fn hashes(name: &str, arguments: usize, method: bool) -> FnCallHashes {
    type Known = HashMap<(String, usize, bool), FnCallHashes>;
    thread_local!(static KNOWN: RefCell<Known> = RefCell::default());
    let key = (name.to_owned(), arguments, method);
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).copied()) {
        return known;
    }
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    let list = vec!["0"; arguments].join(",");
    let text = if method { format!("0.{name}({list})") } else { format!("{name}({list})") };
    let ast = engine.compile(text).expect("the template of a call compiles");
    let hashes = match &ast.statements()[0] {
        Stmt::FnCall(call, _) => call.hashes,
        Stmt::Expr(expr) => match &**expr {
            Expr::FnCall(call, _) => call.hashes,
            Expr::Dot(chain, ..) => match &chain.rhs {
                Expr::MethodCall(call, _) => call.hashes,
                other => unreachable!("a method call is parsed as one, not as {other:?}"),
            },
            other => unreachable!("a call is parsed as one, not as {other:?}"),
        },
        other => unreachable!("a call is parsed as one, not as {other:?}"),
    };
    KNOWN.with_borrow_mut(|known| known.insert(key, hashes));
    hashes
}

fn call(name: &str, arguments: Vec<Expr>, position: Position) -> Expr {
    let call = FnCallExpr {
        namespace: Default::default(),
        name: name.into(),
        hashes: hashes(name, arguments.len(), false),
        args: arguments.into_iter().collect(),
        capture_parent_scope: false,
        op_token: None,
    };
    Expr::FnCall(Box::new(call), position)
}

fn wrap(hook: &str, expr: &mut Expr) {
    let position = expr.start_position();
    let inner = std::mem::take(expr);
    *expr = call(hook, vec![inner], position);
}

/// True for what is a bool whenever it is anything: its operands are seen where it is computed.
fn is_always_bool(expr: &Expr) -> bool {
    use Token::{Bang, EqualsTo, GreaterThan, GreaterThanEqualsTo, In, LessThan, LessThanEqualsTo, NotEqualsTo, NotIn};
    match expr {
        Expr::BoolConstant(..) | Expr::And(..) | Expr::Or(..) => true,
        Expr::FnCall(call, _) => matches!(
            call.op_token,
            Some(
                EqualsTo
                    | NotEqualsTo
                    | LessThan
                    | LessThanEqualsTo
                    | GreaterThan
                    | GreaterThanEqualsTo
                    | Bang
                    | In
                    | NotIn
            )
        ),
        _ => false,
    }
}

fn is_literal(expr: &Expr) -> bool {
    expr.get_literal_value(None).is_some()
}

/// What a value could grow into another by, again and again, is asked how deep it is: Rhai walks all of it at every step.
fn bounded(expr: &mut Expr) {
    let asked = matches!(expr, Expr::FnCall(call, _) if call.name == NESTED);
    if !asked && !is_literal(expr) {
        wrap(NESTED, expr);
    }
}

/// What puts a value into a list or a map, or into another's place there.
const FILLS: [&str; 7] = ["push", "insert", "set", "pad", "append", "mixin", "fill_with"];

impl Rewriter<'_> {
    fn me(&self) -> &File {
        &self.files[self.file]
    }

    fn condition(&mut self, expr: &mut Expr) {
        self.expr(expr);
        if !is_always_bool(expr) {
            wrap(CONDITION, expr);
        }
    }

    fn seen(&mut self, hook: &str, expr: &mut Expr) {
        self.expr(expr);
        if !is_literal(expr) {
            wrap(hook, expr);
        }
    }

    pub fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::InterpolatedString(parts, position) => {
                let position = *position;
                let mut parts = std::mem::take(parts);
                parts.iter_mut().for_each(|part| self.expr(part));
                *expr = call(TEXT, vec![Expr::Array(parts, position)], position);
            }
            Expr::DynamicConstant(value, position) if value.is_fnptr() => {
                if let Some(closure) = self.closure(value, *position) {
                    *expr = closure;
                }
            }
            Expr::Variable(name, index, position) => {
                if let Some(other) = self.variable(name, index.is_some(), *position) {
                    *expr = other;
                }
            }
            Expr::Array(items, _) => {
                items.iter_mut().for_each(|item| self.expr(item));
                bounded(expr);
            }
            Expr::Map(map, _) => {
                map.0.iter_mut().for_each(|(_, value)| self.expr(value));
                bounded(expr);
            }
            Expr::Stmt(block) => self.block(block),
            Expr::FnCall(call, _) => self.call(call),
            Expr::MethodCall(call, _) => self.method(call),
            Expr::And(items, _) | Expr::Or(items, _) => items.iter_mut().for_each(|item| self.condition(item)),
            Expr::Coalesce(items, _) => {
                let last = items.len().saturating_sub(1);
                for (i, item) in items.iter_mut().enumerate() {
                    if i < last { self.seen(SEE_OUTERMOST, item) } else { self.expr(item) }
                }
            }
            Expr::Index(chain, flags, _) => self.chain_from(chain, true, *flags),
            Expr::Dot(chain, flags, _) => self.chain_from(chain, false, *flags),
            _ => {}
        }
    }

    /// A closure carries its function with it; give it the rewritten one. Made by a native, because Rhai ties every
    /// constant closure to the functions around it, and those of a closure that calls its maker double at each call.
    fn closure(&mut self, value: &Dynamic, position: Position) -> Option<Expr> {
        let pointer: FnPtr = value.clone().cast();
        let function = self.closures.get(pointer.fn_name()).cloned()?;
        let closure = Dynamic::from(Closure(Arc::new(self.function(&function))));
        Some(call(CLOSURE, vec![Expr::DynamicConstant(Box::new(closure), position)], position))
    }

    /// `network::ZONES` and `global::ZONES`; and a function's name where a value may stand.
    fn variable(
        &self,
        variable: &(Option<std::num::NonZeroUsize>, ImmutableString, rhai::Namespace, u64),
        indexed: bool,
        position: Position,
    ) -> Option<Expr> {
        if variable.2.is_empty() {
            let is_function = !indexed && self.me().functions.keys().any(|(name, _)| *name == *variable.1);
            let name = || Expr::StringConstant(mangled(self.file, &variable.1).into(), position);
            return is_function.then(|| call("Fn", vec![name()], position));
        }
        let file = match variable.2.root() {
            "global" => self.file,
            alias => *self.me().imports.get(alias)?,
        };
        let position = variable.2.position().or_else(position);
        let name = Expr::StringConstant(variable.1.clone(), position);
        Some(call(CONSTANT, vec![Expr::IntegerConstant(file as i64, position), name], position))
    }

    fn call(&mut self, call: &mut FnCallExpr) {
        let of_this_file = call.namespace.is_empty().then_some(self.file);
        let file = of_this_file.or_else(|| self.me().imports.get(call.namespace.root()).copied());
        let count = call.args.len();
        if let Some(file) = file.filter(|file| self.files[*file].has(&call.name, count)) {
            call.args.iter_mut().for_each(|argument| self.expr(argument));
            call.namespace = Default::default();
            call.hashes = hashes(&mangled(file, &call.name), count, false);
            return;
        }
        if !call.namespace.is_empty() {
            return call.args.iter_mut().for_each(|argument| self.expr(argument));
        }
        match (call.name.as_str(), count) {
            ("type_of", 1) => self.seen(SEE_OUTERMOST, &mut call.args[0]),
            ("Fn", 1) => {
                if let Expr::StringConstant(name, _) = &mut call.args[0]
                    && self.me().functions.keys().any(|(known, _)| *known == **name)
                {
                    *name = mangled(self.file, name).into();
                }
                self.expr(&mut call.args[0]);
            }
            ("print" | "debug", 1) => {
                self.expr(&mut call.args[0]);
                call.name = PRINT.into();
                call.hashes = hashes(PRINT, 1, false);
            }
            _ => call.args.iter_mut().for_each(|argument| self.expr(argument)),
        }
    }

    /// The name stays: a map may hold a closure under it. Only the way to the file's own function is changed.
    fn method(&mut self, call: &mut FnCallExpr) {
        call.args.iter_mut().for_each(|argument| self.expr(argument));
        let count = call.args.len();
        if call.name == "type_of" && count == 0 {
            call.name = TYPE_OF.into();
            call.hashes = hashes(TYPE_OF, 0, true);
        } else if self.me().has(&call.name, count) {
            call.hashes = hashes(&mangled(self.file, &call.name), count, true);
        } else if FILLS.contains(&call.name.as_str()) {
            call.args.iter_mut().for_each(bounded);
        }
    }

    fn chain_from(&mut self, chain: &mut BinaryExpr, indexing: bool, flags: ASTFlags) {
        let mut path = Path { root: root(&chain.lhs), names: vec![] };
        self.expr(&mut chain.lhs);
        self.chain(&mut chain.rhs, indexing, flags.contains(ASTFlags::BREAK), &mut path);
    }

    fn chain(&mut self, rhs: &mut Expr, indexing: bool, ends: bool, path: &mut Path) {
        match rhs {
            Expr::Index(chain, flags, _) if !ends => {
                let ends = flags.contains(ASTFlags::BREAK);
                self.link(&mut chain.lhs, indexing, path);
                self.chain(&mut chain.rhs, true, ends, path);
            }
            Expr::Dot(chain, flags, _) if !ends => {
                let ends = flags.contains(ASTFlags::BREAK);
                self.link(&mut chain.lhs, indexing, path);
                self.chain(&mut chain.rhs, false, ends, path);
            }
            last => self.link(last, indexing, path),
        }
    }

    fn link(&mut self, expr: &mut Expr, indexing: bool, path: &mut Path) {
        match expr {
            Expr::StringConstant(name, position) if indexing => self.name(name.to_string(), *position, path),
            _ if indexing => {
                self.seen(SEE, expr);
                *path = Path { root: None, names: vec![] };
            }
            Expr::Property(property, position) => self.name(property.2.to_string(), *position, path),
            other => {
                self.expr(other);
                *path = Path { root: None, names: vec![] };
            }
        }
    }

    fn name(&mut self, name: String, position: Position, path: &mut Path) {
        path.names.push(name);
        self.paths.insert(position, path.clone());
    }

    pub fn block(&mut self, block: &mut StmtBlock) {
        block.statements_mut().iter_mut().for_each(|statement| self.statement(statement));
    }

    fn flow(&mut self, flow: &mut FlowControl) {
        self.block(&mut flow.body);
        self.block(&mut flow.branch);
    }

    pub fn statement(&mut self, statement: &mut Stmt) {
        match statement {
            Stmt::If(flow, _) | Stmt::Do(flow, _, _) => {
                self.condition(&mut flow.expr);
                self.flow(flow);
            }
            Stmt::While(flow, _) => {
                if !matches!(flow.expr, Expr::Unit(..) | Expr::BoolConstant(true, ..)) {
                    self.condition(&mut flow.expr);
                }
                self.flow(flow);
            }
            Stmt::Switch(switch, _) => {
                self.seen(SEE, &mut switch.0);
                for case in &mut switch.1.expressions {
                    if !is_literal(&case.lhs) {
                        self.condition(&mut case.lhs);
                    }
                    self.expr(&mut case.rhs);
                }
            }
            Stmt::For(parts, _) => {
                self.seen(SEE_OUTERMOST, &mut parts.2.expr);
                self.flow(&mut parts.2);
            }
            Stmt::TryCatch(flow, _) => self.flow(flow),
            Stmt::Var(variable, _, _) => self.expr(&mut variable.1),
            Stmt::Assignment(parts) => {
                self.expr(&mut parts.1.lhs);
                self.expr(&mut parts.1.rhs);
                if parts.0.is_op_assignment() && !is_literal(&parts.1.rhs) {
                    wrap(ADDED, &mut parts.1.rhs);
                } else {
                    bounded(&mut parts.1.rhs);
                }
            }
            Stmt::FnCall(call, _) => self.call(call),
            Stmt::Block(block) => self.block(block),
            Stmt::Expr(expr) => self.expr(expr),
            Stmt::BreakLoop(Some(expr), _, _) | Stmt::Return(Some(expr), _, _) => self.expr(expr),
            // Modules have run before the script begins; see `program`.
            Stmt::Import(_, position) | Stmt::Export(_, position) => *statement = Stmt::Noop(*position),
            _ => {}
        }
    }

    /// A statement at the top of a file: its constants can be used from functions and from other files.
    pub fn top_statement(&mut self, statement: &mut Stmt) {
        self.statement(statement);
        if let Stmt::Var(variable, flags, position) = statement
            && flags.contains(ASTFlags::CONSTANT)
        {
            let name = Expr::StringConstant(variable.0.name.clone(), *position);
            let file = Expr::IntegerConstant(self.file as i64, *position);
            let value = std::mem::take(&mut variable.1);
            variable.1 = call(DEFINE, vec![file, name, value], *position);
            flags.remove(ASTFlags::EXPORTED);
        }
    }

    /// The function as it stands in the program, except for its name.
    pub fn function(&mut self, function: &ScriptFuncDef) -> ScriptFuncDef {
        let mut function = function.clone();
        self.block(&mut function.body);
        function
    }
}

fn root(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Variable(variable, ..) if variable.2.is_empty() => Some(variable.1.to_string()),
        _ => None,
    }
}
