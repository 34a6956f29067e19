//! The canary: the whole platform with secrets that are hard to write down, in all that may happen to a run, and every
//! byte that it left or said searched for them.

mod search;

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::control_plane::ControlPlane;
use crate::platform::{Platform, ZONE};
use crate::project::{Project, Said};
use search::Search;

const SECRETS: [(&str, &str); 9] = [
    ("vpn_private_key", "=Vq4z=BEGINS=KEY=\nNOTAREAL/9xW+hG7\u{e4}\"'Tq==\nZw3#\\n&kM8%NOTAREAL.pR\n=Vq4z=ENDS=KEY="),
    ("sqlserver_password", "Sq1\"s'w/y+=&%3D\\p\u{e4}$(x)NOTAREAL`;Uj6Rm"),
    ("keycloak_database_password", "Kd2'b\"#x: {y}\\n/+=&%NOTAREAL\u{e4} Hf9Lc"),
    ("keycloak_admin_password", "Ka3\\\"q\\\\w'/+=&%<NOTAREAL>\u{e4}${Y} Bn5Vt"),
    ("apisix_admin_key", "Ax4{\"k\"}:'/+=&%!NOTAREAL\\u00e4\u{e4} |- Gy2Qd"),
    ("oidc_client_secret", "Oc5\"},'/+=&%\\tNOTAREAL\u{e4}@* Jr7Ws"),
    ("oidc_session_secret", "Os6 # '\"/+=&%\\0NOTAREAL\u{e4}>~ Mb8Xe"),
    ("argocd_repository_token", "Ar7%25/+=&\"'\\NOTAREAL\u{e4}?:- Pd4Cz"),
    ("cloudflare_token", "Cf8kQ-x_NOTAREAL-vH3mT_w9ZbL-r5YdN_s7GjE-p2Uc"),
];

/// One of the values after it was changed.
const ROTATED: &str = "Rk9'd\"#z: [y]\\r/+=&%NOTAREAL\u{e4} Wf1Lq";

/// No secret of the inventory, and not to be shown either.
const AWS_KEY: &str = "Wk0/aB+cD=NOTAREAL/xY7uI9oP+qL4tZ2sE1";

fn value(name: &str) -> &'static str {
    SECRETS.iter().find(|(known, _)| *known == name).expect("a secret").1
}

/// From all four kinds of sources, and with some more places that ask for one.
fn platform() -> Platform {
    let mut platform = Platform::with_secrets(ControlPlane::of_its_own(), None, &SECRETS);
    platform.project = platform.project.env("AWS_SECRET_ACCESS_KEY", AWS_KEY);
    let project = &platform.project;
    let moved = [
        ("secretsmanager = \"prod/keycloak\", key = \"database_password\"", "file = \"keys/database\""),
        ("secretsmanager = \"prod/argocd\", key = \"repository_token\"", "file = \"keys/argocd\""),
        ("secretsmanager = \"prod/keycloak\", key = \"admin_password\"", "ssm = \"/canary/admin\""),
    ];
    moved.iter().for_each(|(from, to)| project.edit("inventory/prod.toml", from, to));
    project.write("keys/database", &format!("{}\n", value("keycloak_database_password")));
    project.write("keys/argocd", value("argocd_repository_token"));
    let admin = json!(value("keycloak_admin_password"));
    platform.account.boto(&format!(
        "boto3.client('ssm', 'eu-central-1').put_parameter(Name='/canary/admin', Value={admin}, Type='SecureString')"
    ));
    project.edit("inventory/common.toml", "protect = true", "protect = false");
    // In texts of others, of more lines than are shown, and in what a run tells at its end.
    let lines: String = (0..16).map(|line| format!("line {line}: {{{{ admin }}}} {{{{ admin | quote }}}}\n")).collect();
    project.write("templates/canary.txt", &lines);
    let playbook = project.read("playbooks/prod.rhai");
    project.write(
        "playbooks/prod.rhai",
        &(playbook
            + r#"
let admin = secret("keycloak_admin_password");
let all = #{ type: "String", value: template("canary.txt", #{ admin: admin }), tags: env.tags };
aws::ssm_parameter("/prod/canary", all);
output("told", `it is ${admin}`);
"#),
    );
    platform
}

/// What was said so far, and what is to be found nowhere in it.
struct Watch {
    search: Search,
    runs: usize,
}

impl Watch {
    #[track_caller]
    fn said(&mut self, said: Said, code: i32) -> Said {
        assert_eq!(said.code, code, "\n--- stdout\n{}\n--- stderr\n{}", said.out, said.err);
        for (stream, text) in [("stdout", &said.out), ("stderr", &said.err)] {
            let plain = console::strip_ansi_codes(text);
            let found = [self.search.found(text.as_bytes()), self.search.found(plain.as_bytes())].concat();
            assert_eq!(found, [""; 0], "on {stream}");
        }
        self.runs += 1;
        said
    }

    #[track_caller]
    fn folder(&self, project: &Project) {
        let (files, found) = self.search.below(project.folder.path(), &[&project.path("keys")]);
        assert!(files > 40, "{files}");
        assert_eq!(found, [""; 0]);
    }
}

/// Runs at a terminal that is too narrow for what it is told.
fn at_narrow_terminal(project: &Project, args: &str) -> Said {
    project.shell(&format!("script -qec 'stty cols 48 rows 20; runner {args}' /dev/null"))
}

#[test]
fn no_secret_is_told_or_left_where_it_does_not_belong() {
    let platform = platform();
    let Platform { account, cloud, project, prod } = &platform;
    let all = SECRETS.into_iter().chain([("rotated", ROTATED), ("AWS key", AWS_KEY)]);
    let mut watch = Watch { search: Search::of(all), runs: 0 };

    // Plans of all that is to come.
    let plan = watch.said(project.run("playbooks/prod.rhai --dry-run -vv"), 0);
    assert!(plan.out.contains("(secret keycloak_admin_password)"), "{}", plan.out);
    watch.said(project.run("playbooks/prod.rhai --dry-run --format json"), 0);

    // Stopped in the middle, with most still to be done.
    let run = project.start("playbooks/prod.rhai --yes --format json --parallelism 1");
    let mut heard = vec![];
    while heard.iter().filter(|line: &&String| line.contains("\"finished\"")).count() < 2 {
        heard.push(run.out.recv_timeout(Duration::from_secs(90)).unwrap_or_else(|_| panic!("{}", heard.join("\n"))));
    }
    run.signal("INT");
    let mut said = run.end();
    said.out.insert_str(0, &(heard.join("\n") + "\n"));
    watch.said(said, 130);

    // Each provider repeats what it was sent, in a form of its own.
    let (vpn, token) = (value("vpn_private_key"), value("cloudflare_token"));
    let refusal = format!("the value {vpn} ({}) is not accepted", json!({ "Value": vpn }));
    account.fail_saying("PutParameter", "ValidationException", &refusal);
    account.fail_saying("PutParameter", "ValidationException", &format!("not {}", urlencoding::encode(vpn)));
    let refusal = format!("the token {token}, {}, is too good", base64(token));
    cloud.fail("POST /zones/:zone/dns_records", 400, 1004, &refusal, 2);
    let policy = Policy::in_force(prod);
    let failed = watch.said(at_narrow_terminal(project, "playbooks/prod.rhai --yes -vv"), 1);
    for secret in ["vpn_private_key", "cloudflare_token", "keycloak_database_password"] {
        assert!(failed.out.contains(&format!("(secret {secret})")), "{secret}: {}", failed.out);
    }
    policy.gone();

    // Answers are lost; then all is there.
    account.lose_answer("PutParameter", 1);
    cloud.lose_answer("POST /zones/:zone/dns_records", 1);
    watch.said(project.run("playbooks/prod.rhai --yes -vv"), 0);
    watch.said(project.run("playbooks/prod.rhai --yes --format json"), 0);

    // Another value of one, and another image.
    project.write("keys/database", ROTATED);
    project.edit("templates/keycloak/keycloak.yaml", "keycloak:26.7.2", "keycloak:26.7.3");
    watch.said(project.run("playbooks/prod.rhai --dry-run -v"), 0);
    watch.said(project.run("playbooks/prod.rhai --yes --format json"), 0);

    // They are where they belong, and the search sees them there.
    let kept = kept(&platform);
    for (name, _) in SECRETS {
        let value = if name == "keycloak_database_password" { ROTATED } else { value(name) };
        let seen = [&kept.cluster, &kept.aws]
            .into_iter()
            .any(|text| Search::has(text, value, "base64 as a whole") || Search::has(text, value, "json in ascii"));
        assert!(seen, "{name} is nowhere");
        assert!(!watch.search.found(format!("{}{}", kept.cluster, kept.aws).as_bytes()).is_empty());
    }
    // They are where nobody should look for them.
    assert!(kept.open.len() > 100_000 && kept.open.contains("runner:stack") && kept.open.contains("[runner prod@"));
    assert_eq!(watch.search.found(kept.open.as_bytes()), [""; 0]);

    // What is read from it.
    watch.said(project.run("output playbooks/prod.rhai"), 0);
    watch.said(project.run("output playbooks/prod.rhai --format json"), 0);
    watch.said(project.run("output playbooks/prod.rhai told"), 1);
    let rendered =
        "render argocd/access.yaml -i prod --var host=a.example.com --secret-var token=argocd_repository_token";
    watch.said(project.run(rendered), 0);
    let rendered = "render apps/login.yaml -i prod --secret-var client_secret=oidc_client_secret \
                    --secret-var session_secret=oidc_session_secret";
    watch.said(project.run(rendered), 0);

    // The API server quotes what it cannot take, in two ways.
    let secret = "metadata:\n  name: login\n";
    let label = "metadata:\n  labels: { canary: {{ session_secret | quote }} }\n  name: login\n";
    project.edit("templates/apps/login.yaml", secret, label);
    watch.said(project.run("playbooks/prod.rhai --dry-run -vv"), 1);
    project.edit("templates/apps/login.yaml", label, secret);
    let all = "stringData:\n";
    project.edit("templates/apps/login.yaml", all, "immutable: {{ session_secret | quote }}\nstringData:\n");
    watch.said(at_narrow_terminal(project, "playbooks/prod.rhai --dry-run -vv"), 1);
    project.edit("templates/apps/login.yaml", "immutable: {{ session_secret | quote }}\nstringData:\n", all);

    // Cloudflare does not take its token any more.
    cloud.token_status(token, "disabled");
    watch.said(project.run("playbooks/prod.rhai --dry-run -vv"), 1);
    cloud.token_status(token, "active");
    watch.folder(project);

    // The same in the sandbox, which has no secret to tell.
    watch.said(project.run("playbooks/prod.rhai --sandbox --yes -vv"), 0);
    watch.said(project.run("destroy playbooks/prod.rhai --sandbox --dry-run -v"), 0);

    // What goes is shown as it is live.
    let plan = watch.said(at_narrow_terminal(project, "destroy playbooks/prod.rhai --dry-run -v"), 0);
    assert!(plan.out.contains("(sensitive)"), "{}", plan.out);
    watch.said(project.run("destroy playbooks/prod.rhai --dry-run --format json"), 0);
    watch.said(project.run("destroy playbooks/prod.rhai --yes -vv"), 0);
    watch.folder(project);
    println!("{} runs searched", watch.runs);
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("Bearer {text}"))
}

/// What is kept, in JSON.
struct Kept {
    /// The secrets of the cluster.
    cluster: String,
    /// The parameters and secrets of AWS.
    aws: String,
    /// All else that there is in the cluster, in AWS and in the zone.
    open: String,
}

fn kept(platform: &Platform) -> Kept {
    let (mut cluster, mut open) = (String::new(), String::new());
    let get = |path: &str| ask(platform.prod, "GET", path, Json::Null).1;
    let mut groups = vec!["/api/v1".to_owned()];
    let versions = get("/apis")["groups"].as_array().cloned().unwrap_or_default();
    groups.extend(
        versions.iter().map(|group| format!("/apis/{}", group["preferredVersion"]["groupVersion"].as_str().unwrap())),
    );
    for group in groups {
        for resource in get(&group)["resources"].as_array().into_iter().flatten() {
            let name = resource["name"].as_str().unwrap();
            let lists = resource["verbs"].as_array().unwrap().contains(&json!("list"));
            if name.contains('/') || !lists {
                continue;
            }
            let mut list = get(&format!("{group}/{name}"));
            for item in list["items"].as_array_mut().into_iter().flatten() {
                if (group.as_str(), name) == ("/api/v1", "secrets") {
                    cluster += &item["data"].take().to_string();
                }
            }
            open += &format!("{group}/{name}: {list}\n");
        }
    }
    open += &Json::from(platform.cloud.records(ZONE)).to_string();
    open += &platform.account.boto(OPEN);
    Kept { cluster, aws: platform.account.boto(CLOSED), open }
}

/// What more people may read than secrets, user data among it.
const OPEN: &str = "
import json, base64
def told(client, call, **more):
    answer = getattr(client, call)(**more)
    answer.pop('ResponseMetadata')
    print(call, json.dumps(answer, default=str, ensure_ascii=False))
    return answer
for region in ['eu-central-1', 'us-east-1']:
    of = lambda service: boto3.client(service, region)
    told(of('resourcegroupstaggingapi'), 'get_resources')
    told(of('ssm'), 'describe_parameters')
    told(of('dlm'), 'get_lifecycle_policies')
    told(of('autoscaling'), 'describe_auto_scaling_groups')
    told(of('elbv2'), 'describe_load_balancers')
    told(of('ecr'), 'describe_repositories')
    told(of('ec2'), 'describe_security_groups')
    told(of('ec2'), 'describe_volumes')
    for one in told(of('ec2'), 'describe_launch_templates')['LaunchTemplates']:
        told(of('ec2'), 'describe_launch_template_versions', LaunchTemplateId=one['LaunchTemplateId'])
    for held in told(of('ec2'), 'describe_instances')['Reservations']:
        for one in held['Instances']:
            if one['State']['Name'] == 'running':
                data = told(of('ec2'), 'describe_instance_attribute', InstanceId=one['InstanceId'], Attribute='userData')
                print(base64.b64decode(data['UserData'].get('Value', '')).decode())
iam = boto3.client('iam', 'us-east-1')
for role in told(iam, 'list_roles')['Roles']:
    told(iam, 'list_role_tags', RoleName=role['RoleName'])
    for name in told(iam, 'list_role_policies', RoleName=role['RoleName'])['PolicyNames']:
        told(iam, 'get_role_policy', RoleName=role['RoleName'], PolicyName=name)
";

const CLOSED: &str = "
import json
ssm, manager = boto3.client('ssm', 'eu-central-1'), boto3.client('secretsmanager', 'eu-central-1')
for one in ssm.describe_parameters()['Parameters']:
    print(json.dumps(ssm.get_parameter(Name=one['Name'], WithDecryption=True)['Parameter']['Value']))
for one in manager.list_secrets()['SecretList']:
    for value in json.loads(manager.get_secret_value(SecretId=one['Name'])['SecretString']).values():
        print(json.dumps(value))
";

/// One that keeps a Secret out, and repeats what is in it.
struct Policy(&'static ControlPlane);

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

impl Policy {
    fn in_force(plane: &'static ControlPlane) -> Self {
        let of = |kind: &str, spec: Json| {
            json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": { "name": "canary" },
                    "spec": spec })
        };
        let policy = json!({
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [
                { "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"] },
            ] },
            "matchConditions": [{ "name": "named", "expression": "object.metadata.name == 'keycloak'" }],
            "validations": [{
                "expression": "!has(object.data)",
                "messageExpression": "'this is not wanted: ' + string(object.data['KC_DB_PASSWORD'])",
            }],
        });
        let binding = json!({ "policyName": "canary", "validationActions": ["Deny"] });
        assert_eq!(ask(plane, "POST", POLICIES, of("ValidatingAdmissionPolicy", policy)).0, 201);
        assert_eq!(ask(plane, "POST", BINDINGS, of("ValidatingAdmissionPolicyBinding", binding)).0, 201);
        Policy(plane).until(|code| code == 422)
    }

    fn gone(self) {
        for path in [BINDINGS, POLICIES] {
            assert_eq!(ask(self.0, "DELETE", &format!("{path}/canary"), Json::Null).0, 200);
        }
        self.until(|code| code == 201);
    }

    fn until(self, done: impl Fn(u16) -> bool) -> Self {
        let one = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "keycloak" },
                          "data": { "KC_DB_PASSWORD": "YQ==" } });
        for _ in 0..600 {
            if done(ask(self.0, "POST", "/api/v1/namespaces/default/secrets?dryRun=All", one.clone()).0) {
                return self;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the policy does not come, or does not go");
    }
}

/// What the API server answers, with its status.
fn ask(plane: &ControlPlane, method: &str, path: &str, body: Json) -> (u16, Json) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let body = if body.is_null() { vec![] } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        let answer = plane.client().send(request.body(body.into()).unwrap()).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect_bytes().await.unwrap();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    })
}
