//! What is waited for, and what is said of what does not become ready.

use serde_json::json;

use super::{Stack, until};

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: NS }
---";

/// A workload of one pod, with these annotations on it.
fn workload(kind: &str, annotations: &str, more: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: {kind}
metadata: {{ name: web, namespace: NS }}
spec:
  {more}
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata:
      labels: {{ app: web }}
      annotations: {{ {annotations} }}
    spec: {{ containers: [{{ name: web, image: registry.example.com/web:1 }}] }}
"#
    )
}

fn stack(yaml: &str) -> Stack {
    Stack::new(r#"let web = k8s::manifest("web", #{ cluster: cluster, file: "web.yaml" });"#)
        .file("templates/web.yaml", yaml)
}

const ALL: &str = r#"
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: data, namespace: NS }
spec:
  selector: { matchLabels: { app: data } }
  template:
    metadata: { labels: { app: data }, annotations: { fake/delay: "2" } }
    spec: { containers: [{ name: data, image: registry.example.com/data:1 }] }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent, namespace: NS }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent }, annotations: { fake/delay: "2" } }
    spec: { containers: [{ name: agent, image: registry.example.com/agent:1 }] }
---
apiVersion: batch/v1
kind: Job
metadata: { name: once, namespace: NS }
spec:
  template:
    metadata: { annotations: { fake/delay: "2" } }
    spec: { restartPolicy: Never, containers: [{ name: once, image: registry.example.com/once:1 }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: NS }
spec: { type: LoadBalancer, selector: { app: web }, ports: [{ port: 80 }] }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: web, namespace: NS }
spec: { rules: [{ host: www.example.com, http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }] } }] }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data, namespace: NS }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
"#;

#[test]
fn every_kind_is_waited_for_until_it_is_ready() {
    let yaml = format!("{NAMESPACE}{}{ALL}", workload("Deployment", r#"fake/delay: "2""#, "replicas: 2"));
    let stack = stack(&yaml);
    let playbook = stack.project.read("playbooks/main.rhai");
    let output = stack.named("\noutput(\"host\", web[\"Service.NS/web\"].status.loadBalancer.ingress[0].hostname);\n");
    stack.project.write("playbooks/main.rhai", &(playbook + output.as_str()));
    stack.run("--dry-run").code(0);
    let said = stack.run("--yes").code(0);
    assert!(said.out.contains("web-") && said.out.contains(".elb.eu-west-1.amazonaws.invalid"), "{}", said.out);
    let there = |path: &str, pointer: &str| stack.live(path).pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(there("/apis/apps/v1/namespaces/NS/deployments/web", "/status/availableReplicas"), 2);
    assert_eq!(there("/apis/apps/v1/namespaces/NS/statefulsets/data", "/status/readyReplicas"), 1);
    assert_eq!(there("/apis/apps/v1/namespaces/NS/daemonsets/agent", "/status/numberAvailable"), 1);
    assert_eq!(there("/apis/batch/v1/namespaces/NS/jobs/once", "/status/succeeded"), 1);
    let again = stack.run("--dry-run --detailed-exitcode").code(0);
    assert!(again.out.contains("Nothing to do"), "{}", again.out);
}

#[test]
fn an_image_that_cannot_be_pulled_fails_the_rollout_and_a_fixed_one_converges() {
    let bad = r#"fake/ready: "false", fake/reason: ImagePullBackOff, fake/message: "Back-off pulling image \"registry.example.com/web:1\"""#;
    let stack = stack(&format!("{NAMESPACE}{}", workload("Deployment", bad, "progressDeadlineSeconds: 5")));
    stack.run("--yes").code(1).errors(1).tells(&[
        "ProgressDeadlineExceeded",
        "ImagePullBackOff",
        "Back-off pulling image \"registry.example.com/web:1\"",
    ]);
    stack.edit("templates/web.yaml", bad, "");
    stack.apply("");
}

#[test]
fn pods_that_pod_security_refuses_are_told_by_what_it_says() {
    let labelled = "
apiVersion: v1
kind: Namespace
metadata: { name: NS, labels: { pod-security.kubernetes.io/enforce: restricted } }
---";
    let other = workload("StatefulSet", "", "").replace("web", "data");
    let yaml = format!("{labelled}{}---{other}", workload("Deployment", "", "progressDeadlineSeconds: 5"));
    let stack = stack(&yaml);
    let playbook =
        stack.project.read("playbooks/main.rhai").replace("\"web.yaml\" }", "\"web.yaml\" }, #{ timeout: \"12s\" }");
    stack.project.write("playbooks/main.rhai", &playbook);
    let said = stack.run("--yes").code(1).errors(2);
    let failures: Vec<&str> = said.err.split("\nerror: ").filter(|part| part.contains("PodSecurity")).collect();
    let [deployment, stateful] = failures[..] else { panic!("{}", said.err) };
    assert!(deployment.contains("ProgressDeadlineExceeded"), "{}", said.err);
    assert!(deployment.contains("violates PodSecurity \"restricted:latest\": allowPrivilege"), "{}", said.err);
    assert!(stateful.contains("is not ready after 12 s") && stateful.contains("FailedCreate"), "{}", said.err);
}

#[test]
fn a_job_that_fails_says_how_its_pod_ended() {
    let job = r#"
apiVersion: batch/v1
kind: Job
metadata: { name: migrate, namespace: NS }
spec:
  backoffLimit: 0
  template:
    metadata: { annotations: { fake/exit: "3" } }
    spec: { restartPolicy: Never, containers: [{ name: migrate, image: registry.example.com/once:1 }] }
"#;
    let stack = stack(&format!("{NAMESPACE}{job}"));
    stack.run("--yes").code(1).errors(1).tells(&["BackoffLimitExceeded", "ended with exit code 3"]);
    // The template of a Job cannot be changed: a new one in its place.
    stack.edit("templates/web.yaml", "fake/exit: \"3\"", "fake/exit: \"0\"");
    stack.apply("");
}

fn definition(plural: &str, kind: &str) -> String {
    format!(
        r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{ name: {plural}.NS.example.com }}
spec:
  group: NS.example.com
  names: {{ plural: {plural}, singular: {plural}, kind: {kind} }}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {{ status: {{}} }}
      schema: {{ openAPIV3Schema: {{ type: object, x-kubernetes-preserve-unknown-fields: true }} }}
---"#
    )
}

const WIDGET: &str = r#"
apiVersion: NS.example.com/v1
kind: Widget
metadata: { name: one, namespace: NS }
spec: { size: 3 }
---"#;

#[test]
fn a_definition_whose_names_are_taken_fails_at_once_and_the_rest_stands() {
    let stack = stack(&format!(
        "{NAMESPACE}{}\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: other, namespace: NS }}\n",
        definition("gadgets", "Widget")
    ));
    let text = definition("widgets", "Widget").replace("NS", &stack.name).replace("---", "");
    let taken = stack.project.path("taken.yaml");
    std::fs::write(&taken, text).unwrap();
    let first = Stack::new(r#"k8s::manifest("first", #{ cluster: cluster, file: "first.yaml" });"#);
    first.project.write("templates/first.yaml", &std::fs::read_to_string(&taken).unwrap());
    first.apply("");
    let begun = std::time::Instant::now();
    stack.run("--yes").code(1).errors(1).tells(&["KindConflict"]);
    assert!(begun.elapsed().as_secs() < 20);
    assert!(!stack.live("/api/v1/namespaces/NS/configmaps/other").is_null());
    // The names are free again: the same run goes on.
    first.destroy().code(0);
    stack.apply("");
    stack.destroy().code(0);
}

#[test]
fn a_custom_resource_is_waited_for_by_its_ready_condition() {
    let stack = stack(&format!("{NAMESPACE}{}{WIDGET}", definition("widgets", "Widget")));
    stack.apply("");
    let path = "/apis/NS.example.com/v1/namespaces/NS/widgets/one";
    let status = |status: &str, generation: i64| {
        let condition = json!({ "type": "Ready", "status": status, "reason": "Working", "message": "the widget is being turned",
                                "lastTransitionTime": "2026-08-01T00:00:00Z" });
        stack.change(
            &format!("{path}/status"),
            json!({ "status": { "observedGeneration": generation, "conditions": [condition] } }),
        );
    };
    status("False", 2);
    stack.edit("templates/web.yaml", "size: 3", "size: 4");
    let run = stack.project.start(&format!("playbooks/main.rhai -i {} --yes", stack.name));
    until("the widget's new size", || (stack.live(path)["spec"]["size"] == 4).then_some(()));
    crate::project::heard(&run.err, "the widget is being turned");
    status("True", 2);
    run.end().code(0);
}
