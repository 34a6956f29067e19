//! What is left of a secret after scrubbing, and what of a comparison.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;
use crate::resource::Status;

const VALUE: &str = "NOTAREAL-\"pass/word\"+1";

fn secrets() -> Secrets {
    let secrets = Secrets::default();
    secrets.learn("db", VALUE);
    secrets.learn("same", VALUE);
    secrets.learn("key", "-----BEGIN KEY-----\nNOTAREALKEYLINE1\nNOTAREALKEYLINE2\n");
    secrets
}

fn map(json: Json) -> Map {
    match Value::from(json) {
        Value::Map(map) => map,
        _ => panic!("a map"),
    }
}

fn live(id: &str, inputs: Json) -> Live {
    let (owner, outputs) = (None, Map::new());
    Live { id: id.into(), region: None, owner, inputs: map(inputs), outputs, status: Status::Ready }
}

/// With this secret in it in many ways.
fn forms(of: &str) -> Vec<String> {
    let inner = json!({ "auths": { "registry": { "auth": STANDARD.encode(format!("user:{of}")) } } }).to_string();
    vec![
        of.to_owned(),
        format!("jdbc:x?password={of};user=a"),
        json!({ "password": of }).to_string(),
        format!("https://x/?p={}", urlencoding::encode(of)),
        STANDARD.encode(of),
        STANDARD.encode(format!("x{of}")),
        format!("Basic {}, more", STANDARD.encode(format!("admin:{of}"))),
        URL_SAFE_NO_PAD.encode(format!("{of}?>")),
        STANDARD.encode(inner),
    ]
}

#[test]
fn a_stand_in_is_wherever_the_secret_was_and_compares_as_it_did() {
    let secrets = secrets();
    let scrub = Scrub::new(&[], &secrets, Some(&[]));
    let other = scrub.stand_ins()["db"].clone();
    for (text, wanted) in forms(VALUE).into_iter().zip(forms(&other)) {
        let clean = scrub.text(&text, 0);
        assert_eq!(clean, wanted, "{text}");
        assert!(secrets.within(&clean).is_empty(), "{clean}");
    }
    assert_eq!(scrub.text("what has none is as it was: QUJDREVGR0g=", 0), "what has none is as it was: QUJDREVGR0g=");
    assert_eq!(scrub.stand_ins()["same"], other, "equal values stay equal");
    assert_ne!(Scrub::new(&[], &secrets, Some(&[])).stand_ins()["db"], other, "it says nothing of the value");
}

#[test]
fn a_secret_of_several_lines_is_gone_line_by_line() {
    let secrets = secrets();
    let scrub = Scrub::new(&[], &secrets, Some(&[]));
    let other = scrub.stand_ins()["key"].clone();
    assert_eq!(other.lines().count(), 3);
    assert!(other.ends_with('\n'));
    let lines: Vec<&str> = other.lines().collect();
    let indented = "key: |\n  -----BEGIN KEY-----\n  NOTAREALKEYLINE1\n  NOTAREALKEYLINE2\n";
    assert_eq!(scrub.text(indented, 0), format!("key: |\n  {}\n  {}\n  {}\n", lines[0], lines[1], lines[2]));
}

#[test]
fn base64_in_the_middle_of_other_letters_is_at_least_gone() {
    let secrets = secrets();
    let scrub = Scrub::new(&[], &secrets, Some(&[]));
    let text = format!("path/{}", STANDARD.encode(VALUE));
    let clean = scrub.text(&text, 0);
    assert!(secrets.within(&clean).is_empty() && !clean.contains("Tk9UQVJFQUw"), "{clean}");
}

#[test]
fn an_older_secret_is_left_out_where_the_plan_hides_the_line() {
    let secrets = secrets();
    let planned = [Planned {
        kind: "aws::vpc".into(),
        id: Some("vpc-1".into()),
        inputs: map(json!({ "tags": { "note": "…", "plain": "a" } })),
        hidden: vec!["tags.note".into()],
        ..Planned::default()
    }];
    let scrub = Scrub::new(&[], &secrets, Some(&planned));
    let clean = scrub.live("aws::vpc", live("vpc-1", json!({ "tags": { "note": "NOTAREAL-old", "plain": "a" } })));
    assert_eq!(clean.inputs, map(json!({ "tags": { "note": LEFT_OUT, "plain": "a" } })));
}

#[test]
fn without_a_plan_nothing_that_is_live_is_kept() {
    let secrets = secrets();
    let scrub = Scrub::new(&[], &secrets, None);
    let clean = scrub.live("aws::vpc", live("vpc-1", json!({ "tags": { "note": "NOTAREAL-old" }, "dns": true })));
    assert_eq!(clean.inputs, map(json!({ "tags": { "note": LEFT_OUT }, "dns": true })));
    let object = json!({ "object": "prod:Secret/a", "manifest": { "data": { "x": "y" } } });
    let clean = scrub.live("k8s::Secret", live("prod:Secret/a", object));
    assert_eq!(clean.inputs, map(json!({ "object": "prod:Secret/a", "manifest": { "data": { "x": LEFT_OUT } } })));
}

#[test]
fn what_a_kind_never_shows_is_kept_only_where_it_is_as_the_author_wrote() {
    let kinds = crate::providers::kinds();
    let secrets = secrets();
    let planned = |inputs: Json, ignored: &[&str], hidden: &[&str]| Planned {
        kind: "aws::ssm_parameter".into(),
        id: Some("/x".into()),
        inputs: map(inputs),
        ignored: ignored.iter().map(|name| (*name).to_owned()).collect(),
        hidden: hidden.iter().map(|name| (*name).to_owned()).collect(),
        ..Planned::default()
    };
    let kept = |planned: &[Planned]| {
        let found = live("/x", json!({ "value": "NOTAREAL-other", "tier": "Standard" }));
        let clean = Scrub::new(&kinds, &secrets, Some(planned)).live("aws::ssm_parameter", found);
        assert_eq!(clean.inputs["tier"], "Standard".into());
        clean.inputs["value"] == "NOTAREAL-other".into()
    };
    let own = json!({ "value": "NOTAREAL-other" });
    assert!(kept(&[planned(own.clone(), &[], &[])]));
    assert!(!kept(&[planned(own.clone(), &["value"], &[])]), "not compared");
    assert!(!kept(&[planned(own, &[], &["value"])]), "differs");
    assert!(!kept(&[planned(json!({}), &[], &[])]), "not declared");
    assert!(!kept(&[]), "of nobody");
}

#[test]
fn of_a_secret_of_kubernetes_only_the_authors_own_is_kept() {
    let secrets = secrets();
    let secret = |name: &str| Value::Reference(crate::resource::Reference::secret(name));
    let data = Map::from([("password".to_owned(), secret("db")), ("user".to_owned(), "keycloak".into())]);
    let manifest = Map::from([("stringData".to_owned(), Value::Map(data))]);
    let planned = [Planned {
        kind: "k8s::Secret".into(),
        id: Some("prod:Secret/a/db".into()),
        inputs: Map::from([("manifest".into(), Value::Map(manifest))]),
        ..Planned::default()
    }];
    let scrub = Scrub::new(&[], &secrets, Some(&planned));
    let found = json!({ "manifest": {
        "kind": "Secret",
        "metadata": { "name": "db", "annotations": { "last": "NOTAREAL-copy" } },
        "data": {
            "password": STANDARD.encode(VALUE),
            "user": STANDARD.encode("keycloak"),
            "other": STANDARD.encode("NOTAREAL-foreign"),
        },
    } });
    let answer = Answer::Lives(vec![live("prod:Secret/a/db", found.clone()), live("prod:Secret/a/old", found)]);
    let question =
        Question::List { kind: "k8s::Secret".into(), region: None, select: crate::resource::Select::Ids([].into()) };
    let Answer::Lives(lives) = scrub.answer(Some(&question), &answer) else { panic!("lives") };
    let json = Json::from(&Value::Map(lives[0].inputs.clone()));
    assert_eq!(json["manifest"]["metadata"], json!({ "name": "db", "annotations": { "last": LEFT_OUT } }));
    let kept = json!({
        "password": STANDARD.encode(&scrub.stand_ins()["db"]),
        "user": STANDARD.encode("keycloak"),
        "other": LEFT_OUT,
    });
    assert_eq!(json["manifest"]["data"], kept);
    let nobodys = Json::from(&Value::Map(lives[1].inputs.clone()));
    assert_eq!(nobodys["manifest"]["data"]["user"], LEFT_OUT);
}
