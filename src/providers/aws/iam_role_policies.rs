//! The policies of a role: managed ones, which it shares with others, and inline ones, which are part of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::kind::{added, each, if_there};
use super::policy;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Value};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct InlinePolicy {
    /// Name, unique in the role.
    pub name: String,
    /// What the role may do: a policy document in JSON.
    pub policy: String,
}

impl InlinePolicy {
    /// As IAM tells it.
    pub fn of(name: &str, document: &str) -> Option<Self> {
        Some(InlinePolicy { name: name.to_owned(), policy: policy::decoded(document) })
    }

    fn means(&self, other: &InlinePolicy) -> bool {
        let meaning = |policy: &InlinePolicy| policy::meaning(&policy.policy.as_str().into());
        self.name == other.name && meaning(self) == meaning(other)
    }
}

/// An inline policy in the form in which two spellings with one meaning are equal.
pub fn meaning(one: &Value) -> Value {
    let Value::Map(one) = one else { return one.clone() };
    let meant = one.iter().map(|(name, value)| {
        let value = if name == "policy" { policy::meaning(value) } else { value.clone() };
        (name.clone(), value)
    });
    Value::Map(meant.collect())
}

/// What is wrong with the inline policies as they are written.
pub fn check(written: &[Value]) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut seen: Vec<&str> = vec![];
    for (i, one) in written.iter().enumerate() {
        let Value::Map(one) = one else { continue };
        let path = |name: &str| format!("inline_policy[{i}].{name}");
        mistakes.extend(policy::mistake(&path("policy"), one.get("policy")));
        let Some(name) = one.get("name").and_then(Value::as_str) else { continue };
        match seen.iter().position(|earlier| *earlier == name) {
            Some(first) => mistakes.push(Mistake {
                path: path("name"),
                what: format!("`{name}` is the name of inline_policy[{first}] already"),
                hint: None,
            }),
            None => seen.push(name),
        }
    }
    mistakes
}

/// ARNs of the managed ones.
pub async fn attached(region: &Region, role: &str) -> Result<Vec<String>, Fault> {
    let pages = region.iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    let policies = pages.collect::<Result<Vec<_>, _>>().await.or_fault("iam:ListAttachedRolePolicies")?;
    Ok(policies.into_iter().filter_map(|policy| policy.policy_arn).collect())
}

/// Names of the inline ones.
pub async fn names(region: &Region, role: &str) -> Result<Vec<String>, Fault> {
    let pages = region.iam.list_role_policies().role_name(role).into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await.or_fault("iam:ListRolePolicies")
}

/// The inline ones, each read by itself.
pub async fn inline(region: &Region, role: &str) -> Result<Vec<InlinePolicy>, Fault> {
    each(names(region, role).await?, |name| async move {
        let answer = region.iam.get_role_policy().role_name(role).policy_name(name).send().await;
        let answer = if_there(answer.or_fault("iam:GetRolePolicy"))?;
        Ok(answer.and_then(|answer| InlinePolicy::of(answer.policy_name(), answer.policy_document())))
    })
    .await
}

pub async fn attach(region: &Region, role: &str, arns: &[String]) -> Result<(), Fault> {
    for arn in arns {
        let call = region.iam.attach_role_policy().role_name(role).policy_arn(arn);
        call.send().await.or_fault("iam:AttachRolePolicy")?;
    }
    Ok(())
}

pub async fn detach(region: &Region, role: &str, arn: &str) -> Result<(), Fault> {
    let call = region.iam.detach_role_policy().role_name(role).policy_arn(arn);
    gone_is_fine(call.send().await.or_fault("iam:DetachRolePolicy").map(drop))
}

pub async fn put(region: &Region, role: &str, policies: &[&InlinePolicy]) -> Result<(), Fault> {
    for one in policies {
        let call = region.iam.put_role_policy().role_name(role).policy_name(&one.name).policy_document(&one.policy);
        call.send().await.or_fault("iam:PutRolePolicy")?;
    }
    Ok(())
}

pub async fn remove(region: &Region, role: &str, name: &str) -> Result<(), Fault> {
    let call = region.iam.delete_role_policy().role_name(role).policy_name(name);
    gone_is_fine(call.send().await.or_fault("iam:DeleteRolePolicy").map(drop))
}

/// Brings the managed ones to what is wanted: what is new first, so that the role can always do what it could before and
/// can after; unless it then has more than the account's quota allows.
pub async fn bring_managed(region: &Region, role: &str, now: &[String], wanted: &[String]) -> Result<(), Fault> {
    let new = added(now, wanted).unwrap_or_default();
    let gone = added(wanted, now).unwrap_or_default();
    let attached = match attach(region, role, &new).await {
        Err(fault) if fault.code.as_deref() == Some("LimitExceeded") && !gone.is_empty() => false,
        other => other.map(|()| true)?,
    };
    for arn in &gone {
        detach(region, role, arn).await?;
    }
    if attached { Ok(()) } else { attach(region, role, &new).await }
}

/// Brings the inline ones to what is wanted.
pub async fn bring_inline(
    region: &Region,
    role: &str,
    now: &[InlinePolicy],
    wanted: &[InlinePolicy],
) -> Result<(), Fault> {
    let new: Vec<&InlinePolicy> = wanted.iter().filter(|policy| !now.iter().any(|old| old.means(policy))).collect();
    put(region, role, &new).await?;
    for old in now.iter().filter(|old| !wanted.iter().any(|policy| policy.name == old.name)) {
        remove(region, role, &old.name).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_policies_have_names_of_their_own_and_documents() {
        let json = serde_json::json!([
            { "name": "a", "policy": "{}" }, { "name": "b", "policy": "{" }, { "name": "a", "policy": "{}" },
        ]);
        let Value::List(written) = Value::from(json) else { panic!("a list") };
        let told: Vec<String> = check(&written).into_iter().map(|m| format!("{}: {}", m.path, m.what)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("inline_policy[1].policy: is no JSON"), "{told:?}");
        assert_eq!(told[1], "inline_policy[2].name: `a` is the name of inline_policy[0] already");
    }
}
