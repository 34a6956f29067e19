//! What is wrong with a template before it is rendered: its syntax, the templates it asks for, and the names it reads that
//! it is not given. Nothing is rendered; a branch that is not taken with what is known is looked at with leniency.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::limits;
use minijinja::ErrorKind;
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CompareOpKind, Expr, Macro, Stmt, UnaryOpKind};

use super::asked::bodies;
use super::known::{GLOBALS, compared, end, parameters, strange_word, truth, variable};
use super::{Templates, mistake, tree};
use crate::diagnostic::{Diagnostic, Diagnostics, Site, closest};
use crate::resource::shape::{Entry, Reads, Shape, Table};
use crate::resource::{Segment, Type, Value};

const DEEPEST: usize = 16;

impl Templates {
    /// What is wrong with the template `name`, given these. What it reads of an inventory is noted in `reads`.
    pub fn check(&self, name: &str, given: &Shape, reads: &Reads) -> Diagnostics {
        let mut texts = BTreeMap::new();
        let mut found = vec![];
        self.gather(name, &mut texts, &mut found);
        let mut parsed = BTreeMap::new();
        for (name, text) in &texts {
            match limits::parse(text, name) {
                Ok(template) => drop(parsed.insert(name.as_str(), template)),
                Err(error) => {
                    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                    let told = Diagnostic::error(format!("syntax error in template `{name}`: {what}"));
                    found.push(told.at(&mistake::site(&error, self, name), ""));
                }
            }
        }
        let mut walk = Walk {
            templates: self,
            parsed: &parsed,
            reads,
            found,
            file: "",
            scopes: vec![],
            macros: BTreeMap::new(),
            open: false,
            lenient: 0,
            depth: 0,
        };
        if let Some((name, template)) = parsed.get_key_value(name) {
            walk.file = name;
            walk.open = given.as_table().is_none_or(|table| table.open) && !matches!(given, Shape::Known(Value::Null));
            let entries = given.as_table().map(|table| table.entries.clone()).unwrap_or_default();
            walk.scopes.push(entries);
            walk.stmt(template);
        } else {
            given.use_up(reads);
        }
        walk.found
    }
}

type Scope = BTreeMap<String, Entry>;
type Parsed<'a> = BTreeMap<&'a str, Stmt<'a>>;

struct Walk<'w, 'a> {
    templates: &'w Templates,
    parsed: &'w Parsed<'a>,
    reads: &'w Reads,
    found: Diagnostics,
    file: &'a str,
    scopes: Vec<Scope>,
    /// Macros by the names they are called, `module.name` those of a module.
    macros: BTreeMap<String, (&'a str, &'w Macro<'a>)>,
    /// More may be given than is known.
    open: bool,
    /// What is missing is no mistake here.
    lenient: usize,
    depth: usize,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn all(&mut self, stmts: &'w [Stmt<'a>]) {
        stmts.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn scoped(&mut self, scope: Scope, stmts: &'w [Stmt<'a>]) {
        self.scopes.push(scope);
        self.all(stmts);
        self.scopes.pop();
    }

    fn leniently(&mut self, lenient: bool, run: impl FnOnce(&mut Self)) {
        self.lenient += usize::from(lenient);
        run(self);
        self.lenient -= usize::from(lenient);
    }

    fn set(&mut self, target: &Expr<'a>, shape: Shape) {
        match target {
            Expr::Var(var) => {
                let scope = self.scopes.last_mut().expect("there is always a scope");
                scope.insert(var.id.to_owned(), Entry::new(shape));
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.set(item, Shape::Any)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.set(item, Shape::Any)),
            _ => {}
        }
    }

    fn stmt(&mut self, stmt: &'w Stmt<'a>) {
        match stmt {
            Stmt::EmitExpr(emit) => self.used(&emit.expr),
            Stmt::ForLoop(l) => {
                let list = self.expr(&l.iter);
                let item = list.item(self.reads);
                let never = item.is_none();
                self.scopes.push(Scope::new());
                self.set(&l.target, item.unwrap_or(Shape::Any));
                self.leniently(never, |walk| {
                    l.filter_expr.iter().for_each(|filter| walk.used(filter));
                    walk.all(&l.body);
                });
                self.scopes.pop();
                self.all(&l.else_body);
            }
            Stmt::IfCond(c) => {
                let known = truth(&self.expr(&c.expr));
                self.leniently(known == Some(false), |walk| walk.all(&c.true_body));
                self.leniently(known == Some(true), |walk| walk.all(&c.false_body));
            }
            Stmt::WithBlock(w) => {
                self.scopes.push(Scope::new());
                for (target, value) in &w.assignments {
                    let shape = self.expr(value);
                    self.set(target, shape);
                }
                self.all(&w.body);
                self.scopes.pop();
            }
            Stmt::Set(s) => {
                let shape = self.expr(&s.expr);
                self.set(&s.target, shape);
            }
            Stmt::SetBlock(s) => {
                self.all(&s.body);
                self.set(&s.target, Shape::Text);
            }
            Stmt::FromImport(i) => self.take_macros(i),
            Stmt::Import(i) => {
                if let (Some(name), Expr::Var(alias)) = (self.expr(&i.expr).as_text(), &i.name) {
                    for (macro_name, of) in self.macros_of(name) {
                        self.macros.insert(format!("{}.{macro_name}", alias.id), of);
                    }
                }
                self.set(&i.name, Shape::Any);
            }
            Stmt::Include(i) => {
                if let Some(name) = self.expr(&i.name).as_text() {
                    self.other(name);
                }
            }
            Stmt::Extends(e) => {
                if let Some(name) = self.expr(&e.name).as_text() {
                    self.other(name);
                }
            }
            Stmt::Macro(m) => drop(self.macros.insert(m.name.to_owned(), (self.file, m))),
            Stmt::CallBlock(c) => {
                self.call(&c.call);
                let scope = parameters(&c.macro_decl);
                self.scoped(scope, &c.macro_decl.body);
            }
            Stmt::Do(d) => drop(self.call(&d.call)),
            Stmt::Template(t) => {
                // A macro may be called above the place where it stands.
                for stmt in &t.children {
                    if let Stmt::Macro(m) = stmt {
                        self.macros.insert(m.name.to_owned(), (self.file, m));
                    }
                }
                self.all(&t.children);
            }
            other => bodies(other).into_iter().for_each(|body| self.all(body)),
        }
    }

    /// Another template, with the same names.
    fn other(&mut self, name: &str) {
        if let Some((name, template)) = self.parsed.get_key_value(name).filter(|_| self.depth < DEEPEST) {
            let file = std::mem::replace(&mut self.file, name);
            self.depth += 1;
            self.stmt(template);
            self.depth -= 1;
            self.file = file;
        }
    }

    fn macros_of(&self, name: &str) -> Vec<(String, (&'a str, &'w Macro<'a>))> {
        let Some((name, Stmt::Template(t))) = self.parsed.get_key_value(name) else { return vec![] };
        let is_macro = |stmt: &'w Stmt<'a>| match stmt {
            Stmt::Macro(m) => Some((m.name.to_owned(), (*name, &**m))),
            _ => None,
        };
        t.children.iter().filter_map(is_macro).collect()
    }

    fn take_macros(&mut self, i: &'w minijinja::machinery::ast::FromImport<'a>) {
        let shape = self.expr(&i.expr);
        let there = shape.as_text().map(|name| self.macros_of(name)).unwrap_or_default();
        self.set_in(shape.as_text());
        for (name, alias) in &i.names {
            let (Expr::Var(name), Expr::Var(alias)) = (name, alias.as_ref().unwrap_or(name)) else { continue };
            match there.iter().find(|(known, _)| known == name.id) {
                Some((_, of)) => drop(self.macros.insert(alias.id.to_owned(), *of)),
                None => drop(self.scopes.last_mut().map(|s| s.insert(alias.id.to_owned(), Entry::new(Shape::Any)))),
            }
        }
        for (name, of) in there {
            // What a macro calls of its own file.
            self.macros.entry(name).or_insert(of);
        }
    }

    /// What a template that is imported sets, its macros see.
    fn set_in(&mut self, name: Option<&str>) {
        let Some(Stmt::Template(t)) = name.and_then(|name| self.parsed.get(name)) else { return };
        for stmt in &t.children {
            match stmt {
                Stmt::Set(s) => self.set(&s.target, Shape::Any),
                Stmt::SetBlock(s) => self.set(&s.target, Shape::Any),
                _ => {}
            }
        }
    }

    fn used(&mut self, expr: &'w Expr<'a>) {
        let shape = self.expr(expr);
        shape.use_up(self.reads);
    }

    fn expr(&mut self, expr: &'w Expr<'a>) -> Shape {
        match expr {
            Expr::Var(var) => self.name(var.id, expr),
            Expr::Const(constant) => {
                serde_json::to_value(&constant.value).map_or(Shape::Any, |json| Shape::from(&Value::from(json)))
            }
            Expr::GetAttr(get) => {
                let shape = self.expr(&get.expr);
                self.attribute(&shape, get.name, expr)
            }
            Expr::GetItem(get) => {
                let shape = self.expr(&get.expr);
                let key = self.expr(&get.subscript_expr);
                match (key, &shape) {
                    (Shape::Known(Value::String(key)), _) => self.attribute(&shape, &key, expr),
                    (_, Shape::Map(_)) => {
                        shape.use_up(self.reads);
                        Shape::Any
                    }
                    _ => shape.item(self.reads).unwrap_or(Shape::Any),
                }
            }
            Expr::Slice(slice) => {
                self.used(&slice.expr);
                Shape::Any
            }
            Expr::UnaryOp(op) => {
                let shape = self.expr(&op.expr);
                match (&op.op, truth(&shape)) {
                    (UnaryOpKind::Not, Some(known)) => Shape::Known(Value::Bool(!known)),
                    _ => Shape::Any,
                }
            }
            Expr::BinOp(op) => self.operator(&op.op, &op.left, &op.right),
            Expr::Compare(compare) => {
                let left = self.expr(&compare.expr);
                let mut rights: Vec<(&CompareOpKind, Shape)> = vec![];
                for op in &compare.ops {
                    rights.push((&op.op, self.expr(&op.expr)));
                }
                match rights.as_slice() {
                    [(op, right)] => compared(op, &left, right),
                    _ => Shape::Any,
                }
            }
            Expr::IfExpr(cond) => {
                let known = truth(&self.expr(&cond.test_expr));
                let (mut one, mut other) = (Shape::Any, Shape::Any);
                self.leniently(known == Some(false), |walk| one = walk.expr(&cond.true_expr));
                self.leniently(known == Some(true), |walk| {
                    other = cond.false_expr.as_ref().map_or(Shape::Any, |other| walk.expr(other));
                });
                match known {
                    Some(true) => one,
                    Some(false) => other,
                    None => one.join(&other, self.reads),
                }
            }
            Expr::Filter(filter) => {
                let lenient = matches!(filter.name, "default" | "d");
                self.leniently(lenient, |walk| filter.expr.iter().for_each(|inner| walk.used(inner)));
                self.arguments(&filter.args);
                self.word(filter.name, ErrorKind::UnknownFilter, expr);
                match filter.name {
                    "quote" | "to_json" | "to_yaml" | "indent" | "b64encode" | "sha256" | "upper" | "lower"
                    | "trim" | "replace" | "join" => Shape::Text,
                    _ => Shape::Any,
                }
            }
            Expr::Test(test) => {
                let lenient = matches!(test.name, "defined" | "undefined");
                let mut shape = Shape::Any;
                self.leniently(lenient, |walk| shape = walk.expr(&test.expr));
                self.arguments(&test.args);
                self.word(test.name, ErrorKind::UnknownTest, expr);
                Shape::Any
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                Shape::List(Arc::new(list.items.iter().map(|item| self.expr(item)).collect::<Vec<_>>()))
            }
            Expr::Tuple(tuple) => Shape::List(Arc::new(tuple.items.iter().map(|item| self.expr(item)).collect())),
            Expr::Map(map) => {
                let mut table = Table::default();
                for (key, value) in map.keys.iter().zip(&map.values) {
                    let (key, shape) = (self.expr(key), self.expr(value));
                    match key.as_text() {
                        Some(key) => drop(table.entries.insert(key.to_owned(), Entry::new(shape))),
                        None => table.open = true,
                    }
                }
                Shape::Map(Arc::new(table))
            }
        }
    }

    fn arguments(&mut self, args: &'w [CallArg<'a>]) {
        for arg in args {
            let (CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr)) =
                arg;
            self.used(expr);
        }
    }

    fn operator(&mut self, op: &BinOpKind, left: &'w Expr<'a>, right: &'w Expr<'a>) -> Shape {
        let a = self.expr(left);
        let known = truth(&a);
        let mut b = Shape::Any;
        let skipped = matches!((op, known), (BinOpKind::ScAnd, Some(false)) | (BinOpKind::ScOr, Some(true)));
        self.leniently(skipped, |walk| b = walk.expr(right));
        match op {
            BinOpKind::ScAnd if known == Some(false) => Shape::Known(Value::Bool(false)),
            BinOpKind::ScOr if known == Some(true) => Shape::Known(Value::Bool(true)),
            BinOpKind::ScAnd | BinOpKind::ScOr => {
                known.and_then(|_| truth(&b)).map_or(Shape::Any, |known| Shape::Known(Value::Bool(known)))
            }
            BinOpKind::Eq => compared(&CompareOpKind::Eq, &a, &b),
            BinOpKind::Ne => compared(&CompareOpKind::Ne, &a, &b),
            BinOpKind::Concat => Shape::Text,
            _ => {
                a.use_up(self.reads);
                b.use_up(self.reads);
                Shape::Any
            }
        }
    }

    fn call(&mut self, call: &'w Call<'a>) -> Shape {
        let name = match &call.expr {
            Expr::Var(var) => Some(var.id.to_owned()),
            Expr::GetAttr(get) => match &get.expr {
                Expr::Var(var) => Some(format!("{}.{}", var.id, get.name)),
                _ => None,
            },
            _ => None,
        };
        if let Some((file, m)) = name.as_ref().and_then(|name| self.macros.get(name)).copied() {
            self.macro_call(file, m, &call.args);
            return Shape::Text;
        }
        match &call.expr {
            // A method, of a map mostly.
            Expr::GetAttr(get) => {
                let shape = self.expr(&get.expr);
                if !matches!(get.name, "get" | "keys") {
                    shape.use_up(self.reads);
                } else if let Some(table) = shape.as_table() {
                    table.entries.values().flat_map(|entry| &entry.path).for_each(|path| self.reads.key(path));
                }
            }
            other => drop(self.expr(other)),
        }
        self.arguments(&call.args);
        Shape::Any
    }

    fn macro_call(&mut self, file: &'a str, m: &'w Macro<'a>, args: &'w [CallArg<'a>]) {
        let mut scope = parameters(m);
        for (index, arg) in args.iter().enumerate() {
            let (name, expr) = match arg {
                CallArg::Pos(expr) => (m.args.get(index).and_then(variable), expr),
                CallArg::Kwarg(name, expr) => (Some(*name), expr),
                CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => (None, expr),
            };
            let shape = self.expr(expr);
            match name.filter(|name| scope.contains_key(*name)) {
                Some(name) => drop(scope.insert(name.to_owned(), Entry::new(shape))),
                None => shape.use_up(self.reads),
            }
        }
        if self.depth >= DEEPEST {
            return;
        }
        // It sees also what was there where it was imported.
        let outer = std::mem::replace(&mut self.file, file);
        self.depth += 1;
        self.scoped(scope, &m.body);
        self.depth -= 1;
        self.file = outer;
    }

    fn name(&mut self, name: &str, expr: &Expr<'a>) -> Shape {
        if let Some(entry) = self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            entry.path.iter().for_each(|path| self.reads.key(path));
            return entry.shape.clone();
        }
        if !self.open && !GLOBALS.contains(&name) && !self.macros.contains_key(name) {
            let known: Vec<String> = self.scopes.iter().flat_map(|scope| scope.keys().cloned()).collect();
            self.undefined(name, &known, tree::start(expr));
        }
        Shape::Any
    }

    fn attribute(&mut self, shape: &Shape, name: &str, expr: &Expr<'a>) -> Shape {
        let known: Vec<String> = match shape {
            Shape::Map(table) => match table.entries.get(name) {
                Some(entry) => {
                    entry.path.iter().for_each(|path| self.reads.key(path));
                    return entry.shape.clone();
                }
                None if table.open => return Shape::Any,
                None => table.entries.keys().cloned().collect(),
            },
            Shape::Resource(kind, of) => match kind.type_at(&[Segment::Key(name.to_owned())]) {
                Some(ty) => {
                    let address = crate::resource::Address::new(kind.name.clone(), &**of);
                    return Shape::Of(ty, crate::resource::Reference::new(address, name));
                }
                None => kind.attributes().map(str::to_owned).collect(),
            },
            Shape::Of(Type::Object(fields), reference) => match fields.iter().find(|field| field.name == name) {
                Some(field) => {
                    return Shape::Of(field.ty.clone(), reference.clone().then(Segment::Key(name.to_owned())));
                }
                None => fields.iter().map(|field| field.name.clone()).collect(),
            },
            _ => return Shape::Any,
        };
        self.undefined(name, &known, end(expr));
        Shape::Any
    }

    fn undefined(&mut self, name: &str, known: &[String], at: (usize, usize)) {
        if self.lenient > 0 {
            return;
        }
        let hint = match closest(name, known.iter().map(String::as_str)) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => Some(format!("defined are: {}", known.join(", "))),
        };
        let told = Diagnostic::error(format!("`{name}` is not defined")).at(&self.site(at), "").maybe_hint(hint);
        if !self.found.contains(&told) {
            self.found.push(told);
        }
    }

    fn word(&mut self, name: &str, kind: ErrorKind, expr: &Expr<'a>) {
        let span = expr.span();
        let site = self.site((span.start_line.into(), usize::from(span.start_col) + 1));
        if let Some(told) = strange_word(name, kind, &site).filter(|told| !self.found.contains(told)) {
            self.found.push(told);
        }
    }

    fn site(&self, (line, column): (usize, usize)) -> Site {
        Site::new(self.templates.label(self.file), line as u32, column as u32)
    }
}
