//! Kubernetes: objects of any kind on clusters, behind the provider's verbs.
//!
//! | file | what it does |
//! |---|---|
//! | `cluster` | the kind `k8s::cluster`: the way to a cluster, and the stack's ApplySet on it |
//! | `manifest`, `yaml`, `expand` | `k8s::manifest`: texts to objects |
//! | `kinds` | the kinds of objects: one for every name |
//! | `connection`, `proxy` | one cluster's API server: clients, tokens, requests, discovery |
//! | `objects`, `namespaces` | reading: objects as they are, by label, id or name |
//! | `preview`, `unknowns` | planning: a server-side dry run compared with what is live |
//! | `apply` | writing: server-side apply, deletion |
//! | `parent`, `applyset` | who owns what: the ApplySet of KEP-3659 |
//! | `diff`, `path`, `fields` | comparing objects; who set which field |
//! | `readiness`, `pods` | what is ready, and why not |
//! | `order`, `references` | what comes first |
//! | `object`, `fault` | names of objects; what went wrong |

mod apply;
mod applyset;
mod cluster;
mod connection;
mod diff;
mod expand;
mod fault;
mod fields;
mod kinds;
mod manifest;
mod namespaces;
mod object;
mod objects;
mod order;
mod parent;
mod path;
mod pods;
mod preview;
mod proxy;
mod readiness;
mod references;
mod unknowns;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

pub use self::connection::{Token, Tokens};

use self::connection::Cluster;
use self::object::Id;
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{
    Address, Class, Create, Delete, Fault, Kind, Live, Map, Preview, Previewed, Provider, Select, Update,
};

/// The manager of the fields that we apply.
const MANAGER: &str = "runner";

/// Who could tell a region from a cluster: `k8s:prod`.
const PLACE: &str = "k8s:";

/// Every kind that can be listed here; objects have a kind for every name.
pub fn kinds() -> Vec<Arc<Kind>> {
    vec![cluster::kind()]
}

/// One of these, or whatever else a cluster may have.
pub fn kind_among(kinds: &[Arc<Kind>], name: &str) -> Option<Arc<Kind>> {
    kinds.iter().find(|kind| *kind.name == *name).cloned().or_else(|| kind(name))
}

/// The kind of an object: `k8s::Deployment`.
pub fn kind(name: &str) -> Option<Arc<Kind>> {
    kinds::named(name)
}

pub fn compounds() -> Vec<Compound> {
    vec![expand::manifest()]
}

/// Whether a region is a cluster.
pub fn is_place(region: Option<&str>) -> bool {
    region.is_some_and(|region| region.starts_with(PLACE))
}

fn place(cluster: &str) -> String {
    format!("{PLACE}{cluster}")
}

/// What comes first among objects, whoever holds them.
pub fn order(resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
    kinds::order(resources)
}

/// A preview where there is no API server to ask: what is declared against what was declared.
pub fn preview_by_shape(request: &Preview) -> Previewed {
    preview::by_shape(request)
}

/// A preview of what nobody was asked about: the same, and said to be no more than that.
pub fn preview_unasked(request: &Preview, why: &str) -> Previewed {
    preview::unasked(request, why)
}

/// The input that is an object's name among all.
pub use kinds::OBJECT;

/// Whether a kind is one of objects on a cluster.
pub fn is_object(kind: &str) -> bool {
    kinds::named(kind).is_some()
}

/// Whether what objects of a kind hold is never shown.
pub fn is_secret(kind: &str) -> bool {
    kinds::named(kind).is_some_and(|kind| diff::is_sensitive(kinds::kind_of(&kind), "data"))
}

/// Kubernetes behind the provider's verbs. Nothing is sent before the first call.
pub struct Kubernetes {
    tokens: Arc<dyn Tokens>,
    read_only: bool,
    clusters: Mutex<BTreeMap<String, Arc<Cluster>>>,
    kinds: Vec<Arc<Kind>>,
}

impl Kubernetes {
    pub fn new(tokens: Arc<dyn Tokens>, read_only: bool) -> Self {
        Kubernetes { tokens, read_only, clusters: Mutex::default(), kinds: kinds() }
    }

    fn opened(&self) -> Vec<Arc<Cluster>> {
        self.clusters.lock().expect("no holder panics").values().cloned().collect()
    }

    /// The cluster of a region, if the way to it is known.
    fn cluster(&self, region: Option<&str>) -> Option<Arc<Cluster>> {
        let name = region?.strip_prefix(PLACE)?;
        self.clusters.lock().expect("no holder panics").get(name).cloned()
    }

    fn reached(&self, region: Option<&str>) -> Result<Arc<Cluster>, Fault> {
        self.cluster(region).ok_or_else(|| {
            let region = region.unwrap_or("no cluster");
            Fault::new(Class::Invalid, format!("the way to {region} is not known"))
        })
    }
}

#[async_trait]
impl Provider for Kubernetes {
    fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        kind_among(&self.kinds, name)
    }

    fn lookups(&self) -> &[Lookup] {
        &[]
    }

    fn open(&self, name: &str, region: Option<&str>, inputs: &Map) -> Result<(), Fault> {
        let way = cluster::way(region, inputs)?;
        let mut clusters = self.clusters.lock().expect("no holder panics");
        if clusters.get(name).is_none_or(|known| *known.inputs() != *inputs) {
            let made = Cluster::new(name, way, inputs.clone(), self.tokens.clone(), self.read_only);
            clusters.insert(name.to_owned(), Arc::new(made));
        }
        Ok(())
    }

    fn whereabouts(&self) -> BTreeMap<String, String> {
        let opened = self.opened().into_iter();
        opened.filter_map(|one| Some((format!("{}.{}", cluster::NAME, one.name), one.server()?))).collect()
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let Some(cluster) = self.cluster(region) else {
            // Clusters themselves live in no cluster.
            let any = region.is_none() && !self.opened().is_empty();
            return Ok(any.then(|| Arc::from(cluster::NAME)).into_iter().collect());
        };
        let parent = cluster.parent(stack).await?;
        Ok(parent.group_kinds().map(|kind| kinds::name_of(kind).into()).collect())
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        if *kind.name == *cluster::NAME {
            return cluster::list(&self.opened(), region, select).await;
        }
        objects::list(&*self.reached(region)?, kinds::kind_of(kind), select).await
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        if *kind.name == *cluster::NAME {
            let name = &request.owner.address.name;
            self.open(name, request.region.as_deref(), &request.inputs)?;
            return cluster::create(&*self.reached(Some(&place(name)))?, request).await;
        }
        let cluster = self.reached(request.region.as_deref())?;
        apply::create(&cluster, request).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        if *kind.name == *cluster::NAME {
            let name = &request.owner.address.name;
            return cluster::update(&*self.reached(Some(&place(name)))?, request).await;
        }
        let cluster = self.reached(request.live.region.as_deref())?;
        apply::update(&cluster, request).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        if *kind.name == *cluster::NAME {
            return cluster::delete(&*self.reached(Some(&request.live.id))?, request).await;
        }
        let cluster = self.reached(request.live.region.as_deref())?;
        apply::delete(&cluster, request).await
    }

    async fn preview(&self, _: &Kind, request: &Preview) -> Result<Previewed, Fault> {
        match self.cluster(request.region.as_deref()) {
            Some(cluster) => preview::preview(&cluster, request).await,
            None => Ok(preview::of_nothing(request, "its cluster does not exist yet")),
        }
    }

    fn order(&self, resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
        order(resources)
    }

    async fn look_up(&self, name: &str, _: &[crate::resource::Value]) -> Result<crate::resource::Value, Fault> {
        Err(Fault::new(Class::Invalid, format!("{name} is not a lookup of Kubernetes")))
    }
}

/// The id of an object as a provider is given it.
fn id_of(text: &str) -> Result<Id, Fault> {
    text.parse().map_err(|why: String| Fault::new(Class::Invalid, why))
}
