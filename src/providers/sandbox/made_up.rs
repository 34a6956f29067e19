//! What the sandbox makes up: ids and outputs in the image of their examples, the same in every run.

use sha2::{Digest, Sha256};

use crate::resource::{Kind, Map, Output, Owner, Type, Value};

pub(super) fn with_defaults(kind: &Kind, inputs: &Map) -> Map {
    let defaults = kind.inputs.iter().filter_map(|field| Some((field.name.clone(), field.default.clone()?)));
    let mut all: Map = defaults.collect();
    all.extend(inputs.clone());
    all
}

/// Like the provider's: a natural name, or a number that says nothing.
pub(super) fn make_id(kind: &Kind, owner: &Owner, inputs: &Map, born: u64) -> String {
    if kind.is_named() {
        let parts = kind.nature.natural_key.iter().filter_map(|field| inputs.get(*field));
        return parts.map(ToString::to_string).collect::<Vec<_>>().join(":");
    }
    let prefix = match kind.nature.id_prefix {
        "" => "sandbox-",
        prefix => prefix,
    };
    format!("{prefix}{}", digest(&format!("{}/{}/{born}", owner.stack, owner.address)))
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(9).map(|byte| format!("{byte:02x}")).collect::<String>()[..17].to_owned()
}

pub(super) fn outputs(kind: &Kind, id: &str, inputs: &Map) -> Map {
    let value = |output: &Output| {
        let depends: Vec<String> =
            output.changes_with.iter().filter_map(|name| inputs.get(name)).map(ToString::to_string).collect();
        let own_id = output
            .example
            .as_ref()
            .and_then(Value::as_str)
            .is_some_and(|example| !kind.nature.id_prefix.is_empty() && example.starts_with(kind.nature.id_prefix));
        let own = (kind.nature.made_up)(&output.name, inputs);
        let value = match output.name.as_str() {
            _ if own.is_some() => own.unwrap_or_default(),
            "id" => id.into(),
            _ if own_id => id.into(),
            "arn" => {
                let (service, name) = kind.name.split_once("::").unwrap_or(("sandbox", &kind.name));
                format!("arn:{service}:sandbox:::{name}/{id}").into()
            }
            _ => made_up(output, &format!("{id}/{}", depends.join("/"))),
        };
        (output.name.clone(), value)
    };
    kind.outputs.iter().map(value).collect()
}

/// A value in the image of the output's example, the same for the same seed.
pub(super) fn made_up(output: &Output, seed: &str) -> Value {
    match (&output.example, &output.ty) {
        (Some(Value::String(example)), _) if output.name.ends_with("_id") && example.contains('-') => {
            let prefix = example.split('-').next().unwrap_or_default();
            format!("{prefix}-{}", digest(&format!("{seed}/{}", output.name))).into()
        }
        (Some(example), _) => example.clone(),
        (None, Type::String | Type::Any) => format!("{}-{}", output.name, digest(seed)).into(),
        (None, Type::Enum(words)) => words.first().cloned().map_or(Value::Null, Value::from),
        (None, Type::Bool) => false.into(),
        (None, Type::Int) => 0.into(),
        (None, Type::Float) => Value::Float(0.0),
        (None, Type::List(_) | Type::Set(_)) => Value::List(vec![]),
        (None, Type::Map(_) | Type::Object(_)) => Value::Map(Map::new()),
    }
}
