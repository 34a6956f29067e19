//! Between the values of a playbook and the types in which a kind's file thinks.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::resource::{Class, Fault, Map, Value};

pub fn typed<T: DeserializeOwned>(inputs: &Map) -> Result<T, Fault> {
    typed_value(&Value::Map(inputs.clone()))
}

/// A value as the type it stands for; `null` counts as left out.
pub fn typed_value<T: DeserializeOwned>(value: &Value) -> Result<T, Fault> {
    let json = serde_json::Value::from(&without_nulls(value));
    serde_path_to_error::deserialize(json).map_err(|error| {
        let path = error.path().to_string();
        Fault::new(Class::Invalid, format!("`{path}`: {}", error.into_inner()))
    })
}

/// What a type holds, as plain data without the fields that are not set.
pub fn value_of(typed: &impl Serialize) -> Value {
    let json = serde_json::to_value(typed).expect("inputs and outputs are plain data");
    without_nulls(&Value::from(json))
}

pub fn map_of(typed: &impl Serialize) -> Map {
    match value_of(typed) {
        Value::Map(map) => map,
        _ => Map::new(),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            Value::Map(map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect())
        }
        Value::List(items) => items.iter().map(without_nulls).collect(),
        plain => plain.clone(),
    }
}

/// What a lookup by name takes.
#[derive(JsonSchema)]
pub struct Named {
    /// Its name.
    pub name: String,
}

impl From<&[Value]> for Named {
    fn from(arguments: &[Value]) -> Self {
        Named { name: arguments.first().and_then(Value::as_str).unwrap_or_default().to_owned() }
    }
}
