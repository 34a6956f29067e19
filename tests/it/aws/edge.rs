//! Certificates and load balancers.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerTypeEnum, ProtocolEnum,
};
use runner::resource::{Class, Live, Provider, Reference, Segment, Status, Value};
use serde_json::{Value as Json, json};

use super::stack::{Stack, item, reference};
use super::{World, map, owner};
use crate::cloudflare::StandIn;
use crate::moto::{Account, REGION};
use crate::world::Item;

async fn elb(account: &Account) -> aws_sdk_elasticloadbalancingv2::Client {
    aws_sdk_elasticloadbalancingv2::Client::new(&account.sdk().await)
}

impl World {
    /// A VPC, and a subnet in each of two zones.
    pub async fn zones(&self) -> (String, [String; 2]) {
        let vpc = self.vpc().await;
        let subnet = |zone: &'static str, third: u8| {
            let inputs = json!({ "vpc_id": vpc, "cidr_block": format!("10.0.{third}.0/24"),
                                 "availability_zone": format!("{REGION}{zone}") });
            async move { self.create("aws::subnet", zone, inputs).await.id }
        };
        let subnets = [subnet("a", 1).await, subnet("b", 2).await];
        (vpc, subnets)
    }

    async fn certificate(&self) -> Live {
        let inputs = json!({ "domain_name": "example.com", "subject_alternative_names": ["*.example.com"] });
        self.create("aws::acm_certificate", "main", inputs).await
    }
}

#[tokio::test]
async fn certificate() {
    let w = World::new();
    let k = "aws::acm_certificate";
    w.account.delay("acm_certificate", 0.5);
    let inputs = json!({
        "domain_name": "example.com", "key_algorithm": "EC_prime256v1",
        "subject_alternative_names": ["*.example.com", "api.example.com"],
    });
    let live = w.create(k, "main", inputs.clone()).await;
    let pending = "no validation record yet for *.example.com, api.example.com, example.com";
    assert_eq!(live.status, Status::Pending(pending.into()));
    assert_eq!(live.outputs["domain_validation_options"], Value::from(json!({})));
    assert_eq!(w.try_create(k, "main", inputs).await.unwrap(), live.id, "one token, one certificate");

    let live = w.ready(k, &live.id).await;
    assert_eq!(live.outputs["status"], "PENDING_VALIDATION".into());
    let records = Json::from(&live.outputs["domain_validation_options"]);
    assert_eq!(records["example.com"], records["*.example.com"]);
    assert_ne!(records["example.com"], records["api.example.com"]);
    assert_eq!(records["example.com"]["resource_record_type"], "CNAME");
    let live = w.common_life(k, live).await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 3, "{:?}", w.account.calls());
    w.account.certificates_come_to("ISSUED", None, 0.0);
    let live = w.read(k, &live.id).await;
    assert_eq!(live.outputs["status"], "ISSUED".into());
    assert!(live.outputs["not_after"].as_str().unwrap().ends_with('Z'));
    w.delete(&live, k).await;
}

#[tokio::test]
async fn a_certificate_that_failed_says_why() {
    let w = World::new();
    let live = w.certificate().await;
    for (status, reason, told) in [
        ("FAILED", Some("CAA_ERROR"), "FAILED: CAA_ERROR"),
        ("VALIDATION_TIMED_OUT", None, "VALIDATION_TIMED_OUT"),
        ("EXPIRED", None, "EXPIRED"),
        ("REVOKED", None, "REVOKED"),
    ] {
        w.account.certificates_come_to(status, reason, 0.0);
        assert_eq!(w.read("aws::acm_certificate", &live.id).await.status, Status::Failed(told.into()));
    }
}

#[tokio::test]
async fn a_certificate_is_issued_once_its_records_are_in_dns() {
    let (w, other, stand) = (World::new(), World::new(), StandIn::start());
    let k = "aws::acm_certificate";
    stand.zone("example.com");
    w.account.certificates_ask(&stand.zone_url());
    let names = ["*.example.com", "api.example.com"];
    let inputs = json!({ "domain_name": "example.com", "subject_alternative_names": names });
    let live = w.create(k, "main", inputs.clone()).await;
    let records = Json::from(&live.outputs["domain_validation_options"]);
    assert_eq!(records["example.com"], records["*.example.com"]);
    assert_ne!(records["example.com"]["resource_record_value"], records["api.example.com"]["resource_record_value"]);
    let of_other = other.create(k, "main", inputs).await;
    assert_ne!(Json::from(&of_other.outputs["domain_validation_options"]), records, "each account has its own");

    let put = |name: &str, content: &Json| {
        let record = json!({ "type": "CNAME", "name": records[name]["resource_record_name"], "content": content });
        stand.put("example.com", record)
    };
    let status = async || w.read(k, &live.id).await.outputs["status"].clone();
    assert_eq!(status().await, "PENDING_VALIDATION".into());
    let wrong = put("api.example.com", &"_elsewhere.acm-validations.aws".into());
    put("example.com", &records["example.com"]["resource_record_value"]);
    assert_eq!(status().await, "PENDING_VALIDATION".into(), "one record says something else");
    let waits =
        w.create_waiting("aws::acm_certificate_validation", "seen", json!({ "certificate_arn": live.id })).await;
    let bare = |field: &str| records["api.example.com"][field].as_str().unwrap().trim_end_matches('.').to_owned();
    let (name, value) = (bare("resource_record_name"), bare("resource_record_value"));
    let why = format!("PENDING_VALIDATION: waiting for the record {name} CNAME {value}");
    assert_eq!(waits.status, Status::Pending(why), "the other one is seen");

    stand.change(&wrong, json!({ "content": value, "proxied": true }));
    assert_eq!(status().await, "PENDING_VALIDATION".into(), "behind the proxy nobody sees it");
    stand.change(&wrong, json!({ "proxied": false }));
    assert_eq!(status().await, "ISSUED".into());
    stand.remove(&wrong);
    assert_eq!(status().await, "ISSUED".into(), "what is issued stays so");
}

#[tokio::test]
async fn waiting_for_a_certificate_leaves_its_owner_alone() {
    let w = World::new();
    let (k, of) = ("aws::acm_certificate_validation", "aws::acm_certificate");
    let certificate = w.certificate().await;
    assert!(!w.aws.owned_kinds(None, "prod").await.unwrap().contains(k));
    let inputs = json!({ "certificate_arn": certificate.id, "validation_record_fqdns": ["_x.example.com"] });
    let live = w.create_waiting(k, "seen", inputs.clone()).await;
    assert_eq!(live.id, certificate.id);
    let Status::Pending(why) = &live.status else { panic!("{:?}", live.status) };
    assert!(
        why.starts_with("PENDING_VALIDATION: waiting for the record _") && why.contains(".example.com CNAME _"),
        "{why}"
    );
    assert_eq!(w.read(of, &certificate.id).await, certificate);
    assert_eq!(w.owned(k).await, std::slice::from_ref(&live));
    assert!(w.aws.owned_kinds(None, "prod").await.unwrap().contains(k));

    // The same again is the same, another is refused.
    assert_eq!(w.try_create(k, "seen", inputs.clone()).await.unwrap(), live.id);
    assert_eq!(w.try_create(k, "other", inputs).await.unwrap_err().class, Class::Exists);

    let before = live.owner.clone().unwrap();
    let live = w.own(&live, k, runner::resource::Owner { deposed: true, protect: true, ..before.clone() }).await;
    let live = w.own(&live, k, before).await;
    assert_eq!(w.read(of, &certificate.id).await, certificate);
    let tagged = w.update(&certificate, of, json!({ "tags": { "team": "a" } })).await;
    assert_eq!(w.read(k, &live.id).await, live);

    w.account.certificates_come_to("FAILED", Some("CAA_ERROR"), 0.0);
    assert_eq!(w.read(k, &live.id).await.status, Status::Failed("FAILED: CAA_ERROR".into()));
    w.account.certificates_come_to("ISSUED", None, 0.0);
    assert_eq!(w.read(k, &live.id).await.status, Status::Ready);
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 3, "{:?}", w.account.calls());
    w.delete(&live, k).await;
    assert_eq!(w.read(of, &certificate.id).await.owner, tagged.owner);
    // With the certificate goes the wait for it.
    let live = w.create_waiting(k, "seen", json!({ "certificate_arn": certificate.id })).await;
    w.delete(&tagged, of).await;
    assert_eq!(w.find(k, &live.id).await, None);
    w.try_delete(&live, k).await.unwrap();
}

impl World {
    /// What goes out and is not told again is not looked for.
    async fn create_waiting(&self, kind: &str, name: &str, inputs: Json) -> Live {
        let id = self.try_create(kind, name, inputs).await.unwrap_or_else(|f| panic!("{kind}: {f}"));
        let live = self.read(kind, &id).await;
        assert_eq!(live.owner, Some(owner(kind, name)));
        live
    }
}

#[tokio::test]
async fn network_load_balancer() {
    let w = World::new();
    let k = "aws::lb";
    let (_, [a, b]) = w.zones().await;
    w.account.delay("lb", 0.4);
    let inputs = json!({ "load_balancer_type": "network", "internal": true, "subnets": [a] });
    let live = w.create(k, "main", inputs).await;
    assert_eq!(live.status, Status::Pending("provisioning".into()));
    let live = w.ready(k, &live.id).await;
    assert!(live.outputs["arn_suffix"].as_str().unwrap().starts_with("net/main/"));
    let live = w.common_life(k, live).await;
    let live = w.update(&live, k, json!({ "subnets": [a, b] })).await;
    let live = w.update(&live, k, json!({ "enable_cross_zone_load_balancing": true })).await;
    let live = w.update(&live, k, json!({ "ip_address_type": "dualstack" })).await;
    let live = w.update(&live, k, json!({ "enable_deletion_protection": true })).await;
    let refused = w.try_delete(&live, k).await.unwrap_err();
    assert_eq!(refused.class, Class::Invalid);
    assert!(refused.hint.unwrap().contains("enable_deletion_protection"));
    let live = w.update(&live, k, json!({ "enable_deletion_protection": false })).await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 4, "{:?}", w.account.calls());
    w.delete(&live, k).await;
}

#[tokio::test]
async fn network_load_balancer_with_addresses_of_its_own() {
    let w = World::new();
    let k = "aws::lb";
    let (_, [a, b]) = w.zones().await;
    let first = w.create("aws::eip", "a", json!({})).await.id;
    let mapping = json!([{ "subnet_id": a, "allocation_id": first }, { "subnet_id": b }]);
    let inputs = json!({ "load_balancer_type": "network", "subnet_mapping": mapping });
    let live = w.create(k, "main", inputs).await;
    // One that only names subnets says the same as `subnets`.
    let plain = json!({ "load_balancer_type": "network", "subnet_mapping": [{ "subnet_id": b }] });
    w.create(k, "plain", plain).await;
    // Never had security groups: never will.
    let group = w.read("aws::vpc", live.outputs["vpc_id"].as_str().unwrap()).await;
    let group = group.outputs["default_security_group_id"].clone();
    let request = runner::resource::Update {
        live: live.clone(),
        owner: live.owner.clone().unwrap(),
        inputs: map(json!({ "security_groups": [Json::from(&group)] })),
        changed: vec!["security_groups".into()],
        token: "update".into(),
    };
    let refused = w.aws.update(&w.kind(k), &request).await.unwrap_err();
    assert!(refused.hint.unwrap().contains("without security groups"));
    w.try_delete(&live, k).await.unwrap();
}

#[tokio::test]
async fn application_load_balancer() {
    let w = World::new();
    let k = "aws::lb";
    let (vpc, subnets) = w.zones().await;
    let [web, api] = ["web", "api"].map(|name| (name, json!({ "vpc_id": vpc })));
    let web = w.create("aws::security_group", web.0, web.1).await.id;
    let api = w.create("aws::security_group", api.0, api.1).await.id;
    let inputs = json!({ "internal": true, "subnets": subnets, "security_groups": [web], "idle_timeout": 120 });
    let live = w.create(k, "web", inputs).await;
    assert_eq!(live.inputs["load_balancer_type"], "application".into());
    let live = w.update(&live, k, json!({ "security_groups": [api, web], "idle_timeout": 30 })).await;
    let network = json!({ "load_balancer_type": "network", "internal": true, "subnets": subnets,
                          "security_groups": [web] });
    let network = w.create(k, "tcp", network).await;
    let network = w.update(&network, k, json!({ "security_groups": [api] })).await;
    w.try_delete(&network, k).await.unwrap();
    let taken = json!({ "name": "web", "subnets": subnets });
    assert_eq!(w.try_create(k, "other", taken).await.unwrap_err().class, Class::Exists);
    w.delete(&live, k).await;
}

#[tokio::test]
async fn target_group() {
    let w = World::new();
    let k = "aws::lb_target_group";
    let vpc = w.vpc().await;
    let inputs = json!({
        "port": 443, "protocol": "TCP", "vpc_id": vpc, "target_type": "ip", "deregistration_delay": 60,
        "health_check": { "protocol": "HTTP", "path": "/healthz", "port": "8080", "interval": 10 },
    });
    let live = w.create(k, "main", inputs).await;
    assert!(live.outputs["arn_suffix"].as_str().unwrap().starts_with("targetgroup/main/"));
    let live = w.common_life(k, live).await;
    let check = json!({
        "enabled": true, "protocol": "HTTP", "path": "/ready", "port": "traffic-port", "interval": 20, "timeout": 6,
        "healthy_threshold": 2, "unhealthy_threshold": 3, "matcher": "200-299",
    });
    let live = w.update(&live, k, json!({ "health_check": check })).await;
    let live = w
        .update(&live, k, json!({ "deregistration_delay": 0, "preserve_client_ip": true, "proxy_protocol_v2": true }))
        .await;
    let live = w.update(&live, k, json!({ "stickiness": { "type": "source_ip" } })).await;
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 4, "{:?}", w.account.calls());
    assert_eq!(
        w.try_create(k, "main", json!({ "port": 1, "protocol": "UDP", "vpc_id": vpc })).await.unwrap_err().class,
        Class::Exists
    );
    w.delete(&live, k).await;
}

#[tokio::test]
async fn listener() {
    let w = World::new();
    let k = "aws::lb_listener";
    let (vpc, [a, _]) = w.zones().await;
    let inputs = json!({ "load_balancer_type": "network", "internal": true, "subnets": [a] });
    let lb = w.create("aws::lb", "main", inputs).await.id;
    let group = |port: u16| json!({ "port": port, "protocol": "TCP", "vpc_id": vpc });
    let first = w.create("aws::lb_target_group", "first", group(80)).await;
    let second = w.create("aws::lb_target_group", "second", group(81)).await;
    let to = |group: &Live| json!([{ "type": "forward", "target_group_arn": group.id }]);
    let inputs = json!({ "load_balancer_arn": lb, "port": 80, "protocol": "TCP", "default_action": to(&first) });
    let live = w.create(k, "web", inputs).await;
    let live = w.common_life(k, live).await;
    assert_eq!(w.try_delete(&first, "aws::lb_target_group").await.unwrap_err().class, Class::Busy);
    let live = w.update(&live, k, json!({ "default_action": to(&second), "port": 443 })).await;
    w.try_delete(&first, "aws::lb_target_group").await.unwrap();

    let certificate = w.certificate().await;
    let tls = json!({ "protocol": "TLS", "certificate_arn": certificate.id, "alpn_policy": "HTTP2Preferred",
                      "ssl_policy": "ELBSecurityPolicy-TLS13-1-2-2021-06" });
    let request = runner::resource::Update {
        live: live.clone(),
        owner: live.owner.clone().unwrap(),
        inputs: map(tls.clone()),
        changed: map(tls.clone()).into_keys().collect(),
        token: "update".into(),
    };
    let refused = w.aws.update(&w.kind(k), &request).await.unwrap_err();
    assert_eq!((refused.class, refused.code.as_deref()), (Class::Invalid, Some("UnsupportedCertificate")));
    assert!(refused.hint.unwrap().contains("acm_certificate_validation"));
    w.account.certificates_come_to("ISSUED", None, 0.0);
    let live = w.update(&live, k, tls).await;
    assert_eq!(w.try_delete(&certificate, "aws::acm_certificate").await.unwrap_err().class, Class::Busy);
    w.account.forget_calls();
    w.owned(k).await;
    assert_eq!(w.account.calls().values().sum::<u64>(), 3, "{:?}", w.account.calls());
    let taken = json!({ "load_balancer_arn": lb, "port": 443, "protocol": "UDP", "default_action": to(&second) });
    assert_eq!(w.try_create(k, "other", taken).await.unwrap_err().class, Class::Exists);
    w.delete(&live, k).await;
    w.delete(&certificate, "aws::acm_certificate").await;
}

#[tokio::test]
async fn listener_of_an_application_load_balancer() {
    let w = World::new();
    let k = "aws::lb_listener";
    let (_, subnets) = w.zones().await;
    let lb = w.create("aws::lb", "main", json!({ "internal": true, "subnets": subnets })).await.id;
    let away =
        json!([{ "type": "redirect", "redirect": { "status_code": "HTTP_301", "protocol": "HTTPS", "port": "443" } }]);
    let inputs = json!({ "load_balancer_arn": lb, "port": 80, "protocol": "HTTP", "default_action": away });
    let live = w.create(k, "web", inputs).await;
    let fixed = json!([{ "type": "fixed-response", "fixed_response":
        { "content_type": "text/plain", "message_body": "not here", "status_code": "404" } }]);
    let live = w.update(&live, k, json!({ "default_action": fixed })).await;
    w.delete(&live, k).await;
}

#[tokio::test]
async fn more_than_one_call_takes_are_read_and_one_that_is_gone_hides_no_other() {
    let w = World::new();
    let k = "aws::lb_target_group";
    let vpc = w.vpc().await;
    let mut ids = std::collections::BTreeSet::new();
    for at in 0..22 {
        let inputs = json!({ "port": 80, "protocol": "TCP", "vpc_id": vpc });
        ids.insert(w.try_create(k, &format!("group-{at}"), inputs).await.unwrap());
    }
    assert_eq!(w.owned(k).await.len(), 22);
    let gone = ids.iter().next().unwrap().clone();
    elb(&w.account).await.delete_target_group().target_group_arn(&gone).send().await.unwrap();
    let select = runner::resource::Select::Ids(ids);
    assert_eq!(w.aws.list(&w.kind(k), None, &select).await.unwrap().len(), 21);
}

/// A network load balancer with TLS, all that it takes.
fn entry(names: &[&str], delay: u32) -> Vec<Item> {
    let subnet = |third: u8| {
        json!({ "vpc_id": reference("aws::vpc.main.id"), "cidr_block": format!("10.0.{third}.0/24"),
                "availability_zone": format!("{REGION}{}", if third == 1 { "a" } else { "b" }) })
    };
    // A record is picked out by its name before anyone knows what it says.
    let path = ["example.com", "resource_record_name"].map(|key| Segment::Key(key.into()));
    let record = Reference::new("aws::acm_certificate.main".parse().unwrap(), "domain_validation_options");
    let record = path.into_iter().fold(record, |record, segment| record.then(segment));
    let record = json!(Value::from(record));
    vec![
        item("aws::vpc.main", json!({ "cidr_block": "10.0.0.0/16" })),
        item("aws::subnet.a", subnet(1)),
        item("aws::subnet.b", subnet(2)),
        item(
            "aws::lb.main",
            json!({ "load_balancer_type": "network", "internal": true, "enable_cross_zone_load_balancing": true,
                    "subnets": [reference("aws::subnet.a.id"), reference("aws::subnet.b.id")] }),
        ),
        item("aws::acm_certificate.main", json!({ "domain_name": "example.com", "subject_alternative_names": names })),
        item(
            "aws::lb_target_group.web",
            json!({ "port": 443, "protocol": "TCP", "vpc_id": reference("aws::vpc.main.id"), "target_type": "ip",
                    "tags": { "record": record }, "deregistration_delay": delay, "health_check": { "protocol": "HTTP", "path": "/healthz" } }),
        ),
        item(
            "aws::acm_certificate_validation.main",
            json!({ "certificate_arn": reference("aws::acm_certificate.main.arn") }),
        ),
        item(
            "aws::lb_listener.web",
            json!({ "load_balancer_arn": reference("aws::lb.main.arn"), "port": 443, "protocol": "TLS",
                    "certificate_arn": reference("aws::acm_certificate_validation.main.certificate_arn"),
                    "default_action": [{ "type": "forward", "target_group_arn": reference("aws::lb_target_group.web.arn") }] }),
        ),
    ]
}

#[tokio::test]
async fn an_entry_lives_through_the_engine() {
    let s = Stack::new();
    s.account.delay("acm_certificate", 0.3);
    s.account.certificates_come_to("ISSUED", None, 0.6);
    // That the first name is repeated among the others makes no difference.
    let names = ["example.com", "*.example.com"];
    assert_eq!(s.run(|| entry(&names, 300)).await.len(), 8);
    let tags = s.attribute("aws::lb_target_group.web", "tags").await;
    assert!(tags["record"].as_str().unwrap().ends_with(".example.com."), "{tags}");
    assert_eq!(s.plan(entry(&["*.example.com"], 300)).await, [""; 0]);
    assert_eq!(s.run(|| entry(&names, 60)).await, ["update aws::lb_target_group.web deregistration_delay"]);

    // Drift: someone changed something behind our back.
    let elb = elb(&s.account).await;
    let lb = s.attribute("aws::lb.main", "arn").await;
    let off = LoadBalancerAttribute::builder().key("load_balancing.cross_zone.enabled").value("false").build();
    let change = elb.modify_load_balancer_attributes().load_balancer_arn(lb.as_str().unwrap()).attributes(off);
    change.send().await.unwrap();
    let group = s.attribute("aws::lb_target_group.web", "arn").await;
    let change = elb.modify_target_group().target_group_arn(group.as_str().unwrap()).health_check_path("/other");
    change.send().await.unwrap();
    let listener = s.attribute("aws::lb_listener.web", "arn").await;
    let change = elb.modify_listener().listener_arn(listener.as_str().unwrap()).port(8443);
    change.send().await.unwrap();
    assert_eq!(
        s.run(|| entry(&names, 60)).await,
        [
            "update aws::lb.main enable_cross_zone_load_balancing",
            "update aws::lb_target_group.web health_check.path",
            "update aws::lb_listener.web port",
        ]
    );

    // Another certificate: made first, since the listener needs one at any time.
    let before = s.attribute("aws::acm_certificate.main", "arn").await;
    let more = ["*.example.com", "example.org"];
    assert_eq!(
        s.run(|| entry(&more, 60)).await,
        [
            "replace aws::acm_certificate.main subject_alternative_names",
            "update aws::lb_target_group.web tags.record",
            "replace aws::acm_certificate_validation.main certificate_arn",
            "update aws::lb_listener.web certificate_arn",
        ]
    );
    assert_ne!(s.attribute("aws::acm_certificate.main", "arn").await, before);
    assert_eq!(s.destroy().await.len(), 8);
}

/// A network load balancer without TLS, in the network of the other.
fn plain_entry(lb: &str, group: &str, port: u16) -> Vec<Item> {
    let to = json!([{ "type": "forward", "target_group_arn": reference("aws::lb_target_group.web.arn") }]);
    vec![
        item(
            "aws::lb.main",
            json!({ "name": lb, "load_balancer_type": "network", "internal": true,
                    "subnets": [reference("aws::subnet.a.id")] }),
        ),
        item(
            "aws::lb_target_group.web",
            json!({ "name": group, "port": port, "protocol": "TCP", "vpc_id": reference("aws::vpc.main.id") }),
        ),
        item(
            "aws::lb_listener.web",
            json!({ "load_balancer_arn": reference("aws::lb.main.arn"), "port": 80, "protocol": "TCP",
                    "default_action": to }),
        ),
    ]
}

#[tokio::test]
async fn names_that_are_taken_can_be_adopted() {
    let s = Stack::new();
    let network = || entry(&[], 300).into_iter().take(3).collect::<Vec<_>>();
    s.run(network).await;
    let elb = elb(&s.account).await;
    let subnet = s.attribute("aws::subnet.a", "id").await;
    let made = elb.create_load_balancer().name("main").r#type(LoadBalancerTypeEnum::Network);
    let made = made.scheme(LoadBalancerSchemeEnum::Internal).subnets(subnet.as_str().unwrap()).send().await.unwrap();
    let arn = made.load_balancers()[0].load_balancer_arn().unwrap().to_owned();
    let vpc = s.attribute("aws::vpc.main", "id").await;
    let made = elb.create_target_group().name("web").port(80).protocol(ProtocolEnum::Tcp).vpc_id(vpc.as_str().unwrap());
    let group = made.send().await.unwrap().target_groups()[0].target_group_arn().unwrap().to_owned();
    let forward = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&group).build();
    let made = elb.create_listener().load_balancer_arn(&arn).port(80).protocol(ProtocolEnum::Tcp);
    let made = made.default_actions(forward).send().await.unwrap();
    let listener = made.listeners()[0].listener_arn().unwrap().to_owned();
    let items = |adopt: bool| {
        let mut items = network();
        let adopted = [Some(&arn), Some(&group), Some(&listener)].map(|id| id.filter(|_| adopt).cloned());
        let new = plain_entry("main", "web", 80).into_iter().zip(adopted);
        items.extend(new.map(|(item, id)| item.with(|options| options.adopt = id)));
        items
    };
    let told = s.try_plan(items(false)).await.unwrap_err();
    for id in [&arn, &group] {
        assert!(told.iter().any(|told| format!("{told:?}").contains(&format!("adopt: \\\"{id}"))), "{told:#?}");
    }
    assert_eq!(
        s.run(|| items(true)).await,
        ["update aws::lb.main", "update aws::lb_target_group.web", "update aws::lb_listener.web"]
    );
    assert_eq!(s.live("aws::lb_listener.web").await.id, listener);
    // What cannot be changed in place is made anew, under another name; the listener goes over, or goes along.
    let other = |lb: &'static str, group: &'static str, port: u16| {
        move || network().into_iter().chain(plain_entry(lb, group, port)).collect::<Vec<_>>()
    };
    assert_eq!(
        s.run(other("main", "web-2", 81)).await,
        ["replace aws::lb_target_group.web name port", "update aws::lb_listener.web default_action"]
    );
    assert_eq!(
        s.run(other("main-2", "web-2", 81)).await,
        ["replace aws::lb.main name", "replace aws::lb_listener.web load_balancer_arn"]
    );
    assert_eq!(s.destroy().await.len(), 6);
}

#[tokio::test]
async fn an_answer_that_was_lost_makes_no_second_one() {
    let s = Stack::new();
    for operation in ["CreateLoadBalancer", "CreateTargetGroup", "CreateListener"] {
        s.account.lose_answer(operation, 1);
    }
    s.account.certificates_come_to("ISSUED", None, 0.0);
    s.account.lose_answer("RequestCertificate", 1);
    s.account.lose_answer("AddTagsToCertificate", 1);
    s.run(|| entry(&["*.example.com"], 300)).await;
    let calls = s.account.calls();
    assert_eq!(calls["acm:RequestCertificate"] + calls["elbv2:CreateLoadBalancer"], 2, "{calls:?}");
    assert_eq!(s.destroy().await.len(), 8);
}

#[tokio::test]
async fn a_certificate_that_is_waited_for_can_be_anothers() {
    let s = Stack::new();
    let arn = {
        let acm = aws_sdk_acm::Client::new(&s.account.sdk().await);
        let made = acm.request_certificate().domain_name("example.com").send().await.unwrap();
        made.certificate_arn().unwrap().to_owned()
    };
    s.account.certificates_come_to("ISSUED", None, 0.0);
    let wait = || vec![item("aws::acm_certificate_validation.theirs", json!({ "certificate_arn": arn }))];
    assert_eq!(s.run(wait).await, ["create aws::acm_certificate_validation.theirs"]);
    assert_eq!(s.run(Vec::new).await, ["delete aws::acm_certificate_validation.theirs"]);
    // Adopted, it is ours, and the wait for it is not disturbed.
    s.run(wait).await;
    let both = || {
        let adopted = item("aws::acm_certificate.ours", json!({ "domain_name": "example.com" }));
        let mut items = wait();
        items.push(adopted.with(|options| options.adopt = Some(arn.clone())));
        items
    };
    assert_eq!(s.run(both).await, ["update aws::acm_certificate.ours"]);
    assert_eq!(s.destroy().await.len(), 2);
}
