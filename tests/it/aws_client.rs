//! What holds for every call to AWS: the account check, credentials, the guard, retries, broken answers.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runner::providers::aws::{Aws, Settings};
use runner::resource::{Address, Class, Create, Fault, Kind, Map, Owner, Provider, Select, Value};

use crate::moto::{Account, REGION, chain, url};

fn kind(aws: &Aws, name: &str) -> Arc<Kind> {
    aws.kinds().iter().find(|kind| *kind.name == *name).expect("a kind").clone()
}

fn owned() -> Select {
    Select::Owned { stack: "prod".into() }
}

fn new_vpc(name: &str) -> Create {
    Create {
        region: None,
        owner: Owner { stack: "prod".into(), address: Address::new("aws::vpc", name), deposed: false, protect: false },
        inputs: Map::from([("cidr_block".into(), "10.0.0.0/16".into())]),
        token: format!("token-{name}"),
    }
}

async fn list_vpcs(aws: &Aws) -> Result<usize, Fault> {
    aws.list(&kind(aws, "aws::vpc"), None, &owned()).await.map(|live| live.len())
}

#[tokio::test]
async fn credentials_of_another_account_are_refused_before_anything_is_read() {
    let account = Account::new();
    let aws = account.aws_with(Settings { account: Some("999999999999".into()), ..account.settings() });
    for _ in 0..2 {
        let fault = list_vpcs(&aws).await.unwrap_err();
        assert_eq!(fault.class, Class::Denied);
        assert_eq!(
            fault.message,
            format!("these credentials belong to account {}, the inventory says 999999999999", account.number)
        );
        assert!(fault.hint.unwrap().contains("999999999999"));
    }
    assert_eq!(account.calls().into_iter().collect::<Vec<_>>(), [("sts:GetCallerIdentity".to_owned(), 1)]);
}

#[tokio::test]
async fn the_caller_is_asked_once_in_a_run() {
    let account = Account::new();
    let aws = account.aws();
    let caller = aws.look_up("aws::caller", &[]).await.unwrap();
    assert_eq!(caller.as_map().unwrap()["account_id"], account.number.as_str().into());
    let zones = aws.look_up("aws::availability_zones", &[]).await.unwrap();
    let names = zones.as_map().unwrap()["names"].as_list().unwrap().to_vec();
    assert_eq!(names[..2], ["eu-west-1a".into(), "eu-west-1b".into()]);
    assert_eq!(zones.as_map().unwrap()["zone_ids"].as_list().unwrap().len(), names.len());
    let (one, two) = tokio::join!(list_vpcs(&aws), list_vpcs(&aws));
    assert_eq!((one, two), (Ok(0), Ok(0)));
    assert_eq!(account.calls()["sts:GetCallerIdentity"], 1);
    assert_eq!(aws.calls()["sts:GetCallerIdentity"], 1);
    assert_eq!(aws.calls()["ec2:DescribeVpcs"], 2);
}

/// Lists VPCs in a process of its own that has only these variables; gives what came of it, and how long it took.
fn in_environment(variables: &[(&str, &str)]) -> (String, Duration) {
    let begin = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws_client::in_a_process_of_its_own", "--ignored", "--nocapture"])
        .env_clear()
        .env("HOME", "/nonexistent")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("came: ")).unwrap_or_else(|| panic!("{text}"));
    (line.1.to_owned(), begin.elapsed())
}

#[tokio::test]
#[ignore = "is started by other tests"]
async fn in_a_process_of_its_own() {
    let aws = Aws::connect(Settings::default());
    match list_vpcs(&aws).await {
        Ok(_) => println!("came: account {}", aws.identity().await.unwrap().account),
        Err(fault) => println!("came: {:?} {} ({})", fault.class, fault.message, fault.hint.unwrap_or_default()),
    }
}

#[test]
fn the_environment_says_where_and_who() {
    let account = Account::new();
    let (url, key) = (url(), account.key());
    let who = [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", "not-a-secret"), ("AWS_REGION", REGION)];
    for variables in [
        vec![("AWS_ENDPOINT_URL", url.as_str())],
        vec![("AWS_ENDPOINT_URL_EC2", url.as_str()), ("AWS_ENDPOINT_URL_STS", url.as_str())],
    ] {
        let (came, _) = in_environment(&[&who[..], &variables].concat());
        assert_eq!(came, format!("account {}", account.number), "{variables:?}");
    }
    assert_eq!(account.calls()["ec2:DescribeVpcs"], 2);
}

#[test]
fn missing_credentials_are_told_soon_and_clearly() {
    let (came, took) = in_environment(&[("AWS_REGION", REGION)]);
    // Which of the two depends on whether something answers at the address of the metadata service.
    assert!(
        came.starts_with("Denied there are no AWS credentials") || came.starts_with("Denied no AWS credentials"),
        "{came}"
    );
    assert!(came.contains("(log in (`aws sso login`)"), "{came}");
    assert!(took < Duration::from_secs(30), "a hang is not an answer: {took:?}");
}

#[test]
fn a_missing_region_is_told() {
    let (came, took) = in_environment(&[("AWS_ACCESS_KEY_ID", "NOTREAL"), ("AWS_SECRET_ACCESS_KEY", "not-a-secret")]);
    assert!(came.starts_with("Invalid no AWS region is set (set `region`"), "{came}");
    assert!(took < Duration::from_secs(30), "a hang is not an answer: {took:?}");
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_named_and_not_ambiguous() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let aws =
        Aws::connect_from(Settings { region: Some(REGION.into()), ..Settings::default() }, chain(&url, "NOTREAL"));
    let fault = list_vpcs(&aws).await.unwrap_err();
    assert_eq!(fault.class, Class::Other, "{fault:?}");
    assert!(fault.message.starts_with("no connection"), "{fault:?}");
    assert!(fault.hint.unwrap().contains("AWS_ENDPOINT_URL"));
}

#[tokio::test]
async fn a_reading_client_sends_no_change() {
    let account = Account::new();
    let aws = account.aws_with(Settings { read_only: true, ..account.settings() });
    let fault = aws.create(&kind(&aws, "aws::vpc"), &new_vpc("main")).await.unwrap_err();
    assert_eq!(fault.class, Class::ReadOnly);
    assert_eq!(fault.operation.as_deref(), Some("ec2:CreateVpc"));
    assert_eq!(list_vpcs(&aws).await, Ok(0));
    assert!(!account.calls().contains_key("ec2:CreateVpc"));
}

#[tokio::test]
async fn reads_are_retried_and_changes_are_not() {
    let account = Account::new();
    let aws = account.aws();
    account.fail("DescribeVpcs", "RequestLimitExceeded", 503, 2);
    account.fail("CreateVpc", "RequestLimitExceeded", 503, 1);
    assert_eq!(list_vpcs(&aws).await, Ok(0));
    assert_eq!(account.calls()["ec2:DescribeVpcs"], 3);
    // Whoever paces what is asked learns of it all the same.
    assert_eq!((aws.service("aws::vpc"), aws.refusals("ec2", None)), ("ec2".into(), 2));
    // In this region, and nowhere else.
    assert_eq!((aws.refusals("ec2", Some(REGION)), aws.refusals("ec2", Some("us-west-2"))), (2, 0));
    let fault = aws.create(&kind(&aws, "aws::vpc"), &new_vpc("main")).await.unwrap_err();
    assert_eq!((fault.class, fault.code.as_deref()), (Class::Throttled, Some("RequestLimitExceeded")));
    assert!(fault.request_id.is_some());
    account.fail("CreateVpc", "InternalError", 500, 1);
    let fault = aws.create(&kind(&aws, "aws::vpc"), &new_vpc("main")).await.unwrap_err();
    assert_eq!(fault.class, Class::Ambiguous);
    assert_eq!((account.calls()["ec2:CreateVpc"], aws.refusals("ec2", None)), (2, 2));
}

#[tokio::test]
async fn what_fails_after_the_create_names_what_was_made() {
    let account = Account::new();
    let aws = account.aws();
    account.fail("ModifyVpcAttribute", "InvalidVpcID.NotFound", 400, 1);
    let mut request = new_vpc("main");
    request.inputs.insert("enable_dns_hostnames".into(), true.into());
    let fault = aws.create(&kind(&aws, "aws::vpc"), &request).await.unwrap_err();
    assert_eq!(fault.class, Class::NotFound);
    assert!(fault.message.contains("was created, but"), "{}", fault.message);
    let live = aws.list(&kind(&aws, "aws::vpc"), None, &owned()).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(fault.created.as_deref(), Some(live[0].id.as_str()));
    assert_eq!(live[0].inputs["enable_dns_hostnames"], Value::Bool(false));
}

const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/x</Arn>\
     <UserId>X</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

/// Answers the identity in full, and everything else as told: with the length of the whole and what is sent of it.
fn server(answer: impl Fn() -> (Option<usize>, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = vec![0; 65536];
            let mut text = String::new();
            while !text.contains("Action=") {
                let n = stream.read(&mut buffer).unwrap();
                if n == 0 {
                    break;
                }
                text.push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
            let identity = text.contains("Action=GetCallerIdentity");
            let (length, sent) = if identity { (Some(IDENTITY.len()), IDENTITY.to_owned()) } else { answer() };
            let length = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n{length}\r\n");
            let _ = stream.write_all(format!("{head}{sent}").as_bytes());
        }
    });
    url
}

/// Answers with the first part of a listing.
fn cutting_server(cut: usize, with_length: bool) -> String {
    let items: String = (0..15).map(|n| format!("<item><vpcId>vpc-{n}</vpcId></item>")).collect();
    let whole = format!("<DescribeVpcsResponse><vpcSet>{items}</vpcSet></DescribeVpcsResponse>");
    server(move || (with_length.then_some(whole.len()), whole[..whole.len() - cut].to_owned()))
}

#[tokio::test]
async fn a_create_without_an_id_may_have_made_something() {
    for answer in ["", "<vpc/>", "<vpc><vpcId/></vpc>"] {
        let answer = format!("<CreateVpcResponse>{answer}</CreateVpcResponse>");
        let url = server(move || (Some(answer.len()), answer.clone()));
        let aws =
            Aws::connect_from(Settings { region: Some(REGION.into()), ..Settings::default() }, chain(&url, "NOTREAL"));
        let mut request = new_vpc("main");
        request.inputs.insert("enable_dns_hostnames".into(), true.into());
        let fault = aws.create(&kind(&aws, "aws::vpc"), &request).await.unwrap_err();
        assert_eq!((fault.class, fault.created.clone()), (Class::Ambiguous, None), "{fault:?}");
        assert!(!aws.calls().contains_key("ec2:ModifyVpcAttribute"));
    }
}

#[tokio::test]
async fn half_an_answer_is_no_shorter_list() {
    for (cut, with_length) in [(300, false), (33, false), (5, false), (300, true)] {
        let url = cutting_server(cut, with_length);
        let aws =
            Aws::connect_from(Settings { region: Some(REGION.into()), ..Settings::default() }, chain(&url, "NOTREAL"));
        let fault = list_vpcs(&aws).await.unwrap_err();
        assert_eq!(fault.class, Class::Ambiguous, "cut by {cut}: {fault:?}");
        assert_eq!(aws.calls()["ec2:DescribeVpcs"], 4, "asked again as often as after no answer");
    }
}

#[tokio::test]
async fn listings_go_over_pages_and_over_filters() {
    let account = Account::new();
    let aws = account.aws();
    let eip = kind(&aws, "aws::eip");
    let table = kind(&aws, "aws::route_table");
    let vpc = aws.create(&kind(&aws, "aws::vpc"), &new_vpc("main")).await.unwrap();
    let creates = (0..205).map(|n| {
        let (aws, table, vpc) = (&aws, &table, vpc.clone());
        async move {
            let request = Create {
                owner: Owner {
                    address: Address::new("aws::route_table", format!("t{n}")),
                    stack: "prod".into(),
                    deposed: false,
                    protect: false,
                },
                inputs: Map::from([("vpc_id".into(), vpc.into())]),
                ..new_vpc(&format!("t{n}"))
            };
            aws.create(table, &request).await.unwrap()
        }
    });
    let mut ids = BTreeSet::new();
    for create in creates {
        ids.insert(create.await);
    }
    account.forget_calls();
    // 100 a page.
    assert_eq!(aws.list(&table, None, &owned()).await.unwrap().len(), 205);
    assert_eq!(account.calls()["ec2:DescribeRouteTables"], 3);
    // 200 values a filter; what is not there is left out.
    account.forget_calls();
    ids.insert("rtb-00000000000000000".into());
    assert_eq!(aws.list(&table, None, &Select::Ids(ids)).await.unwrap().len(), 205);
    assert_eq!(account.calls()["ec2:DescribeRouteTables"], 3);
    assert_eq!(aws.list(&eip, None, &Select::Ids(BTreeSet::new())).await.unwrap(), []);
    assert!(!account.calls().contains_key("ec2:DescribeAddresses"));
}
