//! The order of a component's objects.

use serde_json::json;

use super::*;

/// Needs by name: each object's line is `Kind/name: Kind/name …`.
fn told(cluster: &str, objects: &[Json]) -> Vec<String> {
    let ids: Vec<Id> = objects.iter().map(|object| id(cluster, object)).collect();
    let placed: Vec<Placed> = ids.iter().zip(objects).map(|(id, object)| Placed { id, object }).collect();
    let called = |place: usize| format!("{}/{}", ids[place].kind, ids[place].name);
    let line = |(place, needs): (usize, Vec<usize>)| {
        let mut needs: Vec<String> = needs.into_iter().map(called).collect();
        needs.sort();
        format!("{}: {}", called(place), needs.join(" ")).trim().to_owned()
    };
    needs(&placed).into_iter().enumerate().map(line).collect()
}

fn id(cluster: &str, object: &Json) -> Id {
    Id {
        cluster: cluster.into(),
        kind: object["kind"].as_str().unwrap().into(),
        group: super::super::object::group(object["apiVersion"].as_str().unwrap()).into(),
        namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
        name: object["metadata"]["name"].as_str().unwrap().into(),
    }
}

fn thing(api: &str, kind: &str, namespace: &str, name: &str, more: Json) -> Json {
    let mut object = json!({ "apiVersion": api, "kind": kind, "metadata": { "name": name } });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

fn workload(kind: &str, name: &str, pod: Json) -> Json {
    let template = json!({ "metadata": { "labels": { "app": name } }, "spec": pod });
    let api = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    thing(api, kind, "in", name, json!({ "spec": { "serviceName": "peers", "template": template } }))
}

#[test]
fn a_workload_comes_after_what_it_uses() {
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    let objects = [
        workload(
            "StatefulSet",
            "web",
            json!({
                "serviceAccountName": "web", "priorityClassName": "high", "imagePullSecrets": [{ "name": "pull" }],
                "volumes": [{ "configMap": { "name": "conf" } }, { "persistentVolumeClaim": { "claimName": "disk" } }],
                "containers": [{ "name": "web", "env": [{ "name": "P", "valueFrom": { "secretKeyRef": { "name": "pass", "key": "p" } } }] }],
            }),
        ),
        thing(
            RBAC,
            "ClusterRoleBinding",
            "",
            "web",
            json!({
                "roleRef": { "kind": "ClusterRole", "name": "reader" },
                "subjects": [{ "kind": "ServiceAccount", "name": "web", "namespace": "in" }],
            }),
        ),
        thing(RBAC, "ClusterRole", "", "reader", json!({})),
        thing("v1", "Namespace", "", "in", json!({})),
        thing("v1", "ConfigMap", "in", "conf", json!({})),
        thing("v1", "ConfigMap", "in", "unused", json!({})),
        thing("v1", "Secret", "in", "pass", json!({})),
        thing("v1", "Secret", "other", "pull", json!({})),
        thing("v1", "Service", "in", "peers", json!({})),
        thing("v1", "ServiceAccount", "in", "web", json!({})),
        thing("scheduling.k8s.io/v1", "PriorityClass", "", "high", json!({})),
        thing("v1", "ResourceQuota", "in", "quota", json!({})),
        thing(
            "policy/v1",
            "PodDisruptionBudget",
            "in",
            "web",
            json!({ "spec": { "selector": { "matchLabels": { "app": "web" } } } }),
        ),
        thing(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "in",
            "web",
            json!({
                "spec": { "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web" } },
            }),
        ),
    ];
    assert_eq!(
        told("prod", &objects),
        [
            "StatefulSet/web: ClusterRoleBinding/web ConfigMap/conf Namespace/in PriorityClass/high ResourceQuota/quota \
             Secret/pass Service/peers ServiceAccount/web",
            "ClusterRoleBinding/web: ClusterRole/reader",
            "ClusterRole/reader:",
            "Namespace/in:",
            "ConfigMap/conf: Namespace/in",
            "ConfigMap/unused: Namespace/in",
            "Secret/pass: Namespace/in",
            "Secret/pull:",
            "Service/peers: Namespace/in",
            "ServiceAccount/web: Namespace/in",
            "PriorityClass/high:",
            "ResourceQuota/quota: Namespace/in",
            "PodDisruptionBudget/web: Namespace/in StatefulSet/web",
            "HorizontalPodAutoscaler/web: Namespace/in StatefulSet/web",
        ]
    );
}

fn webhook(policy: &str) -> Json {
    thing(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "",
        "hook",
        json!({ "webhooks": [{
        "name": "validate.example.com", "failurePolicy": policy,
        "clientConfig": { "service": { "namespace": "in", "name": "hook" } },
        "rules": [
            { "apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "operations": ["CREATE", "UPDATE"] },
            { "apiGroups": [""], "resources": ["services"], "operations": ["*"] },
        ],
    }] }),
    )
}

fn component(policy: &str) -> Vec<Json> {
    vec![
        thing(
            "networking.k8s.io/v1",
            "Ingress",
            "in",
            "shop",
            json!({ "spec": {
            "ingressClassName": "nginx", "tls": [{ "secretName": "cert" }],
            "rules": [{ "http": { "paths": [{ "backend": { "service": { "name": "shop" } } }] } }],
        } }),
        ),
        webhook(policy),
        thing("v1", "Service", "in", "hook", json!({ "spec": { "selector": { "app": "controller" } } })),
        workload("Deployment", "controller", json!({ "containers": [] })),
        workload("Job", "patch", json!({ "containers": [{ "args": ["patch", "--webhook-name=hook"] }] })),
        workload("Job", "create", json!({ "containers": [{ "args": ["create", "--secret-name=hook"] }] })),
        thing("v1", "Service", "in", "shop", json!({})),
        thing("networking.k8s.io/v1", "IngressClass", "", "nginx", json!({})),
    ]
}

#[test]
fn what_a_webhook_lets_in_comes_after_it_and_what_runs_it_before() {
    assert_eq!(
        told("prod", &component("Fail")),
        [
            "Ingress/shop: IngressClass/nginx Job/patch Service/shop ValidatingWebhookConfiguration/hook",
            "ValidatingWebhookConfiguration/hook: Deployment/controller Service/hook",
            "Service/hook:",
            "Deployment/controller:",
            "Job/patch: ValidatingWebhookConfiguration/hook",
            "Job/create:",
            "Service/shop: Job/patch ValidatingWebhookConfiguration/hook",
            "IngressClass/nginx:",
        ]
    );
    assert_eq!(told("prod", &component("Ignore"))[0], "Ingress/shop: IngressClass/nginx Service/shop");
}

#[test]
fn a_custom_resource_comes_after_its_definition_and_what_it_names() {
    let objects = [
        thing(
            "apisix.apache.org/v1alpha1",
            "GatewayProxy",
            "in",
            "p",
            json!({ "spec": {
            "auth": { "valueFrom": { "secretKeyRef": { "name": "key" } } }, "backend": { "kind": "Service", "name": "svc" },
        } }),
        ),
        thing(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "",
            "gatewayproxies.apisix.apache.org",
            json!({
                "spec": { "group": "apisix.apache.org", "names": { "kind": "GatewayProxy", "plural": "gatewayproxies" } },
            }),
        ),
        thing("v1", "Secret", "in", "key", json!({})),
        thing("v1", "Service", "in", "svc", json!({})),
        thing(
            "networking.k8s.io/v1",
            "IngressClass",
            "",
            "apisix",
            json!({ "spec": { "parameters": {
            "apiGroup": "apisix.apache.org", "kind": "GatewayProxy", "name": "p", "namespace": "in", "scope": "Namespace",
        } } }),
        ),
    ];
    let found = told("prod", &objects);
    assert_eq!(
        found[0],
        "GatewayProxy/p: CustomResourceDefinition/gatewayproxies.apisix.apache.org Secret/key Service/svc"
    );
    assert_eq!(found[4], "IngressClass/apisix: GatewayProxy/p");
}

#[test]
fn circles_are_left_open() {
    let custom = |name: &str, other: &str| {
        thing("a.example.com/v1", "Service", "in", name, json!({ "spec": { "secretName": other } }))
    };
    let class = |name: &str| {
        thing(
            "networking.k8s.io/v1",
            "IngressClass",
            "",
            name,
            json!({ "spec": { "parameters": {
        "apiGroup": "networking.k8s.io", "kind": "IngressClass", "name": if name == "a" { "b" } else { "a" },
    } } }),
        )
    };
    let found = told("prod", &[class("a"), class("b"), custom("x", "y")]);
    assert_eq!(found, ["IngressClass/a: IngressClass/b", "IngressClass/b:", "Service/x:"]);
}

#[test]
fn kinds_have_their_plurals() {
    for (kind, many) in
        [("Ingress", "ingresses"), ("NetworkPolicy", "networkpolicies"), ("Gateway", "gateways"), ("Pod", "pods")]
    {
        assert_eq!(plural(kind), many);
    }
}

#[test]
fn thousands_of_objects_are_quick() {
    let mut objects = component("Fail");
    objects.push(thing("v1", "Namespace", "", "in", json!({})));
    for n in 0..1000 {
        let name = format!("c{n}");
        objects.push(thing("v1", "ConfigMap", "in", &name, json!({})));
        objects.push(workload("Deployment", &name, json!({ "volumes": [{ "configMap": { "name": name } }] })));
        objects.push(thing("v1", "Service", "in", &name, json!({})));
    }
    let started = std::time::Instant::now();
    assert_eq!(told("prod", &objects).len(), objects.len());
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
}
