//! What each declared resource will be once what has been declared so far is applied.
//!
//! The same forecast answers the script's "what is this value?" while it runs and becomes the plan when it has
//! ended, so that what the script saw is what the plan does.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;

use super::diff;
use super::origins;
use super::plan::{Action, Change, FieldChange, Reason};
use super::planning::Wish;
use super::refresh::{Listing, Range, World, cannot_read};
use super::refusals::{self, looked_at_secret, unknown_kind};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::declaration::{self, ADOPT_IF_THERE};
use crate::resource::{
    Address, Declaration, Declarations, Kind, Live, Map, Oracle, Previewed, Reference, Select, Sight, Status, Value,
};

/// What one has to know to tell a change.
pub(super) struct Prepared {
    pub kind: Arc<Kind>,
    /// Filled in as far as it is known.
    pub inputs: Map,
    pub live: Option<Arc<Live>>,
    pub reason: Option<Reason>,
}

/// Forecasts of one evaluation over one [`World`].
pub struct Forecast {
    pub world: Arc<World>,
    /// Only resources of these phases change; empty means all.
    phases: Vec<String>,
    /// Only reads and `see` may block, and only on this runtime.
    runtime: tokio::runtime::Handle,
    changes: Mutex<HashMap<Address, Arc<Change>>>,
    /// Gates that were opened, or found closed.
    gates: Mutex<HashSet<Address>>,
    /// What the script looked at.
    seen: Mutex<BTreeSet<Reference>>,
    /// What is not declared goes: all of it, or what is named.
    prune: (bool, BTreeSet<Address>),
}

impl Forecast {
    pub fn new(world: Arc<World>, phases: Vec<String>, runtime: tokio::runtime::Handle) -> Self {
        let (changes, gates, seen, prune) = Default::default();
        Forecast { world, phases, runtime, changes, gates, seen, prune }
    }

    /// The same for a plan that also deletes what is no longer declared: all of it, or what is named.
    pub fn pruning(mut self, wish: &Wish) -> Self {
        self.prune = (wish.prune, wish.prune_named.clone());
        self
    }

    /// Whether something goes if it is not declared.
    pub(super) fn prunes(&self, address: &Address) -> bool {
        let (all, named) = &self.prune;
        *all || named.contains(address)
    }

    pub fn is_selected(&self, declaration: &Declaration) -> bool {
        declaration.is_in_phase(&self.phases)
    }

    /// The change of each of these declarations. Reads what it must, side by side, then decides in script order:
    /// a reference always points to an earlier declaration.
    pub async fn changes(
        &self,
        declarations: &Declarations,
        wanted: &[Arc<Declaration>],
    ) -> Result<Vec<Arc<Change>>, Diagnostics> {
        self.open_gates(declarations, wanted, false).await?;
        self.read(wanted).await?;
        self.learn_secrets(wanted).await?;
        self.decide(declarations, wanted).await
    }

    /// One listing per kind and region, plus one for those to adopt and one for natural names that might be taken.
    async fn read(&self, wanted: &[Arc<Declaration>]) -> Result<(), Diagnostics> {
        let mut listings: BTreeMap<Range, Vec<&Arc<Declaration>>> = BTreeMap::new();
        for declaration in wanted {
            let key = (declaration.address.kind.clone(), declaration.options.region.clone());
            listings.entry(key).or_default().push(declaration);
        }
        let reads = listings.into_iter().map(|((name, region), declarations)| async move {
            let Some(kind) = self.world.kind(&name) else { return Err(unknown_kind(&name)) };
            let failed = |fault| cannot_read(&name, &fault);
            let owned = self.world.owned(&kind, &region).await.map_err(failed)?;
            for select in self.further_reads(&kind, &declarations, &owned) {
                self.world.selected(&kind, &region, select).await.map_err(failed)?;
            }
            Ok(())
        });
        let mut wrong: Diagnostics = join_all(reads).await.into_iter().filter_map(Result::err).collect();
        wrong.dedup_by(|a, b| a.causes == b.causes);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// What is live is compared with the value of a secret, and an apply is not to end half-way for want of one.
    async fn learn_secrets(&self, wanted: &[Arc<Declaration>]) -> Result<(), Diagnostics> {
        let mut named: BTreeMap<&str, &Declaration> = BTreeMap::new();
        for declaration in wanted {
            for value in declaration.inputs.values() {
                value.references(&mut |reference| {
                    if let Some(name) = reference.secret_name() {
                        named.entry(name).or_insert(declaration);
                    }
                });
            }
        }
        let learned = named.into_iter().map(|(name, declaration)| async move {
            let wrong = self.world.learn_secret(name).await.err()?;
            Some(wrong.at(&declaration.site, "needed here"))
        });
        let wrong: Diagnostics = join_all(learned).await.into_iter().flatten().collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// What to read of the resources that are not there under their address.
    fn further_reads(&self, kind: &Kind, declarations: &[&Arc<Declaration>], owned: &Listing) -> Vec<Select> {
        let missing = || declarations.iter().filter(|declaration| owned.at(&declaration.address).is_empty());
        // Also what is there may come to where something else is.
        let any = kind.nature.in_the_way.is_some();
        let named = declarations.iter().filter(|declaration| any || owned.at(&declaration.address).is_empty());
        let name = |d: &Declaration, field: &str| {
            let name = d.inputs.get(field)?.resolve(&mut |reference| self.value(reference));
            Some(name.as_str()?.to_owned())
        };
        let names: BTreeSet<String> = match kind.nature.natural_key.first() {
            Some(field) => named.filter_map(|declaration| name(declaration, field)).collect(),
            None => BTreeSet::new(),
        };
        let adopted = missing()
            .filter_map(|d| d.options.adopt.clone())
            .filter(|id| id != ADOPT_IF_THERE)
            .map(|id| Select::Ids(BTreeSet::from([id])));
        let named = (!names.is_empty()).then_some(Select::Named(names));
        adopted.chain(named).collect()
    }

    /// The change that is known already, or what one has to know to tell it. Pure, given what was read.
    pub(super) fn prepare(
        &self,
        declarations: &Declarations,
        declaration: &Arc<Declaration>,
    ) -> Result<Result<Arc<Change>, Prepared>, Box<Diagnostic>> {
        if let Some(change) = self.known_change(&declaration.address) {
            return Ok(Ok(change));
        }
        let kind = self
            .world
            .kind(&declaration.address.kind)
            .ok_or_else(|| Box::new(unknown_kind(&declaration.address.kind)))?;
        let inputs: Map = declaration
            .inputs
            .iter()
            .map(|(name, value)| (name.clone(), value.resolve(&mut |reference| self.value(reference))))
            .collect();
        let (live, reason) = self.find_live(declarations, declaration, &kind, &inputs)?;
        Ok(Err(Prepared { kind, inputs, live, reason }))
    }

    /// The change, from what is wanted and what is live, or from what the provider says of it.
    pub(super) fn conclude(
        &self,
        declarations: &Declarations,
        declaration: &Arc<Declaration>,
        prepared: Prepared,
        previewed: Option<Previewed>,
    ) -> Result<Arc<Change>, Box<Diagnostic>> {
        let selected = self.is_selected(declaration);
        let (action, fields) = match (&prepared.live, &previewed) {
            (Some(_), _) if !selected => (Action::None, vec![]),
            (Some(live), Some(told)) => {
                let (action, fields) = self.lines(&prepared, told);
                (decide(&prepared.kind, live, action, prepared.reason.as_ref()), fields)
            }
            (None, Some(told)) => self.lines(&prepared, told),
            (None, None) => (Action::Create, diff::all_set(&prepared.kind, &prepared.inputs)),
            (Some(live), None) => self.compare(declaration, &prepared, live),
        };
        let Prepared { kind, inputs, live, reason } = prepared;
        let kind = &*kind;
        let reason = reason.or_else(|| match live.as_ref().map(|live| &live.status) {
            Some(Status::Failed(status)) => Some(Reason::Failed { status: status.clone() }),
            Some(Status::Pending(status)) => Some(Reason::Unfinished { status: status.clone() }),
            _ => {
                let because = previewed.as_ref().and_then(|told| told.unchecked.clone())?;
                Some(Reason::Unchecked { because })
            }
        });
        if selected
            && let Some(live) = &live
            && let Some(refused) = refusals::refused(kind, declaration, action, reason.as_ref(), &fields, &inputs, live)
        {
            return Err(Box::new(refused));
        }
        let (action, reason) = match (&live, action) {
            // Whether it is protected is remembered on the resource itself.
            (Some(live), Action::None | Action::Update) if selected && !remembers(live, declaration) => {
                (Action::Update, reason.or(Some(Reason::Protection { on: declaration.options.protect })))
            }
            _ => (action, reason),
        };
        let planned =
            |from: &Reference| self.known_change(&from.address).is_some_and(|c| origins::is_planned(&c, from));
        let predicted = origins::predicted(&declaration.inputs, &fields, planned);
        let change = Arc::new(Change {
            predicted,
            address: declaration.address.clone(),
            action,
            reason,
            fields,
            inputs: if selected { inputs } else { live.as_ref().map(|live| live.inputs.clone()).unwrap_or(inputs) },
            live: live.map(|live| (*live).clone()),
            options: declaration.options.clone(),
            site: Some(declaration.site.clone()),
            phase: declaration.phase.clone(),
            needs: declaration.needs(),
            uses: vec![],
            notes: previewed.map(|told| told.notes).unwrap_or_default(),
        });
        if selected {
            self.refuse_missing_outsiders(declarations, &change)?;
            self.refuse_in_the_way(declarations, declaration, kind, &change)?;
            self.refuse_rival(declarations, declaration, kind, &change.inputs)?;
        }
        self.changes.lock().expect("no holder panics").insert(declaration.address.clone(), change.clone());
        Ok(change)
    }

    fn compare(&self, declaration: &Declaration, prepared: &Prepared, live: &Live) -> (Action, Vec<FieldChange>) {
        let Prepared { kind, inputs, reason, .. } = prepared;
        let revealed = inputs.iter().map(|(name, value)| (name.clone(), self.reveal(value))).collect();
        let (action, mut fields) = diff::diff(kind, &declaration.options.ignore, &revealed, live);
        let action = decide(kind, live, action, reason.as_ref());
        diff::hide(&mut fields, inputs);
        match self.goes_with(kind, declaration, live) {
            moved if moved.is_empty() => (action, fields),
            moved => {
                fields.retain(|field| !moved.iter().any(|other| other.path == field.path));
                fields.extend(moved);
                (Action::Replace, fields)
            }
        }
    }

    /// What is in something that is replaced goes with it, also if the new one has the same name.
    fn goes_with(&self, kind: &Kind, declaration: &Declaration, live: &Live) -> Vec<FieldChange> {
        let inside = kind.inputs.iter().filter(|field| field.immutable && field.names.is_some());
        let moved = inside.filter_map(|field| {
            let written = declaration.inputs.get(&field.name)?;
            let Value::Reference(reference) = written else { return None };
            let replaced = self.known_change(&reference.address)?.action == Action::Replace;
            replaced.then(|| FieldChange {
                path: field.name.clone(),
                before: live.inputs.get(&field.name).cloned(),
                after: Some(written.clone()),
                forces_replace: true,
                restarts: false,
                sensitive: field.sensitive,
            })
        });
        moved.collect()
    }

    /// With the values of secrets, which nothing but the comparison may have.
    pub(super) fn reveal(&self, value: &Value) -> Value {
        value.resolve(&mut |reference| Some((*self.world.secrets.get(reference.secret_name()?)?).into()))
    }

    /// True once for each gate.
    pub(super) fn opens_now(&self, gate: &Address) -> bool {
        self.gates.lock().expect("no holder panics").insert(gate.clone())
    }

    pub(super) fn known_change(&self, address: &Address) -> Option<Arc<Change>> {
        self.changes.lock().expect("no holder panics").get(address).cloned()
    }

    /// Every change that was told so far, in the order of the addresses.
    pub(super) fn known_changes(&self) -> Vec<Arc<Change>> {
        let mut known: Vec<Arc<Change>> = self.changes.lock().expect("no holder panics").values().cloned().collect();
        known.sort_by(|one, other| one.address.cmp(&other.address));
        known
    }

    /// `--phase`: what is outside the chosen phases must exist already where something inside needs it.
    fn refuse_missing_outsiders(&self, declarations: &Declarations, change: &Change) -> Result<(), Box<Diagnostic>> {
        let missing = |address: &&Address| {
            declarations.get(address).is_some_and(|d| !self.is_selected(d))
                && self.known_change(address).is_some_and(|needed| needed.action == Action::Create)
        };
        let Some(address) = change.needs.iter().find(missing) else { return Ok(()) };
        let needed = declarations.get(address).expect("just found");
        let phase = needed.phase.last().map(|name| name.to_string());
        let mut diagnostic = Diagnostic::error(match &phase {
            Some(phase) => format!("{} needs {address} of phase `{phase}`, which does not exist yet", change.address),
            None => format!("{} needs {address}, which is in no phase and does not exist yet", change.address),
        });
        if let Some(site) = &change.site {
            diagnostic = diagnostic.at(site, "needs it");
        }
        Err(Box::new(diagnostic.at(&needed.site, "declared here").hint(match phase {
            Some(phase) => format!("apply that phase first, or both: --phase {phase}"),
            None => "run once without --phase".into(),
        })))
    }

    /// The value of a reference once the plan is applied, if that is certain.
    pub fn value(&self, reference: &Reference) -> Option<Value> {
        let change = self.known_change(&reference.address)?;
        let kind = self.world.kind(&reference.address.kind)?;
        let attribute = reference.attribute()?;
        // What the author says is what it will be, unless told not to look.
        let replaced = change.action == Action::Replace;
        let ignored = !replaced && change.options.ignore.iter().any(|name| name == attribute);
        let planned =
            change.inputs.get(attribute).filter(|value| !(value.is_null() || ignored && change.live.is_some()));
        if let Some(planned) = planned {
            let (_, rest) = reference.path.split_first()?;
            return planned.get(rest).filter(|value| value.is_known()).cloned();
        }
        let live = change.live.as_ref().filter(|_| !matches!(change.action, Action::Create | Action::Replace));
        let Some(live) = live else {
            let default = kind.input(attribute)?.default.clone()?;
            return (reference.path.len() == 1).then_some(default);
        };
        if let Some(output) = kind.output(attribute) {
            let changed = diff::changed_fields(&change.fields);
            if output.changes_with.iter().any(|name| changed.contains(name)) {
                return None;
            }
        }
        match live.attribute(&reference.path) {
            // What is not ready yet has not said everything.
            None if live.status != Status::Ready => None,
            Some(value) if live.status != Status::Ready && value.is_empty() => None,
            None => Some(Value::Null),
            Some(value) => Some(value.clone()),
        }
    }

    /// What these rest on, themselves included, in script order.
    pub(super) fn closure<'a>(
        declarations: &Declarations,
        start: impl IntoIterator<Item = &'a Address>,
    ) -> Vec<Arc<Declaration>> {
        let mut reached: HashSet<Address> = HashSet::new();
        let mut open: Vec<Address> = start.into_iter().cloned().collect();
        while let Some(address) = open.pop() {
            if let Some(declaration) = declarations.get(&address)
                && reached.insert(address)
            {
                open.extend(declaration.needs());
            }
        }
        declarations.iter().filter(|declaration| reached.contains(&declaration.address)).cloned().collect()
    }

    async fn sight(&self, declarations: &Declarations, reference: &Reference) -> Result<Sight, Box<Diagnostic>> {
        if let Some(name) = reference.secret_name() {
            return Err(Box::new(looked_at_secret(name)));
        }
        self.seen.lock().expect("no holder panics").insert(reference.clone());
        let wanted = Self::closure(declarations, [&reference.address]);
        if let Err(mut wrong) = self.changes(declarations, &wanted).await {
            return Err(Box::new(wrong.remove(0)));
        }
        Ok(match self.value(reference) {
            Some(value) => Sight::Known(value),
            None => Sight::Unknown(self.why_unknown(reference)),
        })
    }

    /// What the script looked at so far.
    pub(super) fn seen(&self) -> BTreeSet<Reference> {
        self.seen.lock().expect("no holder panics").clone()
    }

    pub(super) fn why_unknown(&self, reference: &Reference) -> Option<String> {
        let change = self.known_change(&reference.address)?;
        let outside = !declaration::is_in_phase(&change.phase, &self.phases);
        Some(match change.action {
            Action::Create if outside => {
                format!("{} does not exist, and its phase is not among those chosen", change.address)
            }
            Action::Create => format!("{} does not exist yet", change.address),
            Action::Replace => format!("{} is to be replaced", change.address),
            Action::Update if matches!(change.reason, Some(Reason::Unfinished { .. })) => {
                format!("{} is not ready yet", change.address)
            }
            Action::Update => format!("the update of {} changes it", change.address),
            _ => return None,
        })
    }
}

impl Oracle for Forecast {
    fn see(&self, declarations: &Declarations, reference: &Reference) -> Result<Sight, Box<Diagnostic>> {
        self.runtime.block_on(self.sight(declarations, reference))
    }

    fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, crate::resource::Fault> {
        self.runtime.block_on(self.world.read(name, &None, || self.world.provider.look_up(name, arguments)))
    }

    fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, crate::resource::Fault> {
        self.runtime.block_on(self.world.provider.fetch(url, sha256))
    }
}

/// What differs is not all: it may have failed, be unfinished, or not be ours yet.
fn decide(kind: &Kind, live: &Live, action: Action, reason: Option<&Reason>) -> Action {
    match (&live.status, action) {
        (Status::Failed(_), _) if kind.nature.mended_by.is_none() => Action::Replace,
        (Status::Failed(_), Action::None) => Action::Update,
        // Nothing differs, but it is not ready, or not ours yet: an update of no field.
        (Status::Pending(_), Action::None) => Action::Update,
        (_, Action::None) if reason.is_some() => Action::Update,
        _ => action,
    }
}

fn remembers(live: &Live, declaration: &Declaration) -> bool {
    live.owner.as_ref().is_some_and(|owner| owner.protect) == declaration.options.protect
}
