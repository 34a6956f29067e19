//! Desired × live → change. Pure.

use crate::resource::{Field, Kind, Live, Map, Type, Value};

use super::plan::{Action, FieldChange};

/// What must happen to `live` for it to be as `inputs` say, and why. A field the author left out is not compared.
///
/// `inputs` are filled in as far as they are known; what is left unknown counts as different, since it may be.
pub fn diff(kind: &Kind, ignore: &[String], inputs: &Map, live: &Live) -> (Action, Vec<FieldChange>) {
    let mut changes = vec![];
    for field in kind.inputs.iter().filter(|field| !field.write_only && !ignore.contains(&field.name)) {
        let Some(wanted) = inputs.get(&field.name).filter(|value| !value.is_null()) else { continue };
        if (kind.nature.fits)(&field.name, inputs, &live.inputs) {
            continue;
        }
        let found = live.inputs.get(&field.name).map(|value| kind.canonical(field, value));
        compare(kind, field, found.as_ref(), wanted, &mut changes);
    }
    let action = if changes.iter().any(|change| change.forces_replace) {
        Action::Replace
    } else if changes.is_empty() {
        Action::None
    } else {
        Action::Update
    };
    (action, changes)
}

/// Whether one field would have to be changed for it to be as wanted.
pub fn differs(kind: &Kind, field: &Field, found: &Option<Value>, wanted: &Option<Value>) -> bool {
    let canonical = |value: &Option<Value>| value.as_ref().map(|value| kind.canonical(field, value));
    if found == wanted {
        return false;
    }
    let mut changes = vec![];
    compare(kind, field, canonical(found).as_ref(), wanted.as_ref().unwrap_or(&Value::Null), &mut changes);
    !changes.is_empty()
}

/// `written` is as the author wrote it, `found` in its canonical form.
fn compare(kind: &Kind, field: &Field, found: Option<&Value>, written: &Value, changes: &mut Vec<FieldChange>) {
    let wanted = &kind.canonical(field, written);
    let found = found.or(field.default.as_ref());
    if found == Some(wanted) || found.is_none_or(is_nothing) && is_nothing(wanted) {
        return;
    }
    let mut changed = |path: String, part: &Field, before: Option<&Value>, after: Option<&Value>| {
        changes.push(FieldChange {
            path,
            before: before.cloned(),
            after: after.cloned(),
            forces_replace: field.immutable || part.immutable,
            restarts: field.restarts || part.restarts,
            sensitive: field.sensitive || part.sensitive,
        });
    };
    match (&field.ty, found, wanted) {
        // One line per key: a tag that changes does not repeat the others.
        (Type::Map(_), Some(Value::Map(before)), Value::Map(after)) => {
            let foreign = |key: &&String| after.contains_key(*key) || !(kind.nature.foreign_key)(key);
            for key in before.keys().filter(foreign).chain(after.keys().filter(|key| !before.contains_key(*key))) {
                let (old, new) = (before.get(key), after.get(key));
                if old != new {
                    changed(format!("{}.{key}", field.name), field, old, new);
                }
            }
        }
        // In a block, too, what the author left out is not compared.
        (Type::Object(parts), Some(Value::Map(before)), Value::Map(after)) => {
            let emptied =
                |name: &str| matches!(written, Value::Map(map) if map.get(name).is_some_and(|v| !v.is_null()));
            for part in parts.iter().filter(|part| after.contains_key(&part.name) || emptied(&part.name)) {
                let (old, new) = (before.get(&part.name), after.get(&part.name));
                if old != new {
                    changed(format!("{}.{}", field.name, part.name), part, old, new);
                }
            }
        }
        _ => changed(field.name.clone(), field, found, Some(wanted)),
    }
}

/// Lines of what holds a secret say only that it differs.
pub fn hide(fields: &mut [FieldChange], inputs: &Map) {
    for field in fields {
        // A line is a whole input, or one key of a map.
        let key = || field.path.split_once('.').and_then(|(name, key)| inputs.get(name)?.as_map()?.get(key));
        if let Some(input) = inputs.get(&field.path).or_else(key).filter(|input| input.holds_secret()) {
            field.sensitive = true;
            field.before = field.before.as_ref().map(|_| Value::Null);
            field.after = Some(input.clone());
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

/// The lines of a create: all that is set.
pub fn all_set(kind: &Kind, inputs: &Map) -> Vec<FieldChange> {
    all(kind, inputs, |path, value, sensitive| FieldChange {
        path,
        before: None,
        after: Some(value),
        forces_replace: false,
        restarts: false,
        sensitive,
    })
}

/// The lines of a delete: all that is lost.
pub fn all_lost(kind: &Kind, live: &Live) -> Vec<FieldChange> {
    all(kind, &live.inputs, |path, value, sensitive| FieldChange {
        path,
        before: Some(value),
        after: None,
        forces_replace: false,
        restarts: false,
        sensitive,
    })
}

fn all(kind: &Kind, inputs: &Map, line: impl Fn(String, Value, bool) -> FieldChange) -> Vec<FieldChange> {
    let mut lines = vec![];
    for field in &kind.inputs {
        match inputs.get(&field.name) {
            None | Some(Value::Null) => {}
            Some(Value::Map(map)) if matches!(field.ty, Type::Map(_)) => {
                let keys = map
                    .iter()
                    .map(|(key, value)| line(format!("{}.{key}", field.name), value.clone(), field.sensitive));
                lines.extend(keys);
            }
            Some(value) => lines.push(line(field.name.clone(), value.clone(), field.sensitive)),
        }
    }
    lines
}

/// The top-level fields among what differs, for the provider's update.
pub fn changed_fields(changes: &[FieldChange]) -> Vec<String> {
    let mut names: Vec<String> =
        changes.iter().map(|change| change.path.split(['.', '[']).next().unwrap_or_default().to_owned()).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Status;
    use crate::resource::kind::Nature;
    use schemars::JsonSchema;
    use serde_json::json;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Inputs {
        options: Option<Options>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Options {
        tokens: Option<String>,
        hops: Option<i64>,
        #[schemars(extend("immutable" = true))]
        encrypted: Option<bool>,
        #[schemars(extend("restarts" = true))]
        names: Option<Vec<String>>,
    }

    #[test]
    fn a_block_is_compared_as_far_as_it_is_written() {
        let kind = Kind::of::<Inputs, Inputs>("t::host", Nature::default());
        let map = |json: serde_json::Value| match Value::from(json) {
            Value::Map(map) => map,
            _ => panic!("a map"),
        };
        let live = Live {
            id: "host-1".into(),
            region: None,
            owner: None,
            inputs: map(json!({ "options": { "tokens": "required", "hops": 2, "encrypted": false, "names": ["a"] } })),
            outputs: Map::new(),
            status: Status::Ready,
        };
        let found = |options: serde_json::Value| {
            let (action, fields) = diff(&kind, &[], &map(json!({ "options": options })), &live);
            let paths: Vec<String> = fields.iter().map(|field| field.path.clone()).collect();
            assert_eq!(changed_fields(&fields).len(), usize::from(!fields.is_empty()));
            (action, paths.join(" "), fields.iter().any(|field| field.restarts))
        };
        assert_eq!(found(json!({ "hops": 2 })), (Action::None, String::new(), false));
        assert_eq!(found(json!({ "hops": 1, "tokens": null })), (Action::Update, "options.hops".into(), false));
        assert_eq!(found(json!({ "encrypted": true })), (Action::Replace, "options.encrypted".into(), false));
        // To write that there are none is not to leave it out.
        assert_eq!(found(json!({ "names": [] })), (Action::Update, "options.names".into(), true));
    }
}
