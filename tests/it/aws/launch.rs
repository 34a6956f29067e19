//! Instances.

use runner::resource::{Class, Live, Status, Value};
use serde_json::{Value as Json, json};

use super::World;
use super::hosts::{IMAGE, KEY, ec2, tagged};
use super::stack::{Item, Stack, item, reference};
use crate::moto::{Account, REGION};

const OTHER_IMAGE: &str = "ami-04681a1dbd79675a5";

/// An instance profile that someone else made.
async fn profile(account: &Account, name: &str) {
    let config = account.chain().region(REGION).load().await;
    let iam = aws_sdk_iam::Client::new(&config);
    iam.create_instance_profile().instance_profile_name(name).path("/hosts/").send().await.unwrap();
}

async fn count(account: &Account) -> usize {
    let answer = ec2(account).await.describe_instances().filters(tagged()).send().await.unwrap();
    answer.reservations().iter().map(|reservation| reservation.instances().len()).sum()
}

impl World {
    /// A VPC with a subnet and two security groups.
    async fn place(&self) -> (String, Live, Live) {
        let vpc = self.vpc().await;
        let subnet = self.subnet(&vpc, "a", 1).await;
        let web = self.create("aws::security_group", "web", json!({ "vpc_id": vpc })).await;
        let db = self.create("aws::security_group", "db", json!({ "vpc_id": vpc })).await;
        (subnet, web, db)
    }
}

#[tokio::test]
async fn instance() {
    let w = World::new();
    let k = "aws::instance";
    let (subnet, web, db) = w.place().await;
    w.create("aws::key_pair", "admin", json!({ "public_key": KEY })).await;
    profile(&w.account, "web").await;
    profile(&w.account, "db").await;
    let inputs = json!({
        "ami": IMAGE, "instance_type": "t3.large", "subnet_id": subnet, "private_ip": "10.0.1.20",
        "vpc_security_group_ids": [web.id], "key_name": "admin", "iam_instance_profile": "web", "source_dest_check": false,
        "user_data": "#!/bin/sh\necho €\n", "monitoring": true, "ebs_optimized": true, "disable_api_termination": true,
        "instance_initiated_shutdown_behavior": "terminate", "tenancy": "dedicated",
        "credit_specification": { "cpu_credits": "standard" },
        "metadata_options": {
            "http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 2,
            "instance_metadata_tags": "enabled",
        },
    });
    w.account.delay("instance", 600.0);
    let live = w.create(k, "host", inputs.clone()).await;
    assert_eq!(live.status, Status::Pending("pending".into()));
    // The same token again is the same instance.
    assert_eq!(w.try_create(k, "host", inputs).await.unwrap(), live.id);
    w.account.delay("instance", 0.0);
    let live = w.read(k, &live.id).await;
    assert_eq!((&live.status, &live.outputs["instance_state"]), (&Status::Ready, &"running".into()));
    assert!(live.outputs["primary_network_interface_id"].as_str().unwrap().starts_with("eni-"));
    assert_eq!(live.outputs["private_dns"], "ip-10-0-1-20.eu-west-1.compute.internal".into());
    let live = w.common_life(k, live).await;
    w.account.forget_calls();
    w.owned(k).await;
    let calls = w.account.calls();
    assert_eq!((calls["ec2:DescribeInstances"], calls["ec2:DescribeInstanceAttribute"]), (1, 3));
    assert_eq!(calls.values().sum::<u64>(), 6, "{calls:?}");

    let live = w.update(&live, k, json!({ "vpc_security_group_ids": [db.id], "source_dest_check": true })).await;
    w.try_delete(&web, "aws::security_group").await.unwrap();
    assert_eq!(w.try_delete(&db, "aws::security_group").await.unwrap_err().class, Class::Busy);
    let live = w.update(&live, k, json!({ "iam_instance_profile": "db" })).await;
    let live = w.update(&live, k, json!({ "iam_instance_profile": "" })).await;
    let arn = format!("arn:aws:iam::{}:instance-profile/hosts/web", w.account.number);
    let live = w.update(&live, k, json!({ "iam_instance_profile": arn })).await;
    let live = w
        .update(&live, k, json!({ "monitoring": false, "credit_specification": { "cpu_credits": "unlimited" } }))
        .await;
    let live = w.update(&live, k, json!({ "instance_initiated_shutdown_behavior": "stop" })).await;
    let root = json!({
        "volume_size": 30, "volume_type": "gp3", "iops": 3500, "throughput": 200, "encrypted": false,
        "delete_on_termination": false,
    });
    let live = w.update(&live, k, json!({ "root_block_device": root })).await;
    let live = w.update(&live, k, json!({ "instance_type": "t3.xlarge", "ebs_optimized": false })).await;
    assert_eq!(live.outputs["instance_state"], "running".into());

    let guarded = w.try_delete(&live, k).await.unwrap_err();
    assert_eq!(guarded.class, Class::Invalid);
    assert!(guarded.hint.unwrap().contains("disable_api_termination: false"));
    let live = w.update(&live, k, json!({ "disable_api_termination": false })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn an_instance_with_a_public_address_and_a_root_volume_as_asked() {
    let w = World::new();
    let k = "aws::instance";
    let (subnet, web, _) = w.place().await;
    let root = json!({ "volume_size": 50, "volume_type": "gp3", "iops": 4000, "encrypted": true });
    let inputs = json!({
        "ami": IMAGE, "instance_type": "m5.large", "subnet_id": subnet, "vpc_security_group_ids": [web.id],
        "associate_public_ip_address": true, "root_block_device": root,
    });
    let id = w.try_create(k, "host", inputs).await.unwrap();
    let live = w.read(k, &id).await;
    assert!(live.outputs["public_ip"].as_str().is_some());
    assert!(live.outputs["public_dns"].as_str().unwrap().ends_with(".compute.amazonaws.com"));
    assert_eq!(live.inputs["vpc_security_group_ids"], json!([web.id]).into());
    let now = Json::from(&live.inputs["root_block_device"]);
    for (name, value) in root.as_object().unwrap() {
        assert_eq!(now[name], *value, "{name}");
    }
    assert_eq!(now["delete_on_termination"], true);
    // It has no credits to tell of.
    assert!(!live.inputs.contains_key("credit_specification"));
    let refused = w.try_update(&live, k, json!({ "credit_specification": { "cpu_credits": "unlimited" } })).await;
    assert_eq!(refused.unwrap_err().class, Class::Invalid);
    w.delete(&live, k).await;
}

#[tokio::test]
async fn what_cannot_be_launched_says_why() {
    let w = World::new();
    let k = "aws::instance";
    let (subnet, ..) = w.place().await;
    let with = |more: Json| {
        let mut inputs = json!({ "ami": IMAGE, "instance_type": "m5.large", "subnet_id": subnet });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        inputs
    };
    let image = w.try_create(k, "a", with(json!({ "ami": "ami-0123" }))).await.unwrap_err();
    assert_eq!((image.class, image.hint.is_some()), (Class::Invalid, true));
    let root = json!({ "ami": "ami-0123", "root_block_device": { "volume_size": 9 } });
    assert!(w.try_create(k, "b", with(root)).await.unwrap_err().hint.unwrap().contains("aws::ami"));
    let key = w.try_create(k, "c", with(json!({ "key_name": "nobody" }))).await.unwrap_err();
    assert!(key.hint.unwrap().contains("key_name"));
    // EC2 hears late of a profile that was just made.
    let profile = w.try_create(k, "d", with(json!({ "iam_instance_profile": "late" }))).await.unwrap_err();
    assert_eq!(profile.class, Class::NotFound);
    w.account.fail("RunInstances", "InsufficientInstanceCapacity", 500, 1);
    let full = w.try_create(k, "e", with(json!({}))).await.unwrap_err();
    assert_eq!(full.class, Class::Invalid);
    assert!(full.hint.unwrap().contains("another zone"));
    assert_eq!(w.owned(k).await, []);
    let mistakes = (w.kind(k).nature.check)(&super::map(with(json!({
        "key_name": "key-0a1b2c3d4e5f60718", "user_data": "x".repeat(16 * 1024 + 1),
        "root_block_device": { "volume_type": "gp2", "throughput": 200, "kms_key_id": "alias/data" },
    }))));
    let paths: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(paths, ["user_data", "key_name", "root_block_device.throughput", "root_block_device.kms_key_id"]);
}

/// A network and a host.
fn items(host: Json) -> Vec<Item> {
    let subnet = json!({ "vpc_id": reference("aws::vpc.main.id"), "cidr_block": "10.0.1.0/24" });
    let mut inputs = json!({ "ami": IMAGE, "instance_type": "t3.large", "subnet_id": reference("aws::subnet.a.id"),
                             "vpc_security_group_ids": [reference("aws::security_group.web.id")] });
    inputs.as_object_mut().unwrap().extend(host.as_object().unwrap().clone());
    vec![
        item("aws::vpc.main", json!({ "cidr_block": "10.0.0.0/16" })),
        item("aws::subnet.a", subnet),
        item("aws::security_group.web", json!({ "vpc_id": reference("aws::vpc.main.id") })),
        item("aws::instance.host", inputs),
    ]
}

#[tokio::test]
async fn an_instance_lives_through_the_engine() {
    let s = Stack::new();
    s.account.delay("instance", 0.5);
    s.account.lose_answer("RunInstances", 1);
    assert_eq!(s.run(|| items(json!({}))).await.len(), 4);
    assert_eq!(count(&s.account).await, 1);
    let id = s.live("aws::instance.host").await.id;
    // Larger: it is stopped and started, and the plan says so.
    let larger = || items(json!({ "instance_type": "t3.xlarge" }));
    let plan = s.try_plan(larger()).await.unwrap();
    let change = plan.changes.iter().find(|change| change.address.to_string() == "aws::instance.host").unwrap();
    assert!(change.fields[0].restarts && !change.fields[0].forces_replace);
    assert_eq!(s.run(larger).await, ["update aws::instance.host instance_type"]);
    let live = s.live("aws::instance.host").await;
    assert_eq!((live.id.as_str(), &live.outputs["instance_state"]), (id.as_str(), &"running".into()));
    let calls = s.account.calls();
    assert_eq!((calls["ec2:StopInstances"], calls["ec2:StartInstances"]), (1, 1));

    // In a block, too, what is left out is not compared.
    s.account.delay("instance", 0.0);
    let block = |tokens: &str| {
        let options = json!({ "http_tokens": tokens, "http_put_response_hop_limit": 2 });
        items(
            json!({ "instance_type": "t3.xlarge", "metadata_options": options, "root_block_device": { "volume_size": 20 } }),
        )
    };
    let first = s.run(|| block("required")).await;
    let paths =
        "metadata_options.http_put_response_hop_limit metadata_options.http_tokens root_block_device.volume_size";
    assert_eq!(first, [format!("update aws::instance.host {paths}")]);

    // Drift.
    let client = ec2(&s.account).await;
    let optional = aws_sdk_ec2::types::HttpTokensState::Optional;
    client.modify_instance_metadata_options().instance_id(&id).http_tokens(optional).send().await.unwrap();
    let seen = s.run(|| block("required")).await;
    assert_eq!(seen, ["update aws::instance.host metadata_options.http_tokens"]);

    let replaced = s.run(|| items(json!({ "ami": OTHER_IMAGE, "user_data": "#!/bin/sh" }))).await;
    assert_eq!(replaced, ["replace aws::instance.host ami instance_type user_data"]);
    let encrypted = json!({ "ami": OTHER_IMAGE, "root_block_device": { "encrypted": true } });
    let replaced = s.run(|| items(encrypted.clone())).await;
    assert_eq!(replaced, ["replace aws::instance.host root_block_device.encrypted"]);
    s.account.delay("instance", 0.5);
    assert_eq!(s.destroy().await.len(), 4);
}

#[tokio::test]
async fn what_an_update_has_stopped_is_started_by_the_next_run() {
    let s = Stack::new();
    s.run(|| items(json!({}))).await;
    let larger = || items(json!({ "instance_type": "t3.xlarge" }));
    let plan = s.try_plan(larger()).await.unwrap();
    s.account.fail("StartInstances", "InsufficientInstanceCapacity", 500, 1);
    let failures = s.failures(&plan).await;
    assert!(format!("{failures:?}").contains("another zone"), "{failures:#?}");
    let live = s.live("aws::instance.host").await;
    assert_eq!(live.outputs["instance_state"], "stopped".into());
    assert!(!live.inputs.contains_key("instance_type"));
    assert_eq!(s.run(larger).await, ["update aws::instance.host instance_type"]);
    assert_eq!(s.attribute("aws::instance.host", "instance_state").await, "running");

    // What someone else stopped stays so, also when it changes.
    let id = s.live("aws::instance.host").await.id;
    let client = ec2(&s.account).await;
    client.stop_instances().instance_ids(&id).send().await.unwrap();
    assert_eq!(s.plan(larger()).await, [""; 0]);
    assert_eq!(s.run(|| items(json!({}))).await, ["update aws::instance.host instance_type"]);
    assert_eq!(s.attribute("aws::instance.host", "instance_state").await, "stopped");
}

#[tokio::test]
async fn an_instance_is_adopted() {
    let s = Stack::new();
    let place = || items(json!({})).into_iter().take(3).collect::<Vec<_>>();
    s.run(place).await;
    let client = ec2(&s.account).await;
    let made = client
        .run_instances()
        .image_id(IMAGE)
        .instance_type("t3.large".into())
        .min_count(1)
        .max_count(1)
        .subnet_id(s.live("aws::subnet.a").await.id)
        .send()
        .await
        .unwrap();
    let id = made.instances()[0].instance_id().unwrap().to_owned();
    let adopting = || {
        let mut all = items(json!({}));
        let host = all.pop().unwrap().with(|options| options.adopt = Some(id.clone()));
        all.push(host);
        all
    };
    assert_eq!(s.run(adopting).await, ["update aws::instance.host vpc_security_group_ids"]);
    assert_eq!(s.live("aws::instance.host").await.id, id);
    assert_eq!(
        s.run(|| items(json!({ "tags": { "team": "a" } }))).await,
        ["update aws::instance.host tags.Name tags.team"]
    );
    assert_eq!(s.live("aws::instance.host").await.inputs["tags"], Value::from(json!({ "Name": "host", "team": "a" })));
    assert_eq!(s.destroy().await.len(), 4);
}

#[tokio::test]
async fn an_instance_that_fails_at_launch_is_told_and_replaced() {
    let s = Stack::new();
    let place = || items(json!({})).into_iter().take(3).collect::<Vec<_>>();
    s.run(place).await;
    s.account.delay("launch_failure", 1.0);
    let plan = s.try_plan(items(json!({}))).await.unwrap();
    let failures = s.failures(&plan).await;
    assert!(format!("{failures:?}").contains("Client.InternalError: Client error on launch"), "{failures:#?}");
    s.account.delay("launch_failure", 0.0);
    assert_eq!(s.run(|| items(json!({}))).await, ["replace aws::instance.host"]);
    assert_eq!(s.attribute("aws::instance.host", "instance_state").await, "running");
}
