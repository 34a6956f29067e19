//! The few verbs through which the outside is reached, and the ways in which they fail.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::compound::Compound;
use super::kind::Lookup;
use super::{Address, Kind, Live, LockPlace, LockStore, Map, Owner, Preview, Previewed, Value};
use crate::diagnostic::Diagnostic;
use crate::secret::Source;

/// Something that holds resources: a cloud, a cluster, the sandbox. It does one call's work and reports; it never
/// waits for readiness, retries on its own, or prints.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The kinds it answers for.
    fn kinds(&self) -> &[Arc<Kind>];

    /// A kind by its name; also one of those that nobody could list, as every cluster has kinds of its own.
    fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        self.kinds().iter().find(|kind| *kind.name == *name).cloned()
    }

    fn lookups(&self) -> &[Lookup];

    fn compounds(&self) -> &[Compound] {
        &[]
    }

    /// Learns the way to what a resource of such a kind opens (see [`super::kind::Nature::opens`]). Sends nothing.
    fn open(&self, name: &str, region: Option<&str>, inputs: &Map) -> Result<(), Fault> {
        let (_, _, _) = (name, region, inputs);
        Ok(())
    }

    /// What a resource would become, for kinds that only the provider can compare.
    async fn preview(&self, kind: &Kind, request: &Preview) -> Result<Previewed, Fault> {
        let _ = request;
        Err(Fault::new(Class::Invalid, format!("there is no preview of {}", kind.name)))
    }

    /// For each of these resources, which of the others must be there first although no input refers to them.
    fn order(&self, resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
        vec![vec![]; resources.len()]
    }

    /// From now on no other run changes it; what was read of it before may be old.
    fn claimed(&self) -> Result<(), Box<Diagnostic>> {
        Ok(())
    }

    /// The kinds of which this stack owns something in this region, so that those no longer declared are found
    /// without listing every kind there is.
    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault>;

    /// All resources that `select` names, in as few calls as the API allows. What does not exist is left out.
    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault>;

    /// Starts a new resource, with its ownership set in the same call where the API can; returns its id.
    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault>;

    /// Brings the named fields and the ownership of an existing resource to what is asked.
    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault>;

    /// Starts the removal. A resource that is gone already is a success.
    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault>;

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault>;

    /// Who serves a kind or a lookup, and limits how often it may be asked: `ec2`.
    fn service<'a>(&self, what: &'a str) -> Cow<'a, str> {
        what.split("::").next().unwrap_or(what).into()
    }

    /// How often a service of a region has refused reads so far because it was asked too often: the provider may have
    /// asked again by itself.
    fn refusals(&self, service: &str, region: Option<&str>) -> u64 {
        let (_, _) = (service, region);
        0
    }

    /// The value of a secret that is kept outside of this machine.
    async fn secret(&self, source: &Source) -> Result<String, Fault> {
        Err(Fault::new(Class::Invalid, format!("there is no way to {source}")))
    }

    /// A file from the web, pinned by its digest; none where it is only played and the web cannot be reached.
    async fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        let _ = sha256;
        Err(Fault::new(Class::Invalid, format!("there is no way to {url}")))
    }

    /// What a team's lock of a stack is kept in; none where there is no such thing. Sends nothing yet.
    fn lock_store(&self, place: &LockPlace, stack: &str) -> Option<Arc<dyn LockStore>> {
        let (_, _) = (place, stack);
        None
    }

    /// By what this outside is told from others of its sort, as far as it is known by now: the account, the region.
    fn whereabouts(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// What to take for every secret without reading it, for what is only made up.
    fn stands_in_for_secrets(&self) -> bool {
        false
    }

    /// What is taken for a secret's value where it is not read.
    fn stand_in(&self, secret: &str) -> String {
        format!("stand-in for the secret {secret}")
    }
}

/// Which resources of a kind to list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    Owned {
        stack: String,
    },
    Ids(BTreeSet<String>),
    /// By the first field of the kind's natural key, whoever owns them.
    Named(BTreeSet<String>),
}

#[derive(Clone, Debug)]
pub struct Create {
    pub region: Option<String>,
    pub owner: Owner,
    /// Complete: no reference is left.
    pub inputs: Map,
    /// The same for every attempt of one intent; for APIs that take one.
    pub token: String,
}

#[derive(Clone, Debug)]
pub struct Update {
    pub live: Live,
    pub owner: Owner,
    pub inputs: Map,
    /// Names of the inputs to bring to what `inputs` says; may be empty if only the ownership changes.
    pub changed: Vec<String>,
    pub token: String,
}

#[derive(Clone, Debug)]
pub struct Delete {
    pub live: Live,
}

/// What a provider says went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub class: Class,
    /// A lower-case fragment: "the CIDR block conflicts with another subnet".
    pub message: String,
    /// The provider's code: `InvalidSubnet.Conflict`.
    pub code: Option<String>,
    /// The call that failed: `ec2:CreateSubnet`.
    pub operation: Option<String>,
    pub request_id: Option<String>,
    pub hint: Option<String>,
    /// The id of what a create made before it failed to set all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Not before this much has passed will it be any better, as the provider itself says. Nothing at all: it may be asked
    /// again at once, and nobody else need be slower for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// What may be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Refused before anything was done; the same call may be made again, later.
    Throttled,
    /// No answer, or one that says nothing: it may have been done. Look before doing it again.
    Ambiguous,
    /// It names something that is not there, or not visible yet.
    NotFound,
    /// Something else still uses it; or it cannot be used in its present state yet.
    Busy,
    /// There already is one with this name.
    Exists,
    Denied,
    Invalid,
    /// Refused by ourselves: a change while nothing may change.
    ReadOnly,
    Other,
}

impl Fault {
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Fault {
            class,
            message: message.into(),
            code: None,
            operation: None,
            request_id: None,
            hint: None,
            created: None,
            retry_after: None,
        }
    }

    /// Of a provider that changes nothing.
    pub fn read_only(verb: &str, kind: &str, why: &str) -> Self {
        Self::new(Class::ReadOnly, format!("refused to {verb} {kind}: {why}"))
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn of(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Nobody was let in: what was asked for first has nothing to do with it.
    pub fn is_at_the_door(&self) -> bool {
        let asked = self.operation.as_deref().is_some_and(|operation| operation.starts_with("sts:"));
        asked && self.class != Class::Throttled
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        let facts: Vec<String> =
            [self.operation.clone(), self.code.clone(), self.request_id.as_ref().map(|id| format!("request {id}"))]
                .into_iter()
                .flatten()
                .collect();
        if facts.is_empty() { Ok(()) } else { write!(f, " ({})", facts.join(", ")) }
    }
}

impl std::error::Error for Fault {}
