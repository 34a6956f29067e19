//! A lease that a run has: the permission to write, asked for before each write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::clock::{Clock, Mark};
use super::keeper::{Keeper, SILENT};
use crate::diagnostic::Diagnostic;
use crate::resource::permission::Permission;

/// Held until it is released, lost, or dropped; without one every write is permitted.
#[derive(Clone, Default)]
pub struct Lease(Option<Arc<Handle>>);

struct Handle {
    shared: Arc<Shared>,
    release: mpsc::Sender<oneshot::Sender<Result<(), Box<Diagnostic>>>>,
    keeper: JoinHandle<()>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// What the run and its heartbeat share.
pub(super) struct Shared {
    pub clock: Clock,
    pub lease: Duration,
    pub fence: u64,
    state: watch::Sender<State>,
    /// Asks for a sign of life out of turn.
    pub renew: Notify,
    writing: AtomicUsize,
    /// The process is about to end.
    closing: AtomicBool,
}

#[derive(Clone)]
enum State {
    /// Since the start of the last write to the store that took effect.
    Held(Mark),
    Lost(Box<Diagnostic>),
}

impl Shared {
    pub fn new(clock: Clock, lease: Duration, fence: u64, since: Mark) -> Self {
        let state = watch::channel(State::Held(since)).0;
        let (writing, closing) = (AtomicUsize::new(0), AtomicBool::new(false));
        Shared { clock, lease, fence, state, renew: Notify::new(), writing, closing }
    }

    pub fn held(&self, since: Mark) {
        self.state.send_replace(State::Held(since));
    }

    pub fn lost(&self, why: Box<Diagnostic>) {
        self.state.send_replace(State::Lost(why));
    }

    /// How much of the lease has passed.
    pub fn passed(&self) -> Duration {
        match *self.state.borrow() {
            State::Held(since) => self.clock.since(since),
            State::Lost(_) => Duration::MAX,
        }
    }

    /// No write begins in the last quarter: what is in flight by then must have arrived before anyone else begins.
    fn is_fresh(&self) -> bool {
        self.passed() < self.lease * 3 / 4
    }
}

/// One write may be made; it is under way for as long as this lives.
pub struct Permit(Option<Arc<Shared>>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.writing.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Lease {
    /// Where there is no team's lock.
    pub fn none() -> Self {
        Lease(None)
    }

    pub(super) fn begin(shared: Shared, keeper: impl FnOnce(Arc<Shared>) -> Keeper) -> Self {
        let shared = Arc::new(shared);
        let (release, asked) = mpsc::channel(1);
        let keeper = tokio::spawn(keeper(shared.clone()).keep(asked));
        Lease(Some(Arc::new(Handle { shared, release, keeper })))
    }

    /// Permission for one write. It may have to wait for a sign of life to be taken; a lost lease never comes back.
    pub async fn permit(&self) -> Result<Permit, Box<Diagnostic>> {
        let Some(handle) = &self.0 else { return Ok(Permit(None)) };
        let shared = &handle.shared;
        let mut state = shared.state.subscribe();
        loop {
            if let State::Lost(why) = &*state.borrow_and_update() {
                return Err(why.clone());
            }
            // Counted before it is decided: whoever closes looks at the count afterwards.
            shared.writing.fetch_add(1, Ordering::SeqCst);
            let permit = Permit(Some(shared.clone()));
            if shared.closing.load(Ordering::SeqCst) {
                return Err(Box::new(Diagnostic::error("the run is ending")));
            }
            if shared.is_fresh() {
                return Ok(permit);
            }
            drop(permit);
            shared.renew.notify_one();
            if state.changed().await.is_err() {
                return Err(Box::new(Diagnostic::error("the run's lock is not held any more")));
            }
        }
    }

    /// For what takes several calls: whether the next may follow the one that was permitted.
    pub fn permission(&self) -> Permission {
        let shared = self.0.as_ref().map(|handle| handle.shared.clone());
        Arc::new(move || {
            let fresh = shared.as_ref().is_none_or(|shared| shared.is_fresh());
            if let Some(shared) = shared.as_ref().filter(|_| !fresh) {
                shared.renew.notify_one();
            }
            fresh
        })
    }

    /// Why it is lost, if it is.
    pub fn why_lost(&self) -> Option<Box<Diagnostic>> {
        match &*self.0.as_ref()?.shared.state.borrow() {
            State::Lost(why) => Some(why.clone()),
            State::Held(_) => None,
        }
    }

    /// Counts the holders that the lock has had.
    pub fn fence(&self) -> Option<u64> {
        self.0.as_ref().map(|handle| handle.shared.fence)
    }

    /// No write begins any more.
    pub fn close(&self) {
        if let Some(handle) = &self.0 {
            handle.shared.closing.store(true, Ordering::SeqCst);
        }
    }

    pub fn is_writing(&self) -> bool {
        self.0.as_ref().is_some_and(|handle| handle.shared.writing.load(Ordering::SeqCst) > 0)
    }

    /// Turns true when the run is to end, be it by a signal or since its lease is lost.
    pub fn stopping(&self, mut signals: watch::Receiver<bool>) -> watch::Receiver<bool> {
        let Some(handle) = &self.0 else { return signals };
        let mut state = handle.shared.state.subscribe();
        let (stop, stopping) = watch::channel(*signals.borrow());
        tokio::spawn(async move {
            tokio::select! {
                _ = signals.wait_for(|stopping| *stopping) => {}
                _ = state.wait_for(|state| matches!(state, State::Lost(_))) => {}
                () = stop.closed() => return,
            }
            stop.send_replace(true);
        });
        stopping
    }

    /// Lets go of it, so that others need not wait for its end. Nothing is done of one that is lost.
    pub async fn release(&self, within: Duration) -> Result<(), Box<Diagnostic>> {
        let Some(handle) = &self.0 else { return Ok(()) };
        let (done, answer) = oneshot::channel();
        let asked = async {
            if handle.release.send(done).await.is_err() {
                return Ok(());
            }
            answer.await.unwrap_or(Ok(()))
        };
        tokio::time::timeout(within, asked).await.unwrap_or_else(|_| Err(kept(handle.shared.lease, SILENT)))
    }
}

/// It could not be released.
pub(super) fn kept(lease: Duration, why: &str) -> Box<Diagnostic> {
    let told = Diagnostic::warning("the lock was not released").because(why);
    Box::new(told.hint(format!("it ends by itself, {} s after its last sign of life", lease.as_secs())))
}
