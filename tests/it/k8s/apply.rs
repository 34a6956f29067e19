//! What it takes to apply manifests as they are in the world.

use http::Method;
use serde_json::json;

use super::Stack;
use crate::project::heard;

const MANIFEST: &str = r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", namespace: "NS" });"#;

fn stack(yaml: &str) -> Stack {
    Stack::new(MANIFEST).file("templates/app.yaml", yaml)
}

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS }\n---\n";

fn in_namespace(yaml: &str) -> Stack {
    stack(&format!("{NAMESPACE}{yaml}"))
}

fn deployment(name: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name} }}\nspec:\n  selector: {{ matchLabels: {{ app: {name} }} }}\n  \
         template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    spec:\n      containers:\n        - {{ name: {name}, image: \
         \"registry.example.com/{name}:1\"{more} }}\n---\n"
    )
}

fn definition(kind: &str, description: &str) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: {plural}.NS.example.com }}\n\
         spec:\n  group: NS.example.com\n  scope: Namespaced\n  names: {{ kind: {kind}, plural: {plural}, singular: {} }}\n  \
         versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema:\n          \
         type: object\n          description: \"{description}\"\n          properties:\n            spec: {{ type: object, \
         x-kubernetes-preserve-unknown-fields: true }}\n---\n",
        kind.to_lowercase()
    )
}

/// A webhook that is asked about Ingresses of this namespace only.
fn webhook(conditions: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{ name: NS }}\nwebhooks:\n  \
         - name: ingresses.NS.example.com\n    failurePolicy: Fail\n    sideEffects: None\n    admissionReviewVersions: [v1]\n    \
         timeoutSeconds: 1\n    namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: NS }} }}\n    clientConfig: \
         {{ service: {{ namespace: NS, name: hook, path: /validate }} }}\n    rules:\n      - {{ apiGroups: [networking.k8s.io], \
         apiVersions: [v1], operations: [CREATE, UPDATE], resources: [ingresses] }}\n{conditions}---\n"
    )
}

const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: web }\nspec:\n  rules:\n    \
    - host: web.example.com\n      http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: hook, port: { number: 443 } } } }] }\n---\n";

const HOOK: &str = "apiVersion: v1\nkind: Service\nmetadata: { name: hook }\nspec: { selector: { app: hook }, ports: [{ port: 443 }] }\n---\n";

#[test]
fn a_manifest_in_any_order_is_applied_in_the_order_of_its_needs() {
    let yaml = [
        INGRESS,
        &webhook("    matchConditions: [{ name: never, expression: \"false\" }]\n"),
        "apiVersion: NS.example.com/v1\nkind: Widget\nmetadata: { name: one }\nspec: { size: 1 }\n---\n",
        &deployment("hook", ", envFrom: [{ configMapRef: { name: settings } }]"),
        HOOK,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { a: b }\n---\n",
        // Client-side apply could not carry it: its annotation may hold 262,144 bytes.
        &definition("Widget", &"x".repeat(300_000)),
        NAMESPACE,
    ];
    let stack = stack(&yaml.concat());
    stack.plan_says(&[
        "+ k8s::Widget.NS/one",
        "not validated yet",
        "Plan: 9 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.",
    ]);
    let since = stack.plane.mark();
    stack.apply("");
    let written: Vec<String> = stack
        .requests(since)
        .iter()
        .filter(|request| request.verb == "patch" && !request.dry_run && request.code < 300 && request.user == "test")
        .map(|request| request.resource.clone())
        .collect();
    let place = |resource: &str| {
        let places: Vec<usize> = (0..written.len()).filter(|at| written[*at] == resource).collect();
        assert_eq!(places.len(), 1, "{resource} is written once: {written:?}");
        places[0]
    };
    for (first, then) in [
        ("namespaces", "configmaps/settings"),
        ("customresourcedefinitions", "widgets"),
        ("deployments", "validatingwebhookconfigurations"),
        ("services", "validatingwebhookconfigurations"),
        ("validatingwebhookconfigurations", "ingresses"),
    ] {
        if first == "namespaces" {
            for inside in ["deployments", "services", "widgets", "ingresses"] {
                assert!(place("namespaces") < place(inside), "{written:?}");
            }
            continue;
        }
        assert!(place(first) < place(then), "{first} before {then}: {written:?}");
    }
    // The webhook waits until the pods behind it can answer.
    let time = |path: &str, at: &str| stack.get(path).pointer(at).unwrap().as_str().unwrap().to_owned();
    let ready = stack.get("/apis/apps/v1/namespaces/NS/deployments/hook");
    let available =
        ready["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Available").unwrap();
    let hooked =
        time("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/NS", "/metadata/creationTimestamp");
    assert!(available["lastTransitionTime"].as_str() <= Some(hooked.as_str()), "{available} {hooked}");
    stack.destroy().code(0);
}

#[test]
fn a_webhook_that_cannot_be_asked_is_waited_for() {
    let stack = in_namespace(&[HOOK, &webhook(""), INGRESS].concat());
    let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes", stack.name));
    let said = heard(&run.err, "cannot be asked");
    stack.says(&said, "the webhook `ingresses.NS.example.com` cannot be asked");
    // Neither is a plan refused by it: that says what it could not find out.
    let plan = stack.plan_says(&["+ k8s::Ingress.NS/web"]);
    stack.says(&plan, "the webhook `ingresses.NS.example.com` cannot be asked");
    let hook = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/NS";
    stack.edit_live(hook, &json!({ "webhooks": [] }));
    run.end().code(0);
    assert!(stack.is_there("/apis/networking.k8s.io/v1/namespaces/NS/ingresses/web"));
    stack.destroy().code(0);
}

#[test]
fn custom_resources_may_stand_in_another_manifest_than_their_definition() {
    let two = r#"
k8s::manifest("own", #{ cluster: cluster, file: "own.yaml", namespace: "NS" });
k8s::manifest("crds", #{ cluster: cluster, file: "crds.yaml" });
"#;
    let one = "apiVersion: NS.example.com/v1\nkind: Gadget\nmetadata: { name: one }\nspec: { size: 1 }\n";
    let stack = Stack::new(two)
        .file("templates/crds.yaml", &definition("Gadget", "a gadget"))
        .file("templates/own.yaml", &format!("{NAMESPACE}{one}"));
    stack.plan_says(&["Gadget is not served yet", "4 to create"]);
    stack.apply("");
    stack.edit("templates/own.yaml", "size: 1", "size: 2");
    stack.edit("templates/crds.yaml", "a gadget", "any gadget");
    stack.plan_says(&["~ spec.size: 1 -> 2", "2 to update"]);
    stack.apply("");
    stack.destroy().code(0);
}

#[test]
fn what_is_not_declared_and_not_there_is_told_at_once() {
    let stack = stack("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n");
    stack.plan_says(&["namespace `NS` does not exist yet"]);
    let since = stack.plane.mark();
    let said = stack.run("--yes").code(1);
    stack.says(&said.err, "there is no namespace `NS`");
    stack.says(&said.err, "declare the namespace too: `kind: Namespace` with the name `NS`");
    stack.says(&said.err, "templates/app.yaml:1");
    let tried = stack
        .requests(since)
        .iter()
        .filter(|request| request.verb == "patch" && !request.dry_run && request.name == "a")
        .count();
    assert_eq!(tried, 1, "it is not tried again");

    stack.project.write("templates/app.yaml", "apiVersion: example.org/v1\nkind: Sprocket\nmetadata: { name: a }\n");
    let said = stack.run("--yes").code(1);
    stack.says(&said.err, "does not serve Sprocket of example.org/v1");
    stack.says(&said.err, "declare its CustomResourceDefinition");
}

#[test]
fn what_does_not_fit_the_schema_is_told_by_the_plan_and_never_tried_again() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec:\n  ports:\n    - { port: 80 }\n    - { port: 80 }\n---\n";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: flags }\ndata:\n  debug: true\n---\n";
    let ports = ", ports: [{ containerPort: 80 }, { containerPort: 80 }]";
    let stack = in_namespace("");
    stack.apply("");
    let whole = [NAMESPACE, &deployment("web", ", imagee: x"), service, config, &deployment("twice", ports)].concat();
    stack.project.write("templates/app.yaml", &whole.replace("NS", &stack.name));
    let since = stack.plane.mark();
    let said = stack.run("--dry-run").code(1);
    for told in [
        "k8s::Deployment.NS/web",
        "`spec.template.spec.containers[web].imagee`: field not declared in schema",
        "is the field misspelt",
        "k8s::Service.NS/web",
        "port=80",
        "k8s::ConfigMap.NS/flags",
        "`data.debug`: expected string, got `true`",
        "k8s::Deployment.NS/twice",
        "`spec.template.spec.containers[twice].ports`: duplicate entries for key [containerPort=80",
        "templates/app.yaml:5",
    ] {
        stack.says(&said.err, told);
    }
    assert!(!said.err.contains("failed to create typed"), "{}", said.err);
    let asked: Vec<_> =
        stack.requests(since).into_iter().filter(|request| request.dry_run && request.code >= 400).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
}

#[test]
fn keys_that_go_from_a_secret_go_from_the_cluster() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: keys }\nstringData:\n  first: hushhush1\n  second: hushhush2\n---\n";
    let stack = in_namespace(secret);
    stack.apply("");
    stack.edit("templates/app.yaml", "  second: hushhush2\n", "");
    let plan = stack.plan_says(&["data.second", "1 to update"]);
    assert!(!plan.contains("hushhush") && !plan.contains("aHVzaG"), "{plan}");
    stack.apply("");
    let live = stack.get("/api/v1/namespaces/NS/secrets/keys");
    assert_eq!(live["data"], json!({ "first": "aHVzaGh1c2gx" }));
    // What somebody else wrote over it is not overwritten without a word.
    stack.edit_live("/api/v1/namespaces/NS/secrets/keys", &json!({ "data": { "first": "b3RoZXI=" } }));
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "kubectl-edit set `data.first`");
    assert!(!said.err.contains("b3RoZXI") && !said.err.contains("aHVzaG"), "{}", said.err);
}

#[test]
fn what_cannot_be_changed_in_place_is_made_anew() {
    let rbac = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: { name: reads }\nroleRef: { apiGroup: \
        rbac.authorization.k8s.io, kind: ClusterRole, name: view }\nsubjects: [{ kind: ServiceAccount, name: default, namespace: NS }]\n---\n";
    let class = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: { name: NS }\nspec: { controller: example.com/one }\n---\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: edge }\nspec: { type: LoadBalancer, loadBalancerClass: example.com/one, ports: [{ port: 80 }] }\n---\n";
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: once }\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
        containers: [{ name: once, image: once:1, env: [{ name: PASSWORD, value: hushhush }] }]\n---\n";
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: db }\nspec:\n  serviceName: one\n  selector: { matchLabels: { app: db } }\n  \
        template:\n    metadata: { labels: { app: db } }\n    spec: { containers: [{ name: db, image: db:1 }] }\n---\n";
    let stack = in_namespace(&[&deployment("web", ""), rbac, class, service, job, set].concat());
    stack.apply("");
    for (from, to) in [
        ("app: web", "app: site"),
        ("name: view", "name: edit"),
        ("controller: example.com/one", "controller: example.com/two"),
        ("loadBalancerClass: example.com/one", "loadBalancerClass: example.com/two"),
        ("once:1", "once:2"),
        ("serviceName: one", "serviceName: two"),
    ] {
        stack.edit("templates/app.yaml", from, to);
    }
    let plan = stack.plan_says(&["0 to create, 0 to update, 6 to replace, 0 to delete"]);
    assert!(!plan.contains("hushhush"), "{plan}");
    for line in [
        r#"spec.selector.matchLabels.app: "web" -> "site""#,
        r#"roleRef.name: "view" -> "edit""#,
        r#"spec.controller: "example.com/one" -> "example.com/two""#,
        r#"spec.loadBalancerClass: "example.com/one" -> "example.com/two""#,
        r#"spec.template.spec.containers[once].image: "once:1" -> "once:2""#,
        r#"spec.serviceName: "one" -> "two""#,
    ] {
        stack.says(&plan, line);
    }
    stack.apply("");
    assert_eq!(stack.get("/apis/networking.k8s.io/v1/ingressclasses/NS")["spec"]["controller"], "example.com/two");
}

#[test]
fn a_job_that_removes_itself_runs_once_and_again_when_it_changes() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: once }\nspec:\n  ttlSecondsAfterFinished: 0\n  template:\n    \
        spec: { restartPolicy: Never, containers: [{ name: once, image: once:1 }] }\n---\n";
    let stack = in_namespace(job);
    let path = "/apis/batch/v1/namespaces/NS/jobs/once";
    stack.run("--yes").code(0);
    stack.until("the end of the Job", || !stack.is_there(path));
    let again = stack.run("--dry-run --detailed-exitcode").code(0);
    stack.says(&again.out, "Nothing to do");
    stack.edit("templates/app.yaml", "once:1", "once:2");
    stack.plan_says(&["it removed itself when it was done, and runs once more"]);
    let since = stack.plane.mark();
    stack.run("--yes").code(0);
    let ran = stack
        .requests(since)
        .iter()
        .any(|request| request.resource == "jobs" && request.verb == "patch" && !request.dry_run);
    assert!(ran);
    stack.until("the end of the Job", || !stack.is_there(path));
    stack.run("--dry-run --detailed-exitcode").code(0);
    // What is dropped from the manifest is forgotten as well.
    stack.project.write("templates/app.yaml", &NAMESPACE.replace("NS", &stack.name));
    stack.run("--yes --prune").code(0);
    let parent = stack.get("/api/v1/namespaces/kube-system/configmaps/runner-NS");
    assert_eq!(parent.pointer("/data/jobs"), None, "{parent}");
    stack.run("--dry-run --detailed-exitcode").code(0);
}

#[test]
fn an_update_whose_pods_never_run_is_no_success_though_the_old_ones_are_available() {
    let stack = in_namespace(&deployment("web", ""));
    stack.apply("");
    let with = "labels: { app: web }, annotations: { fake/ready: \"false\", fake/reason: ImagePullBackOff, fake/message: no such image } }";
    stack.edit("templates/app.yaml", "    metadata: { labels: { app: web } }", &format!("    metadata: {{ {with}"));
    stack.edit("templates/app.yaml", "spec:\n  selector", "spec:\n  progressDeadlineSeconds: 15\n  selector");
    let said = stack.run("--yes").code(1);
    let live = stack.get("/apis/apps/v1/namespaces/NS/deployments/web");
    let available = live["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Available").unwrap();
    assert_eq!(available["status"], "True");
    stack.says(&said.err, "ImagePullBackOff");
    stack.says(&said.err, "no such image");
}

#[test]
fn what_is_on_its_way_out_is_waited_for() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { a: b }\n---\n";
    let stack = in_namespace(config);
    stack.apply("");
    let path = "/api/v1/namespaces/NS/configmaps/a";
    let held = json!({ "metadata": { "finalizers": ["example.com/held"] } });
    let free = json!({ "metadata": { "finalizers": null } });
    stack.edit_live(path, &held);
    stack.delete_live(path);
    let old = stack.get(path)["metadata"]["uid"].clone();
    stack.plan_says(&["+ k8s::ConfigMap.NS/a", "the one that is there is being deleted first"]);
    let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes", stack.name));
    heard(&run.err, "deleted");
    stack.edit_live(path, &free);
    run.end().code(0);
    assert_ne!(stack.get(path)["metadata"]["uid"], old);

    // The same with its whole namespace.
    stack.edit_live(path, &held);
    stack.delete_live("/api/v1/namespaces/NS");
    stack.plan_says(&["is being deleted"]);
    let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes", stack.name));
    heard(&run.err, "deleted");
    stack.edit_live(path, &free);
    run.end().code(0);
    assert_eq!(stack.get(path)["data"], json!({ "a": "b" }));
    stack.run("--dry-run --detailed-exitcode").code(0);
}

#[test]
fn what_kubectl_applied_before_is_taken_over_whole() {
    let config =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: NS }\ndata: { kept: one, dropped: two }\n";
    let stack = Stack::new(
        r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", namespace: "NS" }, #{ adopt: true });"#,
    )
    .file("templates/app.yaml", config);
    stack.post("/api/v1/namespaces", &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "NS" } }));
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{}}\n" } }, "data": { "kept": "one", "dropped": "two" } });
    stack.post("/api/v1/namespaces/NS/configmaps?fieldManager=kubectl-client-side-apply", &object);
    stack.edit("templates/app.yaml", ", dropped: two", "");
    let plan = stack.plan_says(&["- data.dropped", "applied client-side by kubectl-client-side-apply before"]);
    assert!(!plan.contains("also set"), "{plan}");
    stack.apply("");
    let live = stack.get("/api/v1/namespaces/NS/configmaps/a");
    assert_eq!(live["data"], json!({ "kept": "one" }));
    assert_eq!(live["metadata"].get("annotations"), None, "{live}");
}

#[test]
fn what_nobody_should_send_is_refused_before_anything_is_asked() {
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n---\n";
    let copied = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  managedFields: []\n";
    let stack = stack(&[twice, copied].concat());
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "ConfigMap `a` is there twice: in line 1 and in line 5");
    stack.says(&said.err, "which only the cluster sets");
    stack.says(&said.err, "templates/app.yaml:9");

    // And by two manifests.
    let two = "k8s::manifest(\"more\", #{ cluster: cluster, file: \"app.yaml\", namespace: \"NS\" });";
    stack.project.write("templates/app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n");
    let text = stack.project.read("playbooks/main.rhai");
    stack.project.write("playbooks/main.rhai", &(text + two.replace("NS", &stack.name).as_str()));
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "`k8s::ConfigMap.NS/a` is declared twice");
    stack.says(&said.err, "patches");
    for place in ["--> playbooks/main.rhai:2:91", "::: templates/app.yaml:1"] {
        stack.says(&said.err, place);
    }
}

#[test]
fn the_api_servers_warnings_stand_in_the_plan() {
    let old = "apiVersion: v1\nkind: Pod\nmetadata: { name: old }\nspec:\n  nodeSelector: { beta.kubernetes.io/os: linux }\n  \
        containers: [{ name: old, image: old }]\n";
    let stack = in_namespace("");
    stack.apply("");
    let text = stack.project.read("templates/app.yaml");
    stack.project.write("templates/app.yaml", &(text + old));
    stack.plan_says(&["+ k8s::Pod.NS/old", "deprecated since v1.14", "kubernetes.io/os"]);
    stack.destroy().code(0);
    assert_eq!(stack.ask(Method::GET, "/api/v1/namespaces/NS/pods/old", "json", &json!(null)).0, 404);
}

#[test]
fn a_definition_on_its_way_out_is_waited_for() {
    let one = "apiVersion: NS.example.com/v1\nkind: Gizmo\nmetadata: { name: one }\nspec: { size: 1 }\n";
    let stack = in_namespace(&[&definition("Gizmo", "a gizmo"), one].concat());
    stack.apply("");
    let path = "/apis/NS.example.com/v1/namespaces/NS/gizmos/one";
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gizmos.NS.example.com";
    let old = stack.get(crd)["metadata"]["uid"].clone();
    stack.edit_live(path, &json!({ "metadata": { "finalizers": ["example.com/held"] } }));
    stack.delete_live(crd);
    stack.until("its objects go first", || {
        let (status, one) = stack.ask(Method::GET, path, "json", &json!(null));
        status == 200 && one.pointer("/metadata/deletionTimestamp").is_some()
    });
    stack.plan_says(&[
        "k8s::CustomResourceDefinition.gizmos.NS.example.com",
        "k8s::Gizmo.NS/one",
        "is being deleted first",
    ]);
    let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes", stack.name));
    heard(&run.err, "deleted");
    stack.edit_live(path, &json!({ "metadata": { "finalizers": null } }));
    run.end().code(0);
    assert_ne!(stack.get(crd)["metadata"]["uid"], old);
    assert_eq!(stack.get(path)["spec"], json!({ "size": 1 }));
    stack.run("--dry-run --detailed-exitcode").code(0);
    stack.destroy().code(0);
}

#[test]
fn an_object_in_the_wrong_place_is_told_with_what_to_write() {
    let stack = Stack::new(r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml" });"#)
        .file("templates/app.yaml", "# Ours\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n");
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "k8s::ConfigMap.a cannot be planned");
    stack.says(&said.err, "a ConfigMap lives in a namespace, and this one names none");
    stack.says(&said.err, "write `metadata.namespace`, or give the manifest a `namespace`");
    stack.says(&said.err, "templates/app.yaml:3");

    // A version that is not served, though the kind is.
    let old = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: { name: a, namespace: default }\n";
    stack.project.write("templates/app.yaml", old);
    let said = stack.run("--dry-run").code(1);
    stack.says(&said.err, "does not serve PodDisruptionBudget of policy/v1beta1");
    stack.says(&said.err, "it serves it as policy/v1: change `apiVersion`");

    // And one too many.
    stack.project.write(
        "templates/app.yaml",
        "apiVersion: example.org/v1\nkind: Sprocket\nmetadata: { name: a, namespace: default }\n",
    );
    stack.plan_says(&["Sprocket is not served yet"]);
}
