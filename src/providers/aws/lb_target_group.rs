//! `aws::lb_target_group`. Reads: one GetResources per region (100 a page), then one DescribeTargetGroups and one
//! DescribeTags for each 20 target groups of the stack, and one DescribeTargetGroupAttributes for each.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{Matcher, ProtocolEnum, TargetGroup, TargetGroupAttribute, TargetTypeEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::load_balancing::{Asked, asked, check_name, in_batches, suffix, tags_of};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Fault, Status};

pub struct LbTargetGroup;

/// Where a load balancer sends traffic to. What is in it is registered by whoever runs it: an Auto Scaling group, or a
/// controller in a cluster.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the region, up to 32 letters, digits and hyphens; left out, the logical name
    /// (CreateTargetGroup).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// Port of the targets (CreateTargetGroup).
    #[schemars(extend("immutable" = true))]
    pub port: i64,
    /// What the targets are spoken to in: `TCP`, `TLS`, `UDP` or `TCP_UDP` from a network load balancer, `HTTP` or
    /// `HTTPS` from an application one (CreateTargetGroup).
    #[schemars(extend("enum" = ["TCP", "TLS", "UDP", "TCP_UDP", "HTTP", "HTTPS"], "immutable" = true))]
    pub protocol: String,
    /// Version of HTTP, where it is HTTP; left out, `HTTP1` (CreateTargetGroup).
    #[schemars(extend("enum" = ["HTTP1", "HTTP2", "GRPC"], "immutable" = true))]
    pub protocol_version: Option<String>,
    /// VPC of the targets (CreateTargetGroup).
    #[schemars(extend("immutable" = true))]
    pub vpc_id: String,
    /// What targets are: ids of instances, addresses, or one application load balancer (CreateTargetGroup).
    #[serde(default = "instance")]
    #[schemars(extend("enum" = ["instance", "ip", "alb"], "immutable" = true))]
    pub target_type: String,
    /// How it is seen whether a target works; parts that are left out are as AWS has them (ModifyTargetGroup).
    pub health_check: Option<HealthCheck>,
    /// Seconds for which a target that goes may finish what it has begun; AWS takes 300
    /// (ModifyTargetGroupAttributes).
    pub deregistration_delay: Option<i64>,
    /// Whether targets see the client's address instead of the load balancer's (ModifyTargetGroupAttributes).
    pub preserve_client_ip: Option<bool>,
    /// Whether the client's address is told in a header of the PROXY protocol (ModifyTargetGroupAttributes).
    pub proxy_protocol_v2: Option<bool>,
    /// Whether a client stays with one target (ModifyTargetGroupAttributes).
    pub stickiness: Option<Stickiness>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// How it is seen whether a target works.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct HealthCheck {
    /// Whether it is looked at at all.
    pub enabled: Option<bool>,
    /// `TCP`, `HTTP` or `HTTPS`.
    pub protocol: Option<String>,
    /// A port, or `traffic-port` for the one that gets the traffic.
    pub port: Option<String>,
    /// Path that is asked for with HTTP.
    pub path: Option<String>,
    /// Codes of answers that mean health: `200`, `200-399`.
    pub matcher: Option<String>,
    /// Seconds between two looks.
    pub interval: Option<i64>,
    /// Seconds without an answer that mean failure.
    pub timeout: Option<i64>,
    /// Successes in a row after which a target counts as healthy.
    pub healthy_threshold: Option<i64>,
    /// Failures in a row after which it no longer does.
    pub unhealthy_threshold: Option<i64>,
}

/// What ties a client to a target.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Stickiness {
    /// `source_ip` for a network load balancer, `lb_cookie` for an application one.
    pub r#type: String,
    /// Whether it is on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Seconds for which the cookie holds.
    pub cookie_duration: Option<i64>,
}

fn instance() -> String {
    "instance".into()
}

fn yes() -> bool {
    true
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the target group.
    #[schemars(example = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/main/0a1b2c3d4e5f6071")]
    id: String,
    /// ARN of the target group.
    #[schemars(example = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/main/0a1b2c3d4e5f6071")]
    arn: String,
    /// The end of the ARN, by which metrics name it.
    #[schemars(example = &"targetgroup/main/0a1b2c3d4e5f6071")]
    arn_suffix: String,
}

impl AwsKind for LbTargetGroup {
    const NAME: &'static str = "aws::lb_target_group";
    const TYPE: Type = Type::LoadBalancing("elasticloadbalancing:targetgroup");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            check: check_name,
            id_prefix: "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let describe = || region.elb.describe_target_groups();
        let (names, by_name) = match asked(region, search, &Self::TYPE).await? {
            Asked::Arns(arns) => (arns, false),
            Asked::Names(names) => (names, true),
        };
        let all = in_batches(&names, |some| async move {
            let call = match by_name {
                true => describe().set_names(Some(some)),
                false => describe().set_target_group_arns(Some(some)),
            };
            let answer = call.send().await.or_fault("elasticloadbalancing:DescribeTargetGroups")?;
            Ok(answer.target_groups.unwrap_or_default())
        });
        let all: BTreeMap<String, TargetGroup> =
            all.await?.into_iter().filter_map(|group| Some((group.target_group_arn()?.to_owned(), group))).collect();
        let tags = tags_of(region, all.keys().cloned().collect()).await?;
        let read = each(all.keys().cloned(), |arn| async move {
            let call = region.elb.describe_target_group_attributes().target_group_arn(&arn);
            let answer = if_there(call.send().await.or_fault("elasticloadbalancing:DescribeTargetGroupAttributes"))?;
            Ok(answer.map(|answer| (arn, answer.attributes.unwrap_or_default())))
        });
        let found = read.await?.into_iter().filter_map(|(arn, attributes)| {
            let (group, tags) = (all.get(&arn)?, tags.get(&arn)?);
            Some(Found {
                inputs: inputs(group, &attributes, tags),
                outputs: Outputs { arn_suffix: suffix(&arn), id: arn.clone(), arn: arn.clone() },
                status: Status::Ready,
                tags: tags.clone(),
                id: arn,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let mut call = region
            .elb
            .create_target_group()
            .name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .port(small(inputs.port))
            .protocol(ProtocolEnum::from(inputs.protocol.as_str()))
            .set_protocol_version(inputs.protocol_version.clone())
            .vpc_id(&inputs.vpc_id)
            .target_type(TargetTypeEnum::from(inputs.target_type.as_str()))
            .set_tags(birth.list());
        if let Some(check) = &inputs.health_check {
            call = call
                .set_health_check_enabled(check.enabled)
                .set_health_check_protocol(check.protocol.as_deref().map(ProtocolEnum::from))
                .set_health_check_port(check.port.clone())
                .set_health_check_path(check.path.clone())
                .set_matcher(check.matcher.as_deref().map(matcher))
                .set_health_check_interval_seconds(check.interval.map(small))
                .set_health_check_timeout_seconds(check.timeout.map(small))
                .set_healthy_threshold_count(check.healthy_threshold.map(small))
                .set_unhealthy_threshold_count(check.unhealthy_threshold.map(small));
        }
        let made = call.send().await.or_fault("elasticloadbalancing:CreateTargetGroup")?.target_groups;
        Ok(made.and_then(|made| made.into_iter().next()?.target_group_arn))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        set_attributes(region, id, attributes(inputs, |_| true)).await
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        if let Some(check) = change.inputs.health_check.as_ref().filter(|_| change.of("health_check")) {
            let call = region
                .elb
                .modify_target_group()
                .target_group_arn(id)
                .set_health_check_enabled(check.enabled)
                .set_health_check_protocol(check.protocol.as_deref().map(ProtocolEnum::from))
                .set_health_check_port(check.port.clone())
                .set_health_check_path(check.path.clone())
                .set_matcher(check.matcher.as_deref().map(matcher))
                .set_health_check_interval_seconds(check.interval.map(small))
                .set_health_check_timeout_seconds(check.timeout.map(small))
                .set_healthy_threshold_count(check.healthy_threshold.map(small))
                .set_unhealthy_threshold_count(check.unhealthy_threshold.map(small));
            call.send().await.or_fault("elasticloadbalancing:ModifyTargetGroup")?;
        }
        set_attributes(region, id, attributes(change.inputs, |field| change.of(field))).await
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let call = region.elb.delete_target_group().target_group_arn(id);
        call.send().await.or_fault("elasticloadbalancing:DeleteTargetGroup").map(drop)
    }
}

fn inputs(group: &TargetGroup, attributes: &[TargetGroupAttribute], tags: &Tags) -> Inputs {
    let attribute = |key: &str| attributes.iter().find(|one| one.key() == Some(key))?.value();
    let is_on = |key: &str| attribute(key).and_then(|on| on.parse().ok());
    let seconds = |key: &str| attribute(key).and_then(|time| time.parse().ok());
    let text = |text: Option<&str>| text.map(str::to_owned);
    Inputs {
        name: text(group.target_group_name()),
        port: group.port().unwrap_or_default().into(),
        protocol: group.protocol().map(|protocol| protocol.as_str().to_owned()).unwrap_or_default(),
        protocol_version: text(group.protocol_version()),
        vpc_id: group.vpc_id().unwrap_or_default().to_owned(),
        target_type: group.target_type().map_or_else(instance, |of| of.as_str().to_owned()),
        health_check: Some(HealthCheck {
            enabled: group.health_check_enabled(),
            protocol: group.health_check_protocol().map(|protocol| protocol.as_str().to_owned()),
            port: text(group.health_check_port()),
            path: text(group.health_check_path()),
            matcher: text(group.matcher().and_then(|matcher| matcher.http_code().or(matcher.grpc_code()))),
            interval: group.health_check_interval_seconds().map(Into::into),
            timeout: group.health_check_timeout_seconds().map(Into::into),
            healthy_threshold: group.healthy_threshold_count().map(Into::into),
            unhealthy_threshold: group.unhealthy_threshold_count().map(Into::into),
        }),
        deregistration_delay: seconds("deregistration_delay.timeout_seconds"),
        preserve_client_ip: is_on("preserve_client_ip.enabled"),
        proxy_protocol_v2: is_on("proxy_protocol_v2.enabled"),
        stickiness: attribute("stickiness.type").map(|of| Stickiness {
            r#type: of.to_owned(),
            enabled: is_on("stickiness.enabled").unwrap_or_default(),
            cookie_duration: seconds("stickiness.lb_cookie.duration_seconds"),
        }),
        tags: tags::authored(tags),
    }
}

/// Those of the fields that are wanted, in the service's terms.
fn attributes(inputs: &Inputs, wanted: impl Fn(&str) -> bool) -> Vec<TargetGroupAttribute> {
    let sticky = inputs.stickiness.as_ref();
    let all = [
        (
            "deregistration_delay",
            "deregistration_delay.timeout_seconds",
            inputs.deregistration_delay.map(|time| time.to_string()),
        ),
        ("preserve_client_ip", "preserve_client_ip.enabled", inputs.preserve_client_ip.map(|on| on.to_string())),
        ("proxy_protocol_v2", "proxy_protocol_v2.enabled", inputs.proxy_protocol_v2.map(|on| on.to_string())),
        ("stickiness", "stickiness.enabled", sticky.map(|sticky| sticky.enabled.to_string())),
        ("stickiness", "stickiness.type", sticky.map(|sticky| sticky.r#type.clone())),
        (
            "stickiness",
            "stickiness.lb_cookie.duration_seconds",
            sticky.and_then(|sticky| sticky.cookie_duration).map(|time| time.to_string()),
        ),
    ];
    let set = all.into_iter().filter(|(field, ..)| wanted(field));
    let set = set.filter_map(|(_, key, value)| Some(TargetGroupAttribute::builder().key(key).value(value?).build()));
    set.collect()
}

async fn set_attributes(region: &Region, id: &str, attributes: Vec<TargetGroupAttribute>) -> Result<(), Fault> {
    if attributes.is_empty() {
        return Ok(());
    }
    let call = region.elb.modify_target_group_attributes().target_group_arn(id).set_attributes(Some(attributes));
    call.send().await.or_fault("elasticloadbalancing:ModifyTargetGroupAttributes").map(drop)
}

fn matcher(codes: &str) -> Matcher {
    Matcher::builder().http_code(codes).build()
}

/// Ports, counts and seconds: AWS says what is wrong with one that is far out of range.
fn small(number: i64) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
