//! Ctrl-C and SIGTERM: the first lets what is under way finish, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit;

/// Listens from now on.
pub struct Signals {
    stopping: watch::Sender<bool>,
    /// While nothing is being changed, the first signal ends the process at once.
    applying: Arc<AtomicBool>,
    last_words: LastWords,
}

type LastWords = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

impl Signals {
    /// Must be called on the runtime.
    pub fn listen() -> std::io::Result<Self> {
        let signals =
            Signals { stopping: watch::channel(false).0, applying: Arc::default(), last_words: LastWords::default() };
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (stopping, applying) = (signals.stopping.clone(), signals.applying.clone());
        tokio::spawn(heed(interrupt, terminate, stopping, applying, signals.last_words.clone()));
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
        std::process::exit(exit::INTERRUPTED.into());
    }
}
