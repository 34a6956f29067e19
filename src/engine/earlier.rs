//! What earlier runs left unfinished, by their journals; and what has become of it, by a plan over what is there now.

use std::sync::Arc;

use jiff::Timestamp;

use super::journal::{Entry, Whose};
use super::plan::{Action, Change, Plan, Reason};
use super::refresh::World;
use crate::digest::Salt;
use crate::event::{Event, Found, Operation};
use crate::resource::{Address, Live, Map, Owner, Select, Status};

/// An intent without an end.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    pub run: String,
    pub at: Timestamp,
    pub address: Address,
    pub operation: Operation,
    /// What was to be changed, deleted or replaced.
    pub id: Option<String>,
    pub region: Option<String>,
    pub token: String,
    pub digest: Option<String>,
    pub salt: Option<Salt>,
    /// The provider took it, and said this id.
    pub written: Option<String>,
}

/// What one journal tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub whose: Whose,
    /// In the order in which they were begun.
    pub open: Vec<Open>,
    /// Address, region and id of what it created and did not delete again.
    pub made: Vec<(Address, Option<String>, String)>,
    /// All that it was about.
    pub touched: Vec<Address>,
}

/// Reads a journal as a story; `None` if it does not say whose it is.
pub fn told(entries: &[Entry]) -> Option<Told> {
    let mut told = Told::default();
    let mut key = None;
    let mut regions = std::collections::HashMap::new();
    for entry in entries {
        match entry {
            Entry::Begun { whose, salt, .. } => (told.whose, key) = (whose.clone(), salt.clone()),
            Entry::Intent { at, address, operation, id, region, token, digest } => {
                told.open.retain(|open| (&open.address, open.operation) != (address, *operation));
                regions.insert(address.clone(), region.clone());
                told.touched.push(address.clone());
                told.open.push(Open {
                    run: told.whose.run.clone(),
                    at: *at,
                    address: address.clone(),
                    operation: *operation,
                    id: id.clone(),
                    region: region.clone(),
                    token: token.clone(),
                    digest: digest.clone(),
                    salt: key.clone(),
                    written: None,
                });
            }
            Entry::Written { address, operation, id, .. } => {
                let same = |open: &&mut Open| (&open.address, open.operation) == (address, *operation);
                if let Some(open) = told.open.iter_mut().find(same) {
                    open.written.clone_from(id);
                }
                match (operation, id) {
                    (Operation::Create, Some(id)) => {
                        let region = regions.get(address).cloned().flatten();
                        told.made.push((address.clone(), region, id.clone()));
                    }
                    (Operation::Delete, Some(id)) => told.made.retain(|(_, _, made)| made != id),
                    _ => {}
                }
            }
            Entry::Outcome { unknown: true, .. } | Entry::Abandoned { .. } => {}
            Entry::Outcome { address, operation, .. } => {
                told.open.retain(|open| (&open.address, open.operation) != (address, *operation));
            }
        }
    }
    matches!(entries.first(), Some(Entry::Begun { .. })).then_some(told)
}

/// What was made, as far as a journal knows it: enough to look for it where a listing by tags leaves it out.
pub fn made(told: &Told) -> impl Iterator<Item = Arc<Live>> {
    told.made.iter().map(|(address, region, id)| {
        let stack = told.whose.stack.clone();
        let owner = Owner { stack, address: address.clone(), deposed: false, protect: false };
        let (id, region, owner) = (id.clone(), region.clone(), Some(owner));
        Arc::new(Live { id, region, owner, inputs: Map::new(), outputs: Map::new(), status: Status::Ready })
    })
}

/// What has become of it; `None` if this plan did not look. `whole`: it tells of all that the stack owns.
pub fn found(open: &Open, plan: &Plan, whole: bool) -> Option<Event> {
    let declared = plan.changes.iter().find(|change| {
        change.address == open.address && !matches!(change.reason, Some(Reason::Deposed | Reason::NotDeclared))
    });
    // Of what is not declared any more there may be several.
    let other = plan.changes.iter().find(|change| {
        let named = open.written.as_ref().or(open.id.as_ref().filter(|_| open.operation != Operation::Create));
        let this = change.live.as_ref().zip(named).is_none_or(|(live, id)| live.id == *id);
        change.address == open.address && change.reason == Some(Reason::NotDeclared) && this
    });
    let change = declared.or(other);
    let live = |change: &Change| change.live.as_ref().map(|live| live.id.clone());
    let (found, id) = match open.operation {
        Operation::Create => match change.map(|change| (change.action, live(change))) {
            // Only what it was to take the place of.
            Some((_, id)) if id.is_none() || id == open.id => (Found::Missing, None),
            Some((Action::Delete | Action::Orphan, id)) => (Found::Exists, id),
            Some((_, id)) => (Found::Adopted, id),
            None if whole => (Found::Gone, None),
            None => return None,
        },
        Operation::Update => match change.map(|change| (change.action, live(change))) {
            Some((_, None)) => (Found::Gone, None),
            Some((Action::None, id)) => (Found::AsDeclared, id),
            Some((Action::Delete | Action::Orphan, id)) => (Found::Exists, id),
            Some((_, id)) => (Found::Differs, id),
            None if whole => (Found::Gone, None),
            None => return None,
        },
        Operation::Delete => {
            let remains = plan
                .changes
                .iter()
                .any(|change| change.address.kind == open.address.kind && open.id.is_some() && live(change) == open.id);
            match remains {
                true => (Found::Remains, open.id.clone()),
                false if whole || change.is_some() => (Found::Gone, None),
                false => return None,
            }
        }
    };
    Some(event(open, found, id.into_iter().collect()))
}

/// Whether a plan that could not be made has met it twice.
pub fn found_twice(open: &Open, world: &World) -> Option<Event> {
    let kind = world.kind(&open.address.kind)?;
    let listing = world.seen(&kind, &open.region, &Select::Owned { stack: world.stack.clone() })?;
    let ids: Vec<String> = listing.at(&open.address).iter().map(|live| live.id.clone()).collect();
    (ids.len() > 1).then(|| event(open, Found::Several, ids))
}

/// Whether the plan has anything to do for it.
pub fn is_planned(open: &Open, plan: &Plan) -> bool {
    let of_it = |change: &&Change| change.address == open.address;
    plan.changes.iter().filter(of_it).any(|change| !matches!(change.action, Action::None | Action::Orphan))
}

fn event(open: &Open, found: Found, ids: Vec<String>) -> Event {
    Event::Recovered { run: open.run.clone(), address: open.address.clone(), operation: open.operation, found, ids }
}
