//! Cloudflare: DNS records and zones, behind the provider's verbs.
//!
//! A run reads the zones that the token may see once, and all records of each zone in one paginated listing; whose a
//! record is stands in its comment.

mod api;
mod client;
mod comment;
mod content;
mod dns_record;
mod fault;
mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt, try_join_all};

pub use self::client::{Settings, Tokens};

use self::api::{Record, RecordId};
use self::client::Client;
use self::comment::Scope;
use self::zone::Zone;
use crate::providers::typed::Named;
use crate::resource::kind::Lookup;
use crate::resource::{Class, Create, Delete, Fault, Kind, Live, Provider, Select, Update, Value};

/// Every kind there is.
pub fn kinds() -> Vec<Arc<Kind>> {
    vec![dns_record::kind()]
}

pub fn lookups() -> Vec<Lookup> {
    vec![zone::lookup()]
}

/// Cloudflare behind the provider's verbs. Nothing is sent, and no token is looked for, before the first call.
pub struct Cloudflare {
    client: Client,
    scope: Scope,
    known: Mutex<Known>,
    kinds: Vec<Arc<Kind>>,
    lookups: Vec<Lookup>,
}

/// What this run has learned of the zones.
#[derive(Default)]
struct Known {
    /// Their records, by the zone's id, as they were last listed and not changed since by us.
    records: BTreeMap<String, Arc<Vec<Record>>>,
    /// Counts our changes, so that a listing begun before one is not kept.
    changes: u64,
    /// The zones in which the stack has something, once all were looked into: nothing comes to others without us.
    ours: Option<BTreeSet<String>>,
}

/// From so many records of one zone on, all of them are listed, rather than one after another read.
const SINGLY: usize = 3;

/// So many zones are listed side by side.
const AT_A_TIME: usize = 4;

impl Cloudflare {
    pub fn new(settings: Settings, tokens: Arc<dyn Tokens>) -> Self {
        let scope = Scope::of(settings.owner.as_deref());
        let client = Client::new(settings, tokens);
        Cloudflare { client, scope, known: Mutex::default(), kinds: kinds(), lookups: lookups() }
    }

    /// How many requests were sent so far, by operation (`cloudflare:ListDNSRecords`).
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.client.calls()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("no holder panics")
    }

    fn live(&self, record: &Record) -> Live {
        dns_record::live(record, &self.scope)
    }

    /// All records of a zone, as they are now.
    async fn listed(&self, zone: &Zone) -> Result<Arc<Vec<Record>>, Fault> {
        let before = self.known().changes;
        let records = Arc::new(self.client.records(zone).await?);
        let mut known = self.known();
        if known.changes == before {
            known.records.insert(zone.id.clone(), records.clone());
        }
        Ok(records)
    }

    /// The same, as this run has last seen them if it has not changed any since.
    async fn seen(&self, zone: &Zone) -> Result<Arc<Vec<Record>>, Fault> {
        let seen = self.known().records.get(&zone.id).cloned();
        match seen {
            Some(records) => Ok(records),
            None => self.listed(zone).await,
        }
    }

    /// All records of these zones: as they are now, or as this run has last seen them.
    async fn all(&self, zones: &[&Zone], now: bool) -> Result<Vec<Record>, Fault> {
        let mut records = vec![];
        for some in zones.chunks(AT_A_TIME) {
            let listing =
                |zone| async move { if now { self.listed(zone).await } else { self.seen(zone).await } }.boxed();
            let listings: Vec<BoxFuture<_>> = some.iter().copied().map(listing).collect();
            for of_zone in try_join_all(listings).await? {
                records.extend(of_zone.iter().cloned());
            }
        }
        Ok(records)
    }

    async fn owned(&self, stack: &str) -> Result<Vec<Live>, Fault> {
        let ours = self.known().ours.clone();
        let zones = self.client.zones().await?.chosen.iter();
        let zones: Vec<&Zone> = zones.filter(|zone| ours.as_ref().is_none_or(|ours| ours.contains(&zone.id))).collect();
        let records = self.all(&zones, true).await?;
        let is_ours = |live: &Live| live.owner.as_ref().is_some_and(|owner| owner.stack == *stack);
        let (mut lives, mut zones) = (vec![], BTreeSet::new());
        for record in records {
            let live = self.live(&record);
            if is_ours(&live) {
                zones.insert(record.zone_id);
                lives.push(live);
            }
        }
        self.known().ours.get_or_insert_default().extend(zones);
        Ok(lives)
    }

    async fn by_id(&self, ids: &BTreeSet<String>) -> Result<Vec<Record>, Fault> {
        let mut by_zone: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for id in ids {
            // What is no id of ours names nothing that is there.
            if let Ok(id) = id.parse::<RecordId>() {
                by_zone.entry(id.zone).or_default().insert(id.record);
            }
        }
        let mut found = vec![];
        for (zone, wanted) in by_zone {
            let zone = self.client.zone(&zone).await?;
            if wanted.len() > SINGLY {
                let records = self.listed(zone).await?;
                found.extend(records.iter().filter(|record| wanted.contains(&record.id)).cloned());
                continue;
            }
            for record in wanted {
                found.extend(self.client.record(&RecordId { zone: zone.id.clone(), record }).await?);
            }
        }
        Ok(found)
    }

    /// A change that is about to be made, or was: what was listed is not to be relied on.
    fn changes(&self, zone: &str) {
        let mut known = self.known();
        known.changes += 1;
        known.records.remove(zone);
        if let Some(ours) = &mut known.ours {
            ours.insert(zone.to_owned());
        }
    }
}

#[async_trait]
impl Provider for Cloudflare {
    fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// Which kinds there may be something of: to know for sure would be to list them.
    async fn owned_kinds(&self, region: Option<&str>, _: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let asked = region.is_none() && self.client.is_in_use();
        Ok(asked.then(|| Arc::from(dns_record::NAME)).into_iter().collect())
    }

    async fn list(&self, _: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        refuse_region(region)?;
        Ok(match select {
            Select::Owned { stack } => self.owned(stack).await?,
            Select::Ids(ids) => self.by_id(ids).await?.iter().map(|record| self.live(record)).collect(),
            Select::Named(names) => {
                let names: BTreeSet<String> = names.iter().map(|name| content::host(name)).collect();
                let zones: Vec<&Zone> = self.client.zones().await?.chosen.iter().collect();
                let mut records = self.all(&zones, false).await?;
                records.retain(|record| names.contains(&record.name));
                records.iter().map(|record| self.live(record)).collect()
            }
        })
    }

    async fn create(&self, _: &Kind, request: &Create) -> Result<String, Fault> {
        refuse_region(request.region.as_deref())?;
        let zone = self.client.zone(dns_record::zone_of(&request.inputs)).await?;
        let body = dns_record::to_create(request, zone, &self.scope)?;
        self.changes(&zone.id);
        let made = self.client.create(&zone.id, &body).await;
        self.changes(&zone.id);
        Ok(RecordId { zone: zone.id.clone(), record: made?.id }.to_string())
    }

    async fn update(&self, _: &Kind, request: &Update) -> Result<(), Fault> {
        let id: RecordId = request.live.id.parse()?;
        let zone = self.client.zone(&id.zone).await?;
        let body = dns_record::to_update(request, zone, &self.scope)?;
        self.changes(&id.zone);
        let done = self.client.update(&id, &body).await;
        self.changes(&id.zone);
        done
    }

    async fn delete(&self, _: &Kind, request: &Delete) -> Result<(), Fault> {
        let id: RecordId = request.live.id.parse()?;
        self.changes(&id.zone);
        let done = self.client.delete(&id).await;
        self.changes(&id.zone);
        done
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        let Named { name: wanted } = arguments.into();
        match name {
            zone::NAME => zone::find(self.client.zones().await?, &wanted),
            _ => Err(Fault::new(Class::Invalid, format!("{name} is not a lookup of Cloudflare"))),
        }
    }
}

fn refuse_region(region: Option<&str>) -> Result<(), Fault> {
    match region {
        None => Ok(()),
        Some(region) => Err(Fault::new(Class::Invalid, format!("a DNS record lives in no region, nor in `{region}`"))
            .hint("leave the option `region` out")),
    }
}
