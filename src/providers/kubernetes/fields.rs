//! Who set which field of an object: `metadata.managedFields`, read.

use serde_json::{Map, Value as Json, json};

use super::object::{at, text};
use super::path::{child, item, label, merge_keys, scalar};

/// Managers that write what the system itself writes on objects, as a matter of course.
const SYSTEM: [&str; 7] = [
    "kube-controller-manager",
    "kube-scheduler",
    "kube-apiserver",
    "kubelet",
    "cloud-controller-manager",
    "aws-cloud-controller-manager",
    "clusterrole-aggregation-controller",
];

/// Managers that send whole objects by `Update` and keep what they sent elsewhere: their fields would stay behind as
/// nobody's. `before-first-apply` stands for all that wrote before the first server-side apply.
const CLIENT_SIDE: [&str; 7] = [
    "kubectl-client-side-apply",
    "kubectl-create",
    "kubectl-replace",
    "kubectl",
    "before-first-apply",
    "helm",
    "HashiCorp",
];

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What another manager set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub manager: String,
    pub paths: Vec<String>,
}

/// A field that another manager set otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub manager: String,
    pub path: String,
    /// The place as the API server writes it; by that it is found.
    pub field: String,
}

fn entries(object: &Json) -> impl Iterator<Item = &Json> {
    at(object, &["metadata", "managedFields"]).and_then(Json::as_array).into_iter().flatten()
}

fn is_apply(entry: &Json, manager: &str) -> bool {
    text(entry, &["manager"]) == Some(manager)
        && text(entry, &["operation"]) == Some("Apply")
        && !has_subresource(entry)
}

fn has_subresource(entry: &Json) -> bool {
    text(entry, &["subresource"]).is_some_and(|name| !name.is_empty())
}

/// The set of fields (`fieldsV1`) that a manager applied; empty if it applied none.
pub fn set(object: &Json, manager: &str) -> Map<String, Json> {
    let mut all = Map::new();
    for entry in entries(object).filter(|entry| is_apply(entry, manager)) {
        if let Some(fields) = entry.get("fieldsV1").and_then(Json::as_object) {
            merge(&mut all, fields);
        }
    }
    all
}

/// Adds a set of fields to another. An empty set below a field says "the field itself", as `.` does.
fn merge(into: &mut Map<String, Json>, more: &Map<String, Json>) {
    for (key, below) in more {
        match (into.get_mut(key).and_then(Json::as_object_mut), below.as_object()) {
            (Some(old), Some(new)) if old.is_empty() != new.is_empty() => {
                merge(old, new);
                old.insert(".".into(), json!({}));
            }
            (Some(old), Some(new)) => merge(old, new),
            _ => {
                into.insert(key.clone(), below.clone());
            }
        }
    }
}

/// The part of a live object that a manager applied, with the values that its fields have now.
pub fn owned_by(object: &Json, manager: &str) -> Json {
    let fields = set(object, manager);
    // Below the object an empty set says "all of it"; of the object itself, "nothing".
    if fields.is_empty() { None } else { part(object, &fields) }.unwrap_or_else(|| json!({}))
}

fn part(value: &Json, fields: &Map<String, Json>) -> Option<Json> {
    if fields.is_empty() {
        return Some(value.clone());
    }
    match value {
        Json::Object(map) => {
            let below = |(key, value): (&String, &Json)| {
                let fields = fields.get(&format!("f:{key}"))?.as_object()?;
                Some((key.clone(), part(value, fields)?))
            };
            let own: Map<String, Json> = map.iter().filter_map(below).collect();
            (!own.is_empty() || fields.contains_key(".")).then_some(Json::Object(own))
        }
        Json::Array(items) => {
            let own: Vec<Json> = items
                .iter()
                .enumerate()
                .filter_map(|(place, value)| {
                    let (name, fields) = fields.iter().find(|(name, _)| names(name, place, value))?;
                    let mut own = part(value, fields.as_object()?)?;
                    if let (Json::Object(own), Some(keys)) = (&mut own, item_keys(name)) {
                        keys.into_iter().for_each(|(key, value)| {
                            own.entry(key).or_insert(value);
                        });
                    }
                    Some(own)
                })
                .collect();
            (!own.is_empty() || fields.contains_key(".")).then_some(Json::Array(own))
        }
        _ => fields.contains_key(".").then(|| value.clone()),
    }
}

/// The keys of a list's item in `k:{"name":"web"}`.
fn item_keys(name: &str) -> Option<Map<String, Json>> {
    serde_json::from_str(name.strip_prefix("k:")?).ok()
}

/// Whether a name in a set of fields is that of this item of a list.
fn names(name: &str, place: usize, value: &Json) -> bool {
    match name.split_at_checked(2) {
        Some(("k:", _)) => {
            item_keys(name).is_some_and(|keys| keys.iter().all(|(key, wanted)| value.get(key) == Some(wanted)))
        }
        Some(("v:", wanted)) => serde_json::from_str::<Json>(wanted).is_ok_and(|wanted| wanted == *value),
        Some(("i:", wanted)) => wanted.parse() == Ok(place),
        _ => false,
    }
}

/// What others set that `manager` did not, apart from the status, finalizers, and what the system itself writes.
pub fn foreign(object: &Json, manager: &str) -> Vec<Foreign> {
    let ours = set(object, manager);
    let mut found: Vec<Foreign> = vec![];
    for entry in entries(object).filter(|entry| !is_apply(entry, manager)) {
        let name = text(entry, &["manager"]).unwrap_or("unknown");
        if text(entry, &["subresource"]) == Some("status") || SYSTEM.contains(&name) {
            continue;
        }
        let Some(fields) = entry.get("fieldsV1").and_then(Json::as_object) else { continue };
        let mut paths = vec![];
        others("", "", Some(object), fields, Some(&ours), &mut paths);
        paths.retain(|path| !is_bookkeeping(path));
        let place = found.iter().position(|foreign| foreign.manager == name);
        match place {
            Some(place) => found[place].paths.extend(paths),
            None => found.push(Foreign { manager: name.to_owned(), paths }),
        }
    }
    for foreign in &mut found {
        foreign.paths.sort();
        foreign.paths.dedup();
    }
    found.retain(|foreign| !foreign.paths.is_empty());
    found
}

fn is_bookkeeping(path: &str) -> bool {
    path == "status"
        || path.starts_with("status.")
        || path.starts_with("metadata.finalizers")
        || path.starts_with("metadata.annotations[\"deployment.kubernetes.io/")
        || path.contains(LAST_APPLIED)
}

/// Collects the fields of `theirs` that are not in `ours`. A subtree of which nothing is ours is one path, but each
/// label, annotation and entry of `data` is one of its own.
fn others(
    path: &str,
    field: &str,
    live: Option<&Json>,
    theirs: &Map<String, Json>,
    ours: Option<&Map<String, Json>>,
    found: &mut Vec<String>,
) {
    // An empty set of ours is the whole of what stands here.
    if ours.is_some_and(|ours| ours.is_empty()) && !path.is_empty() {
        return;
    }
    let is_separate = path.is_empty() || matches!(field, "metadata" | "labels" | "annotations" | "data" | "spec");
    if ours.is_none() && (theirs.is_empty() || theirs.contains_key(".") && !is_separate) {
        return found.push(path.to_owned());
    }
    for (name, below) in theirs {
        let Some(below) = below.as_object() else { continue };
        let ours = ours.and_then(|ours| ours.get(name)).and_then(Json::as_object);
        match name.split_at_checked(2) {
            Some(("f:", key)) => {
                others(&child(path, key), key, live.and_then(|live| live.get(key)), below, ours, found);
            }
            Some((sort, wanted)) => {
                let items = live.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                let (place, value) = match items.iter().enumerate().find(|(place, value)| names(name, *place, value)) {
                    Some((place, value)) => (place, value),
                    // It was taken away since.
                    None => continue,
                };
                let called = match sort {
                    "k:" => merge_keys(field, &[items]).and_then(|keys| label(keys, value)),
                    "v:" => scalar(value),
                    _ => Some(wanted.to_owned()),
                };
                let path = item(path, &called.unwrap_or_else(|| place.to_string()));
                others(&path, "", Some(value), below, ours, found);
            }
            None => {}
        }
    }
}

/// Who applied an object client-side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSide {
    pub managers: Vec<String>,
}

/// Whether an object was written by clients whose fields no server-side apply of ours could ever remove, unless they
/// are handed over first.
pub fn is_client_side(object: &Json) -> Option<ClientSide> {
    let mut managers: Vec<String> = entries(object)
        .filter(|entry| is_client_sides(entry))
        .filter_map(|entry| text(entry, &["manager"]))
        .map(str::to_owned)
        .collect();
    managers.sort();
    managers.dedup();
    (!managers.is_empty()).then_some(ClientSide { managers })
}

fn is_client_sides(entry: &Json) -> bool {
    text(entry, &["operation"]) == Some("Update")
        && !has_subresource(entry)
        && text(entry, &["manager"]).is_some_and(|manager| CLIENT_SIDE.contains(&manager))
}

/// The JSON patch that hands the fields of client-side writers to what `manager` applies, so that its next apply
/// removes those that it does not name. None if there is nothing to hand over.
///
/// To write the `resourceVersion` that was read is the lock: if the object has changed since, the answer is a 409.
pub fn migrate(object: &Json, manager: &str) -> Option<Json> {
    is_client_side(object)?;
    let version = text(object, &["metadata", "resourceVersion"])?;
    let mut all: Vec<Json> = entries(object).filter(|entry| !is_client_sides(entry)).cloned().collect();
    let mut fields = Map::new();
    entries(object)
        .filter(|entry| is_client_sides(entry))
        .filter_map(|entry| entry.get("fieldsV1")?.as_object())
        .for_each(|more| merge(&mut fields, more));
    // The old client's own record (`last-applied-configuration`) is handed over with the rest: our next apply does not
    // name it, and so removes it.
    match all.iter_mut().find(|entry| is_apply(entry, manager)) {
        Some(own) => {
            let mut ours = own.get("fieldsV1").and_then(Json::as_object).cloned().unwrap_or_default();
            merge(&mut ours, &fields);
            own["fieldsV1"] = Json::Object(ours);
        }
        None => {
            let mut own = entries(object).find(|entry| is_client_sides(entry))?.clone();
            own["manager"] = manager.into();
            own["operation"] = "Apply".into();
            own["fieldsV1"] = Json::Object(fields);
            all.push(own);
        }
    }
    Some(json!([
        { "op": "replace", "path": "/metadata/managedFields", "value": all },
        { "op": "replace", "path": "/metadata/resourceVersion", "value": version },
    ]))
}

/// Takes out of an object what [`migrate`] would hand to `manager`, and what that has applied, if `wanted` does not name
/// it: the next apply removes it, but for what others set as well.
pub fn drop_handed_over(live: &Json, manager: &str, wanted: &Json, object: &mut Json) {
    let Some(patch) = migrate(live, manager) else { return };
    let handed_over = json!({ "metadata": { "managedFields": at(&patch[0], &["value"]) } });
    let mut owned = set(&handed_over, manager);
    owned.remove("f:status");
    let mut others = Map::new();
    entries(&handed_over)
        .filter(|entry| !is_apply(entry, manager))
        .filter_map(|entry| entry.get("fieldsV1")?.as_object())
        .for_each(|more| merge(&mut others, more));
    drop_unwanted(object, &owned, Some(&others), Some(wanted));
}

fn drop_unwanted(
    object: &mut Json,
    owned: &Map<String, Json>,
    others: Option<&Map<String, Json>>,
    wanted: Option<&Json>,
) {
    for (name, below) in owned {
        let Some(below) = below.as_object() else { continue };
        let others = others.and_then(|others| others.get(name)).and_then(Json::as_object);
        match object {
            Json::Object(map) => {
                let Some(key) = name.strip_prefix("f:") else { continue };
                let Some(value) = map.get_mut(key) else { continue };
                let wanted = wanted.and_then(|wanted| wanted.get(key));
                if wanted.is_none() && others.is_none() {
                    map.remove(key);
                } else {
                    drop_unwanted(value, below, others, wanted);
                }
            }
            Json::Array(items) => {
                let found = items.iter().enumerate().position(|(place, value)| names(name, place, value));
                let Some(place) = found else { continue };
                let wanted = wanted.and_then(Json::as_array).into_iter().flatten();
                let wanted = wanted.enumerate().find(|(place, value)| could_be(name, *place, value));
                if wanted.is_none() && others.is_none() {
                    items.remove(place);
                } else {
                    drop_unwanted(&mut items[place], below, others, wanted.map(|(_, value)| value));
                }
            }
            _ => {}
        }
    }
}

/// As [`names`], of an item of a manifest, in which keys with defaults may be left out.
fn could_be(name: &str, place: usize, value: &Json) -> bool {
    let Some(keys) = item_keys(name) else { return names(name, place, value) };
    let said = |(key, wanted): (&String, &Json)| value.get(key).map(|value| value == wanted);
    let said: Vec<bool> = keys.iter().filter_map(said).collect();
    !said.is_empty() && said.into_iter().all(|same| same)
}

/// Which fields others set, by the answer (409) to an apply without force.
pub fn conflicts(status: &Json) -> Vec<Conflict> {
    let causes = at(status, &["details", "causes"]).and_then(Json::as_array).into_iter().flatten();
    causes
        .filter(|cause| text(cause, &["reason"]) == Some("FieldManagerConflict"))
        .map(|cause| Conflict {
            manager: manager_in(text(cause, &["message"]).unwrap_or_default()),
            path: readable(text(cause, &["field"]).unwrap_or_default()),
            field: text(cause, &["field"]).unwrap_or_default().to_owned(),
        })
        .collect()
}

/// `hpa` of `conflict with "hpa" using autoscaling/v2`.
fn manager_in(message: &str) -> String {
    let quoted = message.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
    quoted.unwrap_or(message).to_owned()
}

/// A place as the API server writes it, `.spec.ports[port=80,protocol="TCP"].name`, as we do.
pub fn readable(field: &str) -> String {
    // Keys of these maps hold dots, which the server does not mark.
    const DOTTED: [&str; 6] = ["annotations", "labels", "matchLabels", "nodeSelector", "data", "binaryData"];
    let mut path = String::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = closing(inside);
            path = item(&path, &item_label(&inside[..end]));
            rest = inside.get(end + 1..).unwrap_or_default();
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let last = path.rsplit('.').next().unwrap_or_default();
        let end = if DOTTED.contains(&last) { rest.len() } else { rest.find(['.', '[']).unwrap_or(rest.len()) };
        if end == 0 {
            // Not a name: nothing more can be told apart.
            return path + rest;
        }
        path = child(&path, &rest[..end]);
        rest = &rest[end..];
    }
    path
}

/// What stands in an object at a place as the API server writes it, and that place as we write it. The server marks no
/// dots within keys (`.limits.nvidia.com/gpu`): only the object tells where a key ends.
pub fn find<'a>(object: &'a Json, field: &str) -> Option<(String, &'a Json)> {
    descend(object, field, "")
}

fn descend<'a>(value: &'a Json, rest: &str, path: &str) -> Option<(String, &'a Json)> {
    if rest.is_empty() {
        return Some((path.to_owned(), value));
    }
    match value {
        Json::Object(map) => {
            let rest = rest.strip_prefix('.')?;
            let ends = |after: &str| after.is_empty() || after.starts_with(['.', '[']);
            let mut keys: Vec<(&String, &str)> = map
                .keys()
                .filter_map(|key| Some((key, rest.strip_prefix(key.as_str())?)))
                .filter(|(_, after)| ends(after))
                .collect();
            keys.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
            keys.into_iter().find_map(|(key, after)| descend(&map[key], after, &child(path, key)))
        }
        Json::Array(items) => {
            let inside = rest.strip_prefix('[')?;
            let end = closing(inside);
            let (inside, after) = (&inside[..end], inside.get(end + 1..)?);
            let place = items.iter().enumerate().position(|(place, item)| is_item(inside, place, item))?;
            descend(&items[place], after, &item(path, &item_label(inside)))
        }
        _ => None,
    }
}

/// Whether a list's item is that of `name="web"`, `port=80,protocol="TCP"`, `="value"` or `3`.
fn is_item(inside: &str, place: usize, item: &Json) -> bool {
    let mut rest = inside;
    while let Some((key, after)) = rest.split_once('=') {
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Json>();
        let Some(Ok(wanted)) = values.next() else { return false };
        let there = if key.is_empty() { Some(item) } else { item.get(key) };
        if there != Some(&wanted) {
            return false;
        }
        rest = after[values.byte_offset()..].trim_start_matches(',');
        if rest.is_empty() {
            return true;
        }
    }
    rest.parse() == Ok(place)
}

/// Where the bracket closes, quotes apart.
fn closing(inside: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (place, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return place,
            _ => {}
        }
    }
    inside.len()
}

/// `name="web"`, `port=80,protocol="TCP"`, `="value"` or `3`.
fn item_label(inside: &str) -> String {
    let value =
        |text: &str| serde_json::from_str::<Json>(text).ok().and_then(|v| scalar(&v)).unwrap_or(text.to_owned());
    let mut parts = vec![];
    for part in inside.split(',') {
        match part.split_once('=') {
            Some(("protocol", "\"TCP\"")) => {}
            Some((_, text)) => parts.push(value(text)),
            None => parts.push(part.to_owned()),
        }
    }
    parts.join("/")
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
