//! `aws::eks_addon`. Reads: one GetResources, 100 a page, and one DescribeAddon for each, eight at a time.

use aws_sdk_eks::types::{Addon, AddonStatus, ResolveConflicts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::eks;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct EksAddon;

/// Software of AWS in a cluster, installed and kept in order by EKS: `vpc-cni`, `coredns`, `kube-proxy`,
/// `aws-ebs-csi-driver`. Some, such as `coredns`, are ready only once there are nodes.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Cluster it is in (CreateAddon).
    #[schemars(extend("immutable" = true, "names" = "aws::eks_cluster"))]
    pub cluster_name: String,
    /// Name of the add-on in EKS (CreateAddon).
    #[schemars(extend("immutable" = true))]
    pub addon_name: String,
    /// Version (`v1.19.5-eksbuild.1`); left out, AWS's default for the cluster's version at the creation (UpdateAddon).
    pub addon_version: Option<String>,
    /// Settings as JSON, in the shape that the add-on's own schema gives (UpdateAddon).
    pub configuration_values: Option<String>,
    /// ARN of the role for its service account; left out, the role of the nodes (UpdateAddon).
    pub service_account_role_arn: Option<String>,
    /// What becomes of settings that are there already when it is installed (CreateAddon).
    #[schemars(extend("enum" = ["NONE", "OVERWRITE"], "write_only" = true))]
    pub resolve_conflicts_on_create: Option<String>,
    /// What becomes of settings that others changed when it is updated (UpdateAddon).
    #[schemars(extend("enum" = ["NONE", "OVERWRITE", "PRESERVE"], "write_only" = true))]
    pub resolve_conflicts_on_update: Option<String>,
    /// Whether the software stays in the cluster when this is deleted (DeleteAddon).
    #[serde(default)]
    #[schemars(extend("remembered" = true))]
    pub preserve: bool,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// `cluster:addon`.
    #[schemars(example = "prod:coredns")]
    id: String,
    /// ARN of the add-on.
    #[schemars(example = "arn:aws:eks:eu-west-1:111122223333:addon/prod/coredns/0a1b2c3d")]
    arn: String,
    /// When it was created.
    #[schemars(example = "2026-01-31T12:00:00Z")]
    created_at: Option<String>,
}

impl AwsKind for EksAddon {
    const NAME: &'static str = "aws::eks_addon";
    const TYPE: Type = Type::Eks("eks:addon");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["cluster_name", "addon_name"],
            normalise: |field, value| match field {
                "configuration_values" => meaning(value),
                _ => value.clone(),
            },
            check,
            // An update that failed is done again; the network of running pods is not taken away for it.
            mended_by: Some(&["addon_version", "configuration_values", "service_account_role_arn"]),
            timeout: 1200,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let ids = eks::ids(region, search, &Self::TYPE, |cluster| eks::addons(region, cluster)).await?;
        each(ids, |id| read(region, id)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .eks
            .create_addon()
            .cluster_name(&inputs.cluster_name)
            .addon_name(&inputs.addon_name)
            .set_addon_version(inputs.addon_version.clone())
            .set_configuration_values(inputs.configuration_values.clone())
            .set_service_account_role_arn(inputs.service_account_role_arn.clone())
            .set_resolve_conflicts(inputs.resolve_conflicts_on_create.as_deref().map(ResolveConflicts::from))
            .client_request_token(&birth.token)
            .set_tags(Some(birth.tags.clone().into_iter().collect()));
        let id = format!("{}:{}", inputs.cluster_name, inputs.addon_name);
        eks::taken(&id, call.send().await.or_fault("eks:CreateAddon"))?;
        Ok(Some(id))
    }

    /// One UpdateAddon with all that is known: what it is not told may go back to AWS's default.
    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        if !["addon_version", "configuration_values", "service_account_role_arn"].iter().any(|field| change.of(field)) {
            return Ok(());
        }
        let (cluster, name) = eks::split(id)?;
        let wanted = change.inputs;
        let call = region
            .eks
            .update_addon()
            .cluster_name(cluster)
            .addon_name(name)
            .set_addon_version(wanted.addon_version.clone())
            .set_configuration_values(wanted.configuration_values.clone())
            .set_service_account_role_arn(wanted.service_account_role_arn.clone())
            .set_resolve_conflicts(wanted.resolve_conflicts_on_update.as_deref().map(ResolveConflicts::from));
        call.send().await.or_fault("eks:UpdateAddon").map(drop)
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        let (cluster, name) = eks::split(id)?;
        let call = region.eks.delete_addon().cluster_name(cluster).addon_name(name).preserve(live.preserve);
        call.send().await.or_fault("eks:DeleteAddon").map(drop)
    }
}

async fn read(region: &Region, id: String) -> Result<Option<Found<EksAddon>>, Fault> {
    let (cluster, name) = eks::split(&id)?;
    let answer = region.eks.describe_addon().cluster_name(cluster).addon_name(name).send().await;
    let answer = if_there(answer.or_fault("eks:DescribeAddon"))?;
    let Some(addon) = answer.and_then(|answer| answer.addon) else { return Ok(None) };
    let all = eks::tags(addon.tags());
    Ok(Some(Found {
        inputs: Inputs {
            cluster_name: cluster.to_owned(),
            addon_name: name.to_owned(),
            addon_version: addon.addon_version().map(str::to_owned),
            configuration_values: addon.configuration_values().map(str::to_owned),
            service_account_role_arn: addon.service_account_role_arn().map(str::to_owned),
            resolve_conflicts_on_create: None,
            resolve_conflicts_on_update: None,
            preserve: false,
            tags: tags::authored(&all),
        },
        outputs: Outputs {
            id: id.clone(),
            arn: addon.addon_arn().unwrap_or_default().to_owned(),
            created_at: eks::time(addon.created_at()),
        },
        tags: all,
        status: status(&addon),
        id,
    }))
}

fn status(addon: &Addon) -> Status {
    let issues = addon.health().map(|health| health.issues()).unwrap_or_default();
    let told = |state: &AddonStatus| {
        let issues = issues.iter().filter_map(|issue| issue.message().map(str::to_owned));
        std::iter::once(state.as_str().to_lowercase()).chain(issues).collect::<Vec<_>>().join(": ")
    };
    match addon.status() {
        Some(AddonStatus::Active) | None => Status::Ready,
        Some(AddonStatus::Deleting) => Status::Deleting,
        Some(state @ (AddonStatus::CreateFailed | AddonStatus::UpdateFailed | AddonStatus::DeleteFailed)) => {
            Status::Failed(told(state))
        }
        // Without nodes it is DEGRADED, and gets well once they are there.
        Some(state) => Status::Pending(told(state)),
    }
}

/// Settings with one meaning are equal however they are written.
fn meaning(settings: &Value) -> Value {
    match settings.as_str().map(serde_json::from_str::<serde_json::Value>) {
        Some(Ok(json)) => Value::from(json),
        _ => settings.clone(),
    }
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let Some(settings) = inputs.get("configuration_values").and_then(Value::as_str) else { return vec![] };
    let Err(error) = serde_json::from_str::<serde_json::Value>(settings) else { return vec![] };
    let hint = Some("write the settings as a JSON object in a string".into());
    vec![Mistake { path: "configuration_values".into(), what: format!("is not JSON: {error}"), hint }]
}
