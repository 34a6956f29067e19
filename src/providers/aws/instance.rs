//! `aws::instance`. Reads per region: one DescribeInstances (1,000 a page), one DescribeVolumes for the root volumes, one
//! DescribeInstanceCreditSpecifications if there are burstable ones, and three DescribeInstanceAttribute per instance,
//! eight instances at a time, for what no listing tells.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    BlockDeviceMapping, CreditSpecificationRequest, EbsBlockDevice, IamInstanceProfileSpecification, Instance as Ec2,
    InstanceAttributeName, InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification, InstanceStateName,
    InstanceType, MonitoringState, Placement, ResourceType, RunInstancesMonitoringEnabled, Volume, VolumeType,
};
use futures_util::future::{try_join, try_join3};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_storage::{self, check_key, check_speed, key_meaning};
use super::client::Region;
use super::fault::OrFault;
use super::instance_update::{self as update, RESTARTING};
use super::kind::{AwsKind, Birth, Change, Found, Search, each, filter, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Status, Value};

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
    /// Whether it gets a public address that changes with every stop; left out, as the subnet says (RunInstances).
    #[schemars(extend("immutable" = true, "write_only" = true))]
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

fn stop() -> String {
    "stop".into()
}

fn shared() -> String {
    "default".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the instance.
    #[schemars(example = "i-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the instance.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718")]
    arn: String,
    /// Name under which it is known in its VPC.
    #[schemars(example = "ip-10-0-1-20.eu-west-1.compute.internal")]
    private_dns: Option<String>,
    /// Public address, if it has one; that of an aws::eip stays, another changes with every stop.
    #[schemars(example = "198.51.100.7", extend("changes_with" = ["instance_type", "ebs_optimized"]))]
    public_ip: Option<String>,
    /// Name of the public address.
    #[schemars(
        example = "ec2-198-51-100-7.eu-west-1.compute.amazonaws.com",
        extend("changes_with" = ["instance_type", "ebs_optimized"])
    )]
    public_dns: Option<String>,
    /// Zone it runs in.
    #[schemars(example = &"eu-west-1a")]
    availability_zone: String,
    /// Its first network interface.
    #[schemars(example = "eni-0a1b2c3d4e5f60718")]
    primary_network_interface_id: Option<String>,
    /// `running` or `stopped`.
    #[schemars(example = &"running")]
    instance_state: String,
}

impl AwsKind for Instance {
    const NAME: &'static str = "aws::instance";
    const TYPE: Type = Type::Ec2(ResourceType::Instance);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { check, normalise, id_prefix: "i-", timeout: 1200, ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut instances = vec![];
        for filters in search.listings("instance-id", None) {
            let pages = region.ec2.describe_instances().set_filters(Some(filters)).into_paginator().page_size(1000);
            let pages = pages.items().send().collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeInstances")?;
            instances.extend(pages.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()));
        }
        // What is terminated stays in the listing for about an hour.
        instances.retain(|one| !update::is_terminated(one) || failure(one).is_some());
        let present = instances.iter().filter(|one| !update::is_terminated(one));
        let ids: Vec<String> = present.filter_map(|one| one.instance_id().map(str::to_owned)).collect();
        let roots = instances.iter().filter_map(update::root_volume).map(str::to_owned);
        let (volumes, credits) = try_join(block_storage::volumes(region, roots), credits(region, &instances)).await?;
        let volumes: BTreeMap<String, Volume> =
            volumes.into_iter().filter_map(|volume| Some((volume.volume_id()?.to_owned(), volume))).collect();
        let unlisted = each(ids, |id| unlisted(region, id)).await?;
        let unlisted: BTreeMap<String, Unlisted> = unlisted.into_iter().map(|one| (one.id.clone(), one)).collect();
        let found = instances.iter().filter_map(|instance| {
            let id = instance.instance_id()?;
            let root = update::root_volume(instance).and_then(|id| volumes.get(id));
            let unlisted = unlisted.get(id).or(failure(instance).map(|_| &UNKNOWN))?;
            Some(found(region, id, instance, unlisted, root, credits.get(id)))
        });
        Ok(found.collect())
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
        let made = call.send().await.or_fault("ec2:RunInstances").map_err(update::profile_may_follow)?;
        Ok(made.instances.unwrap_or_default().into_iter().next().and_then(|instance| instance.instance_id))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        match inputs.source_dest_check {
            true => Ok(()),
            false => update::source_dest_check(region, id, false).await,
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

/// Why one ended before it ever ran: nobody terminated it. Told as long as it is a stack's.
fn failure(instance: &Ec2) -> Option<String> {
    let why = instance.state_reason()?;
    let of_launch = [
        "Client.InternalError",
        "Client.InvalidSnapshot.NotFound",
        "Client.VolumeLimitExceeded",
        "Server.InsufficientInstanceCapacity",
        "Server.InternalError",
    ];
    let owned = instance.tags().iter().any(|tag| tag.key() == Some(tags::STACK));
    let failed = update::is_terminated(instance) && owned && of_launch.contains(&why.code()?);
    failed.then(|| why.message().or(why.code()).unwrap_or_default().to_owned())
}

/// What only its own call tells.
struct Unlisted {
    id: String,
    user_data: Option<String>,
    disable_api_termination: bool,
    shutdown_behavior: Option<String>,
}

/// Of what has failed nobody asks.
static UNKNOWN: Unlisted =
    Unlisted { id: String::new(), user_data: None, disable_api_termination: false, shutdown_behavior: None };

async fn unlisted(region: &Region, id: String) -> Result<Option<Unlisted>, Fault> {
    let ask = |name: InstanceAttributeName| {
        let call = region.ec2.describe_instance_attribute().instance_id(&id).attribute(name);
        async move { call.send().await.or_fault("ec2:DescribeInstanceAttribute") }
    };
    let answers = try_join3(
        ask(InstanceAttributeName::UserData),
        ask(InstanceAttributeName::DisableApiTermination),
        ask(InstanceAttributeName::InstanceInitiatedShutdownBehavior),
    );
    let Some((data, guard, shutdown)) = if_there(answers.await)? else { return Ok(None) };
    let data = data.user_data.and_then(|data| data.value).filter(|data| !data.is_empty());
    let data = data.and_then(|data| aws_smithy_types::base64::decode(data).ok());
    Ok(Some(Unlisted {
        user_data: data.map(|data| String::from_utf8_lossy(&data).into_owned()),
        disable_api_termination: guard.disable_api_termination.and_then(|guard| guard.value).unwrap_or(false),
        shutdown_behavior: shutdown.instance_initiated_shutdown_behavior.and_then(|behavior| behavior.value),
        id,
    }))
}

/// By id; AWS refuses the question for types that are not burstable.
async fn credits(region: &Region, instances: &[Ec2]) -> Result<BTreeMap<String, String>, Fault> {
    let burstable = instances.iter().filter(|one| one.instance_type().is_some_and(|of| of.as_str().starts_with('t')));
    let ids: Vec<String> = burstable.filter_map(|one| one.instance_id().map(str::to_owned)).collect();
    let mut credits = BTreeMap::new();
    for ids in ids.chunks(1000) {
        let call = region.ec2.describe_instance_credit_specifications().set_instance_ids(Some(ids.to_vec()));
        // One that went meanwhile fails the call for all; the next look tells.
        let answer = if_there(call.send().await.or_fault("ec2:DescribeInstanceCreditSpecifications"))?;
        let told = answer.and_then(|answer| answer.instance_credit_specifications).unwrap_or_default();
        credits.extend(told.into_iter().filter_map(|one| Some((one.instance_id?, one.cpu_credits?))));
    }
    Ok(credits)
}

fn found(
    region: &Region,
    id: &str,
    instance: &Ec2,
    unlisted: &Unlisted,
    root: Option<&Volume>,
    credits: Option<&String>,
) -> Found<Instance> {
    let id = id.to_owned();
    let tags = tags::of(instance.tags());
    let state = instance.state().and_then(|state| state.name());
    // Stopped by an update that has not started it again: then it has no type yet, and the update goes on.
    let halted = tags.contains_key(RESTARTING) && state == Some(&InstanceStateName::Stopped);
    let groups = instance.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned));
    let interfaces = instance.network_interfaces();
    let first = |one: &&aws_sdk_ec2::types::InstanceNetworkInterface| {
        one.attachment().is_some_and(|attachment| attachment.device_index() == Some(0))
    };
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let placement = instance.placement();
    Found {
        inputs: Inputs {
            ami: instance.image_id().unwrap_or_default().to_owned(),
            instance_type: instance.instance_type().filter(|_| !halted).map(|of| of.as_str().to_owned()),
            subnet_id: text(instance.subnet_id()),
            private_ip: text(instance.private_ip_address()),
            vpc_security_group_ids: Some(groups.collect()),
            key_name: text(instance.key_name()),
            iam_instance_profile: instance.iam_instance_profile().and_then(|p| p.arn()).map(update::profile_name),
            associate_public_ip_address: None,
            source_dest_check: instance.source_dest_check().unwrap_or(true),
            user_data: unlisted.user_data.clone(),
            metadata_options: instance.metadata_options().map(|options| MetadataOptions {
                http_endpoint: options.http_endpoint().map(|it| it.as_str().to_owned()),
                http_tokens: options.http_tokens().map(|it| it.as_str().to_owned()),
                http_put_response_hop_limit: options.http_put_response_hop_limit(),
                instance_metadata_tags: options.instance_metadata_tags().map(|it| it.as_str().to_owned()),
            }),
            root_block_device: root.map(|volume| RootBlockDevice {
                volume_size: volume.size(),
                volume_type: volume.volume_type().map(|of| of.as_str().to_owned()),
                iops: volume.iops(),
                throughput: volume.throughput(),
                encrypted: volume.encrypted(),
                kms_key_id: volume.kms_key_id().map(str::to_owned),
                delete_on_termination: update::root_device(instance).and_then(|ebs| ebs.delete_on_termination()),
            }),
            monitoring: instance
                .monitoring()
                .and_then(|monitoring| monitoring.state())
                .is_some_and(|state| matches!(state, MonitoringState::Enabled | MonitoringState::Pending)),
            ebs_optimized: instance.ebs_optimized(),
            disable_api_termination: unlisted.disable_api_termination,
            credit_specification: credits.map(|cpu| CreditSpecification { cpu_credits: cpu.clone() }),
            instance_initiated_shutdown_behavior: unlisted.shutdown_behavior.clone().unwrap_or_else(stop),
            tenancy: placement.and_then(|p| p.tenancy()).map_or_else(shared, |t| t.as_str().to_owned()),
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            arn: region.ec2_arn(None, &format!("instance/{id}")),
            private_dns: text(instance.private_dns_name()),
            public_ip: text(instance.public_ip_address()),
            public_dns: text(instance.public_dns_name()),
            availability_zone: placement.and_then(|p| p.availability_zone()).unwrap_or_default().to_owned(),
            primary_network_interface_id: interfaces
                .iter()
                .find(first)
                .and_then(|one| one.network_interface_id())
                .map(str::to_owned),
            instance_state: state.map_or("", |state| state.as_str()).to_owned(),
            id: id.clone(),
        },
        tags,
        status: match state {
            _ if failure(instance).is_some() => Status::Failed(failure(instance).unwrap_or_default()),
            Some(InstanceStateName::Running | InstanceStateName::Stopped) | None => Status::Ready,
            Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated) => Status::Deleting,
            Some(other) => Status::Pending(other.as_str().to_owned()),
        },
        id,
    }
}

/// The device that an image calls its root: what a root volume is to be like must be said of that.
async fn root_device(region: &Region, ami: &str) -> Result<String, Fault> {
    let answer = region.ec2.describe_images().filters(filter("image-id", [ami])).send().await;
    let images = answer.or_fault("ec2:DescribeImages")?.images.unwrap_or_default();
    let root = images.into_iter().next().and_then(|image| image.root_device_name);
    root.ok_or_else(|| {
        Fault::new(Class::NotFound, format!("there is no image {ami} in {}", region.name))
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
