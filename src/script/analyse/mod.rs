//! What is wrong with a playbook, without running it: its files are walked with what is known of each value in the place of
//! the value ([`Shape`]), the inventory's being known wholly.
//!
//! A branch that this inventory does not take is walked too, with leniency: what only it would find missing is no mistake.
//! No native function of the script is called, nothing is asked of a provider, and no template is rendered.
//!
//! | file | what it does |
//! |---|---|
//! | `walk` | statements, scopes, and what becomes of variables where ways part and meet |
//! | `loops` | loops, and what they make forget |
//! | `expressions` | expressions, chains of properties, assignments |
//! | `calls` | functions of the script, kinds, lookups, templates |
//! | `inputs` | what is known of a map against the fields of a kind |
//! | `natives` | standard functions, as far as they matter here |

mod calls;
mod expressions;
mod inputs;
mod loops;
mod natives;
mod walk;

use std::path::Path;
use std::sync::Arc;

use rhai::{Engine, Position};

use super::{Inventory, Script, imports, run};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources};
use crate::resource::Kind;
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::shape::Reads;
use crate::template::Templates;

/// What there is to check a playbook with.
pub struct Check<'a> {
    pub playbook: &'a Path,
    /// What the paths in sites are relative to.
    pub root: &'a Path,
    /// `None` if it cannot be read: nothing is said of what it holds then.
    pub inventory: Option<Inventory>,
    pub kinds: &'a [Arc<Kind>],
    pub lookups: &'a [Lookup],
    pub compounds: &'a [Compound],
    pub templates: &'a Templates,
    pub sources: &'a Sources,
}

/// What was found.
#[derive(Default)]
pub struct Checked {
    pub findings: Diagnostics,
    /// What the playbook and its templates read of the inventory; `None` if not all of them could be walked.
    pub reads: Option<Reads>,
}

/// Walks a playbook with all that it imports.
pub fn analyse(check: &Check) -> Checked {
    let failed = |told: Diagnostic| Checked { findings: vec![told], reads: None };
    run::on_a_thread(|| whole(check)).unwrap_or_else(failed)
}

fn whole(check: &Check) -> Checked {
    let script = Script {
        playbook: check.playbook,
        root: check.root,
        inventory: check.inventory.clone().unwrap_or_default(),
        kinds: check.kinds,
        lookups: check.lookups,
        compounds: check.compounds,
        sources: check.sources,
        ..Script::nothing()
    };
    let mut engine = Engine::new_raw();
    run::confine(&mut engine, &script.limits);
    // The first unknown variable would hide all else that is wrong with its file.
    engine.set_strict_variables(false);
    let (loaded, mut findings) = imports::load_what_can_be(&engine, &script);
    let all_read = findings.is_empty();
    findings.extend(super::check::check(&loaded.files, &loaded.lines, &script, &super::check::OWN));
    let reads = Reads::default();
    let (found, exhausted) = walk::walk(check, &loaded, &reads);
    findings.extend(found);
    Checked { findings, reads: (all_read && !exhausted).then_some(reads) }
}

/// Where the name behind a dot stands: Rhai has the position of the name itself.
fn or(position: Position, other: Position) -> Position {
    position.or_else(other)
}
