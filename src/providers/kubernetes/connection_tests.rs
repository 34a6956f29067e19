//! Tokens of EKS: made, shown, renewed, and made anew when they are refused. How often it is asked what kinds there are.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// Each token it makes is another one.
struct Counted(AtomicU32);

#[async_trait]
impl Tokens for Counted {
    async fn token(&self, region: Option<&str>, cluster: &str) -> Result<Token, Fault> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Token(format!("{}-{cluster}-{number}", region.unwrap_or_default())))
    }
}

/// What is said of kinds where there are none.
const NO_KINDS: &str =
    r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[]}"#;

/// A server that knows only these tokens, and notes which it was shown; `forbidden` is known and let in nowhere.
fn server(accepts: &'static [&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let shown = seen.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut token = String::new();
            for line in BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                let (name, value) = line.split_once(": ").unwrap_or_default();
                if name.eq_ignore_ascii_case("authorization") {
                    token = value.strip_prefix("Bearer ").unwrap_or("no bearer").to_owned();
                }
            }
            let status = match accepts {
                ["forbidden"] => (403, "Forbidden"),
                _ if accepts.contains(&token.as_str()) => (200, "OK"),
                _ => (401, "Unauthorized"),
            };
            let body = match status {
                (200, _) => NO_KINDS.to_owned(),
                (code, reason) => format!(
                    r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"{reason}","code":{code}}}"#
                ),
            };
            let (code, reason) = status;
            shown.lock().unwrap().push(token);
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {code} {reason}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, seen)
}

fn cluster(endpoint: String) -> Cluster {
    let way = Way::Eks { region: Some("eu-west-1".into()), name: "prod".into(), endpoint, authority: String::new() };
    Cluster::new("main", way, Map::new(), Arc::new(Counted(AtomicU32::new(0))), false)
}

#[tokio::test]
async fn a_token_that_is_refused_is_made_anew_once() {
    let (url, seen) = server(&["eu-west-1-prod-2"]);
    let cluster = cluster(url);
    cluster.get("k8s:Get version", "/version").await.unwrap();
    cluster.get("k8s:Get version", "/version").await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["eu-west-1-prod-1", "eu-west-1-prod-2", "eu-west-1-prod-2"]);
}

#[tokio::test]
async fn one_who_is_not_let_in_is_told_after_the_second_try() {
    let (url, seen) = server(&[]);
    let fault = cluster(url.clone()).get("k8s:Get version", "/version").await.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), ["eu-west-1-prod-1", "eu-west-1-prod-2"]);
    assert_eq!(fault.class, Class::Denied);
    assert_eq!(fault.message, format!("cluster `main` at {url}: the cluster does not accept the credentials"));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let (url, seen) = server(&["eu-west-1-prod-1", "eu-west-1-prod-2"]);
    let cluster = cluster(url);
    cluster.get("k8s:Get version", "/version").await.unwrap();
    for (seconds, token) in [(TOKEN_AGE.as_secs() - 60, "eu-west-1-prod-1"), (120, "eu-west-1-prod-2")] {
        // The clock stands only while it is put forward: answers take their real time.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
        cluster.get("k8s:Get version", "/version").await.unwrap();
        assert_eq!(seen.lock().unwrap().last().unwrap(), token);
    }
}

#[tokio::test]
async fn many_who_miss_a_kind_ask_once_and_again_only_after_a_while_or_a_definition() {
    let (url, seen) = server(&["eu-west-1-prod-1"]);
    let cluster = cluster(url);
    cluster.discovery(false).await.unwrap();
    let once = seen.lock().unwrap().len();
    let asked = || seen.lock().unwrap().len() / once;
    for _ in 0..20 {
        assert!(cluster.preferred("example.com", "Widget").await.unwrap().is_none());
    }
    assert_eq!(asked(), 1);
    cluster.define("example.com".into(), "Widget".into()).await;
    assert_eq!(cluster.served("example.com/v1", "Widget").await.unwrap_err().class, Class::Busy);
    assert_eq!(asked(), 2);
    tokio::time::pause();
    tokio::time::advance(ASKED).await;
    tokio::time::resume();
    assert!(cluster.preferred("example.com", "Widget").await.unwrap().is_none());
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn a_new_cluster_is_waited_for_while_it_does_not_know_us_and_no_longer() {
    use super::super::cluster::{NAME, create};
    use crate::resource::{Address, Create, Owner};

    let address = Address::new(NAME, "main");
    let owner = Owner { stack: "shop".into(), address, deposed: false, protect: false };
    let request = Create { region: None, owner, inputs: Map::new(), token: String::new() };
    let class = async |url: String| create(&cluster(url), &request).await.unwrap_err().class;
    assert_eq!(class(server(&[]).0).await, Class::Busy);
    assert_eq!(class(server(&["forbidden"]).0).await, Class::Denied);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(class(format!("http://{closed}")).await, Class::Busy);
    // One that answers, and is no API server.
    let accepted = server(&["eu-west-1-prod-1"]).0;
    assert_ne!(class(accepted).await, Class::Busy);
    let unread = Way::Kubeconfig { file: Some("no/such".into()), context: None };
    let known = Cluster::new("main", unread, Map::new(), Arc::new(Counted(AtomicU32::new(0))), false);
    assert_eq!(create(&known, &request).await.unwrap_err().class, Class::Invalid);
}

#[tokio::test]
async fn a_change_is_not_sent_once_its_permission_has_ended_and_a_dry_run_is() {
    use crate::resource::permission;

    let (url, seen) = server(&["eu-west-1-prod-1"]);
    let cluster = cluster(url);
    let sent = async |method: Method, path: &str, may: bool| {
        let request = request(method, path, None, vec![]).unwrap();
        permission::with(Arc::new(move || may), cluster.exchange("k8s:Patch configmaps", request)).await.map(drop)
    };
    let refused = sent(Method::PATCH, "/api/v1/namespaces/a/configmaps/b", false).await.unwrap_err();
    assert_eq!((refused.class, refused.retry_after), (Class::Throttled, Some(Duration::ZERO)), "{refused}");
    assert!(refused.message.contains("k8s:Patch configmaps was not sent"), "{refused}");
    assert_eq!(seen.lock().unwrap().len(), 0);
    sent(Method::PATCH, "/api/v1/namespaces/a/configmaps/b?dryRun=All", false).await.unwrap();
    sent(Method::GET, "/version", false).await.unwrap();
    sent(Method::PATCH, "/api/v1/namespaces/a/configmaps/b", true).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 3);
}
