//! What waits for what, beyond what the playbook says: from what is live, and from the nature of kinds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::graph;
use super::order_told;
use super::plan::{Action, Change, Hold, Key, Plan, Use};
use super::refresh::World;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Address, ReplaceOrder, Value};

/// Completes a plan's order, and refuses a plan that could not be carried out.
pub fn complete(world: &World, plan: &mut Plan) -> Result<(), Diagnostics> {
    refuse_shared(plan)?;
    add_soft_needs(world, plan);
    add_uses(world, plan);
    order_told::add(world, plan);
    make_first_what_is_held(plan);
    spread_create_first(plan);
    refuse_two_of_one_name(world, plan)?;
    refuse_kept_holders(plan)?;
    graph::steps(plan).map(|_| ()).map_err(|cycle| vec![*cycle])
}

/// Two declarations may stand for one resource only by mistake: by the same `adopt`, the same `was`.
fn refuse_shared(plan: &Plan) -> Result<(), Diagnostics> {
    let mut claimed: HashMap<Key<'_>, &Change> = HashMap::new();
    let mut wrong = vec![];
    for change in plan.changes.iter().filter(|change| change.site.is_some()) {
        let Some(key) = change.key() else { continue };
        if let Some(first) = claimed.insert(key, change) {
            let both = format!("{} and {} both stand for `{}`", first.address, change.address, key.1);
            let mut told = Diagnostic::error(both).hint("one resource has one declaration: check `adopt` and `was`");
            for (site, label) in [(&change.site, "this one"), (&first.site, "and this one")] {
                if let Some(site) = site {
                    told = told.at(site, label);
                }
            }
            wrong.push(told);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// `follows` of the kinds: an order that no input states. Dropped where it would contradict one that is stated. What only
/// goes has its order from what it uses: it need not wait for what is made.
fn add_soft_needs(world: &World, plan: &mut Plan) {
    let mut by_kind: HashMap<&str, Vec<&Change>> = HashMap::new();
    for change in plan.changes.iter().filter(|change| change.site.is_some()) {
        by_kind.entry(&change.address.kind).or_default().push(change);
    }
    let needs: HashMap<Address, Vec<Address>> =
        plan.changes.iter().map(|change| (change.address.clone(), change.needs.clone())).collect();
    let soft: Vec<Vec<Address>> = plan
        .changes
        .iter()
        .map(|change| {
            let makes = change.action != Action::Delete;
            let Some(kind) = world.kind(&change.address.kind).filter(|_| makes) else { return vec![] };
            let first = kind.nature.follows.iter().flat_map(|name| by_kind.get(name).into_iter().flatten());
            first
                .filter(|other| other.options.region == change.options.region)
                .map(|other| &other.address)
                .filter(|address| !change.needs.contains(address) && !graph::rests_on(&needs, address, &change.address))
                .cloned()
                .collect()
        })
        .collect();
    for (change, soft) in plan.changes.iter_mut().zip(soft) {
        change.needs.extend(soft);
    }
}

/// What the live form of each change uses, told by the ids and ARNs it names: also for what no script declares. An id
/// that is only a name counts where a field says that it names such a kind.
fn add_uses(world: &World, plan: &mut Plan) {
    type Owned = (Arc<str>, String);
    let mut unmistakable: HashMap<String, Owned> = HashMap::new();
    let mut of_kind: HashMap<Arc<str>, Vec<(Option<String>, String)>> = HashMap::new();
    for change in &plan.changes {
        let Some(live) = &change.live else { continue };
        let key = (change.address.kind.clone(), live.id.clone());
        if !world.kind(&change.address.kind).is_some_and(|kind| kind.is_named()) {
            unmistakable.insert(live.id.clone(), key.clone());
        }
        if let Some(arn) = live.outputs.get("arn").and_then(Value::as_str) {
            unmistakable.insert(arn.to_owned(), key.clone());
        }
        let along = world.kind(&change.address.kind).into_iter().flat_map(|kind| kind.outputs.clone());
        for output in along.filter(|output| output.comes_along) {
            if let Some(id) = live.outputs.get(&output.name).and_then(Value::as_str) {
                unmistakable.insert(id.to_owned(), key.clone());
            }
        }
        of_kind.entry(change.address.kind.clone()).or_default().push((live.region.clone(), live.id.clone()));
    }
    for change in &mut plan.changes {
        let (Some(live), Some(kind)) = (&change.live, world.kind(&change.address.kind)) else { continue };
        if change.action == Action::None {
            continue;
        }
        let own: Owned = (change.address.kind.clone(), live.id.clone());
        // The firmest hold of each.
        let mut uses: BTreeMap<Owned, Hold> = BTreeMap::new();
        let mut note = |key: Owned, hold: Hold| {
            if key != own {
                let firmest = uses.entry(key).or_insert(hold);
                *firmest = hold.max(*firmest);
            }
        };
        for field in &kind.inputs {
            let hold = match (field.immutable, field.lets_go) {
                (true, _) => Hold::Firm,
                (false, true) if field.outlives => Hold::Outlives,
                (false, true) => Hold::LetsGo,
                (false, false) => Hold::Loose,
            };
            let named = field.names.as_deref().and_then(|name| of_kind.get_key_value(name));
            let Some(value) = live.inputs.get(&field.name) else { continue };
            value.strings(&mut |text| {
                if let Some(key) = unmistakable.get(text) {
                    note(key.clone(), hold);
                }
                if let Some((name, ids)) = named
                    && ids.iter().any(|(_, id)| id == text)
                {
                    note((name.clone(), text.to_owned()), hold);
                }
            });
        }
        // An order between deletions, and no hold that would keep an update from coming later.
        for name in kind.nature.follows {
            let Some((name, ids)) = of_kind.get_key_value(*name) else { continue };
            for (_, id) in ids.iter().filter(|(region, _)| *region == live.region && change.action != Action::Update) {
                note((name.clone(), id.clone()), Hold::Loose);
            }
        }
        change.uses = uses.into_iter().map(|((kind, id), hold)| Use { kind, id, hold }).collect();
    }
}

/// Something that is only updated to use the new one holds on to the old one until then, so the old one cannot go first.
fn make_first_what_is_held(plan: &mut Plan) {
    let updates = plan.changes.iter().filter(|change| change.action == Action::Update);
    let held: HashSet<(Arc<str>, String)> = updates
        .flat_map(|change| &change.uses)
        .filter(|used| used.hold == Hold::Loose)
        .map(|used| (used.kind.clone(), used.id.clone()))
        .collect();
    for change in plan.changes.iter_mut().filter(|change| change.action == Action::Replace) {
        if change.live.as_ref().is_some_and(|live| held.contains(&(change.address.kind.clone(), live.id.clone()))) {
            change.options.replace = ReplaceOrder::CreateFirst;
        }
    }
}

/// What a create-first replacement rests on must itself be made before its old form goes.
fn spread_create_first(plan: &mut Plan) {
    let index: HashMap<Address, usize> = plan
        .changes
        .iter()
        .enumerate()
        .filter(|(_, change)| change.action == Action::Replace)
        .map(|(index, change)| (change.address.clone(), index))
        .collect();
    let is_first = |change: &Change| change.options.replace == ReplaceOrder::CreateFirst;
    let mut open: Vec<usize> = index.values().copied().filter(|at| is_first(&plan.changes[*at])).collect();
    while let Some(at) = open.pop() {
        let needed: Vec<usize> =
            plan.changes[at].needs.iter().filter_map(|address| index.get(address).copied()).collect();
        for next in needed {
            if !is_first(&plan.changes[next]) {
                plan.changes[next].options.replace = ReplaceOrder::CreateFirst;
                open.push(next);
            }
        }
    }
}

/// What is kept although it is not declared any more may keep something else from going.
fn refuse_kept_holders(plan: &Plan) -> Result<(), Diagnostics> {
    let goes = |change: &&Change| matches!(change.action, Action::Replace | Action::Delete);
    let going: HashMap<Key<'_>, &Change> =
        plan.changes.iter().filter(goes).filter_map(|change| Some((change.key()?, change))).collect();
    let mut wrong = vec![];
    for kept in plan.changes.iter().filter(|change| change.action == Action::Orphan) {
        let holds = kept.uses.iter().filter(|used| used.hold == Hold::Firm);
        for target in holds.filter_map(|used| going.get(&(&*used.kind, used.id.as_str()))) {
            let mut told = Diagnostic::error(format!(
                "{} cannot go: {} uses it, which is no longer declared and kept",
                target.address, kept.address
            ));
            if let Some(site) = &target.site {
                told = told.at(site, "has to be replaced");
            }
            wrong.push(told.hint("--prune deletes what is no longer declared; or declare it again"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The new one cannot be made beside the old one if the provider would see one name twice.
fn refuse_two_of_one_name(world: &World, plan: &Plan) -> Result<(), Diagnostics> {
    let first =
        |change: &&Change| change.action == Action::Replace && change.options.replace == ReplaceOrder::CreateFirst;
    let mut wrong = vec![];
    for change in plan.changes.iter().filter(first) {
        let (Some(live), Some(kind)) = (&change.live, world.kind(&change.address.kind)) else { continue };
        let key = kind.nature.natural_key;
        let same = |field: &&str| change.inputs.get(*field).is_none_or(|value| live.inputs.get(*field) == Some(value));
        if key.is_empty() || !key.iter().all(same) {
            continue;
        }
        let holds =
            |other: &&Change| other.action == Action::Update && other.uses.iter().any(|used| used.is_of(change));
        let holder = plan.changes.iter().find(holds).map(|other| &other.address);
        let mut told = Diagnostic::error(format!("{} would have to be replaced, and cannot be", change.address))
            .because(match holder {
                Some(holder) => format!(
                    "{holder} uses the old one until the new one is there, and both would have one `{}`",
                    key[0]
                ),
                None => format!("the new one shall be made first, and both would have one `{}`", key[0]),
            });
        if let Some(site) = &change.site {
            told = told.at(site, "declared here");
        }
        wrong.push(told.hint(format!("give it another `{}` together with the change", key[0])));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
