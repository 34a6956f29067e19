//! The phase `platform` alone, with each entrance and each way to the internet, on an API server of its own: it names its
//! objects and its ports itself.

use crate::control_plane::ControlPlane;
use crate::project::{Project, Said, last};

const PLAYBOOK: &str = r#"
import "phases/platform" as platform;
let front = #{ certificate_arn: "arn:aws:acm:eu-central-1:123456789012:certificate/0", subnet_id: "subnet-0abc" };
output("urls", platform::build(inventory(), #{}, front, #{ address: "10.0.8.4" }, []));
"#;

const SECRETS: [&str; 6] = [
    "keycloak_database_password",
    "keycloak_admin_password",
    "apisix_admin_key",
    "oidc_client_secret",
    "oidc_session_secret",
    "argocd_repository_token",
];

/// Each with how many objects it has.
const WAYS: [(&str, &str, usize); 4] =
    [("nginx", "edge", 136), ("nginx", "controller", 136), ("apisix", "edge", 115), ("apisix", "controller", 115)];

fn value_of(secret: &str) -> String {
    format!("NOTAREAL-{secret}-0123456789")
}

fn platform(plane: &ControlPlane) -> Project {
    let mut inventory = format!(
        "extends = \"common\"\ndomain = \"example.com\"\n[network]\ncidr = \"10.0.0.0/16\"\n\
         [cluster.connection]\nkubeconfig = \"{}\"\n[secrets]\n",
        plane.kubeconfig().display()
    );
    for secret in SECRETS {
        inventory += &format!("{secret} = {{ env = \"{secret}\" }}\n");
    }
    let project = crate::argocd::installed(Project::shipped())
        .file("playbooks/in-cluster.rhai", PLAYBOOK)
        .file("inventory/alone.toml", &inventory);
    // Nothing here is in a cloud.
    project.edit("inventory/common.toml", "[aws]", "[elsewhere]");
    SECRETS.iter().fold(project, |project, secret| project.env(secret, &value_of(secret)))
}

fn run(project: &Project, (class, exposure, _): (&str, &str, usize), more: &str) -> Said {
    let way = format!("--set ingress.class={class} --set ingress.exposure={exposure}");
    let said = project.run(&format!("playbooks/in-cluster.rhai -i alone {way} {more}"));
    for secret in SECRETS {
        assert!(!said.out.contains(&value_of(secret)) && !said.err.contains(&value_of(secret)), "{secret} is told");
    }
    said
}

#[test]
fn the_platform_is_planned_with_every_entrance_and_applied() {
    let project = platform(ControlPlane::of_its_own());
    for way in WAYS {
        let plan = run(&project, way, "--dry-run").code(0);
        let all = format!("Plan: {} to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.", way.2);
        assert_eq!(last(&plan.out), all, "{way:?}");
        // What the API server cannot judge yet is in namespaces and of kinds that the run makes.
        let open = plan.out.lines().filter(|line| line.contains("not validated"));
        let strange: Vec<&str> =
            open.filter(|line| !line.contains("does not exist yet") && !line.contains("is not served yet")).collect();
        assert_eq!(strange, [""; 0], "{way:?}");
    }

    let apisix = WAYS[2];
    let done = run(&project, apisix, "--yes").code(0);
    assert!(done.err.contains("Done: 115 created"), "{}", done.err);
    let again = run(&project, apisix, "--dry-run --detailed-exitcode").code(0);
    assert!(again.out.contains("Nothing to do: 115 resources are as declared."), "{}", again.out);

    // Everything that both ways have is there now, and is judged.
    let plan = run(&project, WAYS[3], "--dry-run").code(0).out;
    assert!(!plan.contains("not validated"), "{plan}");
    for line in ["load_balancing.cross_zone.enabled=true", "k8s::Service.apisix/apisix-gateway"] {
        assert!(plan.contains(line), "no {line} in {plan}");
    }

    // A path of its own: it itself and what is below it, and a login comes back to exactly there.
    let plan = run(&project, apisix, "--dry-run --set apps.api.path=/admin/").code(0).out;
    for line in [r#"+ "/admin""#, r#"+ "/admin/*""#, r#"+ "https://api.example.com/admin/.login/callback""#] {
        assert!(plan.contains(line), "no {line} in {plan}");
    }
    let refused = run(&project, apisix, "--dry-run --set apps.api.path=admin").code(1);
    assert!(refused.err.contains("apps.api.path is \"admin\""), "{}", refused.err);

    // A changed configuration is a change of the pods that read it.
    let plan = run(&project, apisix, "--dry-run --set network.cidr=10.9.0.0/16").code(0).out;
    let fields: Vec<&str> = plan.lines().filter(|line| line.contains("checksum/config")).collect();
    assert_eq!(fields.len(), 1, "{plan}");

    let gone = project.run("destroy playbooks/in-cluster.rhai -i alone --yes --set ingress.class=apisix").code(0);
    assert!(gone.err.contains("Done: 115 deleted"), "{}", gone.err);
}
