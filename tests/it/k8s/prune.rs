//! Whose an object is, and what happens to what is no longer declared.

use serde_json::json;

use super::{Stack, until};

const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: NS }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: keeps, namespace: NS }
data: { a: \"1\" }
---
apiVersion: v1
kind: Service
metadata: { name: goes, namespace: NS }
spec: { ports: [{ port: 80 }] }
";

const SERVICE: &str = "---
apiVersion: v1
kind: Service
metadata: { name: goes, namespace: NS }
spec: { ports: [{ port: 80 }] }
";

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: NS }
---";

fn stack(yaml: &str) -> Stack {
    Stack::new(r#"k8s::manifest("m", #{ cluster: cluster, file: "web.yaml" });"#).file("templates/web.yaml", yaml)
}

#[test]
fn the_applyset_is_what_kubectl_writes_and_grows_before_and_shrinks_after() {
    let stack = stack(OBJECTS);
    let mark = stack.plane.mark();
    stack.apply("");
    let parent = stack.parent();
    let set = parent["metadata"]["labels"]["applyset.kubernetes.io/id"].as_str().unwrap().to_owned();
    // sha256 of `name.namespace.kind.group`, in base64 for URLs without padding: 43 characters.
    assert!(set.starts_with("applyset-") && set.ends_with("-v1") && set.len() == "applyset--v1".len() + 43, "{set}");
    let annotation =
        |name: &str| stack.parent()["metadata"]["annotations"][format!("applyset.kubernetes.io/{name}")].clone();
    assert_eq!(annotation("contains-group-kinds"), "ConfigMap,Namespace,Service");
    assert_eq!(annotation("additional-namespaces"), stack.name.as_str());
    assert!(annotation("tooling").as_str().unwrap().starts_with("runner/"));
    for path in
        ["/api/v1/namespaces/NS", "/api/v1/namespaces/NS/configmaps/keeps", "/api/v1/namespaces/NS/services/goes"]
    {
        assert_eq!(stack.live(path)["metadata"]["labels"]["applyset.kubernetes.io/part-of"], set.as_str());
    }
    // Before the first object of a kind is written, the parent names the kind.
    let written = stack.requests(mark);
    let written: Vec<_> = written.iter().filter(|one| one.verb == "patch" && !one.dry_run).collect();
    let parent = |one: &str| one == stack.named("runner-NS");
    assert!(parent(&written[0].name), "{written:?}");
    for (at, one) in written.iter().enumerate().filter(|(_, one)| !parent(&one.name)) {
        assert!(parent(&written[at - 1].name) || at > 1, "{one:?}");
    }

    stack.edit("templates/web.yaml", SERVICE, "");
    let mark = stack.plane.mark();
    stack.run("--yes --prune").code(0);
    assert!(stack.live("/api/v1/namespaces/NS/services/goes").is_null());
    assert!(!stack.live("/api/v1/namespaces/NS/configmaps/keeps").is_null());
    assert_eq!(annotation("contains-group-kinds"), "ConfigMap,Namespace");
    let done = stack.requests(mark);
    let deleted: Vec<&str> = done.iter().filter(|one| one.verb == "delete").map(|one| one.name.as_str()).collect();
    assert_eq!(deleted, ["goes"]);
    let gone = done.iter().position(|one| one.verb == "delete").unwrap();
    let narrowed = done.iter().rposition(|one| one.verb == "patch" && parent(&one.name)).unwrap();
    assert!(gone < narrowed);

    let mark = stack.plane.mark();
    stack.destroy().code(0);
    let done = stack.requests(mark);
    let deleted: Vec<&str> = done.iter().filter(|one| one.verb == "delete").map(|one| one.name.as_str()).collect();
    assert_eq!(deleted, ["keeps", &stack.name, &stack.named("runner-NS")]);
    assert!(stack.live("/api/v1/namespaces/NS").is_null() && stack.parent().is_null());
}

#[test]
fn after_a_failure_or_in_one_phase_nothing_is_pruned() {
    let stack = stack(OBJECTS);
    stack.apply("");
    let job = r#"---
apiVersion: batch/v1
kind: Job
metadata: { name: fails, namespace: NS }
spec:
  backoffLimit: 0
  template:
    metadata: { annotations: { fake/exit: "1" } }
    spec: { restartPolicy: Never, containers: [{ name: fails, image: registry.example.com/once:1 }] }
"#;
    stack.edit("templates/web.yaml", SERVICE, job);
    let said = stack.run("--yes --prune").code(1).errors(1);
    assert!(!stack.live("/api/v1/namespaces/NS/services/goes").is_null());
    said.tells(&[&stack.named("k8s::Service.NS/goes"), "skipped"]);
    let said = stack.run("--yes --prune --phase other");
    assert!(said.code != 0);
    assert!(!stack.live("/api/v1/namespaces/NS/services/goes").is_null());
}

#[test]
fn what_holds_others_is_pruned_only_by_name() {
    let claim = "---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data, namespace: NS }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
---
apiVersion: v1
kind: Namespace
metadata: { name: NS-b }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.NS.example.com }
spec:
  group: NS.example.com
  names: { plural: widgets, singular: widget, kind: Widget }
  scope: Namespaced
  versions:
    - { name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }
---
apiVersion: NS.example.com/v1
kind: Widget
metadata: { name: one, namespace: NS }
";
    let stack = stack(&format!("{NAMESPACE}\n{}", &claim[4..]));
    stack.apply("");
    stack.project.write("templates/web.yaml", &stack.named(NAMESPACE));
    let said = stack.run("--yes --prune").code(0);
    let named = stack.named("--prune=k8s::Namespace.NS-b");
    said.tells(&[
        &named,
        &stack.named("--prune=k8s::PersistentVolumeClaim.NS/data"),
        &stack.named("--prune=k8s::CustomResourceDefinition.widgets.NS.example.com"),
    ]);
    assert!(!stack.live("/api/v1/namespaces/NS-b").is_null());
    assert!(!stack.live("/api/v1/namespaces/NS/persistentvolumeclaims/data").is_null());
    assert!(!stack.live("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.NS.example.com").is_null());
    assert!(stack.live("/apis/NS.example.com/v1/namespaces/NS/widgets/one").is_null());
    stack.run(&format!("--yes {named}")).code(0);
    assert!(stack.live("/api/v1/namespaces/NS-b").is_null());
    assert!(!stack.live("/api/v1/namespaces/NS/persistentvolumeclaims/data").is_null());
    // A definition that somebody else removed, with all objects of its kind, is no trouble.
    stack.remove("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.NS.example.com");
    stack.run("--dry-run").code(0);
    stack.destroy().code(0);
    assert!(stack.parent().is_null());
}

#[test]
fn custom_resources_go_before_their_definition() {
    let text = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.NS.example.com }
spec:
  group: NS.example.com
  names: { plural: widgets, singular: widget, kind: Widget }
  scope: Namespaced
  versions:
    - { name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }
---
apiVersion: NS.example.com/v1
kind: Widget
metadata: { name: one, namespace: NS }
";
    let stack = stack(&format!("{NAMESPACE}{text}"));
    stack.apply("");
    let mark = stack.plane.mark();
    stack.destroy().code(0);
    let done = stack.requests(mark);
    let at = |resource: &str| done.iter().position(|one| one.verb == "delete" && one.resource == resource).unwrap();
    assert!(at("widgets") < at("customresourcedefinitions") && at("widgets") < at("namespaces"), "{done:?}");
    assert!(at("customresourcedefinitions") < at("configmaps") && at("namespaces") < at("configmaps"), "{done:?}");
}

#[test]
fn an_object_of_nobody_or_of_another_stack_is_not_taken_over_unasked() {
    let stack = stack(OBJECTS);
    stack.make("/api/v1/namespaces", json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "NS" } }));
    stack.run("--dry-run").code(1).errors(1).tells(&["adopt: true", "another name"]);
    let playbook = stack.project.read("playbooks/main.rhai");
    let adopts = playbook.replace("\"web.yaml\" }", "\"web.yaml\" }, #{ adopt: true }");
    stack.project.write("playbooks/main.rhai", &adopts);
    stack.run("--yes").code(0);
    stack.apply("");
    // Another stack that declares the same.
    let other = Stack::new(r#"k8s::manifest("m", #{ cluster: cluster, file: "web.yaml" });"#);
    other.project.write("templates/web.yaml", &stack.named(OBJECTS));
    let said = other.run("--dry-run").code(1);
    said.tells(&[&stack.named("stack `NS` owns it"), "another name"]);
    stack.destroy().code(0);
}

#[test]
fn what_is_protected_stays_until_the_protection_is_taken_off() {
    let stack = stack(OBJECTS);
    let playbook = stack.project.read("playbooks/main.rhai");
    stack
        .project
        .write("playbooks/main.rhai", &playbook.replace("\"web.yaml\" }", "\"web.yaml\" }, #{ protect: true }"));
    stack.apply("");
    let said = stack.destroy();
    said.code(1).tells(&["is protected"]);
    assert!(!stack.live("/api/v1/namespaces/NS/services/goes").is_null());
    // The object itself remembers: the option need not be there any more.
    stack.edit("templates/web.yaml", SERVICE, "");
    let said = stack.run("--yes --prune");
    said.code(1).tells(&["is protected"]);
    assert!(!stack.live("/api/v1/namespaces/NS/services/goes").is_null());
    stack.project.write("templates/web.yaml", &stack.named(OBJECTS));
    stack.project.write("playbooks/main.rhai", &playbook);
    stack.apply("");
    stack.destroy().code(0);
}

#[test]
fn a_foreign_config_map_in_the_parents_place_is_refused() {
    let stack = stack(OBJECTS);
    let foreign = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "runner-NS" }, "data": { "mine": "yes" } });
    stack.make("/api/v1/namespaces/kube-system/configmaps", foreign);
    stack.run("--yes").code(1).errors(1).tells(&[&stack.named("runner-NS"), "another `namespace`"]);
    assert_eq!(stack.parent()["data"]["mine"], "yes");
    stack.remove("/api/v1/namespaces/kube-system/configmaps/runner-NS");
}

#[test]
fn an_object_made_anew_by_somebody_since_the_plan_is_not_deleted() {
    let slow = r#"---
apiVersion: apps/v1
kind: Deployment
metadata: { name: slow, namespace: NS }
spec:
  selector: { matchLabels: { app: slow } }
  template:
    metadata: { labels: { app: slow }, annotations: { fake/delay: "5" } }
    spec: { containers: [{ name: slow, image: registry.example.com/slow:1 }] }
"#;
    let stack = stack(OBJECTS);
    stack.apply("");
    stack.edit("templates/web.yaml", SERVICE, slow);
    let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes --prune", stack.name));
    until("the Deployment", || (!stack.live("/apis/apps/v1/namespaces/NS/deployments/slow").is_null()).then_some(()));
    let old = stack.live("/api/v1/namespaces/NS/services/goes");
    stack.remove("/api/v1/namespaces/NS/services/goes");
    let labels = old["metadata"]["labels"].clone();
    let new = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "goes", "labels": labels }, "spec": { "ports": [{ "port": 80 }] } });
    stack.make("/api/v1/namespaces/NS/services", new);
    let said = run.end();
    said.code(1).tells(&["changed since the plan"]);
    assert!(!stack.live("/api/v1/namespaces/NS/services/goes").is_null());
}

#[test]
fn a_cluster_of_which_nothing_is_declared_any_more_is_looked_through() {
    let stack = stack(&format!(
        "{NAMESPACE}\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: settings, namespace: NS }}\ndata: {{ a: b }}\n"
    ));
    stack.apply("");
    let whole = stack.project.read("playbooks/main.rhai");
    let cluster_only = whole.lines().find(|line| line.contains("k8s::cluster")).unwrap().to_owned();
    stack.project.write("playbooks/main.rhai", &cluster_only);
    let plan = stack.run("--dry-run").code(0);
    plan.tells(&["2 kept though not declared", &stack.named("k8s::ConfigMap.NS/settings")]);
    stack.run("--yes --prune").code(0);
    assert!(stack.live("/api/v1/namespaces/NS/configmaps/settings").is_null());
    assert!(!stack.live("/api/v1/namespaces/NS").is_null());

    // An ApplySet that was lost is mended by what is found by name and still wears its label.
    stack.project.write("playbooks/main.rhai", &whole);
    stack.apply("");
    stack.remove("/api/v1/namespaces/kube-system/configmaps/runner-NS");
    stack.apply("");
    stack.project.write("playbooks/main.rhai", &cluster_only);
    stack.run("--dry-run").code(0).tells(&["2 kept though not declared"]);
    stack.destroy().code(0).tells(&["3 deleted"]);
    assert!(stack.live("/api/v1/namespaces/NS").is_null());
    assert!(stack.parent().is_null());
}

#[test]
fn a_kind_is_not_forgotten_while_one_of_it_is_still_going() {
    let held = "data: { a: \"1\" }\n---\napiVersion: v1\nkind: Secret\nmetadata: { name: held, namespace: NS, finalizers: [example.com/hold] }";
    let stack = stack(&OBJECTS.replace("data: { a: \"1\" }", held));
    stack.apply("");
    let path = "/api/v1/namespaces/NS/secrets/held";
    stack.project.write("templates/web.yaml", &stack.named(OBJECTS));
    let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes --prune", stack.name));
    until("its way out", || stack.live(path).pointer("/metadata/deletionTimestamp").map(drop));
    // Long enough for the parent to be written after the deletion.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let kinds = stack.parent()["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"].clone();
    assert_eq!(kinds, "ConfigMap,Namespace,Secret,Service");
    stack.change(path, json!({ "metadata": { "finalizers": null } }));
    run.end().code(0);
    assert!(stack.live(path).is_null());
    stack.run("--dry-run --detailed-exitcode").code(0);
    stack.destroy().code(0);
}
