//! Of which kinds a stack owns something, asked of tags: so that what is no longer declared is found without listing
//! every kind there is.
//!
//! Calls: one each of DescribeTags of EC2 (1,000 a page), DescribeTags of Auto Scaling (100 a page), GetResources of the
//! tagging API in the region and in the one that knows IAM (100 a page), another for the certificates that are waited for,
//! and GetAccountAuthorizationDetails, since the tagging API knows no roles. All side by side.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_autoscaling::types::Filter;
use aws_sdk_iam::types::EntityType;
use futures_util::future::try_join5;

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AnyKind, filter};
use super::tagging::{self, Type};
use super::tags;
use crate::resource::Fault;

pub async fn owned_kinds(
    region: &Region,
    kinds: impl Iterator<Item = &dyn AnyKind>,
    stack: &str,
) -> Result<BTreeSet<Arc<str>>, Fault> {
    let kinds: Vec<(Arc<str>, Type)> = kinds.map(|one| (one.kind().name.clone(), one.of_type())).collect();
    let types: Vec<&Type> = kinds.iter().map(|(_, of)| of).collect();
    let (of_ec2, arns, awaited, groups, roles) = try_join5(
        ec2_types(region, stack),
        tagging::owned_arns(region, &types, stack),
        tagging::awaited_arns(region, stack),
        owns_groups(region, stack),
        owns_roles(region, stack),
    )
    .await?;
    let owned = kinds.iter().filter(|(_, of)| match of {
        Type::Ec2(of) => of_ec2.contains(of.as_str()),
        Type::AutoScalingGroup => groups,
        Type::Role => roles,
        Type::CertificateValidation => !awaited.is_empty(),
        other => other.indexed().is_some_and(|name| arns.iter().any(|arn| tagging::is_of(arn, name))),
    });
    Ok(owned.map(|(name, _)| name.clone()).collect())
}

async fn ec2_types(region: &Region, stack: &str) -> Result<BTreeSet<String>, Fault> {
    let tags = region.ec2.describe_tags().filters(filter("key", [tags::STACK])).filters(filter("value", [stack]));
    let tags = tags.into_paginator().page_size(1000).items().send();
    let tags = tags.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeTags")?;
    let ours = tags.iter().filter(|tag| tag.value() == Some(stack));
    Ok(ours.filter_map(|tag| tag.resource_type()).map(|of| of.as_str().to_owned()).collect())
}

async fn owns_groups(region: &Region, stack: &str) -> Result<bool, Fault> {
    let by = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let call = region.autoscaling.describe_tags().filters(by("key", tags::STACK)).filters(by("value", stack));
    let pages = call.into_paginator().page_size(100).items().send();
    let tags = pages.collect::<Result<Vec<_>, _>>().await.or_fault("autoscaling:DescribeTags")?;
    Ok(tags.iter().any(|tag| tag.key() == Some(tags::STACK) && tag.value() == Some(stack)))
}

async fn owns_roles(region: &Region, stack: &str) -> Result<bool, Fault> {
    let call = region.iam.get_account_authorization_details().filter(EntityType::Role);
    let mut pages = call.max_items(1000).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.or_fault("iam:GetAccountAuthorizationDetails")?;
        let ours = |role: &aws_sdk_iam::types::RoleDetail| {
            role.tags().iter().any(|tag| tag.key() == tags::STACK && tag.value() == stack)
        };
        if page.role_detail_list().iter().any(ours) {
            return Ok(true);
        }
    }
    Ok(false)
}
