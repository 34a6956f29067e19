//! The whole platform against AWS's wire protocol, through the binary: from nothing, again, changed, and gone.

use crate::moto::Account;
use crate::project::{Project, last};

const SECRETS: [&str; 2] = ["NOTAREAL-vpn-key", "NOTAREAL-sql-password"];

fn platform(account: &Account) -> Project {
    account.boto(&format!(
        "manager = boto3.client('secretsmanager', 'eu-central-1')
for stack in ['prod', 'staging']:
    manager.create_secret(Name=stack + '/sqlserver', SecretString='{{\"password\": \"{}\"}}')",
        SECRETS[1]
    ));
    let project = Project::shipped().env("VPN_PRIVATE_KEY", SECRETS[0]);
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
iam = boto3.client('iam')
for role in iam.list_roles()['Roles']:
    tags = iam.list_role_tags(RoleName=role['RoleName'])['Tags']
    found |= {role['Arn'] for tag in tags if tag == {'Key': 'runner:stack', 'Value': 'STACK'}}
groups = boto3.client('autoscaling', 'eu-central-1').describe_auto_scaling_groups()['AutoScalingGroups']
for group in groups:
    found |= {group['AutoScalingGroupARN'] for tag in group['Tags'] if (tag['Key'], tag['Value']) == ('runner:stack', 'STACK')}
print('\\n'.join(sorted(found)))
";
    let text = account.boto(&code.replace("STACK", stack));
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
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
    assert_eq!(last(&plan.out), "Plan: 83 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    println!("first plan: {} calls", calls(&account));
    account.forget_calls();
    let first = project.run("playbooks/prod.rhai --yes").code(0);
    println!("apply: {} calls: {}", calls(&account), last(&first.err));
    account.forget_calls();
    let second = project.run("playbooks/prod.rhai --detailed-exitcode").code(0);
    println!("no change: {} calls {:?}", calls(&account), account.calls());
    assert!(last(&second.out).starts_with("Nothing to do"), "{}", second.out);
    for said in [&plan, &first, &second] {
        for secret in SECRETS {
            assert!(!said.out.contains(secret) && !said.err.contains(secret));
        }
    }

    // What is protected stays, whatever is asked.
    let refused = project.run("destroy playbooks/prod.rhai --yes").code(1);
    assert!(refused.err.contains("aws::ebs_volume.sqlserver-data is protected"), "{}", refused.err);
    let open = "--set database.protect=false --set edge.protect=false";
    project.run(&format!("playbooks/prod.rhai --yes {open}")).code(0);
    account.forget_calls();
    let gone = project.run(&format!("destroy playbooks/prod.rhai --yes {open}")).code(0);
    println!("destroy: {} calls: {}", calls(&account), last(&gone.err));
    assert_eq!(tagged(&account, "prod"), [""; 0]);
}
