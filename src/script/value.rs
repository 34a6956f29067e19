//! Rhai's values and ours, there and back; and the two types that stand for what is not known yet.

use std::sync::Arc;

use rhai::{Dynamic, FnPtr, ImmutableString};

use crate::resource::{Address, Kind, Reference, Value};

/// What a call of a kind gives back to the script.
#[derive(Clone)]
pub(super) struct Handle(pub Arc<Resource>);

pub(super) struct Resource {
    pub address: Address,
    pub kind: Arc<Kind>,
}

/// A [`Value::Reference`] or a [`Value::Text`], never anything else: the only unknowns a script can hold.
#[derive(Clone)]
pub(super) struct Deferred(pub Arc<Value>);

impl Deferred {
    pub fn reference(reference: Reference) -> Dynamic {
        Dynamic::from(Deferred(Arc::new(Value::Reference(reference))))
    }
}

/// Something a declaration cannot hold, and where in the value it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Misfit {
    pub path: String,
    pub what: String,
}

/// True if a reference, text with a reference in it, or a whole resource is anywhere inside.
pub(super) fn is_unknown(value: &Dynamic) -> bool {
    if value.is::<Deferred>() || value.is::<Handle>() {
        return true;
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().any(is_unknown);
    }
    value.as_map_ref().is_ok_and(|map| map.values().any(is_unknown))
}

/// What a script value is outside of the script. A whole resource becomes a reference with an empty path.
pub(super) fn to_value(value: &Dynamic) -> Result<Value, Misfit> {
    to_value_within(value, DEPTH)
}

/// Lists and maps in each other: deeper than any data a person writes, and what every reader of JSON can read.
pub(super) const DEPTH: usize = 100;

/// True if more lists and maps than so many are in each other.
pub(super) fn is_deeper(value: &Dynamic, depth: usize) -> bool {
    if let Ok(items) = value.as_array_ref() {
        return depth == 0 || items.iter().any(|item| is_deeper(item, depth - 1));
    }
    value.as_map_ref().is_ok_and(|map| depth == 0 || map.values().any(|item| is_deeper(item, depth - 1)))
}

fn to_value_within(value: &Dynamic, depth: usize) -> Result<Value, Misfit> {
    if depth == 0 {
        let what = format!("lists and maps nested more than {DEPTH} deep");
        return Err(Misfit { path: String::new(), what });
    }
    if let Ok(items) = value.as_array_ref() {
        let convert =
            |(i, item): (usize, &Dynamic)| to_value_within(item, depth - 1).map_err(|e| e.inside(&format!("[{i}]")));
        return items.iter().enumerate().map(convert).collect();
    }
    if let Ok(map) = value.as_map_ref() {
        let convert = |(key, item): (&rhai::Identifier, &Dynamic)| {
            let value = to_value_within(item, depth - 1);
            value.map(|value| (key.to_string(), value)).map_err(|e| e.inside(&format!(".{key}")))
        };
        return map.iter().map(convert).collect::<Result<_, _>>().map(Value::Map);
    }
    if let Some(deferred) = value.read_lock::<Deferred>() {
        return Ok((*deferred.0).clone());
    }
    if let Some(handle) = value.read_lock::<Handle>() {
        return Ok(Value::Reference(Reference { address: handle.0.address.clone(), path: vec![] }));
    }
    scalar(value).ok_or_else(|| Misfit { path: String::new(), what: what_it_is(value) })
}

impl Misfit {
    fn inside(mut self, outer: &str) -> Self {
        self.path = format!("{outer}{}", self.path);
        self
    }

    /// The path as a field's: `route[0].cidr_block`.
    pub fn field(&self) -> &str {
        self.path.trim_start_matches('.')
    }
}

fn scalar(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Null);
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Some(Value::String(text.to_string()));
    }
    value
        .as_bool()
        .map(Value::Bool)
        .or_else(|_| value.as_int().map(Value::Int))
        .or_else(|_| value.as_float().map(Value::Float))
        .or_else(|_| value.as_char().map(|c| Value::String(c.to_string())))
        .ok()
}

fn what_it_is(value: &Dynamic) -> String {
    match value.type_name() {
        _ if value.is::<FnPtr>() => "a function",
        _ if value.is_blob() => "a blob",
        _ if value.is_timestamp() => "a point in time",
        name if name.contains("Range") => "a range",
        _ => "a value that only the script can hold",
    }
    .into()
}

pub(super) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => (*i).into(),
        Value::Float(x) => (*x).into(),
        Value::String(text) => ImmutableString::from(text.as_str()).into(),
        Value::List(items) => items.iter().map(to_dynamic).collect::<rhai::Array>().into(),
        Value::Map(map) => Dynamic::from_map(map.iter().map(|(k, v)| (k.as_str().into(), to_dynamic(v))).collect()),
        Value::Reference(_) | Value::Text(_) => Dynamic::from(Deferred(Arc::new(value.clone()))),
    }
}

/// A value as the script's text has it: strings bare, everything else as Rhai prints it.
pub(super) fn shown(value: &Dynamic) -> String {
    if let Some(deferred) = value.read_lock::<Deferred>() {
        return match &*deferred.0 {
            Value::Reference(reference) => format!("(known after apply: {reference})"),
            text => text.to_string(),
        };
    }
    if let Some(handle) = value.read_lock::<Handle>() {
        return handle.0.address.to_string();
    }
    if is_unknown(value) {
        return to_value(value).map(|v| v.to_string()).unwrap_or_default();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_into_the_script_and_come_back() {
        let id = Reference::new(Address::new("aws::vpc", "main"), "id");
        let json = serde_json::json!({ "a": [1, 2.5, true, null, "x"], "b": { "c": {} } });
        let mut value = Value::from(json);
        if let Value::Map(map) = &mut value {
            map.insert("id".into(), id.clone().into());
            map.insert("url".into(), Value::text(vec!["https://".into(), id.into()]));
        }
        assert_eq!(to_value(&to_dynamic(&value)), Ok(value));
    }

    #[test]
    fn what_no_resource_can_hold_is_named_with_its_place() {
        let function = Dynamic::from(FnPtr::new("f").unwrap());
        let map: rhai::Map = [("a".into(), vec![Dynamic::from(1_i64), function].into())].into();
        let misfit = to_value(&map.into()).unwrap_err();
        assert_eq!((misfit.field(), misfit.what.as_str()), ("a[1]", "a function"));
    }
}
