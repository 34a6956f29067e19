//! `aws::vpc_endpoint`. Reads: one DescribeVpcEndpoints per region, 1,000 a page; one DescribePrefixLists if there are
//! gateway endpoints.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{IpAddressType, ResourceType, State, VpcEndpointType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::fault_codes::classify;
use super::kind::{AwsKind, Birth, Change, Found, Search, added, in_chunks};
use super::policy;
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct VpcEndpoint;

/// A private way from a VPC to a service: by routes (Gateway, for S3 and DynamoDB) or by network interfaces in its
/// subnets (Interface, for nearly all others, such as `com.amazonaws.eu-west-1.ecr.dkr`).
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// VPC it is for (CreateVpcEndpoint).
    #[schemars(extend("immutable" = true))]
    pub vpc_id: String,
    /// Service it leads to: `com.amazonaws.<region>.<service>` (CreateVpcEndpoint).
    #[schemars(extend("immutable" = true))]
    pub service_name: String,
    /// How it is reached (CreateVpcEndpoint).
    #[serde(default = "gateway")]
    #[schemars(extend("enum" = ["Gateway", "Interface", "GatewayLoadBalancer"], "immutable" = true))]
    pub vpc_endpoint_type: String,
    /// Gateway: all route tables that lead to it (ModifyVpcEndpoint).
    #[schemars(extend("uniqueItems" = true, "lets_go" = true))]
    pub route_table_ids: Option<Vec<String>>,
    /// Interface: all subnets in which it has an interface, at most one per zone (ModifyVpcEndpoint).
    #[schemars(extend("uniqueItems" = true))]
    pub subnet_ids: Option<Vec<String>>,
    /// Interface: all security groups of its interfaces; left out, the VPC's default one (ModifyVpcEndpoint).
    #[schemars(extend("uniqueItems" = true))]
    pub security_group_ids: Option<Vec<String>>,
    /// Interface: whether the service's public name leads here inside the VPC; needs both DNS settings of the VPC
    /// (ModifyVpcEndpoint).
    #[serde(default)]
    pub private_dns_enabled: bool,
    /// Who may do what through it, as JSON; left out, everyone everything (ModifyVpcEndpoint).
    pub policy: Option<String>,
    /// Interface: kind of addresses of its interfaces (ModifyVpcEndpoint).
    #[schemars(extend("enum" = ["ipv4", "ipv6", "dualstack"]))]
    pub ip_address_type: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn gateway() -> String {
    "Gateway".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the endpoint.
    #[schemars(example = "vpce-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the endpoint.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:vpc-endpoint/vpce-0a1b2c3d4e5f60718")]
    arn: String,
    /// Account it belongs to.
    #[schemars(example = "111122223333")]
    owner_id: String,
    /// Gateway: prefix list with the service's addresses, for rules of security groups.
    #[schemars(example = "pl-6da54004")]
    prefix_list_id: Option<String>,
    /// Interface: names under which it is reached.
    #[schemars(
        example = [DnsEntry { dns_name: "vpce-0a1b.ecr.eu-west-1.vpce.amazonaws.com".into(), hosted_zone_id: "Z38GZ743OKFT7T".into() }],
        extend("changes_with" = ["subnet_ids", "private_dns_enabled", "ip_address_type"])
    )]
    dns_entry: Vec<DnsEntry>,
    /// Interface: its network interfaces.
    #[schemars(example = ["eni-0a1b2c3d4e5f60718"], extend("changes_with" = ["subnet_ids"], "uniqueItems" = true))]
    network_interface_ids: Vec<String>,
}

/// A name and the zone it stands in.
#[derive(Serialize, JsonSchema)]
struct DnsEntry {
    /// The name.
    dns_name: String,
    /// Hosted zone of the name.
    hosted_zone_id: String,
}

impl AwsKind for VpcEndpoint {
    const NAME: &'static str = "aws::vpc_endpoint";
    const TYPE: Type = Type::Ec2(ResourceType::VpcEndpoint);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            check,
            normalise: |field, value| match field {
                "policy" => policy::meaning(value),
                _ => value.clone(),
            },
            id_prefix: "vpce-",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut endpoints = vec![];
        for filters in search.listings("vpc-endpoint-id", None) {
            let pages = region.ec2.describe_vpc_endpoints().set_filters(Some(filters)).into_paginator().page_size(1000);
            let pages = pages.items().send();
            endpoints.extend(pages.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeVpcEndpoints")?);
        }
        endpoints.retain(|endpoint| endpoint.state().is_none_or(|state| !is(state, &State::Deleted)));
        let prefix_lists = prefix_lists(region, &endpoints).await?;
        let found = endpoints.into_iter().filter_map(|endpoint| {
            let id = endpoint.vpc_endpoint_id()?.to_owned();
            let service = endpoint.service_name().unwrap_or_default().to_owned();
            let some = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
            Some(Found {
                outputs: Outputs {
                    arn: region.ec2_arn(endpoint.owner_id(), &format!("vpc-endpoint/{id}")),
                    owner_id: endpoint.owner_id().unwrap_or(&region.account).to_owned(),
                    prefix_list_id: prefix_lists.get(&service).filter(|_| is_gateway(&endpoint)).cloned(),
                    dns_entry: dns_entries(&endpoint),
                    network_interface_ids: endpoint.network_interface_ids().to_vec(),
                    id: id.clone(),
                },
                inputs: Inputs {
                    vpc_id: endpoint.vpc_id().unwrap_or_default().to_owned(),
                    service_name: service,
                    vpc_endpoint_type: endpoint.vpc_endpoint_type().map_or_else(gateway, |t| t.as_str().to_owned()),
                    route_table_ids: some(endpoint.route_table_ids()),
                    subnet_ids: some(endpoint.subnet_ids()),
                    security_group_ids: some(&security_groups(&endpoint)),
                    private_dns_enabled: endpoint.private_dns_enabled().unwrap_or(false),
                    policy: endpoint.policy_document().map(str::to_owned),
                    ip_address_type: endpoint.ip_address_type().map(|kind| kind.as_str().to_owned()),
                    tags: tags::authored(&tags::of(endpoint.tags())),
                },
                tags: tags::of(endpoint.tags()),
                status: status(&endpoint),
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let interface = inputs.vpc_endpoint_type == "Interface";
        let call = region
            .ec2
            .create_vpc_endpoint()
            .vpc_id(&inputs.vpc_id)
            .service_name(&inputs.service_name)
            .vpc_endpoint_type(VpcEndpointType::from(inputs.vpc_endpoint_type.as_str()))
            .set_route_table_ids(inputs.route_table_ids.clone())
            .set_subnet_ids(inputs.subnet_ids.clone())
            .set_security_group_ids(inputs.security_group_ids.clone())
            .set_private_dns_enabled(interface.then_some(inputs.private_dns_enabled))
            .set_policy_document(inputs.policy.clone())
            .set_ip_address_type(inputs.ip_address_type.as_deref().map(IpAddressType::from))
            .client_token(&birth.token)
            .tag_specifications(birth.specification());
        let endpoint = call.send().await.or_fault("ec2:CreateVpcEndpoint")?.vpc_endpoint;
        Ok(endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id))
    }

    /// One ModifyVpcEndpoint for all.
    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let (now, wanted) = (change.live, change.inputs);
        let mut call = region.ec2.modify_vpc_endpoint().vpc_endpoint_id(id);
        let sets = |field: &str, now: &Option<Vec<String>>, wanted: &Option<Vec<String>>| {
            let (now, wanted) = (now.as_deref().unwrap_or_default(), wanted.as_deref().unwrap_or_default());
            if change.of(field) { (added(now, wanted), added(wanted, now)) } else { (None, None) }
        };
        let (new, gone) = sets("route_table_ids", &now.route_table_ids, &wanted.route_table_ids);
        call = call.set_add_route_table_ids(new).set_remove_route_table_ids(gone);
        let (new, gone) = sets("subnet_ids", &now.subnet_ids, &wanted.subnet_ids);
        call = call.set_add_subnet_ids(new).set_remove_subnet_ids(gone);
        let (new, gone) = sets("security_group_ids", &now.security_group_ids, &wanted.security_group_ids);
        call = call.set_add_security_group_ids(new).set_remove_security_group_ids(gone);
        if change.of("private_dns_enabled") {
            call = call.private_dns_enabled(wanted.private_dns_enabled);
        }
        if change.of("policy") {
            call = match &wanted.policy {
                Some(policy) => call.policy_document(policy),
                None => call.reset_policy(true),
            };
        }
        if change.of("ip_address_type") {
            call = call.set_ip_address_type(wanted.ip_address_type.as_deref().map(IpAddressType::from));
        }
        call.send().await.or_fault("ec2:ModifyVpcEndpoint").map(drop)
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let answer = region.ec2.delete_vpc_endpoints().vpc_endpoint_ids(id).send().await;
        // The call succeeds also if nothing was deleted: each failure is an item of the answer.
        let failed = answer.or_fault("ec2:DeleteVpcEndpoints")?.unsuccessful.unwrap_or_default();
        let Some(error) = failed.into_iter().find_map(|item| item.error) else { return Ok(()) };
        let code = error.code.unwrap_or_default();
        let mut fault = Fault::new(classify(&code, 400), error.message.unwrap_or_else(|| "was not deleted".into()));
        fault.code = Some(code);
        fault.operation = Some("ec2:DeleteVpcEndpoints".into());
        Err(fault)
    }
}

/// EC2 writes states in lower case, the SDK's type has them capitalised.
fn is(state: &State, other: &State) -> bool {
    state.as_str().eq_ignore_ascii_case(other.as_str())
}

fn is_gateway(endpoint: &aws_sdk_ec2::types::VpcEndpoint) -> bool {
    matches!(endpoint.vpc_endpoint_type(), None | Some(VpcEndpointType::Gateway))
}

fn status(endpoint: &aws_sdk_ec2::types::VpcEndpoint) -> Status {
    let Some(state) = endpoint.state() else { return Status::Ready };
    let any = |states: &[State]| states.iter().any(|other| is(state, other));
    if any(&[State::Available]) {
        Status::Ready
    } else if any(&[State::Deleting, State::Deleted]) {
        Status::Deleting
    } else if any(&[State::Failed, State::Rejected, State::Expired]) {
        let why = endpoint.last_error().and_then(|error| error.message()).or(endpoint.failure_reason());
        Status::Failed(why.map(str::to_owned).unwrap_or_else(|| state.as_str().to_lowercase()))
    } else {
        Status::Pending(state.as_str().to_owned())
    }
}

fn security_groups(endpoint: &aws_sdk_ec2::types::VpcEndpoint) -> Vec<String> {
    endpoint.groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect()
}

fn dns_entries(endpoint: &aws_sdk_ec2::types::VpcEndpoint) -> Vec<DnsEntry> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let entries = endpoint.dns_entries().iter();
    entries.map(|one| DnsEntry { dns_name: text(one.dns_name()), hosted_zone_id: text(one.hosted_zone_id()) }).collect()
}

/// The prefix list of each service that has a gateway endpoint.
async fn prefix_lists(
    region: &Region,
    endpoints: &[aws_sdk_ec2::types::VpcEndpoint],
) -> Result<BTreeMap<String, String>, Fault> {
    let gateways = endpoints.iter().filter(|endpoint| is_gateway(endpoint));
    let services: BTreeSet<String> = gateways.filter_map(|one| one.service_name().map(str::to_owned)).collect();
    let mut lists = BTreeMap::new();
    for filters in in_chunks("prefix-list-name", &services) {
        let pages = region.ec2.describe_prefix_lists().set_filters(Some(filters)).into_paginator().page_size(1000);
        let found = pages.items().send().collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribePrefixLists")?;
        lists.extend(found.into_iter().filter_map(|one| Some((one.prefix_list_name?, one.prefix_list_id?))));
    }
    Ok(lists)
}

/// What belongs to the other type of endpoint AWS refuses, or ignores.
fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let interface = match inputs.get("vpc_endpoint_type") {
        None | Some(Value::Null) => false,
        Some(Value::String(kind)) => kind != "Gateway",
        Some(_) => return mistakes,
    };
    let foreign: &[&str] = if interface { &["route_table_ids"] } else { &["subnet_ids", "security_group_ids"] };
    for field in foreign.iter().filter(|field| inputs.get(**field).is_some_and(|value| !value.is_null())) {
        mistakes.push(Mistake {
            path: (*field).to_owned(),
            what: format!("is not for an endpoint of type {}", if interface { "Interface" } else { "Gateway" }),
            hint: Some("see `vpc_endpoint_type`".into()),
        });
    }
    if let Some(policy) = inputs.get("policy").and_then(Value::as_str)
        && let Err(error) = serde_json::from_str::<serde_json::Value>(policy)
    {
        mistakes.push(Mistake { path: "policy".into(), what: format!("is not JSON: {error}"), hint: None });
    }
    mistakes
}
