//! EKS clusters: their states, changes one at a time, versions.

use std::collections::BTreeSet;
use std::time::Duration;

use runner::resource::{Class, Live, Provider, Select, Status, Value};
use serde_json::{Value as Json, json};

use super::stack::{Stack, item, reference};
use super::{World, map, owner};
use crate::moto::{Account, REGION};
use crate::world::Item;

const K: &str = "aws::eks_cluster";

impl World {
    /// Two subnets in two availability zones.
    pub async fn two_subnets(&self) -> [String; 2] {
        let vpc = self.vpc().await;
        let mut ids = vec![];
        for (name, third, zone) in [("a", 1, "eu-west-1a"), ("b", 2, "eu-west-1b")] {
            let inputs =
                json!({ "vpc_id": vpc, "cidr_block": format!("10.0.{third}.0/24"), "availability_zone": zone });
            ids.push(self.create("aws::subnet", name, inputs).await.id);
        }
        ids.try_into().unwrap()
    }

    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.account.number)
    }

    pub async fn cluster(&self) -> Live {
        let subnets = self.two_subnets().await;
        let access = json!({ "authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": false });
        let inputs = json!({ "role_arn": self.role_arn("eks"), "vpc_config": { "subnet_ids": subnets }, "access_config": access });
        self.create(K, "main", inputs).await
    }
}

pub async fn sdk(account: &Account) -> aws_sdk_eks::Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = account.chain().region(aws_config::Region::new(REGION)).http_client(http).load().await;
    aws_sdk_eks::Client::new(&config)
}

/// A network, and a cluster with these inputs besides.
pub fn items(account: &str, more: Json) -> Vec<Item> {
    let subnet = |third: u8, zone: &str| {
        json!({
            "vpc_id": reference("aws::vpc.main.id"), "cidr_block": format!("10.0.{third}.0/24"),
            "availability_zone": zone,
        })
    };
    let mut cluster = json!({
        "name": "prod",
        "role_arn": format!("arn:aws:iam::{account}:role/eks"),
        "vpc_config": { "subnet_ids": [reference("aws::subnet.a.id"), reference("aws::subnet.b.id")] },
        "access_config": { "authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": true },
        "bootstrap_self_managed_addons": false,
        "version": "1.31",
    });
    for (name, value) in more.as_object().unwrap() {
        match name.strip_prefix("vpc_config.") {
            Some(inner) => cluster["vpc_config"][inner] = value.clone(),
            None => cluster[name] = value.clone(),
        }
    }
    vec![
        item("aws::vpc.main", json!({ "cidr_block": "10.0.0.0/16" })),
        item("aws::subnet.a", subnet(1, "eu-west-1a")),
        item("aws::subnet.b", subnet(2, "eu-west-1b")),
        item("aws::eks_cluster.main", cluster),
    ]
}

#[tokio::test]
async fn a_cluster_takes_its_time() {
    let w = World::new();
    let subnets = w.two_subnets().await;
    w.account.delay("eks_cluster", 0.5);
    let key = format!("arn:aws:kms:eu-west-1:{}:key/0a1b", w.account.number);
    let vpc = json!({
        "subnet_ids": subnets, "endpoint_private_access": true, "public_access_cidrs": ["192.0.2.0/24"],
    });
    let inputs = json!({
        "name": "prod", "role_arn": w.role_arn("eks"), "version": "1.31", "deletion_protection": true,
        "vpc_config": vpc,
        "access_config": { "authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": true },
        "enabled_cluster_log_types": ["audit", "controllerManager"],
        "encryption_config": { "provider": { "key_arn": key } },
        "kubernetes_network_config": { "service_ipv4_cidr": "10.100.0.0/16" },
        "upgrade_policy": { "support_type": "STANDARD" },
    });
    let live = w.create(K, "main", inputs.clone()).await;
    assert_eq!(live.status, Status::Pending("creating".into()));
    assert!(!live.outputs.contains_key("endpoint"));
    // The same token again is the same cluster.
    assert_eq!(w.try_create(K, "main", inputs.clone()).await.unwrap(), live.id);
    let live = w.ready(K, "prod").await;
    for output in ["arn", "identity_oidc_issuer", "cluster_security_group_id", "vpc_id", "platform_version"] {
        assert!(live.outputs.contains_key(output), "{output}");
    }
    assert!(live.outputs["endpoint"].as_str().unwrap().ends_with(".eu-west-1.eks.amazonaws.com"));
    let Value::Map(authority) = &live.outputs["certificate_authority"] else { panic!("a map") };
    assert!(authority["data"].as_str().unwrap().starts_with("LS0tLS1CRUdJTi"));
    let taken = w.try_create(K, "other", inputs).await.unwrap_err();
    assert_eq!(taken.class, Class::Exists);
    let refused = w.try_delete(&live, K).await.unwrap_err();
    assert_eq!(refused.class, Class::Invalid);
    assert!(refused.hint.unwrap().contains("`deletion_protection: false`"));
    let live = w.update(&live, K, json!({ "deletion_protection": false })).await;
    w.account.delay("eks_delete", 0.3);
    w.try_delete(&live, K).await.unwrap();
    assert_eq!(w.read(K, "prod").await.status, Status::Deleting);
    while w.find(K, "prod").await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_cluster_changes() {
    let w = World::new();
    let live = w.cluster().await;
    let live = w.common_life(K, live).await;
    w.account.forget_calls();
    w.owned(K).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2, "{:?}", w.account.calls());
    let named = Select::Named(BTreeSet::from(["main".into(), "nowhere".into()]));
    assert_eq!(w.aws.list(&w.kind(K), None, &named).await.unwrap(), std::slice::from_ref(&live));

    let subnets = Json::from(&live.inputs["vpc_config"])["subnet_ids"].clone();
    let live = w.update(&live, K, json!({ "enabled_cluster_log_types": ["api", "scheduler"] })).await;
    let live = w.update(&live, K, json!({ "enabled_cluster_log_types": [] })).await;
    let live = w.update(&live, K, json!({ "upgrade_policy": { "support_type": "STANDARD" } })).await;
    let narrow = json!({ "subnet_ids": subnets, "public_access_cidrs": ["192.0.2.0/24"] });
    let live = w.update(&live, K, json!({ "vpc_config": narrow })).await;
    let hidden = json!({ "subnet_ids": subnets, "endpoint_private_access": true, "endpoint_public_access": false });
    let live = w.update(&live, K, json!({ "vpc_config": hidden })).await;
    let wide = json!({ "subnet_ids": subnets, "endpoint_private_access": false });
    let live = w.update(&live, K, json!({ "vpc_config": wide })).await;
    let vpc = live.outputs["vpc_id"].as_str().unwrap().to_owned();
    let third = json!({ "vpc_id": vpc, "cidr_block": "10.0.3.0/24", "availability_zone": "eu-west-1c" });
    let third = w.create("aws::subnet", "c", third).await.id;
    let live = w.update(&live, K, json!({ "vpc_config": { "subnet_ids": [subnets[0], third] } })).await;
    let group = w.create("aws::security_group", "more", json!({ "vpc_id": vpc })).await.id;
    let with = json!({ "subnet_ids": [subnets[0], third], "security_group_ids": [group] });
    let live = w.update(&live, K, json!({ "vpc_config": with })).await;
    let narrow = json!({ "subnet_ids": [subnets[0], third], "security_group_ids": [group], "public_access_cidrs": ["192.0.2.0/24"] });
    let live = w.update(&live, K, json!({ "vpc_config": narrow })).await;
    // What is left out stays, and is no call of its own.
    w.account.forget_calls();
    w.try_update(&live, K, json!({ "vpc_config": { "subnet_ids": subnets } })).await.unwrap();
    assert_eq!(w.account.calls()["eks:UpdateClusterConfig"], 1);
    let live = w.read(K, &live.id).await;
    let vpc = Json::from(&live.inputs["vpc_config"]);
    assert_eq!((&vpc["security_group_ids"], &vpc["public_access_cidrs"]), (&json!([group]), &json!(["192.0.2.0/24"])));
    let live = w.update(&live, K, json!({ "version": "1.33" })).await;
    w.delete(&live, K).await;
}

#[tokio::test]
async fn what_a_cluster_cannot_do_is_told_before_it_is_asked() {
    let w = World::new();
    let live = w.cluster().await;
    assert_eq!(live.inputs["version"], "1.32".into());
    w.account.forget_calls();
    let refused = async |wanted: Json| {
        let fault = w.try_update(&live, K, wanted).await.unwrap_err();
        assert_eq!(fault.class, Class::Invalid, "{fault}");
        fault.hint.unwrap()
    };
    assert_eq!(refused(json!({ "version": "1.34", "enabled_cluster_log_types": ["api"] })).await, "go to 1.33 first");
    assert!(refused(json!({ "version": "1.31" })).await.contains("set `version` to \"1.32\""));
    let back = json!({ "access_config": { "authentication_mode": "CONFIG_MAP" } });
    assert!(refused(back).await.contains("set it to \"API\""));
    assert!(w.account.calls().keys().all(|call| call == "eks:DescribeCluster"), "{:?}", w.account.calls());

    let told = |inputs: Json| {
        let told = (w.kind(K).nature.check)(&map(inputs));
        told.into_iter().map(|mistake| mistake.path).collect::<Vec<_>>()
    };
    let vpc = json!({ "subnet_ids": ["subnet-0a"], "endpoint_public_access": false });
    let inputs =
        json!({ "version": "1.33.1", "vpc_config": vpc, "kubernetes_network_config": { "ip_family": "ipv4" } });
    assert_eq!(
        told(inputs),
        [
            "version",
            "vpc_config.endpoint_private_access",
            "vpc_config.subnet_ids",
            "kubernetes_network_config.service_ipv4_cidr"
        ]
    );
    assert_eq!(told(json!({ "version": "1.33", "kubernetes_network_config": { "ip_family": "ipv6" } })), [""; 0]);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let w = World::new();
    let subnets = w.two_subnets().await;
    let inputs = json!({ "role_arn": w.role_arn("eks"), "vpc_config": { "subnet_ids": subnets } });
    w.account.fail("CreateCluster", "UnsupportedAvailabilityZoneException", 400, 1);
    let fault = w.try_create(K, "main", inputs.clone()).await.unwrap_err();
    assert!(fault.class == Class::Invalid && fault.hint.unwrap().contains("subnets in others"));
    w.account.fail("CreateCluster", "ResourceLimitExceededException", 400, 1);
    let fault = w.try_create(K, "main", inputs).await.unwrap_err();
    assert!(fault.class == Class::Invalid && fault.hint.unwrap().contains("Service Quotas"));
}

#[tokio::test]
async fn a_cluster_lives_through_the_engine() {
    let s = Stack::new();
    let number = s.account.number.clone();
    s.account.delay("eks_cluster", 0.6);
    let created = s.run(|| items(&number, json!({}))).await;
    assert_eq!(created.last().unwrap(), "create aws::eks_cluster.main");
    assert_eq!(s.live("aws::eks_cluster.main").await.status, Status::Ready);
    s.account.delay("eks_update", 0.5);

    // Three changes, one at a time; the last is an upgrade that is waited for.
    let all = || {
        items(
            &number,
            json!({
                "version": "1.32", "enabled_cluster_log_types": ["audit"], "vpc_config.endpoint_private_access": true,
            }),
        )
    };
    let changed = s.run(all).await;
    assert_eq!(
        changed,
        ["update aws::eks_cluster.main enabled_cluster_log_types version vpc_config.endpoint_private_access"]
    );
    assert_eq!(s.attribute("aws::eks_cluster.main", "version").await, json!("1.32"));
    let calls = s.account.calls();
    assert_eq!((calls["eks:UpdateClusterConfig"], calls["eks:UpdateClusterVersion"]), (2, 1), "{calls:?}");

    // What someone else changes shows, and is put right.
    s.account.delay("eks_update", 0.0);
    let vpc = aws_sdk_eks::types::VpcConfigRequest::builder().endpoint_private_access(false).build();
    let client = sdk(&s.account).await;
    client.update_cluster_config().name("prod").resources_vpc_config(vpc).send().await.unwrap();
    assert_eq!(s.plan(all()).await, ["update aws::eks_cluster.main vpc_config.endpoint_private_access"]);
    s.run(all).await;

    let other_role = || items(&number, json!({ "role_arn": format!("arn:aws:iam::{number}:role/other") }));
    s.account.delay("eks_delete", 0.4);
    assert_eq!(
        s.run(other_role).await,
        ["replace aws::eks_cluster.main role_arn version vpc_config.endpoint_private_access"]
    );
    assert_eq!(s.destroy().await.len(), 4);
}

/// What the author left out of a block stays as others set it.
#[tokio::test]
async fn an_update_of_a_part_leaves_the_other_parts_alone() {
    let w = World::new();
    let subnets = w.two_subnets().await;
    let inputs = json!({ "role_arn": w.role_arn("eks"), "vpc_config": {
        "subnet_ids": subnets, "public_access_cidrs": ["192.0.2.0/24"], "endpoint_private_access": false } });
    let live = w.create(K, "main", inputs).await;
    w.account.forget_calls();
    let private = json!({ "vpc_config": { "subnet_ids": subnets, "endpoint_private_access": true } });
    w.try_update(&live, K, private).await.unwrap();
    let after = Json::from(&w.ready(K, "main").await.inputs["vpc_config"]);
    assert_eq!(after["endpoint_private_access"], true);
    assert_eq!(after["public_access_cidrs"], json!(["192.0.2.0/24"]), "it is not opened to the world");
    assert_eq!(w.account.calls()["eks:UpdateClusterConfig"], 1);
}

#[tokio::test]
async fn a_jump_of_versions_fails_with_the_next_step() {
    let s = Stack::new();
    let number = s.account.number.clone();
    s.run(|| items(&number, json!({}))).await;
    let live = s.live("aws::eks_cluster.main").await;
    let w = World { account: Account { number: number.clone() }, aws: s.account.aws() };
    let fault = w.try_update(&live, K, json!({ "version": "1.33" })).await.unwrap_err();
    assert_eq!(fault.hint.as_deref(), Some("go to 1.32 first"));
    let wrong = s.try_plan(items(&number, json!({ "version": "1.33" }))).await.unwrap_err();
    assert_eq!(wrong[0].hint.as_deref(), Some("go to 1.32 first"), "{}", wrong[0]);
    let key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b";
    let encrypted = json!({ "encryption_config": { "provider": { "key_arn": key } } });
    let wrong = s.try_plan(items(&number, encrypted)).await.unwrap_err();
    assert!(wrong[0].hint.as_ref().unwrap().contains("associate-encryption-config"), "{}", wrong[0]);
    s.account.lose_answer("UpdateClusterVersion", 1);
    s.run(|| items(&number, json!({ "version": "1.32" }))).await;
    assert_eq!(s.account.calls()["eks:UpdateClusterVersion"], 1);
    s.run(|| items(&number, json!({ "version": "1.33" }))).await;
}

#[tokio::test]
async fn a_cluster_that_is_there_is_adopted() {
    let s = Stack::new();
    let number = s.account.number.clone();
    let wanted = || items(&number, json!({}));
    s.run(|| wanted().into_iter().take(3).collect()).await;
    let subnets: Vec<String> = vec![s.live("aws::subnet.a").await.id, s.live("aws::subnet.b").await.id];
    let client = sdk(&s.account).await;
    let vpc = aws_sdk_eks::types::VpcConfigRequest::builder().set_subnet_ids(Some(subnets)).build();
    let mode = aws_sdk_eks::types::AuthenticationMode::Api;
    let access = aws_sdk_eks::types::CreateAccessConfigRequest::builder().authentication_mode(mode).build();
    let call = client.create_cluster().name("prod").role_arn(format!("arn:aws:iam::{number}:role/eks"));
    call.version("1.31").resources_vpc_config(vpc).access_config(access).send().await.unwrap();

    let wrong = s.try_plan(wanted()).await.unwrap_err();
    assert!(wrong[0].hint.as_ref().unwrap().contains("adopt: \"prod\""), "{wrong:#?}");
    let adopting = || {
        let adopt = |item: Item| item.with(|options| options.adopt = Some("prod".into()));
        let mut items = wanted();
        let cluster = items.pop().unwrap();
        items.push(adopt(cluster));
        items
    };
    assert_eq!(s.run(adopting).await, ["update aws::eks_cluster.main"]);
    assert_eq!(s.live("aws::eks_cluster.main").await.owner, Some(owner(K, "main")));
}

#[tokio::test]
async fn a_cluster_whose_answer_was_lost_is_there_once() {
    let s = Stack::new();
    let number = s.account.number.clone();
    s.account.lose_answer("CreateCluster", 1);
    s.run(|| items(&number, json!({}))).await;
    assert_eq!(s.account.calls()["eks:CreateCluster"], 1);
    assert_eq!(s.live("aws::eks_cluster.main").await.id, "prod");
}
