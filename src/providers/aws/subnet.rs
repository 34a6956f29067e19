//! `aws::subnet`. Reads: one DescribeSubnets per region, 1,000 a page.

use aws_sdk_ec2::operation::modify_subnet_attribute::builders::ModifySubnetAttributeFluentBuilder;
use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, SubnetCidrBlockStateCode, SubnetState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cidr::{self, Family};
use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, filter};
use super::tagging::Type;
use super::tags::{self, Tags};
use super::users;
use crate::resource::kind::Nature;
use crate::resource::{Fault, Status};

pub struct Subnet;

/// A range of a VPC's addresses in one availability zone.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// VPC it is a part of (CreateSubnet).
    #[schemars(extend("immutable" = true))]
    pub vpc_id: String,
    /// IPv4 range inside the VPC's, /16 to /28 (CreateSubnet).
    #[schemars(extend("immutable" = true))]
    pub cidr_block: String,
    /// Zone it lies in, by name (`eu-west-1a`); left out, AWS chooses (CreateSubnet).
    #[schemars(extend("immutable" = true))]
    pub availability_zone: Option<String>,
    /// IPv6 range inside the VPC's, a /64 as a rule (AssociateSubnetCidrBlock).
    pub ipv6_cidr_block: Option<String>,
    /// Whether instances get a public IPv4 address (ModifySubnetAttribute).
    #[serde(default)]
    pub map_public_ip_on_launch: bool,
    /// Whether network interfaces get an IPv6 address (ModifySubnetAttribute).
    #[serde(default)]
    pub assign_ipv6_address_on_creation: bool,
    /// Whether the resolver answers with synthetic IPv6 addresses for IPv4-only names (ModifySubnetAttribute).
    #[serde(default)]
    pub enable_dns64: bool,
    /// Whether resource names of instances have A records (ModifySubnetAttribute).
    #[serde(default)]
    pub enable_resource_name_dns_a_record_on_launch: bool,
    /// Whether resource names of instances have AAAA records (ModifySubnetAttribute).
    #[serde(default)]
    pub enable_resource_name_dns_aaaa_record_on_launch: bool,
    /// What host names of instances are made from: their address or their id (ModifySubnetAttribute).
    #[serde(default = "ip_name")]
    #[schemars(extend("enum" = ["ip-name", "resource-name"]))]
    pub private_dns_hostname_type_on_launch: String,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn ip_name() -> String {
    "ip-name".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the subnet.
    #[schemars(example = "subnet-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the subnet.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:subnet/subnet-0a1b2c3d4e5f60718")]
    arn: String,
    /// Account it belongs to.
    #[schemars(example = "111122223333")]
    owner_id: String,
    /// Id of its zone, the same in all accounts.
    #[schemars(example = "euw1-az1")]
    availability_zone_id: Option<String>,
}

impl AwsKind for Subnet {
    const NAME: &'static str = "aws::subnet";
    const TYPE: Type = Type::Ec2(ResourceType::Subnet);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            check: |inputs| {
                let v4 = cidr::mistake("cidr_block", inputs.get("cidr_block"), Family::V4, 16..=28);
                let v6 = cidr::mistake("ipv6_cidr_block", inputs.get("ipv6_cidr_block"), Family::V6, 44..=64);
                v4.into_iter().chain(v6).collect()
            },
            normalise: |field, value| match field {
                "ipv6_cidr_block" => cidr::canonical(value),
                _ => value.clone(),
            },
            id_prefix: "subnet-",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut subnets = vec![];
        for filters in search.listings("subnet-id", None) {
            let pages = region.ec2.describe_subnets().set_filters(Some(filters)).into_paginator().page_size(1000);
            subnets.extend(pages.items().send().collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeSubnets")?);
        }
        let found = subnets.into_iter().filter_map(|subnet| {
            let id = subnet.subnet_id()?.to_owned();
            let names = subnet.private_dns_name_options_on_launch();
            let named = |of: fn(&aws_sdk_ec2::types::PrivateDnsNameOptionsOnLaunch) -> Option<bool>| {
                names.and_then(of).unwrap_or(false)
            };
            Some(Found {
                inputs: Inputs {
                    vpc_id: subnet.vpc_id().unwrap_or_default().to_owned(),
                    cidr_block: subnet.cidr_block().unwrap_or_default().to_owned(),
                    availability_zone: subnet.availability_zone().map(str::to_owned),
                    ipv6_cidr_block: ipv6(&subnet).map(|(_, block)| block),
                    map_public_ip_on_launch: subnet.map_public_ip_on_launch().unwrap_or(false),
                    assign_ipv6_address_on_creation: subnet.assign_ipv6_address_on_creation().unwrap_or(false),
                    enable_dns64: subnet.enable_dns64().unwrap_or(false),
                    enable_resource_name_dns_a_record_on_launch: named(|n| n.enable_resource_name_dns_a_record()),
                    enable_resource_name_dns_aaaa_record_on_launch: named(|n| n.enable_resource_name_dns_aaaa_record()),
                    private_dns_hostname_type_on_launch: names
                        .and_then(|names| names.hostname_type())
                        .map(|kind| kind.as_str().to_owned())
                        .unwrap_or_else(ip_name),
                    tags: tags::authored(&tags::of(subnet.tags())),
                },
                outputs: Outputs {
                    id: id.clone(),
                    arn: subnet
                        .subnet_arn()
                        .map(str::to_owned)
                        .unwrap_or_else(|| region.ec2_arn(subnet.owner_id(), &format!("subnet/{id}"))),
                    owner_id: subnet.owner_id().unwrap_or(&region.account).to_owned(),
                    availability_zone_id: subnet.availability_zone_id().map(str::to_owned),
                },
                tags: tags::of(subnet.tags()),
                status: match subnet.state() {
                    Some(SubnetState::Pending) => Status::Pending("pending".into()),
                    Some(SubnetState::Available) | None => Status::Ready,
                    Some(other) => Status::Failed(format!("the subnet is {other}")),
                },
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .create_subnet()
            .vpc_id(&inputs.vpc_id)
            .cidr_block(&inputs.cidr_block)
            .set_availability_zone(inputs.availability_zone.clone())
            .set_ipv6_cidr_block(inputs.ipv6_cidr_block.clone())
            .tag_specifications(birth.specification());
        Ok(call.send().await.or_fault("ec2:CreateSubnet")?.subnet.and_then(|subnet| subnet.subnet_id))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        // As it is born, so that only what differs costs a call.
        let fresh = Inputs {
            map_public_ip_on_launch: false,
            assign_ipv6_address_on_creation: false,
            enable_dns64: false,
            enable_resource_name_dns_a_record_on_launch: false,
            enable_resource_name_dns_aaaa_record_on_launch: false,
            private_dns_hostname_type_on_launch: ip_name(),
            ..inputs.but_tags()
        };
        for attribute in ATTRIBUTES.iter().filter(|attribute| attribute.differs(&fresh, inputs)) {
            attribute.set(region, id, inputs).await?;
        }
        Ok(())
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let inputs = change.inputs;
        // An address on creation needs the range, so it is switched off before the range goes.
        let on = |attribute: &&Attribute| {
            attribute.name == "assign_ipv6_address_on_creation" && !inputs.assign_ipv6_address_on_creation
        };
        for attribute in ATTRIBUTES.iter().filter(|attribute| change.of(attribute.name)).filter(on) {
            attribute.set(region, id, inputs).await?;
        }
        if change.of("ipv6_cidr_block") {
            set_ipv6(region, id, inputs.ipv6_cidr_block.as_deref()).await?;
        }
        for attribute in ATTRIBUTES.iter().filter(|attribute| change.of(attribute.name)).filter(|a| !on(a)) {
            attribute.set(region, id, inputs).await?;
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let deleted = region.ec2.delete_subnet().subnet_id(id).send().await;
        users::named(region, "subnet-id", id, deleted.or_fault("ec2:DeleteSubnet").map(drop)).await
    }
}

impl Inputs {
    fn but_tags(&self) -> Inputs {
        Inputs {
            vpc_id: self.vpc_id.clone(),
            cidr_block: self.cidr_block.clone(),
            availability_zone: self.availability_zone.clone(),
            ipv6_cidr_block: self.ipv6_cidr_block.clone(),
            private_dns_hostname_type_on_launch: self.private_dns_hostname_type_on_launch.clone(),
            tags: None,
            ..*self
        }
    }
}

/// What ModifySubnetAttribute sets, one a call.
struct Attribute {
    name: &'static str,
    get: fn(&Inputs) -> &dyn std::fmt::Debug,
    put: fn(ModifySubnetAttributeFluentBuilder, &Inputs) -> ModifySubnetAttributeFluentBuilder,
}

const ATTRIBUTES: [Attribute; 6] = [
    Attribute {
        name: "map_public_ip_on_launch",
        get: |i| &i.map_public_ip_on_launch,
        put: |call, i| call.map_public_ip_on_launch(on(i.map_public_ip_on_launch)),
    },
    Attribute {
        name: "assign_ipv6_address_on_creation",
        get: |i| &i.assign_ipv6_address_on_creation,
        put: |call, i| call.assign_ipv6_address_on_creation(on(i.assign_ipv6_address_on_creation)),
    },
    Attribute { name: "enable_dns64", get: |i| &i.enable_dns64, put: |call, i| call.enable_dns64(on(i.enable_dns64)) },
    Attribute {
        name: "enable_resource_name_dns_a_record_on_launch",
        get: |i| &i.enable_resource_name_dns_a_record_on_launch,
        put: |call, i| {
            call.enable_resource_name_dns_a_record_on_launch(on(i.enable_resource_name_dns_a_record_on_launch))
        },
    },
    Attribute {
        name: "enable_resource_name_dns_aaaa_record_on_launch",
        get: |i| &i.enable_resource_name_dns_aaaa_record_on_launch,
        put: |call, i| {
            call.enable_resource_name_dns_aaaa_record_on_launch(on(i.enable_resource_name_dns_aaaa_record_on_launch))
        },
    },
    Attribute {
        name: "private_dns_hostname_type_on_launch",
        get: |i| &i.private_dns_hostname_type_on_launch,
        put: |call, i| call.private_dns_hostname_type_on_launch(i.private_dns_hostname_type_on_launch.as_str().into()),
    },
];

impl Attribute {
    fn differs(&self, a: &Inputs, b: &Inputs) -> bool {
        format!("{:?}", (self.get)(a)) != format!("{:?}", (self.get)(b))
    }

    async fn set(&self, region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        let call = (self.put)(region.ec2.modify_subnet_attribute().subnet_id(id), inputs);
        call.send().await.or_fault("ec2:ModifySubnetAttribute").map(drop)
    }
}

fn on(value: bool) -> AttributeBooleanValue {
    AttributeBooleanValue::builder().value(value).build()
}

/// The IPv6 block of a subnet: its association and the range.
fn ipv6(subnet: &aws_sdk_ec2::types::Subnet) -> Option<(String, String)> {
    use SubnetCidrBlockStateCode::{Associated, Associating};
    subnet.ipv6_cidr_block_association_set().iter().find_map(|one| {
        let held = matches!(one.ipv6_cidr_block_state()?.state()?, Associated | Associating);
        held.then(|| {
            (one.association_id().unwrap_or_default().into(), one.ipv6_cidr_block().unwrap_or_default().into())
        })
    })
}

/// There can be one, so the old one goes first.
async fn set_ipv6(region: &Region, id: &str, block: Option<&str>) -> Result<(), Fault> {
    let answer = region.ec2.describe_subnets().filters(filter("subnet-id", [id])).send().await;
    let answer = answer.or_fault("ec2:DescribeSubnets")?;
    let held = answer.subnets().first().and_then(ipv6);
    if held.as_ref().map(|(_, held)| held.as_str()) == block {
        return Ok(());
    }
    if let Some((association, _)) = held {
        let call = region.ec2.disassociate_subnet_cidr_block().association_id(association);
        call.send().await.or_fault("ec2:DisassociateSubnetCidrBlock")?;
    }
    if let Some(block) = block {
        let call = region.ec2.associate_subnet_cidr_block().subnet_id(id).ipv6_cidr_block(block);
        call.send().await.or_fault("ec2:AssociateSubnetCidrBlock")?;
    }
    Ok(())
}
