//! A stand-in for nodes, storage and a cloud: pods become ready, Jobs' pods succeed, claims are bound and load
//! balancers get an address. Annotations (of pods, so of templates) tell otherwise:
//!
//! - `fake/ready: "false"`: never ready; `fake/reason` and `fake/message` say why its containers wait.
//! - `fake/delay: SECONDS`: not before that age.
//! - `fake/exit: CODE`: how a Job's pod ends.
//! - `fake/bound: "false"` on a claim, `fake/lb: "false"` on a Service: left alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, Error};
use serde_json::{Value as Json, json};

const NODE: &str = "fake-1";

/// Until it is dropped.
pub async fn run(client: Client) {
    while let Err(error) = node(&client).await {
        eprintln!("stand-in for nodes: {error}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    loop {
        for error in round(&client).await {
            // Gone or changed meanwhile, or its namespace is going: the next round sees.
            if !matches!(&error, Error::Api(status) if matches!(status.code, 403 | 404 | 409)) {
                eprintln!("stand-in for nodes: {error}");
            }
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

async fn node(client: &Client) -> Result<(), Error> {
    let nodes = Api::<Node>::all(client.clone());
    let manager = PatchParams::apply("fake-kubelet").force();
    let labels = json!({ "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": NODE });
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE, "labels": labels } });
    nodes.patch(NODE, &manager, &Patch::Apply(node)).await?;
    // Admission has tainted it as not ready.
    nodes.patch(NODE, &PatchParams::default(), &Patch::Merge(json!({ "spec": { "taints": null } }))).await?;
    let room = json!({ "cpu": "64", "memory": "256Gi", "pods": "1000" });
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Fake", "lastHeartbeatTime": now(),
                        "lastTransitionTime": now() });
    let status = json!({ "status": { "conditions": [ready], "capacity": room, "allocatable": room } });
    nodes.patch_status(NODE, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

/// Looks at everything once; what failed.
async fn round(client: &Client) -> Vec<Error> {
    let any = ListParams::default().match_any();
    let mut errors = vec![];
    match Api::<Pod>::all(client.clone()).list(&any).await {
        Ok(pods) => {
            for each in pods {
                errors.extend(pod(client, &each).await.err());
            }
        }
        Err(error) => errors.push(error),
    }
    match Api::<Service>::all(client.clone()).list(&any).await {
        Ok(services) => {
            for each in services {
                errors.extend(service(client, &each).await.err());
            }
        }
        Err(error) => errors.push(error),
    }
    match Api::<PersistentVolumeClaim>::all(client.clone()).list(&any).await {
        Ok(claims) => {
            for each in claims {
                errors.extend(claim(client, &each).await.err());
            }
        }
        Err(error) => errors.push(error),
    }
    errors
}

async fn pod(client: &Client, pod: &Pod) -> Result<(), Error> {
    let (namespace, name) = place(&pod.metadata);
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    if pod.metadata.deletion_timestamp.is_some() {
        return pods.delete(name, &DeleteParams::default().grace_period(0)).await.map(drop);
    }
    let Some(spec) = &pod.spec else { return Ok(()) };
    if spec.node_name.is_none() {
        let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name },
                              "target": { "apiVersion": "v1", "kind": "Node", "name": NODE } });
        pods.create_subresource::<Json, Json>("binding", name, &Default::default(), &binding).await?;
    }
    let seen = pod.status.clone().unwrap_or_default();
    let phase = seen.phase.as_deref().unwrap_or_default();
    let is_ready = seen.conditions.iter().flatten().any(|each| each.type_ == "Ready" && each.status == "True");
    if is_ready || phase == "Succeeded" || phase == "Failed" {
        return Ok(());
    }
    let annotation = |name: &str| annotation(&pod.metadata, name);
    let delay = annotation("fake/delay").and_then(|delay| delay.parse().ok()).unwrap_or(0);
    let held = annotation("fake/ready") == Some("false") || age(&pod.metadata) < delay;
    let waits = seen.container_statuses.is_some_and(|containers| !containers.is_empty());
    if held && waits {
        return Ok(());
    }

    let is_job = pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Job");
    let exit: i32 = annotation("fake/exit").and_then(|code| code.parse().ok()).unwrap_or(0);
    let (phase, ready, state) = if held {
        let reason = annotation("fake/reason").unwrap_or("ContainerCreating");
        // A container that crashes has been started; an image that cannot be pulled has kept the pod from it.
        let phase = if reason == "CrashLoopBackOff" { "Running" } else { "Pending" };
        (phase, false, json!({ "waiting": { "reason": reason, "message": annotation("fake/message") } }))
    } else if is_job {
        let (phase, reason) = if exit == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
        let end = json!({ "exitCode": exit, "reason": reason, "startedAt": now(), "finishedAt": now() });
        (phase, false, json!({ "terminated": end }))
    } else {
        ("Running", true, json!({ "running": { "startedAt": now() } }))
    };
    let containers: Vec<Json> = spec
        .containers
        .iter()
        .map(|container| {
            json!({ "name": container.name, "image": container.image, "imageID": "", "ready": ready, "started": ready,
                "restartCount": 0, "state": state })
        })
        .collect();
    let status = json!({ "status": {
        "phase": phase,
        "startTime": now(),
        "podIP": address(),
        "conditions": [condition("PodScheduled", true), condition("Initialized", true),
                       condition("ContainersReady", ready), condition("Ready", ready)],
        "containerStatuses": containers,
    } });
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
}

async fn service(client: &Client, service: &Service) -> Result<(), Error> {
    let wanted = service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer");
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let has = balancer.and_then(|balancer| balancer.ingress.as_ref()).is_some_and(|ingress| !ingress.is_empty());
    if !wanted || has || annotation(&service.metadata, "fake/lb") == Some("false") {
        return Ok(());
    }
    let (namespace, name) = place(&service.metadata);
    let uid: String = service.metadata.uid.iter().flat_map(|uid| uid.chars()).take(8).collect();
    let host = format!("{name}-{uid}.elb.eu-west-1.amazonaws.invalid");
    let status = json!({ "status": { "loadBalancer": { "ingress": [{ "hostname": host }] } } });
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    services.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
}

async fn claim(client: &Client, claim: &PersistentVolumeClaim) -> Result<(), Error> {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase == Some("Bound") || annotation(&claim.metadata, "fake/bound") == Some("false") {
        return Ok(());
    }
    let (namespace, name) = place(&claim.metadata);
    let spec = claim.spec.clone().unwrap_or_default();
    let capacity = spec.resources.and_then(|resources| resources.requests);
    let status = json!({ "status": { "phase": "Bound", "accessModes": spec.access_modes, "capacity": capacity } });
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace);
    claims.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
}

fn place(metadata: &ObjectMeta) -> (&str, &str) {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    let annotations: Option<&BTreeMap<String, String>> = metadata.annotations.as_ref();
    annotations?.get(name).map(String::as_str)
}

fn condition(name: &str, holds: bool) -> Json {
    json!({ "type": name, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now() })
}

fn age(metadata: &ObjectMeta) -> i64 {
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    created.map_or(0, |created| jiff::Timestamp::now().as_second() - created)
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("10.1.{}.{}", number / 250 % 250, number % 250 + 1)
}
