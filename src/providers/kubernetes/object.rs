//! What tells one object from all others, and the few fields that every object has.

use serde_json::Value as Json;

/// An object on a cluster. The version of its group is no part of it: all versions show the same object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Logical name of the `k8s::cluster`.
    pub cluster: String,
    /// `Deployment`
    pub kind: String,
    /// `apps`; empty for the core group.
    pub group: String,
    pub namespace: Option<String>,
    pub name: String,
}

/// `prod:Deployment.apps/identity/keycloak`, `prod:Namespace/identity`
impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.cluster, self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, "/{namespace}")?;
        }
        write!(f, "/{}", self.name)
    }
}

impl std::str::FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an object such as `prod:Deployment.apps/identity/keycloak`");
        let (cluster, rest) = text.split_once(':').ok_or_else(wrong)?;
        let mut parts = rest.splitn(3, '/');
        let (sort, first) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(wrong)?);
        let (kind, group) = sort.split_once('.').unwrap_or((sort, ""));
        let (namespace, name) = match parts.next() {
            Some(name) => (Some(first.to_owned()), name),
            None => (None, first),
        };
        if [cluster, kind, name].iter().any(|part| part.is_empty()) {
            return Err(wrong());
        }
        Ok(Id { cluster: cluster.into(), kind: kind.into(), group: group.into(), namespace, name: name.into() })
    }
}

/// The group of an `apiVersion`: `apps` of `apps/v1`, nothing of `v1`.
pub fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// A text at a path of keys.
pub fn text<'a>(object: &'a Json, path: &[&str]) -> Option<&'a str> {
    at(object, path)?.as_str()
}

/// A value at a path of keys.
pub fn at<'a>(object: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(object, |object, key| object.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_it_was_written() {
        for text in [
            "prod:Namespace/identity",
            "prod:Deployment.apps/identity/keycloak",
            "eu:Role.rbac.authorization.k8s.io/a/system:b/c",
        ] {
            assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        }
        for text in ["Namespace/identity", "prod:Namespace", ":Namespace/a", "prod:/a"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
