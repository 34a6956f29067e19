//! What is kept: container images, objects, parameters.

use aws_config::{Region, SdkConfig};
use runner::providers::aws::Settings;
use runner::resource::{Class, Provider, Value};
use serde_json::json;

use super::World;
use super::stack::{Stack, item};
use crate::moto::{Account, REGION};

/// What another tool would call AWS with.
pub async fn sdk(account: &Account) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().build_http();
    account.chain().region(Region::new(REGION)).http_client(http).load().await
}

const EXPIRE: &str = r#"{ "rules": [{ "rulePriority": 1, "selection": { "tagStatus": "untagged",
    "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14 }, "action": { "type": "expire" } }] }"#;

#[tokio::test]
async fn ecr_repository() {
    let w = World::new();
    let k = "aws::ecr_repository";
    let pull = r#"{"Version":"2012-10-17","Statement":[{"Sid":"pull","Effect":"Allow","Principal":"*","Action":["ecr:BatchGetImage"]}]}"#;
    let live = w
        .create(
            k,
            "team/app",
            json!({
                "image_tag_mutability": "IMMUTABLE", "image_scanning_configuration": { "scan_on_push": true },
                "encryption_configuration": { "encryption_type": "AES256" }, "lifecycle_policy": EXPIRE,
                "policy": pull, "force_delete": true,
            }),
        )
        .await;
    assert_eq!(live.id, "team/app");
    let url = format!("{}.dkr.ecr.{REGION}.amazonaws.com/team/app", w.account.number);
    assert_eq!(live.outputs["repository_url"], url.as_str().into());
    assert_eq!(live.outputs["registry_id"], w.account.number.as_str().into());
    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "image_tag_mutability": "MUTABLE" })).await;
    let live = w.update(&live, k, json!({ "image_scanning_configuration": { "scan_on_push": false } })).await;
    let live = w.update(&live, k, json!({ "lifecycle_policy": EXPIRE.replace("14", "7") })).await;
    let live = w.update(&live, k, json!({ "force_delete": false })).await;
    let live = w.update(&live, k, json!({ "policy": pull.replace("pull", "fetch") })).await;
    let live = w.update_once(&live, k, json!({ "lifecycle_policy": "", "policy": "" })).await;
    assert!(!live.inputs.contains_key("policy") && !live.inputs.contains_key("lifecycle_policy"));
    let second = w.create(k, "second", json!({})).await;
    w.account.forget_calls();
    assert_eq!(w.owned(k).await.len(), 2);
    assert_eq!(w.account.calls().values().sum::<u64>(), 2 + 2 * 3, "{:?}", w.account.calls());
    // One of those asked for that is not there does not hide the other.
    let ids = runner::resource::Select::Ids(["team/app".to_owned(), "nothing".to_owned()].into());
    assert_eq!(w.aws.list(&w.kind(k), None, &ids).await.unwrap(), std::slice::from_ref(&live));
    w.try_delete(&second, k).await.unwrap();
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_repository_with_images_goes_only_by_force() {
    let w = World::new();
    let k = "aws::ecr_repository";
    let live = w.create(k, "app", json!({})).await;
    let manifest = json!({ "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": [] });
    let ecr = aws_sdk_ecr::Client::new(&sdk(&w.account).await);
    let put = ecr.put_image().repository_name("app").image_tag("1").image_manifest(manifest.to_string());
    put.send().await.unwrap();
    let fault = w.try_delete(&live, k).await.unwrap_err();
    assert_eq!(fault.class, Class::Invalid);
    assert!(fault.hint.unwrap().contains("force_delete"));
    let live = w.update(&live, k, json!({ "force_delete": true })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_repository_lives_through_the_engine() {
    let s = Stack::new();
    let items = |scan: bool, encryption: &str| {
        let encryption = match encryption {
            "" => json!({}),
            key => json!({ "encryption_type": "KMS", "kms_key": key }),
        };
        let scan = json!({ "scan_on_push": scan });
        vec![item(
            "aws::ecr_repository.app",
            json!({ "image_scanning_configuration": scan, "lifecycle_policy": EXPIRE, "encryption_configuration": encryption }),
        )]
    };
    // Another's of that name.
    let ecr = aws_sdk_ecr::Client::new(&sdk(&s.account).await);
    ecr.create_repository().repository_name("app").send().await.unwrap();
    let conflict = format!("{:?}", s.try_plan(items(true, "")).await.expect_err("the name is taken"));
    assert!(conflict.contains("adopt"), "{conflict}");
    let adopting = || items(true, "").into_iter().map(|item| item.with(|o| o.adopt = Some("app".into()))).collect();
    let adopted = s.run(adopting).await;
    assert_eq!(adopted, ["update aws::ecr_repository.app image_scanning_configuration.scan_on_push lifecycle_policy"]);
    assert_eq!(
        s.run(|| items(false, "")).await,
        ["update aws::ecr_repository.app image_scanning_configuration.scan_on_push"]
    );
    let text = EXPIRE.replace("14", "9");
    ecr.put_lifecycle_policy().repository_name("app").lifecycle_policy_text(text).send().await.unwrap();
    assert_eq!(s.run(|| items(false, "")).await, ["update aws::ecr_repository.app lifecycle_policy"]);
    let key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b";
    let replaced = s.run(|| items(false, key)).await;
    assert_eq!(
        replaced,
        ["replace aws::ecr_repository.app encryption_configuration.encryption_type encryption_configuration.kms_key"]
    );
    assert_eq!(s.destroy().await, ["delete aws::ecr_repository.app"]);
    // The answer to the create is lost: there is one, and all of it is set.
    s.account.lose_answer("CreateRepository", 1);
    assert_eq!(s.run(|| items(true, "")).await, ["create aws::ecr_repository.app"]);
    assert_eq!(s.attribute("aws::ecr_repository.app", "id").await, "app");
    s.destroy().await;
}

#[tokio::test]
async fn ssm_parameter() {
    let w = World::new();
    let k = "aws::ssm_parameter";
    let live = w
        .create(
            k,
            "url",
            json!({
                "name": "/app/prod/url", "type": "String", "value": "https://app.example", "description": "Where it is",
                "allowed_pattern": "^https:.*", "tier": "Standard", "data_type": "text",
            }),
        )
        .await;
    assert_eq!(live.outputs["version"], Value::Int(1));
    let arn = format!("arn:aws:ssm:{REGION}:{}:parameter/app/prod/url", w.account.number);
    assert_eq!(live.outputs["arn"], arn.as_str().into());
    let live = w.common_life(k, live).await;
    // Each time it is written is a version.
    let live = w.update_once(&live, k, json!({ "value": "https://new.example" })).await;
    assert_eq!(live.outputs["version"], Value::Int(2));
    let live = w.update_once(&live, k, json!({ "description": "Where it was", "tier": "Advanced" })).await;
    for n in 0..50 {
        w.create(k, &format!("p{n}"), json!({ "type": "SecureString", "value": "not-a-secret" })).await;
    }
    w.account.forget_calls();
    assert_eq!(w.owned(k).await.len(), 51);
    let calls = w.account.calls();
    assert_eq!((calls["ssm:DescribeParameters"], calls["ssm:GetParameters"]), (2, 6), "{calls:?}");
    assert_eq!(calls["ssm:ListTagsForResource"], 51, "{calls:?}");
    let again = w.try_create(k, "url", json!({ "name": "/app/prod/url", "type": "String", "value": "x" })).await;
    assert_eq!(again.unwrap_err().class, Class::Exists);
    for other in w.owned(k).await.iter().filter(|other| other.id != live.id) {
        w.try_delete(other, k).await.unwrap();
    }
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_parameter_lives_through_the_engine() {
    let s = Stack::new();
    let of = |kind: &str, value: &str| {
        vec![item("aws::ssm_parameter.token", json!({ "name": "/app/token", "type": kind, "value": value }))]
    };
    let ssm = aws_sdk_ssm::Client::new(&sdk(&s.account).await);
    let write = |value: &str| ssm.put_parameter().name("/app/token").value(value).overwrite(true);
    write("other").r#type("String".into()).send().await.unwrap();
    let conflict = format!("{:?}", s.try_plan(of("String", "a")).await.expect_err("the name is taken"));
    assert!(conflict.contains("adopt"), "{conflict}");
    let adopting =
        || of("String", "a").into_iter().map(|item| item.with(|o| o.adopt = Some("/app/token".into()))).collect();
    assert_eq!(s.run(adopting).await, ["update aws::ssm_parameter.token value"]);
    write("changed").send().await.unwrap();
    assert_eq!(s.run(|| of("String", "a")).await, ["update aws::ssm_parameter.token value"]);
    assert_eq!(s.run(|| of("SecureString", "b")).await, ["replace aws::ssm_parameter.token type value"]);
    assert_eq!(s.attribute("aws::ssm_parameter.token", "type").await, "SecureString");
    assert_eq!(s.destroy().await, ["delete aws::ssm_parameter.token"]);
    s.account.lose_answer("PutParameter", 1);
    assert_eq!(s.run(|| of("String", "a")).await, ["create aws::ssm_parameter.token"]);
    assert_eq!(s.attribute("aws::ssm_parameter.token", "version").await, 1);
}

#[tokio::test]
async fn a_parameter_is_looked_up() {
    let w = World::new();
    let look = async |name: &str| w.aws.look_up("aws::ssm_parameter", &[name.into()]).await;
    for name in [
        "/aws/service/eks/optimized-ami/1.33/amazon-linux-2023/x86_64/standard/recommended/image_id",
        "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-SQL_2022_Standard",
    ] {
        let found = look(name).await.unwrap();
        let found = found.as_map().unwrap();
        let image = found["value"].as_str().unwrap();
        assert_eq!(found["name"], name.into());
        let ec2 = aws_sdk_ec2::Client::new(&sdk(&w.account).await);
        let images = ec2.describe_images().image_ids(image).send().await.unwrap();
        assert_eq!(images.images().len(), 1, "{name}");
    }
    let missing = look("/nothing").await.unwrap_err();
    assert_eq!(missing.class, Class::NotFound);
    w.create("aws::ssm_parameter", "secret", json!({ "type": "SecureString", "value": "not-a-secret" })).await;
    let secret = look("secret").await.unwrap_err();
    assert_eq!(secret.class, Class::Invalid);
    assert!(secret.hint.as_ref().unwrap().contains("secrets") && !format!("{secret:?}").contains("not-a-secret"));
}

#[tokio::test]
async fn s3_bucket() {
    let w = World::new();
    let k = "aws::s3_bucket";
    let name = format!("assets-{}", w.account.number);
    let live = w.create(k, &name, json!({})).await;
    assert_eq!(live.outputs["arn"], format!("arn:aws:s3:::{name}").as_str().into());
    let domain = format!("{name}.s3.{REGION}.amazonaws.com");
    assert_eq!(live.outputs["bucket_regional_domain_name"], domain.as_str().into());
    let all = json!({ "block_public_acls": true, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true });
    assert_eq!(live.inputs["public_access_block"], Value::from(all));
    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "versioning": { "enabled": true } })).await;
    let live = w.update(&live, k, json!({ "versioning": { "enabled": false }, "force_destroy": true })).await;
    let key = json!({ "sse_algorithm": "aws:kms", "kms_master_key_id": "alias/app", "bucket_key_enabled": true });
    let live = w.update(&live, k, json!({ "server_side_encryption_configuration": key })).await;
    let live =
        w.update(&live, k, json!({ "server_side_encryption_configuration": { "sse_algorithm": "aws:kms" } })).await;
    let live = w.update(&live, k, json!({ "public_access_block": { "block_public_policy": false } })).await;
    let rules = json!([
        { "id": "old", "prefix": "logs/", "expiration_days": 30, "noncurrent_version_expiration_days": 7 },
        { "id": "parts", "enabled": false, "abort_incomplete_multipart_upload_days": 3 },
    ]);
    let live = w.update(&live, k, json!({ "lifecycle_rule": rules })).await;
    let live = w.update(&live, k, json!({ "lifecycle_rule": [] })).await;
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{name}/*")], "Condition": { "Bool": { "aws:SecureTransport": "false" } } }] });
    let live = w.update(&live, k, json!({ "policy": policy.to_string() })).await;
    let live = w.update(&live, k, json!({ "policy": "" })).await;
    assert!(!live.inputs.contains_key("policy"));
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 1 + 6, "{:?}", w.account.calls());
    let again = w.try_create(k, &name, json!({})).await.unwrap_err();
    assert_eq!(again.class, Class::Exists);
    let stranger = World::new().try_create(k, &name, json!({})).await.unwrap_err();
    assert_eq!((stranger.class, stranger.hint.is_some()), (Class::Exists, true));
    w.delete(&live, k).await;
}

/// There AWS takes a second create for a success.
#[tokio::test]
async fn a_bucket_is_not_made_twice_where_that_would_succeed() {
    let mut w = World::new();
    w.aws = w.account.aws_with(Settings { region: Some("us-east-1".into()), ..w.account.settings() });
    let k = "aws::s3_bucket";
    let name = format!("east-{}", w.account.number);
    let live = w.create(k, &name, json!({ "versioning": { "enabled": true } })).await;
    let again = w.try_create(k, &name, json!({ "versioning": { "enabled": false } })).await;
    assert_eq!(again.unwrap_err().class, Class::Exists);
    assert_eq!(w.read(k, &name).await, live);
}

#[tokio::test]
async fn a_bucket_with_objects_goes_only_by_force() {
    let w = World::new();
    let k = "aws::s3_bucket";
    let name = format!("full-{}", w.account.number);
    let live = w.create(k, &name, json!({ "versioning": { "enabled": true } })).await;
    let s3 = aws_sdk_s3::Client::new(&sdk(&w.account).await);
    for (key, text) in [("a", "1"), ("a", "2"), ("b c/ü", "3")] {
        s3.put_object().bucket(&name).key(key).body(text.as_bytes().to_vec().into()).send().await.unwrap();
    }
    s3.delete_object().bucket(&name).key("a").send().await.unwrap();
    let fault = w.try_delete(&live, k).await.unwrap_err();
    assert_eq!(fault.class, Class::Invalid);
    assert!(fault.hint.unwrap().contains("force_destroy"));
    let live = w.update(&live, k, json!({ "force_destroy": true })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_bucket_lives_through_the_engine() {
    let s = Stack::new();
    let first = format!("first-{}", s.account.number);
    let items = |bucket: &str, versioning: bool| {
        let rule = json!({ "id": "old", "expiration_days": 30 });
        let versioning = json!({ "enabled": versioning });
        vec![item(
            "aws::s3_bucket.logs",
            json!({ "bucket": bucket, "versioning": versioning, "lifecycle_rule": [rule], "public_access_block": {} }),
        )]
    };
    let s3 = aws_sdk_s3::Client::new(&sdk(&s.account).await);
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(REGION.into()).build();
    s3.create_bucket().bucket(&first).create_bucket_configuration(place).send().await.unwrap();
    let conflict = format!("{:?}", s.try_plan(items(&first, true)).await.expect_err("the name is taken"));
    assert!(conflict.contains("adopt"), "{conflict}");
    let adopting =
        || items(&first, true).into_iter().map(|item| item.with(|o| o.adopt = Some(first.as_str().into()))).collect();
    assert_eq!(s.run(adopting).await, ["update aws::s3_bucket.logs lifecycle_rule versioning.enabled"]);
    s3.delete_public_access_block().bucket(&first).send().await.unwrap();
    s3.delete_bucket_lifecycle().bucket(&first).send().await.unwrap();
    let drifted = s.run(|| items(&first, true)).await;
    let all = ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"];
    let lines = all.map(|name| format!("public_access_block.{name}")).join(" ");
    assert_eq!(drifted, [format!("update aws::s3_bucket.logs lifecycle_rule {lines}")]);
    assert_eq!(s.run(|| items(&first, false)).await, ["update aws::s3_bucket.logs versioning.enabled"]);
    s.account.lose_answer("CreateBucket", 1);
    let second = format!("second-{}", s.account.number);
    assert_eq!(s.run(|| items(&second, false)).await, ["replace aws::s3_bucket.logs bucket"]);
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 1);
    assert_eq!(s.destroy().await, ["delete aws::s3_bucket.logs"]);
}
