//! Plans and applies over the wire with the real engine: what a playbook would do, without its script.

use std::sync::Arc;

use runner::diagnostic::Diagnostics;
use runner::engine::{self, Forecast, Outcome, Plan, Tools, Wish, World, journal::Journal, wait::Looks};
use runner::event::Events;
use runner::providers::aws::Aws;
use runner::resource::{Evaluation, Kind, Live, Provider, Select, Status, Value};
use serde_json::Value as Json;
use tokio::sync::watch;

use crate::moto::Account;
use crate::world::{evaluation, lines};

pub use crate::world::{Item, item, reference};

/// A stack named `prod` in an account of its own.
pub struct Stack {
    pub account: Account,
    pub aws: Arc<Aws>,
    wish: Wish,
}

/// The same items each time: `|| vec![item("aws::vpc.main", json!({ … }))]`.
impl Stack {
    pub fn new() -> Self {
        let account = Account::new();
        Stack { aws: Arc::new(account.aws()), account, wish: Wish { prune: true, ..Wish::default() } }
    }

    fn world(&self) -> Arc<World> {
        Arc::new(World::new(self.aws.clone(), "prod", Events::default()))
    }

    fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        self.aws.kinds().iter().find(|kind| *kind.name == *name).cloned()
    }

    /// As the script hands them over: with the logical name where a name was left out.
    fn evaluation(&self, items: Vec<Item>) -> Evaluation {
        let raw = evaluation(items);
        let mut complete = Evaluation { phases: raw.phases, ..Evaluation::default() };
        for declaration in raw.declarations.iter() {
            let kind = self.kind(&declaration.address.kind).expect("the test names a kind");
            let mistakes = runner::resource::schema::check(&kind.inputs, &declaration.inputs, &|_| None);
            assert!(mistakes.is_empty(), "{}: {mistakes:?}", declaration.address);
            let mut declaration = (**declaration).clone();
            declaration.inputs = kind.complete(&declaration.address.name, &declaration.inputs);
            complete.declarations.add(declaration).expect("one of each");
        }
        complete
    }

    pub async fn try_plan(&self, items: Vec<Item>) -> Result<Plan, Diagnostics> {
        let forecast = Forecast::new(self.world(), vec![], tokio::runtime::Handle::current());
        engine::plan(&forecast, &self.evaluation(items), &self.wish).await
    }

    /// What a plan would do, one line per change: `update aws::vpc.main enable_dns_support`.
    pub async fn plan(&self, items: Vec<Item>) -> Vec<String> {
        lines(&self.try_plan(items).await.unwrap_or_else(|wrong| panic!("{wrong:#?}")))
    }

    /// Plans and applies; then another plan has nothing to do. Gives what the first one did.
    pub async fn run(&self, items: impl Fn() -> Vec<Item>) -> Vec<String> {
        let plan = self.try_plan(items()).await.unwrap_or_else(|wrong| panic!("{wrong:#?}"));
        self.apply(&plan).await;
        let again = self.plan(items()).await;
        assert_eq!(again, [""; 0], "after an apply there is nothing to do");
        lines(&plan)
    }

    pub async fn apply(&self, plan: &Plan) {
        let outcome = self.outcome(plan).await;
        assert!(outcome.is_success(), "{:#?}", outcome.failures);
    }

    /// What is told of an apply that fails.
    pub async fn try_apply(&self, plan: &Plan) -> String {
        let outcome = self.outcome(plan).await;
        assert!(!outcome.is_success(), "it was to fail");
        format!("{:#?}", outcome.failures)
    }

    /// Applies as far as it goes; what went wrong.
    pub async fn failures(&self, plan: &Plan) -> Diagnostics {
        let outcome = self.outcome(plan).await;
        assert!(!outcome.interrupted);
        outcome.failures.into_iter().map(|failure| *failure.diagnostic).collect()
    }

    async fn outcome(&self, plan: &Plan) -> Outcome {
        let (_stop, stopping) = watch::channel(false);
        let tools = Tools {
            looks: Looks::new(self.aws.clone(), "prod"),
            provider: self.aws.clone(),
            stack: "prod".into(),
            journal: Journal::none(),
            events: Events::default(),
            secrets: Default::default(),
            lease: Default::default(),
            stopping,
        };
        let outcome = engine::apply(plan, &|name: &str| self.kind(name), &tools, 32).await;
        outcome.unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// Deletes all that the stack owns; nothing of it is found afterwards.
    pub async fn destroy(&self) -> Vec<String> {
        let forecast = Forecast::new(self.world(), vec![], tokio::runtime::Handle::current());
        let plan = engine::plan_destroy(&forecast, &Evaluation::default(), &self.wish).await;
        let plan = plan.unwrap_or_else(|wrong| panic!("{wrong:#?}"));
        self.apply(&plan).await;
        // The tags of what is gone are told for a while.
        for name in self.aws.owned_kinds(None, "prod").await.unwrap() {
            let kind = self.kind(&name).expect("one of ours");
            let select = Select::Owned { stack: "prod".into() };
            let left = self.aws.list(&kind, None, &select).await.unwrap();
            assert!(left.iter().all(|live| live.status == Status::Deleting), "{left:#?}");
        }
        lines(&plan)
    }

    /// The one resource with this address.
    pub async fn live(&self, address: &str) -> Live {
        let kind = self.kind(address.split('.').next().unwrap()).expect("a kind");
        let select = Select::Owned { stack: "prod".into() };
        let all = self.aws.list(&kind, None, &select).await.unwrap();
        let mut found = all.into_iter().filter(|live| live.owner.as_ref().unwrap().address.to_string() == address);
        let live = found.next().unwrap_or_else(|| panic!("{address} is not there"));
        assert!(found.next().is_none(), "{address} is there twice");
        live
    }

    /// An attribute of it.
    pub async fn attribute(&self, address: &str, name: &str) -> Json {
        let live = self.live(address).await;
        let value = live.outputs.get(name).or_else(|| live.inputs.get(name)).cloned();
        Json::from(&value.unwrap_or(Value::Null))
    }
}
