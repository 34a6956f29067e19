//! The whole platform against AWS's wire protocol, through the binary: from nothing, again, changed, and gone.

use crate::control_plane::{ControlPlane, Request};
use crate::moto::Account;
use crate::platform::{Platform, SECRETS};
use crate::project::last;

/// Calls of a plan that finds everything as declared.
const NO_CHANGE: u64 = 102;

fn is_read(call: &str) -> bool {
    let operation = call.split(':').nth(1).unwrap_or_default();
    ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb))
}

fn calls(account: &Account) -> u64 {
    account.calls().values().sum()
}

#[test]
fn the_platform_comes_stays_changes_and_goes() {
    let staging = ControlPlane::of_its_own();
    let platform = Platform::new(ControlPlane::shared(), Some(staging));
    let Platform { account, cloud, project, .. } = &platform;
    account.forget_calls();
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0);
    assert_eq!(last(&plan.out), "Plan: 204 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    assert_eq!(account.calls().keys().filter(|call| !is_read(call)).collect::<Vec<_>>(), [""; 0]);
    account.forget_calls();
    let first = project.run("playbooks/prod.rhai --yes").code(0);
    assert!(first.err.contains("Done: 204 created"), "{}", first.err);
    // AWS issued the certificate because it found its record; each host leads to the balancer.
    let balancer = project.run("output playbooks/prod.rhai load_balancer").code(0).out;
    let records = platform.records();
    let leads = |host: &str| {
        let record = format!("CNAME {host}.example.com {} [runner prod@", balancer.trim());
        records.iter().any(|one| one.starts_with(&record))
    };
    assert!(["login", "argocd", "api", "shop"].into_iter().all(leads), "{records:?}");
    assert_eq!(records.iter().filter(|record| record.contains("acm-validations.aws")).count(), 1, "{records:?}");
    println!("made from nothing with {} calls, the plan among them", calls(account));
    let asked = ControlPlane::shared().mark();
    account.forget_calls();
    cloud.forget_calls();
    let second = project.run("playbooks/prod.rhai").code(0);
    assert!(second.out.contains("Nothing to do: 204 resources are as declared."), "{}", second.out);
    // A plan without changes; what each kind reads is in its file.
    assert_eq!(calls(account), NO_CHANGE, "{:#?}", account.calls());
    assert_eq!(cloud.calls().values().sum::<u64>(), 3, "{:?}", cloud.calls());
    let asked = ControlPlane::shared().requests(asked);
    let (dry, reads): (Vec<_>, Vec<_>) = asked.iter().partition(|request| request.dry_run);
    println!("no change: {} dry runs and {} reads of the API server", dry.len(), reads.len());
    // One question for each object; other tests, which ask meanwhile, have stacks of other names.
    let others = |request: &&&Request| request.namespace.starts_with("stack-") || request.name.contains("stack-");
    assert_eq!(dry.iter().filter(|request| !others(request)).count(), 135);
    for said in [&plan, &first, &second] {
        for (_, secret) in SECRETS {
            assert!(!said.out.contains(secret) && !said.err.contains(secret));
        }
    }

    // One image is one line; an application that is dropped goes, and nothing else does.
    project.edit("templates/keycloak/keycloak.yaml", "keycloak:26.7.2", "keycloak:26.7.3");
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0).out;
    let fields: Vec<&str> = plan.lines().filter(|line| line.trim_start().starts_with("~ spec.")).collect();
    assert_eq!(fields.len(), 1, "{plan}");
    assert!(fields[0].contains("containers[keycloak].image"), "{plan}");
    assert!(plan.contains("k8s::StatefulSet.keycloak/keycloak"), "{plan}");
    project.run("playbooks/prod.rhai --yes").code(0);
    project.edit("inventory/common.toml", "[apps.storefront]", "[elsewhere.storefront]");
    let pruned = project.run("playbooks/prod.rhai --yes --prune").code(0);
    let gone: Vec<&str> = pruned.err.lines().filter_map(|line| line.strip_prefix("✓ deleted ")).collect();
    let gone: Vec<&str> = gone.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(gone.len(), 3, "{}", pruned.err);
    for address in ["k8s::Application.argocd/storefront", "k8s::Ingress.apps/storefront", "cloudflare::dns_record.shop"]
    {
        assert!(gone.contains(&address), "{gone:?}");
    }
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // Other hosts roll through the group; another version of the cluster is an update in place.
    project.edit("inventory/common.toml", "instance_type = \"m7i.large\"", "instance_type = \"m7i.2xlarge\"");
    project.edit("inventory/common.toml", "public_access_cidrs = []", "public_access_cidrs = [\"198.51.100.0/24\"]");
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0).out;
    assert_eq!(last(&plan), "Plan: 0 to create, 3 to update, 0 to replace, 0 to delete, 198 unchanged.");
    project.run("playbooks/prod.rhai --yes").code(0);
    assert_eq!(account.calls()["autoscaling:StartInstanceRefresh"], 1);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // The smaller one beside it, from the same phases, in a cluster of its own and the same zone.
    let ours = platform.records();
    let made = project.run("playbooks/prod.rhai -i staging --yes").code(0);
    assert!(made.err.contains("Done: 192 created"), "{}", made.err);
    project.run("playbooks/prod.rhai -i staging --dry-run --detailed-exitcode").code(0);
    assert_eq!(platform.records().len(), 2 * ours.len());
    project.run("destroy playbooks/prod.rhai -i staging --yes").code(0);
    assert_eq!(platform.tagged("staging"), [""; 0]);
    assert_eq!(platform.in_the_cluster(staging, "staging"), [""; 0]);
    assert_eq!(platform.records(), ours);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // What is protected stays, whatever is asked.
    let refused = project.run("destroy playbooks/prod.rhai --yes").code(1);
    assert!(refused.err.contains("aws::ebs_volume.sqlserver-data is protected"), "{}", refused.err);
    let open = "--set database.protect=false --set edge.protect=false";
    project.run(&format!("playbooks/prod.rhai --yes {open}")).code(0);
    account.forget_calls();
    let gone = project.run(&format!("destroy playbooks/prod.rhai --yes {open}")).code(0);
    assert!(gone.err.contains("Done: 201 deleted"), "{}", gone.err);
    println!("destroyed with {} calls, the plan among them", calls(account));
    assert_eq!(platform.tagged("prod"), [""; 0]);
    assert_eq!(platform.in_the_cluster(platform.prod, "prod"), [""; 0]);
    assert_eq!(platform.records(), [""; 0]);
}
