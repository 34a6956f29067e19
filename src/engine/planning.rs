//! From what a script declared to the plan of all changes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;

use super::diff;
use super::forecast::Forecast;
use super::graph;
use super::plan::{Action, Change, Plan, PlannedOutput, Reason};
use super::refresh::{World, cannot_read};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Address, Declaration, Evaluation, Live, Options, ReplaceOrder, Status, Value};

/// What kind of plan is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Only these phases; empty means all.
    pub phases: Vec<String>,
    /// Delete what is owned and no longer declared.
    pub prune: bool,
    /// Regions beside the default one and those declared in which owned resources are looked for.
    pub regions: Vec<String>,
}

/// The plan that brings the stack to what was declared.
pub async fn plan(forecast: &Forecast, evaluation: &Evaluation, wish: &Wish) -> Result<Plan, Diagnostics> {
    let declarations = &evaluation.declarations;
    refuse_unknown_phases(evaluation, wish)?;
    // Those outside the chosen phases are read as far as the chosen ones rest on them.
    let wanted = needed(evaluation, forecast);
    let forecasts = forecast.changes(declarations, &wanted).await?;
    let mut changes: Vec<Change> = wanted
        .iter()
        .zip(forecasts)
        .filter(|(declaration, _)| forecast.is_selected(declaration))
        .map(|(_, change)| (*change).clone())
        .collect();
    // A stage, or a part, cannot tell what is no longer declared.
    if evaluation.stop.is_none() && wish.phases.is_empty() {
        let declared: HashSet<String> =
            changes.iter().filter_map(|change| change.live.as_ref()).map(|live| live.id.clone()).collect();
        for live in owned(&forecast.world, evaluation, wish).await? {
            if !declared.contains(&live.id) {
                changes.push(undeclared(&forecast.world, &live, wish.prune));
            }
        }
    }
    let outputs = match wish.phases.is_empty() {
        true => {
            evaluation.outputs.iter().map(|(name, value)| (name, value.resolve(&mut |r| forecast.value(r)))).collect()
        }
        false => vec![],
    };
    let outputs =
        outputs.into_iter().map(|(name, value): (&String, Value)| PlannedOutput { name: name.clone(), value });
    let mut plan = Plan {
        stack: forecast.world.stack.clone(),
        outputs: outputs.collect(),
        changes,
        stop: evaluation.stop.clone(),
    };
    complete(&forecast.world, &mut plan)?;
    Ok(plan)
}

/// The plan that removes everything the stack owns, declared or not.
pub async fn plan_destroy(world: &World, evaluation: &Evaluation, wish: &Wish) -> Result<Plan, Diagnostics> {
    let lives = owned(world, evaluation, wish).await?;
    let mut changes = vec![];
    let mut wrong = vec![];
    for live in lives {
        let mut change = undeclared(world, &live, true);
        change.reason = Some(Reason::Destroyed);
        let declaration = live.owner.as_ref().and_then(|owner| declaration_of(evaluation, &owner.address));
        if let Some(declaration) = declaration {
            if declaration.options.protect {
                wrong.push(
                    Diagnostic::error(format!("{} is protected", declaration.address))
                        .at(&declaration.site, "protected here")
                        .hint("nothing was destroyed; remove `protect` from what may go"),
                );
            }
            change.options = declaration.options.clone();
            change.site = Some(declaration.site.clone());
            change.phase = declaration.phase.clone();
        }
        changes.push(change);
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut plan = Plan { stack: world.stack.clone(), changes, outputs: vec![], stop: None };
    complete(world, &mut plan)?;
    Ok(plan)
}

/// What declares a resource: under its address, or as one that was renamed since.
fn declaration_of<'a>(evaluation: &'a Evaluation, address: &Address) -> Option<&'a Arc<Declaration>> {
    let renamed = |declaration: &&Arc<Declaration>| {
        declaration.address.kind == address.kind && declaration.options.was.as_deref() == Some(&*address.name)
    };
    evaluation.declarations.get(address).or_else(|| evaluation.declarations.iter().find(renamed))
}

/// The order between the changes, and the check that there is one.
fn complete(world: &World, plan: &mut Plan) -> Result<(), Diagnostics> {
    add_soft_needs(world, plan);
    add_uses(world, plan);
    spread_create_first(plan);
    graph::steps(plan).map(|_| ()).map_err(|cycle| vec![*cycle])
}

fn refuse_unknown_phases(evaluation: &Evaluation, wish: &Wish) -> Result<(), Diagnostics> {
    // A script that ended early may have further phases.
    if evaluation.stop.is_some() {
        return Ok(());
    }
    let known = || evaluation.phases.iter().map(|name| &**name);
    let unknown = |name: &&String| !evaluation.phases.iter().any(|phase| ***name == **phase);
    let wrong: Diagnostics = wish
        .phases
        .iter()
        .filter(unknown)
        .map(|name| {
            let hint = match crate::diagnostic::closest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its phases: {}", known().collect::<Vec<_>>().join(", ")),
            };
            Diagnostic::error(format!("the playbook has no phase `{name}`")).hint(hint)
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The chosen declarations and all that they rest on, in script order.
fn needed(evaluation: &Evaluation, forecast: &Forecast) -> Vec<Arc<Declaration>> {
    let all: Vec<&Arc<Declaration>> = evaluation.declarations.iter().collect();
    let mut wanted: HashSet<Address> = HashSet::new();
    // Backwards: whoever needs something stands after it.
    for declaration in all.iter().rev() {
        if forecast.is_selected(declaration) || wanted.contains(&declaration.address) {
            wanted.insert(declaration.address.clone());
            declaration.references(&mut |reference| {
                wanted.insert(reference.address.clone());
            });
            wanted.extend(declaration.options.after.iter().cloned());
        }
    }
    all.into_iter().filter(|declaration| wanted.contains(&declaration.address)).cloned().collect()
}

/// Everything the stack owns: of the declared kinds and of those it owns something of, all listed side by side.
async fn owned(world: &World, evaluation: &Evaluation, wish: &Wish) -> Result<Vec<Arc<Live>>, Diagnostics> {
    let mut listings: BTreeSet<(Option<String>, Arc<str>)> = evaluation
        .declarations
        .iter()
        .map(|declaration| (declaration.options.region.clone(), declaration.address.kind.clone()))
        .collect();
    let mut regions: BTreeSet<Option<String>> = listings.iter().map(|(region, _)| region.clone()).collect();
    regions.insert(None);
    regions.extend(wish.regions.iter().cloned().map(Some));
    let censuses = regions.iter().map(|region| async move { (region, world.owned_kinds(region).await) });
    for (region, kinds) in join_all(censuses).await {
        let kinds = kinds.map_err(|fault| {
            vec![Diagnostic::error("cannot read what the stack owns").because(fault.to_string()).maybe_hint(fault.hint)]
        })?;
        listings.extend(kinds.into_iter().map(|kind| (region.clone(), kind)));
    }
    let reads = listings.iter().filter_map(|(region, name)| world.kind(name).map(|kind| (region, kind))).map(
        |(region, kind)| async move {
            world.owned(kind, region).await.map_err(|fault| cannot_read(&kind.name, &fault))
        },
    );
    let mut lives = vec![];
    let mut wrong = vec![];
    for listing in join_all(reads).await {
        match listing {
            Ok(listing) => lives.extend(listing.all.iter().filter(|live| live.owner.is_some()).cloned()),
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    // A region named twice (as the default and by its name) lists the same resource twice.
    let mut seen = HashSet::new();
    lives.retain(|live: &Arc<Live>| seen.insert(live.id.clone()));
    if wrong.is_empty() { Ok(lives) } else { Err(wrong) }
}

fn undeclared(world: &World, live: &Live, prune: bool) -> Change {
    let owner = live.owner.clone().expect("only what is owned is listed");
    let kind = world.kind(&owner.address.kind);
    let delete = prune || owner.deposed;
    Change {
        action: if delete && live.status != Status::Deleting { Action::Delete } else { Action::Orphan },
        reason: Some(if owner.deposed { Reason::Deposed } else { Reason::NotDeclared }),
        fields: kind.map(|kind| diff::all_lost(kind, live)).unwrap_or_default(),
        inputs: live.inputs.clone(),
        live: Some(live.clone()),
        options: Options { region: live.region.clone(), ..Options::default() },
        site: None,
        phase: vec![],
        needs: vec![],
        uses: vec![],
        address: owner.address,
    }
}

/// `follows` of the kinds: an order that no input states. Dropped where it would contradict one that is stated.
fn add_soft_needs(world: &World, plan: &mut Plan) {
    let mut by_kind: HashMap<Arc<str>, Vec<Address>> = HashMap::new();
    for change in plan.changes.iter().filter(|change| change.site.is_some()) {
        by_kind.entry(change.address.kind.clone()).or_default().push(change.address.clone());
    }
    for index in 0..plan.changes.len() {
        let change = &plan.changes[index];
        let Some(kind) = world.kind(&change.address.kind).filter(|kind| !kind.nature.follows.is_empty()) else {
            continue;
        };
        let first = kind.nature.follows.iter().flat_map(|name| by_kind.get(*name).into_iter().flatten());
        let soft: Vec<Address> = first
            .filter(|address| !change.needs.contains(address) && !rests_on(plan, address, &change.address))
            .cloned()
            .collect();
        plan.changes[index].needs.extend(soft);
    }
}

fn rests_on(plan: &Plan, start: &Address, target: &Address) -> bool {
    let needs: HashMap<&Address, &Vec<Address>> = plan.changes.iter().map(|c| (&c.address, &c.needs)).collect();
    let mut open = vec![start];
    let mut reached = HashSet::new();
    while let Some(address) = open.pop() {
        if address == target {
            return true;
        }
        if reached.insert(address) {
            open.extend(needs.get(address).into_iter().flat_map(|needs| needs.iter()));
        }
    }
    false
}

/// What the live form of each change uses, told by the ids and ARNs it names: also for what no script declares.
fn add_uses(world: &World, plan: &mut Plan) {
    let mut named: HashMap<String, String> = HashMap::new();
    let mut of_kind: HashMap<Arc<str>, Vec<String>> = HashMap::new();
    for change in &plan.changes {
        let Some(live) = &change.live else { continue };
        named.insert(live.id.clone(), live.id.clone());
        if let Some(arn) = live.outputs.get("arn").and_then(Value::as_str) {
            named.insert(arn.to_owned(), live.id.clone());
        }
        of_kind.entry(change.address.kind.clone()).or_default().push(live.id.clone());
    }
    for change in &mut plan.changes {
        let Some(live) = &change.live else { continue };
        if !matches!(change.action, Action::Update | Action::Replace | Action::Delete) {
            continue;
        }
        let mut uses = BTreeSet::new();
        live.inputs.values().for_each(|value| {
            strings(value, &mut |text| {
                uses.extend(named.get(text).filter(|id| **id != live.id).cloned());
            })
        });
        if let Some(kind) = world.kind(&change.address.kind) {
            let soft = kind.nature.follows.iter().flat_map(|name| of_kind.get(*name).into_iter().flatten());
            uses.extend(soft.cloned());
        }
        change.uses = uses.into_iter().collect();
    }
}

fn strings(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::List(items) => items.iter().for_each(|item| strings(item, visit)),
        Value::Map(map) => map.values().for_each(|item| strings(item, visit)),
        _ => {}
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
