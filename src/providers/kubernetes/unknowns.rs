//! Objects in which not everything is known yet.

use serde_json::{Map, Value as Json};

use super::path;
use crate::resource::{Difference, Value};

/// An object without what is not known: in its place stands what is live there, or nothing.
pub struct Known {
    pub object: Json,
    /// What was left out, as lines of a plan.
    pub unknown: Vec<Difference>,
}

pub fn known(value: &Value, live: Option<&Json>) -> Known {
    let mut unknown = vec![];
    let object = fill(value, live, "", &mut unknown).unwrap_or_default();
    Known { object, unknown }
}

fn fill(value: &Value, live: Option<&Json>, at: &str, unknown: &mut Vec<Difference>) -> Option<Json> {
    match value {
        Value::Reference(_) | Value::Text(_) => {
            unknown.push(Difference {
                path: at.to_owned(),
                before: live.cloned().map(Value::from),
                after: Some(value.clone()),
                sensitive: false,
            });
            live.cloned()
        }
        Value::Map(map) => {
            let filled = map.iter().filter_map(|(key, item)| {
                let below = live.and_then(|live| live.get(key));
                Some((key.clone(), fill(item, below, &path::child(at, key), unknown)?))
            });
            Some(Json::Object(filled.collect::<Map<String, Json>>()))
        }
        Value::List(items) => {
            let theirs = live.and_then(Json::as_array);
            let filled = items.iter().enumerate().filter_map(|(index, item)| {
                let name = item.as_map().and_then(|map| map.get("name")).and_then(Value::as_str);
                let same = |other: &&Json| name.is_some() && other.get("name").and_then(Json::as_str) == name;
                let below = theirs.and_then(|theirs| match name {
                    Some(_) => theirs.iter().find(same),
                    None => theirs.get(index),
                });
                let label = name.map_or_else(|| index.to_string(), str::to_owned);
                fill(item, below, &path::item(at, &label), unknown)
            });
            Some(Json::Array(filled.collect()))
        }
        known => Some(Json::from(known)),
    }
}

/// All that an object sets, each at its path: the lines of what is made anew.
pub fn all_set(value: &Value) -> Vec<Difference> {
    let mut lines = vec![];
    walk(value, "", &mut lines);
    lines
}

fn walk(value: &Value, at: &str, lines: &mut Vec<Difference>) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            map.iter().for_each(|(key, item)| walk(item, &path::child(at, key), lines));
        }
        Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
            for (index, item) in items.iter().enumerate() {
                let name = item.as_map().and_then(|map| map.get("name")).and_then(Value::as_str);
                walk(item, &path::item(at, &name.map_or_else(|| index.to_string(), str::to_owned)), lines);
            }
        }
        leaf => {
            lines.push(Difference { path: at.to_owned(), before: None, after: Some(leaf.clone()), sensitive: false })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Address, Reference};
    use serde_json::json;

    #[test]
    fn what_is_live_stands_where_nothing_is_known() {
        let arn: Value = Reference::new(Address::new("aws::acm_certificate", "main"), "arn").into();
        let value = Value::Map(
            [
                ("arn".to_owned(), arn.clone()),
                ("new".to_owned(), arn.clone()),
                (
                    "env".to_owned(),
                    Value::List(vec![Value::Map(
                        [("name".to_owned(), "ARN".into()), ("value".to_owned(), arn.clone())].into(),
                    )]),
                ),
            ]
            .into(),
        );
        let live = json!({ "arn": "old", "env": [{ "name": "OTHER" }, { "name": "ARN", "value": "there" }] });
        let known = known(&value, Some(&live));
        assert_eq!(known.object, json!({ "arn": "old", "env": [{ "name": "ARN", "value": "there" }] }));
        let paths: Vec<&str> = known.unknown.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["arn", "env[ARN].value", "new"]);
        assert_eq!(known.unknown[0].before, Some("old".into()));
        assert_eq!(all_set(&value).len(), 4);
    }
}
