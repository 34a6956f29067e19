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
    account.certificates_come_to("ISSUED", None, 0.5);
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
const NO_CHANGE: u64 = 97;

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
    assert_eq!(last(&plan.out), "Plan: 63 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    assert_eq!(account.calls().keys().filter(|call| !is_read(call)).collect::<Vec<_>>(), [""; 0]);
    account.forget_calls();
    let first = project.run("playbooks/prod.rhai --yes").code(0);
    assert!(first.err.contains("Done: 63 created"), "{}", first.err);
    println!("made from nothing with {} calls, the plan among them", calls(&account));
    account.forget_calls();
    let second = project.run("playbooks/prod.rhai --detailed-exitcode").code(0);
    assert!(second.out.contains("Nothing to do: 63 resources are as declared."), "{}", second.out);
    // A plan without changes; what each kind reads is in its file.
    assert_eq!(calls(&account), NO_CHANGE, "{:#?}", account.calls());
    for said in [&plan, &first, &second] {
        for secret in SECRETS {
            assert!(!said.out.contains(secret) && !said.err.contains(secret));
        }
    }

    // Other hosts roll through the group; another version of the cluster is an update in place.
    project.edit("inventory/common.toml", "instance_type = \"m7i.large\"", "instance_type = \"m7i.2xlarge\"");
    project.edit("inventory/common.toml", "public_access_cidrs = []", "public_access_cidrs = [\"198.51.100.0/24\"]");
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0).out;
    assert_eq!(last(&plan), "Plan: 0 to create, 3 to update, 0 to replace, 0 to delete, 60 unchanged.");
    project.run("playbooks/prod.rhai --yes").code(0);
    assert_eq!(account.calls()["autoscaling:StartInstanceRefresh"], 1);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // The smaller one beside it, from the same phases.
    let staging = project.run("playbooks/prod.rhai -i staging --yes").code(0);
    assert!(staging.err.contains("Done: 54 created"), "{}", staging.err);
    project.run("playbooks/prod.rhai -i staging --dry-run --detailed-exitcode").code(0);
    project.run("destroy playbooks/prod.rhai -i staging --yes").code(0);
    assert_eq!(tagged(&account, "staging"), [""; 0]);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // What is protected stays, whatever is asked.
    let refused = project.run("destroy playbooks/prod.rhai --yes").code(1);
    assert!(refused.err.contains("aws::ebs_volume.sqlserver-data is protected"), "{}", refused.err);
    let open = "--set database.protect=false --set edge.protect=false";
    project.run(&format!("playbooks/prod.rhai --yes {open}")).code(0);
    account.forget_calls();
    let gone = project.run(&format!("destroy playbooks/prod.rhai --yes {open}")).code(0);
    assert!(gone.err.contains("Done: 63 deleted"), "{}", gone.err);
    println!("destroyed with {} calls, the plan among them", calls(&account));
    assert_eq!(tagged(&account, "prod"), [""; 0]);
}
