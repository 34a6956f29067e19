//! Ctrl-C and SIGTERM: the first lets what is under way finish, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit;

/// Listens from now on.
pub struct Signals {
    stopping: watch::Sender<bool>,
    /// While nothing is being changed, the first signal ends the process at once.
    applying: Arc<AtomicBool>,
}

impl Signals {
    /// Must be called on the runtime.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Signals { stopping: watch::channel(false).0, applying: Arc::default() };
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (stopping, applying) = (signals.stopping.clone(), signals.applying.clone());
        tokio::spawn(heed(interrupt, terminate, stopping, applying));
        Ok(signals)
    }

    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub fn applying(&self, now: bool) {
        self.applying.store(now, Ordering::SeqCst);
    }
}

async fn heed(mut interrupt: Signal, mut terminate: Signal, stopping: watch::Sender<bool>, applying: Arc<AtomicBool>) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let first = !stopping.send_replace(true);
        if !(first && applying.load(Ordering::SeqCst)) {
            std::process::exit(exit::INTERRUPTED.into());
        }
    }
}
