//! How each service is told of tags, and how what a stack owns is found by them.
//!
//! Two listings know the tags of many services at once: EC2's own, and the tagging API's. The latter lags behind, so it
//! only says which resources to read; what their tags are is read from the service itself.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::ResourceType;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use aws_sdk_ssm::types::ResourceTypeForTagging;

use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::tags::{self, SdkTag, TagPair, Tags};
use crate::resource::Fault;

/// How the tags on a certificate begin that say who waits for it.
const AWAITED: &str = "runner:validation:";

/// What a kind's resources are to AWS where tags are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    AutoScalingGroup,
    Bucket,
    Certificate,
    /// The wait for a certificate, which has no tags but some among the certificate's.
    CertificateValidation,
    Ec2(ResourceType),
    /// With its name in the tagging API: `eks:cluster`.
    Eks(&'static str),
    /// With its name in the tagging API: `elasticloadbalancing:loadbalancer`.
    LoadBalancing(&'static str),
    InstanceProfile,
    LifecyclePolicy,
    OpenIdConnectProvider,
    Parameter,
    Policy,
    /// With its name in the tagging API: `rds:db`.
    Rds(&'static str),
    Repository,
    Role,
}

impl Type {
    /// Its name in the tagging API, if that lists it.
    pub fn indexed(&self) -> Option<&'static str> {
        Some(match self {
            Type::Bucket => "s3",
            Type::Certificate => "acm:certificate",
            Type::Eks(name) | Type::LoadBalancing(name) | Type::Rds(name) => name,
            Type::InstanceProfile => "iam:instance-profile",
            Type::LifecyclePolicy => "dlm:policy",
            Type::OpenIdConnectProvider => "iam:oidc-provider",
            Type::Parameter => "ssm:parameter",
            Type::Policy => "iam:policy",
            Type::Repository => "ecr:repository",
            Type::AutoScalingGroup | Type::CertificateValidation | Type::Ec2(_) | Type::Role => return None,
        })
    }

    /// The service that has it, as IAM's actions name it.
    pub fn service(&self) -> &'static str {
        match self {
            Type::AutoScalingGroup => "autoscaling",
            Type::Bucket => "s3",
            Type::Certificate | Type::CertificateValidation => "acm",
            Type::Ec2(_) => "ec2",
            Type::Eks(_) => "eks",
            Type::LoadBalancing(_) => "elasticloadbalancing",
            Type::InstanceProfile | Type::OpenIdConnectProvider | Type::Policy | Type::Role => "iam",
            Type::LifecyclePolicy => "dlm",
            Type::Parameter => "ssm",
            Type::Rds(_) => "rds",
            Type::Repository => "ecr",
        }
    }

    /// Under which name a tag of ours is kept. What has no tags of its own has some among another's, where that one's
    /// owner must stay as it is.
    pub fn kept_as(&self, key: &str) -> String {
        match self {
            Type::CertificateValidation => key.replacen(tags::OURS, AWAITED, 1),
            _ => key.to_owned(),
        }
    }

    /// Its tags among those that are told of it.
    pub fn own_tags(&self, told: &Tags) -> Tags {
        match self {
            Type::CertificateValidation => {
                let awaited = told.iter().filter_map(|(key, value)| Some((key.strip_prefix(AWAITED)?, value)));
                awaited.map(|(key, value)| (format!("{}{key}", tags::OURS), value.clone())).collect()
            }
            _ => told.clone(),
        }
    }

    fn is_global(&self) -> bool {
        matches!(self, Type::InstanceProfile | Type::OpenIdConnectProvider | Type::Policy | Type::Role)
    }
}

/// The ARNs of these types that the stack has tagged, as far as the tagging API has heard: one GetResources, 100 a page.
pub async fn owned_arns(region: &Region, types: &[&Type], stack: &str) -> Result<BTreeSet<String>, Fault> {
    arns_with(region, types, tags::STACK, Some(stack)).await
}

/// The ARNs of the certificates that the stack waits for, whoever owns them.
pub async fn awaited_arns(region: &Region, stack: &str) -> Result<BTreeSet<String>, Fault> {
    let key = Type::CertificateValidation.kept_as(tags::STACK);
    arns_with(region, &[&Type::Certificate], &key, Some(stack)).await
}

/// The same by any tag.
pub async fn arns_with(
    region: &Region,
    types: &[&Type],
    key: &str,
    value: Option<&str>,
) -> Result<BTreeSet<String>, Fault> {
    let mut found = BTreeSet::new();
    for (client, global) in [(&region.tagging, false), (&region.global_tagging, true)] {
        let names: Vec<&str> =
            types.iter().filter(|of| of.is_global() == global).filter_map(|of| of.indexed()).collect();
        // By service only: which types of a service it takes as a filter is not documented.
        let services: BTreeSet<&str> = names.iter().filter_map(|name| name.split(':').next()).collect();
        if services.is_empty() {
            continue;
        }
        let filter = TagFilter::builder().key(key).set_values(value.map(|value| vec![value.into()])).build();
        let call = client
            .get_resources()
            .tag_filters(filter)
            .set_resource_type_filters(Some(services.into_iter().map(Into::into).collect()));
        let pages = call.into_paginator().page_size(100).items().send();
        let resources = pages.collect::<Result<Vec<_>, _>>().await.or_fault("tag:GetResources")?;
        let arns = resources.into_iter().filter_map(|resource| resource.resource_arn);
        found.extend(arns.filter(|arn| names.iter().any(|name| is_of(arn, name))));
    }
    Ok(found)
}

/// Whether an ARN is of a type as the tagging API names it: `rds:db` for `arn:aws:rds:eu-west-1:111122223333:db:main`.
pub fn is_of(arn: &str, name: &str) -> bool {
    let (service, of) = name.split_once(':').unwrap_or((name, ""));
    let mut parts = arn.splitn(6, ':');
    let (service_of, rest) = (parts.nth(2), parts.nth(2));
    let rest = rest.unwrap_or_default();
    let ends = rest.strip_prefix(of).is_some_and(|rest| of.is_empty() || rest.starts_with(['/', ':']));
    service_of == Some(service) && ends
}

/// Adds and removes tags of one resource, in at most two calls.
pub async fn write(
    region: &Region,
    of: &Type,
    (id, arn): (&str, &str),
    new: &Tags,
    gone: &[String],
) -> Result<(), Fault> {
    let new: &Tags = &new.iter().map(|(key, value)| (of.kept_as(key), value.clone())).collect();
    let gone: &[String] = &gone.iter().map(|key| of.kept_as(key)).collect::<Vec<_>>();
    if !new.is_empty() {
        add(region, of, id, arn, new).await?;
    }
    if !gone.is_empty() && *of != Type::Bucket {
        gone_is_fine(remove(region, of, id, arn, gone).await)?;
    }
    match of {
        Type::Bucket if !(new.is_empty() && gone.is_empty()) => write_bucket(region, id, new, gone).await,
        _ => Ok(()),
    }
}

async fn add(region: &Region, of: &Type, id: &str, arn: &str, new: &Tags) -> Result<(), Fault> {
    match of {
        Type::AutoScalingGroup => {
            let tags = new.iter().map(|(key, value)| group_tag(id, key, Some(value))).collect();
            let call = region.autoscaling.create_or_update_tags().set_tags(Some(tags));
            call.send().await.or_fault("autoscaling:CreateOrUpdateTags").map(drop)
        }
        Type::Bucket => Ok(()),
        Type::Certificate | Type::CertificateValidation => {
            let call = region.acm.add_tags_to_certificate().certificate_arn(arn).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("acm:AddTagsToCertificate").map(drop)
        }
        Type::Ec2(_) => {
            let call = region.ec2.create_tags().resources(id).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("ec2:CreateTags").map(drop)
        }
        Type::Eks(_) => {
            let tags = new.clone().into_iter().collect();
            let call = region.eks.tag_resource().resource_arn(arn).set_tags(Some(tags));
            call.send().await.or_fault("eks:TagResource").map(drop)
        }
        Type::LoadBalancing(_) => {
            let call = region.elb.add_tags().resource_arns(arn).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("elasticloadbalancing:AddTags").map(drop)
        }
        Type::InstanceProfile => {
            let call = region.iam.tag_instance_profile().instance_profile_name(id).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("iam:TagInstanceProfile").map(drop)
        }
        Type::LifecyclePolicy => {
            let tags = new.clone().into_iter().collect();
            let call = region.dlm.tag_resource().resource_arn(arn).set_tags(Some(tags));
            call.send().await.or_fault("dlm:TagResource").map(drop)
        }
        Type::OpenIdConnectProvider => {
            let call = region.iam.tag_open_id_connect_provider().open_id_connect_provider_arn(arn);
            let call = call.set_tags(Some(tags::list(new)));
            call.send().await.or_fault("iam:TagOpenIDConnectProvider").map(drop)
        }
        Type::Parameter => {
            let call = region.ssm.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter);
            let call = call.resource_id(id).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("ssm:AddTagsToResource").map(drop)
        }
        Type::Policy => {
            let call = region.iam.tag_policy().policy_arn(arn).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("iam:TagPolicy").map(drop)
        }
        Type::Rds(_) => {
            let call = region.rds.add_tags_to_resource().resource_name(arn).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("rds:AddTagsToResource").map(drop)
        }
        Type::Repository => {
            let call = region.ecr.tag_resource().resource_arn(arn).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("ecr:TagResource").map(drop)
        }
        Type::Role => {
            let call = region.iam.tag_role().role_name(id).set_tags(Some(tags::list(new)));
            call.send().await.or_fault("iam:TagRole").map(drop)
        }
    }
}

async fn remove(region: &Region, of: &Type, id: &str, arn: &str, gone: &[String]) -> Result<(), Fault> {
    let keys = Some(gone.to_vec());
    match of {
        Type::AutoScalingGroup => {
            let tags = gone.iter().map(|key| group_tag(id, key, None)).collect();
            let call = region.autoscaling.delete_tags().set_tags(Some(tags));
            call.send().await.or_fault("autoscaling:DeleteTags").map(drop)
        }
        Type::Bucket => Ok(()),
        Type::Certificate | Type::CertificateValidation => {
            let tags = gone.iter().filter_map(|key| aws_sdk_acm::types::Tag::builder().key(key).build().ok());
            let call = region.acm.remove_tags_from_certificate().certificate_arn(arn);
            let call = call.set_tags(Some(tags.collect()));
            call.send().await.or_fault("acm:RemoveTagsFromCertificate").map(drop)
        }
        Type::Ec2(_) => {
            let tags = gone.iter().map(|key| aws_sdk_ec2::types::Tag::builder().key(key).build()).collect();
            let call = region.ec2.delete_tags().resources(id).set_tags(Some(tags));
            call.send().await.or_fault("ec2:DeleteTags").map(drop)
        }
        Type::Eks(_) => {
            let call = region.eks.untag_resource().resource_arn(arn).set_tag_keys(keys);
            call.send().await.or_fault("eks:UntagResource").map(drop)
        }
        Type::LoadBalancing(_) => {
            let call = region.elb.remove_tags().resource_arns(arn).set_tag_keys(keys);
            call.send().await.or_fault("elasticloadbalancing:RemoveTags").map(drop)
        }
        Type::InstanceProfile => {
            let call = region.iam.untag_instance_profile().instance_profile_name(id).set_tag_keys(keys);
            call.send().await.or_fault("iam:UntagInstanceProfile").map(drop)
        }
        Type::LifecyclePolicy => {
            let call = region.dlm.untag_resource().resource_arn(arn).set_tag_keys(keys);
            call.send().await.or_fault("dlm:UntagResource").map(drop)
        }
        Type::OpenIdConnectProvider => {
            let call = region.iam.untag_open_id_connect_provider().open_id_connect_provider_arn(arn);
            call.set_tag_keys(keys).send().await.or_fault("iam:UntagOpenIDConnectProvider").map(drop)
        }
        Type::Parameter => {
            let call = region.ssm.remove_tags_from_resource().resource_type(ResourceTypeForTagging::Parameter);
            let call = call.resource_id(id).set_tag_keys(keys);
            call.send().await.or_fault("ssm:RemoveTagsFromResource").map(drop)
        }
        Type::Policy => {
            let call = region.iam.untag_policy().policy_arn(arn).set_tag_keys(keys);
            call.send().await.or_fault("iam:UntagPolicy").map(drop)
        }
        Type::Rds(_) => {
            let call = region.rds.remove_tags_from_resource().resource_name(arn).set_tag_keys(keys);
            call.send().await.or_fault("rds:RemoveTagsFromResource").map(drop)
        }
        Type::Repository => {
            let call = region.ecr.untag_resource().resource_arn(arn).set_tag_keys(keys);
            call.send().await.or_fault("ecr:UntagResource").map(drop)
        }
        Type::Role => {
            let call = region.iam.untag_role().role_name(id).set_tag_keys(keys);
            call.send().await.or_fault("iam:UntagRole").map(drop)
        }
    }
}

/// The instances of a group get the author's tags, and not those that say whose the group is.
pub fn group_tag(group: &str, key: &str, value: Option<&str>) -> aws_sdk_autoscaling::types::Tag {
    let tag = aws_sdk_autoscaling::types::Tag::builder().resource_id(group).resource_type("auto-scaling-group");
    let tag = tag.key(key).set_value(value.map(Into::into)).propagate_at_launch(!key.starts_with(tags::OURS));
    tag.build()
}

/// S3 takes all tags of a bucket at once.
async fn write_bucket(region: &Region, name: &str, new: &Tags, gone: &[String]) -> Result<(), Fault> {
    let mut all = bucket_tags(region, name).await?;
    all.retain(|key, _| !gone.contains(key));
    all.extend(new.clone());
    let tagging = aws_sdk_s3::types::Tagging::builder().set_tag_set(Some(tags::list(&all))).build();
    let tagging = tagging.expect("the tags are given");
    let call = region.s3.put_bucket_tagging().bucket(name).tagging(tagging);
    call.send().await.or_fault("s3:PutBucketTagging").map(drop)
}

/// A bucket without tags is answered with an error.
pub async fn bucket_tags(region: &Region, name: &str) -> Result<Tags, Fault> {
    match region.s3.get_bucket_tagging().bucket(name).send().await.or_fault("s3:GetBucketTagging") {
        Ok(answer) => Ok(tags::of(answer.tag_set())),
        Err(fault) if fault.code.as_deref() == Some("NoSuchTagSet") => Ok(Tags::new()),
        Err(fault) => Err(fault),
    }
}

/// The SDK's tags, one type per service. Those that can fail to be built do so only without a key.
macro_rules! strict_tags {
    ($($of:ty),+) => {$(
        impl TagPair for $of {
            fn pair(&self) -> (&str, &str) {
                (self.key(), self.value())
            }
        }

        impl SdkTag for $of {
            fn make(key: &str, value: &str) -> Self {
                <$of>::builder().key(key).value(value).build().expect("a key is given")
            }
        }
    )+};
}

macro_rules! loose_tags {
    ($($of:ty),+) => {$(
        impl TagPair for $of {
            fn pair(&self) -> (&str, &str) {
                (self.key().unwrap_or_default(), self.value().unwrap_or_default())
            }
        }

        impl SdkTag for $of {
            fn make(key: &str, value: &str) -> Self {
                <$of>::builder().key(key).value(value).build()
            }
        }
    )+};
}

strict_tags!(aws_sdk_ecr::types::Tag, aws_sdk_iam::types::Tag, aws_sdk_s3::types::Tag, aws_sdk_ssm::types::Tag);
loose_tags!(aws_sdk_ec2::types::Tag, aws_sdk_elasticloadbalancingv2::types::Tag, aws_sdk_rds::types::Tag);

impl TagPair for aws_sdk_acm::types::Tag {
    fn pair(&self) -> (&str, &str) {
        (self.key(), self.value().unwrap_or_default())
    }
}

impl SdkTag for aws_sdk_acm::types::Tag {
    fn make(key: &str, value: &str) -> Self {
        Self::builder().key(key).value(value).build().expect("a key is given")
    }
}

impl TagPair for aws_sdk_autoscaling::types::TagDescription {
    fn pair(&self) -> (&str, &str) {
        (self.key().unwrap_or_default(), self.value().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_its_type() {
        for (arn, of) in [
            ("arn:aws:ecr:eu-west-1:111122223333:repository/team/app", "ecr:repository"),
            ("arn:aws:rds:eu-west-1:111122223333:db:main", "rds:db"),
            ("arn:aws:s3:::assets", "s3"),
            ("arn:aws:iam::111122223333:oidc-provider/oidc.eks", "iam:oidc-provider"),
            ("arn:aws:acm:eu-west-1:111122223333:certificate/0a1b", "acm:certificate"),
        ] {
            assert!(is_of(arn, of), "{arn}");
        }
        assert!(!is_of("arn:aws:rds:eu-west-1:111122223333:db-cluster:main", "rds:db"));
        assert!(!is_of("arn:aws:iam::111122223333:policy/x", "iam:oidc-provider"));
    }
}
