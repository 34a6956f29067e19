//! Ctrl-C, SIGTERM and SIGHUP: the first lets what is under way finish, the second ends the process.
//!
//! They are heard on a thread of their own: neither a call that hangs nor a reader who does not read keeps the second
//! from being heeded.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::exit;
use crate::engine::lock::Lease;

/// For so long may the last words take, and then side by side what is written where nobody listens and letting go of the
/// team's lock: all of it in less than the 2.5 seconds that CI systems leave between SIGTERM and SIGKILL.
const WORDS: Duration = Duration::from_millis(1200);
const RECORD: Duration = Duration::from_millis(800);
const PARTING: Duration = Duration::from_millis(500);

/// Listens from now on, until it is dropped.
pub struct Signals {
    stopping: watch::Sender<bool>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// While nothing is being changed, the first signal ends the process at once.
    applying: AtomicBool,
    words: Mutex<Option<Words>>,
    /// The team's lock, to be let go of when a signal ends the process.
    lease: Mutex<Lease>,
    over: Notify,
}

type Saying = Box<dyn FnOnce() + Send>;

/// What to say if the process ends at once.
struct Words {
    /// `None`: the run is about to say it itself.
    say: Option<Saying>,
    /// Where the words could not be said to their end.
    record: Saying,
}

impl Signals {
    pub fn listen() -> io::Result<Self> {
        let signals = Signals { stopping: watch::channel(false).0, shared: Arc::default() };
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let mut heard = vec![signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        // Whoever started it with `nohup` wants it to outlive the terminal.
        if !is_ignored(SignalKind::hangup()) {
            heard.push(signal(SignalKind::hangup())?);
        }
        drop(entered);
        let (stopping, shared) = (signals.stopping.clone(), signals.shared.clone());
        let heed = move || runtime.block_on(heed(heard, stopping, &shared));
        std::thread::Builder::new().name("signals".into()).spawn(heed)?;
        Ok(signals)
    }

    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// What to say if a signal ends the process at once from now on.
    pub fn last_words(&self, say: impl FnOnce() + Send + 'static, record: impl FnOnce() + Send + 'static) {
        *self.words() = Some(Words { say: Some(Box::new(say)), record: Box::new(record) });
    }

    /// The run says itself how it ended, if it is left the time for that.
    pub fn says_it_itself(&self) {
        if let Some(words) = &mut *self.words() {
            words.say = None;
        }
    }

    fn words(&self) -> std::sync::MutexGuard<'_, Option<Words>> {
        self.shared.words.lock().expect("no holder panics")
    }

    /// What to let go of if a signal ends the process at once.
    pub fn releases(&self, lease: Lease) {
        *self.shared.lease.lock().expect("no holder panics") = lease;
    }

    pub fn applying(&self, now: bool) {
        self.shared.applying.store(now, Ordering::SeqCst);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.shared.over.notify_one();
    }
}

async fn heed(mut signals: Vec<Signal>, stopping: watch::Sender<bool>, shared: &Shared) {
    loop {
        let heard = futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
        tokio::select! {
            _ = heard => {}
            () = shared.over.notified() => return,
        }
        let first = !stopping.send_replace(true);
        if first && shared.applying.load(Ordering::SeqCst) {
            continue;
        }
        let words = shared.words.lock().expect("no holder panics").take();
        let mut noted = None;
        if let Some(Words { say, record }) = words {
            let said = match say {
                Some(say) => begin(say).is_some_and(|said| said.recv_timeout(WORDS).is_ok()),
                // It comes to its end by itself, perhaps.
                None if tokio::time::timeout(WORDS, shared.over.notified()).await.is_ok() => return,
                None => false,
            };
            noted = if said { None } else { begin(record) };
        }
        let begun = Instant::now();
        let lease = shared.lease.lock().expect("no holder panics").clone();
        lease.close();
        // A write in flight may still take effect: then the lock is left to end by itself, after it.
        if !lease.is_writing() {
            let _ = lease.release(PARTING).await;
        }
        if let Some(noted) = noted {
            let _ = noted.recv_timeout(RECORD.saturating_sub(begun.elapsed()));
        }
        std::process::exit(exit::INTERRUPTED.into());
    }
}

/// Says it on a thread of its own; what is given back hears of its end.
fn begin(saying: Saying) -> Option<Receiver<()>> {
    let (done, waiting) = channel();
    let say = move || {
        saying();
        let _ = done.send(());
    };
    std::thread::Builder::new().spawn(say).ok().map(|_| waiting)
}

/// Whether it was ignored before we came, where the system tells.
fn is_ignored(kind: SignalKind) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    ignored(&status, kind.as_raw_value())
}

fn ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).contains(&number) && mask >> (number - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ignored_is_read_from_the_mask() {
        let status = "Name:\trunner\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(ignored(status, 1) && ignored(status, 13));
        assert!(!ignored(status, 2) && !ignored(status, 0) && !ignored("", 1) && !ignored("SigIgn:\tx", 1));
    }

    #[test]
    fn words_that_find_no_end_are_given_up() {
        let said = |saying: Saying, time| begin(saying).unwrap().recv_timeout(time).is_ok();
        assert!(said(Box::new(|| ()), Duration::from_secs(60)));
        let (never, waiting) = channel::<()>();
        assert!(!said(Box::new(move || assert!(waiting.recv().is_err())), Duration::from_millis(1)));
        drop(never);
    }
}
