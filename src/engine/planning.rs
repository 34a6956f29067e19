//! From what a script declared to the plan of all changes.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::diff;
use super::forecast::Forecast;
use super::order;
use super::plan::{Action, Change, Plan, PlannedOutput, Reason};
use super::refresh::{World, cannot_read};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Address, Declaration, Evaluation, Given, Live, Options, Status, Value};

/// What kind of plan is wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// Only these phases; empty means all.
    pub phases: Vec<String>,
    /// Delete what is owned and no longer declared.
    pub prune: bool,
    /// What goes although more goes with it than itself.
    pub prune_named: BTreeSet<Address>,
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
    // What is live may hold a secret that the playbook does not name any more.
    if changes.iter().any(|change| change.fields.iter().any(|field| field.before.is_some())) {
        forecast.world.learn_secrets().await;
    }
    // A stage, or a part, cannot tell what is no longer declared.
    if evaluation.stop.is_none() && wish.phases.is_empty() {
        let declared: HashSet<(String, String)> =
            changes.iter().filter_map(Change::key).map(|(kind, id)| (kind.to_owned(), id.to_owned())).collect();
        let mut orphans = owned(&forecast.world, evaluation, wish).await?;
        orphans.retain(|live| !declared.contains(&key(live)));
        if !orphans.is_empty() {
            forecast.world.learn_secrets().await;
        }
        refuse_unknown_orphans(&orphans, wish)?;
        let left_out: BTreeSet<&str> = evaluation.left_out.iter().map(|one| one.address.provider()).collect();
        changes.extend(orphans.iter().map(|live| undeclared(&forecast.world, live, wish, &left_out)));
        keep_the_way_in(&forecast.world, &mut changes);
        refuse_protected(&changes)?;
    }
    let outputs = match wish.phases.is_empty() {
        true => {
            let planned = |value: &Value| value.resolve(&mut |reference| forecast.planned(reference));
            let output = |given: &Given| PlannedOutput { name: given.name.clone(), value: planned(&given.value) };
            evaluation.outputs.iter().map(output).collect()
        }
        false => vec![],
    };
    let (stack, stop) = (forecast.world.stack.clone(), evaluation.stop.clone());
    let left_out = evaluation.left_out.clone();
    let mut plan = Plan { stack, outputs, changes, stop, estimate: None, policies: vec![], left_out };
    order::complete(&forecast.world, &mut plan)?;
    Ok(plan)
}

/// The plan that removes everything the stack owns, declared or not.
pub async fn plan_destroy(forecast: &Forecast, evaluation: &Evaluation, wish: &Wish) -> Result<Plan, Diagnostics> {
    let plan = foresee_destroy(forecast, evaluation, wish).await?;
    refuse_protected(&plan.changes)?;
    Ok(plan)
}

/// The same with what is protected: to be looked at only.
pub async fn foresee_destroy(forecast: &Forecast, evaluation: &Evaluation, wish: &Wish) -> Result<Plan, Diagnostics> {
    let world = &*forecast.world;
    forecast.open_all_gates(&evaluation.declarations).await?;
    let lives = owned(world, evaluation, wish).await?;
    world.learn_secrets().await;
    let mut changes = vec![];
    for live in lives {
        let mut change = undeclared(world, &live, wish, &BTreeSet::new());
        change.reason = Some(Reason::Destroyed);
        if live.status != Status::Deleting {
            change.action = Action::Delete;
            change.notes.clear();
        }
        let declaration = live.owner.as_ref().and_then(|owner| declaration_of(evaluation, &owner.address));
        if let Some(declaration) = declaration {
            change.options = Options { region: live.region.clone(), ..declaration.options.clone() };
            change.site = Some(declaration.site.clone());
            change.phase = declaration.phase.clone();
        }
        if change.action == Action::Delete && is_protected(&change) {
            change.notes.push("it is protected, and is not deleted".to_owned());
        }
        changes.push(change);
    }
    let mut plan = Plan { stack: world.stack.clone(), changes, ..Plan::default() };
    order::complete(world, &mut plan)?;
    Ok(plan)
}

/// What is protected is not deleted: by what the playbook says, or by what the resource itself remembers of it.
pub fn refuse_protected(changes: &[Change]) -> Result<(), Diagnostics> {
    let deleted =
        changes.iter().filter(|change| change.action == Action::Delete && change.reason != Some(Reason::Deposed));
    let wrong: Diagnostics = deleted
        .filter(|change| is_protected(change))
        .map(|change| {
            let refused = Diagnostic::error(format!("{} is protected", change.address));
            match &change.site {
                Some(site) => refused
                    .at(site, "protected here")
                    .hint("nothing was deleted; remove `protect` from what may go, and apply that first"),
                None => refused
                    .because("it is no longer declared, and was protected when it was")
                    .hint("nothing was deleted; declare it again without `protect`, apply that, then remove it"),
            }
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn is_protected(change: &Change) -> bool {
    let owner = change.live.as_ref().and_then(|live| live.owner.as_ref());
    change.options.protect || owner.is_some_and(|owner| owner.protect)
}

/// What is to be pruned by name must be there and be declared no more; a typo would otherwise pass for nothing to do.
fn refuse_unknown_orphans(orphans: &[Arc<Live>], wish: &Wish) -> Result<(), Diagnostics> {
    let known: Vec<String> = orphans.iter().filter_map(|live| Some(live.owner.as_ref()?.address.to_string())).collect();
    let unknown = wish.prune_named.iter().filter(|address| !known.contains(&address.to_string()));
    let wrong: Diagnostics = unknown
        .map(|address| {
            let name = address.to_string();
            let told = Diagnostic::error(format!("cannot prune {name}: it is not among what is no longer declared"));
            told.hint(match (crate::diagnostic::closest(&name, known.iter().map(String::as_str)), known.len()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, 0) => "everything that the stack owns is declared".to_owned(),
                (None, _) => format!("no longer declared: {}", known.join(", ")),
            })
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// What declares a resource: under its address, or as one that was renamed since.
fn declaration_of<'a>(evaluation: &'a Evaluation, address: &Address) -> Option<&'a Arc<Declaration>> {
    let renamed = |declaration: &&Arc<Declaration>| {
        declaration.address.kind == address.kind && declaration.options.was.as_deref() == Some(&*address.name)
    };
    evaluation.declarations.get(address).or_else(|| evaluation.declarations.iter().find(renamed))
}

fn refuse_unknown_phases(evaluation: &Evaluation, wish: &Wish) -> Result<(), Diagnostics> {
    let known = || evaluation.phases.iter().map(|name| &**name);
    let unknown = |name: &&String| !evaluation.phases.iter().any(|phase| ***name == **phase);
    let wrong: Diagnostics = wish
        .phases
        .iter()
        .filter(unknown)
        .map(|name| {
            let hint = match crate::diagnostic::closest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known().next().is_none() => "this playbook has no phases".to_owned(),
                None => format!("its phases: {}", known().collect::<Vec<_>>().join(", ")),
            };
            let unknown = Diagnostic::error(format!("the playbook has no phase `{name}`"));
            match &evaluation.stop {
                Some(stop) => {
                    unknown.because("it was read only up to here").at(&stop.site, "ends here for now").hint(hint)
                }
                None => unknown.hint(hint),
            }
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
            wanted.extend(declaration.needs());
        }
    }
    all.into_iter().filter(|declaration| wanted.contains(&declaration.address)).cloned().collect()
}

/// Everything the stack owns: of the declared kinds and of those it owns something of, all listed side by side.
async fn owned(world: &World, evaluation: &Evaluation, wish: &Wish) -> Result<Vec<Arc<Live>>, Diagnostics> {
    let listings: BTreeSet<(Option<String>, Arc<str>)> = evaluation
        .declarations
        .iter()
        .map(|declaration| (declaration.options.region.clone(), declaration.address.kind.clone()))
        .collect();
    let mut regions: BTreeSet<Option<String>> = listings.iter().map(|(region, _)| region.clone()).collect();
    regions.insert(None);
    regions.extend(wish.regions.iter().cloned().map(Some));
    // What a declared resource opens is looked through though nothing is declared in it any more.
    regions.extend(evaluation.declarations.iter().filter_map(|one| Some(Some(opened(world, &one.address)?))));
    let mut lives = listed(world, &regions, listings).await?;
    // A way in that is no longer declared still leads to what is inside.
    let mut inside: BTreeSet<Option<String>> = BTreeSet::new();
    for live in &lives {
        let Some(owner) = &live.owner else { continue };
        let Some(region) = opened(world, &owner.address).filter(|region| !regions.contains(&Some(region.clone())))
        else {
            continue;
        };
        world.open(&region, &owner.address.name, &live.region, Some(&live.inputs)).map_err(|fault| {
            vec![Diagnostic::error(format!("{} cannot be reached", owner.address)).because(fault.to_string())]
        })?;
        inside.insert(Some(region));
    }
    if !inside.is_empty() {
        lives.extend(listed(world, &inside, BTreeSet::new()).await?);
    }
    // A region named twice (as the default and by its name) lists the same resource twice.
    let mut seen = HashSet::new();
    lives.retain(|live: &Arc<Live>| seen.insert(key(live)));
    Ok(lives)
}

/// What is owned in these regions: of these kinds, and of those that a census tells.
async fn listed(
    world: &World,
    regions: &BTreeSet<Option<String>>,
    mut listings: BTreeSet<(Option<String>, Arc<str>)>,
) -> Result<Vec<Arc<Live>>, Diagnostics> {
    let censuses = regions.iter().map(|region| async move { (region, world.owned_kinds(region).await) });
    for (region, kinds) in join_all(censuses).await {
        let kinds = kinds.map_err(|fault| {
            let what =
                if fault.is_at_the_door() { "cannot reach the provider" } else { "cannot read what the stack owns" };
            vec![Diagnostic::error(what).because(fault.to_string()).maybe_hint(fault.hint)]
        })?;
        listings.extend(kinds.into_iter().map(|kind| (region.clone(), kind)));
    }
    let kinds = listings.iter().filter_map(|(region, name)| world.kind(name).map(|kind| (region, kind)));
    let reads = kinds.map(|(region, kind)| async move {
        world.owned(&kind, region).await.map_err(|fault| cannot_read(&kind.name, &fault))
    });
    let mut lives = vec![];
    let mut wrong = vec![];
    for listing in join_all(reads).await {
        match listing {
            Ok(listing) => lives.extend(listing.all.iter().filter(|live| live.owner.is_some()).cloned()),
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    if wrong.is_empty() { Ok(lives) } else { Err(wrong) }
}

/// As long as something inside is kept, so is the way in: without it nobody would find the rest.
fn keep_the_way_in(world: &World, changes: &mut [Change]) {
    let kept: Vec<(String, Address)> = changes
        .iter()
        .filter(|change| change.action == Action::Orphan)
        .filter_map(|change| Some((change.options.region.clone()?, change.address.clone())))
        .collect();
    for change in changes.iter_mut().filter(|change| change.action == Action::Delete) {
        let Some(region) = opened(world, &change.address) else { continue };
        if let Some((_, inside)) = kept.iter().find(|(at, _)| *at == region) {
            change.action = Action::Orphan;
            change.notes.push(format!("kept for {inside}, which is kept"));
        }
    }
}

/// The region to which a resource is the way.
fn opened(world: &World, address: &Address) -> Option<String> {
    let opens = world.kind(&address.kind)?.nature.opens?;
    Some(opens(&address.name))
}

/// What tells one owned resource from all others.
fn key(live: &Live) -> (String, String) {
    let kind = live.owner.as_ref().map(|owner| owner.address.kind.to_string());
    (kind.unwrap_or_default(), live.id.clone())
}

/// `left_out`: providers of which something is left out of the plan that may declare it.
fn undeclared(world: &World, live: &Live, wish: &Wish, left_out: &BTreeSet<&str>) -> Change {
    let owner = live.owner.clone().expect("only what is owned is listed");
    let kind = world.kind(&owner.address.kind);
    let cascades = kind.as_ref().is_some_and(|kind| kind.nature.cascades);
    let named = wish.prune_named.contains(&owner.address);
    let unknown = left_out.contains(owner.address.provider());
    let delete = named || owner.deposed || wish.prune && !cascades && !unknown;
    let by_name = || format!("deleted only by name: --prune={}", owner.address);
    let note = match () {
        () if delete => None,
        () if unknown => Some(format!("what is left out of this plan may declare it: {}", by_name())),
        // All that is inside goes with it.
        () => cascades.then(by_name),
    };
    Change {
        action: if delete && live.status != Status::Deleting { Action::Delete } else { Action::Orphan },
        reason: Some(if owner.deposed { Reason::Deposed } else { Reason::NotDeclared }),
        fields: kind.as_ref().map(|kind| diff::all_lost(kind, live)).unwrap_or_default(),
        inputs: live.inputs.clone(),
        live: Some(live.clone()),
        options: Options { region: live.region.clone(), ..Options::default() },
        site: None,
        phase: vec![],
        needs: vec![],
        uses: vec![],
        notes: note.into_iter().collect(),
        predicted: Default::default(),
        address: owner.address,
    }
}
