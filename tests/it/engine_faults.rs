//! The engine when things go wrong: refused, lost, late, changed by someone else, stopped.

use std::time::Duration;

use runner::engine::Outcome;
use runner::event::Event;
use runner::providers::sandbox::{Mishap, Sandbox};
use runner::resource::{Class, Delete, Live, Provider, Value};
use serde_json::json;

use crate::world::{Cloud, Item, item, kinds, lines, reference, seconds};

fn items() -> Vec<Item> {
    let part =
        |name: &str| item(&format!("t::part.{name}"), json!({ "network": reference("t::network.main.id"), "size": 1 }));
    let user = json!({ "targets": [reference("t::part.a.id")] });
    vec![
        item("t::network.main", json!({ "cidr_block": "10.0.0.0/16" })),
        part("a"),
        part("b"),
        item("t::late.user", user),
    ]
}

fn mishap(call: &str, class: Class, takes_effect: bool, times: usize) -> Mishap {
    Mishap { call: call.into(), class, takes_effect, times }
}

#[tokio::test(start_paused = true)]
async fn a_failure_skips_what_rests_on_it_lets_the_rest_finish_and_a_rerun_completes() {
    let cloud = Cloud::new();
    let mut all = items();
    all.push(item("t::named.alone", json!({ "name": "alone" })));
    all.push(
        item("t::named.then", json!({ "name": "then" })).with(|o| o.after = vec!["t::named.alone".parse().unwrap()]),
    );
    cloud.sandbox.befall(mishap("create t::network", Class::Denied, false, 1));
    let plan = cloud.plan(all).await;
    let outcome = cloud.apply(&plan).await;
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(
        outcome.failures[0].diagnostic.to_string(),
        "test.rhai:1:1: failed to create t::network.main: the sandbox was told to fail: create t::network"
    );
    let mut skipped: Vec<String> = outcome.skipped.iter().map(|(what, why)| format!("{what} <- {why}")).collect();
    skipped.sort();
    assert_eq!(
        skipped,
        ["t::late.user <- t::network.main", "t::part.a <- t::network.main", "t::part.b <- t::network.main"]
    );
    assert_eq!(cloud.addresses(), ["t::named.alone", "t::named.then"]);
    cloud.run(items()).await;
    assert_eq!(cloud.addresses().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_create_makes_no_second_one() {
    let cloud = Cloud::new();
    cloud.sandbox.befall(mishap("create t::network", Class::Ambiguous, true, 1));
    cloud.run(items()).await;
    assert_eq!(cloud.sandbox.calls()["create t::network"], 1);
    assert_eq!(cloud.addresses().len(), 4);
    assert!(cloud.plan(items()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_create_that_never_arrived_is_made_after_looking() {
    let cloud = Cloud::new();
    cloud.sandbox.befall(mishap("create t::network", Class::Ambiguous, false, 1));
    cloud.run(items()).await;
    assert_eq!(cloud.sandbox.calls()["create t::network"], 2);
    assert_eq!(cloud.addresses().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn throttled_and_lost_calls_of_every_sort_are_survived() {
    let cloud = Cloud::new();
    for call in ["create t::network", "create t::part", "list t::part", "create t::late"] {
        cloud.sandbox.befall(mishap(call, Class::Throttled, false, 3));
    }
    // The plan's own listing is the provider's to repeat; here it must not be hit.
    let plan = {
        let calm = Cloud::over(Sandbox::in_memory(kinds(), vec![]));
        calm.plan(items()).await
    };
    let outcome = cloud.apply(&plan).await;
    assert!(outcome.is_success(), "{:#?}", outcome.failures);
    let retried = cloud.record.0.lock().unwrap().iter().filter(|event| matches!(event, Event::Retrying { .. })).count();
    assert!(retried >= 9, "{retried} retries");

    let mut bigger = items();
    bigger[1] = item("t::part.a", json!({ "network": reference("t::network.main.id"), "size": 2 }));
    cloud.sandbox.befall(mishap("update t::part", Class::Ambiguous, true, 1));
    let plan = cloud.run(bigger).await;
    assert_eq!(lines(&plan), ["update t::part.a size"]);

    cloud.sandbox.befall(mishap("delete t::part", Class::Ambiguous, true, 1));
    cloud.sandbox.befall(mishap("delete t::network", Class::Throttled, false, 2));
    let plan = cloud.plan_destroy(items()).await.unwrap();
    assert!(cloud.apply(&plan).await.is_success());
    assert_eq!(cloud.addresses(), [""; 0]);
}

#[tokio::test]
async fn someone_elses_change_between_plan_and_apply_is_not_overwritten() {
    let cloud = Cloud::new();
    cloud.run(items()).await;
    let sized = |size: i64| {
        let mut all = items();
        all[1] = item("t::part.a", json!({ "network": reference("t::network.main.id"), "size": size }));
        all[2] = item("t::part.b", json!({ "network": reference("t::network.main.id"), "size": size }));
        all
    };
    let plan = cloud.plan(sized(2)).await;
    let id = cloud.live("t::part.a").id;
    cloud.sandbox.meddle(&id, |live| drop(live.inputs.insert("size".into(), Value::Int(7))));
    let outcome = cloud.apply(&plan).await;
    assert_eq!(
        outcome.failures[0].diagnostic.to_string(),
        "test.rhai:2:1: t::part.a changed since the plan: someone changed `size` \
         (hint: nothing of it was touched; run again for a plan of what is there now)"
    );
    assert_eq!(cloud.live("t::part.a").inputs["size"], Value::Int(7));
    assert_eq!(cloud.live("t::part.b").inputs["size"], Value::Int(2));
}

#[tokio::test]
async fn what_appeared_or_vanished_or_changed_hands_since_the_plan_is_left_alone() {
    let cloud = Cloud::new();
    let plan = cloud.plan(items()).await;
    // Another run was faster.
    cloud.run(items()).await;
    let outcome = cloud.apply(&plan).await;
    assert!(outcome.failures[0].diagnostic.summary.contains("t::network.main changed since the plan"));
    assert_eq!(cloud.addresses().len(), 4);

    let plan = cloud.plan_destroy(items()).await.unwrap();
    let id = cloud.live("t::late.user").id;
    cloud.sandbox.meddle(&id, |live| live.owner.as_mut().unwrap().stack = "other".into());
    let outcome = cloud.apply(&plan).await;
    assert!(outcome.failures.iter().any(|failure| failure.diagnostic.summary.contains("t::late.user changed since")));
    assert!(cloud.sandbox.all().iter().any(|(_, live)| live.id == id));
}

#[tokio::test]
async fn two_with_one_address_are_told_not_guessed_at() {
    let cloud = Cloud::new();
    cloud.run(vec![item("t::part.a", json!({})), item("t::part.b", json!({}))]).await;
    let id = cloud.live("t::part.b").id;
    cloud.sandbox.meddle(&id, |live| live.owner.as_mut().unwrap().address = "t::part.a".parse().unwrap());
    let wrong = cloud.try_plan(vec![item("t::part.a", json!({}))]).await.unwrap_err();
    assert!(wrong[0].summary.starts_with("2 resources carry the address t::part.a: "), "{}", wrong[0]);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_ready_or_when_the_time_is_up() {
    let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
    sandbox.latency.settle_otherwise = seconds(90.0);
    let cloud = Cloud::over(sandbox);
    let slow = |limit: u64| {
        vec![
            item("t::part.a", json!({})).with(|options| options.timeout = Some(Duration::from_secs(limit))),
            item("t::part.b", json!({ "targets": [reference("t::part.a.id")] })),
        ]
    };
    let plan = cloud.plan(slow(30)).await;
    let outcome = cloud.apply(&plan).await;
    assert_eq!(
        outcome.failures[0].diagnostic.to_string(),
        "test.rhai:1:1: t::part.a is not ready after 30 s: its status is `pending` \
         (hint: run again to go on waiting, or give it more time with the option `timeout`)"
    );
    // The next run does not make it again: it goes on waiting, and then makes what rests on it.
    let plan = cloud.run(slow(600)).await;
    assert_eq!(lines(&plan), ["update t::part.a", "create t::part.b"]);
    assert_eq!(cloud.sandbox.calls()["create t::part"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_nothing_new_begin_and_the_next_run_goes_on() {
    let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
    sandbox.latency.settle_otherwise = seconds(60.0);
    let cloud = Cloud::over(sandbox);
    let plan = cloud.plan(items()).await;
    let stop = cloud.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(10.0)).await;
        stop.send_replace(true);
    });
    let outcome = cloud.apply(&plan).await;
    assert!(outcome.interrupted && outcome.failures.is_empty());
    assert_eq!(cloud.addresses(), ["t::network.main"]);
    assert!(outcome.seconds < 11.0, "{}", outcome.seconds);
    cloud.stop.send_replace(false);
    cloud.run(items()).await;
    assert_eq!(cloud.addresses().len(), 4);
}

#[tokio::test]
async fn a_dry_provider_refuses_every_change() {
    let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
    sandbox.read_only = true;
    let cloud = Cloud::over(sandbox);
    let plan = cloud.plan(items()).await;
    let outcome = cloud.apply(&plan).await;
    assert!(outcome.failures[0].diagnostic.to_string().contains("nothing may change in this mode"));
    assert_eq!(cloud.addresses(), [""; 0]);
}

#[tokio::test]
async fn a_sandbox_file_keeps_the_cloud_and_a_broken_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/sandbox.json");
    let open = || Sandbox::in_file(kinds(), vec![], &file, false);
    Cloud::over(open().unwrap()).run(items()).await;
    let cloud = Cloud::over(open().unwrap());
    assert!(cloud.plan(items()).await.is_empty());
    std::fs::write(&file, "{").unwrap();
    let wrong = open().err().unwrap().to_string();
    assert!(wrong.contains("cannot use the sandbox in") && wrong.contains("delete the file"), "{wrong}");
}

/// Makes three, one after the other, and somebody deletes one of them so many seconds later.
async fn deleted_by_hand(address: &'static str, after: f64, unanswered: usize) -> Outcome {
    let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
    sandbox.latency.settle_otherwise = seconds(if unanswered > 0 { 0.0 } else { 20.0 });
    let cloud = Cloud::over(sandbox);
    let middle = item("t::part.middle", json!({})).with(|o| o.after = vec!["t::part.first".parse().unwrap()]);
    let targets = [reference("t::part.first.id"), reference("t::part.middle.id")];
    let last = item("t::part.last", json!({ "targets": targets }));
    let plan = cloud.plan(vec![item("t::part.first", json!({})), middle, last]).await;
    // As long as nobody can look, nobody sees what was made.
    if unanswered > 0 {
        let (call, class) = ("list t::part".into(), Class::Throttled);
        cloud.sandbox.befall(Mishap { call, class, takes_effect: false, times: unanswered });
    }
    let hand = cloud.sandbox.clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(after)).await;
        let of = |live: &Live| live.owner.as_ref().is_some_and(|owner| owner.address.to_string() == address);
        let live = loop {
            match hand.all().into_iter().find(|(_, live)| of(live)) {
                Some((_, live)) => break live,
                None => tokio::time::sleep(seconds(0.1)).await,
            }
        };
        let kind = hand.kinds().iter().find(|kind| &*kind.name == "t::part").unwrap().clone();
        hand.delete(&kind, &Delete { live }).await.unwrap();
    });
    cloud.apply(&plan).await
}

#[tokio::test(start_paused = true)]
async fn what_somebody_deletes_meanwhile_is_not_waited_for() {
    // It was made, and what is made of it next does not find it any more.
    let outcome = deleted_by_hand("t::part.first", 30.0, 0).await;
    let told = outcome.failures[0].diagnostic.to_string();
    assert!(told.contains("failed to create t::part.last: t::part.first, `part-"), "{told}");
    assert!(told.contains("was there earlier in this run and is gone") && told.contains("someone else"), "{told}");
    assert!(outcome.seconds < 120.0, "{}", outcome.seconds);

    // It is being made, and was seen.
    let outcome = deleted_by_hand("t::part.middle", 30.0, 0).await;
    let told = outcome.failures[0].diagnostic.to_string();
    assert!(told.contains("t::part.middle was changed by someone else meanwhile"), "{told}");
    assert!(outcome.seconds < 120.0, "{}", outcome.seconds);

    // It is gone before it was ever seen.
    let outcome = deleted_by_hand("t::part.first", 0.5, 6).await;
    let told = outcome.failures[0].diagnostic.to_string();
    assert!(told.contains("t::part.first was changed by someone else meanwhile: `part-"), "{told}");
    assert!(told.contains("was made, and is not to be seen after 120 s"), "{told}");
    assert!(outcome.seconds < 180.0, "{}", outcome.seconds);
}
