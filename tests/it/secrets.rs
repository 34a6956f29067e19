//! Secrets through the binary: taken from each source, compared, sent, and shown nowhere.

use crate::moto::Account;
use crate::project::{Project, last};

const VALUE: &str = "NOTAREAL-canary/1+2=\u{e4}";

const INVENTORY: &str = "
[aws]
region = \"eu-west-1\"
[secrets]
env = { env = \"CANARY\" }
file = { file = \"canary.txt\" }
parameter = { ssm = \"/canary\" }
manager = { secretsmanager = \"canary\", key = \"value\" }
";

fn playbook(secret: &str) -> String {
    format!(
        "let s = secret(\"{secret}\");
aws::vpc(\"main\", #{{ cidr_block: \"10.0.0.0/16\", tags: #{{ plain: \"a\", note: `password=${{s}}` }} }});
output(\"told\", `it is ${{s}}`);
"
    )
}

/// Every byte that a run wrote, said or kept.
fn assert_unseen(project: &Project, said: &[&str]) {
    let encoded = [VALUE, "Tk9UQVJFQUwtY2FuYXJ5LzErMj3DpA==", "NOTAREAL-canary%2F1%2B2%3D%C3%A4", "NOTAREAL-canary"];
    let mut texts: Vec<(String, String)> = said.iter().map(|text| ("said".to_owned(), (*text).to_owned())).collect();
    let mut open = vec![project.path(".runner")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => texts
                    .push((path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into())),
            }
        }
    }
    for (name, text) in texts {
        for form in encoded {
            assert!(!text.contains(form), "{name} shows the secret as {form}:\n{text}");
        }
    }
}

fn project(account: &Account, secret: &str) -> Project {
    let project = Project::new(INVENTORY).file("playbooks/prod.rhai", &playbook(secret));
    let project = project.file("canary.txt", &format!("{VALUE}\n")).env("CANARY", VALUE);
    account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value))
}

#[test]
fn a_secret_from_each_source_reaches_aws_and_nothing_else() {
    for secret in ["env", "file", "parameter", "manager"] {
        let account = Account::new();
        account.boto(&format!(
            "boto3.client('ssm', 'eu-west-1').put_parameter(Name='/canary', Value='{VALUE}', Type='SecureString')
boto3.client('secretsmanager', 'eu-west-1').create_secret(Name='canary', SecretString='{{\"value\": \"{VALUE}\"}}')"
        ));
        let project = project(&account, secret);
        let plan = project.run("playbooks/prod.rhai --dry-run").code(0);
        assert!(plan.out.contains(&format!("\"password=(secret {secret})\"")), "{}", plan.out);
        let json = project.run("playbooks/prod.rhai --dry-run --format json").code(0);
        // The answer is lost: what is there is compared with the secret.
        account.lose_answer("CreateVpc", 1);
        let applied = project.run("playbooks/prod.rhai --yes -v").code(0);
        let tags = "ec2 = boto3.client('ec2', 'eu-west-1')\nprint([t['Value'] for v in ec2.describe_vpcs()['Vpcs'] \
                    for t in v.get('Tags', []) if t['Key'] == 'note'])";
        assert_eq!(account.boto(tags).trim(), format!("['password={VALUE}']"));
        let again = project.run("playbooks/prod.rhai -v").code(0);
        assert!(again.out.contains("Nothing to do"), "{}", again.out);
        assert!(again.out.contains("it is (secret"), "{}", again.out);
        let mut said = vec![];
        for run in [&plan, &json, &applied, &again] {
            said.extend([run.out.as_str(), run.err.as_str()]);
        }
        assert_unseen(&project, &said);
    }
}

#[test]
fn another_value_is_a_change_that_shows_neither() {
    let account = Account::new();
    let project = project(&account, "file");
    project.run("playbooks/prod.rhai --yes").code(0);
    project.write("canary.txt", "NOTAREAL-other");
    let plan = project.run("playbooks/prod.rhai --dry-run").code(0);
    assert!(plan.out.contains("~ tags.note: (sensitive)"), "{}", plan.out);
    assert_eq!(last(&plan.out), "Plan: 0 to create, 1 to update, 0 to replace, 0 to delete, 0 unchanged.");
    let json = project.run("playbooks/prod.rhai --dry-run --format json").code(0);
    assert_unseen(&project, &[&plan.out, &plan.err, &json.out, &json.err]);
    assert!(!format!("{}{}", plan.out, json.out).contains("NOTAREAL-other"));
}

#[test]
fn a_provider_that_repeats_what_it_was_sent_is_masked() {
    let account = Account::new();
    let project = project(&account, "env");
    account.fail_saying("CreateVpc", "InvalidParameterValue", &format!("Value ({VALUE}) is not valid."));
    let run = project.run("playbooks/prod.rhai --yes").code(1);
    assert!(run.err.contains("value ((secret env)) is not valid"), "{}", run.err);
    assert_unseen(&project, &[&run.out, &run.err]);
}

#[test]
fn a_secret_that_is_not_to_be_had_is_told_before_anything_is_changed() {
    let account = Account::new();
    let told = |secret: &str| {
        let project = project(&account, secret);
        std::fs::remove_file(project.path("canary.txt")).unwrap();
        let run = project.run("playbooks/prod.rhai --yes").code(1);
        assert!(run.err.contains(&format!("the secret `{secret}` cannot be had")), "{}", run.err);
        assert!(run.err.contains("playbooks/prod.rhai:2:"), "{}", run.err);
        run.err
    };
    assert!(told("file").contains("failed to read"));
    assert!(told("parameter").contains("ParameterNotFound"));
    assert!(told("manager").contains("secretsmanager:GetSecretValue"));
    let project = project(&account, "env").file(
        "playbooks/prod.rhai",
        "if secret(\"env\") == \"x\" { aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" }); }",
    );
    let run = project.run("playbooks/prod.rhai --dry-run").code(1);
    assert!(run.err.contains("the secret `env` cannot be looked at"), "{}", run.err);
}

/// What is deleted is shown as it is live, where nothing says any more that a secret was in it.
#[test]
fn what_is_deleted_shows_no_secret_either() {
    let account = Account::new();
    let project = project(&account, "env");
    project.run("playbooks/prod.rhai --yes").code(0);
    let destroy = project.run("destroy playbooks/prod.rhai --dry-run -v").code(0);
    assert!(destroy.out.contains("password=(secret env)"), "{}", destroy.out);
    project.write("playbooks/prod.rhai", "let env = inventory();");
    let orphan = project.run("playbooks/prod.rhai --dry-run --prune --format json").code(0);
    assert!(orphan.out.contains("password=(secret env)"), "{}", orphan.out);
    assert_unseen(&project, &[&destroy.out, &destroy.err, &orphan.out, &orphan.err]);
}

#[test]
fn the_sandbox_never_has_a_secret() {
    let project = Project::new(INVENTORY).file("playbooks/prod.rhai", &playbook("env"));
    let run = project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert!(project.read(".runner/sandbox.json").contains("stand-in for the secret env"));
    assert!(run.out.contains("it is (secret env)"), "{}", run.out);
    project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(0);
}
