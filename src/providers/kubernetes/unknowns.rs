//! Objects in which not everything is known yet.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{diff, path};
use crate::resource::{Difference, Map as Fields, Segment, Value};

/// An object without what is not known: in its place stands what is live there, or nothing.
pub struct Known {
    pub object: Json,
    /// What was left out, as lines of a plan.
    pub unknown: Vec<Difference>,
}

pub fn known(value: &Value, live: Option<&Json>) -> Known {
    let mut unknown = vec![];
    let object = fill(&as_data(value), live, "", &mut unknown).unwrap_or_default();
    let kind = value.get(&[Segment::Key("kind".into())]).and_then(Value::as_str).unwrap_or_default();
    unknown.iter_mut().for_each(|line| line.sensitive |= diff::is_sensitive(kind, &line.path));
    Known { object, unknown }
}

/// A Secret whose unknown texts stand where the cluster keeps them: below `data`.
fn as_data(value: &Value) -> Cow<'_, Value> {
    let is = |map: &Fields, key: &str, what: &str| map.get(key).and_then(Value::as_str) == Some(what);
    match value {
        Value::Map(secret) if is(secret, "kind", "Secret") && is(secret, "apiVersion", "v1") => {
            let mut secret = secret.clone();
            let Some(Value::Map(texts)) = secret.remove("stringData") else { return Cow::Borrowed(value) };
            let (unknown, known): (Fields, Fields) = texts.into_iter().partition(|(_, text)| !text.is_known());
            if !known.is_empty() {
                secret.insert("stringData".into(), Value::Map(known));
            }
            match secret.entry("data".into()).or_insert(Value::Null) {
                Value::Map(data) => data.extend(unknown),
                data => *data = Value::Map(unknown),
            }
            Cow::Owned(Value::Map(secret))
        }
        _ => Cow::Borrowed(value),
    }
}

fn fill(value: &Value, live: Option<&Json>, at: &str, unknown: &mut Vec<Difference>) -> Option<Json> {
    match value {
        Value::Reference(_) | Value::Text(_) => {
            unknown.push(Difference {
                path: at.to_owned(),
                before: live.cloned().map(Value::from),
                after: Some(value.clone()),
                sensitive: false,
                forces_replace: false,
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
            let after = Some(leaf.clone());
            lines.push(Difference {
                path: at.to_owned(),
                before: None,
                after,
                sensitive: false,
                forces_replace: false,
            });
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

    #[test]
    fn what_is_not_known_of_a_secret_is_never_shown() {
        let word: Value = Reference::new(Address::new("aws::secret", "main"), "value").into();
        let map = |entries: Vec<(&str, Value)>| -> Value {
            Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let of = |kind: &str, below: &str| {
            map(vec![("apiVersion", "v1".into()), ("kind", kind.into()), (below, map(vec![("word", word.clone())]))])
        };
        let live = json!({ "apiVersion": "v1", "kind": "Secret", "data": { "word": "aHVzaA==", "other": "eA==" } });
        for below in ["data", "stringData"] {
            // The cluster keeps it as `data`, and that is where it changes.
            let told = known(&of("Secret", below), Some(&live));
            assert_eq!(told.unknown.len(), 1, "{below}");
            assert_eq!(told.unknown[0].path, "data.word");
            assert_eq!(told.unknown[0].before, Some("aHVzaA==".into()));
            assert!(told.unknown[0].sensitive, "{below}");
            assert_eq!(told.object["data"], json!({ "word": "aHVzaA==" }));
            assert_eq!(told.object.get("stringData"), None);
        }
        assert!(!known(&of("ConfigMap", "data"), Some(&live)).unknown[0].sensitive);
    }
}
