//! A playbook and all its modules, loaded, checked and joined into one program.
//!
//! Modules run once, in the order in which they need each other, before the playbook itself: an `import` says what
//! is needed, not when. All functions live side by side under names of their own ([`super::rewrite`]).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rhai::{AST, ASTNode, Engine, Expr, Module, Position, ScriptFuncDef, Stmt, StmtBlock};

use super::lines::Lines;
use super::rewrite::{Path, Rewriter, mangled};
use super::{Script, check, imports};
use crate::diagnostic::Diagnostics;

/// One file of the playbook.
pub(super) struct File {
    pub shown: Arc<str>,
    pub ast: AST,
    /// Its own functions by name and number of parameters.
    pub functions: HashMap<(String, usize), Arc<ScriptFuncDef>>,
    /// Which file stands behind each alias.
    pub imports: HashMap<String, usize>,
    /// The constants at its top.
    pub constants: BTreeSet<String>,
    /// Names of functions that other files may not call.
    pub private: BTreeSet<String>,
    /// Aliases of modules that could not be loaded.
    pub broken: BTreeSet<String>,
    pub is_module: bool,
}

impl File {
    pub fn new(shown: Arc<str>, ast: AST, is_module: bool) -> Self {
        let functions = ast
            .shared_lib()
            .iter_script_fn_info()
            .filter(|(.., name, _, _)| !name.starts_with("anon$"))
            .map(|(_, _, name, count, function)| ((name.to_owned(), count), function.clone()))
            .collect();
        let constants = ast.statements().iter().filter_map(constant).collect();
        let (private, broken) = (BTreeSet::new(), BTreeSet::new());
        File { shown, ast, functions, imports: HashMap::new(), constants, private, broken, is_module }
    }

    pub fn has(&self, name: &str, arguments: usize) -> bool {
        self.functions.contains_key(&(name.to_owned(), arguments))
    }

    pub fn exports(&self, name: &str, arguments: usize) -> bool {
        self.has(name, arguments) && !self.private.contains(name)
    }
}

fn constant(statement: &Stmt) -> Option<String> {
    match statement {
        Stmt::Var(variable, flags, _) if flags.contains(rhai::ASTFlags::CONSTANT) => Some(variable.0.name.to_string()),
        _ => None,
    }
}

/// What is evaluated, and what is needed to talk about it.
pub(super) struct Program {
    pub ast: AST,
    /// The playbook among the files, and its own functions.
    pub entry: usize,
    pub functions: Vec<Function>,
    pub lines: Lines,
    pub paths: HashMap<Position, Path>,
    /// Variables that hold the inventory as a whole, by their names.
    pub inventories: BTreeSet<String>,
}

/// A function of the playbook itself.
pub(super) struct Function {
    pub name: String,
    pub parameters: usize,
    pub position: Position,
    /// The playbook calls it, or hands its name to somebody who may.
    pub is_used: bool,
}

/// Loads and checks everything the playbook needs; all that is wrong with it is told at once.
///
/// `words` are the functions without a namespace that it may call, beside the standard ones.
pub(super) fn load(engine: &Engine, script: &Script, words: &[(&str, usize)]) -> Result<Program, Diagnostics> {
    let loaded = imports::load(engine, script)?;
    let mistakes = check::check(&loaded.files, &loaded.lines, script, words);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(join(loaded.files, loaded.lines))
}

/// `files` in the order in which they run; the last one is the playbook.
pub(super) fn join(files: Vec<File>, lines: Lines) -> Program {
    let (mut statements, mut module, mut paths) = (vec![], Module::new(), HashMap::new());
    for (index, file) in files.iter().enumerate() {
        let mut rewriter = Rewriter { file: index, files: &files, closures: closures(&file.ast), paths };
        let mut own: Vec<Stmt> = file.ast.statements().to_vec();
        own.iter_mut().for_each(|statement| rewriter.top_statement(statement));
        for ((name, _), function) in &file.functions {
            let mut function = rewriter.function(function);
            function.name = mangled(index, name).into();
            module.set_script_fn(function);
        }
        paths = rewriter.paths;
        if index + 1 < files.len() {
            statements.push(Stmt::Block(Box::new(StmtBlock::new(own, Position::NONE, Position::NONE))));
        } else {
            statements.extend(own);
        }
    }
    let functions = files.last().map(functions).unwrap_or_default();
    let entry = files.len().saturating_sub(1);
    let inventories = files.iter().flat_map(|file| check::holding_inventory(&file.ast)).collect();
    Program { ast: AST::new(statements, module), entry, functions, lines, paths, inventories }
}

/// The functions of a file, in the order in which they stand there.
fn functions(file: &File) -> Vec<Function> {
    let (mut calls, mut names) = (BTreeSet::new(), BTreeSet::new());
    file.ast.walk(&mut |nodes| {
        match nodes.last() {
            Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _)))
                if call.namespace.is_empty() =>
            {
                calls.insert((call.name.to_string(), call.args.len()));
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, _))) => {
                calls.insert((call.name.to_string(), call.args.len()));
            }
            // `Fn("name")`, or the name alone where a function is wanted and no variable is called so.
            Some(ASTNode::Expr(Expr::StringConstant(name, _))) => drop(names.insert(name.to_string())),
            Some(ASTNode::Expr(Expr::Variable(variable, None, _))) if variable.0.is_none() && variable.2.is_empty() => {
                names.insert(variable.1.to_string());
            }
            _ => {}
        }
        true
    });
    let own = |(called, function): (&(String, usize), &Arc<ScriptFuncDef>)| Function {
        name: called.0.clone(),
        parameters: called.1,
        position: function.body.position(),
        is_used: calls.contains(called) || names.contains(&called.0),
    };
    let mut own: Vec<Function> = file.functions.iter().map(own).collect();
    own.sort_by_key(|function| (function.position.line(), function.position.position()));
    own
}

pub(super) fn closures(ast: &AST) -> HashMap<rhai::ImmutableString, Arc<ScriptFuncDef>> {
    let all = ast.shared_lib().iter_script_fn_info();
    all.filter(|(.., name, _, _)| name.starts_with("anon$"))
        .map(|(.., function)| (function.name.clone(), function.clone()))
        .collect()
}
