//! How a place in an object is written for people: `spec.template.spec.containers[web].image`.

use serde_json::Value as Json;

/// Lists whose items are told apart by these keys, as their schemas say. A list of maps under another name is looked
/// at item by item (`ANYWHERE`).
const BY_FIELD: [(&str, &[&[&str]]); 8] = [
    ("ports", &[&["containerPort", "protocol"], &["port", "protocol"]]),
    ("volumeMounts", &[&["mountPath"]]),
    ("volumeDevices", &[&["devicePath"]]),
    ("hostAliases", &[&["ip"]]),
    ("ownerReferences", &[&["uid"]]),
    ("conditions", &[&["type"]]),
    ("topologySpreadConstraints", &[&["topologyKey", "whenUnsatisfiable"]]),
    ("paths", &[&["path"]]),
];

const ANYWHERE: [&[&str]; 12] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["key"],
    &["type"],
    &["ip"],
    &["mountPath"],
    &["topologyKey"],
    &["uid"],
    &["host"],
    &["path"],
    &["devicePath"],
];

/// A key below a path: `metadata.annotations["a.b/c"]`.
pub fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'));
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", Json::from(key)),
    }
}

/// An item of a list: `spec.ports[80]`.
pub fn item(path: &str, label: &str) -> String {
    format!("{path}[{label}]")
}

/// Whether a place is that of `top`, or one below it: `spec.replicas` is not below `spec.replica`.
pub fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', ' ']))
}

/// The keys that tell the items of these lists apart, if there are such keys. All lists are of the same field.
pub fn merge_keys(field: &str, lists: &[&[Json]]) -> Option<&'static [&'static str]> {
    let known = BY_FIELD.iter().filter(|(name, _)| *name == field).flat_map(|(_, keys)| keys.iter());
    known.chain(&ANYWHERE).copied().find(|keys| lists.iter().all(|list| tells_apart(keys, list)))
}

fn tells_apart(keys: &[&str], list: &[Json]) -> bool {
    let mut seen = std::collections::HashSet::new();
    list.iter().all(|item| label(keys, item).is_some_and(|label| seen.insert(label)))
}

/// What an item is called by these keys: `web`, `80`, `53/UDP`. A protocol that was left out is TCP.
pub fn label(keys: &[&str], item: &Json) -> Option<String> {
    let mut parts = vec![];
    for key in keys {
        match item.as_object()?.get(*key) {
            None | Some(Json::Null) if *key == "protocol" => {}
            Some(value) if *key == "protocol" && value == "TCP" => {}
            Some(value) => parts.push(scalar(value)?),
            None => return None,
        }
    }
    Some(parts.join("/"))
}

/// A scalar as it stands in brackets.
pub fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_could_be_misread_is_quoted() {
        assert_eq!(child("", "spec"), "spec");
        assert_eq!(child("spec", "replicas"), "spec.replicas");
        assert_eq!(child("metadata.annotations", "a.b/c"), r#"metadata.annotations["a.b/c"]"#);
    }

    #[test]
    fn items_are_told_apart_by_the_first_keys_that_do() {
        let keys = |field, list: Json| merge_keys(field, &[list.as_array().unwrap()]);
        assert_eq!(keys("containers", json!([{ "name": "a" }, { "name": "b" }])), Some(&["name"][..]));
        let mounts = json!([{ "name": "data", "mountPath": "/a" }, { "name": "data", "mountPath": "/b" }]);
        assert_eq!(keys("volumeMounts", mounts), Some(&["mountPath"][..]));
        let dns = json!([{ "port": 53, "protocol": "UDP" }, { "port": 53 }]);
        assert_eq!(keys("ports", dns.clone()), Some(&["port", "protocol"][..]));
        assert_eq!(label(&["port", "protocol"], &dns[0]).unwrap(), "53/UDP");
        assert_eq!(label(&["port", "protocol"], &dns[1]).unwrap(), "53");
        assert_eq!(keys("rules", json!([{ "verbs": ["get"] }])), None);
        assert_eq!(keys("x", json!([{ "name": "a" }, { "name": "a" }])), None);
    }
}
