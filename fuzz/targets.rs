//! What bad input is thrown at, one function each: by a fuzzer (`make fuzz`), and by `tests/it/fuzz.rs` without one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runner::diagnostic::{Diagnostic, Sources};
use runner::inventory;
use runner::providers;
use runner::providers::sandbox::Sandbox;
use runner::resource::{Class, Declarations, Fault, Map, Oracle, Provider, Reference, Sight, Value};
use runner::script::{Check, Files, Inventory, Limits, Rendered, Script, analyse, evaluate};
use runner::template::Templates;

pub type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 7] = [
    ("playbook", playbook),
    ("inventory", inventory_file),
    ("template", template),
    ("sandbox", sandbox),
    ("plan", plan),
    ("journal", journal),
    ("recording", recording),
];

/// Knows nothing, and has nothing to look up.
struct Nothing;

impl Oracle for Nothing {
    fn see(&self, _: &Declarations, _: &Reference) -> Result<Sight, Box<Diagnostic>> {
        Ok(Sight::Unknown(None))
    }

    fn look_up(&self, name: &str, _: &[Value]) -> Result<Value, Fault> {
        Err(Fault::new(Class::Other, format!("{name} cannot be looked up here")))
    }
}

struct Beside(Templates);

impl Files for Beside {
    fn render(&self, path: &str, values: &Map) -> Result<Rendered, Vec<Diagnostic>> {
        self.0.render(path, values)
    }

    fn trace(&self, path: &str, values: &Map) -> Vec<runner::diagnostic::Site> {
        self.0.trace(path, values)
    }

    fn read(&self, path: &str) -> Result<(String, Arc<str>), Box<Diagnostic>> {
        self.0.plain(path)
    }
}

/// Evaluates the playbook of a project, and checks it without running it.
fn project(folder: &Path) {
    let world = Sandbox::in_memory(providers::kinds(), vec![]);
    let (playbook, sources) = (folder.join("playbooks/prod.rhai"), Sources::default());
    let inventory = || Inventory { name: "prod".into(), value: Value::Map(Map::new()), ..Inventory::default() };
    let templates = Templates::new(folder.join("templates"), sources.clone());
    let limits = Limits { operations: 20_000, time: Duration::from_secs(20), ..Limits::default() };
    drop(evaluate(&Script {
        playbook: &playbook,
        root: folder,
        inventory: inventory(),
        kinds: world.kinds(),
        lookups: world.lookups(),
        compounds: world.compounds(),
        files: Some(Arc::new(Beside(templates.clone()))),
        oracle: Arc::new(Nothing),
        sources: &sources,
        print: Arc::new(|_, _| {}),
        limits,
    }));
    drop(analyse(&Check {
        playbook: &playbook,
        root: folder,
        inventory: Some(inventory()),
        kinds: world.kinds(),
        lookups: world.lookups(),
        compounds: world.compounds(),
        templates: &templates,
        sources: &sources,
    }));
}

fn write(folder: &Path, file: &str, bytes: &[u8]) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a temporary folder can be written");
    std::fs::write(path, bytes).expect("a temporary folder can be written");
}

pub fn playbook(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    write(folder.path(), "playbooks/prod.rhai", bytes);
    project(folder.path());
}

/// Rendered and checked, as the playbook that names it would.
pub fn template(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    write(folder.path(), "templates/t/x.yaml", bytes);
    let call = r#"let text = template("t/x.yaml", #{ a: 1, b: [1, "x", #{ c: true }], name: "x" });"#;
    write(folder.path(), "playbooks/prod.rhai", call.as_bytes());
    project(folder.path());
}

pub fn inventory_file(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    write(folder.path(), "prod.toml", bytes);
    let sets = [format!("a.b={}", String::from_utf8_lossy(bytes))];
    for sets in [&sets[..], &[]] {
        drop(inventory::Inventory::load(folder.path(), "prod", sets, &Sources::default(), folder.path()));
    }
}

pub fn sandbox(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    write(folder.path(), "sandbox.json", bytes);
    drop(Sandbox::in_file(providers::kinds(), vec![], &folder.path().join("sandbox.json"), true));
}

/// What is in the envelope of a saved plan; the envelope has a digest, which no mutation would get past.
pub fn plan(bytes: &[u8]) {
    drop(serde_json::from_slice::<runner::engine::Saved>(bytes));
    drop(serde_json::from_slice::<runner::engine::Plan>(bytes));
}

pub fn journal(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    drop(runner::engine::journal::read(&text));
    drop(runner::engine::lock::Record::read(&text));
}

pub fn recording(bytes: &[u8]) {
    if let Ok(recorded) = serde_json::from_slice::<providers::recording::Recorded>(bytes) {
        drop(providers::recording::Replay::new(recorded));
    }
}
