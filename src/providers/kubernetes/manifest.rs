//! Manifests: a text of YAML as the objects in it, or all that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;

use super::object::group;
use super::yaml;
use crate::resource::{Map, Reference, Value};

/// An object as a manifest has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub api_version: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
    /// The whole object, with references in place.
    pub value: Value,
    /// The line of the text in which its document begins, from 1.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// In the text, from 1; 0 if it is nowhere in particular.
    pub line: usize,
    pub column: usize,
    /// A lower-case fragment.
    pub what: String,
    pub hint: Option<String>,
}

impl Wrong {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Wrong { line, column: 0, what: what.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Of one text; a stack of 20,000 resources takes several.
const DOCUMENTS: usize = 10_000;

/// More are not looked for: whoever mends so many asks again.
const MISTAKES: usize = 100;

const OPEN: char = '\u{f8f3}';
const CLOSE: char = '\u{f8f4}';

/// APISIX's admin keys as its chart and its examples ship them: known to everybody.
const DEFAULT_KEYS: [&str; 2] = ["edd1c9f034335f136f87ad84b625c8f1", "4054f7cf07e344346cd3f287985e76a2"];

/// The objects of a text in their order. `namespace` is for those that have none and live in one.
pub fn objects(text: &Value, namespace: Option<&Value>) -> Result<Vec<Object>, Vec<Wrong>> {
    let namespace = match namespace {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.as_str()),
        Some(other) if other.is_known() => return Err(vec![Wrong::new(0, "the namespace must be a string")]),
        Some(_) => return Err(vec![Wrong::new(0, "the namespace must be known before the apply")]),
    };
    let (text, places) = places(text)?;
    no_page(&text)?;
    let mut wrong = default_keys(&text);
    let (mut found, mut room) = (vec![], yaml::Room::default());
    let documents = documents(&text);
    if let Some((line, _)) = documents.get(DOCUMENTS) {
        return Err(vec![
            Wrong::new(*line, format!("it has more than {DOCUMENTS} documents")).hint("make several of it"),
        ]);
    }
    for (line, document) in documents {
        match yaml::read(document, &mut room) {
            Ok(Value::Null) => {}
            Ok(value) => unfold(value, line + before(document), &mut found),
            Err(mistake) => wrong.push(unreadable(mistake, line, document)),
        }
        if room.is_used_up() || wrong.len() >= MISTAKES {
            return Err(wrong);
        }
    }
    let cluster_scoped = custom_cluster_scoped(&found);
    let mut objects: Vec<Object> = vec![];
    let mut lines: BTreeMap<(String, String, Option<String>, String), usize> = BTreeMap::new();
    for (line, value) in found {
        if wrong.len() >= MISTAKES {
            break;
        }
        match object(value, line, namespace, &places, &cluster_scoped, &mut wrong) {
            Some(object) => {
                let (kind, name) = (&object.kind, &object.name);
                let id = (group(&object.api_version).to_owned(), kind.clone(), object.namespace.clone(), name.clone());
                match lines.get(&id) {
                    Some(first) => {
                        let what = format!("{kind} `{name}` is there twice: in line {first} and in line {line}");
                        wrong.push(Wrong::new(line, what));
                    }
                    None => {
                        lines.insert(id, line);
                        objects.push(object);
                    }
                }
            }
            None => continue,
        }
    }
    wrong.sort_by_key(|wrong| (wrong.line, wrong.column));
    if wrong.is_empty() { Ok(objects) } else { Err(wrong) }
}

/// A reference in the text, and its line.
struct Held {
    reference: Reference,
    line: usize,
}

/// The text with a placeholder for each reference.
fn places(text: &Value) -> Result<(String, Vec<Held>), Vec<Wrong>> {
    let parts = match text {
        Value::Text(parts) => parts.as_slice(),
        Value::String(_) => std::slice::from_ref(text),
        Value::Reference(_) => {
            return Err(vec![Wrong::new(0, "the text of a manifest must be known before the apply")]);
        }
        other => return Err(vec![Wrong::new(0, format!("a manifest is a text, and this is a {}", other.type_name()))]),
    };
    let (mut out, mut held, mut line) = (String::new(), vec![], 1);
    for part in parts {
        match part {
            Value::Reference(reference) => {
                out.push_str(&format!("{OPEN}{}{CLOSE}", held.len()));
                held.push(Held { reference: reference.clone(), line });
            }
            part => {
                let part = part.to_string();
                if part.contains([OPEN, CLOSE]) {
                    return Err(vec![Wrong::new(line, "it holds a reserved character (U+F8F3 or U+F8F4)")]);
                }
                line += part.matches('\n').count();
                out.push_str(&part);
            }
        }
    }
    Ok((out, held))
}

/// References back in the place of their placeholders.
fn fill(text: String, places: &[Held]) -> Value {
    if !text.contains(OPEN) {
        return Value::String(text);
    }
    let (mut parts, mut rest) = (vec![], text.as_str());
    while let Some((before, after)) = rest.split_once(OPEN) {
        parts.push(Value::from(before));
        let Some((number, after)) = after.split_once(CLOSE) else { break };
        let held = number.parse::<usize>().ok().and_then(|index| places.get(index));
        parts.extend(held.map(|held| Value::Reference(held.reference.clone())));
        rest = after;
    }
    parts.push(Value::from(rest));
    match Value::text(parts) {
        Value::Text(mut parts) if parts.len() == 1 => parts.remove(0),
        text => text,
    }
}

/// The line of the first placeholder in a text.
fn line_of(text: &str, places: &[Held]) -> Option<usize> {
    let (number, _) = text.split_once(OPEN)?.1.split_once(CLOSE)?;
    number.parse::<usize>().ok().and_then(|index| places.get(index)).map(|held| held.line)
}

fn fill_all(value: Value, places: &[Held], wrong: &mut Vec<Wrong>) -> Value {
    match value {
        Value::String(text) => fill(text, places),
        Value::List(items) => items.into_iter().map(|item| fill_all(item, places, wrong)).collect(),
        Value::Map(map) => {
            let mut filled = Map::new();
            for (key, value) in map {
                if let Some(line) = line_of(&key, places) {
                    wrong.push(Wrong::new(line, "a key must be known before the apply"));
                }
                filled.insert(key, fill_all(value, places, wrong));
            }
            Value::Map(filled)
        }
        other => other,
    }
}

fn no_page(text: &str) -> Result<(), Vec<Wrong>> {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        let wrong = Wrong::new(1, "this is an HTML page and no manifest");
        return Err(vec![wrong.hint("a web page about the file was saved: take the address of the raw file")]);
    }
    Ok(())
}

/// `{{ env.host }}` in objects of a text that no template gave. Objects whose readers have templates of their own are
/// not asked: of kinds that Kubernetes does not know, ConfigMaps, Secrets, definitions, and annotations.
pub fn left_over(objects: &[Object], text: &Value) -> Vec<Wrong> {
    let text = text.to_string();
    let mut wrong = vec![];
    for object in objects {
        let group = group(&object.api_version);
        let own = group.is_empty() || !group.contains('.') || group.ends_with(".k8s.io");
        if !own || matches!(object.kind.as_str(), "ConfigMap" | "Secret" | "CustomResourceDefinition") {
            continue;
        }
        for place in held(&object.value) {
            let lines = text.lines().enumerate().skip(object.line.saturating_sub(1));
            let line = lines.into_iter().find(|(_, line)| line.contains(&place)).map_or(object.line, |(at, _)| at + 1);
            let left = Wrong::new(line, format!("{} `{}` holds `{place}`", object.kind, object.name));
            wrong.push(left.hint("it looks like a template that was not rendered: use `template()` to render it"));
        }
    }
    wrong
}

/// Every `{{ name.of.a.value }}` in an object, as it stands there. What Go's templates have begins with a dot, a `$` or a
/// word of theirs before a blank.
fn held(value: &Value) -> Vec<String> {
    let mut found = vec![];
    let mut look = |text: &str| {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("{{") {
            let Some((inside, next)) = after.split_once("}}") else { break };
            let path = inside.split('|').next().unwrap_or_default().trim().trim_start_matches('-').trim();
            let named = path.starts_with(|first: char| first.is_alphabetic() || first == '_');
            let theirs = matches!(path, "end" | "else" | "break" | "continue");
            if named && !theirs && path.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']')) {
                found.push(format!("{{{{{inside}}}}}"));
            }
            rest = next;
        }
    };
    let Some(map) = value.as_map() else { return found };
    for (key, value) in map {
        match (key.as_str(), value) {
            ("metadata", Value::Map(metadata)) => {
                metadata.iter().filter(|(key, _)| *key != "annotations").for_each(|(_, value)| value.strings(&mut look))
            }
            (_, value) => value.strings(&mut look),
        }
    }
    found
}

fn default_keys(text: &str) -> Vec<Wrong> {
    let coded = DEFAULT_KEYS.map(|key| BASE64.encode(key));
    let known =
        |line: &str| DEFAULT_KEYS.iter().any(|key| line.contains(key)) || coded.iter().any(|key| line.contains(key));
    let lines = text.lines().enumerate().filter(|(_, line)| known(line));
    let wrong = |line| Wrong::new(line, "this is APISIX's default admin key, which everybody knows");
    lines.map(|(index, _)| wrong(index + 1).hint("give a key of your own, from a secret")).collect()
}

/// The documents of a text with the lines in which they begin. `---` at the start of a line always ends one.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let is_marker = |line: &str| {
        line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let (mut documents, mut start, mut start_line, mut at) = (vec![], 0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) {
            documents.push((start_line, &text[start..at]));
            (start, start_line) = (at, index + 1);
        }
        at += line.len();
    }
    documents.push((start_line, &text[start..]));
    // What holds only comments and directives belongs to no document.
    documents.retain(|(_, document)| document.lines().any(says));
    documents
}

/// Whether a line is more than a marker, a comment or a directive.
fn says(line: &str) -> bool {
    let line = line.strip_prefix("---").unwrap_or(line).trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%') && line != "..."
}

/// How many lines of a document come before what it says.
fn before(document: &str) -> usize {
    document.lines().take_while(|line| !says(line)).count()
}

fn unreadable(mistake: yaml::Mistake, first: usize, document: &str) -> Wrong {
    let line = if mistake.line == 0 { first } else { first + mistake.line - 1 };
    let wrong = Wrong { line, column: mistake.column, what: mistake.what, hint: None };
    let at = document.lines().nth(mistake.line.saturating_sub(1)).unwrap_or_default();
    if document.contains("{{") || document.contains("{%") {
        return wrong.hint("it looks like a template that was not rendered: use `template()` to render it");
    }
    let indent = &at[..at.len() - at.trim_start().len()];
    if indent.contains('\t') {
        return wrong.hint("YAML is indented with spaces, never with tabs");
    }
    let said = |words: &str| wrong.what.contains(words);
    match () {
        () if said("mapping values are not allowed") => wrong.hint("put a value that has `: ` in it in quotes"),
        () if said("did not find expected") => wrong.hint("is the line indented as its neighbours are?"),
        () if said(yaml::TOO_MUCH) => wrong.hint("make several manifests of it, and write out what anchors repeat"),
        () => wrong,
    }
}

/// A `List` as what is in it.
fn unfold(value: Value, line: usize, found: &mut Vec<(usize, Value)>) {
    match value {
        Value::Map(mut map) if map.get("kind").and_then(Value::as_str) == Some("List") => {
            if let Some(Value::List(items)) = map.remove("items") {
                items.into_iter().for_each(|item| unfold(item, line, found));
            }
        }
        other => found.push((line, other)),
    }
}

fn at<'a>(map: &'a Map, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(map.get(*first)?, |value, key| value.as_map()?.get(*key))
}

/// Group and kind of what the text's own definitions place outside of namespaces.
fn custom_cluster_scoped(found: &[(usize, Value)]) -> BTreeSet<(String, String)> {
    let text = |map: &Map, path: &[&str]| at(map, path).and_then(Value::as_str).map(str::to_owned);
    let maps = found.iter().filter_map(|(_, value)| value.as_map());
    let definitions = maps.filter(|map| text(map, &["kind"]).as_deref() == Some("CustomResourceDefinition"));
    let cluster = definitions.filter(|map| text(map, &["spec", "scope"]).as_deref() == Some("Cluster"));
    cluster.filter_map(|map| Some((text(map, &["spec", "group"])?, text(map, &["spec", "names", "kind"])?))).collect()
}

/// Kubernetes' own kinds that live in no namespace.
fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(kind, "Namespace" | "Node" | "PersistentVolume"),
        "rbac.authorization.k8s.io" => matches!(kind, "ClusterRole" | "ClusterRoleBinding"),
        "apiextensions.k8s.io" => kind == "CustomResourceDefinition",
        "networking.k8s.io" => matches!(kind, "IngressClass" | "IPAddress" | "ServiceCIDR"),
        "storage.k8s.io" => kind != "CSIStorageCapacity",
        "scheduling.k8s.io" => kind == "PriorityClass",
        "node.k8s.io" => kind == "RuntimeClass",
        "resource.k8s.io" => matches!(kind, "DeviceClass" | "ResourceSlice"),
        "flowcontrol.apiserver.k8s.io" => matches!(kind, "FlowSchema" | "PriorityLevelConfiguration"),
        "certificates.k8s.io" => matches!(kind, "CertificateSigningRequest" | "ClusterTrustBundle"),
        "admissionregistration.k8s.io" | "apiregistration.k8s.io" => true,
        _ => false,
    }
}

/// A text that tells what the object is.
fn told(map: &Map, path: &[&str], line: usize, places: &[Held], wrong: &mut Vec<Wrong>) -> Option<String> {
    let field = path.join(".");
    match at(map, path) {
        Some(Value::String(text)) if !text.is_empty() => {
            if let Some(line) = line_of(text, places) {
                wrong.push(Wrong::new(line, format!("`{field}` must be known before the apply")));
                return None;
            }
            if text.contains("{{") {
                let left = Wrong::new(line, format!("`{field}` is `{text}`"));
                wrong.push(left.hint("it looks like a template that was not rendered: use `template()` to render it"));
                return None;
            }
            return Some(text.clone());
        }
        None | Some(Value::Null | Value::String(_)) => {
            let missing = Wrong::new(line, format!("`{field}` is missing"));
            let generated = field == "metadata.name" && at(map, &["metadata", "generateName"]).is_some();
            wrong.push(match generated {
                true => missing.hint("`generateName` gives a new object with every apply: give it a `name`"),
                false => missing,
            });
        }
        Some(other) => {
            let what = format!("`{field}` must be a string and is a {}", other.type_name());
            wrong.push(Wrong::new(line, what).hint("put it in quotes"));
        }
    }
    None
}

fn object(
    value: Value,
    line: usize,
    namespace: Option<&str>,
    places: &[Held],
    cluster_scoped: &BTreeSet<(String, String)>,
    wrong: &mut Vec<Wrong>,
) -> Option<Object> {
    let Value::Map(mut map) = value else {
        wrong.push(Wrong::new(line, format!("an object is a map, and this is a {}", value.type_name())));
        return None;
    };
    let api_version = told(&map, &["apiVersion"], line, places, wrong);
    let kind = told(&map, &["kind"], line, places, wrong);
    let name = told(&map, &["metadata", "name"], line, places, wrong);
    let (api_version, kind, name) = (api_version?, kind?, name?);
    map.remove("status");
    let group = group(&api_version);
    let cluster = is_cluster_scoped(group, &kind) || cluster_scoped.contains(&(group.to_owned(), kind.clone()));
    let given = match at(&map, &["metadata", "namespace"]) {
        None | Some(Value::Null) => None,
        Some(_) => Some(told(&map, &["metadata", "namespace"], line, places, wrong)?),
    };
    let namespace = if cluster { None } else { given.or(namespace.map(str::to_owned)) };
    if let Some(Value::Map(metadata)) = map.get_mut("metadata") {
        for field in ["managedFields", "resourceVersion", "uid"] {
            if metadata.contains_key(field) {
                let what = format!("{kind} `{name}` has `metadata.{field}`, which only the cluster sets");
                wrong.push(Wrong::new(line, what).hint("it was copied from a cluster: take it out"));
            }
        }
        if metadata.get("creationTimestamp").is_some_and(Value::is_null) {
            metadata.remove("creationTimestamp");
        }
        metadata.remove("namespace");
        metadata.extend(namespace.clone().map(|namespace| ("namespace".to_owned(), namespace.into())));
        for field in ["labels", "annotations"] {
            let values = metadata.get(field).and_then(Value::as_map).into_iter().flatten();
            for (key, value) in values.filter(|(_, value)| !matches!(value, Value::String(_) | Value::Null)) {
                let what = format!(
                    "`{key}` in the {field} of {kind} `{name}` must be a string and is a {}",
                    value.type_name()
                );
                wrong.push(Wrong::new(line, what).hint("put it in quotes"));
            }
        }
    }
    let mut value = fill_all(Value::Map(map), places, wrong);
    if let (Value::Map(map), "v1", "Secret") = (&mut value, api_version.as_str(), kind.as_str()) {
        encode_known(map);
    }
    Some(Object { api_version, kind, namespace, name, value, line })
}

/// `stringData` as `data` as far as it is known; the rest follows in [`settle`].
fn encode_known(secret: &mut Map) {
    let Some(Value::Map(entries)) = secret.remove("stringData") else { return };
    let (known, unknown): (Map, Map) = entries.into_iter().partition(|(_, value)| matches!(value, Value::String(_)));
    let data = secret.entry("data".into()).or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Map(Map::new());
    }
    if let Value::Map(data) = data {
        // What both have, `stringData` says.
        unknown.keys().for_each(|key| drop(data.remove(key)));
        let coded = known.into_iter().map(|(key, value)| (key, BASE64.encode(value.to_string()).into()));
        data.extend(coded);
    }
    if !unknown.is_empty() {
        secret.insert("stringData".into(), Value::Map(unknown));
    }
}

/// Makes `data` of a complete Secret's `stringData`, as the cluster would, and sees that `data` is base64.
pub fn settle(object: &mut Json) -> Result<(), String> {
    if object["kind"] != "Secret" || object["apiVersion"] != "v1" {
        return Ok(());
    }
    let Some(secret) = object.as_object_mut() else { return Ok(()) };
    if let Some(Json::Object(texts)) = secret.remove("stringData") {
        let data = secret.entry("data").or_insert(Json::Null);
        if data.is_null() {
            *data = Json::Object(Default::default());
        }
        for (key, value) in texts {
            let Json::String(text) = value else { return Err(format!("`stringData.{key}` must be a string")) };
            if let Some(data) = data.as_object_mut() {
                data.insert(key, BASE64.encode(text).into());
            }
        }
    }
    for (key, value) in secret.get("data").and_then(Json::as_object).into_iter().flatten() {
        // Line breaks are allowed in it; the value itself is never told.
        let text = value.as_str().map(|text| text.replace(['\n', '\r'], ""));
        if !value.is_null() && text.is_none_or(|text| BASE64.decode(text).is_err()) {
            return Err(format!("`data.{key}` is not base64 (plain text belongs in `stringData`)"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
