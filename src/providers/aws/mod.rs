//! AWS: the list of its kinds and lookups, behind the provider's verbs.

mod batches;
mod census;
mod cidr;
pub mod client;
mod document;
pub mod fault;
mod kind;
mod policy;
mod tagging;
mod tags;

mod autoscaling_group;
mod ecr_repository;
mod eip;
mod instance_refresh;
mod internet_gateway;
mod launch_template;
mod launch_template_data;
mod lookups;
mod nat_gateway;
mod route_table;
mod s3_bucket;
mod s3_bucket_emptying;
mod security_group;
mod security_group_rules;
mod ssm_parameter;
mod subnet;
mod vpc;
mod vpc_endpoint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, ConfigLoader};

pub use client::{Identity, Settings};

use self::client::Client;
use self::kind::{AnyKind, any};
use crate::resource::kind::Lookup;
use crate::resource::{Class, Create, Delete, Fault, Kind, Live, Provider, Select, Update, Value};

/// Every kind there is; a new one is one line.
fn all() -> Vec<Box<dyn AnyKind>> {
    vec![
        any::<vpc::Vpc>(),
        any::<subnet::Subnet>(),
        any::<internet_gateway::InternetGateway>(),
        any::<eip::Eip>(),
        any::<nat_gateway::NatGateway>(),
        any::<route_table::RouteTable>(),
        any::<vpc_endpoint::VpcEndpoint>(),
        any::<security_group::SecurityGroup>(),
        any::<launch_template::LaunchTemplate>(),
        any::<autoscaling_group::AutoScalingGroup>(),
        any::<ecr_repository::EcrRepository>(),
        any::<s3_bucket::S3Bucket>(),
        any::<ssm_parameter::SsmParameter>(),
    ]
}

/// The kinds themselves, for whoever needs no AWS.
pub fn kinds() -> Vec<Arc<Kind>> {
    all().iter().map(|one| one.kind().clone()).collect()
}

/// What can be looked up.
pub fn lookups() -> Vec<Lookup> {
    lookups::all()
}

/// AWS behind the provider's verbs. Nothing is sent, and no credentials are looked for, before the first call.
pub struct Aws {
    client: Client,
    implementations: BTreeMap<Arc<str>, Box<dyn AnyKind>>,
    kinds: Vec<Arc<Kind>>,
    lookups: Vec<Lookup>,
}

impl Aws {
    pub fn connect(settings: Settings) -> Self {
        Self::connect_from(settings, aws_config::defaults(BehaviorVersion::latest()))
    }

    /// The same with another start of the credential chain.
    pub fn connect_from(settings: Settings, loader: ConfigLoader) -> Self {
        let all = all();
        Aws {
            client: Client::new(settings, loader),
            kinds: all.iter().map(|one| one.kind().clone()).collect(),
            implementations: all.into_iter().map(|one| (one.kind().name.clone(), one)).collect(),
            lookups: lookups::all(),
        }
    }

    /// How many requests were sent so far, by operation (`ec2:DescribeVpcs`).
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.client.calls()
    }

    /// Who the credentials belong to; also checks that it is whom the inventory names.
    pub async fn identity(&self) -> Result<&Identity, Fault> {
        self.client.identity().await
    }

    fn implementation(&self, kind: &Kind) -> Result<&dyn AnyKind, Fault> {
        let found = self.implementations.get(&kind.name).map(Box::as_ref);
        found.ok_or_else(|| Fault::new(Class::Invalid, format!("{} is not a kind of AWS", kind.name)))
    }
}

#[async_trait]
impl Provider for Aws {
    fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let region = self.client.region(region).await?;
        census::owned_kinds(&region, self.implementations.values().map(Box::as_ref), stack).await
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        let implementation = self.implementation(kind)?;
        implementation.list(&*self.client.region(region).await?, region, select).await
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        let implementation = self.implementation(kind)?;
        implementation.create(&*self.client.region(request.region.as_deref()).await?, request).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        let implementation = self.implementation(kind)?;
        implementation.update(&*self.client.region(request.live.region.as_deref()).await?, request).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        let implementation = self.implementation(kind)?;
        implementation.delete(&*self.client.region(request.live.region.as_deref()).await?, request).await
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        match name {
            lookups::CALLER => Ok(lookups::caller(self.client.identity().await?)),
            lookups::AVAILABILITY_ZONES => lookups::availability_zones(&*self.client.region(None).await?).await,
            lookups::SSM_PARAMETER => {
                let lookups::Named { name } = arguments.into();
                ssm_parameter::look_up(&*self.client.region(None).await?, &name).await
            }
            _ => Err(Fault::new(Class::Invalid, format!("{name} is not a lookup of AWS"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_says_what_it_is() {
        for one in all() {
            let kind = one.kind();
            assert!(!kind.doc.is_empty(), "{} has no documentation", kind.name);
            // What has ids has a prefix to know them by; what has only a name is found by it.
            assert!(kind.nature.id_prefix.ends_with('-') || !kind.nature.natural_key.is_empty(), "{}", kind.name);
            for field in &kind.inputs {
                assert!(!field.doc.is_empty(), "{}.{} has no documentation", kind.name, field.name);
            }
            for output in &kind.outputs {
                assert!(!output.doc.is_empty(), "{}.{} has no documentation", kind.name, output.name);
                assert!(output.example.is_some(), "{}.{} has no example", kind.name, output.name);
                for input in &output.changes_with {
                    assert!(kind.input(input).is_some(), "{}.{}: no input {input}", kind.name, output.name);
                }
            }
            assert!(kind.output("id").is_some() && kind.output("arn").is_some(), "{}", kind.name);
            assert!(kind.input("tags").is_some(), "{}", kind.name);
            assert!((kind.nature.foreign_key)("kubernetes.io/role/elb"), "{}", kind.name);
            let tags = Value::from(serde_json::json!({ "aws:x": "y" }));
            let told = (kind.nature.check)(&BTreeMap::from([("tags".into(), tags)]));
            assert!(told.iter().any(|mistake| mistake.path == "tags.aws:x"), "{}: {told:?}", kind.name);
        }
    }

    /// AWS refuses to delete what any other input names.
    #[test]
    fn these_holds_aws_drops_by_itself() {
        let kinds = kinds();
        let dropped = kinds.iter().flat_map(|kind| {
            let fields = kind.inputs.iter().filter(|field| field.lets_go);
            fields.map(|field| format!("{}.{}", kind.name, field.name))
        });
        let mut dropped: Vec<String> = dropped.collect();
        dropped.sort();
        assert_eq!(
            dropped,
            [
                "aws::autoscaling_group.target_group_arns",
                "aws::route_table.route",
                "aws::route_table.subnet_ids",
                "aws::vpc_endpoint.route_table_ids"
            ]
        );
    }
}
