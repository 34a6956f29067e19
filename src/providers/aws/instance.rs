//! `aws::instance`. Reads per region: one DescribeInstances (1,000 a page), one DescribeVolumes for the root volumes, one
//! DescribeInstanceCreditSpecifications if there are burstable ones, and three DescribeInstanceAttribute per instance,
//! eight instances at a time, for what no listing tells.

use aws_sdk_ec2::types::{
    BlockDeviceMapping, CreditSpecificationRequest, EbsBlockDevice, IamInstanceProfileSpecification,
    InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification, InstanceStateName, InstanceType, Placement,
    ResourceType, RunInstancesMonitoringEnabled, VolumeType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_storage::{self, check_key, check_speed, key_meaning};
use super::client::Region;
use super::fault::OrFault;
use super::instance_read as read;
use super::instance_update as update;
use super::kind::{AwsKind, Birth, Change, Found, Search, filter};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Value};

pub struct Instance;

/// A virtual machine. One that was stopped by hand stays stopped, and its disks beyond the root are aws::ebs_volume.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Image it begins as (RunInstances). With a lookup that finds ever newer ones, `ignore: ["ami"]` keeps a host.
    #[schemars(extend("immutable" = true))]
    pub ami: String,
    /// How large it is: `m6i.large` (RunInstances, ModifyInstanceAttribute).
    #[schemars(required, extend("restarts" = true))]
    pub instance_type: Option<String>,
    /// Subnet it stands in; left out, one of the default VPC (RunInstances).
    #[schemars(extend("immutable" = true))]
    pub subnet_id: Option<String>,
    /// Address in the subnet; left out, AWS chooses (RunInstances).
    #[schemars(extend("immutable" = true))]
    pub private_ip: Option<String>,
    /// Security groups of its network interface; left out, the VPC's default one (RunInstances,
    /// ModifyInstanceAttribute).
    #[schemars(extend("uniqueItems" = true))]
    pub vpc_security_group_ids: Option<Vec<String>>,
    /// Key pair, by `key_name`, whose owner may log in (RunInstances).
    #[schemars(extend("immutable" = true))]
    pub key_name: Option<String>,
    /// Instance profile, by name or ARN, whose role it has; `""` for none (AssociateIamInstanceProfile).
    #[schemars(extend("names" = "aws::iam_instance_profile"))]
    pub iam_instance_profile: Option<String>,
    /// Whether it gets a public address that changes with every stop; left out, as the subnet says. Counts at its making
    /// only (RunInstances).
    #[schemars(extend("write_only" = true))]
    pub associate_public_ip_address: Option<bool>,
    /// Whether it may only send and get packets of its own; false for what routes (ModifyInstanceAttribute).
    #[serde(default = "yes")]
    pub source_dest_check: bool,
    /// What it runs at its first start, as plain text; up to 16 KiB (RunInstances). A host that keeps data stays, with
    /// `ignore: ["user_data"]`, when its template changes.
    #[schemars(extend("immutable" = true, "sensitive" = true))]
    pub user_data: Option<String>,
    /// How it may ask for its metadata and credentials; what is left out is as the account and the image say
    /// (ModifyInstanceMetadataOptions).
    pub metadata_options: Option<MetadataOptions>,
    /// The disk it starts from; what is left out is as the image says (RunInstances).
    pub root_block_device: Option<RootBlockDevice>,
    /// Whether CloudWatch gets its figures every minute and not every five (MonitorInstances).
    #[serde(default)]
    pub monitoring: bool,
    /// Whether it has bandwidth of its own for disks; most types have in any case (ModifyInstanceAttribute).
    #[schemars(extend("restarts" = true))]
    pub ebs_optimized: Option<bool>,
    /// Whether AWS refuses to terminate it (ModifyInstanceAttribute).
    #[serde(default)]
    pub disable_api_termination: bool,
    /// How a burstable type pays for more than its share (ModifyInstanceCreditSpecification).
    pub credit_specification: Option<CreditSpecification>,
    /// What a shutdown from within does (ModifyInstanceAttribute).
    #[serde(default = "stop")]
    #[schemars(extend("enum" = ["stop", "terminate"]))]
    pub instance_initiated_shutdown_behavior: String,
    /// Whether it shares its hardware with other accounts (RunInstances).
    #[serde(default = "shared")]
    #[schemars(extend("enum" = ["default", "dedicated"], "immutable" = true))]
    pub tenancy: String,
    /// Tags; `Name` defaults to the logical name. Its disks get none.
    pub tags: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetadataOptions {
    /// Whether it can ask at all.
    #[schemars(extend("enum" = ["enabled", "disabled", null]))]
    pub http_endpoint: Option<String>,
    /// Whether it must show a session token (IMDSv2).
    #[schemars(extend("enum" = ["optional", "required", null]))]
    pub http_tokens: Option<String>,
    /// How many network hops an answer may take, 1 to 64; containers need 2.
    pub http_put_response_hop_limit: Option<i32>,
    /// Whether it can read its tags.
    #[schemars(extend("enum" = ["enabled", "disabled", null]))]
    pub instance_metadata_tags: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RootBlockDevice {
    /// Size in GiB; it can only grow (ModifyVolume).
    pub volume_size: Option<i32>,
    /// Type (ModifyVolume).
    #[schemars(extend("enum" = ["gp2", "gp3", "io1", "io2", "sc1", "st1", "standard", null]))]
    pub volume_type: Option<String>,
    /// I/O operations per second, for gp3, io1 and io2 (ModifyVolume).
    pub iops: Option<i32>,
    /// MiB per second, for gp3 (ModifyVolume).
    pub throughput: Option<i32>,
    /// Whether it is encrypted.
    #[schemars(extend("immutable" = true))]
    pub encrypted: Option<bool>,
    /// Key it is encrypted with, by ARN or id.
    #[schemars(extend("immutable" = true))]
    pub kms_key_id: Option<String>,
    /// Whether it goes with the instance (ModifyInstanceAttribute).
    pub delete_on_termination: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreditSpecification {
    /// `unlimited` may cost more, `standard` is slowed down.
    #[schemars(extend("enum" = ["standard", "unlimited"]))]
    pub cpu_credits: String,
}

fn yes() -> bool {
    true
}

pub fn stop() -> String {
    "stop".into()
}

pub fn shared() -> String {
    "default".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the instance.
    #[schemars(example = "i-0a1b2c3d4e5f60718")]
    pub id: String,
    /// ARN of the instance.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718")]
    pub arn: String,
    /// Address in the subnet.
    #[schemars(example = "10.0.1.20")]
    pub private_ip: Option<String>,
    /// Name under which it is known in its VPC.
    #[schemars(example = "ip-10-0-1-20.eu-west-1.compute.internal")]
    pub private_dns: Option<String>,
    /// Public address, if it has one; that of an aws::eip stays, another changes with every stop.
    #[schemars(example = "198.51.100.7", extend("changes_with" = ["instance_type", "ebs_optimized"]))]
    pub public_ip: Option<String>,
    /// Name of the public address.
    #[schemars(
        example = "ec2-198-51-100-7.eu-west-1.compute.amazonaws.com",
        extend("changes_with" = ["instance_type", "ebs_optimized"])
    )]
    pub public_dns: Option<String>,
    /// Zone it runs in.
    #[schemars(example = &"eu-west-1a")]
    pub availability_zone: String,
    /// Its first network interface.
    #[schemars(example = "eni-0a1b2c3d4e5f60718", extend("comes_along" = true))]
    pub primary_network_interface_id: Option<String>,
    /// `running` or `stopped`.
    #[schemars(example = &"running")]
    pub instance_state: String,
}

impl AwsKind for Instance {
    const NAME: &'static str = "aws::instance";
    const TYPE: Type = Type::Ec2(ResourceType::Instance);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            // What it runs at its first start may need the internet, and its public address holds the gateway.
            follows: &["aws::internet_gateway"],
            check,
            normalise,
            fits,
            id_prefix: "i-",
            timeout: 1200,
            made_up: |output, inputs| match output {
                "private_ip" => inputs.get("private_ip").filter(|address| !address.is_null()).cloned(),
                _ => None,
            },
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut instances = vec![];
        for filters in search.listings("instance-id", None) {
            let pages = region.ec2.describe_instances().set_filters(Some(filters)).into_paginator().page_size(1000);
            let pages = pages.items().send().collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeInstances")?;
            instances.extend(pages.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()));
        }
        read::read(region, instances).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let root = match &inputs.root_block_device {
            Some(root) => Some(vec![mapping(&root_device(region, &inputs.ami).await?, root)]),
            None => None,
        };
        let user_data = inputs.user_data.as_ref().map(aws_smithy_types::base64::encode);
        let monitoring = RunInstancesMonitoringEnabled::builder().enabled(inputs.monitoring).build();
        let credits = inputs.credit_specification.as_ref();
        let credits = credits.map(|c| CreditSpecificationRequest::builder().cpu_credits(&c.cpu_credits).build());
        let call = region
            .ec2
            .run_instances()
            .min_count(1)
            .max_count(1)
            .image_id(&inputs.ami)
            .set_instance_type(inputs.instance_type.as_deref().map(InstanceType::from))
            .set_key_name(inputs.key_name.clone())
            .set_iam_instance_profile(profile(inputs))
            .set_user_data(user_data)
            .set_metadata_options(inputs.metadata_options.as_ref().map(metadata))
            .set_block_device_mappings(root)
            .monitoring(monitoring)
            .set_ebs_optimized(inputs.ebs_optimized)
            .disable_api_termination(inputs.disable_api_termination)
            .instance_initiated_shutdown_behavior(inputs.instance_initiated_shutdown_behavior.as_str().into())
            .set_credit_specification(credits)
            .placement(Placement::builder().tenancy(inputs.tenancy.as_str().into()).build())
            .client_token(&birth.token)
            .tag_specifications(birth.specification());
        let call = match inputs.associate_public_ip_address {
            // Only an interface takes this, and then it takes the rest, too.
            Some(public) => {
                let interface = InstanceNetworkInterfaceSpecification::builder()
                    .device_index(0)
                    .associate_public_ip_address(public)
                    .delete_on_termination(true)
                    .set_subnet_id(inputs.subnet_id.clone())
                    .set_private_ip_address(inputs.private_ip.clone())
                    .set_groups(inputs.vpc_security_group_ids.clone());
                call.network_interfaces(interface.build())
            }
            None => call
                .set_subnet_id(inputs.subnet_id.clone())
                .set_private_ip_address(inputs.private_ip.clone())
                .set_security_group_ids(inputs.vpc_security_group_ids.clone()),
        };
        let made = call.send().await.or_fault("ec2:RunInstances")?;
        Ok(made.instances.unwrap_or_default().into_iter().next().and_then(|instance| instance.instance_id))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        match inputs.source_dest_check {
            true => Ok(()),
            false => update::source_dest_check(region, id, false).await.map_err(|mut fault| {
                // EC2 does not know everywhere at once what it has just started.
                if fault.class == Class::NotFound {
                    fault.class = Class::Busy;
                }
                fault
            }),
        }
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        update::update(region, id, change).await
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        if live.disable_api_termination {
            return Err(Fault::new(Class::Invalid, format!("{id} is guarded by `disable_api_termination`"))
                .hint("set `disable_api_termination: false` and run that first"));
        }
        let call = region.ec2.terminate_instances().instance_ids(id);
        let answer = call.send().await.or_fault("ec2:TerminateInstances")?;
        let before = answer.terminating_instances().first().and_then(|one| one.previous_state()?.name());
        match before {
            // It failed at launch, and would be told of for an hour.
            Some(InstanceStateName::Terminated) => update::remove_tag(region, id, tags::STACK).await,
            _ => Ok(()),
        }
    }
}

/// The device that an image calls its root: what a root volume is to be like must be said of that.
async fn root_device(region: &Region, ami: &str) -> Result<String, Fault> {
    let answer = region.ec2.describe_images().filters(filter("image-id", [ami])).send().await;
    let images = answer.or_fault("ec2:DescribeImages")?.images.unwrap_or_default();
    let root = images.into_iter().next().and_then(|image| image.root_device_name);
    root.ok_or_else(|| {
        Fault::new(Class::Invalid, format!("there is no image {ami} in {}", region.name))
            .hint("find one of this region with `aws::ami`; it must be shared with this account")
    })
}

fn mapping(device: &str, root: &RootBlockDevice) -> BlockDeviceMapping {
    let ebs = EbsBlockDevice::builder()
        .set_volume_size(root.volume_size)
        .set_volume_type(root.volume_type.as_deref().map(VolumeType::from))
        .set_iops(root.iops)
        .set_throughput(root.throughput)
        .set_encrypted(root.encrypted)
        .set_kms_key_id(root.kms_key_id.clone())
        .delete_on_termination(root.delete_on_termination.unwrap_or(true));
    BlockDeviceMapping::builder().device_name(device).ebs(ebs.build()).build()
}

fn profile(inputs: &Inputs) -> Option<IamInstanceProfileSpecification> {
    inputs.iam_instance_profile.as_deref().filter(|name| !name.is_empty()).map(update::specification)
}

fn metadata(options: &MetadataOptions) -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .set_http_endpoint(options.http_endpoint.as_deref().map(Into::into))
        .set_http_tokens(options.http_tokens.as_deref().map(Into::into))
        .set_http_put_response_hop_limit(options.http_put_response_hop_limit)
        .set_instance_metadata_tags(options.instance_metadata_tags.as_deref().map(Into::into))
        .build()
}

fn normalise(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("iam_instance_profile", Value::String(name)) if name.is_empty() => Value::Null,
        ("iam_instance_profile", Value::String(name)) => update::profile_name(name).into(),
        ("root_block_device", Value::Map(root)) => {
            let mut root = root.clone();
            if let Some(key) = root.get_mut("kms_key_id") {
                *key = key_meaning(key);
            }
            Value::Map(root)
        }
        _ => value.clone(),
    }
}

/// Where the account encrypts every disk, one that need not be is, too.
fn fits(field: &str, wanted: &Map, live: &Map) -> bool {
    let root = |inputs: &Map| inputs.get(field).and_then(Value::as_map).cloned();
    let (Some(mut wanted), Some(live), "root_block_device") = (root(wanted), root(live), field) else { return false };
    if !block_storage::is_encrypted_enough(&wanted, &live) {
        return false;
    }
    wanted.remove("encrypted");
    wanted.iter().all(|(name, value)| value.is_null() || live.get(name) == Some(value))
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let text = |name: &str| inputs.get(name).and_then(Value::as_str);
    let mut mistake = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) })
    };
    if text("user_data").is_some_and(|data| data.len() > 16 * 1024) {
        mistake("user_data", "is longer than 16 KiB", "keep the script elsewhere, and have it fetched");
    }
    if text("key_name").is_some_and(|name| name.starts_with("key-") && name.len() == 21) {
        mistake("key_name", "is the id of a key pair", "pass its `key_name`");
    }
    if let Some(Value::Map(root)) = inputs.get("root_block_device") {
        mistakes.extend(check_speed("root_block_device.", root, "volume_type"));
        mistakes.extend(check_key("root_block_device.kms_key_id", root.get("kms_key_id")));
    }
    mistakes
}
