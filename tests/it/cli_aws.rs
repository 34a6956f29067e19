//! The shipped network against AWS's wire protocol, through the binary; and what a plan costs in calls. The whole
//! platform is in cli_platform.rs.

use crate::moto::Account;
use crate::project::{Project, last};

/// The shipped network by itself.
const NETWORK: &str = r#"import "phases/network" as network;
let env = inventory();
let net = phase("network", || network::build(env));
phase("network", || network::routes(env, net, ()));
"#;

fn shipped(account: &Account) -> Project {
    let project = Project::shipped();
    project.write("playbooks/prod.rhai", NETWORK);
    project.edit("inventory/prod.toml", "123456789012", &account.number);
    project.edit("inventory/common.toml", "[vpn]\nenabled = true", "[vpn]\nenabled = false");
    // Nothing of it has a name in DNS.
    project.edit("inventory/prod.toml", "[cloudflare]", "[elsewhere]");
    reaching(project, account)
}

fn reaching(project: Project, account: &Account) -> Project {
    account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value))
}

fn boto(account: &Account, code: &str) -> String {
    account.boto(&format!("ec2 = boto3.client('ec2', region_name='eu-central-1')\n{code}"))
}

/// Counts what carries the stack's tag, by asking for the things themselves.
const TAGGED: &str = "
ours = [{'Name': 'tag:runner:stack', 'Values': ['prod']}]
found = []
for operation, key in [('vpcs', 'Vpcs'), ('subnets', 'Subnets'), ('internet_gateways', 'InternetGateways'),
                       ('addresses', 'Addresses'), ('nat_gateways', 'NatGateways'), ('route_tables', 'RouteTables'),
                       ('vpc_endpoints', 'VpcEndpoints'), ('security_groups', 'SecurityGroups')]:
    found += getattr(ec2, 'describe_' + operation)(Filters=ours)[key]
print(len([one for one in found if one.get('State') != 'deleted']))
";

#[test]
fn the_whole_life_of_the_network() {
    let account = Account::new();
    let project = shipped(&account);
    let first = project.run("playbooks/prod.rhai --yes").code(0);
    assert!(first.err.contains("Done: 21 created"), "{}", first.err);
    assert_eq!(boto(&account, TAGGED).trim(), "21");
    let second = project.run("playbooks/prod.rhai").code(0);
    assert_eq!(last(&second.out), "Nothing to do: 21 resources are as declared.");

    // A changed tag is an update, a changed range a replace.
    project.edit("inventory/prod.toml", "Environment = \"prod\"", "Environment = \"production\"");
    project.edit("inventory/prod.toml", "\"10.0.10.0/24\"", "\"10.0.11.0/24\"");
    let plan = project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(2);
    assert_eq!(last(&plan.out), "Plan: 0 to create, 20 to update, 1 to replace, 0 to delete, 0 unchanged.");
    project.run("playbooks/prod.rhai --yes").code(0);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // Another range for all of it: nothing stands in the way of what has to go.
    project.edit("inventory/prod.toml", "10.0.", "10.2.");
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0).out;
    assert!(plan.contains("+/- aws::vpc.prod"), "made first, since the internet gateway is moved over: {plan}");
    project.run("playbooks/prod.rhai --yes").code(0);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);
    assert_eq!(boto(&account, TAGGED).trim(), "21");

    // A subnet that is no longer declared is kept until it is pruned.
    project.edit("inventory/prod.toml", ", \"10.2.11.0/24\"", "");
    project.edit("inventory/prod.toml", ", \"10.2.48.0/20\"", "");
    project.edit("inventory/common.toml", ", \"eu-central-1c\"", "");
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0).out;
    assert!(plan.contains("aws::subnet.database-eu-central-1c") && plan.contains("--prune"), "{plan}");
    project.run("playbooks/prod.rhai --yes").code(0);
    assert_eq!(boto(&account, TAGGED).trim(), "21");
    project.run("playbooks/prod.rhai --yes --prune").code(0);
    assert_eq!(boto(&account, TAGGED).trim(), "19");

    // What someone else did shows, and is put right.
    boto(
        &account,
        "g = ec2.describe_security_groups(Filters=[{'Name': 'group-name', 'Values': ['prod-endpoints']}])['SecurityGroups'][0]\n\
         ec2.authorize_security_group_ingress(GroupId=g['GroupId'], IpPermissions=[{'IpProtocol': 'tcp', 'FromPort': 22, \
         'ToPort': 22, 'IpRanges': [{'CidrIp': '0.0.0.0/0'}]}])\n\
         v = ec2.describe_vpcs(Filters=[{'Name': 'tag:runner:stack', 'Values': ['prod']}])['Vpcs'][0]\n\
         ec2.modify_vpc_attribute(VpcId=v['VpcId'], EnableDnsHostnames={'Value': False})\n",
    );
    let plan = project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(2).out;
    assert!(plan.contains("~ enable_dns_hostnames: false -> true"), "{plan}");
    assert!(plan.contains("from_port: 22"), "{plan}");
    assert_eq!(last(&plan), "Plan: 0 to create, 2 to update, 0 to replace, 0 to delete, 17 unchanged.");
    project.run("playbooks/prod.rhai --yes").code(0);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);

    // Also of what the playbook no longer declares.
    project.write("playbooks/prod.rhai", "let env = inventory();");
    let gone = project.run("destroy playbooks/prod.rhai --yes").code(0);
    assert!(gone.err.contains("Done: 19 deleted"), "{}", gone.err);
    assert_eq!(boto(&account, TAGGED).trim(), "0");
    let left = "print(len(ec2.describe_vpcs(Filters=[{'Name': 'is-default', 'Values': ['false']}])['Vpcs']), \
                len(ec2.describe_addresses()['Addresses']))";
    assert_eq!(boto(&account, left).trim(), "0 0");
}

const MANY: &str = r#"
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16", enable_dns_hostnames: true });
for i in 0..50 {
    aws::subnet(`s${i}`, #{ vpc_id: vpc.id, cidr_block: `10.0.${i}.0/24` });
    aws::security_group(`g${i}`, #{
        vpc_id: vpc.id,
        ingress: [#{ protocol: "tcp", from_port: 443, to_port: 443, cidr_blocks: [`10.0.${i}.0/24`] }],
    });
}
"#;

#[test]
fn a_plan_of_a_hundred_resources_costs_fifteen_calls() {
    let account = Account::new();
    let inventory = format!("[aws]\nregion = \"eu-central-1\"\naccount = \"{}\"\n", account.number);
    let project = reaching(Project::new(&inventory).file("playbooks/prod.rhai", MANY), &account);
    project.run("playbooks/prod.rhai --yes").code(0);
    account.forget_calls();
    let plan = project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);
    assert_eq!(last(&plan.out), "Nothing to do: 101 resources are as declared.");
    let calls: Vec<String> = account.calls().iter().map(|(name, count)| format!("{name} {count}")).collect();
    assert_eq!(
        calls,
        [
            // Which kinds the stack owns anything of, so that what is no longer declared is found.
            "ec2:DescribeTags 1",
            "autoscaling:DescribeTags 1",
            "iam:GetAccountAuthorizationDetails 1",
            // In the region, in the one that knows IAM, and for certificates that are waited for.
            "resourcegroupstaggingapi:GetResources 3",
            // Those of the stack; and the defaults of its VPCs, as for the next two.
            "ec2:DescribeSecurityGroups 2",
            "ec2:DescribeNetworkAcls 1",
            "ec2:DescribeRouteTables 1",
            "ec2:DescribeSubnets 1",
            // No listing tells the two DNS settings of a VPC.
            "ec2:DescribeVpcAttribute 2",
            "ec2:DescribeVpcs 1",
            // Whose credentials these are, before anything else is read.
            "sts:GetCallerIdentity 1",
        ]
        .map(String::from)
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
}

#[test]
fn another_accounts_credentials_are_refused_before_anything_is_read() {
    let account = Account::new();
    let project = reaching(Project::shipped(), &account);
    let said = project.run("playbooks/prod.rhai --dry-run").code(1);
    assert!(
        said.err.contains(&format!("belong to account {}, the inventory says 123456789012", account.number)),
        "{}",
        said.err
    );
    assert_eq!(account.calls().keys().collect::<Vec<_>>(), ["sts:GetCallerIdentity"]);
}

/// Whatever is asked for first, be it by a lookup: it is not what is wrong.
#[test]
fn who_is_not_let_in_is_told_why() {
    let playbook = "let ami = aws::ami(#{ owners: [\"amazon\"], name: \"al2023-*\" });\naws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" });\n";
    for text in [playbook, playbook.lines().last().unwrap()] {
        let project = || {
            Project::new("[aws]\nregion = \"eu-west-1\"\n")
                .file("playbooks/prod.rhai", text)
                .env("AWS_EC2_METADATA_DISABLED", "true")
        };
        let refused = |project: Project, told: [&str; 2]| {
            let said = project.run("playbooks/prod.rhai --dry-run").code(1);
            assert!(said.err.contains("cannot reach the provider"), "{}", said.err);
            assert!(told.iter().all(|told| said.err.contains(told)), "{told:?}: {}", said.err);
            assert!(!said.err.contains("asking again"), "{}", said.err);
        };
        refused(project(), ["there are no AWS credentials", "aws sso login"]);
        let named = project().env("AWS_PROFILE", "nosuch");
        refused(named, ["the profile `nosuch` gives no credentials", "~/.aws/config"]);
        let keys = project().env("AWS_ACCESS_KEY_ID", "NOTAREALKEY").env("AWS_SECRET_ACCESS_KEY", "NOTAREALSECRET");
        let keys = keys.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        refused(keys, ["no connection", "AWS_ENDPOINT_URL"]);
        for url in ["notaurl", "localhost:5000", "https://localhost:99999", "http://"] {
            let keys = project().env("AWS_ACCESS_KEY_ID", "NOTAREALKEY").env("AWS_SECRET_ACCESS_KEY", "NOTAREALSECRET");
            refused(keys.env("AWS_ENDPOINT_URL", url), ["`AWS_ENDPOINT_URL` is no URL: `", "http://127.0.0.1:5000"]);
        }
    }
}

#[test]
fn a_dry_run_sends_nothing_that_changes() {
    let account = Account::new();
    let project = shipped(&account);
    project.run("playbooks/prod.rhai --dry-run").code(0);
    project.run("destroy playbooks/prod.rhai --dry-run").code(0);
    for call in account.calls().keys() {
        let operation = call.split(':').nth(1).unwrap();
        assert!(operation.starts_with("Describe") || operation.starts_with("Get"), "{call}");
    }
}

#[test]
fn lost_answers_make_nothing_twice() {
    let account = Account::new();
    let project = shipped(&account);
    for call in [
        "CreateVpc",
        "CreateSubnet",
        "CreateInternetGateway",
        "AllocateAddress",
        "CreateNatGateway",
        "CreateRouteTable",
    ] {
        account.lose_answer(call, 1);
    }
    account.lose_answer("CreateSecurityGroup", 1);
    account.lose_answer("CreateVpcEndpoint", 1);
    project.run("playbooks/prod.rhai --yes").code(0);
    assert_eq!(boto(&account, TAGGED).trim(), "21");
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);
}
