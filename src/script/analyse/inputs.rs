//! What is known of a map, against the fields it is for. What is not known is a reference of its type here, so that the same
//! code judges as when the script runs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::Site;
use crate::resource::schema::{self, Field, Mistake, REQUIRED};
use crate::resource::shape::Shape;
use crate::resource::{Address, Kind, Map, Reference, Segment, Type, Value};
use crate::script::options;

pub(super) type Judged = Vec<Mistake>;

/// A shape as a value, with references where nothing is known.
#[derive(Default)]
struct Holes {
    types: HashMap<Reference, Type>,
    /// All that there will be is there, known or not.
    complete: bool,
}

impl Holes {
    fn value(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Known(value) => value.clone(),
            Shape::Any | Shape::Function(_) => {
                self.complete = false;
                unknown().into()
            }
            Shape::Text => Value::Text(vec![unknown().into()]),
            Shape::Of(ty, reference) => {
                self.types.insert(reference.clone(), ty.clone());
                reference.clone().into()
            }
            Shape::Resource(kind, name) => {
                Value::Reference(Reference { address: Address::new(kind.name.clone(), &**name), path: vec![] })
            }
            Shape::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Shape::Items(item) => {
                self.complete = false;
                Value::List(vec![self.value(item)])
            }
            Shape::Map(table) => {
                self.complete &= !table.open && table.entries.values().all(|entry| !entry.maybe);
                Value::Map(table.entries.iter().map(|(key, entry)| (key.clone(), self.value(&entry.shape))).collect())
            }
        }
    }

    fn type_of(&self, reference: &Reference, kinds: &[Arc<Kind>]) -> Option<Type> {
        if let Some(ty) = self.types.get(reference) {
            return Some(ty.clone());
        }
        let kind = kinds.iter().find(|kind| kind.name == reference.address.kind)?;
        kind.type_at(&reference.path)
    }
}

/// Something of which not even the type is known.
fn unknown() -> Reference {
    Reference::new(Address::new("check::unknown", "…"), "value")
}

/// The inputs of a kind; `live` unless they stand where nobody gets with this inventory.
pub(super) fn of_kind(kind: &Kind, name: Option<&str>, inputs: &Shape, kinds: &[Arc<Kind>], live: bool) -> Judged {
    let (map, holes) = match map(inputs) {
        Ok(Some(found)) => found,
        Ok(None) => return vec![],
        Err(mistake) => return vec![mistake],
    };
    let map = kind.complete(name.unwrap_or("…"), &map);
    let mut found = checked(&kind.inputs, &map, inputs, &holes, kinds);
    if holes.complete && live && name.is_some() && found.is_empty() {
        found.extend((kind.nature.check)(&map));
    }
    found
}

pub(super) fn of_fields(fields: &[Field], inputs: &Shape, kinds: &[Arc<Kind>]) -> Judged {
    match map(inputs) {
        Ok(Some((map, holes))) => checked(fields, &map, inputs, &holes, kinds),
        Ok(None) => vec![],
        Err(mistake) => vec![mistake],
    }
}

fn checked(fields: &[Field], map: &Map, shape: &Shape, holes: &Holes, kinds: &[Arc<Kind>]) -> Judged {
    let found = schema::check(fields, map, &|reference| holes.type_of(reference, kinds));
    found.into_iter().filter(|mistake| mistake.what != REQUIRED || is_closed(shape, &mistake.path)).collect()
}

fn map(shape: &Shape) -> Result<Option<(Map, Holes)>, Mistake> {
    let mut holes = Holes { complete: true, ..Holes::default() };
    match shape {
        Shape::Known(Value::Null) => Ok(Some((Map::new(), holes))),
        Shape::Map(_) => match holes.value(shape) {
            Value::Map(map) => Ok(Some((map, holes))),
            _ => Ok(None),
        },
        Shape::Known(_) | Shape::List(_) | Shape::Items(_) | Shape::Text | Shape::Resource(..) => {
            Err(Mistake { path: "inputs".into(), what: "expects a map `#{ … }`".into(), hint: None })
        }
        _ => Ok(None),
    }
}

/// The options of a kind. One whose value is not known is looked at by its name alone.
pub(super) fn of_options(kind: &Kind, shape: &Shape) -> Judged {
    let Shape::Map(table) = shape else {
        return match shape {
            Shape::Known(Value::Null) | Shape::Any | Shape::Of(..) | Shape::Function(_) => vec![],
            _ => vec![Mistake { path: "options".into(), what: "expects a map `#{ … }`".into(), hint: None }],
        };
    };
    let given = table.entries.iter().map(|(key, entry)| (key.clone(), certain(&entry.shape).unwrap_or_default()));
    options::read(kind, &given.collect()).1
}

fn certain(shape: &Shape) -> Option<Value> {
    match shape {
        Shape::Resource(..) | Shape::Of(..) => Some(Holes::default().value(shape)),
        Shape::List(items) => items.iter().map(certain).collect(),
        known => known.value(),
    }
}

/// The parts of a mistake's path: `route[0].cidr_block`.
fn steps(path: &str) -> impl Iterator<Item = Segment> + '_ {
    path.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| match part.strip_suffix(']') {
        Some(index) => Segment::Index(index.parse().unwrap_or(0)),
        None => Segment::Key(part.to_owned()),
    })
}

/// Where the author wrote the last part of a path that can be found.
pub(super) fn place(shape: &Shape, path: &str) -> Option<Site> {
    let (mut at, mut site) = (shape, None);
    for step in steps(path) {
        at = match (at, step) {
            (Shape::Map(table), Segment::Key(key)) => match table.entries.get(&key) {
                Some(entry) => {
                    site = entry.site.clone().or(site);
                    &entry.shape
                }
                None => return site,
            },
            (Shape::List(items), Segment::Index(index)) => match items.get(index as usize) {
                Some(item) => item,
                None => return site,
            },
            (Shape::Items(item), Segment::Index(_)) => item,
            _ => return site,
        };
    }
    site
}

/// Whether the map in which a field is missing is known to have no more than is known of it.
fn is_closed(shape: &Shape, path: &str) -> bool {
    let all: Vec<Segment> = steps(path).collect();
    let mut at = shape;
    for step in &all[..all.len().saturating_sub(1)] {
        at = match (at, step) {
            (Shape::Map(table), Segment::Key(key)) => match table.entries.get(key) {
                Some(entry) => &entry.shape,
                None => return false,
            },
            (Shape::List(items), Segment::Index(index)) => match items.get(*index as usize) {
                Some(item) => item,
                None => return false,
            },
            (Shape::Items(item), Segment::Index(_)) => item,
            _ => return false,
        };
    }
    match at {
        Shape::Map(table) => !table.open,
        Shape::Known(Value::Null) => true,
        _ => false,
    }
}
