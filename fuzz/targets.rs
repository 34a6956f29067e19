//! What bad input is thrown at, one function each: by a fuzzer (`make fuzz`), and by `tests/it/fuzz.rs` without one.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use runner::cli::plan_file::PlanFile;
use runner::cli::{policies as court, show};
use runner::diagnostic::{Diagnostic, Sources};
use runner::digest::sha256;
use runner::engine::{Forecast, Plan, Saved, World};
use runner::event::Events;
use runner::inventory;
use runner::providers;
use runner::providers::sandbox::Sandbox;
use runner::report::{Format, Report};
use runner::resource::compound::Asked;
use runner::resource::{Address, Class, Declarations, Fault, Kind, Map, Oracle, Provider, Reference, Sight, Value};
use runner::script::{Check, Files, Inventory, Limits, Rendered, Script, analyse, evaluate};
use runner::template::Templates;

pub type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 9] = [
    ("playbook", playbook),
    ("inventory", inventory_file),
    ("template", template),
    ("sandbox", sandbox),
    ("plan", plan),
    ("journal", journal),
    ("recording", recording),
    ("policies", policies),
    ("manifest", manifest),
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

/// Made once: they are read off the types.
static KINDS: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(providers::kinds);

/// Evaluates the playbook of a project, and checks it without running it.
fn project(folder: &Path) {
    let world = Sandbox::in_memory(KINDS.clone(), vec![]);
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
    let set: Option<inventory::Set> = format!("a.b={}", String::from_utf8_lossy(bytes)).parse().ok();
    for sets in [set.as_slice(), &[]] {
        drop(inventory::Inventory::load(folder.path(), "prod", sets, &Sources::default(), folder.path()));
    }
}

pub fn sandbox(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    write(folder.path(), "sandbox.json", bytes);
    drop(Sandbox::in_file(KINDS.clone(), vec![], &folder.path().join("sandbox.json"), true));
}

/// A saved plan as it is, and with the digest that it would have to have: no mutation gets past that otherwise.
pub fn plan(bytes: &[u8]) {
    drop(serde_json::from_slice::<Saved>(bytes));
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    let text = String::from_utf8_lossy(bytes);
    if let Ok(plan) = serde_json::from_str::<Plan>(&text) {
        shown(&plan);
    }
    for text in [Some(text.to_string()), sealed(&text)].into_iter().flatten() {
        write(folder.path(), "prod.plan", text.as_bytes());
        if let Ok(file) = PlanFile::read(&folder.path().join("prod.plan")) {
            drop((show::header(&file), file.moved(folder.path()), file.plan.secrets()));
            shown(&file.plan.plan);
            reread(&file);
        }
    }
}

fn sealed(text: &str) -> Option<String> {
    let nothing = "0".repeat(64);
    let head: serde_json::Value = serde_json::from_str(text).ok()?;
    let digest = head.get("digest")?.as_str().filter(|digest| !digest.is_empty())?;
    let blank = text.replacen(digest, &nothing, 1);
    Some(blank.replacen(&nothing, &sha256(blank.as_bytes()), 1))
}

fn shown(plan: &Plan) {
    for format in [Format::Text, Format::Markdown, Format::Json, Format::JsonLines] {
        let (report, ..) = Report::buffered(format, Sources::default());
        report.plan(plan);
        court::diagnostics(plan).iter().for_each(|told| report.diagnostic(told));
    }
}

/// What `runner apply` does before it asks, on a play cloud with nothing in it.
fn reread(file: &PlanFile) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be had");
    let world = Sandbox::in_memory(KINDS.clone(), vec![]);
    let world = Arc::new(World::new(Arc::new(world), &file.stack, Events::default()));
    let forecast = Forecast::new(world, file.plan.wish.phases.clone(), runtime.handle().clone());
    drop(runtime.block_on(file.plan.reread(&forecast, &file.salt)));
}

/// A file of policies, which hears a plan with something in it.
pub fn policies(bytes: &[u8]) {
    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        serde_json::from_str(include_str!("corpus/plan/one.json")).expect("the corpus has a whole plan")
    });
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    write(folder.path(), "playbooks/policies/p.rhai", bytes);
    let (playbook, sources) = (folder.path().join("playbooks/prod.rhai"), Sources::default());
    let kinds = |name: &str| KINDS.iter().find(|kind| *kind.name == *name).map(|kind| (**kind).clone());
    let limits = Limits { operations: 20_000, time: Duration::from_secs(20), ..Limits::default() };
    let mut plan = PLAN.clone();
    court::judge(&mut plan, &playbook, folder.path(), &kinds, &sources, limits);
    drop(court::diagnostics(&plan));
    drop(court::check(&playbook, folder.path(), &sources));
}

/// Objects of Kubernetes, through the door of `k8s::manifest`; and as what is laid over others.
pub fn manifest(bytes: &[u8]) {
    let text = Value::from(String::from_utf8_lossy(bytes).as_ref());
    let cluster = Value::Reference(Reference { address: Address::new("k8s::cluster", "main"), path: vec![] });
    let (mut inputs, declared) = (Map::from([("cluster".to_owned(), cluster)]), |_: &Address| Some(Map::new()));
    for compound in providers::kubernetes::compounds() {
        for patched in [false, true] {
            if patched {
                inputs.insert("patches".to_owned(), text.clone());
            }
            drop((compound.expand)(&Asked { inputs: &inputs, text: &text, rendered: patched, declared: &declared }));
        }
    }
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
