//! What a plan read, kept so that the same plan can be made again where nothing can be read.
//!
//! | file | what it does |
//! |---|---|
//! | `recorder` | a provider around the real one that writes down each question with its answer |
//! | `scrub` | takes secrets out of the answers, so that comparisons still come out the same |
//! | `replay` | a provider that answers from what was written down, and says where it cannot |

mod recorder;
mod replay;
mod scrub;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use recorder::Recorder;
pub use replay::{NOT_RECORDED, Replay};

use crate::resource::{Address, Fault, Live, Map, Previewed, Select, Value};

/// Everything that was asked, with what was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// For each secret what stands in for its value, here and in a replay. Made up; nothing of the value is in it.
    pub secrets: BTreeMap<String, String>,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub question: Question,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    Open {
        name: String,
        region: Option<String>,
    },
    OwnedKinds {
        region: Option<String>,
        stack: String,
    },
    List {
        kind: Arc<str>,
        region: Option<String>,
        select: Select,
    },
    /// Of what would become of it with these inputs: a digest of them is enough to tell whether they are the same.
    Preview {
        address: Address,
        region: Option<String>,
        inputs: String,
    },
    LookUp {
        name: String,
        arguments: Vec<Value>,
    },
    Fetch {
        url: String,
        sha256: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Opened,
    Kinds(BTreeSet<Arc<str>>),
    Lives(Vec<Live>),
    Previewed(Previewed),
    Value(Value),
    Text(Option<String>),
    Fault(Fault),
}

/// What the plan made of what was read: by that it is told what in an answer is the author's own and what is not.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    pub address: Option<Address>,
    pub kind: Arc<str>,
    /// The provider's id of what is there.
    pub id: Option<String>,
    /// As far as it is known; secrets by reference.
    pub inputs: Map,
    /// Inputs that are not compared.
    pub ignored: Vec<String>,
    /// The lines of the plan that show no value.
    pub hidden: Vec<String>,
}

/// The same question has the same text.
fn text_of(question: &Question) -> String {
    serde_json::to_string(question).unwrap_or_default()
}

/// Of inputs in which stand-ins are in the place of secrets.
fn digest(inputs: &serde_json::Value) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(inputs.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}
