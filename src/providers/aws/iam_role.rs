//! `aws::iam_role`, with its policies. Reads: one GetAccountAuthorizationDetails and, for descriptions and durations,
//! which that leaves out, one ListRoles side by side, both 1,000 a page. Of up to three roles by name, instead, each one's
//! GetRole, ListAttachedRolePolicies and ListRolePolicies, and GetRolePolicy of each inline policy.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{EntityType, Role, RoleDetail};
use futures_util::future::try_join;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::policy;
use super::tagging::Type;
use super::tags::{self, Tags};
use super::{iam_name, iam_role_policies as policies};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Select, Status, Value};

pub use policies::InlinePolicy;

pub struct IamRole;

/// What a service or a person may take on for a while, and what it then may do.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account whatever the path; left out, the logical name (CreateRole).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// Path in its ARN; begins and ends with `/` (CreateRole).
    #[serde(default = "iam_name::root")]
    #[schemars(extend("immutable" = true))]
    pub path: String,
    /// What it is for; up to 1,000 characters (CreateRole, UpdateRole).
    pub description: Option<String>,
    /// Who may take it on: a policy document in JSON (CreateRole, UpdateAssumeRolePolicy).
    pub assume_role_policy: String,
    /// For how many seconds at a time, 3,600 to 43,200 (CreateRole, UpdateRole).
    #[serde(default = "hour")]
    pub max_session_duration: i32,
    /// ARN of the policy beyond which it may do nothing (CreateRole, PutRolePermissionsBoundary).
    pub permissions_boundary: Option<String>,
    /// ARNs of all managed policies it has; left out, what others attach stays (AttachRolePolicy).
    #[schemars(extend("uniqueItems" = true))]
    pub managed_policy_arns: Option<Vec<String>>,
    /// All policies that are in it alone; left out, what others put there stays (PutRolePolicy).
    #[schemars(extend("uniqueItems" = true))]
    pub inline_policy: Option<Vec<InlinePolicy>>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn hour() -> i32 {
    3600
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the role.
    #[schemars(example = &"app")]
    id: String,
    /// ARN of the role.
    #[schemars(example = "arn:aws:iam::111122223333:role/app")]
    arn: String,
    /// Id that no other role ever has, also not a later one of this name.
    #[schemars(example = &"AROAEXAMPLE")]
    unique_id: String,
    /// When it was made (RFC 3339).
    #[schemars(example = "2026-01-31T12:00:00Z")]
    create_date: String,
}

/// Up to so many roles are read one by one.
const FEW: usize = 3;

impl AwsKind for IamRole {
    const NAME: &'static str = "aws::iam_role";
    const TYPE: Type = Type::Role;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            normalise,
            check,
            made_up: |output, inputs| (output == "arn").then(|| iam_name::made_up_arn("role", inputs)).flatten(),
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        match search.select() {
            Select::Owned { stack } => {
                let ours =
                    |role: &RoleDetail| role.tags().iter().any(|tag| tag.key() == tags::STACK && tag.value() == stack);
                all(region, ours).await
            }
            Select::Ids(names) | Select::Named(names) if names.len() > FEW => {
                all(region, |role| role.role_name().is_some_and(|name| names.contains(name))).await
            }
            Select::Ids(names) | Select::Named(names) => each(names.clone(), |name| one(region, name)).await,
        }
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .iam
            .create_role()
            .role_name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .path(&inputs.path)
            .set_description(inputs.description.clone())
            .assume_role_policy_document(&inputs.assume_role_policy)
            .max_session_duration(inputs.max_session_duration)
            .set_permissions_boundary(inputs.permissions_boundary.clone().filter(|arn| !arn.is_empty()))
            .set_tags(birth.list());
        Ok(call.send().await.or_fault("iam:CreateRole")?.role.map(|role| role.role_name))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        policies::attach(region, id, inputs.managed_policy_arns.as_deref().unwrap_or_default()).await?;
        policies::put(region, id, &inputs.inline_policy.iter().flatten().collect::<Vec<_>>()).await
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let (inputs, live) = (change.inputs, change.live);
        if change.of("assume_role_policy") {
            let call = region.iam.update_assume_role_policy().role_name(id);
            let call = call.policy_document(&inputs.assume_role_policy);
            call.send().await.or_fault("iam:UpdateAssumeRolePolicy")?;
        }
        if change.of("description") || change.of("max_session_duration") {
            // What is left out goes back to its default.
            let call = region.iam.update_role().role_name(id).max_session_duration(inputs.max_session_duration);
            let call = call.description(inputs.description.clone().unwrap_or_default());
            call.send().await.or_fault("iam:UpdateRole")?;
        }
        if change.of("permissions_boundary") {
            bound(region, id, inputs.permissions_boundary.as_deref().filter(|arn| !arn.is_empty())).await?;
        }
        if change.of("managed_policy_arns")
            && let Some(wanted) = &inputs.managed_policy_arns
        {
            policies::bring_managed(region, id, live.managed_policy_arns.as_deref().unwrap_or_default(), wanted)
                .await?;
        }
        if change.of("inline_policy")
            && let Some(wanted) = &inputs.inline_policy
        {
            policies::bring_inline(region, id, live.inline_policy.as_deref().unwrap_or_default(), wanted).await?;
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        // Looked at first: one that stays must not lose its policies.
        let pages = region.iam.list_instance_profiles_for_role().role_name(id).into_paginator().items().send();
        let profiles = pages.collect::<Result<Vec<_>, _>>().await.or_fault("iam:ListInstanceProfilesForRole")?;
        if !profiles.is_empty() {
            let names: Vec<&str> = profiles.iter().map(|profile| profile.instance_profile_name()).collect();
            let fault = Fault::new(Class::Busy, format!("it is the role of instance profile {}", names.join(", ")));
            return Err(fault.hint("delete the instance profile, or give it another role"));
        }
        let (managed, inline) = try_join(policies::attached(region, id), policies::names(region, id)).await?;
        for arn in &managed {
            policies::detach(region, id, arn).await?;
        }
        for name in &inline {
            policies::remove(region, id, name).await?;
        }
        region.iam.delete_role().role_name(id).send().await.or_fault("iam:DeleteRole").map(drop)
    }
}

async fn bound(region: &Region, id: &str, boundary: Option<&str>) -> Result<(), Fault> {
    match boundary {
        Some(arn) => {
            let call = region.iam.put_role_permissions_boundary().role_name(id).permissions_boundary(arn);
            call.send().await.or_fault("iam:PutRolePermissionsBoundary").map(drop)
        }
        None => {
            let call = region.iam.delete_role_permissions_boundary().role_name(id).send().await;
            gone_is_fine(call.or_fault("iam:DeleteRolePermissionsBoundary").map(drop))
        }
    }
}

/// Those of all roles of the account that are wanted.
async fn all(region: &Region, wanted: impl Fn(&RoleDetail) -> bool) -> Result<Vec<Found<IamRole>>, Fault> {
    let details = async {
        let call = region.iam.get_account_authorization_details().filter(EntityType::Role).max_items(1000);
        let mut pages = call.into_paginator().send();
        let mut found = vec![];
        while let Some(page) = pages.next().await {
            let page = page.or_fault("iam:GetAccountAuthorizationDetails")?;
            found.extend(page.role_detail_list.unwrap_or_default().into_iter().filter(&wanted));
        }
        Ok(found)
    };
    let roles = async {
        let pages = region.iam.list_roles().into_paginator().page_size(1000).items().send();
        pages.collect::<Result<Vec<_>, _>>().await.or_fault("iam:ListRoles")
    };
    let (details, roles) = try_join(details, roles).await?;
    let roles: BTreeMap<&str, &Role> = roles.iter().map(|role| (role.role_name(), role)).collect();
    let mut found = vec![];
    for detail in &details {
        let name = detail.role_name().unwrap_or_default();
        match roles.get(name) {
            Some(role) => {
                let attached = detail.attached_managed_policies().iter();
                let inline = detail.role_policy_list().iter();
                found.push(as_found(
                    role,
                    detail.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn()),
                    tags::of(detail.tags()),
                    attached.filter_map(|policy| policy.policy_arn().map(str::to_owned)).collect(),
                    inline.filter_map(|one| InlinePolicy::of(one.policy_name()?, one.policy_document()?)).collect(),
                ));
            }
            // Made between the two.
            None => found.extend(one(region, name.to_owned()).await?),
        }
    }
    Ok(found)
}

async fn one(region: &Region, name: String) -> Result<Option<Found<IamRole>>, Fault> {
    let answer = if_there(region.iam.get_role().role_name(&name).send().await.or_fault("iam:GetRole"))?;
    let Some(role) = answer.and_then(|answer| answer.role) else { return Ok(None) };
    let held = try_join(policies::attached(region, &name), policies::inline(region, &name)).await;
    let boundary = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
    let found = |(managed, inline)| as_found(&role, boundary, tags::of(role.tags()), managed, inline);
    Ok(if_there(held)?.map(found))
}

fn as_found(
    role: &Role,
    boundary: Option<&str>,
    tags: Tags,
    mut managed: Vec<String>,
    mut inline: Vec<InlinePolicy>,
) -> Found<IamRole> {
    managed.sort();
    inline.sort_by(|a, b| a.name.cmp(&b.name));
    Found {
        id: role.role_name().to_owned(),
        inputs: Inputs {
            name: Some(role.role_name().to_owned()),
            path: role.path().to_owned(),
            description: role.description().filter(|text| !text.is_empty()).map(str::to_owned),
            assume_role_policy: role.assume_role_policy_document().map(policy::decoded).unwrap_or_default(),
            max_session_duration: role.max_session_duration().unwrap_or_else(hour),
            permissions_boundary: boundary.map(str::to_owned),
            managed_policy_arns: Some(managed),
            inline_policy: Some(inline),
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            id: role.role_name().to_owned(),
            arn: role.arn().to_owned(),
            unique_id: role.role_id().to_owned(),
            create_date: role.create_date().to_string(),
        },
        tags,
        status: Status::Ready,
    }
}

fn normalise(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("assume_role_policy", document) => policy::meaning(document),
        // Written empty, it is taken away; left out, it would stay.
        ("permissions_boundary", Value::String(arn)) if arn.is_empty() => Value::Null,
        ("inline_policy", Value::List(policies)) => policies.iter().map(policies::meaning).collect(),
        _ => value.clone(),
    }
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = iam_name::check(inputs, 64);
    mistakes.extend(policy::mistake("assume_role_policy", inputs.get("assume_role_policy")));
    if let Some(Value::Int(seconds)) = inputs.get("max_session_duration")
        && !(3600..=43200).contains(seconds)
    {
        mistakes.push(Mistake {
            path: "max_session_duration".into(),
            what: format!("{seconds} seconds are not possible"),
            hint: Some("give 3600 to 43200: one hour to twelve".into()),
        });
    }
    mistakes.extend(policies::check(inputs.get("inline_policy").and_then(Value::as_list).unwrap_or_default()));
    mistakes
}
