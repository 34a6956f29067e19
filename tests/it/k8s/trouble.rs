//! What is said when a cluster cannot be reached, refuses, or answers nonsense; and what is left behind.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value as Json, json};

use super::{Stack, until};
use crate::control_plane::ControlPlane;

const MANY: &str = r#"for i in 0..5 {
    k8s::manifest(`m${i}`, #{ cluster: cluster, yaml: `
apiVersion: v1
kind: ConfigMap
metadata: { name: c${i}, namespace: NS }
` });
}"#;

/// A stack that enters with the shared kubeconfig, changed.
fn entered(change: impl Fn(&mut Json)) -> Stack {
    let plane = ControlPlane::shared();
    let mut config: Json = serde_json::from_slice(&std::fs::read(plane.kubeconfig()).unwrap()).unwrap();
    change(&mut config);
    let stack = Stack::entered_by(plane.unused("stack"), "cluster.yaml", MANY);
    stack.project.write("cluster.yaml", &config.to_string());
    stack
}

fn server(url: &str) -> Stack {
    entered(|config| config["clusters"][0]["cluster"]["server"] = url.into())
}

/// One error, with these words and a line of the playbook.
#[track_caller]
fn refused(stack: &Stack, texts: &[&str]) {
    for args in ["--dry-run", "--yes"] {
        stack.run(args).code(1).errors(1).tells(texts).tells(&["playbooks/main.rhai:1", "hint:"]);
    }
}

#[test]
fn a_cluster_that_cannot_be_reached_is_one_error() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = format!("https://127.0.0.1:{free}");
    refused(&server(&closed), &["cluster `main`", &closed, "no connection", "refused"]);
    refused(&server("https://no-such-cluster.invalid"), &["cluster `main`", "no-such-cluster.invalid", "not found"]);
}

#[test]
fn a_cluster_that_is_not_the_one_meant_is_not_trusted() {
    // Another authority, and of the same name.
    let other = include_str!("other-ca.pem");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, other);
    let stack =
        entered(|config| config["clusters"][0]["cluster"]["certificate-authority-data"] = encoded.clone().into());
    refused(&stack, &["cluster `main`", "certificate", "certificate-authority-data"]);
}

#[test]
fn credentials_that_are_not_accepted_or_not_had_are_one_error() {
    let stack = entered(|config| config["users"][0]["user"] = json!({ "token": "expired" }));
    refused(&stack, &["cluster `main`", "does not accept the credentials", "token"]);
    let exec = |command: &str, args: &[&str]| {
        let user = json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": args, "interactiveMode": "Never",
        } });
        entered(|config| config["users"][0]["user"] = user.clone())
    };
    let missing = exec("no-such-plugin", &[]);
    refused(&missing, &["cluster `main`", "no-such-plugin"]);
    let failing = exec("sh", &["-c", "echo the login has run out >&2; exit 3"]);
    refused(&failing, &["cluster `main`", "the login has run out"]);
    let token = ControlPlane::shared().token();
    let credential = json!({ "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": { "token": token } });
    let working = exec("echo", &[&credential.to_string()]);
    working.run("--dry-run").code(0).tells(&["6 to create"]);
}

#[test]
fn a_kubeconfig_that_does_not_lead_there_says_what_it_has() {
    let stack = entered(|_| {});
    std::fs::remove_file(stack.project.path("cluster.yaml")).unwrap();
    refused(&stack, &["`cluster.yaml`", "No such file"]);
    stack.project.write("cluster.yaml", "clusters: [");
    refused(&stack, &["`cluster.yaml`"]);
    let stack = entered(|_| {});
    stack.edit("playbooks/main.rhai", "kubeconfig:", "context: \"tset\", kubeconfig:");
    refused(&stack, &["`tset`", "`test`"]);
}

/// Answers every request with this, whatever it is.
fn answers(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut buffer = [0; 8192];
            let _ = stream.read(&mut buffer);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    format!("http://127.0.0.1:{port}")
}

#[test]
fn what_answers_may_be_no_api_server() {
    refused(&server(&answers("200 OK", "<html>welcome</html>")), &["cluster `main`"]);
    refused(&server(&answers("404 Not Found", "<html>not here</html>")), &["cluster `main`"]);
}

#[test]
fn one_who_may_not_read_or_write_is_told_what_he_may_not() {
    let plane = ControlPlane::shared();
    let name = plane.unused("stack");
    // May do nothing at all.
    let nobody = plane.user(&format!("{name}-nobody"), &[]);
    let stack = Stack::entered_by(name.clone(), nobody.to_str().unwrap(), MANY);
    refused(&stack, &["cannot get", "configmaps", "kube-system", "Role"]);

    // May all but write ConfigMaps in one namespace.
    let user = format!("{name}-reader");
    let reader = plane.user(&user, &[]);
    let stack = Stack::entered_by(
        plane.unused("stack"),
        reader.to_str().unwrap(),
        r#"k8s::manifest("m", #{ cluster: cluster, file: "web.yaml" });"#,
    )
    .file(
        "templates/web.yaml",
        "
apiVersion: v1
kind: Namespace
metadata: { name: NS }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: may, namespace: NS }
---
apiVersion: v1
kind: Secret
metadata: { name: may-not, namespace: NS }
---
apiVersion: v1
kind: Secret
metadata: { name: may-not-either, namespace: NS }
",
    );
    let rules = json!([
        { "apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": ["*"] },
        { "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"] },
    ]);
    stack.make(
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "NS" }, "rules": rules }),
    );
    stack.make(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": "NS" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "NS" },
            "subjects": [{ "kind": "User", "name": user }] }),
    );
    until("the role", || {
        let said = stack.run("--dry-run");
        (!said.err.contains("cannot get resource \"configmaps\"")).then_some(())
    });
    let said = stack.run("--yes").code(1);
    said.tells(&["cannot patch", "secrets", "ClusterRole"]);
}

const TWO: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: NS }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: fine, namespace: NS }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: refused, namespace: NS }
";

fn two(more: &str) -> Stack {
    Stack::new(r#"k8s::manifest("m", #{ cluster: cluster, file: "web.yaml" });"#)
        .file("templates/web.yaml", &format!("{TWO}{more}"))
}

#[test]
fn a_namespace_being_deleted_is_waited_for_or_told() {
    let stack = two("");
    stack.make("/api/v1/namespaces", json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "NS" } }));
    stack.make(
        "/api/v1/namespaces/NS/configmaps",
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "held", "finalizers": ["example.com/hold"] } }),
    );
    stack.remove("/api/v1/namespaces/NS");
    let playbook =
        stack.project.read("playbooks/main.rhai").replace("\"web.yaml\" }", "\"web.yaml\" }, #{ timeout: \"9s\" }");
    stack.project.write("playbooks/main.rhai", &playbook);
    let said = stack.run("--yes");
    said.code(1).errors(1).tells(&[&stack.named("/NS` is still being deleted"), "example.com/hold"]);
    stack.change("/api/v1/namespaces/NS/configmaps/held", json!({ "metadata": { "finalizers": null } }));
    until("the namespace's end", || stack.live("/api/v1/namespaces/NS").is_null().then_some(()));
    stack.apply("");
}

#[test]
fn a_policy_that_refuses_says_why_and_the_rest_is_applied() {
    let stack = two("");
    let api = "/apis/admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": { "name": "NS" },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "NS" } },
                "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }],
            },
            "validations": [{ "expression": "object.metadata.name != 'refused'", "message": "nobody may call it that" }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": { "name": "NS" },
        "spec": { "policyName": "NS", "validationActions": ["Deny"] },
    });
    stack.make(&format!("{api}/validatingadmissionpolicies"), policy);
    stack.make(&format!("{api}/validatingadmissionpolicybindings"), binding);
    stack.make(
        "/api/v1/namespaces",
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "NS", "annotations": {} } }),
    );
    let refused = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "refused" } });
    until("the policy", || {
        let (code, _) = stack.ask(http::Method::POST, "/api/v1/namespaces/NS/configmaps?dryRun=All", "json", &refused);
        (code == 422 || code == 403).then_some(())
    });
    // It is there before the plan: the plan says so already.
    stack.edit("templates/web.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS }\n---\n", "");
    stack.run("--dry-run").code(1).errors(1).tells(&["nobody may call it that"]);
    // It is not: only the apply meets it.
    stack.remove("/api/v1/namespaces/NS");
    until("the namespace's end", || stack.live("/api/v1/namespaces/NS").is_null().then_some(()));
    stack.project.write("templates/web.yaml", &stack.named(TWO));
    stack.run("--yes").code(1).errors(1).tells(&["nobody may call it that"]);
    assert!(!stack.live("/api/v1/namespaces/NS/configmaps/fine").is_null());
    stack.remove(&format!("{api}/validatingadmissionpolicybindings/NS"));
    stack.remove(&format!("{api}/validatingadmissionpolicies/NS"));
    until("the policy's end", || {
        let (code, _) = stack.ask(http::Method::POST, "/api/v1/namespaces/NS/configmaps?dryRun=All", "json", &refused);
        (code == 201).then_some(())
    });
    stack.apply("");
}

#[test]
fn a_webhook_that_cannot_be_asked_is_named() {
    let stack = two("");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": { "name": "NS" },
        "webhooks": [{
            "name": "check.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "clientConfig": { "url": format!("https://127.0.0.1:{free}/check") },
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "NS" } },
            "objectSelector": { "matchLabels": { "hooked": "yes" } },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }],
        }],
    });
    stack.edit(
        "templates/web.yaml",
        "{ name: refused, namespace: NS }",
        "{ name: refused, namespace: NS, labels: { hooked: \"yes\" } }",
    );
    let api = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    stack.make(api, hook);
    let playbook =
        stack.project.read("playbooks/main.rhai").replace("\"web.yaml\" }", "\"web.yaml\" }, #{ timeout: \"9s\" }");
    stack.project.write("playbooks/main.rhai", &playbook);
    stack.run("--yes").code(1).errors(1).tells(&["`check.example.com`", "refused", "pods behind its Service"]);
    assert!(!stack.live("/api/v1/namespaces/NS/configmaps/fine").is_null());
    stack.remove(&format!("{api}/NS"));
    stack.run("--yes").code(0);
}

#[test]
fn a_quota_that_is_used_up_is_told() {
    let stack = two("");
    stack.make("/api/v1/namespaces", json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "NS" } }));
    stack.make(
        "/api/v1/namespaces/NS/resourcequotas",
        json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" }, "spec": { "hard": { "count/configmaps": "1" } } }),
    );
    stack.edit("templates/web.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS }\n---\n", "");
    until("the quota", || {
        let status = stack.live("/api/v1/namespaces/NS/resourcequotas/few");
        (status["status"]["used"]["count/configmaps"] == "1").then_some(())
    });
    let said = stack.run("--yes");
    said.code(1).tells(&["exceeded quota", "ResourceQuota"]);
}

#[test]
fn a_run_that_is_killed_is_gone_on_with_and_nothing_is_doubled_or_lost() {
    let stack = Stack::new(
        r#"k8s::manifest("space", #{ cluster: cluster, yaml: `
apiVersion: v1
kind: Namespace
metadata: { name: NS }
` });
for i in 0..10 {
    k8s::manifest(`m${i}`, #{ cluster: cluster, yaml: `
apiVersion: v1
kind: ConfigMap
metadata: { name: c${i}, namespace: NS }
---
apiVersion: v1
kind: Secret
metadata: { name: s${i}, namespace: NS }
---
apiVersion: v1
kind: Service
metadata: { name: v${i}, namespace: NS }
spec: { ports: [{ port: 80 }] }
` });
}"#,
    );
    let count = |plural: &str| {
        let set =
            stack.parent()["metadata"]["labels"]["applyset.kubernetes.io/id"].as_str().unwrap_or("none").to_owned();
        let path = format!("/api/v1/namespaces/NS/{plural}?labelSelector=applyset.kubernetes.io/part-of={set}");
        stack.live(&path)["items"].as_array().map_or(0, Vec::len)
    };
    let kinds = |plural: &str| match plural {
        "configmaps" => "ConfigMap",
        "secrets" => "Secret",
        _ => "Service",
    };
    let mut there = 0;
    for enough in [1, 8, 20] {
        let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes", stack.name));
        until("some of it", || {
            (["configmaps", "secrets", "services"].map(count).iter().sum::<usize>() >= enough).then_some(())
        });
        run.signal("KILL");
        run.end();
        // Whatever is there, the parent names its kind.
        let named = stack.parent()["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"].clone();
        let named: Vec<&str> = named.as_str().unwrap().split(',').collect();
        for plural in ["configmaps", "secrets", "services"] {
            assert!(count(plural) == 0 || named.contains(&kinds(plural)), "{named:?}");
        }
        let now = ["configmaps", "secrets", "services"].map(count).iter().sum::<usize>();
        assert!(now >= there, "{now} after {there}");
        there = now;
    }
    stack.apply("");
    assert_eq!(["configmaps", "secrets", "services"].map(count), [10, 10, 10]);
    stack.destroy().code(0);
    assert!(stack.live("/api/v1/namespaces/NS").is_null());
    assert!(stack.parent().is_null());
}
