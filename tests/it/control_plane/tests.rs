//! What the tests of Kubernetes stand on, itself tested.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::ControlPlane;

/// Looks until it is so.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: not so after 60 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn make<K: DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug>(api: &Api<K>, object: Json) {
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&Default::default(), &object).await.unwrap();
}

fn template(annotations: Json) -> Json {
    json!({ "metadata": { "labels": { "app": "a" }, "annotations": annotations },
            "spec": { "containers": [{ "name": "c", "image": "example.invalid/c" }] } })
}

fn deployment(name: &str, annotations: Json) -> Json {
    json!({ "metadata": { "name": name }, "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "a" } },
            "template": template(annotations) } })
}

#[tokio::test]
async fn deployments_become_available_and_say_why_they_do_not() {
    let (plane, client) = (ControlPlane::shared(), ControlPlane::shared().client());
    let good = plane.namespace("available");
    let deployments = Api::<Deployment>::namespaced(client.clone(), &good);
    make(&deployments, deployment("good", json!({}))).await;
    eventually("available", async || {
        let status = deployments.get("good").await.unwrap().status?;
        let available = status.conditions?.into_iter().find(|each| each.type_ == "Available")?;
        (available.status == "True" && status.ready_replicas == Some(2)).then_some(())
    })
    .await;

    let bad = plane.namespace("unavailable");
    let reasons = json!({ "fake/ready": "false", "fake/reason": "ImagePullBackOff", "fake/message": "no such image" });
    make(&Api::<Deployment>::namespaced(client.clone(), &bad), deployment("bad", reasons)).await;
    let pods = Api::<Pod>::namespaced(client.clone(), &bad);
    let waiting = eventually("a waiting container", async || {
        let pod = pods.list(&ListParams::default()).await.unwrap().items.into_iter().next()?;
        pod.status?.container_statuses?.into_iter().next()?.state?.waiting
    })
    .await;
    assert_eq!(waiting.reason.as_deref(), Some("ImagePullBackOff"));
    assert_eq!(waiting.message.as_deref(), Some("no such image"));
    let status = Api::<Deployment>::namespaced(client, &bad).get("bad").await.unwrap().status.unwrap();
    assert_eq!(status.ready_replicas, None);
}

#[tokio::test]
async fn jobs_end_as_they_are_told() {
    let plane = ControlPlane::shared();
    let jobs = Api::<Job>::namespaced(plane.client(), &plane.namespace("jobs"));
    let job = |name: &str, annotations: Json| {
        let mut template = template(annotations);
        template["spec"]["restartPolicy"] = json!("Never");
        json!({ "metadata": { "name": name }, "spec": { "backoffLimit": 0, "template": template } })
    };
    make(&jobs, job("good", json!({}))).await;
    make(&jobs, job("bad", json!({ "fake/exit": "3" }))).await;
    for (name, end) in [("good", "Complete"), ("bad", "Failed")] {
        eventually(end, async || {
            let conditions = jobs.get(name).await.unwrap().status?.conditions?;
            conditions.iter().any(|each| each.type_ == end && each.status == "True").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn load_balancers_are_addressed_and_claims_bound() {
    let plane = ControlPlane::shared();
    let (client, namespace) = (plane.client(), plane.namespace("addressed"));
    let services = Api::<Service>::namespaced(client.clone(), &namespace);
    let spec = json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }], "selector": { "app": "a" } });
    make(&services, json!({ "metadata": { "name": "edge" }, "spec": spec })).await;
    let host = eventually("an address", async || {
        services.get("edge").await.unwrap().status?.load_balancer?.ingress?.into_iter().next()?.hostname
    })
    .await;
    assert!(host.starts_with("edge-"), "{host}");

    let claims = Api::<PersistentVolumeClaim>::namespaced(client, &namespace);
    let spec = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
    make(&claims, json!({ "metadata": { "name": "data" }, "spec": spec })).await;
    let is_bound = async || claims.get("data").await.unwrap().status?.phase.filter(|phase| phase == "Bound");
    eventually("bound", is_bound).await;
    claims.delete("data", &Default::default()).await.unwrap();
    eventually("gone", async || claims.get_opt("data").await.unwrap().is_none().then_some(())).await;
}

#[tokio::test]
async fn namespaces_go_with_what_is_in_them() {
    let plane = ControlPlane::shared();
    let (client, namespace) = (plane.client(), plane.namespace("going"));
    make(&Api::<Deployment>::namespaced(client.clone(), &namespace), deployment("good", json!({}))).await;
    let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(client);
    namespaces.delete(&namespace, &Default::default()).await.unwrap();
    eventually("gone", async || namespaces.get_opt(&namespace).await.unwrap().is_none().then_some(())).await;
}

#[tokio::test]
async fn the_kubeconfig_leads_to_the_server() {
    let plane = ControlPlane::shared();
    let kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
    let cluster = kubeconfig.clusters[0].cluster.clone().unwrap();
    assert_eq!(cluster.server.as_deref(), Some(plane.server()));
    assert!(plane.ca().starts_with("-----BEGIN CERTIFICATE-----"), "{}", plane.ca());
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let version = Client::try_from(config).unwrap().apiserver_version().await.unwrap();
    assert!(version.git_version.starts_with("v1."), "{version:?}");
}

#[tokio::test]
async fn requests_are_counted_by_who_asked_and_users_without_rights_are_turned_away() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("counted");
    let connect = async |name: &str, groups: &[&str]| {
        let kubeconfig = Kubeconfig::read_from(plane.user(name, groups)).unwrap();
        assert_eq!(kubeconfig.current_context.as_deref(), Some("test"));
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Api::<ConfigMap>::namespaced(Client::try_from(config).unwrap(), &namespace)
    };
    let (may, may_not) = (connect("ann", &["system:masters"]).await, connect("bob", &["visitors"]).await);

    let before = may.list(&ListParams::default()).await;
    assert!(before.is_ok());
    let mark = plane.mark();
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "k": "v" } });
    let apply = PatchParams::apply("someone");
    may.patch("a", &apply.clone().dry_run(), &Patch::Apply(&object)).await.unwrap();
    may.patch("a", &apply, &Patch::Apply(&object)).await.unwrap();
    may.get("a").await.unwrap();
    let refused = may_not.get("a").await.unwrap_err();
    assert!(refused.to_string().contains(r#"User "bob" cannot get resource "configmaps""#), "{refused}");

    let mut requests = plane.requests(mark);
    requests.retain(|request| request.namespace == namespace && ["ann", "bob"].contains(&&*request.user));
    let seen: Vec<_> =
        requests.iter().map(|each| (&*each.user, &*each.verb, &*each.name, each.dry_run, each.code)).collect();
    let expected = [
        ("ann", "patch", "a", true, 201),
        ("ann", "patch", "a", false, 201),
        ("ann", "get", "a", false, 200),
        ("bob", "get", "a", false, 403),
    ];
    assert_eq!(seen, expected);
    assert!(requests.iter().all(|each| each.resource == "configmaps" && each.group.is_empty()), "{requests:?}");
}
