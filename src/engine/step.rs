//! One step of an apply: look, write, wait. What may be tried again is decided here, by the class of the fault.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::diff;
use super::journal::Journal;
use super::plan::{Action, Change, Reason};
use super::wait::{Backoff, Looks, Pace};
use crate::diagnostic::Diagnostic;
use crate::event::{Event, Events, Operation};
use crate::resource::{
    Class, Create, Declaration, Delete, Fault, Kind, Live, Map, Owner, Provider, ReplaceOrder, Status, Update, Value,
};

/// What every step of one apply shares.
pub struct Tools {
    pub provider: Arc<dyn Provider>,
    pub stack: String,
    pub looks: Looks,
    pub journal: Journal,
    pub events: Events,
    /// Turns true when the run is to end: calls in flight finish, waiting stops.
    pub stopping: watch::Receiver<bool>,
}

/// How a step ended that did not reach its end.
pub enum Ending {
    Failed(Box<Diagnostic>),
    /// Stopped while it waited; the next run goes on from there.
    Interrupted,
}

impl From<Diagnostic> for Ending {
    fn from(diagnostic: Diagnostic) -> Self {
        Ending::Failed(Box::new(diagnostic))
    }
}

/// A step under way.
pub struct Work<'a> {
    pub tools: &'a Tools,
    pub kind: &'a Kind,
    pub change: &'a Change,
    pub operation: Operation,
    /// Complete: references are filled in.
    pub inputs: Map,
    /// Something it rests on was made in this run, so "not found" may mean "not visible yet".
    pub fresh: bool,
    /// Ids of what this plan removes: that others lose their hold of it is our own doing.
    pub removed: Arc<HashSet<String>>,
    until: Instant,
    limit: Duration,
}

impl<'a> Work<'a> {
    pub fn new(tools: &'a Tools, kind: &'a Kind, change: &'a Change, operation: Operation) -> Self {
        let limit = change.options.timeout.unwrap_or(Duration::from_secs(kind.nature.timeout));
        let (inputs, until) = (change.inputs.clone(), Instant::now() + limit);
        let removed = Arc::default();
        Work { tools, kind, change, operation, inputs, fresh: false, removed, until, limit }
    }

    /// Does it; what exists afterwards, if anything does. Holds its slot while it writes, not while it waits.
    pub async fn run(&self, slot: OwnedSemaphorePermit) -> Result<Option<Arc<Live>>, Ending> {
        let written = match self.operation {
            Operation::Create => self.create().await?,
            Operation::Update => self.update().await?,
            Operation::Delete => self.delete().await?,
        };
        drop(slot);
        match (written, self.operation) {
            (None, _) => Ok(None),
            (Some(id), Operation::Delete) => self.wait_gone(&id).await.map(|()| None),
            (Some(id), _) => self.wait_ready(&id).await.map(Some),
        }
    }

    /// Writes, and gives back the id to wait for.
    async fn create(&self) -> Result<Option<String>, Ending> {
        // A second look: someone may have made it since the plan, or the plan's listing may have been short.
        let existing = self.find_by_address().await?;
        let replaced = self.change.live.as_ref().map(|live| live.id.as_str());
        let others: Vec<_> = existing.iter().filter(|live| Some(live.id.as_str()) != replaced).collect();
        if let Some(other) = others.first() {
            return Err(self.moved(format!("`{}` exists with this address", other.id)).into());
        }
        if let Some(old) = &self.change.live
            && self.change.options.replace == ReplaceOrder::CreateFirst
        {
            self.depose(old).await?;
        }
        let token = self.intend(None)?;
        let request = Create {
            region: self.change.options.region.clone(),
            owner: self.owner(false),
            inputs: self.inputs.clone(),
            token,
        };
        let mut backoff = Backoff::new(&self.change.address);
        let id = loop {
            match self.call(self.tools.provider.create(self.kind, &request)).await? {
                Ok(id) => break id,
                Err(fault) if fault.class == Class::Ambiguous => {
                    if let Some(live) = self.look_for_what_may_exist(replaced).await? {
                        // It exists, but perhaps not all of it was set.
                        let id = live.id.clone();
                        self.bring_about(live, &request.token, false).await?;
                        break id;
                    }
                    self.pause(&mut backoff, &fault).await?;
                }
                Err(fault) if self.may_retry(&fault) => self.pause(&mut backoff, &fault).await?,
                Err(fault) => return Err(self.failed(&fault)),
            }
        };
        self.tools
            .journal
            .outcome(&self.change.address, self.operation, Ok(Some(&id)))
            .map_err(|e| self.unwritable(e))?;
        Ok(Some(id))
    }

    /// The call may have taken effect although no answer came. Its tags tell; and they may take a moment to show.
    async fn look_for_what_may_exist(&self, replaced: Option<&str>) -> Result<Option<Arc<Live>>, Ending> {
        for pause in [0.5, 1.0, 2.0, 4.0] {
            self.sleep(Duration::from_secs_f64(pause)).await?;
            let found = self.find_by_address().await?;
            if let Some(live) = found.into_iter().find(|live| Some(live.id.as_str()) != replaced) {
                return Ok(Some(live));
            }
        }
        Ok(None)
    }

    /// Marks the old one, so that a run stopped between two steps leaves no doubt which is which.
    async fn depose(&self, old: &Live) -> Result<(), Ending> {
        let fresh = self.look_again(old).await?;
        let request = Update {
            live: (*fresh).clone(),
            owner: self.owner(true),
            inputs: fresh.inputs.clone(),
            changed: vec![],
            token: String::new(),
        };
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.call(self.tools.provider.update(self.kind, &request)).await? {
                Ok(()) => return Ok(()),
                // Writing the same tags twice does no harm.
                Err(fault) if fault.class == Class::Ambiguous || self.may_retry(&fault) => {
                    self.pause(&mut backoff, &fault).await?
                }
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
    }

    async fn update(&self) -> Result<Option<String>, Ending> {
        let planned = self.change.live.as_ref().expect("an update has something to update");
        let live = self.look_again(planned).await?;
        let id = live.id.clone();
        let unowned = matches!(self.change.reason, Some(Reason::Adopted { .. } | Reason::Renamed { .. }));
        if unowned || !self.differing(&live).is_empty() {
            let token = self.intend(Some(&id))?;
            self.bring_about(live, &token, unowned).await?;
            let outcome = self.tools.journal.outcome(&self.change.address, self.operation, Ok(Some(&id)));
            outcome.map_err(|e| self.unwritable(e))?;
        }
        Ok(Some(id))
    }

    /// Updates what differs until nothing does; each attempt goes on from what is there by then.
    async fn bring_about(&self, mut live: Arc<Live>, token: &str, unowned: bool) -> Result<(), Ending> {
        let mut changed = self.differing(&live);
        let mut backoff = Backoff::new(&self.change.address);
        while unowned || !changed.is_empty() {
            let request = Update {
                live: (*live).clone(),
                owner: self.owner(false),
                inputs: self.inputs.clone(),
                changed,
                token: token.to_owned(),
            };
            match self.call(self.tools.provider.update(self.kind, &request)).await? {
                Ok(()) => break,
                Err(fault) if fault.class == Class::Ambiguous || self.may_retry(&fault) => {
                    self.pause(&mut backoff, &fault).await?;
                    live = self.read(&live.id).await?.ok_or_else(|| self.moved("it is gone".into()))?;
                    changed = self.differing(&live);
                }
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
        Ok(())
    }

    async fn delete(&self) -> Result<Option<String>, Ending> {
        let planned = self.change.live.as_ref().expect("a delete has something to delete");
        let Some(live) = self.read(&planned.id).await? else { return Ok(None) };
        if live.status == Status::Deleting {
            return Ok(Some(live.id.clone()));
        }
        // Being deposed by the create that went before is our own doing.
        let same_owner = match (&live.owner, &planned.owner) {
            (Some(now), Some(then)) => now.stack == then.stack && now.address == then.address,
            (now, then) => now == then,
        };
        if !same_owner {
            return Err(self.moved("its ownership tags are different now".into()).into());
        }
        self.intend(Some(&live.id))?;
        let request = Delete { live: (*live).clone(), inputs: self.change.inputs.clone() };
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.call(self.tools.provider.delete(self.kind, &request)).await? {
                Ok(()) => break,
                Err(fault) if fault.class == Class::NotFound => break,
                Err(fault) if fault.class == Class::Ambiguous || self.may_retry(&fault) => {
                    self.pause(&mut backoff, &fault).await?;
                    match self.read(&live.id).await? {
                        None => break,
                        Some(live) if live.status == Status::Deleting => break,
                        Some(_) => {}
                    }
                }
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
        let outcome = self.tools.journal.outcome(&self.change.address, self.operation, Ok(Some(&live.id)));
        outcome.map_err(|e| self.unwritable(e))?;
        Ok(Some(live.id.clone()))
    }

    /// The live resource, if it still is what the plan saw in everything that the plan decided on.
    async fn look_again(&self, planned: &Live) -> Result<Arc<Live>, Ending> {
        let Some(live) = self.read(&planned.id).await? else {
            return Err(self.moved(format!("`{}` is gone", planned.id)).into());
        };
        if live.owner != planned.owner {
            return Err(self.moved("its ownership tags are different now".into()).into());
        }
        let moved: Vec<String> = self
            .kind
            .inputs
            .iter()
            .filter(|field| self.change.inputs.contains_key(&field.name))
            .filter(|field| !self.change.options.ignore.contains(&field.name))
            .filter(|field| {
                let canonical = |live: &Live| {
                    let value = without(live.inputs.get(&field.name)?, &self.removed)?;
                    Some(self.kind.canonical(field, &value))
                };
                canonical(&live) != canonical(planned)
            })
            .map(|field| format!("`{}`", field.name))
            .collect();
        match moved.is_empty() {
            true => Ok(live),
            false => Err(self.moved(format!("someone changed {}", moved.join(", "))).into()),
        }
    }

    /// The fields that are not yet as they shall be.
    fn differing(&self, live: &Live) -> Vec<String> {
        let declaration = Declaration {
            address: self.change.address.clone(),
            inputs: Map::new(),
            options: self.change.options.clone(),
            site: self.change.site.clone().unwrap_or_else(|| crate::diagnostic::Site::new("", 0, 0)),
            phase: vec![],
        };
        diff::changed_fields(&diff::diff(self.kind, &declaration, &self.inputs, live).1)
    }

    async fn wait_ready(&self, id: &str) -> Result<Arc<Live>, Ending> {
        let mut told = None;
        let pace = Pace::begin();
        loop {
            let status = match self.read(id).await? {
                Some(live) => match &live.status {
                    Status::Ready => return Ok(live),
                    Status::Failed(why) => return Err(self.broken(id, why).into()),
                    Status::Deleting => return Err(self.moved(format!("`{id}` is being deleted")).into()),
                    Status::Pending(status) => status.clone(),
                },
                None => "not visible yet".into(),
            };
            self.tell(&mut told, status);
            self.pace(&pace, &told).await?;
        }
    }

    async fn wait_gone(&self, id: &str) -> Result<(), Ending> {
        let mut told = None;
        let pace = Pace::begin();
        while self.read(id).await?.is_some() {
            self.tell(&mut told, "deleting".into());
            self.pace(&pace, &told).await?;
        }
        Ok(())
    }

    /// Says what is waited for: when that changes, and every half a minute.
    fn tell(&self, told: &mut Option<(String, Instant)>, status: String) {
        let old = told.as_ref().is_some_and(|(last, at)| *last == status && at.elapsed() < Duration::from_secs(30));
        if !old {
            let (address, operation) = (self.change.address.clone(), self.operation);
            self.tools.events.emit(Event::Waiting { address, operation, status: status.clone() });
            *told = Some((status, Instant::now()));
        }
    }

    /// One read, repeated while the provider is too busy to answer.
    async fn read(&self, id: &str) -> Result<Option<Arc<Live>>, Ending> {
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.tools.looks.by_id(self.kind, &self.region(), id).await {
                Ok(live) => return Ok(live),
                Err(fault) if is_passing(&fault) => self.pause(&mut backoff, &fault).await?,
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
    }

    async fn find_by_address(&self) -> Result<Vec<Arc<Live>>, Ending> {
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.tools.looks.by_address(self.kind, &self.region(), &self.change.address).await {
                Ok(mut lives) => {
                    lives.retain(|live| live.status != Status::Deleting);
                    return Ok(lives);
                }
                Err(fault) if is_passing(&fault) => self.pause(&mut backoff, &fault).await?,
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
    }

    fn region(&self) -> Option<String> {
        self.change.options.region.clone()
    }

    fn owner(&self, deposed: bool) -> Owner {
        Owner { stack: self.tools.stack.clone(), address: self.change.address.clone(), deposed, protect: false }
    }

    /// A write in flight is always awaited: to drop it would leave us not knowing. Only the time limit ends it.
    async fn call<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<Result<T, Fault>, Ending> {
        match timeout_at(self.until.max(Instant::now() + Duration::from_secs(60)), call).await {
            Ok(result) => Ok(result),
            Err(_) => Ok(Err(Fault::new(Class::Ambiguous, "no answer came in time"))),
        }
    }

    fn may_retry(&self, fault: &Fault) -> bool {
        match fault.class {
            Class::Throttled | Class::Busy => true,
            Class::NotFound => self.fresh,
            _ => false,
        }
    }

    async fn pause(&self, backoff: &mut Backoff, fault: &Fault) -> Result<(), Ending> {
        let (attempt, pause) = backoff.again();
        if Instant::now() + pause > self.until {
            return Err(self.failed(fault));
        }
        self.tools.events.emit(Event::Retrying {
            address: self.change.address.clone(),
            operation: self.operation,
            cause: fault.to_string(),
            attempt,
            seconds: pause.as_secs_f64(),
        });
        self.sleep(pause).await
    }

    async fn sleep(&self, pause: Duration) -> Result<(), Ending> {
        let mut stopping = self.tools.stopping.clone();
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => Err(Ending::Interrupted),
            () = sleep(pause) => Ok(()),
        }
    }

    /// The pause between two looks, unless the time is up.
    async fn pace(&self, pace: &Pace, told: &Option<(String, Instant)>) -> Result<(), Ending> {
        if Instant::now() > self.until {
            let status = told.as_ref().map_or("unknown", |(status, _)| status.as_str());
            let summary = match self.operation {
                Operation::Delete => format!("{} is not gone after {} s", self.change.address, self.limit.as_secs()),
                _ => format!("{} is not ready after {} s", self.change.address, self.limit.as_secs()),
            };
            return Err(self
                .diagnostic(summary)
                .because(format!("its status is `{status}`"))
                .hint("run again to go on waiting, or give it more time with the option `timeout`")
                .into());
        }
        let mut stopping = self.tools.stopping.clone();
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => Err(Ending::Interrupted),
            () = pace.pause() => Ok(()),
        }
    }

    fn intend(&self, id: Option<&str>) -> Result<String, Ending> {
        let written = self.tools.journal.intent(&self.change.address, self.operation, id);
        written.map_err(|error| self.unwritable(error))
    }

    fn unwritable(&self, error: std::io::Error) -> Ending {
        self.diagnostic(format!("{} was left alone", self.change.address))
            .because(format!("the run's journal cannot be written: {error}"))
            .hint("free some space or mend the permissions of `.runner`, then run again")
            .into()
    }

    fn diagnostic(&self, summary: String) -> Diagnostic {
        let diagnostic = Diagnostic::error(summary);
        match &self.change.site {
            Some(site) => diagnostic.at(site, "declared here"),
            None => diagnostic,
        }
    }

    fn failed(&self, fault: &Fault) -> Ending {
        let verb = match self.operation {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        };
        let summary = format!("failed to {verb} {}", self.change.address);
        let error = fault.to_string();
        let _ = self.tools.journal.outcome(&self.change.address, self.operation, Err(&error));
        let in_the_way =
            self.operation == Operation::Delete && self.change.action == Action::Replace && fault.class == Class::Busy;
        let hint = match in_the_way {
            true => {
                Some("what uses it is changed only once the new one is there: `replace: \"create_first\"`".to_owned())
            }
            false => fault.hint.clone(),
        };
        self.diagnostic(summary).because(error).maybe_hint(hint).into()
    }

    fn moved(&self, what: String) -> Diagnostic {
        self.diagnostic(format!("{} changed since the plan", self.change.address))
            .because(what)
            .hint("nothing of it was touched; run again for a plan of what is there now")
    }

    fn broken(&self, id: &str, why: &str) -> Diagnostic {
        self.diagnostic(format!("{} has failed on the provider's side", self.change.address))
            .because(format!("`{id}`: {why}"))
            .hint("mend the cause; the next run replaces it")
    }
}

/// A value without what mentions one of these ids: a route through it, an association with it.
fn without(value: &Value, ids: &HashSet<String>) -> Option<Value> {
    match value {
        Value::String(text) if ids.contains(text) => None,
        Value::List(items) => Some(items.iter().filter_map(|item| without(item, ids)).collect()),
        Value::Map(map) if map.values().any(|item| without(item, ids).is_none()) => None,
        other => Some(other.clone()),
    }
}

fn is_passing(fault: &Fault) -> bool {
    matches!(fault.class, Class::Throttled | Class::Ambiguous)
}
