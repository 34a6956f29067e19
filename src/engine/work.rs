//! What every step of an apply works with: reading, pausing, writing down, and telling what went wrong.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::journal::{Intended, Journal, Token};
use super::limiter::Verbs;
use super::lock::{Lease, Permit};
use super::plan::{Action, Change};
use super::vanished::Made;
use super::wait::{Backoff, Looks, Pace};
use crate::diagnostic::Diagnostic;
use crate::event::{Event, Events, Left, Operation};
use crate::resource::{Class, Fault, Kind, Live, Map, Owner, Provider, Status, Value, permission};
use crate::secret::Secrets;

/// What every step of one apply shares.
pub struct Tools {
    pub provider: Arc<dyn Provider>,
    pub stack: String,
    pub looks: Looks,
    pub journal: Journal,
    pub events: Events,
    pub secrets: Secrets,
    /// A team's lock: asked before each write.
    pub lease: Lease,
    /// Turns true when the run is to end: calls in flight finish, waiting stops.
    pub stopping: watch::Receiver<bool>,
}

/// How a step ended that did not reach its end.
pub enum Ending {
    Failed(Box<Diagnostic>),
    /// Stopped while it waited.
    Interrupted,
    /// Stopped, and how far it had come: the next run goes on from there.
    Left(Left, Option<String>),
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
    /// Moves on while it is held up before a call.
    until: Mutex<Instant>,
    limit: Duration,
    /// How far it has come; with the id, once the provider took it.
    reach: Mutex<(Left, Option<String>)>,
    /// It stands in the journal.
    intended: AtomicBool,
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
        let (inputs, until) = (change.inputs.clone(), Mutex::new(Instant::now() + limit));
        let (removed, slot) = (Arc::default(), Mutex::new(Some(slot)));
        let (reach, intended, wrote) =
            (Mutex::new((Left::NotBegun, None)), AtomicBool::new(false), AtomicBool::new(false));
        let (made, missed, room_is_made) = (vec![], AtomicBool::new(false), false);
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
            reach,
            intended,
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

    fn until(&self) -> Instant {
        *self.until.lock().expect("no holder panics")
    }

    /// Waits until the service may be asked again, holding nobody else up.
    async fn turn(&self) -> Result<(), Ending> {
        let (limiter, provider, region) = (&self.tools.looks.limiter, &*self.tools.provider, self.region());
        if limiter.is_open(provider, &self.kind.name, &region, Verbs::Writes) {
            return Ok(());
        }
        let (begun, held) = (Instant::now(), self.free_slot());
        let mut stopping = self.tools.stopping.clone();
        let turn = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => Err(Ending::Interrupted),
            turn = limiter.turn(provider, &self.kind.name, &region, Verbs::Writes, async || self.new_slot(held).await) => {
                turn.map_err(|fault| self.failed(&fault))
            }
        };
        *self.until.lock().expect("no holder panics") += begun.elapsed();
        *self.slot.lock().expect("no holder panics") = turn?;
        Ok(())
    }

    /// A write in flight is always awaited: to drop it would leave us not knowing. Only the time limit ends it.
    async fn send<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<Result<T, Fault>, Ending> {
        let (limiter, region) = (&self.tools.looks.limiter, self.region());
        let call = permission::with(self.tools.lease.permission(), call);
        let call = limiter.learn(&*self.tools.provider, &self.kind.name, &region, Verbs::Writes, call);
        match timeout_at(self.until().max(Instant::now() + Duration::from_secs(60)), call).await {
            Ok(result) => Ok(result),
            Err(_) => Ok(Err(Fault::new(Class::Ambiguous, "no answer came in time"))),
        }
    }

    /// What changes something: only while the run has its lock, which each of its calls asks again; and that it was lost
    /// is told once, for all steps. What is known of it follows from its answer.
    pub(super) async fn write<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<Result<T, Fault>, Ending> {
        // Nobody takes a turn and then waits for a sign of life: all who did would call at once.
        drop(self.permit().await?);
        self.turn().await?;
        // Whoever waits for a turn may lose the lock meanwhile.
        let permit = self.permit().await?;
        let before = match self.reach() {
            (Left::NotBegun | Left::Untouched, id) => {
                self.reaches(Left::Unknown, None);
                (Left::Untouched, id)
            }
            further => further,
        };
        let result = self.send(call).await;
        drop(permit);
        let result = result?;
        match &result {
            Err(Fault { created: Some(id), .. }) => self.written(Some(id)),
            Err(fault) if fault.class == Class::Ambiguous => {}
            // Refused: nothing more has come of it than before. An update or a deletion of several calls may be half done.
            Err(_) if self.operation == Operation::Create => self.reaches(before.0, before.1),
            Ok(_) | Err(_) => {}
        }
        Ok(result)
    }

    async fn permit(&self) -> Result<Permit, Ending> {
        let mut stopping = self.tools.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => Err(Ending::Interrupted),
            permit = self.tools.lease.permit() => permit.map_err(|_| Ending::Interrupted),
        }
    }

    /// How far it has come.
    pub(super) fn reach(&self) -> (Left, Option<String>) {
        self.reach.lock().expect("no holder panics").clone()
    }

    pub(super) fn reaches(&self, left: Left, id: Option<String>) {
        *self.reach.lock().expect("no holder panics") = (left, id);
    }

    /// The provider took it. That this cannot be written down is no reason to leave it half done.
    pub(super) fn written(&self, id: Option<&str>) {
        self.reaches(Left::Written, id.map(str::to_owned));
        let _ = self.tools.journal.written(&self.change.address, self.operation, id);
    }

    /// Writes down how it ended; gives it back with how far it had come.
    pub(super) fn ended<T>(&self, result: Result<T, Ending>) -> Result<T, Ending> {
        let (left, id) = self.reach();
        let (journal, address, operation) = (&self.tools.journal, &self.change.address, self.operation);
        // The apply tells it, once.
        let _ = match &result {
            _ if !self.intended.load(Ordering::Relaxed) => Ok(()),
            Ok(_) => journal.outcome(address, operation, None, false),
            Err(Ending::Failed(wrong)) => {
                let error = wrong.causes.first().unwrap_or(&wrong.summary);
                let error = self.tools.secrets.mask(error);
                journal.outcome(address, operation, Some(&error), left == Left::Unknown)
            }
            Err(_) => match left {
                Left::Written => journal.abandoned(address, operation),
                Left::Unknown => Ok(()),
                Left::NotBegun | Left::Untouched => {
                    journal.outcome(address, operation, Some("stopped before it was done"), false)
                }
            },
        };
        match result {
            Err(Ending::Interrupted) => Err(Ending::Left(left, id)),
            other => other,
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
        let (attempt, pause) = backoff.again_after(fault);
        self.doubt(fault, attempt).await?;
        if pause > self.until().saturating_duration_since(Instant::now()) {
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
        self.sleep(pause).await?;
        self.take_slot(held).await;
        // Others may have had the slot for long: nothing new begins after a stop.
        match *self.tools.stopping.borrow() {
            true => Err(Ending::Interrupted),
            false => Ok(()),
        }
    }

    /// Lets another write; tells whether there was a slot to free.
    pub(super) fn free_slot(&self) -> bool {
        self.slot.lock().expect("no holder panics").take().is_some()
    }

    /// Takes one again, if there was one.
    async fn take_slot(&self, held: bool) {
        if let Some(slot) = self.new_slot(held).await {
            *self.slot.lock().expect("no holder panics") = Some(slot);
        }
    }

    async fn new_slot(&self, wanted: bool) -> Option<OwnedSemaphorePermit> {
        match wanted {
            true => Some(self.slots.clone().acquire_owned().await.expect("nobody closes it")),
            false => None,
        }
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
        if Instant::now() > self.until() {
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

    pub(super) fn intend(&self, id: Option<&str>, anew: bool) -> Result<Token, Ending> {
        let written = self.tools.journal.intent(&Intended {
            address: &self.change.address,
            operation: self.operation,
            id,
            region: self.change.options.region.as_deref(),
            inputs: &self.told_inputs(),
            anew,
        });
        // What cannot be written down is not begun; the apply tells why.
        let token = written.map_err(|_| Ending::Interrupted)?;
        self.intended.store(true, Ordering::Relaxed);
        Ok(token)
    }

    /// The inputs by which two creates are the same, without what is secret.
    fn told_inputs(&self) -> String {
        let sensitive = |name: &str| self.kind.input(name).is_some_and(|field| field.sensitive);
        let told: BTreeMap<&String, &Value> = self.inputs.iter().filter(|(name, _)| !sensitive(name)).collect();
        let text = serde_json::json!([told, self.change.options.protect]).to_string();
        self.tools.secrets.mask(&text).into_owned()
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
