//! Why a declaration cannot be planned, in its author's terms.

use super::plan::{Action, FieldChange, Reason};
use crate::diagnostic::Diagnostic;
use crate::resource::{Address, Declaration, Kind, Live, Map, Value};

pub fn looked_at_secret(name: &str) -> Diagnostic {
    Diagnostic::error(format!("the secret `{name}` cannot be looked at")).hint(
        "pass it on as it is, or inside a text: a plan that depends on its value would show it; a Secret of \
             Kubernetes takes it plain, in `stringData`",
    )
}

pub fn unknown_kind(name: &str) -> Diagnostic {
    Diagnostic::error(format!("no provider knows the kind `{name}`"))
}

/// Why a change of what exists is not to be made at all.
pub fn refused(
    kind: &Kind,
    declaration: &Declaration,
    action: Action,
    reason: Option<&Reason>,
    fields: &[FieldChange],
    inputs: &Map,
    live: &Live,
) -> Option<Diagnostic> {
    let remembered = live.owner.as_ref().is_some_and(|owner| owner.protect);
    let follows_the_name = || kind.nature.named_by.filter(|name| fields.iter().any(|field| field.path == *name));
    match (action, reason) {
        (Action::Replace, Some(Reason::Adopted { id })) => Some(cannot_adopt(declaration, id, fields)),
        (Action::Replace, Some(Reason::Renamed { from })) if follows_the_name().is_some() => {
            let named = follows_the_name()?;
            let old = live.inputs.get(named).cloned().unwrap_or_default();
            Some(cannot_rename(declaration, from, named, &old))
        }
        (Action::Replace, _) if declaration.options.protect || remembered => Some(protected(declaration, fields)),
        (Action::Replace, _) if kind.nature.cascades => Some(cascading(declaration, fields)),
        (Action::Update | Action::Replace, _) => {
            let mistake = (kind.nature.forbids)(inputs, &live.inputs)?;
            // A new one may have what this one cannot come to, unless it is made for that alone.
            let forcing = |field: &FieldChange| field.forces_replace && field.path.starts_with(&mistake.path);
            if action == Action::Replace && !fields.iter().any(forcing) {
                return None;
            }
            let told = Diagnostic::error(format!("{}: `{}`: {}", declaration.address, mistake.path, mistake.what));
            Some(told.at(&declaration.site, "declared here").maybe_hint(mistake.hint))
        }
        _ => None,
    }
}

pub fn how_to_adopt(kind: &Kind, id: &str) -> String {
    // One text may declare many of these, and its options are for all of them.
    let option = if kind.nature.previewed { "true".to_owned() } else { format!("\"{id}\"") };
    format!("adopt it with the option `adopt: {option}`, or give this one another name")
}

/// To adopt is to keep; what would have to be replaced is not what was declared.
fn cannot_adopt(declaration: &Declaration, id: &str, fields: &[FieldChange]) -> Diagnostic {
    let differing = forcing(fields);
    Diagnostic::error(format!("cannot adopt `{id}` as {}: it would have to be replaced", declaration.address))
        .because(match differing.as_slice() {
            [] => "it has failed on the provider's side".into(),
            fields => format!("{} cannot be changed in place", fields.join(", ")),
        })
        .at(&declaration.site, "declared here")
        .hint("declare it as it is, or leave `adopt` out to make a new one")
}

/// To make it anew is to delete first what goes with it.
fn cascading(declaration: &Declaration, fields: &[FieldChange]) -> Diagnostic {
    Diagnostic::error(format!(
        "{} would have to be replaced, and more would go with it than itself",
        declaration.address
    ))
    .because(format!("{} cannot be changed in place", forcing(fields).join(", ")))
    .at(&declaration.site, "declared here")
    .hint("take the change back; or save what is in it, delete it by hand, and run again")
}

fn forcing(fields: &[FieldChange]) -> Vec<String> {
    fields.iter().filter(|field| field.forces_replace).map(|field| format!("`{}`", field.path)).collect()
}

fn protected(declaration: &Declaration, fields: &[FieldChange]) -> Diagnostic {
    Diagnostic::error(format!("{} is protected, and this change would replace it", declaration.address))
        .because(match forcing(fields).as_slice() {
            [] => "it has failed on the provider's side".into(),
            fields => format!("{} cannot be changed in place", fields.join(", ")),
        })
        .at(&declaration.site, "protected here")
        .hint("take the change back; or apply without `protect` first, and then this")
}

/// `was` changes the name in the playbook; where the provider's own name follows it, that would make a new one.
fn cannot_rename(declaration: &Declaration, from: &Address, named: &str, old: &Value) -> Diagnostic {
    Diagnostic::error(format!("{} was {from}, and would have to be replaced for its new name", declaration.address))
        .because(format!("`{named}` was left out, so it follows the name in the playbook"))
        .at(&declaration.site, "declared here")
        .hint(format!("write `{named}: \"{old}\"` to keep what is there"))
}
