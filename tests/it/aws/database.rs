//! Databases.

use runner::resource::{Class, Live, Provider, Select, Status};
use serde_json::{Value as Json, json};

use super::World;
use super::stack::{Stack, item, reference};
use crate::moto::{Account, REGION};
use crate::world::Item;

const SECRET: &str = "not-a-real-password";

async fn rds(account: &Account) -> aws_sdk_rds::Client {
    aws_sdk_rds::Client::new(&account.sdk().await)
}

fn postgres() -> Json {
    json!({
        "engine": "postgres", "engine_version": "16.3", "instance_class": "db.t4g.medium", "allocated_storage": 20,
        "storage_type": "gp3", "username": "admin1", "password": SECRET, "skip_final_snapshot": true,
    })
}

fn with(mut inputs: Json, more: Json) -> Json {
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    inputs
}

impl World {
    /// The password is never read back.
    async fn database(&self, name: &str, inputs: Json) -> Live {
        let k = "aws::db_instance";
        let id = self.try_create(k, name, inputs.clone()).await.unwrap_or_else(|f| panic!("{k}: {f}"));
        let live = self.read(k, &id).await;
        let mut read_back = super::map(inputs);
        read_back.retain(|field, _| field != "password" && field != "apply_immediately");
        self.assert_like(&live, k, &read_back);
        assert!(!format!("{live:?}").contains(SECRET));
        live
    }
}

#[tokio::test]
async fn subnet_group() {
    let w = World::new();
    let k = "aws::db_subnet_group";
    let (vpc, subnets) = w.zones().await;
    let live = w.create(k, "data", json!({ "subnet_ids": subnets })).await;
    assert_eq!((live.id.as_str(), &live.outputs["vpc_id"]), ("data", &vpc.as_str().into()));
    assert_eq!(live.inputs["description"], "Managed by runner".into());
    let live = w.common_life(k, live).await;
    let third = json!({ "vpc_id": vpc, "cidr_block": "10.0.3.0/24", "availability_zone": "eu-west-1c" });
    let third = w.create("aws::subnet", "c", third).await.id;
    let live = w.update(&live, k, json!({ "subnet_ids": [subnets[0], third], "description": "data" })).await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 3, "{:?}", w.account.calls());
    let again = w.try_create(k, "data", json!({ "subnet_ids": subnets })).await.unwrap_err();
    assert_eq!(again.class, Class::Exists);
    w.delete(&live, k).await;
}

#[tokio::test]
async fn instance() {
    let w = World::new();
    let k = "aws::db_instance";
    let (vpc, subnets) = w.zones().await;
    let group = w.create("aws::db_subnet_group", "data", json!({ "subnet_ids": subnets })).await;
    let firewall = w.create("aws::security_group", "db", json!({ "vpc_id": vpc })).await.id;
    w.account.delay("db_instance", 0.6);
    let inputs = with(
        postgres(),
        json!({ "db_subnet_group_name": "data", "vpc_security_group_ids": [firewall], "db_name": "app",
                "storage_encrypted": true, "backup_retention_period": 7, "backup_window": "03:00-04:00",
                "maintenance_window": "Sun:05:00-Sun:06:00", "password_version": 1, "port": 5433 }),
    );
    let live = w.database("main", inputs.clone()).await;
    assert_eq!(live.status, Status::Pending("creating".into()));
    assert!(!live.outputs.contains_key("endpoint"));
    assert_eq!(w.try_delete(&live, k).await.unwrap_err().class, Class::Busy);
    while w.read(k, "main").await.status != Status::Ready {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let live = w.read(k, "main").await;
    assert!(live.outputs["endpoint"].as_str().unwrap().ends_with(".rds.amazonaws.com:5433"));
    let live = w.common_life(k, live).await;
    assert_eq!(w.try_delete(&group, "aws::db_subnet_group").await.unwrap_err().class, Class::Busy);

    // What waits for the maintenance window counts as done.
    let later = json!({ "instance_class": "db.m7g.large", "multi_az": true, "allocated_storage": 50,
                        "engine_version": "16.4" });
    let live = w.update(&live, k, later).await;
    let now = w.update_once(&live, k, json!({ "instance_class": "db.m7g.xlarge" })).await;
    let live = w.update(&now, k, json!({ "backup_retention_period": 14, "copy_tags_to_snapshot": true })).await;
    let live = w.update(&live, k, json!({ "max_allocated_storage": 100, "publicly_accessible": true })).await;
    let live = w.update(&live, k, json!({ "storage_type": "io2", "iops": 3000 })).await;
    let live = w.update(&live, k, json!({ "port": 5434, "license_model": "postgresql-license" })).await;
    let live = w
        .update(&live, k, json!({ "backup_window": "04:00-05:00", "maintenance_window": "mon:01:00-mon:02:00" }))
        .await;
    let live = w.update(&live, k, json!({ "auto_minor_version_upgrade": false })).await;
    let live = w.update(&live, k, json!({ "ca_cert_identifier": "rds-ca-rsa2048-g1" })).await;
    let parameters = rds(&w.account).await.create_db_parameter_group().db_parameter_group_name("slow-queries");
    let parameters = parameters.db_parameter_group_family("postgres16").description("Told by hand");
    parameters.send().await.unwrap();
    let live = w.update(&live, k, json!({ "parameter_group_name": "slow-queries" })).await;
    let other = w.create("aws::security_group", "other", json!({ "vpc_id": vpc })).await.id;
    let live = w.update(&live, k, json!({ "vpc_security_group_ids": [other] })).await;
    let live = w.update(&live, k, json!({ "final_snapshot_identifier": "the-end" })).await;
    let live = w.update(&live, k, json!({ "deletion_protection": true })).await;
    let refused = w.try_delete(&live, k).await.unwrap_err();
    assert_eq!(refused.class, Class::Invalid);
    assert!(refused.hint.unwrap().contains("deletion_protection"));
    let live = w.update(&live, k, json!({ "deletion_protection": false })).await;

    let told = w.try_create(k, "main", inputs).await.unwrap_err();
    assert_eq!(told.class, Class::Exists);
    assert!(!format!("{told:?}").contains(SECRET));
    let named = Select::Named(["main".to_owned(), "other".to_owned()].into());
    assert_eq!(w.aws.list(&w.kind(k), None, &named).await.unwrap(), std::slice::from_ref(&live));
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 1, "{:?}", w.account.calls());
    w.delete(&live, k).await;
    w.delete(&group, "aws::db_subnet_group").await;
}

#[tokio::test]
async fn a_password_is_sent_when_its_version_is_raised() {
    let s = Stack::new();
    let items = |password: &str, version: u8| {
        let inputs = with(postgres(), json!({ "password": password, "password_version": version }));
        vec![item("aws::db_instance.main", inputs)]
    };
    s.run(|| items("not-real-first", 1)).await;
    assert_eq!(s.run(|| items("not-real-second", 1)).await, [""; 0]);
    assert_eq!(s.account.passwords()["main"], "not-real-first");
    assert_eq!(s.run(|| items("not-real-second", 2)).await, ["update aws::db_instance.main password_version"]);
    assert_eq!(s.account.passwords()["main"], "not-real-second");
    // From then on AWS keeps it.
    let kept = || {
        let mut inputs = with(postgres(), json!({ "manage_master_user_password": true }));
        inputs.as_object_mut().unwrap().remove("password");
        vec![item("aws::db_instance.main", inputs)]
    };
    assert_eq!(s.run(kept).await, ["update aws::db_instance.main manage_master_user_password"]);
    assert!(s.attribute("aws::db_instance.main", "master_user_secret_arn").await.is_string());
    assert_eq!(s.destroy().await, ["delete aws::db_instance.main"]);
}

#[tokio::test]
async fn the_last_snapshot_has_a_name_of_its_own_each_time() {
    let s = Stack::new();
    let items = |more: Json| move || vec![item("aws::db_instance.main", with(postgres(), more.clone()))];
    let unnamed = items(json!({ "skip_final_snapshot": false }));
    for _ in 0..2 {
        s.run(&unnamed).await;
        s.destroy().await;
    }
    s.run(items(json!({ "skip_final_snapshot": false, "final_snapshot_identifier": "the-end" }))).await;
    s.destroy().await;
    s.run(items(json!({}))).await;
    s.destroy().await;
    let told = rds(&s.account).await.describe_db_snapshots().snapshot_type("manual").send().await.unwrap();
    let mut names: Vec<&str> = told.db_snapshots().iter().filter_map(|one| one.db_snapshot_identifier()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("main-final-")).count(), 2, "{names:?}");
    assert!(names.contains(&"the-end"));
}

fn database(subnet: &str, more: Json) -> Vec<Item> {
    let subnet_of = |third: u8, zone: &str| {
        json!({ "vpc_id": reference("aws::vpc.main.id"), "cidr_block": format!("10.0.{third}.0/24"),
                "availability_zone": format!("{REGION}{zone}") })
    };
    let ids = [reference("aws::subnet.a.id"), reference(subnet)];
    vec![
        item("aws::vpc.main", json!({ "cidr_block": "10.0.0.0/16" })),
        item("aws::subnet.a", subnet_of(1, "a")),
        item("aws::subnet.b", subnet_of(2, "b")),
        item("aws::subnet.c", subnet_of(3, "c")),
        item("aws::db_subnet_group.data", json!({ "subnet_ids": ids })),
        item(
            "aws::db_instance.main",
            with(with(postgres(), json!({ "db_subnet_group_name": reference("aws::db_subnet_group.data.id") })), more),
        ),
    ]
}

#[tokio::test]
async fn a_database_lives_through_the_engine() {
    let s = Stack::new();
    s.account.delay("db_instance", 0.3);
    let b = "aws::subnet.b.id";
    assert_eq!(s.run(|| database(b, json!({}))).await.len(), 6);
    // Any minor version will do where the major one was asked for; how it is deleted is remembered.
    assert_eq!(s.run(|| database(b, json!({ "engine_version": "16" }))).await, [""; 0]);
    let changed = s.run(|| database(b, json!({ "allocated_storage": 40, "skip_final_snapshot": false }))).await;
    assert_eq!(changed, ["update aws::db_instance.main allocated_storage skip_final_snapshot"]);
    assert_eq!(s.run(|| database(b, json!({ "allocated_storage": 40 }))).await.len(), 1);
    let at_once = json!({ "allocated_storage": 40, "instance_class": "db.m7g.large", "apply_immediately": true });
    assert_eq!(s.run(|| database(b, at_once.clone())).await, ["update aws::db_instance.main instance_class"]);
    let c = "aws::subnet.c.id";
    assert_eq!(s.run(|| database(c, at_once.clone())).await, ["update aws::db_subnet_group.data subnet_ids"]);

    let rds = rds(&s.account).await;
    let change = rds.modify_db_instance().db_instance_identifier("main").backup_retention_period(0);
    change.apply_immediately(true).send().await.unwrap();
    let backed = with(at_once.clone(), json!({ "backup_retention_period": 3 }));
    assert_eq!(s.run(|| database(c, backed.clone())).await, ["update aws::db_instance.main backup_retention_period"]);

    let engine = with(backed.clone(), json!({ "engine": "mysql", "engine_version": "8.0.36", "username": "admin2" }));
    assert_eq!(
        s.run(|| database(c, engine.clone())).await,
        ["replace aws::db_instance.main engine engine_version username"]
    );
    assert_eq!(s.destroy().await.len(), 6);
}

#[tokio::test]
async fn what_is_there_can_be_adopted() {
    let s = Stack::new();
    let rds = rds(&s.account).await;
    let made = rds.create_db_instance().db_instance_identifier("main").engine("postgres").engine_version("16.3");
    let made = made.db_instance_class("db.t4g.medium").allocated_storage(20).storage_type("gp3");
    made.master_username("admin1").master_user_password(SECRET).send().await.unwrap();
    let items = |adopt: bool| {
        let adopted = adopt.then(|| "main".to_owned());
        vec![item("aws::db_instance.main", postgres()).with(|options| options.adopt = adopted)]
    };
    let told = format!("{:?}", s.try_plan(items(false)).await.unwrap_err());
    assert!(told.contains("adopt: \\\"main\\\""), "{told}");
    assert_eq!(s.run(|| items(true)).await, ["update aws::db_instance.main skip_final_snapshot"]);
    assert_eq!(s.destroy().await.len(), 1);
}

#[tokio::test]
async fn a_subnet_group_that_is_there_can_be_adopted_and_replaced() {
    let s = Stack::new();
    let network = || database("aws::subnet.b.id", json!({})).into_iter().take(4).collect::<Vec<_>>();
    s.run(network).await;
    let mut call = rds(&s.account).await.create_db_subnet_group().db_subnet_group_name("data");
    for address in ["aws::subnet.a", "aws::subnet.b"] {
        call = call.subnet_ids(s.attribute(address, "id").await.as_str().unwrap());
    }
    call.db_subnet_group_description("Managed by hand").send().await.unwrap();
    let items = |adopt: bool, name: &str| {
        let ids = [reference("aws::subnet.a.id"), reference("aws::subnet.b.id")];
        let group = item("aws::db_subnet_group.data", json!({ "name": name, "subnet_ids": ids }));
        let mut items = network();
        items.push(group.with(|options| options.adopt = adopt.then(|| "data".to_owned())));
        items
    };
    let told = format!("{:?}", s.try_plan(items(false, "data")).await.unwrap_err());
    assert!(told.contains("adopt: \\\"data\\\""), "{told}");
    assert_eq!(s.run(|| items(true, "data")).await, ["update aws::db_subnet_group.data"]);
    assert_eq!(s.run(|| items(false, "other")).await, ["replace aws::db_subnet_group.data name"]);
    assert_eq!(s.destroy().await.len(), 5);
}

#[tokio::test]
async fn an_answer_that_was_lost_makes_no_second_database() {
    let s = Stack::new();
    s.account.lose_answer("CreateDBInstance", 1);
    s.account.lose_answer("CreateDBSubnetGroup", 1);
    s.run(|| database("aws::subnet.b.id", json!({}))).await;
    assert_eq!(s.account.calls()["rds:CreateDBInstance"], 1);
    assert_eq!(s.destroy().await.len(), 6);
}
