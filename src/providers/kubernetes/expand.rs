//! `k8s::manifest`: a text of one or many documents becomes one resource per object.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::object::{Id, group};
use super::{cluster, kinds, manifest, place};
use crate::resource::compound::{Asked, Compound, Flaw, Part};
use crate::resource::schema::{self, Mistake};
use crate::resource::{Address, Map, Value};

/// Objects on a cluster, from YAML: one or many documents, each of which becomes a resource of its own, addressed
/// `k8s::Deployment.identity/keycloak`. Give one of `yaml`, `file` and `url`. It is applied server-side, in the order in
/// which the objects need each other. Gives a map of the objects by their short addresses:
/// `let web = k8s::manifest(…); web["Service.shop/web"].status`.
#[derive(JsonSchema, Serialize)]
struct Inputs {
    /// The `k8s::cluster` they are on.
    cluster: serde_json::Value,
    /// The text itself, as `template` gives it; values that are not known yet may stand in it.
    yaml: Option<String>,
    /// A file below `templates/`, sent as it is.
    file: Option<String>,
    /// A file on the web, over https, pinned by `sha256`.
    url: Option<String>,
    /// What `sha256sum` says of the file at `url`.
    sha256: Option<String>,
    /// The namespace of objects that name none.
    namespace: Option<String>,
    /// Partial objects, each with `apiVersion`, `kind` and `metadata.name`, laid over the objects of that name: maps are
    /// merged, everything else is replaced, and null takes a key out. As a list of maps, or as YAML.
    patches: Option<serde_json::Value>,
    /// Whether fields that another manager set otherwise are taken over.
    force_conflicts: Option<bool>,
}

pub fn manifest() -> Compound {
    Compound { name: "k8s::manifest".into(), doc: schema::doc::<Inputs>(), inputs: schema::inputs::<Inputs>(), expand }
}

fn expand(asked: &Asked) -> Result<Vec<Part>, Vec<Flaw>> {
    let cluster = the_cluster(asked)?;
    let prefix = cluster.1.get("address_prefix").and_then(Value::as_str);
    let mut objects = manifest::objects(asked.text, asked.inputs.get("namespace")).map_err(flaws)?;
    if !asked.rendered {
        let left = manifest::left_over(&objects, asked.text);
        if !left.is_empty() {
            return Err(flaws(left));
        }
    }
    for patch in patches(asked)? {
        lay_over(&mut objects, &patch)?;
    }
    let parts = objects.into_iter().map(|object| {
        let id = Id {
            cluster: cluster.0.name.to_string(),
            group: group(&object.api_version).to_owned(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        };
        let address = kinds::address(&id, prefix);
        let Some(kind) = kinds::named(&address.kind) else {
            let what = format!("`{}` is no kind of Kubernetes", object.kind);
            let hint = Some(format!("kinds begin with a capital letter, such as `{}`", like_a_kind(&object.kind)));
            return Err(vec![Flaw::Text { line: object.line, column: 1, what, hint }]);
        };
        let mut inputs =
            Map::from([(kinds::OBJECT.into(), id.to_string().into()), (kinds::MANIFEST.into(), object.value)]);
        if let Some(force @ Value::Bool(true)) = asked.inputs.get(kinds::FORCE) {
            inputs.insert(kinds::FORCE.into(), force.clone());
        }
        let region = Some(place(&cluster.0.name));
        let inside = cluster.0.clone();
        Ok(Part { kind, name: address.name.to_string(), inputs, region, inside, line: object.line })
    });
    parts.collect()
}

/// `ConfigMap` of `configmap`, or whatever comes nearest.
fn like_a_kind(kind: &str) -> String {
    const USUAL: [&str; 12] = [
        "ConfigMap",
        "CronJob",
        "DaemonSet",
        "Deployment",
        "Ingress",
        "Job",
        "Namespace",
        "Pod",
        "Secret",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    ];
    let same = USUAL.into_iter().find(|usual| usual.eq_ignore_ascii_case(kind));
    let mut letters = kind.chars();
    let capital = letters.next().map(|first| first.to_ascii_uppercase());
    same.map_or_else(|| capital.into_iter().chain(letters).collect(), str::to_owned)
}

fn flaw(path: &str, what: &str, hint: &str) -> Vec<Flaw> {
    vec![Flaw::Input(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) })]
}

fn flaws(wrong: Vec<manifest::Wrong>) -> Vec<Flaw> {
    let one = |wrong: manifest::Wrong| Flaw::Text {
        line: wrong.line,
        column: wrong.column,
        what: wrong.what,
        hint: wrong.hint,
    };
    wrong.into_iter().map(one).collect()
}

fn the_cluster(asked: &Asked) -> Result<(Address, Map), Vec<Flaw>> {
    let hint = "give the resource itself: `let cluster = k8s::cluster(…);` and `cluster: cluster`";
    match asked.inputs.get("cluster") {
        Some(Value::Reference(whole)) if whole.path.is_empty() && *whole.address.kind == *cluster::NAME => {
            let inputs = (asked.declared)(&whole.address).unwrap_or_default();
            Ok((whole.address.clone(), inputs))
        }
        _ => Err(flaw("cluster", "expects a `k8s::cluster`", hint)),
    }
}

fn patches(asked: &Asked) -> Result<Vec<Value>, Vec<Flaw>> {
    let inside = |flaws: Vec<Flaw>| {
        let named = |flaw| match flaw {
            Flaw::Text { line, what, hint, .. } => {
                Flaw::Input(Mistake { path: "patches".into(), what: format!("line {line}: {what}"), hint })
            }
            other => other,
        };
        flaws.into_iter().map(named).collect::<Vec<_>>()
    };
    match asked.inputs.get("patches") {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::List(items)) if items.iter().all(|item| item.as_map().is_some()) => Ok(items.clone()),
        Some(text @ (Value::String(_) | Value::Text(_))) => {
            let objects = manifest::objects(text, None).map_err(|wrong| inside(flaws(wrong)))?;
            Ok(objects.into_iter().map(|object| object.value).collect())
        }
        Some(_) => Err(flaw("patches", "expects a list of maps, or YAML", "see `runner doc k8s::manifest`")),
    }
}

fn lay_over(objects: &mut [manifest::Object], patch: &Value) -> Result<(), Vec<Flaw>> {
    let said = |path: &[&str]| kinds::text(patch, path).unwrap_or_default().to_owned();
    let (version, kind, name) = (said(&["apiVersion"]), said(&["kind"]), said(&["metadata", "name"]));
    if let Some((missing, _)) = [("apiVersion", &version), ("kind", &kind), ("metadata.name", &name)]
        .into_iter()
        .find(|(_, text)| text.is_empty())
    {
        let what = format!("one of them has no `{missing}`");
        return Err(flaw(
            "patches",
            &what,
            "each says with `apiVersion`, `kind` and `metadata.name` what it is laid over",
        ));
    }
    let namespace = said(&["metadata", "namespace"]);
    let meant = |object: &&mut manifest::Object| {
        object.kind == kind
            && object.name == name
            && group(&object.api_version) == group(&version)
            && (namespace.is_empty() || object.namespace.as_deref() == Some(&namespace))
    };
    let mut found: Vec<&mut manifest::Object> = objects.iter_mut().filter(meant).collect();
    if found.len() > 1 {
        let places: Vec<&str> = found.iter().map(|one| one.namespace.as_deref().unwrap_or("no namespace")).collect();
        let what = format!("there are {} {kind} `{name}`: in {}", places.len(), places.join(", "));
        return Err(flaw("patches", &what, "say which with `metadata.namespace`"));
    }
    let Some(object) = found.pop() else {
        let known: Vec<&str> =
            objects.iter().filter(|object| object.kind == kind).map(|object| object.name.as_str()).collect();
        let what = format!("there is no {kind} `{name}` of {version} to patch");
        let hint = match known.as_slice() {
            [] => format!("the manifest has no {kind} at all"),
            known => format!("there are: {}", known.join(", ")),
        };
        return Err(flaw("patches", &what, &hint));
    };
    merge(&mut object.value, patch);
    Ok(())
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Map(base), Value::Map(over)) => {
            for (key, value) in over {
                match value {
                    Value::Null => drop(base.remove(key)),
                    value => merge(base.entry(key.clone()).or_insert_with(|| Value::Map(BTreeMap::new())), value),
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}
