//! Standard functions and operators, as far as they matter to a check. None of them is called.

use std::sync::Arc;

use rhai::Position;

use super::walk::Walk;
use crate::resource::shape::{Entry, Shape, Table};
use crate::resource::{Type, Value};

/// Functions that leave what they are called on as it is.
pub(super) const PURE: [&str; 52] = [
    "keys",
    "values",
    "get",
    "contains",
    "len",
    "is_empty",
    "map",
    "filter",
    "for_each",
    "some",
    "all",
    "find",
    "find_map",
    "index_of",
    "reduce",
    "reduce_rev",
    "starts_with",
    "ends_with",
    "to_upper",
    "to_lower",
    "sub_string",
    "split",
    "split_rev",
    "to_string",
    "to_json",
    "to_int",
    "to_float",
    "parse_int",
    "parse_float",
    "parse_json",
    "is_known",
    "type_of",
    "extract",
    "chars",
    "bytes",
    "abs",
    "sign",
    "min",
    "max",
    "print",
    "debug",
    "range",
    "call",
    "inventory",
    "output",
    "secret",
    "template",
    "phase",
    "curry",
    "is_shared",
    "to_debug",
    "char_at",
];

impl Walk<'_> {
    /// A method: what it gives, and what it leaves behind of what it was called on, if it changes that.
    pub fn method(&mut self, on: &Shape, name: &str, given: Vec<Shape>, _: Position) -> (Shape, Option<Shape>) {
        let result = match (name, on, given.as_slice()) {
            ("call", Shape::Function(index), _) => self.call_closure(*index, &given),
            ("keys", Shape::Map(table), _) => {
                table.entries.values().flat_map(|entry| &entry.path).for_each(|path| self.reads.key(path));
                match table.open || table.entries.values().any(|entry| entry.maybe) {
                    true => Shape::Items(Arc::new(Shape::Text)),
                    false => Shape::List(Arc::new(table.entries.keys().map(|key| Shape::text(key.as_str())).collect())),
                }
            }
            ("values", Shape::Map(table), _) if !table.open && table.entries.values().all(|entry| !entry.maybe) => {
                table.entries.values().flat_map(|entry| &entry.path).for_each(|path| self.reads.key(path));
                Shape::List(Arc::new(table.entries.values().map(|entry| entry.shape.clone()).collect()))
            }
            ("get", Shape::Map(table), [Shape::Known(Value::String(key))]) => self.got(table, key),
            ("contains", _, [item]) => self.contained(on, item),
            ("len", Shape::List(items), _) => Shape::Known(Value::Int(items.len() as i64)),
            ("len", Shape::Known(Value::String(text)), _) => Shape::Known(Value::Int(text.chars().count() as i64)),
            ("is_empty", Shape::List(items), _) => Shape::Known(Value::Bool(items.is_empty())),
            ("starts_with", Shape::Known(Value::String(a)), [Shape::Known(Value::String(b))]) => {
                Shape::Known(Value::Bool(a.starts_with(b.as_str())))
            }
            ("ends_with", Shape::Known(Value::String(a)), [Shape::Known(Value::String(b))]) => {
                Shape::Known(Value::Bool(a.ends_with(b.as_str())))
            }
            ("to_upper", Shape::Known(Value::String(text)), _) => Shape::text(text.to_uppercase()),
            ("to_lower", Shape::Known(Value::String(text)), _) => Shape::text(text.to_lowercase()),
            ("to_string", Shape::Known(value), _) => Shape::text(value.to_string()),
            ("to_upper" | "to_lower" | "to_string" | "to_json" | "sub_string" | "type_of", ..) => {
                on.use_up(self.reads);
                Shape::Text
            }
            ("map" | "filter" | "for_each" | "some" | "all" | "find", _, [Shape::Function(index), ..]) => {
                return (self.over_items(on, name, *index), None);
            }
            ("push", Shape::List(items), [item]) => {
                let items = items.iter().chain([item]).cloned().collect();
                return (Shape::Known(Value::Null), Some(Shape::List(Arc::new(items))));
            }
            ("push", Shape::Items(inner), [item]) => {
                let item = inner.join(item, self.reads);
                return (Shape::Known(Value::Null), Some(Shape::Items(Arc::new(item))));
            }
            _ => return self.anything(on, name, &given),
        };
        (result, None)
    }

    fn anything(&mut self, on: &Shape, name: &str, given: &[Shape]) -> (Shape, Option<Shape>) {
        on.use_up(self.reads);
        self.passed(given);
        (Shape::Any, (!PURE.contains(&name)).then_some(Shape::Any))
    }

    /// What goes to a function of which nothing more is known: closures are called by it, sometime.
    pub fn passed(&mut self, given: &[Shape]) {
        for shape in given {
            match shape {
                Shape::Function(index) => drop(self.sometimes(*index, &[])),
                other => other.use_up(self.reads),
            }
        }
    }

    fn sometimes(&mut self, index: usize, given: &[Shape]) -> Shape {
        let mut result = Shape::Any;
        self.one_of(2, |walk, way| {
            if way == 1 {
                result = walk.call_closure(index, given);
            }
            super::walk::Flow::on(Shape::Any)
        });
        result
    }

    fn over_items(&mut self, on: &Shape, name: &str, index: usize) -> Shape {
        let number = |index: usize| Shape::Known(Value::Int(index as i64));
        match (on, name) {
            (Shape::List(items), "map" | "for_each") if items.len() <= 200 => {
                let all: Vec<Shape> = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.call_closure(index, &[item.clone(), number(at)]))
                    .collect();
                if name == "map" { Shape::List(Arc::new(all)) } else { Shape::Known(Value::Null) }
            }
            _ => {
                let item = on.item(self.reads);
                let given = [item.clone().unwrap_or(Shape::Any), Shape::Any];
                // A closure over no items is called by nobody.
                self.dead += usize::from(item.is_none());
                let result = self.sometimes(index, &given);
                self.dead -= usize::from(item.is_none());
                match (name, item) {
                    ("map", Some(_)) => Shape::Items(Arc::new(result)),
                    ("filter", Some(item)) => Shape::Items(Arc::new(item)),
                    ("map" | "filter", None) => Shape::List(Arc::default()),
                    _ => Shape::Any,
                }
            }
        }
    }

    /// A key that may be missing.
    fn got(&mut self, table: &Table, key: &str) -> Shape {
        match table.entries.get(key) {
            Some(entry) => {
                entry.path.iter().for_each(|path| self.reads.key(path));
                if entry.maybe { Shape::Any } else { entry.shape.clone() }
            }
            None if table.open => Shape::Any,
            None => Shape::Known(Value::Null),
        }
    }

    /// `item in on`.
    pub fn contained(&mut self, on: &Shape, item: &Shape) -> Shape {
        match (on, item) {
            (Shape::Map(table), Shape::Known(Value::String(key))) => match table.entries.get(key) {
                Some(entry) => {
                    entry.path.iter().for_each(|path| self.reads.key(path));
                    if entry.maybe { Shape::Any } else { Shape::Known(Value::Bool(true)) }
                }
                None if table.open => Shape::Any,
                None => Shape::Known(Value::Bool(false)),
            },
            (Shape::List(items), item) => {
                let all = items.iter().map(Shape::value).collect::<Option<Vec<Value>>>();
                match (all, item.value()) {
                    (Some(all), Some(item)) => Shape::Known(Value::Bool(all.contains(&item))),
                    _ => Shape::Any,
                }
            }
            (Shape::Known(Value::String(text)), Shape::Known(Value::String(part))) => {
                Shape::Known(Value::Bool(text.contains(part.as_str())))
            }
            _ => Shape::Any,
        }
    }

    /// `a + b`.
    pub fn sum(&mut self, a: &Shape, b: &Shape) -> Shape {
        match (a, b) {
            (Shape::Map(a), Shape::Map(b)) => Shape::Map(Arc::new(a.over(b))),
            (Shape::Map(known), other @ (Shape::Any | Shape::Of(..))) => {
                other.use_up(self.reads);
                Shape::Map(Arc::new(opened(known)))
            }
            (Shape::Any, Shape::Map(known)) => Shape::Map(Arc::new(Table { open: true, ..(**known).clone() })),
            (Shape::List(a), Shape::List(b)) => Shape::List(Arc::new(a.iter().chain(b.iter()).cloned().collect())),
            (Shape::List(_) | Shape::Items(_), Shape::List(_) | Shape::Items(_)) => {
                let both = [a.item(self.reads), b.item(self.reads)].into_iter().flatten();
                let item = both.reduce(|a, b| a.join(&b, self.reads));
                item.map_or(Shape::Any, |item| Shape::Items(Arc::new(item)))
            }
            (Shape::List(_) | Shape::Items(_), other) if !matches!(other, Shape::Any | Shape::Of(..)) => {
                let more = Shape::List(Arc::new(vec![other.clone()]));
                self.sum(a, &more)
            }
            (Shape::Known(Value::Int(a)), Shape::Known(Value::Int(b))) => {
                a.checked_add(*b).map_or(Shape::Any, |sum| Shape::Known(Value::Int(sum)))
            }
            (Shape::Known(a), Shape::Known(b)) if matches!(a, Value::String(_)) || matches!(b, Value::String(_)) => {
                Shape::text(format!("{a}{b}"))
            }
            (Shape::Text | Shape::Known(Value::String(_)) | Shape::Of(Type::String, _), other)
            | (other, Shape::Text | Shape::Known(Value::String(_))) => {
                other.use_up(self.reads);
                Shape::Text
            }
            _ => {
                a.use_up(self.reads);
                b.use_up(self.reads);
                Shape::Any
            }
        }
    }

    /// An operator on its operands.
    pub fn operator(&mut self, name: &str, given: &[Shape]) -> Shape {
        let bool = |known: bool| Shape::Known(Value::Bool(known));
        match (name, given) {
            ("contains", [on, item]) => self.contained(on, item),
            ("+", [a, b]) => self.sum(a, b),
            ("!", [a]) => a.as_bool().map_or(Shape::Any, |known| bool(!known)),
            ("==" | "!=", [a, b]) => match (a.value(), b.value()) {
                (Some(a), Some(b))
                    if !matches!((&a, &b), (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_))) =>
                {
                    bool((a == b) == (name == "=="))
                }
                _ => {
                    self.passed(given);
                    Shape::Any
                }
            },
            ("<" | "<=" | ">" | ">=", [Shape::Known(Value::Int(a)), Shape::Known(Value::Int(b))]) => bool(match name {
                "<" => a < b,
                "<=" => a <= b,
                ">" => a > b,
                _ => a >= b,
            }),
            ("-", [Shape::Known(Value::Int(a)), Shape::Known(Value::Int(b))]) => {
                a.checked_sub(*b).map_or(Shape::Any, |rest| Shape::Known(Value::Int(rest)))
            }
            _ => {
                self.passed(given);
                Shape::Any
            }
        }
    }
}

/// A map that anything may have been put over.
fn opened(table: &Table) -> Table {
    let entries = table.entries.iter().map(|(key, entry)| (key.clone(), Entry { shape: Shape::Any, ..entry.clone() }));
    Table { entries: entries.collect(), open: true, path: None }
}
