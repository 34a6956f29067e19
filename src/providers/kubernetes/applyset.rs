//! The ApplySet (KEP-3659): which objects a stack owns on a cluster, in the labels and annotations that kubectl and
//! other tools read too.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::object::{at, text};

/// Label of every member; its value is the parent's id.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Label of the parent.
pub const ID: &str = "applyset.kubernetes.io/id";
/// Annotations of the parent.
pub const TOOLING: &str = "applyset.kubernetes.io/tooling";
pub const GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
pub const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";

/// `runner/0.1.0`. Another tool's name says that the set is not ours to change.
pub fn tooling() -> String {
    format!("runner/{}", env!("CARGO_PKG_VERSION"))
}

/// Whether a set is kept by `runner`, of whatever version.
pub fn is_ours(parent: &Json) -> bool {
    text(parent, &["metadata", "annotations", TOOLING])
        .and_then(|tool| tool.split_once('/'))
        .is_some_and(|(name, _)| name == "runner")
}

/// The id of the set with this parent; `namespace` and `group` may be empty.
pub fn id(name: &str, namespace: &str, kind: &str, group: &str) -> String {
    let hash = Sha256::digest(format!("{name}.{namespace}.{kind}.{group}"));
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(hash))
}

/// `Deployment.apps`, `Namespace`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    pub kind: String,
    pub group: String,
}

impl GroupKind {
    pub fn new(kind: impl Into<String>, group: impl Into<String>) -> Self {
        GroupKind { kind: kind.into(), group: group.into() }
    }
}

impl std::fmt::Display for GroupKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

/// Where the members of a set are to be looked for: their kinds, and their namespaces beside the parent's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    pub group_kinds: BTreeSet<GroupKind>,
    pub namespaces: BTreeSet<String>,
}

impl Parent {
    /// What a parent's annotations say; nothing if it has none.
    pub fn read(parent: &Json) -> Self {
        let list = |annotation: &str| {
            let value = at(parent, &["metadata", "annotations", annotation]).and_then(Json::as_str).unwrap_or_default();
            value.split(',').map(str::trim).filter(|part| !part.is_empty())
        };
        Parent {
            group_kinds: list(GROUP_KINDS)
                .map(|part| part.split_once('.').unwrap_or((part, "")))
                .map(|(kind, group)| GroupKind::new(kind, group))
                .collect(),
            namespaces: list(NAMESPACES).map(str::to_owned).collect(),
        }
    }

    /// The set with what is about to be applied; to be written before the first member is, or members could be lost
    /// sight of. None if it holds all of that already.
    pub fn widened(&self, more: &Parent) -> Option<Parent> {
        let all = Parent {
            group_kinds: self.group_kinds.union(&more.group_kinds).cloned().collect(),
            namespaces: self.namespaces.union(&more.namespaces).cloned().collect(),
        };
        (all != *self).then_some(all)
    }

    /// All annotations of the parent. An empty list is written too: kubectl takes a set without it for one that it
    /// cannot read.
    pub fn annotations(&self) -> [(&'static str, String); 3] {
        // Sorted as text, which is not the order of kinds and groups apart.
        let mut kinds: Vec<String> = self.group_kinds.iter().map(ToString::to_string).collect();
        kinds.sort();
        let namespaces: Vec<&str> = self.namespaces.iter().map(String::as_str).collect();
        [(TOOLING, tooling()), (GROUP_KINDS, kinds.join(",")), (NAMESPACES, namespaces.join(","))]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parent(kinds: &[(&str, &str)], namespaces: &[&str]) -> Parent {
        Parent {
            group_kinds: kinds.iter().map(|(kind, group)| GroupKind::new(*kind, *group)).collect(),
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_id_is_the_one_that_kubectl_computes() {
        // sha256 of `prod.runner.Secret.`, in base64 for URLs without padding, computed by other means.
        assert_eq!(id("prod", "runner", "Secret", ""), "applyset-o6hEeGxUkZU63vG_WbuT7x9Yns_6EUS_ha1eJtM_AAo-v1");
        assert!(id("a", "b", "Secret", "").len() <= 63, "a label's value");
        assert_ne!(id("prod", "", "Namespace", ""), id("prod", "Namespace", "", ""));
    }

    #[test]
    fn annotations_are_read_back_as_they_were_written_and_are_sorted() {
        let set = parent(&[("Namespace", ""), ("Ingress", "networking.k8s.io"), ("Deployment", "apps")], &["b", "a"]);
        let [tool, kinds, namespaces] = set.annotations();
        assert_eq!(kinds, (GROUP_KINDS, "Deployment.apps,Ingress.networking.k8s.io,Namespace".into()));
        assert_eq!(namespaces, (NAMESPACES, "a,b".into()));
        let object = json!({ "metadata": { "annotations": { TOOLING: tool.1, GROUP_KINDS: kinds.1, NAMESPACES: namespaces.1 } } });
        assert_eq!(Parent::read(&object), set);
        assert!(is_ours(&object));
        assert!(!is_ours(&json!({ "metadata": { "annotations": { TOOLING: "kubectl/v1.36.2" } } })));
        assert_eq!(Parent::read(&json!({})), Parent::default());
    }

    #[test]
    fn a_set_is_widened_before_anything_is_applied() {
        let old = parent(&[("Secret", ""), ("Job", "batch")], &["a"]);
        let new = parent(&[("Secret", ""), ("Deployment", "apps")], &["b"]);
        let wide = old.widened(&new).unwrap();
        assert_eq!(wide, parent(&[("Secret", ""), ("Job", "batch"), ("Deployment", "apps")], &["a", "b"]));
        assert_eq!(wide.widened(&new), None);
    }
}
