//! `aws::subnet.private-a`: what a resource is called in its stack.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Kind and logical name; unique in a stack, and the value of the tag `runner:address`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub kind: Arc<str>,
    pub name: Arc<str>,
}

impl Address {
    pub fn new(kind: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Address { kind: kind.into(), name: name.into() }
    }

    /// `aws` of `aws::vpc.main`.
    pub fn provider(&self) -> &str {
        self.kind.split_once("::").map_or("", |(provider, _)| provider)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            Some((kind, name)) if kind.contains("::") && !name.is_empty() => Ok(Address::new(kind, name)),
            _ => Err(format!("`{text}` is not an address such as `aws::vpc.main`")),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Kind and logical name: `aws::subnet.private-a`." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_as_it_was_written() {
        for text in ["aws::subnet.private-a", "k8s::Deployment.identity/keycloak.v1"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert!("aws::vpc".parse::<Address>().is_err());
        assert!("vpc.main".parse::<Address>().is_err());
    }
}
