//! `aws::iam_policy`. Reads: GetResources tells which are ours, one GetAccountAuthorizationDetails (1,000 a page) their
//! documents, one GetPolicy each their tags and
//! descriptions. Of up to three by ARN, instead, each one's GetPolicy and GetPolicyVersion.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{EntityType, ManagedPolicyDetail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::iam_name;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::policy;
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Class, Fault, Select, Status};

pub struct IamPolicy;

/// What whoever has it may do, for several roles to share.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account whatever the path; left out, the logical name (CreatePolicy).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// Path in its ARN; begins and ends with `/` (CreatePolicy).
    #[serde(default = "iam_name::root")]
    #[schemars(extend("immutable" = true))]
    pub path: String,
    /// What it is for; up to 1,000 characters (CreatePolicy).
    #[schemars(extend("immutable" = true))]
    pub description: Option<String>,
    /// Policy document in JSON (CreatePolicy, CreatePolicyVersion).
    pub policy: String,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the policy.
    #[schemars(example = "arn:aws:iam::111122223333:policy/app")]
    id: String,
    /// ARN of the policy.
    #[schemars(example = "arn:aws:iam::111122223333:policy/app")]
    arn: String,
    /// Id that no other policy ever has, also not a later one of this name.
    #[schemars(example = &"ANPAEXAMPLE")]
    policy_id: String,
}

/// Up to so many are read one by one.
const FEW: usize = 3;
/// IAM keeps no more versions of one.
const VERSIONS: usize = 5;

impl AwsKind for IamPolicy {
    const NAME: &'static str = "aws::iam_policy";
    const TYPE: Type = Type::Policy;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            normalise: |field, value| if field == "policy" { policy::meaning(value) } else { value.clone() },
            check: |inputs| {
                let mut mistakes = iam_name::check(inputs, 128);
                mistakes.extend(policy::mistake("policy", inputs.get("policy")));
                mistakes
            },
            // In the account of the examples, which is the sandbox's.
            id_prefix: "arn:aws:iam::111122223333:policy/",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        match search.select() {
            Select::Named(names) => {
                all(region, |policy| policy.policy_name().is_some_and(|name| names.contains(name))).await
            }
            Select::Ids(arns) if arns.len() <= FEW => each(arns.clone(), |arn| one(region, arn)).await,
            _ => {
                let arns: BTreeSet<String> = search.ids(region, &Self::TYPE, |arn| Some(arn.to_owned())).await?;
                if arns.is_empty() {
                    return Ok(vec![]);
                }
                all(region, |policy| policy.arn().is_some_and(|arn| arns.contains(arn))).await
            }
        }
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .iam
            .create_policy()
            .policy_name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .path(&inputs.path)
            .set_description(inputs.description.clone())
            .policy_document(&inputs.policy)
            .set_tags(birth.list());
        Ok(call.send().await.or_fault("iam:CreatePolicy")?.policy.and_then(|policy| policy.arn))
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        if !change.of("policy") {
            return Ok(());
        }
        match add_version(region, id, &change.inputs.policy).await {
            Err(fault) if fault.code.as_deref() == Some("LimitExceeded") => {
                let versions = old_versions(region, id).await?;
                // The other quota is the document's size.
                let oldest = versions.first().filter(|_| versions.len() + 1 >= VERSIONS);
                let Some(oldest) = oldest else { return Err(fault) };
                delete_version(region, id, oldest).await?;
                add_version(region, id, &change.inputs.policy).await
            }
            other => other,
        }
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        // Looked at first: one that stays keeps its versions.
        let users = users(region, id).await?;
        if !users.is_empty() {
            let fault = Fault::new(Class::Busy, format!("the policy is still attached to {}", users.join(", ")));
            return Err(fault.hint("detach it there first"));
        }
        for version in old_versions(region, id).await? {
            delete_version(region, id, &version).await?;
        }
        region.iam.delete_policy().policy_arn(id).send().await.or_fault("iam:DeletePolicy").map(drop)
    }
}

/// Those of all policies of the account that are wanted.
async fn all(region: &Region, wanted: impl Fn(&ManagedPolicyDetail) -> bool) -> Result<Vec<Found<IamPolicy>>, Fault> {
    let call = region.iam.get_account_authorization_details().filter(EntityType::LocalManagedPolicy).max_items(1000);
    let mut pages = call.into_paginator().send();
    let mut details: BTreeMap<String, ManagedPolicyDetail> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.or_fault("iam:GetAccountAuthorizationDetails")?;
        let wanted = page.policies.unwrap_or_default().into_iter().filter(&wanted);
        details.extend(wanted.filter_map(|detail| Some((detail.arn()?.to_owned(), detail))));
    }
    each(details.keys().cloned(), |arn| with_tags(region, &details[&arn], arn)).await
}

async fn with_tags(
    region: &Region,
    detail: &ManagedPolicyDetail,
    arn: String,
) -> Result<Option<Found<IamPolicy>>, Fault> {
    // The listing of all tells neither tags nor descriptions.
    let answer = if_there(region.iam.get_policy().policy_arn(&arn).send().await.or_fault("iam:GetPolicy"))?;
    let Some(policy) = answer.and_then(|answer| answer.policy) else { return Ok(None) };
    let version = detail.policy_version_list().iter().find(|version| version.is_default_version());
    let named = (detail.policy_name(), detail.path(), policy.description());
    let document = version.and_then(|version| version.document());
    Ok(Some(as_found(arn, detail.policy_id(), named, document, tags::of(policy.tags()))))
}

async fn one(region: &Region, arn: String) -> Result<Option<Found<IamPolicy>>, Fault> {
    let answer = if_there(region.iam.get_policy().policy_arn(&arn).send().await.or_fault("iam:GetPolicy"))?;
    let Some(policy) = answer.and_then(|answer| answer.policy) else { return Ok(None) };
    let call = region.iam.get_policy_version().policy_arn(&arn);
    let call = call.version_id(policy.default_version_id().unwrap_or_default());
    let answer = if_there(call.send().await.or_fault("iam:GetPolicyVersion"))?;
    let Some(version) = answer.and_then(|answer| answer.policy_version) else { return Ok(None) };
    let named = (policy.policy_name(), policy.path(), policy.description());
    Ok(Some(as_found(arn, policy.policy_id(), named, version.document(), tags::of(policy.tags()))))
}

fn as_found(
    arn: String,
    policy_id: Option<&str>,
    (name, path, description): (Option<&str>, Option<&str>, Option<&str>),
    document: Option<&str>,
    tags: Tags,
) -> Found<IamPolicy> {
    Found {
        inputs: Inputs {
            name: name.map(str::to_owned),
            path: path.map_or_else(iam_name::root, str::to_owned),
            description: description.filter(|text| !text.is_empty()).map(str::to_owned),
            policy: document.map(policy::decoded).unwrap_or_default(),
            tags: tags::authored(&tags),
        },
        outputs: Outputs { id: arn.clone(), arn: arn.clone(), policy_id: policy_id.unwrap_or_default().to_owned() },
        tags,
        status: Status::Ready,
        id: arn,
    }
}

async fn add_version(region: &Region, arn: &str, document: &str) -> Result<(), Fault> {
    let call = region.iam.create_policy_version().policy_arn(arn).policy_document(document).set_as_default(true);
    call.send().await.or_fault("iam:CreatePolicyVersion").map(drop)
}

/// The versions that are not in force, the oldest first.
async fn old_versions(region: &Region, arn: &str) -> Result<Vec<String>, Fault> {
    let pages = region.iam.list_policy_versions().policy_arn(arn).into_paginator().items().send();
    let versions = pages.collect::<Result<Vec<_>, _>>().await.or_fault("iam:ListPolicyVersions")?;
    let old = versions.into_iter().filter(|version| !version.is_default_version());
    let mut old: Vec<String> = old.filter_map(|version| version.version_id).collect();
    old.sort_by_key(|id| id.trim_start_matches('v').parse::<u64>().unwrap_or_default());
    Ok(old)
}

async fn delete_version(region: &Region, arn: &str, version: &str) -> Result<(), Fault> {
    let call = region.iam.delete_policy_version().policy_arn(arn).version_id(version);
    gone_is_fine(call.send().await.or_fault("iam:DeletePolicyVersion").map(drop))
}

/// Who has it, as a person would say it.
async fn users(region: &Region, arn: &str) -> Result<Vec<String>, Fault> {
    let mut pages = region.iam.list_entities_for_policy().policy_arn(arn).into_paginator().send();
    let mut users = vec![];
    while let Some(page) = pages.next().await {
        let page = page.or_fault("iam:ListEntitiesForPolicy")?;
        users.extend(page.policy_roles().iter().filter_map(|role| Some(format!("role {}", role.role_name()?))));
        users.extend(page.policy_users().iter().filter_map(|user| Some(format!("user {}", user.user_name()?))));
        users.extend(page.policy_groups().iter().filter_map(|group| Some(format!("group {}", group.group_name()?))));
    }
    Ok(users)
}
