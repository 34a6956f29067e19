use serde_json::json;

use super::*;
use crate::resource::Address;

fn id() -> Value {
    Reference::new(Address::new("aws::vpc", "prod"), "id").into()
}

/// A text in which each `@` is a reference.
fn with(text: &str) -> Value {
    let mut parts = vec![];
    for (index, part) in text.split('@').enumerate() {
        if index > 0 {
            parts.push(id());
        }
        parts.push(part.into());
    }
    Value::text(parts)
}

fn read(text: &str) -> Vec<Object> {
    objects(&with(text), None).unwrap()
}

fn wrong(text: &str) -> Vec<Wrong> {
    objects(&with(text), None).unwrap_err()
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

#[test]
fn references_stand_where_they_stood() {
    let text =
        format!("{MAP}data:\n  a: @\n  b: \"@\"\n  c: '@'\n  d: x-@-@\n  e: |\n    one\n    @\n  f: [@, {{g: @}}]\n");
    let object = &read(&text)[0];
    let data = object.value.as_map().unwrap()["data"].as_map().unwrap();
    for key in ["a", "b", "c"] {
        assert_eq!(data[key], id(), "{key}");
    }
    assert_eq!(data["d"], Value::text(vec!["x-".into(), id(), "-".into(), id()]));
    assert_eq!(data["e"], Value::text(vec!["one\n".into(), id(), "\n".into()]));
    assert_eq!(data["f"], Value::List(vec![id(), Value::Map(Map::from([("g".into(), id())]))]));
}

#[test]
fn what_names_an_object_must_be_known() {
    for (text, line, what) in [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x@}\n", 3, "`metadata.name`"),
        ("apiVersion: v1\nkind: @\nmetadata: {name: x}\n", 2, "`kind`"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: @}\n", 3, "`metadata.namespace`"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  @: x\n", 5, "a key"),
    ] {
        let wrong = wrong(text);
        assert_eq!((wrong.len(), wrong[0].line), (1, line), "{wrong:?}");
        assert_eq!(wrong[0].what, format!("{what} must be known before the apply"));
    }
    assert!(objects(&MAP.into(), Some(&id())).is_err());
}

#[test]
fn documents_are_told_apart_and_lists_unfolded() {
    let text = format!(
        "# only a comment\n---\n{MAP}data: {{a: '---'}}\n---\n\n--- # nothing\n---\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: s}}\n"
    );
    let found = read(&text);
    let told: Vec<_> = found.iter().map(|o| (o.kind.as_str(), o.name.as_str(), o.line)).collect();
    assert_eq!(told, [("ConfigMap", "a", 3), ("Secret", "s", 12)]);
    assert_eq!(read("# nothing\n"), []);
}

#[test]
fn a_namespace_is_given_to_what_lives_in_one() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: own}\n---\n\
        apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ws.x.io}\n\
        spec: {group: x.io, names: {kind: W}, scope: Cluster}\n---\n\
        apiVersion: x.io/v1\nkind: W\nmetadata: {name: w}\n---\napiVersion: y.io/v1\nkind: W\nmetadata: {name: w}\n";
    let found = objects(&text.into(), Some(&"ns".into())).unwrap();
    let namespaces: Vec<_> = found.iter().map(|object| object.namespace.as_deref()).collect();
    assert_eq!(namespaces, [None, Some("ns"), Some("own"), None, None, Some("ns")]);
    let metadata = |index: usize| found[index].value.as_map().unwrap()["metadata"].as_map().unwrap();
    assert_eq!(metadata(1)["namespace"], "ns".into());
    assert!(!metadata(0).contains_key("namespace"));
}

#[test]
fn each_mistake_is_told_with_its_line() {
    for (text, line, part) in [
        ("kind: ConfigMap\nmetadata: {name: a}\n", 1, "`apiVersion` is missing"),
        ("---\n- a\n", 2, "an object is a map"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", 1, "`metadata.name` is missing"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: 12}\n", 1, "must be a string"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, uid: x}\n", 1, "`metadata.uid`"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {a: true}}\n", 1, "`a` in the labels"),
        ("a: 1\n---\na: 1\nb:\n  c: 1\n  c: 2\n", 6, "stands twice"),
        ("<!DOCTYPE html><html>", 1, "HTML page"),
        ("a: edd1c9f034335f136f87ad84b625c8f1\n", 1, "default admin key"),
    ] {
        let wrong = wrong(text);
        assert!(wrong.iter().any(|one| one.line == line && one.what.contains(part)), "{text}: {wrong:?}");
    }
    let twice = wrong(&format!("{MAP}---\n{MAP}"));
    assert_eq!(twice[0].what, "ConfigMap `a` is there twice: in line 1 and in line 6");
}

#[test]
fn what_is_no_yaml_comes_with_a_hint() {
    for (text, hint) in [
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  image: {{ .Values.image }}\n", "template()"),
        ("apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"{{ name }}\"\n", "template()"),
        ("apiVersion: v1\nmetadata:\n\tname: a\n", "spaces"),
    ] {
        let wrong = wrong(text);
        assert!(wrong[0].hint.as_ref().is_some_and(|told| told.contains(hint)), "{wrong:?}");
    }
}

#[test]
fn string_data_becomes_data() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstatus: {}\nstringData: {a: hello, b: @}\ndata: {b: eA==, c: eQ==}\n";
    let map = read(text).remove(0).value;
    let map = map.as_map().unwrap();
    assert!(!map.contains_key("status"));
    assert_eq!(map["data"], Value::from(json!({ "a": "aGVsbG8=", "c": "eQ==" })));
    assert_eq!(map["stringData"], Value::Map(Map::from([("b".into(), id())])));

    let filled = Value::Map(map.clone()).resolve(&mut |_| Some("x".into()));
    let mut object = Json::from(&filled);
    settle(&mut object).unwrap();
    assert_eq!(object["data"], json!({ "a": "aGVsbG8=", "b": "eA==", "c": "eQ==" }));
    assert!(object.get("stringData").is_none());
    let mut plain = json!({ "apiVersion": "v1", "kind": "Secret", "data": { "a": "not base64!" } });
    assert!(settle(&mut plain).unwrap_err().contains("`data.a`"));
}

#[test]
fn two_megabytes_are_read_in_no_time() {
    let line = "              description: a text of some length that says what the field is for\n";
    let mut text = String::new();
    for number in 0..60 {
        text.push_str(&format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m{number}\ndata:\n"));
        (0..400).for_each(|key| text.push_str(&format!("  key{key}:\n{line}")));
    }
    assert!(text.len() > 2_000_000);
    let start = std::time::Instant::now();
    assert_eq!(read(&text).len(), 60);
    // One second on an idle machine; what grows with the square takes minutes.
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn a_template_that_was_not_rendered_is_found_where_no_reader_has_its_own() {
    let left = |text: &str| -> Vec<String> {
        let found = left_over(&objects(&text.into(), None).unwrap(), &text.into());
        found.into_iter().map(|wrong| format!("{} {}", wrong.line, wrong.what)).collect()
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {x: '{{ y }}'}}\nspec:\n";
    assert_eq!(left(&format!("{pod}  a: x\n  b: \"y-{{{{ env.x }}}}\"\n")), ["6 Pod `a` holds `{{ env.x }}`"]);
    assert_eq!(left(&format!("{pod}  a: ['{{{{x|upper}}}}']\n")), ["5 Pod `a` holds `{{x|upper}}`"]);
    let theirs = "'{{ .Values.x }} {{ $x }} {{- with secret \"a\" -}} {{ range .x }} {{ end }} {{ }}'";
    assert_eq!(left(&format!("{pod}  a: {theirs}\n")), [""; 0]);
    for (version, kind) in [
        ("v1", "ConfigMap"),
        ("argoproj.io/v1alpha1", "ApplicationSet"),
        ("monitoring.coreos.com/v1", "PrometheusRule"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\ndata: {{a: '{{{{ x }}}}'}}\n");
        assert_eq!(left(&text), [""; 0], "{kind}");
    }
}
