//! Policies: the files `policies/*.rhai` beside a playbook, which see every plan before it is applied and may deny it.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Diagnostics, Site, Sources};
use crate::engine::{Change, FieldChange, Plan, Remark};
use crate::providers;
use crate::resource::{Kind, Map, Value};
use crate::script::Limits;
use crate::script::policy::{self, Policy};
use crate::text_file;

/// Hears what the policies beside the playbook say of a plan, and writes it into the plan. Nothing may be applied of one
/// that is [`Plan::is_denied`].
pub fn judge(
    plan: &mut Plan,
    playbook: &Path,
    root: &Path,
    kinds: &dyn Fn(&str) -> Option<Kind>,
    sources: &Sources,
    limits: Limits,
) {
    let files = match files(playbook, root) {
        Ok(files) if files.is_empty() => {
            plan.policies = vec![];
            return;
        }
        Ok(files) => files,
        // What cannot be heard may forbid it.
        Err(Unread { site, why, hint }) => {
            let (text, hint) = (format!("the policies cannot be read: {why}"), Some(hint.to_owned()));
            plan.policies = vec![Remark { denies: true, text, address: None, site, change: None, hint }];
            return;
        }
    };
    let changes: Vec<Map> = plan.changes.iter().map(|change| told(change, kinds)).collect();
    let sites: Vec<_> = plan.changes.iter().map(|change| (change.address.clone(), change.site.clone())).collect();
    let whole = Map::from([
        ("stack".to_owned(), plan.stack.as_str().into()),
        ("complete".to_owned(), plan.stop.is_none().into()),
        ("counts".to_owned(), data(&plan.counts())),
        ("changes".to_owned(), changes.iter().cloned().map(Value::Map).collect()),
    ]);
    let mut remarks = vec![];
    for file in &files {
        let said = policy::judge(&Policy { file, root, sources, kinds: &providers::kinds(), limits }, &changes, &whole);
        remarks.extend(said.into_iter().map(|said| {
            let (address, change) = match said.change.and_then(|index| sites.get(index)) {
                Some((address, site)) => (Some(address.clone()), site.clone()),
                None => (None, None),
            };
            Remark { denies: said.denies, text: said.text, address, site: said.site, change, hint: said.hint }
        }));
    }
    plan.policies = remarks;
}

/// What is wrong with the policies themselves.
pub fn check(playbook: &Path, root: &Path, sources: &Sources) -> Diagnostics {
    match files(playbook, root) {
        Ok(files) => {
            let limits = Limits::default();
            let check = |file| policy::check(&Policy { file, root, sources, kinds: &[], limits });
            files.iter().flat_map(|file| check(file)).collect()
        }
        Err(Unread { site, why, hint }) => {
            vec![Diagnostic::error(format!("the policies cannot be read: {why}")).at(&site, "").hint(hint)]
        }
    }
}

/// What policies said, for people.
pub fn diagnostics(plan: &Plan) -> Diagnostics {
    plan.policies.iter().map(diagnostic).collect()
}

fn diagnostic(remark: &Remark) -> Diagnostic {
    let who = remark.address.as_ref().map(|address| format!("{address}: ")).unwrap_or_default();
    let (told, label) = match remark.denies {
        true if remark.text.starts_with(policy::FAILED) => {
            (Diagnostic::error(format!("denied: {who}{}", remark.text)), "failed here")
        }
        true => (Diagnostic::error(format!("denied: {who}{}", remark.text)), "denied by this"),
        false => (Diagnostic::warning(format!("{who}{}", remark.text)), "said by this"),
    };
    let told = match &remark.change {
        Some(site) => told.at(site, "declared here"),
        None => told,
    };
    told.at(&remark.site, label).maybe_hint(remark.hint.clone())
}

/// Why nobody knows what the policies are.
struct Unread {
    site: Site,
    why: String,
    hint: &'static str,
}

impl Unread {
    /// `place` as it is called in the project.
    fn new(place: &Path, root: &Path, why: impl Into<String>, hint: &'static str) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let place = place.strip_prefix(&root).unwrap_or(place);
        Unread { site: Site::new(place.display().to_string(), 0, 0), why: why.into(), hint }
    }
}

/// No folder, no policies; whatever else is wrong is no reason to do without them.
fn files(playbook: &Path, root: &Path) -> Result<Vec<PathBuf>, Unread> {
    let playbook = playbook.canonicalize().unwrap_or_else(|_| playbook.to_owned());
    let folder = playbook.parent().unwrap_or(Path::new(".")).join("policies");
    let unread = |why: io::Error| {
        let hint = "policies stand in a folder that whoever runs the playbook may read; no folder, no policies";
        Unread::new(&folder, root, why.to_string(), hint)
    };
    let entries = match std::fs::read_dir(&folder) {
        // A link that leads nowhere is not no folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_symlink() => return Ok(vec![]),
        entries => entries.map_err(unread)?,
    };
    let inside = |path: &Path| match text_file::leads_outside(path, root) {
        true => {
            let hint = "put the policies themselves there: what may be applied is said in the project";
            Err(Unread::new(path, root, "it is a link to outside the project", hint))
        }
        false => Ok(()),
    };
    inside(&folder)?;
    let mut files = vec![];
    for entry in entries {
        let file = entry.map_err(unread)?.path();
        if file.extension().is_some_and(|end| end == "rhai") {
            inside(&file)?;
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// A change as a policy sees it: `docs/policies.md`.
fn told(change: &Change, kinds: &dyn Fn(&str) -> Option<Kind>) -> Map {
    let kind = kinds(&change.address.kind);
    let hidden = |map: &Map| Value::Map(hidden(map, kind.as_ref()));
    let live = match &change.live {
        None => Value::Null,
        Some(live) => Value::Map(Map::from([
            ("id".to_owned(), live.id.as_str().into()),
            ("inputs".to_owned(), hidden(&live.inputs)),
            ("outputs".to_owned(), hidden(&live.outputs)),
        ])),
    };
    Map::from([
        ("address".to_owned(), change.address.to_string().into()),
        ("kind".to_owned(), (*change.address.kind).into()),
        ("name".to_owned(), (*change.address.name).into()),
        ("action".to_owned(), data(&change.action)),
        ("reason".to_owned(), reason(change)),
        ("phase".to_owned(), change.phase.iter().map(|name| (**name).into()).collect()),
        ("fields".to_owned(), change.fields.iter().map(field).collect()),
        ("inputs".to_owned(), hidden(&change.inputs)),
        ("live".to_owned(), live),
        ("protect".to_owned(), change.options.protect.into()),
        (
            "accepts".to_owned(),
            kind.iter().flat_map(|kind| &kind.inputs).map(|input| input.name.as_str().into()).collect(),
        ),
    ])
}

fn data(value: &impl Serialize) -> Value {
    serde_json::to_value(value).map(Value::from).unwrap_or_default()
}

/// Its name alone.
fn reason(change: &Change) -> Value {
    match data(&change.reason) {
        Value::Map(map) => map.into_iter().next().map_or(Value::Null, |(name, _)| name.into()),
        name => name,
    }
}

fn field(field: &FieldChange) -> Value {
    let side = |value: &Option<Value>| match value {
        Some(_) if field.sensitive => SENSITIVE.into(),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    Value::Map(Map::from([
        ("path".to_owned(), field.path.as_str().into()),
        ("before".to_owned(), side(&field.before)),
        ("after".to_owned(), side(&field.after)),
        ("known".to_owned(), field.after.as_ref().is_none_or(Value::is_known).into()),
        ("forces_replace".to_owned(), field.forces_replace.into()),
    ]))
}

const SENSITIVE: &str = "(sensitive)";

fn hidden(map: &Map, kind: Option<&Kind>) -> Map {
    let shown = |(name, value): (&String, &Value)| {
        let sensitive = kind.and_then(|kind| kind.input(name)).is_some_and(|field| field.sensitive);
        (name.clone(), if sensitive && !value.is_null() { SENSITIVE.into() } else { value.clone() })
    };
    map.iter().map(shown).collect()
}
