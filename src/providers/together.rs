//! All providers behind one: each kind goes to the one that has it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::aws::Aws;
use super::cloudflare::{self, Cloudflare};
use super::kubernetes::{self, Kubernetes, Token, Tokens};
use super::remote;
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{
    Address, Class, Create, Delete, Fault, Kind, Live, LockPlace, LockStore, Map, Preview, Previewed, Provider, Select,
    Update, Value,
};
use crate::secret::{Secrets, Source};

pub struct Together {
    aws: Arc<Aws>,
    cloudflare: Cloudflare,
    kubernetes: Kubernetes,
    kinds: Vec<Arc<Kind>>,
    lookups: Vec<Lookup>,
    compounds: Vec<Compound>,
    /// Where files from the web are kept.
    files: PathBuf,
}

/// Who we are to AWS is who we are to EKS.
struct OfAws(Arc<Aws>);

#[async_trait]
impl Tokens for OfAws {
    async fn token(&self, region: Option<&str>, cluster: &str) -> Result<Token, Fault> {
        self.0.eks_token(region, cluster).await.map(Token)
    }
}

/// Cloudflare's API token: a secret of the inventory, or of the environment.
pub struct CloudflareToken {
    aws: Arc<Aws>,
    name: Option<String>,
    secrets: Secrets,
}

/// Where the token is if the inventory names none.
const VARIABLE: &str = "CLOUDFLARE_API_TOKEN";

impl CloudflareToken {
    pub fn new(aws: Arc<Aws>, name: Option<String>, secrets: Secrets) -> Self {
        CloudflareToken { aws, name, secrets }
    }
}

#[async_trait]
impl cloudflare::Tokens for CloudflareToken {
    async fn token(&self) -> Result<String, Fault> {
        let cannot = |why: String| {
            let fault = Fault::new(Class::Denied, format!("the Cloudflare API token cannot be had: {why}"));
            fault.hint(
                "an API token with the permissions Zone / Zone / Read and Zone / DNS / Edit belongs where the inventory \
                 says, `[cloudflare] token`, or into `CLOUDFLARE_API_TOKEN`; none is needed without `[cloudflare]` and \
                 without records in the playbook, and then those that are there are left alone",
            )
        };
        let (name, source) = match &self.name {
            Some(name) => (name.as_str(), self.secrets.source(name)),
            None => (VARIABLE, Some(Source::Environment(VARIABLE.into()))),
        };
        if let Some(known) = self.secrets.get(name) {
            return Ok(known.to_string());
        }
        let source = source.ok_or_else(|| cannot(format!("the inventory names no secret `{name}`")))?;
        let token = match source.read() {
            Some(read) => read.map_err(cannot)?,
            // What is to be done about it, AWS says.
            None => self.aws.secret(&source).await.map_err(|fault| {
                let message = format!("the Cloudflare API token cannot be had: {source}: {}", fault.message);
                Fault { message, ..fault }
            })?,
        };
        if token.trim().is_empty() {
            return Err(cannot(format!("{source}: it is empty")));
        }
        if !token.trim().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(cannot(format!("{source}: it has characters that no token has")));
        }
        self.secrets.learn(name, &token);
        Ok(token)
    }
}

impl Together {
    pub fn new(aws: Arc<Aws>, cloudflare: Cloudflare, read_only: bool, files: PathBuf) -> Self {
        let kubernetes = Kubernetes::new(Arc::new(OfAws(aws.clone())), read_only);
        let (kinds, lookups, compounds) = (super::kinds(), super::lookups(), super::compounds());
        Together { aws, cloudflare, kubernetes, kinds, lookups, compounds, files }
    }

    fn of(&self, kind: &str) -> &dyn Provider {
        match kind.split_once("::") {
            Some(("k8s", _)) => &self.kubernetes,
            Some(("cloudflare", _)) => &self.cloudflare,
            _ => &*self.aws,
        }
    }
}

#[async_trait]
impl Provider for Together {
    fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        self.of(name).kind(name)
    }

    fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    fn compounds(&self) -> &[Compound] {
        &self.compounds
    }

    fn open(&self, name: &str, region: Option<&str>, inputs: &Map) -> Result<(), Fault> {
        self.kubernetes.open(name, region, inputs)
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let mut kinds = self.kubernetes.owned_kinds(region, stack).await?;
        kinds.extend(self.cloudflare.owned_kinds(region, stack).await?);
        // Where no region is set there is no AWS in the stack.
        if !kubernetes::is_place(region) && (region.is_some() || self.aws.has_region().await) {
            kinds.extend(self.aws.owned_kinds(region, stack).await?);
        }
        Ok(kinds)
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        self.of(&kind.name).list(kind, region, select).await
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        self.of(&kind.name).create(kind, request).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        self.of(&kind.name).update(kind, request).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        self.of(&kind.name).delete(kind, request).await
    }

    async fn preview(&self, kind: &Kind, request: &Preview) -> Result<Previewed, Fault> {
        self.of(&kind.name).preview(kind, request).await
    }

    fn order(&self, resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
        kubernetes::order(resources)
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.of(name).look_up(name, arguments).await
    }

    fn service<'a>(&self, what: &'a str) -> Cow<'a, str> {
        self.of(what).service(what)
    }

    fn refusals(&self, service: &str, region: Option<&str>) -> u64 {
        self.aws.refusals(service, region)
    }

    async fn secret(&self, source: &Source) -> Result<String, Fault> {
        self.aws.secret(source).await
    }

    fn lock_store(&self, place: &LockPlace, stack: &str) -> Option<Arc<dyn LockStore>> {
        self.aws.lock_store(place, stack)
    }

    fn whereabouts(&self) -> BTreeMap<String, String> {
        let mut known = self.aws.whereabouts();
        known.extend(self.kubernetes.whereabouts());
        known
    }

    async fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        remote::fetch(url, sha256, &self.files).await.map(Some)
    }
}
