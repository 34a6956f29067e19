//! Plain data in which some places are not known yet.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::Address;

pub type Map = BTreeMap<String, Value>;

/// What an author passes to a kind and what a provider reports. After references have been filled in as far as
/// they are known, a [`Value::Reference`] that is left *is* an unknown.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    List(Vec<Value>),
    Map(Map),
    Reference(Reference),
    /// Text in which a reference is embedded: the parts in their order. Never without a reference in it.
    Text(Vec<Value>),
}

/// "Attribute `id` of `aws::vpc.main`". An empty path is the resource as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    pub address: Address,
    pub path: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Segment {
    Index(i64),
    Key(String),
}

impl Reference {
    pub fn new(address: Address, attribute: impl Into<String>) -> Self {
        Reference { address, path: vec![Segment::Key(attribute.into())] }
    }

    /// The value of a secret: known to the engine, and to no script and no plan.
    pub fn secret(name: &str) -> Self {
        Reference::new(Address::new(SECRET, name), "value")
    }

    /// The name of the secret that this is.
    pub fn secret_name(&self) -> Option<&str> {
        (*self.address.kind == *SECRET).then_some(&*self.address.name)
    }

    pub fn then(&self, segment: Segment) -> Self {
        let mut path = self.path.clone();
        path.push(segment);
        Reference { address: self.address.clone(), path }
    }

    /// The attribute of the resource that this is, or is a part of.
    pub fn attribute(&self) -> Option<&str> {
        match self.path.first() {
            Some(Segment::Key(key)) => Some(key),
            _ => None,
        }
    }
}

/// No kind: what stands in the place of one in a secret's reference.
const SECRET: &str = "runner::secret";

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.secret_name() {
            return write!(f, "secret {name}");
        }
        write!(f, "{}", self.address)?;
        self.path.iter().try_for_each(|segment| match segment {
            Segment::Key(key) => write!(f, ".{key}"),
            Segment::Index(index) => write!(f, "[{index}]"),
        })
    }
}

impl Value {
    /// Text from parts; plain text if no part holds a reference.
    pub fn text(parts: Vec<Value>) -> Value {
        let mut flat: Vec<Value> = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Value::Text(inner) => inner.into_iter().for_each(|p| push_text(&mut flat, p)),
                other => push_text(&mut flat, other),
            }
        }
        match flat.len() {
            0 => Value::String(String::new()),
            1 if matches!(flat[0], Value::String(_)) => flat.remove(0),
            _ => Value::Text(flat),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// True if no reference is anywhere inside.
    pub fn is_known(&self) -> bool {
        match self {
            Value::Reference(_) | Value::Text(_) => false,
            Value::List(items) => items.iter().all(Value::is_known),
            Value::Map(map) => map.values().all(Value::is_known),
            _ => true,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value at a path of keys and indices.
    pub fn get(&self, path: &[Segment]) -> Option<&Value> {
        path.iter().try_fold(self, |value, segment| match (value, segment) {
            (Value::Map(map), Segment::Key(key)) => map.get(key),
            (Value::List(items), Segment::Index(index)) => usize::try_from(*index).ok().and_then(|i| items.get(i)),
            _ => None,
        })
    }

    /// True for what says nothing: null, and an empty text, list or map.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        }
    }

    /// Calls `visit` with every plain text inside.
    pub fn strings<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        match self {
            Value::String(text) => visit(text),
            Value::List(items) => items.iter().for_each(|item| item.strings(visit)),
            Value::Map(map) => map.values().for_each(|item| item.strings(visit)),
            _ => {}
        }
    }

    /// Calls `visit` with every reference inside.
    pub fn references<'a>(&'a self, visit: &mut impl FnMut(&'a Reference)) {
        match self {
            Value::Reference(reference) => visit(reference),
            Value::Text(items) | Value::List(items) => items.iter().for_each(|item| item.references(visit)),
            Value::Map(map) => map.values().for_each(|item| item.references(visit)),
            _ => {}
        }
    }

    /// True if a secret is anywhere inside.
    pub fn holds_secret(&self) -> bool {
        let mut holds = false;
        self.references(&mut |reference| holds |= reference.secret_name().is_some());
        holds
    }

    /// The same value with every reference that `known` knows filled in.
    pub fn resolve(&self, known: &mut dyn FnMut(&Reference) -> Option<Value>) -> Value {
        match self {
            Value::Reference(reference) => known(reference).unwrap_or_else(|| self.clone()),
            Value::Text(parts) => Value::text(parts.iter().map(|part| part.resolve(known)).collect()),
            Value::List(items) => Value::List(items.iter().map(|item| item.resolve(known)).collect()),
            Value::Map(map) => Value::Map(map.iter().map(|(k, v)| (k.clone(), v.resolve(known))).collect()),
            plain => plain.clone(),
        }
    }

    /// What a person calls this sort of value.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "bool",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::String(_) | Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Reference(_) => "reference",
        }
    }
}

fn push_text(flat: &mut Vec<Value>, part: Value) {
    let text = match part {
        Value::Reference(_) => return flat.push(part),
        Value::String(text) => text,
        plain => plain.to_string(),
    };
    match flat.last_mut() {
        Some(Value::String(last)) => last.push_str(&text),
        _ if text.is_empty() => {}
        _ => flat.push(Value::String(text)),
    }
}

/// As it would stand inside a text: strings bare, everything else as JSON, references in `${…}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::String(text) => f.write_str(text),
            Value::Reference(reference) => write!(f, "${{{reference}}}"),
            Value::Text(parts) => parts.iter().try_for_each(|part| write!(f, "{part}")),
            other => write!(f, "{}", serde_json::Value::from(other)),
        }
    }
}

const REFERENCE: &str = "$reference";
const TEXT: &str = "$text";

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Float(x) => Json::from(*x),
            Value::String(s) => Json::String(s.clone()),
            Value::List(items) => Json::Array(items.iter().map(Json::from).collect()),
            Value::Map(map) => Json::Object(map.iter().map(|(k, v)| (k.clone(), v.into())).collect()),
            Value::Reference(reference) => serde_json::json!({ REFERENCE: reference }),
            Value::Text(parts) => serde_json::json!({ TEXT: parts.iter().map(Json::from).collect::<Vec<_>>() }),
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(b),
            Json::Number(n) => {
                n.as_i64().map(Value::Int).unwrap_or_else(|| Value::Float(n.as_f64().unwrap_or(f64::NAN)))
            }
            Json::String(s) => Value::String(s),
            Json::Array(items) => Value::List(items.into_iter().map(Value::from).collect()),
            Json::Object(map) if map.len() == 1 && map.contains_key(REFERENCE) => {
                serde_json::from_value(map[REFERENCE].clone())
                    .map(Value::Reference)
                    .unwrap_or_else(|_| Value::Map(map.into_iter().map(|(k, v)| (k, v.into())).collect()))
            }
            Json::Object(mut map) if map.len() == 1 && map.get(TEXT).is_some_and(Json::is_array) => {
                match map.remove(TEXT) {
                    Some(Json::Array(parts)) => Value::text(parts.into_iter().map(Value::from).collect()),
                    _ => Value::Null,
                }
            }
            Json::Object(map) => Value::Map(map.into_iter().map(|(k, v)| (k, v.into())).collect()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::Value::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Value::from)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}

impl From<Reference> for Value {
    fn from(reference: Reference) -> Self {
        Value::Reference(reference)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        Value::List(items.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> Reference {
        Reference::new(Address::new("aws::vpc", "main"), "id")
    }

    #[test]
    fn text_joins_what_is_plain_and_keeps_what_is_not() {
        let text = Value::text(vec!["a".into(), Value::Int(1), id().into(), Value::text(vec!["b".into(), "c".into()])]);
        assert_eq!(text, Value::Text(vec!["a1".into(), id().into(), "bc".into()]));
        assert_eq!(text.resolve(&mut |_| Some("vpc-1".into())), "a1vpc-1bc".into());
        assert_eq!(text.to_string(), "a1${aws::vpc.main.id}bc");
    }

    #[test]
    fn json_carries_references_there_and_back() {
        let value = Value::Map(Map::from([
            ("id".into(), id().then(Segment::Index(2)).into()),
            ("url".into(), Value::text(vec!["https://".into(), id().into()])),
            ("n".into(), Value::Int(3)),
        ]));
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }
}
