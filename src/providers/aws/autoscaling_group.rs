//! `aws::autoscaling_group`. Reads: one DescribeAutoScalingGroups per region, 100 a page, and for each group one
//! DescribeInstanceRefreshes.

use aws_sdk_autoscaling::types::{AutoScalingGroup as Sdk, Filter, LaunchTemplateSpecification, LifecycleState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::instance_refresh::{self, InstanceRefresh};
use super::kind::{AwsKind, Birth, Change, Found, Search, added, each};
use super::tagging::{self, Type};
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Select, Status, Value};

pub struct AutoScalingGroup;

/// A number of like instances that AWS keeps up: it makes new ones where some are missing, and more or fewer as policies
/// say.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account and region; left out, the logical name (CreateAutoScalingGroup).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// Fewest instances it may have (UpdateAutoScalingGroup).
    pub min_size: i32,
    /// Most instances it may have (UpdateAutoScalingGroup).
    pub max_size: i32,
    /// Instances it shall have now; left out, `min_size` at first, and later whatever policies and people make of it
    /// (UpdateAutoScalingGroup).
    pub desired_capacity: Option<i32>,
    /// Subnets to start instances in (UpdateAutoScalingGroup).
    #[schemars(extend("uniqueItems" = true))]
    pub vpc_zone_identifier: Vec<String>,
    /// What to make instances from (UpdateAutoScalingGroup, or StartInstanceRefresh with `instance_refresh`).
    pub launch_template: LaunchTemplate,
    /// How a new `launch_template` reaches the instances there are; left out, only instances made later get it
    /// (StartInstanceRefresh).
    #[schemars(extend("write_only" = true))]
    pub instance_refresh: Option<InstanceRefresh>,
    /// All target groups in which its instances are registered (AttachLoadBalancerTargetGroups).
    #[schemars(extend("uniqueItems" = true, "lets_go" = true))]
    pub target_group_arns: Option<Vec<String>>,
    /// Who says that an instance is ill: `EC2`, or also the load balancer: `ELB` (UpdateAutoScalingGroup).
    pub health_check_type: Option<String>,
    /// Seconds after its start in which an instance is not checked (UpdateAutoScalingGroup).
    pub health_check_grace_period: Option<i32>,
    /// Seconds between two simple scalings (UpdateAutoScalingGroup).
    pub default_cooldown: Option<i32>,
    /// Seconds until a new instance counts in metrics; -1 for none (UpdateAutoScalingGroup).
    pub default_instance_warmup: Option<i32>,
    /// Whether a spot instance that may be taken away is replaced beforehand (UpdateAutoScalingGroup).
    pub capacity_rebalance: Option<bool>,
    /// Whether new instances are kept when it shrinks (UpdateAutoScalingGroup).
    pub protect_from_scale_in: Option<bool>,
    /// Which instances go first, such as `OldestInstance`, in order (UpdateAutoScalingGroup).
    pub termination_policies: Option<Vec<String>>,
    /// Seconds after which an instance is replaced; 0 for never (UpdateAutoScalingGroup).
    pub max_instance_lifetime: Option<i32>,
    /// All metrics of the group itself that are collected, such as `GroupInServiceInstances`
    /// (EnableMetricsCollection).
    #[schemars(extend("uniqueItems" = true))]
    pub enabled_metrics: Option<Vec<String>>,
    /// How often they are (EnableMetricsCollection).
    #[serde(default = "each_minute")]
    #[schemars(extend("enum" = ["1Minute"]))]
    pub metrics_granularity: String,
    /// Whether it is ready only once as many instances are in service as it shall have; left out, it is so.
    #[schemars(extend("remembered" = true))]
    pub wait_for_capacity: Option<bool>,
    /// Whether deleting the group does not wait for its instances to end.
    #[schemars(extend("remembered" = true))]
    pub force_delete: Option<bool>,
    /// Tags, which new instances get as well; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// A version of a launch template.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct LaunchTemplate {
    /// Id of the launch template.
    pub id: String,
    /// Number of the version, `$Latest` or `$Default`. Only a number that changes is rolled out: pass `latest_version`
    /// of the launch template.
    #[serde(default = "default_version")]
    pub version: String,
}

fn each_minute() -> String {
    "1Minute".into()
}

fn default_version() -> String {
    "$Default".into()
}

impl LaunchTemplate {
    pub fn specification(&self) -> LaunchTemplateSpecification {
        LaunchTemplateSpecification::builder().launch_template_id(&self.id).version(&self.version).build()
    }
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the group.
    #[schemars(example = &"app")]
    id: String,
    /// ARN of the group.
    #[schemars(
        example = "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f:autoScalingGroupName/app"
    )]
    arn: String,
    /// Availability zones of its subnets.
    #[schemars(example = ["eu-west-1a", "eu-west-1b"], extend("uniqueItems" = true, "changes_with" = ["vpc_zone_identifier"]))]
    availability_zones: Vec<String>,
}

impl AwsKind for AutoScalingGroup {
    const NAME: &'static str = "aws::autoscaling_group";
    const TYPE: Type = Type::AutoScalingGroup;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            mended_by: Some(&[]),
            check,
            timeout: 3600,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let call = region.autoscaling.describe_auto_scaling_groups();
        let calls = match search.select() {
            Select::Owned { stack } => {
                let filter = Filter::builder().name(format!("tag:{}", tags::STACK)).values(stack).build();
                vec![call.filters(filter)]
            }
            Select::Ids(names) | Select::Named(names) => {
                let names: Vec<&String> = names.iter().collect();
                let batch = |names: &[&String]| names.iter().map(ToString::to_string).collect();
                names.chunks(100).map(|names| call.clone().set_auto_scaling_group_names(Some(batch(names)))).collect()
            }
        };
        let mut groups = std::collections::BTreeMap::new();
        for call in calls {
            let pages = call.into_paginator().page_size(100).items().send();
            let found = pages.collect::<Result<Vec<_>, _>>().await.or_fault("autoscaling:DescribeAutoScalingGroups")?;
            groups.extend(found.into_iter().filter_map(|one| Some((one.auto_scaling_group_name()?.to_owned(), one))));
        }
        let groups = &groups;
        each(groups.keys().cloned(), |name| async move {
            let latest = instance_refresh::latest(region, &name).await?;
            Ok(groups.get(&name).map(|group| found(group, name, latest.as_ref())))
        })
        .await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let name = inputs.name.as_deref().unwrap_or(&birth.owner.address.name);
        let tags = birth.tags.iter().map(|(key, value)| tagging::group_tag(name, key, Some(value))).collect();
        let call = region
            .autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(name)
            .min_size(inputs.min_size)
            .max_size(inputs.max_size)
            .set_desired_capacity(inputs.desired_capacity)
            .vpc_zone_identifier(inputs.vpc_zone_identifier.join(","))
            .launch_template(inputs.launch_template.specification())
            .set_target_group_arns(inputs.target_group_arns.clone())
            .set_health_check_type(inputs.health_check_type.clone())
            .set_health_check_grace_period(inputs.health_check_grace_period)
            .set_default_cooldown(inputs.default_cooldown)
            .set_default_instance_warmup(inputs.default_instance_warmup)
            .set_capacity_rebalance(inputs.capacity_rebalance)
            .set_new_instances_protected_from_scale_in(inputs.protect_from_scale_in)
            .set_termination_policies(inputs.termination_policies.clone())
            .set_max_instance_lifetime(inputs.max_instance_lifetime)
            .set_tags(Some(tags));
        call.send().await.or_fault("autoscaling:CreateAutoScalingGroup")?;
        Ok(Some(name.to_owned()))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        set_metrics(region, id, &[], inputs.enabled_metrics.as_deref().unwrap_or_default(), inputs).await
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let (now, wanted) = (change.live, change.inputs);
        let none = vec![];
        // With a refresh it is that which gives the group its template, once all instances have it.
        let refresh = wanted.instance_refresh.as_ref().filter(|_| change.of("launch_template"));
        update_group(region, id, &change, refresh.is_none()).await?;
        if change.of("target_group_arns") {
            set_target_groups(region, id, wanted.target_group_arns.as_ref().unwrap_or(&none)).await?;
        }
        if change.of("enabled_metrics") {
            let now = now.enabled_metrics.as_ref().unwrap_or(&none);
            set_metrics(region, id, now, wanted.enabled_metrics.as_ref().unwrap_or(&none), wanted).await?;
        }
        match refresh {
            Some(refresh) => instance_refresh::start(region, id, refresh, &wanted.launch_template).await,
            None => instance_refresh::forget_failed(region, id).await,
        }
    }

    /// A group goes when it is empty: it is emptied first, unless its instances may be left to end by themselves.
    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        let force = live.force_delete == Some(true);
        if !force {
            let call = region.autoscaling.update_auto_scaling_group().auto_scaling_group_name(id);
            let call = call.min_size(0).max_size(0).desired_capacity(0);
            call.send().await.or_fault("autoscaling:UpdateAutoScalingGroup")?;
        }
        let call = region.autoscaling.delete_auto_scaling_group().auto_scaling_group_name(id).force_delete(force);
        call.send().await.or_fault("autoscaling:DeleteAutoScalingGroup").map(drop)
    }
}

fn found(group: &Sdk, name: String, latest: Option<&instance_refresh::Latest>) -> Found<AutoScalingGroup> {
    let tags = tags::of(group.tags());
    let some = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
    let metrics = group.enabled_metrics();
    let policy = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let template = group.launch_template().or(policy.and_then(|policy| policy.launch_template_specification()));
    let subnets = group.vpc_zone_identifier().unwrap_or_default().split(',').filter(|subnet| !subnet.is_empty());
    Found {
        inputs: Inputs {
            name: Some(name.clone()),
            min_size: group.min_size().unwrap_or_default(),
            max_size: group.max_size().unwrap_or_default(),
            desired_capacity: group.desired_capacity(),
            vpc_zone_identifier: subnets.map(str::to_owned).collect(),
            launch_template: LaunchTemplate {
                id: template.and_then(|one| one.launch_template_id()).unwrap_or_default().to_owned(),
                version: template.and_then(|one| one.version()).map_or_else(default_version, str::to_owned),
            },
            instance_refresh: None,
            target_group_arns: some(&target_groups(group)),
            health_check_type: group.health_check_type().map(str::to_owned),
            health_check_grace_period: group.health_check_grace_period(),
            default_cooldown: group.default_cooldown(),
            default_instance_warmup: group.default_instance_warmup(),
            capacity_rebalance: group.capacity_rebalance(),
            protect_from_scale_in: group.new_instances_protected_from_scale_in(),
            termination_policies: some(group.termination_policies()),
            max_instance_lifetime: group.max_instance_lifetime(),
            enabled_metrics: some(
                &metrics.iter().filter_map(|one| one.metric().map(str::to_owned)).collect::<Vec<_>>(),
            ),
            metrics_granularity: metrics.first().and_then(|one| one.granularity()).map_or_else(each_minute, Into::into),
            wait_for_capacity: None,
            force_delete: None,
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            arn: group.auto_scaling_group_arn().unwrap_or_default().to_owned(),
            availability_zones: group.availability_zones().to_vec(),
            id: name.clone(),
        },
        status: status(group, &tags, latest),
        tags,
        id: name,
    }
}

/// Those attached as such, and those attached as sources of traffic.
fn target_groups(group: &Sdk) -> Vec<String> {
    let mut arns = group.target_group_arns().to_vec();
    let sources = group.traffic_sources().iter().filter(|source| source.r#type() == Some("elbv2"));
    arns.extend(sources.filter_map(|source| source.identifier().map(str::to_owned)));
    arns.sort();
    arns.dedup();
    arns
}

fn status(group: &Sdk, tags: &Tags, latest: Option<&instance_refresh::Latest>) -> Status {
    if group.status().is_some() {
        // There is no other status than "Delete in progress".
        return Status::Deleting;
    }
    let refreshing = latest.and_then(|latest| latest.status(tags));
    if let Some(status) = refreshing {
        return status;
    }
    let well = |one: &&aws_sdk_autoscaling::types::Instance| {
        let healthy = one.health_status().is_none_or(|health| health.eq_ignore_ascii_case("healthy"));
        one.lifecycle_state() == Some(&LifecycleState::InService) && healthy
    };
    let in_service = group.instances().iter().filter(well).count();
    let desired = usize::try_from(group.desired_capacity().unwrap_or_default()).unwrap_or_default();
    let waits = tags.get(&format!("{}wait_for_capacity", tags::OURS)).is_none_or(|told| told != "false");
    match waits && in_service < desired {
        true => Status::Pending(format!("{in_service} of {desired} in service")),
        false => Status::Ready,
    }
}

/// One UpdateAutoScalingGroup for all that it takes.
async fn update_group(
    region: &Region,
    id: &str,
    change: &Change<'_, Inputs>,
    with_template: bool,
) -> Result<(), Fault> {
    const TAKES: [&str; 12] = [
        "min_size",
        "max_size",
        "desired_capacity",
        "vpc_zone_identifier",
        "health_check_type",
        "health_check_grace_period",
        "default_cooldown",
        "default_instance_warmup",
        "capacity_rebalance",
        "protect_from_scale_in",
        "termination_policies",
        "max_instance_lifetime",
    ];
    let with_template = with_template && change.of("launch_template");
    if !with_template && !TAKES.iter().any(|field| change.of(field)) {
        return Ok(());
    }
    let wanted = change.inputs;
    let number = |field: &str, value: Option<i32>| value.filter(|_| change.of(field));
    let flag = |field: &str, value: Option<bool>| value.filter(|_| change.of(field));
    let mut call = region
        .autoscaling
        .update_auto_scaling_group()
        .auto_scaling_group_name(id)
        .set_min_size(number("min_size", Some(wanted.min_size)))
        .set_max_size(number("max_size", Some(wanted.max_size)))
        .set_desired_capacity(number("desired_capacity", wanted.desired_capacity))
        .set_health_check_grace_period(number("health_check_grace_period", wanted.health_check_grace_period))
        .set_default_cooldown(number("default_cooldown", wanted.default_cooldown))
        .set_default_instance_warmup(number("default_instance_warmup", wanted.default_instance_warmup))
        .set_max_instance_lifetime(number("max_instance_lifetime", wanted.max_instance_lifetime))
        .set_capacity_rebalance(flag("capacity_rebalance", wanted.capacity_rebalance))
        .set_new_instances_protected_from_scale_in(flag("protect_from_scale_in", wanted.protect_from_scale_in));
    if change.of("vpc_zone_identifier") {
        call = call.vpc_zone_identifier(wanted.vpc_zone_identifier.join(","));
    }
    if change.of("health_check_type") {
        call = call.set_health_check_type(wanted.health_check_type.clone());
    }
    if change.of("termination_policies") {
        call = call.set_termination_policies(wanted.termination_policies.clone());
    }
    if with_template {
        call = call.launch_template(wanted.launch_template.specification());
    }
    call.send().await.or_fault("autoscaling:UpdateAutoScalingGroup").map(drop)
}

async fn set_target_groups(region: &Region, id: &str, wanted: &[String]) -> Result<(), Fault> {
    // As they are now: to let go of one that is not held would fail.
    let call = region.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(id);
    let groups = call.send().await.or_fault("autoscaling:DescribeAutoScalingGroups")?.auto_scaling_groups;
    let now = &groups.and_then(|all| all.first().map(target_groups)).unwrap_or_default();
    // At most ten in one call.
    for arns in added(now, wanted).unwrap_or_default().chunks(10) {
        let call = region.autoscaling.attach_load_balancer_target_groups().auto_scaling_group_name(id);
        let call = call.set_target_group_arns(Some(arns.to_vec()));
        call.send().await.or_fault("autoscaling:AttachLoadBalancerTargetGroups")?;
    }
    for arns in added(wanted, now).unwrap_or_default().chunks(10) {
        let call = region.autoscaling.detach_load_balancer_target_groups().auto_scaling_group_name(id);
        let call = call.set_target_group_arns(Some(arns.to_vec()));
        call.send().await.or_fault("autoscaling:DetachLoadBalancerTargetGroups")?;
    }
    Ok(())
}

async fn set_metrics(
    region: &Region,
    id: &str,
    now: &[String],
    wanted: &[String],
    inputs: &Inputs,
) -> Result<(), Fault> {
    if let Some(metrics) = added(now, wanted) {
        let call = region.autoscaling.enable_metrics_collection().auto_scaling_group_name(id);
        let call = call.set_metrics(Some(metrics)).granularity(&inputs.metrics_granularity);
        call.send().await.or_fault("autoscaling:EnableMetricsCollection")?;
    }
    if let Some(metrics) = added(wanted, now) {
        let call = region.autoscaling.disable_metrics_collection().auto_scaling_group_name(id);
        call.set_metrics(Some(metrics)).send().await.or_fault("autoscaling:DisableMetricsCollection")?;
    }
    Ok(())
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let number = |field: &str| match inputs.get(field) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    };
    let mut mistakes = vec![];
    let mut wrong = |path: &str, what: String, hint: Option<&str>| {
        mistakes.push(Mistake { path: path.into(), what, hint: hint.map(str::to_owned) });
    };
    let (min, max, desired) = (number("min_size"), number("max_size"), number("desired_capacity"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        wrong("min_size", format!("is {min}, more than `max_size`, which is {max}"), None);
    }
    if let Some(desired) = desired
        && (min.is_some_and(|min| desired < min) || max.is_some_and(|max| desired > max))
    {
        wrong("desired_capacity", format!("is {desired}, which is not between `min_size` and `max_size`"), None);
    }
    let within = |field: &str, name: &str| inputs.get(field).and_then(Value::as_map)?.get(name).cloned();
    let preferences = within("instance_refresh", "preferences");
    let rolls_back = preferences.as_ref().and_then(Value::as_map).and_then(|all| all.get("auto_rollback"));
    let version = within("launch_template", "version").unwrap_or_else(|| "$Default".into());
    if rolls_back == Some(&Value::Bool(true)) && version.as_str().is_some_and(|version| version.starts_with('$')) {
        wrong(
            "instance_refresh.preferences.auto_rollback",
            format!("does not go with version {version} of the launch template"),
            Some("pass `latest_version` of the launch template as its version"),
        );
    }
    mistakes
}
