//! `k8s::cluster`. Reads: one ConfigMap per cluster.
//!
//! The resource is the ConfigMap that is the stack's ApplySet (KEP-3659): it says what kinds of objects the stack has
//! there. What is declared with it is the way to the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::connection::{Cluster, Way};
use super::{applyset, fault, place};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Address, Class, Create, Delete, Fault, Kind, Live, Map, Owner, Select, Status, Update, Value};

pub const NAME: &str = "k8s::cluster";

/// The way to a cluster, and the place there where the stack keeps what it owns: a ConfigMap `runner-STACK`, the parent
/// of its ApplySet. Every `k8s::manifest` names one. It is reached by `endpoint`, `certificate_authority_data` and
/// `cluster_name` (an `aws::eks_cluster`, entered with a token of the AWS credentials), or by a kubeconfig.
#[derive(JsonSchema, Serialize, Deserialize)]
pub struct Inputs {
    /// Name of the EKS cluster that the token is for.
    #[schemars(extend("names" = "aws::eks_cluster"))]
    cluster_name: Option<String>,
    /// URL of the API server.
    endpoint: Option<String>,
    /// The certificate authority of the API server: PEM in base64, as EKS and kubeconfigs have it.
    certificate_authority_data: Option<String>,
    /// A kubeconfig file; left out, `$KUBECONFIG` or `~/.kube/config`, if no `endpoint` is given.
    kubeconfig: Option<String>,
    /// A context of the kubeconfig; left out, its current one.
    context: Option<String>,
    /// Where the ApplySet's parent is kept, by default `kube-system`.
    #[schemars(extend("immutable" = true))]
    namespace: Option<String>,
    /// What the addresses of its objects begin with: only for a second cluster of one stack.
    #[schemars(extend("immutable" = true))]
    address_prefix: Option<String>,
}

#[derive(JsonSchema, Serialize)]
struct Outputs {
    /// Where its objects live.
    #[schemars(example = &"k8s:prod")]
    id: String,
    /// Id of the ApplySet: the value of the label `applyset.kubernetes.io/part-of` of every object.
    #[schemars(example = &"applyset-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG-v1")]
    applyset: String,
}

pub fn kind() -> Arc<Kind> {
    Arc::new(Kind::of::<Inputs, Outputs>(
        NAME,
        Nature { opens: Some(place), check, natural_key: &[], id_prefix: "", timeout: 900, ..Nature::default() },
    ))
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let given = |name: &str| inputs.get(name).is_some_and(|value| !value.is_null());
    let mistake = |path: &str, what: &str, hint: &str| {
        vec![Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) }]
    };
    if given("endpoint") && (given("kubeconfig") || given("context")) {
        let hint = "give `endpoint`, `certificate_authority_data` and `cluster_name`, or `kubeconfig` and `context`";
        return mistake("endpoint", "there are two ways to the cluster", hint);
    }
    if given("endpoint") != given("cluster_name") {
        let missing = if given("endpoint") { "cluster_name" } else { "endpoint" };
        let hint = "an EKS cluster is reached by both: `endpoint: eks.endpoint, cluster_name: eks.name`";
        return mistake(missing, "is missing", hint);
    }
    vec![]
}

/// What inputs say of the way there.
pub fn way(region: Option<&str>, inputs: &Map) -> Result<Way, Fault> {
    let wrong = |why: String| Fault::new(Class::Invalid, why);
    let read: Inputs = serde_json::from_value(Json::from(&Value::Map(inputs.clone())))
        .map_err(|error| wrong(format!("the way to the cluster cannot be read: {error}")))?;
    Ok(match (read.endpoint, read.cluster_name) {
        (Some(endpoint), Some(name)) => Way::Eks {
            region: region.map(str::to_owned),
            name,
            endpoint,
            authority: read.certificate_authority_data.unwrap_or_default(),
        },
        _ => Way::Kubeconfig { file: read.kubeconfig, context: read.context },
    })
}

/// Of each opened cluster, what says that the stack is there.
pub async fn list(clusters: &[Arc<Cluster>], region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
    let mut lives = vec![];
    for cluster in clusters.iter().filter(|cluster| cluster.region() == region) {
        let wanted = match select {
            Select::Owned { stack } => Some(stack.clone()),
            Select::Ids(ids) | Select::Named(ids) => cluster.stack().filter(|_| ids.contains(&place(&cluster.name))),
        };
        let Some(stack) = wanted else { continue };
        if let Some(object) = cluster.read_parent(&stack).await? {
            lives.push(live(cluster, &stack, &object));
        }
    }
    Ok(lives)
}

fn live(cluster: &Cluster, stack: &str, object: &Json) -> Live {
    let annotation = |name: &str| super::object::text(object, &["metadata", "annotations", name]);
    let mut inputs = cluster.inputs().clone();
    inputs.retain(|_, value| !value.is_null());
    Live {
        id: place(&cluster.name),
        region: cluster.region().map(str::to_owned),
        owner: Some(Owner {
            stack: stack.to_owned(),
            address: Address::new(NAME, cluster.name.as_str()),
            deposed: false,
            protect: annotation(super::objects::PROTECT) == Some("true"),
        }),
        inputs,
        outputs: BTreeMap::from([
            ("id".into(), place(&cluster.name).into()),
            ("applyset".into(), cluster.applyset(stack).into()),
        ]),
        status: match super::object::at(object, &["metadata", "deletionTimestamp"]) {
            Some(_) => Status::Deleting,
            None => Status::Ready,
        },
    }
}

pub async fn create(cluster: &Cluster, request: &Create) -> Result<String, Fault> {
    write(cluster, &request.owner).await.map_err(|mut fault| {
        // An EKS cluster that has just been made is not reached at once, nor does it know at once who we are.
        if cluster.is_eks() && fault::is_no_entry(&fault) {
            fault.class = Class::Busy;
        }
        fault
    })?;
    Ok(place(&cluster.name))
}

pub async fn update(cluster: &Cluster, request: &Update) -> Result<(), Fault> {
    write(cluster, &request.owner).await
}

async fn write(cluster: &Cluster, owner: &Owner) -> Result<(), Fault> {
    let mut parent = cluster.parent(&owner.stack).await?;
    parent.protect = owner.protect;
    cluster.write_parent(&owner.stack, parent).await
}

pub async fn delete(cluster: &Cluster, request: &Delete) -> Result<(), Fault> {
    let stack = request.live.owner.as_ref().map(|owner| owner.stack.clone()).unwrap_or_default();
    cluster.delete_parent(&stack).await
}

/// The ConfigMap, as it is applied.
pub fn parent_object(name: &str, namespace: &str, applyset: &str, annotations: Json, data: Json) -> Json {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": { applyset::ID: applyset, "app.kubernetes.io/managed-by": "runner" },
            "annotations": annotations,
        },
        "data": data,
    })
}
