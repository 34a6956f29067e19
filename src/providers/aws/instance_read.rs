//! Reads what a listing of instances does not tell, and puts all of it together.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance as Ec2, InstanceAttributeName, InstanceStateName, MonitoringState, Volume};
use futures_util::future::{try_join, try_join3};

use super::block_storage;
use super::client::Region;
use super::fault::OrFault;
use super::instance::{CreditSpecification, Inputs, Instance, MetadataOptions, Outputs, RootBlockDevice, shared, stop};
use super::instance_update::{self as update, RESTARTING};
use super::kind::{Found, each, if_there};
use super::tags;
use crate::resource::{Fault, Status};

/// What there is of these instances.
pub async fn read(region: &Region, mut instances: Vec<Ec2>) -> Result<Vec<Found<Instance>>, Fault> {
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

fn is_burstable(of: &str) -> bool {
    matches!(of.split('.').next(), Some("t2" | "t3" | "t3a" | "t4g"))
}

/// By id; AWS refuses the question for types that are not burstable.
async fn credits(region: &Region, instances: &[Ec2]) -> Result<BTreeMap<String, String>, Fault> {
    let burstable = instances
        .iter()
        .filter(|one| !update::is_terminated(one) && one.instance_type().is_some_and(|of| is_burstable(of.as_str())));
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
            private_ip: text(instance.private_ip_address()),
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
