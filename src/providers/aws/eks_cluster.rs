//! `aws::eks_cluster`. Reads: one GetResources, 100 a page, and one DescribeCluster for each, eight at a time.

use aws_sdk_eks::types::{
    AuthenticationMode, Cluster, ClusterStatus, CreateAccessConfigRequest, IpFamily, KubernetesNetworkConfigRequest,
    Provider, SupportType, UpgradePolicyRequest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_storage::check_key;
use super::client::Region;
use super::eks;
use super::eks_cluster_update as updates;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct EksCluster;

/// A Kubernetes control plane. Whoever creates it gets in by default; nodes are made apart.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account and region; left out, the logical name (CreateCluster).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// ARN of the role that the control plane acts with (CreateCluster).
    #[schemars(extend("immutable" = true))]
    pub role_arn: String,
    /// Version of Kubernetes (`1.33`); left out, AWS's default. Goes up in place, one minor version at a time, and
    /// never down (UpdateClusterVersion).
    pub version: Option<String>,
    /// Where it is in the network, and from where it is reached (UpdateClusterConfig).
    pub vpc_config: VpcConfig,
    /// Who gets in (UpdateClusterConfig).
    pub access_config: Option<AccessConfig>,
    /// Logs of the control plane that go to CloudWatch (UpdateClusterConfig).
    #[schemars(extend("uniqueItems" = true))]
    pub enabled_cluster_log_types: Option<Vec<LogType>>,
    /// A key of your own for secrets; left out, AWS's (CreateCluster).
    #[schemars(extend("immutable" = true))]
    pub encryption_config: Option<EncryptionConfig>,
    /// Addresses of services; left out, AWS chooses a range that does not overlap with the VPC (CreateCluster).
    #[schemars(extend("immutable" = true))]
    pub kubernetes_network_config: Option<KubernetesNetworkConfig>,
    /// What becomes of a version whose standard support ends (UpdateClusterConfig).
    pub upgrade_policy: Option<UpgradePolicy>,
    /// Whether AWS installs the VPC CNI, CoreDNS and kube-proxy by itself at the creation, by default yes; not when
    /// these are declared as `aws::eks_addon` (CreateCluster). Never compared.
    #[schemars(extend("write_only" = true))]
    pub bootstrap_self_managed_addons: Option<bool>,
    /// Whether AWS refuses to delete it (UpdateClusterConfig).
    #[serde(default)]
    pub deletion_protection: bool,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// Where a cluster is in the network.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct VpcConfig {
    /// Subnets for the control plane's network interfaces, in at least two availability zones of one VPC.
    #[schemars(extend("uniqueItems" = true))]
    pub subnet_ids: Vec<String>,
    /// Security groups of these interfaces, besides the cluster's own; left out, none at first, and then as they are.
    #[schemars(extend("uniqueItems" = true))]
    pub security_group_ids: Option<Vec<String>>,
    /// Whether the VPC reaches the API server without the internet.
    #[serde(default)]
    pub endpoint_private_access: bool,
    /// Whether the internet reaches the API server.
    #[serde(default = "yes")]
    pub endpoint_public_access: bool,
    /// From where on the internet; left out, from everywhere at first, and then as it is.
    #[schemars(extend("uniqueItems" = true))]
    pub public_access_cidrs: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

/// Who gets in.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct AccessConfig {
    /// Where it is said who gets in: access entries (`API`), the ConfigMap `aws-auth`, or both. Only ever goes towards
    /// `API`.
    #[schemars(extend("enum" = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"]))]
    pub authentication_mode: String,
    /// Whether who creates it becomes its administrator, by default yes. Counts only at the creation, and is never
    /// compared.
    pub bootstrap_cluster_creator_admin_permissions: Option<bool>,
}

/// A log of the control plane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogType {
    Api,
    Audit,
    Authenticator,
    ControllerManager,
    Scheduler,
}

/// A key of your own.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct EncryptionConfig {
    /// Whose key it is.
    pub provider: KeyProvider,
}

/// A key in KMS.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct KeyProvider {
    /// ARN of a symmetric key in the same region.
    pub key_arn: String,
}

/// Addresses of services.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct KubernetesNetworkConfig {
    /// Range of the services' addresses, between /24 and /12 of a private range; required with `ipv4`.
    pub service_ipv4_cidr: Option<String>,
    /// Which addresses pods and services get.
    #[serde(default = "ipv4")]
    #[schemars(extend("enum" = ["ipv4", "ipv6"]))]
    pub ip_family: String,
}

fn ipv4() -> String {
    "ipv4".into()
}

/// What becomes of an old version.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradePolicy {
    /// `STANDARD`: AWS upgrades when standard support ends; `EXTENDED`: it stays, for a price.
    #[schemars(extend("enum" = ["STANDARD", "EXTENDED"]))]
    pub support_type: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the cluster.
    #[schemars(example = &"prod")]
    id: String,
    /// ARN of the cluster.
    #[schemars(example = "arn:aws:eks:eu-west-1:111122223333:cluster/prod")]
    arn: String,
    /// Where the API server is reached.
    #[schemars(example = "https://0A1B2C3D4E5F60718.gr7.eu-west-1.eks.amazonaws.com")]
    endpoint: Option<String>,
    /// The certificate that the API server is known by.
    #[schemars(example = serde_json::json!({ "data": "LS0tLS1CRUdJTi4uLg==" }))]
    certificate_authority: Option<CertificateAuthority>,
    /// URL of the issuer of the service accounts' tokens.
    #[schemars(example = "https://oidc.eks.eu-west-1.amazonaws.com/id/0A1B2C3D4E5F60718")]
    identity_oidc_issuer: Option<String>,
    /// Security group that AWS makes for the control plane and the nodes.
    #[schemars(example = "sg-0a1b2c3d4e5f60718", extend("comes_along" = true))]
    cluster_security_group_id: Option<String>,
    /// VPC of its subnets.
    #[schemars(example = "vpc-0a1b2c3d4e5f60718")]
    vpc_id: Option<String>,
    /// EKS's own version within a version of Kubernetes.
    #[schemars(example = "eks.9", extend("changes_with" = ["version"]))]
    platform_version: Option<String>,
    /// State in AWS's words.
    #[schemars(example = &"ACTIVE")]
    status: Option<String>,
    /// When it was created.
    #[schemars(example = "2026-01-31T12:00:00Z")]
    created_at: Option<String>,
}

/// What the API server is known by.
#[derive(Serialize, JsonSchema)]
struct CertificateAuthority {
    /// Certificate in PEM, in Base64.
    data: String,
}

impl AwsKind for EksCluster {
    const NAME: &'static str = "aws::eks_cluster";
    const TYPE: Type = Type::Eks("eks:cluster");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            normalise,
            check,
            made_up,
            forbids,
            mended_by: Some(&[]),
            settles: true,
            timeout: 1800,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let names = search.ids(region, &Self::TYPE, |arn| Some(arn.split_once(":cluster/")?.1.to_owned())).await?;
        each(names, |name| async move { Ok(describe(region, &name).await?.map(|cluster| found(name, &cluster))) }).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let access = inputs.access_config.as_ref().map(|access| {
            CreateAccessConfigRequest::builder()
                .authentication_mode(AuthenticationMode::from(access.authentication_mode.as_str()))
                .set_bootstrap_cluster_creator_admin_permissions(access.bootstrap_cluster_creator_admin_permissions)
                .build()
        });
        let network = inputs.kubernetes_network_config.as_ref().map(|network| {
            KubernetesNetworkConfigRequest::builder()
                .set_service_ipv4_cidr(network.service_ipv4_cidr.clone())
                .ip_family(IpFamily::from(network.ip_family.as_str()))
                .build()
        });
        let encryption = inputs.encryption_config.as_ref().map(|config| vec![encryption(config)]);
        let call = region
            .eks
            .create_cluster()
            .name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .role_arn(&inputs.role_arn)
            .set_version(inputs.version.clone())
            .resources_vpc_config(updates::vpc(&inputs.vpc_config))
            .set_access_config(access)
            .set_logging(inputs.enabled_cluster_log_types.as_deref().map(updates::logging))
            .set_encryption_config(encryption)
            .set_kubernetes_network_config(network)
            .set_upgrade_policy(inputs.upgrade_policy.as_ref().map(upgrade_policy))
            .set_bootstrap_self_managed_addons(inputs.bootstrap_self_managed_addons)
            .set_deletion_protection(inputs.deletion_protection.then_some(true))
            .client_request_token(&birth.token)
            .set_tags(Some(birth.tags.clone().into_iter().collect()));
        let cluster = call.send().await.or_fault("eks:CreateCluster")?.cluster;
        Ok(cluster.and_then(|cluster| cluster.name))
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        updates::bring_about(region, id, &change).await
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        region.eks.delete_cluster().name(id).send().await.or_fault("eks:DeleteCluster").map(drop)
    }
}

pub async fn describe(region: &Region, name: &str) -> Result<Option<Cluster>, Fault> {
    let answer = region.eks.describe_cluster().name(name).send().await.or_fault("eks:DescribeCluster");
    Ok(if_there(answer)?.and_then(|answer| answer.cluster))
}

fn found(name: String, cluster: &Cluster) -> Found<EksCluster> {
    let all = eks::tags(cluster.tags());
    let vpc = cluster.resources_vpc_config();
    let issuer = cluster.identity().and_then(|identity| identity.oidc()).and_then(|oidc| oidc.issuer());
    let data = cluster.certificate_authority().and_then(|authority| authority.data());
    Found {
        inputs: inputs(cluster),
        outputs: Outputs {
            id: name.clone(),
            arn: cluster.arn().unwrap_or_default().to_owned(),
            endpoint: cluster.endpoint().map(str::to_owned),
            certificate_authority: data.map(|data| CertificateAuthority { data: data.to_owned() }),
            identity_oidc_issuer: issuer.map(str::to_owned),
            cluster_security_group_id: vpc.and_then(|vpc| vpc.cluster_security_group_id()).map(str::to_owned),
            vpc_id: vpc.and_then(|vpc| vpc.vpc_id()).map(str::to_owned),
            platform_version: cluster.platform_version().map(str::to_owned),
            status: cluster.status().map(|status| status.as_str().to_owned()),
            created_at: eks::time(cluster.created_at()),
        },
        tags: all,
        status: status(cluster),
        id: name,
    }
}

pub fn inputs(cluster: &Cluster) -> Inputs {
    let vpc = cluster.resources_vpc_config();
    let access = cluster.access_config();
    let mode = access.and_then(|access| access.authentication_mode());
    let network = cluster.kubernetes_network_config();
    let support = cluster.upgrade_policy().and_then(|policy| policy.support_type());
    Inputs {
        name: cluster.name().map(str::to_owned),
        role_arn: cluster.role_arn().unwrap_or_default().to_owned(),
        version: cluster.version().map(str::to_owned),
        vpc_config: VpcConfig {
            subnet_ids: vpc.map(|vpc| vpc.subnet_ids().to_vec()).unwrap_or_default(),
            security_group_ids: vpc.map(|vpc| vpc.security_group_ids().to_vec()),
            endpoint_private_access: vpc.is_some_and(|vpc| vpc.endpoint_private_access()),
            endpoint_public_access: vpc.is_none_or(|vpc| vpc.endpoint_public_access()),
            public_access_cidrs: vpc.map(|vpc| vpc.public_access_cidrs().to_vec()),
        },
        access_config: mode.map(|mode| AccessConfig {
            authentication_mode: mode.as_str().to_owned(),
            bootstrap_cluster_creator_admin_permissions: access
                .and_then(|access| access.bootstrap_cluster_creator_admin_permissions()),
        }),
        enabled_cluster_log_types: Some(updates::enabled(cluster)),
        encryption_config: cluster.encryption_config().first().map(|config| EncryptionConfig {
            provider: KeyProvider {
                key_arn: config.provider().and_then(|provider| provider.key_arn()).unwrap_or_default().to_owned(),
            },
        }),
        kubernetes_network_config: network.map(|network| KubernetesNetworkConfig {
            service_ipv4_cidr: network.service_ipv4_cidr().map(str::to_owned),
            ip_family: network.ip_family().map_or_else(ipv4, |family| family.as_str().to_owned()),
        }),
        upgrade_policy: support.map(|support| UpgradePolicy { support_type: support.as_str().to_owned() }),
        bootstrap_self_managed_addons: None,
        deletion_protection: cluster.deletion_protection().unwrap_or(false),
        tags: tags::authored(&eks::tags(cluster.tags())),
    }
}

/// AWS encrypts everything by now, and knows of nothing else to be named here.
#[allow(deprecated)]
fn encryption(config: &EncryptionConfig) -> aws_sdk_eks::types::EncryptionConfig {
    let provider = Provider::builder().key_arn(&config.provider.key_arn).build();
    aws_sdk_eks::types::EncryptionConfig::builder().provider(provider).resources("secrets").build()
}

pub fn upgrade_policy(policy: &UpgradePolicy) -> UpgradePolicyRequest {
    UpgradePolicyRequest::builder().support_type(SupportType::from(policy.support_type.as_str())).build()
}

fn status(cluster: &Cluster) -> Status {
    match cluster.status() {
        Some(ClusterStatus::Active) | None => Status::Ready,
        Some(ClusterStatus::Deleting) => Status::Deleting,
        Some(ClusterStatus::Failed) => {
            let issues = cluster.health().map(|health| health.issues()).unwrap_or_default();
            let told = issues.iter().filter_map(|issue| issue.message()).collect::<Vec<_>>();
            Status::Failed(if told.is_empty() { "failed".into() } else { told.join("; ") })
        }
        Some(other) => Status::Pending(other.as_str().to_lowercase()),
    }
}

/// Leaves out what AWS does not tell, or fills in by itself.
fn normalise(field: &str, value: &Value) -> Value {
    let Value::Map(map) = value else { return value.clone() };
    let mut map = map.clone();
    match field {
        "access_config" => {
            map.remove("bootstrap_cluster_creator_admin_permissions");
        }
        "vpc_config" => {
            let hidden = map.get("endpoint_public_access") == Some(&Value::Bool(false));
            let cidrs = map.get("public_access_cidrs").and_then(Value::as_list).unwrap_or_default();
            if hidden || cidrs.contains(&updates::EVERYWHERE.into()) {
                map.remove("public_access_cidrs");
            }
        }
        _ => {}
    }
    Value::Map(map)
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut mistake = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) });
    };
    if let Some(version) = inputs.get("version").and_then(Value::as_str)
        && updates::minor(version).is_none()
    {
        mistake("version", &format!("\"{version}\" is no version of Kubernetes in EKS"), "write it as \"1.33\"");
    }
    if let Some(Value::Map(vpc)) = inputs.get("vpc_config") {
        let says = |field: &str, value: bool| vpc.get(field) == Some(&Value::Bool(value));
        if says("endpoint_public_access", false)
            && (says("endpoint_private_access", false) || !vpc.contains_key("endpoint_private_access"))
        {
            let hint = "set `endpoint_private_access` to true";
            mistake("vpc_config.endpoint_private_access", "neither the VPC nor the internet would reach it", hint);
        }
        if vpc.get("subnet_ids").and_then(Value::as_list).is_some_and(|subnets| subnets.len() == 1) {
            let hint = "name subnets of at least two availability zones";
            mistake("vpc_config.subnet_ids", "one subnet is not enough", hint);
        }
    }
    if let Some(Value::Map(config)) = inputs.get("encryption_config")
        && let Some(Value::Map(provider)) = config.get("provider")
    {
        mistakes.extend(check_key("encryption_config.provider.key_arn", provider.get("key_arn")));
    }
    let mut mistake = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) });
    };
    if let Some(Value::Map(network)) = inputs.get("kubernetes_network_config") {
        let ipv6 = network.get("ip_family").is_some_and(|family| family.as_str() != Some("ipv4"));
        let range = network.get("service_ipv4_cidr").is_some_and(|range| !range.is_null());
        if !ipv6 && !range {
            let hint = "leave `kubernetes_network_config` out, and AWS chooses a range";
            mistake("kubernetes_network_config.service_ipv4_cidr", "is required with ipv4", hint);
        }
    }
    mistakes
}

/// A jump of versions, and a replacement that AWS has a way around.
fn forbids(wanted: &Map, live: &Map) -> Option<Mistake> {
    let is_set = |inputs: &Map| inputs.get("encryption_config").is_some_and(|config| !config.is_null());
    if is_set(wanted) && !is_set(live) {
        return Some(Mistake {
            path: "encryption_config".into(),
            what: "a running cluster would be replaced to encrypt its secrets with a key of your own".into(),
            hint: Some("turn it on in place (`aws eks associate-encryption-config`), then declare it".into()),
        });
    }
    let version = |inputs: &Map| inputs.get("version").and_then(Value::as_str).map(str::to_owned);
    let fault = updates::refuse_impossible(&version(live)?, &version(wanted)?).err()?;
    Some(Mistake { path: "version".into(), what: fault.message, hint: fault.hint })
}

/// No two clusters have one issuer.
fn made_up(output: &str, inputs: &Map) -> Option<Value> {
    let name = inputs.get("name")?.as_str()?.to_uppercase();
    match output {
        "identity_oidc_issuer" => Some(format!("https://oidc.eks.eu-west-1.amazonaws.com/id/{name}").into()),
        "endpoint" => Some(format!("https://{name}.gr7.eu-west-1.eks.amazonaws.com").into()),
        _ => None,
    }
}
