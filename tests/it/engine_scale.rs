//! The engine at size: counted calls and simulated time, so that noise cannot hide anything.

use runner::providers::sandbox::Sandbox;
use serde_json::json;

use crate::world::{Cloud, Item, item, kinds, reference, seconds};

fn wide(parts: usize) -> Vec<Item> {
    let mut items = vec![item("t::network.main", json!({ "cidr_block": "10.0.0.0/16" }))];
    items.extend(
        (0..parts)
            .map(|n| item(&format!("t::part.p{n}"), json!({ "network": reference("t::network.main.id"), "size": 1 }))),
    );
    items
}

#[tokio::test]
async fn a_plan_reads_per_kind_and_not_per_resource() {
    let cloud = Cloud::new();
    cloud.run(wide(300)).await;
    let before: usize = cloud.sandbox.calls().values().sum();
    assert!(cloud.plan(wide(300)).await.is_empty());
    let after: usize = cloud.sandbox.calls().values().sum();
    // One listing per kind, and one question for what kinds there are.
    assert_eq!(after - before, 3);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_many_costs_the_calls_of_waiting_for_one() {
    let reads = async |parts: usize| {
        let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
        sandbox.latency.call = seconds(0.05);
        sandbox.latency.settle_otherwise = seconds(60.0);
        let cloud = Cloud::over(sandbox);
        let plan = cloud.plan(wide(parts)).await;
        assert!(cloud.apply_with(&plan, 1000).await.is_success());
        cloud.sandbox.calls()["list t::part"]
    };
    let (one, many) = (reads(1).await, reads(500).await);
    assert!(many < one * 2, "{one} reads for one, {many} for five hundred");
}

/// Figures like a cloud's: what waits for what decides, and nothing else should.
#[tokio::test(start_paused = true)]
async fn an_apply_takes_as_long_as_its_critical_path() {
    let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
    sandbox.latency.call = seconds(0.15);
    for (kind, time) in
        [("t::network", 2.0), ("t::part", 95.0), ("t::gate", 12.0), ("t::late", 610.0), ("t::named", 3.0)]
    {
        sandbox.latency.settle.insert(kind.into(), seconds(time));
    }
    let cloud = Cloud::over(sandbox);
    let mut items = wide(40);
    for n in 0..40 {
        let uses = json!({ "targets": [reference(&format!("t::part.p{n}.id"))] });
        items.push(item(&format!("t::gate.g{n}"), uses));
    }
    let cluster = item("t::late.cluster", json!({ "network": reference("t::network.main.id") }));
    items.push(cluster.with(|options| options.timeout = Some(seconds(1800.0))));
    items.push(item("t::part.nodes", json!({ "targets": [reference("t::late.cluster.id")] })));
    for n in 0..10 {
        items.push(item(&format!("t::named.n{n}"), json!({ "name": format!("n{n}") })));
    }
    let plan = cloud.plan(items).await;
    let outcome = cloud.apply(&plan).await;
    assert!(outcome.is_success());
    // network, one part, its gate (which `late` follows), the cluster, its nodes; each with the call that makes it.
    let critical = 2.0 + 95.0 + 12.0 + 610.0 + 95.0 + 5.0 * 0.15;
    let ratio = outcome.seconds / critical;
    println!("makespan {:.1} s, critical path {critical:.1} s, ratio {ratio:.4}", outcome.seconds);
    assert!((1.0..=1.02).contains(&ratio), "makespan {:.1} s, critical path {critical:.1} s", outcome.seconds);
}

/// With kinds that follow each other, whose order is searched for: a step that looks at all for each would show here as
/// minutes. How time and memory grow is measured by benches/many.rhai.
#[tokio::test]
async fn a_plan_of_thousands_is_made() {
    let cloud = Cloud::new();
    let mut items = wide(9_900);
    for n in 0..50 {
        items.push(item(&format!("t::gate.g{n}"), json!({ "size": 1 })));
        items.push(item(&format!("t::late.l{n}"), json!({ "size": 1 })));
    }
    let plan = cloud.plan(items).await;
    assert_eq!(plan.counts().create, 10_001);
    let late = plan.changes.iter().filter(|change| *change.address.kind == *"t::late");
    assert!(late.clone().count() == 50 && late.clone().all(|change| change.needs.len() == 50));
    assert_eq!(runner::engine::graph::steps(&plan).unwrap().len(), 10_001);
}
