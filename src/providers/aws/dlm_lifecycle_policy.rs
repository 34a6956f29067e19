//! `aws::dlm_lifecycle_policy`. Reads: one GetLifecyclePolicies per region, which tells the tags of each; then one
//! GetLifecyclePolicy for each of ours.

use std::collections::BTreeSet;

use aws_sdk_dlm::types::{GettablePolicyStateValues, SettablePolicyStateValues};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::dlm_policy_details::{PolicyDetails, check};
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Fault, Select, Status};

pub struct DlmLifecyclePolicy;

/// Makes snapshots or images by the clock, of whatever has certain tags, and deletes them again.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// What it is for: up to 500 letters, digits, blanks, `_` and `-` (CreateLifecyclePolicy).
    pub description: String,
    /// ARN of the role by which it works (CreateLifecyclePolicy).
    pub execution_role_arn: String,
    /// Whether it works now (CreateLifecyclePolicy, UpdateLifecyclePolicy).
    #[serde(default = "enabled")]
    #[schemars(extend("enum" = ["ENABLED", "DISABLED"]))]
    pub state: String,
    /// What it does, to what, and when (CreateLifecyclePolicy, UpdateLifecyclePolicy).
    pub policy_details: PolicyDetails,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn enabled() -> String {
    "ENABLED".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the policy.
    #[schemars(example = "policy-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the policy.
    #[schemars(example = "arn:aws:dlm:eu-west-1:111122223333:policy/policy-0a1b2c3d4e5f60718")]
    arn: String,
}

impl AwsKind for DlmLifecyclePolicy {
    const NAME: &'static str = "aws::dlm_lifecycle_policy";
    const TYPE: Type = Type::LifecyclePolicy;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { id_prefix: "policy-", check, ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let ids: BTreeSet<String> = match search.select() {
            Select::Owned { stack } => {
                let answer = region.dlm.get_lifecycle_policies().send().await.or_fault("dlm:GetLifecyclePolicies")?;
                let policies = answer.policies.unwrap_or_default().into_iter();
                let ours =
                    policies.filter(|policy| policy.tags().and_then(|tags| tags.get(tags::STACK)) == Some(stack));
                ours.filter_map(|policy| policy.policy_id).collect()
            }
            Select::Ids(ids) => ids.clone(),
            Select::Named(_) => return Ok(vec![]),
        };
        each(ids, |id| one(region, id)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .dlm
            .create_lifecycle_policy()
            .description(&inputs.description)
            .execution_role_arn(&inputs.execution_role_arn)
            .state(SettablePolicyStateValues::from(inputs.state.as_str()))
            .policy_details(inputs.policy_details.to_aws())
            .set_tags(Some(birth.tags.clone().into_iter().collect()));
        Ok(call.send().await.or_fault("dlm:CreateLifecyclePolicy")?.policy_id)
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let inputs = change.inputs;
        let mut call = region.dlm.update_lifecycle_policy().policy_id(id);
        if change.of("description") {
            call = call.description(&inputs.description);
        }
        if change.of("execution_role_arn") {
            call = call.execution_role_arn(&inputs.execution_role_arn);
        }
        if change.of("state") {
            call = call.state(SettablePolicyStateValues::from(inputs.state.as_str()));
        }
        if change.of("policy_details") {
            call = call.policy_details(inputs.policy_details.to_aws());
        }
        call.send().await.or_fault("dlm:UpdateLifecyclePolicy").map(drop)
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        region.dlm.delete_lifecycle_policy().policy_id(id).send().await.or_fault("dlm:DeleteLifecyclePolicy").map(drop)
    }
}

async fn one(region: &Region, id: String) -> Result<Option<Found<DlmLifecyclePolicy>>, Fault> {
    let answer = region.dlm.get_lifecycle_policy().policy_id(&id).send().await;
    let answer = if_there(answer.or_fault("dlm:GetLifecyclePolicy"))?;
    let Some(policy) = answer.and_then(|answer| answer.policy) else { return Ok(None) };
    let tags: Tags = policy.tags().cloned().unwrap_or_default().into_iter().collect();
    Ok(Some(Found {
        inputs: Inputs {
            description: policy.description().unwrap_or_default().to_owned(),
            execution_role_arn: policy.execution_role_arn().unwrap_or_default().to_owned(),
            // `ERROR` is neither of what an author can want: to set it again is worth a try.
            state: policy.state().map_or_else(enabled, |state: &GettablePolicyStateValues| state.as_str().to_owned()),
            policy_details: policy.policy_details().map(PolicyDetails::of).unwrap_or_default(),
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            id: id.clone(),
            arn: match policy.policy_arn() {
                Some(arn) => arn.to_owned(),
                None => region.arn("dlm", &format!("policy/{id}")),
            },
        },
        tags,
        status: Status::Ready,
        id,
    }))
}
