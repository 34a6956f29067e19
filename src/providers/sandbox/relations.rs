//! What the sandbox's resources are to each other: who names whom, by id or by name.

use std::sync::Arc;

use super::{Record, State, key};
use crate::resource::{Class, Fault, Field, Kind, Live, Map, Status, Value};

impl State {
    /// The first id of ours among the inputs that no longer exists.
    pub(super) fn dangling(&self, kinds: &[Arc<Kind>], inputs: &Map) -> Option<String> {
        let mut found = None;
        let prefixed: Vec<&Arc<Kind>> = kinds.iter().filter(|kind| !kind.nature.id_prefix.is_empty()).collect();
        inputs.values().for_each(|value| {
            value.strings(&mut |text| {
                let of = prefixed.iter().find(|kind| is_sandbox_id(text, kind.nature.id_prefix));
                let there = |kind: &&&Arc<Kind>| {
                    let record = self.records.get(&key(&kind.name, text));
                    record.is_some_and(|record| record.live.status != Status::Deleting)
                };
                if of.is_some_and(|kind| !there(&kind)) && !self.is_output(text) {
                    found = Some(text.to_owned());
                }
            })
        });
        found
    }

    /// What comes with another resource (a cluster's own security group) exists, and has no record.
    fn is_output(&self, id: &str) -> bool {
        self.records.values().any(|record| {
            let mut named = false;
            record.live.outputs.values().for_each(|value| value.strings(&mut |text| named |= text == id));
            named && record.live.id != id
        })
    }

    /// Holds that the provider drops when what they name goes: an association, a route.
    pub(super) fn let_go(&mut self, kinds: &[Arc<Kind>], of: &Kind, id: &str) {
        let names = |field: &Field| !of.is_named() || field.names.as_deref() == Some(&*of.name);
        for record in self.records.values_mut() {
            let Some(kind) = kinds.iter().find(|kind| *kind.name == *record.kind) else { continue };
            for field in kind.inputs.iter().filter(|field| field.lets_go && names(field)) {
                match record.live.inputs.get_mut(&field.name) {
                    Some(Value::List(items)) => items.retain(|item| {
                        let mut uses = false;
                        item.strings(&mut |text| uses |= text == id);
                        !uses
                    }),
                    Some(Value::String(text)) if text == id => drop(record.live.inputs.remove(&field.name)),
                    _ => {}
                }
            }
        }
    }

    pub(super) fn refuse_taken_name(&self, kind: &Kind, inputs: &Map) -> Result<(), Fault> {
        let key = kind.nature.natural_key;
        let same = |live: &Live| key.iter().all(|field| live.inputs.get(*field) == inputs.get(*field));
        let present = |record: &&Record| *record.kind == *kind.name && record.live.status != Status::Deleting;
        match self.records.values().filter(present).find(|record| !key.is_empty() && same(&record.live)) {
            Some(taken) => Err(Fault::new(Class::Exists, format!("`{}` has this `{}` already", taken.live.id, key[0]))),
            None => Ok(()),
        }
    }

    /// Who holds on to a resource: whoever names it in a field that does not let go.
    pub(super) fn user_of(&self, kinds: &[Arc<Kind>], of: &Kind, id: &str) -> Option<&Record> {
        let itself = |record: &Record| record.live.id == id && *record.kind == *of.name;
        let present = |record: &&Record| record.live.status != Status::Deleting && !itself(record);
        let names = |field: &Field| !of.is_named() || field.names.as_deref() == Some(&*of.name);
        self.records.values().filter(present).find(|record| {
            let Some(kind) = kinds.iter().find(|kind| *kind.name == *record.kind) else { return false };
            let mut uses = false;
            for field in kind.inputs.iter().filter(|field| !field.lets_go && names(field)) {
                if let Some(value) = record.live.inputs.get(&field.name) {
                    value.strings(&mut |text| uses |= text == id);
                }
            }
            uses
        })
    }
}

fn is_sandbox_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 17 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}
