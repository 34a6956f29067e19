//! `aws::eks_access_entry`, with its access policies. Reads: one GetResources, 100 a page; one ListAccessEntries for
//! each cluster that it names, 100 a page; one DescribeAccessEntry for each entry of these, and one
//! ListAssociatedAccessPolicies for each of ours, eight at a time.

use std::collections::BTreeSet;

use aws_sdk_eks::types::{AccessScopeType, AssociatedAccessPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::eks;
use super::fault::{OrFault, gone_is_fine};
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::{self, Type};
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Select, Status, Value};

pub struct EksAccessEntry;

/// Lets a role or a user of IAM into a cluster whose `authentication_mode` includes `API`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Cluster it is for (CreateAccessEntry).
    #[schemars(extend("immutable" = true, "names" = "aws::eks_cluster"))]
    pub cluster_name: String,
    /// ARN of the role or user (CreateAccessEntry).
    #[schemars(extend("immutable" = true))]
    pub principal_arn: String,
    /// `STANDARD` for people and programs; the others are for the roles of nodes, which need no policy
    /// (CreateAccessEntry).
    #[serde(rename = "type", default = "standard")]
    #[schemars(extend(
        "enum" = ["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX"],
        "immutable" = true
    ))]
    pub entry_type: String,
    /// Groups in Kubernetes that it belongs to (UpdateAccessEntry).
    #[schemars(extend("uniqueItems" = true))]
    pub kubernetes_groups: Option<Vec<String>>,
    /// Name in Kubernetes; left out, AWS makes one of the ARN (UpdateAccessEntry).
    pub user_name: Option<String>,
    /// All of EKS's own access policies that it has (AssociateAccessPolicy).
    #[schemars(extend("uniqueItems" = true))]
    pub policy_association: Option<Vec<PolicyAssociation>>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn standard() -> String {
    "STANDARD".into()
}

/// What it may do, and where.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyAssociation {
    /// ARN of the policy: `arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`.
    pub policy_arn: String,
    /// Where it holds.
    pub access_scope: AccessScope,
}

/// Where a policy holds.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct AccessScope {
    /// In the whole cluster, or in namespaces.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["cluster", "namespace"]))]
    pub scope_type: String,
    /// The namespaces; `*` at the end stands for anything.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub namespaces: Vec<String>,
}

impl PartialEq for AccessScope {
    fn eq(&self, other: &Self) -> bool {
        let set = |scope: &AccessScope| scope.namespaces.iter().cloned().collect::<BTreeSet<_>>();
        self.scope_type == other.scope_type && set(self) == set(other)
    }
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// `cluster:principal`.
    #[schemars(example = "prod:arn:aws:iam::111122223333:role/ops")]
    id: String,
    /// ARN of the access entry.
    #[schemars(example = "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/ops/0a1b2c3d")]
    arn: String,
    /// When it was created.
    #[schemars(example = "2026-01-31T12:00:00Z")]
    created_at: Option<String>,
    /// When it was last changed.
    #[schemars(
        example = "2026-01-31T12:00:00Z",
        extend("changes_with" = ["kubernetes_groups", "user_name", "policy_association", "tags"])
    )]
    modified_at: Option<String>,
}

impl AwsKind for EksAccessEntry {
    const NAME: &'static str = "aws::eks_access_entry";
    const TYPE: Type = Type::Eks("eks:access-entry");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { natural_key: &["cluster_name", "principal_arn"], check, ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        // An entry's ARN holds the principal's name without its path: all entries of these clusters are looked at.
        let (ids, stack) = match search.select() {
            Select::Ids(ids) => (ids.clone(), None),
            Select::Named(clusters) => (within(region, clusters.clone()).await?, None),
            Select::Owned { stack } => {
                let arns = tagging::owned_arns(region, &[&Self::TYPE], stack).await?;
                let clusters = arns.iter().filter_map(|arn| Some(eks::id_in(arn)?.split_once(':')?.0.to_owned()));
                (within(region, clusters.collect()).await?, Some(stack.as_str()))
            }
        };
        each(ids, |id| read(region, id, stack)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .eks
            .create_access_entry()
            .cluster_name(&inputs.cluster_name)
            .principal_arn(&inputs.principal_arn)
            .r#type(&inputs.entry_type)
            .set_kubernetes_groups(inputs.kubernetes_groups.clone().filter(|groups| !groups.is_empty()))
            .set_username(inputs.user_name.clone())
            .client_request_token(&birth.token)
            .set_tags(Some(birth.tags.clone().into_iter().collect()));
        let id = format!("{}:{}", inputs.cluster_name, inputs.principal_arn);
        eks::taken(&id, call.send().await.or_fault("eks:CreateAccessEntry"))?;
        Ok(Some(id))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        for policy in inputs.policy_association.iter().flatten() {
            associate(region, id, policy).await?;
        }
        Ok(())
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let (cluster, principal) = eks::split(id)?;
        let wanted = change.inputs;
        let groups = wanted.kubernetes_groups.clone().unwrap_or_default();
        if change.of("kubernetes_groups") || change.of("user_name") {
            let call = region.eks.update_access_entry().cluster_name(cluster).principal_arn(principal);
            let call = call.set_kubernetes_groups(change.of("kubernetes_groups").then_some(groups));
            let call = call.set_username(wanted.user_name.clone().filter(|_| change.of("user_name")));
            call.send().await.or_fault("eks:UpdateAccessEntry")?;
        }
        if change.of("policy_association") {
            let wanted = wanted.policy_association.as_deref().unwrap_or_default();
            let now = policies(region, cluster, principal).await?;
            for policy in wanted.iter().filter(|policy| !now.contains(policy)) {
                associate(region, id, policy).await?;
            }
            for old in now.iter().filter(|old| !wanted.iter().any(|policy| policy.policy_arn == old.policy_arn)) {
                let call = region.eks.disassociate_access_policy().cluster_name(cluster).principal_arn(principal);
                let answer = call.policy_arn(&old.policy_arn).send().await;
                gone_is_fine(answer.or_fault("eks:DisassociateAccessPolicy").map(drop))?;
            }
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let (cluster, principal) = eks::split(id)?;
        let call = region.eks.delete_access_entry().cluster_name(cluster).principal_arn(principal);
        call.send().await.or_fault("eks:DeleteAccessEntry").map(drop)
    }
}

async fn within(region: &Region, clusters: BTreeSet<String>) -> Result<BTreeSet<String>, Fault> {
    eks::within(clusters, |cluster| eks::principals(region, cluster)).await
}

/// One entry; none if it is not of this stack.
async fn read(region: &Region, id: String, stack: Option<&str>) -> Result<Option<Found<EksAccessEntry>>, Fault> {
    let (cluster, principal) = eks::split(&id)?;
    let answer = region.eks.describe_access_entry().cluster_name(cluster).principal_arn(principal).send().await;
    let answer = if_there(answer.or_fault("eks:DescribeAccessEntry"))?;
    let Some(entry) = answer.and_then(|answer| answer.access_entry) else { return Ok(None) };
    let all = eks::tags(entry.tags());
    if stack.is_some_and(|stack| all.get(tags::STACK).is_none_or(|of| of != stack)) {
        return Ok(None);
    }
    let Some(policies) = if_there(policies(region, cluster, principal).await)? else { return Ok(None) };
    Ok(Some(Found {
        inputs: Inputs {
            cluster_name: cluster.to_owned(),
            principal_arn: principal.to_owned(),
            entry_type: entry.r#type().map_or_else(standard, str::to_owned),
            kubernetes_groups: Some(entry.kubernetes_groups().to_vec()),
            user_name: entry.username().map(str::to_owned),
            policy_association: Some(policies),
            tags: tags::authored(&all),
        },
        outputs: Outputs {
            id: id.clone(),
            arn: entry.access_entry_arn().unwrap_or_default().to_owned(),
            created_at: eks::time(entry.created_at()),
            modified_at: eks::time(entry.modified_at()),
        },
        tags: all,
        status: Status::Ready,
        id,
    }))
}

async fn policies(region: &Region, cluster: &str, principal: &str) -> Result<Vec<PolicyAssociation>, Fault> {
    let call = region.eks.list_associated_access_policies().cluster_name(cluster).principal_arn(principal);
    let pages = call.into_paginator().page_size(100).items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.or_fault("eks:ListAssociatedAccessPolicies")?;
    Ok(found.iter().map(association).collect())
}

fn association(policy: &AssociatedAccessPolicy) -> PolicyAssociation {
    let scope = policy.access_scope();
    let scope_type = scope.and_then(|scope| scope.r#type()).map_or("cluster", |of| of.as_str());
    PolicyAssociation {
        policy_arn: policy.policy_arn().unwrap_or_default().to_owned(),
        access_scope: AccessScope {
            scope_type: scope_type.to_owned(),
            namespaces: scope.map(|scope| scope.namespaces().to_vec()).unwrap_or_default(),
        },
    }
}

/// Of one that it has already, this changes the scope.
async fn associate(region: &Region, id: &str, policy: &PolicyAssociation) -> Result<(), Fault> {
    let (cluster, principal) = eks::split(id)?;
    let namespaces = policy.access_scope.namespaces.clone();
    let scope = aws_sdk_eks::types::AccessScope::builder()
        .r#type(AccessScopeType::from(policy.access_scope.scope_type.as_str()))
        .set_namespaces(Some(namespaces).filter(|all| !all.is_empty()))
        .build();
    let call = region.eks.associate_access_policy().cluster_name(cluster).principal_arn(principal);
    let call = call.policy_arn(&policy.policy_arn).access_scope(scope);
    call.send().await.or_fault("eks:AssociateAccessPolicy").map(drop)
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut mistake = |path: String, what: &str, hint: &str| {
        mistakes.push(Mistake { path, what: what.into(), hint: Some(hint.into()) });
    };
    let list = |field: &str| inputs.get(field).and_then(Value::as_list).unwrap_or_default();
    if inputs.get("type").and_then(Value::as_str).is_some_and(|of| of != "STANDARD") {
        for field in ["kubernetes_groups", "policy_association"] {
            if !list(field).is_empty() {
                mistake(field.into(), "is only for entries of type STANDARD", "leave it out: nodes get what they need");
            }
        }
    }
    for (index, policy) in list("policy_association").iter().enumerate() {
        let Value::Map(policy) = policy else { continue };
        let Some(Value::Map(scope)) = policy.get("access_scope") else { continue };
        let named = match scope.get("namespaces") {
            None | Some(Value::Null) => false,
            Some(Value::List(names)) => !names.is_empty(),
            Some(_) => continue,
        };
        let path = format!("policy_association[{index}].access_scope.namespaces");
        match scope.get("type").and_then(Value::as_str) {
            Some("namespace") if !named => mistake(path, "is empty", "name the namespaces, or use the type `cluster`"),
            Some("cluster") if named => {
                mistake(path, "does not count for the whole cluster", "use the type `namespace`")
            }
            _ => {}
        }
    }
    mistakes
}
