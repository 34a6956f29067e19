//! What a plan says of fields that others set, that are not known yet, or that go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use serde_json::{Value as Json, json};

use super::Stack;
use crate::moto::Account;

const MANIFEST: &str = r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", namespace: "NS" });"#;
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS }\n---\n";

fn stack(yaml: &str) -> Stack {
    Stack::new(MANIFEST).file("templates/app.yaml", &format!("{NAMESPACE}{yaml}"))
}

#[test]
fn a_conflict_at_a_key_with_a_dot_is_a_conflict() {
    let quota =
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: all }\nspec: { hard: { requests.cpu: \"1\" } }\n";
    let stack = stack(quota);
    stack.apply("");
    let path = "/api/v1/namespaces/NS/resourcequotas/all";
    stack.edit_live(path, &json!({ "spec": { "hard": { "requests.cpu": "2" } } }));
    let said = stack.run("--yes").code(1);
    stack.says(&said.err, r#"kubectl-edit set `spec.hard["requests.cpu"]` to `2`, here it is `1`"#);
    assert_eq!(stack.get(path)["spec"]["hard"]["requests.cpu"], "2");
}

#[test]
fn what_kubectl_applied_goes_item_by_item_and_defaults_come_back() {
    let yaml = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: NS }\nspec:\n  \
        selector: { matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: web } }\n    spec:\n      \
        containers:\n        - name: web\n          image: web:1\n          env: [{ name: KEPT, value: a }]\n          \
        ports: [{ containerPort: 80 }]\n";
    let stack = Stack::new(
        r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", namespace: "NS" }, #{ adopt: true });"#,
    )
    .file("templates/app.yaml", yaml);
    stack.post("/api/v1/namespaces", &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "NS" } }));
    let containers = json!([
        { "name": "web", "image": "web:1", "ports": [{ "containerPort": 80 }, { "containerPort": 9000 }],
          "env": [{ "name": "KEPT", "value": "a" }, { "name": "DROPPED", "value": "b" }] },
        { "name": "side", "image": "side:1" },
    ]);
    let old = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": {
        "replicas": 2, "revisionHistoryLimit": 5, "selector": { "matchLabels": { "app": "web" } },
        "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": containers } } } });
    stack.post("/apis/apps/v1/namespaces/NS/deployments?fieldManager=kubectl-client-side-apply", &old);
    let path = "/apis/apps/v1/namespaces/NS/deployments/web";
    let replicas = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": {
        "replicas": 2 } });
    let (status, said) =
        stack.ask(Method::PATCH, &format!("{path}?fieldManager=scaler"), "apply-patch+yaml", &replicas);
    assert_eq!(status, 200, "{said}");
    let plan = stack.plan_says(&[
        "- spec.template.spec.containers[web].env[DROPPED]",
        "- spec.template.spec.containers[web].ports[9000]",
        "- spec.template.spec.containers[side]",
        "~ spec.revisionHistoryLimit:    5 -> 10",
        "applied client-side by kubectl-client-side-apply before",
    ]);
    let lines: Vec<&str> = plan.lines().filter(|line| line.contains(" spec.") && !line.contains('!')).collect();
    assert_eq!(lines.len(), 4, "what has a default and what others set stays: {plan}");
    stack.apply("");
    let live = stack.get(path);
    assert_eq!((&live["spec"]["replicas"], &live["spec"]["revisionHistoryLimit"]), (&json!(2), &json!(10)));
    let containers = live.pointer("/spec/template/spec/containers").unwrap().as_array().unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0]["env"], json!([{ "name": "KEPT", "value": "a" }]));
    assert_eq!(containers[0]["ports"].as_array().unwrap().len(), 1);
}

#[test]
fn only_what_cannot_be_changed_in_place_is_said_to_force_a_replacement() {
    let yaml = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  replicas: 1\n  \
        selector: { matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: web } }\n    \
        spec: { containers: [{ name: web, image: \"web:1\" }] }\n";
    let stack = stack(yaml);
    stack.apply("");
    stack.edit("templates/app.yaml", "app: web", "app: site");
    stack.edit("templates/app.yaml", "replicas: 1", "replicas: 2");
    let said = stack.run("--dry-run --format json").code(0).out;
    let told: Json = serde_json::from_str(&said).unwrap();
    let mut forcing = vec![];
    let mut all = 0;
    for change in told["changes"].as_array().unwrap() {
        for field in change["fields"].as_array().into_iter().flatten() {
            all += 1;
            if field["forces_replace"] == true {
                forcing.push(field["path"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(forcing, ["spec.selector.matchLabels.app"], "{said}");
    assert_eq!(all, 3, "{said}");
}

#[test]
fn what_is_not_known_yet_neither_shows_a_secret_nor_stops_the_plan() {
    let account = Account::new();
    let playbook = r#"
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16" });
k8s::manifest("app", #{ cluster: cluster, yaml: template("app.yaml", #{ vpc: vpc.id }), namespace: "NS" });
"#;
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata: { name: keys }\nstringData:\n  word: \"{{ vpc }}\"\n  other: same\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  replicas: 0\n  \
        selector: { matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: web } }\n    spec:\n      \
        containers:\n        - { name: web, image: \"web:1\" }\n";
    let inventory = format!("[aws]\nregion = \"eu-central-1\"\naccount = \"{}\"\n", account.number);
    let mut stack = Stack::new(playbook).file("templates/app.yaml", &format!("{NAMESPACE}{yaml}"));
    stack.project.write(&format!("inventory/{}.toml", stack.name), &inventory);
    stack.project = account.env().into_iter().fold(stack.project, |project, (name, value)| project.env(&name, &value));
    stack.apply("");
    let data = stack.get("/api/v1/namespaces/NS/secrets/keys")["data"].clone();
    let coded = data["word"].as_str().unwrap().to_owned();
    assert!(BASE64.decode(&coded).unwrap().starts_with(b"vpc-"));

    stack.edit("playbooks/main.rhai", "10.0.0.0/16", "10.1.0.0/16");
    let side = "image: \"web:1\" }\n        - { name: side, image: \"{{ vpc }}\" }\n";
    stack.edit("templates/app.yaml", "image: \"web:1\" }\n", side);
    let plan = stack.plan_says(&[
        "~ data.word:",
        "spec.template.spec.containers[side].image",
        "not validated, as some of it is known after apply",
        "2 to update, 1 to replace",
    ]);
    assert!(!plan.contains(&coded) && !plan.contains("- data.") && !plan.contains("stringData"), "{plan}");
    assert!(!plan.contains("containers[web]") && !plan.contains("data.other"), "{plan}");
    let json = stack.run("--dry-run --format json").code(0).out;
    assert!(!json.contains(&coded), "{json}");
    stack.apply("");
    stack.destroy().code(0);
}

#[test]
fn a_patch_that_could_mean_several_objects_is_refused() {
    let config = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: a, namespace: NS-{namespace} }}\ndata: {{ a: b }}\n---\n"
        )
    };
    let patched = r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", patches: [
    #{ apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "a" }, data: #{ a: "c" } },
] });"#;
    let stack = Stack::new(patched).file("templates/app.yaml", &[config("one"), config("two")].concat());
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "there are 2 ConfigMap `a`: in NS-one, NS-two");
    stack.says(&said.err, "say which with `metadata.namespace`");
    stack.edit("playbooks/main.rhai", "name: \"a\" }", "name: \"a\", namespace: \"NS-two\" }");
    stack.plan_says(&["k8s::ConfigMap.NS-two/a", "3 to create"]);
}
