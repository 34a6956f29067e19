//! Readiness, on objects as controllers leave them.

use serde_json::json;

use super::*;

fn pending(object: &Json) -> String {
    match status(object) {
        Status::Pending(why) => why,
        other => panic!("{other:?} of {object}"),
    }
}

fn failed(object: &Json) -> String {
    match status(object) {
        Status::Failed(why) => why,
        other => panic!("{other:?} of {object}"),
    }
}

fn of(api: &str, kind: &str, spec: Json, status: Json) -> Json {
    json!({ "apiVersion": api, "kind": kind, "metadata": { "name": "x", "generation": 2 }, "spec": spec, "status": status })
}

#[test]
fn a_deployment_is_ready_when_all_its_replicas_are_new_and_available() {
    let of = |updated: i64, total: i64, available: i64, conditions: Json| {
        of(
            "apps/v1",
            "Deployment",
            json!({ "replicas": 2 }),
            json!({
                "observedGeneration": 2, "updatedReplicas": updated, "replicas": total, "availableReplicas": available,
                "conditions": conditions,
            }),
        )
    };
    assert_eq!(status(&of(2, 2, 2, Json::Null)), Status::Ready);
    let available = json!([{ "type": "Available", "status": "True" }]);
    assert_eq!(pending(&of(1, 3, 2, available)), "1 of 2 replicas updated");
    assert_eq!(pending(&of(2, 3, 2, json!([]))), "1 old replicas to be stopped");
    assert_eq!(pending(&of(2, 2, 1, json!([]))), "1 of 2 replicas available");
    let quota = json!([{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: q" }]);
    assert_eq!(pending(&of(0, 0, 0, quota)), "0 of 2 replicas updated: FailedCreate: exceeded quota: q");
    let late = json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet \"x\" has timed out progressing." }]);
    assert!(failed(&of(1, 3, 2, late.clone())).starts_with("ProgressDeadlineExceeded: "));
    let mut unseen = of(2, 2, 2, late);
    unseen["metadata"]["generation"] = 3.into();
    assert_eq!(pending(&unseen), UNSEEN, "the deadline was the last version's");
    unseen["metadata"]["deletionTimestamp"] = "2026-08-01T08:00:00Z".into();
    assert_eq!(status(&unseen), Status::Deleting);
}

#[test]
fn a_stateful_set_waits_for_its_new_revision_above_the_partition() {
    let of = |spec: Json, updated: i64, ready: i64| {
        of(
            "apps/v1",
            "StatefulSet",
            spec,
            json!({
                "observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": updated,
                "currentRevision": "x-1", "updateRevision": "x-2",
            }),
        )
    };
    let rolling = json!({ "replicas": 3 });
    assert_eq!(pending(&of(rolling.clone(), 1, 3)), "1 of 3 replicas updated");
    assert_eq!(pending(&of(rolling.clone(), 3, 2)), "2 of 3 replicas ready");
    assert_eq!(status(&of(rolling, 3, 3)), Status::Ready);
    let part =
        json!({ "replicas": 3, "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 2 } } });
    assert_eq!(status(&of(part, 1, 3)), Status::Ready);
    let by_hand = json!({ "replicas": 3, "updateStrategy": { "type": "OnDelete" } });
    assert_eq!(status(&of(by_hand, 0, 3)), Status::Ready);
}

#[test]
fn a_daemon_set_runs_on_every_node() {
    let of = |updated: i64, available: i64| {
        of(
            "apps/v1",
            "DaemonSet",
            json!({}),
            json!({
                "observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": updated, "numberAvailable": available,
            }),
        )
    };
    assert_eq!(pending(&of(1, 2)), "1 of 2 pods updated");
    assert_eq!(pending(&of(2, 1)), "1 of 2 pods available");
    assert_eq!(status(&of(2, 2)), Status::Ready);
}

#[test]
fn a_job_is_ready_when_done() {
    let of = |spec: Json, status: Json| of("batch/v1", "Job", spec, status);
    assert_eq!(pending(&of(json!({}), json!({ "active": 1, "failed": 2 }))), "0 of 1 completions, 2 failed tries");
    let done = |kind: &str| json!({ "conditions": [{ "type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit" }] });
    assert_eq!(status(&of(json!({}), done("Complete"))), Status::Ready);
    assert_eq!(
        failed(&of(json!({}), done("Failed"))),
        "BackoffLimitExceeded: Job has reached the specified backoff limit"
    );
    assert_eq!(status(&of(json!({ "suspend": true }), json!({}))), Status::Ready);
}

#[test]
fn what_has_an_address_waits_for_it_and_an_ingress_does_not() {
    let lb = |status: Json| of("v1", "Service", json!({ "type": "LoadBalancer" }), status);
    assert_eq!(pending(&lb(json!({ "loadBalancer": {} }))), "the load balancer has no address yet");
    assert_eq!(
        status(&lb(json!({ "loadBalancer": { "ingress": [{ "hostname": "a.elb.amazonaws.com" }] } }))),
        Status::Ready
    );
    assert_eq!(
        status(&of("v1", "Service", json!({ "type": "NodePort" }), json!({ "loadBalancer": {} }))),
        Status::Ready
    );
    assert_eq!(status(&of("networking.k8s.io/v1", "Ingress", json!({}), json!({ "loadBalancer": {} }))), Status::Ready);
}

#[test]
fn a_definition_is_ready_when_established() {
    let of = |conditions: Json| {
        of("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), json!({ "conditions": conditions }))
    };
    assert_eq!(pending(&of(Json::Null)), "not established yet");
    let names = json!({ "type": "NamesAccepted", "status": "True" });
    assert_eq!(status(&of(json!([names, { "type": "Established", "status": "True" }]))), Status::Ready);
    let taken = json!([{ "type": "NamesAccepted", "status": "False", "reason": "PluralConflict", "message": "\"widgets\" is already in use" }]);
    assert_eq!(failed(&of(taken)), "PluralConflict: \"widgets\" is already in use");
}

#[test]
fn a_claim_waits_for_nobody_but_its_loss_is_told() {
    let claim = |phase: &str| of("v1", "PersistentVolumeClaim", json!({}), json!({ "phase": phase }));
    assert_eq!((status(&claim("Pending")), status(&claim("Bound"))), (Status::Ready, Status::Ready));
    failed(&claim("Lost"));
    assert_eq!(status(&of("v1", "Namespace", json!({}), json!({ "phase": "Terminating" }))), Status::Deleting);
}

#[test]
fn a_custom_resource_is_what_its_conditions_say() {
    let of = |status: Json| of("cert-manager.io/v1", "Certificate", json!({}), status);
    assert_eq!(status(&of(Json::Null)), Status::Ready);
    assert_eq!(status(&of(json!({ "conditions": null }))), Status::Ready);
    let with = |kind: &str, is: &str, reason: &str, seen: i64| {
        of(
            json!({ "conditions": [{ "type": kind, "status": is, "reason": reason, "message": "so it is.", "observedGeneration": seen }] }),
        )
    };
    assert_eq!(status(&with("Ready", "True", "Issued", 2)), Status::Ready);
    assert_eq!(pending(&with("Ready", "True", "Issued", 1)), UNSEEN);
    assert_eq!(pending(&with("Accepted", "False", "NoRoute", 2)), "NoRoute: so it is");
    assert_eq!(pending(&with("Ready", "Unknown", "", 2)), "so it is");
    assert_eq!(failed(&with("Stalled", "True", "Broken", 2)), "Broken: so it is");
    assert_eq!(failed(&with("Ready", "False", "InvalidSpec", 2)), "InvalidSpec: so it is");
    assert_eq!(status(&with("Paused", "True", "x", 2)), Status::Ready, "a condition that says nothing of use");
}

#[test]
fn other_peoples_applications_are_not_waited_for() {
    let object = of("argoproj.io/v1alpha1", "Application", json!({}), json!({ "health": { "status": "Degraded" } }));
    assert_eq!(status(&object), Status::Ready);
    let service = of(
        "apiregistration.k8s.io/v1",
        "APIService",
        json!({}),
        json!({ "conditions": [
        { "type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "no endpoints" },
    ] }),
    );
    assert_eq!(pending(&service), "MissingEndpoints: no endpoints");
    let budget = of(
        "policy/v1",
        "PodDisruptionBudget",
        json!({}),
        json!({ "conditions": [{ "type": "Ready", "status": "False" }] }),
    );
    assert_eq!(status(&budget), Status::Ready);
}
