//! `runner render`, and manifests from templates that are no YAML.

use crate::project::Project;

const API: &str = "kind: Deployment\nname: {{ env.name }}-api\nhost: {{ host }}\nreplicas: {{ replicas }}\n\
                   token: {{ token }}\nteam: {{ env.tags.Team | quote }}\n";

fn project() -> Project {
    let inventory = "[tags]\nTeam = \"a\"\n\n[secrets]\ntoken_of_api = { env = \"TOKEN\" }\n";
    Project::new(inventory).file("templates/apps/api.yaml", API)
}

#[test]
fn a_template_is_shown_with_the_inventory_and_what_a_playbook_would_pass() {
    let project = project().env("TOKEN", "hunter2hunter2");
    let vars = "-i prod --set tags.Team=b --var host=x.org --var replicas=2 --secret-var token=token_of_api";
    let expected =
        "kind: Deployment\nname: prod-api\nhost: x.org\nreplicas: 2\ntoken: (secret token_of_api)\nteam: \"b\"\n";
    for template in ["apps/api.yaml", "templates/apps/api.yaml"] {
        let said = project.run(&format!("render {template} {vars}")).code(0);
        assert_eq!((said.out.as_str(), said.err.as_str()), (expected, ""));
    }
    let below = project.shell(&format!("cd templates/apps && runner render api.yaml {vars}")).code(0);
    assert_eq!(below.out, expected);
    assert!(!project.path(".runner").exists());
}

#[test]
fn what_is_missing_is_told_with_the_way_to_give_it() {
    let project = project()
        .file("templates/look", "{% if token == 'a' %}b{% endif %}")
        .file("templates/inside", "{{ env.nosuch }}");
    let said = project.run("render apps/api.yaml -i prod").code(1);
    assert_eq!(said.out, "");
    for part in ["`host` is not defined", "templates/apps/api.yaml:3:10", "--var host=…"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let inside = project.run("render inside -i prod").code(1);
    assert!(inside.err.contains("`nosuch` is not defined") && !inside.err.contains("--var"), "{}", inside.err);
    for (args, part) in [
        ("render apps/api.yaml -i prod --secret-var token=token_of_apo", "did you mean `token_of_api`?"),
        ("render apps/apo.yaml -i prod", "did you mean `apps/api.yaml`?"),
        ("render apps/api.yaml -i prdo", "did you mean `prod`?"),
        ("render look -i prod --secret-var token=token_of_api", "the secret `token_of_api` cannot be looked at"),
    ] {
        let said = project.run(args).code(1);
        assert!(said.err.contains(part), "{args}: {}", said.err);
    }
    for (args, part) in [
        ("render apps/api.yaml", "--inventory"),
        ("render apps/api.yaml -i prod --set host", "there is no `=`"),
        ("render apps/api.yaml -i prod --var host", "there is no `=`"),
        ("render apps/api.yaml -i prod --var a-b=1", "cannot be the name of a variable"),
    ] {
        let said = project.run(args).code(64);
        assert!(said.err.contains(part), "{args}: {}", said.err);
    }
}

#[test]
fn the_shipped_templates_are_rendered() {
    let project = Project::shipped();
    let said = project.run("render argocd/application.yaml -i prod --var name=storefront").code(0);
    assert!(said.out.contains("kind: Application\n") && said.out.contains("  name: \"storefront\"\n"), "{}", said.out);
    project.run("render templates/apps/namespace.yaml -i prod").code(0);
}

fn manifest(call: &str) -> Project {
    let playbook = format!(
        "let cluster = k8s::cluster(\"main\", #{{}});\nk8s::manifest(\"app\", #{{ cluster: cluster, {call} }});\n"
    );
    Project::new("").file("playbooks/prod.rhai", &playbook)
}

#[test]
fn a_mistake_in_yaml_is_told_where_the_template_gave_it() {
    let project = manifest("yaml: template(\"app.yaml\", #{ ports: [80, 81], host: \"a\" })")
        .file(
            "templates/app.yaml",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: app\nspec:\n{% for port in ports %}\n  p{{ port }}: 1\n\
             {% endfor %}\n{% include \"part.yaml\" %}\n",
        )
        .file("templates/part.yaml", "  # the part\n  selector:\n    host: {{ host }}\n    host: b\n");
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
    for part in ["the key `host` stands twice", "templates/part.yaml:4", "4 |     host: b", "playbooks/prod.rhai:2:"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
}

#[test]
fn what_looks_like_a_template_must_be_one() {
    let object = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\nspec:\n  host: \"{{ env.host }}\"\n";
    let file = manifest("file: \"app.yaml\"").file("templates/app.yaml", object);
    let said = file.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
    for part in ["`{{ env.host }}`", "templates/app.yaml:6", "template()"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let raw = manifest("yaml: template(\"app.yaml\", #{})")
        .file("templates/app.yaml", &format!("{{% raw %}}{object}{{% endraw %}}"));
    raw.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
}
