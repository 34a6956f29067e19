//! What every step of an apply works with: reading, pausing, writing down, and telling what went wrong.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::journal::Journal;
use super::plan::{Action, Change};
use super::vanished::Made;
use super::wait::{Backoff, Looks, Pace};
use crate::diagnostic::Diagnostic;
use crate::event::{Event, Events, Operation};
use crate::resource::{Class, Fault, Kind, Live, Map, Owner, Provider, Status};
use crate::secret::Secrets;

/// What every step of one apply shares.
pub struct Tools {
    pub provider: Arc<dyn Provider>,
    pub stack: String,
    pub looks: Looks,
    pub journal: Journal,
    pub events: Events,
    pub secrets: Secrets,
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
    /// What it rests on of what this run made, so "not found" may mean "not visible yet".
    pub made: Vec<Made>,
    /// The plan removes something of this kind.
    pub room_is_made: bool,
    /// Ids of what this plan removes: that others lose their hold of it is our own doing.
    pub removed: Arc<HashSet<String>>,
    until: Instant,
    limit: Duration,
    /// Something of `made` was not there when it was last looked for.
    pub(super) missed: AtomicBool,
    /// An update has sent something besides tags.
    pub(super) wrote: AtomicBool,
    /// Bounds how many write at a time; held while writing, not while waiting for anything.
    slots: Arc<Semaphore>,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
}

impl<'a> Work<'a> {
    pub fn new(
        tools: &'a Tools,
        kind: &'a Kind,
        change: &'a Change,
        operation: Operation,
        slots: Arc<Semaphore>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let limit = change.options.timeout.unwrap_or(Duration::from_secs(kind.nature.timeout));
        let (inputs, until) = (change.inputs.clone(), Instant::now() + limit);
        let (removed, slot) = (Arc::default(), Mutex::new(Some(slot)));
        let (missed, wrote) = (AtomicBool::new(false), AtomicBool::new(false));
        let (made, room_is_made) = (vec![], false);
        Work {
            tools,
            kind,
            change,
            operation,
            inputs,
            made,
            room_is_made,
            removed,
            until,
            limit,
            missed,
            wrote,
            slots,
            slot,
        }
    }

    /// Says what is waited for: when that changes, and every half a minute.
    pub(super) fn tell(&self, told: &mut Option<(String, Instant)>, status: String) {
        let old = told.as_ref().is_some_and(|(last, at)| *last == status && at.elapsed() < Duration::from_secs(30));
        if !old {
            let (address, operation) = (self.change.address.clone(), self.operation);
            self.tools.events.emit(Event::Waiting { address, operation, status: status.clone() });
            *told = Some((status, Instant::now()));
        }
    }

    /// One read, repeated while the provider is too busy to answer.
    pub(super) async fn read(&self, id: &str) -> Result<Option<Arc<Live>>, Ending> {
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.tools.looks.by_id(self.kind, &self.region(), id).await {
                Ok(live) => return Ok(live),
                Err(fault) if is_passing(&fault) => self.pause(&mut backoff, &fault).await?,
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
    }

    pub(super) async fn find_by_address(&self) -> Result<Vec<Arc<Live>>, Ending> {
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

    pub(super) fn region(&self) -> Option<String> {
        self.change.options.region.clone()
    }

    pub(super) fn owner(&self, deposed: bool) -> Owner {
        let protect = self.change.options.protect;
        Owner { stack: self.tools.stack.clone(), address: self.change.address.clone(), deposed, protect }
    }

    /// A write in flight is always awaited: to drop it would leave us not knowing. Only the time limit ends it.
    pub(super) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<Result<T, Fault>, Ending> {
        match timeout_at(self.until.max(Instant::now() + Duration::from_secs(60)), call).await {
            Ok(result) => Ok(result),
            Err(_) => Ok(Err(Fault::new(Class::Ambiguous, "no answer came in time"))),
        }
    }

    pub(super) fn may_retry(&self, fault: &Fault) -> bool {
        match fault.class {
            Class::Throttled | Class::Busy => true,
            Class::NotFound => !self.made.is_empty(),
            // What takes the name, or the range, may be on its way out by this very plan.
            Class::Exists => self.room_is_made && self.operation != Operation::Delete,
            _ => false,
        }
    }

    pub(super) async fn pause(&self, backoff: &mut Backoff, fault: &Fault) -> Result<(), Ending> {
        let (attempt, pause) = backoff.again_after(fault.retry_after);
        self.doubt(fault, attempt).await?;
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
        let held = self.free_slot();
        let slept = self.sleep(pause).await;
        if held {
            let slot = self.slots.clone().acquire_owned().await.expect("nobody closes it");
            *self.slot.lock().expect("no holder panics") = Some(slot);
        }
        slept
    }

    /// Lets another write; tells whether there was a slot to free.
    pub(super) fn free_slot(&self) -> bool {
        self.slot.lock().expect("no holder panics").take().is_some()
    }

    pub(super) async fn sleep(&self, pause: Duration) -> Result<(), Ending> {
        let mut stopping = self.tools.stopping.clone();
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => Err(Ending::Interrupted),
            () = sleep(pause) => Ok(()),
        }
    }

    /// The pause between two looks, unless the time is up.
    pub(super) async fn pace(&self, pace: &Pace, told: &Option<(String, Instant)>) -> Result<(), Ending> {
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

    pub(super) fn intend(&self, id: Option<&str>) -> Result<String, Ending> {
        let written = self.tools.journal.intent(&self.change.address, self.operation, id);
        written.map_err(|error| self.unwritable(error))
    }

    pub(super) fn unwritable(&self, error: std::io::Error) -> Ending {
        self.diagnostic(format!("{} was left alone", self.change.address))
            .because(format!("the run's journal cannot be written: {error}"))
            .hint("free some space or mend the permissions of `.runner`, then run again")
            .into()
    }

    pub(super) fn diagnostic(&self, summary: String) -> Diagnostic {
        let diagnostic = Diagnostic::error(summary);
        match &self.change.site {
            Some(site) => diagnostic.at(site, "declared here"),
            None => diagnostic,
        }
    }

    pub(super) fn failed(&self, fault: &Fault) -> Ending {
        let in_the_way =
            self.operation == Operation::Delete && self.change.action == Action::Replace && fault.class == Class::Busy;
        let hint = match in_the_way {
            true => {
                Some("what uses it is changed only once the new one is there: `replace: \"create_first\"`".to_owned())
            }
            false if fault.class == Class::Exists => fault.hint.clone().or_else(|| {
                Some("find out whose it is: adopt it with the option `adopt`, or give this one another name".to_owned())
            }),
            false => fault.hint.clone(),
        };
        self.failed_because(fault.to_string(), hint)
    }

    pub(super) fn failed_because(&self, error: String, hint: Option<String>) -> Ending {
        let summary = format!("failed to {} {}", self.operation.verb(), self.change.address);
        let error = self.tools.secrets.mask(&error).into_owned();
        let _ = self.tools.journal.outcome(&self.change.address, self.operation, Err(&error));
        self.diagnostic(summary).because(error).maybe_hint(hint).into()
    }

    /// Before anything of it was written.
    pub(super) fn moved(&self, what: String) -> Diagnostic {
        self.diagnostic(format!("{} changed since the plan", self.change.address))
            .because(what)
            .hint("nothing of it was touched; run again for a plan of what is there now")
    }

    /// While it was being made or changed.
    pub(super) fn lost(&self, what: String) -> Diagnostic {
        self.diagnostic(format!("{} was changed by someone else meanwhile", self.change.address))
            .because(what)
            .hint("run again for a plan of what is there now")
    }

    /// The provider took an update and is ready again without it.
    pub(super) fn not_made(&self, id: &str, fields: &[String]) -> Diagnostic {
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        self.diagnostic(format!("{} was not changed", self.change.address))
            .because(format!("the provider took the change of {} of `{id}`, and did not make it", fields.join(", ")))
            .hint("its console or event history says why; mend that, then run again")
    }

    pub(super) fn broken(&self, id: &str, why: &str) -> Diagnostic {
        self.diagnostic(format!("{} has failed on the provider's side", self.change.address))
            .because(format!("`{id}`: {why}"))
            .hint(match self.kind.nature.mended_by {
                Some([]) => "mend the cause, then run again; runner never replaces it for that",
                Some(_) => "mend the cause; the next run tries again",
                None => "mend the cause; the next run replaces it",
            })
    }
}

pub(super) fn is_passing(fault: &Fault) -> bool {
    matches!(fault.class, Class::Throttled | Class::Ambiguous)
}
