//! Calls: functions of the script, kinds, lookups, templates.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Expr, FnCallExpr, Position};

use super::inputs::{self, Judged};
use super::walk::Walk;
use crate::diagnostic::{Diagnostic, closest};
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::shape::{Entry, Shape, Table};
use crate::resource::{Address, Kind, Reference, Type, Value};

impl Walk<'_> {
    pub fn call(&mut self, call: &FnCallExpr, position: Position) -> Shape {
        let name = call.name.as_str();
        if name == "curry"
            && let Some((Expr::DynamicConstant(value, _), captured)) = call.args.split_first()
        {
            let captured = captured.iter().map(|argument| self.shared(argument)).collect();
            return self.made(value, captured);
        }
        let given: Vec<Shape> = call.args.iter().map(|argument| self.expr(argument)).collect();
        if call.op_token.is_some() {
            return self.operator(name, &given);
        }
        if !call.namespace.is_empty() {
            return self.qualified(&call.namespace.to_string(), name, given, call, position);
        }
        let file = self.file();
        if let Some(function) = self.files[file].functions.get(&(name.to_owned(), given.len())).cloned() {
            return self.function(file, &function, given);
        }
        self.word(name, given, call, position)
    }

    /// A variable that a closure captures, by its place.
    fn shared(&mut self, argument: &Expr) -> usize {
        let place = match argument {
            Expr::Variable(variable, ..) => self.place(&variable.1),
            _ => None,
        };
        match place {
            Some(place) => place,
            None => {
                let shape = self.expr(argument);
                self.slot(shape)
            }
        }
    }

    /// Our own functions without a namespace, and the standard ones.
    fn word(&mut self, name: &str, given: Vec<Shape>, call: &FnCallExpr, position: Position) -> Shape {
        match (name, given.as_slice()) {
            ("inventory", []) => self.inventory.clone(),
            ("phase", [_, Shape::Function(body)]) => self.call_closure(*body, &[]),
            ("secret", [name]) => {
                if let (Some(name), Some(inventory)) = (name.as_text(), &self.check.inventory) {
                    let known = &inventory.secrets;
                    if !known.iter().any(|one| one == name) {
                        let told =
                            Diagnostic::error(format!("the inventory `{}` names no secret `{name}`", inventory.name));
                        let hint = match closest(name, known.iter().map(String::as_str)) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!(
                                "say where it is: `[secrets]` with `{name} = {{ env = \"…\" }}`, or file, secretsmanager, ssm"
                            ),
                        };
                        let at = call.args.first().map_or(position, |argument| argument.start_position());
                        if !self.is_lenient() || hint.starts_with("did") {
                            self.tell_at(at, told.hint(hint));
                        }
                    }
                }
                Shape::Of(Type::String, Reference::secret(name.as_text().unwrap_or("…")))
            }
            ("template", [path, rest @ ..]) => {
                let empty = Shape::Map(Arc::default());
                let at = call.args.first().map_or(position, |argument| argument.start_position());
                self.template(path, rest.first().unwrap_or(&empty), at);
                Shape::Text
            }
            ("is_known", _) => Shape::Any,
            ("Fn", _) => Shape::Any,
            ("call", [Shape::Function(index), rest @ ..]) => self.call_closure(*index, rest),
            // Called as a function, a method changes its first argument just the same.
            (_, [on, rest @ ..]) if call.args.first().is_some_and(|first| super::loops::root(first).is_some()) => {
                let (found, changed) = self.method(on, name, rest.to_vec(), position);
                if let (Some(changed), Some(Expr::Variable(variable, ..))) = (changed, call.args.first())
                    && let Some(place) = self.place(&variable.1)
                {
                    self.state.slots[place] = changed;
                }
                found
            }
            _ => {
                self.passed(&given);
                Shape::Any
            }
        }
    }

    fn template(&mut self, path: &Shape, given: &Shape, at: Position) {
        let Some(name) = path.as_text() else { return given.use_up(self.reads) };
        let site = self.site(at);
        for mut told in self.check.templates.check(name, given, self.reads) {
            let label = if told.places.is_empty() { "" } else { "used here" };
            told = told.at(&site, label);
            let place = told.places[0].site.clone();
            // With what is given where nobody gets with this inventory, a template may lack anything.
            if self.dead == 0
                || place == site
                || told.summary.contains("there is no")
                || told.summary.contains("syntax")
            {
                self.tell(place, told);
            }
        }
    }

    fn qualified(
        &mut self,
        space: &str,
        name: &str,
        given: Vec<Shape>,
        call: &FnCallExpr,
        position: Position,
    ) -> Shape {
        let file = self.file();
        if let Some(module) = self.files[file].imports.get(space).copied() {
            return match self.files[module].functions.get(&(name.to_owned(), given.len())).cloned() {
                Some(function) => self.function(module, &function, given),
                None => Shape::Any,
            };
        }
        let full = format!("{space}::{name}");
        let check = self.check;
        if let Some(kind) = check.kinds.iter().find(|kind| *kind.name == *full).filter(|_| given.len() >= 2) {
            return self.kind(kind, given, call, position);
        }
        if let Some(compound) = check.compounds.iter().find(|one| *one.name == *full).filter(|_| given.len() >= 2) {
            return self.compound(compound, given, call, position);
        }
        if let Some(lookup) = check.lookups.iter().find(|one| *one.name == *full) {
            return self.lookup(lookup, given, call, position);
        }
        self.passed(&given);
        Shape::Any
    }

    /// The name of what a call declares, if it is known.
    fn named(&mut self, callee: &str, name: &Shape, call: &FnCallExpr) -> Option<String> {
        let wrong = match name {
            Shape::Known(Value::String(name)) if !name.is_empty() => return Some(name.clone()),
            Shape::Known(Value::String(_)) => format!("{callee}: the name is empty"),
            Shape::Known(_) | Shape::List(_) | Shape::Map(_) if self.dead == 0 => {
                format!("{callee}: the first argument is the resource's name, a string")
            }
            _ => return None,
        };
        let at = call.args.first().map_or(Position::NONE, |argument| argument.start_position());
        self.tell_at(at, Diagnostic::error(wrong));
        None
    }

    fn kind(&mut self, kind: &Arc<Kind>, given: Vec<Shape>, call: &FnCallExpr, position: Position) -> Shape {
        given.iter().for_each(|shape| shape.use_up(self.reads));
        let name = self.named(&kind.name, &given[0], call);
        let address = Address::new(kind.name.clone(), name.as_deref().unwrap_or("…"));
        let site = self.site(position);
        let told = inputs::of_kind(kind, name.as_deref(), &given[1], self.check.kinds, self.dead == 0);
        self.mistakes(&address, told, &given[1], &site);
        if let Some(options) = given.get(2) {
            let told = inputs::of_options(kind, options);
            self.mistakes(&address, told, options, &site);
        }
        if name.is_some() && self.dead == 0 {
            match self.state.declared.get(&address) {
                Some(first) if *first != site || self.uncertain == 0 => {
                    let told = Diagnostic::error(format!("`{address}` is declared twice"))
                        .at(&site, "declared again here")
                        .at(first, "first declared here")
                        .hint("give one of them another name");
                    self.tell(site.clone(), told);
                }
                Some(_) => {}
                None => drop(self.state.declared.insert(address, site)),
            }
        }
        Shape::Resource(kind.clone(), name.as_deref().unwrap_or("…").into())
    }

    fn mistakes(&mut self, address: &Address, judged: Judged, shape: &Shape, call: &crate::diagnostic::Site) {
        let who = if &*address.name == "…" { address.kind.to_string() } else { address.to_string() };
        for mistake in judged {
            let site = inputs::place(shape, &mistake.path).unwrap_or_else(|| call.clone());
            let path = if mistake.path.is_empty() { String::new() } else { format!("`{}`: ", mistake.path) };
            let mut told = Diagnostic::error(format!("{who}: {path}{}", mistake.what)).at(&site, "");
            if site != *call {
                told = told.at(call, "declared here");
            }
            self.tell(site, told.maybe_hint(mistake.hint));
        }
    }

    fn compound(&mut self, compound: &Compound, given: Vec<Shape>, call: &FnCallExpr, position: Position) -> Shape {
        given.iter().for_each(|shape| shape.use_up(self.reads));
        let name = self.named(&compound.name, &given[0], call);
        let address = Address::new(compound.name.clone(), name.as_deref().unwrap_or("…"));
        let site = self.site(position);
        let told = inputs::of_fields(&compound.inputs, &given[1], self.check.kinds);
        self.mistakes(&address, told, &given[1], &site);
        if let Some(table) = given[1].as_table() {
            if let Some(entry) = table.entries.get("file")
                && let Some(file) = entry.shape.as_text()
                && let Err(wrong) = self.check.templates.plain(file)
            {
                let at = entry.site.clone().unwrap_or_else(|| site.clone());
                self.tell(at.clone(), wrong.at(&at, ""));
            }
            let sources: Vec<&str> = crate::script::compounds::SOURCES
                .into_iter()
                .filter(|name| {
                    table.entries.get(*name).is_some_and(|entry| !matches!(entry.shape, Shape::Known(Value::Null)))
                })
                .collect();
            let certain = !table.open && table.entries.values().all(|entry| !entry.maybe);
            if certain && sources.len() != 1 {
                let what = match sources.as_slice() {
                    [] => "none is given".to_owned(),
                    all => format!("{} are given", all.join(" and ")),
                };
                let told = format!("{address}: one of `yaml`, `file` and `url` says what it is; {what}");
                self.tell_at(position, Diagnostic::error(told));
            }
        }
        Shape::Any
    }

    fn lookup(&mut self, lookup: &Lookup, given: Vec<Shape>, call: &FnCallExpr, position: Position) -> Shape {
        given.iter().for_each(|shape| shape.use_up(self.reads));
        let mut table = Table::default();
        for ((field, shape), argument) in lookup.parameters.iter().zip(&given).zip(&call.args) {
            let site = self.site(argument.start_position());
            table.entries.insert(field.name.clone(), Entry { site: Some(site), ..Entry::new(shape.clone()) });
        }
        let all = Shape::Map(Arc::new(table));
        for mistake in inputs::of_fields(&lookup.parameters, &all, self.check.kinds) {
            let site = inputs::place(&all, &mistake.path).unwrap_or_else(|| self.site(position));
            let told = Diagnostic::error(format!("{}: `{}`: {}", lookup.name, mistake.path, mistake.what));
            self.tell(site.clone(), told.at(&site, "").maybe_hint(mistake.hint));
        }
        let address = Address::new(lookup.name.clone(), "…");
        let entry = |name: &str, ty: &Type| Entry::new(Shape::Of(ty.clone(), Reference::new(address.clone(), name)));
        let entries: BTreeMap<String, Entry> =
            lookup.returns.iter().map(|output| (output.name.clone(), entry(&output.name, &output.ty))).collect();
        match entries.is_empty() {
            true => Shape::Any,
            false => Shape::Map(Arc::new(Table { entries, ..Table::default() })),
        }
    }
}
