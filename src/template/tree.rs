//! Reading a template's syntax tree: which names it binds, where its expressions begin, and each of them.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{CallArg, Expr, Macro, Stmt};

/// Which names can only be macros or modules of macros: calling one passes its arguments on and sees none of them.
#[derive(Default)]
pub struct Names<'a> {
    pub macros: BTreeSet<&'a str>,
    pub modules: BTreeSet<&'a str>,
    pub others: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn target(&mut self, target: &Expr<'a>) {
        match target {
            Expr::Var(var) => drop(self.others.insert(var.id)),
            Expr::List(list) => list.items.iter().for_each(|item| self.target(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.target(item)),
            _ => {}
        }
    }

    fn all(&mut self, stmts: &[Stmt<'a>]) {
        stmts.iter().for_each(|stmt| self.stmt(stmt));
    }

    pub fn stmt(&mut self, stmt: &Stmt<'a>) {
        match stmt {
            Stmt::Template(t) => self.all(&t.children),
            Stmt::ForLoop(l) => {
                self.target(&l.target);
                self.all(&l.body);
                self.all(&l.else_body);
            }
            Stmt::IfCond(c) => {
                self.all(&c.true_body);
                self.all(&c.false_body);
            }
            Stmt::WithBlock(w) => {
                w.assignments.iter().for_each(|(target, _)| self.target(target));
                self.all(&w.body);
            }
            Stmt::Set(s) => self.target(&s.target),
            Stmt::SetBlock(s) => {
                self.target(&s.target);
                self.all(&s.body);
            }
            Stmt::AutoEscape(a) => self.all(&a.body),
            Stmt::FilterBlock(f) => self.all(&f.body),
            Stmt::Block(b) => self.all(&b.body),
            Stmt::Import(i) => {
                if let Expr::Var(var) = &i.name {
                    self.modules.insert(var.id);
                }
            }
            Stmt::FromImport(i) => {
                for (name, alias) in &i.names {
                    if let Expr::Var(var) = alias.as_ref().unwrap_or(name) {
                        self.macros.insert(var.id);
                    }
                }
            }
            Stmt::Macro(m) => {
                self.macros.insert(m.name);
                self.parameters(m);
            }
            Stmt::CallBlock(c) => self.parameters(&c.macro_decl),
            Stmt::EmitExpr(_) | Stmt::EmitRaw(_) | Stmt::Extends(_) | Stmt::Include(_) | Stmt::Do(_) => {}
        }
    }

    fn parameters(&mut self, m: &Macro<'a>) {
        m.args.iter().for_each(|arg| self.target(arg));
        self.all(&m.body);
    }
}

/// Line and column, from 1, at which an expression begins; the span of `a.b` is only that of `.b`.
pub fn start(expr: &Expr) -> (usize, usize) {
    let inner = match expr {
        Expr::GetAttr(get) => Some(&get.expr),
        Expr::GetItem(get) => Some(&get.expr),
        Expr::Slice(slice) => Some(&slice.expr),
        Expr::Call(call) => Some(&call.expr),
        Expr::Filter(filter) => filter.expr.as_ref(),
        Expr::Test(test) => Some(&test.expr),
        Expr::BinOp(op) => Some(&op.left),
        Expr::Compare(compare) => Some(&compare.expr),
        Expr::IfExpr(cond) => Some(&cond.true_expr),
        _ => None,
    };
    match inner {
        Some(inner) => start(inner),
        None => (expr.span().start_line.into(), usize::from(expr.span().start_col) + 1),
    }
}

/// Calls `visit` with every expression that reads a name.
pub fn each_expr<'a>(stmt: &Stmt<'a>, visit: &mut dyn FnMut(&Expr<'a>)) {
    let all = |stmts: &[Stmt<'a>], visit: &mut dyn FnMut(&Expr<'a>)| stmts.iter().for_each(|s| each_expr(s, visit));
    match stmt {
        Stmt::Template(t) => all(&t.children, visit),
        Stmt::EmitExpr(emit) => inside(&emit.expr, visit),
        Stmt::ForLoop(l) => {
            inside(&l.iter, visit);
            l.filter_expr.iter().for_each(|filter| inside(filter, visit));
            all(&l.body, visit);
            all(&l.else_body, visit);
        }
        Stmt::IfCond(c) => {
            inside(&c.expr, visit);
            all(&c.true_body, visit);
            all(&c.false_body, visit);
        }
        Stmt::WithBlock(w) => {
            w.assignments.iter().for_each(|(_, value)| inside(value, visit));
            all(&w.body, visit);
        }
        Stmt::Set(s) => inside(&s.expr, visit),
        Stmt::SetBlock(s) => all(&s.body, visit),
        Stmt::FilterBlock(f) => all(&f.body, visit),
        Stmt::Block(b) => all(&b.body, visit),
        Stmt::Macro(m) => all(&m.body, visit),
        Stmt::CallBlock(c) => {
            c.call.args.iter().for_each(|arg| inside(argument(arg), visit));
            all(&c.macro_decl.body, visit);
        }
        Stmt::Include(i) => inside(&i.name, visit),
        Stmt::Do(d) => d.call.args.iter().for_each(|arg| inside(argument(arg), visit)),
        _ => {}
    }
}

fn argument<'e, 'a>(arg: &'e CallArg<'a>) -> &'e Expr<'a> {
    match arg {
        CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => expr,
    }
}

fn inside<'a>(expr: &Expr<'a>, visit: &mut dyn FnMut(&Expr<'a>)) {
    visit(expr);
    match expr {
        Expr::Var(_) | Expr::Const(_) | Expr::GetAttr(_) => {}
        Expr::GetItem(get) => {
            inside(&get.expr, visit);
            inside(&get.subscript_expr, visit);
        }
        Expr::Slice(slice) => inside(&slice.expr, visit),
        Expr::UnaryOp(op) => inside(&op.expr, visit),
        Expr::BinOp(op) => {
            inside(&op.left, visit);
            inside(&op.right, visit);
        }
        Expr::Compare(compare) => {
            inside(&compare.expr, visit);
            compare.ops.iter().for_each(|op| inside(&op.expr, visit));
        }
        Expr::IfExpr(cond) => {
            inside(&cond.test_expr, visit);
            inside(&cond.true_expr, visit);
            cond.false_expr.iter().for_each(|other| inside(other, visit));
        }
        Expr::Filter(filter) => {
            filter.expr.iter().for_each(|inner| inside(inner, visit));
            filter.args.iter().for_each(|arg| inside(argument(arg), visit));
        }
        Expr::Test(test) => inside(&test.expr, visit),
        Expr::Call(call) => call.args.iter().for_each(|arg| inside(argument(arg), visit)),
        Expr::List(list) => list.items.iter().for_each(|item| inside(item, visit)),
        Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| inside(item, visit)),
        Expr::Map(map) => map.keys.iter().chain(&map.values).for_each(|item| inside(item, visit)),
    }
}
