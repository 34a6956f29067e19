//! `aws::iam_instance_profile`. Reads: GetResources tells which are ours, one GetInstanceProfile each.

use aws_sdk_iam::types::InstanceProfile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::iam_name;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Fault, Status};

pub struct IamInstanceProfile;

/// Gives instances a role.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account whatever the path; left out, the logical name (CreateInstanceProfile).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// Path in its ARN; begins and ends with `/` (CreateInstanceProfile).
    #[serde(default = "iam_name::root")]
    #[schemars(extend("immutable" = true))]
    pub path: String,
    /// Name of the role that its instances have; at most one (AddRoleToInstanceProfile).
    #[schemars(extend("names" = "aws::iam_role"))]
    pub role: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the instance profile.
    #[schemars(example = &"app")]
    id: String,
    /// ARN of the instance profile.
    #[schemars(example = "arn:aws:iam::111122223333:instance-profile/app")]
    arn: String,
    /// Id that no other instance profile ever has, also not a later one of this name.
    #[schemars(example = &"AIPAEXAMPLE")]
    unique_id: String,
    /// When it was made (RFC 3339).
    #[schemars(example = "2026-01-31T12:00:00Z")]
    create_date: String,
}

impl AwsKind for IamInstanceProfile {
    const NAME: &'static str = "aws::iam_instance_profile";
    const TYPE: Type = Type::InstanceProfile;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            check: |inputs| iam_name::check(inputs, 128),
            made_up: |output, inputs| {
                (output == "arn").then(|| iam_name::made_up_arn("instance-profile", inputs)).flatten()
            },
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let names = search.ids(region, &Self::TYPE, |arn| arn.rsplit('/').next().map(str::to_owned)).await?;
        each(names, |name| one(region, name)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .iam
            .create_instance_profile()
            .instance_profile_name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .path(&inputs.path)
            .set_tags(birth.list());
        let profile = call.send().await.or_fault("iam:CreateInstanceProfile")?.instance_profile;
        Ok(profile.map(|profile| profile.instance_profile_name))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        match &inputs.role {
            Some(role) => give(region, id, role).await,
            None => Ok(()),
        }
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        if !change.of("role") {
            return Ok(());
        }
        let wanted = change.inputs.role.as_deref();
        if let Some(old) = change.live.role.as_deref().filter(|old| Some(*old) != wanted) {
            take(region, id, old).await?;
        }
        match wanted {
            Some(role) => give(region, id, role).await,
            None => Ok(()),
        }
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        if let Some(role) = describe(region, id).await?.as_ref().and_then(role_of) {
            take(region, id, role).await?;
        }
        let call = region.iam.delete_instance_profile().instance_profile_name(id);
        call.send().await.or_fault("iam:DeleteInstanceProfile").map(drop)
    }
}

async fn describe(region: &Region, name: &str) -> Result<Option<InstanceProfile>, Fault> {
    let answer = region.iam.get_instance_profile().instance_profile_name(name).send().await;
    Ok(if_there(answer.or_fault("iam:GetInstanceProfile"))?.and_then(|answer| answer.instance_profile))
}

fn role_of(profile: &InstanceProfile) -> Option<&str> {
    profile.roles().first().map(|role| role.role_name())
}

async fn one(region: &Region, name: String) -> Result<Option<Found<IamInstanceProfile>>, Fault> {
    let Some(profile) = describe(region, &name).await? else { return Ok(None) };
    let tags = tags::of(profile.tags());
    Ok(Some(Found {
        id: profile.instance_profile_name().to_owned(),
        inputs: Inputs {
            name: Some(profile.instance_profile_name().to_owned()),
            path: profile.path().to_owned(),
            role: role_of(&profile).map(str::to_owned),
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            id: profile.instance_profile_name().to_owned(),
            arn: profile.arn().to_owned(),
            unique_id: profile.instance_profile_id().to_owned(),
            create_date: profile.create_date().to_string(),
        },
        tags,
        status: Status::Ready,
    }))
}

/// Makes it the profile's role; one that is there already, which IAM takes for a quota used up, gives way.
async fn give(region: &Region, id: &str, role: &str) -> Result<(), Fault> {
    let add = || async {
        let call = region.iam.add_role_to_instance_profile().instance_profile_name(id).role_name(role);
        call.send().await.or_fault("iam:AddRoleToInstanceProfile").map(drop)
    };
    match add().await {
        Err(fault) if fault.code.as_deref() == Some("LimitExceeded") => {
            let profile = describe(region, id).await?;
            match profile.as_ref().and_then(role_of) {
                Some(held) if held == role => Ok(()),
                Some(other) => {
                    take(region, id, other).await?;
                    add().await
                }
                None => Err(fault),
            }
        }
        other => other,
    }
}

async fn take(region: &Region, id: &str, role: &str) -> Result<(), Fault> {
    let call = region.iam.remove_role_from_instance_profile().instance_profile_name(id).role_name(role);
    gone_is_fine(call.send().await.or_fault("iam:RemoveRoleFromInstanceProfile").map(drop))
}
