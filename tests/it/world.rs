//! A small cloud and a way to say what should be in it, without a script.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runner::diagnostic::{Diagnostics, Site};
use runner::engine::{self, Forecast, Outcome, Plan, Tools, Wish, World, journal::Journal, lock::Lease, wait::Looks};
use runner::event::{Event, Events, Operation, Reader, Stamped};
use runner::providers::sandbox::Sandbox;
use runner::resource::kind::Nature;
use runner::resource::{
    Address, Declaration, Declarations, Evaluation, Kind, Live, Options, Provider, Reference, Status, Value,
};
use schemars::JsonSchema;
use serde_json::json;
use tokio::sync::watch;

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Outputs {
    id: String,
    arn: String,
    /// Something that comes and goes with it.
    #[schemars(example = "own-0a1b", extend("comes_along" = true))]
    own_id: String,
    /// Changes with every change of the size.
    #[schemars(extend("changes_with" = ["size"]))]
    revision: String,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Network {
    #[schemars(extend("immutable" = true))]
    cidr_block: String,
    tags: Option<HashMap<String, String>>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Part {
    #[schemars(extend("immutable" = true))]
    network: Option<String>,
    /// Let go of when what they name is deleted.
    #[schemars(extend("uniqueItems" = true, "lets_go" = true))]
    targets: Option<Vec<String>>,
    /// Held on to, and changed in place.
    holds: Option<String>,
    size: Option<i64>,
    tags: Option<HashMap<String, String>>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Named {
    #[schemars(extend("immutable" = true))]
    name: String,
    #[schemars(extend("immutable" = true))]
    network: Option<String>,
    size: Option<i64>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Inside {
    #[schemars(extend("immutable" = true, "names" = "t::named"))]
    parent: String,
    /// Written on by what it names.
    #[schemars(extend("lets_go" = true, "outlives" = true))]
    disk_of: Option<String>,
    size: Option<i64>,
    tags: Option<HashMap<String, String>>,
}

pub fn kinds() -> Vec<Arc<Kind>> {
    let nature = |id_prefix| Nature { id_prefix, ..Nature::default() };
    let gate = Nature { follows: &["t::gate"], ..nature("late-") };
    let named = Nature { natural_key: &["name"], named_by: Some("name"), ..nature("named-") };
    let precious = Nature { mended_by: Some(&["size"]), ..nature("inside-") };
    [
        Kind::of::<Inside, Outputs>("t::inside", precious),
        Kind::of::<Network, Outputs>("t::network", nature("net-")),
        Kind::of::<Part, Outputs>("t::part", nature("part-")),
        Kind::of::<Part, Outputs>("t::gate", nature("gate-")),
        Kind::of::<Part, Outputs>("t::late", gate),
        Kind::of::<Named, Outputs>("t::named", named),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

/// One declaration of a test.
pub struct Item {
    address: Address,
    inputs: serde_json::Value,
    options: Options,
    phase: Vec<Arc<str>>,
}

pub fn item(address: &str, inputs: serde_json::Value) -> Item {
    Item { address: address.parse().unwrap(), inputs, options: Options::default(), phase: vec![] }
}

impl Item {
    pub fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    pub fn phase(mut self, name: &str) -> Self {
        self.phase.push(name.into());
        self
    }
}

/// `"${t::network.main.id}"` as an input.
pub fn reference(text: &str) -> serde_json::Value {
    let (address, attribute) = text.rsplit_once('.').unwrap();
    json!(Value::from(Reference::new(address.parse().unwrap(), attribute)))
}

pub fn evaluation(items: Vec<Item>) -> Evaluation {
    let mut declarations = Declarations::default();
    let mut phases: Vec<Arc<str>> = vec![];
    for (index, item) in items.into_iter().enumerate() {
        let Value::Map(inputs) = Value::from(item.inputs) else { panic!("inputs are a map") };
        phases.extend(item.phase.iter().filter(|name| !phases.contains(name)).cloned().collect::<Vec<_>>());
        declarations
            .add(Declaration {
                address: item.address,
                inputs,
                options: item.options,
                site: Site::new("test.rhai", index as u32 + 1, 1),
                phase: item.phase,
            })
            .unwrap();
    }
    Evaluation { declarations, phases, ..Evaluation::default() }
}

/// Keeps every event.
#[derive(Clone, Default)]
pub struct Record(pub Arc<Mutex<Vec<Event>>>);

impl Reader for Record {
    fn read(&mut self, event: &Stamped) {
        self.0.lock().unwrap().push(event.event.clone());
    }
}

/// A sandbox and a stack in it.
pub struct Cloud {
    pub sandbox: Arc<Sandbox>,
    pub record: Record,
    pub wish: Wish,
    pub stop: watch::Sender<bool>,
    /// A team's lock.
    pub lease: Lease,
    events: Events,
    stack: String,
}

impl Cloud {
    pub fn new() -> Self {
        Self::over(Sandbox::in_memory(kinds(), vec![]))
    }

    pub fn over(sandbox: Sandbox) -> Self {
        let record = Record::default();
        let events = Events::default();
        events.add(record.clone());
        let (stop, lease) = (watch::channel(false).0, Lease::none());
        let (sandbox, stack) = (Arc::new(sandbox), "prod".into());
        Cloud { sandbox, record, wish: Wish::default(), stop, lease, events, stack }
    }

    /// The same cloud, another stack.
    pub fn stack(&self, name: &str) -> Cloud {
        let mut other = Cloud::new();
        other.sandbox = self.sandbox.clone();
        other.stack = name.into();
        other
    }

    pub fn world(&self) -> Arc<World> {
        Arc::new(World::new(self.sandbox.clone(), &self.stack, self.events.clone()))
    }

    pub fn forecast(&self) -> Forecast {
        Forecast::new(self.world(), self.wish.phases.clone(), tokio::runtime::Handle::current())
    }

    pub async fn try_plan(&self, items: Vec<Item>) -> Result<Plan, Diagnostics> {
        engine::plan(&self.forecast(), &evaluation(items), &self.wish).await
    }

    pub async fn plan(&self, items: Vec<Item>) -> Plan {
        self.try_plan(items).await.unwrap_or_else(|wrong| panic!("{wrong:#?}"))
    }

    pub async fn plan_destroy(&self, items: Vec<Item>) -> Result<Plan, Diagnostics> {
        engine::plan_destroy(&self.forecast(), &evaluation(items), &self.wish).await
    }

    pub async fn apply(&self, plan: &Plan) -> Outcome {
        self.apply_with(plan, 32).await
    }

    pub async fn apply_with(&self, plan: &Plan, parallelism: usize) -> Outcome {
        self.apply_over(self.sandbox.clone(), plan, parallelism).await
    }

    /// Applies through another provider over the same cloud.
    pub async fn apply_over(&self, provider: Arc<dyn Provider>, plan: &Plan, parallelism: usize) -> Outcome {
        self.apply_as(provider, plan, parallelism, Journal::none()).await
    }

    /// Applies and writes down what it does.
    pub async fn apply_noting(&self, plan: &Plan, journal: Journal) -> Outcome {
        self.apply_as(self.sandbox.clone(), plan, 32, journal).await
    }

    async fn apply_as(
        &self,
        provider: Arc<dyn Provider>,
        plan: &Plan,
        parallelism: usize,
        journal: Journal,
    ) -> Outcome {
        let tools = Tools {
            looks: Looks::new(provider.clone(), &self.stack),
            provider,
            stack: self.stack.clone(),
            journal,
            events: self.events.clone(),
            secrets: Default::default(),
            lease: self.lease.clone(),
            stopping: self.lease.stopping(self.stop.subscribe()),
        };
        let all = kinds();
        let kind = |name: &str| all.iter().find(|kind| *kind.name == *name).cloned();
        engine::apply(plan, &kind, &tools, parallelism).await.unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// Plans and applies; everything must go well.
    pub async fn run(&self, items: Vec<Item>) -> Plan {
        let plan = self.plan(items).await;
        let outcome = self.apply(&plan).await;
        assert!(outcome.is_success(), "{:#?}", outcome.failures);
        plan
    }

    /// What there is, by address; of two with one address both.
    pub fn addresses(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .sandbox
            .all()
            .into_iter()
            .filter(|(_, live)| live.status != Status::Deleting)
            .filter_map(|(_, live)| live.owner.filter(|owner| owner.stack == self.stack))
            .map(|owner| format!("{}{}", owner.address, if owner.deposed { " (deposed)" } else { "" }))
            .collect();
        all.sort();
        all
    }

    pub fn live(&self, address: &str) -> Live {
        let address: Address = address.parse().unwrap();
        let all = self.sandbox.all().into_iter().map(|(_, live)| live);
        let mut found = all.filter(|live| live.owner.as_ref().is_some_and(|owner| owner.address == address));
        found.next().unwrap_or_else(|| panic!("{address} exists"))
    }

    /// Operations in the order in which they began or ended.
    pub fn order(&self, begun: bool) -> Vec<String> {
        let events = self.record.0.lock().unwrap();
        let verb = |operation: &Operation| format!("{operation:?}").to_lowercase();
        let told = events.iter().filter_map(|event| match event {
            Event::Started { address, operation, .. } if begun => Some(format!("{} {address}", verb(operation))),
            Event::Finished { address, operation, .. } if !begun => Some(format!("{} {address}", verb(operation))),
            _ => None,
        });
        told.collect()
    }

    pub fn forget_events(&self) {
        self.record.0.lock().unwrap().clear();
    }
}

/// A plan in one line per change: `create t::network.main`, with the fields of updates and replaces.
pub fn lines(plan: &Plan) -> Vec<String> {
    let changed = plan.changes.iter().filter(|change| change.action != engine::Action::None);
    changed
        .map(|change| {
            let action = format!("{:?}", change.action).to_lowercase();
            let fields: Vec<&str> = match change.action {
                engine::Action::Update | engine::Action::Replace => {
                    change.fields.iter().map(|f| f.path.as_str()).collect()
                }
                _ => vec![],
            };
            format!("{action} {} {}", change.address, fields.join(" ")).trim_end().to_owned()
        })
        .collect()
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
