//! `runner check PLAYBOOK…`: all that can be known to be wrong without running anything.

use std::collections::BTreeMap;
use std::path::Path;

use super::args::{CheckArgs, Format};
use super::place::project_root;
use super::{exit, policies, session};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Site, Sources};
use crate::inventory::Inventory;
use crate::providers;
use crate::report::{self, Report};
use crate::resource::shape::{Reads, join_path};
use crate::resource::{Map, Value};
use crate::script::{self, Check};
use crate::secret::Secrets;
use crate::template::Templates;

pub fn run(args: CheckArgs) -> u8 {
    let sources = Sources::default();
    let format = match args.format {
        // Markdown is refused before.
        Format::Text | Format::Markdown => report::Format::Text,
        Format::Json => report::Format::Json,
    };
    let report = Report::of_process(format, false, sources.clone(), &Secrets::default());
    let found = check(&args, &sources);
    let errors = found.iter().filter(|told| told.severity == Severity::Error).count();
    match format {
        report::Format::Text => {
            found.iter().for_each(|told| report.diagnostic(told));
            report.note(&summary(errors, found.len() - errors, args.playbooks.len()));
        }
        _ => report.findings(&found),
    }
    if errors > 0 { exit::FAILED } else { exit::DONE }
}

fn summary(errors: usize, warnings: usize, playbooks: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => {
            format!("Nothing is wrong with {}, as far as can be told without running.", count(playbooks, "playbook"))
        }
        (0, _) => format!("Checked {}: {}.", count(playbooks, "playbook"), count(warnings, "warning")),
        (_, 0) => format!("Checked {}: {}.", count(playbooks, "playbook"), count(errors, "error")),
        _ => format!(
            "Checked {}: {}, {}.",
            count(playbooks, "playbook"),
            count(errors, "error"),
            count(warnings, "warning")
        ),
    }
}

/// All findings, errors before warnings, in the order of their places.
fn check(args: &CheckArgs, sources: &Sources) -> Diagnostics {
    let (kinds, lookups, compounds) = (providers::kinds(), providers::lookups(), providers::compounds());
    let mut found: Diagnostics = vec![];
    let mut keys = Keys::default();
    for playbook in &args.playbooks {
        let root = match project_root(playbook) {
            Ok(root) => root,
            Err(wrong) => {
                found.extend(wrong);
                continue;
            }
        };
        let templates = Templates::new(root.join("templates"), sources.clone());
        let own = || vec![playbook.file_stem().unwrap_or_default().to_string_lossy().into_owned()];
        for name in if args.inventory.is_empty() { own() } else { args.inventory.clone() } {
            let inventory = match Inventory::load(&root.join("inventory"), &name, &args.sets, sources, &root) {
                Ok(mut inventory) => {
                    found.append(&mut inventory.doubts);
                    Some(inventory)
                }
                Err(wrong) => {
                    found.extend(wrong);
                    None
                }
            };
            let checked = script::analyse(&Check {
                playbook,
                root: &root,
                inventory: inventory.as_ref().map(session::for_script),
                kinds: &kinds,
                lookups: &lookups,
                compounds: &compounds,
                templates: &templates,
                sources,
            });
            found.extend(checked.findings);
            if let Some(inventory) = inventory {
                keys.add(&inventory, checked.reads.as_ref());
            }
        }
        found.extend(policies::check(playbook, &root, sources));
    }
    found.extend(keys.unused());
    let place = |told: &Diagnostic| told.places.first().map(|place| place.site.clone());
    // What is wrong with a playbook may be why nothing reads a key.
    found.sort_by(|a, b| (a.severity, place(a), &a.summary).cmp(&(b.severity, place(b), &b.summary)));
    found.dedup_by(|a, b| place(a) == place(b) && a.summary == b.summary);
    found
}

/// Every key of the inventories, by where it stands; `true` once anything has read it.
#[derive(Default)]
struct Keys(BTreeMap<Site, (String, bool)>);

impl Keys {
    fn add(&mut self, inventory: &Inventory, reads: Option<&Reads>) {
        self.table(inventory, reads, &inventory.values, "", false);
    }

    /// Adds the keys of a table; says whether any of them is read.
    fn table(&mut self, inventory: &Inventory, reads: Option<&Reads>, map: &Map, path: &str, whole: bool) -> bool {
        let mut any = false;
        for (key, value) in map {
            let inner = join_path(path, key);
            // What runner itself reads.
            if path.is_empty() && matches!(key.as_str(), "aws" | "cloudflare" | "lock" | "secrets" | "name" | "extends")
            {
                continue;
            }
            let whole = whole || reads.is_none_or(|reads| reads.has_whole(&inner) || reads.has_whole(""));
            let mut read = whole || reads.is_none_or(|reads| reads.has(&inner));
            if let Value::Map(inside) = value
                && !inside.is_empty()
            {
                read = self.table(inventory, reads, inside, &inner, whole);
            }
            any |= read;
            if let Some(site) = inventory.origin(&inner) {
                let entry = self.0.entry(site.clone()).or_insert((inner, false));
                entry.1 |= read;
            }
        }
        any
    }

    /// Those that nothing reads. Of a table that nothing is read of, only the table.
    fn unused(self) -> Diagnostics {
        let unused: Vec<(Site, String)> =
            self.0.into_iter().filter(|(_, (_, read))| !read).map(|(site, (path, _))| (site, path)).collect();
        let inside = |path: &str| {
            unused.iter().any(|(_, other)| path.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('.')))
        };
        let told = |(site, path): &(Site, String)| {
            Diagnostic::warning(format!("`{path}` is read by nothing"))
                .at(site, "")
                .hint("no playbook that was checked reads it, and no template it uses")
        };
        unused.iter().filter(|(_, path)| !inside(path)).map(told).collect()
    }
}

/// The files that a check of this playbook would read beside it: for whoever watches them.
pub fn folders(root: &Path, playbook: &Path) -> Vec<std::path::PathBuf> {
    let beside = playbook.parent().map(Path::to_owned).unwrap_or_default();
    vec![beside, root.join("inventory"), root.join("templates")]
}
