//! Ctrl-C and SIGTERM: the first lets what is under way finish, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit;
use crate::engine::lock::Lease;

/// Listens from now on.
pub struct Signals {
    stopping: watch::Sender<bool>,
    /// While nothing is being changed, the first signal ends the process at once.
    applying: Arc<AtomicBool>,
    last_words: LastWords,
    lease: Released,
}

/// The team's lock, to be let go of when a signal ends the process.
type Released = Arc<Mutex<Lease>>;

/// How long that may take.
const PARTING: Duration = Duration::from_secs(1);

type LastWords = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

impl Signals {
    /// Must be called on the runtime.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Signals {
            stopping: watch::channel(false).0,
            applying: Arc::default(),
            last_words: LastWords::default(),
            lease: Released::default(),
        };
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (stopping, applying) = (signals.stopping.clone(), signals.applying.clone());
        let (words, lease) = (signals.last_words.clone(), signals.lease.clone());
        tokio::spawn(heed(interrupt, terminate, stopping, applying, words, lease));
        Ok(signals)
    }

    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// What to say if a signal ends the process at once from now on, between two stages.
    pub fn last_words(&self, words: impl FnOnce() + Send + 'static) {
        *self.last_words.lock().expect("no holder panics") = Some(Box::new(words));
    }

    /// What to let go of if a signal ends the process at once.
    pub fn releases(&self, lease: Lease) {
        *self.lease.lock().expect("no holder panics") = lease;
    }

    pub fn applying(&self, now: bool) {
        self.applying.store(now, Ordering::SeqCst);
    }
}

async fn heed(
    mut interrupt: Signal,
    mut terminate: Signal,
    stopping: watch::Sender<bool>,
    applying: Arc<AtomicBool>,
    last_words: LastWords,
    lease: Released,
) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let first = !stopping.send_replace(true);
        if first && applying.load(Ordering::SeqCst) {
            continue;
        }
        let words = last_words.lock().expect("no holder panics").take();
        if let Some(words) = words.filter(|_| first) {
            // Not even words that find nobody to read them hold up the next signal.
            tokio::select! {
                _ = tokio::task::spawn_blocking(words) => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        let lease = lease.lock().expect("no holder panics").clone();
        // A write in flight may still take effect: then the lock is left to end by itself, after it.
        if !lease.is_writing() {
            tokio::select! {
                _ = lease.release(PARTING) => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        std::process::exit(exit::INTERRUPTED.into());
    }
}
