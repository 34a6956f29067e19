//! Which planned values are known only because the plan says what another resource will be.

use std::collections::BTreeMap;

use super::diff;
use super::plan::{Action, Change, FieldChange};
use crate::resource::{Map, Reference, Segment, Value};

/// For each of these fields that was filled in from what does not exist yet: the references it was filled in from. It is
/// certain, if all goes as planned.
pub(super) fn predicted(
    written: &Map,
    fields: &[FieldChange],
    planned: impl Fn(&Reference) -> bool,
) -> BTreeMap<String, Vec<Reference>> {
    let mut found = BTreeMap::new();
    for field in fields.iter().filter(|field| !field.sensitive) {
        let (Some(after), Some(origin)) = (&field.after, origin(written, &field.path)) else { continue };
        let mut left = vec![];
        after.references(&mut |reference| left.push(reference));
        let mut from: Vec<Reference> = vec![];
        origin.references(&mut |reference| {
            let filled_in = reference.secret_name().is_none() && !left.contains(&reference);
            if filled_in && !from.contains(reference) && planned(reference) {
                from.push(reference.clone());
            }
        });
        if !from.is_empty() {
            found.insert(field.path.clone(), from);
        }
    }
    found
}

/// What the author wrote at the place of a line of a change.
fn origin<'a>(written: &'a Map, path: &str) -> Option<&'a Value> {
    written.get(path).or_else(|| {
        let (name, key) = path.split_once('.')?;
        let value = written.get(name)?;
        match value.as_map() {
            Some(map) => map.get(key),
            // A whole map that comes from elsewhere.
            None => Some(value),
        }
    })
}

/// Whether the value of an attribute is only what a change will make of it.
pub(super) fn is_planned(change: &Change, reference: &Reference) -> bool {
    let Some(Segment::Key(attribute)) = reference.path.first() else { return false };
    match change.action {
        Action::Create | Action::Replace => true,
        Action::Update => diff::changed_fields(&change.fields).contains(attribute),
        Action::None | Action::Delete | Action::Orphan => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;

    #[test]
    fn what_is_filled_in_from_a_plan_is_told_and_what_is_left_or_there_already_is_not() {
        let of = |name: &str, attribute: &str| Reference::new(Address::new("aws::vpc", name), attribute);
        let both = Value::text(vec![of("new", "cidr_block").into(), " ".into(), of("new", "id").into()]);
        let after = Value::text(vec!["10.0.0.0/16 ".into(), of("new", "id").into()]);
        let written = Map::from([
            ("note".into(), both),
            ("range".into(), of("old", "cidr_block").into()),
            ("tags".into(), Value::Map(Map::from([("Range".into(), of("new", "cidr_block").into())]))),
        ]);
        let field = |path: &str, after: Value| FieldChange {
            path: path.into(),
            before: None,
            after: Some(after),
            forces_replace: false,
            restarts: false,
            sensitive: false,
        };
        let range = || Value::from("10.0.0.0/16");
        let fields = [field("note", after), field("range", range()), field("tags.Range", range())];
        let found = predicted(&written, &fields, |reference| &*reference.address.name == "new");
        let from = vec![of("new", "cidr_block")];
        assert_eq!(found, BTreeMap::from([("note".into(), from.clone()), ("tags.Range".into(), from)]));
    }
}
