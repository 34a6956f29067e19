//! A team's lock in S3, over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runner::engine::lock::{Clock, Holder, Record, Terms, acquire};
use runner::providers::aws::Settings;
use runner::resource::{Address, Class, Create, LockPlace, LockStore, Owner, Provider, Value, Written, permission};
use serde_json::json;

use crate::moto::{Account, REGION};

const BUCKET: &str = "team-locks";

fn place(account: &Account) -> LockPlace {
    LockPlace { bucket: format!("{BUCKET}-{}", account.number), prefix: "shop/eu".into(), region: None }
}

fn store(account: &Account) -> Arc<dyn LockStore> {
    account.aws().lock_store(&place(account), "prod").unwrap()
}

async fn with_bucket() -> Account {
    let account = Account::new();
    let s3 = aws_sdk_s3::Client::new(&account.sdk().await);
    let at = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(REGION.into()).build();
    s3.create_bucket().bucket(place(&account).bucket).create_bucket_configuration(at).send().await.unwrap();
    account
}

fn version(written: Written) -> String {
    match written {
        Written::Done { version, .. } => version,
        Written::Moved => panic!("it was as it was seen"),
    }
}

#[tokio::test]
async fn an_object_is_written_only_over_what_was_seen() {
    let account = with_bucket().await;
    let store = store(&account);
    assert_eq!(store.place(), format!("s3://{BUCKET}-{}/shop/eu/prod.lock", account.number));
    assert_eq!(store.read().await.unwrap(), None);
    assert_eq!(store.write("early", Some("\"0123\"")).await.unwrap(), Written::Moved, "there is nothing yet");
    let first = version(store.write("one", None).await.unwrap());
    assert_eq!(store.write("two", None).await.unwrap(), Written::Moved);
    let seen = store.read().await.unwrap().unwrap();
    assert_eq!((seen.text.as_str(), &seen.version), ("one", &first));
    assert!(seen.age < Duration::from_secs(60), "{:?}", seen.age);
    let second = version(store.write("two", Some(&first)).await.unwrap());
    assert_ne!(first, second);
    assert_eq!(store.write("three", Some(&first)).await.unwrap(), Written::Moved);
    account.age(&place(&account).bucket, "shop/eu/prod.lock", 100);
    let seen = store.read().await.unwrap().unwrap();
    assert_eq!(seen.text, "two");
    assert!(seen.age >= Duration::from_secs(100) && seen.age < Duration::from_secs(160), "{:?}", seen.age);
}

#[tokio::test]
async fn of_many_who_write_at_once_one_is_served() {
    let account = with_bucket().await;
    let store = store(&account);
    let mut seen = None;
    for round in 0..5 {
        let texts: Vec<String> = (0..12).map(|n| format!("{round} by {n}")).collect();
        let all = texts.iter().map(|text| store.write(text, seen.as_deref()));
        let all = futures_util::future::join_all(all).await;
        let served: Vec<String> =
            all.into_iter().map(Result::unwrap).filter(|w| *w != Written::Moved).map(version).collect();
        assert_eq!(served.len(), 1, "in round {round}");
        assert_eq!(store.read().await.unwrap().unwrap().version, served[0]);
        seen = served.into_iter().next();
    }
}

#[tokio::test]
async fn a_lease_is_won_refused_and_taken_over_by_the_clock_of_the_store() {
    let account = with_bucket().await;
    let terms = Terms { lease: Duration::from_secs(60), wait: Duration::ZERO };
    let take = async |run: &str| {
        let holder = Holder { id: run.into(), run: run.into(), stack: "prod".into(), ..Holder::default() };
        acquire(store(&account), holder, &terms, Clock::default(), &|_, _| {}).await
    };
    let first = take("one").await.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(first.remark, None);
    let refused = take("two").await.err().unwrap().to_string();
    assert!(refused.contains("run one of") && refused.contains("shop/eu/prod.lock"), "{refused}");
    account.age(&place(&account).bucket, "shop/eu/prod.lock", 100);
    let second = take("two").await.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((second.lease.fence(), second.taken_over.unwrap().holder.run), (Some(2), "one".into()));
    second.lease.release(Duration::from_secs(30)).await.unwrap();
    let left = Record::read(&store(&account).read().await.unwrap().unwrap().text).unwrap();
    assert!(!left.held && left.fence == 2);
    // The answer to the write is lost: it is known for our own.
    account.lose_answer("PutObject", 1);
    let third = take("three").await.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((third.lease.fence(), third.taken_over), (Some(3), None));
    assert_eq!(store(&account).caller().await.unwrap().split(':').nth(4), Some(account.number.as_str()));
}

#[tokio::test]
async fn what_is_wrong_with_the_bucket_is_told() {
    let nowhere = Account::new();
    let fault = store(&nowhere).read().await.unwrap_err();
    assert!(fault.to_string().starts_with("there is no bucket `team-locks-"), "{fault}");
    assert!(fault.hint.unwrap().contains("make it once"));

    let account = with_bucket().await;
    account.fail("PutObject", "AccessDenied", 403, 1);
    let fault = store(&account).write("one", None).await.unwrap_err();
    assert_eq!(fault.class, Class::Denied);
    let hint = fault.hint.unwrap();
    for permission in ["s3:GetObject", "s3:PutObject", "s3:ListBucket"] {
        assert!(hint.contains(permission), "{hint}");
    }
    account.fail("GetObject", "PermanentRedirect", 301, 1);
    let fault = store(&account).read().await.unwrap_err();
    assert!(fault.hint.as_ref().unwrap().contains("region = "), "{fault:?}");
    account.fail("PutObject", "ConditionalRequestConflict", 409, 1);
    assert_eq!(store(&account).write("one", None).await.unwrap(), Written::Moved);

    let s3 = aws_sdk_s3::Client::new(&account.sdk().await);
    let enabled = aws_sdk_s3::types::BucketVersioningStatus::Enabled;
    let versioning = aws_sdk_s3::types::VersioningConfiguration::builder().status(enabled).build();
    let bucket = place(&account).bucket;
    s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(versioning).send().await.unwrap();
    let Written::Done { remark, .. } = store(&account).write("one", None).await.unwrap() else { panic!() };
    assert!(remark.unwrap().contains("keeps every version"));

    s3.put_object().bucket(&bucket).key("shop/eu/prod.lock").body(vec![b'x'; 70_000].into()).send().await.unwrap();
    assert!(store(&account).read().await.unwrap_err().message.contains("too large"));
    s3.put_object().bucket(&bucket).key("shop/eu/prod.lock").body(vec![0xff; 10].into()).send().await.unwrap();
    assert!(store(&account).read().await.unwrap_err().message.contains("no text"));
}

#[tokio::test]
async fn a_lock_of_another_account_is_not_touched() {
    let account = with_bucket().await;
    let settings = Settings { account: Some("999999999999".into()), ..account.settings() };
    let store = account.aws_with(settings).lock_store(&place(&account), "prod").unwrap();
    let fault = store.write("one", None).await.unwrap_err();
    assert!(fault.message.contains("the inventory says 999999999999"), "{fault}");
    assert!(!account.calls().contains_key("s3:PutObject"));
    let read_only = Settings { read_only: true, ..account.settings() };
    let store = account.aws_with(read_only).lock_store(&place(&account), "prod").unwrap();
    assert_eq!(store.write("one", None).await.unwrap_err().class, Class::ReadOnly);
}

/// A bucket is made with one call, and set up with several.
#[tokio::test]
async fn a_change_of_several_calls_asks_before_each() {
    for permitted in 0..4 {
        let account = Account::new();
        let aws = account.aws();
        let kind = aws.kind("aws::s3_bucket").unwrap();
        let address = Address::new("aws::s3_bucket", format!("assets-{}", account.number));
        let name = address.name.to_string();
        let inputs = json!({ "versioning": { "enabled": true }, "public_access_block": {},
            "lifecycle_rule": [{ "id": "old", "expiration_days": 30 }] });
        let Value::Map(inputs) = Value::from(inputs) else { panic!("a map") };
        let owner = Owner { stack: "prod".into(), address, deposed: false, protect: false };
        let request = Create { region: None, owner, inputs, token: "token".into() };
        let asked = AtomicUsize::new(0);
        let may = Arc::new(move || asked.fetch_add(1, Ordering::SeqCst) < permitted);
        let fault = permission::with(may, aws.create(&kind, &request)).await.unwrap_err();
        let written =
            account.calls().iter().filter(|(call, _)| call.contains("Put") || call.contains("Create")).count();
        assert_eq!(written, permitted, "{:?}", account.calls());
        // The engine asks for its permission again; and knows what is there.
        assert_eq!((fault.class, fault.retry_after), (Class::Throttled, Some(Duration::ZERO)), "{fault}");
        assert_eq!(fault.created, (permitted > 0).then_some(name), "{fault}");
    }
}
