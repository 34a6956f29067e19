//! How a lease is won: looked at first, and written only over what was seen.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::clock::{Clock, Mark};
use super::keeper::{Keeper, SILENT, patience};
use super::lease::{Lease, Shared};
use super::record::{Holder, NO_LOCK, Record};
use crate::diagnostic::Diagnostic;
use crate::resource::{Class, Fault, LockStore, Stored, Written};

/// How long a lease is, and how long somebody else's is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub lease: Duration,
    pub wait: Duration,
}

/// A lease that was won.
pub struct Acquired {
    pub lease: Lease,
    /// Whose it was, if that run never let go of it.
    pub taken_over: Option<Record>,
    pub remark: Option<String>,
}

/// Between two looks at a lock that another has.
const PAUSE: Duration = Duration::from_millis(500);

/// So often somebody else may have been faster.
const WRITES: usize = 200;

/// How many faults in a row are lived with.
const FAULTS: u32 = 5;

/// Takes the lock, waits for it, or says who has it. `waiting` is told of each holder that is waited for.
pub async fn acquire(
    store: Arc<dyn LockStore>,
    holder: Holder,
    terms: &Terms,
    clock: Clock,
    waiting: &(dyn Fn(&Record, Duration) + Send + Sync),
) -> Result<Acquired, Box<Diagnostic>> {
    let mut attempt = Attempt { store, holder, terms, clock, begun: vec![], faults: 0 };
    let until = Instant::now() + terms.wait;
    let mut told: Option<Record> = None;
    loop {
        let Some(found) = attempt.look().await? else { continue };
        let (over, fence, taken_over) = match found {
            None => (None, 1, None),
            Some(stored) => match Record::read(&stored.text) {
                Err(why) => return Err(unreadable(&attempt, &why)),
                // Won already: only the answer was lost.
                Ok(record) if record.held && record.holder.id == attempt.holder.id => {
                    return Ok(attempt.won(record, stored.version, None, None));
                }
                Ok(record) if record.is_over(stored.age) => {
                    (Some(stored.version), record.fence.saturating_add(1), Some(record).filter(|record| record.held))
                }
                Ok(record) if Instant::now() >= until => {
                    return Err(attempt.refused(&record, stored.age));
                }
                Ok(record) => {
                    if told.as_ref().is_none_or(|told| told.holder.id != record.holder.id) {
                        waiting(&record, stored.age);
                        told = Some(record);
                    }
                    attempt.faults = 0;
                    sleep(PAUSE.min(until - Instant::now())).await;
                    continue;
                }
            },
        };
        if let Some(mut won) = attempt.put(fence, over).await? {
            won.taken_over = taken_over;
            return Ok(won);
        }
    }
}

struct Attempt<'a> {
    store: Arc<dyn LockStore>,
    holder: Holder,
    terms: &'a Terms,
    clock: Clock,
    /// When each write began.
    begun: Vec<Mark>,
    faults: u32,
}

impl Attempt<'_> {
    /// What is there; `None` if that is to be asked again.
    async fn look(&mut self) -> Result<Option<Option<Stored>>, Box<Diagnostic>> {
        match timeout(patience(self.terms.lease), self.store.read()).await {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(fault)) => self.fault(fault).await.map(|()| None),
            Err(_) => self.fault(Fault::new(Class::Ambiguous, SILENT)).await.map(|()| None),
        }
    }

    /// Writes over what was seen; `None` if another look must tell what came of it.
    async fn put(&mut self, fence: u64, over: Option<String>) -> Result<Option<Acquired>, Box<Diagnostic>> {
        let mut record = Record::new(fence, self.terms.lease, self.holder.clone());
        record.beat = self.begun.len() as u64;
        self.begun.push(self.clock.mark());
        let text = record.text();
        match timeout(patience(self.terms.lease), self.store.write(&text, over.as_deref())).await {
            Ok(Ok(Written::Done { version, remark })) => Ok(Some(self.won(record, version, None, remark))),
            Ok(Ok(Written::Moved)) if self.begun.len() >= WRITES => {
                let why = "it refuses every write, whoever has the lock";
                Err(unreachable(&*self.store, self.cannot(), &Fault::new(Class::Other, why)))
            }
            Ok(Ok(Written::Moved)) => {
                sleep(Duration::from_millis(50)).await;
                Ok(None)
            }
            Ok(Err(fault)) => self.fault(fault).await.map(|()| None),
            Err(_) => self.fault(Fault::new(Class::Ambiguous, SILENT)).await.map(|()| None),
        }
    }

    fn won(&self, record: Record, version: String, taken_over: Option<Record>, remark: Option<String>) -> Acquired {
        // Which write it was, its beat says.
        let since = self.begun.get(record.beat as usize).or(self.begun.first()).copied();
        let since = since.unwrap_or_else(|| self.clock.mark());
        let shared = Shared::new(self.clock.clone(), self.terms.lease, record.fence, since);
        let store = self.store.clone();
        let lease = Lease::begin(shared, |shared| Keeper { store, record, version, shared });
        Acquired { lease, taken_over, remark }
    }

    /// Lives with what may pass, for a while.
    async fn fault(&mut self, fault: Fault) -> Result<(), Box<Diagnostic>> {
        self.faults += 1;
        if !matches!(fault.class, Class::Ambiguous | Class::Throttled) || self.faults >= FAULTS {
            return Err(unreachable(&*self.store, self.cannot(), &fault));
        }
        sleep(Duration::from_millis(250) * 2u32.pow(self.faults)).await;
        Ok(())
    }

    fn cannot(&self) -> String {
        format!("cannot lock stack `{}`", self.holder.stack)
    }

    fn refused(&self, record: &Record, age: Duration) -> Box<Diagnostic> {
        let stack = &self.holder.stack;
        let mut told = Diagnostic::error(format!("another run is changing stack `{stack}`"));
        told.causes = record.facts(age);
        told.causes.push(format!("by the lock {}", self.store.place()));
        Box::new(told.hint(
            "wait for it with --lock-timeout SECONDS; `runner unlock` shows the lock, and removes one whose run is gone; \
             a dry run needs no lock",
        ))
    }
}

fn unreadable(attempt: &Attempt<'_>, why: &str) -> Box<Diagnostic> {
    let told = Diagnostic::error(attempt.cannot());
    let told = told.because(format!("{}: {why}", attempt.store.place()));
    Box::new(told.hint(NO_LOCK))
}

/// The store cannot be used, so that this cannot be done.
pub fn unreachable(store: &dyn LockStore, summary: String, fault: &Fault) -> Box<Diagnostic> {
    let told = Diagnostic::error(summary);
    Box::new(told.because(format!("{}: {fault}", store.place())).maybe_hint(fault.hint.clone()))
}
