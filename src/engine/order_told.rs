//! The order that no input states and only a provider knows: an object after its namespace, a workload after the
//! configuration it reads; and that of what lives inside something else.

use std::collections::HashMap;

use super::graph::rests_on;
use super::plan::{Action, Change, Hold, Plan, Reason, Use};
use super::refresh::World;
use crate::resource::{Address, Map};

/// Adds what is needed first, and what is used and goes last.
pub fn add(world: &World, plan: &mut Plan) {
    add_needs(world, plan);
    add_uses(world, plan);
    let gates = gates(world, plan);
    if !gates.is_empty() {
        hold_the_gates(&gates, plan);
        prune_last(&gates, plan);
    }
}

/// Dropped where it would contradict what is stated.
fn add_needs(world: &World, plan: &mut Plan) {
    let declared: Vec<usize> = (0..plan.changes.len()).filter(|at| plan.changes[*at].site.is_some()).collect();
    let told = told(world, plan, &declared, |change| Some(&change.inputs));
    if told.iter().all(Vec::is_empty) {
        return;
    }
    let mut needs: HashMap<Address, Vec<Address>> = HashMap::new();
    for change in &plan.changes {
        needs.entry(change.address.clone()).or_default().extend(change.needs.iter().cloned());
    }
    for (at, told) in told.into_iter().enumerate().filter(|(_, told)| !told.is_empty()) {
        let address = plan.changes[declared[at]].address.clone();
        for first in told.into_iter().map(|other| plan.changes[declared[other]].address.clone()) {
            // Also what was told before counts: two may be harmless each and a circle together.
            if !needs[&address].contains(&first) && !rests_on(&needs, &first, &address) {
                needs.get_mut(&address).expect("every change has an entry").push(first);
            }
        }
    }
    for at in declared {
        let change = &mut plan.changes[at];
        change.needs = needs.remove(&change.address).unwrap_or_default();
    }
}

/// Between deletions, and no hold that would keep an update from coming later.
fn add_uses(world: &World, plan: &mut Plan) {
    let living: Vec<usize> =
        (0..plan.changes.len()).filter(|at| plan.changes[*at].live.is_some() && acts(&plan.changes[*at])).collect();
    let told = told(world, plan, &living, |change| change.live.as_ref().map(|live| &live.inputs));
    for (at, told) in told.into_iter().enumerate() {
        let more: Vec<Use> = told.into_iter().filter_map(|other| used(&plan.changes[living[other]])).collect();
        plan.changes[living[at]].uses.extend(more);
    }
    // A way in that was declared to come after something goes before it, with all that is inside.
    let by_address: HashMap<&Address, usize> =
        plan.changes.iter().enumerate().map(|(at, change)| (&change.address, at)).collect();
    let opens = |change: &Change| world.kind(&change.address.kind).is_some_and(|kind| kind.nature.opens.is_some());
    let going = |change: &Change| change.action == Action::Delete && opens(change);
    let mut more: Vec<(usize, Use)> = vec![];
    for (at, change) in plan.changes.iter().enumerate().filter(|(_, change)| going(change)) {
        let first = change.options.after.iter().filter_map(|address| by_address.get(address));
        more.extend(first.filter_map(|other| Some((at, used(&plan.changes[*other])?))));
    }
    more.into_iter().for_each(|(at, used)| plan.changes[at].uses.push(used));
}

fn told<'a>(
    world: &World,
    plan: &'a Plan,
    which: &[usize],
    inputs: impl Fn(&'a Change) -> Option<&'a Map>,
) -> Vec<Vec<usize>> {
    let resources = which.iter().map(|at| &plan.changes[*at]);
    let resources: Vec<(&Address, &Map)> =
        resources.filter_map(|change| Some((&change.address, inputs(change)?))).collect();
    world.provider.order(&resources)
}

fn acts(change: &Change) -> bool {
    !matches!(change.action, Action::None | Action::Orphan)
}

fn used(change: &Change) -> Option<Use> {
    let (kind, id) = change.key()?;
    Some(Use { kind: kind.into(), id: id.to_owned(), hold: Hold::Loose })
}

/// What opens a region, by the region.
fn gates(world: &World, plan: &Plan) -> HashMap<String, usize> {
    let all = plan.changes.iter().enumerate();
    all.filter_map(|(at, change)| Some((world.kind(&change.address.kind)?.nature.opens?(&change.address.name), at)))
        .collect()
}

/// The way in goes after all that is inside.
fn hold_the_gates(gates: &HashMap<String, usize>, plan: &mut Plan) {
    let held: Vec<(usize, Use)> = plan
        .changes
        .iter()
        .enumerate()
        .filter(|(_, change)| acts(change))
        .filter_map(|(at, change)| {
            let gate = gates.get(change.live.as_ref()?.region.as_deref()?)?;
            Some((at, used(&plan.changes[*gate])?))
        })
        .collect();
    held.into_iter().for_each(|(at, gate)| plan.changes[at].uses.push(gate));
}

/// What is no longer declared goes once all that is declared beside it is there: never after a failure.
fn prune_last(gates: &HashMap<String, usize>, plan: &mut Plan) {
    let region = |change: &Change| change.options.region.clone().filter(|region| gates.contains_key(region));
    let mut made: HashMap<String, Vec<Address>> = HashMap::new();
    for change in plan.changes.iter().filter(|change| acts(change) && change.action != Action::Delete) {
        if let Some(region) = region(change) {
            made.entry(region).or_default().push(change.address.clone());
        }
    }
    for change in &mut plan.changes {
        if change.action == Action::Delete
            && change.reason == Some(Reason::NotDeclared)
            && let Some(made) = region(change).and_then(|region| made.get(&region))
        {
            change.needs.extend(made.iter().cloned());
        }
    }
}
