//! The other objects that an object names and cannot do without.

use serde_json::Value as Json;

use super::object::{at, group, text};

/// Kind with its group, namespace (none for what has none) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub group: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

/// What a list at a path holds.
fn all<'a>(value: &'a Json, path: &[&str]) -> impl Iterator<Item = &'a Json> + use<'a> {
    at(value, path).and_then(Json::as_array).into_iter().flatten()
}

/// What the pods of a workload are made from.
pub fn pod_template(object: &Json) -> Option<&Json> {
    match text(object, &["kind"])? {
        "Pod" => Some(object),
        "CronJob" => at(object, &["spec", "jobTemplate", "spec", "template"]),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            at(object, &["spec", "template"])
        }
        _ => None,
    }
}

/// The name of the ServiceAccount that a workload's pods run as.
pub fn service_account(template: &Json) -> &str {
    text(template, &["spec", "serviceAccountName"]).unwrap_or("default")
}

struct Found<'a> {
    namespace: Option<&'a str>,
    targets: Vec<Target>,
}

impl Found<'_> {
    fn add(&mut self, group: &str, kind: &str, namespace: Option<&str>, name: Option<&str>) {
        if let Some(name) = name {
            let namespace = namespace.map(str::to_owned);
            self.targets.push(Target { group: group.into(), kind: kind.into(), namespace, name: name.into() });
        }
    }

    fn near(&mut self, kind: &str, name: Option<&str>) {
        self.add("", kind, self.namespace, name);
    }
}

pub fn of(object: &Json, namespace: Option<&str>) -> Vec<Target> {
    let mut found = Found { namespace, targets: vec![] };
    if let Some(template) = pod_template(object) {
        pods(template, &mut found);
    }
    match (group(text(object, &["apiVersion"]).unwrap_or_default()), text(object, &["kind"]).unwrap_or_default()) {
        ("apps", "StatefulSet") => {
            found.near("Service", text(object, &["spec", "serviceName"]));
            for claim in all(object, &["spec", "volumeClaimTemplates"]) {
                found.add("storage.k8s.io", "StorageClass", None, text(claim, &["spec", "storageClassName"]));
            }
        }
        ("", "PersistentVolumeClaim" | "PersistentVolume") => {
            found.add("storage.k8s.io", "StorageClass", None, text(object, &["spec", "storageClassName"]));
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            let role = text(object, &["roleRef", "kind"]).unwrap_or_default();
            let place = if role == "Role" { namespace } else { None };
            found.add("rbac.authorization.k8s.io", role, place, text(object, &["roleRef", "name"]));
        }
        ("networking.k8s.io", "Ingress") => ingress(object, &mut found),
        ("networking.k8s.io", "IngressClass") => {
            if let Some(parameters) = at(object, &["spec", "parameters"]) {
                let api = text(parameters, &["apiGroup"]).unwrap_or_default();
                let kind = text(parameters, &["kind"]).unwrap_or_default();
                found.add(api, kind, text(parameters, &["namespace"]), text(parameters, &["name"]));
            }
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            if let Some(target) = at(object, &["spec", "scaleTargetRef"]) {
                let api = group(text(target, &["apiVersion"]).unwrap_or_default());
                found.add(api, text(target, &["kind"]).unwrap_or_default(), namespace, text(target, &["name"]));
            }
        }
        ("admissionregistration.k8s.io", kind) if kind.ends_with("PolicyBinding") => {
            let policy = kind.trim_end_matches("Binding");
            found.add("admissionregistration.k8s.io", policy, None, text(object, &["spec", "policyName"]));
        }
        ("admissionregistration.k8s.io", kind) if kind.ends_with("WebhookConfiguration") => {
            for hook in all(object, &["webhooks"]) {
                let place = text(hook, &["clientConfig", "service", "namespace"]);
                found.add("", "Service", place, text(hook, &["clientConfig", "service", "name"]));
            }
        }
        ("apiregistration.k8s.io", "APIService") => {
            let place = text(object, &["spec", "service", "namespace"]);
            found.add("", "Service", place, text(object, &["spec", "service", "name"]));
        }
        (api, _) if api.contains('.') && !api.ends_with(".k8s.io") => custom(object, &mut found),
        _ => {}
    }
    found.targets
}

fn pods(template: &Json, found: &mut Found) {
    let Some(spec) = template.get("spec") else { return };
    found.near("ServiceAccount", Some(service_account(template)));
    found.add("scheduling.k8s.io", "PriorityClass", None, text(spec, &["priorityClassName"]));
    found.add("node.k8s.io", "RuntimeClass", None, text(spec, &["runtimeClassName"]));
    for secret in all(spec, &["imagePullSecrets"]) {
        found.near("Secret", text(secret, &["name"]));
    }
    for volume in all(spec, &["volumes"]) {
        found.near("Secret", text(volume, &["secret", "secretName"]));
        found.near("ConfigMap", text(volume, &["configMap", "name"]));
        found.near("PersistentVolumeClaim", text(volume, &["persistentVolumeClaim", "claimName"]));
        for source in all(volume, &["projected", "sources"]) {
            found.near("Secret", text(source, &["secret", "name"]));
            found.near("ConfigMap", text(source, &["configMap", "name"]));
        }
    }
    for container in all(spec, &["initContainers"]).chain(all(spec, &["containers"])) {
        for source in all(container, &["envFrom"]) {
            found.near("Secret", text(source, &["secretRef", "name"]));
            found.near("ConfigMap", text(source, &["configMapRef", "name"]));
        }
        for variable in all(container, &["env"]) {
            found.near("Secret", text(variable, &["valueFrom", "secretKeyRef", "name"]));
            found.near("ConfigMap", text(variable, &["valueFrom", "configMapKeyRef", "name"]));
        }
    }
}

fn ingress(object: &Json, found: &mut Found) {
    found.add("networking.k8s.io", "IngressClass", None, text(object, &["spec", "ingressClassName"]));
    for tls in all(object, &["spec", "tls"]) {
        found.near("Secret", text(tls, &["secretName"]));
    }
    found.near("Service", text(object, &["spec", "defaultBackend", "service", "name"]));
    for rule in all(object, &["spec", "rules"]) {
        for path in all(rule, &["http", "paths"]) {
            found.near("Service", text(path, &["backend", "service", "name"]));
        }
    }
}

/// Of a kind whose schema is not known: what is written in the ways that nearly all write such references.
fn custom(value: &Json, found: &mut Found) {
    match value {
        Json::Object(map) => {
            if let Some(kind @ ("ConfigMap" | "Secret" | "Service")) = text(value, &["kind"]) {
                found.near(kind, text(value, &["name"]));
            }
            for (key, below) in map {
                match key.as_str() {
                    "secretRef" | "secretKeyRef" => found.near("Secret", text(below, &["name"])),
                    "configMapRef" | "configMapKeyRef" => found.near("ConfigMap", text(below, &["name"])),
                    "secretName" => found.near("Secret", below.as_str()),
                    "metadata" | "status" => continue,
                    _ => {}
                }
                custom(below, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| custom(item, found)),
        _ => {}
    }
}
