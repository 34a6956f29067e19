//! EBS volumes, be they resources of their own or the root of an instance: how their size and speed change, and how
//! their keys are compared.

use aws_sdk_ec2::types::{Volume, VolumeModificationState, VolumeType};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{filter, in_chunks};
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Value};

/// What of a volume can be changed in place; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub size: Option<i32>,
    pub volume_type: Option<String>,
    pub iops: Option<i32>,
    pub throughput: Option<i32>,
}

impl Shape {
    pub fn of(volume: &Volume) -> Self {
        Shape {
            size: volume.size(),
            volume_type: volume.volume_type().map(|of| of.as_str().to_owned()),
            iops: volume.iops(),
            throughput: volume.throughput(),
        }
    }

    /// What of this a volume has not yet.
    fn beyond(&self, now: &Shape) -> Shape {
        fn new<T: PartialEq + Clone>(wanted: &Option<T>, now: &Option<T>) -> Option<T> {
            wanted.clone().filter(|wanted| Some(wanted) != now.as_ref())
        }
        Shape {
            size: new(&self.size, &now.size),
            volume_type: new(&self.volume_type, &now.volume_type),
            iops: new(&self.iops, &now.iops),
            throughput: new(&self.throughput, &now.throughput),
        }
    }
}

/// Brings a volume to a shape; done only once the volume shows it.
pub async fn reshape(region: &Region, id: &str, wanted: &Shape) -> Result<(), Fault> {
    let being_modified = || Fault::new(Class::Busy, format!("{id} is being modified"));
    // Perhaps to this very shape: to ask again could count as one change too many. Asked before the volume is read, which
    // then shows what has come of it.
    if is_modifying(region, id).await? {
        return Err(being_modified());
    }
    let missing = wanted.beyond(&Shape::of(&volume(region, id).await?));
    if missing == Shape::default() {
        return Ok(());
    }
    let call = region
        .ec2
        .modify_volume()
        .volume_id(id)
        .set_size(missing.size)
        .set_volume_type(missing.volume_type.as_deref().map(VolumeType::from))
        .set_iops(missing.iops)
        .set_throughput(missing.throughput);
    call.send().await.or_fault("ec2:ModifyVolume")?;
    let left = wanted.beyond(&Shape::of(&volume(region, id).await?));
    if left == Shape::default() { Ok(()) } else { Err(being_modified()) }
}

async fn is_modifying(region: &Region, id: &str) -> Result<bool, Fault> {
    let call = region.ec2.describe_volumes_modifications().filters(filter("volume-id", [id]));
    let answer = call.send().await.or_fault("ec2:DescribeVolumesModifications")?;
    let mut states = answer.volumes_modifications().iter().filter_map(|one| one.modification_state());
    Ok(states.any(|state| *state == VolumeModificationState::Modifying))
}

pub async fn volume(region: &Region, id: &str) -> Result<Volume, Fault> {
    let found = volumes(region, [id.to_owned()]).await?.into_iter().next();
    found.ok_or_else(|| Fault::new(Class::NotFound, format!("{id} is not there")))
}

/// Those of these volumes that are there; without ids, without a call.
pub async fn volumes(region: &Region, ids: impl IntoIterator<Item = String>) -> Result<Vec<Volume>, Fault> {
    let mut volumes = vec![];
    for filters in in_chunks("volume-id", &ids.into_iter().collect()) {
        let pages = region.ec2.describe_volumes().set_filters(Some(filters)).into_paginator().page_size(500);
        volumes.extend(pages.items().send().collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeVolumes")?);
    }
    Ok(volumes)
}

/// The id of a key, from its ARN too: AWS tells ARNs.
pub fn key_meaning(key: &Value) -> Value {
    match key.as_str().and_then(|text| text.split_once(":key/")) {
        Some((_, id)) => id.into(),
        None => key.clone(),
    }
}

/// AWS tells which key it is and not by which alias it was named: a difference without end.
pub fn check_key(path: &str, key: Option<&Value>) -> Option<Mistake> {
    let key = key.and_then(Value::as_str)?;
    (key.starts_with("alias/") || key.contains(":alias/")).then(|| Mistake {
        path: path.to_owned(),
        what: "is an alias, which may come to mean another key".into(),
        hint: Some("pass the key's ARN or id".into()),
    })
}

/// Speed that a type of volume does not have.
pub fn check_speed(prefix: &str, inputs: &Map, of: &str) -> Vec<Mistake> {
    let Some(of) = inputs.get(of).and_then(Value::as_str) else { return vec![] };
    let given = |name: &str| inputs.get(name).is_some_and(|value| !value.is_null());
    let mistake = |name: &str, what: String, hint: &str| Mistake {
        path: format!("{prefix}{name}"),
        what,
        hint: Some(hint.to_owned()),
    };
    let mut mistakes = vec![];
    match (given("iops"), of) {
        (false, "io1" | "io2") => mistakes.push(mistake("iops", format!("is required for {of}"), "say how many")),
        (true, "gp2" | "st1" | "sc1" | "standard") => {
            mistakes.push(mistake("iops", format!("cannot be chosen for {of}"), "leave it out, or choose gp3"))
        }
        _ => {}
    }
    if given("throughput") && of != "gp3" {
        mistakes.push(mistake("throughput", format!("cannot be chosen for {of}"), "leave it out, or choose gp3"));
    }
    mistakes
}

/// Snapshots of a volume that a delete has made.
pub const FINAL: &str = "runner:final_snapshot";

/// Filters for them.
pub fn final_snapshots(volume: &str) -> Vec<aws_sdk_ec2::types::Filter> {
    vec![filter("volume-id", [volume]), filter(&format!("tag:{FINAL}"), ["true"])]
}

/// Where the account encrypts every disk, `encrypted: false` cannot be had: another volume would be encrypted, too.
pub fn is_encrypted_enough(wanted: &Map, live: &Map) -> bool {
    let is = |inputs: &Map, on: bool| inputs.get("encrypted") == Some(&Value::Bool(on));
    is(wanted, false) && is(live, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn speed_must_fit_the_type() {
        let told = |inputs| match Value::from(inputs) {
            Value::Map(map) => check_speed("", &map, "type").into_iter().map(|m| m.path).collect::<Vec<_>>(),
            _ => panic!("a map"),
        };
        assert_eq!(told(json!({ "type": "gp3", "iops": 4000, "throughput": 250 })), [""; 0]);
        assert_eq!(told(json!({ "type": "io2" })), ["iops"]);
        assert_eq!(told(json!({ "type": "gp2", "iops": 100, "throughput": 125 })), ["iops", "throughput"]);
        assert_eq!(told(json!({ "iops": 100 })), [""; 0]);
    }

    #[test]
    fn a_key_is_the_same_by_arn_and_by_id() {
        let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(key_meaning(&arn.into()), "1234abcd-12ab-34cd-56ef-1234567890ab".into());
        assert!(check_key("kms_key_id", Some(&"alias/data".into())).is_some());
        assert!(check_key("kms_key_id", Some(&arn.into())).is_none());
    }
}
