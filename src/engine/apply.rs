//! Walks a plan: as much side by side as its order allows.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::graph::{self, Step};
use super::plan::{Action, Change, Plan};
use super::vanished::Made;
use super::work::{Ending, Tools, Work};
use crate::diagnostic::Diagnostic;
use crate::event::{self, Event, Left, Operation};
use crate::resource::{Address, Kind, Live, Map, Reference, Value};
use crate::secret::Secrets;

/// How an apply ended.
#[derive(Debug, Default)]
pub struct Outcome {
    pub done: usize,
    pub failures: Vec<Failure>,
    /// Addresses of steps that were not begun, with the failure that stood in their way.
    pub skipped: Vec<(Address, Address)>,
    /// Stopped from outside before everything was begun.
    pub interrupted: bool,
    /// The run's lock was lost meanwhile, or its journal, and why.
    pub lost: Option<Box<Diagnostic>>,
    /// What exists now of what the plan names.
    pub lives: HashMap<Address, Arc<Live>>,
    pub seconds: f64,
}

#[derive(Debug)]
pub struct Failure {
    pub address: Address,
    pub operation: Operation,
    pub diagnostic: Box<Diagnostic>,
}

impl Outcome {
    pub fn is_success(&self) -> bool {
        self.failures.is_empty() && !self.interrupted && self.lost.is_none()
    }

    /// The value a reference has now.
    pub fn value(&self, reference: &Reference) -> Option<Value> {
        let live = self.lives.get(&reference.address)?;
        Some(live.attribute(&reference.path).cloned().unwrap_or(Value::Null))
    }
}

/// Does everything a plan says. `kinds` gives the kind of a name; `parallelism` bounds the writes under way: who only
/// waits for a provider to finish holds nobody up.
pub async fn apply(
    plan: &Plan,
    kinds: &dyn Fn(&str) -> Option<Arc<Kind>>,
    tools: &Tools,
    parallelism: usize,
) -> Result<Outcome, Box<Diagnostic>> {
    let steps = graph::steps(plan)?;
    tools.events.emit(Event::ApplyStarted { operations: steps.len() });
    let mut walk = Walk::new(plan, steps, &kinds);
    let mut flying = FuturesUnordered::new();
    let started = Instant::now();
    let slots = Arc::new(Semaphore::new(parallelism.max(1)));
    let mut stopping = tools.stopping.clone();
    let (mut stopped, mut told) = (false, false);
    loop {
        let lost = walk.lost(tools);
        if !stopped && (*stopping.borrow() || lost.is_some()) {
            stopped = true;
            if let Some(diagnostic) = lost {
                told = true;
                tools.events.emit(Event::Told { diagnostic });
            }
            let not_begun = walk.not_begun();
            tools.events.emit(Event::Interrupted { waiting_for: flying.len(), not_begun });
        }
        let may_begin = walk.has_ready() && !stopped;
        if !may_begin && flying.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            // Heeded above.
            _ = stopping.wait_for(|stopping| *stopping), if !stopped => {}
            slot = slots.clone().acquire_owned(), if may_begin => {
                let slot = slot.expect("nobody closes it");
                let index = walk.next().expect("one is ready");
                let step = &walk.steps[index];
                let (change, operation) = (&plan.changes[step.change], step.operation);
                let prepared = walk.prepare(change, kinds, operation, &tools.secrets);
                let (address, site) = (change.address.clone(), change.site.clone());
                tools.events.emit(Event::Started { address, operation, site });
                flying.push(fly(index, change, operation, prepared, tools, slots.clone(), slot));
            }
            Some((index, result, seconds)) = flying.next() => walk.land(index, result, seconds, tools),
        }
    }
    let lost = walk.lost(tools);
    if let Some(diagnostic) = lost.clone().or_else(|| unwritten(tools)).filter(|_| !told) {
        tools.events.emit(Event::Told { diagnostic });
    }
    let mut outcome = walk.outcome;
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.lost = lost;
    outcome.interrupted |= (stopped || outcome.lost.is_some()) && walk.begun < walk.steps.len();
    tools.events.emit(Event::Applied {
        done: outcome.done,
        failed: outcome.failures.len(),
        skipped: outcome.skipped.len(),
        seconds: outcome.seconds,
    });
    Ok(outcome)
}

/// That the journal lacks how the last of it ended is no failure.
fn unwritten(tools: &Tools) -> Option<Box<Diagnostic>> {
    let told = Diagnostic::warning("how this run ended is not in its journal").because(tools.journal.failure()?);
    Some(Box::new(told.hint(FOUND)))
}

const FOUND: &str = "nothing is lost: the next run finds what this one made by its tags";

/// What a step needs that only the steps before it could tell.
struct Prepared {
    kind: Option<Arc<Kind>>,
    inputs: Map,
    missing: Option<String>,
    made: Vec<Made>,
    room_is_made: bool,
    removed: Arc<HashSet<String>>,
}

async fn fly(
    index: usize,
    change: &Change,
    operation: Operation,
    prepared: Prepared,
    tools: &Tools,
    slots: Arc<Semaphore>,
    slot: OwnedSemaphorePermit,
) -> (usize, Result<Option<Arc<Live>>, Ending>, f64) {
    let started = Instant::now();
    let result = match (prepared.kind, prepared.missing) {
        (None, _) => Err(Diagnostic::error(format!("no provider knows the kind `{}`", change.address.kind)).into()),
        (_, Some(reference)) => Err(Diagnostic::error(format!("{} cannot be made", change.address))
            .because(format!("`{reference}` has no value even now that its resource exists"))
            .into()),
        (Some(kind), None) => {
            let mut work = Work::new(tools, &kind, change, operation, slots, slot);
            (work.inputs, work.removed) = (prepared.inputs, prepared.removed);
            (work.made, work.room_is_made) = (prepared.made, prepared.room_is_made);
            work.run().await
        }
    };
    (index, result, started.elapsed().as_secs_f64())
}

/// Whether this plan takes away what may keep a change from being made.
fn makes_room(other: &Change, change: &Change, kind: Option<&Kind>, inputs: &Map) -> bool {
    let goes = matches!(other.action, Action::Delete | Action::Replace);
    if other.address.kind != change.address.kind {
        return false;
    }
    match (kind.and_then(|kind| kind.nature.in_the_way), &other.live) {
        // What is known to be in the way, and goes, or becomes something else.
        (Some(in_the_way), Some(live)) => {
            let moves = goes || other.action == Action::Update;
            moves && other.address != change.address && in_the_way(inputs, &live.inputs)
        }
        (Some(_), None) => false,
        (None, _) => goes,
    }
}

/// Where the walk stands.
struct Walk<'a> {
    plan: &'a Plan,
    steps: Vec<Step>,
    /// Steps that wait for each step.
    then: Vec<Vec<usize>>,
    /// How many steps each still waits for.
    waiting: Vec<usize>,
    /// Longest chain first; among equals, in plan order.
    ready: BinaryHeap<(usize, std::cmp::Reverse<usize>)>,
    skipped: HashSet<usize>,
    started: HashSet<usize>,
    begun: usize,
    /// Made or changed in this run.
    fresh: HashSet<Address>,
    /// Ids of what the plan removes.
    removed: Arc<HashSet<String>>,
    outcome: Outcome,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, steps: Vec<Step>, kinds: &impl Fn(&str) -> Option<Arc<Kind>>) -> Self {
        let mut then = vec![vec![]; steps.len()];
        for (index, step) in steps.iter().enumerate() {
            step.after.iter().for_each(|before| then[*before].push(index));
        }
        let waiting: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
        let unchanged = plan.changes.iter().filter(|change| matches!(change.action, Action::None | Action::Update));
        let lives = unchanged.filter_map(|c| Some((c.address.clone(), Arc::new(c.live.clone()?)))).collect();
        let ready = (0..steps.len()).filter(|index| waiting[*index] == 0);
        let ready = ready.map(|index| (steps[index].rank, std::cmp::Reverse(index))).collect();
        let outcome = Outcome { lives, ..Outcome::default() };
        let going = plan.changes.iter().filter(|change| matches!(change.action, Action::Delete | Action::Replace));
        // A mere name says nothing of who is meant by it.
        let told = going.filter(|change| !kinds(&change.address.kind).is_some_and(|kind| kind.is_named()));
        let removed = Arc::new(told.filter_map(|change| Some(change.live.as_ref()?.id.clone())).collect());
        let (skipped, started, fresh) = (HashSet::new(), HashSet::new(), HashSet::new());
        Walk { plan, steps, then, waiting, ready, skipped, started, begun: 0, fresh, removed, outcome }
    }

    fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn next(&mut self) -> Option<usize> {
        let (_, std::cmp::Reverse(index)) = self.ready.pop()?;
        self.begun += 1;
        self.started.insert(index);
        Some(index)
    }

    /// Why nothing further may begin, if it must not: what a run has to have is lost.
    fn lost(&self, tools: &Tools) -> Option<Box<Diagnostic>> {
        let unwritten = |why: &str| {
            let told = Diagnostic::error("nothing further was begun: the run's journal cannot be written").because(why);
            Box::new(told.hint(format!("free some space or mend the permissions there, then run again; {FOUND}")))
        };
        let is_missed = |_: &&str| self.outcome.interrupted || !self.not_begun().is_empty();
        tools.lease.why_lost().or_else(|| tools.journal.failure().filter(is_missed).map(unwritten))
    }

    fn not_begun(&self) -> Vec<event::Step> {
        let left = (0..self.steps.len()).filter(|index| !self.started.contains(index) && !self.skipped.contains(index));
        let step = |index: usize| {
            let step = &self.steps[index];
            event::Step { address: self.plan.changes[step.change].address.clone(), operation: step.operation }
        };
        left.map(step).collect()
    }

    fn prepare(
        &self,
        change: &Change,
        kinds: &dyn Fn(&str) -> Option<Arc<Kind>>,
        operation: Operation,
        secrets: &Secrets,
    ) -> Prepared {
        let kind = kinds(&change.address.kind);
        let made = |address: &Address| {
            let of = self.plan.changes.iter().find(|change| change.address == *address)?;
            let (kind, live) = (kinds(&address.kind)?, self.outcome.lives.get(address)?.clone());
            Some(Made { kind, region: of.options.region.clone(), live })
        };
        let made = change.needs.iter().filter(|address| self.fresh.contains(*address)).filter_map(made).collect();
        let removed = self.removed.clone();
        let mut missing = None;
        let mut inputs = change.inputs.clone();
        if operation != Operation::Delete {
            for (name, value) in &mut inputs {
                // A whole field may be nothing, as if it were left out; a part of one must be something.
                let whole = matches!(value, Value::Reference(_))
                    && kind.as_ref().is_some_and(|kind| kind.may_be_left_out(name));
                *value = value.resolve(&mut |reference| {
                    if let Some(value) = reference.secret_name().and_then(|name| secrets.get(name)) {
                        return Some((*value).into());
                    }
                    let found = self.outcome.value(reference).filter(|found| whole || !found.is_null());
                    if found.is_none() {
                        missing = Some(reference.to_string());
                    }
                    found
                });
            }
        }
        let room_is_made = self.plan.changes.iter().any(|other| makes_room(other, change, kind.as_deref(), &inputs));
        Prepared { kind, inputs, missing, made, room_is_made, removed }
    }

    fn land(&mut self, index: usize, result: Result<Option<Arc<Live>>, Ending>, seconds: f64, tools: &Tools) {
        let change = &self.plan.changes[self.steps[index].change];
        let (address, operation) = (change.address.clone(), self.steps[index].operation);
        match result {
            Ok(live) => {
                let id = live.as_ref().map(|live| live.id.clone());
                if let Some(live) = live {
                    self.outcome.lives.insert(address.clone(), live);
                    self.fresh.insert(address.clone());
                }
                self.outcome.done += 1;
                self.release(index);
                tools.events.emit(Event::Finished { address, operation, id, seconds });
            }
            Err(Ending::Interrupted) => self.outcome.interrupted = true,
            Err(Ending::Left(left, id)) => {
                self.outcome.interrupted = true;
                if left == Left::NotBegun {
                    self.started.remove(&index);
                }
                tools.events.emit(Event::Left { address, operation, left, id, seconds });
            }
            Err(Ending::Failed(diagnostic)) => {
                let event =
                    Event::Failed { address: address.clone(), operation, diagnostic: diagnostic.clone(), seconds };
                tools.events.emit(event);
                for skipped in self.fail(index, diagnostic) {
                    let (skipped, operation) =
                        (self.plan.changes[self.steps[skipped].change].address.clone(), self.steps[skipped].operation);
                    tools.events.emit(Event::Skipped { address: skipped, operation, because: address.clone() });
                }
            }
        }
    }

    fn release(&mut self, index: usize) {
        for next in &self.then[index] {
            self.waiting[*next] -= 1;
            if self.waiting[*next] == 0 && !self.skipped.contains(next) {
                self.ready.push((self.steps[*next].rank, std::cmp::Reverse(*next)));
            }
        }
    }

    /// Records a failure and gives back the steps that can no longer be begun.
    fn fail(&mut self, index: usize, diagnostic: Box<Diagnostic>) -> Vec<usize> {
        let step = &self.steps[index];
        let address = self.plan.changes[step.change].address.clone();
        self.outcome.failures.push(Failure { address: address.clone(), operation: step.operation, diagnostic });
        let mut open = self.then[index].clone();
        let mut newly = vec![];
        while let Some(next) = open.pop() {
            if self.skipped.insert(next) {
                newly.push(next);
                open.extend(self.then[next].iter().copied());
            }
        }
        self.begun += newly.len();
        // The other half of a replacement that failed is told with it.
        newly.retain(|step| self.plan.changes[self.steps[*step].change].address != address);
        newly.sort_unstable();
        for step in &newly {
            let skipped = self.plan.changes[self.steps[*step].change].address.clone();
            self.outcome.skipped.push((skipped, address.clone()));
        }
        newly
    }
}
