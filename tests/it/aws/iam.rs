//! Roles, policies, instance profiles, and who vouches for others.

use std::collections::BTreeSet;

use aws_config::{Region, SdkConfig};
use runner::resource::{Class, Live, Provider, Select, Update, Value};
use serde_json::{Value as Json, json};

use super::stack::{Stack, item, reference};
use super::{World, map};
use crate::moto::{Account, REGION};

const ROLE: &str = "aws::iam_role";
const POLICY: &str = "aws::iam_policy";
const PROFILE: &str = "aws::iam_instance_profile";
const PROVIDER: &str = "aws::iam_openid_connect_provider";

/// For what others do to the account behind our back.
pub async fn sdk(account: &Account) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().build_http();
    account.chain().region(Region::new(REGION)).http_client(http).load().await
}

async fn iam(account: &Account) -> aws_sdk_iam::Client {
    aws_sdk_iam::Client::new(&sdk(account).await)
}

fn trust(service: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": format!("{service}.amazonaws.com") }, "Action": "sts:AssumeRole" },
    ] })
    .to_string()
}

fn allow(actions: Json) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }] })
        .to_string()
}

/// The same with blanks, and single values in lists.
fn spelled_otherwise(document: &str) -> String {
    let mut document: Json = serde_json::from_str(document).unwrap();
    let statement = &mut document["Statement"][0];
    if let Some(action) = statement.get_mut("Action").filter(|action| action.is_string()) {
        *action = json!([action.clone()]);
    }
    serde_json::to_string_pretty(&document).unwrap()
}

impl World {
    async fn role(&self, name: &str) -> Live {
        self.create(ROLE, name, json!({ "assume_role_policy": trust("ec2") })).await
    }

    async fn policy(&self, name: &str) -> Live {
        self.create(POLICY, name, json!({ "policy": allow(json!("s3:GetObject")) })).await
    }

    async fn named(&self, kind: &str, name: &str) -> Vec<Live> {
        let select = Select::Named(BTreeSet::from([name.to_owned()]));
        self.aws.list(&self.kind(kind), None, &select).await.unwrap_or_else(|f| panic!("{kind}: {f}"))
    }
}

#[tokio::test]
async fn role() {
    let w = World::new();
    let (a, b) = (w.policy("a").await.id, w.policy("b").await.id);
    let live = w
        .create(
            ROLE,
            "app",
            json!({
                "path": "/team/", "description": "The app's, 100 %", "assume_role_policy": trust("ec2"),
                "max_session_duration": 7200, "permissions_boundary": a,
                "managed_policy_arns": [b, "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"],
                "inline_policy": [
                    { "name": "one", "policy": allow(json!(["s3:GetObject", "s3:PutObject"])) },
                    { "name": "two", "policy": allow(json!("sqs:*")) },
                ],
            }),
        )
        .await;
    assert_eq!(live.id, "app");
    let arn = format!("arn:aws:iam::{}:role/team/app", w.account.number);
    assert_eq!(live.outputs["arn"], arn.as_str().into());
    assert!(live.outputs["unique_id"].as_str().unwrap().starts_with("AROA"));
    assert!(live.outputs["create_date"].as_str().unwrap().ends_with('Z'));
    let live = w.common_life(ROLE, live).await;

    let live = w.update(&live, ROLE, json!({ "description": null, "max_session_duration": 3600 })).await;
    let live = w.update(&live, ROLE, json!({ "description": "Ä new one" })).await;
    let live = w.update(&live, ROLE, json!({ "permissions_boundary": null })).await;
    let live = w.update(&live, ROLE, json!({ "permissions_boundary": b })).await;
    let live = w.update(&live, ROLE, json!({ "permissions_boundary": "" })).await;
    let live = w.update(&live, ROLE, json!({ "assume_role_policy": trust("eks") })).await;
    let live = w.update(&live, ROLE, json!({ "managed_policy_arns": [a] })).await;
    let inline = json!([
        { "name": "three", "policy": allow(json!("sns:*")) },
        { "name": "one", "policy": allow(json!("s3:GetObject")) },
    ]);
    let live = w.update(&live, ROLE, json!({ "inline_policy": inline })).await;
    let live = w.update(&live, ROLE, json!({ "inline_policy": [], "managed_policy_arns": [] })).await;
    let live = w.update(&live, ROLE, json!({ "inline_policy": inline, "managed_policy_arns": [a, b] })).await;

    w.account.forget_calls();
    w.owned(ROLE).await;
    let calls = w.account.calls();
    assert_eq!(calls.values().sum::<u64>(), 2, "{calls:?}");
    w.delete(&live, ROLE).await;
}

#[tokio::test]
async fn a_role_is_found_among_many() {
    let w = World::new();
    let client = iam(&w.account).await;
    for n in 0..12 {
        let call = client.create_role().role_name(format!("other-{n}")).assume_role_policy_document(trust("ec2"));
        call.send().await.unwrap();
    }
    let (first, last) = (w.role("a").await, w.role("z").await);
    w.account.forget_calls();
    assert_eq!(w.owned(ROLE).await, [first.clone(), last]);
    let calls = w.account.calls();
    assert_eq!((calls["iam:GetAccountAuthorizationDetails"], calls["iam:ListRoles"]), (2, 1), "{calls:?}");
    // Many names are as one listing; a few are read one by one.
    let many = ["a", "other-0", "other-1", "other-2", "nobody"].map(str::to_owned);
    let found = w.aws.list(&w.kind(ROLE), None, &Select::Ids(many.into())).await.unwrap();
    assert_eq!(found.iter().map(|live| live.id.as_str()).collect::<Vec<_>>(), ["a", "other-0", "other-1", "other-2"]);
    assert_eq!((found[0].clone(), found[1].owner.clone()), (first, None));
    assert_eq!(w.account.calls().get("iam:GetRole"), None);
}

#[tokio::test]
async fn a_role_that_stays_keeps_its_policies() {
    let w = World::new();
    let policy = w.policy("a").await.id;
    let inputs = json!({ "assume_role_policy": trust("ec2"), "managed_policy_arns": [policy] });
    let role = w.create(ROLE, "app", inputs).await;
    let profile = w.create(PROFILE, "nodes", json!({ "role": "app" })).await;
    let fault = w.try_delete(&role, ROLE).await.unwrap_err();
    assert_eq!((fault.class, fault.message.as_str()), (Class::Busy, "it is the role of instance profile nodes"));
    assert_eq!(w.read(ROLE, "app").await, role);
    w.delete(&profile, PROFILE).await;
    w.delete(&role, ROLE).await;
}

#[tokio::test]
async fn a_role_with_all_it_may_have_gets_others() {
    let w = World::new();
    let mut policies = vec![];
    for n in 0..11 {
        policies.push(w.policy(&format!("p{n}")).await.id);
    }
    w.account.forget_calls();
    assert_eq!(w.owned(POLICY).await.len(), 11);
    let calls = w.account.calls();
    assert_eq!((calls["iam:GetAccountAuthorizationDetails"], calls["iam:GetPolicy"]), (2, 11), "{calls:?}");
    let some = w.aws.list(&w.kind(POLICY), None, &Select::Ids(policies[3..9].iter().cloned().collect())).await.unwrap();
    assert_eq!(some.iter().map(|live| &live.id).collect::<Vec<_>>(), policies[3..9].iter().collect::<Vec<_>>());
    let inputs = json!({ "assume_role_policy": trust("ec2"), "managed_policy_arns": policies[..10] });
    let role = w.create(ROLE, "app", inputs).await;
    let role = w.update(&role, ROLE, json!({ "managed_policy_arns": policies[1..] })).await;
    let too_many = json!({ "assume_role_policy": trust("ec2"), "managed_policy_arns": policies });
    let fault = w.try_create(ROLE, "other", too_many).await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_deref()), (Class::Invalid, Some("LimitExceeded")));
    assert_eq!(fault.created.as_deref(), Some("other"));
    assert!(fault.hint.unwrap().contains("quota"));
    w.try_delete(&role, ROLE).await.unwrap();
}

#[tokio::test]
async fn policy() {
    let w = World::new();
    let inputs = json!({ "path": "/team/", "description": "For all", "policy": allow(json!(["s3:Get*", "s3:Put*"])) });
    let live = w.create(POLICY, "app", inputs).await;
    assert_eq!(live.id, format!("arn:aws:iam::{}:policy/team/app", w.account.number));
    assert!(live.outputs["policy_id"].as_str().unwrap().starts_with('A'));
    let mut live = w.common_life(POLICY, live).await;
    // More changes than IAM keeps versions.
    for n in 0..4 {
        live = w.update(&live, POLICY, json!({ "policy": allow(json!(format!("s3:Get{n}"))) })).await;
    }
    let versions = iam(&w.account).await.list_policy_versions().policy_arn(&live.id).send().await.unwrap();
    let kept: Vec<&str> = versions.versions().iter().filter_map(|version| version.version_id()).collect();
    assert_eq!(kept, ["v5", "v6", "v7", "v8", "v9"]);
    assert_eq!(w.named(POLICY, "app").await, std::slice::from_ref(&live));

    w.account.forget_calls();
    w.owned(POLICY).await;
    let calls = w.account.calls();
    assert_eq!(calls.values().sum::<u64>(), 3, "{calls:?}");

    let inputs = json!({ "assume_role_policy": trust("ec2"), "managed_policy_arns": [live.id] });
    let role = w.create(ROLE, "user", inputs).await;
    let fault = w.try_delete(&live, POLICY).await.unwrap_err();
    assert_eq!((fault.class, fault.message.as_str()), (Class::Busy, "the policy is still attached to role user"));
    w.delete(&role, ROLE).await;
    w.delete(&live, POLICY).await;
}

#[tokio::test]
async fn a_policy_that_is_too_long_keeps_its_versions() {
    let w = World::new();
    let live = w.policy("app").await;
    let live = w.update(&live, POLICY, json!({ "policy": allow(json!("s3:Put*")) })).await;
    w.account.fail("CreatePolicyVersion", "LimitExceeded", 409, 1);
    let request = Update {
        live: live.clone(),
        owner: live.owner.clone().unwrap(),
        inputs: map(json!({ "policy": allow(json!("s3:*")) })),
        changed: vec!["policy".into()],
        token: "update".into(),
    };
    let fault = w.aws.update(&w.kind(POLICY), &request).await.unwrap_err();
    assert_eq!(fault.code.as_deref(), Some("LimitExceeded"));
    let versions = iam(&w.account).await.list_policy_versions().policy_arn(&live.id).send().await.unwrap();
    assert_eq!(versions.versions().len(), 3);
}

#[tokio::test]
async fn instance_profile() {
    let w = World::new();
    for name in ["a", "b", "c"] {
        w.role(name).await;
    }
    let live = w.create(PROFILE, "nodes", json!({ "path": "/team/", "role": "a" })).await;
    let arn = format!("arn:aws:iam::{}:instance-profile/team/nodes", w.account.number);
    assert_eq!((live.id.as_str(), &live.outputs["arn"]), ("nodes", &arn.as_str().into()));
    let live = w.common_life(PROFILE, live).await;
    let live = w.update(&live, PROFILE, json!({ "role": "b" })).await;
    let live = w.update(&live, PROFILE, json!({ "role": null })).await;
    let live = w.update(&live, PROFILE, json!({ "role": "a" })).await;
    // Someone gave it another one meanwhile.
    let client = iam(&w.account).await;
    client.remove_role_from_instance_profile().instance_profile_name("nodes").role_name("a").send().await.unwrap();
    client.add_role_to_instance_profile().instance_profile_name("nodes").role_name("c").send().await.unwrap();
    let live = w.update(&live, PROFILE, json!({ "role": "b" })).await;
    w.account.forget_calls();
    w.owned(PROFILE).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2);
    w.delete(&live, PROFILE).await;
}

#[tokio::test]
async fn an_instance_profile_without_its_role_gets_it() {
    let w = World::new();
    w.role("a").await;
    w.account.fail("AddRoleToInstanceProfile", "Throttling", 400, 1);
    let fault = w.try_create(PROFILE, "nodes", json!({ "role": "a" })).await.unwrap_err();
    assert_eq!(fault.class, Class::Throttled);
    let live = w.read(PROFILE, &fault.created.expect("it was created")).await;
    assert!(!live.inputs.contains_key("role"));
    w.update(&live, PROFILE, json!({ "role": "a" })).await;
}

#[tokio::test]
async fn openid_connect_provider() {
    let w = World::new();
    let url = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE";
    let live = w.create(PROVIDER, "cluster", json!({ "url": url, "client_id_list": ["sts.amazonaws.com"] })).await;
    let arn = format!("arn:aws:iam::{}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE", w.account.number);
    assert_eq!((live.id.as_str(), &live.inputs["url"]), (arn.as_str(), &url.into()));
    assert_eq!(live.inputs["thumbprint_list"].as_list().unwrap().len(), 1);
    assert_eq!(live.outputs["issuer"], "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE".into());
    let live = w.common_life(PROVIDER, live).await;
    let live = w.update(&live, PROVIDER, json!({ "client_id_list": ["a", "b", "c"] })).await;
    let live = w.update(&live, PROVIDER, json!({ "client_id_list": ["c", "d"] })).await;
    let live = w.update(&live, PROVIDER, json!({ "thumbprint_list": ["A".repeat(40), "b".repeat(40)] })).await;
    // By URL in any spelling, which is then the one it is told in.
    for spelling in [url.to_owned(), format!("{url}/"), url.replace("https://", "")] {
        let found = w.named(PROVIDER, &spelling).await;
        assert_eq!((found.len(), &found[0].inputs["url"]), (1, &spelling.as_str().into()));
    }
    assert_eq!(w.named(PROVIDER, "https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER").await, []);
    w.account.forget_calls();
    w.owned(PROVIDER).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 2);
    w.delete(&live, PROVIDER).await;
}

/// A policy, a role that has it, and an instance profile that has the role.
fn chain(role: &str, path: &str, service: &str, actions: Json) -> Vec<crate::world::Item> {
    vec![
        item("aws::iam_policy.app", json!({ "policy": allow(actions) })),
        item(
            "aws::iam_role.app",
            json!({
                "name": role, "path": path, "assume_role_policy": trust(service),
                "managed_policy_arns": [reference("aws::iam_policy.app.arn")],
                "inline_policy": [{ "name": "own", "policy": allow(json!("sqs:*")) }],
            }),
        ),
        item("aws::iam_instance_profile.app", json!({ "role": reference("aws::iam_role.app.name") })),
    ]
}

#[tokio::test]
async fn a_role_lives_through_the_engine() {
    let s = Stack::new();
    let read = json!("s3:GetObject");
    assert_eq!(
        s.run(|| chain("app", "/", "ec2", read.clone())).await,
        ["create aws::iam_policy.app", "create aws::iam_role.app", "create aws::iam_instance_profile.app"]
    );
    assert_eq!(
        s.run(|| chain("app", "/", "eks", json!(["s3:GetObject", "s3:PutObject"]))).await,
        ["update aws::iam_policy.app policy", "update aws::iam_role.app assume_role_policy"]
    );
    // Other spellings are no change.
    let mut other = chain("app", "/", "eks", json!(["s3:PutObject", "s3:GetObject"]));
    let respelled = json!({
        "assume_role_policy": spelled_otherwise(&trust("eks")), "managed_policy_arns": [reference("aws::iam_policy.app.arn")],
        "inline_policy": [{ "policy": spelled_otherwise(&allow(json!("sqs:*"))), "name": "own" }],
    });
    other[1] = item("aws::iam_role.app", respelled);
    assert_eq!(s.plan(other).await, [""; 0]);
    // The instance profile takes the new one over before the old one goes.
    assert_eq!(
        s.run(|| chain("other", "/", "eks", read.clone())).await,
        [
            "update aws::iam_policy.app policy",
            "replace aws::iam_role.app name",
            "update aws::iam_instance_profile.app role"
        ]
    );
    assert_eq!(s.attribute("aws::iam_instance_profile.app", "role").await, json!("other"));
    let gone = iam(&s.account).await.get_role().role_name("app").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_entity_exception());
    assert_eq!(s.destroy().await.len(), 3);
    assert!(iam(&s.account).await.list_roles().send().await.unwrap().roles().is_empty());
}

#[tokio::test]
async fn all_names_of_a_chain_change_at_once() {
    let s = Stack::new();
    let named = |name: &str| {
        let role = json!({ "name": name, "assume_role_policy": trust("ec2"),
                           "managed_policy_arns": [reference("aws::iam_policy.app.arn")] });
        vec![
            item("aws::iam_policy.app", json!({ "name": name, "policy": allow(json!("s3:*")) })),
            item("aws::iam_role.app", role),
            item("aws::iam_instance_profile.app", json!({ "name": name, "role": reference("aws::iam_role.app.name") })),
        ]
    };
    s.run(|| named("one")).await;
    assert_eq!(
        s.run(|| named("two")).await,
        [
            "replace aws::iam_policy.app name",
            "replace aws::iam_role.app managed_policy_arns name",
            "replace aws::iam_instance_profile.app name role",
        ]
    );
    let client = iam(&s.account).await;
    let left = client.get_account_authorization_details().send().await.unwrap();
    let names: Vec<&str> = left.role_detail_list().iter().filter_map(|role| role.role_name()).collect();
    assert_eq!(names, ["two"]);
    assert_eq!(left.policies().iter().filter(|policy| policy.policy_name() == Some("one")).count(), 0);
    assert!(client.get_instance_profile().instance_profile_name("one").send().await.is_err());
    assert_eq!(s.destroy().await.len(), 3);
}

#[tokio::test]
async fn a_provider_of_identities_lives_through_the_engine() {
    let s = Stack::new();
    let address = "aws::iam_openid_connect_provider.main";
    let items = |issuer: &str, clients: Json| {
        let url = format!("https://oidc.example.com/id/{issuer}");
        vec![item(address, json!({ "url": url, "client_id_list": clients }))]
    };
    let aws = json!(["sts.amazonaws.com"]);
    assert_eq!(s.run(|| items("1", aws.clone())).await, [format!("create {address}")]);
    assert_eq!(s.run(|| items("1", json!(["b", "a"]))).await, [format!("update {address} client_id_list")]);
    assert_eq!(s.plan(items("1", json!(["a", "b"]))).await, [""; 0]);
    let client = iam(&s.account).await;
    let id = s.live(address).await.id;
    let added = client.add_client_id_to_open_id_connect_provider().open_id_connect_provider_arn(&id).client_id("c");
    added.send().await.unwrap();
    assert_eq!(s.plan(items("1", json!(["a", "b"]))).await, [format!("update {address} client_id_list")]);
    assert_eq!(s.run(|| items("2", aws.clone())).await, [format!("replace {address} client_id_list url")]);
    let left = client.list_open_id_connect_providers().send().await.unwrap();
    assert_eq!(left.open_id_connect_provider_list().len(), 1);
    assert_eq!(s.destroy().await, [format!("delete {address}")]);
}

#[tokio::test]
async fn what_others_do_to_a_role_is_seen() {
    let s = Stack::new();
    let wanted = || chain("app", "/", "ec2", json!("s3:GetObject"));
    s.run(wanted).await;
    let client = iam(&s.account).await;
    let policy = s.live("aws::iam_policy.app").await.id;
    client.detach_role_policy().role_name("app").policy_arn(&policy).send().await.unwrap();
    let more = client.put_role_policy().role_name("app").policy_name("more").policy_document(allow(json!("iam:*")));
    more.send().await.unwrap();
    let version = client.create_policy_version().policy_arn(&policy).policy_document(allow(json!("s3:*")));
    version.set_as_default(true).send().await.unwrap();
    client.remove_role_from_instance_profile().instance_profile_name("app").role_name("app").send().await.unwrap();
    let seen = s.plan(wanted()).await;
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[0], "update aws::iam_policy.app policy");
    assert!(seen[1].contains("managed_policy_arns") && seen[1].contains("inline_policy"), "{seen:?}");
    assert_eq!(seen[2], "update aws::iam_instance_profile.app role");
    assert_eq!(s.run(wanted).await, seen);
    assert_eq!(s.live("aws::iam_role.app").await.inputs["inline_policy"].as_list().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_named_is_left_to_others() {
    let s = Stack::new();
    let bare = || vec![item("aws::iam_role.app", json!({ "assume_role_policy": trust("ec2") }))];
    s.run(bare).await;
    let client = iam(&s.account).await;
    let call = client.put_role_policy().role_name("app").policy_name("theirs").policy_document(allow(json!("s3:*")));
    call.send().await.unwrap();
    assert_eq!(s.plan(bare()).await, [""; 0]);
    assert_eq!(s.destroy().await, ["delete aws::iam_role.app"]);
}

#[tokio::test]
async fn names_that_are_taken_are_adopted_or_refused() {
    let s = Stack::new();
    let client = iam(&s.account).await;
    client.create_role().role_name("app").assume_role_policy_document(trust("ec2")).send().await.unwrap();
    let policy = client.create_policy().policy_name("app").path("/old/").policy_document(allow(json!("s3:*")));
    let policy = policy.send().await.unwrap().policy.unwrap().arn.unwrap();
    client.create_instance_profile().instance_profile_name("app").send().await.unwrap();
    let url = "https://oidc.example.com/id/1";
    let provider = client.create_open_id_connect_provider().url(url).send().await.unwrap();
    let provider = provider.open_id_connect_provider_arn.unwrap();
    let all = [
        ("aws::iam_role.app", "app", json!({ "assume_role_policy": trust("ec2") })),
        ("aws::iam_policy.app", policy.as_str(), json!({ "path": "/old/", "policy": allow(json!("s3:*")) })),
        ("aws::iam_instance_profile.app", "app", json!({})),
        ("aws::iam_openid_connect_provider.app", provider.as_str(), json!({ "url": format!("{url}/") })),
    ];
    for (address, id, inputs) in &all {
        let wrong = s.try_plan(vec![item(address, inputs.clone())]).await.unwrap_err();
        let hint = wrong[0].hint.clone().unwrap_or_default();
        assert!(hint.contains(&format!("adopt: \"{id}\"")), "{address}: {wrong:#?}");
    }
    let adopted = || {
        let one = |(address, id, inputs): &(&str, &str, Json)| {
            let id = (*id).to_owned();
            item(address, inputs.clone()).with(|options| options.adopt = Some(id))
        };
        all.iter().map(one).collect()
    };
    let updates: Vec<String> = s.run(adopted).await;
    assert!(updates.len() == 4 && updates.iter().all(|line| line.starts_with("update ")), "{updates:?}");
    assert_eq!(s.destroy().await.len(), 4);
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_one() {
    let s = Stack::new();
    for operation in ["CreateRole", "CreatePolicy", "CreateInstanceProfile", "CreateOpenIDConnectProvider"] {
        s.account.lose_answer(operation, 1);
    }
    let mut wanted = chain("app", "/", "ec2", json!("s3:GetObject"));
    let url = json!({ "url": "https://oidc.example.com/id/1", "client_id_list": ["sts.amazonaws.com"] });
    wanted.push(item("aws::iam_openid_connect_provider.app", url));
    let plan = s.try_plan(wanted).await.unwrap();
    s.apply(&plan).await;
    let calls = s.account.calls();
    let made = ["CreateRole", "CreatePolicy", "CreateInstanceProfile", "CreateOpenIDConnectProvider"];
    assert!(made.iter().all(|name| calls[&format!("iam:{name}")] == 1), "{calls:?}");
    let role = s.live("aws::iam_role.app").await;
    let policies = role.inputs["managed_policy_arns"].as_list().unwrap();
    assert_eq!(policies, [Value::from(s.live("aws::iam_policy.app").await.id)]);
    assert_eq!(s.attribute("aws::iam_instance_profile.app", "role").await, json!("app"));
}

#[tokio::test]
async fn a_role_that_is_not_known_everywhere_yet_is_waited_for() {
    let s = Stack::new();
    s.account.delay("iam_role", 0.3);
    let wanted = || {
        let document = trust("ec2").replace(r#""Service":"ec2.amazonaws.com""#, r#""AWS":"<arn>""#);
        let (before, after) = document.split_once("<arn>").expect("a place for it");
        let arn = Value::from(reference("aws::iam_role.a.arn"));
        let trusting = Json::from(&Value::text(vec![before.into(), arn, after.into()]));
        vec![
            item("aws::iam_role.a", json!({ "assume_role_policy": trust("ec2") })),
            item("aws::iam_role.b", json!({ "assume_role_policy": trusting })),
        ]
    };
    assert_eq!(s.run(wanted).await, ["create aws::iam_role.a", "create aws::iam_role.b"]);
    assert!(s.account.calls()["iam:CreateRole"] > 2, "{:?}", s.account.calls());
}
