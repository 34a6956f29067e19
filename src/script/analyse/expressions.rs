//! Expressions, chains of properties, and assignments.

use std::sync::Arc;

use rhai::{ASTFlags, BinaryExpr, Expr, FnCallExpr, OpAssignment, Position, Stmt};

use super::loops::root;
use super::walk::{Walk, written};
use crate::diagnostic::{Diagnostic, closest};
use crate::resource::shape::{Entry, Shape, join_path};
use crate::resource::{Address, Reference, Segment, Type, Value};

/// One step of a chain.
enum Step {
    Key(String, Position),
    At(i64),
    /// Nobody knows where to.
    Somewhere,
}

impl Walk<'_> {
    pub fn expr(&mut self, expr: &Expr) -> Shape {
        if !self.step() {
            return Shape::Any;
        }
        match expr {
            Expr::BoolConstant(value, _) => Shape::Known(Value::Bool(*value)),
            Expr::IntegerConstant(value, _) => Shape::Known(Value::Int(*value)),
            Expr::FloatConstant(value, _) => Shape::Known(Value::Float(**value)),
            Expr::CharConstant(value, _) => Shape::text(value.to_string()),
            Expr::StringConstant(value, _) => Shape::text(value.as_str()),
            Expr::Unit(_) => Shape::Known(Value::Null),
            Expr::InterpolatedString(parts, _) => self.interpolated(parts),
            Expr::Array(items, _) => Shape::List(Arc::new(items.iter().map(|item| self.expr(item)).collect())),
            Expr::Map(map, _) => {
                let mut table = crate::resource::shape::Table::default();
                for (key, value) in &map.0 {
                    let shape = self.expr(value);
                    table.entries.insert(key.name.to_string(), written(shape, self.site(key.pos)));
                }
                Shape::Map(Arc::new(table))
            }
            Expr::DynamicConstant(value, _) if value.is_fnptr() => self.made(value, vec![]),
            Expr::Variable(variable, _, position) if variable.2.is_empty() => self.variable(&variable.1, *position),
            Expr::Variable(variable, ..) => {
                let file = match variable.2.root() {
                    "global" => Some(self.file()),
                    alias => self.files[self.file()].imports.get(alias).copied(),
                };
                let known = file.and_then(|file| self.constants.get(&(file, variable.1.to_string())));
                known.cloned().unwrap_or(Shape::Any)
            }
            Expr::Stmt(block) => self.block_value(block),
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::Dot(chain, flags, position) => self.chain(chain, false, *flags, *position),
            Expr::Index(chain, flags, position) => self.chain(chain, true, *flags, *position),
            Expr::And(items, _) => self.all_of(items, false),
            Expr::Or(items, _) => self.all_of(items, true),
            Expr::Coalesce(items, _) => {
                let mut result = Shape::Known(Value::Null);
                for item in items.iter() {
                    let shape = self.expr(item);
                    result = match &result {
                        Shape::Known(Value::Null) => shape,
                        Shape::Any | Shape::Of(..) => Shape::Any,
                        _ => result,
                    };
                }
                result
            }
            _ => Shape::Any,
        }
    }

    fn block_value(&mut self, block: &rhai::StmtBlock) -> Shape {
        // What a closure captures is shared first: nothing to do, for here all variables can be.
        if let [Stmt::Share(_), Stmt::Expr(expr)] = block.statements() {
            return self.expr(expr);
        }
        let flow = self.block(block);
        self.left |= flow.ends;
        flow.value
    }

    fn interpolated(&mut self, parts: &[Expr]) -> Shape {
        let (mut text, mut known) = (String::new(), true);
        for part in parts {
            match self.expr(part) {
                Shape::Known(value) => text += &value.to_string(),
                other => {
                    other.use_up(self.reads);
                    known = false;
                }
            }
        }
        if known { Shape::text(text) } else { Shape::Text }
    }

    /// `&&`, or `||` which ends at the first that is true.
    fn all_of(&mut self, items: &[Expr], ends_at: bool) -> Shape {
        let (mut decided, mut all) = (false, true);
        for item in items {
            let mut shape = Shape::Any;
            self.dead(decided, |walk| {
                shape = walk.expr(item);
                super::walk::Flow::on(Shape::Any)
            });
            // Nobody knows whether it comes to one behind another.
            self.left &= all;
            // What stands behind it is looked at all the same.
            match shape.as_bool() {
                _ if decided => {}
                Some(value) => decided = value == ends_at,
                None => all = false,
            }
        }
        match (decided, all) {
            (true, _) => Shape::Known(Value::Bool(ends_at)),
            (false, true) => Shape::Known(Value::Bool(!ends_at)),
            (false, false) => Shape::Any,
        }
    }

    fn chain(&mut self, chain: &BinaryExpr, indexing: bool, flags: ASTFlags, position: Position) -> Shape {
        let start = self.expr(&chain.lhs);
        let mut steps = vec![];
        self.follow(start, &chain.rhs, indexing, flags, position, &mut steps, root_variable(&chain.lhs).as_deref())
    }

    /// Goes along a chain; `steps` is the way so far from the variable it begins at, if it does.
    #[expect(clippy::too_many_arguments, reason = "it is one walk along one chain")]
    fn follow(
        &mut self,
        shape: Shape,
        rhs: &Expr,
        indexing: bool,
        flags: ASTFlags,
        position: Position,
        steps: &mut Vec<Step>,
        variable: Option<&str>,
    ) -> Shape {
        let (link, next) = match rhs {
            Expr::Index(inner, more, at) if !flags.contains(ASTFlags::BREAK) => {
                (&inner.lhs, Some((&inner.rhs, true, *more, *at)))
            }
            Expr::Dot(inner, more, at) if !flags.contains(ASTFlags::BREAK) => {
                (&inner.lhs, Some((&inner.rhs, false, *more, *at)))
            }
            last => (last, None),
        };
        let found = self.link(&shape, link, indexing, position, steps, variable);
        match next {
            Some((rhs, indexing, flags, at)) => self.follow(found, rhs, indexing, flags, at, steps, variable),
            None => found,
        }
    }

    fn link(
        &mut self,
        shape: &Shape,
        link: &Expr,
        indexing: bool,
        dot: Position,
        steps: &mut Vec<Step>,
        variable: Option<&str>,
    ) -> Shape {
        match link {
            Expr::Property(property, position) if !indexing => {
                let position = super::or(*position, dot);
                steps.push(Step::Key(property.2.to_string(), position));
                self.property(shape, &property.2, position)
            }
            Expr::MethodCall(call, position) if !indexing => {
                let (found, changed) = self.method_of(shape, call, *position);
                if let (Some(changed), Some(variable)) = (changed, variable) {
                    self.put(variable, steps, changed);
                }
                steps.push(Step::Somewhere);
                found
            }
            index => {
                let at = index.start_position();
                match self.expr(index) {
                    Shape::Known(Value::String(key)) => {
                        steps.push(Step::Key(key.clone(), at));
                        self.property(shape, &key, at)
                    }
                    Shape::Known(Value::Int(index)) => {
                        steps.push(Step::At(index));
                        self.item_at(shape, index, at)
                    }
                    _ => {
                        steps.push(Step::Somewhere);
                        if shape.as_table().is_some() {
                            shape.use_up(self.reads);
                            return Shape::Any;
                        }
                        shape.item(self.reads).unwrap_or(Shape::Any)
                    }
                }
            }
        }
    }

    fn method_of(&mut self, shape: &Shape, call: &FnCallExpr, position: Position) -> (Shape, Option<Shape>) {
        let given: Vec<Shape> = call.args.iter().map(|argument| self.expr(argument)).collect();
        let file = self.file();
        if let Some(function) = self.files[file].functions.get(&(call.name.to_string(), given.len())).cloned() {
            return (self.function(file, &function, given), Some(Shape::Any));
        }
        self.method(shape, &call.name, given, position)
    }

    fn item_at(&mut self, shape: &Shape, index: i64, position: Position) -> Shape {
        match shape {
            Shape::List(items) => {
                let at = if index < 0 { items.len() as i64 + index } else { index };
                if let Some(item) = usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    return item.clone();
                }
                if !self.is_lenient() {
                    let text = format!("there is no item {index} in a list of {}", items.len());
                    self.tell_at(position, Diagnostic::error(text));
                }
                Shape::Any
            }
            Shape::Of(Type::List(_) | Type::Set(_), _) | Shape::Items(_) => {
                shape.item(self.reads).unwrap_or(Shape::Any)
            }
            _ => Shape::Any,
        }
    }

    pub fn property(&mut self, shape: &Shape, name: &str, position: Position) -> Shape {
        match shape {
            Shape::Map(table) => match table.entries.get(name) {
                Some(entry) => {
                    entry.path.iter().for_each(|path| self.reads.key(path));
                    entry.shape.clone()
                }
                None => {
                    if !table.open {
                        let known: Vec<&str> = table.entries.keys().map(String::as_str).collect();
                        self.missing(name, table.path.as_deref(), &known, position);
                    }
                    Shape::Any
                }
            },
            Shape::Resource(kind, of) => {
                let address = Address::new(kind.name.clone(), &**of);
                if let Some(ty) = kind.type_at(&[Segment::Key(name.to_owned())]) {
                    return Shape::Of(ty, Reference::new(address, name));
                }
                let hint = match closest(name, kind.attributes()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known attributes: {}", crate::script::world::attributes(kind)),
                };
                let who = if &**of == "…" { kind.name.to_string() } else { address.to_string() };
                self.tell_at(position, Diagnostic::error(format!("`{who}` has no attribute `{name}`")).hint(hint));
                Shape::Any
            }
            Shape::Of(ty, reference) => self.part(ty, reference, name, position),
            _ => Shape::Any,
        }
    }

    fn part(&mut self, ty: &Type, reference: &Reference, name: &str, position: Position) -> Shape {
        let longer = reference.then(Segment::Key(name.to_owned()));
        match ty {
            Type::Map(inner) => Shape::Of((**inner).clone(), longer),
            Type::Object(fields) => match fields.iter().find(|field| field.name == name) {
                Some(field) => Shape::Of(field.ty.clone(), longer),
                None => {
                    let names: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
                    let told = Diagnostic::error(format!("there is no `{longer}`"));
                    let hint = match closest(name, fields.iter().map(|field| field.name.as_str())) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("`{reference}` has {}", names.join(", ")),
                    };
                    self.tell_at(position, told.hint(hint));
                    Shape::Any
                }
            },
            Type::Any => Shape::Any,
            ty => {
                let told = Diagnostic::error(format!("there is no `{longer}`"));
                self.tell_at(position, told.hint(format!("`{reference}` is: {ty}")));
                Shape::Any
            }
        }
    }

    /// A key that a map does not have.
    fn missing(&mut self, name: &str, path: Option<&str>, known: &[&str], position: Position) {
        let near = closest(name, known.iter().copied());
        let (Some(path), Some(inventory)) = (path, &self.check.inventory) else {
            if !self.is_lenient() {
                let near = near.map(|near| format!("did you mean `{near}`?"));
                self.tell_at(position, Diagnostic::error(format!("this map has no `{name}`")).maybe_hint(near));
            }
            return;
        };
        let text = format!("`{}` is not in the inventory `{}`", join_path(path, name), inventory.name);
        let (file, more) = inventory.files.split_first().map_or(("", &[][..]), |(file, more)| (file.as_str(), more));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`? If not, define it in {file}"),
            None if more.is_empty() => format!("define it in {file}"),
            None => format!("define it in {file} (or a file it extends: {})", more.join(", ")),
        };
        // Where this inventory does not lead, what it lacks is no mistake, unless it looks like one.
        match (self.is_lenient(), near) {
            (false, _) => self.tell_at(position, Diagnostic::error(text).hint(hint)),
            (true, Some(_)) => {
                let told = Diagnostic::warning(text).because("nothing reads it with this inventory");
                self.tell_at(position, told.hint(hint));
            }
            (true, None) => {}
        }
    }

    pub fn assignment(&mut self, operator: &OpAssignment, sides: &BinaryExpr) {
        let value = self.expr(&sides.rhs);
        let value = match operator.get_op_assignment_info() {
            None => value,
            Some((.., "+")) => {
                let before = self.expr(&sides.lhs);
                self.sum(&before, &value)
            }
            Some(_) => {
                self.expr(&sides.lhs);
                value.use_up(self.reads);
                Shape::Any
            }
        };
        let Some(variable) = root(&sides.lhs) else { return };
        let mut steps = vec![];
        self.steps(&sides.lhs, &mut steps);
        if self.place(&variable).is_none() {
            self.variable(&variable, sides.lhs.start_position());
        }
        self.put(&variable, &steps, value);
    }

    /// The way from the variable to what is assigned.
    fn steps(&mut self, target: &Expr, steps: &mut Vec<Step>) {
        let (mut rhs, mut indexing, mut flags) = match target {
            Expr::Dot(chain, flags, _) => (&chain.rhs, false, *flags),
            Expr::Index(chain, flags, _) => (&chain.rhs, true, *flags),
            _ => return,
        };
        loop {
            let (link, next) = match rhs {
                Expr::Index(inner, more, _) if !flags.contains(ASTFlags::BREAK) => {
                    (&inner.lhs, Some((&inner.rhs, true, *more)))
                }
                Expr::Dot(inner, more, _) if !flags.contains(ASTFlags::BREAK) => {
                    (&inner.lhs, Some((&inner.rhs, false, *more)))
                }
                last => (last, None),
            };
            steps.push(match link {
                Expr::Property(property, position) if !indexing => Step::Key(property.2.to_string(), *position),
                Expr::MethodCall(..) => Step::Somewhere,
                index => match self.expr(index) {
                    Shape::Known(Value::String(key)) => Step::Key(key, index.start_position()),
                    Shape::Known(Value::Int(at)) => Step::At(at),
                    _ => Step::Somewhere,
                },
            });
            match next {
                Some((inner, index, more)) => (rhs, indexing, flags) = (inner, index, more),
                None => return,
            }
        }
    }

    /// Puts something into a variable, or into what it holds.
    fn put(&mut self, variable: &str, steps: &[Step], value: Shape) {
        let Some(place) = self.place(variable) else { return };
        let Some(before) = self.state.slots.get(place).cloned() else { return };
        let after = self.with(before, steps, value);
        self.state.slots[place] = after;
    }

    fn with(&mut self, whole: Shape, steps: &[Step], value: Shape) -> Shape {
        let Some((step, rest)) = steps.split_first() else { return value };
        match (whole, step) {
            (Shape::Map(table), Step::Key(key, position)) => {
                let mut table = (*table).clone();
                table.path = None;
                let before = table.entries.get(key).cloned();
                let site = self.site(*position);
                let inner = before.map_or(Shape::Any, |entry| entry.shape);
                let entry = Entry { site: Some(site), ..Entry::new(self.with(inner, rest, value)) };
                table.entries.insert(key.clone(), entry);
                Shape::Map(Arc::new(table))
            }
            (Shape::Map(table), _) => {
                let mut table = (*table).clone();
                (table.path, table.open) = (None, true);
                value.use_up(self.reads);
                // Any of them may have been meant.
                for entry in table.entries.values_mut() {
                    entry.shape.use_up(self.reads);
                    entry.shape = Shape::Any;
                }
                Shape::Map(Arc::new(table))
            }
            (Shape::List(items), Step::At(at)) if usize::try_from(*at).is_ok_and(|at| at < items.len()) => {
                let mut items = (*items).clone();
                let inner = std::mem::replace(&mut items[*at as usize], Shape::Any);
                items[*at as usize] = self.with(inner, rest, value);
                Shape::List(Arc::new(items))
            }
            (other, _) => {
                other.use_up(self.reads);
                value.use_up(self.reads);
                Shape::Any
            }
        }
    }
}

fn root_variable(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Variable(..) => root(expr),
        _ => None,
    }
}
