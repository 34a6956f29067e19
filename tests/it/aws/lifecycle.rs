//! Lifecycle policies of snapshots and images.

use runner::resource::{Class, Provider, Update, Value};
use serde_json::{Value as Json, json};

use super::iam::sdk;
use super::stack::{Stack, item, reference};
use super::{World, map};

const POLICY: &str = "aws::dlm_lifecycle_policy";

fn nightly(count: u32) -> Json {
    json!({
        "resource_types": ["VOLUME"], "target_tags": { "backup": "yes" },
        "schedule": [{
            "name": "nightly", "create_rule": { "interval": 24, "times": ["03:00"] },
            "retain_rule": { "count": count }, "copy_tags": true, "tags_to_add": { "made-by": "dlm" },
        }],
    })
}

fn weekly() -> Json {
    json!({
        "resource_types": ["INSTANCE"], "target_tags": { "backup": "weekly" },
        "parameters": { "exclude_boot_volume": true },
        "schedule": [{
            "name": "weekly", "create_rule": { "cron_expression": "cron(0 3 ? * MON *)" },
            "retain_rule": { "interval": 3, "interval_unit": "MONTHS" }, "variable_tags": { "of": "$(instance-id)" },
            "cross_region_copy_rule": [{
                "target": "eu-central-1", "encrypted": true, "retain_rule": { "interval": 1, "interval_unit": "MONTHS" },
            }],
        }],
    })
}

#[tokio::test]
async fn lifecycle_policy() {
    let w = World::new();
    let role = format!("arn:aws:iam::{}:role/dlm", w.account.number);
    let inputs =
        json!({ "description": "Nightly snapshots", "execution_role_arn": role, "policy_details": nightly(7) });
    let live = w.create(POLICY, "nightly", inputs).await;
    let arn = format!("arn:aws:dlm:eu-west-1:{}:policy/{}", w.account.number, live.id);
    assert_eq!(live.outputs["arn"], arn.as_str().into());
    assert_eq!(live.inputs["state"], "ENABLED".into());
    let live = w.common_life(POLICY, live).await;
    let live = w.update(&live, POLICY, json!({ "state": "DISABLED", "description": "Other" })).await;
    let live = w.update(&live, POLICY, json!({ "policy_details": weekly() })).await;
    let live = w.update(&live, POLICY, json!({ "execution_role_arn": format!("{role}-2"), "state": "ENABLED" })).await;
    w.account.forget_calls();
    w.owned(POLICY).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2);
    w.delete(&live, POLICY).await;
}

#[tokio::test]
async fn a_lifecycle_policy_lives_through_the_engine() {
    let s = Stack::new();
    let items = |details: Json| {
        let trust = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "Service": "dlm.amazonaws.com" }, "Action": "sts:AssumeRole" },
        ] });
        let policy = json!({
            "description": "Snapshots", "execution_role_arn": reference("aws::iam_role.dlm.arn"), "state": "ENABLED",
            "policy_details": details,
        });
        let managed = ["arn:aws:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole"];
        vec![
            item(
                "aws::iam_role.dlm",
                json!({ "assume_role_policy": trust.to_string(), "managed_policy_arns": managed }),
            ),
            item("aws::dlm_lifecycle_policy.main", policy),
        ]
    };
    s.account.lose_answer("CreateLifecyclePolicy", 1);
    let made = s.run(|| items(nightly(7))).await;
    assert_eq!(made, ["create aws::iam_role.dlm", "create aws::dlm_lifecycle_policy.main"]);
    assert_eq!(s.account.calls()["dlm:CreateLifecyclePolicy"], 1);
    let updated = s.run(|| items(nightly(14))).await;
    assert!(updated.len() == 1 && updated[0].contains("aws::dlm_lifecycle_policy.main policy_details"), "{updated:?}");
    // Written out, the defaults are no change.
    let mut written_out = nightly(14);
    written_out["policy_type"] = json!("EBS_SNAPSHOT_MANAGEMENT");
    written_out["parameters"] = json!({ "exclude_boot_volume": false, "no_reboot": false });
    written_out["schedule"][0]["create_rule"]["interval_unit"] = json!("HOURS");
    assert_eq!(s.plan(items(written_out)).await, [""; 0]);

    let client = aws_sdk_dlm::Client::new(&sdk(&s.account).await);
    let live = s.live("aws::dlm_lifecycle_policy.main").await;
    client.update_lifecycle_policy().policy_id(&live.id).state("DISABLED".into()).send().await.unwrap();
    assert_eq!(s.plan(items(nightly(14))).await, ["update aws::dlm_lifecycle_policy.main state"]);
    s.run(|| items(nightly(14))).await;

    // Nobody's, it is adopted by its id.
    let arn = live.outputs["arn"].as_str().unwrap();
    let keys = ["runner:stack", "runner:address", "Name"].map(str::to_owned).to_vec();
    client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys)).send().await.unwrap();
    let adopted = || {
        let mut items = items(nightly(14));
        let policy = items.pop().unwrap().with(|options| options.adopt = Some(live.id.clone()));
        items.push(policy);
        items
    };
    assert_eq!(s.run(adopted).await, ["update aws::dlm_lifecycle_policy.main"]);
    assert_eq!(s.destroy().await.len(), 2);
    assert!(client.get_lifecycle_policies().send().await.unwrap().policies().is_empty());
}

#[tokio::test]
async fn a_change_that_was_refused_can_be_tried_again() {
    let w = World::new();
    let inputs = json!({ "description": "x", "execution_role_arn": "arn:aws:iam::111122223333:role/dlm",
                         "policy_details": nightly(1) });
    let live = w.create(POLICY, "main", inputs).await;
    w.account.fail("UpdateLifecyclePolicy", "LimitExceededException", 429, 1);
    let request = Update {
        live: live.clone(),
        owner: live.owner.clone().unwrap(),
        inputs: map(json!({ "state": "DISABLED" })),
        changed: vec!["state".into()],
        token: "update".into(),
    };
    let fault = w.aws.update(&w.kind(POLICY), &request).await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_deref()), (Class::Invalid, Some("LimitExceededException")));
    assert_eq!(w.read(POLICY, &live.id).await.inputs["state"], Value::from("ENABLED"));
    w.aws.update(&w.kind(POLICY), &request).await.unwrap();
    assert_eq!(w.read(POLICY, &live.id).await.inputs["state"], Value::from("DISABLED"));
}
