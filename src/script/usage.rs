//! What an evaluation has used up of what it may: steps, time, memory, lines, declarations.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Limits;
use crate::diagnostic::Diagnostic;
use crate::resource::{Declarations, Fault, Oracle, Reference, Sight, Value};

/// How many operations go by between two looks at the clock and at the memory.
const LOOK: u64 = 16;

pub(super) struct Usage {
    limits: Limits,
    begun: Mutex<Instant>,
    operations: AtomicU64,
    printed: AtomicUsize,
    bytes: AtomicUsize,
    used_up: AtomicBool,
    /// Nanoseconds that were spent waiting for others.
    waited: AtomicU64,
    /// Where the system tells it, what this process had when the script began.
    memory: Option<Mutex<(File, usize)>>,
}

impl Usage {
    pub fn new(limits: Limits) -> Arc<Self> {
        let memory = File::open("/proc/self/statm").ok().and_then(|mut file| {
            let at_first = resident(&mut file)?;
            Some(Mutex::new((file, at_first)))
        });
        let (operations, printed, bytes, used_up, waited) = Default::default();
        Arc::new(Usage {
            limits,
            begun: Mutex::new(Instant::now()),
            operations,
            printed,
            bytes,
            used_up,
            waited,
            memory,
        })
    }

    /// As if nothing had been used yet.
    pub fn restart(&self) {
        *self.begun.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Instant::now();
        self.operations.store(0, Ordering::Relaxed);
        self.printed.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.waited.store(0, Ordering::Relaxed);
        self.used_up.store(false, Ordering::Relaxed);
    }

    /// Whether a reason to end was given.
    pub fn is_used_up(&self) -> bool {
        self.used_up.load(Ordering::Relaxed)
    }

    /// Counts an operation; `gathered` is how many declarations, outputs and mistakes there are. Why the script must end
    /// here, if it must. Counted here and not by Rhai, whose count starts anew in every function called from a native
    /// one (`map`, `phase`).
    pub fn step(&self, gathered: impl FnOnce() -> usize) -> Option<Diagnostic> {
        let why = self.exceeded(gathered);
        if why.is_some() {
            self.used_up.store(true, Ordering::Relaxed);
        }
        why
    }

    fn exceeded(&self, gathered: impl FnOnce() -> usize) -> Option<Diagnostic> {
        let count = self.operations.fetch_add(1, Ordering::Relaxed);
        let endless = "look for a loop without an end in what runs here";
        if count >= self.limits.operations {
            let summary = format!("the script runs for more than {} operations", self.limits.operations);
            return Some(Diagnostic::error(summary).hint(endless));
        }
        if !count.is_multiple_of(LOOK) {
            return None;
        }
        let waited = Duration::from_nanos(self.waited.load(Ordering::Relaxed));
        let begun = *self.begun.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if begun.elapsed().saturating_sub(waited) > self.limits.time {
            let summary = format!("the script runs for more than {} seconds", self.limits.time.as_secs());
            return Some(Diagnostic::error(summary).hint(endless));
        }
        if self.grown().is_some_and(|grown| grown > self.limits.memory) {
            let summary = format!("the script takes more than {} MiB of memory", self.limits.memory >> 20);
            return Some(Diagnostic::error(summary).hint("look for what grows in what runs here"));
        }
        if gathered() > self.limits.resources {
            let summary = format!("the script declares more than {} resources and outputs", self.limits.resources);
            return Some(Diagnostic::error(summary).hint("a stack of that size is better made several"));
        }
        None
    }

    /// Counts a line of so many bytes that is printed, or told in another way (`does`); an error if there were enough.
    pub fn tells(&self, bytes: usize, does: &str) -> Result<(), Option<Diagnostic>> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let lines = self.printed.fetch_add(1, Ordering::Relaxed);
        let most = match () {
            () if before.saturating_add(bytes) > self.limits.printed => format!("{} MiB", self.limits.printed >> 20),
            () if lines >= self.limits.lines => format!("{} times", self.limits.lines),
            () => return Ok(()),
        };
        // Told once.
        let first = !self.used_up.swap(true, Ordering::Relaxed);
        Err(first.then(|| Diagnostic::error(format!("the script {does} more than {most}"))))
    }

    /// By how much the process has grown since the script began.
    fn grown(&self) -> Option<usize> {
        let mut memory = self.memory.as_ref()?.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (file, at_first) = &mut *memory;
        Some(resident(file)?.saturating_sub(*at_first))
    }
}

/// Bytes in memory; a page has at least 4 KiB.
fn resident(file: &mut File) -> Option<usize> {
    let mut text = [0; 128];
    file.rewind().ok()?;
    let length = file.read(&mut text).ok()?;
    let pages = std::str::from_utf8(&text[..length]).ok()?.split(' ').nth(1)?.parse::<usize>().ok()?;
    pages.checked_mul(4096)
}

/// An oracle whose answers take no time of the script's.
pub(super) struct Timed {
    pub oracle: Arc<dyn Oracle>,
    pub usage: Arc<Usage>,
}

impl Timed {
    fn wait<T>(&self, ask: impl FnOnce() -> T) -> T {
        let asked = Instant::now();
        let answer = ask();
        self.usage.waited.fetch_add(asked.elapsed().as_nanos() as u64, Ordering::Relaxed);
        answer
    }
}

impl Oracle for Timed {
    fn see(&self, declarations: &Declarations, reference: &Reference) -> Result<Sight, Box<Diagnostic>> {
        self.wait(|| self.oracle.see(declarations, reference))
    }

    fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.wait(|| self.oracle.look_up(name, arguments))
    }

    fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        self.wait(|| self.oracle.fetch(url, sha256))
    }
}
