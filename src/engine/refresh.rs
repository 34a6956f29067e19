//! Reads what is live, per kind instead of per resource, and each listing once per evaluation.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::limiter::Limiter;
use crate::diagnostic::Diagnostic;
use crate::event::{Event, Events};
use crate::resource::{Address, Class, Fault, Kind, Live, Map, Provider, Select, Status};
use crate::secret::Secrets;

/// What the stack owns of one kind in one region, as of one listing.
#[derive(Debug, Default)]
pub struct Listing {
    pub all: Vec<Arc<Live>>,
    by_address: HashMap<Address, Vec<usize>>,
}

impl Listing {
    fn new(lives: Vec<Live>) -> Self {
        let mut listing = Listing::default();
        for live in lives.into_iter().filter(|live| live.status != Status::Deleting) {
            if let Some(owner) = &live.owner {
                listing.by_address.entry(owner.address.clone()).or_default().push(listing.all.len());
            }
            listing.all.push(Arc::new(live));
        }
        listing
    }

    /// The resources that carry this address and are not on their way out.
    pub fn at(&self, address: &Address) -> Vec<&Arc<Live>> {
        let indices = self.by_address.get(address).map(Vec::as_slice).unwrap_or_default();
        indices
            .iter()
            .map(|index| &self.all[*index])
            .filter(|live| live.owner.as_ref().is_some_and(|owner| !owner.deposed))
            .collect()
    }
}

/// `None` is the inventory's.
pub type Region = Option<String>;
/// A kind in a region: what one listing covers.
pub type Range = (Arc<str>, Region);
type Cell<T> = Arc<OnceCell<T>>;
type Listings = HashMap<(Range, Select), Cell<Arc<Listing>>>;

/// The live side of one evaluation. Asking twice reads once; a new stage takes a new one.
pub struct World {
    pub provider: Arc<dyn Provider>,
    pub stack: String,
    pub(super) events: Events,
    pub(super) limiter: Limiter,
    kinds: Mutex<HashMap<Arc<str>, Arc<Kind>>>,
    /// Regions that nothing opens yet: what is to live there does not exist.
    closed: Mutex<BTreeSet<String>>,
    listings: Mutex<Listings>,
    owned_kinds: Mutex<HashMap<Region, Cell<BTreeSet<Arc<str>>>>>,
    /// What an earlier stage of this run made; a listing may not show it yet.
    made: Vec<Arc<Live>>,
    pub secrets: Secrets,
}

impl World {
    pub fn new(provider: Arc<dyn Provider>, stack: &str, events: Events) -> Self {
        let kinds: HashMap<_, _> = provider.kinds().iter().map(|kind| (kind.name.clone(), kind.clone())).collect();
        World {
            provider,
            stack: stack.to_owned(),
            limiter: Limiter::new(events.clone(), None),
            events,
            kinds: Mutex::new(kinds),
            closed: Mutex::default(),
            listings: Mutex::default(),
            owned_kinds: Mutex::default(),
            made: vec![],
            secrets: Secrets::default(),
        }
    }

    /// The same, sharing its patience with whoever else asks the provider in this run.
    pub fn limited_by(mut self, limiter: Limiter) -> Self {
        self.limiter = limiter;
        self
    }

    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Learns what can be learned of all secrets, so that none is shown of what is deleted. What cannot be had now is not
    /// needed for that.
    pub async fn learn_secrets(&self) {
        for name in self.secrets.names() {
            drop(self.learn_secret(&name).await);
        }
    }

    /// Learns the value of a secret, once in a run. Of one that is empty or not to be had, why.
    pub async fn learn_secret(&self, name: &str) -> Result<(), Diagnostic> {
        if self.secrets.get(name).is_some() {
            return Ok(());
        }
        let cannot = || Diagnostic::error(format!("the secret `{name}` cannot be had"));
        let Some(source) = self.secrets.source(name) else {
            return Err(cannot().because("the inventory does not say where it is"));
        };
        let value = if self.provider.stands_in_for_secrets() {
            self.provider.stand_in(name)
        } else {
            match source.read() {
                Some(read) => read.map_err(|why| cannot().because(why))?,
                None => self
                    .read("secret", &None, || self.provider.secret(&source))
                    .await
                    .map_err(|fault| cannot().because(format!("{source}: {fault}")).maybe_hint(fault.hint.clone()))?,
            }
        };
        if value.is_empty() {
            return Err(cannot().because(format!("{source}: it is empty")));
        }
        self.secrets.learn(name, &value);
        Ok(())
    }

    /// The same, knowing what an earlier stage made: it is looked for by its id where a listing leaves it out.
    pub fn after(mut self, made: Vec<Arc<Live>>) -> Self {
        self.made = made;
        self
    }

    /// The kind of a name; declarations are checked against the same list, so a miss is a resource of a kind that
    /// an older or newer runner knows.
    pub fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        let mut kinds = self.kinds.lock().expect("no holder panics");
        if let Some(kind) = kinds.get(name) {
            return Some(kind.clone());
        }
        let kind = self.provider.kind(name)?;
        kinds.insert(kind.name.clone(), kind.clone());
        Some(kind)
    }

    /// Opens a region, or remembers that it cannot be opened yet.
    pub fn open(&self, opened: &str, name: &str, region: &Region, inputs: Option<&Map>) -> Result<(), Fault> {
        let mut closed = self.closed.lock().expect("no holder panics");
        match inputs {
            Some(inputs) => {
                self.provider.open(name, region.as_deref(), inputs)?;
                closed.remove(opened);
            }
            None => drop(closed.insert(opened.to_owned())),
        }
        Ok(())
    }

    /// Whether nothing can exist in a region, because what opens it does not.
    pub fn is_closed(&self, region: &Region) -> bool {
        region.as_ref().is_some_and(|region| self.closed.lock().expect("no holder panics").contains(region))
    }

    /// Everything of a kind that the stack owns.
    pub async fn owned(&self, kind: &Kind, region: &Region) -> Result<Arc<Listing>, Fault> {
        self.selected(kind, region, Select::Owned { stack: self.stack.clone() }).await
    }

    /// Particular resources, whoever owns them.
    pub async fn selected(&self, kind: &Kind, region: &Region, select: Select) -> Result<Arc<Listing>, Fault> {
        if self.is_closed(region) {
            return Ok(Arc::default());
        }
        let key = ((kind.name.clone(), region.clone()), select.clone());
        let cell = self.listings.lock().expect("no holder panics").entry(key).or_default().clone();
        let listing = cell
            .get_or_try_init(|| async {
                let list = || self.provider.list(kind, region.as_deref(), &select);
                let mut lives = self.read(&kind.name, region, list).await?;
                if matches!(select, Select::Owned { .. }) {
                    let overlooked = self.overlooked(kind, region, &lives);
                    if !overlooked.is_empty() {
                        let select = Select::Ids(overlooked);
                        let list = || self.provider.list(kind, region.as_deref(), &select);
                        let mut found = self.read(&kind.name, region, list).await?;
                        // By its name it may be somebody else's by now.
                        found.retain(|live| live.owner.as_ref().is_some_and(|owner| owner.stack == self.stack));
                        lives.extend(found);
                    }
                }
                let (kind, region, found) = (kind.name.clone(), region.clone(), lives.len());
                self.events.emit(Event::Listed { kind, region, found });
                Ok::<_, Fault>(Arc::new(Listing::new(lives)))
            })
            .await?;
        Ok(listing.clone())
    }

    /// A listing by tags lags behind: without this, the next stage would make again what the last one made.
    fn overlooked(&self, kind: &Kind, region: &Region, listed: &[Live]) -> BTreeSet<String> {
        let ours = |live: &&Arc<Live>| {
            live.region == *region && live.owner.as_ref().is_some_and(|owner| owner.address.kind == kind.name)
        };
        let made = self.made.iter().filter(ours).map(|live| live.id.clone());
        made.filter(|id| !listed.iter().any(|live| live.id == *id)).collect()
    }

    /// What a listing found, if it was made already. For the pure part of planning.
    pub fn seen(&self, kind: &Kind, region: &Region, select: &Select) -> Option<Arc<Listing>> {
        let key = ((kind.name.clone(), region.clone()), select.clone());
        self.listings.lock().expect("no holder panics").get(&key).and_then(|cell| cell.get().cloned())
    }

    /// The listing already made whose selection fits.
    pub fn seen_where(&self, kind: &Kind, region: &Region, fits: impl Fn(&Select) -> bool) -> Option<Arc<Listing>> {
        let listings = self.listings.lock().expect("no holder panics");
        let found =
            listings.iter().find(|(((name, at), select), _)| *name == kind.name && at == region && fits(select));
        found.and_then(|(_, cell)| cell.get().cloned())
    }

    /// The kinds of which the stack owns something.
    pub async fn owned_kinds(&self, region: &Region) -> Result<BTreeSet<Arc<str>>, Fault> {
        if self.is_closed(region) {
            return Ok(BTreeSet::new());
        }
        let cell = self.owned_kinds.lock().expect("no holder panics").entry(region.clone()).or_default().clone();
        let kinds = cell
            .get_or_try_init(|| {
                self.read("census", region, || self.provider.owned_kinds(region.as_deref(), &self.stack))
            })
            .await?;
        Ok(kinds.clone())
    }
}

/// A failed read, told as what it keeps us from.
pub fn cannot_read(kind: &str, fault: &Fault) -> Diagnostic {
    // Who is not let in at all is not helped by the name of the first thing he wanted to see.
    let summary = match fault.is_at_the_door() || fault.operation.is_none() && fault.class != Class::Throttled {
        true => "cannot reach the provider".to_owned(),
        false => format!("cannot read what is live of `{kind}`"),
    };
    Diagnostic::error(summary).because(fault.to_string()).maybe_hint(fault.hint.clone().or_else(|| {
        (fault.class == Class::Throttled).then(|| "the provider limits how often it may be asked; run again".into())
    }))
}
