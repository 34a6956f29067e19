//! VPCs and what is in them.

use std::collections::BTreeSet;

use runner::resource::{Class, Create, Live, Map, Owner, Provider, Select, Status, Update, Value};
use serde_json::{Value as Json, json};

use super::stack::{Stack, item, reference};
use super::{World, map, owner};

impl World {
    pub async fn vpc(&self) -> String {
        self.create("aws::vpc", "main", json!({ "cidr_block": "10.0.0.0/16" })).await.id
    }

    pub async fn subnet(&self, vpc: &str, name: &str, third: u8) -> String {
        let inputs = json!({ "vpc_id": vpc, "cidr_block": format!("10.0.{third}.0/24") });
        self.create("aws::subnet", name, inputs).await.id
    }
}

#[tokio::test]
async fn vpc() {
    let w = World::new();
    let k = "aws::vpc";
    let live = w.create(k, "main", json!({ "cidr_block": "10.0.0.0/16", "enable_dns_hostnames": true })).await;
    assert_eq!(live.inputs["tags"], Value::from(json!({ "Name": "main" })));
    for output in ["arn", "owner_id", "default_security_group_id", "default_network_acl_id", "main_route_table_id"] {
        assert!(live.outputs.contains_key(output), "{output}");
    }
    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "enable_dns_hostnames": false, "enable_dns_support": false })).await;
    let live = w.update(&live, k, json!({ "enable_dns_hostnames": true, "enable_dns_support": true })).await;
    let live = w.update(&live, k, json!({ "assign_generated_ipv6_cidr_block": true })).await;
    assert!(live.outputs["ipv6_cidr_block"].as_str().unwrap().ends_with("/56"));
    let live = w.update(&live, k, json!({ "assign_generated_ipv6_cidr_block": false })).await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 6, "{:?}", w.account.calls());
    w.delete(&live, k).await;
}

#[tokio::test]
async fn what_is_there_untagged_can_be_adopted() {
    let w = World::new();
    // Each account has a default VPC that nobody owns.
    let main = w.create("aws::vpc", "main", json!({ "cidr_block": "10.0.0.0/16" })).await;
    let group = main.outputs["default_security_group_id"].as_str().unwrap().to_owned();
    let live = w.read("aws::security_group", &group).await;
    assert_eq!(live.owner, None);
    let adopted = w.own(&live, "aws::security_group", owner("aws::security_group", "default")).await;
    assert_eq!(w.owned("aws::security_group").await, [adopted]);
}

#[tokio::test]
async fn what_is_protected_is_so_from_birth_on() {
    let w = World::new();
    let k = "aws::eip";
    let owner = Owner { protect: true, ..owner(k, "nat") };
    let request = Create { region: None, owner: owner.clone(), inputs: Map::new(), token: "protected".into() };
    let id = w.aws.create(&w.kind(k), &request).await.unwrap();
    let live = w.read(k, &id).await;
    assert_eq!(live.owner, Some(owner));
    assert_eq!(live.inputs["tags"], Value::from(json!({ "Name": "nat" })));
}

#[tokio::test]
async fn tags_of_controllers_stay_unless_the_author_names_them() {
    let w = World::new();
    let k = "aws::vpc";
    let foreign = "kubernetes.io/cluster/main";
    let live = w.create(k, "main", json!({ "cidr_block": "10.0.0.0/16", "tags": { foreign: "owned" } })).await;
    let request = |live: &Live, tags: Json| Update {
        live: live.clone(),
        owner: live.owner.clone().unwrap(),
        inputs: map(json!({ "cidr_block": "10.0.0.0/16", "tags": tags })),
        changed: vec!["tags".into()],
        token: "update".into(),
    };
    w.aws.update(&w.kind(k), &request(&live, json!({ "team": "a" }))).await.unwrap();
    let live = w.read(k, &live.id).await;
    assert_eq!(live.inputs["tags"], Value::from(json!({ "Name": "main", "team": "a", foreign: "owned" })));
    w.aws.update(&w.kind(k), &request(&live, json!({ foreign: "shared" }))).await.unwrap();
    let live = w.read(k, &live.id).await;
    assert_eq!(live.inputs["tags"], Value::from(json!({ "Name": "main", foreign: "shared" })));
}

#[tokio::test]
async fn subnet() {
    let w = World::new();
    let k = "aws::subnet";
    let vpc = w.vpc().await;
    let live = w
        .create(
            k,
            "public",
            json!({ "vpc_id": vpc, "cidr_block": "10.0.1.0/24", "availability_zone": "eu-west-1b", "map_public_ip_on_launch": true }),
        )
        .await;
    assert!(live.outputs.contains_key("availability_zone_id"));
    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "map_public_ip_on_launch": false })).await;
    let live = w
        .update(
            &live,
            k,
            json!({ "enable_resource_name_dns_a_record_on_launch": true, "private_dns_hostname_type_on_launch": "resource-name" }),
        )
        .await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 1);
    let clash = w.try_create(k, "clash", json!({ "vpc_id": vpc, "cidr_block": "10.0.1.0/25" })).await.unwrap_err();
    assert_eq!((clash.class, clash.code.as_deref()), (Class::Exists, Some("InvalidSubnet.Conflict")));
    assert!(clash.hint.unwrap().contains("cidr_block"));
    w.delete(&live, k).await;
}

#[tokio::test]
async fn subnet_with_ipv6() {
    let w = World::new();
    let vpc = json!({ "cidr_block": "10.0.0.0/16", "assign_generated_ipv6_cidr_block": true });
    let vpc = w.create("aws::vpc", "main", vpc).await;
    let block = vpc.outputs["ipv6_cidr_block"].as_str().unwrap().replace("/56", "/64");
    let k = "aws::subnet";
    let live = w.create(k, "a", json!({ "vpc_id": vpc.id, "cidr_block": "10.0.1.0/24" })).await;
    let live = w.update(&live, k, json!({ "ipv6_cidr_block": block, "assign_ipv6_address_on_creation": true })).await;
    let live = w.update(&live, k, json!({ "ipv6_cidr_block": null, "assign_ipv6_address_on_creation": false })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn internet_gateway() {
    let w = World::new();
    let k = "aws::internet_gateway";
    let vpc = w.vpc().await;
    let other = w.create("aws::vpc", "other", json!({ "cidr_block": "10.1.0.0/16" })).await.id;
    let live = w.create(k, "main", json!({ "vpc_id": vpc })).await;
    assert_eq!(live.status, Status::Ready);
    let live = w.common_life(k, live).await;
    let live = w.update_once(&live, k, json!({ "vpc_id": other })).await;
    let live = w.update_once(&live, k, json!({ "vpc_id": null })).await;
    let live = w.update_once(&live, k, json!({ "vpc_id": vpc })).await;
    let attached = w.read("aws::vpc", &vpc).await;
    assert_eq!(w.try_delete(&attached, "aws::vpc").await.unwrap_err().class, Class::Busy);
    w.delete(&live, k).await;
    w.try_delete(&attached, "aws::vpc").await.unwrap();
}

#[tokio::test]
async fn an_internet_gateway_that_was_not_attached_is() {
    let w = World::new();
    let k = "aws::internet_gateway";
    let vpc = w.vpc().await;
    w.account.fail("AttachInternetGateway", "RequestLimitExceeded", 503, 1);
    let fault = w.try_create(k, "main", json!({ "vpc_id": vpc })).await.unwrap_err();
    assert_eq!(fault.class, Class::Throttled);
    let live = w.read(k, &fault.created.expect("it was created")).await;
    assert!(!live.inputs.contains_key("vpc_id"));
    w.update_once(&live, k, json!({ "vpc_id": vpc })).await;
}

#[tokio::test]
async fn eip() {
    let w = World::new();
    let k = "aws::eip";
    let live = w.create(k, "nat", json!({})).await;
    assert_eq!(live.outputs["allocation_id"], live.id.as_str().into());
    let dns = live.outputs["public_dns"].as_str().unwrap();
    assert!(dns.ends_with(".eu-west-1.compute.amazonaws.com"), "{dns}");
    let live = w.common_life(k, live).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn nat_gateway() {
    let w = World::new();
    let k = "aws::nat_gateway";
    let vpc = w.vpc().await;
    let gateway = w.create("aws::internet_gateway", "main", json!({ "vpc_id": vpc })).await;
    let subnet = w.read("aws::subnet", &w.subnet(&vpc, "public", 1).await).await;
    let eip = w.create("aws::eip", "nat", json!({})).await;
    let inputs = json!({ "subnet_id": subnet.id, "allocation_id": eip.id });
    w.account.delay("nat_gateway", 1.5);
    let live = w.create(k, "main", inputs.clone()).await;
    assert_eq!(live.status, Status::Pending("pending".into()));
    assert_eq!(live.outputs["public_ip"], eip.outputs["public_ip"]);
    // The same token again is the same gateway.
    assert_eq!(w.try_create(k, "main", inputs).await.unwrap(), live.id);
    while w.read(k, &live.id).await.status != Status::Ready {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let live = w.common_life(k, w.read(k, &live.id).await).await;
    for (other, kind) in [(&eip, "aws::eip"), (&subnet, "aws::subnet"), (&gateway, "aws::internet_gateway")] {
        assert_eq!(w.try_delete(other, kind).await.unwrap_err().class, Class::Busy, "{kind}");
    }
    w.delete(&live, k).await;
    w.delete(&eip, "aws::eip").await;
}

#[tokio::test]
async fn route_table() {
    let w = World::new();
    let k = "aws::route_table";
    let vpc = w.vpc().await;
    let gateway = w.create("aws::internet_gateway", "main", json!({ "vpc_id": vpc })).await.id;
    let (a, b) = (w.subnet(&vpc, "a", 1).await, w.subnet(&vpc, "b", 2).await);
    let eip = w.create("aws::eip", "nat", json!({})).await.id;
    let nat = w.create("aws::nat_gateway", "main", json!({ "subnet_id": a, "allocation_id": eip })).await.id;
    let out = json!({ "cidr_block": "0.0.0.0/0", "gateway_id": gateway });
    let live = w.create(k, "main", json!({ "vpc_id": vpc, "route": [out], "subnet_ids": [a] })).await;
    let live = w.common_life(k, live).await;
    let through_nat = json!([{ "cidr_block": "0.0.0.0/0", "nat_gateway_id": nat }, { "cidr_block": "192.168.0.0/16", "gateway_id": gateway }]);
    let live = w.update(&live, k, json!({ "route": through_nat })).await;
    let live = w.update(&live, k, json!({ "route": [], "subnet_ids": [a, b] })).await;
    // A subnet of one table moves to another.
    let second = w.create(k, "second", json!({ "vpc_id": vpc, "subnet_ids": [b] })).await;
    let live = w.read(k, &live.id).await;
    w.assert_like(&live, k, &map(json!({ "subnet_ids": [a] })));
    let live = w.update(&live, k, json!({ "subnet_ids": [] })).await;
    w.try_delete(&second, k).await.unwrap();
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_route_table_that_was_half_made_is_completed() {
    let w = World::new();
    let k = "aws::route_table";
    let vpc = w.vpc().await;
    let gateway = w.create("aws::internet_gateway", "main", json!({ "vpc_id": vpc })).await.id;
    let a = w.subnet(&vpc, "a", 1).await;
    let route = json!([{ "cidr_block": "0.0.0.0/0", "gateway_id": gateway }]);
    w.account.fail("CreateRoute", "InternalError", 500, 1);
    let wanted = json!({ "vpc_id": vpc, "route": route, "subnet_ids": [a] });
    let fault = w.try_create(k, "main", wanted).await.unwrap_err();
    assert_eq!(fault.class, Class::Ambiguous);
    let live = w.read(k, &fault.created.expect("it was created")).await;
    w.update(&live, k, json!({ "route": route, "subnet_ids": [a] })).await;
}

#[tokio::test]
async fn an_association_that_another_table_took_is_looked_at_again() {
    let w = World::new();
    let k = "aws::route_table";
    let vpc = w.vpc().await;
    let a = w.subnet(&vpc, "a", 1).await;
    let first = w.create(k, "first", json!({ "vpc_id": vpc, "subnet_ids": [a] })).await;
    w.account.fail("ReplaceRouteTableAssociation", "InvalidAssociationID.NotFound", 400, 1);
    let fault = w.try_create(k, "second", json!({ "vpc_id": vpc, "subnet_ids": [a] })).await.unwrap_err();
    assert_eq!(fault.class, Class::Busy);
    let second = w.read(k, &fault.created.expect("it was created")).await;
    w.update(&second, k, json!({ "subnet_ids": [a] })).await;
    // To let go of what is held no more is done.
    let second = w.read(k, &second.id).await;
    w.account.fail("DisassociateRouteTable", "InvalidAssociationID.NotFound", 400, 1);
    let change = Update {
        live: second.clone(),
        owner: second.owner.clone().unwrap(),
        inputs: map(json!({ "vpc_id": vpc, "subnet_ids": [] })),
        changed: vec!["subnet_ids".into()],
        token: "update".into(),
    };
    w.aws.update(&w.kind(k), &change).await.unwrap();
    w.try_delete(&first, k).await.unwrap();
}

#[tokio::test]
async fn vpc_endpoint_of_a_gateway() {
    let w = World::new();
    let k = "aws::vpc_endpoint";
    let vpc = w.vpc().await;
    let tables = [
        w.create("aws::route_table", "a", json!({ "vpc_id": vpc })).await.id,
        w.create("aws::route_table", "b", json!({ "vpc_id": vpc })).await.id,
    ];
    let inputs = json!({ "vpc_id": vpc, "service_name": "com.amazonaws.eu-west-1.s3", "route_table_ids": [tables[0]] });
    let live = w.create(k, "s3", inputs.clone()).await;
    assert!(live.outputs["prefix_list_id"].as_str().unwrap().starts_with("pl-"));
    assert_eq!(w.try_create(k, "s3", inputs).await.unwrap(), live.id);
    // The endpoint's own route is not the table's author's.
    w.assert_like(&w.read("aws::route_table", &tables[0]).await, "aws::route_table", &map(json!({ "route": [] })));
    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "route_table_ids": tables })).await;
    let live = w.update(&live, k, json!({ "route_table_ids": [tables[1]] })).await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}"#;
    let live = w.update(&live, k, json!({ "policy": policy })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn vpc_endpoint_of_interfaces() {
    let w = World::new();
    let k = "aws::vpc_endpoint";
    let vpc = w.vpc().await;
    let (a, b) = (w.subnet(&vpc, "a", 1).await, w.subnet(&vpc, "b", 2).await);
    let group = w.create("aws::security_group", "web", json!({ "vpc_id": vpc })).await;
    let second = w.create("aws::security_group", "db", json!({ "vpc_id": vpc })).await.id;
    w.account.delay("vpc_endpoint", 1.0);
    let live = w
        .create(
            k,
            "ecr",
            json!({
                "vpc_id": vpc, "service_name": "com.amazonaws.eu-west-1.ecr.api", "vpc_endpoint_type": "Interface",
                "subnet_ids": [a], "security_group_ids": [group.id], "private_dns_enabled": true,
            }),
        )
        .await;
    assert_eq!(live.status, Status::Pending("pending".into()));
    assert!(!live.outputs["dns_entry"].as_list().unwrap().is_empty());
    while w.read(k, &live.id).await.status != Status::Ready {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let live = w.common_life(k, w.read(k, &live.id).await).await;
    assert_eq!(w.try_delete(&group, "aws::security_group").await.unwrap_err().class, Class::Busy);
    let live = w.update(&live, k, json!({ "subnet_ids": [b], "security_group_ids": [second] })).await;
    let live = w.update(&live, k, json!({ "private_dns_enabled": false, "ip_address_type": "dualstack" })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn security_group() {
    let w = World::new();
    let k = "aws::security_group";
    let vpc = w.vpc().await;
    let ingress = json!([
        { "from_port": 443, "protocol": "tcp", "cidr_blocks": ["10.0.0.0/8", "172.16.0.0/12"], "description": "web" },
        { "from_port": 0, "to_port": 0, "protocol": "-1", "self": true },
    ]);
    let live = w.create(k, "web", json!({ "vpc_id": vpc, "ingress": ingress, "egress": [] })).await;
    assert_eq!(live.inputs["name"], "web".into());
    assert_eq!(live.inputs["description"], "Managed by runner".into());
    let live = w.common_life(k, live).await;
    let all = json!([{ "protocol": "-1", "cidr_blocks": ["0.0.0.0/0"] }]);
    let live = w.update(&live, k, json!({ "egress": all })).await;
    // Another description, one peer less, one rule more.
    let ingress = json!([
        { "from_port": 443, "protocol": "tcp", "cidr_blocks": ["10.0.0.0/8"], "description": "the web" },
        { "protocol": "icmp", "ipv6_cidr_blocks": [], "cidr_blocks": ["10.0.0.0/8"] },
        { "from_port": 1000, "to_port": 2000, "protocol": "udp", "ipv6_cidr_blocks": ["2001:DB8::/32"] },
    ]);
    let live = w.update(&live, k, json!({ "ingress": ingress, "egress": [] })).await;
    let named = Select::Named(BTreeSet::from(["web".into()]));
    assert_eq!(w.aws.list(&w.kind(k), None, &named).await.unwrap(), std::slice::from_ref(&live));
    let again = w.try_create(k, "web", json!({ "vpc_id": vpc })).await.unwrap_err();
    assert_eq!(again.class, Class::Exists);
    w.delete(&live, k).await;
}

#[tokio::test]
async fn security_groups_that_name_each_other_can_go() {
    let w = World::new();
    let k = "aws::security_group";
    let vpc = w.vpc().await;
    // Left out, the rule that lets everything out is AWS's and stays.
    let a = w.create(k, "a", json!({ "vpc_id": vpc })).await;
    assert_eq!(a.inputs["egress"].as_list().unwrap().len(), 1);
    let from = |id: &str| json!([{ "from_port": 80, "protocol": "tcp", "security_groups": [id] }]);
    let b = w.create(k, "b", json!({ "vpc_id": vpc, "ingress": from(&a.id) })).await;
    let a = w.update(&a, k, json!({ "ingress": from(&b.id) })).await;
    assert_eq!(w.try_delete(&a, k).await.unwrap_err().class, Class::Busy);
    w.try_delete(&b, k).await.unwrap();
    w.delete(&a, k).await;
}

#[tokio::test]
async fn a_network_lives_through_the_engine() {
    let s = Stack::new();
    let items = |range: &str, dns: bool| {
        vec![
            item("aws::vpc.main", json!({ "cidr_block": range, "enable_dns_hostnames": dns })),
            item("aws::subnet.a", json!({ "vpc_id": reference("aws::vpc.main.id"), "cidr_block": range })),
        ]
    };
    assert_eq!(s.run(|| items("10.0.0.0/24", false)).await, ["create aws::vpc.main", "create aws::subnet.a"]);
    assert_eq!(s.run(|| items("10.0.0.0/24", true)).await, ["update aws::vpc.main enable_dns_hostnames"]);
    let replaced = s.run(|| items("10.1.0.0/24", true)).await;
    assert_eq!(replaced, ["replace aws::vpc.main cidr_block", "replace aws::subnet.a cidr_block vpc_id"]);
    assert_eq!(s.destroy().await.len(), 2);
}

#[tokio::test]
async fn what_cannot_go_yet_says_what_uses_it() {
    let w = World::new();
    let vpc = w.vpc().await;
    let subnet = w.subnet(&vpc, "a", 1).await;
    let address = w.create("aws::eip", "nat", json!({})).await;
    let inputs = json!({ "subnet_id": subnet, "allocation_id": address.id });
    w.create("aws::nat_gateway", "main", inputs).await;
    let live = w.read("aws::subnet", &subnet).await;
    let fault = w.try_delete(&live, "aws::subnet").await.unwrap_err();
    assert_eq!(fault.class, Class::Busy);
    let told = format!("{subnet} is still used by eni-");
    assert!(fault.message.contains(&told), "{fault}");
}
