//! What is known of runs that came to no end, and what of it has been told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::journals::{self, Found, Journals};
use crate::engine::earlier::{Open, Told};
use crate::event::Operation;
use crate::resource::Address;

/// What is known of earlier runs.
#[derive(Default)]
pub struct Recovery {
    pub(super) journals: Journals,
    pub(super) read: bool,
    /// What was said already, in this run.
    pub(super) told: BTreeSet<(Address, Operation)>,
    /// Said, and this run has nothing to do for it.
    pub(super) settled: BTreeSet<(Address, Operation)>,
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

    /// Marks the journals that need not be read again, by a run with this folder.
    pub fn settle(&self, run: &str, folder: Option<&Path>, now: &Whereabouts) {
        let own = folder.and_then(|folder| journals::close(folder, run)).unwrap_or_default();
        let touched: BTreeSet<&Address> = own.touched.iter().collect();
        let done = |open: &Open| {
            let key = (open.address.clone(), open.operation);
            touched.contains(&open.address) || self.settled.contains(&key)
        };
        // Later runs may have dealt with what an earlier journal left open.
        let current: BTreeSet<(&str, &Address)> =
            self.open(now).into_iter().map(|open| (open.run.as_str(), &open.address)).collect();
        let here = |found: &&Found| found.told.as_ref().is_none_or(|told| !is_elsewhere(told, now));
        for found in self.journals.open.iter().filter(here) {
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

/// By what one outside is told from another.
type Whereabouts = BTreeMap<String, String>;

/// Another account has other things; what was begun there is looked for there.
fn is_elsewhere(told: &Told, now: &Whereabouts) -> bool {
    told.whose.outside.iter().any(|(name, then)| now.get(name).is_some_and(|now| now != then))
}
