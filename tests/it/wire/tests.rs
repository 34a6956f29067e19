//! The wire itself: every verdict does to a call what it says.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value as Json, json};

use super::process::{Case, NETWORK};
use super::{Verdict, Wire};
use crate::control_plane::ControlPlane;

/// Answers `0123456789` to whatever it is asked, and counts.
struct Server {
    server: Arc<tiny_http::Server>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Server {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        std::thread::spawn({
            let (server, asked) = (server.clone(), asked.clone());
            move || {
                for mut request in server.incoming_requests() {
                    let mut body = String::new();
                    request.as_reader().read_to_string(&mut body).unwrap();
                    assert!(body.is_empty() || body == "Action=MakeIt&Name=x", "{body:?}");
                    asked.fetch_add(1, Ordering::SeqCst);
                    drop(request.respond(tiny_http::Response::from_string("0123456789")));
                }
            }
        });
        Server { server, asked }
    }

    fn wire(&self) -> Wire {
        Wire::to(&format!("http://{}", self.server.server_addr()))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.server.unblock();
    }
}

const SIGNED: &str =
    "Authorization: AWS4-HMAC-SHA256 Credential=NOTAREAL/20300101/eu-west-1/ec2/aws4_request, Signature=0";

/// All that comes back until the connection is closed. The whole of the request is sent first.
fn ask(wire: &Wire, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", wire.port)).unwrap();
    stream.write_all(format!("{head}\r\nHost: localhost\r\n{SIGNED}\r\n\r\n{body}").as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn make_it(wire: &Wire) -> String {
    ask(wire, "POST / HTTP/1.1\r\nContent-Length: 20", "Action=MakeIt&Name=x")
}

#[test]
fn a_call_is_known_by_its_form_its_header_or_its_path() {
    let server = Server::start();
    let wire = server.wire();
    make_it(&wire);
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked";
    assert!(ask(&wire, chunked, "7\r\nAction=\r\nd;x=y\r\nMakeIt&Name=x\r\n0\r\n\r\n").ends_with("0123456789"));
    ask(&wire, "POST / HTTP/1.1\r\nX-Amz-Target: Some.DescribeThings", "");
    ask(&wire, "GET /clusters/prod?x=y HTTP/1.1", "");
    let empty = ask(&wire, "HEAD /bucket HTTP/1.1", "");
    assert!(empty.contains("Content-Length: 10") && empty.ends_with("\r\n\r\n"), "{empty}");
    let calls: Vec<(usize, String, bool)> =
        wire.calls().into_iter().map(|call| (call.n, call.operation, call.reads)).collect();
    let wanted = [
        (1, "ec2:MakeIt", false),
        (2, "ec2:MakeIt", false),
        (3, "ec2:DescribeThings", true),
        (4, "ec2:GET /clusters/prod", true),
        (5, "ec2:HEAD /bucket", true),
    ];
    assert_eq!(calls, wanted.map(|(n, name, reads)| (n, name.to_owned(), reads)));
    assert_eq!((wire.calls()[0].service.as_str(), wire.calls()[0].body.as_str()), ("ec2", "Action=MakeIt&Name=x"));
    assert_eq!(wire.calls()[3].path, "/clusters/prod?x=y");
    wire.forget();
    assert!(wire.calls().is_empty());
}

#[test]
fn every_verdict_does_what_it_says() {
    let server = Server::start();
    let wire = server.wire();
    let ends =
        |answer: &str, with: &str| answer.starts_with("HTTP/1.1 200") && answer.ends_with(&format!("\r\n\r\n{with}"));
    assert!(ends(&make_it(&wire), "0123456789"));
    assert_eq!(server.asked(), 1);

    wire.rule(|_| Verdict::Answer { status: 503, content_type: "text/html", body: "<h1>busy</h1>".into() });
    let busy = make_it(&wire);
    assert!(
        busy.starts_with("HTTP/1.1 503") && busy.contains("text/html") && busy.ends_with("<h1>busy</h1>"),
        "{busy}"
    );
    wire.rule(|_| Verdict::Reset);
    assert_eq!(make_it(&wire), "");
    assert_eq!(server.asked(), 1);

    wire.rule(|_| Verdict::Lost);
    assert_eq!(make_it(&wire), "");
    assert_eq!(server.asked(), 2);
    wire.rule(|_| Verdict::Truncate(0.5));
    let half = make_it(&wire);
    assert!(ends(&half, "01234") && half.contains("Content-Length: 5\r\n"), "{half}");
    wire.rule(|_| Verdict::Cut(0.5));
    let cut = make_it(&wire);
    assert!(ends(&cut, "01234") && cut.contains("Content-Length: 10\r\n"), "{cut}");
    wire.rule(|_| Verdict::Slow(Duration::from_millis(1)));
    assert!(ends(&make_it(&wire), "0123456789"));
    wire.rule(|_| Verdict::Alter(Box::new(|body| body.replace("345", "three, four, five"))));
    assert!(ends(&make_it(&wire), "012three, four, five6789"));
    let hand = Arc::new(AtomicUsize::new(0));
    wire.rule({
        let (hand, asked) = (hand.clone(), server.asked.clone());
        move |_| {
            let (hand, asked) = (hand.clone(), asked.clone());
            Verdict::First(Box::new(move || hand.store(asked.load(Ordering::SeqCst), Ordering::SeqCst)))
        }
    });
    assert!(ends(&make_it(&wire), "0123456789"));
    assert_eq!((hand.load(Ordering::SeqCst), server.asked()), (6, 7), "the hand was there before the call");
}

#[test]
fn a_call_that_kills_waits_until_it_knows_whom() {
    let server = Server::start();
    let wire = server.wire();
    wire.rule(|call| if call.n == 1 { Verdict::KillBefore } else { Verdict::KillAfter });
    let killed = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| make_it(&wire));
        while wire.calls().is_empty() {
            std::thread::yield_now();
        }
        let killed = killed.clone();
        wire.kills(move || killed.store(killed.load(Ordering::SeqCst) + 1, Ordering::SeqCst));
        assert_eq!(first.join().unwrap(), "");
    });
    assert_eq!((server.asked(), killed.load(Ordering::SeqCst)), (0, 1));
    assert_eq!(make_it(&wire), "");
    wire.settle();
    assert_eq!((server.asked(), killed.load(Ordering::SeqCst)), (1, 2));
}

/// To a client that trusts nothing but the API server's own CA.
#[tokio::test]
async fn a_wire_that_speaks_tls_is_the_server_to_its_client() {
    let plane = ControlPlane::shared();
    let wire = plane.wire();
    let file = Kubeconfig::read_from(plane.kubeconfig_by_way_of(&wire.url())).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let ask = async |method: &str, path: &str, body: Json| {
        let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        client.request::<Json>(request.body(body.to_string().into_bytes()).unwrap()).await
    };
    let namespace = plane.namespace("wire");
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    let map = |name: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
    ask("POST", &format!("{maps}?dryRun=All&x=y"), map("a")).await.unwrap();
    let spec = json!({ "resourceAttributes": { "verb": "get", "resource": "configmaps" } });
    let review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let kind = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec });
    assert_eq!(ask("POST", review, kind).await.unwrap()["status"]["allowed"], true);
    wire.rule(|call| if call.reads { Verdict::Pass } else { Verdict::Lost });
    ask("POST", &format!("{maps}?x=y"), map("b")).await.unwrap_err();
    wire.rule(|call| if call.reads { Verdict::Pass } else { Verdict::Reset });
    ask("POST", &maps, map("c")).await.unwrap_err();
    let there = ask("GET", &maps, Json::Null).await.unwrap();
    let mut names: Vec<&str> =
        there["items"].as_array().unwrap().iter().filter_map(|map| map["metadata"]["name"].as_str()).collect();
    names.retain(|name| name.len() == 1);
    assert_eq!(names, ["b"], "it took effect though its answer was lost; one never arrived, and one was a dry run");
    let calls: BTreeSet<(String, bool)> = wire.calls().into_iter().map(|call| (call.operation, call.reads)).collect();
    let wanted = [
        (format!("kubernetes:GET {maps}"), true),
        (format!("kubernetes:POST {review}"), true),
        (format!("kubernetes:POST {maps}"), false),
        (format!("kubernetes:POST {maps}"), true),
    ];
    assert_eq!(calls, wanted.into());
    assert!(wire.calls().iter().all(|call| call.service == "kubernetes"));
}

/// One case of the sweeps, by hand.
#[test]
fn a_run_is_killed_at_a_call_and_the_next_one_converges() {
    let case = Case::new();
    case.wire.rule(|call| if call.operation == "ec2:CreateVpc" { Verdict::KillAfter } else { Verdict::Pass });
    let killed = case.run(&format!("{NETWORK} --yes"));
    assert_eq!((killed.code, killed.stuck), (None, false), "{}", killed.err);
    let last = case.wire.calls().len();
    case.wire.forget();
    let again = case.run(&format!("{NETWORK} --yes")).with(0, "again");
    assert!(case.wire.calls().len() > last && again.err.contains("Done: 1"), "{}", again.err);
    assert!(case.wire.calls().iter().all(|call| call.operation != "ec2:CreateVpc"), "it was found");
    let settled = case.run(&format!("{NETWORK} --dry-run --detailed-exitcode")).with(0, "settled");
    assert!(settled.out.contains("Nothing to do: 18 resources are as declared."), "{}", settled.out);
    let held = case.account.held();
    let ids: BTreeSet<&str> = held.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), held.len());
    let ours = held.iter().filter(|one| one.tags.contains_key("runner:address"));
    let ours: BTreeSet<String> = ours.map(|one| one.name()).collect();
    assert!(ours.len() == 18 && ours.contains("eu-central-1 ec2 vpcs aws::vpc.prod of prod"), "{ours:#?}");
}
