//! Which live resource a declaration stands for: the one with its address, with its former name, with its natural name,
//! or the one to adopt.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::forecast::Forecast;
use super::plan::{Action, Change, Reason};
use super::refresh::Listing;
use super::refusals;
use crate::diagnostic::Diagnostic;
use crate::resource::declaration::ADOPT_IF_THERE;
use crate::resource::{Address, Declaration, Declarations, Kind, Live, Map, Owner, ReplaceOrder, Select};

/// The resource that a declaration stands for, and what is to be said of how it was found.
type Found = (Option<Arc<Live>>, Option<Reason>);

impl Forecast {
    /// The resource a declaration stands for: the one with its address, its former name, or the one to adopt.
    pub(super) fn find_live(
        &self,
        declarations: &Declarations,
        declaration: &Declaration,
        kind: &Kind,
        inputs: &Map,
    ) -> Result<Found, Box<Diagnostic>> {
        let region = &declaration.options.region;
        let owned =
            self.world.seen(kind, region, &Select::Owned { stack: self.world.stack.clone() }).unwrap_or_default();
        if let Some(live) = only_one(&owned, &declaration.address, declaration)? {
            return Ok((Some(live), None));
        }
        if let Some(old) = &declaration.options.was {
            let from = Address::new(kind.name.clone(), old.as_str());
            if declarations.get(&from).is_none()
                && let Some(live) = only_one(&owned, &from, declaration)?
            {
                return Ok((Some(live), Some(Reason::Renamed { from })));
            }
        }
        if let Some(id) = declaration.options.adopt.as_ref().filter(|id| *id != ADOPT_IF_THERE) {
            let live = self.to_adopt(kind, declaration, id)?;
            return Ok((Some(live), Some(Reason::Adopted { id: id.clone() })));
        }
        self.found_by_name(declarations, kind, declaration, inputs)
    }

    fn to_adopt(&self, kind: &Kind, declaration: &Declaration, id: &str) -> Result<Arc<Live>, Box<Diagnostic>> {
        let select = Select::Ids(BTreeSet::from([id.to_owned()]));
        let found = self.world.seen(kind, &declaration.options.region, &select).unwrap_or_default();
        let refuse = |summary: String, hint: &str| {
            Box::new(Diagnostic::error(summary).at(&declaration.site, "declared here").hint(hint))
        };
        let Some(live) = found.all.first() else {
            return Err(refuse(
                format!("cannot adopt `{id}` as {}: there is no such {}", declaration.address, kind.name),
                "check the id, the region and the account",
            ));
        };
        match &live.owner {
            Some(owner) if owner.stack != self.world.stack => Err(refuse(
                format!(
                    "cannot adopt `{id}` as {}: stack `{}` owns it as {}",
                    declaration.address, owner.stack, owner.address
                ),
                "remove it from that stack's playbook first, or refer to it instead of adopting it",
            )),
            _ => Ok(live.clone()),
        }
    }

    /// A resource with the natural name of one that we would create, and not ours, is a conflict; never taken over.
    /// One that is ours was only left out of the listing by tags, which may lag behind.
    fn found_by_name(
        &self,
        declarations: &Declarations,
        kind: &Kind,
        declaration: &Declaration,
        inputs: &Map,
    ) -> Result<Found, Box<Diagnostic>> {
        let Some(name) = kind.nature.natural_key.first().and_then(|field| inputs.get(*field)?.as_str()) else {
            return Ok((None, None));
        };
        let Some(listing) = self.seen_by_name(kind, &declaration.options.region, name) else { return Ok((None, None)) };
        let same = |live: &&Arc<Live>| stands_in(kind, inputs, live);
        let ours =
            |owner: &Owner| owner.stack == self.world.stack && owner.address == declaration.address && !owner.deposed;
        let is_ours = |live: &&Arc<Live>| live.owner.as_ref().is_some_and(ours);
        if let Some(overlooked) = listing.all.iter().filter(same).find(is_ours) {
            return Ok((Some(overlooked.clone()), None));
        }
        let adopts = declaration.options.adopt.as_deref() == Some(ADOPT_IF_THERE);
        if let Some(theirs) = listing.all.iter().filter(same).find(|live| adopts && live.owner.is_none()) {
            return Ok((Some(theirs.clone()), Some(Reason::Adopted { id: theirs.id.clone() })));
        }
        match self.in_the_way(declarations, kind, declaration, inputs, None) {
            Some(taken) => Err(Box::new(self.taken(kind, declaration, inputs, &taken))),
            None => Ok((None, None)),
        }
    }

    /// What keeps something from being as these inputs say, besides itself and what this plan takes away.
    fn in_the_way(
        &self,
        declarations: &Declarations,
        kind: &Kind,
        declaration: &Declaration,
        inputs: &Map,
        itself: Option<&str>,
    ) -> Option<Arc<Live>> {
        let name = inputs.get(*kind.nature.natural_key.first()?)?.as_str()?;
        let listing = self.seen_by_name(kind, &declaration.options.region, name)?;
        let others = listing.all.iter().filter(|live| Some(live.id.as_str()) != itself);
        let mut taken = others.filter(|live| stands_in(kind, inputs, live));
        taken.find(|live| !self.makes_room(declarations, kind, inputs, live)).cloned()
    }

    /// Whether this plan removes something, or makes it otherwise, so that it is in nobody's way.
    fn makes_room(&self, declarations: &Declarations, kind: &Kind, inputs: &Map, live: &Live) -> bool {
        let (Some(_), Some(owner)) = (kind.nature.in_the_way, &live.owner) else { return false };
        if owner.stack != self.world.stack {
            return false;
        }
        match declarations.get(&owner.address) {
            _ if owner.deposed => true,
            Some(declared) => {
                let planned = (declared.inputs.iter())
                    .map(|(name, value)| (name.clone(), value.resolve(&mut |reference| self.value(reference))));
                let planned: Map = live.inputs.clone().into_iter().chain(planned).collect();
                !stands_in(kind, inputs, &Live { inputs: planned, ..live.clone() })
            }
            None => self.prunes(&owner.address),
        }
    }

    /// A change of what something is called may put it where something else is.
    pub(super) fn refuse_in_the_way(
        &self,
        declarations: &Declarations,
        declaration: &Declaration,
        kind: &Kind,
        change: &Change,
    ) -> Result<(), Box<Diagnostic>> {
        let key = kind.nature.natural_key;
        let renames = || change.fields.iter().any(|field| key.contains(&field.path.as_str()));
        let (Some(_), Some(live)) = (kind.nature.in_the_way, &change.live) else { return Ok(()) };
        if !matches!(change.action, Action::Update | Action::Replace) || !renames() {
            return Ok(());
        }
        let first = change.action == Action::Replace && declaration.options.replace == ReplaceOrder::CreateFirst;
        if first && stands_in(kind, &change.inputs, live) {
            let what = format!("{} cannot be made before the old one is deleted", declaration.address);
            let told = Diagnostic::error(what).because(format!("`{}` is in its way", live.id));
            return Err(Box::new(
                told.at(&declaration.site, "declared here").hint("leave `replace: \"create_first\"` out"),
            ));
        }
        match self.in_the_way(declarations, kind, declaration, &change.inputs, Some(&live.id)) {
            Some(taken) => Err(Box::new(self.taken(kind, declaration, &change.inputs, &taken))),
            None => Ok(()),
        }
    }

    /// Two of one playbook that cannot be both.
    pub(super) fn refuse_rival(
        &self,
        declarations: &Declarations,
        declaration: &Declaration,
        kind: &Kind,
        inputs: &Map,
    ) -> Result<(), Box<Diagnostic>> {
        let Some(in_the_way) = kind.nature.in_the_way else { return Ok(()) };
        let before = declarations.iter().take_while(|other| other.address != declaration.address);
        let planned = before.filter(|other| other.address.kind == declaration.address.kind);
        let mut planned = planned.filter_map(|other| Some((other, self.known_change(&other.address)?)));
        match planned.find(|(_, change)| in_the_way(inputs, &change.inputs)) {
            Some((other, _)) => {
                let what = format!("{} and {} cannot be both", other.address, declaration.address);
                let told =
                    Diagnostic::error(what).because("the same is there for both, or one of them has to be alone");
                let told = told.at(&declaration.site, "declared here").at(&other.site, "and here");
                Err(Box::new(told.hint("leave one of them out, or give it another name")))
            }
            None => Ok(()),
        }
    }

    fn taken(&self, kind: &Kind, declaration: &Declaration, inputs: &Map, taken: &Live) -> Diagnostic {
        let same = |inputs: &Map, live: &Live, field: &str| match inputs.get(field) {
            Some(wanted) if wanted.is_known() && kind.nature.in_the_way.is_some() => {
                live.inputs.get(field) == Some(wanted)
            }
            _ => true,
        };
        let name = inputs.get(kind.nature.natural_key[0]).map(ToString::to_string).unwrap_or_default();
        let (owner, hint) = match &taken.owner {
            Some(Owner { stack, address, .. }) => (
                format!("stack `{stack}` owns it as {address}"),
                match *stack == self.world.stack && kind.nature.in_the_way.is_some() {
                    true => {
                        "say `was` if this is the same; or let that one go first, with --prune if it is not declared"
                    }
                    false => "give this one another name; if it was renamed, say so with the option `was`",
                }
                .to_owned(),
            ),
            None => (
                format!("not owned by stack `{}`", self.world.stack),
                match kind.inputs.iter().filter(|field| field.immutable).all(|field| same(inputs, taken, &field.name)) {
                    true => refusals::how_to_adopt(kind, &taken.id),
                    // Adopted, it would have to be replaced, which is not to adopt.
                    false => {
                        format!("both cannot be: delete `{}` by hand first, or give this one another name", taken.id)
                    }
                },
            ),
        };
        // What is in the way may be of another sort.
        let details = kind.nature.in_the_way.map(|_| kind.nature.natural_key[1..].iter());
        let details = details.into_iter().flatten().filter_map(|field| taken.inputs.get(*field)?.as_str());
        let details: Vec<&str> = details.collect();
        let what = if details.is_empty() { String::new() } else { format!(" ({})", details.join(" ")) };
        let told = Diagnostic::error(format!("{}: `{name}`{what} exists, {owner}", declaration.address));
        told.at(&declaration.site, "declared here").hint(hint)
    }

    fn seen_by_name(&self, kind: &Kind, region: &Option<String>, name: &str) -> Option<Arc<Listing>> {
        self.world.seen_where(kind, region, |select| matches!(select, Select::Named(names) if names.contains(name)))
    }
}

/// Whether what is live is where something with these inputs would be.
fn stands_in(kind: &Kind, inputs: &Map, live: &Live) -> bool {
    match kind.nature.in_the_way {
        Some(in_the_way) => in_the_way(inputs, &live.inputs),
        None => kind.nature.natural_key.iter().all(|field| match inputs.get(*field) {
            Some(wanted) => live.inputs.get(*field) == Some(wanted),
            None => true,
        }),
    }
}

fn only_one(
    listing: &Listing,
    address: &Address,
    declaration: &Declaration,
) -> Result<Option<Arc<Live>>, Box<Diagnostic>> {
    match listing.at(address).as_slice() {
        [] => Ok(None),
        [live] => Ok(Some((*live).clone())),
        several => {
            let ids: Vec<&str> = several.iter().map(|live| live.id.as_str()).collect();
            Err(Box::new(
                Diagnostic::error(format!(
                    "{} resources carry the address {address}: {}",
                    several.len(),
                    ids.join(", ")
                ))
                .at(&declaration.site, "declared here")
                .hint(
                    "find out which one is in use, then remove the tag `runner:address` from the others or delete them",
                ),
            ))
        }
    }
}
