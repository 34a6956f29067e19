//! `aws::eks_node_group`. Reads: one GetResources, 100 a page, and one DescribeNodegroup for each, eight at a time.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, LaunchTemplateSpecification, Nodegroup, NodegroupScalingConfig, NodegroupStatus,
    NodegroupUpdateConfig, Taint as SdkTaint, TaintEffect, UpdateLabelsPayload, UpdateTaintsPayload,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::eks;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Status, Value};

pub struct EksNodeGroup;

/// Nodes of a cluster that EKS makes, replaces and upgrades by itself.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Cluster it belongs to (CreateNodegroup).
    #[schemars(extend("immutable" = true, "names" = "aws::eks_cluster"))]
    pub cluster_name: String,
    /// Name, unique in the cluster; left out, the logical name (CreateNodegroup).
    #[schemars(extend("immutable" = true))]
    pub node_group_name: Option<String>,
    /// ARN of the nodes' role (CreateNodegroup).
    #[schemars(extend("immutable" = true))]
    pub node_role_arn: String,
    /// Subnets the nodes stand in (CreateNodegroup).
    #[schemars(extend("immutable" = true, "uniqueItems" = true))]
    pub subnet_ids: Vec<String>,
    /// How many nodes there are. Where something else scales them, put `scaling_config` in option `ignore`
    /// (UpdateNodegroupConfig).
    pub scaling_config: ScalingConfig,
    /// How many nodes may be missing during an upgrade; left out, one (UpdateNodegroupConfig).
    pub update_config: Option<UpdateConfig>,
    /// Types of instances, in order of preference; left out, that of the launch template, or `t3.medium`
    /// (CreateNodegroup).
    #[schemars(extend("immutable" = true))]
    pub instance_types: Option<Vec<String>>,
    /// Type of image (`AL2023_x86_64_STANDARD`, `BOTTLEROCKET_ARM_64`); not with an image in the launch template
    /// (CreateNodegroup).
    #[schemars(extend("immutable" = true))]
    pub ami_type: Option<String>,
    /// How the instances are paid for; left out, `ON_DEMAND` (CreateNodegroup).
    #[schemars(extend("enum" = ["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"], "immutable" = true))]
    pub capacity_type: Option<String>,
    /// Size of the root volume in GiB; not with a launch template (CreateNodegroup).
    #[schemars(extend("immutable" = true))]
    pub disk_size: Option<i32>,
    /// Labels of the nodes in Kubernetes (UpdateNodegroupConfig).
    pub labels: Option<BTreeMap<String, String>>,
    /// All taints of the nodes in Kubernetes (UpdateNodegroupConfig).
    #[schemars(extend("uniqueItems" = true))]
    pub taint: Option<Vec<Taint>>,
    /// Launch template of the instances; its version may change (UpdateNodegroupVersion).
    pub launch_template: Option<LaunchTemplate>,
    /// Version of Kubernetes; left out, the cluster's at the creation (UpdateNodegroupVersion).
    pub version: Option<String>,
    /// Version of EKS's image (`1.33.3-20250715`); left out, the newest at the creation (UpdateNodegroupVersion).
    pub release_version: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// How many nodes there are.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScalingConfig {
    /// So many now.
    pub desired_size: i32,
    /// Never fewer.
    pub min_size: i32,
    /// Never more.
    pub max_size: i32,
}

/// How many nodes may be missing during an upgrade: one of the two.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateConfig {
    /// So many.
    pub max_unavailable: Option<i32>,
    /// So many of a hundred.
    pub max_unavailable_percentage: Option<i32>,
}

/// Keeps pods away that do not tolerate it.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Option<String>,
    /// What becomes of pods that do not tolerate it.
    #[schemars(extend("enum" = ["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"]))]
    pub effect: String,
}

/// A launch template in one version.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LaunchTemplate {
    /// Id of the template; a node group keeps it for life.
    pub id: String,
    /// Number of the version.
    pub version: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// `cluster:group`.
    #[schemars(example = "prod:system")]
    id: String,
    /// ARN of the node group.
    #[schemars(example = "arn:aws:eks:eu-west-1:111122223333:nodegroup/prod/system/0a1b2c3d")]
    arn: String,
    /// State in AWS's words.
    #[schemars(example = &"ACTIVE")]
    status: Option<String>,
    /// Auto Scaling groups that hold the nodes.
    #[schemars(example = ["eks-system-0a1b2c3d"])]
    autoscaling_group_names: Vec<String>,
}

impl AwsKind for EksNodeGroup {
    const NAME: &'static str = "aws::eks_node_group";
    const TYPE: Type = Type::Eks("eks:nodegroup");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["cluster_name", "node_group_name"],
            named_by: Some("node_group_name"),
            check,
            timeout: 3600,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let ids = eks::ids(region, search, &Self::TYPE, |cluster| eks::node_groups(region, cluster)).await?;
        each(ids, |id| async move {
            let Some(group) = describe(region, &id).await? else { return Ok(None) };
            let all = eks::tags(group.tags());
            let groups = group.resources().map(|resources| resources.auto_scaling_groups()).unwrap_or_default();
            let names = groups.iter().filter_map(|group| group.name().map(str::to_owned));
            Ok(Some(Found {
                inputs: inputs(&group),
                outputs: Outputs {
                    id: id.clone(),
                    arn: group.nodegroup_arn().unwrap_or_default().to_owned(),
                    status: group.status().map(|status| status.as_str().to_owned()),
                    autoscaling_group_names: names.collect(),
                },
                tags: all,
                status: status(&group),
                id,
            }))
        })
        .await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let name = inputs.node_group_name.as_deref().unwrap_or(&birth.owner.address.name);
        let labels = inputs.labels.clone().map(|labels| labels.into_iter().collect());
        let call = region
            .eks
            .create_nodegroup()
            .cluster_name(&inputs.cluster_name)
            .nodegroup_name(name)
            .node_role(&inputs.node_role_arn)
            .set_subnets(Some(inputs.subnet_ids.clone()))
            .scaling_config(scaling(&inputs.scaling_config))
            .set_update_config(inputs.update_config.as_ref().map(update_config))
            .set_instance_types(inputs.instance_types.clone())
            .set_ami_type(inputs.ami_type.as_deref().map(AmiTypes::from))
            .set_capacity_type(inputs.capacity_type.as_deref().map(CapacityTypes::from))
            .set_disk_size(inputs.disk_size)
            .set_labels(labels)
            .set_taints(inputs.taint.as_ref().map(|taints| taints.iter().map(sdk_taint).collect()))
            .set_launch_template(inputs.launch_template.as_ref().map(template))
            .set_version(inputs.version.clone())
            .set_release_version(inputs.release_version.clone())
            .client_request_token(&birth.token)
            .set_tags(Some(birth.tags.clone().into_iter().collect()));
        let id = format!("{}:{name}", inputs.cluster_name);
        eks::taken(&id, call.send().await.or_fault("eks:CreateNodegroup"))?;
        Ok(Some(id))
    }

    /// UpdateNodegroupConfig or UpdateNodegroupVersion; if both, the fault makes the engine look again after the first.
    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let (cluster, name) = eks::split(id)?;
        let Some(group) = describe(region, id).await? else {
            return Err(Fault::new(Class::NotFound, format!("{id} is not there")));
        };
        let (now, wanted) = (inputs(&group), change.inputs);
        let upgrades = change.of("version") && now.version != wanted.version
            || change.of("release_version") && now.release_version != wanted.release_version
            || change.of("launch_template") && now.launch_template != wanted.launch_template;
        let configures = change.of("labels") && now.labels != wanted.labels
            || change.of("taint") && taints_differ(&now, wanted)
            || change.of("scaling_config") && now.scaling_config != wanted.scaling_config
            || change.of("update_config") && now.update_config != wanted.update_config;
        if change.of("launch_template") {
            refuse_other_template(&now, wanted)?;
        }
        if (upgrades || configures)
            && matches!(group.status(), Some(NodegroupStatus::Updating | NodegroupStatus::Creating))
        {
            return Err(eks::one_at_a_time(id));
        }
        if configures {
            let call = region.eks.update_nodegroup_config().cluster_name(cluster).nodegroup_name(name);
            let call = call
                .set_labels(change.of("labels").then(|| labels(&now, wanted)))
                .set_taints(change.of("taint").then(|| taints(&now, wanted)))
                .set_scaling_config(change.of("scaling_config").then(|| scaling(&wanted.scaling_config)))
                .set_update_config(
                    wanted.update_config.as_ref().filter(|_| change.of("update_config")).map(update_config),
                );
            call.send().await.or_fault("eks:UpdateNodegroupConfig")?;
        } else if upgrades {
            let call = region.eks.update_nodegroup_version().cluster_name(cluster).nodegroup_name(name);
            let call = call
                .set_version(wanted.version.clone().filter(|_| change.of("version")))
                .set_release_version(wanted.release_version.clone().filter(|_| change.of("release_version")))
                .set_launch_template(wanted.launch_template.as_ref().map(template));
            call.send().await.or_fault("eks:UpdateNodegroupVersion")?;
        }
        if configures && upgrades { Err(eks::one_at_a_time(id)) } else { Ok(()) }
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let (cluster, name) = eks::split(id)?;
        let call = region.eks.delete_nodegroup().cluster_name(cluster).nodegroup_name(name);
        call.send().await.or_fault("eks:DeleteNodegroup").map(drop)
    }
}

async fn describe(region: &Region, id: &str) -> Result<Option<Nodegroup>, Fault> {
    let (cluster, name) = eks::split(id)?;
    let answer = region.eks.describe_nodegroup().cluster_name(cluster).nodegroup_name(name).send().await;
    Ok(if_there(answer.or_fault("eks:DescribeNodegroup"))?.and_then(|answer| answer.nodegroup))
}

fn inputs(group: &Nodegroup) -> Inputs {
    let size = group.scaling_config();
    let some = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
    Inputs {
        cluster_name: group.cluster_name().unwrap_or_default().to_owned(),
        node_group_name: group.nodegroup_name().map(str::to_owned),
        node_role_arn: group.node_role().unwrap_or_default().to_owned(),
        subnet_ids: group.subnets().to_vec(),
        scaling_config: ScalingConfig {
            desired_size: size.and_then(|size| size.desired_size()).unwrap_or_default(),
            min_size: size.and_then(|size| size.min_size()).unwrap_or_default(),
            max_size: size.and_then(|size| size.max_size()).unwrap_or_default(),
        },
        update_config: group.update_config().map(|config| UpdateConfig {
            max_unavailable: config.max_unavailable(),
            max_unavailable_percentage: config.max_unavailable_percentage(),
        }),
        instance_types: some(group.instance_types()),
        ami_type: group.ami_type().map(|of| of.as_str().to_owned()),
        capacity_type: group.capacity_type().map(|of| of.as_str().to_owned()),
        disk_size: group.disk_size(),
        labels: Some(eks::tags(group.labels())),
        taint: Some(group.taints().iter().map(taint).collect()),
        launch_template: group.launch_template().map(|template| LaunchTemplate {
            id: template.id().unwrap_or_default().to_owned(),
            version: template.version().unwrap_or_default().to_owned(),
        }),
        version: group.version().map(str::to_owned),
        release_version: group.release_version().map(str::to_owned),
        tags: tags::authored(&eks::tags(group.tags())),
    }
}

fn status(group: &Nodegroup) -> Status {
    let issues = group.health().map(|health| health.issues()).unwrap_or_default();
    let told = |state: &NodegroupStatus| {
        let issues = issues.iter().filter_map(|issue| issue.message().map(str::to_owned));
        std::iter::once(state.as_str().to_lowercase()).chain(issues).collect::<Vec<_>>().join(": ")
    };
    match group.status() {
        // One that is not well now was made; whoever mends it must get past this.
        Some(NodegroupStatus::Active | NodegroupStatus::Degraded) | None => Status::Ready,
        Some(NodegroupStatus::Deleting) => Status::Deleting,
        Some(state @ (NodegroupStatus::CreateFailed | NodegroupStatus::DeleteFailed)) => Status::Failed(told(state)),
        Some(state) => Status::Pending(told(state)),
    }
}

fn scaling(size: &ScalingConfig) -> NodegroupScalingConfig {
    let config = NodegroupScalingConfig::builder().min_size(size.min_size).max_size(size.max_size);
    config.desired_size(size.desired_size).build()
}

fn update_config(config: &UpdateConfig) -> NodegroupUpdateConfig {
    NodegroupUpdateConfig::builder()
        .set_max_unavailable(config.max_unavailable)
        .set_max_unavailable_percentage(config.max_unavailable_percentage)
        .build()
}

fn template(template: &LaunchTemplate) -> LaunchTemplateSpecification {
    LaunchTemplateSpecification::builder().id(&template.id).version(&template.version).build()
}

fn taint(taint: &SdkTaint) -> Taint {
    Taint {
        key: taint.key().unwrap_or_default().to_owned(),
        value: taint.value().map(str::to_owned),
        effect: taint.effect().map(|effect| effect.as_str().to_owned()).unwrap_or_default(),
    }
}

fn sdk_taint(taint: &Taint) -> SdkTaint {
    let sdk = SdkTaint::builder().key(&taint.key).set_value(taint.value.clone());
    sdk.effect(TaintEffect::from(taint.effect.as_str())).build()
}

/// Those that are new or different, and those that go.
fn labels(now: &Inputs, wanted: &Inputs) -> UpdateLabelsPayload {
    let (now, wanted) = (now.labels.clone().unwrap_or_default(), wanted.labels.clone().unwrap_or_default());
    let new: HashMap<_, _> = wanted.clone().into_iter().filter(|(key, value)| now.get(key) != Some(value)).collect();
    let gone: Vec<_> = now.into_keys().filter(|key| !wanted.contains_key(key)).collect();
    UpdateLabelsPayload::builder()
        .set_add_or_update_labels(Some(new).filter(|new| !new.is_empty()))
        .set_remove_labels(Some(gone).filter(|gone| !gone.is_empty()))
        .build()
}

fn taints_differ(now: &Inputs, wanted: &Inputs) -> bool {
    let (now, wanted) = (now.taint.as_deref().unwrap_or_default(), wanted.taint.as_deref().unwrap_or_default());
    now.iter().any(|taint| !wanted.contains(taint)) || wanted.iter().any(|taint| !now.contains(taint))
}

/// A taint is known by its key and effect; those that stay with another value are not removed.
fn taints(now: &Inputs, wanted: &Inputs) -> UpdateTaintsPayload {
    let (now, wanted) = (now.taint.as_deref().unwrap_or_default(), wanted.taint.as_deref().unwrap_or_default());
    let same = |a: &Taint, b: &Taint| a.key == b.key && a.effect == b.effect;
    let new: Vec<_> = wanted.iter().filter(|taint| !now.contains(taint)).map(sdk_taint).collect();
    let gone = now.iter().filter(|old| !wanted.iter().any(|taint| same(taint, old)));
    let gone: Vec<_> = gone.map(sdk_taint).collect();
    UpdateTaintsPayload::builder()
        .set_add_or_update_taints(Some(new).filter(|new| !new.is_empty()))
        .set_remove_taints(Some(gone).filter(|gone| !gone.is_empty()))
        .build()
}

fn refuse_other_template(now: &Inputs, wanted: &Inputs) -> Result<(), Fault> {
    let id = |inputs: &Inputs| inputs.launch_template.as_ref().map(|template| template.id.clone());
    if id(now) == id(wanted) {
        return Ok(());
    }
    let what = match id(now) {
        Some(now) => format!("a node group keeps its launch template, here {now}"),
        None => "a node group without a launch template never gets one".into(),
    };
    Err(Fault::new(Class::Invalid, what).hint("give `node_group_name` another value: that makes a new group"))
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut mistake = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) });
    };
    let is_set = |map: &Map, field: &str| map.get(field).is_some_and(|value| !value.is_null());
    if is_set(inputs, "launch_template") && is_set(inputs, "disk_size") {
        mistake("disk_size", "is not for a group with a launch template", "set the volume's size in the template");
    }
    if let Some(Value::Map(config)) = inputs.get("update_config")
        && is_set(config, "max_unavailable") == is_set(config, "max_unavailable_percentage")
    {
        let hint = "set `max_unavailable` or `max_unavailable_percentage`";
        mistake("update_config", "needs one of its two fields", hint);
    }
    if let Some(Value::Map(size)) = inputs.get("scaling_config") {
        let known = |field: &str| match size.get(field) {
            Some(Value::Int(size)) => Some(*size),
            _ => None,
        };
        if let (Some(min), Some(desired), Some(max)) = (known("min_size"), known("desired_size"), known("max_size"))
            && !(min <= desired && desired <= max)
        {
            let hint = "min_size ≤ desired_size ≤ max_size";
            mistake("scaling_config.desired_size", &format!("{desired} is not between {min} and {max}"), hint);
        }
    }
    mistakes
}
