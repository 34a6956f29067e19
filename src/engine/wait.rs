//! Reading single resources while an apply runs: many askers, few calls; and the pauses between two looks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};

use super::limiter::Limiter;
use super::refresh::Range;
use crate::resource::{Address, Class, Fault, Kind, Live, Provider, Select};

/// Between two calls for one kind at least this much passes, however many resources are waited for.
const GAP: Duration = Duration::from_millis(200);

/// Answers "how is this one now?" for everyone who asks about one kind at a time with one listing.
pub struct Looks {
    provider: Arc<dyn Provider>,
    stack: String,
    pub limiter: Limiter,
    queues: Mutex<HashMap<Range, Arc<Queue>>>,
}

#[derive(Default)]
struct Queue {
    /// The look that has not begun yet; whoever asks now shares it.
    next: Mutex<Option<Arc<Look>>>,
    /// Held while a call is under way; remembers when the last one began.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Look {
    wanted: Mutex<Wanted>,
    found: OnceCell<Result<Vec<Arc<Live>>, Fault>>,
}

#[derive(Default)]
struct Wanted {
    ids: BTreeSet<String>,
    owned: bool,
}

impl Looks {
    pub fn new(provider: Arc<dyn Provider>, stack: &str) -> Self {
        Looks { provider, stack: stack.to_owned(), limiter: Limiter::default(), queues: Mutex::default() }
    }

    /// The same, sharing its patience with whoever else asks the provider in this run.
    pub fn limited_by(mut self, limiter: Limiter) -> Self {
        self.limiter = limiter;
        self
    }

    /// The resource with this id, or `None` if there is none (yet, or any more).
    pub async fn by_id(&self, kind: &Kind, region: &Option<String>, id: &str) -> Result<Option<Arc<Live>>, Fault> {
        let lives = self.look(kind, region, |wanted| {
            wanted.ids.insert(id.to_owned());
        });
        Ok(lives.await?.into_iter().find(|live| live.id == id))
    }

    /// Every resource of ours that carries this address.
    pub async fn by_address(
        &self,
        kind: &Kind,
        region: &Option<String>,
        address: &Address,
    ) -> Result<Vec<Arc<Live>>, Fault> {
        let mut lives = self.look(kind, region, |wanted| wanted.owned = true).await?;
        lives.retain(|live| {
            live.owner.as_ref().is_some_and(|o| o.stack == self.stack && o.address == *address && !o.deposed)
        });
        Ok(lives)
    }

    async fn look(
        &self,
        kind: &Kind,
        region: &Option<String>,
        want: impl FnOnce(&mut Wanted),
    ) -> Result<Vec<Arc<Live>>, Fault> {
        let key = (kind.name.clone(), region.clone());
        let queue = self.queues.lock().expect("no holder panics").entry(key).or_default().clone();
        let look = {
            let mut next = queue.next.lock().expect("no holder panics");
            let look = next.get_or_insert_default().clone();
            want(&mut look.wanted.lock().expect("no holder panics"));
            look
        };
        let found = look.found.get_or_init(|| async {
            let mut last = queue.turn.lock().await;
            if let Some(last) = *last {
                sleep_until(last + GAP).await;
            } else {
                tokio::task::yield_now().await;
            }
            *last = Some(Instant::now());
            // From here on, whoever asks gets the next look.
            queue.next.lock().expect("no holder panics").take();
            let wanted = std::mem::take(&mut *look.wanted.lock().expect("no holder panics"));
            self.list(kind, region, wanted).await
        });
        found.await.clone()
    }

    async fn list(&self, kind: &Kind, region: &Option<String>, mut wanted: Wanted) -> Result<Vec<Arc<Live>>, Fault> {
        let list = async |select: Select| {
            let call = self.provider.list(kind, region.as_deref(), &select);
            self.limiter.ask(&*self.provider, &kind.name, region, call).await
        };
        let mut lives = vec![];
        if wanted.owned {
            lives = list(Select::Owned { stack: self.stack.clone() }).await?;
            lives.iter().for_each(|live| {
                wanted.ids.remove(&live.id);
            });
        }
        if !wanted.ids.is_empty() {
            lives.extend(list(Select::Ids(wanted.ids)).await?);
        }
        Ok(lives.into_iter().map(Arc::new).collect())
    }
}

/// The pauses between two looks at something that takes its time: a hundredth of what has passed, so that waiting
/// overshoots by about one per cent, but not below a quarter of a second nor above ten.
pub struct Pace {
    since: Instant,
}

impl Pace {
    pub fn begin() -> Self {
        Pace { since: Instant::now() }
    }

    pub async fn pause(&self) {
        let pause = self.since.elapsed().div_f64(100.0).clamp(Duration::from_millis(250), Duration::from_secs(10));
        tokio::time::sleep(pause).await;
    }
}

/// The pauses between two attempts at something that was refused: doubling from half a second to twenty, and spread
/// over the resources so that they do not all come back at once.
pub struct Backoff {
    attempt: u32,
    spread: f64,
}

impl Backoff {
    pub fn new(address: &Address) -> Self {
        Self::of(&address.to_string())
    }

    pub fn of(what: &str) -> Self {
        let sum = what.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Backoff { attempt: 0, spread: 0.75 + f64::from(sum % 512) / 1024.0 }
    }

    /// The number of the attempt that failed, and how long to wait before the next.
    pub fn again(&mut self) -> (u32, Duration) {
        self.attempt += 1;
        let seconds = (0.5 * 2f64.powi(self.attempt.min(8) as i32 - 1)).min(20.0);
        (self.attempt, Duration::from_secs_f64(seconds * self.spread))
    }

    /// The same, and not before the provider wants to be asked again. Who was asked too often has a [`Limiter`] that
    /// holds back all of its callers; only one that it refuses again and again waits by itself too.
    pub fn again_after(&mut self, fault: &Fault) -> (u32, Duration) {
        let (attempt, pause) = self.again();
        let pause = match fault.class {
            Class::Throttled if attempt <= 2 => Duration::ZERO,
            Class::Throttled => pause / 4,
            _ => pause,
        };
        (attempt, fault.retry_after.map_or(pause, |wanted| wanted.max(pause)))
    }
}
