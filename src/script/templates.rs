//! `template(path, values)`: text from a file, in which references may stand.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rhai::{Dynamic, NativeCallContext};

use super::Rendered;
use super::value::to_dynamic;
use super::world::{Origin, Outcome, World, as_map, placed};
use crate::diagnostic::Diagnostic;
use crate::resource::{Map, Reference, Segment, Value};

pub(super) fn template(world: &World, ctx: &NativeCallContext, path: &str, values: &Dynamic) -> Outcome {
    let position = ctx.call_position();
    let failed = |diagnostic: Diagnostic| world.raise(position, diagnostic);
    let values = as_map(world, ctx, "values", values).map_err(|mistake| {
        failed(Diagnostic::error(format!("template `{path}`: `{}`: {}", mistake.path, mistake.what)))
    })?;
    let Some(files) = &world.files else {
        return Err(failed(Diagnostic::error("templates are not available here")));
    };
    let mut values: Map = values.into_iter().map(|(name, value)| (name, spread(world, value))).collect();
    // Each round fills in what the template has looked at; what it looks at next may depend on that.
    loop {
        match files.render(path, &values) {
            Ok(Rendered::Text(text)) => {
                let origin = Origin { template: path.to_owned(), values: Arc::new(values) };
                world.state().rendered.insert(digest(&text), origin);
                return Ok(to_dynamic(&text));
            }
            Ok(Rendered::Sees { references, site }) => {
                let known = world.see_references(given(&values, references), position, Some(site))?;
                let filled =
                    values.iter().map(|(k, v)| (k.clone(), v.resolve(&mut |r| known.get(r).cloned()))).collect();
                if filled == values {
                    return Err(failed(Diagnostic::error(format!("template `{path}` does not come to an end"))));
                }
                values = filled;
            }
            Err(found) => {
                let site = world.lines.site(position);
                let mut found: Vec<Diagnostic> = found.into_iter().map(|d| placed(d, &site, "used here")).collect();
                let last = found.pop().unwrap_or_else(|| Diagnostic::error(format!("template `{path}` failed")));
                found.into_iter().for_each(|mistake| world.mistake(mistake));
                return Err(failed(last));
            }
        }
    }
}

/// By which a text is known again.
pub(super) fn digest(text: &Value) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    text.to_string().hash(&mut hasher);
    hasher.finish()
}

/// A whole resource becomes the map of its attributes, so that a template may name them, and only them.
fn spread(world: &World, value: Value) -> Value {
    match value {
        Value::Reference(whole) if whole.path.is_empty() => match world.kind(&whole.address.kind) {
            Some(kind) => {
                let attribute = |name: &str| (name.to_owned(), whole.then(Segment::Key(name.to_owned())).into());
                Value::Map(kind.attributes().map(attribute).collect())
            }
            None => Value::Reference(whole),
        },
        Value::List(items) => items.into_iter().map(|item| spread(world, item)).collect(),
        Value::Map(map) => Value::Map(map.into_iter().map(|(name, value)| (name, spread(world, value))).collect()),
        other => other,
    }
}

/// The references as they were given: a template that looks at `x.zones[0]` was given `x.zones`.
fn given(values: &Map, looked_at: Vec<Reference>) -> Vec<Reference> {
    let mut all = vec![];
    values.values().for_each(|value| value.references(&mut |reference| all.push(reference.clone())));
    let base = |seen: Reference| {
        let whole = all.iter().find(|one| one.address == seen.address && seen.path.starts_with(&one.path));
        whole.cloned().unwrap_or(seen)
    };
    let mut references: Vec<Reference> = looked_at.into_iter().map(base).collect();
    references.sort();
    references.dedup();
    references
}
