//! The whole platform against AWS's wire protocol, through the binary: from nothing, again, changed, and gone.

use crate::control_plane::{ControlPlane, Request};
use crate::moto::Account;
use crate::project::{Project, last};

const SECRETS: [&str; 8] = [
    "NOTAREAL-vpn-key",
    "NOTAREAL-sql-password",
    "NOTAREAL-keycloak-database",
    "NOTAREAL-keycloak-admin",
    "NOTAREAL-apisix-admin-key",
    "NOTAREAL-oidc-client",
    "NOTAREAL-oidc-session-0123456789",
    "NOTAREAL-argocd-token",
];

fn platform(account: &Account) -> Project {
    let [_, sql, database, admin, apisix, client, session, token] = SECRETS;
    let kept = serde_json::json!({
        "sqlserver": { "password": sql },
        "keycloak": { "database_password": database, "admin_password": admin },
        "apisix": { "admin_key": apisix },
        "oidc": { "client_secret": client, "session_secret": session },
        "argocd": { "repository_token": token },
    });
    account.boto(&format!(
        "import json
manager = boto3.client('secretsmanager', 'eu-central-1')
for stack in ['prod', 'staging']:
    for name, value in {kept}.items():
        manager.create_secret(Name=stack + '/' + name, SecretString=json.dumps(value))"
    ));
    account.certificates_come_to("ISSUED", None, 0.5);
    let project = crate::argocd::installed(Project::shipped().env("VPN_PRIVATE_KEY", SECRETS[0]));
    let entrance = ControlPlane::shared().kubeconfig().display().to_string();
    let prod = project.read("inventory/prod.toml");
    project.write("inventory/prod.toml", &format!("{prod}\n[cluster.connection]\nkubeconfig = \"{entrance}\"\n"));
    for inventory in ["inventory/prod.toml", "inventory/staging.toml"] {
        project.edit(inventory, "123456789012", &account.number);
    }
    account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value))
}

/// Everything that carries a stack's tag, of whatever service, as others see it.
fn tagged(account: &Account, stack: &str) -> Vec<String> {
    let code = "
found = set()
for region in ['eu-central-1', 'us-east-1']:
    pages = boto3.client('resourcegroupstaggingapi', region).get_paginator('get_resources')
    for page in pages.paginate(TagFilters=[{'Key': 'runner:stack', 'Values': ['STACK']}]):
        found |= {one['ResourceARN'] for one in page['ResourceTagMappingList']}
iam = boto3.client('iam', 'us-east-1')
for role in iam.list_roles()['Roles']:
    tags = iam.list_role_tags(RoleName=role['RoleName'])['Tags']
    found |= {role['Arn'] for tag in tags if tag == {'Key': 'runner:stack', 'Value': 'STACK'}}
groups = boto3.client('autoscaling', 'eu-central-1').describe_auto_scaling_groups()['AutoScalingGroups']
for group in groups:
    found |= {group['AutoScalingGroupARN'] for tag in group['Tags'] if (tag['Key'], tag['Value']) == ('runner:stack', 'STACK')}
# These are told for a while after they are gone.
ec2 = boto3.client('ec2', 'eu-central-1')
gone = {one['NatGatewayId'] for one in ec2.describe_nat_gateways()['NatGateways'] if one['State'] == 'deleted'}
for held in ec2.describe_instances()['Reservations']:
    gone |= {one['InstanceId'] for one in held['Instances'] if one['State']['Name'] == 'terminated'}
found = {arn for arn in found if arn.split('/')[-1] not in gone}
print('\\n'.join(sorted(found)))
";
    let text = account.boto(&code.replace("STACK", stack));
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Calls of a plan that finds everything as declared.
const NO_CHANGE: u64 = 103;

fn is_read(call: &str) -> bool {
    let operation = call.split(':').nth(1).unwrap_or_default();
    ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb))
}

fn calls(account: &Account) -> u64 {
    account.calls().values().sum()
}

#[test]
fn the_platform_comes_stays_changes_and_goes() {
    let account = Account::new();
    let project = platform(&account);
    account.forget_calls();
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0);
    assert_eq!(last(&plan.out), "Plan: 199 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    assert_eq!(account.calls().keys().filter(|call| !is_read(call)).collect::<Vec<_>>(), [""; 0]);
    account.forget_calls();
    let first = project.run("playbooks/prod.rhai --yes").code(0);
    assert!(first.err.contains("Done: 199 created"), "{}", first.err);
    println!("made from nothing with {} calls, the plan among them", calls(&account));
    let asked = ControlPlane::shared().mark();
    account.forget_calls();
    let second = project.run("playbooks/prod.rhai --detailed-exitcode").code(0);
    assert!(second.out.contains("Nothing to do: 199 resources are as declared."), "{}", second.out);
    // A plan without changes; what each kind reads is in its file.
    assert_eq!(calls(&account), NO_CHANGE, "{:#?}", account.calls());
    let asked = ControlPlane::shared().requests(asked);
    let (dry, reads): (Vec<_>, Vec<_>) = asked.iter().partition(|request| request.dry_run);
    println!("no change: {} dry runs and {} reads of the API server", dry.len(), reads.len());
    // One question for each object; other tests, which ask meanwhile, have stacks of other names.
    let others = |request: &&&Request| request.namespace.starts_with("stack-") || request.name.contains("stack-");
    assert_eq!(dry.iter().filter(|request| !others(request)).count(), 135);
    for said in [&plan, &first, &second] {
        for secret in SECRETS {
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
    assert_eq!(gone.len(), 2, "{}", pruned.err);
    for address in ["k8s::Application.argocd/storefront", "k8s::Ingress.apps/storefront"] {
        assert!(gone.contains(&address), "{gone:?}");
    }
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // Other hosts roll through the group; another version of the cluster is an update in place.
    project.edit("inventory/common.toml", "instance_type = \"m7i.large\"", "instance_type = \"m7i.2xlarge\"");
    project.edit("inventory/common.toml", "public_access_cidrs = []", "public_access_cidrs = [\"198.51.100.0/24\"]");
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0).out;
    assert_eq!(last(&plan), "Plan: 0 to create, 3 to update, 0 to replace, 0 to delete, 194 unchanged.");
    project.run("playbooks/prod.rhai --yes").code(0);
    assert_eq!(account.calls()["autoscaling:StartInstanceRefresh"], 1);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // The smaller one beside it, from the same phases; what runs in its cluster would need another cluster.
    let alone = "--set platform.enabled=false";
    let staging = project.run(&format!("playbooks/prod.rhai -i staging --yes {alone}")).code(0);
    assert!(staging.err.contains("Done: 54 created"), "{}", staging.err);
    project.run(&format!("playbooks/prod.rhai -i staging --dry-run --detailed-exitcode {alone}")).code(0);
    project.run(&format!("destroy playbooks/prod.rhai -i staging --yes {alone}")).code(0);
    assert_eq!(tagged(&account, "staging"), [""; 0]);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // What is protected stays, whatever is asked.
    let refused = project.run("destroy playbooks/prod.rhai --yes").code(1);
    assert!(refused.err.contains("aws::ebs_volume.sqlserver-data is protected"), "{}", refused.err);
    let open = "--set database.protect=false --set edge.protect=false";
    project.run(&format!("playbooks/prod.rhai --yes {open}")).code(0);
    account.forget_calls();
    let gone = project.run(&format!("destroy playbooks/prod.rhai --yes {open}")).code(0);
    assert!(gone.err.contains("Done: 197 deleted"), "{}", gone.err);
    println!("destroyed with {} calls, the plan among them", calls(&account));
    assert_eq!(tagged(&account, "prod"), [""; 0]);
    assert_eq!(in_the_cluster(), [""; 0]);
}

/// What is left of any ApplySet of `prod` in the cluster, among what has no namespace, and the parent itself.
fn in_the_cluster() -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = kube::Client::try_from(config().await).unwrap();
        let mut left = vec![];
        for path in [
            "/api/v1/namespaces",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/networking.k8s.io/v1/ingressclasses",
        ] {
            let request = http::Request::get(format!("{path}?labelSelector=applyset.kubernetes.io/part-of"));
            let found: serde_json::Value = client.request(request.body(vec![]).unwrap()).await.unwrap();
            let names = found["items"].as_array().unwrap().iter().map(|one| one["metadata"]["name"].to_string());
            left.extend(names.filter(|name| !name.contains("stack-")));
        }
        let parent = http::Request::get("/api/v1/namespaces/kube-system/configmaps/runner-prod").body(vec![]).unwrap();
        match client.request::<serde_json::Value>(parent).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => left.push(format!("the parent: {other:?}")),
        }
        left
    })
}

async fn config() -> kube::Config {
    let kubeconfig = kube::config::Kubeconfig::read_from(ControlPlane::shared().kubeconfig()).unwrap();
    kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap()
}
