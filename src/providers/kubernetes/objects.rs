//! Objects as they are: read by the label of the stack's ApplySet, by id, or by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde_json::{Value as Json, json};

use super::connection::{Cluster, Served};
use super::object::{Id, at, text};
use super::{MANAGER, apply, applyset, diff, fields, id_of, kinds, place, pods, readiness};
use crate::resource::{Class, Fault, Live, Owner, Select, Status};

/// Remembers the option `protect` on the object itself.
pub const PROTECT: &str = "runner/protect";
/// The name of the stack, on the parent of its ApplySet.
pub const STACK: &str = "runner/stack";

/// How many objects are read at a time.
const AT_A_TIME: usize = 16;
/// From so many on, one listing is cheaper than to read them one by one.
const FEW: usize = 4;

/// Reasons of the events by which a Job is said to have failed for good.
const ENDS: [&str; 5] =
    ["BackoffLimitExceeded", "DeadlineExceeded", "FailedIndexes", "MaxFailedIndexesExceeded", "PodFailurePolicy"];

/// Objects of one kind, whatever its groups.
pub async fn list(cluster: &Cluster, kind: &str, select: &Select) -> Result<Vec<Live>, Fault> {
    match select {
        Select::Owned { stack } => owned(cluster, kind, stack).await,
        Select::Ids(ids) | Select::Named(ids) => {
            let ids: Vec<Id> = ids.iter().map(|id| id_of(id)).collect::<Result<_, _>>()?;
            let stack = cluster.stack();
            let mut found = vec![];
            let mut rest: Vec<Id> = ids;
            if let (Select::Ids(_), Some(stack)) = (select, stack.filter(|_| rest.len() >= FEW)) {
                let owned = owned(cluster, kind, &stack).await?;
                let listed = |id: &Id| owned.iter().position(|live| live.id == id.to_string());
                let (there, missing) = rest.into_iter().partition(|id| listed(id).is_some());
                rest = missing;
                found.extend(there.iter().filter_map(|id: &Id| listed(id)).map(|index| owned[index].clone()));
            }
            let reads = stream::iter(rest).map(|id| async move {
                let object = read(cluster, &id).await;
                (id, object)
            });
            let read: Vec<(Id, Result<Option<Json>, Fault>)> = reads.buffered(AT_A_TIME).collect().await;
            for (id, object) in read {
                match object? {
                    Some(object) => found.push(live(cluster, &id, object).await?),
                    None => found.extend(finished(cluster, &id).await?),
                }
            }
            Ok(found)
        }
    }
}

/// What the ApplySet has of a kind.
async fn owned(cluster: &Cluster, kind: &str, stack: &str) -> Result<Vec<Live>, Fault> {
    let parent = cluster.parent(stack).await?;
    let labels = format!("{}={}", applyset::PART_OF, cluster.applyset(stack));
    let mut lives = vec![];
    for group in parent.groups_of(kind) {
        // The definition of a kind may be gone, and with it all objects of that kind.
        let Some(served) = cluster.preferred(&group, kind).await? else { continue };
        for object in cluster.list(&served, &labels).await? {
            if let Some(id) = identify(cluster, &served, &object) {
                lives.push(live(cluster, &id, object).await?);
            }
        }
    }
    for id in parent.jobs().filter(|id| id.kind == kind) {
        if !lives.iter().any(|live| live.id == id.to_string()) {
            lives.extend(finished(cluster, &id).await?);
        }
    }
    Ok(lives)
}

fn identify(cluster: &Cluster, served: &Served, object: &Json) -> Option<Id> {
    Some(Id {
        cluster: cluster.name.clone(),
        kind: served.resource.kind.clone(),
        group: served.resource.group.clone(),
        namespace: text(object, &["metadata", "namespace"]).map(str::to_owned),
        name: text(object, &["metadata", "name"])?.to_owned(),
    })
}

/// One object in the version that the cluster prefers; `None` if it is not there.
pub async fn read(cluster: &Cluster, id: &Id) -> Result<Option<Json>, Fault> {
    match cluster.preferred(&id.group, &id.kind).await? {
        Some(served) => read_as(cluster, &served, id).await,
        None => Ok(None),
    }
}

pub async fn read_as(cluster: &Cluster, served: &Served, id: &Id) -> Result<Option<Json>, Fault> {
    let operation = format!("k8s:Get {}", super::connection::plural(&served.resource));
    match cluster.get(&operation, &cluster.path(served, id)).await {
        Ok(object) => Ok(Some(object)),
        Err(fault) if fault.class == Class::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// An object in our vocabulary: what we set of it, whose it is, and how it is.
pub async fn live(cluster: &Cluster, id: &Id, object: Json) -> Result<Live, Fault> {
    let mut status = readiness::status(&object);
    // A Job that removes itself is done before it goes.
    if status == Status::Deleting && apply::removes_itself(id, &object) {
        let mut as_it_was = object.clone();
        as_it_was["metadata"].as_object_mut().map(|metadata| metadata.remove("deletionTimestamp"));
        status = match readiness::status(&as_it_was) {
            Status::Pending(_) => Status::Deleting,
            ended => ended,
        };
    }
    if let Some(namespace) = &id.namespace
        && cluster.namespaces(false).await?.terminating.contains(namespace)
    {
        status = Status::Deleting;
    }
    if let Status::Pending(why) | Status::Failed(why) = &mut status
        && let Some(cause) = cause(cluster, id, &object).await
    {
        *why = format!("{why}; {cause}");
    }
    let mut ours = fields::owned_by(&object, MANAGER);
    if let Some(ours) = ours.as_object_mut() {
        // What it is called is part of what it is.
        ours.insert("apiVersion".into(), object.get("apiVersion").cloned().unwrap_or_default());
        ours.insert("kind".into(), id.kind.as_str().into());
        let metadata = ours.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("name".into(), id.name.as_str().into());
            metadata.extend(id.namespace.iter().map(|namespace| ("namespace".into(), namespace.as_str().into())));
        }
    }
    if let Some(uid) = at(&object, &["metadata", "uid"]) {
        ours["metadata"]["uid"] = uid.clone();
    }
    diff::mask(&mut ours);
    if let Some(metadata) = ours.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("uid");
    }
    let live = Live {
        id: id.to_string(),
        region: Some(place(&cluster.name)),
        owner: owner(cluster, id, &object).await,
        inputs: BTreeMap::from([(kinds::OBJECT.into(), id.to_string().into()), (kinds::MANIFEST.into(), ours.into())]),
        outputs: BTreeMap::from([
            ("id".into(), id.to_string().into()),
            ("uid".into(), text(&object, &["metadata", "uid"]).unwrap_or_default().into()),
            ("status".into(), object.get("status").cloned().unwrap_or_default().into()),
        ]),
        status,
    };
    cluster.seen.lock().expect("no holder panics").insert(id.clone(), Arc::new(object));
    Ok(live)
}

/// Why something does not become ready, as its pods tell it, or a warning about it. That they cannot be read is no
/// reason to fail.
async fn cause(cluster: &Cluster, id: &Id, object: &Json) -> Option<String> {
    if let Some(selector) = pods::needs_pods(object)
        && let Some(why) = listed(cluster, id, "Pod", &format!("labelSelector={}", urlencoding::encode(&selector)))
            .await
            .and_then(|pods| pods::why(object, &pods))
    {
        return Some(why);
    }
    // What keeps pods from being made at all is told nowhere else, but for Deployments.
    let uid = text(object, &["metadata", "uid"])?;
    let about = urlencoding::encode(&format!("involvedObject.uid={uid},type=Warning")).into_owned();
    let events = listed(cluster, id, "Event", &format!("fieldSelector={about}")).await?;
    pods::warning(&events)
}

async fn listed(cluster: &Cluster, id: &Id, kind: &str, selector: &str) -> Option<Vec<Json>> {
    let served = cluster.served("v1", kind).await.ok()?;
    let path = format!("{}?{selector}&limit=50", cluster.collection(&served, id.namespace.as_deref()));
    let operation = format!("k8s:List {}", super::connection::plural(&served.resource));
    let mut found = cluster.get(&operation, &path).await.ok()?;
    match found.get_mut("items").map(Json::take) {
        Some(Json::Array(items)) => Some(items),
        _ => None,
    }
}

/// Whose ApplySet another one is: the stack, or the name of a parent that is not ours.
async fn keeper(cluster: &Cluster, set: &str) -> Option<String> {
    let labels = format!("{}={set}", applyset::ID);
    for kind in ["ConfigMap", "Secret"] {
        let served = cluster.served("v1", kind).await.ok()?;
        let found = cluster.list(&served, &labels).await.unwrap_or_default();
        if let Some(parent) = found.first() {
            let name = text(parent, &["metadata", "name"])?;
            let stack = text(parent, &["metadata", "annotations", STACK]).filter(|_| applyset::is_ours(parent));
            return Some(stack.map_or_else(|| format!("of {kind} {name}"), str::to_owned));
        }
    }
    None
}

async fn owner(cluster: &Cluster, id: &Id, object: &Json) -> Option<Owner> {
    let set = text(object, &["metadata", "labels", applyset::PART_OF])?;
    let stack = match cluster.stack() {
        Some(stack) if cluster.applyset(&stack) == set => stack,
        _ => keeper(cluster, set).await.unwrap_or_else(|| format!("of {set}")),
    };
    Some(Owner {
        stack,
        address: kinds::address(id, cluster.text("address_prefix")),
        deposed: false,
        protect: text(object, &["metadata", "annotations", PROTECT]) == Some("true"),
    })
}

/// A Job that removes itself once it is done: what it was is remembered in the ApplySet's parent.
async fn finished(cluster: &Cluster, id: &Id) -> Result<Option<Live>, Fault> {
    let Some(stack) = cluster.stack() else { return Ok(None) };
    let parent = cluster.parent(&stack).await?;
    let Some(job) = parent.job(id) else { return Ok(None) };
    if apply::namespace_uid(cluster, id, false).await?.is_none_or(|uid| uid != job.namespace) {
        return Ok(None);
    }
    Ok(Some(Live {
        id: id.to_string(),
        region: Some(place(&cluster.name)),
        owner: Some(Owner {
            stack,
            address: kinds::address(id, cluster.text("address_prefix")),
            deposed: false,
            protect: false,
        }),
        inputs: BTreeMap::from([
            (kinds::OBJECT.into(), id.to_string().into()),
            (kinds::MANIFEST.into(), json!({ "finished": job.digest }).into()),
        ]),
        outputs: BTreeMap::from([("id".into(), id.to_string().into())]),
        status: ended(cluster, id, &job.uid).await,
    }))
}

/// How a Job ended that is gone: as it was seen last, or else as its events tell it.
async fn ended(cluster: &Cluster, id: &Id, uid: &str) -> Status {
    let seen = cluster.seen.lock().expect("no holder panics").get(id).cloned();
    if let Some(seen) = seen.filter(|seen| text(seen, &["metadata", "uid"]) == Some(uid)) {
        match readiness::status(&seen) {
            Status::Pending(_) | Status::Deleting => {}
            known => return known,
        }
    }
    let about = urlencoding::encode(&format!("involvedObject.uid={uid},type=Warning")).into_owned();
    let events = listed(cluster, id, "Event", &format!("fieldSelector={about}")).await.unwrap_or_default();
    let end = events.iter().find(|event| text(event, &["reason"]).is_some_and(|reason| ENDS.contains(&reason)));
    match end {
        Some(event) => Status::Failed(text(event, &["message"]).unwrap_or("it failed").to_owned()),
        None => Status::Ready,
    }
}
