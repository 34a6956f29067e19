//! What a server-side apply would change: the live object against the result of its dry run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::path::{child, item, label, merge_keys, scalar};

/// One field that changes. What is added has no `before`, what is removed no `after`; either may be a whole subtree.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub path: String,
    pub before: Option<Json>,
    pub after: Option<Json>,
}

/// Fields that the API server writes with every change.
const OF_THE_SERVER: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];

/// Lists of plain values whose order is their meaning.
const SEQUENCES: [&str; 2] = ["command", "args"];

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// All that differs, in the order of the fields' names.
pub fn diff(live: &Json, result: &Json) -> Vec<Difference> {
    let mut found = vec![];
    compare("", "", &compared(live), &compared(result), &mut found);
    found
}

/// The object without what the server keeps account of.
fn compared(object: &Json) -> Json {
    let Json::Object(fields) = object else { return object.clone() };
    let kept = |(key, value): (&String, &Json)| match (key.as_str(), value) {
        ("status", _) => None,
        ("metadata", Json::Object(metadata)) => {
            let own = metadata.iter().filter(|(key, _)| !OF_THE_SERVER.contains(&key.as_str()));
            Some((key.clone(), Json::Object(own.map(|(k, v)| (k.clone(), v.clone())).collect())))
        }
        _ => Some((key.clone(), value.clone())),
    };
    Json::Object(fields.iter().filter_map(kept).collect())
}

/// `field` is the name of the field that both values stand under.
fn compare(path: &str, field: &str, before: &Json, after: &Json, found: &mut Vec<Difference>) {
    match (before, after) {
        _ if before == after => {}
        (Json::Object(before), Json::Object(after)) => maps(path, before, after, found),
        (Json::Array(before), Json::Array(after)) => lists(path, field, before, after, found),
        _ => found.push(difference(path.to_owned(), Some(before), Some(after))),
    }
}

fn difference(path: String, before: Option<&Json>, after: Option<&Json>) -> Difference {
    Difference { path, before: before.cloned(), after: after.cloned() }
}

fn maps(path: &str, before: &Map<String, Json>, after: &Map<String, Json>, found: &mut Vec<Difference>) {
    // Null and nothing are the same: some fields are written as null by clients that cannot leave them out.
    let there = |map: &'_ Map<String, Json>, key: &str| map.get(key).is_some_and(|value| !value.is_null());
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let below = child(path, key);
        match (there(before, key), there(after, key)) {
            (true, true) => compare(&below, key, &before[key], &after[key], found),
            (true, false) => found.push(difference(below, before.get(key), None)),
            (false, true) => found.push(difference(below, None, after.get(key))),
            (false, false) => {}
        }
    }
}

fn lists(path: &str, field: &str, before: &[Json], after: &[Json], found: &mut Vec<Difference>) {
    let are = |test: fn(&Json) -> bool| before.iter().chain(after).all(test);
    if are(Json::is_object) {
        match merge_keys(field, &[before, after]) {
            Some(keys) => keyed(path, keys, before, after, found),
            None => unkeyed(path, field, before, after, found),
        }
    } else if are(|value| scalar(value).is_some()) && !SEQUENCES.contains(&field) {
        scalars(path, before, after, found);
    } else {
        found.push(whole(path, before, after));
    }
}

fn whole(path: &str, before: &[Json], after: &[Json]) -> Difference {
    Difference { path: path.to_owned(), before: Some(before.to_vec().into()), after: Some(after.to_vec().into()) }
}

fn keyed(path: &str, keys: &[&str], before: &[Json], after: &[Json], found: &mut Vec<Difference>) {
    let names = |list: &[Json]| -> Vec<String> { list.iter().filter_map(|item| label(keys, item)).collect() };
    let (old, new) = (names(before), names(after));
    for (name, value) in old.iter().zip(before) {
        let below = item(path, name);
        match new.iter().position(|other| other == name) {
            Some(place) => compare(&below, "", value, &after[place], found),
            None => found.push(difference(below, Some(value), None)),
        }
    }
    for (name, value) in new.iter().zip(after).filter(|(name, _)| !old.contains(name)) {
        found.push(difference(item(path, name), None, Some(value)));
    }
    let (stayed, came) = (common(&old, &new), common(&new, &old));
    if stayed != came {
        let order = |names: Vec<&String>| Some(Json::from(names.into_iter().cloned().collect::<Vec<_>>()));
        found.push(Difference { path: format!("{path} (order)"), before: order(stayed), after: order(came) });
    }
}

/// The items of one list that the other has too, in the one's order.
fn common<'a, T: PartialEq>(one: &'a [T], other: &[T]) -> Vec<&'a T> {
    one.iter().filter(|item| other.contains(item)).collect()
}

/// Maps that nothing tells apart: equal ones are the same one. Of the rest, as many gone as come are taken for changes
/// of one another.
fn unkeyed(path: &str, field: &str, before: &[Json], after: &[Json], found: &mut Vec<Difference>) {
    let mut matched = vec![false; after.len()];
    let gone: Vec<usize> = (0..before.len())
        .filter(|&old| match (0..after.len()).find(|&new| !matched[new] && after[new] == before[old]) {
            Some(new) => {
                matched[new] = true;
                false
            }
            None => true,
        })
        .collect();
    let come: Vec<usize> = (0..after.len()).filter(|&new| !matched[new]).collect();
    if gone.is_empty() && come.is_empty() {
        found.push(Difference { path: format!("{path} (order)"), ..whole(path, before, after) });
    } else if gone.len() == come.len() {
        for (&old, &new) in gone.iter().zip(&come) {
            compare(&item(path, &new.to_string()), field, &before[old], &after[new], found);
        }
    } else {
        found.extend(gone.iter().map(|&old| difference(item(path, &old.to_string()), Some(&before[old]), None)));
        found.extend(come.iter().map(|&new| difference(item(path, &new.to_string()), None, Some(&after[new]))));
    }
}

/// Plain values: what was added and removed, if that is all that happened; otherwise both lists.
fn scalars(path: &str, before: &[Json], after: &[Json], found: &mut Vec<Difference>) {
    let unique = |list: &[Json]| list.iter().enumerate().all(|(place, value)| !list[..place].contains(value));
    let stayed = common(before, after);
    if !unique(before) || !unique(after) || stayed.is_empty() || stayed != common(after, before) {
        return found.push(whole(path, before, after));
    }
    let at = |value: &Json| item(path, &scalar(value).unwrap_or_default());
    found.extend(before.iter().filter(|v| !after.contains(v)).map(|v| difference(at(v), Some(v), None)));
    found.extend(after.iter().filter(|v| !before.contains(v)).map(|v| difference(at(v), None, Some(v))));
}

/// Puts a digest in the place of every value of a Secret, so that two can be compared and nothing is shown. The
/// digests of two Secrets never match: the object's uid is part of them.
pub fn mask(object: &mut Json) {
    if object.get("kind").and_then(Json::as_str) != Some("Secret") {
        return;
    }
    let uid = object.pointer("/metadata/uid").and_then(Json::as_str).unwrap_or_default().to_owned();
    for (section, plain) in [("data", false), ("stringData", true)] {
        let Some(entries) = object.get_mut(section).and_then(Json::as_object_mut) else { continue };
        for (key, value) in entries {
            // The server turns `stringData` into `data`: both have one digest.
            let text = match value.as_str() {
                Some(text) if plain => BASE64.encode(text),
                Some(text) => text.to_owned(),
                None => value.to_string(),
            };
            *value = format!("sha256:{}", digest(&[&uid, key, &text])).into();
        }
    }
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Json::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
}

/// The first 16 digits of a digest that no other division of the same text into parts has.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether what stands at a path of an object of this kind is never shown.
pub fn is_sensitive(kind: &str, path: &str) -> bool {
    let below =
        |section: &str| path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    kind == "Secret" && (below("data") || below("stringData") || path.contains(LAST_APPLIED))
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
