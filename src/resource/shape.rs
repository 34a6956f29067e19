//! What is known of a value before anything runs: what a check has in the place of values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Kind, Map, Reference, Segment, Type, Value};
use crate::diagnostic::Site;

#[derive(Clone, Debug)]
pub enum Shape {
    /// Nothing is known.
    Any,
    /// This very value: no list, no map.
    Known(Value),
    /// Some text.
    Text,
    /// Some value of this type, which only a provider can tell.
    Of(Type, Reference),
    /// A resource, by its kind and its name; `…` if that is not known.
    Resource(Arc<Kind>, Arc<str>),
    List(Arc<Vec<Shape>>),
    /// A list of any length.
    Items(Arc<Shape>),
    Map(Arc<Table>),
    /// A function of the script, by a number that only the script knows.
    Function(usize),
}

/// What is known of a map.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub entries: BTreeMap<String, Entry>,
    /// There may be more in it.
    pub open: bool,
    /// Where it stands in the inventory, if it is a table of that.
    pub path: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub shape: Shape,
    /// It may be missing.
    pub maybe: bool,
    /// Where it stands in the inventory.
    pub path: Option<String>,
    /// Where an author wrote its key.
    pub site: Option<Site>,
}

impl Entry {
    pub fn new(shape: Shape) -> Self {
        Entry { shape, maybe: false, path: None, site: None }
    }
}

/// What is read of an inventory.
#[derive(Debug, Default)]
pub struct Reads(Mutex<BTreeSet<(String, bool)>>);

impl Reads {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<(String, bool)>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The value at this path.
    pub fn key(&self, path: &str) {
        self.lock().insert((path.to_owned(), false));
    }

    /// All that is in the table at this path.
    pub fn whole(&self, path: &str) {
        self.lock().insert((path.to_owned(), true));
    }

    pub fn has(&self, path: &str) -> bool {
        self.lock().contains(&(path.to_owned(), false))
    }

    pub fn has_whole(&self, path: &str) -> bool {
        self.lock().contains(&(path.to_owned(), true))
    }
}

pub fn join_path(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

impl Shape {
    /// An inventory, or a table of it, with the place of everything in it.
    pub fn of_inventory(values: &Map, path: &str) -> Shape {
        let entries = values.iter().map(|(key, value)| {
            let inner = join_path(path, key);
            let shape = match value {
                Value::Map(map) => Shape::of_inventory(map, &inner),
                other => Shape::from(other),
            };
            (key.clone(), Entry { path: Some(inner), ..Entry::new(shape) })
        });
        Shape::Map(Arc::new(Table { entries: entries.collect(), open: false, path: Some(path.to_owned()) }))
    }

    pub fn text(text: impl Into<String>) -> Shape {
        Shape::Known(Value::String(text.into()))
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Shape::Known(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Shape::Known(Value::Bool(known)) => Some(*known),
            _ => None,
        }
    }

    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Shape::Map(table) => Some(table),
            _ => None,
        }
    }

    /// The value, if all of it is known.
    pub fn value(&self) -> Option<Value> {
        match self {
            Shape::Known(value) => Some(value.clone()),
            Shape::List(items) => items.iter().map(Shape::value).collect(),
            Shape::Map(table) if !table.open && table.entries.values().all(|entry| !entry.maybe) => table
                .entries
                .iter()
                .map(|(key, entry)| Some((key.clone(), entry.shape.value()?)))
                .collect::<Option<Map>>()
                .map(Value::Map),
            _ => None,
        }
    }

    /// It goes where everything in it counts as read.
    pub fn use_up(&self, reads: &Reads) {
        match self {
            Shape::List(items) => items.iter().for_each(|item| item.use_up(reads)),
            Shape::Items(item) => item.use_up(reads),
            Shape::Map(table) => {
                if let Some(path) = &table.path {
                    reads.whole(path);
                }
                for entry in table.entries.values() {
                    entry.path.iter().for_each(|path| reads.key(path));
                    entry.shape.use_up(reads);
                }
            }
            _ => {}
        }
    }

    /// What is true of both.
    pub fn join(&self, other: &Shape, reads: &Reads) -> Shape {
        match (self, other) {
            (Shape::Known(a), Shape::Known(b)) if a == b => self.clone(),
            (Shape::Text | Shape::Known(Value::String(_)), Shape::Text | Shape::Known(Value::String(_))) => Shape::Text,
            (Shape::Of(a, _), Shape::Of(b, _)) if a == b => self.clone(),
            (Shape::Resource(a, x), Shape::Resource(b, y)) if a.name == b.name => {
                Shape::Resource(a.clone(), if x == y { x.clone() } else { "…".into() })
            }
            (Shape::Function(a), Shape::Function(b)) if a == b => self.clone(),
            (Shape::List(a), Shape::List(b)) if Arc::ptr_eq(a, b) => self.clone(),
            (Shape::List(a), Shape::List(b)) if a.len() == b.len() => {
                Shape::List(Arc::new(a.iter().zip(b.iter()).map(|(a, b)| a.join(b, reads)).collect()))
            }
            (Shape::List(_) | Shape::Items(_), Shape::List(_) | Shape::Items(_)) => {
                match (self.item(reads), other.item(reads)) {
                    (Some(a), Some(b)) => Shape::Items(Arc::new(a.join(&b, reads))),
                    (Some(a), None) | (None, Some(a)) => Shape::Items(Arc::new(a)),
                    (None, None) => self.clone(),
                }
            }
            (Shape::Map(a), Shape::Map(b)) if Arc::ptr_eq(a, b) => self.clone(),
            (Shape::Map(a), Shape::Map(b)) => Shape::Map(Arc::new(a.join(b, reads))),
            _ => {
                self.use_up(reads);
                other.use_up(reads);
                Shape::Any
            }
        }
    }

    /// What any item of a list is; `None` if there is none.
    pub fn item(&self, reads: &Reads) -> Option<Shape> {
        match self {
            Shape::List(items) => items.iter().cloned().reduce(|a, b| a.join(&b, reads)),
            Shape::Items(item) => Some((**item).clone()),
            Shape::Of(Type::List(inner) | Type::Set(inner), reference) => {
                Some(Shape::Of((**inner).clone(), reference.clone().then(Segment::Index(0))))
            }
            _ => Some(Shape::Any),
        }
    }
}

impl Table {
    fn join(&self, other: &Table, reads: &Reads) -> Table {
        let mut entries = BTreeMap::new();
        for (key, entry) in &self.entries {
            let joined = match other.entries.get(key) {
                Some(theirs) => Entry {
                    shape: entry.shape.join(&theirs.shape, reads),
                    maybe: entry.maybe || theirs.maybe,
                    path: entry.path.clone().or(theirs.path.clone()),
                    site: entry.site.clone().or(theirs.site.clone()),
                },
                None => Entry { maybe: true, ..entry.clone() },
            };
            entries.insert(key.clone(), joined);
        }
        for (key, entry) in other.entries.iter().filter(|(key, _)| !self.entries.contains_key(*key)) {
            entries.insert(key.clone(), Entry { maybe: true, ..entry.clone() });
        }
        let path = self.path.clone().filter(|path| other.path.as_ref() == Some(path));
        Table { entries, open: self.open || other.open, path }
    }

    /// The table with the entries of another over its own: what `+` makes of two maps.
    pub fn over(&self, other: &Table) -> Table {
        let mut table = Table { path: None, open: self.open || other.open, entries: self.entries.clone() };
        for (key, entry) in &other.entries {
            let under = table.entries.get(key).filter(|_| entry.maybe);
            let entry = match under {
                Some(under) => Entry { shape: Shape::Any, maybe: under.maybe, ..entry.clone() },
                None => entry.clone(),
            };
            table.entries.insert(key.clone(), entry);
        }
        table
    }
}

impl From<&Value> for Shape {
    fn from(value: &Value) -> Self {
        match value {
            Value::List(items) => Shape::List(Arc::new(items.iter().map(Shape::from).collect())),
            Value::Map(map) => {
                let entries = map.iter().map(|(key, value)| (key.clone(), Entry::new(Shape::from(value)))).collect();
                Shape::Map(Arc::new(Table { entries, ..Table::default() }))
            }
            Value::Reference(_) => Shape::Any,
            Value::Text(_) => Shape::Text,
            plain => Shape::Known(plain.clone()),
        }
    }
}
