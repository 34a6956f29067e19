//! From nothing to nothing: what is planned, what is applied, what is pruned.

use super::Stack;

const WEB: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: NS }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { colour: green }
---
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
          resources: { requests: { cpu: 1000m, memory: 128Mi } }
          envFrom: [{ configMapRef: { name: settings } }]
        - { name: side, image: "registry.example.com/side:1" }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
"#;

#[test]
fn objects_are_made_changed_pruned_and_destroyed() {
    let stack = Stack::new(r#"k8s::manifest("web", #{ cluster: cluster, file: "web.yaml", namespace: "NS" });"#)
        .file("templates/web.yaml", WEB);
    let plan = stack.run("--dry-run").code(0).out;
    assert!(plan.contains("+ k8s::Deployment.NS/web".replace("NS", &stack.name).as_str()), "{plan}");
    assert!(plan.contains("5 to create"), "{plan}");
    stack.apply("");

    stack.edit("templates/web.yaml", "web:1", "web:2");
    let plan = stack.run("--dry-run").code(0).out;
    assert!(
        plan.contains(r#"~ spec.template.spec.containers[web].image: "registry.example.com/web:1" -> "registry.example.com/web:2""#),
        "{plan}"
    );
    assert!(plan.contains("0 to create, 1 to update, 0 to replace, 0 to delete, 4 unchanged"), "{plan}");
    stack.apply("");

    stack.edit("templates/web.yaml", "---\napiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }\n", "");
    let plan = stack.run("--dry-run").code(0).out;
    assert!(plan.contains("Nothing to do: 4 resources are as declared, and 1 kept though not declared."), "{plan}");
    let said = stack.run("--yes --prune").code(0);
    assert!(said.err.contains("k8s::Service") || said.out.contains("k8s::Service"), "{}\n{}", said.out, said.err);
    stack.apply("");
    stack.destroy().code(0);
    let plan = stack.run("--dry-run").code(0).out;
    assert!(plan.contains("4 to create"), "{plan}");
}
