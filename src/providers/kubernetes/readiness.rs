//! Whether an object does what it was made for, told from the object alone.

use serde_json::Value as Json;

use super::object::{at, group, text};
use crate::resource::Status;

/// Conditions that say "usable", the most telling first.
const POSITIVE: [&str; 7] = ["Ready", "Available", "Programmed", "Accepted", "Healthy", "Synced", "Established"];

/// Reasons with which a controller says that waiting does not help.
const FINAL: [&str; 4] = ["InvalidSpec", "InvalidConfiguration", "ValidationFailed", "Invalid"];

pub fn status(object: &Json) -> Status {
    if at(object, &["metadata", "deletionTimestamp"]).is_some_and(|time| !time.is_null()) {
        return Status::Deleting;
    }
    let kind = text(object, &["kind"]).unwrap_or_default();
    match (group(text(object, &["apiVersion"]).unwrap_or_default()), kind) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "Service") => service(object),
        ("", "Namespace") => match text(object, &["status", "phase"]) {
            Some("Terminating") => Status::Deleting,
            _ => Status::Ready,
        },
        // A claim whose class waits for its first consumer (the usual one on EKS) stays Pending until a pod uses it,
        // and the pod is declared to come after the claim: to wait would be to wait for ever. If it cannot be bound,
        // the pod says so.
        ("", "PersistentVolumeClaim") => match text(object, &["status", "phase"]) {
            Some("Lost") => Status::Failed("its volume is lost".into()),
            _ => Status::Ready,
        },
        ("", "PersistentVolume") => match text(object, &["status", "phase"]) {
            Some("Failed") => Status::Failed(told(text(object, &["status", "message"]), "it could not be reclaimed")),
            Some("Pending") => Status::Pending("the volume is pending".into()),
            _ => Status::Ready,
        },
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => match condition(object, "Available") {
            Some(available) if available.is("True") => Status::Ready,
            Some(available) => Status::Pending(available.told()),
            None => Status::Pending("not available yet".into()),
        },
        // A scaler is there to scale later; that it has no figures yet (a metrics server that starts) delays nothing.
        ("autoscaling", "HorizontalPodAutoscaler") => Status::Ready,
        // Ready as soon as it exists: a controller behind node ports never writes an address. Where one is written, it
        // is an output.
        ("networking.k8s.io", _) => Status::Ready,
        // Its sync and health are those of another repository's contents, over which this apply has no say.
        ("argoproj.io", _) => Status::Ready,
        // Objects of the system's own groups carry conditions that say something else (a budget's `SufficientPods`).
        (group, _) if is_built_in(group) => Status::Ready,
        _ => custom(object),
    }
}

fn is_built_in(group: &str) -> bool {
    !group.contains('.') || (group.ends_with(".k8s.io") && !["gateway", "x-k8s"].iter().any(|own| group.contains(own)))
}

struct Condition<'a>(&'a Json);

impl Condition<'_> {
    fn is(&self, status: &str) -> bool {
        text(self.0, &["status"]) == Some(status)
    }

    fn reason(&self) -> &str {
        text(self.0, &["reason"]).unwrap_or_default()
    }

    /// `MinimumReplicasUnavailable: Deployment does not have minimum availability`
    fn told(&self) -> String {
        let message = text(self.0, &["message"]).unwrap_or_default().trim().trim_end_matches('.');
        let kind = text(self.0, &["type"]).unwrap_or_default();
        match (self.reason(), message) {
            ("", "") => format!("{kind} is {}", text(self.0, &["status"]).unwrap_or("unknown")),
            ("", message) => message.to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }
}

/// Conditions can be null, on objects that no controller has looked at.
fn condition<'a>(object: &'a Json, kind: &str) -> Option<Condition<'a>> {
    let all = at(object, &["status", "conditions"])?.as_array()?;
    all.iter().find(|one| text(one, &["type"]) == Some(kind)).map(Condition)
}

fn number(object: &Json, path: &[&str]) -> Option<i64> {
    at(object, path)?.as_i64()
}

fn count(object: &Json, name: &str) -> i64 {
    number(object, &["status", name]).unwrap_or(0)
}

fn told(message: Option<&str>, otherwise: &str) -> String {
    message.filter(|message| !message.is_empty()).unwrap_or(otherwise).to_owned()
}

/// Whether the controller has not yet looked at the object as it is.
fn is_unseen(object: &Json) -> bool {
    number(object, &["status", "observedGeneration"]).unwrap_or(0)
        < number(object, &["metadata", "generation"]).unwrap_or(0)
}

const UNSEEN: &str = "its controller has not seen the change yet";

fn deployment(object: &Json) -> Status {
    if is_unseen(object) {
        return Status::Pending(UNSEEN.into());
    }
    if let Some(progress) = condition(object, "Progressing").filter(|c| c.reason() == "ProgressDeadlineExceeded") {
        // Quotas and pod security refuse pods where no pod can tell.
        let refused = condition(object, "ReplicaFailure").filter(|c| c.is("True"));
        let refused = refused.map(|failure| format!("; {}", failure.told())).unwrap_or_default();
        return Status::Failed(progress.told() + refused.as_str());
    }
    let wanted = number(object, &["spec", "replicas"]).unwrap_or(1);
    let (updated, total, available) =
        (count(object, "updatedReplicas"), count(object, "replicas"), count(object, "availableReplicas"));
    let waits = if updated < wanted {
        format!("{updated} of {wanted} replicas updated")
    } else if total > updated {
        format!("{} old replicas to be stopped", total - updated)
    } else if available < wanted {
        format!("{available} of {wanted} replicas available")
    } else {
        return Status::Ready;
    };
    // Quotas and pod security refuse pods here, where no pod can tell.
    match condition(object, "ReplicaFailure").filter(|c| c.is("True")) {
        Some(failure) => Status::Pending(format!("{waits}: {}", failure.told())),
        None => Status::Pending(waits),
    }
}

fn stateful_set(object: &Json) -> Status {
    if is_unseen(object) {
        return Status::Pending(UNSEEN.into());
    }
    let wanted = number(object, &["spec", "replicas"]).unwrap_or(1);
    let ready = count(object, "readyReplicas");
    if ready < wanted {
        return Status::Pending(format!("{ready} of {wanted} replicas ready"));
    }
    // With `OnDelete` the old pods stay until a person deletes them.
    if text(object, &["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return Status::Ready;
    }
    let partition = number(object, &["spec", "updateStrategy", "rollingUpdate", "partition"]).unwrap_or(0);
    let updated = count(object, "updatedReplicas");
    let (current, update) = (text(object, &["status", "currentRevision"]), text(object, &["status", "updateRevision"]));
    let to_update = (wanted - partition).max(0);
    if current != update && updated < to_update {
        return Status::Pending(format!("{updated} of {to_update} replicas updated"));
    }
    match number(object, &["status", "availableReplicas"]) {
        Some(available) if available < wanted => Status::Pending(format!("{available} of {wanted} replicas available")),
        _ => Status::Ready,
    }
}

fn daemon_set(object: &Json) -> Status {
    if is_unseen(object) {
        return Status::Pending(UNSEEN.into());
    }
    let wanted = count(object, "desiredNumberScheduled");
    let (updated, available) = (count(object, "updatedNumberScheduled"), count(object, "numberAvailable"));
    let on_delete = text(object, &["spec", "updateStrategy", "type"]) == Some("OnDelete");
    if updated < wanted && !on_delete {
        Status::Pending(format!("{updated} of {wanted} pods updated"))
    } else if available < wanted {
        Status::Pending(format!("{available} of {wanted} pods available"))
    } else {
        Status::Ready
    }
}

fn replica_set(object: &Json) -> Status {
    if is_unseen(object) {
        return Status::Pending(UNSEEN.into());
    }
    let wanted = number(object, &["spec", "replicas"]).unwrap_or(1);
    let available = count(object, "availableReplicas");
    match condition(object, "ReplicaFailure").filter(|c| c.is("True")) {
        _ if available >= wanted => Status::Ready,
        Some(failure) => Status::Pending(failure.told()),
        None => Status::Pending(format!("{available} of {wanted} replicas available")),
    }
}

fn job(object: &Json) -> Status {
    let holds = |kind: &str| condition(object, kind).filter(|c| c.is("True"));
    if let Some(failed) = holds("Failed").or_else(|| holds("FailureTarget")) {
        return Status::Failed(failed.told());
    }
    // One that was declared suspended does all that was asked of it.
    if holds("Complete").is_some() || at(object, &["spec", "suspend"]) == Some(&Json::Bool(true)) {
        return Status::Ready;
    }
    let wanted = number(object, &["spec", "completions"]).unwrap_or(1);
    let (done, failed) = (count(object, "succeeded"), count(object, "failed"));
    let tries = if failed > 0 { format!(", {failed} failed tries") } else { String::new() };
    Status::Pending(format!("{done} of {wanted} completions{tries}"))
}

fn pod(object: &Json) -> Status {
    match text(object, &["status", "phase"]) {
        Some("Succeeded") => Status::Ready,
        Some("Failed") => Status::Failed(told(
            text(object, &["status", "message"]).or_else(|| text(object, &["status", "reason"])),
            "the pod has failed",
        )),
        _ if condition(object, "Ready").is_some_and(|ready| ready.is("True")) => Status::Ready,
        _ => Status::Pending(super::pods::reason(object).unwrap_or_else(|| "the pod is not ready".into())),
    }
}

fn service(object: &Json) -> Status {
    let addresses = at(object, &["status", "loadBalancer", "ingress"]).and_then(Json::as_array);
    let has_address = addresses.is_some_and(|all| !all.is_empty())
        || at(object, &["spec", "externalIPs"]).and_then(Json::as_array).is_some_and(|all| !all.is_empty());
    if text(object, &["spec", "type"]) == Some("LoadBalancer") && !has_address {
        return Status::Pending("the load balancer has no address yet".into());
    }
    Status::Ready
}

fn definition(object: &Json) -> Status {
    if let Some(names) = condition(object, "NamesAccepted").filter(|c| c.is("False")) {
        return Status::Failed(names.told());
    }
    match condition(object, "Established") {
        Some(established) if established.is("True") => Status::Ready,
        Some(established) => Status::Pending(established.told()),
        None => Status::Pending("not established yet".into()),
    }
}

/// An object of a kind we know nothing of: what its conditions say, and ready if they say nothing.
fn custom(object: &Json) -> Status {
    if let Some(stalled) = condition(object, "Stalled").filter(|c| c.is("True")) {
        return Status::Failed(stalled.told());
    }
    let generation = number(object, &["metadata", "generation"]);
    let seen = number(object, &["status", "observedGeneration"]);
    if let (Some(seen), Some(generation)) = (seen, generation)
        && seen < generation
    {
        return Status::Pending(UNSEEN.into());
    }
    let Some(first) = POSITIVE.iter().find_map(|kind| condition(object, kind)) else { return Status::Ready };
    let of_this = number(first.0, &["observedGeneration"]).is_none_or(|seen| Some(seen) >= generation);
    if !of_this {
        return Status::Pending(UNSEEN.into());
    }
    if first.is("True") {
        Status::Ready
    } else if first.is("False") && FINAL.contains(&first.reason()) {
        Status::Failed(first.told())
    } else {
        Status::Pending(first.told())
    }
}

#[cfg(test)]
#[path = "readiness_tests.rs"]
mod tests;
