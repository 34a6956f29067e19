//! `aws::vpc`. Reads: DescribeVpcs, 1,000 a page; then for what was found one DescribeSecurityGroups, one
//! DescribeRouteTables and one DescribeNetworkAcls for its defaults, and two DescribeVpcAttribute per VPC.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, VpcAttributeName, VpcCidrBlockStateCode, VpcState};
use futures_util::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cidr::{self, Family};
use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, filter, in_chunks};
use super::tagging::Type;
use super::tags::{self, Tags};
use super::users;
use crate::resource::kind::Nature;
use crate::resource::{Class, Fault, Status};

pub struct Vpc;

/// A virtual network of its own.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// IPv4 range of the network, /16 to /28 (CreateVpc).
    #[schemars(extend("immutable" = true))]
    pub cidr_block: String,
    /// Whether instances use the resolver of the VPC (ModifyVpcAttribute).
    #[serde(default = "yes")]
    pub enable_dns_support: bool,
    /// Whether instances with a public address get a public DNS name (ModifyVpcAttribute). Interface endpoints
    /// with private names, and EKS, need it.
    #[serde(default)]
    pub enable_dns_hostnames: bool,
    /// Whether instances run on hardware of their own (CreateVpc).
    #[serde(default = "shared")]
    #[schemars(extend("enum" = ["default", "dedicated"], "immutable" = true))]
    pub instance_tenancy: String,
    /// Whether the network has a /56 of Amazon's IPv6 addresses (AssociateVpcCidrBlock).
    #[serde(default)]
    pub assign_generated_ipv6_cidr_block: bool,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn yes() -> bool {
    true
}

fn shared() -> String {
    "default".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the VPC.
    #[schemars(example = "vpc-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the VPC.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0a1b2c3d4e5f60718")]
    arn: String,
    /// Account it belongs to.
    #[schemars(example = "111122223333")]
    owner_id: String,
    /// IPv6 range, if it has one.
    #[schemars(example = "2001:db8:1234:1a00::/56", extend("changes_with" = ["assign_generated_ipv6_cidr_block"]))]
    ipv6_cidr_block: Option<String>,
    /// Security group that instances get if none is named.
    #[schemars(example = "sg-0a1b2c3d4e5f60718", extend("comes_along" = true))]
    default_security_group_id: Option<String>,
    /// Network ACL of subnets for which none is named.
    #[schemars(example = "acl-0a1b2c3d4e5f60718", extend("comes_along" = true))]
    default_network_acl_id: Option<String>,
    /// Route table of subnets for which none is named.
    #[schemars(example = "rtb-0a1b2c3d4e5f60718", extend("comes_along" = true))]
    main_route_table_id: Option<String>,
}

impl AwsKind for Vpc {
    const NAME: &'static str = "aws::vpc";
    const TYPE: Type = Type::Ec2(ResourceType::Vpc);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            check: |inputs| {
                cidr::mistake("cidr_block", inputs.get("cidr_block"), Family::V4, 16..=28).into_iter().collect()
            },
            id_prefix: "vpc-",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut vpcs = vec![];
        for filters in search.listings("vpc-id", None) {
            let pages = region.ec2.describe_vpcs().set_filters(Some(filters)).into_paginator().page_size(1000).items();
            vpcs.extend(pages.send().collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeVpcs")?);
        }
        let ids: BTreeSet<String> = vpcs.iter().filter_map(|vpc| vpc.vpc_id().map(str::to_owned)).collect();
        let dns = stream::iter(ids.clone()).map(|id| dns(region, id)).buffer_unordered(8).try_collect::<Vec<_>>();
        let (dns, defaults) = tokio::try_join!(dns, Defaults::of(region, &ids))?;
        let dns: BTreeMap<String, (bool, bool)> = dns.into_iter().flatten().collect();

        let found = vpcs.into_iter().filter_map(|vpc| {
            let id = vpc.vpc_id()?.to_owned();
            let (enable_dns_support, enable_dns_hostnames) = *dns.get(&id)?;
            let ipv6 = ipv6(&vpc);
            Some(Found {
                inputs: Inputs {
                    cidr_block: vpc.cidr_block().unwrap_or_default().to_owned(),
                    enable_dns_support,
                    enable_dns_hostnames,
                    instance_tenancy: vpc.instance_tenancy().map(|t| t.as_str().to_owned()).unwrap_or_else(shared),
                    assign_generated_ipv6_cidr_block: ipv6.is_some(),
                    tags: tags::authored(&tags::of(vpc.tags())),
                },
                outputs: Outputs {
                    arn: region.ec2_arn(vpc.owner_id(), &format!("vpc/{id}")),
                    owner_id: vpc.owner_id().unwrap_or(&region.account).to_owned(),
                    ipv6_cidr_block: ipv6.map(|(_, block)| block),
                    default_security_group_id: defaults.security_groups.get(&id).cloned(),
                    default_network_acl_id: defaults.network_acls.get(&id).cloned(),
                    main_route_table_id: defaults.route_tables.get(&id).cloned(),
                    id: id.clone(),
                },
                tags: tags::of(vpc.tags()),
                status: match vpc.state() {
                    Some(VpcState::Pending) => Status::Pending("pending".into()),
                    // Subnets can take their part of the block only afterwards.
                    _ if associating(&vpc) => Status::Pending("associating an IPv6 block".into()),
                    _ => Status::Ready,
                },
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .create_vpc()
            .cidr_block(&inputs.cidr_block)
            .instance_tenancy(inputs.instance_tenancy.as_str().into())
            .amazon_provided_ipv6_cidr_block(inputs.assign_generated_ipv6_cidr_block)
            .tag_specifications(birth.specification());
        Ok(call.send().await.or_fault("ec2:CreateVpc")?.vpc.and_then(|vpc| vpc.vpc_id))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        // Support first: names need it.
        if !inputs.enable_dns_support {
            set_dns_support(region, id, false).await?;
        }
        if inputs.enable_dns_hostnames {
            set_dns_hostnames(region, id, true).await?;
        }
        Ok(())
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let inputs = change.inputs;
        // Names need support, so what is switched off goes in the other order.
        if change.of("enable_dns_hostnames") && !inputs.enable_dns_hostnames {
            set_dns_hostnames(region, id, false).await?;
        }
        if change.of("enable_dns_support") {
            set_dns_support(region, id, inputs.enable_dns_support).await?;
        }
        if change.of("enable_dns_hostnames") && inputs.enable_dns_hostnames {
            set_dns_hostnames(region, id, true).await?;
        }
        if change.of("assign_generated_ipv6_cidr_block") {
            set_ipv6(region, id, inputs.assign_generated_ipv6_cidr_block).await?;
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let deleted = region.ec2.delete_vpc().vpc_id(id).send().await;
        users::named(region, "vpc-id", id, deleted.or_fault("ec2:DeleteVpc").map(drop)).await
    }
}

/// Amazon's IPv6 block of a VPC: its association and the range.
fn ipv6(vpc: &aws_sdk_ec2::types::Vpc) -> Option<(String, String)> {
    use VpcCidrBlockStateCode::{Associated, Associating};
    vpc.ipv6_cidr_block_association_set().iter().find_map(|one| {
        let state = one.ipv6_cidr_block_state()?.state()?;
        let held = matches!(state, Associated | Associating) && one.ipv6_pool().is_none_or(|pool| pool == "Amazon");
        held.then(|| {
            (one.association_id().unwrap_or_default().into(), one.ipv6_cidr_block().unwrap_or_default().into())
        })
    })
}

fn associating(vpc: &aws_sdk_ec2::types::Vpc) -> bool {
    let mut states =
        vpc.ipv6_cidr_block_association_set().iter().filter_map(|one| one.ipv6_cidr_block_state()?.state());
    states.any(|state| *state == VpcCidrBlockStateCode::Associating)
}

async fn set_ipv6(region: &Region, id: &str, on: bool) -> Result<(), Fault> {
    // As it is now: a second association would be a second block.
    let answer = region.ec2.describe_vpcs().filters(filter("vpc-id", [id])).send().await;
    let answer = answer.or_fault("ec2:DescribeVpcs")?;
    match (answer.vpcs().first().and_then(ipv6), on) {
        (None, true) => {
            let call = region.ec2.associate_vpc_cidr_block().vpc_id(id).amazon_provided_ipv6_cidr_block(true);
            call.send().await.or_fault("ec2:AssociateVpcCidrBlock").map(drop)
        }
        (Some((association, _)), false) => {
            let call = region.ec2.disassociate_vpc_cidr_block().association_id(association);
            call.send().await.or_fault("ec2:DisassociateVpcCidrBlock").map(drop)
        }
        _ => Ok(()),
    }
}

async fn set_dns_support(region: &Region, id: &str, on: bool) -> Result<(), Fault> {
    let on = AttributeBooleanValue::builder().value(on).build();
    let call = region.ec2.modify_vpc_attribute().vpc_id(id).enable_dns_support(on);
    call.send().await.or_fault("ec2:ModifyVpcAttribute").map(drop)
}

async fn set_dns_hostnames(region: &Region, id: &str, on: bool) -> Result<(), Fault> {
    let on = AttributeBooleanValue::builder().value(on).build();
    let call = region.ec2.modify_vpc_attribute().vpc_id(id).enable_dns_hostnames(on);
    call.send().await.or_fault("ec2:ModifyVpcAttribute").map(drop)
}

/// Support and host names of one VPC. The API gives one attribute a call. `None` if it is gone meanwhile.
async fn dns(region: &Region, id: String) -> Result<Option<(String, (bool, bool))>, Fault> {
    let ask = |attribute| region.ec2.describe_vpc_attribute().vpc_id(&id).attribute(attribute).send();
    let both = tokio::try_join!(ask(VpcAttributeName::EnableDnsSupport), ask(VpcAttributeName::EnableDnsHostnames));
    let (support, hostnames) = match both.or_fault("ec2:DescribeVpcAttribute") {
        Err(fault) if fault.class == Class::NotFound => return Ok(None),
        other => other?,
    };
    let on = |value: Option<&AttributeBooleanValue>| value.and_then(AttributeBooleanValue::value).unwrap_or(false);
    let both = (on(support.enable_dns_support()), on(hostnames.enable_dns_hostnames()));
    Ok(Some((id, both)))
}

/// What AWS makes along with each VPC, by the VPC's id.
#[derive(Default)]
struct Defaults {
    security_groups: BTreeMap<String, String>,
    network_acls: BTreeMap<String, String>,
    route_tables: BTreeMap<String, String>,
}

impl Defaults {
    async fn of(region: &Region, vpcs: &BTreeSet<String>) -> Result<Self, Fault> {
        let mut defaults = Defaults::default();
        for ids in in_chunks("vpc-id", vpcs) {
            let groups = region.ec2.describe_security_groups().set_filters(Some(ids.clone()));
            let groups = groups.filters(filter("group-name", ["default"]));
            let groups = groups.into_paginator().page_size(1000).items().send().collect::<Result<Vec<_>, _>>();
            let tables = region.ec2.describe_route_tables().set_filters(Some(ids.clone()));
            let tables = tables.filters(filter("association.main", ["true"]));
            let tables = tables.into_paginator().page_size(100).items().send().collect::<Result<Vec<_>, _>>();
            let acls = region.ec2.describe_network_acls().set_filters(Some(ids));
            let acls = acls.filters(filter("default", ["true"]));
            let acls = acls.into_paginator().page_size(1000).items().send().collect::<Result<Vec<_>, _>>();
            let (groups, tables, acls) = tokio::join!(groups, tables, acls);
            let pair = |vpc: Option<String>, id: Option<String>| Some((vpc?, id?));
            let groups = groups.or_fault("ec2:DescribeSecurityGroups")?;
            defaults.security_groups.extend(groups.into_iter().filter_map(|one| pair(one.vpc_id, one.group_id)));
            let tables = tables.or_fault("ec2:DescribeRouteTables")?;
            defaults.route_tables.extend(tables.into_iter().filter_map(|one| pair(one.vpc_id, one.route_table_id)));
            let acls = acls.or_fault("ec2:DescribeNetworkAcls")?;
            defaults.network_acls.extend(acls.into_iter().filter_map(|one| pair(one.vpc_id, one.network_acl_id)));
        }
        Ok(defaults)
    }
}
