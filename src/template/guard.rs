//! Makes seeing explicit: a template is parsed and written anew, with a guard around every place where a value is
//! looked at rather than passed on.
//!
//! The engine has no hook for `x == "a"` or for text captured by `{% set %}`, so nothing but the syntax tells where a
//! value would be seen. What is written anew keeps its line numbers, and its delimiters are characters that no file
//! holds, so that raw text needs no escaping. The guards are filters; [`super::render`] defines them.

use std::collections::BTreeSet;

use minijinja::Error;
use minijinja::machinery::Span;
use minijinja::machinery::ast::{Expr, Macro, Stmt};
use minijinja::syntax::SyntaxConfig;

use super::expr::Guard;
use super::trace::Marks;
use super::tree::Names;

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

/// The template with its guards; with marks that tell where its lines come from, if there is a file to name in them.
pub fn guard(source: &str, name: &str, trace: Option<(&Marks, &str)>) -> Result<String, Error> {
    let template = super::limits::parse(source, name)?;
    let mut names = Names::default();
    names.stmt(&template);
    let macros = names.macros.difference(&names.others).copied().collect();
    let modules =
        names.modules.difference(&names.others).filter(|name| !names.macros.contains(*name)).copied().collect();
    let mut writer =
        Writer { out: String::with_capacity(source.len() * 2), line: 1, macros, modules, trace, captured: 0 };
    writer.stmt(&template);
    Ok(writer.out)
}

pub(super) struct Writer<'a> {
    out: String,
    /// The line at the end of `out`.
    line: usize,
    pub(super) macros: BTreeSet<&'a str>,
    pub(super) modules: BTreeSet<&'a str>,
    trace: Option<(&'a Marks, &'a str)>,
    /// How many blocks are open whose text the template gets hold of.
    captured: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn put(&mut self, text: &str) {
        self.line += text.matches('\n').count();
        self.out.push_str(text);
    }

    /// Inside a tag: goes down to the line on which something stood.
    pub(super) fn down(&mut self, span: Span) {
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

    fn comes_from(&mut self, line: usize) {
        if let Some((marks, file)) = self.trace.filter(|(marks, _)| self.captured == 0 || !marks.outside_only) {
            self.put(&marks.mark(file, line));
        }
    }

    fn raw(&mut self, text: &str, line: usize) {
        for (index, part) in text.split_inclusive('\n').enumerate() {
            self.comes_from(line + index);
            self.put(part);
        }
    }

    fn captured(&mut self, stmts: &[Stmt<'a>], close: &str) {
        self.captured += 1;
        self.body(stmts, close);
        self.captured -= 1;
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
                self.raw(raw.raw, raw.span().start_line.into());
            }
            Stmt::EmitExpr(emit) => {
                self.comes_from(emit.span().start_line.into());
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
                self.put(" = (");
                self.expr(&s.expr);
                // Only what is kept from one round of a loop to the next can grow without an end.
                self.put(if keeps(&s.target) { ")|__bounded" } else { ")" });
                self.end();
            }
            Stmt::SetBlock(s) => {
                self.tag(s.span(), "set");
                self.target(&s.target);
                if let Some(filter) = &s.filter {
                    self.put(" | ");
                    self.expr(filter);
                }
                self.captured(&s.body, "endset");
            }
            Stmt::AutoEscape(a) => {
                self.tag(a.span(), "autoescape");
                self.guarded(&a.enabled, Guard::See);
                self.body(&a.body, "endautoescape");
            }
            Stmt::FilterBlock(f) => {
                self.tag(f.span(), "filter");
                self.expr(&f.filter);
                self.captured(&f.body, "endfilter");
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
                // A required block may hold nothing, marks included.
                let trace = if b.required { self.trace.take() } else { None };
                self.body(&b.body, "endblock");
                self.trace = self.trace.or(trace);
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
                self.captured(&m.body, "endmacro");
            }
            Stmt::CallBlock(c) => {
                self.tag(c.span(), "call");
                self.parameters(&c.macro_decl);
                self.put(" ");
                self.call(&c.call);
                self.captured(&c.macro_decl.body, "endcall");
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
}

/// True if an attribute is assigned to: one of a namespace.
fn keeps(target: &Expr) -> bool {
    match target {
        Expr::GetAttr(_) => true,
        Expr::List(list) => list.items.iter().any(keeps),
        Expr::Tuple(tuple) => tuple.items.iter().any(keeps),
        _ => false,
    }
}
