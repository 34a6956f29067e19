//! The engine with a journal: what it writes down when it is stopped, and what the next apply makes of it.

use std::path::Path;

use runner::engine::earlier::{self, Open};
use runner::engine::journal::{self, Journal, Whose};
use runner::event::{Event, Found, Left, Operation};
use runner::providers::sandbox::Mishap;
use runner::resource::Class;
use serde_json::json;

use crate::world::{Cloud, Item, item, seconds};

fn network(cidr: &str) -> Vec<Item> {
    vec![item("t::network.main", json!({ "cidr_block": cidr }))]
}

fn begun(path: &Path) -> Journal {
    let whose = Whose { run: "7f3a".into(), stack: "prod".into(), ..Whose::default() };
    Journal::at(path, whose).unwrap()
}

fn open(path: &Path) -> Vec<Open> {
    let said = journal::read(&std::fs::read_to_string(path).unwrap());
    assert_eq!(said.wrong, [""; 0]);
    earlier::told(&said.entries).unwrap().open
}

fn fails(cloud: &Cloud, class: Class) {
    cloud.sandbox.befall(Mishap { call: "create t::network".into(), class, takes_effect: false, times: 1 });
}

/// A create whose answer was lost, stopped while it was looked for.
async fn unanswered(cloud: &Cloud) -> Vec<Open> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fails(cloud, Class::Ambiguous);
    let plan = cloud.plan(network("10.0.0.0/16")).await;
    let stop = cloud.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(3.0)).await;
        stop.send_replace(true);
    });
    let outcome = cloud.apply_noting(&plan, begun(&path)).await;
    assert!(outcome.interrupted);
    cloud.stop.send_replace(false);
    open(&path)
}

#[tokio::test(start_paused = true)]
async fn what_had_no_answer_stays_open_and_a_token_that_is_refused_is_given_up() {
    let cloud = Cloud::new();
    let left = unanswered(&cloud).await;
    let unknown = |event: &Event| matches!(event, Event::Left { left: Left::Unknown, .. });
    assert!(cloud.record.0.lock().unwrap().iter().any(unknown));
    assert_eq!((left.len(), left[0].written.clone(), left[0].operation), (1, None, Operation::Create));
    // The provider takes the token for that of something else.
    for (earlier, goes_well) in [(vec![], false), (left, true)] {
        fails(&cloud, Class::Invalid);
        let plan = cloud.plan(network("10.0.0.0/16")).await;
        let outcome = cloud.apply_noting(&plan, Journal::none().after(earlier)).await;
        assert_eq!(outcome.is_success(), goes_well, "{:#?}", outcome.failures);
    }
    assert_eq!(cloud.addresses(), ["t::network.main"]);
}

/// With other inputs there is no old token, and a refusal is one.
#[tokio::test(start_paused = true)]
async fn a_new_token_that_is_refused_is_a_failure() {
    let cloud = Cloud::new();
    let left = unanswered(&cloud).await;
    fails(&cloud, Class::Invalid);
    let plan = cloud.plan(network("10.1.0.0/16")).await;
    let outcome = cloud.apply_noting(&plan, Journal::none().after(left)).await;
    assert_eq!((outcome.failures.len(), cloud.addresses().len()), (1, 0));
}

/// What shows only after the plan was made is what the earlier run asked for: it is taken, and not made again.
#[tokio::test(start_paused = true)]
async fn what_appears_after_the_plan_is_taken_if_an_earlier_run_asked_for_it() {
    for known in [true, false] {
        let cloud = Cloud::new();
        let left = unanswered(&cloud).await;
        let plan = cloud.plan(network("10.0.0.0/16")).await;
        cloud.run(network("10.0.0.0/16")).await;
        let journal = if known { Journal::none().after(left) } else { Journal::none() };
        let outcome = cloud.apply_noting(&plan, journal).await;
        assert_eq!(outcome.is_success(), known, "{:#?}", outcome.failures);
        assert_eq!(cloud.addresses(), ["t::network.main"]);
    }
}

/// Unless it can never become what is wanted now.
#[tokio::test(start_paused = true)]
async fn what_appears_in_another_form_is_refused() {
    let cloud = Cloud::new();
    let left = unanswered(&cloud).await;
    let plan = cloud.plan(network("10.1.0.0/16")).await;
    cloud.run(network("10.0.0.0/16")).await;
    let outcome = cloud.apply_noting(&plan, Journal::none().after(left)).await;
    assert!(outcome.failures[0].diagnostic.to_string().contains("exists with this address"));
    assert_eq!(cloud.live("t::network.main").inputs["cidr_block"], "10.0.0.0/16".into());
}

#[tokio::test(start_paused = true)]
async fn what_ended_is_not_open() {
    let cloud = Cloud::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let plan = cloud.plan(network("10.0.0.0/16")).await;
    cloud.apply_noting(&plan, begun(&path)).await;
    assert_eq!(open(&path), []);
    // A clean refusal is an end, too.
    let other = Cloud::new();
    fails(&other, Class::Denied);
    let path = folder.path().join("other");
    other.apply_noting(&other.plan(network("10.0.0.0/16")).await, begun(&path)).await;
    assert_eq!(open(&path), []);
}

/// One that was to take the place of another is not found in the other.
#[tokio::test(start_paused = true)]
async fn what_was_to_be_replaced_is_not_its_successor() {
    let cloud = Cloud::new();
    let mut left = unanswered(&cloud).await;
    cloud.run(network("10.0.0.0/16")).await;
    let plan = cloud.plan(network("10.1.0.0/16")).await;
    let found = |open: &Open| match earlier::found(open, &plan, true) {
        Some(Event::Recovered { found, .. }) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(&left[0]), Found::Adopted);
    left[0].id = Some(cloud.live("t::network.main").id);
    assert_eq!(found(&left[0]), Found::Missing);
    // What a part of the plan does not tell of is left for later.
    left[0].address = "t::network.other".parse().unwrap();
    assert_eq!(earlier::found(&left[0], &plan, false), None);
    assert_eq!(found(&left[0]), Found::Gone);
}
