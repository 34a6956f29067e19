//! What a plan says, and what it costs.

use std::collections::BTreeMap;

use http::Method;
use serde_json::json;

use super::Stack;
use crate::moto::Account;

const MANIFEST: &str = r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", namespace: "NS" });"#;
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS }\n---\n";
const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: registry.example.com/web:1
          resources: { limits: { cpu: 1000m, memory: 1024Mi } }
          env:
            - { name: NODE, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
---
"#;
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/NS/deployments/web";

fn stack(yaml: &str) -> Stack {
    Stack::new(MANIFEST).file("templates/app.yaml", &format!("{NAMESPACE}{yaml}"))
}

fn nothing_to_do(stack: &Stack) -> String {
    let said = stack.run("--dry-run --detailed-exitcode").code(0);
    assert!(said.out.contains("Nothing to do"), "{}", said.out);
    said.out
}

#[test]
fn a_conflict_is_told_with_its_manager_and_both_values_and_taken_over_when_asked() {
    let stack = stack(WEB);
    stack.apply("");
    let image = |image: &str| json!({ "spec": { "template": { "spec": { "containers": [{ "name": "web", "image": image }] } } } });
    let (status, said) = stack.ask(
        Method::PATCH,
        &format!("{DEPLOYMENT}?fieldManager=image-updater"),
        "strategic-merge-patch+json",
        &image("registry.example.com/web:7"),
    );
    assert_eq!(status, 200, "{said}");
    let said = stack.run("--yes").code(1);
    stack.says(
        &said.err,
        "image-updater set `spec.template.spec.containers[web].image` to `registry.example.com/web:7`, here it is `registry.example.com/web:1`",
    );
    stack.says(&said.err, "force_conflicts: true");
    assert!(!said.err.contains("fieldManager"), "{}", said.err);
    assert_eq!(
        stack.get(DEPLOYMENT).pointer("/spec/template/spec/containers/0/image").unwrap(),
        "registry.example.com/web:7"
    );

    stack.edit("playbooks/main.rhai", "file: \"app.yaml\"", "force_conflicts: true, file: \"app.yaml\"");
    stack.plan_says(&[
        r#"~ spec.template.spec.containers[web].image: "registry.example.com/web:7" -> "registry.example.com/web:1""#,
        "! taken over from image-updater: spec.template.spec.containers[web].image",
    ]);
    stack.apply("");
    // Once it is ours nothing needs to be forced.
    stack.edit("playbooks/main.rhai", "force_conflicts: true, ", "");
    nothing_to_do(&stack);
}

#[test]
fn a_conflict_in_which_no_value_differs_is_no_change() {
    let stack = stack(WEB);
    stack.apply("");
    let mine = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": {
        "selector": { "matchLabels": { "app": "web" } },
        "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web",
            "image": "registry.example.com/web:1",
            "resources": { "limits": { "cpu": "1", "memory": "1Gi" } },
            "env": [{ "name": "NODE", "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "spec.nodeName" } } }] }] } } } });
    let path = format!("{DEPLOYMENT}?fieldManager=argocd-controller&force=true");
    let (status, said) = stack.ask(Method::PATCH, &path, "apply-patch+yaml", &mine);
    assert_eq!(status, 200, "{said}");
    let since = stack.plane.mark();
    nothing_to_do(&stack);
    let conflicts = stack.requests(since).iter().filter(|request| request.code == 409).count();
    assert_eq!(conflicts, 1, "the API server does take it for a conflict");
    // A change elsewhere goes through, and takes nothing that differs.
    stack.edit(
        "templates/app.yaml",
        "labels: { app: web } }\n    spec",
        "labels: { app: web, tier: front } }\n    spec",
    );
    let plan = stack.plan_says(&["1 to update", "spec.template.metadata.labels.tier"]);
    assert!(!plan.contains("fieldRef"), "{plan}");
    stack.apply("");
}

#[test]
fn what_others_added_is_a_note_and_no_change() {
    let stack = stack(WEB);
    stack.apply("");
    stack.edit_live(DEPLOYMENT, &json!({ "metadata": { "labels": { "team": "blue" } } }));
    stack.patch_as("horizontal-pod-autoscaler", DEPLOYMENT, &json!({ "spec": { "replicas": 3 } }));
    stack.until("three replicas", || stack.get(DEPLOYMENT).pointer("/status/availableReplicas") == Some(&json!(3)));
    nothing_to_do(&stack);
    stack.edit("templates/app.yaml", "web:1", "web:2");
    let plan = stack.plan_says(&[
        "! kubectl-edit also set metadata.labels.team",
        "! horizontal-pod-autoscaler also set spec.replicas",
        "1 to update",
    ]);
    assert!(!plan.contains("~ spec.replicas") && !plan.contains("- metadata.labels"), "{plan}");
    let json = stack.run("--dry-run --format json").code(0).out;
    stack.says(&json, "kubectl-edit also set metadata.labels.team");
    stack.run("--yes").code(0);
    let live = stack.get(DEPLOYMENT);
    assert_eq!((&live["spec"]["replicas"], &live["metadata"]["labels"]["team"]), (&json!(3), &json!("blue")));
}

#[test]
fn an_object_that_moves_while_it_is_looked_at_is_no_change() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: busy }\ndata: { a: b }\n";
    let stack = stack(config);
    stack.apply("");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut beat = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                beat += 1;
                let told = json!({ "metadata": { "annotations": { "example.com/beat": beat.to_string() } } });
                stack.patch_as("heart", "/api/v1/namespaces/NS/configmaps/busy", &told);
            }
            beat
        });
        let plans: Vec<_> = (0..3).map(|_| stack.run("--dry-run --detailed-exitcode")).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(busy.join().unwrap() > 5);
        for said in plans {
            let said = said.code(0);
            assert!(said.out.contains("Nothing to do"), "{}", said.out);
        }
    });
}

#[test]
fn secrets_are_shown_nowhere() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: keys }\nstringData: { password: hushhush-1 }\ndata: { coded: aHVzaGh1c2gtMg== }\n---\n";
    let stack = stack(secret);
    let clean = |text: &str| {
        for secret in ["hushhush", "aHVzaGh1c2g"] {
            assert!(!text.contains(secret), "{text}");
        }
    };
    let check = |args: &str, code: i32| {
        let said = stack.run(args).code(code);
        clean(&said.out);
        clean(&said.err);
        said
    };
    check("--dry-run", 0);
    check("--dry-run --format json -vv", 0);
    check("--yes -vv", 0);
    stack.edit("templates/app.yaml", "hushhush-1", "hushhush-3");
    let plan = check("--dry-run", 0);
    stack.says(&plan.out, "data.password");
    check("--dry-run --format json", 0);
    check("--yes --format json -vv", 0);
    // Made anew, refused, not understood: none of them quotes it.
    stack.edit("templates/app.yaml", "metadata: { name: keys }", "metadata: { name: keys }\ntype: example.com/other");
    check("--dry-run", 0);
    check("--yes -vv", 0);
    stack.edit("templates/app.yaml", "aHVzaGh1c2gtMg==", "\"!hushhush\"");
    let said = check("--dry-run", 1);
    stack.says(&said.err, "`data.coded` is not base64");
    // The record of each run is there, and has none of it.
    let records = stack.project.shell("find .runner -type f | wc -l; grep -rlE 'hushhush|aHVzaGh1c2g' .runner").out;
    let mut lines = records.lines();
    assert!(lines.next().is_some_and(|count| count.trim().parse::<usize>().unwrap() > 1), "{records}");
    assert_eq!(lines.next(), None, "{records}");
    stack.edit("templates/app.yaml", "\"!hushhush\"", "aHVzaGh1c2gtMg==");
}

/// Five objects of each of eleven kinds, and their namespace.
fn sixty() -> String {
    let mut yaml = NAMESPACE.to_owned();
    for i in 0..5 {
        yaml += &format!(
            r#"apiVersion: v1
kind: ConfigMap
metadata: {{ name: c{i} }}
data: {{ a: b }}
---
apiVersion: v1
kind: Secret
metadata: {{ name: s{i} }}
stringData: {{ a: b }}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: a{i} }}
---
apiVersion: v1
kind: Service
metadata: {{ name: s{i} }}
spec: {{ selector: {{ app: d{i} }}, ports: [{{ port: 80, name: http }}, {{ port: 53, protocol: UDP, name: dns }}] }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: r{i} }}
rules: [{{ apiGroups: [""], resources: [pods], verbs: [get, list] }}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: r{i} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: r{i} }}
subjects: [{{ kind: ServiceAccount, name: a{i} }}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: d{i} }}
spec:
  replicas: 0
  selector: {{ matchLabels: {{ app: d{i} }} }}
  template:
    metadata: {{ labels: {{ app: d{i} }} }}
    spec:
      containers:
        - name: d
          image: d
          resources: {{ requests: {{ cpu: 1000m, memory: 0.5Gi }} }}
          readinessProbe: {{ httpGet: {{ path: /, port: http }} }}
          volumeMounts: [{{ name: tmp, mountPath: /tmp }}]
      volumes: [{{ name: tmp, emptyDir: {{}} }}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {{ name: j{i} }}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate: {{ spec: {{ template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: j, image: j }}] }} }} }} }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{ name: i{i} }}
spec:
  rules:
    - host: i{i}.example.com
      http: {{ paths: [{{ path: /, pathType: Prefix, backend: {{ service: {{ name: s{i}, port: {{ name: http }} }} }} }}] }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{ name: n{i} }}
spec: {{ podSelector: {{}}, ingress: [{{ from: [{{ podSelector: {{}} }}], ports: [{{ port: 80 }}] }}] }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{ name: p{i} }}
spec: {{ maxUnavailable: 1, selector: {{ matchLabels: {{ app: d{i} }} }} }}
---
"#
        );
    }
    yaml
}

#[test]
fn a_plan_of_many_objects_costs_a_listing_for_each_kind_and_a_question_for_each_object() {
    let stack = Stack::new(MANIFEST).file("templates/app.yaml", &sixty());
    // Its requests are told from those of all other tests by who asks.
    let user = format!("counted-{}", stack.name);
    let own = stack.plane.user(&user, &["system:masters"]);
    let shared = stack.plane.kubeconfig().to_str().unwrap().to_owned();
    stack.apply("");
    stack.edit("playbooks/main.rhai", &shared, own.to_str().unwrap());
    let since = stack.plane.mark();
    let said = stack.run("--dry-run --detailed-exitcode").code(0);
    assert!(said.out.contains("Nothing to do: 57 resources are as declared."), "{}", said.out);
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for request in stack.plane.requests(since).into_iter().filter(|request| request.user == user) {
        let what = if request.resource.is_empty() { request.uri.clone() } else { request.resource.clone() };
        let verb = if request.dry_run { "ask" } else { &request.verb };
        *calls.entry(format!("{verb} {what}")).or_default() += 1;
    }
    let kinds = [
        "configmaps",
        "secrets",
        "serviceaccounts",
        "services",
        "roles",
        "rolebindings",
        "deployments",
        "cronjobs",
        "ingresses",
        "networkpolicies",
        "poddisruptionbudgets",
    ];
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    for kind in kinds {
        expected.insert(format!("ask {kind}"), 5);
        expected.insert(format!("list {kind}"), 1);
    }
    expected.insert("ask namespaces".into(), 1);
    // The stack's own, and which are being deleted.
    expected.insert("list namespaces".into(), 2);
    expected.insert("get configmaps".into(), 1);
    expected.insert("get /api".into(), 1);
    expected.insert("get /apis".into(), 1);
    assert_eq!(calls, expected);
    let asked: Vec<_> = stack.plane.requests(since).into_iter().filter(|r| r.user == user && r.dry_run).collect();
    let at_a_time =
        asked.iter().map(|one| asked.iter().filter(|other| other.from <= one.from && one.from < other.to).count());
    assert!(matches!(at_a_time.max(), Some(2..=16)), "many, and not all, at a time");
}

#[test]
fn two_clusters_of_one_stack_keep_their_objects_apart() {
    // The same API server under another name, and with a parent elsewhere.
    let stack = Stack::new("");
    let kubeconfig = stack.plane.kubeconfig().to_str().unwrap().to_owned();
    let more = r#"
let edge = k8s::cluster("edge", #{ kubeconfig: "KUBECONFIG", namespace: "default", address_prefix: "edge" });
k8s::manifest("core", #{ cluster: cluster, yaml: "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS }\n" });
k8s::manifest("core", #{ cluster: edge, yaml: "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS-edge }\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: NS-edge }\n" });
"#;
    let text = stack.project.read("playbooks/main.rhai") + more;
    stack.project.write("playbooks/main.rhai", &text.replace("KUBECONFIG", &kubeconfig).replace("NS", &stack.name));
    stack.plan_says(&[
        "+ k8s::Namespace.NS",
        "+ k8s::Namespace.edge:NS-edge",
        "+ k8s::ConfigMap.edge:NS-edge/a",
        "5 to create",
    ]);
    stack.apply("");
    stack.edit(
        "playbooks/main.rhai",
        "\\n---\\napiVersion: v1\\nkind: ConfigMap\\nmetadata: { name: a, namespace: NS-edge }\\n",
        "\\n",
    );
    stack.plan_says(&["1 kept though not declared"]);
    stack.run("--yes --prune").code(0);
    assert!(!stack.is_there("/api/v1/namespaces/NS-edge/configmaps/a"));
    stack.destroy().code(0);
    assert!(!stack.is_there("/api/v1/namespaces/default/configmaps/runner-NS"));
}

#[test]
fn patches_are_laid_over_and_must_find_what_they_name() {
    let patched = r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", namespace: "NS", patches: [
    #{ apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "settings" }, data: #{ mode: "dark", old: () } },
] });"#;
    let config =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { mode: light, old: gone, kept: same }\n";
    let stack = Stack::new(patched).file("templates/app.yaml", &format!("{NAMESPACE}{config}"));
    stack.apply("");
    let live = stack.get("/api/v1/namespaces/NS/configmaps/settings");
    assert_eq!(live["data"], json!({ "mode": "dark", "kept": "same" }));
    stack.edit("playbooks/main.rhai", "name: \"settings\"", "name: \"setings\"");
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "there is no ConfigMap `setings`");
    stack.says(&said.err, "settings");
    stack.says(&said.err, "playbooks/main.rhai:2");
    stack.edit("playbooks/main.rhai", "kind: \"ConfigMap\", ", "");
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "`patches`: one of them has no `kind`");
}

#[test]
fn a_kind_in_lower_case_is_told_how_it_is_written() {
    let stack = Stack::new(r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml" });"#);
    let stack = stack.file("templates/app.yaml", "apiVersion: v1\nkind: configmap\nmetadata: { name: settings }\n");
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "templates/app.yaml:1");
    stack.says(&said.err, "`configmap` is no kind of Kubernetes");
    stack.says(&said.err, "kinds begin with a capital letter, such as `ConfigMap`");
}

#[test]
fn a_manifest_has_one_source() {
    for (inputs, told) in [
        ("", "one of `yaml`, `file` and `url` says what it is; none is given"),
        (", yaml: \"\", file: \"app.yaml\"", "yaml and file are given"),
        (", url: \"https://example.com/a.yaml\"", "`url` goes with `sha256`"),
        (", file: \"nowhere.yaml\"", "nowhere.yaml"),
        (", file: \"app.yaml\", sha256: \"00\"", "`sha256`"),
    ] {
        let stack = Stack::new(&format!("k8s::manifest(\"app\", #{{ cluster: cluster{inputs} }});"));
        let stack = stack.file("templates/app.yaml", NAMESPACE);
        let said = stack.run("--dry-run").code(1);
        stack.says(&said.err, told);
        stack.says(&said.err, "playbooks/main.rhai:2");
    }
}

#[test]
fn what_is_known_only_after_the_apply_is_carried_into_objects() {
    let account = Account::new();
    let playbook = r#"
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16" });
k8s::manifest("app", #{ cluster: cluster, yaml: template("app.yaml", #{ vpc: vpc.id }), namespace: "NS" });
"#;
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata:\n  vpc: {{ vpc }}\n  url: \"https://{{ vpc }}.example.com\"\n  mode: light\n";
    let inventory = format!("[aws]\nregion = \"eu-central-1\"\naccount = \"{}\"\n", account.number);
    let mut stack = Stack::new(playbook).file("templates/app.yaml", &format!("{NAMESPACE}{config}"));
    stack.project.write(&format!("inventory/{}.toml", stack.name), &inventory);
    stack.project = account.env().into_iter().fold(stack.project, |project, (name, value)| project.env(&name, &value));
    let vpc = || {
        let said = account.boto("ec2 = boto3.client('ec2', region_name='eu-central-1')\nprint([v['VpcId'] for v in ec2.describe_vpcs(Filters=[{'Name': 'tag:runner:stack', 'Values': ['*']}])['Vpcs']][0])");
        said.trim().to_owned()
    };
    stack.plan_says(&["vpc:", "(known after apply: aws::vpc.main.id)", "some of it is known after apply"]);
    stack.apply("");
    let first = vpc();
    let path = "/api/v1/namespaces/NS/configmaps/settings";
    let data = |vpc: &str, mode: &str| json!({ "vpc": vpc, "url": format!("https://{vpc}.example.com"), "mode": mode });
    assert_eq!(stack.get(path)["data"], data(&first, "light"));

    // Another VPC: what it will be called is not known, all else is compared.
    stack.edit("playbooks/main.rhai", "10.0.0.0/16", "10.1.0.0/16");
    stack.edit("templates/app.yaml", "mode: light", "mode: dark");
    stack.plan_says(&[
        &format!("~ data.vpc:  \"{first}\" -> (known after apply: aws::vpc.main.id)"),
        r#"~ data.mode: "light" -> "dark""#,
        "1 to update, 1 to replace",
    ]);
    stack.apply("");
    assert_ne!(vpc(), first);
    assert_eq!(stack.get(path)["data"], data(&vpc(), "dark"));
    stack.destroy().code(0);
}

#[test]
fn another_version_of_a_group_is_the_same_object() {
    let scaler = "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: { name: web }\nspec:\n  maxReplicas: 3\n  \
        scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }\n  targetCPUUtilizationPercentage: 80\n";
    let stack = stack(scaler);
    stack.apply("");
    stack.edit("templates/app.yaml", "autoscaling/v1", "autoscaling/v2");
    let metrics =
        "metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 80 } } }]";
    stack.edit("templates/app.yaml", "targetCPUUtilizationPercentage: 80", metrics);
    nothing_to_do(&stack);
    stack.edit("templates/app.yaml", "maxReplicas: 3", "maxReplicas: 4");
    let plan = stack.plan_says(&["~ spec.maxReplicas: 3 -> 4", "1 to update"]);
    assert!(!plan.contains("metrics"), "{plan}");
    stack.apply("");
}
