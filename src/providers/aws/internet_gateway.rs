//! `aws::internet_gateway`. Reads: one DescribeInternetGateways per region, 1,000 a page.
//!
//! Made and attached in two calls; killed between them, the next run finds it without a VPC and attaches it.

use aws_sdk_ec2::types::{AttachmentStatus, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::kind::{AwsKind, Birth, Change, Found, Search};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Class, Fault, Status};

pub struct InternetGateway;

/// The way between a VPC and the internet.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// VPC it is attached to (AttachInternetGateway); can be changed as long as nothing in the VPC has a public
    /// address.
    pub vpc_id: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the internet gateway.
    #[schemars(example = "igw-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the internet gateway.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:internet-gateway/igw-0a1b2c3d4e5f60718")]
    arn: String,
    /// Account it belongs to.
    #[schemars(example = "111122223333")]
    owner_id: String,
}

impl AwsKind for InternetGateway {
    const NAME: &'static str = "aws::internet_gateway";
    const TYPE: Type = Type::Ec2(ResourceType::InternetGateway);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { id_prefix: "igw-", ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut gateways = vec![];
        for filters in search.listings("internet-gateway-id", None) {
            let pages = region.ec2.describe_internet_gateways().set_filters(Some(filters)).into_paginator();
            let pages = pages.page_size(1000).items().send();
            gateways.extend(pages.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeInternetGateways")?);
        }
        let found = gateways.into_iter().filter_map(|gateway| {
            let id = gateway.internet_gateway_id()?.to_owned();
            let attachment = gateway.attachments().iter().find(|one| one.state() != Some(&AttachmentStatus::Detached));
            Some(Found {
                inputs: Inputs {
                    vpc_id: attachment.and_then(|one| one.vpc_id()).map(str::to_owned),
                    tags: tags::authored(&tags::of(gateway.tags())),
                },
                outputs: Outputs {
                    arn: region.ec2_arn(gateway.owner_id(), &format!("internet-gateway/{id}")),
                    owner_id: gateway.owner_id().unwrap_or(&region.account).to_owned(),
                    id: id.clone(),
                },
                tags: tags::of(gateway.tags()),
                status: match attachment.and_then(|one| one.state()) {
                    Some(state @ (AttachmentStatus::Attaching | AttachmentStatus::Detaching)) => {
                        Status::Pending(state.as_str().to_owned())
                    }
                    // EC2 says `available` here, which is no value of the type; attached it is.
                    _ => Status::Ready,
                },
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, _: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let answer = region.ec2.create_internet_gateway().tag_specifications(birth.specification()).send().await;
        let gateway = answer.or_fault("ec2:CreateInternetGateway")?.internet_gateway;
        Ok(gateway.and_then(|gateway| gateway.internet_gateway_id))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        match &inputs.vpc_id {
            Some(vpc) => attach(region, id, vpc).await,
            None => Ok(()),
        }
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        if change.of("vpc_id") {
            if let Some(vpc) = &change.live.vpc_id {
                detach(region, id, vpc).await?;
            }
            if let Some(vpc) = &change.inputs.vpc_id {
                attach(region, id, vpc).await?;
            }
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        if let Some(vpc) = &live.vpc_id {
            gone_is_fine(detach(region, id, vpc).await)?;
        }
        let call = region.ec2.delete_internet_gateway().internet_gateway_id(id);
        call.send().await.or_fault("ec2:DeleteInternetGateway").map(drop)
    }
}

async fn attach(region: &Region, id: &str, vpc: &str) -> Result<(), Fault> {
    let call = region.ec2.attach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
    call.send().await.or_fault("ec2:AttachInternetGateway").map(drop)
}

async fn detach(region: &Region, id: &str, vpc: &str) -> Result<(), Fault> {
    let call = region.ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
    match call.send().await.or_fault("ec2:DetachInternetGateway") {
        // As an earlier attempt left it.
        Err(fault) if fault.class == Class::Busy && fault.code.as_deref() == Some("Gateway.NotAttached") => Ok(()),
        other => other.map(drop),
    }
}
