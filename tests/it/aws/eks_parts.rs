//! What exists within a cluster: access entries, add-ons, node groups.

use std::collections::BTreeSet;

use runner::resource::{Class, Provider, Select, Status, Value};
use serde_json::{Value as Json, json};

use super::eks::{items, sdk};
use super::stack::{Stack, item, reference};
use super::{World, map, owner};
use crate::world::Item;

const ENTRY: &str = "aws::eks_access_entry";
const ADDON: &str = "aws::eks_addon";
const GROUP: &str = "aws::eks_node_group";
const ADMIN: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
const VIEW: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

impl World {
    /// The paths of what is wrong with these inputs.
    fn mistakes(&self, kind: &str, inputs: Json) -> Vec<String> {
        (self.kind(kind).nature.check)(&map(inputs)).into_iter().map(|mistake| mistake.path).collect()
    }

    /// Finds it by its cluster, whoever owns it.
    async fn in_cluster(&self, kind: &str, cluster: &str) -> Vec<String> {
        let named = Select::Named(BTreeSet::from([cluster.into(), "nowhere".into()]));
        self.aws.list(&self.kind(kind), None, &named).await.unwrap().into_iter().map(|live| live.id).collect()
    }
}

#[tokio::test]
async fn access_entry() {
    let w = World::new();
    w.cluster().await;
    let principal = format!("arn:aws:iam::{}:role/teams/ops", w.account.number);
    let admin = json!({ "policy_arn": ADMIN, "access_scope": { "type": "cluster" } });
    let view = json!({ "policy_arn": VIEW, "access_scope": { "type": "namespace", "namespaces": ["b", "a-*"] } });
    let inputs = json!({
        "cluster_name": "main", "principal_arn": principal, "kubernetes_groups": ["ops", "all"],
        "policy_association": [admin, view],
    });
    let live = w.create(ENTRY, "ops", inputs.clone()).await;
    assert_eq!(live.id, format!("main:{principal}"));
    assert_eq!(live.inputs["type"], "STANDARD".into());
    assert_eq!(live.inputs["user_name"], principal.as_str().into());
    let live = w.common_life(ENTRY, live).await;
    // One that nobody owns is seen by its cluster only, and its policies are not asked for.
    let nobody = format!("arn:aws:iam::{}:user/eve", w.account.number);
    let client = sdk(&w.account).await;
    client.create_access_entry().cluster_name("main").principal_arn(&nobody).send().await.unwrap();
    assert_eq!(w.in_cluster(ENTRY, "main").await, [live.id.clone(), format!("main:{nobody}")]);
    w.account.forget_calls();
    assert_eq!(w.owned(ENTRY).await, std::slice::from_ref(&live));
    assert_eq!(w.account.calls().values().sum::<u64>(), 5, "{:?}", w.account.calls());

    let live = w.update(&live, ENTRY, json!({ "kubernetes_groups": ["ops"] })).await;
    let live = w.update(&live, ENTRY, json!({ "kubernetes_groups": [], "user_name": "ops" })).await;
    let narrow = json!({ "policy_arn": ADMIN, "access_scope": { "type": "namespace", "namespaces": ["a"] } });
    let live = w.update(&live, ENTRY, json!({ "policy_association": [narrow] })).await;
    let live = w.update(&live, ENTRY, json!({ "policy_association": [] })).await;
    let taken = w.try_create(ENTRY, "again", inputs).await.unwrap_err();
    assert_eq!(taken.class, Class::Exists);
    assert!(taken.hint.unwrap().contains(&format!("`adopt: \"main:{principal}\"`")));
    w.delete(&live, ENTRY).await;
    let nowhere = json!({ "cluster_name": "nowhere", "principal_arn": principal });
    assert_eq!(w.try_create(ENTRY, "lost", nowhere).await.unwrap_err().class, Class::NotFound);
    let cluster = w.read("aws::eks_cluster", "main").await;
    w.delete(&cluster, "aws::eks_cluster").await;
    assert_eq!(w.owned(ENTRY).await, []);
}

#[tokio::test]
async fn an_access_entry_of_nodes() {
    let w = World::new();
    w.cluster().await;
    let inputs = json!({ "cluster_name": "main", "principal_arn": w.role_arn("nodes"), "type": "EC2_LINUX" });
    w.create(ENTRY, "nodes", inputs).await;
    let scope = |of: Json| json!({ "policy_arn": VIEW, "access_scope": of });
    let scopes = [scope(json!({ "type": "cluster", "namespaces": ["a"] })), scope(json!({ "type": "namespace" }))];
    let wrong = json!({ "type": "EC2_WINDOWS", "kubernetes_groups": ["a"], "policy_association": scopes });
    assert_eq!(
        w.mistakes(ENTRY, wrong),
        [
            "kubernetes_groups",
            "policy_association",
            "policy_association[0].access_scope.namespaces",
            "policy_association[1].access_scope.namespaces"
        ]
    );
}

#[tokio::test]
async fn a_cluster_with_a_config_map_only_has_no_access_entries() {
    let w = World::new();
    let inputs = json!({ "role_arn": w.role_arn("eks"), "vpc_config": { "subnet_ids": w.two_subnets().await } });
    let cluster = w.create("aws::eks_cluster", "main", inputs).await;
    let inputs = json!({ "cluster_name": "main", "principal_arn": w.role_arn("ops") });
    let refused = w.try_create(ENTRY, "ops", inputs.clone()).await.unwrap_err();
    assert_eq!(refused.class, Class::Invalid);
    assert!(refused.hint.unwrap().contains("`access_config`"));
    let mode = json!({ "access_config": { "authentication_mode": "API_AND_CONFIG_MAP" } });
    w.update(&cluster, "aws::eks_cluster", mode).await;
    w.create(ENTRY, "ops", inputs).await;
}

#[tokio::test]
async fn an_access_entry_that_was_half_made_is_completed() {
    let w = World::new();
    w.cluster().await;
    let admin = json!([{ "policy_arn": ADMIN, "access_scope": { "type": "cluster" } }]);
    let inputs = json!({ "cluster_name": "main", "principal_arn": w.role_arn("ops"), "policy_association": admin });
    w.account.fail("AssociateAccessPolicy", "ResourceNotFoundException", 404, 1);
    let fault = w.try_create(ENTRY, "ops", inputs).await.unwrap_err();
    assert_eq!(fault.class, Class::NotFound);
    let live = w.read(ENTRY, &fault.created.expect("it was created")).await;
    w.update(&live, ENTRY, json!({ "policy_association": admin })).await;
}

#[tokio::test]
async fn addon() {
    let w = World::new();
    w.cluster().await;
    let settings = json!({ "replicaCount": 3, "resources": { "limits": { "cpu": "1" } } });
    w.account.delay("eks_addon", 0.3);
    let inputs = json!({
        "cluster_name": "main", "addon_name": "coredns", "configuration_values": settings.to_string(), "preserve": true,
    });
    let live = w.create(ADDON, "dns", inputs.clone()).await;
    assert_eq!((live.id.as_str(), &live.status), ("main:coredns", &Status::Pending("creating".into())));
    assert_eq!(w.try_create(ADDON, "dns", inputs.clone()).await.unwrap(), live.id);
    w.ready(ADDON, &live.id).await;
    // Without nodes it is not well, but may get well.
    w.account.delay("eks_addon_without_nodes", 60.0);
    let Status::Pending(why) = w.read(ADDON, &live.id).await.status else { panic!("not yet") };
    assert!(why.starts_with("degraded: ") && why.contains("replicas"), "{why}");
    w.account.delay("eks_addon_without_nodes", 0.0);
    let live = w.common_life(ADDON, w.read(ADDON, &live.id).await).await;
    assert_eq!(w.in_cluster(ADDON, "main").await, ["main:coredns"]);
    w.account.forget_calls();
    w.owned(ADDON).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2, "{:?}", w.account.calls());

    let live = w.update(&live, ADDON, json!({ "addon_version": "v1.11.4-eksbuild.10" })).await;
    assert_eq!(Json::from(&live.inputs["configuration_values"]), json!(settings.to_string()));
    let live = w.update(&live, ADDON, json!({ "service_account_role_arn": w.role_arn("dns") })).await;
    let live = w.update(&live, ADDON, json!({ "configuration_values": "{\"replicaCount\": 2}" })).await;
    let live = w.update(&live, ADDON, json!({ "preserve": false })).await;
    assert_eq!(live.inputs["preserve"], Value::Bool(false));
    w.account.delay("eks_update", 0.5);
    w.try_update(&live, ADDON, json!({ "addon_version": "v1.12.0-eksbuild.1" })).await.unwrap();
    assert_eq!(w.read(ADDON, &live.id).await.status, Status::Pending("updating".into()));
    let busy = w.try_update(&live, ADDON, json!({ "addon_version": "v1.12.1-eksbuild.1" })).await.unwrap_err();
    assert_eq!(busy.class, Class::Busy, "{busy}");
    assert_eq!(w.try_create(ADDON, "again", inputs).await.unwrap_err().class, Class::Exists);
    let unknown = json!({ "cluster_name": "main", "addon_name": "no-such" });
    assert_eq!(w.try_create(ADDON, "x", unknown).await.unwrap_err().class, Class::Invalid);
    assert_eq!(w.mistakes(ADDON, json!({ "configuration_values": "{a: 1" })), ["configuration_values"]);
    w.delete(&live, ADDON).await;
}

#[tokio::test]
async fn an_addon_that_meets_another_fails_with_its_reason() {
    let w = World::new();
    w.cluster().await;
    // The cluster came with its own.
    let inputs = json!({ "cluster_name": "main", "addon_name": "vpc-cni", "resolve_conflicts_on_create": "NONE" });
    let id = w.try_create(ADDON, "cni", inputs).await.unwrap();
    let Status::Failed(why) = w.read(ADDON, &id).await.status else { panic!("it cannot be") };
    assert!(why.starts_with("create_failed: Conflicts found"), "{why}");
}

#[tokio::test]
async fn node_group() {
    let w = World::new();
    let cluster = w.cluster().await;
    let subnets = Json::from(&cluster.inputs["vpc_config"])["subnet_ids"].clone();
    w.account.delay("eks_node_group", 0.3);
    let inputs = json!({
        "cluster_name": "main", "node_role_arn": w.role_arn("nodes"), "subnet_ids": subnets,
        "scaling_config": { "desired_size": 2, "min_size": 1, "max_size": 3 },
        "update_config": { "max_unavailable_percentage": 33 },
        "instance_types": ["m7i.large", "m6i.large"], "ami_type": "BOTTLEROCKET_x86_64", "capacity_type": "SPOT",
        "disk_size": 50, "labels": { "pool": "system", "tier": "a" }, "version": "1.31",
        "taint": [
            { "key": "only", "value": "system", "effect": "NO_SCHEDULE" }, { "key": "gpu", "effect": "NO_EXECUTE" },
        ],
    });
    let live = w.create(GROUP, "system", inputs.clone()).await;
    assert_eq!((live.id.as_str(), &live.status), ("main:system", &Status::Pending("creating".into())));
    let live = w.ready(GROUP, &live.id).await;
    let live = w.common_life(GROUP, live).await;
    assert_eq!(w.in_cluster(GROUP, "main").await, ["main:system"]);
    w.account.forget_calls();
    w.owned(GROUP).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2, "{:?}", w.account.calls());

    let size = json!({ "desired_size": 3, "min_size": 0, "max_size": 6 });
    let live = w.update(&live, GROUP, json!({ "scaling_config": size })).await;
    let live = w.update(&live, GROUP, json!({ "labels": { "pool": "other", "new": "b" } })).await;
    let taints =
        json!([{ "key": "only", "value": "other", "effect": "NO_SCHEDULE" }, { "key": "new", "effect": "NO_EXECUTE" }]);
    let live = w.update(&live, GROUP, json!({ "taint": taints, "update_config": { "max_unavailable": 2 } })).await;
    let live = w.update(&live, GROUP, json!({ "taint": [], "labels": {} })).await;
    // The version brings another image with it.
    w.try_update(&live, GROUP, json!({ "version": "1.32" })).await.unwrap();
    let live = w.read(GROUP, &live.id).await;
    assert_eq!(live.inputs["version"], "1.32".into());
    let live = w.update(&live, GROUP, json!({ "release_version": "1.32.7-20250801" })).await;
    // Both ways of a change at once are two calls.
    let both = json!({ "release_version": "1.32.8-20250901", "labels": { "a": "b" } });
    assert_eq!(w.try_update(&live, GROUP, both.clone()).await.unwrap_err().class, Class::Busy);
    w.update(&live, GROUP, both).await;
    let template = json!({ "launch_template": { "id": "lt-0a1b2c3d4e5f60718", "version": "1" } });
    let refused = w.try_update(&live, GROUP, template).await.unwrap_err();
    assert!(refused.class == Class::Invalid && refused.hint.unwrap().contains("`node_group_name`"));
    let mut again = inputs;
    again["node_group_name"] = json!("system");
    assert_eq!(w.try_create(GROUP, "again", again).await.unwrap_err().class, Class::Exists);

    assert_eq!(w.try_delete(&cluster, "aws::eks_cluster").await.unwrap_err().class, Class::Busy);
    w.delete(&w.read(GROUP, &live.id).await, GROUP).await;
    w.delete(&cluster, "aws::eks_cluster").await;
    let wrong = json!({
        "launch_template": { "id": "lt-1", "version": "1" }, "disk_size": 1,
        "update_config": { "max_unavailable": 1, "max_unavailable_percentage": 1 },
        "scaling_config": { "desired_size": 3, "min_size": 1, "max_size": 2 },
    });
    assert_eq!(w.mistakes(GROUP, wrong), ["disk_size", "update_config", "scaling_config.desired_size"]);
}

/// A cluster with all that may be in it.
fn full(account: &str, version: &str, more: Json) -> Vec<Item> {
    let cluster = reference("aws::eks_cluster.main.id");
    let mut entry = json!({
        "cluster_name": cluster, "principal_arn": format!("arn:aws:iam::{account}:role/ops"),
        "policy_association": [{ "policy_arn": ADMIN, "access_scope": { "type": "cluster" } }],
    });
    let mut addon = json!({
        "cluster_name": cluster, "addon_name": "coredns", "resolve_conflicts_on_create": "OVERWRITE", "preserve": true,
        "configuration_values": "{ \"replicaCount\": 2 }",
    });
    let mut group = json!({
        "cluster_name": cluster, "node_role_arn": format!("arn:aws:iam::{account}:role/nodes"),
        "subnet_ids": [reference("aws::subnet.a.id")],
        "scaling_config": { "desired_size": 1, "min_size": 1, "max_size": 3 }, "labels": { "pool": "system" },
    });
    for (kind, of) in [("entry", &mut entry), ("addon", &mut addon), ("group", &mut group)] {
        for (name, value) in more[kind].as_object().into_iter().flatten() {
            of[name] = value.clone();
        }
    }
    let mut all = items(account, json!({ "version": version }));
    all.push(item("aws::eks_access_entry.ops", entry));
    all.push(item("aws::eks_addon.dns", addon));
    all.push(item("aws::eks_node_group.system", group));
    all
}

#[tokio::test]
async fn what_is_in_a_cluster_lives_through_the_engine() {
    let s = Stack::new();
    let number = s.account.number.clone();
    for lost in ["CreateAccessEntry", "CreateAddon", "CreateNodegroup"] {
        s.account.lose_answer(lost, 1);
    }
    s.account.delay("eks_node_group", 0.5);
    assert_eq!(s.run(|| full(&number, "1.31", json!({}))).await.len(), 7);
    for create in ["eks:CreateAccessEntry", "eks:CreateAddon", "eks:CreateNodegroup"] {
        assert_eq!(s.account.calls()[create], 1, "{create}");
    }

    s.account.delay("eks_update", 0.3);
    let more = || {
        json!({
            "entry": { "kubernetes_groups": ["ops"] },
            "addon": { "configuration_values": "{\"replicaCount\":3}", "preserve": false },
            "group": { "labels": { "pool": "other" }, "release_version": "1.31.9-20250801" },
        })
    };
    assert_eq!(
        sorted(s.run(|| full(&number, "1.31", more())).await),
        [
            "update aws::eks_access_entry.ops kubernetes_groups",
            "update aws::eks_addon.dns configuration_values preserve",
            "update aws::eks_node_group.system labels.pool release_version",
        ]
    );

    s.account.delay("eks_update", 0.0);
    let client = sdk(&s.account).await;
    let principal = format!("arn:aws:iam::{number}:role/ops");
    let call = client.disassociate_access_policy().cluster_name("prod").principal_arn(&principal);
    call.policy_arn(ADMIN).send().await.unwrap();
    let call = client.update_addon().cluster_name("prod").addon_name("coredns");
    call.configuration_values("{\"replicaCount\":1}").send().await.unwrap();
    let size = aws_sdk_eks::types::NodegroupScalingConfig::builder().min_size(0).max_size(9).desired_size(4).build();
    let call = client.update_nodegroup_config().cluster_name("prod").nodegroup_name("system");
    call.scaling_config(size).send().await.unwrap();
    assert_eq!(
        sorted(s.plan(full(&number, "1.31", more())).await),
        [
            "update aws::eks_access_entry.ops policy_association",
            "update aws::eks_addon.dns configuration_values",
            "update aws::eks_node_group.system scaling_config.desired_size scaling_config.max_size scaling_config.min_size",
        ]
    );
    s.run(|| full(&number, "1.31", more())).await;

    let replaced = || {
        let mut more = more();
        more["entry"]["principal_arn"] = json!(format!("arn:aws:iam::{number}:role/others"));
        more["addon"]["addon_name"] = json!("kube-proxy");
        more["group"]["instance_types"] = json!(["m7i.large"]);
        full(&number, "1.31", more)
    };
    assert_eq!(
        sorted(s.run(replaced).await),
        [
            "replace aws::eks_access_entry.ops principal_arn",
            "replace aws::eks_addon.dns addon_name",
            "replace aws::eks_node_group.system instance_types",
        ]
    );
    assert_eq!(s.destroy().await.len(), 7);
}

#[tokio::test]
async fn what_is_in_a_cluster_is_adopted() {
    let s = Stack::new();
    let number = s.account.number.clone();
    s.run(|| full(&number, "1.31", json!({}))).await;
    // As if nobody had ever owned them.
    let client = sdk(&s.account).await;
    let parts = ["aws::eks_access_entry.ops", "aws::eks_addon.dns", "aws::eks_node_group.system"];
    let mut ids = vec![];
    for part in parts {
        let live = s.live(part).await;
        let arn = live.outputs["arn"].as_str().unwrap();
        let call = client.untag_resource().resource_arn(arn).tag_keys("runner:stack").tag_keys("runner:address");
        call.send().await.unwrap();
        ids.push(live.id);
    }
    let by_name = json!({ "cluster_name": "prod" });
    let by_name = json!({ "entry": by_name, "addon": by_name, "group": by_name });
    let wrong = s.try_plan(full(&number, "1.31", by_name)).await.unwrap_err();
    assert_eq!(wrong.len(), 3, "{wrong:#?}");
    for id in &ids {
        assert!(wrong.iter().any(|one| one.hint.as_ref().unwrap().contains(&format!("adopt: \"{id}\""))), "{wrong:#?}");
    }
    let adopting = || {
        let mut all = full(&number, "1.31", json!({}));
        let three = all.split_off(4).into_iter().zip(&ids);
        all.extend(three.map(|(item, id)| item.with(|options| options.adopt = Some(id.clone()))));
        all
    };
    assert_eq!(sorted(s.run(adopting).await), parts.map(|part| format!("update {part}")));
    assert_eq!(s.live(parts[0]).await.owner, Some(owner(ENTRY, "ops")));
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}
