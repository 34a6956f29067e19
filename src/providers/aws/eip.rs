//! `aws::eip`. Reads: one DescribeAddresses per region; the API gives all in one answer.

use aws_sdk_ec2::types::ResourceType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, filter};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Fault, Status, Value};

pub struct Eip;

/// An elastic IP address: a public IPv4 address that stays until it is released.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// What it can be used for; there is only `vpc` (AllocateAddress).
    #[serde(default = "vpc")]
    #[schemars(extend("enum" = ["vpc"], "immutable" = true))]
    pub domain: String,
    /// Pool to take the address from, `amazon` or one's own (AllocateAddress).
    #[serde(default = "amazon")]
    #[schemars(extend("immutable" = true))]
    pub public_ipv4_pool: String,
    /// Zones, by their network border group, that announce the address; left out, those of the region
    /// (AllocateAddress).
    #[schemars(extend("immutable" = true))]
    pub network_border_group: Option<String>,
    /// Instance that is reached under it, `""` for none; a NAT gateway names its address itself (AssociateAddress,
    /// DisassociateAddress).
    #[schemars(extend("lets_go" = true))]
    pub instance: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn vpc() -> String {
    "vpc".into()
}

fn amazon() -> String {
    "amazon".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the allocation.
    #[schemars(example = "eipalloc-0a1b2c3d4e5f60718")]
    id: String,
    /// Id of the allocation, as a NAT gateway takes it.
    #[schemars(example = "eipalloc-0a1b2c3d4e5f60718")]
    allocation_id: String,
    /// ARN of the address.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:elastic-ip/eipalloc-0a1b2c3d4e5f60718")]
    arn: String,
    /// The address.
    #[schemars(example = "198.51.100.7")]
    public_ip: String,
    /// Public DNS name of the address.
    #[schemars(example = "ec2-198-51-100-7.eu-west-1.compute.amazonaws.com")]
    public_dns: String,
    /// Id that ties the address to what uses it.
    #[schemars(example = "eipassoc-0a1b2c3d4e5f60718", extend("changes_with" = ["instance"]))]
    association_id: Option<String>,
    /// Private address that it stands for.
    #[schemars(example = "10.0.1.20", extend("changes_with" = ["instance"]))]
    private_ip: Option<String>,
}

impl AwsKind for Eip {
    const NAME: &'static str = "aws::eip";
    const TYPE: Type = Type::Ec2(ResourceType::ElasticIp);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            normalise: |field, value| match (field, value.as_str()) {
                ("instance", Some("")) => Value::Null,
                _ => value.clone(),
            },
            id_prefix: "eipalloc-",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut addresses = vec![];
        for filters in search.listings("allocation-id", None) {
            let answer = region.ec2.describe_addresses().set_filters(Some(filters)).send().await;
            addresses.extend(answer.or_fault("ec2:DescribeAddresses")?.addresses.unwrap_or_default());
        }
        let found = addresses.into_iter().filter_map(|address| {
            let id = address.allocation_id()?.to_owned();
            let public_ip = address.public_ip().unwrap_or_default().to_owned();
            Some(Found {
                inputs: Inputs {
                    domain: address.domain().map(|domain| domain.as_str().to_owned()).unwrap_or_else(vpc),
                    public_ipv4_pool: address.public_ipv4_pool().map(str::to_owned).unwrap_or_else(amazon),
                    network_border_group: address.network_border_group().map(str::to_owned),
                    instance: set(address.instance_id()),
                    tags: tags::authored(&tags::of(address.tags())),
                },
                outputs: Outputs {
                    id: id.clone(),
                    allocation_id: id.clone(),
                    arn: region.ec2_arn(None, &format!("elastic-ip/{id}")),
                    public_dns: public_dns(region, &public_ip),
                    public_ip,
                    association_id: set(address.association_id()),
                    private_ip: set(address.private_ip_address()),
                },
                tags: tags::of(address.tags()),
                status: Status::Ready,
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .allocate_address()
            .domain(inputs.domain.as_str().into())
            .set_public_ipv4_pool(Some(inputs.public_ipv4_pool.clone()).filter(|pool| *pool != amazon()))
            .set_network_border_group(inputs.network_border_group.clone())
            .tag_specifications(birth.specification());
        Ok(call.send().await.or_fault("ec2:AllocateAddress")?.allocation_id)
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        match inputs.instance.as_deref().filter(|id| !id.is_empty()) {
            Some(instance) => associate(region, id, instance).await,
            None => Ok(()),
        }
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        match change.inputs.instance.as_deref().filter(|id| !id.is_empty()) {
            _ if !change.of("instance") => Ok(()),
            Some(instance) => associate(region, id, instance).await,
            None => disassociate(region, id).await,
        }
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        if live.instance.is_some() {
            disassociate(region, id).await?;
        }
        region.ec2.release_address().allocation_id(id).send().await.or_fault("ec2:ReleaseAddress").map(drop)
    }
}

/// AWS tells an instance that is none as an empty text.
fn set(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Also takes it from another instance.
async fn associate(region: &Region, id: &str, instance: &str) -> Result<(), Fault> {
    let call = region.ec2.associate_address().allocation_id(id).instance_id(instance).allow_reassociation(true);
    call.send().await.or_fault("ec2:AssociateAddress").map(drop)
}

/// Takes it from the instance that has it, if one has.
async fn disassociate(region: &Region, id: &str) -> Result<(), Fault> {
    let answer = region.ec2.describe_addresses().filters(filter("allocation-id", [id])).send().await;
    let answer = answer.or_fault("ec2:DescribeAddresses")?;
    let of_instance = answer.addresses().iter().filter(|address| set(address.instance_id()).is_some());
    for association in of_instance.filter_map(|address| set(address.association_id())) {
        let call = region.ec2.disassociate_address().association_id(association);
        call.send().await.or_fault("ec2:DisassociateAddress")?;
    }
    Ok(())
}

/// The name under which EC2's DNS knows an address; made by rule, no call tells it.
fn public_dns(region: &Region, ip: &str) -> String {
    let host = ip.replace('.', "-");
    let suffix = if region.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    match region.name.as_str() {
        "us-east-1" => format!("ec2-{host}.compute-1.{suffix}"),
        name => format!("ec2-{host}.{name}.compute.{suffix}"),
    }
}
