//! Everything that the shipped playbook reaches, brought up for it: an AWS account, a Kubernetes API server for each
//! environment, and the domain's zone in Cloudflare, which AWS looks into before it issues a certificate.

use serde_json::{Value as Json, json};

use crate::cloudflare::StandIn;
use crate::control_plane::ControlPlane;
use crate::moto::Account;
use crate::project::Project;

pub const ZONE: &str = "example.com";

/// What no run may tell, each by its name in the inventory. The token for Cloudflare is one more.
pub const SECRETS: [(&str, &str); 8] = [
    ("vpn_private_key", "NOTAREAL-vpn-key"),
    ("sqlserver_password", "NOTAREAL-sql-password"),
    ("keycloak_database_password", "NOTAREAL-keycloak-database"),
    ("keycloak_admin_password", "NOTAREAL-keycloak-admin"),
    ("apisix_admin_key", "NOTAREAL-apisix-admin-key"),
    ("oidc_client_secret", "NOTAREAL-oidc-client"),
    ("oidc_session_secret", "NOTAREAL-oidc-session-0123456789"),
    ("argocd_repository_token", "NOTAREAL-argocd-token"),
];

pub struct Platform {
    pub account: Account,
    pub cloud: StandIn,
    pub project: Project,
    /// The stacks' API servers.
    pub prod: &'static ControlPlane,
}

impl Platform {
    /// Nothing is there yet but the zone and the secrets.
    pub fn new(prod: &'static ControlPlane, staging: Option<&'static ControlPlane>) -> Self {
        Self::with_secrets(prod, staging, &SECRETS)
    }

    /// The same with secrets of other values. A `cloudflare_token` among them is one that Cloudflare knows.
    pub fn with_secrets(
        prod: &'static ControlPlane,
        staging: Option<&'static ControlPlane>,
        secrets: &[(&str, &str)],
    ) -> Self {
        let (account, cloud) = (Account::new(), StandIn::start());
        cloud.zone(ZONE);
        account.certificates_ask(&cloud.zone_url());
        let of = |wanted: &str| secrets.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        if let Some(token) = of("cloudflare_token") {
            cloud.allow(token, &[ZONE], true);
        }
        let value = |name: &str| of(name).expect("a secret").to_owned();
        keep_secrets(&account, of("cloudflare_token").unwrap_or(cloud.token()), &value);
        let vpn = value("vpn_private_key");
        let project = crate::argocd::installed(Project::shipped().env("VPN_PRIVATE_KEY", &vpn));
        for (stack, plane) in [("prod", Some(prod)), ("staging", staging)] {
            let file = format!("inventory/{stack}.toml");
            project.edit(&file, "123456789012", &account.number);
            if let Some(plane) = plane {
                let way = plane.kubeconfig().display().to_string();
                project
                    .write(&file, &format!("{}\n[cluster.connection]\nkubeconfig = \"{way}\"\n", project.read(&file)));
            }
        }
        let project = project.env("CLOUDFLARE_BASE_URL", &cloud.url());
        let project = account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value));
        Platform { account, cloud, project, prod }
    }

    /// `TYPE name content` of every record in the zone, with its comment.
    pub fn records(&self) -> Vec<String> {
        let text = |record: &serde_json::Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let records = self.cloud.records(ZONE);
        records
            .iter()
            .map(|record| ["type", "name", "content", "comment"].map(|field| text(record, field)).join(" "))
            .collect()
    }

    /// Everything that carries a stack's tag in AWS, of whatever service, as others see it.
    pub fn tagged(&self, stack: &str) -> Vec<String> {
        let text = self.account.boto(&TAGGED.replace("STACK", stack));
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Every object of any ApplySet in the cluster, of whatever kind, and the stack's parent with what it says that the set has.
    pub fn objects(&self, plane: &ControlPlane, stack: &str) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = plane.client();
            let get = async |path: String| -> Json {
                client.request(http::Request::get(path).body(vec![]).unwrap()).await.unwrap()
            };
            let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
            let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
            let mut roots = vec!["/api/v1".to_owned()];
            let groups = list(&get("/apis".into()).await["groups"]);
            roots.extend(
                groups.iter().map(|group| format!("/apis/{}", text(&group["preferredVersion"]["groupVersion"]))),
            );
            let mut found = vec![];
            for root in roots {
                for resource in list(&get(root.clone()).await["resources"]) {
                    let (name, kind) = (text(&resource["name"]), text(&resource["kind"]));
                    if name.contains('/') || !list(&resource["verbs"]).contains(&"list".into()) {
                        continue;
                    }
                    let all = get(format!("{root}/{name}?labelSelector=applyset.kubernetes.io/part-of")).await;
                    // What a controller made for one of them bears its labels, too.
                    let applied = |one: &&Json| {
                        list(&one["metadata"]["managedFields"]).iter().any(|by| by["manager"] == "runner")
                    };
                    found.extend(list(&all["items"]).iter().filter(applied).map(|one| {
                        let of = |field: &str| text(&one["metadata"][field]);
                        let set = text(&one["metadata"]["labels"]["applyset.kubernetes.io/part-of"]);
                        format!("kubernetes {kind} {}/{} of {set}", of("namespace"), of("name"))
                    }));
                }
            }
            let parent = get(format!("/api/v1/namespaces/kube-system/configmaps/runner-{stack}")).await;
            found.push(format!("kubernetes parent {}", parent["metadata"]["annotations"]));
            found
        })
    }

    /// What is left of any ApplySet in the cluster, among what has no namespace, and the stack's parent itself.
    pub fn in_the_cluster(&self, plane: &ControlPlane, stack: &str) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = plane.client();
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
            let parent = format!("/api/v1/namespaces/kube-system/configmaps/runner-{stack}");
            match client.request::<serde_json::Value>(http::Request::get(parent).body(vec![]).unwrap()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => left.push(format!("the parent: {other:?}")),
            }
            left
        })
    }
}

/// Where the inventories say that they are.
fn keep_secrets(account: &Account, token: &str, value: &dyn Fn(&str) -> String) {
    let kept = json!({
        "sqlserver": { "password": value("sqlserver_password") },
        "keycloak": {
            "database_password": value("keycloak_database_password"),
            "admin_password": value("keycloak_admin_password"),
        },
        "apisix": { "admin_key": value("apisix_admin_key") },
        "oidc": {
            "client_secret": value("oidc_client_secret"), "session_secret": value("oidc_session_secret"),
        },
        "argocd": { "repository_token": value("argocd_repository_token") },
        "cloudflare": { "token": token },
    });
    account.boto(&format!(
        "import json
manager = boto3.client('secretsmanager', 'eu-central-1')
for stack in ['prod', 'staging']:
    for name, value in {kept}.items():
        manager.create_secret(Name=stack + '/' + name, SecretString=json.dumps(value))"
    ));
}

const TAGGED: &str = "
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
