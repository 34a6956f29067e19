//! A plan to be kept: what was shown, what it was made from, and by what to tell that the world is still the same.
//!
//! It holds no live value and no secret. To apply it everything is read again and planned again from the same
//! declarations, and only if each resource is as it was, and the same would be done, is it done.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fingerprint::{Fingerprint, Ink, Name, name};
use super::forecast::Forecast;
use super::plan::{Action, Change, FieldChange, Key, Plan, Reason};
use super::planning::{self, Wish};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::digest::Salt;
use crate::resource::{Declaration, Declarations, Evaluation, Given, Live, Map, Reference, Status, Stop, Value};
use crate::secret::Secrets;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Of everything that the stack owns: `runner destroy`.
    pub destroy: bool,
    pub wish: Wish,
    /// What was shown.
    pub plan: Plan,
    /// What the script declared.
    declarations: Vec<Declaration>,
    outputs: Vec<Given>,
    phases: Vec<Arc<str>>,
    stop: Option<Stop>,
    /// What the script looked at.
    seen: BTreeSet<Reference>,
    pub fingerprints: Vec<Fingerprint>,
}

/// What another look gave.
pub enum Reread {
    /// The same as then: the plan with what is live, ready to be applied.
    Same(Box<Plan>, Box<Evaluation>),
    /// What moved, one line each; and what stands in the way of a plan by now.
    Moved(Vec<String>, Diagnostics),
}

impl Saved {
    pub fn of(
        forecast: &Forecast,
        evaluation: &Evaluation,
        plan: &Plan,
        wish: &Wish,
        destroy: bool,
        salt: &Salt,
    ) -> Result<Saved, Box<Diagnostic>> {
        let secrets = &forecast.world.secrets;
        let mut wrong: BTreeSet<String> = BTreeSet::new();
        let mut told = |value: &Value| by_name(value, secrets, &mut wrong);
        let declarations = evaluation.declarations.iter().map(|declaration| Declaration {
            inputs: declaration.inputs.iter().map(|(field, value)| (field.clone(), told(value))).collect(),
            ..(**declaration).clone()
        });
        let declarations = declarations.collect();
        let outputs = evaluation.outputs.iter().map(|given| Given { value: told(&given.value), ..given.clone() });
        let outputs = outputs.collect();
        if !wrong.is_empty() {
            return Err(holds(&wrong));
        }
        let mut saved = Saved {
            destroy,
            wish: wish.clone(),
            plan: shown(plan, secrets).ok_or_else(unreadable)?,
            declarations,
            outputs,
            phases: evaluation.phases.clone(),
            stop: evaluation.stop.clone(),
            seen: forecast.seen(),
            fingerprints: vec![],
        };
        saved.fingerprints = saved.taken(forecast, evaluation, plan, salt).into_values().collect();
        Ok(saved)
    }

    /// The names of the secrets that the declarations hold.
    pub fn secrets(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let inputs = self.declarations.iter().flat_map(|declaration| declaration.inputs.values());
        for value in inputs.chain(self.outputs.iter().map(|given| &given.value)) {
            value.references(&mut |reference| names.extend(reference.secret_name().map(str::to_owned)));
        }
        names
    }

    /// Reads everything again, as a plan does, and plans from the same declarations.
    pub async fn reread(&self, forecast: &Forecast, salt: &Salt) -> Result<Reread, Diagnostics> {
        let evaluation = self.evaluation()?;
        // What only the script looked at is looked at again.
        let looked_at: Vec<Arc<Declaration>> = {
            let seen: BTreeSet<_> = self.fingerprints.iter().map(|one| &one.address).collect();
            let declared = evaluation.declarations.iter().filter(|declaration| seen.contains(&declaration.address));
            declared.cloned().collect()
        };
        let mut wrong = vec![];
        let mut fresh = None;
        let looked = match self.destroy {
            true => Ok(vec![]),
            false => forecast.changes(&evaluation.declarations, &looked_at).await,
        };
        match looked {
            Err(found) => wrong = found,
            Ok(_) => {
                let plan = match self.destroy {
                    true => planning::plan_destroy(forecast, &evaluation, &self.wish).await,
                    false => planning::plan(forecast, &evaluation, &self.wish).await,
                };
                match plan {
                    Ok(plan) => fresh = Some(plan),
                    Err(found) => wrong = found,
                }
            }
        }
        let nothing = Plan { changes: vec![], outputs: vec![], stop: None, policies: vec![], ..self.plan.clone() };
        let now = self.taken(forecast, &evaluation, fresh.as_ref().unwrap_or(&nothing), salt);
        let mut moved = self.moved(&now, fresh.is_some());
        let Some(fresh) = fresh else { return Ok(Reread::Moved(moved.into_values().collect(), wrong)) };
        let secrets = &forecast.world.secrets;
        let Some(as_shown) = shown(&fresh, secrets) else { return Err(vec![*unreadable()]) };
        for (name, what) in self.differs(&as_shown, forecast) {
            moved.entry(name.clone()).or_insert_with(|| format!("{}: {what}", name.0));
        }
        if !moved.is_empty() {
            return Ok(Reread::Moved(moved.into_values().collect(), vec![]));
        }
        let mut by_name: BTreeMap<Name, Change> =
            fresh.changes.into_iter().map(|change| (name(&change), change)).collect();
        let mut plan = self.plan.clone();
        for change in &mut plan.changes {
            let found = by_name.remove(&name(change)).ok_or_else(|| vec![*unreadable()])?;
            (change.live, change.inputs) = (found.live, found.inputs);
        }
        plan.outputs = fresh.outputs;
        Ok(Reread::Same(Box::new(plan), Box::new(evaluation)))
    }

    fn evaluation(&self) -> Result<Evaluation, Diagnostics> {
        let mut declarations = Declarations::default();
        for declaration in &self.declarations {
            declarations.add(declaration.clone()).map_err(|_| vec![*unreadable()])?;
        }
        let (outputs, phases, stop) = (self.outputs.clone(), self.phases.clone(), self.stop.clone());
        Ok(Evaluation { declarations, outputs, phases, stop, left_out: self.plan.left_out.clone() })
    }

    /// A fingerprint of all that was looked at, declared or not.
    fn taken(
        &self,
        forecast: &Forecast,
        evaluation: &Evaluation,
        plan: &Plan,
        salt: &Salt,
    ) -> BTreeMap<Name, Fingerprint> {
        let mut read = self.seen.clone();
        let inputs = evaluation.declarations.iter().flat_map(|declaration| declaration.inputs.values());
        for value in inputs.chain(evaluation.outputs.iter().map(|given| &given.value)) {
            value.references(&mut |reference| {
                read.insert(reference.clone());
            });
        }
        let ink = Ink { salt, secrets: &forecast.world.secrets, read: &read };
        let mut known = forecast.known_changes();
        // What goes without being asked for is found by its tags, though it may be declared as well.
        let planned: HashSet<Key<'_>> = plan.changes.iter().filter_map(Change::key).collect();
        known.retain(|one| one.key().is_none_or(|key| !planned.contains(&key)));
        let mut taken = BTreeMap::new();
        // What the plan says of one comes after what was only forecast, and is what counts.
        for change in known.iter().map(|change| &**change).chain(&plan.changes) {
            if let Some(kind) = forecast.world.kind(&change.address.kind) {
                taken.insert(name(change), Fingerprint::of(&kind, change, &ink));
            }
        }
        taken
    }

    /// What is not as it was. If not all could be read, only what was.
    fn moved(&self, now: &BTreeMap<Name, Fingerprint>, all: bool) -> BTreeMap<Name, String> {
        let mut moved = BTreeMap::new();
        for then in &self.fingerprints {
            let name = then.name();
            let what = match now.get(&name) {
                Some(now) => then.moved(now),
                None if all => then.moved(&Fingerprint { there: None, ..then.clone() }),
                None => None,
            };
            if let Some(what) = what {
                let separator = if what.starts_with('`') { ":" } else { "" };
                moved.insert(name, format!("{}{separator} {what}", then.address));
            }
        }
        let known: BTreeSet<Name> = self.fingerprints.iter().map(Fingerprint::name).collect();
        for (name, now) in
            now.iter().filter(|_| all).filter(|(name, now)| now.there.is_some() && !known.contains(*name))
        {
            let id = now.there.as_ref().map(|there| there.id.as_str()).unwrap_or_default();
            moved.insert(name.clone(), format!("{} is the stack's now, as `{id}`, and was not in the plan", name.0));
        }
        moved
    }

    /// What would be done otherwise although each resource is as it was: only a provider that has changed its mind.
    fn differs(&self, now: &Plan, forecast: &Forecast) -> Vec<(Name, String)> {
        let by_name: BTreeMap<Name, &Change> = now.changes.iter().map(|change| (name(change), change)).collect();
        let mut differs = vec![];
        for then in &self.plan.changes {
            let previewed = forecast.world.kind(&then.address.kind).is_some_and(|kind| kind.nature.previewed);
            let what = match by_name.get(&name(then)) {
                None => Some("the plan would leave it alone now".to_owned()),
                Some(now) => otherwise(then, now, previewed),
            };
            differs.extend(what.map(|what| (name(then), what)));
        }
        let known: BTreeSet<Name> = self.plan.changes.iter().map(name).collect();
        for change in now.changes.iter().filter(|change| !known.contains(&name(change))) {
            differs.push((name(change), "it was not in the plan".to_owned()));
        }
        differs
    }
}

/// What a plan would do with one resource now that it would not have done then.
fn otherwise(then: &Change, now: &Change, previewed: bool) -> Option<String> {
    // Whether a workload is ready comes and goes; to wait for it is no change.
    let quiet = |change: &Change| {
        change.fields.is_empty()
            && (change.action == Action::None
                || change.action == Action::Update && matches!(change.reason, Some(Reason::Unfinished { .. })))
    };
    if previewed && quiet(then) && quiet(now) {
        return None;
    }
    if then.action != now.action {
        return Some(format!("the plan would {} it now, and not {} it", verb(now.action), verb(then.action)));
    }
    // For what is not there, the server makes up some of what it tells.
    let fields: BTreeSet<&str> = match previewed && then.live.is_none() {
        true => BTreeSet::new(),
        false => different(&then.fields, &now.fields),
    };
    if !fields.is_empty() {
        let fields: Vec<String> = fields.into_iter().map(|field| format!("`{field}`")).collect();
        return Some(format!("the plan would change {} otherwise now", fields.join(", ")));
    }
    let passing =
        |reason: &Option<Reason>| matches!(reason, None | Some(Reason::Unfinished { .. } | Reason::Unchecked { .. }));
    let same = then.reason == now.reason || previewed && passing(&then.reason) && passing(&now.reason);
    (!same).then(|| "the plan has another reason now".to_owned())
}

fn different<'a>(then: &'a [FieldChange], now: &'a [FieldChange]) -> BTreeSet<&'a str> {
    let missing = |some: &'a [FieldChange], others: &'a [FieldChange]| {
        some.iter().filter(|field| !others.contains(field)).map(|field| field.path.as_str()).collect::<Vec<_>>()
    };
    missing(then, now).into_iter().chain(missing(now, then)).collect()
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::None => "leave",
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Orphan => "keep",
    }
}

/// A plan as it is shown, without what only an apply needs and with no secret in it.
fn shown(plan: &Plan, secrets: &Secrets) -> Option<Plan> {
    let mut shown = plan.clone();
    for change in &mut shown.changes {
        change.inputs = Map::new();
        change.live = change.live.as_ref().map(stub);
        for field in change.fields.iter_mut().filter(|field| field.sensitive) {
            field.before = field.before.as_ref().map(nothing_of);
            field.after = field.after.as_ref().map(nothing_of);
        }
    }
    let mut json = serde_json::to_value(&shown).ok()?;
    mask(&mut json, secrets);
    serde_json::from_value(json).ok()
}

/// Which it is, and no more.
fn stub(live: &Live) -> Live {
    let status = if live.status == Status::Deleting { Status::Deleting } else { Status::Ready };
    let (inputs, outputs) = (Map::new(), Map::new());
    Live { id: live.id.clone(), region: live.region.clone(), owner: live.owner.clone(), inputs, outputs, status }
}

/// Whether it is known, and once what is known, is no secret.
fn nothing_of(value: &Value) -> Value {
    let mut unknown = vec![];
    value.references(&mut |reference| unknown.push(Value::Reference(reference.clone())));
    match unknown.len() {
        0 => Value::default(),
        1 => unknown.remove(0),
        _ => Value::text(unknown),
    }
}

fn mask(json: &mut serde_json::Value, secrets: &Secrets) {
    match json {
        serde_json::Value::String(text) => *text = secrets.mask(text).into_owned(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secrets)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|value| mask(value, secrets)),
        _ => {}
    }
}

/// The same value with every secret in it as a reference to it: what it is once the secret is filled in does not change.
/// What holds one in another form than its own is told by the secret's name.
fn by_name(value: &Value, secrets: &Secrets, wrong: &mut BTreeSet<String>) -> Value {
    match value {
        Value::String(text) => {
            let mut parts = vec![Value::String(text.clone())];
            for name in secrets.within(text) {
                let Some(secret) = secrets.get(&name) else { continue };
                parts = parts.into_iter().flat_map(|part| split(part, &name, &secret)).collect();
            }
            for part in &parts {
                wrong.extend(part.as_str().map(|text| secrets.within(text)).unwrap_or_default());
            }
            Value::text(parts)
        }
        Value::List(items) => Value::List(items.iter().map(|item| by_name(item, secrets, wrong)).collect()),
        Value::Text(parts) => Value::text(parts.iter().map(|part| by_name(part, secrets, wrong)).collect()),
        Value::Map(map) => {
            map.keys().for_each(|key| wrong.extend(secrets.within(key)));
            Value::Map(map.iter().map(|(key, value)| (key.clone(), by_name(value, secrets, wrong))).collect())
        }
        plain => plain.clone(),
    }
}

fn split(part: Value, name: &str, secret: &str) -> Vec<Value> {
    let Value::String(text) = &part else { return vec![part] };
    let mut parts = vec![];
    for (index, piece) in text.split(secret).enumerate() {
        if index > 0 {
            parts.push(Value::Reference(Reference::secret(name)));
        }
        parts.push(piece.into());
    }
    parts
}

/// Refused rather than written down.
pub fn holds(names: &BTreeSet<String>) -> Box<Diagnostic> {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let (plural, values) = if names.len() == 1 { ("", "value") } else { ("s", "values") };
    Box::new(
        Diagnostic::error("the plan cannot be saved: it would hold a secret")
            .because(format!("the {values} of the secret{plural} {} stand in it, in another form or by chance", names.join(", ")))
            .hint("a secret that is a common word cannot be told from that word; write `secret(\"name\")` where it is meant"),
    )
}

fn unreadable() -> Box<Diagnostic> {
    Box::new(Diagnostic::error("the saved plan does not hold together").hint("plan again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stands_by_its_name_or_not_at_all() {
        let secrets = Secrets::default();
        secrets.learn("db", "NOTAREAL-value");
        let mut wrong = BTreeSet::new();
        let found = by_name(&"a NOTAREAL-value b NOTAREAL-value".into(), &secrets, &mut wrong);
        assert_eq!(found.to_string(), "a ${secret db} b ${secret db}");
        let filled = found.resolve(&mut |_| Some("NOTAREAL-value".into()));
        assert_eq!(filled, "a NOTAREAL-value b NOTAREAL-value".into());
        assert!(wrong.is_empty());
        by_name(&"Tk9UQVJFQUwtdmFsdWU=".into(), &secrets, &mut wrong);
        assert_eq!(wrong, BTreeSet::from(["db".to_owned()]));
    }

    #[test]
    fn what_is_hidden_stays_known_or_unknown() {
        assert_eq!(nothing_of(&"x".into()), Value::Null);
        assert!(!nothing_of(&Value::text(vec!["x".into(), Reference::secret("a").into()])).is_known());
    }
}
