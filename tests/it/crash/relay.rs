//! A relay: each run is killed at a write and the next one goes on from there, until one comes to the end. So every write
//! is the last one of some run, at the cost of one short run each.

use std::sync::{Arc, Mutex};

use super::tally::Tally;
use crate::project::Project;
use crate::wire::process::{Ended, run};
use crate::wire::{Call, Verdict, Wire, lock};

/// More than any of them needs: one that makes no way is stuck.
const LINKS: usize = 1200;

/// A relay of which so many runs failed is given up.
const FAILURES: usize = 5;

/// How often it tells where it is.
const TELLS: usize = 20;

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
        let when = if self.after { "after" } else { "before" };
        for link in 1..=LINKS {
            let (ended, writes) = self.link(args);
            let names: Vec<&str> = writes.iter().map(|call| call.operation.as_str()).collect();
            let told = format!("{args}, killed {when}, link {link}, its writes {}", names.join(" and "));
            let known = tally.trouble.len();
            tally.case(&told, &ended);
            tally.no_twins(&told, &look());
            if ended.code.is_none() {
                writes.get(usize::from(!self.after)).into_iter().for_each(|call| tally.struck(&call.service));
            }
            if link % TELLS == 0 {
                println!("{told}");
            }
            print!("{}", &tally.trouble[known..]);
            if ended.code == Some(0) || tally.stuck > FAILURES {
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

    /// One run, and its writes in the order in which they arrived, on whatever wire.
    fn link(&self, args: &str) -> (Ended, Vec<Call>) {
        let writes = Arc::new(Mutex::new(vec![]));
        let after = self.after;
        for wire in self.wires {
            wire.forget();
            let writes = writes.clone();
            wire.rule(move |call| {
                if call.reads {
                    return Verdict::Pass;
                }
                let mut writes = lock(&writes);
                writes.push(call.clone());
                match (writes.len(), after) {
                    (1, true) => Verdict::KillAfter,
                    (2, false) => Verdict::KillBefore,
                    _ => Verdict::Pass,
                }
            });
        }
        let ended = run(self.project, self.wires, args);
        self.wires.iter().for_each(|wire| wire.forget());
        let writes = lock(&writes).clone();
        (ended, writes)
    }
}
