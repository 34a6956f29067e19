//! What holds on to what beyond ids in inputs, and what is too precious to be replaced.

use runner::engine::Reason;
use runner::resource::Status;
use serde_json::json;

use crate::world::{Cloud, item, lines, reference, seconds};
use runner::providers::sandbox::Sandbox;

fn deletions(cloud: &Cloud) -> Vec<String> {
    cloud.order(true).into_iter().filter(|step| step.starts_with("delete")).collect()
}

async fn destroy(cloud: &Cloud) {
    cloud.forget_events();
    let plan = cloud.plan_destroy(vec![]).await.unwrap();
    assert!(cloud.apply(&plan).await.is_success());
}

#[tokio::test]
async fn who_uses_what_comes_along_with_something_goes_before_it() {
    let cloud = Cloud::new();
    let user = json!({ "holds": reference("t::gate.a.own_id") });
    cloud.run(vec![item("t::gate.a", json!({})), item("t::part.user", user)]).await;
    destroy(&cloud).await;
    assert_eq!(deletions(&cloud), ["delete t::part.user", "delete t::gate.a"]);
}

#[tokio::test]
async fn a_disk_goes_after_the_host_that_writes_on_it() {
    let cloud = Cloud::new();
    let disk = json!({ "parent": "x", "disk_of": reference("t::gate.host.id") });
    cloud.run(vec![item("t::gate.host", json!({})), item("t::inside.disk", disk)]).await;
    destroy(&cloud).await;
    assert_eq!(deletions(&cloud), ["delete t::gate.host", "delete t::inside.disk"]);
}

#[tokio::test]
async fn what_is_inside_goes_with_what_is_replaced_under_its_name() {
    let cloud = Cloud::new();
    let items = |network: &str| {
        vec![
            item("t::named.x", json!({ "name": "x", "network": network })),
            item("t::inside.y", json!({ "parent": reference("t::named.x.name") })),
        ]
    };
    cloud.run(items("a")).await;
    let plan = cloud.run(items("b")).await;
    assert_eq!(lines(&plan), ["replace t::named.x network", "replace t::inside.y parent"]);
    assert!(lines(&cloud.plan(items("b")).await).is_empty());
}

#[tokio::test]
async fn a_renamed_declaration_does_not_replace_what_is_there() {
    let cloud = Cloud::new();
    cloud.run(vec![item("t::named.old", json!({ "name": "old" }))]).await;
    let renamed = |name: &str| {
        let item = item("t::named.new", json!({ "name": name }));
        vec![item.with(|options| options.was = Some("old".into()))]
    };
    let wrong = cloud.try_plan(renamed("new")).await.unwrap_err();
    assert!(wrong[0].summary.contains("would have to be replaced for its new name"), "{}", wrong[0]);
    assert_eq!(wrong[0].hint.as_deref(), Some("write `name: \"old\"` to keep what is there"));
    assert_eq!(lines(&cloud.plan(renamed("old")).await), ["update t::named.new"]);
}

/// A cloud in which changes take a moment, so that a failed state is left.
fn slow() -> Cloud {
    let mut sandbox = Sandbox::in_memory(crate::world::kinds(), vec![]);
    sandbox.latency.settle_otherwise = seconds(1.0);
    Cloud::over(sandbox)
}

#[tokio::test(start_paused = true)]
async fn what_is_precious_is_mended_and_not_replaced() {
    let cloud = slow();
    let items =
        |size: i64, tag: &str| vec![item("t::inside.a", json!({ "parent": "x", "size": size, "tags": { "t": tag } }))];
    cloud.run(items(1, "a")).await;
    let fail = || {
        let id = cloud.live("t::inside.a").id;
        cloud.sandbox.meddle(&id, |live| live.status = Status::Failed("broken".into()));
    };
    fail();
    // Nothing differs: what mends it is sent again.
    let plan = cloud.run(items(1, "a")).await;
    assert_eq!(lines(&plan), ["update t::inside.a"]);
    assert_eq!(cloud.live("t::inside.a").status, Status::Ready);
    fail();
    assert_eq!(lines(&cloud.run(items(2, "a")).await), ["update t::inside.a size"]);
}

#[tokio::test]
async fn an_old_failure_does_not_stop_another_change() {
    let cloud = Cloud::new();
    let items = |tag: &str| vec![item("t::inside.a", json!({ "parent": "x", "tags": { "t": tag } }))];
    cloud.run(items("a")).await;
    let id = cloud.live("t::inside.a").id;
    cloud.sandbox.meddle(&id, |live| live.status = Status::Failed("broken".into()));
    assert_eq!(lines(&cloud.run(items("b")).await), ["update t::inside.a tags.t"]);
    // With nothing to send, only a person can help, and is told so.
    let plan = cloud.plan(items("b")).await;
    assert_eq!(lines(&plan), ["update t::inside.a"]);
    let outcome = cloud.apply(&plan).await;
    assert!(outcome.failures[0].diagnostic.to_string().contains("has failed on the provider's side"));
}

#[tokio::test]
async fn protection_is_taken_off_by_an_apply_of_its_own() {
    let cloud = Cloud::new();
    let items = |cidr: &str, team: &str, protect: bool| {
        let inputs = json!({ "cidr_block": cidr, "tags": { "team": team } });
        vec![item("t::network.main", inputs).with(|options| options.protect = protect)]
    };
    cloud.run(items("10.0.0.0/16", "a", true)).await;
    let wrong = cloud.try_plan(items("10.1.0.0/16", "a", false)).await.unwrap_err();
    assert!(wrong[0].summary.contains("is protected"), "{}", wrong[0]);
    // Together with another change it is said, and done.
    let plan = cloud.run(items("10.0.0.0/16", "b", false)).await;
    assert_eq!(plan.changes[0].reason, Some(Reason::Protection { on: false }));
    assert!(!cloud.live("t::network.main").owner.unwrap().protect);
    cloud.run(items("10.1.0.0/16", "b", false)).await;
}
