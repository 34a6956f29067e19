//! The kinds of objects. Every cluster has kinds of its own, so there is one for every name, all of one shape.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::object::Id;
use super::order::{self as first, Placed};
use crate::resource::kind::Nature;
use crate::resource::{Address, Kind, Map, Segment, Value};

const SPACE: &str = "k8s::";

/// The input that is an object's name among all, and its id.
pub const OBJECT: &str = "object";
/// The input that is the object itself.
pub const MANIFEST: &str = "manifest";
/// The input by which fields are taken over from other managers.
pub const FORCE: &str = "force_conflicts";

/// An object on a cluster.
#[derive(JsonSchema, Serialize)]
struct Inputs {
    /// Cluster, kind, namespace and name.
    #[schemars(extend("immutable" = true))]
    object: String,
    /// The object as it is sent.
    manifest: Json,
    /// Whether fields that another manager set otherwise are taken over.
    force_conflicts: Option<bool>,
}

#[derive(JsonSchema, Serialize)]
struct Outputs {
    /// Cluster, kind, namespace and name.
    #[schemars(example = &"prod:Service/ingress-nginx/ingress-nginx-controller")]
    id: String,
    /// What the cluster knows it by.
    #[schemars(example = &"00000000-0000-4000-8000-000000000000")]
    uid: String,
    /// What its controllers report.
    #[schemars(extend("changes_with" = ["manifest"]))]
    status: Json,
}

/// `k8s::Deployment`, if it could be one: kinds of objects begin with a capital letter.
pub fn named(name: &str) -> Option<Arc<Kind>> {
    let kind = name.strip_prefix(SPACE)?;
    let sound = kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.chars().all(|character| character.is_ascii_alphanumeric());
    let cascades = matches!(kind, "Namespace" | "CustomResourceDefinition" | "PersistentVolumeClaim");
    let nature = Nature {
        natural_key: &[OBJECT],
        previewed: true,
        cascades,
        // What has ended does not begin again.
        mended_by: if matches!(kind, "Job" | "Pod") { None } else { Some(&[]) },
        timeout: 600,
        ..Nature::default()
    };
    sound.then(|| Arc::new(Kind::of::<Inputs, Outputs>(name, nature)))
}

pub fn name_of(kind: &str) -> String {
    format!("{SPACE}{kind}")
}

/// `Deployment` of `k8s::Deployment`.
pub fn kind_of(kind: &Kind) -> &str {
    kind.name.strip_prefix(SPACE).unwrap_or(&kind.name)
}

/// What an object is called in its stack.
pub fn address(id: &Id, prefix: Option<&str>) -> Address {
    let mut name = prefix.map(|prefix| format!("{prefix}:")).unwrap_or_default();
    if let Some(namespace) = &id.namespace {
        name.push_str(namespace);
        name.push('/');
    }
    Address::new(name_of(&id.kind), format!("{name}{}", id.name))
}

/// What comes first, of those that are objects.
pub fn order(resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
    let mut needs = vec![vec![]; resources.len()];
    let (mut which, mut ids, mut objects) = (vec![], vec![], vec![]);
    for (index, (address, inputs)) in resources.iter().enumerate() {
        let id = inputs.get(OBJECT).and_then(Value::as_str).and_then(|text| text.parse::<Id>().ok());
        if let (true, Some(id), Some(manifest)) = (address.kind.starts_with(SPACE), id, inputs.get(MANIFEST)) {
            which.push(index);
            ids.push(id);
            objects.push(Json::from(manifest));
        }
    }
    let placed: Vec<Placed> = ids.iter().zip(&objects).map(|(id, object)| Placed { id, object }).collect();
    for (at, first) in first::needs(&placed).into_iter().enumerate() {
        needs[which[at]] = first.into_iter().map(|other| which[other]).collect();
    }
    needs
}

/// A text among inputs.
pub fn text_of<'a>(inputs: &'a Map, name: &str) -> &'a str {
    inputs.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The object that inputs hold, in JSON; references stay what they are in ours.
pub fn manifest(inputs: &Map) -> Value {
    inputs.get(MANIFEST).cloned().unwrap_or_default()
}

pub fn text<'a>(manifest: &'a Value, path: &[&str]) -> Option<&'a str> {
    let path: Vec<Segment> = path.iter().map(|key| Segment::Key((*key).to_owned())).collect();
    manifest.get(&path)?.as_str()
}
