//! `aws::lb`. Reads: one GetResources per region (100 a page), then one DescribeLoadBalancers and one DescribeTags for
//! each 20 load balancers of the stack, and one DescribeLoadBalancerAttributes for each.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    IpAddressType, LoadBalancer, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerStateEnum,
    LoadBalancerTypeEnum, SubnetMapping as SdkMapping,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::load_balancing::{Asked, asked, check_name, in_batches, suffix, tags_of};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct Lb;

/// A load balancer: of kind `network` for TCP, TLS and UDP, of kind `application` for HTTP.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the region, up to 32 letters, digits and hyphens; left out, the logical name
    /// (CreateLoadBalancer).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// What it balances (CreateLoadBalancer).
    #[serde(default = "application")]
    #[schemars(extend("enum" = ["application", "network"], "immutable" = true))]
    pub load_balancer_type: String,
    /// Whether it has private addresses only (CreateLoadBalancer).
    #[serde(default)]
    #[schemars(extend("immutable" = true))]
    pub internal: bool,
    /// Subnets it stands in, one per zone (SetSubnets).
    #[schemars(extend("uniqueItems" = true))]
    pub subnets: Option<Vec<String>>,
    /// Subnets with addresses of your own in them, instead of `subnets` (CreateLoadBalancer).
    #[schemars(extend("uniqueItems" = true, "immutable" = true))]
    pub subnet_mapping: Option<Vec<SubnetMapping>>,
    /// Security groups. A network one that was made without any can never have some (SetSecurityGroups).
    #[schemars(extend("uniqueItems" = true))]
    pub security_groups: Option<Vec<String>>,
    /// Which addresses it has; `dualstack` needs subnets with IPv6 (SetIpAddressType).
    #[schemars(extend("enum" = ["ipv4", "dualstack"]))]
    pub ip_address_type: Option<String>,
    /// Whether AWS refuses to delete it (ModifyLoadBalancerAttributes).
    #[serde(default)]
    pub enable_deletion_protection: bool,
    /// Whether each zone sends to the targets of all zones; an application one always does
    /// (ModifyLoadBalancerAttributes).
    pub enable_cross_zone_load_balancing: Option<bool>,
    /// Seconds without traffic after which an application one closes a connection; AWS takes 60
    /// (ModifyLoadBalancerAttributes).
    pub idle_timeout: Option<i64>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// A subnet, and the address in it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SubnetMapping {
    /// The subnet.
    pub subnet_id: String,
    /// Elastic IP address of one that the internet reaches.
    pub allocation_id: Option<String>,
    /// Address of an internal one.
    pub private_ipv4_address: Option<String>,
}

fn application() -> String {
    "application".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the load balancer.
    #[schemars(example = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/main/0a1b2c3d4e5f6071")]
    id: String,
    /// ARN of the load balancer.
    #[schemars(example = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/main/0a1b2c3d4e5f6071")]
    arn: String,
    /// The end of the ARN, by which metrics name it.
    #[schemars(example = &"net/main/0a1b2c3d4e5f6071")]
    arn_suffix: String,
    /// Its name in DNS.
    #[schemars(example = &"main-0a1b2c3d4e5f6071.elb.eu-west-1.amazonaws.com")]
    dns_name: String,
    /// Hosted zone of that name, for alias records of Route 53.
    #[schemars(example = &"Z2IFOLAFXWLO4F")]
    zone_id: Option<String>,
    /// VPC of its subnets.
    #[schemars(example = "vpc-0a1b2c3d4e5f60718")]
    vpc_id: Option<String>,
}

impl AwsKind for Lb {
    const NAME: &'static str = "aws::lb";
    const TYPE: Type = Type::LoadBalancing("elasticloadbalancing:loadbalancer");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            // One that the internet reaches needs the way there.
            follows: &["aws::internet_gateway"],
            check,
            made_up: |output, inputs| {
                let name = inputs.get("name")?.as_str()?;
                let of = inputs.get("load_balancer_type").and_then(Value::as_str).unwrap_or("application");
                match output {
                    "arn_suffix" => {
                        let of = if of == "network" { "net" } else { "app" };
                        Some(format!("{of}/{name}/0a1b2c3d4e5f6071").into())
                    }
                    "dns_name" => Some(format!("{name}-0a1b2c3d4e5f6071.elb.eu-west-1.amazonaws.com").into()),
                    _ => None,
                }
            },
            fits: |field, wanted, live| field == "subnet_mapping" && says_subnets(wanted, live),
            id_prefix: "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/",
            timeout: 900,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let describe = || region.elb.describe_load_balancers();
        let (names, by_name) = match asked(region, search, &Self::TYPE).await? {
            Asked::Arns(arns) => (arns, false),
            Asked::Names(names) => (names, true),
        };
        let all = in_batches(&names, |some| async move {
            let call = match by_name {
                true => describe().set_names(Some(some)),
                false => describe().set_load_balancer_arns(Some(some)),
            };
            let answer = call.send().await.or_fault("elasticloadbalancing:DescribeLoadBalancers")?;
            Ok(answer.load_balancers.unwrap_or_default())
        });
        let all: BTreeMap<String, LoadBalancer> =
            all.await?.into_iter().filter_map(|lb| Some((lb.load_balancer_arn()?.to_owned(), lb))).collect();
        let tags = tags_of(region, all.keys().cloned().collect()).await?;
        let read = each(all.keys().cloned(), |arn| async move {
            let call = region.elb.describe_load_balancer_attributes().load_balancer_arn(&arn);
            let answer = if_there(call.send().await.or_fault("elasticloadbalancing:DescribeLoadBalancerAttributes"))?;
            Ok(answer.map(|answer| (arn, answer.attributes.unwrap_or_default())))
        });
        let found = read.await?.into_iter().filter_map(|(arn, attributes)| {
            let (lb, tags) = (all.get(&arn)?, tags.get(&arn)?);
            let attribute = |key: &str| attributes.iter().find(|one| one.key() == Some(key))?.value();
            Some(Found {
                inputs: Inputs {
                    name: lb.load_balancer_name().map(str::to_owned),
                    load_balancer_type: lb.r#type().map_or_else(application, |of| of.as_str().to_owned()),
                    internal: lb.scheme() == Some(&LoadBalancerSchemeEnum::Internal),
                    subnets: Some(mappings(lb).into_iter().map(|mapping| mapping.subnet_id).collect()),
                    // Without an address of your own it says no more than `subnets`.
                    subnet_mapping: Some(mappings(lb)).filter(|all| all.iter().any(SubnetMapping::has_address)),
                    security_groups: Some(lb.security_groups().to_vec()),
                    ip_address_type: lb.ip_address_type().map(|of| of.as_str().to_owned()),
                    enable_deletion_protection: attribute("deletion_protection.enabled") == Some("true"),
                    enable_cross_zone_load_balancing: attribute("load_balancing.cross_zone.enabled")
                        .and_then(|on| on.parse().ok()),
                    idle_timeout: attribute("idle_timeout.timeout_seconds").and_then(|time| time.parse().ok()),
                    tags: tags::authored(tags),
                },
                outputs: Outputs {
                    arn_suffix: suffix(&arn),
                    dns_name: lb.dns_name().unwrap_or_default().to_owned(),
                    zone_id: lb.canonical_hosted_zone_id().map(str::to_owned),
                    vpc_id: lb.vpc_id().map(str::to_owned),
                    id: arn.clone(),
                    arn: arn.clone(),
                },
                status: status(lb),
                tags: tags.clone(),
                id: arn,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let scheme = match inputs.internal {
            true => LoadBalancerSchemeEnum::Internal,
            false => LoadBalancerSchemeEnum::InternetFacing,
        };
        let mappings = inputs.subnet_mapping.as_ref().filter(|all| !all.is_empty());
        let call = region
            .elb
            .create_load_balancer()
            .name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .r#type(LoadBalancerTypeEnum::from(inputs.load_balancer_type.as_str()))
            .scheme(scheme)
            .set_subnets(inputs.subnets.clone().filter(|subnets| !subnets.is_empty()))
            .set_subnet_mappings(mappings.map(|all| all.iter().map(SubnetMapping::of_elb).collect()))
            .set_security_groups(inputs.security_groups.clone().filter(|groups| !groups.is_empty()))
            .set_ip_address_type(inputs.ip_address_type.as_deref().map(IpAddressType::from))
            .set_tags(birth.list());
        let made = call.send().await.or_fault("elasticloadbalancing:CreateLoadBalancer")?.load_balancers;
        Ok(made.and_then(|made| made.into_iter().next()?.load_balancer_arn))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        // A new one is not protected.
        let wanted = |field: &str| field != "enable_deletion_protection" || inputs.enable_deletion_protection;
        set_attributes(region, id, attributes(inputs, wanted)).await
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let inputs = change.inputs;
        if change.of("subnets") {
            let call = region.elb.set_subnets().load_balancer_arn(id).set_subnets(inputs.subnets.clone());
            call.send().await.or_fault("elasticloadbalancing:SetSubnets")?;
        }
        if change.of("security_groups") {
            let groups = Some(inputs.security_groups.clone().unwrap_or_default());
            let call = region.elb.set_security_groups().load_balancer_arn(id).set_security_groups(groups);
            call.send().await.or_fault("elasticloadbalancing:SetSecurityGroups")?;
        }
        // After the subnets, which must have IPv6 for it.
        if change.of("ip_address_type") {
            let of = inputs.ip_address_type.as_deref().unwrap_or("ipv4");
            let call = region.elb.set_ip_address_type().load_balancer_arn(id).ip_address_type(IpAddressType::from(of));
            call.send().await.or_fault("elasticloadbalancing:SetIpAddressType")?;
        }
        set_attributes(region, id, attributes(inputs, |field| change.of(field))).await
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let call = region.elb.delete_load_balancer().load_balancer_arn(id);
        call.send().await.or_fault("elasticloadbalancing:DeleteLoadBalancer").map(drop)
    }
}

impl SubnetMapping {
    fn has_address(&self) -> bool {
        self.allocation_id.is_some() || self.private_ipv4_address.is_some()
    }

    fn of_elb(&self) -> SdkMapping {
        SdkMapping::builder()
            .subnet_id(&self.subnet_id)
            .set_allocation_id(self.allocation_id.clone())
            .set_private_ipv4_address(self.private_ipv4_address.clone())
            .build()
    }
}

fn mappings(lb: &LoadBalancer) -> Vec<SubnetMapping> {
    let mapping = |zone: &aws_sdk_elasticloadbalancingv2::types::AvailabilityZone| {
        let addresses = zone.load_balancer_addresses();
        Some(SubnetMapping {
            subnet_id: zone.subnet_id()?.to_owned(),
            allocation_id: addresses.iter().find_map(|address| address.allocation_id()).map(str::to_owned),
            private_ipv4_address: addresses.iter().find_map(|one| one.private_ipv4_address()).map(str::to_owned),
        })
    };
    lb.availability_zones().iter().filter_map(mapping).collect()
}

/// Whether `subnet_mapping` names the subnets it stands in, and nothing else.
fn says_subnets(wanted: &Map, live: &Map) -> bool {
    let (Some(Value::List(wanted)), Some(Value::List(live))) = (wanted.get("subnet_mapping"), live.get("subnets"))
    else {
        return false;
    };
    let subnet = |mapping: &Value| {
        let given: Vec<_> = mapping.as_map()?.iter().filter(|(_, value)| !value.is_null()).collect();
        match given.as_slice() {
            [(key, Value::String(id))] if *key == "subnet_id" => Some(id.clone()),
            _ => None,
        }
    };
    let wanted: Option<BTreeSet<String>> = wanted.iter().map(subnet).collect();
    wanted == live.iter().map(|id| id.as_str().map(str::to_owned)).collect()
}

/// Those of the fields that are wanted, in the service's terms.
fn attributes(inputs: &Inputs, wanted: impl Fn(&str) -> bool) -> Vec<LoadBalancerAttribute> {
    let all = [
        (
            "enable_deletion_protection",
            "deletion_protection.enabled",
            Some(inputs.enable_deletion_protection.to_string()),
        ),
        (
            "enable_cross_zone_load_balancing",
            "load_balancing.cross_zone.enabled",
            inputs.enable_cross_zone_load_balancing.map(|on| on.to_string()),
        ),
        ("idle_timeout", "idle_timeout.timeout_seconds", inputs.idle_timeout.map(|seconds| seconds.to_string())),
    ];
    let set = all.into_iter().filter(|(field, ..)| wanted(field));
    let set = set.filter_map(|(_, key, value)| Some(LoadBalancerAttribute::builder().key(key).value(value?).build()));
    set.collect()
}

async fn set_attributes(region: &Region, id: &str, attributes: Vec<LoadBalancerAttribute>) -> Result<(), Fault> {
    if attributes.is_empty() {
        return Ok(());
    }
    let call = region.elb.modify_load_balancer_attributes().load_balancer_arn(id).set_attributes(Some(attributes));
    call.send().await.or_fault("elasticloadbalancing:ModifyLoadBalancerAttributes").map(drop)
}

fn status(lb: &LoadBalancer) -> Status {
    let state = lb.state();
    let why = state.and_then(|state| state.reason());
    match state.and_then(|state| state.code()) {
        Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired) | None => Status::Ready,
        Some(LoadBalancerStateEnum::Failed) => Status::Failed(why.unwrap_or("failed").to_owned()),
        Some(other) => Status::Pending(other.as_str().to_owned()),
    }
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = check_name(inputs);
    let given = |field: &str| inputs.get(field).is_some_and(|value| !value.is_empty());
    let mistake =
        |path: &str, what: &str, hint: &str| Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) };
    match (given("subnets"), given("subnet_mapping")) {
        (true, true) => mistakes.push(mistake("subnet_mapping", "says the same as `subnets`", "give one of the two")),
        (false, false) => mistakes.push(mistake("subnets", "is required", "or give `subnet_mapping`")),
        _ => {}
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_said_once() {
        let told = |json: serde_json::Value| {
            let Value::Map(inputs) = Value::from(json) else { panic!("a map") };
            check(&inputs).into_iter().map(|mistake| mistake.path).collect::<Vec<_>>()
        };
        let mapping = serde_json::json!([{ "subnet_id": "subnet-0a1b" }]);
        assert_eq!(told(serde_json::json!({ "name": "web-1", "subnets": ["subnet-0a1b"] })), [""; 0]);
        assert_eq!(told(serde_json::json!({ "subnet_mapping": mapping })), [""; 0]);
        assert_eq!(told(serde_json::json!({ "name": "internal-web" })), ["name", "subnets"]);
        let both = serde_json::json!({ "subnet_mapping": mapping, "subnets": ["subnet-0a1b"], "name": "a_b" });
        assert_eq!(told(both), ["name", "subnet_mapping"]);
    }
}
