//! `aws::ami(#{ … })`: the newest image that fits. One DescribeImages, 1,000 a page.

use aws_sdk_ec2::types::{Filter, Image};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::filter;
use crate::providers::typed::{typed_value, value_of};
use crate::resource::kind::Lookup;
use crate::resource::{Class, Fault, Value};

pub const NAME: &str = "aws::ami";

/// The arguments, in the order of the call.
#[derive(Deserialize, JsonSchema)]
struct Parameters {
    /// Which images to choose from.
    search: Search,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// Whose images: `amazon`, `aws-marketplace`, `self` or numbers of accounts. Anyone may give an image a name like
    /// Amazon's.
    owners: Vec<String>,
    /// Name, in which `*` and `?` stand for other characters: `al2023-ami-2023.*`.
    name: String,
    /// Processor; left out, any.
    #[schemars(extend("enum" = ["arm64", "i386", "x86_64", null]))]
    architecture: Option<String>,
    /// More conditions, by the names of the filters of DescribeImages.
    filter: Option<Vec<Condition>>,
}

#[derive(Deserialize, JsonSchema)]
struct Condition {
    /// `virtualization-type`, `tag:Team`.
    name: String,
    /// Any of these, in which `*` and `?` stand for other characters.
    values: Vec<String>,
}

/// The newest image that fits. A newer one is another id at the next run.
#[derive(Serialize, JsonSchema)]
struct Found {
    /// Id of the image.
    #[schemars(example = "ami-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the image.
    #[schemars(example = "arn:aws:ec2:eu-west-1::image/ami-0a1b2c3d4e5f60718")]
    arn: String,
    /// Name of the image.
    #[schemars(example = &"al2023-ami-2023.9.20260101.0-kernel-6.1-x86_64")]
    name: String,
    /// Processor it is for.
    #[schemars(example = &"x86_64")]
    architecture: String,
    /// When it was made.
    #[schemars(example = &"2026-01-02T03:04:05.000Z")]
    creation_date: String,
    /// Account it belongs to.
    #[schemars(example = "111122223333")]
    owner_id: String,
    /// `windows`, or nothing.
    #[schemars(example = &"windows")]
    platform: Option<String>,
    /// Device of the root volume.
    #[schemars(example = &"/dev/xvda")]
    root_device_name: Option<String>,
    /// Snapshot that the root volume begins as.
    #[schemars(example = "snap-0a1b2c3d4e5f60718")]
    root_snapshot_id: Option<String>,
}

pub fn lookup() -> Lookup {
    Lookup::of::<Parameters, Found>(NAME)
}

pub async fn find(region: &Region, arguments: &[Value]) -> Result<Value, Fault> {
    let arguments = arguments.iter().map(|argument| ("search".to_owned(), argument.clone())).collect();
    let Parameters { search } = typed_value(&Value::Map(arguments))?;
    if search.owners.is_empty() {
        return Err(Fault::new(Class::Invalid, "`owners` is empty: images of anyone would do")
            .hint("say whose: `owners: [\"amazon\"]`, or `[\"self\"]`"));
    }
    let pattern =
        |name: &str, values: &[String]| Filter::builder().name(name).set_values(Some(values.to_vec())).build();
    let mut filters = vec![filter("state", ["available"]), pattern("name", std::slice::from_ref(&search.name))];
    filters.extend(search.architecture.iter().map(|one| filter("architecture", [one])));
    filters.extend(search.filter.iter().flatten().map(|one| pattern(&one.name, &one.values)));
    let call = region.ec2.describe_images().set_owners(Some(search.owners.clone())).set_filters(Some(filters));
    let pages = call.into_paginator().page_size(1000).items().send();
    let images = pages.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeImages")?;
    let newest = newest(images);
    newest.and_then(|image| told(region, &image)).ok_or_else(|| {
        let what = format!("no image in {} fits: {} of {}", region.name, search.name, search.owners.join(", "));
        Fault::new(Class::Invalid, what).hint(
            "compare `aws ec2 describe-images --owners …`: names differ between regions, and `*` is needed for what follows",
        )
    })
}

/// Of two of one moment always the same.
fn newest(images: Vec<Image>) -> Option<Image> {
    images.into_iter().max_by_key(|image| {
        (image.creation_date().unwrap_or_default().to_owned(), image.image_id().unwrap_or_default().to_owned())
    })
}

fn told(region: &Region, image: &Image) -> Option<Value> {
    let id = image.image_id()?;
    let root = image.root_device_name().unwrap_or_default();
    let root = image.block_device_mappings().iter().find(|mapping| mapping.device_name() == Some(root));
    Some(value_of(&Found {
        id: id.to_owned(),
        arn: format!("arn:{}:ec2:{}::image/{id}", region.partition, region.name),
        name: image.name().unwrap_or_default().to_owned(),
        architecture: image.architecture().map_or("", |of| of.as_str()).to_owned(),
        creation_date: image.creation_date().unwrap_or_default().to_owned(),
        owner_id: image.owner_id().unwrap_or_default().to_owned(),
        platform: image.platform().map(|of| of.as_str().to_owned()),
        root_device_name: image.root_device_name().map(str::to_owned),
        root_snapshot_id: root.and_then(|root| root.ebs()).and_then(|ebs| ebs.snapshot_id()).map(str::to_owned),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_the_last_made() {
        let image = |id: &str, date: &str| Image::builder().image_id(id).creation_date(date).build();
        let (old, new) = (image("ami-9", "2025-12-31T23:59:59.000Z"), image("ami-1", "2026-01-01T00:00:00.000Z"));
        let found = |images: Vec<Image>| newest(images).and_then(|image| image.image_id);
        assert_eq!(found(vec![old.clone(), new.clone()]).as_deref(), Some("ami-1"));
        assert_eq!(found(vec![new, old]).as_deref(), Some("ami-1"));
        assert_eq!(found(vec![]), None);
    }
}
