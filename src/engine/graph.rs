//! The order of work: which step waits for which. Pure, and ignorant of what the steps do.

use std::collections::{HashMap, HashSet};

use super::plan::{Action, Change, Hold, Key, Plan, Reason};
use crate::diagnostic::Diagnostic;
use crate::event::Operation;
use crate::resource::{Address, ReplaceOrder};

/// One operation of an apply. A replace has two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Index into the plan's changes.
    pub change: usize,
    pub operation: Operation,
    /// Steps that must be done before.
    pub after: Vec<usize>,
    /// How many steps the longest chain from here on has: whoever has more goes first when there is a choice.
    pub rank: usize,
}

/// The steps of a plan with their order; in case of a cycle, the diagnostic that names it.
pub fn steps(plan: &Plan) -> Result<Vec<Step>, Box<Diagnostic>> {
    let mut steps = vec![];
    // Per change: the step after which it is there, and the step after which its old form is gone.
    let mut makes: Vec<Option<usize>> = vec![None; plan.changes.len()];
    let mut removes: Vec<Option<usize>> = vec![None; plan.changes.len()];
    for (index, change) in plan.changes.iter().enumerate() {
        let mut add = |operation| {
            steps.push(Step { change: index, operation, after: vec![], rank: 0 });
            Some(steps.len() - 1)
        };
        match change.action {
            Action::None | Action::Orphan => {}
            Action::Create => makes[index] = add(Operation::Create),
            Action::Update => makes[index] = add(Operation::Update),
            Action::Delete => removes[index] = add(Operation::Delete),
            Action::Replace => {
                removes[index] = add(Operation::Delete);
                makes[index] = add(Operation::Create);
            }
        }
    }
    let order = Order { plan, makes, removes };
    order.make_what_is_needed_first(&mut steps);
    let loose = order.remove_what_is_used_last(&mut steps);
    order.remove_what_is_deposed_last(&mut steps);
    order.replace_in_the_chosen_order(&mut steps);
    if let Err(circle) = rank(&mut steps) {
        // Two that use each other by what could be changed: the provider's refusals tell which goes first.
        for (before, removal) in loose {
            if circle.contains(&before) && circle.contains(&removal) {
                steps[removal].after.retain(|step| *step != before);
            }
        }
        rank(&mut steps).map_err(|circle| Box::new(cycle_diagnostic(plan, &steps, &circle)))?;
    }
    Ok(steps)
}

/// Whether one needs the other, however indirectly.
pub fn rests_on(needs: &HashMap<Address, Vec<Address>>, start: &Address, target: &Address) -> bool {
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

struct Order<'a> {
    plan: &'a Plan,
    makes: Vec<Option<usize>>,
    removes: Vec<Option<usize>>,
}

impl Order<'_> {
    fn make_what_is_needed_first(&self, steps: &mut [Step]) {
        let declared: HashMap<&Address, usize> = self
            .plan
            .changes
            .iter()
            .enumerate()
            .filter(|(index, _)| self.makes[*index].is_some())
            .map(|(index, change)| (&change.address, index))
            .collect();
        for (index, change) in self.plan.changes.iter().enumerate() {
            // A removal, too, may have to wait until everything else has gone well.
            let Some(step) = self.makes[index].or(self.removes[index]) else { continue };
            let needed = change.needs.iter().filter_map(|address| self.makes[*declared.get(address)?]);
            steps[step].after.extend(needed);
        }
    }

    /// Nothing goes before what uses it has gone, or has been changed to something else. Gives back the edges that are
    /// better dropped than standing in the way.
    fn remove_what_is_used_last(&self, steps: &mut [Step]) -> Vec<(usize, usize)> {
        let going: HashMap<Key<'_>, usize> = self
            .plan
            .changes
            .iter()
            .enumerate()
            .filter(|(index, _)| self.removes[*index].is_some())
            .filter_map(|(index, change)| Some((change.key()?, index)))
            .collect();
        let mut loose = vec![];
        for (index, change) in self.plan.changes.iter().enumerate() {
            for used in &change.uses {
                let Some(target) = going.get(&(&*used.kind, used.id.as_str())).copied() else { continue };
                let Some(removal) = self.removes[target] else { continue };
                let before = match (self.removes[index], self.makes[index]) {
                    (Some(gone), _) if used.hold == Hold::Outlives => {
                        steps[gone].after.push(removal);
                        continue;
                    }
                    (Some(gone), _) => gone,
                    // It can be changed only once the new one is there.
                    (None, Some(_)) if deletes_first(&self.plan.changes[target]) => continue,
                    (None, Some(changed)) => changed,
                    (None, None) => continue,
                };
                steps[removal].after.push(before);
                if used.hold != Hold::Firm {
                    loose.push((before, removal));
                }
            }
        }
        loose
    }

    /// What a replacement left over serves until its successor is there.
    fn remove_what_is_deposed_last(&self, steps: &mut [Step]) {
        for (index, change) in self.plan.changes.iter().enumerate() {
            let (Some(Reason::Deposed), Some(removal)) = (&change.reason, self.removes[index]) else { continue };
            let successor = self
                .plan
                .changes
                .iter()
                .position(|other| other.address == change.address && other.reason != Some(Reason::Deposed));
            steps[removal].after.extend(successor.and_then(|other| self.makes[other]));
        }
    }

    fn replace_in_the_chosen_order(&self, steps: &mut [Step]) {
        for (index, change) in self.plan.changes.iter().enumerate() {
            let (Some(removal), Some(make)) = (self.removes[index], self.makes[index]) else { continue };
            match change.options.replace {
                ReplaceOrder::DeleteFirst => steps[make].after.push(removal),
                ReplaceOrder::CreateFirst => steps[removal].after.push(make),
            }
        }
    }
}

fn deletes_first(change: &Change) -> bool {
    change.action == Action::Replace && change.options.replace == ReplaceOrder::DeleteFirst
}

/// Sets every step's rank; gives back the steps that wait for each other if there is no order.
fn rank(steps: &mut [Step]) -> Result<(), Vec<usize>> {
    let mut waiting: Vec<usize> = vec![0; steps.len()];
    for step in steps.iter_mut() {
        step.rank = 0;
        step.after.sort_unstable();
        step.after.dedup();
        step.after.iter().for_each(|before| waiting[*before] += 1);
    }
    // From the ends backwards.
    let mut open: Vec<usize> = (0..steps.len()).filter(|index| waiting[*index] == 0).collect();
    let mut done = 0;
    while let Some(index) = open.pop() {
        done += 1;
        let rank = steps[index].rank + 1;
        for before in steps[index].after.clone() {
            steps[before].rank = steps[before].rank.max(rank);
            waiting[before] -= 1;
            if waiting[before] == 0 {
                open.push(before);
            }
        }
    }
    if done == steps.len() {
        return Ok(());
    }
    Err((0..steps.len()).filter(|index| waiting[*index] > 0).collect())
}

fn cycle_diagnostic(plan: &Plan, steps: &[Step], cycle: &[usize]) -> Diagnostic {
    let mut names: Vec<String> = cycle
        .iter()
        .map(|index| {
            let verb = steps[*index].operation.verb();
            format!("{verb} {}", plan.changes[steps[*index].change].address)
        })
        .collect();
    names.dedup();
    let mut diagnostic =
        Diagnostic::error("these changes wait for each other, so none can begin").because(names.join(", "));
    for index in cycle {
        if let Some(site) = &plan.changes[steps[*index].change].site {
            diagnostic = diagnostic.at(site, "part of the circle");
            break;
        }
    }
    diagnostic.hint("apply a part of them first, for example the deletions with --prune, or with --phase")
}
