//! What a person is shown of a change.

use serde_json::json;

use super::*;

fn deployment() -> Json {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "5c0e", "resourceVersion": "812", "generation": 3,
            "creationTimestamp": "2026-08-01T08:00:00Z",
            "annotations": { "deployment.kubernetes.io/revision": "2" },
            "labels": { "app.kubernetes.io/name": "web" },
            "managedFields": [{ "manager": "runner", "operation": "Apply" }],
        },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "creationTimestamp": null, "labels": { "app": "web" } },
                "spec": {
                    "containers": [
                        {
                            "name": "web", "image": "nginx:1.27", "args": ["-c", "/etc/nginx.conf"],
                            "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                            "ports": [{ "containerPort": 80, "name": "http", "protocol": "TCP" }],
                            "volumeMounts": [
                                { "name": "data", "mountPath": "/a" },
                                { "name": "data", "mountPath": "/b" },
                            ],
                        },
                        { "name": "side", "image": "envoy:1" },
                    ],
                },
            },
        },
        "status": { "observedGeneration": 3, "replicas": 2 },
    })
}

/// The differences after a change of the deployment, one line each.
fn lines(change: impl FnOnce(&mut Json)) -> Vec<String> {
    let live = deployment();
    let mut result = live.clone();
    change(&mut result);
    told(&live, &result)
}

fn told(live: &Json, result: &Json) -> Vec<String> {
    let text = |value: Option<Json>| value.map_or("-".to_owned(), |value| value.to_string());
    diff(live, result).into_iter().map(|d| format!("{}: {} → {}", d.path, text(d.before), text(d.after))).collect()
}

const WEB: &str = "/spec/template/spec/containers/0";

#[test]
fn one_changed_image_shows_one_field() {
    let found = lines(|result| {
        *result.pointer_mut(&format!("{WEB}/image")).unwrap() = "nginx:1.28".into();
        result["metadata"]["resourceVersion"] = "813".into();
        result["metadata"]["generation"] = 4.into();
        result["metadata"]["managedFields"] = json!([]);
        result["status"] = json!({});
        result["spec"]["template"]["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    });
    assert_eq!(found, [r#"spec.template.spec.containers[web].image: "nginx:1.27" → "nginx:1.28""#]);
}

#[test]
fn what_is_added_or_removed_is_one_line_with_all_of_it() {
    let found = lines(|result| {
        result["metadata"]["annotations"]["a.b/c"] = "d".into();
        result["spec"].as_object_mut().unwrap().remove("replicas");
        let web = result.pointer_mut(WEB).unwrap();
        web["livenessProbe"] = json!({ "httpGet": { "path": "/", "port": 80 } });
        web["env"].as_array_mut().unwrap().insert(0, json!({ "name": "C", "value": "3" }));
        web["ports"] = json!([{ "containerPort": 81, "name": "http", "protocol": "TCP" }]);
        web["volumeMounts"].as_array_mut().unwrap().remove(1);
    });
    let web = "spec.template.spec.containers[web]";
    assert_eq!(
        found,
        [
            r#"metadata.annotations["a.b/c"]: - → "d""#.to_owned(),
            "spec.replicas: 2 → -".to_owned(),
            format!(r#"{web}.env[C]: - → {{"name":"C","value":"3"}}"#),
            format!(r#"{web}.livenessProbe: - → {{"httpGet":{{"path":"/","port":80}}}}"#),
            format!(r#"{web}.ports[80]: {{"containerPort":80,"name":"http","protocol":"TCP"}} → -"#),
            format!(r#"{web}.ports[81]: - → {{"containerPort":81,"name":"http","protocol":"TCP"}}"#),
            format!(r#"{web}.volumeMounts[/b]: {{"mountPath":"/b","name":"data"}} → -"#),
        ]
    );
}

#[test]
fn another_order_is_one_line() {
    let found = lines(|result| {
        result.pointer_mut(&format!("{WEB}/env")).unwrap().as_array_mut().unwrap().reverse();
    });
    assert_eq!(found, [r#"spec.template.spec.containers[web].env (order): ["A","B"] → ["B","A"]"#]);
}

#[test]
fn arguments_are_shown_whole_and_sets_by_what_was_added() {
    let found = lines(|result| *result.pointer_mut(&format!("{WEB}/args")).unwrap() = json!(["-c", "/b"]));
    assert_eq!(found, [r#"spec.template.spec.containers[web].args: ["-c","/etc/nginx.conf"] → ["-c","/b"]"#]);

    let role = |verbs: Json| json!({ "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": verbs }] });
    let found = told(&role(json!(["get", "list", "watch"])), &role(json!(["get", "list", "patch"])));
    assert_eq!(found, [r#"rules[0].verbs[watch]: "watch" → -"#, r#"rules[0].verbs[patch]: - → "patch""#]);
    let found = told(&role(json!(["get"])), &role(json!(["list"])));
    assert_eq!(found, [r#"rules[0].verbs: ["get"] → ["list"]"#]);
}

#[test]
fn maps_without_a_key_are_matched_as_a_whole() {
    let rule = |resource: &str| json!({ "apiGroups": [""], "resources": [resource], "verbs": ["get"] });
    let role = |resources: &[&str]| json!({ "rules": resources.iter().map(|r| rule(r)).collect::<Vec<_>>() });
    let found = told(&role(&["pods", "nodes"]), &role(&["secrets", "pods", "nodes"]));
    assert_eq!(found, [format!("rules[0]: - → {}", rule("secrets"))]);
    let found = told(&role(&["pods", "nodes"]), &role(&["nodes", "secrets"]));
    assert_eq!(found, [r#"rules[1].resources: ["pods"] → ["secrets"]"#]);
    assert_eq!(told(&role(&["a", "b"]), &role(&["b", "a"])).len(), 1);
}

#[test]
fn what_changes_its_sort_is_one_line() {
    let found = told(&json!({ "spec": { "port": "http" } }), &json!({ "spec": { "port": { "number": 80 } } }));
    assert_eq!(found, [r#"spec.port: "http" → {"number":80}"#]);
    assert!(told(&json!({ "a": null }), &json!({})).is_empty());
}

fn secret(uid: &str, section: &str, value: &str) -> Json {
    json!({
        "kind": "Secret",
        "metadata": { "uid": uid, "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"password\":\"aHVudGVyMg==\"}}",
        } },
        section: { "password": value },
    })
}

#[test]
fn a_masked_secret_can_be_compared_and_shows_nothing() {
    let masked = |mut object: Json| {
        mask(&mut object);
        object
    };
    let one = masked(secret("u1", "data", "aHVudGVyMg=="));
    assert!(!one.to_string().contains("aHVudGVyMg"), "{one}");
    let shown = one["data"]["password"].as_str().unwrap();
    assert_eq!((shown.len(), &shown[..7]), (23, "sha256:"));
    assert_eq!(one, masked(secret("u1", "data", "aHVudGVyMg==")));
    assert_ne!(one["data"], masked(secret("u1", "data", "aHVudGVyMw=="))["data"]);
    assert_ne!(one["data"], masked(secret("u2", "data", "aHVudGVyMg=="))["data"], "another object, another digest");
    assert_eq!(one["data"], masked(secret("u1", "stringData", "hunter2"))["stringData"]);

    let config = json!({ "kind": "ConfigMap", "data": { "a": "b" } });
    assert_eq!(masked(config.clone()), config);
}

#[test]
fn only_a_secrets_values_are_sensitive() {
    assert!(is_sensitive("Secret", "data.password") && is_sensitive("Secret", r#"stringData["a.b"]"#));
    assert!(is_sensitive("Secret", "data") && is_sensitive("Secret", &child("metadata.annotations", LAST_APPLIED)));
    assert!(!is_sensitive("Secret", "type") && !is_sensitive("Secret", "database.x"));
    assert!(!is_sensitive("ConfigMap", "data.password"));
}
