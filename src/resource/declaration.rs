//! What a playbook declares: plain data with the place it comes from.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Address, Map, Reference, Value};
use crate::diagnostic::Site;

/// One call of a kind in a playbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declaration {
    pub address: Address,
    /// What the author wrote, checked against the kind's schema; may hold references to earlier declarations.
    pub inputs: Map,
    pub options: Options,
    pub site: Site,
    /// Names of the phases it stands in, outermost first.
    pub phase: Vec<Arc<str>>,
}

impl Declaration {
    /// The resources it rests on: those its inputs refer to and those named in `after`, each once.
    pub fn needs(&self) -> Vec<Address> {
        let mut needs = self.options.after.clone();
        self.inputs.values().for_each(|value| value.references(&mut |reference| needs.push(reference.address.clone())));
        let mut seen = HashSet::new();
        needs.retain(|address| seen.insert(address.clone()));
        needs
    }

    pub fn is_in_phase(&self, phases: &[String]) -> bool {
        is_in_phase(&self.phase, phases)
    }
}

/// Whether something in these phases, outermost first, is among the chosen ones; none chosen means all.
pub fn is_in_phase(phase: &[Arc<str>], chosen: &[String]) -> bool {
    chosen.is_empty() || phase.iter().any(|name| chosen.iter().any(|wanted| **wanted == **name))
}

/// The third argument of every kind: the engine's, the same for all.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Resources that must exist first although no input says so.
    pub after: Vec<Address>,
    /// Never delete or replace it.
    pub protect: bool,
    /// The provider's id of an existing resource to take over; or [`ADOPT_IF_THERE`].
    pub adopt: Option<String>,
    /// Its logical name before it was renamed.
    pub was: Option<String>,
    /// Fields that are set at creation and not compared afterwards.
    pub ignore: Vec<String>,
    /// How long one operation on it may take.
    pub timeout: Option<Duration>,
    pub replace: ReplaceOrder,
    /// Where it lives, if not in the inventory's region.
    pub region: Option<String>,
}

/// The option `adopt: true`: what has the same natural name is taken over, if there is such a thing.
pub const ADOPT_IF_THERE: &str = "*";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplaceOrder {
    #[default]
    DeleteFirst,
    CreateFirst,
}

/// All declarations so far, in the order of the script, and by address.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    list: Vec<Arc<Declaration>>,
    by_address: HashMap<Address, usize>,
}

impl Declarations {
    /// Adds a declaration; an address that is taken gives back the one that took it.
    pub fn add(&mut self, declaration: Declaration) -> Result<Arc<Declaration>, Arc<Declaration>> {
        if let Some(taken) = self.get(&declaration.address) {
            return Err(taken.clone());
        }
        let declaration = Arc::new(declaration);
        self.by_address.insert(declaration.address.clone(), self.list.len());
        self.list.push(declaration.clone());
        Ok(declaration)
    }

    pub fn get(&self, address: &Address) -> Option<&Arc<Declaration>> {
        self.by_address.get(address).map(|index| &self.list[*index])
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Declaration>> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What running a playbook's script gave.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    pub declarations: Declarations,
    /// In the order of the script.
    pub outputs: Vec<Given>,
    /// Names of all phases entered, in the order of the script.
    pub phases: Vec<Arc<str>>,
    /// Set if the script had to see a value that is not known before an apply: what is here is a first stage.
    pub stop: Option<Stop>,
    /// What could not be declared where nothing is real, and is no part of the plan.
    pub left_out: Vec<LeftOut>,
}

/// What a plan that rests on nothing real does without: its file could not be had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    pub address: Address,
    pub site: Site,
    pub why: String,
}

/// `output(name, value)` in a playbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    pub name: String,
    /// May hold references.
    pub value: Value,
    pub site: Site,
}

/// Why an evaluation ended before the script did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// What the script had to see.
    pub references: Vec<Reference>,
    /// Where it looked.
    pub site: Site,
    /// Why that is not known yet, if there is more to say than "known after apply".
    pub because: Option<String>,
}
