//! What an object would become: a server-side dry run, compared with what is live.

use http::Method;
use serde_json::Value as Json;

use super::apply::{self, Patched};
use super::connection::{self, Cluster, plural};
use super::object::{Id, at, text};
use super::path::{is_below, label, merge_keys};
use super::unknowns::{all_set, known};
use super::{MANAGER, diff, fields, id_of, kinds, objects};
use crate::resource::{Class, Difference, Fault, Live, Preview, Previewed, Status, Value};

/// How often an object is looked at that others keep changing meanwhile.
const LOOKS: usize = 5;

/// What would be made where nobody can be asked.
pub fn of_nothing(request: &Preview, why: &str) -> Previewed {
    Previewed { differences: made(request), unchecked: Some(why.to_owned()), ..Previewed::default() }
}

/// By what both say; a field that is no longer written is one that goes.
pub fn by_shape(request: &Preview) -> Previewed {
    let Some(live) = &request.live else { return Previewed { differences: made(request), ..Previewed::default() } };
    let (wanted, live) = (kinds::manifest(&request.inputs), kinds::manifest(&live.inputs));
    let kind = kinds::text(&wanted, &["kind"]).unwrap_or_default().to_owned();
    let live = Json::from(&live);
    let told = known(&wanted, Some(&live));
    let differences = diff::diff(&live, &told.object).into_iter().map(|one| line(&kind, one)).collect();
    Previewed { differences: with_unknown(differences, told.unknown), ..Previewed::default() }
}

/// The same where there is an API server, and it was not asked.
pub fn unasked(request: &Preview, why: &str) -> Previewed {
    let mut told = match &request.live {
        // Of what is gone only a digest is left, and how it is reckoned only the cluster's way in tells.
        Some(live) if is_finished(live) => Previewed::default(),
        _ => by_shape(request),
    };
    let told_of = request.live.is_none() || !told.differences.is_empty();
    match told_of {
        true => told.unchecked = Some(why.to_owned()),
        false => told.notes.push(format!("not compared by the cluster: {why}")),
    }
    told
}

fn line(kind: &str, one: diff::Difference) -> Difference {
    Difference {
        sensitive: diff::is_sensitive(kind, &one.path),
        before: one.before.map(Value::from),
        after: one.after.map(Value::from),
        path: one.path,
        forces_replace: false,
    }
}

fn made(request: &Preview) -> Vec<Difference> {
    let manifest = kinds::manifest(&request.inputs);
    let kind = kinds::text(&manifest, &["kind"]).unwrap_or_default().to_owned();
    let mut lines = all_set(&manifest);
    // What its address says already.
    lines.retain(|line| !matches!(line.path.as_str(), "apiVersion" | "kind" | "metadata.name" | "metadata.namespace"));
    lines.iter_mut().for_each(|line| line.sensitive |= diff::is_sensitive(&kind, &line.path));
    lines
}

pub async fn preview(cluster: &Cluster, request: &Preview) -> Result<Previewed, Fault> {
    match &request.live {
        Some(live) if is_finished(live) => finished(cluster, request, live),
        Some(live) => of_live(cluster, request, live).await,
        None => of_new(cluster, request).await,
    }
}

/// A Job that removed itself when it was done.
fn is_finished(live: &Live) -> bool {
    live.inputs.get(kinds::MANIFEST).and_then(Value::as_map).is_some_and(|map| map.contains_key("finished"))
}

fn finished(cluster: &Cluster, request: &Preview, live: &Live) -> Result<Previewed, Fault> {
    let manifest = kinds::manifest(&request.inputs);
    let before = live.inputs[kinds::MANIFEST].as_map().and_then(|map| map.get("finished")).cloned();
    let after = Some(apply::digest(&manifest, &cluster.applyset(&request.owner.stack)).into());
    if let Status::Failed(why) = &live.status {
        let path = "(how it ended)".to_owned();
        let (before, after) = (Some("failed".into()), Some("not run yet".into()));
        let differences = vec![Difference { path, before, after, sensitive: false, forces_replace: false }];
        let notes = vec![format!("it failed, removed itself, and runs once more: {why}")];
        return Ok(Previewed { differences, notes, ..Previewed::default() });
    }
    if before == after {
        return Ok(Previewed::default());
    }
    let path = "(what it was, as a digest)".to_owned();
    let differences = vec![Difference { path, before, after, sensitive: false, forces_replace: false }];
    let notes = vec!["it removed itself when it was done, and runs once more".to_owned()];
    Ok(Previewed { differences, notes, ..Previewed::default() })
}

async fn of_new(cluster: &Cluster, request: &Preview) -> Result<Previewed, Fault> {
    let id = id_of(kinds::text_of(&request.inputs, kinds::OBJECT))?;
    let manifest = kinds::manifest(&request.inputs);
    let nothing = |why: String| Ok(of_nothing(request, &why));
    if !manifest.is_known() {
        return nothing("some of it is known after apply".into());
    }
    if let Some(namespace) = &id.namespace
        && cluster.namespaces(false).await?.terminating.contains(namespace)
    {
        return nothing(format!("namespace `{namespace}` is being deleted"));
    }
    let wanted = apply::wanted(&request.owner, &id, Json::from(&manifest), cluster)?;
    match apply::patch(cluster, &id, &wanted, true, true).await {
        Ok(Patched::Applied(answer)) if at(&answer.object, &["metadata", "deletionTimestamp"]).is_some() => {
            nothing("the one that is there is being deleted first".into())
        }
        Ok(Patched::Applied(answer)) => {
            Ok(Previewed { differences: made(request), notes: answer.warnings, ..Previewed::default() })
        }
        Ok(Patched::Conflicts(_) | Patched::Immutable(..)) => {
            Ok(Previewed { differences: made(request), ..Previewed::default() })
        }
        // Kubernetes' own kinds come with the cluster, and no definition adds them later.
        Err(fault) if fault.code.as_deref() == Some("NotServed") && !id.group.contains('.') => Err(fault),
        Err(fault) if fault.class == Class::NotFound && fault.code.as_deref() == Some("NotServed") => {
            nothing(format!("{} is not served yet", id.kind))
        }
        Err(fault) if fault.class == Class::NotFound => nothing(match &id.namespace {
            Some(namespace) => format!("namespace `{namespace}` does not exist yet"),
            None => fault.message,
        }),
        Err(fault) if fault.class == Class::Busy => nothing(fault.message),
        Err(fault) => Err(fault),
    }
}

async fn of_live(cluster: &Cluster, request: &Preview, live: &Live) -> Result<Previewed, Fault> {
    let id = id_of(&live.id)?;
    let manifest = kinds::manifest(&request.inputs);
    let version = kinds::text(&manifest, &["apiVersion"]).unwrap_or_default().to_owned();
    let forced = request.inputs.get(kinds::FORCE) == Some(&Value::Bool(true));
    let seen = cluster.seen.lock().expect("no holder panics").get(&id).cloned();
    let mut whole = match seen.filter(|seen| text(seen, &["apiVersion"]) == Some(version.as_str())) {
        Some(seen) => (*seen).clone(),
        None => reread(cluster, &id, &version).await?,
    };
    // What is live may move between the two looks; then it is looked at once more.
    for last in (1..=LOOKS).map(|look| look == LOOKS) {
        let told = known(&manifest, Some(&whole));
        let wanted = apply::wanted(&request.owner, &id, told.object, cluster)?;
        let asked = dry_run(cluster, &id, &wanted, &whole, forced).await;
        let (result, mut notes) = match asked {
            Ok(asked) => asked,
            Err(Refused::Immutable(fields)) => {
                let mut differences = by_manifest(&whole, &wanted, &id, told.unknown);
                force(&mut differences, &fields);
                return Ok(Previewed { differences, replaces: Some(fields.join(", ")), ..Previewed::default() });
            }
            Err(Refused::Fault(fault)) if fault.class == Class::Busy => {
                let differences = by_manifest(&whole, &wanted, &id, told.unknown);
                let notes = vec![format!("not validated: {}", fault.message)];
                return Ok(Previewed { differences, notes, ..Previewed::default() });
            }
            // What is missing may be all that is wrong.
            Err(Refused::Fault(fault)) if may_complete(&fault, &told.unknown) => {
                let differences = by_manifest(&whole, &wanted, &id, told.unknown);
                let notes = vec![format!("not validated, as some of it is known after apply: {}", fault.message)];
                return Ok(Previewed { differences, notes, ..Previewed::default() });
            }
            Err(Refused::Fault(fault)) => return Err(fault),
        };
        let mut result = result;
        if moved(&whole, &result) {
            whole = reread(cluster, &id, &version).await?;
            // If it has stayed as it was at the dry run, this is what that was made from.
            if moved(&whole, &result) && !last {
                continue;
            }
            if moved(&whole, &result) {
                notes.push("it keeps changing: what others change meanwhile may stand here too".to_owned());
            }
        }
        let client_side = fields::is_client_side(&whole);
        if let Some(client_side) = &client_side {
            match without_client_sides(cluster, &id, &whole, &wanted, &result).await {
                Some(told) => result = told,
                None => fields::drop_handed_over(&whole, MANAGER, &wanted, &mut result),
            }
            notes.push(format!(
                "applied client-side by {} before: its fields become this manifest's, and those it does not name go",
                client_side.managers.join(", ")
            ));
        }
        let mut differences = with_unknown(lines(&whole, &result, &id), told.unknown);
        let ours = live.owner.as_ref().is_some_and(|owner| owner.stack == request.owner.stack);
        if ours && !cluster.parent(&request.owner.stack).await?.names(&id) {
            // Ours by its label, and yet nobody would find it: written once more, it is.
            let (path, before) = ("(the ApplySet that names it)".to_owned(), None);
            let after = Some(cluster.applyset(&request.owner.stack).into());
            differences.push(Difference { path, before, after, sensitive: false, forces_replace: false });
        }
        for other in fields::foreign(&whole, MANAGER) {
            // What kubectl applied is told above, as a whole.
            if client_side.as_ref().is_some_and(|one| one.managers.contains(&other.manager)) {
                continue;
            }
            let changes = |path: &String| differences.iter().any(|line| is_below(path, &line.path));
            let (taken, added): (Vec<String>, Vec<String>) = other.paths.into_iter().partition(changes);
            if !taken.is_empty() {
                notes.push(format!("taken over from {}: {}", other.manager, taken.join(", ")));
            }
            if !added.is_empty() {
                notes.push(format!("{} also set {}", other.manager, added.join(", ")));
            }
        }
        return Ok(Previewed { differences, notes, ..Previewed::default() });
    }
    Err(Fault::new(Class::Other, format!("`{id}` keeps changing while it is compared")).hint("run again"))
}

async fn reread(cluster: &Cluster, id: &Id, version: &str) -> Result<Json, Fault> {
    let served = cluster.served(version, &id.kind).await?;
    let found = objects::read_as(cluster, &served, id).await?;
    found.ok_or_else(|| Fault::new(Class::NotFound, format!("`{id}` is gone")).hint("run again"))
}

/// A dry run changes no version; another one says that someone else wrote in between.
fn moved(live: &Json, result: &Json) -> bool {
    let version = |object| text(object, &["metadata", "resourceVersion"]).map(str::to_owned);
    version(live) != version(result)
}

/// Why there is no outcome to compare.
enum Refused {
    /// These fields cannot be changed in place.
    Immutable(Vec<String>),
    Fault(Fault),
}

/// What an apply would give.
async fn dry_run(
    cluster: &Cluster,
    id: &Id,
    wanted: &Json,
    live: &Json,
    force: bool,
) -> Result<(Json, Vec<String>), Refused> {
    match apply::patch(cluster, id, wanted, true, force).await.map_err(Refused::Fault)? {
        Patched::Immutable(fields, _) => Err(Refused::Immutable(fields)),
        Patched::Applied(answer) => Ok((answer.object, answer.warnings)),
        Patched::Conflicts(conflicts) => {
            let forced = apply::forced(cluster, id, wanted, live, &conflicts).await.map_err(Refused::Fault)?;
            Ok((forced.object, forced.warnings))
        }
    }
}

/// Told by what the manifest says, where the server gives nothing to compare with.
fn by_manifest(live: &Json, wanted: &Json, id: &Id, unknown: Vec<Difference>) -> Vec<Difference> {
    let mut result = live.clone();
    overlay(&mut result, wanted, "");
    with_unknown(lines(live, &result, id), unknown)
}

fn with_unknown(mut differences: Vec<Difference>, unknown: Vec<Difference>) -> Vec<Difference> {
    differences.retain(|line| !unknown.iter().any(|unknown| unknown.path == line.path));
    differences.extend(unknown);
    differences
}

/// Marks what cannot be changed in place: by the fields that the server names, or all, if it names none of them.
fn force(differences: &mut [Difference], fields: &[String]) {
    // Items of lists go by number there, and by name here.
    let tops: Vec<&str> = fields.iter().filter_map(|field| field.split('[').next()).collect();
    let is_meant = |line: &Difference| tops.iter().any(|top| is_below(&line.path, top) || is_below(top, &line.path));
    let any = differences.iter().any(is_meant);
    differences.iter_mut().for_each(|line| line.forces_replace = !any || is_meant(line));
}

/// Whether an object may be refused only for what is left out of it until it is known.
fn may_complete(fault: &Fault, unknown: &[Difference]) -> bool {
    let is_misspelt = fault.message.contains("field not declared in schema");
    fault.class == Class::Invalid
        && fault.code.as_deref() != Some("Conflict")
        && !is_misspelt
        && unknown.iter().any(|line| line.before.is_none())
}

/// `field` is the name of the field that both stand under.
fn overlay(base: &mut Json, over: &Json, field: &str) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                overlay(base.entry(key.clone()).or_insert(Json::Null), value, key);
            }
        }
        (Json::Array(base), Json::Array(over)) => {
            let keys = merge_keys(field, &[base, over]);
            let old = std::mem::take(base);
            let same = |place: usize, item: &Json| match keys {
                Some(keys) => old.iter().find(|old| label(keys, old) == label(keys, item)),
                None => old.get(place).filter(|_| old.len() == over.len()),
            };
            *base = over
                .iter()
                .enumerate()
                .map(|(place, item)| {
                    let mut base = same(place, item).cloned().unwrap_or(Json::Null);
                    overlay(&mut base, item, "");
                    base
                })
                .collect();
        }
        (base, over) => *base = over.clone(),
    }
}

/// What stays once that is gone which was applied client-side and the manifest does not name. The server tells, as it
/// sets defaults in the place of some; None if it does not say.
async fn without_client_sides(cluster: &Cluster, id: &Id, live: &Json, wanted: &Json, result: &Json) -> Option<Json> {
    let mut rest = result.clone();
    fields::drop_handed_over(live, MANAGER, wanted, &mut rest);
    let served = cluster.served(text(wanted, &["apiVersion"])?, &id.kind).await.ok()?;
    let path = format!("{}?fieldManager={MANAGER}&dryRun=All", cluster.path(&served, id));
    let operation = format!("k8s:DryRun {}", plural(&served.resource));
    let sent = connection::request(Method::PUT, &path, Some("application/json"), rest.to_string().into_bytes()).ok()?;
    let answer = cluster.exchange(&operation, sent).await.ok().filter(|answer| (200..300).contains(&answer.status))?;
    serde_json::from_slice(&answer.body).ok()
}

fn lines(live: &Json, result: &Json, id: &Id) -> Vec<Difference> {
    let (mut live, mut result) = (live.clone(), result.clone());
    for object in [&mut live, &mut result] {
        forget_ours(object);
        diff::mask(object);
    }
    diff::diff(&live, &result).into_iter().map(|one| line(&id.kind, one)).collect()
}

/// The marks by which we know it again are told as whose it is.
fn forget_ours(object: &mut Json) {
    for (below, key) in [("labels", super::applyset::PART_OF), ("annotations", objects::PROTECT)] {
        if let Some(map) = object.pointer_mut(&format!("/metadata/{below}")).and_then(Json::as_object_mut) {
            map.remove(key);
            if map.is_empty() {
                object["metadata"].as_object_mut().map(|metadata| metadata.remove(below));
            }
        }
    }
}
