//! `aws::nat_gateway`. Reads: one DescribeNatGateways per region, 1,000 a page.

use aws_sdk_ec2::types::{ConnectivityType, NatGatewayState, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Status, Value};

pub struct NatGateway;

/// Lets what has only private addresses reach out; nothing can be changed after it is made, except tags.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Subnet it stands in; for a public one, a subnet with a route to an internet gateway (CreateNatGateway).
    #[schemars(extend("immutable" = true))]
    pub subnet_id: String,
    /// Elastic IP address of a public one (CreateNatGateway).
    #[schemars(extend("immutable" = true))]
    pub allocation_id: Option<String>,
    /// Whether it leads to the internet or only to other private networks (CreateNatGateway).
    #[serde(default = "public")]
    #[schemars(extend("enum" = ["public", "private"], "immutable" = true))]
    pub connectivity_type: String,
    /// Address of its own in the subnet; left out, AWS chooses (CreateNatGateway).
    #[schemars(extend("immutable" = true))]
    pub private_ip: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn public() -> String {
    "public".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the NAT gateway.
    #[schemars(example = "nat-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the NAT gateway.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:natgateway/nat-0a1b2c3d4e5f60718")]
    arn: String,
    /// Address under which the internet sees what goes through a public one.
    #[schemars(example = "198.51.100.7")]
    public_ip: Option<String>,
    /// Network interface through which it is reached.
    #[schemars(example = "eni-0a1b2c3d4e5f60718")]
    network_interface_id: Option<String>,
    /// Id that ties the elastic IP address to it.
    #[schemars(example = "eipassoc-0a1b2c3d4e5f60718")]
    association_id: Option<String>,
}

impl AwsKind for NatGateway {
    const NAME: &'static str = "aws::nat_gateway";
    const TYPE: Type = Type::Ec2(ResourceType::Natgateway);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { follows: &["aws::internet_gateway"], check, id_prefix: "nat-", timeout: 900, ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut gateways = vec![];
        for filters in search.listings("nat-gateway-id", None) {
            let pages = region.ec2.describe_nat_gateways().set_filter(Some(filters)).into_paginator().page_size(1000);
            let pages = pages.items().send();
            gateways.extend(pages.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeNatGateways")?);
        }
        // One that is deleted stays in the listing for about an hour.
        gateways.retain(|gateway| gateway.state() != Some(&NatGatewayState::Deleted));
        let found = gateways.into_iter().filter_map(|gateway| {
            let id = gateway.nat_gateway_id()?.to_owned();
            let all = gateway.nat_gateway_addresses();
            let address = all.iter().find(|address| address.is_primary() == Some(true)).or(all.first());
            Some(Found {
                inputs: Inputs {
                    subnet_id: gateway.subnet_id().unwrap_or_default().to_owned(),
                    allocation_id: address.and_then(|a| a.allocation_id()).map(str::to_owned),
                    connectivity_type: gateway.connectivity_type().map_or_else(public, |c| c.as_str().to_owned()),
                    private_ip: address.and_then(|a| a.private_ip()).map(str::to_owned),
                    tags: tags::authored(&tags::of(gateway.tags())),
                },
                outputs: Outputs {
                    arn: region.ec2_arn(None, &format!("natgateway/{id}")),
                    public_ip: address.and_then(|a| a.public_ip()).map(str::to_owned),
                    network_interface_id: address.and_then(|a| a.network_interface_id()).map(str::to_owned),
                    association_id: address.and_then(|a| a.association_id()).map(str::to_owned),
                    id: id.clone(),
                },
                tags: tags::of(gateway.tags()),
                status: status(&gateway),
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .create_nat_gateway()
            .subnet_id(&inputs.subnet_id)
            .set_allocation_id(inputs.allocation_id.clone())
            .connectivity_type(ConnectivityType::from(inputs.connectivity_type.as_str()))
            .set_private_ip_address(inputs.private_ip.clone())
            .client_token(&birth.token)
            .tag_specifications(birth.specification());
        let gateway = call.send().await.or_fault("ec2:CreateNatGateway")?.nat_gateway;
        Ok(gateway.and_then(|gateway| gateway.nat_gateway_id))
    }

    async fn update(_: &Region, _: &str, _: Change<'_, Inputs>) -> Result<(), Fault> {
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        region.ec2.delete_nat_gateway().nat_gateway_id(id).send().await.or_fault("ec2:DeleteNatGateway").map(drop)
    }
}

fn status(gateway: &aws_sdk_ec2::types::NatGateway) -> Status {
    match gateway.state() {
        Some(NatGatewayState::Available) | None => Status::Ready,
        Some(NatGatewayState::Deleting | NatGatewayState::Deleted) => Status::Deleting,
        Some(NatGatewayState::Failed) => {
            let why = [gateway.failure_code(), gateway.failure_message()].into_iter().flatten().collect::<Vec<_>>();
            Status::Failed(if why.is_empty() { "failed".into() } else { why.join(": ") })
        }
        Some(other) => Status::Pending(other.as_str().to_owned()),
    }
}

/// A public one needs an address, a private one cannot have one; AWS says so late, or by a failed gateway.
fn check(inputs: &crate::resource::Map) -> Vec<Mistake> {
    let private = inputs.get("connectivity_type").and_then(Value::as_str) == Some("private");
    let addressed = inputs.get("allocation_id").is_some_and(|id| !id.is_null());
    let mistake = |what: &str, hint: &str| {
        vec![Mistake { path: "allocation_id".into(), what: what.into(), hint: Some(hint.into()) }]
    };
    match (private, addressed) {
        (false, false) => mistake("is required for a public NAT gateway", "pass `allocation_id` of an aws::eip"),
        (true, true) => mistake("has no use in a private NAT gateway", "leave it out"),
        _ => vec![],
    }
}
