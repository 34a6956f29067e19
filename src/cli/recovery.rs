//! What a session does about runs that came to no end: it says what became of what they were about, and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::journals::{self, Found, Journals};
use super::review::Review;
use super::session::Session;
use crate::engine::earlier::{self, Open, Told};
use crate::engine::{Plan, World};
use crate::event::Operation;
use crate::resource::Address;

/// What is known of earlier runs.
#[derive(Default)]
pub struct Recovery {
    journals: Journals,
    read: bool,
    /// What was said already, in this run.
    told: BTreeSet<(Address, Operation)>,
    /// Said, and this run has nothing to do for it.
    settled: BTreeSet<(Address, Operation)>,
}

impl Recovery {
    /// The latest intent of each; what a later run did to the same, it did in the knowledge of the earlier one.
    pub fn open(&self, now: &Whereabouts) -> Vec<&Open> {
        let mut seen: BTreeSet<&Address> = BTreeSet::new();
        let mut open = vec![];
        let here = |told: &&Told| !is_elsewhere(told, now);
        for told in self.journals.open.iter().filter_map(|found| found.told.as_ref()).filter(here) {
            open.extend(told.open.iter().filter(|one| !seen.contains(&one.address)));
            seen.extend(&told.touched);
        }
        open
    }
}

/// By what one outside is told from another.
type Whereabouts = BTreeMap<String, String>;

/// Another account has other things; what was begun there is looked for there.
fn is_elsewhere(told: &Told, now: &Whereabouts) -> bool {
    told.whose.outside.iter().any(|(name, then)| now.get(name).is_some_and(|now| now != then))
}

impl Session {
    /// Reads the journals that are open. Whatever is in them, the run goes on.
    pub fn recall(&mut self) {
        if std::mem::replace(&mut self.recovery.read, true)
            || !matches!(self.review, Review::Live | Review::Record { .. })
        {
            return;
        }
        let journals = journals::read(&self.runs(), &self.inventory.name, self.sandbox_name().as_deref());
        if let Some(wrong) = journals.warning() {
            self.warn(&[wrong]);
        }
        let all = journals.open.iter().filter_map(|found| found.told.as_ref()).chain(&journals.fresh);
        let made: Vec<_> = all.flat_map(earlier::made).collect();
        self.made.extend(made);
        self.recovery.journals = journals;
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.root.join(".runner/runs")
    }

    pub(super) fn sandbox_name(&self) -> Option<String> {
        // From wherever it is run.
        let whole = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
        self.sandbox.as_ref().map(|file| whole(file).display().to_string())
    }

    /// Says what became of what they left. `whole`: the plan tells of all that the stack owns.
    pub fn recovered(&mut self, plan: &Plan, whole: bool) {
        let mut said = vec![];
        for open in self.recovery.open(&self.provider.whereabouts()) {
            let key = (open.address.clone(), open.operation);
            if self.recovery.told.contains(&key) {
                continue;
            }
            if let Some(event) = earlier::found(open, plan, whole && plan.stop.is_none()) {
                said.push((key, earlier::is_planned(open, plan), event));
            }
        }
        for (key, planned, event) in said {
            self.report.found(&event);
            self.events.emit(event);
            if !planned {
                self.recovery.settled.insert(key.clone());
            }
            self.recovery.told.insert(key);
        }
    }

    /// The same where no plan could be made: some have one address, perhaps.
    pub fn recovered_in(&self, world: &World) {
        let open = self.recovery.open(&self.provider.whereabouts());
        let twice = open.iter().filter_map(|open| earlier::found_twice(open, world));
        twice.for_each(|event| self.events.emit(event));
    }

    /// Marks the journals that need not be read again. A dry run leaves them to the next.
    pub(super) fn settle(&self) {
        let Some(run) = self.writes.then_some(&self.run) else { return };
        let own = self.folder.as_ref().and_then(|folder| journals::close(folder, run)).unwrap_or_default();
        let touched: BTreeSet<&Address> = own.touched.iter().collect();
        let done = |open: &Open| {
            let key = (open.address.clone(), open.operation);
            touched.contains(&open.address) || self.recovery.settled.contains(&key)
        };
        let now = self.provider.whereabouts();
        // Later runs may have dealt with what an earlier journal left open.
        let current: BTreeSet<(&str, &Address)> =
            self.recovery.open(&now).into_iter().map(|open| (open.run.as_str(), &open.address)).collect();
        let here = |found: &&Found| found.told.as_ref().is_none_or(|told| !is_elsewhere(told, &now));
        for found in self.recovery.journals.open.iter().filter(here) {
            let settled = found.told.as_ref().is_none_or(|told| {
                let open = told.open.iter().filter(|open| current.contains(&(open.run.as_str(), &open.address)));
                open.into_iter().all(done)
            });
            if settled {
                found.settle(run);
            }
        }
    }
}
