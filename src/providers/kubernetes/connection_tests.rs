//! Tokens of EKS: made, shown, renewed, and made anew when they are refused.

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

/// A server that knows only these tokens, and notes which it was shown.
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
            let status = if accepts.contains(&token.as_str()) { "200 OK" } else { "401 Unauthorized" };
            shown.lock().unwrap().push(token);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
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
