//! `aws::ebs_volume`, with what it is attached to. Reads: one DescribeVolumes per region, 500 a page.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::types::{
    ResourceType, SnapshotState, Tag, TagSpecification, Volume, VolumeAttachmentState, VolumeState, VolumeType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_storage::{self, FINAL, Shape};
use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Status, Value};

pub struct EbsVolume;

/// A disk that outlives the instances it is attached to.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Zone it is in; only instances of that zone can use it (CreateVolume). Take the subnet's, not the instance's: the
    /// volume would be replaced with the instance.
    #[schemars(extend("immutable" = true))]
    pub availability_zone: String,
    /// Size in GiB; it can only grow, and the file system on it must be grown after it. Left out, that of the snapshot
    /// (CreateVolume, ModifyVolume).
    pub size: Option<i32>,
    /// Type; left out, AWS takes `gp2` (CreateVolume, ModifyVolume).
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["gp2", "gp3", "io1", "io2", "sc1", "st1", "standard", null]))]
    pub of: Option<String>,
    /// I/O operations per second, for gp3, io1 and io2; left out, gp3 has 3,000 (CreateVolume, ModifyVolume).
    pub iops: Option<i32>,
    /// MiB per second, for gp3; left out, 125 (CreateVolume, ModifyVolume).
    pub throughput: Option<i32>,
    /// Whether it is encrypted; left out, as the account says (CreateVolume).
    #[schemars(extend("immutable" = true))]
    pub encrypted: Option<bool>,
    /// Key it is encrypted with, by ARN or id; left out, the account's default key (CreateVolume).
    #[schemars(extend("immutable" = true))]
    pub kms_key_id: Option<String>,
    /// Snapshot it begins as (CreateVolume).
    #[schemars(extend("immutable" = true))]
    pub snapshot_id: Option<String>,
    /// The instance that uses it: at most one (AttachVolume, DetachVolume). Unmount it before it is taken from a running
    /// instance.
    #[schemars(extend("lets_go" = true, "outlives" = true, "maxItems" = 1))]
    pub attachment: Option<Vec<Attachment>>,
    /// Whether to make a snapshot before it is deleted, which then stays (CreateSnapshot).
    #[schemars(extend("remembered" = true))]
    pub final_snapshot: Option<bool>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// Instance in the same zone.
    pub instance_id: String,
    /// Name under which the instance is offered it: `/dev/sdf` to `/dev/sdp`; on Windows `xvdf` to `xvdp`.
    pub device_name: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the volume.
    #[schemars(example = "vol-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the volume.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-0a1b2c3d4e5f60718")]
    arn: String,
    /// When it was made.
    #[schemars(example = &"2026-01-02T03:04:05Z")]
    create_time: Option<String>,
}

impl AwsKind for EbsVolume {
    const NAME: &'static str = "aws::ebs_volume";
    const TYPE: Type = Type::Ec2(ResourceType::Volume);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            check,
            forbids: |wanted, live| match (wanted.get("size")?, live.get("size")?) {
                (Value::Int(wanted), Value::Int(live)) if wanted < live => Some(Mistake {
                    path: "size".into(),
                    what: format!("a volume cannot shrink from {live} to {wanted} GiB"),
                    hint: Some("make another volume, and copy what is on this one".into()),
                }),
                _ => None,
            },
            normalise: |field, value| match field {
                "kms_key_id" => block_storage::key_meaning(value),
                _ => value.clone(),
            },
            fits: |field, wanted, live| field == "encrypted" && block_storage::is_encrypted_enough(wanted, live),
            id_prefix: "vol-",
            timeout: 1200,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut volumes = vec![];
        for filters in search.listings("volume-id", None) {
            let pages = region.ec2.describe_volumes().set_filters(Some(filters)).into_paginator().page_size(500);
            let pages = pages.items().send();
            volumes.extend(pages.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeVolumes")?);
        }
        volumes.retain(|volume| volume.state() != Some(&VolumeState::Deleted));
        Ok(volumes.iter().filter_map(|volume| found(region, volume)).collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .create_volume()
            .availability_zone(&inputs.availability_zone)
            .set_size(inputs.size)
            .set_volume_type(inputs.of.as_deref().map(VolumeType::from))
            .set_iops(inputs.iops)
            .set_throughput(inputs.throughput)
            .set_encrypted(inputs.encrypted)
            .set_kms_key_id(inputs.kms_key_id.clone())
            .set_snapshot_id(inputs.snapshot_id.clone())
            .client_token(&birth.token)
            .tag_specifications(birth.specification());
        Ok(call.send().await.or_fault("ec2:CreateVolume")?.volume_id)
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        match inputs.attachment.as_deref().unwrap_or_default() {
            [] => Ok(()),
            wanted => attach(region, id, wanted).await,
        }
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let wanted = change.inputs;
        if change.of("attachment") {
            attach(region, id, wanted.attachment.as_deref().unwrap_or_default()).await?;
        }
        let shape = Shape {
            size: wanted.size.filter(|_| change.of("size")),
            volume_type: wanted.of.clone().filter(|_| change.of("type")),
            iops: wanted.iops.filter(|_| change.of("iops")),
            throughput: wanted.throughput.filter(|_| change.of("throughput")),
        };
        match shape == Shape::default() {
            true => Ok(()),
            false => block_storage::reshape(region, id, &shape).await,
        }
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        attach(region, id, &[]).await?;
        if live.final_snapshot == Some(true) {
            let tags = live.tags.unwrap_or_default();
            make_final_snapshot(region, id, tags).await?;
        }
        region.ec2.delete_volume().volume_id(id).send().await.or_fault("ec2:DeleteVolume").map(drop)
    }
}

fn found(region: &Region, volume: &Volume) -> Option<Found<EbsVolume>> {
    let id = volume.volume_id()?.to_owned();
    let shape = Shape::of(volume);
    Some(Found {
        inputs: Inputs {
            availability_zone: volume.availability_zone().unwrap_or_default().to_owned(),
            size: shape.size,
            of: shape.volume_type,
            iops: shape.iops,
            throughput: shape.throughput,
            encrypted: volume.encrypted(),
            kms_key_id: volume.kms_key_id().map(str::to_owned),
            snapshot_id: volume.snapshot_id().filter(|id| !id.is_empty()).map(str::to_owned),
            attachment: Some(held(volume)),
            final_snapshot: None,
            tags: tags::authored(&tags::of(volume.tags())),
        },
        outputs: Outputs {
            id: id.clone(),
            arn: region.ec2_arn(None, &format!("volume/{id}")),
            create_time: volume.create_time().map(ToString::to_string),
        },
        tags: tags::of(volume.tags()),
        status: status(volume),
        id,
    })
}

/// What it is attached to, or on its way to.
fn held(volume: &Volume) -> Vec<Attachment> {
    use VolumeAttachmentState::{Detached, Detaching};
    let there = volume.attachments().iter().filter(|one| !matches!(one.state(), Some(Detached | Detaching)));
    there
        .filter_map(|one| {
            Some(Attachment { instance_id: one.instance_id()?.into(), device_name: one.device()?.into() })
        })
        .collect()
}

fn status(volume: &Volume) -> Status {
    use VolumeAttachmentState::{Attaching, Busy, Detaching};
    let moving = volume.attachments().iter().filter_map(|one| one.state());
    match volume.state() {
        Some(VolumeState::Deleting | VolumeState::Deleted) => Status::Deleting,
        Some(VolumeState::Error) => Status::Failed("EC2 says that the volume has an error".into()),
        Some(VolumeState::Creating) => Status::Pending("creating".into()),
        _ => match moving.into_iter().find(|state| matches!(state, Attaching | Busy | Detaching)) {
            // It waits for the instance to let go: unmounting it there helps.
            Some(Busy) => Status::Pending("detaching: the instance still uses it".into()),
            Some(state) => Status::Pending(state.as_str().to_owned()),
            None => Status::Ready,
        },
    }
}

/// Takes the volume from where it shall not be, then puts it where it shall.
async fn attach(region: &Region, id: &str, wanted: &[Attachment]) -> Result<(), Fault> {
    let mut volume = block_storage::volume(region, id).await?;
    let unwanted: Vec<Attachment> = held(&volume).into_iter().filter(|one| !wanted.contains(one)).collect();
    for one in &unwanted {
        let call = region.ec2.detach_volume().volume_id(id).instance_id(&one.instance_id).device(&one.device_name);
        call.send().await.or_fault("ec2:DetachVolume")?;
    }
    if !unwanted.is_empty() {
        volume = block_storage::volume(region, id).await?;
    }
    let now = held(&volume);
    if volume.attachments().len() > now.len() || now.iter().any(|one| !wanted.contains(one)) {
        return Err(Fault::new(Class::Busy, format!("{id} is being detached"))
            .hint("unmount it on the instance that uses it, or stop that instance"));
    }
    for one in wanted.iter().filter(|one| !now.contains(one)) {
        let call = region.ec2.attach_volume().volume_id(id).instance_id(&one.instance_id).device(&one.device_name);
        call.send().await.or_fault("ec2:AttachVolume")?;
    }
    Ok(())
}

/// How old a snapshot may be and still be the last of a volume.
const RECENT: Duration = Duration::from_secs(3600);

/// Done only once the snapshot is complete: until then it needs the volume.
async fn make_final_snapshot(region: &Region, id: &str, mut tags: Tags) -> Result<(), Fault> {
    let pages = region.ec2.describe_snapshots().owner_ids("self");
    let pages = pages.set_filters(Some(block_storage::final_snapshots(id))).into_paginator().page_size(1000);
    let made = pages.items().send().collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeSnapshots")?;
    let since = SystemTime::now() - RECENT;
    let is_recent = |time: &aws_sdk_ec2::primitives::DateTime| SystemTime::try_from(*time).is_ok_and(|at| at > since);
    if made.iter().any(|one| one.state() == Some(&SnapshotState::Completed) && one.start_time().is_some_and(is_recent))
    {
        return Ok(());
    }
    if !made.iter().any(|one| one.state() == Some(&SnapshotState::Pending)) {
        tags.insert(FINAL.into(), "true".into());
        let tags: Vec<Tag> = tags::list(&tags);
        let tags = TagSpecification::builder().resource_type(ResourceType::Snapshot).set_tags(Some(tags)).build();
        let description = format!("The last of {id}");
        let call = region.ec2.create_snapshot().volume_id(id).description(description).tag_specifications(tags);
        let snapshot = call.send().await.or_fault("ec2:CreateSnapshot")?;
        if snapshot.state() == Some(&SnapshotState::Completed) {
            return Ok(());
        }
    }
    Err(Fault::new(Class::Busy, format!("the final snapshot of {id} is being made")))
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let given = |name: &str| inputs.get(name).is_some_and(|value| !value.is_null());
    let mut mistakes = block_storage::check_speed("", inputs, "type");
    mistakes.extend(block_storage::check_key("kms_key_id", inputs.get("kms_key_id")));
    let mut mistake = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) })
    };
    if !given("size") && !given("snapshot_id") {
        mistake("size", "is required", "say how many GiB, or name a `snapshot_id` to begin with");
    }
    if given("kms_key_id") && inputs.get("encrypted") != Some(&Value::Bool(true)) {
        mistake("kms_key_id", "has no use in a volume that is not encrypted", "set `encrypted: true`");
    }
    if inputs.get("attachment").and_then(Value::as_list).is_some_and(|all| all.len() > 1) {
        mistake("attachment", "has more than one instance", "a volume is attached to one instance at a time");
    }
    mistakes
}
