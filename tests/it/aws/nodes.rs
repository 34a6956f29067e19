//! What instances are made from and kept up by.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::LaunchTemplateSpecification;
use runner::resource::{Class, Live, Provider, Select, Status};
use serde_json::{Value as Json, json};

use super::stack::{Stack, item, reference};
use super::storage::sdk;
use super::{World, map};
use crate::world::Item;

/// A listing of the region's images gives it.
async fn image(account: &crate::moto::Account) -> String {
    let ec2 = aws_sdk_ec2::Client::new(&sdk(account).await);
    let images = ec2.describe_images().send().await.unwrap();
    images.images()[0].image_id().unwrap().to_owned()
}

fn whole(image: &str, group: &str) -> Json {
    json!({
        "description": "first", "image_id": image, "instance_type": "t3.micro", "key_name": "people",
        "user_data": "#!/bin/sh\necho ä\n", "vpc_security_group_ids": [group],
        "iam_instance_profile": { "name": "node" },
        "block_device_mappings": [
            { "device_name": "/dev/xvdb", "ebs": { "volume_size": 100, "volume_type": "gp3", "iops": 3000, "throughput": 125 } },
            { "device_name": "/dev/xvda", "ebs": { "volume_size": 20, "encrypted": true, "delete_on_termination": true } },
        ],
        "metadata_options": { "http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 2 },
        "monitoring": { "enabled": true }, "ebs_optimized": true,
        "tag_specifications": [{ "resource_type": "volume", "tags": { "team": "a" } }],
    })
}

#[tokio::test]
async fn launch_template() {
    let w = World::new();
    let k = "aws::launch_template";
    let vpc = w.vpc().await;
    let group = w.create("aws::security_group", "app", json!({ "vpc_id": vpc })).await.id;
    let inputs = whole(&image(&w.account).await, &group);
    let live = w.create(k, "app", inputs.clone()).await;
    assert_eq!((live.inputs["name"].clone(), live.outputs["latest_version"].clone()), ("app".into(), "1".into()));
    // The same token again is the same template.
    assert_eq!(w.try_create(k, "app", inputs).await.unwrap(), live.id);
    let live = w.common_life(k, live).await;
    // Each update is a version, which is the default one; what was not to change is in it.
    let live = w.update_once(&live, k, json!({ "instance_type": "t3.small" })).await;
    assert_eq!(live.outputs["latest_version"], "2".into());
    let live = w.update_once(&live, k, json!({ "user_data": "other", "description": "second" })).await;
    let live = w.update_once(&live, k, json!({ "tag_specifications": [], "monitoring": { "enabled": false } })).await;
    assert_eq!(live.outputs["default_version"], "4".into());
    let interface = json!([{ "associate_public_ip_address": true, "security_groups": [group] }]);
    let live = w.update_once(&live, k, json!({ "network_interfaces": interface, "vpc_security_group_ids": [] })).await;
    // A version that is not the default yet is made again.
    w.account.fail("ModifyLaunchTemplate", "RequestLimitExceeded", 503, 1);
    let update = runner::resource::Update {
        live: live.clone(),
        owner: live.owner.clone().unwrap(),
        inputs: map(json!({ "instance_type": "t3.large" })),
        changed: vec!["instance_type".into()],
        token: "update".into(),
    };
    assert_eq!(w.aws.update(&w.kind(k), &update).await.unwrap_err().class, Class::Throttled);
    let same = w.read(k, &live.id).await;
    assert_eq!(same, live);
    let live = w.update_once(&same, k, json!({ "instance_type": "t3.large" })).await;
    assert_eq!(live.outputs["latest_version"], "7".into());

    let named = Select::Named(BTreeSet::from(["app".into()]));
    assert_eq!(w.aws.list(&w.kind(k), None, &named).await.unwrap(), std::slice::from_ref(&live));
    let ids = Select::Ids(BTreeSet::from([live.id.clone(), "lt-0a1b2c3d4e5f60718".into()]));
    assert_eq!(w.aws.list(&w.kind(k), None, &ids).await.unwrap(), std::slice::from_ref(&live));
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2, "{:?}", w.account.calls());
    w.delete(&live, k).await;
}

#[tokio::test]
async fn autoscaling_group() {
    let w = World::new();
    let k = "aws::autoscaling_group";
    let vpc = w.vpc().await;
    let (a, b) = (w.subnet(&vpc, "a", 1).await, w.subnet(&vpc, "b", 2).await);
    let template = json!({ "image_id": image(&w.account).await, "instance_type": "t3.micro", "user_data": "x" });
    let template = w.create("aws::launch_template", "app", template).await;
    let targets = target_groups(&w, &vpc).await;
    w.account.delay("autoscaling_instance", 1.0);
    let inputs = json!({
        "min_size": 1, "max_size": 4, "desired_capacity": 2, "vpc_zone_identifier": [a], "health_check_type": "EC2",
        "launch_template": { "id": template.id, "version": "1" }, "target_group_arns": [targets[0]],
        "health_check_grace_period": 30, "default_cooldown": 60, "termination_policies": ["OldestInstance", "Default"],
        "enabled_metrics": ["GroupInServiceInstances", "GroupDesiredCapacity"], "max_instance_lifetime": 604800,
        "protect_from_scale_in": false, "capacity_rebalance": true, "default_instance_warmup": 10,
        "tags": { "team": "a" },
    });
    let live = w.create(k, "app", inputs.clone()).await;
    assert_eq!(live.status, Status::Pending("0 of 2 in service".into()));
    assert_eq!(live.outputs["availability_zones"].as_list().unwrap().len(), 1);
    assert_eq!(w.try_create(k, "app", inputs).await.unwrap_err().class, Class::Exists);
    let live = ready(&w, live).await;
    // The instances have the author's tags, and not those that say whose the group is.
    let ec2 = aws_sdk_ec2::Client::new(&sdk(&w.account).await);
    let instances = ec2.describe_instances().send().await.unwrap();
    let tags = instances.reservations().iter().flat_map(|one| one.instances()).flat_map(|one| one.tags());
    let keys: BTreeSet<&str> = tags.filter_map(|tag| tag.key()).collect();
    assert!(keys.contains("team") && !keys.iter().any(|key| key.starts_with("runner:")), "{keys:?}");
    w.account.delay("autoscaling_instance", 0.0);

    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "min_size": 2, "max_size": 5, "desired_capacity": 3 })).await;
    let live = w.update(&live, k, json!({ "vpc_zone_identifier": [a, b], "health_check_type": "ELB" })).await;
    let live = w.update(&live, k, json!({ "target_group_arns": [targets[1]] })).await;
    let live = w.update(&live, k, json!({ "enabled_metrics": ["GroupMinSize"], "default_cooldown": 5 })).await;
    let live = w
        .update(
            &live,
            k,
            json!({
                "termination_policies": ["Default"], "health_check_grace_period": 0, "default_instance_warmup": 0,
                "protect_from_scale_in": true, "capacity_rebalance": false, "max_instance_lifetime": 86400,
            }),
        )
        .await;
    let live = w.update(&live, k, json!({ "protect_from_scale_in": false, "wait_for_capacity": false })).await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2, "{:?}", w.account.calls());
    // It is emptied first, and then the delete is asked again.
    w.account.delay("autoscaling_ending", 0.5);
    assert_eq!(w.try_delete(&live, k).await.unwrap_err().class, Class::Busy);
    w.account.delay("autoscaling_ending", 0.0);
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_group_goes_at_once_by_force() {
    let w = World::new();
    let k = "aws::autoscaling_group";
    let live = small(&w, json!({ "force_delete": true })).await;
    w.account.delay("autoscaling_ending", 5.0);
    w.delete(&live, k).await;
    assert_eq!(w.account.calls().get("autoscaling:UpdateAutoScalingGroup"), None);
}

#[tokio::test]
async fn a_group_that_does_not_wait_is_ready_at_once() {
    let w = World::new();
    w.account.delay("autoscaling_instance", 5.0);
    assert_eq!(small(&w, json!({ "wait_for_capacity": false })).await.status, Status::Ready);
}

async fn small(w: &World, more: Json) -> Live {
    let vpc = w.vpc().await;
    let subnet = w.subnet(&vpc, "a", 1).await;
    let template = json!({ "image_id": image(&w.account).await, "instance_type": "t3.micro" });
    let template = w.create("aws::launch_template", "app", template).await.id;
    let mut inputs = json!({
        "min_size": 0, "max_size": 4, "desired_capacity": 2, "vpc_zone_identifier": [subnet],
        "launch_template": { "id": template },
    });
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    w.create("aws::autoscaling_group", "app", inputs).await
}

async fn target_groups(w: &World, vpc: &str) -> Vec<String> {
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&sdk(&w.account).await);
    let mut arns = vec![];
    for name in ["blue", "green"] {
        let call = elb.create_target_group().name(name).vpc_id(vpc).port(80).protocol("HTTP".into());
        let made = call.send().await.unwrap();
        arns.push(made.target_groups()[0].target_group_arn().unwrap().to_owned());
    }
    arns
}

async fn ready(w: &World, live: Live) -> Live {
    loop {
        let live = w.read("aws::autoscaling_group", &live.id).await;
        if live.status == Status::Ready {
            return live;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A network, a launch template and a group that follows its versions.
fn group(image: &str, instance_type: &str, size: i64, refresh: Option<Json>) -> Vec<Item> {
    let template = json!({ "id": reference("aws::launch_template.app.id"), "version": reference("aws::launch_template.app.latest_version") });
    let mut inputs = json!({
        "min_size": 1, "max_size": size, "desired_capacity": 2, "launch_template": template,
        "vpc_zone_identifier": [reference("aws::subnet.a.id")],
    });
    if let Some(refresh) = refresh {
        inputs["instance_refresh"] = refresh;
    }
    let subnet = json!({ "vpc_id": reference("aws::vpc.main.id"), "cidr_block": "10.0.0.0/24" });
    vec![
        item("aws::vpc.main", json!({ "cidr_block": "10.0.0.0/16" })),
        item("aws::subnet.a", subnet),
        item("aws::launch_template.app", json!({ "image_id": image, "instance_type": instance_type })),
        item("aws::autoscaling_group.app", inputs),
    ]
}

/// The versions its instances were made from.
async fn versions(s: &Stack) -> Vec<String> {
    let autoscaling = aws_sdk_autoscaling::Client::new(&sdk(&s.account).await);
    let groups = autoscaling.describe_auto_scaling_groups().send().await.unwrap();
    let instances = groups.auto_scaling_groups()[0].instances();
    instances.iter().map(|one| one.launch_template().unwrap().version().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_new_template_is_rolled_out() {
    let s = Stack::new();
    let image = image(&s.account).await;
    let refresh =
        json!({ "preferences": { "min_healthy_percentage": 50, "instance_warmup": 0, "auto_rollback": true } });
    let items = |of: &str, size: i64| group(&image, of, size, Some(refresh.clone()));
    assert_eq!(s.run(|| items("t3.micro", 4)).await.len(), 4);
    assert_eq!(versions(&s).await, ["1", "1"]);
    // The version is not known before the template has it, and the group waits for its instances.
    s.account.delay("instance_refresh", 1.0);
    let rolled = s.run(|| items("t3.small", 4)).await;
    let both =
        ["update aws::launch_template.app instance_type", "update aws::autoscaling_group.app launch_template.version"];
    assert_eq!(rolled, both);
    assert_eq!(versions(&s).await, ["2", "2"]);
    // A change of another field starts none.
    assert_eq!(s.run(|| items("t3.small", 5)).await, ["update aws::autoscaling_group.app max_size"]);
    assert_eq!(s.account.calls()["autoscaling:StartInstanceRefresh"], 1);
    // The answer is lost: there is one refresh all the same.
    s.account.lose_answer("StartInstanceRefresh", 1);
    assert_eq!(s.run(|| items("t3.medium", 5)).await, both);
    let autoscaling = aws_sdk_autoscaling::Client::new(&sdk(&s.account).await);
    let refreshes = autoscaling.describe_instance_refreshes().auto_scaling_group_name("app").send().await.unwrap();
    assert_eq!(refreshes.instance_refreshes().len(), 2);

    // One that fails is told, and the next run tries again.
    s.account.delay("instance_refresh", 0.2);
    s.account.fail("InstanceRefresh", "Failed", 400, 1);
    let plan = s.try_plan(items("t3.large", 5)).await.unwrap();
    let failed = s.try_apply(&plan).await;
    assert!(failed.contains("instance refresh rollback successful") && failed.contains("run again"), "{failed}");
    assert_eq!(versions(&s).await, ["3", "3"]);
    let again = s.run(|| items("t3.large", 5)).await;
    assert_eq!(again, ["update aws::autoscaling_group.app launch_template.version"]);
    assert_eq!(versions(&s).await, ["4", "4"]);

    // One that failed is no news to a change of something else.
    s.account.fail("InstanceRefresh", "Failed", 400, 1);
    let plan = s.try_plan(items("t3.micro", 5)).await.unwrap();
    s.try_apply(&plan).await;
    let without = |items: Vec<Item>| {
        items.into_iter().map(|item| item.with(|o| o.ignore = vec!["launch_template".into()])).collect::<Vec<_>>()
    };
    let group_only = || {
        let mut all = items("t3.micro", 6);
        let group = all.pop().unwrap();
        all.extend(without(vec![group]));
        all
    };
    assert_eq!(s.run(group_only).await, ["update aws::autoscaling_group.app max_size"]);
    assert_eq!(s.destroy().await.len(), 4);
}

#[tokio::test]
async fn a_group_lives_through_the_engine() {
    let s = Stack::new();
    let image = image(&s.account).await;
    let items = |size: i64| group(&image, "t3.micro", size, None);
    s.account.lose_answer("CreateLaunchTemplate", 1);
    s.account.lose_answer("CreateAutoScalingGroup", 1);
    s.account.delay("autoscaling_instance", 0.5);
    assert_eq!(s.run(|| items(3)).await.len(), 4);
    assert_eq!(versions(&s).await.len(), 2);
    assert_eq!(s.run(|| items(4)).await, ["update aws::autoscaling_group.app max_size"]);

    // Someone changes it; a capacity that is left to others is not looked at.
    let autoscaling = aws_sdk_autoscaling::Client::new(&sdk(&s.account).await);
    autoscaling.set_desired_capacity().auto_scaling_group_name("app").desired_capacity(1).send().await.unwrap();
    assert_eq!(s.plan(items(4)).await, ["update aws::autoscaling_group.app desired_capacity"]);
    let ignoring = |items: Vec<Item>| {
        items.into_iter().map(|item| item.with(|o| o.ignore = vec!["desired_capacity".into()])).collect::<Vec<_>>()
    };
    let mut left = items(4);
    let last = left.pop().unwrap();
    left.extend(ignoring(vec![last]));
    assert_eq!(s.plan(left).await, [""; 0]);
    assert_eq!(s.run(|| items(4)).await, ["update aws::autoscaling_group.app desired_capacity"]);
    let ec2 = aws_sdk_ec2::Client::new(&sdk(&s.account).await);
    let id = s.attribute("aws::launch_template.app", "id").await;
    let data = aws_sdk_ec2::types::RequestLaunchTemplateData::builder().instance_type("t3.nano".into()).build();
    let version = ec2.create_launch_template_version().launch_template_id(id.as_str().unwrap());
    version.launch_template_data(data).send().await.unwrap();
    assert_eq!(s.plan(items(4)).await, [""; 0], "a version that is not the default counts for nothing");
    let default = ec2.modify_launch_template().launch_template_id(id.as_str().unwrap()).default_version("2");
    default.send().await.unwrap();
    let both = [
        "update aws::launch_template.app image_id instance_type",
        "update aws::autoscaling_group.app launch_template.version",
    ];
    assert_eq!(s.run(|| items(4)).await, both);

    let renamed = || {
        let mut all = items(4);
        let mut inputs = json!({ "name": "other", "min_size": 0, "max_size": 1 });
        inputs["vpc_zone_identifier"] = json!([reference("aws::subnet.a.id")]);
        inputs["launch_template"] = json!({ "id": reference("aws::launch_template.app.id") });
        *all.last_mut().unwrap() = item("aws::autoscaling_group.app", inputs);
        all
    };
    s.account.delay("autoscaling_ending", 0.5);
    let replaced = s.run(renamed).await;
    assert_eq!(replaced, ["replace aws::autoscaling_group.app launch_template.version max_size min_size name"]);
    assert_eq!(s.destroy().await.len(), 4);
}

#[tokio::test]
async fn what_has_the_name_is_adopted() {
    let s = Stack::new();
    let image = image(&s.account).await;
    let config = sdk(&s.account).await;
    let ec2 = aws_sdk_ec2::Client::new(&config);
    let data = aws_sdk_ec2::types::RequestLaunchTemplateData::builder();
    let data = data.image_id(&image).instance_type("t3.micro".into()).build();
    let made =
        ec2.create_launch_template().launch_template_name("app").launch_template_data(data).send().await.unwrap();
    let id = made.launch_template().unwrap().launch_template_id().unwrap().to_owned();
    let autoscaling = aws_sdk_autoscaling::Client::new(&config);
    let subnets = ec2.describe_subnets().send().await.unwrap();
    let subnet = subnets.subnets()[0].subnet_id().unwrap().to_owned();
    let template = LaunchTemplateSpecification::builder().launch_template_id(&id).version("1").build();
    let call = autoscaling.create_auto_scaling_group().auto_scaling_group_name("app").min_size(1).max_size(2);
    call.vpc_zone_identifier(&subnet).launch_template(template).send().await.unwrap();

    let items = |adopt: Option<(&str, &str)>| {
        let template = json!({ "image_id": image, "instance_type": "t3.small" });
        let version = json!({ "id": reference("aws::launch_template.app.id"), "version": reference("aws::launch_template.app.latest_version") });
        let group =
            json!({ "min_size": 1, "max_size": 2, "vpc_zone_identifier": [subnet], "launch_template": version });
        vec![
            item("aws::launch_template.app", template).with(|o| o.adopt = adopt.map(|(id, _)| id.into())),
            item("aws::autoscaling_group.app", group).with(|o| o.adopt = adopt.map(|(_, name)| name.into())),
        ]
    };
    let conflict = format!("{:?}", s.try_plan(items(None)).await.expect_err("the names are taken"));
    assert!(conflict.contains(&format!("adopt: \\\"{id}")), "{conflict}");
    let template = json!({ "id": id });
    let alone = json!({ "min_size": 1, "max_size": 2, "vpc_zone_identifier": [subnet], "launch_template": template });
    let taken = s.try_plan(vec![item("aws::autoscaling_group.app", alone)]).await;
    let conflict = format!("{:?}", taken.expect_err("the name is taken"));
    assert!(conflict.contains("adopt it"), "{conflict}");
    let adopted = s.run(|| items(Some((&id, "app")))).await;
    let both =
        ["update aws::launch_template.app instance_type", "update aws::autoscaling_group.app launch_template.version"];
    assert_eq!(adopted, both);
    assert_eq!(s.run(|| items(None)).await, [""; 0]);
    assert_eq!(s.destroy().await.len(), 2);
}
