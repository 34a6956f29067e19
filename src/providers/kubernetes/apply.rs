//! Writing objects: server-side apply as the field manager `runner`, and deletion of exactly what was seen.

use http::Method;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::connection::{Answer, Cluster, plural, request};
use super::fields::{self, Conflict};
use super::object::{Id, at, text};
use super::parent::Job;
use super::{MANAGER, applyset, diff, fault, id_of, kinds, manifest, objects};
use crate::resource::{Class, Create, Delete, Fault, Owner, Update, Value};

/// An object as it is sent: complete, with the marks by which it is known again.
pub fn wanted(owner: &Owner, id: &Id, mut object: Json, cluster: &Cluster) -> Result<Json, Fault> {
    manifest::settle(&mut object).map_err(|why| Fault::new(Class::Invalid, format!("`{id}`: {why}")))?;
    if !object.get("metadata").is_some_and(Json::is_object) {
        return Err(Fault::new(Class::Invalid, format!("`{id}` has no metadata")));
    }
    let metadata = &mut object["metadata"];
    mark(metadata, "labels", applyset::PART_OF, &cluster.applyset(&owner.stack));
    if owner.protect {
        mark(metadata, "annotations", objects::PROTECT, "true");
    }
    Ok(object)
}

fn mark(metadata: &mut Json, below: &str, key: &str, value: &str) {
    if !metadata.get(below).is_some_and(Json::is_object) {
        metadata[below] = json!({});
    }
    metadata[below][key] = value.into();
}

/// By which it is known whether a Job that is gone was this one. Other stacks' digests tell nothing of this one's.
pub fn digest(manifest: &Value, applyset: &str) -> String {
    Sha256::digest(format!("{applyset}\n{manifest}")).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether an object is a Job that removes itself once it is done.
pub fn removes_itself(id: &Id, object: &Json) -> bool {
    (id.kind.as_str(), id.group.as_str()) == ("Job", "batch")
        && at(object, &["spec", "ttlSecondsAfterFinished"]).is_some_and(|seconds| !seconds.is_null())
}

/// How an apply was taken.
pub enum Patched {
    Applied(Answer),
    /// Others set these fields otherwise, and nobody said that they are taken over.
    Conflicts(Vec<Conflict>),
    /// These fields cannot be changed in place.
    Immutable(Vec<String>, Fault),
}

pub async fn patch(cluster: &Cluster, id: &Id, wanted: &Json, dry: bool, force: bool) -> Result<Patched, Fault> {
    let served = cluster.served(text(wanted, &["apiVersion"]).unwrap_or_default(), &id.kind).await?;
    if served.namespaced != id.namespace.is_some() {
        let what = match &id.namespace {
            None => "lives in a namespace, and this one names none".to_owned(),
            Some(namespace) => format!("lives in no namespace, and this one names `{namespace}`"),
        };
        let hint = match served.namespaced {
            true => "write `metadata.namespace`, or give the manifest a `namespace`",
            false => "take `metadata.namespace` out; or put it into a manifest without `namespace`",
        };
        return Err(Fault::new(Class::Invalid, format!("a {} {what}", id.kind)).hint(hint));
    }
    let mut path = format!("{}?fieldManager={MANAGER}", cluster.path(&served, id));
    path.push_str(if dry { "&dryRun=All" } else { "" });
    path.push_str(if force { "&force=true" } else { "" });
    let verb = if dry { "DryRun" } else { "Patch" };
    let operation = format!("k8s:{verb} {}", plural(&served.resource));
    let body = wanted.to_string().into_bytes();
    let sent = request(Method::PATCH, &path, Some("application/apply-patch+yaml"), body)?;
    let answer = cluster.exchange(&operation, sent).await?;
    let said = || serde_json::from_slice::<Json>(&answer.body);
    match answer.status {
        200..300 => match said() {
            Ok(object) => Ok(Patched::Applied(Answer { object, warnings: answer.warnings })),
            Err(error) => Err(Fault::new(Class::Ambiguous, format!("{operation}: the answer is no JSON: {error}"))),
        },
        409 => match said().map(|status| fields::conflicts(&status)) {
            Ok(conflicts) if !conflicts.is_empty() => Ok(Patched::Conflicts(conflicts)),
            _ => Err(fault::of_status(&operation, 409, &String::from_utf8_lossy(&answer.body))),
        },
        status => {
            let body = String::from_utf8_lossy(&answer.body);
            let fault = fault::of_status(&operation, status, &body);
            match fault::immutable_fields(status, &body) {
                fields if fields.is_empty() => Err(fault),
                fields => Ok(Patched::Immutable(fields, fault)),
            }
        }
    }
}

/// What an apply would give that takes conflicting fields over; refused if that would change what others set.
pub async fn forced(
    cluster: &Cluster,
    id: &Id,
    wanted: &Json,
    live: &Json,
    conflicts: &[Conflict],
) -> Result<Answer, Fault> {
    let answer = match patch(cluster, id, wanted, true, true).await? {
        Patched::Applied(answer) => answer,
        Patched::Conflicts(_) => return Err(refuse_all(&id.kind, conflicts)),
        Patched::Immutable(_, fault) => return Err(fault),
    };
    let real: Vec<(&Conflict, Outcome)> =
        conflicts.iter().filter_map(|conflict| Some((conflict, outcome(conflict, live, &answer.object)?))).collect();
    if real.is_empty() { Ok(answer) } else { Err(refuse(&id.kind, &real)) }
}

/// What becomes of a field that another manager set.
enum Outcome {
    Changes {
        path: String,
        before: Json,
        after: Json,
    },
    /// Where it stands cannot be told, and so not whether anything differs.
    Unknown,
}

/// None if the field keeps its value: then nothing is taken away from anybody.
fn outcome(conflict: &Conflict, live: &Json, result: &Json) -> Option<Outcome> {
    // The marks of whose it is are ours to set.
    if [applyset::PART_OF, objects::PROTECT].iter().any(|mark| conflict.field.ends_with(mark)) {
        return None;
    }
    match (fields::find(live, &conflict.field), fields::find(result, &conflict.field)) {
        (Some((path, before)), Some((same, after))) if path == same => {
            let differ = !diff::diff(&json!({ "value": before }), &json!({ "value": after })).is_empty();
            differ.then(|| Outcome::Changes { path, before: before.clone(), after: after.clone() })
        }
        _ => Some(Outcome::Unknown),
    }
}

fn refuse_all(kind: &str, conflicts: &[Conflict]) -> Fault {
    refuse(kind, &conflicts.iter().map(|conflict| (conflict, Outcome::Unknown)).collect::<Vec<_>>())
}

fn refuse(kind: &str, conflicts: &[(&Conflict, Outcome)]) -> Fault {
    let told = conflicts.iter().map(|(conflict, outcome)| match outcome {
        Outcome::Changes { path, before, after } if !diff::is_sensitive(kind, path) => {
            format!("{} set `{path}` to `{}`, here it is `{}`", conflict.manager, shown(before), shown(after))
        }
        Outcome::Changes { path, .. } => format!("{} set `{path}`", conflict.manager),
        Outcome::Unknown => format!("{} set `{}`", conflict.manager, conflict.path),
    });
    let told: Vec<String> = told.collect();
    let mut fault = Fault::new(Class::Invalid, told.join("; "));
    fault.code = Some("Conflict".into());
    fault.hint("leave the field out of the manifest and to its manager, or take it over: `force_conflicts: true`")
}

fn shown(value: &Json) -> String {
    Value::from(value.clone()).to_string()
}

pub async fn create(cluster: &Cluster, request: &Create) -> Result<String, Fault> {
    let id = id_of(kinds::text_of(&request.inputs, kinds::OBJECT))?;
    refuse_terminating(cluster, &id).await?;
    // What is there by now is not ours: a server-side apply would take it over without a word.
    if let Some(there) = objects::read(cluster, &id).await? {
        if at(&there, &["metadata", "deletionTimestamp"]).is_some() {
            let what = format!("the old `{id}` is still being deleted{}", held_up(&there));
            let hint = "wait until it is gone, or see to what holds it up, and run again";
            return Err(Fault::new(Class::Busy, what).hint(hint));
        }
        let set = cluster.applyset(&request.owner.stack);
        if text(&there, &["metadata", "labels", applyset::PART_OF]) != Some(set.as_str()) {
            let hint = "adopt it with the option `adopt: true`, or give this one another name";
            return Err(Fault::new(Class::Exists, format!("`{id}` exists by now, and is not the stack's")).hint(hint));
        }
    }
    write(cluster, &request.owner, &id, &request.inputs).await?;
    Ok(id.to_string())
}

pub async fn update(cluster: &Cluster, request: &Update) -> Result<(), Fault> {
    let id = id_of(&request.live.id)?;
    refuse_terminating(cluster, &id).await?;
    if let Some(there) = objects::read(cluster, &id).await? {
        if at(&there, &["metadata", "deletionTimestamp"]).is_some() {
            return Err(Fault::new(Class::Busy, format!("`{id}` is being deleted")));
        }
        if let Some(patch) = fields::migrate(&there, MANAGER) {
            hand_over(cluster, &id, patch).await?;
        }
    }
    write(cluster, &request.owner, &id, &request.inputs).await
}

/// What keeps an object from going.
fn held_up(going: &Json) -> String {
    // A namespace tells what is left in it.
    let conditions = at(going, &["status", "conditions"]).and_then(Json::as_array).into_iter().flatten();
    let remaining = conditions.filter(|one| text(one, &["status"]) == Some("True"));
    let told: Vec<&str> = remaining.filter_map(|one| text(one, &["message"])).collect();
    let finalizers = at(going, &["metadata", "finalizers"]).and_then(Json::as_array).into_iter().flatten();
    let finalizers: Vec<&str> = finalizers.filter_map(Json::as_str).collect();
    match (told.is_empty(), finalizers.is_empty()) {
        (false, _) => format!(": {}", told.join("; ")),
        (true, false) => format!(": it waits for the finalizer {}", finalizers.join(", ")),
        (true, true) => String::new(),
    }
}

/// An apply into it would be answered as if it were done, and lost.
async fn refuse_terminating(cluster: &Cluster, id: &Id) -> Result<(), Fault> {
    match &id.namespace {
        Some(namespace) if cluster.namespaces(false).await?.terminating.contains(namespace) => {
            let fault = Fault::new(Class::Busy, format!("namespace `{namespace}` is being deleted"));
            Err(fault
                .hint("wait until it is gone; `kubectl get namespace -o yaml` tells in its status what holds it up"))
        }
        _ => Ok(()),
    }
}

/// Fields that were applied client-side become ours, so that those we do not name can go.
async fn hand_over(cluster: &Cluster, id: &Id, patch: Json) -> Result<(), Fault> {
    let Some(served) = cluster.preferred(&id.group, &id.kind).await? else { return Ok(()) };
    let path = format!("{}?fieldManager={MANAGER}", cluster.path(&served, id));
    let operation = format!("k8s:Patch {}", plural(&served.resource));
    let body = patch.to_string().into_bytes();
    cluster.send(&operation, request(Method::PATCH, &path, Some("application/json-patch+json"), body)?).await?;
    Ok(())
}

async fn write(cluster: &Cluster, owner: &Owner, id: &Id, inputs: &crate::resource::Map) -> Result<(), Fault> {
    let given = kinds::manifest(inputs);
    let wanted = wanted(owner, id, Json::from(&given), cluster)?;
    cluster.widen(&owner.stack, id).await?;
    let digest = removes_itself(id, &wanted).then(|| digest(&given, &cluster.applyset(&owner.stack)));
    let known = cluster.parent(&owner.stack).await?.job(id).map(|job| job.digest.clone());
    if known.is_some() && known == digest {
        // It would not be written if that had been the end of it.
        cluster.remember(&owner.stack, id, None).await?;
    }
    let force = inputs.get(kinds::FORCE) == Some(&Value::Bool(true));
    let patched = patch(cluster, id, &wanted, false, force).await.map_err(|fault| settled(fault, id))?;
    let written = match patched {
        Patched::Applied(answer) => answer.object,
        Patched::Immutable(_, fault) => return Err(fault),
        Patched::Conflicts(conflicts) => {
            // In the version that the answer is in.
            let version = text(&wanted, &["apiVersion"]).unwrap_or_default();
            let served = cluster.served(version, &id.kind).await?;
            let there = objects::read_as(cluster, &served, id).await?.unwrap_or_default();
            forced(cluster, id, &wanted, &there, &conflicts).await?;
            // What was looked at is what is written over: another's change in between is a 409.
            let mut exact = wanted.clone();
            if let Some(version) = at(&there, &["metadata", "resourceVersion"]) {
                exact["metadata"]["resourceVersion"] = version.clone();
            }
            match patch(cluster, id, &exact, false, true).await? {
                Patched::Applied(answer) => answer.object,
                Patched::Conflicts(conflicts) => return Err(refuse_all(&id.kind, &conflicts)),
                Patched::Immutable(_, fault) => return Err(fault),
            }
        }
    };
    if digest.is_some() || known.is_some() {
        let job = match digest {
            Some(digest) => Some(Job {
                digest,
                uid: text(&written, &["metadata", "uid"]).unwrap_or_default().to_owned(),
                namespace: namespace_uid(cluster, id, true).await?.unwrap_or_default(),
            }),
            None => None,
        };
        cluster.remember(&owner.stack, id, job).await?;
    }
    if id.kind == "CustomResourceDefinition" {
        let group = text(&wanted, &["spec", "group"]).unwrap_or_default().to_owned();
        let kind = text(&wanted, &["spec", "names", "kind"]).unwrap_or_default().to_owned();
        cluster.define(group, kind).await;
    }
    Ok(())
}

pub async fn namespace_uid(cluster: &Cluster, id: &Id, anew: bool) -> Result<Option<String>, Fault> {
    match &id.namespace {
        Some(namespace) => Ok(cluster.namespaces(anew).await?.uids.get(namespace).cloned()),
        None => Ok(None),
    }
}

/// What is declared is there before what needs it, so what is missing now stays missing.
fn settled(mut fault: Fault, id: &Id) -> Fault {
    if fault.class == Class::NotFound {
        fault.class = Class::Invalid;
        if let Some(namespace) = id.namespace.as_ref().filter(|_| fault.code.as_deref() != Some("NotServed")) {
            fault.hint = Some(format!("declare the namespace too: `kind: Namespace` with the name `{namespace}`"));
        }
    }
    fault
}

pub async fn delete(cluster: &Cluster, request: &Delete) -> Result<(), Fault> {
    let id = id_of(&request.live.id)?;
    let uid = request.live.outputs.get("uid").and_then(Value::as_str).filter(|uid| !uid.is_empty());
    if let (Some(uid), Some(served)) = (uid, cluster.preferred(&id.group, &id.kind).await?) {
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": { "uid": uid },
            "propagationPolicy": "Background",
        });
        let path = cluster.path(&served, &id);
        let operation = format!("k8s:Delete {}", plural(&served.resource));
        let sent = self::request(Method::DELETE, &path, Some("application/json"), body.to_string().into_bytes())?;
        match cluster.send(&operation, sent).await {
            Err(fault) if fault.class == Class::NotFound => {}
            other => drop(other?),
        }
    }
    if let Some(owner) = &request.live.owner {
        cluster.narrow(&owner.stack, &id).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(field: &str) -> Conflict {
        Conflict { manager: "other".into(), path: fields::readable(field), field: field.into() }
    }

    fn limits(gpus: &str, replicas: u32) -> Json {
        let limits = json!({ "nvidia.com/gpu": gpus, "cpu": "1" });
        let containers = json!([{ "name": "web", "resources": { "limits": limits } }]);
        json!({ "spec": { "replicas": 1, "replicasX": replicas, "template": { "spec": { "containers": containers } } } })
    }

    #[test]
    fn a_conflict_is_real_if_the_value_at_its_field_differs() {
        let gpu = conflict(r#".spec.template.spec.containers[name="web"].resources.limits.nvidia.com/gpu"#);
        let changed = outcome(&gpu, &limits("4", 1), &limits("1", 1));
        let Some(Outcome::Changes { path, before, after }) = changed else { panic!("it changes") };
        assert_eq!(path, r#"spec.template.spec.containers[web].resources.limits["nvidia.com/gpu"]"#);
        assert_eq!((before, after), (json!("4"), json!("1")));
        assert!(outcome(&gpu, &limits("4", 1), &limits("4", 2)).is_none());
        // A field whose name begins with another's is another.
        assert!(outcome(&conflict(".spec.replicas"), &limits("4", 1), &limits("4", 2)).is_none());
        // What cannot be found may have changed.
        assert!(matches!(
            outcome(&conflict(".spec.nowhere"), &limits("4", 1), &limits("4", 1)),
            Some(Outcome::Unknown)
        ));
    }

    #[test]
    fn a_conflict_in_a_secret_is_told_without_its_values() {
        let secret = |word: &str| json!({ "kind": "Secret", "data": { "tls.crt": word } });
        let crt = conflict(".data.tls.crt");
        let real = outcome(&crt, &secret("aHVzaA=="), &secret("b3RoZXI=")).expect("it changes");
        let told = refuse("Secret", &[(&crt, real)]).message;
        assert_eq!(told, r#"other set `data["tls.crt"]`"#);
    }
}
