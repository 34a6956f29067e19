//! A function of the script that declares several resources at once: `k8s::manifest`.

use std::fmt;
use std::sync::Arc;

use super::{Address, Field, Kind, Map, Value};
use crate::resource::schema::Mistake;

/// Several resources from one text.
#[derive(Clone)]
pub struct Compound {
    pub name: Arc<str>,
    pub doc: String,
    pub inputs: Vec<Field>,
    pub expand: Expand,
}

pub type Expand = fn(&Asked) -> Result<Vec<Part>, Vec<Flaw>>;

/// One call.
pub struct Asked<'a> {
    /// Checked against the compound's inputs.
    pub inputs: &'a Map,
    /// The text it is about, wherever it came from; references may stand in it.
    pub text: &'a Value,
    /// Whether a template gave the text: what looks like one in it is meant.
    pub rendered: bool,
    /// The inputs of what has been declared so far.
    pub declared: &'a dyn Fn(&Address) -> Option<Map>,
}

/// One of the resources.
pub struct Part {
    pub kind: Arc<Kind>,
    pub name: String,
    pub inputs: Map,
    /// Where it lives, if not in the inventory's region.
    pub region: Option<String>,
    /// What it lives in.
    pub inside: Address,
    /// The line of the text in which it begins, from 1.
    pub line: usize,
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Flaw {
    /// In its inputs.
    Input(Mistake),
    /// In its text: line and column from 1; a line of 0 is nowhere in particular.
    Text { line: usize, column: usize, what: String, hint: Option<String> },
}

impl fmt::Debug for Compound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compound({})", self.name)
    }
}
