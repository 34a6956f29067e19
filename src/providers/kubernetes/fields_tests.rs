//! Ownership of fields, on objects as an API server keeps them.

use super::*;

fn web() -> Json {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "resourceVersion": "812",
            "annotations": { "deployment.kubernetes.io/revision": "2", "team": "shop" },
            "finalizers": ["example.com/hold"],
            "labels": { "app.kubernetes.io/name": "web" },
            "managedFields": [
                {
                    "manager": "runner", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                    "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:app.kubernetes.io/name": {} } },
                        "f:spec": {
                            "f:selector": {},
                            "f:template": { "f:spec": { "f:containers": {
                                "k:{\"name\":\"web\"}": {
                                    ".": {}, "f:image": {}, "f:name": {},
                                    "f:ports": {
                                        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} },
                                    },
                                },
                            } } },
                        },
                    },
                },
                {
                    "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1",
                    "fieldsV1": { "f:metadata": { "f:annotations": { "f:deployment.kubernetes.io/revision": {} } } },
                },
                {
                    "manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                    "fieldsV1": { "f:status": { "f:replicas": {} } },
                },
                {
                    "manager": "kubectl-rollout", "operation": "Update", "apiVersion": "apps/v1",
                    "fieldsV1": { "f:spec": { "f:template": { "f:metadata": { "f:annotations": {
                        ".": {}, "f:kubectl.kubernetes.io/restartedAt": {},
                    } } } } },
                },
                {
                    "manager": "kubectl", "operation": "Update", "subresource": "scale",
                    "fieldsV1": { "f:spec": { "f:replicas": {} } },
                },
                {
                    "manager": "injector", "operation": "Update", "apiVersion": "apps/v1",
                    "fieldsV1": {
                        "f:metadata": {
                            "f:finalizers": { ".": {}, "v:\"example.com/hold\"": {} },
                            "f:annotations": { "f:team": {} },
                        },
                        "f:spec": { "f:template": { "f:spec": { "f:containers": {
                            "k:{\"name\":\"proxy\"}": { ".": {}, "f:name": {}, "f:image": {} },
                            "k:{\"name\":\"web\"}": { "f:image": {}, "f:env": {
                                ".": {}, "k:{\"name\":\"PROXY\"}": { ".": {}, "f:name": {}, "f:value": {} },
                            } },
                            "k:{\"name\":\"gone\"}": { ".": {}, "f:name": {} },
                        } } } },
                    },
                },
            ],
        },
        "spec": {
            "replicas": 5,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "2026-08-01T08:00:00Z" } },
                "spec": { "containers": [
                    { "name": "proxy", "image": "envoy:1" },
                    {
                        "name": "web", "image": "nginx:1", "imagePullPolicy": "IfNotPresent",
                        "env": [{ "name": "PROXY", "value": "on" }],
                        "ports": [
                            { "containerPort": 80, "protocol": "TCP", "name": "http" },
                            { "containerPort": 80, "protocol": "UDP" },
                        ],
                    },
                ] },
            },
        },
    })
}

#[test]
fn the_part_that_was_applied_has_its_present_values() {
    let ours = json!({
        "metadata": { "labels": { "app.kubernetes.io/name": "web" } },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "spec": { "containers": [
                { "name": "web", "image": "nginx:1", "ports": [{ "containerPort": 80, "protocol": "TCP" }] },
            ] } },
        },
    });
    assert_eq!(owned_by(&web(), "runner"), ours);
    assert_eq!(owned_by(&web(), "someone"), json!({}));
    assert_eq!(owned_by(&web(), "injector"), json!({}), "it updated, and applied nothing");
    assert_eq!(owned_by(&json!({ "metadata": {} }), "runner"), json!({}));
}

#[test]
fn what_others_set_is_told_and_the_systems_own_is_not() {
    let container = "spec.template.spec.containers";
    let of = |manager: &str, paths: &[&str]| Foreign {
        manager: manager.into(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    assert_eq!(
        foreign(&web(), "runner"),
        [
            of("kubectl-rollout", &[r#"spec.template.metadata.annotations["kubectl.kubernetes.io/restartedAt"]"#]),
            of("kubectl", &["spec.replicas"]),
            of(
                "injector",
                &["metadata.annotations.team", &format!("{container}[proxy]"), &format!("{container}[web].env")]
            ),
        ]
    );
}

fn client_side() -> Json {
    json!({
        "kind": "ConfigMap",
        "metadata": {
            "name": "c", "resourceVersion": "7",
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
            "managedFields": [
                {
                    "manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                    "time": "2026-08-01T08:00:00Z",
                    "fieldsV1": {
                        "f:data": { ".": {}, "f:a": {}, "f:b": {} },
                        "f:metadata": { "f:annotations": { "f:kubectl.kubernetes.io/last-applied-configuration": {} } },
                    },
                },
                { "manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsV1": { "f:data": { "f:c": {} } } },
            ],
        },
        "data": { "a": "1", "b": "2", "c": "3" },
    })
}

#[test]
fn client_side_fields_are_handed_over() {
    let object = client_side();
    assert_eq!(is_client_side(&object).unwrap().managers, ["kubectl-client-side-apply"]);
    let patch = migrate(&object, "runner").unwrap();
    assert_eq!(patch[1], json!({ "op": "replace", "path": "/metadata/resourceVersion", "value": "7" }));
    let managers = patch[0]["value"].as_array().unwrap();
    let told: Vec<_> =
        managers.iter().map(|m| (m["manager"].as_str().unwrap(), m["operation"].as_str().unwrap())).collect();
    assert_eq!(told, [("kubectl-edit", "Update"), ("runner", "Apply")]);
    assert_eq!(managers[1]["fieldsV1"], object["metadata"]["managedFields"][0]["fieldsV1"]);

    let mut after = object.clone();
    after["metadata"]["managedFields"] = patch[0]["value"].clone();
    assert_eq!(is_client_side(&after), None);
    assert_eq!(migrate(&after, "runner"), None, "once is enough");
    assert_eq!(owned_by(&after, "runner")["data"], json!({ "a": "1", "b": "2" }));
}

#[test]
fn what_is_handed_over_joins_what_we_applied_already() {
    let mut object = client_side();
    object["metadata"]["managedFields"].as_array_mut().unwrap().push(json!({
        "manager": "runner", "operation": "Apply", "apiVersion": "v1", "fieldsV1": { "f:data": { "f:c": {} } },
    }));
    let patch = migrate(&object, "runner").unwrap();
    let managers = patch[0]["value"].as_array().unwrap();
    assert_eq!(managers.len(), 2);
    assert_eq!(managers[1]["fieldsV1"]["f:data"], json!({ ".": {}, "f:a": {}, "f:b": {}, "f:c": {} }));
    assert_eq!(is_client_side(&web()), None, "a scale or a restart is no apply");
}

#[test]
fn conflicts_name_manager_and_field() {
    let cause =
        |field: &str, message: &str| json!({ "reason": "FieldManagerConflict", "field": field, "message": message });
    let status = json!({
        "kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409,
        "message": "Apply failed with 3 conflicts",
        "details": { "causes": [
            cause(".spec.replicas", "conflict with \"hpa\" using autoscaling/v2"),
            cause(".spec.template.spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"].name", "conflict with \"kubectl-edit\" using apps/v1 at 2026-08-01T08:00:00Z"),
            cause(".metadata.annotations.example.com/owner", "conflict with \"x\""),
            cause(".metadata.finalizers[=\"a.b/c]\"]", "conflict with \"x\""),
            json!({ "reason": "FieldValueInvalid", "field": "spec" }),
        ] },
    });
    let told: Vec<_> = conflicts(&status).into_iter().map(|c| format!("{} {}", c.manager, c.path)).collect();
    assert_eq!(
        told,
        [
            "hpa spec.replicas",
            "kubectl-edit spec.template.spec.containers[web].ports[80].name",
            r#"x metadata.annotations["example.com/owner"]"#,
            "x metadata.finalizers[a.b/c]]",
        ]
    );
    assert!(conflicts(&json!({ "reason": "Conflict" })).is_empty());
}

#[test]
fn a_place_is_found_as_the_server_writes_it() {
    let object = json!({
        "metadata": { "annotations": { "a.b/c": "one", "a": "two" } },
        "spec": {
            "ports": [{ "port": 80, "protocol": "UDP" }, { "port": 80, "protocol": "TCP", "name": "x]=\"y" }],
            "hosts": ["a.example.com", "b.c"],
        },
    });
    for (field, path, value) in [
        (".metadata.annotations.a.b/c", r#"metadata.annotations["a.b/c"]"#, json!("one")),
        (".metadata.annotations.a", "metadata.annotations.a", json!("two")),
        (r#".spec.ports[port=80,protocol="TCP"].name"#, "spec.ports[80].name", json!("x]=\"y")),
        (r#".spec.ports[name="x]=\"y"].port"#, "spec.ports[x]=\"y].port", json!(80)),
        (r#".spec.hosts[="b.c"]"#, "spec.hosts[b.c]", json!("b.c")),
        (".spec.hosts[0]", "spec.hosts[0]", json!("a.example.com")),
    ] {
        let found = find(&object, field).map(|(path, value)| (path, value.clone()));
        assert_eq!(found, Some((path.to_owned(), value)), "{field}");
    }
    for field in [".spec.port", ".spec.ports[port=81]", ".spec.hosts[9]", ".spec.ports[", "spec.ports"] {
        assert_eq!(find(&object, field), None, "{field}");
    }
}

#[test]
fn what_was_handed_over_goes_but_for_what_others_set_too() {
    let entry = |manager: &str, operation: &str, fields: Json| json!({ "manager": manager, "operation": operation, "fieldsV1": fields });
    let port = |number: u32| format!("k:{{\"containerPort\":{number},\"protocol\":\"TCP\"}}");
    let ours = json!({ "f:spec": {
        "f:replicas": {}, "f:paused": {}, "f:strategy": { "f:type": {} },
        "f:ports": { ".": {}, port(80): { ".": {}, "f:name": {} }, port(81): { ".": {} } },
    } });
    let theirs = json!({ "f:spec": { "f:replicas": {} } });
    let object = json!({
        "metadata": { "resourceVersion": "7", "managedFields": [
            entry("kubectl-client-side-apply", "Update", ours), entry("scaler", "Apply", theirs),
        ] },
        "spec": { "replicas": 2, "paused": true, "strategy": { "type": "x", "default": 1 }, "ports": [
            { "containerPort": 80, "protocol": "TCP", "name": "web" }, { "containerPort": 81, "protocol": "TCP" },
        ] },
    });
    let mut left = object.clone();
    drop_handed_over(&object, "runner", &json!({ "spec": { "ports": [{ "containerPort": 80 }] } }), &mut left);
    assert_eq!(left["spec"], json!({ "replicas": 2, "ports": [{ "containerPort": 80, "protocol": "TCP" }] }));
}
