//! Why a declaration cannot be planned, in its author's terms.

use super::plan::FieldChange;
use crate::diagnostic::Diagnostic;
use crate::resource::{Address, Declaration, Value};

pub fn looked_at_secret(name: &str) -> Diagnostic {
    Diagnostic::error(format!("the secret `{name}` cannot be looked at"))
        .hint("pass it on as it is, or inside a text: a plan that depends on its value would show it")
}

pub fn unknown_kind(name: &str) -> Diagnostic {
    Diagnostic::error(format!("no provider knows the kind `{name}`"))
}

/// To adopt is to keep; what would have to be replaced is not what was declared.
pub fn cannot_adopt(declaration: &Declaration, id: &str, fields: &[FieldChange]) -> Diagnostic {
    let differing = fields.iter().filter(|field| field.forces_replace).map(|field| format!("`{}`", field.path));
    let differing: Vec<String> = differing.collect();
    Diagnostic::error(format!("cannot adopt `{id}` as {}: it would have to be replaced", declaration.address))
        .because(match differing.as_slice() {
            [] => "it has failed on the provider's side".into(),
            fields => format!("{} cannot be changed in place", fields.join(", ")),
        })
        .at(&declaration.site, "declared here")
        .hint("declare it as it is, or leave `adopt` out to make a new one")
}

pub fn protected(declaration: &Declaration, fields: &[FieldChange]) -> Diagnostic {
    let forcing: Vec<String> =
        fields.iter().filter(|field| field.forces_replace).map(|field| format!("`{}`", field.path)).collect();
    Diagnostic::error(format!("{} is protected, and this change would replace it", declaration.address))
        .because(match forcing.as_slice() {
            [] => "it has failed on the provider's side".into(),
            fields => format!("{} cannot be changed in place", fields.join(", ")),
        })
        .at(&declaration.site, "protected here")
        .hint("take the change back, or remove `protect` for this one apply")
}

/// `was` changes the name in the playbook; where the provider's own name follows it, that would make a new one.
pub fn cannot_rename(declaration: &Declaration, from: &Address, named: &str, old: &Value) -> Diagnostic {
    Diagnostic::error(format!("{} was {from}, and would have to be replaced for its new name", declaration.address))
        .because(format!("`{named}` was left out, so it follows the name in the playbook"))
        .at(&declaration.site, "declared here")
        .hint(format!("write `{named}: \"{old}\"` to keep what is there"))
}
