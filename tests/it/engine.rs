//! What the engine promises, over the sandbox.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use runner::engine::{Action, Reason, World};
use runner::event::Events;
use runner::providers::sandbox::Sandbox;
use runner::resource::kind::Lookup;
use runner::resource::{Create, Delete, Fault, Kind, Live, Provider, ReplaceOrder, Select, Update, Value};
use serde_json::json;

use crate::world::{Cloud, Item, item, lines, reference};

fn network(cidr: &str) -> Item {
    item("t::network.main", json!({ "cidr_block": cidr, "tags": { "Team": "a" } }))
}

fn part(name: &str) -> Item {
    item(&format!("t::part.{name}"), json!({ "network": reference("t::network.main.id"), "size": 1 }))
}

#[tokio::test]
async fn a_first_run_creates_all_and_a_second_has_nothing_to_do() {
    let cloud = Cloud::new();
    let items = || vec![network("10.0.0.0/16"), part("a"), part("b")];
    let plan = cloud.run(items()).await;
    assert_eq!(lines(&plan), ["create t::network.main", "create t::part.a", "create t::part.b"]);
    assert_eq!(cloud.addresses(), ["t::network.main", "t::part.a", "t::part.b"]);
    assert_eq!(cloud.live("t::part.a").inputs["network"], cloud.live("t::network.main").id.as_str().into());
    assert!(cloud.plan(items()).await.is_empty());
}

#[tokio::test]
async fn what_differs_is_updated_in_place_field_by_field() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let before = cloud.live("t::network.main").id;
    let changed =
        || item("t::network.main", json!({ "cidr_block": "10.0.0.0/16", "tags": { "Team": "b", "Cost": "1" } }));
    let plan = cloud.run(vec![changed()]).await;
    assert_eq!(lines(&plan), ["update t::network.main tags.Team tags.Cost"]);
    assert_eq!(cloud.live("t::network.main").id, before);
    assert!(cloud.plan(vec![changed()]).await.is_empty());
}

#[tokio::test]
async fn a_field_that_is_left_out_is_not_compared() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    assert!(cloud.plan(vec![item("t::network.main", json!({ "cidr_block": "10.0.0.0/16" }))]).await.is_empty());
}

#[tokio::test]
async fn a_changed_immutable_field_replaces_it_and_what_rests_on_it_in_the_right_order() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16"), part("a")]).await;
    cloud.forget_events();
    let plan = cloud.run(vec![network("10.1.0.0/16"), part("a")]).await;
    assert_eq!(lines(&plan), ["replace t::network.main cidr_block", "replace t::part.a network"]);
    assert_eq!(
        cloud.order(false),
        ["delete t::part.a", "delete t::network.main", "create t::network.main", "create t::part.a"]
    );
    assert!(cloud.plan(vec![network("10.1.0.0/16"), part("a")]).await.is_empty());
}

#[tokio::test]
async fn create_first_spreads_to_what_it_rests_on() {
    let cloud = Cloud::new();
    let first = |cidr: &str| vec![network(cidr), part("a").with(|options| options.replace = ReplaceOrder::CreateFirst)];
    cloud.run(first("10.0.0.0/16")).await;
    cloud.forget_events();
    cloud.run(first("10.1.0.0/16")).await;
    assert_eq!(
        cloud.order(false),
        ["create t::network.main", "create t::part.a", "delete t::part.a", "delete t::network.main"]
    );
    assert_eq!(cloud.addresses(), ["t::network.main", "t::part.a"]);
    assert!(cloud.plan(first("10.1.0.0/16")).await.is_empty());
}

#[tokio::test]
async fn a_deposed_one_left_by_a_killed_run_is_deleted_by_the_next() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    cloud.sandbox.meddle(&cloud.live("t::network.main").id, |live| live.owner.as_mut().unwrap().deposed = true);
    let plan = cloud.run(vec![network("10.0.0.0/16")]).await;
    assert_eq!(lines(&plan), ["create t::network.main", "delete t::network.main"]);
    assert_eq!(plan.changes[1].reason, Some(Reason::Deposed));
    assert_eq!(cloud.addresses(), ["t::network.main"]);
}

#[tokio::test]
async fn what_is_no_longer_declared_is_told_and_goes_only_with_prune() {
    let mut cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16"), part("a"), item("t::named.x", json!({ "name": "x" }))]).await;
    let plan = cloud.plan(vec![network("10.0.0.0/16")]).await;
    assert_eq!(lines(&plan), ["orphan t::named.x", "orphan t::part.a"]);
    assert!(plan.is_empty());
    cloud.wish.prune = true;
    cloud.run(vec![network("10.0.0.0/16")]).await;
    assert_eq!(cloud.addresses(), ["t::network.main"]);
}

#[tokio::test]
async fn another_stacks_resources_are_not_seen() {
    let mut cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let mut other = cloud.stack("staging");
    other.wish.prune = true;
    assert_eq!(lines(&other.run(vec![network("10.9.0.0/16")]).await), ["create t::network.main"]);
    cloud.wish.prune = true;
    assert!(cloud.plan(vec![network("10.0.0.0/16")]).await.is_empty());
}

#[tokio::test]
async fn destroy_goes_backwards_and_takes_what_is_not_declared_too() {
    let cloud = Cloud::new();
    let all = || vec![network("10.0.0.0/16"), part("a"), item("t::gate.g", json!({})), item("t::late.l", json!({}))];
    cloud.run(all()).await;
    cloud.forget_events();
    let plan = cloud.plan_destroy(vec![network("10.0.0.0/16")]).await.unwrap();
    assert_eq!(plan.counts().delete, 4);
    assert!(cloud.apply(&plan).await.is_success());
    let order = cloud.order(false);
    let at = |text: &str| order.iter().position(|line| line == text).unwrap();
    assert!(at("delete t::part.a") < at("delete t::network.main"));
    assert!(at("delete t::late.l") < at("delete t::gate.g"));
    assert_eq!(cloud.addresses(), [""; 0]);
}

#[tokio::test]
async fn protect_refuses_replace_and_destroy() {
    let cloud = Cloud::new();
    let guarded = |cidr: &str| vec![network(cidr).with(|options| options.protect = true)];
    cloud.run(guarded("10.0.0.0/16")).await;
    let wrong = cloud.try_plan(guarded("10.1.0.0/16")).await.unwrap_err();
    assert_eq!(
        wrong[0].to_string(),
        "test.rhai:1:1: t::network.main is protected, and this change would replace it: `cidr_block` cannot be changed \
         in place (hint: take the change back; or apply without `protect` first, and then this)"
    );
    let wrong = cloud.plan_destroy(guarded("10.0.0.0/16")).await.unwrap_err();
    assert!(wrong[0].to_string().starts_with("test.rhai:1:1: t::network.main is protected"), "{}", wrong[0]);
}

#[tokio::test]
async fn a_rename_keeps_the_resource() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let id = cloud.live("t::network.main").id;
    let renamed = || {
        let inputs = json!({ "cidr_block": "10.0.0.0/16" });
        vec![item("t::network.core", inputs).with(|options| options.was = Some("main".into()))]
    };
    let plan = cloud.run(renamed()).await;
    assert_eq!(lines(&plan), ["update t::network.core"]);
    assert_eq!(cloud.live("t::network.core").id, id);
    assert!(cloud.plan(renamed()).await.is_empty());
}

#[tokio::test]
async fn adopting_takes_over_what_nobody_owns_and_refuses_what_someone_does() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let id = cloud.live("t::network.main").id;
    let adopt = |id: &str| {
        let id = id.to_owned();
        vec![network("10.0.0.0/16").with(|options| options.adopt = Some(id))]
    };
    let other = cloud.stack("staging");
    let wrong = other.try_plan(adopt(&id)).await.unwrap_err();
    assert!(wrong[0].summary.contains("stack `prod` owns it as t::network.main"), "{}", wrong[0]);
    let wrong = other.try_plan(adopt("net-nowhere")).await.unwrap_err();
    assert!(wrong[0].summary.contains("there is no such t::network"), "{}", wrong[0]);

    cloud.sandbox.meddle(&id, |live| live.owner = None);
    let plan = other.run(adopt(&id)).await;
    assert_eq!(plan.changes[0].reason, Some(Reason::Adopted { id: id.clone() }));
    assert_eq!(other.live("t::network.main").id, id);
    assert!(other.plan(adopt(&id)).await.is_empty());
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_with_the_way_out() {
    let cloud = Cloud::new();
    let named = || vec![item("t::named.x", json!({ "name": "registry" }))];
    cloud.run(named()).await;
    let id = cloud.live("t::named.x").id;
    cloud.sandbox.meddle(&id, |live| live.owner = None);
    let wrong = cloud.try_plan(named()).await.unwrap_err();
    assert_eq!(wrong[0].summary, "t::named.x: `registry` exists, not owned by stack `prod`");
    assert!(wrong[0].hint.as_ref().unwrap().contains(&format!("adopt: \"{id}\"")));
}

#[tokio::test]
async fn ignored_fields_are_set_once_and_then_left() {
    let cloud = Cloud::new();
    let sized = |size: i64| {
        vec![item("t::part.a", json!({ "size": size })).with(|options| options.ignore = vec!["size".into()])]
    };
    cloud.run(sized(1)).await;
    assert!(cloud.plan(sized(2)).await.is_empty());
    assert_eq!(cloud.live("t::part.a").inputs["size"], Value::Int(1));
}

#[tokio::test]
async fn outputs_that_stay_are_known_and_the_others_are_not() {
    let cloud = Cloud::new();
    let items = |size: i64| {
        let user = json!({ "targets": [reference("t::part.a.id"), reference("t::part.a.revision")] });
        vec![item("t::part.a", json!({ "size": size })), item("t::part.user", user)]
    };
    cloud.run(items(1)).await;
    let plan = cloud.plan(items(2)).await;
    assert_eq!(lines(&plan), ["update t::part.a size", "update t::part.user targets"]);
    let Value::List(targets) = &plan.changes[1].inputs["targets"] else { panic!() };
    assert_eq!(targets[0], cloud.live("t::part.a").id.as_str().into());
    assert!(!targets[1].is_known());
    cloud.apply(&plan).await;
    assert!(cloud.plan(items(2)).await.is_empty());
}

#[tokio::test]
async fn drift_shows_and_is_put_right() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let id = cloud.live("t::network.main").id;
    cloud.sandbox.meddle(&id, |live| {
        live.inputs.insert("tags".into(), Value::from(json!({ "Team": "a", "Extra": "x" })));
    });
    let plan = cloud.run(vec![network("10.0.0.0/16")]).await;
    assert_eq!(lines(&plan), ["update t::network.main tags.Extra"]);
    assert!(cloud.plan(vec![network("10.0.0.0/16")]).await.is_empty());
}

#[tokio::test]
async fn a_phase_is_planned_alone_and_says_what_stands_in_its_way() {
    let mut cloud = Cloud::new();
    let items = |size: i64| {
        let part = json!({ "network": reference("t::network.main.id"), "size": size });
        vec![network("10.0.0.0/16").phase("network"), item("t::part.a", part).phase("cluster")]
    };
    cloud.wish.phases = vec!["cluster".into()];
    let wrong = cloud.try_plan(items(1)).await.unwrap_err();
    assert_eq!(wrong[0].summary, "t::part.a needs t::network.main of phase `network`, which does not exist yet");
    cloud.wish.phases = vec!["netwrok".into()];
    let wrong = cloud.try_plan(items(1)).await.unwrap_err();
    assert_eq!(wrong[0].to_string(), "the playbook has no phase `netwrok` (hint: did you mean `network`?)");

    cloud.wish.phases = vec![];
    cloud.run(items(1)).await;
    cloud.wish = runner::engine::Wish { phases: vec!["cluster".into()], prune: true, ..Default::default() };
    let mut changed = items(2);
    // A pending change of another phase is not part of this plan, and nothing looks removed.
    changed[0] =
        item("t::network.main", json!({ "cidr_block": "10.0.0.0/16", "tags": { "Team": "z" } })).phase("network");
    assert_eq!(lines(&cloud.plan(changed).await), ["update t::part.a size"]);
}

#[tokio::test]
async fn a_first_stage_never_prunes() {
    let mut cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16"), part("a")]).await;
    cloud.wish.prune = true;
    let mut evaluation = crate::world::evaluation(vec![network("10.0.0.0/16")]);
    evaluation.stop = Some(runner::resource::Stop {
        references: vec![],
        site: runner::diagnostic::Site::new("test.rhai", 9, 1),
        because: None,
    });
    let plan = runner::engine::plan(&cloud.forecast(), &evaluation, &cloud.wish).await.unwrap();
    assert!(plan.changes.iter().all(|change| change.action == Action::None));
}

#[tokio::test]
async fn a_kind_that_follows_another_comes_after_it() {
    let cloud = Cloud::new();
    let chain = json!({ "targets": [reference("t::part.a.id")] });
    cloud.run(vec![item("t::part.a", json!({})), item("t::late.l", json!({})), item("t::gate.g", chain)]).await;
    let order = cloud.order(true);
    let at = |text: &str| order.iter().position(|line| line == text).unwrap();
    assert!(at("create t::gate.g") < at("create t::late.l"), "{order:?}");
    // If it were a circle, the stated order wins.
    let cloud = Cloud::new();
    let after = json!({ "targets": [reference("t::late.l.id")] });
    cloud.run(vec![item("t::late.l", json!({})), item("t::gate.g", after)]).await;
    assert_eq!(cloud.addresses().len(), 2);
}

#[tokio::test]
async fn that_others_lose_their_hold_of_what_is_replaced_is_our_own_doing() {
    let cloud = Cloud::new();
    let items = |cidr: &str| {
        let user = json!({ "targets": [reference("t::part.a.id")] });
        vec![network(cidr), part("a"), item("t::part.user", user)]
    };
    cloud.run(items("10.0.0.0/16")).await;
    let plan = cloud.run(items("10.1.0.0/16")).await;
    assert_eq!(
        lines(&plan),
        ["replace t::network.main cidr_block", "replace t::part.a network", "update t::part.user targets"]
    );
    assert!(cloud.plan(items("10.1.0.0/16")).await.is_empty());
}

#[tokio::test]
async fn what_would_have_to_be_replaced_is_not_adopted() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let id = cloud.live("t::network.main").id;
    cloud.sandbox.meddle(&id, |live| live.owner = None);
    let wrong = cloud.try_plan(vec![network("10.1.0.0/16").with(|options| options.adopt = Some(id.clone()))]).await;
    let wrong = wrong.unwrap_err().remove(0);
    assert_eq!(wrong.summary, format!("cannot adopt `{id}` as t::network.main: it would have to be replaced"));
    assert_eq!(wrong.causes, ["`cidr_block` cannot be changed in place"]);
}

#[tokio::test]
async fn what_was_renamed_is_still_protected_from_destroy() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let renamed = item("t::network.core", json!({ "cidr_block": "10.0.0.0/16" })).with(|options| {
        options.was = Some("main".into());
        options.protect = true;
    });
    let wrong = cloud.plan_destroy(vec![renamed]).await.unwrap_err();
    assert!(wrong[0].summary.contains("is protected"), "{}", wrong[0]);
}

#[tokio::test]
async fn a_region_of_its_own_is_read_and_pruned_too() {
    let mut cloud = Cloud::new();
    let abroad = || network("10.0.0.0/16").with(|options| options.region = Some("us-east-1".into()));
    cloud.run(vec![abroad(), item("t::part.home", json!({}))]).await;
    assert_eq!(cloud.live("t::network.main").region.as_deref(), Some("us-east-1"));
    assert!(cloud.plan(vec![abroad(), item("t::part.home", json!({}))]).await.is_empty());
    // Nothing is declared there any more, so the inventory has to name the region.
    cloud.wish.prune = true;
    assert!(cloud.plan(vec![item("t::part.home", json!({}))]).await.is_empty());
    cloud.wish.regions = vec!["us-east-1".into()];
    cloud.run(vec![item("t::part.home", json!({}))]).await;
    assert_eq!(cloud.addresses(), ["t::part.home"]);
}

#[tokio::test]
async fn a_listing_that_lags_behind_makes_nothing_twice_in_the_next_stage() {
    let cloud = Cloud::new();
    let plan = cloud.plan(vec![network("10.0.0.0/16")]).await;
    let outcome = cloud.apply(&plan).await;
    let made: Vec<_> = outcome.lives.values().cloned().collect();
    let seen = async || {
        let lagging = Arc::new(Lagging(cloud.sandbox.clone()));
        let world = World::new(lagging, "prod", Events::default()).after(made.clone());
        let kind = world.kind("t::network").unwrap().clone();
        world.owned(&kind, &None).await.unwrap().at(&"t::network.main".parse().unwrap()).len()
    };
    assert_eq!(seen().await, 1);
    // What has become another stack's meanwhile is not ours.
    let id = cloud.live("t::network.main").id;
    cloud.sandbox.meddle(&id, |live| live.owner.as_mut().unwrap().stack = "other".into());
    assert_eq!(seen().await, 0);
}

/// Its listings by tags show nothing yet.
struct Lagging(Arc<Sandbox>);

#[async_trait]
impl Provider for Lagging {
    fn kinds(&self) -> &[Arc<Kind>] {
        self.0.kinds()
    }

    fn lookups(&self) -> &[Lookup] {
        self.0.lookups()
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        self.0.owned_kinds(region, stack).await
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        match select {
            Select::Owned { .. } => Ok(vec![]),
            _ => self.0.list(kind, region, select).await,
        }
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        self.0.create(kind, request).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        self.0.update(kind, request).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        self.0.delete(kind, request).await
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.0.look_up(name, arguments).await
    }
}

fn holder() -> Item {
    item("t::part.holder", json!({ "holds": reference("t::network.main.id") }))
}

#[tokio::test]
async fn what_an_update_holds_on_to_is_replaced_create_first() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16"), part("a"), holder()]).await;
    cloud.forget_events();
    cloud.run(vec![network("10.1.0.0/16"), part("a"), holder()]).await;
    let order = cloud.order(false);
    let at = |text: &str| order.iter().position(|line| line == text).unwrap_or_else(|| panic!("{text}: {order:?}"));
    assert!(at("create t::network.main") < at("update t::part.holder"));
    assert!(at("update t::part.holder") < at("delete t::network.main"));
    assert!(at("delete t::part.a") < at("delete t::network.main"));
    assert!(cloud.plan(vec![network("10.1.0.0/16"), part("a"), holder()]).await.is_empty());
}

#[tokio::test]
async fn two_of_one_name_are_refused_before_anything_is_deleted() {
    let cloud = Cloud::new();
    let items = |cidr: &str| {
        vec![
            network(cidr),
            item("t::named.x", json!({ "name": "x", "network": reference("t::network.main.id") })),
            item("t::part.user", json!({ "holds": reference("t::named.x.id") })),
        ]
    };
    cloud.run(items("10.0.0.0/16")).await;
    let wrong = cloud.try_plan(items("10.1.0.0/16")).await.unwrap_err();
    assert_eq!(
        wrong[0].to_string(),
        "test.rhai:2:1: t::named.x would have to be replaced, and cannot be: t::part.user uses the old one until the \
         new one is there, and both would have one `name` (hint: give it another `name` together with the change)"
    );
}

#[tokio::test]
async fn what_is_kept_does_not_let_a_replacement_fail_half_way() {
    let mut cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16"), part("a")]).await;
    let wrong = cloud.try_plan(vec![network("10.1.0.0/16")]).await.unwrap_err();
    assert!(wrong[0].summary.contains("t::part.a uses it, which is no longer declared and kept"), "{}", wrong[0]);
    assert!(wrong[0].hint.as_ref().unwrap().contains("--prune"));
    cloud.wish.prune = true;
    cloud.run(vec![network("10.1.0.0/16")]).await;
    assert_eq!(cloud.addresses(), ["t::network.main"]);
}

#[tokio::test]
async fn what_uses_each_other_can_be_destroyed() {
    let cloud = Cloud::new();
    cloud
        .run(vec![item("t::part.a", json!({})), item("t::part.b", json!({ "targets": [reference("t::part.a.id")] }))])
        .await;
    let b = cloud.live("t::part.b").id;
    cloud.sandbox.meddle(&cloud.live("t::part.a").id, |live| {
        live.inputs.insert("targets".into(), Value::List(vec![b.as_str().into()]));
    });
    let plan = cloud.plan_destroy(vec![]).await.unwrap();
    assert!(cloud.apply(&plan).await.is_success());
    assert_eq!(cloud.addresses(), [""; 0]);
}

#[tokio::test]
async fn what_is_deposed_serves_until_its_successor_is_there() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    cloud.sandbox.meddle(&cloud.live("t::network.main").id, |live| live.owner.as_mut().unwrap().deposed = true);
    cloud.forget_events();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    assert_eq!(cloud.order(false), ["create t::network.main", "delete t::network.main"]);
}

#[tokio::test]
async fn protection_outlives_its_declaration() {
    let mut cloud = Cloud::new();
    let guarded = |on: bool| vec![network("10.0.0.0/16").with(|options| options.protect = on)];
    cloud.run(guarded(true)).await;
    assert!(cloud.plan_destroy(vec![]).await.unwrap_err()[0].summary.contains("is protected"));
    cloud.wish.prune = true;
    assert!(cloud.try_plan(vec![]).await.unwrap_err()[0].causes[0].contains("no longer declared"));
    let plan = cloud.run(guarded(false)).await;
    assert_eq!(plan.changes[0].reason, Some(Reason::Protection { on: false }));
    cloud.run(vec![]).await;
    assert_eq!(cloud.addresses(), [""; 0]);
}

#[tokio::test]
async fn one_resource_has_one_declaration() {
    let cloud = Cloud::new();
    cloud.run(vec![network("10.0.0.0/16")]).await;
    let renamed = |name: &str| {
        item(&format!("t::network.{name}"), json!({ "cidr_block": "10.0.0.0/16" }))
            .with(|o| o.was = Some("main".into()))
    };
    let wrong = cloud.try_plan(vec![renamed("a"), renamed("b")]).await.unwrap_err();
    assert!(wrong[0].summary.starts_with("t::network.a and t::network.b both stand for `net-"), "{}", wrong[0]);
}

#[tokio::test]
async fn tags_that_were_left_out_are_left_alone() {
    let kinds = crate::world::kinds();
    let kind = kinds.iter().find(|kind| *kind.name == *"t::network").unwrap();
    let Value::Map(inputs) = Value::from(json!({ "cidr_block": "10.0.0.0/16" })) else { panic!() };
    assert!(!kind.complete("main", &inputs).contains_key("tags"));
}
