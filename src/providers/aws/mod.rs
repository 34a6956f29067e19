//! AWS: the list of its kinds and lookups, behind the provider's verbs.

mod ami;
mod batches;
mod block_storage;
mod calls;
mod census;
mod certificates;
mod cidr;
pub mod client;
mod db_instance_rules;
mod dlm_policy_details;
mod document;
mod eks;
mod eks_cluster_update;
mod eks_token;
pub mod fault;
mod fault_codes;
mod iam_name;
mod iam_role_policies;
mod instance_read;
mod instance_refresh;
mod instance_update;
mod kind;
mod launch_template_data;
mod load_balancing;
mod lock_store;
mod lookups;
mod policy;
mod refusals;
mod renewal;
mod s3_bucket_emptying;
mod secrets;
mod security_group_rules;
mod tagging;
mod tags;
mod users;
mod whole_answer;

mod acm_certificate;
mod acm_certificate_validation;
mod autoscaling_group;
mod db_instance;
mod db_subnet_group;
mod dlm_lifecycle_policy;
mod ebs_volume;
mod ecr_repository;
mod eip;
mod eks_access_entry;
mod eks_addon;
mod eks_cluster;
mod eks_node_group;
mod iam_instance_profile;
mod iam_openid_connect_provider;
mod iam_policy;
mod iam_role;
mod instance;
mod internet_gateway;
mod key_pair;
mod launch_template;
mod lb;
mod lb_listener;
mod lb_target_group;
mod lower_case;
mod nat_gateway;
mod route_table;
mod s3_bucket;
mod security_group;
mod ssm_parameter;
mod subnet;
mod vpc;
mod vpc_endpoint;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use aws_config::ConfigLoader;

pub use client::{Identity, Settings};

use self::client::Client;
use self::fault_codes::is_expired;
use self::kind::{AnyKind, any};
use crate::providers::typed::Named;
use crate::resource::kind::Lookup;
use crate::resource::{
    Class, Create, Delete, Fault, Kind, Live, LockPlace, LockStore, Provider, Select, Update, Value,
};
use crate::secret::Source;

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
        any::<iam_role::IamRole>(),
        any::<iam_policy::IamPolicy>(),
        any::<iam_instance_profile::IamInstanceProfile>(),
        any::<iam_openid_connect_provider::IamOpenidConnectProvider>(),
        any::<dlm_lifecycle_policy::DlmLifecyclePolicy>(),
        any::<acm_certificate::AcmCertificate>(),
        any::<acm_certificate_validation::AcmCertificateValidation>(),
        any::<lb::Lb>(),
        any::<lb_target_group::LbTargetGroup>(),
        any::<lb_listener::LbListener>(),
        any::<db_subnet_group::DbSubnetGroup>(),
        any::<db_instance::DbInstance>(),
        any::<launch_template::LaunchTemplate>(),
        any::<autoscaling_group::AutoScalingGroup>(),
        any::<ecr_repository::EcrRepository>(),
        any::<s3_bucket::S3Bucket>(),
        any::<ssm_parameter::SsmParameter>(),
        any::<key_pair::KeyPair>(),
        any::<instance::Instance>(),
        any::<ebs_volume::EbsVolume>(),
        any::<eks_cluster::EksCluster>(),
        any::<eks_access_entry::EksAccessEntry>(),
        any::<eks_addon::EksAddon>(),
        any::<eks_node_group::EksNodeGroup>(),
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
    client: Arc<Client>,
    secrets: secrets::Texts,
    implementations: BTreeMap<Arc<str>, Box<dyn AnyKind>>,
    kinds: Vec<Arc<Kind>>,
    lookups: Vec<Lookup>,
}

impl Aws {
    pub fn connect(settings: Settings) -> Self {
        Self::over(Client::new(settings, None))
    }

    /// The same with another start of the credential chain.
    pub fn connect_from(settings: Settings, loader: ConfigLoader) -> Self {
        Self::over(Client::new(settings, Some(loader)))
    }

    fn over(client: Client) -> Self {
        let all = all();
        Aws {
            client: Arc::new(client),
            secrets: secrets::Texts::default(),
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

    /// Whether the inventory, the environment or the profile names a region.
    pub async fn has_region(&self) -> bool {
        self.client.has_region().await
    }

    /// A token for the API server of an EKS cluster.
    pub async fn eks_token(&self, region: Option<&str>, cluster: &str) -> Result<String, Fault> {
        self.client.eks_token(region, cluster).await
    }

    /// A call whose credentials may run out on the way.
    async fn unexpired<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let begun = Instant::now();
        match call.await {
            Err(fault) if is_expired(&fault) => Err(self.client.renew(begun, fault).await),
            other => other,
        }
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

    fn whereabouts(&self) -> BTreeMap<String, String> {
        self.client.whereabouts()
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let census = async {
            let region = self.client.region(region).await?;
            census::owned_kinds(&region, self.implementations.values().map(Box::as_ref), stack).await
        };
        self.unexpired(census).await
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        let implementation = self.implementation(kind)?;
        self.unexpired(async { implementation.list(&*self.client.region(region).await?, region, select).await }).await
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        let implementation = self.implementation(kind)?;
        self.unexpired(async {
            implementation.create(&*self.client.region(request.region.as_deref()).await?, request).await
        })
        .await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        let implementation = self.implementation(kind)?;
        self.unexpired(async {
            implementation.update(&*self.client.region(request.live.region.as_deref()).await?, request).await
        })
        .await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        let implementation = self.implementation(kind)?;
        self.unexpired(async {
            implementation.delete(&*self.client.region(request.live.region.as_deref()).await?, request).await
        })
        .await
    }

    fn service<'a>(&self, what: &'a str) -> Cow<'a, str> {
        match (what, self.implementations.get(what)) {
            (_, Some(kind)) => kind.of_type().service().into(),
            (lookups::AVAILABILITY_ZONES | ami::NAME, _) => "ec2".into(),
            (lookups::SSM_PARAMETER, _) => "ssm".into(),
            _ => what.into(),
        }
    }

    fn refusals(&self, service: &str, region: Option<&str>) -> u64 {
        self.client.refusals(service, region)
    }

    fn lock_store(&self, place: &LockPlace, stack: &str) -> Option<Arc<dyn LockStore>> {
        Some(Arc::new(lock_store::S3Lock::new(self.client.clone(), place, stack)))
    }

    async fn secret(&self, source: &Source) -> Result<String, Fault> {
        self.unexpired(async { secrets::read(&*self.client.region(None).await?, &self.secrets, source).await }).await
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        let call = async {
            match name {
                lookups::CALLER => Ok(lookups::caller(self.client.identity().await?)),
                lookups::AVAILABILITY_ZONES => lookups::availability_zones(&*self.client.region(None).await?).await,
                lookups::SSM_PARAMETER => {
                    let Named { name } = arguments.into();
                    ssm_parameter::look_up(&*self.client.region(None).await?, &name).await
                }
                ami::NAME => ami::find(&*self.client.region(None).await?, arguments).await,
                _ => Err(Fault::new(Class::Invalid, format!("{name} is not a lookup of AWS"))),
            }
        };
        self.unexpired(call).await
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
            assert!(
                kind.nature.id_prefix.ends_with(['-', '/']) || !kind.nature.natural_key.is_empty(),
                "{}",
                kind.name
            );
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
            assert!(kind.output("id").is_some(), "{}", kind.name);
            // A wait is no thing of AWS's: it has neither an ARN nor tags of its own.
            let is_thing = one.of_type() != tagging::Type::CertificateValidation;
            assert_eq!(kind.output("arn").is_some(), is_thing, "{}", kind.name);
            assert_eq!(kind.input("tags").is_some(), is_thing, "{}", kind.name);
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
                "aws::ebs_volume.attachment",
                "aws::eip.instance",
                "aws::route_table.route",
                "aws::route_table.subnet_ids",
                "aws::vpc_endpoint.route_table_ids"
            ]
        );
    }
}
