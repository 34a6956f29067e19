//! What a provider says a resource would become, where only it can tell: it fills in defaults and knows what may change.

use serde::{Deserialize, Serialize};

use super::{Live, Map, Owner, Value};

/// The question: what if this were written?
#[derive(Clone, Debug)]
pub struct Preview {
    pub region: Option<String>,
    pub owner: Owner,
    /// With the values of secrets; references may be left, of what is not known before the apply.
    pub inputs: Map,
    pub live: Option<Live>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Previewed {
    /// What would differ from what is live; for what does not exist, what would be set.
    pub differences: Vec<Difference>,
    /// It can only be had by making it anew; why.
    pub replaces: Option<String>,
    /// It could not be asked yet; why.
    pub unchecked: Option<String>,
    /// Worth telling, and no change: warnings, what others set.
    pub notes: Vec<String>,
}

/// One place in a resource at which it would be different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub path: String,
    /// `None`: not set before.
    pub before: Option<Value>,
    /// `None`: not set afterwards.
    pub after: Option<Value>,
    pub sensitive: bool,
    /// It is for this that the resource has to be made anew.
    pub forces_replace: bool,
}
