//! Loops, and what is forgotten of variables that somebody may change nobody knows how often.

use std::collections::BTreeSet;

use rhai::{ASTNode, Expr, FnPtr, Stmt};

use super::natives::PURE;
use super::walk::{Flow, Loop, State, Walk, met};
use crate::resource::Value;
use crate::resource::shape::Shape;

/// Items of a list that are walked one by one.
const UNROLLED: usize = 200;

impl Walk<'_> {
    /// What a condition is, if nothing happens when it is looked at.
    pub(super) fn peek(&mut self, expr: &Expr) -> Option<bool> {
        let state = self.state.clone();
        let known = self.expr(expr).as_bool();
        self.state = state;
        known
    }

    /// A loop of which nobody knows how often it runs.
    pub(super) fn looped(&mut self, body: &[Stmt], run: impl FnOnce(&mut Self) -> Flow) {
        self.widen(body);
        let before = self.state.clone();
        self.uncertain += 1;
        let (states, _) = self.round(run);
        self.uncertain -= 1;
        let reads = self.reads;
        self.state = states.into_iter().fold(before, |a, b| met(a, b, reads));
    }

    /// One round of a loop: the states after it, and whether it is left then in any case.
    fn round(&mut self, run: impl FnOnce(&mut Self) -> Flow) -> (Vec<State>, bool) {
        let dead = self.dead;
        self.frame().loops.push(Loop { dead, exits: vec![] });
        let flow = run(self);
        let exits = self.frame().loops.pop().map(|round| round.exits).unwrap_or_default();
        let left = flow.ends && !exits.is_empty() && exits.iter().all(|(_, left)| *left);
        let mut states: Vec<State> = exits.into_iter().map(|(state, _)| state).collect();
        if !flow.ends {
            states.push(std::mem::take(&mut self.state));
        }
        (states, left)
    }

    pub(super) fn each(&mut self, parts: &(rhai::Ident, Option<rhai::Ident>, rhai::FlowControl)) {
        let list = self.expr(&parts.2.expr);
        let once = |walk: &mut Self, item: Shape, index: Shape| {
            let depth = walk.frame().scope.len();
            let height = walk.state.slots.len();
            let closures = walk.closures.len();
            walk.define(&parts.0.name, item);
            parts.1.iter().for_each(|counter| walk.define(&counter.name, index.clone()));
            let flow = walk.block(&parts.2.body);
            walk.frame().scope.truncate(depth);
            if walk.closures.len() == closures {
                walk.state.slots.truncate(height);
            }
            flow
        };
        match &list {
            Shape::List(items) if items.is_empty() => {
                self.dead(true, |walk| once(walk, Shape::Any, Shape::Any));
            }
            Shape::List(items) if items.len() <= UNROLLED => {
                for (index, item) in items.iter().enumerate() {
                    let index = Shape::Known(Value::Int(index as i64));
                    let (states, left) = self.round(|walk| once(walk, item.clone(), index));
                    let reads = self.reads;
                    match states.into_iter().reduce(|a, b| met(a, b, reads)) {
                        Some(state) => self.state = state,
                        None => break,
                    }
                    if left {
                        break;
                    }
                }
            }
            _ => {
                list.use_up(self.reads);
                let item = list.item(self.reads).unwrap_or(Shape::Any);
                self.looped(parts.2.body.statements(), |walk| once(walk, item, Shape::Any));
            }
        }
    }

    /// Whatever these statements may change is not known any more.
    pub(super) fn widen(&mut self, statements: &[Stmt]) {
        for name in self.changed(statements) {
            if let Some(slot) = self.place(&name) {
                let before = std::mem::replace(&mut self.state.slots[slot], Shape::Any);
                before.use_up(self.reads);
            }
        }
    }

    fn changed(&self, statements: &[Stmt]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let file = self.file();
        for statement in statements {
            statement.walk(&mut vec![], &mut |nodes| {
                match nodes.last() {
                    Some(ASTNode::Stmt(Stmt::Assignment(parts))) => names.extend(root(&parts.1.lhs)),
                    Some(ASTNode::Expr(chain @ (Expr::Dot(..) | Expr::Index(..)))) if changes(chain) => {
                        names.extend(root(chain));
                    }
                    Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _)))
                        if call.namespace.is_empty() && call.op_token.is_none() =>
                    {
                        if call.name == "curry"
                            && let Some(Expr::DynamicConstant(value, _)) = call.args.first()
                            && let Some(pointer) = value.clone().try_cast::<FnPtr>()
                            && let Some(function) = self.lifted[file].get(pointer.fn_name())
                        {
                            names.extend(self.changed(function.body.statements()));
                        } else if !PURE.contains(&call.name.as_str()) {
                            names.extend(call.args.first().and_then(root));
                        }
                    }
                    _ => {}
                }
                true
            });
        }
        names
    }
}

/// The variable at which a chain begins.
pub(super) fn root(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Variable(variable, ..) if variable.2.is_empty() => Some(variable.1.to_string()),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => root(&chain.lhs),
        _ => None,
    }
}

/// Whether a chain calls what may change its first part.
fn changes(chain: &Expr) -> bool {
    match chain {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => changes(&chain.lhs) || changes(&chain.rhs),
        Expr::MethodCall(call, _) => !PURE.contains(&call.name.as_str()),
        _ => false,
    }
}
