//! Argo CD's own manifest, or what stands in for it: the same kinds and names, and definitions as large, with made-up
//! contents. With `RUNNER_UPSTREAM=1` it is upstream's, from the cache or the web.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::project::Project;

/// Points a shipped project to the manifest. What it needs from the web is in its cache then.
pub fn installed(project: Project) -> Project {
    if std::env::var_os("RUNNER_UPSTREAM").is_some() {
        let home = std::env::var("HOME").expect("a home");
        let cache = std::env::var("RUNNER_CACHE").unwrap_or(format!("{home}/.cache/runner"));
        return project.env("RUNNER_CACHE", &cache);
    }
    let text = stand_in();
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    project.write(&format!("cache/files/{digest}"), &text);
    let pinned = project.read("inventory/common.toml");
    let old =
        pinned.lines().find(|line| line.starts_with("sha256 = ")).expect("Argo CD's manifest is pinned").to_owned();
    project.edit("inventory/common.toml", &old, &format!("sha256 = \"{digest}\""));
    let cache = project.path("cache").display().to_string();
    project.env("RUNNER_CACHE", &cache)
}

const PARTS: [&str; 7] = [
    "application-controller",
    "applicationset-controller",
    "dex-server",
    "notifications-controller",
    "redis",
    "repo-server",
    "server",
];

fn stand_in() -> String {
    let mut all = String::new();
    // Upstream's are of these sizes; more than 262,144 bytes cannot be applied by a client.
    for (kind, plural, bytes) in [
        ("Application", "applications", 400_000),
        ("ApplicationSet", "applicationsets", 1_300_000),
        ("AppProject", "appprojects", 20_000),
    ] {
        definition(&mut all, kind, plural, bytes);
    }
    let mut put = |text: String| {
        all.push_str("---\n");
        all.push_str(&text);
    };
    for part in PARTS {
        put(format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{ name: argocd-{part} }}\n"));
        if part != "repo-server" {
            put(role("Role", part));
            put(binding("RoleBinding", "Role", part));
        }
        if matches!(part, "application-controller" | "applicationset-controller" | "server") {
            put(role("ClusterRole", part));
            put(binding("ClusterRoleBinding", "ClusterRole", part));
        }
        put(workload(part));
        put(format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: argocd-{part}-network-policy }}\n\
             spec:\n  podSelector: {{ matchLabels: {{ app.kubernetes.io/name: argocd-{part} }} }}\n  ingress: [{{}}]\n  \
             policyTypes: [Ingress]\n"
        ));
    }
    for name in
        ["cm", "cmd-params-cm", "gpg-keys-cm", "notifications-cm", "rbac-cm", "ssh-known-hosts-cm", "tls-certs-cm"]
    {
        put(format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-{name}\n"));
    }
    for name in ["notifications-secret", "secret"] {
        put(format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: argocd-{name} }}\ntype: Opaque\n"));
    }
    for name in [
        "applicationset-controller",
        "dex-server",
        "metrics",
        "notifications-controller-metrics",
        "redis",
        "repo-server",
        "server",
        "server-metrics",
    ] {
        put(format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: argocd-{name} }}\nspec:\n  ports:\n  - {{ name: http, port: 80, \
             targetPort: 8080 }}\n  selector: {{ app.kubernetes.io/name: argocd-{name} }}\n"
        ));
    }
    all
}

fn definition(all: &mut String, kind: &str, plural: &str, bytes: usize) {
    let _ = write!(
        all,
        "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: {plural}.argoproj.io }}\n\
         spec:\n  group: argoproj.io\n  names: {{ kind: {kind}, plural: {plural}, singular: {}, listKind: {kind}List }}\n  \
         scope: Namespaced\n  versions:\n  - name: v1alpha1\n    served: true\n    storage: true\n    schema:\n      \
         openAPIV3Schema:\n        type: object\n        properties:\n          status: {{ type: object, \
         x-kubernetes-preserve-unknown-fields: true }}\n          spec:\n            type: object\n            \
         x-kubernetes-preserve-unknown-fields: true\n            properties:\n",
        kind.to_lowercase()
    );
    let begin = all.len();
    for number in 0.. {
        if all.len() - begin > bytes {
            break;
        }
        let _ = writeln!(
            all,
            "              field{number}: {{ type: string, description: \"{}\" }}",
            "made up ".repeat(20)
        );
    }
}

fn role(kind: &str, part: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{ name: argocd-{part} }}\nrules:\n- apiGroups: \
         [\"\"]\n  resources: [secrets, configmaps]\n  verbs: [get, list, watch]\n"
    )
}

/// As upstream does, the namespace of the subject is written out.
fn binding(kind: &str, role: &str, part: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{ name: argocd-{part} }}\nroleRef: {{ apiGroup: \
         rbac.authorization.k8s.io, kind: {role}, name: argocd-{part} }}\nsubjects:\n- {{ kind: ServiceAccount, name: \
         argocd-{part}, namespace: argocd }}\n"
    )
}

fn workload(part: &str) -> String {
    let (kind, more) = match part {
        "application-controller" => ("StatefulSet", "  serviceName: argocd-application-controller\n"),
        _ => ("Deployment", ""),
    };
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{ name: argocd-{part} }}\nspec:\n{more}  selector: {{ matchLabels: {{ \
         app.kubernetes.io/name: argocd-{part} }} }}\n  template:\n    metadata: {{ labels: {{ app.kubernetes.io/name: \
         argocd-{part} }} }}\n    spec:\n      serviceAccountName: argocd-{part}\n      containers:\n      - name: \
         argocd-{part}\n        image: quay.io/argoproj/argocd:v3.5.1\n        ports: [{{ containerPort: 8080 }}]\n        env:\n        \
         - name: ARGOCD_LOG\n          valueFrom: {{ configMapKeyRef: {{ name: argocd-cmd-params-cm, key: log.level, optional: \
         true }} }}\n"
    )
}
