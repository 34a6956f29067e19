//! A relay: each run is killed at a write and the next one goes on from there, until one comes to the end. So every write
//! is the last one of some run, at the cost of one short run each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tally::Tally;
use crate::project::Project;
use crate::wire::process::{Ended, run};
use crate::wire::{Verdict, Wire};

/// More than any of them needs: one that makes no way is stuck.
const LINKS: usize = 600;

pub struct Relay<'a> {
    pub project: &'a Project,
    pub wires: &'a [&'a Wire],
    /// Killed once its first write took effect; or before its second one does, for without the first it would make no way.
    pub after: bool,
}

impl Relay<'_> {
    /// Runs until one comes to its end. `look` tells what is there after each, and every second one is gone on from on
    /// another machine, without a record of what was.
    pub fn run(&self, args: &str, look: impl Fn() -> Vec<String>) -> Tally {
        let mut tally = Tally::default();
        for link in 1..=LINKS {
            let (ended, last) = self.link(args);
            let told = format!("{args}, link {link}, killed at {last}");
            tally.case(&told, &ended);
            tally.no_twins(&told, &look());
            if ended.code.is_some() {
                return tally;
            }
            if link % 2 == 0 {
                std::fs::remove_dir_all(self.project.path(".runner")).unwrap();
            }
        }
        tally.stuck += 1;
        tally.trouble += &format!("\n=== {args}: not done after {LINKS} runs");
        tally
    }

    fn link(&self, args: &str) -> (Ended, String) {
        let writes = Arc::new(AtomicUsize::new(0));
        let after = self.after;
        for wire in self.wires {
            wire.forget();
            let writes = writes.clone();
            wire.rule(move |call| match (call.reads, after) {
                (true, _) => Verdict::Pass,
                (false, after) => match (writes.fetch_add(1, Ordering::SeqCst), after) {
                    (0, true) => Verdict::KillAfter,
                    (1, false) => Verdict::KillBefore,
                    _ => Verdict::Pass,
                },
            });
        }
        let ended = run(self.project, self.wires, args);
        let last = self.wires.iter().flat_map(|wire| wire.calls()).filter(|call| !call.reads);
        let last: Vec<String> = last.map(|call| call.operation).take(2).collect();
        self.wires.iter().for_each(|wire| wire.forget());
        (ended, last.join(" and "))
    }
}
