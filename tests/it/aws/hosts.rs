//! What hosts are made of besides themselves: images, keys, disks and addresses.

use std::collections::BTreeSet;

use runner::resource::{Class, Live, Provider, Select, Status, Value};
use serde_json::{Value as Json, json};

use super::stack::{Stack, item, reference};
use super::{World, map};
use crate::moto::{Account, REGION};

/// Amazon's of moto, for x86_64, with the root device /dev/xvda.
pub const IMAGE: &str = "ami-760aaa0f";
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA";

/// What someone else does in the account.
pub async fn ec2(account: &Account) -> aws_sdk_ec2::Client {
    let config = account.chain().region(REGION).load().await;
    aws_sdk_ec2::Client::new(&config)
}

impl World {
    /// A running instance in a subnet of its own.
    async fn host(&self, name: &str) -> Live {
        let vpc = self.create("aws::vpc", name, json!({ "cidr_block": "10.0.0.0/16" })).await.id;
        let subnet = json!({ "vpc_id": vpc, "cidr_block": "10.0.1.0/24", "availability_zone": "eu-west-1a" });
        let subnet = self.create("aws::subnet", name, subnet).await.id;
        let inputs = json!({ "ami": IMAGE, "instance_type": "m5.large", "subnet_id": subnet });
        self.create("aws::instance", name, inputs).await
    }
}

#[tokio::test]
async fn key_pair() {
    let w = World::new();
    let k = "aws::key_pair";
    let live = w.create(k, "admin", json!({ "public_key": format!("{KEY} someone@example.com\n") })).await;
    assert_eq!(live.inputs["key_name"], "admin".into());
    assert_eq!(live.outputs["key_pair_id"], live.id.as_str().into());
    assert_eq!(live.outputs["key_type"], "ed25519".into());
    let live = w.common_life(k, live).await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 1, "{:?}", w.account.calls());
    let named = Select::Named(BTreeSet::from(["admin".into()]));
    assert_eq!(w.aws.list(&w.kind(k), None, &named).await.unwrap(), std::slice::from_ref(&live));
    let again = w.try_create(k, "admin", json!({ "public_key": OTHER_KEY })).await.unwrap_err();
    assert_eq!(again.class, Class::Exists);
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_key_pair_lives_through_the_engine() {
    let s = Stack::new();
    let items = |key: &str| vec![item("aws::key_pair.admin", json!({ "public_key": key }))];
    s.account.lose_answer("ImportKeyPair", 1);
    assert_eq!(s.run(|| items(KEY)).await, ["create aws::key_pair.admin"]);
    // AWS does not keep the comment.
    assert_eq!(s.plan(items(&format!("{KEY} a comment"))).await, [""; 0]);
    assert_eq!(s.run(|| items(OTHER_KEY)).await, ["replace aws::key_pair.admin public_key"]);
    let client = ec2(&s.account).await;
    client.delete_key_pair().key_name("admin").send().await.unwrap();
    assert_eq!(s.run(|| items(KEY)).await, ["create aws::key_pair.admin"]);

    // One that someone else made is not taken over unasked.
    client
        .import_key_pair()
        .key_name("theirs")
        .public_key_material(aws_sdk_ec2::primitives::Blob::new(KEY))
        .send()
        .await
        .unwrap();
    let theirs = |adopt: Option<String>| {
        let inputs = json!({ "public_key": KEY, "tags": { "team": "a" } });
        let mut all = items(KEY);
        all.push(item("aws::key_pair.theirs", inputs).with(|options| options.adopt = adopt.clone()));
        all
    };
    let wrong = s.try_plan(theirs(None)).await.unwrap_err();
    assert!(wrong[0].hint.as_ref().unwrap().contains("adopt: \"key-"), "{wrong:#?}");
    let known = client.describe_key_pairs().key_names("theirs").send().await.unwrap();
    let id = known.key_pairs()[0].key_pair_id().map(str::to_owned);
    assert_eq!(s.run(|| theirs(id.clone())).await, ["update aws::key_pair.theirs tags.Name tags.team"]);
    assert_eq!(s.destroy().await.len(), 2);
}

#[tokio::test]
async fn ebs_volume() {
    let w = World::new();
    let k = "aws::ebs_volume";
    let inputs = json!({
        "availability_zone": "eu-west-1a", "size": 20, "type": "gp3", "iops": 4000, "throughput": 250, "encrypted": true,
        "final_snapshot": false, "attachment": [],
    });
    w.account.delay("volume", 600.0);
    let live = w.create(k, "data", inputs.clone()).await;
    assert_eq!(live.status, Status::Pending("creating".into()));
    // The same token again is the same volume.
    assert_eq!(w.try_create(k, "data", inputs).await.unwrap(), live.id);
    w.account.delay("volume", 0.0);
    let live = w.read(k, &live.id).await;
    assert_eq!(live.status, Status::Ready);
    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "size": 40, "iops": 5000 })).await;
    let live = w.update(&live, k, json!({ "throughput": 300, "final_snapshot": true })).await;
    let live = w.update(&live, k, json!({ "final_snapshot": false })).await;
    let smaller = w.try_update(&live, k, json!({ "size": 10 })).await.unwrap_err();
    assert_eq!(smaller.class, Class::Invalid);
    w.account.fail("ModifyVolume", "VolumeModificationRateExceeded", 400, 1);
    let soon = w.try_update(&live, k, json!({ "size": 50 })).await.unwrap_err();
    assert!(soon.class == Class::Invalid && soon.hint.unwrap().contains("hours"));
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 1, "{:?}", w.account.calls());
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_volume_moves_between_instances() {
    let w = World::new();
    let k = "aws::ebs_volume";
    let (a, b) = (w.host("a").await, w.host("b").await);
    let at = |host: &Live, device: &str| json!([{ "instance_id": host.id, "device_name": device }]);
    let inputs = json!({ "availability_zone": "eu-west-1a", "size": 8, "attachment": at(&a, "/dev/sdf") });
    let live = w.create(k, "data", inputs).await;
    let live = w.update(&live, k, json!({ "attachment": at(&a, "/dev/sdg") })).await;
    let live = w.update(&live, k, json!({ "attachment": at(&b, "/dev/sdf") })).await;
    let live = w.update(&live, k, json!({ "attachment": [] })).await;
    let live = w.update(&live, k, json!({ "attachment": at(&b, "/dev/sdf") })).await;
    // The instance that goes lets go of it; the volume stays.
    w.try_delete(&b, "aws::instance").await.unwrap();
    let live = w.read(k, &live.id).await;
    assert_eq!((&live.inputs["attachment"], &live.status), (&json!([]).into(), &Status::Ready));
    let live = w.update(&live, k, json!({ "attachment": at(&a, "/dev/sdf") })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_volume_leaves_a_last_snapshot() {
    let w = World::new();
    let k = "aws::ebs_volume";
    let inputs =
        json!({ "availability_zone": "eu-west-1a", "size": 8, "final_snapshot": true, "tags": { "team": "a" } });
    let live = w.create(k, "data", inputs).await;
    assert_eq!(live.inputs["final_snapshot"], true.into());
    // What fails after it does not make a second one.
    w.account.fail("DeleteVolume", "RequestLimitExceeded", 503, 1);
    assert_eq!(w.try_delete(&live, k).await.unwrap_err().class, Class::Throttled);
    w.delete(&live, k).await;
    let left = ec2(&w.account).await.describe_snapshots().owner_ids("self").send().await.unwrap();
    let left: Vec<_> = left.snapshots().iter().filter(|one| one.volume_id() == Some(&live.id)).collect();
    assert_eq!(left.len(), 1);
    let tag = |key: &str| left[0].tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value());
    assert_eq!((tag("team"), tag("Name"), tag("runner:stack")), (Some("a"), Some("data"), None));
}

#[tokio::test]
async fn a_volume_lives_through_the_engine() {
    let s = Stack::new();
    let network = || {
        let subnet = json!({ "vpc_id": reference("aws::vpc.main.id"), "cidr_block": "10.0.1.0/24", "availability_zone": "eu-west-1a" });
        vec![item("aws::vpc.main", json!({ "cidr_block": "10.0.0.0/16" })), item("aws::subnet.a", subnet)]
    };
    let items = |ami: &str, size: u32, zone: &str| {
        let mut items = network();
        let host = json!({ "ami": ami, "instance_type": "m5.large", "subnet_id": reference("aws::subnet.a.id") });
        items.push(item("aws::instance.db", host));
        let mut volume = json!({ "availability_zone": zone, "size": size, "type": "gp3", "attachment": [] });
        if zone == "eu-west-1a" {
            volume["attachment"] =
                json!([{ "instance_id": reference("aws::instance.db.id"), "device_name": "/dev/sdf" }]);
        }
        items.push(item("aws::ebs_volume.data", volume));
        items
    };
    // Both take their time, and only a running instance takes a volume.
    s.account.delay("instance", 1.0);
    s.account.lose_answer("CreateVolume", 1);
    assert_eq!(s.run(|| items(IMAGE, 10, "eu-west-1a")).await.len(), 4);
    let client = ec2(&s.account).await;
    assert_eq!(client.describe_volumes().filters(tagged()).send().await.unwrap().volumes().len(), 1);
    s.account.delay("instance", 0.0);
    let volume = s.live("aws::ebs_volume.data").await.id;
    s.account.delay("volume_modification", 0.5);
    assert_eq!(s.run(|| items(IMAGE, 20, "eu-west-1a")).await, ["update aws::ebs_volume.data size"]);
    assert_eq!(s.account.calls()["ec2:ModifyVolume"], 1);
    let host = s.live("aws::instance.db").await.id;
    // Drift in size cannot be undone, but in where it is attached it can.
    client.detach_volume().volume_id(&volume).instance_id(&host).device("/dev/sdf").send().await.unwrap();
    assert_eq!(s.run(|| items(IMAGE, 20, "eu-west-1a")).await, ["update aws::ebs_volume.data attachment"]);
    // A new host gets the old disk.
    let other = "ami-04681a1dbd79675a5";
    let moved = s.run(|| items(other, 20, "eu-west-1a")).await;
    assert_eq!(moved, ["replace aws::instance.db ami", "update aws::ebs_volume.data attachment"]);
    assert_eq!(s.live("aws::ebs_volume.data").await.id, volume);
    let elsewhere = s.run(|| items(other, 20, "eu-west-1b")).await;
    assert_eq!(elsewhere, ["replace aws::ebs_volume.data attachment availability_zone"]);
    // Adopted by its id, and given its tags.
    let made = client.create_volume().availability_zone("eu-west-1a").size(5).send().await.unwrap();
    let adopting = || {
        let mut items = items(other, 20, "eu-west-1b");
        let inputs = json!({ "availability_zone": "eu-west-1a", "size": 6 });
        let id = made.volume_id().map(str::to_owned);
        items.push(item("aws::ebs_volume.theirs", inputs).with(|options| options.adopt = id));
        items
    };
    assert_eq!(s.run(adopting).await, ["update aws::ebs_volume.theirs size"]);
    assert_eq!(s.destroy().await.len(), 5);
}

pub fn tagged() -> aws_sdk_ec2::types::Filter {
    aws_sdk_ec2::types::Filter::builder().name("tag:runner:stack").values("prod").build()
}

#[tokio::test]
async fn an_address_moves_between_instances() {
    let w = World::new();
    let k = "aws::eip";
    let (a, b) = (w.host("a").await, w.host("b").await);
    let live = w.create(k, "front", json!({ "instance": a.id })).await;
    assert_eq!(live.outputs["private_ip"], a.inputs["private_ip"]);
    assert_eq!(w.read("aws::instance", &a.id).await.outputs["public_ip"], live.outputs["public_ip"]);
    let live = w.update_once(&live, k, json!({ "instance": b.id })).await;
    let live = w.update_once(&live, k, json!({ "instance": null })).await;
    assert!(!live.outputs.contains_key("association_id"));
    let live = w.update_once(&live, k, json!({ "instance": b.id })).await;
    // What an instance has is not released unless it is taken from it first.
    let direct = ec2(&w.account).await.release_address().allocation_id(&live.id).send().await;
    assert!(direct.is_err());
    w.delete(&live, k).await;
}

#[tokio::test]
async fn an_address_of_an_instance_lives_through_the_engine() {
    let s = Stack::new();
    let items = |ami: &str, instance: Json| {
        let subnet = json!({ "vpc_id": reference("aws::vpc.main.id"), "cidr_block": "10.0.1.0/24" });
        let host = json!({ "ami": ami, "instance_type": "m5.large", "subnet_id": reference("aws::subnet.a.id") });
        vec![
            item("aws::vpc.main", json!({ "cidr_block": "10.0.0.0/16" })),
            item("aws::internet_gateway.main", json!({ "vpc_id": reference("aws::vpc.main.id") })),
            item("aws::subnet.a", subnet),
            item("aws::instance.a", host.clone()),
            item("aws::instance.b", host),
            item("aws::eip.front", json!({ "instance": instance })),
        ]
    };
    let at = |name: &str| reference(&format!("aws::instance.{name}.id"));
    s.account.delay("instance", 0.5);
    assert_eq!(s.run(|| items(IMAGE, at("a"))).await.len(), 6);
    assert_eq!(s.run(|| items(IMAGE, at("b"))).await, ["update aws::eip.front instance"]);
    let eip = s.live("aws::eip.front").await;
    let association = eip.outputs["association_id"].as_str().unwrap();
    let client = ec2(&s.account).await;
    client.disassociate_address().association_id(association).send().await.unwrap();
    assert_eq!(s.run(|| items(IMAGE, at("b"))).await, ["update aws::eip.front instance"]);
    assert_eq!(s.run(|| items(IMAGE, json!(""))).await, ["update aws::eip.front instance"]);
    assert_eq!(s.run(|| items(IMAGE, at("a"))).await, ["update aws::eip.front instance"]);
    s.account.delay("instance", 0.0);
    // The address stays the same over the host's replacement.
    let replaced = s.run(|| items("ami-04681a1dbd79675a5", at("a"))).await;
    let hosts = ["replace aws::instance.a ami", "replace aws::instance.b ami", "update aws::eip.front instance"];
    assert_eq!(replaced, hosts);
    assert_eq!(s.live("aws::eip.front").await.id, eip.id);
    assert_eq!(s.destroy().await.len(), 6);
}

#[tokio::test]
async fn an_image_is_looked_up() {
    let w = World::new();
    let find = async |search: Json| w.aws.look_up("aws::ami", &[search.into()]).await;
    let found = find(json!({ "owners": ["amazon"], "name": "al2022-ami-*", "architecture": "arm64" })).await.unwrap();
    let Value::Map(found) = found else { panic!("a map") };
    assert_eq!(found["id"], "ami-0e9271c829888680e".into());
    assert_eq!(found["root_device_name"], "/dev/xvda".into());
    assert!(found["root_snapshot_id"].as_str().unwrap().starts_with("snap-"), "{found:?}");
    assert_eq!(w.account.calls()["ec2:DescribeImages"], 1);
    let filter = json!([{ "name": "virtualization-type", "values": ["none"] }]);
    let nothing = find(json!({ "owners": ["amazon"], "name": "al2022-ami-*", "filter": filter })).await.unwrap_err();
    assert_eq!(nothing.class, Class::Invalid);
    assert!(nothing.message.contains("al2022-ami-*") && nothing.hint.is_some(), "{nothing}");
    assert_eq!(find(json!({ "owners": [], "name": "*" })).await.unwrap_err().class, Class::Invalid);
    // What is no part of the search is told before anything is asked.
    let lookup = w.aws.lookups().iter().find(|lookup| *lookup.name == *"aws::ami").unwrap();
    let given = map(json!({ "search": { "owner": ["amazon"], "name": "x" } }));
    let told = runner::resource::schema::check(&lookup.parameters, &given, &|_| None);
    assert_eq!(told.iter().map(|m| m.path.as_str()).collect::<Vec<_>>(), ["search.owner", "search.owners"]);
}
