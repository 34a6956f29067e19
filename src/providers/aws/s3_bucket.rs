//! `aws::s3_bucket`. Reads: one GetResources per region (ListBuckets, 1,000 a page, if asked by name), and for each bucket
//! one each of GetBucketTagging, GetBucketVersioning, GetBucketEncryption, GetPublicAccessBlock,
//! GetBucketLifecycleConfiguration and GetBucketPolicy.

use std::collections::BTreeSet;

use aws_sdk_s3::types as sdk;
use futures_util::future::try_join5;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::document;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::s3_bucket_emptying::empty;
use super::tagging::{Type, bucket_tags};
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Select, Status, Value};

pub struct S3Bucket;

/// A place for objects, under a name that is unique in all of AWS.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in all of AWS: 3 to 63 of lower-case letters, digits, `.` and `-`; left out, the logical name
    /// (CreateBucket).
    #[schemars(extend("immutable" = true))]
    pub bucket: Option<String>,
    /// Whether earlier versions of objects are kept (PutBucketVersioning).
    pub versioning: Option<Versioning>,
    /// How new objects are encrypted; left out, with a key of S3 (PutBucketEncryption).
    pub server_side_encryption_configuration: Option<Encryption>,
    /// What is refused that would open the bucket to everyone; left out, all of it (PutPublicAccessBlock).
    pub public_access_block: Option<PublicAccessBlock>,
    /// All rules for what is deleted when (PutBucketLifecycleConfiguration).
    pub lifecycle_rule: Option<Vec<LifecycleRule>>,
    /// Who may do what with the bucket, as JSON; `""` for none (PutBucketPolicy).
    pub policy: Option<String>,
    /// Whether deleting the bucket also deletes its objects, all versions of them.
    #[schemars(extend("remembered" = true))]
    pub force_destroy: Option<bool>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// Whether earlier versions of objects are kept.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Versioning {
    /// From now on; versions that are there stay also without it.
    enabled: bool,
}

/// How new objects are encrypted.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Encryption {
    /// With a key of S3 (`AES256`) or of KMS.
    #[serde(default = "aes256")]
    #[schemars(extend("enum" = ["AES256", "aws:kms", "aws:kms:dsse"]))]
    sse_algorithm: String,
    /// KMS: the key; left out, the account's own for S3.
    kms_master_key_id: Option<String>,
    /// KMS: whether a key of the bucket's own saves calls to KMS.
    #[serde(default)]
    bucket_key_enabled: bool,
}

/// What is refused that would open the bucket to everyone.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct PublicAccessBlock {
    /// New access lists that let everyone in.
    #[serde(default = "yes")]
    block_public_acls: bool,
    /// New policies that let everyone in.
    #[serde(default = "yes")]
    block_public_policy: bool,
    /// What access lists say of everyone.
    #[serde(default = "yes")]
    ignore_public_acls: bool,
    /// Access by others where a policy lets everyone in.
    #[serde(default = "yes")]
    restrict_public_buckets: bool,
}

/// What is deleted when.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct LifecycleRule {
    /// Name of the rule.
    id: String,
    /// Whether it is followed.
    #[serde(default = "yes")]
    enabled: bool,
    /// How the names of the objects begin that it is for; left out, it is for all.
    #[serde(default)]
    prefix: String,
    /// Days after which an object is deleted.
    expiration_days: Option<i32>,
    /// Days after which an earlier version is deleted.
    noncurrent_version_expiration_days: Option<i32>,
    /// Days after which the parts of an upload that was not completed are deleted.
    abort_incomplete_multipart_upload_days: Option<i32>,
}

fn yes() -> bool {
    true
}

fn aes256() -> String {
    "AES256".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the bucket.
    #[schemars(example = &"assets")]
    id: String,
    /// ARN of the bucket.
    #[schemars(example = "arn:aws:s3:::assets")]
    arn: String,
    /// Name under which it is reached from anywhere.
    #[schemars(example = "assets.s3.amazonaws.com")]
    bucket_domain_name: String,
    /// Name under which it is reached in its region.
    #[schemars(example = "assets.s3.eu-west-1.amazonaws.com")]
    bucket_regional_domain_name: String,
    /// Region it is in.
    #[schemars(example = "eu-west-1")]
    region: String,
}

impl AwsKind for S3Bucket {
    const NAME: &'static str = "aws::s3_bucket";
    const TYPE: Type = Type::Bucket;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["bucket"],
            named_by: Some("bucket"),
            check,
            normalise: |field, value| match field {
                "policy" => document::meaning(value),
                _ => value.clone(),
            },
            made_up,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let name = |arn: &str| arn.rsplit_once(":::").map(|(_, name)| name.to_owned());
        let mut names = search.ids(region, &Self::TYPE, name).await?;
        if !matches!(search.select(), Select::Owned { .. }) {
            // A bucket of someone else's would be an error, not nothing.
            let ours = buckets(region, names.first().filter(|_| names.len() == 1)).await?;
            names.retain(|name| ours.contains(name));
        }
        each(names, |name| read(region, name)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let name = inputs.bucket.as_deref().unwrap_or(&birth.owner.address.name);
        let mut place = sdk::CreateBucketConfiguration::builder().set_tags(birth.list());
        if region.name == "us-east-1" {
            // There, to make one that is there already succeeds.
            if buckets(region, Some(&name.to_owned())).await?.contains(name) {
                let mut fault = Fault::new(Class::Exists, format!("the bucket `{name}` is there already"));
                fault.operation = Some("s3:CreateBucket".into());
                return Err(fault);
            }
        } else {
            place = place.location_constraint(sdk::BucketLocationConstraint::from(region.name.as_str()));
        }
        let call = region.s3.create_bucket().bucket(name).create_bucket_configuration(place.build());
        call.send().await.or_fault("s3:CreateBucket")?;
        Ok(Some(name.to_owned()))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        if inputs.public_access_block.is_some() {
            set_public_access(region, id, inputs).await?;
        }
        if inputs.versioning.as_ref().is_some_and(|versioning| versioning.enabled) {
            set_versioning(region, id, inputs).await?;
        }
        if inputs.server_side_encryption_configuration.is_some() {
            set_encryption(region, id, inputs).await?;
        }
        if inputs.lifecycle_rule.as_ref().is_some_and(|rules| !rules.is_empty()) {
            set_lifecycle(region, id, inputs).await?;
        }
        if document::given(&inputs.policy).is_some() {
            set_policy(region, id, inputs).await?;
        }
        Ok(())
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        // First, since it decides on which policies are taken.
        if change.of("public_access_block") {
            set_public_access(region, id, change.inputs).await?;
        }
        if change.of("versioning") {
            set_versioning(region, id, change.inputs).await?;
        }
        if change.of("server_side_encryption_configuration") {
            set_encryption(region, id, change.inputs).await?;
        }
        if change.of("lifecycle_rule") {
            set_lifecycle(region, id, change.inputs).await?;
        }
        if change.of("policy") {
            set_policy(region, id, change.inputs).await?;
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        if live.force_destroy == Some(true) {
            empty(region, id).await?;
        }
        region.s3.delete_bucket().bucket(id).send().await.or_fault("s3:DeleteBucket").map(drop)
    }
}

/// The account's buckets in the region; all, or those whose names begin so.
async fn buckets(region: &Region, prefix: Option<&String>) -> Result<BTreeSet<String>, Fault> {
    let call = region.s3.list_buckets().bucket_region(&region.name).set_prefix(prefix.cloned());
    let pages = call.into_paginator().page_size(1000).items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.or_fault("s3:ListBuckets")?;
    Ok(found.into_iter().filter_map(|bucket| bucket.name).collect())
}

async fn read(region: &Region, name: String) -> Result<Option<Found<S3Bucket>>, Fault> {
    let s3 = &region.s3;
    let Some(tags) = if_there(bucket_tags(region, &name).await)? else { return Ok(None) };
    let (versioning, encryption, public_access, lifecycle, policy) = try_join5(
        async { if_there(s3.get_bucket_versioning().bucket(&name).send().await.or_fault("s3:GetBucketVersioning")) },
        async { if_there(s3.get_bucket_encryption().bucket(&name).send().await.or_fault("s3:GetBucketEncryption")) },
        async { if_there(s3.get_public_access_block().bucket(&name).send().await.or_fault("s3:GetPublicAccessBlock")) },
        async {
            let call = s3.get_bucket_lifecycle_configuration().bucket(&name);
            if_there(call.send().await.or_fault("s3:GetBucketLifecycleConfiguration"))
        },
        async { if_there(s3.get_bucket_policy().bucket(&name).send().await.or_fault("s3:GetBucketPolicy")) },
    )
    .await?;
    // Deleted in the meantime.
    let Some(versioning) = versioning else { return Ok(None) };
    let encryption = encryption.and_then(|answer| answer.server_side_encryption_configuration);
    let lifecycle = lifecycle.and_then(|answer| answer.rules).unwrap_or_default();
    let dns = if region.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Ok(Some(Found {
        inputs: Inputs {
            bucket: Some(name.clone()),
            versioning: Some(Versioning {
                enabled: versioning.status() == Some(&sdk::BucketVersioningStatus::Enabled),
            }),
            server_side_encryption_configuration: encryption.and_then(|all| all.rules.first().and_then(encryption_of)),
            public_access_block: Some(public_access_of(
                public_access.and_then(|answer| answer.public_access_block_configuration),
            )),
            lifecycle_rule: Some(lifecycle.iter().map(rule_of).collect()),
            policy: policy.and_then(|answer| answer.policy),
            force_destroy: None,
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            arn: format!("arn:{}:s3:::{name}", region.partition),
            bucket_domain_name: format!("{name}.s3.{dns}"),
            bucket_regional_domain_name: format!("{name}.s3.{}.{dns}", region.name),
            region: region.name.clone(),
            id: name.clone(),
        },
        tags,
        status: Status::Ready,
        id: name,
    }))
}

fn encryption_of(rule: &sdk::ServerSideEncryptionRule) -> Option<Encryption> {
    let default = rule.apply_server_side_encryption_by_default()?;
    Some(Encryption {
        sse_algorithm: default.sse_algorithm().as_str().to_owned(),
        kms_master_key_id: default.kms_master_key_id().map(str::to_owned),
        bucket_key_enabled: rule.bucket_key_enabled().unwrap_or(false),
    })
}

/// Without any, nothing is refused.
fn public_access_of(block: Option<sdk::PublicAccessBlockConfiguration>) -> PublicAccessBlock {
    let on = |of: fn(&sdk::PublicAccessBlockConfiguration) -> Option<bool>| block.as_ref().and_then(of) == Some(true);
    PublicAccessBlock {
        block_public_acls: on(|block| block.block_public_acls),
        block_public_policy: on(|block| block.block_public_policy),
        ignore_public_acls: on(|block| block.ignore_public_acls),
        restrict_public_buckets: on(|block| block.restrict_public_buckets),
    }
}

fn rule_of(rule: &sdk::LifecycleRule) -> LifecycleRule {
    let filter = rule.filter();
    let prefix = filter.and_then(|filter| filter.prefix().or(filter.and().and_then(|and| and.prefix())));
    #[allow(deprecated)]
    let prefix = prefix.or(rule.prefix());
    LifecycleRule {
        id: rule.id().unwrap_or_default().to_owned(),
        enabled: *rule.status() == sdk::ExpirationStatus::Enabled,
        prefix: prefix.unwrap_or_default().to_owned(),
        expiration_days: rule.expiration().and_then(|one| one.days()),
        noncurrent_version_expiration_days: rule.noncurrent_version_expiration().and_then(|one| one.noncurrent_days()),
        abort_incomplete_multipart_upload_days: rule
            .abort_incomplete_multipart_upload()
            .and_then(|one| one.days_after_initiation()),
    }
}

async fn set_versioning(region: &Region, name: &str, inputs: &Inputs) -> Result<(), Fault> {
    let status = match &inputs.versioning {
        Some(Versioning { enabled: true }) => sdk::BucketVersioningStatus::Enabled,
        _ => sdk::BucketVersioningStatus::Suspended,
    };
    let versioning = sdk::VersioningConfiguration::builder().status(status).build();
    let call = region.s3.put_bucket_versioning().bucket(name).versioning_configuration(versioning);
    call.send().await.or_fault("s3:PutBucketVersioning").map(drop)
}

async fn set_encryption(region: &Region, name: &str, inputs: &Inputs) -> Result<(), Fault> {
    let Some(wanted) = &inputs.server_side_encryption_configuration else { return Ok(()) };
    let default = sdk::ServerSideEncryptionByDefault::builder()
        .sse_algorithm(sdk::ServerSideEncryption::from(wanted.sse_algorithm.as_str()))
        .set_kms_master_key_id(wanted.kms_master_key_id.clone())
        .build()
        .expect("the algorithm is given");
    let rule = sdk::ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(wanted.bucket_key_enabled)
        .build();
    let rules = sdk::ServerSideEncryptionConfiguration::builder().rules(rule).build().expect("a rule is given");
    let call = region.s3.put_bucket_encryption().bucket(name).server_side_encryption_configuration(rules);
    call.send().await.or_fault("s3:PutBucketEncryption").map(drop)
}

async fn set_public_access(region: &Region, name: &str, inputs: &Inputs) -> Result<(), Fault> {
    let Some(wanted) = &inputs.public_access_block else { return Ok(()) };
    let block = sdk::PublicAccessBlockConfiguration::builder()
        .block_public_acls(wanted.block_public_acls)
        .block_public_policy(wanted.block_public_policy)
        .ignore_public_acls(wanted.ignore_public_acls)
        .restrict_public_buckets(wanted.restrict_public_buckets)
        .build();
    let call = region.s3.put_public_access_block().bucket(name).public_access_block_configuration(block);
    call.send().await.or_fault("s3:PutPublicAccessBlock").map(drop)
}

async fn set_lifecycle(region: &Region, name: &str, inputs: &Inputs) -> Result<(), Fault> {
    let rules: Vec<sdk::LifecycleRule> = inputs.lifecycle_rule.iter().flatten().map(rule_request).collect();
    if rules.is_empty() {
        let call = region.s3.delete_bucket_lifecycle().bucket(name);
        return call.send().await.or_fault("s3:DeleteBucketLifecycle").map(drop);
    }
    let rules = sdk::BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().expect("rules are given");
    let call = region.s3.put_bucket_lifecycle_configuration().bucket(name).lifecycle_configuration(rules);
    call.send().await.or_fault("s3:PutBucketLifecycleConfiguration").map(drop)
}

fn rule_request(rule: &LifecycleRule) -> sdk::LifecycleRule {
    let status = if rule.enabled { sdk::ExpirationStatus::Enabled } else { sdk::ExpirationStatus::Disabled };
    let noncurrent = rule
        .noncurrent_version_expiration_days
        .map(|days| sdk::NoncurrentVersionExpiration::builder().noncurrent_days(days).build());
    let abort = rule
        .abort_incomplete_multipart_upload_days
        .map(|days| sdk::AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build());
    sdk::LifecycleRule::builder()
        .id(&rule.id)
        .status(status)
        .filter(sdk::LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
        .set_expiration(rule.expiration_days.map(|days| sdk::LifecycleExpiration::builder().days(days).build()))
        .set_noncurrent_version_expiration(noncurrent)
        .set_abort_incomplete_multipart_upload(abort)
        .build()
        .expect("the status is given")
}

async fn set_policy(region: &Region, name: &str, inputs: &Inputs) -> Result<(), Fault> {
    match document::given(&inputs.policy) {
        Some(text) => {
            let call = region.s3.put_bucket_policy().bucket(name).policy(text);
            call.send().await.or_fault("s3:PutBucketPolicy").map(drop)
        }
        None => region.s3.delete_bucket_policy().bucket(name).send().await.or_fault("s3:DeleteBucketPolicy").map(drop),
    }
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = document::check(inputs, &["policy"]);
    let mut wrong = |path: String, what: &str, hint: &str| {
        mistakes.push(Mistake { path, what: what.into(), hint: Some(hint.into()) });
    };
    if let Some(name) = inputs.get("bucket").and_then(Value::as_str) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if !(3..=63).contains(&name.len()) || !name.chars().all(fits) {
            let hint = "use 3 to 63 lower-case letters, digits, `.` and `-`";
            wrong("bucket".into(), "is no name that AWS takes", hint);
        }
    }
    let rules = inputs.get("lifecycle_rule").and_then(Value::as_list).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate().filter_map(|(index, rule)| Some((index, rule.as_map()?))) {
        if !rule.keys().any(|field| field.ends_with("_days")) {
            wrong(format!("lifecycle_rule[{index}]"), "deletes nothing", "say after how many days, and what");
        }
    }
    mistakes
}

fn made_up(output: &str, inputs: &Map) -> Option<Value> {
    let name = inputs.get("bucket")?.as_str()?;
    Some(match output {
        "arn" => format!("arn:aws:s3:::{name}").into(),
        "bucket_domain_name" => format!("{name}.s3.amazonaws.com").into(),
        "bucket_regional_domain_name" => format!("{name}.s3.eu-west-1.amazonaws.com").into(),
        _ => return None,
    })
}
