//! Playbooks in, evaluations or diagnostics out.

mod declarations;
mod errors;
mod imports;
mod seeing;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use runner::diagnostic::{Diagnostic, Diagnostics, Site, Sources};
use runner::resource::kind::{Lookup, Nature};
use runner::resource::{
    Class, Declarations, Evaluation, Fault, Field, Kind, Map, Oracle, Reference, Sight, Type, Value,
};
use runner::script::{Files, Inventory, Limits, Rendered, Script, evaluate};
use schemars::JsonSchema;

/// A network.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct Vpc {
    /// The range of addresses, in CIDR notation.
    cidr_block: String,
    enable_dns: Option<bool>,
    tags: Option<HashMap<String, String>>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct VpcOut {
    id: String,
    arn: String,
    tag: String,
    ready: bool,
    size: i64,
    zones: Vec<String>,
    nodes: Vec<Node>,
    identity: HashMap<String, String>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Node {
    name: String,
}

/// A part of a network.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct Subnet {
    vpc_id: String,
    cidr_block: Option<String>,
    route: Option<Vec<Route>>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Route {
    cidr_block: String,
    gateway_id: Option<String>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Id {
    id: String,
}

/// A place for images.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct Repository {
    name: Option<String>,
}

pub fn kinds() -> Vec<Arc<Kind>> {
    let named = Nature { named_by: Some("name"), ..Nature::default() };
    vec![
        Arc::new(Kind::of::<Vpc, VpcOut>("aws::vpc", Nature::default())),
        Arc::new(Kind::of::<Subnet, Id>("aws::subnet", Nature::default())),
        Arc::new(Kind::of::<Repository, Id>("aws::ecr_repository", named)),
    ]
}

pub fn lookups() -> Vec<Lookup> {
    let field = |name: &str, required| Field {
        name: name.into(),
        ty: Type::String,
        required,
        immutable: false,
        restarts: false,
        sensitive: false,
        lets_go: false,
        outlives: false,
        names: None,
        write_only: false,
        remembered: false,
        default: None,
        doc: String::new(),
    };
    let lookup =
        |name: &str, parameters| Lookup { name: name.into(), doc: "Reads.".into(), parameters, returns: vec![] };
    vec![
        lookup("aws::zones", vec![field("region", false)]),
        lookup("aws::parameter", vec![field("name", true)]),
        lookup("aws::ecr_repository", vec![field("name", true)]),
    ]
}

/// Knows what it is told, by the text of the reference.
#[derive(Default)]
pub struct Known(pub HashMap<String, Value>, pub Mutex<Vec<String>>);

impl Oracle for Known {
    fn see(&self, _: &Declarations, reference: &Reference) -> Result<Sight, Box<Diagnostic>> {
        self.1.lock().unwrap().push(reference.to_string());
        Ok(self.0.get(&reference.to_string()).cloned().map_or(Sight::Unknown(None), Sight::Known))
    }

    fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        match name {
            "aws::zones" => Ok(["a", "b"].map(Value::from).into_iter().collect()),
            _ if arguments == ["known".into()] => Ok("found".into()),
            _ => Err(Fault::new(Class::NotFound, "there is no such parameter").hint("create it first")),
        }
    }
}

/// A playbook with everything around it.
pub struct Play {
    pub folder: tempfile::TempDir,
    pub known: HashMap<String, Value>,
    pub limits: Limits,
    pub printed: Arc<Mutex<Vec<String>>>,
    pub files: Option<Arc<dyn Files>>,
}

impl Play {
    pub fn new(main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let play =
            Play { folder, known: HashMap::new(), limits: Limits::default(), printed: Arc::default(), files: None };
        play.file("playbooks/main.rhai", main)
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn knows(mut self, reference: &str, value: impl Into<Value>) -> Self {
        self.known.insert(reference.into(), value.into());
        self
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn run(&self) -> Result<Evaluation, Diagnostics> {
        let inventory = serde_json::json!({
            "name": "prod", "default": true, "network": { "cidr": "10.0.0.0/16", "private": ["a", "b"], "zones": 2 },
            "database": { "size": 3 },
        });
        let printed = self.printed.clone();
        evaluate(&Script {
            playbook: &self.path("playbooks/main.rhai"),
            root: self.folder.path(),
            inventory: Inventory {
                name: "prod".into(),
                value: inventory.into(),
                files: vec!["inventory/prod.toml".into(), "inventory/common.toml".into()],
                secrets: vec!["database".into()],
            },
            kinds: &kinds(),
            lookups: &lookups(),
            compounds: &[],
            files: self.files.clone(),
            oracle: Arc::new(Known(self.known.clone(), Mutex::default())),
            sources: &Sources::default(),
            print: Arc::new(move |text, site| printed.lock().unwrap().push(format!("{site}: {text}"))),
            limits: self.limits,
        })
    }

    /// The evaluation of a playbook without mistakes.
    pub fn good(&self) -> Evaluation {
        self.run().unwrap_or_else(|found| panic!("{}", lines(&found).join("\n")))
    }

    /// What is wrong with a playbook, one line each, with all places.
    pub fn bad(&self) -> Vec<String> {
        match self.run() {
            Ok(_) => vec!["nothing is wrong".into()],
            Err(found) => lines(&found),
        }
    }

    /// The outputs as JSON.
    pub fn outputs(&self) -> String {
        let evaluation = self.good();
        if let Some(stop) = evaluation.stop {
            return format!(
                "stopped at {}: {:?}",
                stop.site,
                stop.references.iter().map(|r| r.to_string()).collect::<Vec<_>>()
            );
        }
        let outputs: Map = evaluation.outputs.into_iter().map(|given| (given.name, given.value)).collect();
        Value::Map(outputs).to_string()
    }
}

fn lines(found: &Diagnostics) -> Vec<String> {
    let line = |diagnostic: &Diagnostic| {
        let more: Vec<String> =
            diagnostic.places.iter().skip(1).map(|p| format!(" [{} {}]", p.site, p.label)).collect();
        format!("{diagnostic}{}", more.concat())
    };
    found.iter().map(line).collect()
}

/// Files of which only the templates are there.
pub struct Renders<F>(pub F);

impl<F: Fn(&str, &Map) -> Result<Rendered, Vec<Diagnostic>> + Send + Sync> Files for Renders<F> {
    fn render(&self, path: &str, values: &Map) -> Result<Rendered, Vec<Diagnostic>> {
        (self.0)(path, values)
    }

    fn trace(&self, _: &str, _: &Map) -> Vec<Site> {
        vec![]
    }

    fn read(&self, path: &str) -> Result<(String, Arc<str>), Box<Diagnostic>> {
        Err(Box::new(Diagnostic::error(format!("there is no file {path}"))))
    }
}

pub fn rendered(text: Value) -> Result<Rendered, Vec<Diagnostic>> {
    Ok(Rendered::Text(text))
}
