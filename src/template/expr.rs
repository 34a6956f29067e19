//! Writes a template's expressions anew, each operand with the guard that its operator needs.

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CallType, CompareOpKind, Expr, Filter, UnaryOpKind};

use super::guard::Writer;
use super::tree::start;

/// How a guarded value is looked at.
#[derive(Clone, Copy)]
pub(super) enum Guard {
    /// All of it, however deep.
    See,
    /// Only its shape: the length of a list, the keys of a map.
    Walk,
    /// Only whether it is there at all.
    Exists,
    /// Not at all, unless it is text: then its characters.
    Index,
    /// Not at all: it becomes part of a text.
    Text,
    /// Not at all if it is text: its characters are passed on, those known and those not.
    Carry,
    /// Not at all, unless even its shape is unknown.
    Data,
}

impl Guard {
    fn filter(self) -> &'static str {
        match self {
            Guard::See => "__see",
            Guard::Walk => "__walk",
            Guard::Exists => "__exists",
            Guard::Index => "__index",
            Guard::Text => "__text",
            Guard::Carry => "__carry",
            Guard::Data => "__data",
        }
    }
}

impl<'a> Writer<'a> {
    pub(super) fn guarded(&mut self, expr: &Expr<'a>, guard: Guard) {
        if let Expr::Const(_) = expr {
            return self.expr(expr);
        }
        self.put("((");
        self.expr(expr);
        self.put(")");
        self.mark(expr, guard);
        self.put(")");
    }

    /// `|__see(3, 7)`: the guard with where it stands.
    fn mark(&mut self, expr: &Expr<'a>, guard: Guard) {
        let (line, column) = start(expr);
        self.put(&format!("|{}({line}, {column})", guard.filter()));
    }

    pub(super) fn expr(&mut self, expr: &Expr<'a>) {
        self.down(expr.span());
        match expr {
            Expr::Var(var) => self.put(var.id),
            Expr::Const(constant) => self.constant(&constant.value),
            Expr::UnaryOp(op) => {
                self.put(match op.op {
                    UnaryOpKind::Not => "(not ",
                    UnaryOpKind::Neg => "(-",
                });
                self.guarded(&op.expr, Guard::See);
                self.put(")");
            }
            Expr::BinOp(op) => {
                // The value of `a or b` is one of the two: only `a` is looked at. `~` makes text of both.
                let (left, right) = match op.op {
                    BinOpKind::ScAnd | BinOpKind::ScOr => (Guard::See, None),
                    BinOpKind::Concat => (Guard::Text, Some(Guard::Text)),
                    _ => (Guard::See, Some(Guard::See)),
                };
                let repeats = matches!(op.op, BinOpKind::Mul);
                self.put(if repeats { "((" } else { "(" });
                self.guarded(&op.left, left);
                self.put(binary(op.op));
                match right {
                    Some(guard) => self.guarded(&op.right, guard),
                    None => self.expr(&op.right),
                }
                self.put(if repeats { ")|__whole)" } else { ")" });
            }
            Expr::Compare(compare) => {
                self.put("(");
                self.guarded(&compare.expr, Guard::See);
                for op in &compare.ops {
                    self.put(comparison(op.op));
                    self.guarded(&op.expr, Guard::See);
                }
                self.put(")");
            }
            Expr::IfExpr(cond) => {
                self.put("(");
                self.expr(&cond.true_expr);
                self.put(" if ");
                self.guarded(&cond.test_expr, Guard::See);
                if let Some(other) = &cond.false_expr {
                    self.put(" else ");
                    self.expr(other);
                }
                self.put(")");
            }
            Expr::Filter(filter) => self.filter(expr, filter),
            Expr::Test(test) => {
                let exists = matches!(test.name, "defined" | "undefined");
                self.put("(");
                self.guarded(&test.expr, if exists { Guard::Exists } else { Guard::See });
                self.put(" is ");
                self.put(test.name);
                if !test.args.is_empty() {
                    self.args(&test.args, false);
                }
                self.put(")");
            }
            other => self.compound(other),
        }
    }

    /// Access into values, calls, and literals of several parts.
    fn compound(&mut self, expr: &Expr<'a>) {
        match expr {
            Expr::GetAttr(get) => {
                self.expr(&get.expr);
                self.put(".");
                self.put(get.name);
            }
            Expr::GetItem(get) => {
                self.guarded(&get.expr, Guard::Index);
                self.put("[");
                self.guarded(&get.subscript_expr, Guard::See);
                self.put("]");
            }
            Expr::Slice(slice) => {
                self.put("(");
                self.guarded(&slice.expr, Guard::Walk);
                self.put("[");
                for (index, part) in [&slice.start, &slice.stop, &slice.step].into_iter().enumerate() {
                    self.put(if index > 0 { ":" } else { "" });
                    if let Some(part) = part {
                        self.guarded(part, Guard::See);
                    }
                }
                self.put("]|__whole)");
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.items("[", &list.items, "]"),
            Expr::Tuple(tuple) => self.items("(", &tuple.items, ")"),
            Expr::Map(map) => {
                self.put("{");
                for (key, value) in map.keys.iter().zip(&map.values) {
                    self.guarded(key, Guard::See);
                    self.put(": ");
                    self.expr(value);
                    self.put(", ");
                }
                self.put("}");
            }
            _ => unreachable!("`expr` writes the others"),
        }
    }

    fn items(&mut self, open: &str, items: &[Expr<'a>], close: &str) {
        self.put(open);
        for item in items {
            self.expr(item);
            self.put(", ");
        }
        self.put(close);
    }

    fn filter(&mut self, whole: &Expr<'a>, filter: &Filter<'a>) {
        // Filters that only rearrange what they get pass its parts on as they are.
        let (guard, free, name) = match (filter.name, filter.args.as_slice()) {
            ("items" | "list" | "first" | "last" | "length" | "count" | "reverse" | "dictsort", []) => {
                (Guard::Walk, false, filter.name)
            }
            ("default" | "d", [] | [CallArg::Pos(_)]) => (Guard::Exists, true, filter.name),
            // Our own: it makes text of each item.
            ("join", [] | [CallArg::Pos(_)]) => (Guard::Walk, true, "__join"),
            ("indent", _) | ("quote", []) => (Guard::Carry, false, filter.name),
            ("to_yaml", []) => (Guard::Data, false, filter.name),
            _ => (Guard::See, false, filter.name),
        };
        match &filter.expr {
            Some(inner) => self.guarded(inner, guard),
            // The first of `{% filter upper %}`: what it gets is the text of the block.
            None => {
                let (line, column) = start(whole);
                let guard = if matches!(guard, Guard::Carry | Guard::Data) { guard } else { Guard::See };
                self.put(&format!("{}({line}, {column})", guard.filter()));
            }
        }
        self.put("|");
        self.put(name);
        if !filter.args.is_empty() {
            self.args(&filter.args, free);
        }
        self.put(if filter.name == "chain" { "|__chained" } else { "|__whole" });
    }

    pub(super) fn call(&mut self, call: &Call<'a>) {
        let free = match call.identify_call() {
            CallType::Function(name) => self.macros.contains(name) || name == "caller",
            CallType::Method(Expr::Var(var), _) => self.modules.contains(var.id),
            _ => false,
        };
        self.expr(&call.expr);
        self.args(&call.args, free);
    }

    fn args(&mut self, args: &[CallArg<'a>], free: bool) {
        self.put("(");
        for (index, arg) in args.iter().enumerate() {
            self.put(if index > 0 { ", " } else { "" });
            let (expr, splat) = match arg {
                CallArg::Pos(expr) => (expr, false),
                CallArg::Kwarg(name, expr) => {
                    self.put(name);
                    self.put("=");
                    (expr, false)
                }
                CallArg::PosSplat(expr) => {
                    self.put("*");
                    (expr, true)
                }
                CallArg::KwargSplat(expr) => {
                    self.put("**");
                    (expr, true)
                }
            };
            match (free, splat) {
                (true, false) => self.expr(expr),
                (true, true) => self.guarded(expr, Guard::Walk),
                (false, _) => self.guarded(expr, Guard::See),
            }
        }
        self.put(")");
    }

    fn constant(&mut self, value: &minijinja::Value) {
        match value.as_str() {
            Some(text) => {
                let mut quoted = String::from("\"");
                for c in text.chars() {
                    match c {
                        '"' | '\\' => quoted.extend(['\\', c]),
                        c if (c as u32) < 0x20 => quoted.push_str(&format!("\\u{:04x}", c as u32)),
                        c => quoted.push(c),
                    }
                }
                self.put(&(quoted + "\""));
            }
            // A literal beyond the integers, `none`, `true` and numbers all read as they print.
            None => self.put(&value.to_string()),
        }
    }
}

fn binary(op: BinOpKind) -> &'static str {
    match op {
        BinOpKind::Eq => " == ",
        BinOpKind::Ne => " != ",
        BinOpKind::Lt => " < ",
        BinOpKind::Lte => " <= ",
        BinOpKind::Gt => " > ",
        BinOpKind::Gte => " >= ",
        BinOpKind::ScAnd => " and ",
        BinOpKind::ScOr => " or ",
        BinOpKind::Add => " + ",
        BinOpKind::Sub => " - ",
        BinOpKind::Mul => " * ",
        BinOpKind::Div => " / ",
        BinOpKind::FloorDiv => " // ",
        BinOpKind::Rem => " % ",
        BinOpKind::Pow => " ** ",
        BinOpKind::Concat => " ~ ",
        BinOpKind::In => " in ",
    }
}

fn comparison(op: CompareOpKind) -> &'static str {
    match op {
        CompareOpKind::Eq => " == ",
        CompareOpKind::Ne => " != ",
        CompareOpKind::Lt => " < ",
        CompareOpKind::Lte => " <= ",
        CompareOpKind::Gt => " > ",
        CompareOpKind::Gte => " >= ",
        CompareOpKind::In => " in ",
        CompareOpKind::NotIn => " not in ",
    }
}
