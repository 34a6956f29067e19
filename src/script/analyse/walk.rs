//! Statements, scopes, and what becomes of variables where ways part and meet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rhai::{ASTFlags, Dynamic, Expr, FnPtr, ImmutableString, Position, ScriptFuncDef, Stmt, StmtBlock};

use super::Check;
use crate::diagnostic::{Diagnostic, Diagnostics, Site, closest};
use crate::resource::shape::{Entry, Reads, Shape};
use crate::resource::{Address, Value};
use crate::script::imports::Loaded;
use crate::script::program::{self, File};

/// Steps after which the walk gives up looking closely.
const BUDGET: usize = 3_000_000;
/// Calls inside of calls.
const DEEPEST: usize = 40;

/// What may be different on another way through the script.
#[derive(Clone, Default)]
pub(super) struct State {
    /// What is known of every variable. Closures share them, so scopes hold only their places here.
    pub slots: Vec<Shape>,
    /// What has been declared for certain.
    pub declared: BTreeMap<Address, Site>,
}

/// A function or closure under way, or the top of a file.
pub(super) struct Frame {
    pub file: usize,
    pub scope: Vec<(ImmutableString, usize)>,
    returned: Vec<(Shape, State)>,
    pub loops: Vec<Loop>,
    /// How many branches that are not taken it stands in.
    dead: usize,
}

/// A loop under way.
pub(super) struct Loop {
    pub dead: usize,
    /// In what states it was begun anew, or left: then true.
    pub exits: Vec<(State, bool)>,
}

pub(super) struct Closure {
    pub file: usize,
    pub function: Arc<ScriptFuncDef>,
    captured: Vec<usize>,
}

/// How a statement went.
pub(super) struct Flow {
    pub value: Shape,
    /// The next statement is never reached from here.
    pub ends: bool,
}

impl Flow {
    pub fn on(value: Shape) -> Flow {
        Flow { value, ends: false }
    }
}

pub(super) struct Walk<'a> {
    pub check: &'a Check<'a>,
    pub files: &'a [File],
    pub loaded: &'a Loaded,
    pub reads: &'a Reads,
    pub state: State,
    pub frames: Vec<Frame>,
    pub closures: Vec<Closure>,
    pub lifted: Vec<HashMap<ImmutableString, Arc<ScriptFuncDef>>>,
    pub constants: HashMap<(usize, String), Shape>,
    pub inventory: Shape,
    visited: BTreeSet<(usize, String, usize)>,
    found: BTreeMap<(Site, String), Diagnostic>,
    /// The expression under way leaves what it stands in.
    pub left: bool,
    /// In a branch that is not taken with this inventory.
    pub dead: usize,
    /// In a `try`, which may catch what is wrong.
    pub tried: usize,
    /// In a branch of which nobody knows.
    pub uncertain: usize,
    budget: usize,
}

/// Walks all files; says also whether it had to give up.
pub(super) fn walk(check: &Check, loaded: &Loaded, reads: &Reads) -> (Diagnostics, bool) {
    let inventory = match check.inventory.as_ref().map(|inventory| &inventory.value) {
        Some(Value::Map(map)) => Shape::of_inventory(map, ""),
        _ => Shape::Any,
    };
    let mut walk = Walk {
        check,
        files: &loaded.files,
        loaded,
        reads,
        state: State::default(),
        frames: vec![],
        closures: vec![],
        lifted: loaded.files.iter().map(|file| program::closures(&file.ast)).collect(),
        constants: HashMap::new(),
        inventory,
        visited: BTreeSet::new(),
        found: BTreeMap::new(),
        left: false,
        dead: 0,
        tried: 0,
        uncertain: 0,
        budget: BUDGET,
    };
    for (index, file) in loaded.files.iter().enumerate() {
        let statements = file.ast.statements().to_vec();
        walk.in_frame(index, vec![], |walk| walk.statements(&statements));
    }
    walk.rest();
    let exhausted = walk.budget == 0;
    (walk.found.into_values().collect(), exhausted)
}

impl Walk<'_> {
    /// What nobody calls: with nothing known, except that what is called like the inventory elsewhere is it.
    fn rest(&mut self) {
        let inventories: BTreeSet<String> =
            self.files.iter().flat_map(|file| crate::script::check::holding_inventory(&file.ast)).collect();
        self.dead += 1;
        for (index, file) in self.files.iter().enumerate() {
            let mut left: Vec<_> = file.functions.iter().collect();
            left.sort_by_key(|(key, _)| *key);
            for ((name, count), function) in left {
                if !self.visited.contains(&(index, name.clone(), *count)) {
                    let given = function.params.iter().map(|param| match inventories.contains(param.as_str()) {
                        true => self.inventory.clone(),
                        false => Shape::Any,
                    });
                    let given = given.collect();
                    self.function(index, function, given);
                }
            }
            let mut closures: Vec<_> = self.lifted[index].values().cloned().collect();
            closures.sort_by_key(|function| (function.body.position().line(), function.body.position().position()));
            for function in closures {
                if !self.visited.contains(&(index, function.name.to_string(), function.params.len())) {
                    let given = vec![Shape::Any; function.params.len()];
                    self.function(index, &function, given);
                }
            }
        }
        self.dead -= 1;
    }

    /// What is missing here need not be a mistake.
    pub fn is_lenient(&self) -> bool {
        self.dead > 0 || self.tried > 0
    }

    pub fn step(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget > 0
    }

    pub fn site(&self, position: Position) -> Site {
        self.loaded.lines.site(position)
    }

    pub fn tell(&mut self, site: Site, told: Diagnostic) {
        self.found.entry((site, told.summary.clone())).or_insert(told);
    }

    pub fn tell_at(&mut self, position: Position, told: Diagnostic) {
        let site = self.site(position);
        let told = told.at(&site, "");
        self.tell(site, told);
    }

    pub fn file(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.file)
    }

    pub fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("statements are walked in a frame")
    }

    /// Runs something as a function's body, with these variables; gives what it returns.
    fn in_frame(
        &mut self,
        file: usize,
        scope: Vec<(ImmutableString, usize)>,
        run: impl FnOnce(&mut Self) -> Flow,
    ) -> Shape {
        self.frames.push(Frame { file, scope, returned: vec![], loops: vec![], dead: self.dead });
        let flow = run(self);
        let frame = self.frames.pop().expect("it was pushed above");
        let mut ways: Vec<(Shape, State)> = frame.returned;
        if !flow.ends {
            ways.push((flow.value, std::mem::take(&mut self.state)));
        }
        let reads = self.reads;
        let all = ways.into_iter().reduce(|(a, state), (b, other)| (a.join(&b, reads), met(state, other, reads)));
        match all {
            Some((value, state)) => {
                self.state = state;
                value
            }
            // It always throws.
            None => {
                self.left = !self.frames.is_empty();
                Shape::Any
            }
        }
    }

    pub fn function(&mut self, file: usize, function: &Arc<ScriptFuncDef>, given: Vec<Shape>) -> Shape {
        let slots = given.into_iter().map(|shape| self.slot(shape)).collect();
        self.call_with(file, function, slots)
    }

    /// A call whose arguments are variables already: those a closure captured are shared.
    fn call_with(&mut self, file: usize, function: &Arc<ScriptFuncDef>, slots: Vec<usize>) -> Shape {
        self.visited.insert((file, function.name.to_string(), function.params.len()));
        if self.frames.len() >= DEEPEST || !self.step() {
            return Shape::Any;
        }
        let scope = function.params.iter().cloned().zip(slots).collect();
        let (height, closures) = (self.state.slots.len(), self.closures.len());
        let value = self.in_frame(file, scope, |walk| walk.statements(function.body.statements()));
        if self.closures.len() == closures {
            self.state.slots.truncate(height);
        }
        value
    }

    /// Calls a function value; `more` are what stands before the arguments, if it takes that many.
    pub fn call_closure(&mut self, index: usize, given: &[Shape]) -> Shape {
        let Some(closure) = self.closures.get(index) else { return Shape::Any };
        let (file, function, mut slots) = (closure.file, closure.function.clone(), closure.captured.clone());
        let wanted = function.params.len().saturating_sub(slots.len());
        for at in 0..wanted {
            let shape = given.get(at).cloned().unwrap_or(Shape::Any);
            slots.push(self.slot(shape));
        }
        self.call_with(file, &function, slots)
    }

    /// A closure where it is made.
    pub fn made(&mut self, value: &Dynamic, captured: Vec<usize>) -> Shape {
        let Some(pointer) = value.clone().try_cast::<FnPtr>() else { return Shape::Any };
        let file = self.file();
        match self.lifted[file].get(pointer.fn_name()).cloned() {
            Some(function) => {
                self.closures.push(Closure { file, function, captured });
                Shape::Function(self.closures.len() - 1)
            }
            None => Shape::Any,
        }
    }

    pub fn slot(&mut self, shape: Shape) -> usize {
        self.state.slots.push(shape);
        self.state.slots.len() - 1
    }

    pub fn define(&mut self, name: &ImmutableString, shape: Shape) {
        let slot = self.slot(shape);
        self.frame().scope.push((name.clone(), slot));
    }

    pub fn place(&self, name: &str) -> Option<usize> {
        let frame = self.frames.last()?;
        frame.scope.iter().rev().find(|(known, _)| known == name).map(|(_, slot)| *slot)
    }

    pub fn variable(&mut self, name: &str, position: Position) -> Shape {
        if let Some(slot) = self.place(name) {
            return self.state.slots.get(slot).cloned().unwrap_or(Shape::Any);
        }
        let file = &self.files[self.file()];
        if file.functions.keys().any(|(known, _)| known == name) || name == "this" {
            return Shape::Any;
        }
        let known: Vec<&str> =
            self.frames.last().map(|f| f.scope.iter().map(|(n, _)| n.as_str()).collect()).unwrap_or_default();
        let near = closest(name, known).map(|near| format!("did you mean `{near}`?"));
        let top = file.ast.statements().iter().any(|one| matches!(one, Stmt::Var(var, ..) if var.0.name == name));
        let hint = match near {
            None if top => Some("functions do not see variables outside of them: pass it along".to_owned()),
            near => near,
        };
        self.tell_at(position, Diagnostic::error(format!("there is no variable `{name}`")).maybe_hint(hint));
        Shape::Any
    }

    pub fn dead(&mut self, dead: bool, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        if !dead {
            return run(self);
        }
        let (before, left) = (self.state.clone(), self.left);
        self.dead += 1;
        let flow = run(self);
        self.dead -= 1;
        (self.state, self.left) = (before, left);
        flow
    }

    /// Walks ways of which one is taken, nobody knows which.
    pub fn one_of(&mut self, ways: usize, mut run: impl FnMut(&mut Self, usize) -> Flow) -> Flow {
        let before = self.state.clone();
        let mut all: Vec<(Shape, State)> = vec![];
        for way in 0..ways {
            self.state = before.clone();
            self.uncertain += 1;
            let flow = run(self, way);
            self.uncertain -= 1;
            if !flow.ends && !std::mem::take(&mut self.left) {
                all.push((flow.value, std::mem::take(&mut self.state)));
            }
        }
        let reads = self.reads;
        match all.into_iter().reduce(|(a, state), (b, other)| (a.join(&b, reads), met(state, other, reads))) {
            Some((value, state)) => {
                self.state = state;
                Flow::on(value)
            }
            None => {
                self.state = before;
                Flow { value: Shape::Any, ends: true }
            }
        }
    }

    pub fn block(&mut self, block: &StmtBlock) -> Flow {
        self.statements(block.statements())
    }

    pub fn statements(&mut self, statements: &[Stmt]) -> Flow {
        let depth = self.frame().scope.len();
        let mut last = Flow::on(Shape::Known(Value::Null));
        let mut ended = None;
        for statement in statements {
            if ended.is_some() {
                // Nobody gets here with this inventory.
                let flow = self.dead(true, |walk| walk.statement(statement));
                last = Flow { value: flow.value, ends: true };
                continue;
            }
            last = self.statement(statement);
            last.ends |= std::mem::take(&mut self.left);
            if last.ends {
                ended = Some(self.state.clone());
            }
        }
        if let Some(state) = ended {
            self.state = state;
            last.ends = true;
        }
        self.unreachable(statements);
        self.frame().scope.truncate(depth);
        last
    }

    fn unreachable(&mut self, statements: &[Stmt]) {
        let leaves = |one: &&[Stmt]| matches!(one[0], Stmt::Return(..) | Stmt::BreakLoop(..));
        if let Some(pair) = statements.windows(2).find(leaves)
            && !matches!(pair[1], Stmt::Noop(_))
        {
            let told = Diagnostic::warning("this is never reached").hint("what stands before it leaves in any case");
            self.tell_at(pair[1].position(), told);
        }
    }

    fn statement(&mut self, statement: &Stmt) -> Flow {
        if !self.step() {
            return Flow::on(Shape::Any);
        }
        let nothing = || Flow::on(Shape::Known(Value::Null));
        match statement {
            Stmt::If(flow, _) => {
                let condition = self.expr(&flow.expr).as_bool();
                match condition {
                    Some(taken) => {
                        let one = self.dead(!taken, |walk| walk.block(&flow.body));
                        let other = self.dead(taken, |walk| walk.block(&flow.branch));
                        if taken { one } else { other }
                    }
                    None => self.one_of(2, |walk, way| walk.block(if way == 0 { &flow.body } else { &flow.branch })),
                }
            }
            Stmt::Switch(switch, _) => {
                self.expr(&switch.0);
                let cases = &switch.1.expressions;
                // Or none of them.
                let flow = self.one_of(cases.len() + 1, |walk, way| match cases.get(way) {
                    Some(case) => {
                        walk.expr(&case.lhs);
                        Flow::on(walk.expr(&case.rhs))
                    }
                    None => nothing(),
                });
                Flow { value: Shape::Any, ..flow }
            }
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                if matches!(statement, Stmt::While(..)) && self.peek(&flow.expr) == Some(false) {
                    self.dead(true, |walk| walk.block(&flow.body));
                    return nothing();
                }
                self.looped(flow.body.statements(), |walk| {
                    walk.expr(&flow.expr);
                    walk.block(&flow.body)
                });
                nothing()
            }
            Stmt::For(parts, _) => {
                self.each(parts);
                nothing()
            }
            Stmt::TryCatch(flow, _) => {
                self.widen(flow.body.statements());
                self.one_of(2, |walk, way| {
                    if way == 0 {
                        walk.tried += 1;
                        let flow = walk.block(&flow.body);
                        walk.tried -= 1;
                        return flow;
                    }
                    let depth = walk.frame().scope.len();
                    if let Expr::Variable(name, ..) = &flow.expr {
                        walk.define(&name.1, Shape::Any);
                    }
                    let flow = walk.block(&flow.branch);
                    walk.frame().scope.truncate(depth);
                    flow
                })
            }
            Stmt::Var(variable, flags, _) => {
                let shape = self.expr(&variable.1);
                if flags.contains(ASTFlags::CONSTANT) && self.frames.len() == 1 {
                    self.constants.insert((self.file(), variable.0.name.to_string()), shape.clone());
                }
                self.define(&variable.0.name, shape);
                nothing()
            }
            Stmt::Assignment(parts) => {
                self.assignment(&parts.0, &parts.1);
                nothing()
            }
            Stmt::FnCall(call, position) => Flow::on(self.call(call, *position)),
            Stmt::Block(block) => self.block(block),
            Stmt::Expr(expr) => Flow::on(self.expr(expr)),
            Stmt::BreakLoop(value, flags, _) => {
                value.iter().for_each(|value| drop(self.expr(value)));
                let (state, dead) = (self.state.clone(), self.dead);
                if let Some(around) = self.frame().loops.last_mut().filter(|around| around.dead == dead) {
                    around.exits.push((state, flags.contains(ASTFlags::BREAK)));
                }
                Flow { value: Shape::Any, ends: true }
            }
            Stmt::Return(value, flags, _) => {
                let shape = value.as_ref().map_or(Shape::Known(Value::Null), |value| self.expr(value));
                if flags.contains(ASTFlags::BREAK) {
                    shape.use_up(self.reads);
                } else if self.dead == self.frame().dead {
                    let state = self.state.clone();
                    self.frame().returned.push((shape, state));
                }
                Flow { value: Shape::Any, ends: true }
            }
            _ => nothing(),
        }
    }
}

/// What is known where two ways meet.
pub(super) fn met(mut a: State, b: State, reads: &Reads) -> State {
    for (slot, theirs) in b.slots.into_iter().enumerate() {
        match a.slots.get_mut(slot) {
            Some(mine) => *mine = mine.join(&theirs, reads),
            None => a.slots.push(theirs),
        }
    }
    a.declared.retain(|address, _| b.declared.contains_key(address));
    a
}

/// An entry that an author wrote.
pub(super) fn written(shape: Shape, site: Site) -> Entry {
    Entry { site: Some(site), ..Entry::new(shape) }
}
