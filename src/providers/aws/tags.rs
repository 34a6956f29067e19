//! Tags: the author's, those of controllers, and ours, by which a resource says whose it is.

use std::collections::BTreeMap;

use super::client::Region;
use super::tagging::{self, Type};
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Owner, Value};

/// The author's tags: everything except what begins with `runner:` (ours) or `aws:` (AWS's own). What a controller adds
/// ([`foreign`]) is read with them, and left alone unless the author names it.
pub type Tags = BTreeMap<String, String>;

/// How our own begin.
pub const OURS: &str = "runner:";
pub const STACK: &str = "runner:stack";
pub const ADDRESS: &str = "runner:address";
/// Set on the old one of a replacement that makes the new one first.
pub const DEPOSED: &str = "runner:deposed";
/// Set on what is not to be deleted, also if it is no longer declared.
pub const PROTECT: &str = "runner:protect";

/// How the tags begin that Kubernetes, its controllers and EKS put on what they use.
const FOREIGN: [&str; 8] = [
    "kubernetes.io/",
    "k8s.io/",
    "elbv2.k8s.aws/",
    "karpenter.sh/",
    "ingress.k8s.aws/",
    "service.k8s.aws/",
    "ebs.csi.aws.com/",
    "eks:",
];

/// Whether a tag is one that others write.
pub fn foreign(key: &str) -> bool {
    FOREIGN.iter().any(|prefix| key.starts_with(prefix))
}

/// The tags an author may not write: ours would change the owner, and AWS refuses its own in any case of letters.
pub fn check(inputs: &Map) -> Vec<Mistake> {
    let Some(Value::Map(tags)) = inputs.get("tags") else { return vec![] };
    let reserved = |key: &str| {
        let aws = key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
        if key.starts_with(OURS) { Some(("runner", OURS)) } else { aws.then_some(("AWS", "aws:")) }
    };
    let mistake = |key: &String| {
        let (who, prefix) = reserved(key)?;
        Some(Mistake {
            path: format!("tags.{key}"),
            what: format!("{who} keeps names that begin with `{prefix}` for itself"),
            hint: Some("give the tag another name".into()),
        })
    };
    tags.keys().filter_map(mistake).collect()
}

/// What the tags on a resource say of its owner.
pub fn owner(tags: &Tags) -> Option<Owner> {
    let is_on = |key: &str| tags.get(key).is_some_and(|value| value == "true");
    Some(Owner {
        stack: tags.get(STACK)?.clone(),
        address: tags.get(ADDRESS)?.parse().ok()?,
        deposed: is_on(DEPOSED),
        protect: is_on(PROTECT),
    })
}

/// The author's part of the tags on a resource.
pub fn authored(tags: &Tags) -> Option<Tags> {
    let theirs = tags.iter().filter(|(key, _)| !key.starts_with(OURS) && !key.starts_with("aws:"));
    Some(theirs.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// A service's tag, as far as it is read.
pub trait TagPair {
    fn pair(&self) -> (&str, &str);
}

/// A service's tag.
pub trait SdkTag: TagPair {
    fn make(key: &str, value: &str) -> Self;
}

/// The tags on a resource, from a service's own type.
pub fn of<T: TagPair>(tags: &[T]) -> Tags {
    tags.iter().map(TagPair::pair).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Tags in a service's own type.
pub fn list<T: SdkTag>(tags: &Tags) -> Vec<T> {
    tags.iter().map(|(key, value)| T::make(key, value)).collect()
}

/// All that a resource is to be tagged with. `Name` defaults to the logical name.
pub fn complete(owner: &Owner, authored: Option<&Tags>) -> Tags {
    let mut tags = authored.cloned().unwrap_or_default();
    tags.entry("Name".into()).or_insert_with(|| owner.address.name.to_string());
    tags.extend(ownership(owner));
    tags
}

/// The tags that say whose it is.
pub fn ownership(owner: &Owner) -> Tags {
    let mut tags = Tags::from([(STACK.into(), owner.stack.clone()), (ADDRESS.into(), owner.address.to_string())]);
    for (key, on) in [(DEPOSED, owner.deposed), (PROTECT, owner.protect)] {
        if on {
            tags.insert(key.into(), "true".into());
        }
    }
    tags
}

/// Brings the tags of one resource from what they are to what they shall be, in at most two calls. Foreign ones that
/// are not among what is wanted stay.
pub async fn reconcile(
    region: &Region,
    of: &Type,
    names: (&str, &str),
    now: &Tags,
    wanted: &Tags,
) -> Result<(), Fault> {
    let new: Tags =
        wanted.iter().filter(|(k, v)| now.get(*k) != Some(v)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let gone = now.keys().filter(|key| !wanted.contains_key(*key) && !foreign(key));
    let gone: Vec<String> = gone.cloned().collect();
    tagging::write(region, of, names, &new, &gone).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_a_mistake() {
        let told = |json: serde_json::Value| {
            let Value::Map(inputs) = Value::from(json) else { panic!("a map") };
            check(&inputs).into_iter().map(|m| format!("{}: {}", m.path, m.what)).collect::<Vec<_>>()
        };
        assert_eq!(
            told(
                serde_json::json!({ "tags": { "AWS:x": "", "aws:y": "", "runner:stack": "", "awsome": "", "ä": "" } })
            ),
            [
                "tags.AWS:x: AWS keeps names that begin with `aws:` for itself",
                "tags.aws:y: AWS keeps names that begin with `aws:` for itself",
                "tags.runner:stack: runner keeps names that begin with `runner:` for itself",
            ]
        );
        assert_eq!(told(serde_json::json!({ "tags": null })), [""; 0]);
    }

    #[test]
    fn what_controllers_write_is_foreign() {
        for key in ["kubernetes.io/role/elb", "kubernetes.io/cluster/main", "eks:cluster-name"] {
            assert!(foreign(key), "{key}");
        }
        for key in ["Name", "team", "my-kubernetes.io/x", "runner:stack"] {
            assert!(!foreign(key), "{key}");
        }
    }
}
