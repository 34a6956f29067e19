//! Makes seeing explicit: a template is parsed and written anew, with a guard around every place where a value is
//! looked at rather than passed on.
//!
//! The engine has no hook for `x == "a"` or for text captured by `{% set %}`, so nothing but the syntax tells where a
//! value would be seen. What is written anew keeps its line numbers, and its delimiters are characters that no file
//! holds, so that raw text needs no escaping. The guards are filters; [`super::render`] defines them.

use std::collections::BTreeSet;

use minijinja::Error;
use minijinja::machinery::ast::{
    BinOpKind, Call, CallArg, CallType, CompareOpKind, Expr, Filter, Macro, Stmt, UnaryOpKind,
};
use minijinja::machinery::{Span, parse};
use minijinja::syntax::SyntaxConfig;

use super::tree::{Names, start};

/// How a guarded value is looked at.
#[derive(Clone, Copy)]
enum Guard {
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
}

impl Guard {
    fn filter(self) -> &'static str {
        match self {
            Guard::See => "__see",
            Guard::Walk => "__walk",
            Guard::Exists => "__exists",
            Guard::Index => "__index",
            Guard::Text => "__text",
        }
    }
}

/// The syntax authors write.
pub fn authors() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the usual delimiters are valid")
}

/// The syntax of what is written anew.
pub fn ours() -> SyntaxConfig {
    SyntaxConfig::builder()
        .block_delimiters("\u{f8f2}%", "%\u{f8f2}")
        .variable_delimiters("\u{f8f2}{", "}\u{f8f2}")
        .comment_delimiters("\u{f8f2}#", "#\u{f8f2}")
        .keep_trailing_newline(true)
        .build()
        .expect("the delimiters differ from each other")
}

/// The template with its guards.
pub fn guard(source: &str, name: &str) -> Result<String, Error> {
    let template = parse(source, name, authors())?;
    let mut names = Names::default();
    names.stmt(&template);
    let macros = names.macros.difference(&names.others).copied().collect();
    let modules =
        names.modules.difference(&names.others).filter(|name| !names.macros.contains(*name)).copied().collect();
    let mut writer = Writer { out: String::with_capacity(source.len() * 2), line: 1, macros, modules };
    writer.stmt(&template);
    Ok(writer.out)
}

struct Writer<'a> {
    out: String,
    /// The line at the end of `out`.
    line: usize,
    macros: BTreeSet<&'a str>,
    modules: BTreeSet<&'a str>,
}

impl<'a> Writer<'a> {
    fn put(&mut self, text: &str) {
        self.line += text.matches('\n').count();
        self.out.push_str(text);
    }

    /// Inside a tag: goes down to the line on which something stood.
    fn down(&mut self, span: Span) {
        while self.line < usize::from(span.start_line) {
            self.put("\n");
        }
    }

    fn tag(&mut self, span: Span, word: &str) {
        self.put("\u{f8f2}% ");
        self.down(span);
        self.put(word);
        self.put(" ");
    }

    fn end(&mut self) {
        self.put(" %\u{f8f2}");
    }

    fn close(&mut self, word: &str) {
        self.put("\u{f8f2}% ");
        self.put(word);
        self.end();
    }

    fn all(&mut self, stmts: &[Stmt<'a>]) {
        stmts.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn body(&mut self, stmts: &[Stmt<'a>], close: &str) {
        self.end();
        self.all(stmts);
        self.close(close);
    }

    fn stmt(&mut self, stmt: &Stmt<'a>) {
        match stmt {
            Stmt::Template(t) => self.all(&t.children),
            Stmt::EmitRaw(raw) => {
                if self.line < usize::from(raw.span().start_line) {
                    self.put("\u{f8f2}#");
                    self.down(raw.span());
                    self.put("#\u{f8f2}");
                }
                self.put(raw.raw);
            }
            Stmt::EmitExpr(emit) => {
                self.put("\u{f8f2}{ ");
                self.down(emit.span());
                self.expr(&emit.expr);
                self.put(" }\u{f8f2}");
            }
            Stmt::ForLoop(l) => {
                self.tag(l.span(), "for");
                self.target(&l.target);
                self.put(" in ");
                self.guarded(&l.iter, Guard::Walk);
                if let Some(filter) = &l.filter_expr {
                    self.put(" if ");
                    self.guarded(filter, Guard::See);
                }
                self.put(if l.recursive { " recursive" } else { "" });
                self.end();
                self.all(&l.body);
                if !l.else_body.is_empty() {
                    self.close("else");
                    self.all(&l.else_body);
                }
                self.close("endfor");
            }
            Stmt::IfCond(c) => {
                self.tag(c.expr.span(), "if");
                self.guarded(&c.expr, Guard::See);
                self.end();
                self.all(&c.true_body);
                if !c.false_body.is_empty() {
                    self.close("else");
                    self.all(&c.false_body);
                }
                self.close("endif");
            }
            Stmt::WithBlock(w) => {
                self.tag(w.span(), "with");
                for (index, (target, value)) in w.assignments.iter().enumerate() {
                    self.put(if index > 0 { ", " } else { "" });
                    let several = !matches!(target, Expr::Var(_));
                    self.put(if several { "(" } else { "" });
                    self.target(target);
                    self.put(if several { ")" } else { "" });
                    self.put(" = ");
                    self.expr(value);
                }
                self.body(&w.body, "endwith");
            }
            Stmt::Set(s) => {
                self.tag(s.span(), "set");
                self.target(&s.target);
                self.put(" = ");
                self.expr(&s.expr);
                self.end();
            }
            Stmt::SetBlock(s) => {
                self.tag(s.span(), "set");
                self.target(&s.target);
                if let Some(filter) = &s.filter {
                    self.put(" | ");
                    self.expr(filter);
                }
                self.body(&s.body, "endset");
            }
            Stmt::AutoEscape(a) => {
                self.tag(a.span(), "autoescape");
                self.guarded(&a.enabled, Guard::See);
                self.body(&a.body, "endautoescape");
            }
            Stmt::FilterBlock(f) => {
                self.tag(f.span(), "filter");
                self.expr(&f.filter);
                self.body(&f.body, "endfilter");
            }
            other => self.across(other),
        }
    }

    /// Statements about other templates, blocks and macros.
    fn across(&mut self, stmt: &Stmt<'a>) {
        match stmt {
            Stmt::Block(b) => {
                self.tag(b.span(), "block");
                self.put(b.name);
                self.put(if b.required { " required" } else { "" });
                self.body(&b.body, "endblock");
            }
            Stmt::Extends(e) => {
                self.tag(e.span(), "extends");
                self.guarded(&e.name, Guard::See);
                self.end();
            }
            Stmt::Include(i) => {
                self.tag(i.span(), "include");
                self.guarded(&i.name, Guard::See);
                self.put(if i.ignore_missing { " ignore missing" } else { "" });
                self.end();
            }
            Stmt::Import(i) => {
                self.tag(i.span(), "import");
                self.guarded(&i.expr, Guard::See);
                self.put(" as ");
                self.expr(&i.name);
                self.end();
            }
            Stmt::FromImport(i) => {
                self.tag(i.span(), "from");
                self.guarded(&i.expr, Guard::See);
                self.put(" import ");
                for (index, (name, alias)) in i.names.iter().enumerate() {
                    self.put(if index > 0 { ", " } else { "" });
                    self.target(name);
                    if let Some(alias) = alias {
                        self.put(" as ");
                        self.target(alias);
                    }
                }
                self.end();
            }
            Stmt::Macro(m) => {
                self.tag(m.span(), "macro");
                self.put(m.name);
                self.parameters(m);
                self.body(&m.body, "endmacro");
            }
            Stmt::CallBlock(c) => {
                self.tag(c.span(), "call");
                self.parameters(&c.macro_decl);
                self.put(" ");
                self.call(&c.call);
                self.body(&c.macro_decl.body, "endcall");
            }
            Stmt::Do(d) => {
                self.tag(d.span(), "do");
                self.call(&d.call);
                self.end();
            }
            _ => unreachable!("`stmt` writes the others"),
        }
    }

    fn parameters(&mut self, m: &Macro<'a>) {
        self.put("(");
        let plain = m.args.len() - m.defaults.len();
        for (index, arg) in m.args.iter().enumerate() {
            self.put(if index > 0 { ", " } else { "" });
            self.target(arg);
            if index >= plain {
                self.put("=");
                self.expr(&m.defaults[index - plain]);
            }
        }
        self.put(")");
    }

    /// What is assigned to: a name, `ns.name`, or several with nested ones in parentheses.
    fn target(&mut self, target: &Expr<'a>) {
        let items = match target {
            Expr::List(list) => &list.items,
            Expr::Tuple(tuple) => &tuple.items,
            other => return self.expr(other),
        };
        for item in items {
            let nested = matches!(item, Expr::List(_) | Expr::Tuple(_));
            self.put(if nested { "(" } else { "" });
            self.target(item);
            self.put(if nested { ")" } else { "" });
            self.put(", ");
        }
        if items.len() > 1 {
            self.out.truncate(self.out.len() - 2);
        }
    }

    fn guarded(&mut self, expr: &Expr<'a>, guard: Guard) {
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

    fn expr(&mut self, expr: &Expr<'a>) {
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
                self.put("(");
                self.guarded(&op.left, left);
                self.put(binary(op.op));
                match right {
                    Some(guard) => self.guarded(&op.right, guard),
                    None => self.expr(&op.right),
                }
                self.put(")");
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
                self.guarded(&slice.expr, Guard::Walk);
                self.put("[");
                for (index, part) in [&slice.start, &slice.stop, &slice.step].into_iter().enumerate() {
                    self.put(if index > 0 { ":" } else { "" });
                    if let Some(part) = part {
                        self.guarded(part, Guard::See);
                    }
                }
                self.put("]");
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
            _ => (Guard::See, false, filter.name),
        };
        match &filter.expr {
            Some(inner) => self.guarded(inner, guard),
            // The first of `{% filter upper %}`: what it gets is the text of the block.
            None => {
                let (line, column) = start(whole);
                self.put(&format!("{}({line}, {column})", Guard::See.filter()));
            }
        }
        self.put("|");
        self.put(name);
        if !filter.args.is_empty() {
            self.args(&filter.args, free);
        }
    }

    fn call(&mut self, call: &Call<'a>) {
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
