//! What a stop left: in flight, put off, not begun; and what the next run does about it.

use std::collections::{BTreeMap, BTreeSet};

use super::board::doing;
use super::screen::{Ink, count};
use crate::event::{Event, Left, Operation};
use crate::resource::Address;

/// How many of a sort are told one by one.
const NAMES: usize = 10;
/// How many that were not begun, or that are done.
const SHORT: usize = 4;

type Step = (Address, Operation);

/// Keeps track of what has not come to its end.
#[derive(Clone, Default)]
pub struct Unfinished {
    /// Begun; with what it waits for, once it has been written.
    open: BTreeMap<Step, Option<String>>,
    left: Vec<(Step, Left, Option<String>, Option<String>)>,
    not_begun: BTreeSet<Step>,
    done: Vec<Address>,
}

impl Unfinished {
    pub fn read(&mut self, event: &Event) {
        match event {
            Event::Started { address, operation, .. } => {
                self.not_begun.remove(&(address.clone(), *operation));
                self.open.insert((address.clone(), *operation), None);
            }
            Event::Waiting { address, operation, status } => {
                if let Some(waits) = self.open.get_mut(&(address.clone(), *operation)) {
                    *waits = Some(status.clone());
                }
            }
            Event::Finished { address, operation, .. } => {
                self.open.remove(&(address.clone(), *operation));
                self.done.push(address.clone());
            }
            Event::Failed { address, operation, .. } => drop(self.open.remove(&(address.clone(), *operation))),
            Event::Skipped { address, operation, .. } => drop(self.not_begun.remove(&(address.clone(), *operation))),
            Event::Interrupted { not_begun, .. } => {
                self.not_begun = not_begun.iter().map(|step| (step.address.clone(), step.operation)).collect();
            }
            Event::Left { address, operation, left, id, .. } => {
                let step = (address.clone(), *operation);
                let status = self.open.remove(&step).flatten();
                match left {
                    Left::NotBegun => drop(self.not_begun.insert(step)),
                    _ => self.left.push((step, *left, id.clone(), status)),
                }
            }
            _ => {}
        }
    }

    /// How many were begun and are not told to have ended.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    pub fn in_flight(&self) -> usize {
        self.open.len() + self.left.iter().filter(|(_, left, ..)| *left != Left::Untouched).count()
    }

    pub fn put_off(&self) -> usize {
        self.left.iter().filter(|(_, left, ..)| *left == Left::Untouched).count()
    }

    pub fn draw(&self, ink: Ink) -> String {
        let mut lines = vec![];
        if !self.done.is_empty() {
            let names = self.done.iter().map(ToString::to_string);
            lines.push(format!("{} {}", ink.green("done:"), list(self.done.len(), "operation", names)));
        }
        let open = self.open.iter().map(|(step, status)| {
            let left = if status.is_some() { Left::Written } else { Left::Unknown };
            (step, left, None, status.as_ref())
        });
        let left = self.left.iter().map(|(step, left, id, status)| (step, *left, id.as_ref(), status.as_ref()));
        let (put_off, flying): (Vec<_>, Vec<_>) = left.chain(open).partition(|one| one.1 == Left::Untouched);
        let flying_lines = flying.iter().map(|((address, operation), left, id, status)| {
            let id = id.map(|id| format!(" {id}")).unwrap_or_default();
            let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
            let then = match (left, operation) {
                (Left::Unknown, _) => "no answer yet; the next run looks whether it took effect",
                (_, Operation::Delete) => "on its way out; the next run looks whether it is gone",
                _ => "made, and not ready yet; the next run goes on from there",
            };
            let then = if *operation == Operation::Update { then.replace("made", "changed") } else { then.to_owned() };
            format!("{} {} {address}{id}{status}: {then}", ink.yellow("in flight:"), doing(*operation))
        });
        some(&mut lines, flying_lines, "in flight", ink);
        let put_off = put_off.iter().map(|((address, operation), ..)| {
            format!(
                "{} {} {address}: refused until then; the next run tries again",
                ink.yellow("put off:"),
                doing(*operation)
            )
        });
        some(&mut lines, put_off, "put off", ink);
        if !self.not_begun.is_empty() {
            let names = self.not_begun.iter().map(|(address, operation)| format!("{} {address}", doing(*operation)));
            lines.push(format!("{} {}", ink.yellow("not begun:"), list(self.not_begun.len(), "operation", names)));
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn some(lines: &mut Vec<String>, all: impl ExactSizeIterator<Item = String>, what: &str, ink: Ink) {
    let more = all.len().saturating_sub(NAMES);
    lines.extend(all.take(NAMES));
    if more > 0 {
        lines.push(format!("{} {more} more", ink.yellow(format!("{what}:"))));
    }
}

fn list(number: usize, what: &str, names: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = names.take(SHORT).collect();
    let more = if number > SHORT { format!(", and {} more", number - SHORT) } else { String::new() };
    format!("{}: {}{more}", count(number, what), shown.join(", "))
}
