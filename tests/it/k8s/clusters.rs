//! Clusters that are made and removed in the same run as what is on them; and the way there through a proxy.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::time::Duration;

use super::Stack;
use crate::moto::Account;
use crate::project::Project;

const EKS: &str = r#"
let role = aws::iam_role("control", #{ name: "stack-control", assume_role_policy: `{"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}` });
let net = aws::vpc("main", #{ cidr_block: "10.0.0.0/16" });
let zones = ["eu-west-1a", "eu-west-1b"];
let subnets = [];
for i in 0..2 { subnets.push(aws::subnet(`s${i}`, #{ vpc_id: net.id, cidr_block: `10.0.${i}.0/24`, availability_zone: zones[i] })); }
let eks = aws::eks_cluster("prod", #{ name: "prod", version: "1.36", role_arn: role.arn,
    vpc_config: #{ subnet_ids: subnets.map(|s| s.id) } });
let cluster = k8s::cluster("prod", #{ cluster_name: eks.name, endpoint: eks.endpoint,
    certificate_authority_data: eks.certificate_authority.data });
let web = k8s::manifest("web", #{ cluster: cluster, yaml: `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: shop }
data: { cluster: "prod" }
` });
"#;

#[test]
fn what_is_on_a_cluster_that_does_not_exist_yet_is_planned_in_full() {
    let mut project = Project::new("[aws]\nregion = \"eu-west-1\"\n").file("playbooks/main.rhai", EKS);
    for (name, value) in Account::new().env() {
        project = project.env(&name, &value);
    }
    let said = project.run("playbooks/main.rhai -i prod --dry-run").code(0);
    let why = "not validated yet: its cluster does not exist yet";
    for object in ["k8s::Namespace.shop", "k8s::ConfigMap.shop/settings"] {
        let line = said.out.lines().find(|line| line.contains(object));
        assert!(line.is_some_and(|line| line.contains(why) && line.contains('+')), "{}", said.out);
    }
    said.tells(&["+ k8s::cluster.prod", "cluster:", "8 to create"]);
}

#[test]
fn an_eks_cluster_is_reached_through_the_proxy_that_the_environment_names() {
    let playbook =
        r#"let cluster = k8s::cluster("prod", #{ cluster_name: "prod", endpoint: "https://prod.example.invalid" });"#;
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", proxy.local_addr().unwrap());
    let (said, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in proxy.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line);
            if said.send(line).is_err() {
                return;
            }
        }
    });
    let mut project = Project::new("[aws]\nregion = \"eu-west-1\"\n").file("playbooks/main.rhai", playbook);
    for (name, value) in Account::new().env() {
        project = project.env(&name, &value);
    }
    let project = project.env("HTTPS_PROXY", &at).env("NO_PROXY", "localhost,.example.org");
    let run = project.start("playbooks/main.rhai -i prod --dry-run");
    let line = asked.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(line.starts_with("CONNECT prod.example.invalid:443 "), "{line}");
    drop(run);
}

#[test]
fn what_is_on_this_machine_is_reached_without_the_proxy() {
    let mut stack = Stack::new("");
    stack.project = stack.project.env("HTTPS_PROXY", "http://127.0.0.1:9");
    stack.run("--dry-run").code(0).tells(&["1 to create"]);
}
