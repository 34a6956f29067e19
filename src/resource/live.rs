//! What a provider reports of one resource.

use serde::{Deserialize, Serialize};

use super::{Address, Map, Segment, Value};

/// A resource as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The provider's id: `vpc-0abc…`.
    pub id: String,
    pub region: Option<String>,
    pub owner: Option<Owner>,
    /// Every input of the kind that can be read back, in the author's vocabulary.
    pub inputs: Map,
    /// What only the provider knows: ids, ARNs, endpoints.
    pub outputs: Map,
    pub status: Status,
}

/// Whose it is, by the tags (or comment, or labels) on the resource itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub stack: String,
    pub address: Address,
    /// Being replaced by a new one with the same address; to be deleted.
    #[serde(default)]
    pub deposed: bool,
    /// Option `protect`, remembered on the resource: also what is no longer declared is not deleted.
    #[serde(default)]
    pub protect: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum Status {
    Ready,
    /// Not yet usable; in the provider's words (`pending`).
    Pending(String),
    /// Will not become usable by waiting.
    Failed(String),
    /// On its way out; for planning it is already gone.
    Deleting,
}

impl Live {
    /// An attribute as a playbook reads it: an output, or an input as it is now.
    pub fn attribute(&self, path: &[Segment]) -> Option<&Value> {
        let Some((Segment::Key(name), rest)) = path.split_first() else { return None };
        self.outputs.get(name).or_else(|| self.inputs.get(name))?.get(rest)
    }
}
