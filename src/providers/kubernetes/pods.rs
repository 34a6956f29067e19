//! Why the pods of a workload are not ready, in one line.

use serde_json::Value as Json;

use super::object::{at, group, text};
use crate::resource::Status;

/// The label selector of a workload whose pods tell more than it does itself.
pub fn needs_pods(object: &Json) -> Option<String> {
    let api = group(text(object, &["apiVersion"])?);
    let is_workload = matches!(
        (api, text(object, &["kind"])?),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
    );
    if !is_workload || !matches!(super::readiness::status(object), Status::Pending(_) | Status::Failed(_)) {
        return None;
    }
    let selector = at(object, &["spec", "selector"])?;
    let labels = selector.get("matchLabels").and_then(Json::as_object).into_iter().flatten();
    let mut parts: Vec<String> = labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for one in selector.get("matchExpressions").and_then(Json::as_array).into_iter().flatten() {
        let key = text(one, &["key"])?;
        let values: Vec<&str> =
            one.get("values").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        parts.push(match text(one, &["operator"])? {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

/// What the worst of a workload's pods says: `pod keycloak-0: ImagePullBackOff: Back-off pulling image "…"`. Pods of
/// an older revision are left out where that can be told.
pub fn why(object: &Json, pods: &[Json]) -> Option<String> {
    let newest = newest(object, pods);
    let is_newest = |pod: &&Json| match &newest {
        Some((label, hashes)) => text(pod, &["metadata", "labels", label]).is_some_and(|hash| hashes.contains(&hash)),
        None => true,
    };
    let worst = pods.iter().filter(is_newest);
    let (_, reason, pod) = worst
        .filter(|pod| at(pod, &["metadata", "deletionTimestamp"]).is_none_or(Json::is_null))
        .filter_map(|pod| ranked(pod).map(|(rank, reason)| (rank, reason, pod)))
        .min_by(|one, other| (one.0, name(one.2)).cmp(&(other.0, name(other.2))))?;
    Some(format!("pod {}: {reason}", name(pod)))
}

/// The last of some events: `FailedCreate: create Pod web-0 in StatefulSet web failed: …`
pub fn warning(events: &[Json]) -> Option<String> {
    let time = |event: &&Json| {
        let times = [&["lastTimestamp"][..], &["eventTime"], &["metadata", "creationTimestamp"]];
        times.into_iter().find_map(|path| text(event, path)).unwrap_or_default().to_owned()
    };
    let last = events.iter().max_by_key(time)?;
    Some(joined(text(last, &["reason"])?, text(last, &["message"])))
}

fn name(pod: &Json) -> &str {
    text(pod, &["metadata", "name"]).unwrap_or("?")
}

/// The label that tells revisions, and what the pods of the newest carry there: more than one value if that cannot be told.
fn newest<'a>(object: &'a Json, pods: &'a [Json]) -> Option<(&'static str, Vec<&'a str>)> {
    const REPLICAS: &str = "pod-template-hash";
    const REVISION: &str = "controller-revision-hash";
    match text(object, &["kind"])? {
        "StatefulSet" => Some((REVISION, vec![text(object, &["status", "updateRevision"])?])),
        "Deployment" => {
            Some((REPLICAS, replica_set(object).map_or_else(|| made_last(pods, REPLICAS), |hash| vec![hash])))
        }
        "DaemonSet" => Some((REVISION, made_last(pods, REVISION))),
        _ => None,
    }
}

/// The hash of the newest ReplicaSet, where the Deployment tells its name: `ReplicaSet "web-5d4f8" is progressing.`
fn replica_set(object: &Json) -> Option<&str> {
    let conditions = at(object, &["status", "conditions"])?.as_array()?;
    let progress = conditions.iter().find(|condition| text(condition, &["type"]) == Some("Progressing"))?;
    let called = text(progress, &["message"])?.split('"').nth(1)?;
    called.strip_prefix(name(object))?.strip_prefix('-')
}

/// What the pods carry that were made last, of which there may be several revisions: dates tell whole seconds. Dates of
/// one format sort as texts do.
fn made_last<'a>(pods: &'a [Json], label: &str) -> Vec<&'a str> {
    let made = |pod: &'a Json| text(pod, &["metadata", "creationTimestamp"]).unwrap_or_default();
    let of = |pod: &'a Json| Some((made(pod), text(pod, &["metadata", "labels", label])?));
    let last = pods.iter().filter_map(of).map(|(made, _)| made).max();
    pods.iter().filter_map(of).filter(|(made, _)| Some(*made) == last).map(|(_, hash)| hash).collect()
}

/// What keeps a pod from being ready; `None` if nothing does.
pub fn reason(pod: &Json) -> Option<String> {
    ranked(pod).map(|(_, reason)| reason)
}

/// The worst first: 0 is what will not go away by itself.
fn ranked(pod: &Json) -> Option<(u8, String)> {
    let containers = ["initContainerStatuses", "containerStatuses"].into_iter().flat_map(|list| {
        at(pod, &["status", list]).and_then(Json::as_array).into_iter().flatten().map(move |c| (list, c))
    });
    let mut found: Vec<(u8, String)> = containers
        .filter_map(|(list, container)| {
            let (rank, reason) = container_reason(container, list == "initContainerStatuses")?;
            let prefix = if list == "initContainerStatuses" { "init container" } else { "container" };
            let called = text(container, &["name"]).unwrap_or("?");
            // A pod's only container needs no name.
            let only =
                at(pod, &["status", "containerStatuses"]).and_then(Json::as_array).is_some_and(|all| all.len() == 1);
            Some((rank, if only && prefix == "container" { reason } else { format!("{prefix} {called}: {reason}") }))
        })
        .collect();
    if text(pod, &["status", "phase"]) == Some("Failed") && found.is_empty() {
        let why = text(pod, &["status", "message"]).or_else(|| text(pod, &["status", "reason"]));
        found.push((0, why.unwrap_or("failed").to_owned()));
    }
    let conditions = at(pod, &["status", "conditions"]).and_then(Json::as_array).into_iter().flatten();
    for condition in conditions.filter(|c| text(c, &["status"]) == Some("False")) {
        if text(condition, &["type"]) == Some("PodScheduled") {
            let why = text(condition, &["reason"]).unwrap_or("not scheduled");
            found.push((1, joined(why, text(condition, &["message"]))));
        }
    }
    found.into_iter().min_by_key(|(rank, _)| *rank)
}

fn container_reason(container: &Json, init: bool) -> Option<(u8, String)> {
    let last = at(container, &["lastState", "terminated"]).filter(|last| !last.is_null());
    if let Some(waiting) = at(container, &["state", "waiting"]).filter(|state| !state.is_null()) {
        let reason = text(waiting, &["reason"]).unwrap_or("waiting");
        return Some(match (reason, last) {
            ("CrashLoopBackOff", Some(last)) => (0, format!("CrashLoopBackOff: {}", ended(last))),
            ("ContainerCreating" | "PodInitializing", _) => (5, reason.to_owned()),
            _ => (0, joined(reason, text(waiting, &["message"]))),
        });
    }
    if let Some(done) = at(container, &["state", "terminated"]).filter(|state| !state.is_null()) {
        let succeeded = done.get("exitCode").and_then(Json::as_i64) == Some(0);
        return (!succeeded).then(|| (0, ended(done)));
    }
    let is_ready = container.get("ready").and_then(Json::as_bool).unwrap_or(false);
    if is_ready || init {
        return None;
    }
    match last {
        Some(last) => Some((2, format!("running again after it {}", ended(last)))),
        None if container.get("started").and_then(Json::as_bool) == Some(false) => {
            Some((4, "running, but its startup probe has not succeeded yet".into()))
        }
        None => {
            let since = text(container, &["state", "running", "startedAt"]);
            let since = since.map(|time| format!(" since {time}")).unwrap_or_default();
            Some((3, format!("running{since}, but not ready: its readiness probe fails")))
        }
    }
}

/// `ended with exit code 137 (OOMKilled)`
fn ended(terminated: &Json) -> String {
    let code = terminated.get("exitCode").and_then(Json::as_i64).unwrap_or(-1);
    let reason = text(terminated, &["reason"]).filter(|reason| *reason != "Error");
    let mut told = format!("ended with exit code {code}");
    if let Some(reason) = reason {
        told.push_str(&format!(" ({reason})"));
    }
    if let Some(message) = text(terminated, &["message"]).and_then(|message| message.trim().lines().last()) {
        told.push_str(&format!(": {message}"));
    }
    told
}

fn joined(reason: &str, message: Option<&str>) -> String {
    match message.map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, hash: &str, made: &str, status: Json) -> Json {
        json!({
            "metadata": { "name": name, "creationTimestamp": made, "labels": { "pod-template-hash": hash } },
            "status": status,
        })
    }

    fn one(state: Json) -> Json {
        json!({ "phase": "Running", "containerStatuses": [state] })
    }

    fn deployment() -> Json {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "generation": 2 },
            "spec": { "replicas": 2, "selector": {
                "matchLabels": { "app": "web" },
                "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["a", "b"] }, { "key": "x", "operator": "Exists" }],
            } },
            "status": { "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1 },
        })
    }

    #[test]
    fn only_a_workload_that_is_not_ready_is_asked_for_its_pods() {
        let mut object = deployment();
        assert_eq!(needs_pods(&object).unwrap(), "app=web,tier in (a,b),x");
        object["status"]["availableReplicas"] = 2.into();
        assert_eq!(needs_pods(&object), None);
        assert_eq!(
            needs_pods(&json!({ "apiVersion": "v1", "kind": "Service", "spec": { "type": "LoadBalancer" } })),
            None
        );
    }

    #[test]
    fn the_worst_pod_of_the_newest_revision_speaks() {
        let waiting = |reason: &str, message: &str| {
            one(json!({ "name": "web", "state": { "waiting": { "reason": reason, "message": message } } }))
        };
        let pods = [
            pod(
                "web-1-a",
                "1",
                "2026-08-01T08:00:00Z",
                waiting("CreateContainerConfigError", "secret \"x\" not found"),
            ),
            pod(
                "web-2-b",
                "2",
                "2026-08-01T09:00:00Z",
                one(
                    json!({ "name": "web", "ready": false, "state": { "running": { "startedAt": "2026-08-01T09:00:03Z" } } }),
                ),
            ),
            pod(
                "web-2-c",
                "2",
                "2026-08-01T09:00:01Z",
                waiting("ImagePullBackOff", "Back-off pulling image \"nginx:1.99\""),
            ),
        ];
        assert_eq!(
            why(&deployment(), &pods).unwrap(),
            "pod web-2-c: ImagePullBackOff: Back-off pulling image \"nginx:1.99\""
        );
        assert_eq!(
            why(&deployment(), &pods[..2]).unwrap(),
            "pod web-2-b: running since 2026-08-01T09:00:03Z, but not ready: its readiness probe fails"
        );
        assert_eq!(why(&deployment(), &[]), None);
        // Which is newest the Deployment says, if it says so.
        let mut object = deployment();
        object["status"]["conditions"] =
            json!([{ "type": "Progressing", "message": "ReplicaSet \"web-1\" is progressing." }]);
        assert!(why(&object, &pods).unwrap().starts_with("pod web-1-a: CreateContainerConfigError"));
    }

    /// An update a moment after the first apply.
    #[test]
    fn pods_of_two_revisions_may_be_made_in_one_second() {
        let at = "2026-08-01T09:00:00Z";
        let well = pod("web-1-a", "1", at, json!({ "phase": "Running", "containerStatuses": [] }));
        let ill = one(json!({ "name": "web", "state": { "waiting": { "reason": "ImagePullBackOff" } } }));
        let ill = pod("web-2-a", "2", at, ill);
        for pods in [[well.clone(), ill.clone()], [ill, well]] {
            assert_eq!(why(&deployment(), &pods).unwrap(), "pod web-2-a: ImagePullBackOff");
        }
    }

    #[test]
    fn a_crash_tells_its_exit_code() {
        let crash = one(json!({
            "name": "web", "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting" } },
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }));
        assert_eq!(
            reason(&json!({ "status": crash })).unwrap(),
            "CrashLoopBackOff: ended with exit code 137 (OOMKilled)"
        );
    }

    #[test]
    fn init_containers_and_the_scheduler_are_heard() {
        let init = json!({ "status": {
            "initContainerStatuses": [{ "name": "migrate", "state": { "terminated": { "exitCode": 2, "reason": "Error" } } }],
            "containerStatuses": [{ "name": "web", "state": { "waiting": { "reason": "PodInitializing" } } }],
        } });
        assert_eq!(reason(&init).unwrap(), "init container migrate: ended with exit code 2");
        let unscheduled = json!({ "status": { "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu.",
        }] } });
        assert_eq!(reason(&unscheduled).unwrap(), "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.");
        assert_eq!(
            reason(&json!({ "status": one(json!({ "name": "web", "ready": true, "state": { "running": {} } })) })),
            None
        );
    }
}
