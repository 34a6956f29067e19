//! What a plan says beyond its single changes: which change is there because of which other one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{Action, Change, FieldChange, Key, Plan, Reason};
use crate::resource::{Address, Reference, Value};

/// A plan with its changes at hand by their addresses.
pub struct Why<'a> {
    plan: &'a Plan,
    by_address: HashMap<&'a Address, &'a Change>,
    by_key: HashMap<Key<'a>, &'a Change>,
    /// By what exists: the changes whose present form uses it.
    users: HashMap<Key<'a>, Vec<usize>>,
    /// By address: the replacements of what is in it, or is named by it.
    moved: HashMap<Address, Vec<usize>>,
}

/// Whether the value of a field is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    #[default]
    Known,
    /// It is what another change will make it.
    Predicted,
    /// Only the apply tells.
    Unknown,
}

/// What others are in without naming it.
const HOLDERS: [&str; 2] = ["k8s::cluster", "k8s::Namespace"];

/// The region of what lives in a cluster, before the cluster's name.
const IN_CLUSTER: &str = "k8s:";

impl<'a> Why<'a> {
    pub fn of(plan: &'a Plan) -> Self {
        let mut by_address = HashMap::new();
        // What is left over from a replacement has the address of its successor, which stands before it.
        for change in &plan.changes {
            by_address.entry(&change.address).or_insert(change);
        }
        let by_key = plan.changes.iter().filter_map(|change| Some((change.key()?, change))).collect();
        let mut users: HashMap<Key<'_>, Vec<usize>> = HashMap::new();
        let mut moved: HashMap<Address, Vec<usize>> = HashMap::new();
        for (index, change) in plan.changes.iter().enumerate() {
            for used in &change.uses {
                users.entry((&*used.kind, used.id.as_str())).or_default().push(index);
            }
            for field in change.fields.iter().filter(|field| field.forces_replace) {
                origins(change, field).into_iter().for_each(|from| moved.entry(from.address).or_default().push(index));
            }
        }
        Why { plan, by_address, by_key, users, moved }
    }

    /// The changes upstream that make this an update or a replacement: each with what happens to it.
    pub fn because(&self, change: &Change) -> Vec<(&'a Address, Action)> {
        let mut found: Vec<(&Address, Action)> = vec![];
        if !matches!(change.action, Action::Update | Action::Replace) {
            return found;
        }
        for field in &change.fields {
            for reference in origins(change, field) {
                let Some(cause) = self.by_address.get(&reference.address) else { continue };
                let changes = matches!(cause.action, Action::Create | Action::Update | Action::Replace);
                if changes && !found.iter().any(|(address, _)| **address == cause.address) {
                    found.push((&cause.address, cause.action));
                }
            }
        }
        found
    }

    /// What goes, or has to be changed, because this goes.
    pub fn takes_down(&self, gone: &Change) -> Vec<&'a Change> {
        if !matches!(gone.action, Action::Delete | Action::Replace) {
            return vec![];
        }
        let users = gone.key().and_then(|key| self.users.get(&key));
        let mut taken: BTreeSet<usize> =
            users.into_iter().chain(self.moved.get(&gone.address)).flatten().copied().collect();
        if HOLDERS.contains(&&*gone.address.kind) {
            let inside = self.plan.changes.iter().enumerate().filter(|(_, other)| is_inside(other, gone));
            taken.extend(inside.map(|(index, _)| index));
        }
        let changes = taken.into_iter().map(|index| &self.plan.changes[index]);
        let changes = changes.filter(|other| matches!(other.action, Action::Delete | Action::Replace | Action::Update));
        changes.filter(|other| other.address != gone.address).collect()
    }

    /// What its present form uses, as far as it is in the plan.
    pub fn uses(&self, change: &Change) -> Vec<&'a Address> {
        let found = change.uses.iter().filter_map(|used| self.by_key.get(&(&*used.kind, used.id.as_str())));
        found.map(|other| &other.address).filter(|address| **address != change.address).collect()
    }

    /// How sure the value of a field is, and what that rests on.
    pub fn knowledge(change: &Change, field: &FieldChange) -> (Knowledge, Vec<Reference>) {
        let unknown = references(field.after.as_ref());
        if !unknown.is_empty() {
            return (Knowledge::Unknown, unknown);
        }
        match change.predicted.get(&field.path) {
            Some(from) => (Knowledge::Predicted, from.clone()),
            None => (Knowledge::Known, vec![]),
        }
    }
}

/// The references of a value that stand for what is not known; secrets apart.
pub fn references(value: Option<&Value>) -> Vec<Reference> {
    let mut found: Vec<Reference> = vec![];
    let Some(value) = value else { return found };
    value.references(&mut |reference| {
        if reference.secret_name().is_none() && !found.contains(reference) {
            found.push(reference.clone());
        }
    });
    found
}

fn origins(change: &Change, field: &FieldChange) -> Vec<Reference> {
    let predicted = change.predicted.get(&field.path).into_iter().flatten().cloned();
    references(field.after.as_ref()).into_iter().chain(predicted).collect()
}

/// Whether one is an object in a cluster, or in a namespace, that goes.
fn is_inside(other: &Change, gone: &Change) -> bool {
    let same_cluster = other.options.region == gone.options.region;
    match &*gone.address.kind {
        "k8s::cluster" => {
            let cluster = other.options.region.as_deref().and_then(|region| region.strip_prefix(IN_CLUSTER));
            other.address.kind.starts_with("k8s::") && cluster == Some(&*gone.address.name)
        }
        "k8s::Namespace" => {
            let namespace = other.address.name.split_once('/').map(|(namespace, _)| namespace);
            same_cluster && other.address.kind.starts_with("k8s::") && namespace == Some(&*gone.address.name)
        }
        _ => false,
    }
}

/// `is replaced`.
pub fn happens(action: Action) -> &'static str {
    match action {
        Action::Create => "is created",
        Action::Update => "is updated",
        Action::Replace => "is replaced",
        Action::Delete => "is deleted",
        Action::Orphan => "is kept",
        Action::None => "stays",
    }
}

/// `because aws::vpc.main is replaced, and 2 more`; nothing if there is no cause.
pub fn because(causes: &[(&Address, Action)]) -> Option<String> {
    let (first, action) = causes.iter().max_by_key(|(_, action)| *action == Action::Replace)?;
    let more = if causes.len() > 1 { format!(" (and {} more)", causes.len() - 1) } else { String::new() };
    Some(format!("because {first} {}{more}", happens(*action)))
}

/// How many names are told before the rest is counted.
const NAMES: usize = 4;

/// `takes with it: aws::subnet.a, aws::subnet.b; changes for it: aws::route_table.a`; a number per kind of many.
pub fn taken(changes: &[&Change]) -> Vec<String> {
    let (changed, gone): (Vec<&Change>, Vec<&Change>) =
        changes.iter().copied().partition(|change| change.action == Action::Update);
    let parts = [("takes with it", gone), ("changed for it", changed)];
    let told = parts.into_iter().filter(|(_, names)| !names.is_empty());
    told.map(|(what, names)| format!("{what}: {}", several(&names))).collect()
}

fn several(changes: &[&Change]) -> String {
    if changes.len() <= NAMES {
        return changes.iter().map(|change| change.address.to_string()).collect::<Vec<_>>().join(", ");
    }
    let total = changes.len();
    format!("{total} resources: {}", per_kind(changes.iter().copied()))
}

/// `12 aws::subnet, 3 aws::route_table`, the most first.
pub fn per_kind<'c>(changes: impl Iterator<Item = &'c Change>) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    changes.for_each(|change| *kinds.entry(&*change.address.kind).or_default() += 1);
    let mut kinds: Vec<(&str, usize)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect::<Vec<_>>().join(", ")
}

/// The sentence of a reason.
pub fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Adopted { id } => format!("adopted {id}"),
        Reason::Renamed { from } => format!("renamed from {from}"),
        Reason::Deposed => "left over from a replacement".to_owned(),
        Reason::NotDeclared => "no longer declared".to_owned(),
        Reason::Destroyed => "stack is destroyed".to_owned(),
        Reason::Protection { on: true } => "will be protected".to_owned(),
        Reason::Protection { on: false } => "will no longer be protected".to_owned(),
        Reason::Failed { status } => format!("is {status} on the provider's side"),
        Reason::Unfinished { status } => format!("not ready yet: {status}"),
        Reason::Unchecked { because } => format!("not validated yet: {because}"),
    }
}
