//! What a version of a launch template holds, between our words and AWS's.

use aws_sdk_ec2::types as sdk;
use aws_smithy_types::base64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::launch_template::Inputs;
use super::tags::{self, Tags};

/// An instance profile, by one of both.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct InstanceProfile {
    /// Its name.
    name: Option<String>,
    /// Its ARN.
    arn: Option<String>,
}

/// A volume and where it is attached.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct BlockDeviceMapping {
    /// Name of the device: `/dev/xvda` is the root of Amazon Linux, `/dev/sda1` that of Windows and Ubuntu.
    device_name: String,
    /// The volume.
    ebs: Option<Ebs>,
}

/// A volume.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Ebs {
    /// Size in GiB; left out, the snapshot's.
    volume_size: Option<i32>,
    /// Type, such as `gp3`.
    volume_type: Option<String>,
    /// I/O operations per second, where the type lets one choose.
    iops: Option<i32>,
    /// MiB per second, for `gp3`.
    throughput: Option<i32>,
    /// Whether it is encrypted.
    encrypted: Option<bool>,
    /// Key to encrypt it with; left out, the account's default.
    kms_key_id: Option<String>,
    /// Snapshot it begins with.
    snapshot_id: Option<String>,
    /// Whether it goes with its instance.
    delete_on_termination: Option<bool>,
}

/// How an instance asks about itself.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct MetadataOptions {
    /// Whether it can ask at all.
    #[schemars(extend("enum" = ["enabled", "disabled"]))]
    http_endpoint: Option<String>,
    /// Whether it must fetch a token first; `required` keeps others from asking in its name.
    #[schemars(extend("enum" = ["required", "optional"]))]
    http_tokens: Option<String>,
    /// How far answers travel, from 1 to 64; containers need 2.
    http_put_response_hop_limit: Option<i32>,
    /// Whether the answers include its tags.
    #[schemars(extend("enum" = ["enabled", "disabled"]))]
    instance_metadata_tags: Option<String>,
}

/// How closely an instance is watched.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Monitoring {
    /// Whether metrics come every minute, and not every five.
    enabled: bool,
}

/// Tags for one type of thing.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct TagSpecification {
    /// What gets them, such as `instance` or `volume`.
    resource_type: String,
    /// The tags.
    tags: Tags,
}

/// A network interface.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct NetworkInterface {
    /// Its place; the first is 0.
    #[serde(default)]
    device_index: i32,
    /// Whether it gets a public address.
    associate_public_ip_address: Option<bool>,
    /// Subnet it is in; an Auto Scaling group names its own.
    subnet_id: Option<String>,
    /// Security groups of it.
    #[schemars(extend("uniqueItems" = true))]
    security_groups: Option<Vec<String>>,
    /// Whether it goes with its instance.
    delete_on_termination: Option<bool>,
}

/// The whole of a new version.
pub fn request(inputs: &Inputs) -> sdk::RequestLaunchTemplateData {
    let profile = inputs.iam_instance_profile.as_ref().map(|profile| {
        sdk::LaunchTemplateIamInstanceProfileSpecificationRequest::builder()
            .set_name(profile.name.clone())
            .set_arn(profile.arn.clone())
            .build()
    });
    let monitoring = inputs.monitoring.as_ref();
    let monitoring =
        monitoring.map(|one| sdk::LaunchTemplatesMonitoringRequest::builder().enabled(one.enabled).build());
    let devices = inputs.block_device_mappings.as_ref().map(|all| all.iter().map(device_request).collect());
    let interfaces = inputs.network_interfaces.as_ref().map(|all| all.iter().map(interface_request).collect());
    let tag_specifications = inputs.tag_specifications.as_ref().map(|all| all.iter().map(tags_request).collect());
    sdk::RequestLaunchTemplateData::builder()
        .set_image_id(inputs.image_id.clone())
        .set_instance_type(inputs.instance_type.as_deref().map(sdk::InstanceType::from))
        .set_key_name(inputs.key_name.clone())
        .set_user_data(inputs.user_data.as_ref().map(base64::encode))
        .set_security_group_ids(inputs.vpc_security_group_ids.clone())
        .set_network_interfaces(interfaces)
        .set_iam_instance_profile(profile)
        .set_block_device_mappings(devices)
        .set_metadata_options(inputs.metadata_options.as_ref().map(metadata_request))
        .set_monitoring(monitoring)
        .set_ebs_optimized(inputs.ebs_optimized)
        .set_tag_specifications(tag_specifications)
        .build()
}

fn device_request(mapping: &BlockDeviceMapping) -> sdk::LaunchTemplateBlockDeviceMappingRequest {
    let ebs = mapping.ebs.as_ref().map(|ebs| {
        sdk::LaunchTemplateEbsBlockDeviceRequest::builder()
            .set_volume_size(ebs.volume_size)
            .set_volume_type(ebs.volume_type.as_deref().map(sdk::VolumeType::from))
            .set_iops(ebs.iops)
            .set_throughput(ebs.throughput)
            .set_encrypted(ebs.encrypted)
            .set_kms_key_id(ebs.kms_key_id.clone())
            .set_snapshot_id(ebs.snapshot_id.clone())
            .set_delete_on_termination(ebs.delete_on_termination)
            .build()
    });
    let device = sdk::LaunchTemplateBlockDeviceMappingRequest::builder().device_name(&mapping.device_name);
    device.set_ebs(ebs).build()
}

fn metadata_request(options: &MetadataOptions) -> sdk::LaunchTemplateInstanceMetadataOptionsRequest {
    let endpoint = options.http_endpoint.as_deref().map(sdk::LaunchTemplateInstanceMetadataEndpointState::from);
    let tags = options.instance_metadata_tags.as_deref().map(sdk::LaunchTemplateInstanceMetadataTagsState::from);
    sdk::LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .set_http_endpoint(endpoint)
        .set_http_tokens(options.http_tokens.as_deref().map(sdk::LaunchTemplateHttpTokensState::from))
        .set_http_put_response_hop_limit(options.http_put_response_hop_limit)
        .set_instance_metadata_tags(tags)
        .build()
}

fn interface_request(interface: &NetworkInterface) -> sdk::LaunchTemplateInstanceNetworkInterfaceSpecificationRequest {
    sdk::LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(interface.device_index)
        .set_associate_public_ip_address(interface.associate_public_ip_address)
        .set_subnet_id(interface.subnet_id.clone())
        .set_groups(interface.security_groups.clone())
        .set_delete_on_termination(interface.delete_on_termination)
        .build()
}

fn tags_request(specification: &TagSpecification) -> sdk::LaunchTemplateTagSpecificationRequest {
    sdk::LaunchTemplateTagSpecificationRequest::builder()
        .resource_type(sdk::ResourceType::from(specification.resource_type.as_str()))
        .set_tags(Some(tags::list(&specification.tags)))
        .build()
}

/// What a version holds; its name, description and tags are told elsewhere.
pub fn read(data: Option<&sdk::ResponseLaunchTemplateData>) -> Inputs {
    let none = sdk::ResponseLaunchTemplateData::builder().build();
    let data = data.unwrap_or(&none);
    let profile = data.iam_instance_profile().map(|profile| InstanceProfile {
        name: profile.name().map(str::to_owned),
        arn: profile.arn().map(str::to_owned),
    });
    Inputs {
        name: None,
        description: None,
        image_id: data.image_id().map(str::to_owned),
        instance_type: data.instance_type().map(|of| of.as_str().to_owned()),
        key_name: data.key_name().map(str::to_owned),
        user_data: data.user_data().map(plain),
        vpc_security_group_ids: some(data.security_group_ids()),
        network_interfaces: listed(data.network_interfaces(), interface),
        iam_instance_profile: profile,
        block_device_mappings: listed(data.block_device_mappings(), device),
        metadata_options: data.metadata_options().map(metadata),
        monitoring: data.monitoring().map(|one| Monitoring { enabled: one.enabled().unwrap_or(false) }),
        ebs_optimized: data.ebs_optimized(),
        tag_specifications: listed(data.tag_specifications(), |one| TagSpecification {
            resource_type: one.resource_type().map(|of| of.as_str().to_owned()).unwrap_or_default(),
            tags: tags::of(one.tags()),
        }),
        tags: None,
    }
}

/// The text behind the base64; what is no text, as compressed data, stays as it is.
fn plain(user_data: &str) -> String {
    let text = base64::decode(user_data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.unwrap_or_else(|| user_data.to_owned())
}

fn some(list: &[String]) -> Option<Vec<String>> {
    listed(list, String::clone)
}

fn listed<A, B>(list: &[A], one: impl Fn(&A) -> B) -> Option<Vec<B>> {
    (!list.is_empty()).then(|| list.iter().map(one).collect())
}

fn device(mapping: &sdk::LaunchTemplateBlockDeviceMapping) -> BlockDeviceMapping {
    let ebs = mapping.ebs().map(|ebs| Ebs {
        volume_size: ebs.volume_size(),
        volume_type: ebs.volume_type().map(|of| of.as_str().to_owned()),
        iops: ebs.iops(),
        throughput: ebs.throughput(),
        encrypted: ebs.encrypted(),
        kms_key_id: ebs.kms_key_id().map(str::to_owned),
        snapshot_id: ebs.snapshot_id().map(str::to_owned),
        delete_on_termination: ebs.delete_on_termination(),
    });
    BlockDeviceMapping { device_name: mapping.device_name().unwrap_or_default().to_owned(), ebs }
}

fn interface(interface: &sdk::LaunchTemplateInstanceNetworkInterfaceSpecification) -> NetworkInterface {
    NetworkInterface {
        device_index: interface.device_index().unwrap_or_default(),
        associate_public_ip_address: interface.associate_public_ip_address(),
        subnet_id: interface.subnet_id().map(str::to_owned),
        security_groups: some(interface.groups()),
        delete_on_termination: interface.delete_on_termination(),
    }
}

fn metadata(options: &sdk::LaunchTemplateInstanceMetadataOptions) -> MetadataOptions {
    MetadataOptions {
        http_endpoint: options.http_endpoint().map(|state| state.as_str().to_owned()),
        http_tokens: options.http_tokens().map(|state| state.as_str().to_owned()),
        http_put_response_hop_limit: options.http_put_response_hop_limit(),
        instance_metadata_tags: options.instance_metadata_tags().map(|state| state.as_str().to_owned()),
    }
}
