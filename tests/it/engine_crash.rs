//! A run killed before or after any of its calls: the next one converges, and nothing is there twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use runner::providers::sandbox::Sandbox;
use runner::resource::kind::Lookup;
use runner::resource::{Create, Delete, Fault, Kind, Live, Provider, ReplaceOrder, Select, Update, Value};
use serde_json::json;
use tokio::sync::Notify;

use crate::world::{Cloud, Item, item, kinds, reference, seconds};

/// The sandbox, until its n-th call: that one is never answered, whether it took effect or not.
struct Dying {
    inner: Arc<Sandbox>,
    left: AtomicUsize,
    takes_effect: bool,
    died: Notify,
}

impl Dying {
    async fn last<T>(&self, call: impl Future<Output = T>) -> T {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1 => {
                if self.takes_effect {
                    call.await;
                }
                self.died.notify_one();
                std::future::pending().await
            }
            _ => call.await,
        }
    }
}

#[async_trait]
impl Provider for Dying {
    fn kinds(&self) -> &[Arc<Kind>] {
        self.inner.kinds()
    }

    fn lookups(&self) -> &[Lookup] {
        self.inner.lookups()
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        self.inner.owned_kinds(region, stack).await
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        self.last(self.inner.list(kind, region, select)).await
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        self.last(self.inner.create(kind, request)).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        self.last(self.inner.update(kind, request)).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        self.last(self.inner.delete(kind, request)).await
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.inner.look_up(name, arguments).await
    }
}

/// Creates, an update, both orders of replacement, and a deletion.
fn before() -> Vec<Item> {
    declared("10.0.0.0/16", 1, vec![item("t::named.old", json!({ "name": "old" }))])
}

fn after() -> Vec<Item> {
    declared("10.1.0.0/16", 2, vec![item("t::named.new", json!({ "name": "new" }))])
}

fn declared(cidr: &str, size: i64, more: Vec<Item>) -> Vec<Item> {
    let part =
        |name: &str| item(&format!("t::part.{name}"), json!({ "network": reference("t::network.main.id"), "size": 1 }));
    let mut items = vec![
        item("t::network.main", json!({ "cidr_block": cidr })),
        part("a"),
        part("b").with(|options| options.replace = ReplaceOrder::CreateFirst),
        item("t::gate.g", json!({ "size": size, "targets": [reference("t::part.a.id"), reference("t::part.b.id")] })),
        item("t::late.l", json!({ "holds": reference("t::network.main.id") })),
    ];
    items.extend(more);
    items
}

fn cloud() -> Cloud {
    let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
    sandbox.latency.settle_otherwise = seconds(3.0);
    let mut cloud = Cloud::over(sandbox);
    cloud.wish.prune = true;
    cloud
}

/// Kills the change from `before` to `after` at its n-th call; false if it has fewer.
async fn killed_at(call: usize, takes_effect: bool) -> bool {
    let cloud = cloud();
    cloud.run(before()).await;
    let plan = cloud.plan(after()).await;
    let (inner, left, died) = (cloud.sandbox.clone(), AtomicUsize::new(call), Notify::new());
    let dying = Arc::new(Dying { inner, left, takes_effect, died });
    let survived = tokio::select! {
        _ = cloud.apply_over(dying.clone(), &plan, 4) => true,
        () = dying.died.notified() => false,
    };

    cloud.run(after()).await;
    let told = format!("killed {} call {call}", if takes_effect { "after" } else { "before" });
    assert!(cloud.plan(after()).await.is_empty(), "{told}: there is more to do");
    let mut wanted: Vec<String> =
        ["gate.g", "late.l", "named.new", "network.main", "part.a", "part.b"].map(|name| format!("t::{name}")).into();
    wanted.sort();
    assert_eq!(cloud.addresses(), wanted, "{told}");
    !survived
}

#[tokio::test(start_paused = true)]
async fn killed_before_or_after_any_call_the_next_run_converges() {
    for takes_effect in [false, true] {
        let mut call = 1;
        while killed_at(call, takes_effect).await {
            call += 1;
        }
        println!("{} calls swept, killed {}", call - 1, if takes_effect { "after" } else { "before" });
        assert!(call > 30, "only {call} calls were swept");
    }
}
