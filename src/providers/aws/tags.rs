//! Tags: the author's, and the three by which a resource says whose it is.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

use super::client::Region;
use super::fault::OrFault;
use crate::resource::{Fault, Owner};

/// The author's tags: everything except what begins with `runner:` (ours) or `aws:` (AWS's own). A tag that a
/// controller adds (`kubernetes.io/…`) counts as a difference: declare it, or put `tags` under `ignore`.
pub type Tags = BTreeMap<String, String>;

pub const STACK: &str = "runner:stack";
pub const ADDRESS: &str = "runner:address";
/// Set on the old one of a replacement that makes the new one first.
pub const DEPOSED: &str = "runner:deposed";

/// What the tags on a resource say of its owner.
pub fn owner(tags: &[Tag]) -> Option<Owner> {
    let get = |key: &str| tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value);
    Some(Owner {
        stack: get(STACK)?.to_owned(),
        address: get(ADDRESS)?.parse().ok()?,
        deposed: get(DEPOSED) == Some("true"),
        protect: false,
    })
}

/// The author's part of the tags on a resource.
pub fn authored(tags: &[Tag]) -> Option<Tags> {
    let pairs = tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    Some(pairs.filter(|(key, _)| !key.starts_with("runner:") && !key.starts_with("aws:")).collect())
}

/// All that a resource is to be tagged with. `Name` defaults to the logical name.
pub fn complete(owner: &Owner, authored: Option<&Tags>) -> Tags {
    let mut tags = authored.cloned().unwrap_or_default();
    tags.entry("Name".into()).or_insert_with(|| owner.address.name.to_string());
    tags.extend(ownership(owner));
    tags
}

/// The tags that say whose it is.
pub fn ownership(owner: &Owner) -> Tags {
    let mut tags = Tags::from([(STACK.into(), owner.stack.clone()), (ADDRESS.into(), owner.address.to_string())]);
    if owner.deposed {
        tags.insert(DEPOSED.into(), "true".into());
    }
    tags
}

pub fn specification(of: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(of).set_tags(Some(list(tags))).build()
}

/// Brings the tags of one resource from what they are to what they shall be, in at most two calls.
pub async fn reconcile(region: &Region, id: &str, now: &Tags, wanted: &Tags) -> Result<(), Fault> {
    let new: Tags =
        wanted.iter().filter(|(k, v)| now.get(*k) != Some(v)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let gone: Vec<Tag> =
        now.keys().filter(|key| !wanted.contains_key(*key)).map(|key| Tag::builder().key(key).build()).collect();
    if !new.is_empty() {
        let call = region.ec2.create_tags().resources(id).set_tags(Some(list(&new)));
        call.send().await.or_fault("ec2:CreateTags")?;
    }
    if !gone.is_empty() {
        let call = region.ec2.delete_tags().resources(id).set_tags(Some(gone));
        call.send().await.or_fault("ec2:DeleteTags")?;
    }
    Ok(())
}

fn list(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
