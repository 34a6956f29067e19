//! All providers behind one: each kind goes to the one that has it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::aws::Aws;
use super::kubernetes::{self, Kubernetes, Token, Tokens};
use super::remote;
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{
    Address, Create, Delete, Fault, Kind, Live, Map, Preview, Previewed, Provider, Select, Update, Value,
};
use crate::secret::Source;

pub struct Together {
    aws: Arc<Aws>,
    kubernetes: Kubernetes,
    kinds: Vec<Arc<Kind>>,
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

impl Together {
    pub fn new(aws: Aws, read_only: bool, files: PathBuf) -> Self {
        let aws = Arc::new(aws);
        let kubernetes = Kubernetes::new(Arc::new(OfAws(aws.clone())), read_only);
        Together { aws, kubernetes, kinds: super::kinds(), compounds: super::compounds(), files }
    }

    fn of(&self, kind: &str) -> &dyn Provider {
        if kind.starts_with("k8s::") { &self.kubernetes } else { &*self.aws }
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
        self.aws.lookups()
    }

    fn compounds(&self) -> &[Compound] {
        &self.compounds
    }

    fn open(&self, name: &str, region: Option<&str>, inputs: &Map) -> Result<(), Fault> {
        self.kubernetes.open(name, region, inputs)
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let mut kinds = self.kubernetes.owned_kinds(region, stack).await?;
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

    async fn secret(&self, source: &Source) -> Result<String, Fault> {
        self.aws.secret(source).await
    }

    async fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        remote::fetch(url, sha256, &self.files).await.map(Some)
    }
}
