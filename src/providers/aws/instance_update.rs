//! What of an instance changes in place, and how it is stopped and started where it must be.

use aws_sdk_ec2::types::{
    AttributeBooleanValue, AttributeValue, EbsInstanceBlockDevice, EbsInstanceBlockDeviceSpecification,
    IamInstanceProfileSpecification, Instance, InstanceBlockDeviceMappingSpecification,
    InstanceCreditSpecificationRequest, InstanceStateName, Tag,
};

use super::block_storage::{self, Shape};
use super::client::Region;
use super::fault::OrFault;
use super::instance::{Inputs, RootBlockDevice};
use super::kind::{Change, filter};
use crate::resource::{Class, Fault};

/// On what an update has stopped and not yet started again: a run that ends in between is followed by one that knows.
pub const RESTARTING: &str = "runner:restarting";

pub async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
    let wanted = change.inputs;
    let yes_no = |on: bool| AttributeBooleanValue::builder().value(on).build();
    let modify = || region.ec2.modify_instance_attribute().instance_id(id);
    let modified = "ec2:ModifyInstanceAttribute";
    if change.of("disable_api_termination") {
        let call = modify().disable_api_termination(yes_no(wanted.disable_api_termination));
        call.send().await.or_fault(modified)?;
    }
    if change.of("instance_initiated_shutdown_behavior") {
        let behavior = AttributeValue::builder().value(&wanted.instance_initiated_shutdown_behavior).build();
        modify().instance_initiated_shutdown_behavior(behavior).send().await.or_fault(modified)?;
    }
    if change.of("source_dest_check") {
        source_dest_check(region, id, wanted.source_dest_check).await?;
    }
    if change.of("vpc_security_group_ids") {
        modify().set_groups(wanted.vpc_security_group_ids.clone()).send().await.or_fault(modified)?;
    }
    if change.of("iam_instance_profile") {
        let name = wanted.iam_instance_profile.as_deref().filter(|name| !name.is_empty());
        set_profile(region, id, name).await?;
    }
    if change.of("metadata_options")
        && let Some(options) = &wanted.metadata_options
    {
        let call = region
            .ec2
            .modify_instance_metadata_options()
            .instance_id(id)
            .set_http_endpoint(options.http_endpoint.as_deref().map(Into::into))
            .set_http_tokens(options.http_tokens.as_deref().map(Into::into))
            .set_http_put_response_hop_limit(options.http_put_response_hop_limit)
            .set_instance_metadata_tags(options.instance_metadata_tags.as_deref().map(Into::into));
        call.send().await.or_fault("ec2:ModifyInstanceMetadataOptions")?;
    }
    if change.of("monitoring") {
        match wanted.monitoring {
            true => {
                region.ec2.monitor_instances().instance_ids(id).send().await.or_fault("ec2:MonitorInstances").map(drop)
            }
            false => region
                .ec2
                .unmonitor_instances()
                .instance_ids(id)
                .send()
                .await
                .or_fault("ec2:UnmonitorInstances")
                .map(drop),
        }?;
    }
    if change.of("credit_specification")
        && let Some(credits) = &wanted.credit_specification
    {
        set_credits(region, id, &credits.cpu_credits).await?;
    }
    if change.of("root_block_device")
        && let Some(root) = &wanted.root_block_device
    {
        set_root(region, id, root).await?;
    }
    if change.of("instance_type") || change.of("ebs_optimized") {
        restart_as(region, id, wanted.instance_type.as_deref(), wanted.ebs_optimized).await?;
    }
    Ok(())
}

pub async fn source_dest_check(region: &Region, id: &str, on: bool) -> Result<(), Fault> {
    let value = AttributeBooleanValue::builder().value(on).build();
    let call = region.ec2.modify_instance_attribute().instance_id(id).source_dest_check(value);
    call.send().await.or_fault("ec2:ModifyInstanceAttribute").map(drop)
}

/// The name in an ARN, or the name itself.
pub fn profile_name(profile: &str) -> String {
    profile.rsplit('/').next().unwrap_or(profile).to_owned()
}

pub fn specification(profile: &str) -> IamInstanceProfileSpecification {
    let specification = IamInstanceProfileSpecification::builder();
    match profile.starts_with("arn:") {
        true => specification.arn(profile),
        false => specification.name(profile),
    }
    .build()
}

async fn set_profile(region: &Region, id: &str, wanted: Option<&str>) -> Result<(), Fault> {
    let call = region.ec2.describe_iam_instance_profile_associations().filters(filter("instance-id", [id]));
    let call = call.filters(filter("state", ["associating", "associated"]));
    let answer = call.send().await.or_fault("ec2:DescribeIamInstanceProfileAssociations")?;
    let now = answer.iam_instance_profile_associations().first();
    let name = now.and_then(|now| now.iam_instance_profile()).and_then(|profile| profile.arn()).map(profile_name);
    let association = now.and_then(|now| now.association_id());
    match (association, wanted) {
        (None, None) => Ok(()),
        (Some(_), Some(wanted)) if name == Some(profile_name(wanted)) => Ok(()),
        (Some(association), Some(wanted)) => {
            let call = region.ec2.replace_iam_instance_profile_association().association_id(association);
            let call = call.iam_instance_profile(specification(wanted));
            call.send().await.or_fault("ec2:ReplaceIamInstanceProfileAssociation").map(drop)
        }
        (None, Some(wanted)) => {
            let call = region.ec2.associate_iam_instance_profile().instance_id(id);
            let call = call.iam_instance_profile(specification(wanted));
            call.send().await.or_fault("ec2:AssociateIamInstanceProfile").map(drop)
        }
        (Some(association), None) => {
            let call = region.ec2.disassociate_iam_instance_profile().association_id(association);
            call.send().await.or_fault("ec2:DisassociateIamInstanceProfile").map(drop)
        }
    }
}

async fn set_credits(region: &Region, id: &str, credits: &str) -> Result<(), Fault> {
    let wanted = InstanceCreditSpecificationRequest::builder().instance_id(id).cpu_credits(credits).build();
    let call = region.ec2.modify_instance_credit_specification().instance_credit_specifications(wanted);
    let answer = call.send().await.or_fault("ec2:ModifyInstanceCreditSpecification")?;
    // A refusal is part of an answer that says 200.
    match answer.unsuccessful_instance_credit_specifications().first() {
        None => Ok(()),
        Some(refused) => {
            let why = refused.error().and_then(|error| error.message()).unwrap_or("AWS does not say why");
            Err(Fault::new(Class::Invalid, format!("`credit_specification` was refused: {why}"))
                .hint("only burstable types (t3, t3a, t4g) have credits"))
        }
    }
}

async fn set_root(region: &Region, id: &str, wanted: &RootBlockDevice) -> Result<(), Fault> {
    let instance = look(region, id).await?;
    let (Some(device), Some(volume)) = (instance.root_device_name(), root_volume(&instance)) else {
        return Err(match state(&instance) {
            // It is told of the volume only once it is under way.
            Some(InstanceStateName::Pending) => Fault::new(Class::Busy, format!("{id} has no root volume yet")),
            _ => Fault::new(Class::Invalid, format!("{id} has no root volume")),
        });
    };
    let there = root_device(&instance).and_then(|ebs| ebs.delete_on_termination());
    if let Some(goes) = wanted.delete_on_termination.filter(|goes| Some(*goes) != there) {
        let ebs = EbsInstanceBlockDeviceSpecification::builder().delete_on_termination(goes).build();
        let mapping = InstanceBlockDeviceMappingSpecification::builder().device_name(device).ebs(ebs).build();
        let call = region.ec2.modify_instance_attribute().instance_id(id).block_device_mappings(mapping);
        call.send().await.or_fault("ec2:ModifyInstanceAttribute")?;
    }
    let shape = Shape {
        size: wanted.volume_size,
        volume_type: wanted.volume_type.clone(),
        iops: wanted.iops,
        throughput: wanted.throughput,
    };
    block_storage::reshape(region, volume, &shape).await
}

pub fn root_device(instance: &Instance) -> Option<&EbsInstanceBlockDevice> {
    let root = instance.root_device_name()?;
    instance.block_device_mappings().iter().find(|mapping| mapping.device_name() == Some(root))?.ebs()
}

pub fn root_volume(instance: &Instance) -> Option<&str> {
    root_device(instance)?.volume_id()
}

async fn look(region: &Region, id: &str) -> Result<Instance, Fault> {
    let answer = region.ec2.describe_instances().filters(filter("instance-id", [id])).send().await;
    let reservations = answer.or_fault("ec2:DescribeInstances")?.reservations.unwrap_or_default();
    let mut found = reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    found.next().ok_or_else(|| Fault::new(Class::NotFound, format!("{id} is not there")))
}

/// Stops it, changes it and starts it again. What someone else has stopped stays so. Each call that finds the instance on
/// its way says so, and the next one goes on from there.
async fn restart_as(region: &Region, id: &str, of: Option<&str>, optimized: Option<bool>) -> Result<(), Fault> {
    let mut instance = look(region, id).await?;
    let ours = instance.tags().iter().any(|tag| tag.key() == Some(RESTARTING));
    let of = of.filter(|of| instance.instance_type().map(|now| now.as_str()) != Some(*of)).map(str::to_owned);
    let optimized = optimized.filter(|on| instance.ebs_optimized() != Some(*on));
    let differs = of.is_some() || optimized.is_some();
    let mut stopped_by_us = ours;
    if differs && state(&instance) == Some(InstanceStateName::Running) {
        if !ours {
            let mark = Tag::builder().key(RESTARTING).value("true").build();
            region.ec2.create_tags().resources(id).tags(mark).send().await.or_fault("ec2:CreateTags")?;
        }
        region.ec2.stop_instances().instance_ids(id).send().await.or_fault("ec2:StopInstances")?;
        instance = look(region, id).await?;
        stopped_by_us = true;
    }
    match state(&instance) {
        Some(InstanceStateName::Stopped) => {}
        Some(InstanceStateName::Running) => return unmark(region, id, ours).await,
        other => {
            let state = other.map_or_else(|| "not ready".to_owned(), |state| state.as_str().to_owned());
            return Err(Fault::new(Class::Busy, format!("{id} is {state}")));
        }
    }
    let modified = "ec2:ModifyInstanceAttribute";
    if let Some(of) = of {
        let value = AttributeValue::builder().value(of).build();
        let call = region.ec2.modify_instance_attribute().instance_id(id).instance_type(value);
        call.send().await.or_fault(modified)?;
    }
    if let Some(on) = optimized {
        let value = AttributeBooleanValue::builder().value(on).build();
        let call = region.ec2.modify_instance_attribute().instance_id(id).ebs_optimized(value);
        call.send().await.or_fault(modified)?;
    }
    if stopped_by_us {
        region.ec2.start_instances().instance_ids(id).send().await.or_fault("ec2:StartInstances")?;
    }
    unmark(region, id, stopped_by_us).await
}

pub fn is_terminated(instance: &Instance) -> bool {
    state(instance) == Some(InstanceStateName::Terminated)
}

fn state(instance: &Instance) -> Option<InstanceStateName> {
    instance.state().and_then(|state| state.name()).cloned()
}

async fn unmark(region: &Region, id: &str, marked: bool) -> Result<(), Fault> {
    match marked {
        true => remove_tag(region, id, RESTARTING).await,
        false => Ok(()),
    }
}

pub async fn remove_tag(region: &Region, id: &str, key: &str) -> Result<(), Fault> {
    let tag = Tag::builder().key(key).build();
    region.ec2.delete_tags().resources(id).tags(tag).send().await.or_fault("ec2:DeleteTags").map(drop)
}
