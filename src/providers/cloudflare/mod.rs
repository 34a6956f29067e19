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

pub use self::client::{Settings, Tokens};

use self::api::{Record, RecordId};
use self::client::Client;
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
    /// The records of each zone, by the zone's id, as they were last listed and not changed since by us.
    records: Mutex<BTreeMap<String, Arc<Vec<Record>>>>,
    kinds: Vec<Arc<Kind>>,
    lookups: Vec<Lookup>,
}

/// From so many records of one zone on, all of them are listed, rather than one after another read.
const SINGLY: usize = 3;

impl Cloudflare {
    pub fn new(settings: Settings, tokens: Arc<dyn Tokens>) -> Self {
        Cloudflare {
            client: Client::new(settings, tokens),
            records: Mutex::default(),
            kinds: kinds(),
            lookups: lookups(),
        }
    }

    /// How many requests were sent so far, by operation (`cloudflare:ListDNSRecords`).
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.client.calls()
    }

    fn last_seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Vec<Record>>>> {
        self.records.lock().expect("no holder panics")
    }

    /// All records of a zone, as they are now.
    async fn listed(&self, zone: &Zone) -> Result<Arc<Vec<Record>>, Fault> {
        let records = Arc::new(self.client.records(zone).await?);
        self.last_seen().insert(zone.id.clone(), records.clone());
        Ok(records)
    }

    /// The same, as this run has last seen them if it has not changed any since.
    async fn seen(&self, zone: &Zone) -> Result<Arc<Vec<Record>>, Fault> {
        let seen = self.last_seen().get(&zone.id).cloned();
        match seen {
            Some(records) => Ok(records),
            None => self.listed(zone).await,
        }
    }

    /// All records of all zones: as they are now, or as this run has last seen them.
    async fn all(&self, now: bool) -> Result<Vec<Record>, Fault> {
        let mut records = vec![];
        for zone in self.client.zones().await? {
            let of_zone = if now { self.listed(zone).await? } else { self.seen(zone).await? };
            records.extend(of_zone.iter().cloned());
        }
        Ok(records)
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
            let listed = match wanted.len() > SINGLY {
                true => self.client.zones().await?.iter().find(|known| known.id == zone),
                false => None,
            };
            if let Some(zone) = listed {
                let records = self.listed(zone).await?;
                found.extend(records.iter().filter(|record| wanted.contains(&record.id)).cloned());
                continue;
            }
            for record in wanted {
                found.extend(self.client.record(&RecordId { zone: zone.clone(), record }).await?);
            }
        }
        Ok(found)
    }

    /// Whatever comes of a change: what was listed before is not to be relied on.
    fn changes(&self, zone: &str) {
        self.last_seen().remove(zone);
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
            Select::Owned { stack } => {
                let mut lives: Vec<Live> = self.all(true).await?.iter().map(dns_record::live).collect();
                lives.retain(|live| live.owner.as_ref().is_some_and(|owner| owner.stack == *stack));
                lives
            }
            Select::Ids(ids) => self.by_id(ids).await?.iter().map(dns_record::live).collect(),
            Select::Named(names) => {
                let names: BTreeSet<String> = names.iter().map(|name| content::host(name)).collect();
                let records = self.all(false).await?;
                records.iter().filter(|record| names.contains(&record.name)).map(dns_record::live).collect()
            }
        })
    }

    async fn create(&self, _: &Kind, request: &Create) -> Result<String, Fault> {
        refuse_region(request.region.as_deref())?;
        let (zone, body) = dns_record::to_create(request)?;
        self.changes(&zone);
        let record = self.client.create(&zone, &body).await?;
        Ok(RecordId { zone, record: record.id }.to_string())
    }

    async fn update(&self, _: &Kind, request: &Update) -> Result<(), Fault> {
        let id: RecordId = request.live.id.parse()?;
        let body = dns_record::to_update(request)?;
        self.changes(&id.zone);
        self.client.update(&id, &body).await
    }

    async fn delete(&self, _: &Kind, request: &Delete) -> Result<(), Fault> {
        let id: RecordId = request.live.id.parse()?;
        self.changes(&id.zone);
        self.client.delete(&id).await
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
