//! What a session does about runs that came to no end: it says what became of what they were about, and goes on.

use super::journals;
use super::review::Review;
use super::session::Session;
use crate::engine::earlier;
use crate::engine::{Plan, World};

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
}
