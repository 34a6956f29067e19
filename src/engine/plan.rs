//! The plan: every change and the order between them, as plain data with no script in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::estimate::Estimate;
use crate::diagnostic::Site;
use crate::resource::{Address, LeftOut, Live, Map, Options, Reference, Stop, Value};

/// What would be done to bring the stack to what its playbook declares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub stack: String,
    /// Declared resources in the order of the script, then what is owned and not declared.
    pub changes: Vec<Change>,
    pub outputs: Vec<PlannedOutput>,
    /// Set if this is only a stage: the rest follows once these references are known.
    pub stop: Option<Stop>,
    /// How long it may take, once somebody has reckoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// What policies said of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Remark>,
    /// What the playbook declares and this plan does not know of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// What one policy said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remark {
    /// True: the plan may not be applied. False: it is a warning.
    pub denies: bool,
    pub text: String,
    /// Of what; `None`: of the plan as a whole.
    pub address: Option<Address>,
    /// Where in the policy it is said.
    pub site: Site,
    /// Where the resource is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Site>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One resource and what happens to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub address: Address,
    pub action: Action,
    pub reason: Option<Reason>,
    /// What differs, one line each; for a create all that is set, for a delete all that is lost.
    pub fields: Vec<FieldChange>,
    /// What it shall be, filled in as far as it is known before the apply; a reference left in it is an unknown.
    pub inputs: Map,
    /// What it was when the plan was made.
    pub live: Option<Live>,
    pub options: Options,
    pub site: Option<Site>,
    pub phase: Vec<Arc<str>>,
    /// What must exist before it.
    pub needs: Vec<Address>,
    /// What its live form uses, and what therefore should not go before it.
    pub uses: Vec<Use>,
    /// Worth telling, and no change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// By the path of a field: what its value was filled in from that is itself only planned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub predicted: BTreeMap<String, Vec<Reference>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    None,
    Create,
    Update,
    Replace,
    Delete,
    /// Owned and no longer declared, and left alone because nobody said `--prune`.
    Orphan,
}

/// Why, where the fields alone do not say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Option `adopt`: it exists and becomes the stack's.
    Adopted { id: String },
    /// Option `was`: only its name in the playbook changed.
    Renamed { from: Address },
    /// A replacement was made and the old one was not removed yet.
    Deposed,
    /// The playbook no longer declares it.
    NotDeclared,
    /// `runner destroy`.
    Destroyed,
    /// An earlier attempt failed for good on the provider's side.
    Failed { status: String },
    /// Option `protect` was given, or taken away.
    Protection { on: bool },
    /// It is not ready yet: an earlier run was stopped, or someone else is changing it.
    Unfinished { status: String },
    /// The provider could not be asked whether it can be made.
    Unchecked { because: String },
}

/// One field of one change. `path` goes into maps and blocks (`tags.Name`), not into lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    pub path: String,
    /// `None`: not set before.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    pub before: Option<Value>,
    /// `None`: not set afterwards. A reference in it reads "(known after apply)".
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    pub after: Option<Value>,
    pub forces_replace: bool,
    /// The resource is stopped for it, and started again.
    pub restarts: bool,
    pub sensitive: bool,
}

/// What is written is set, also if it is null.
fn set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedOutput {
    pub name: String,
    pub value: Value,
}

/// One resource's hold of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The kind of what is used.
    pub kind: Arc<str>,
    /// Its id.
    pub id: String,
    pub hold: Hold,
}

impl Use {
    /// Whether it is the present form of this that is used.
    pub fn is_of(&self, change: &Change) -> bool {
        *self.kind == *change.address.kind && change.live.as_ref().is_some_and(|live| live.id == self.id)
    }
}

/// What tells one existing resource from all others.
pub type Key<'a> = (&'a str, &'a str);

impl Change {
    pub fn key(&self) -> Option<Key<'_>> {
        self.live.as_ref().map(|live| (&*self.address.kind, live.id.as_str()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// The provider drops it by itself when what is used goes.
    LetsGo,
    /// The same; and where both go, it goes after what is used: a disk after the host that writes on it.
    Outlives,
    /// It can be changed to use something else, and until then what is used cannot go.
    Loose,
    /// It was made on it.
    Firm,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    pub create: usize,
    pub update: usize,
    pub replace: usize,
    pub delete: usize,
    pub unchanged: usize,
    pub orphans: usize,
}

impl Plan {
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in &self.changes {
            *match change.action {
                Action::None => &mut counts.unchanged,
                Action::Create => &mut counts.create,
                Action::Update => &mut counts.update,
                Action::Replace => &mut counts.replace,
                Action::Delete => &mut counts.delete,
                Action::Orphan => &mut counts.orphans,
            } += 1;
        }
        counts
    }

    /// True if a policy forbids to apply it.
    pub fn is_denied(&self) -> bool {
        self.policies.iter().any(|remark| remark.denies)
    }

    /// True if applying it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| matches!(change.action, Action::None | Action::Orphan))
    }
}
