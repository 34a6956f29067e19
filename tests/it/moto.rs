//! A moto server behind `tests/moto/launcher.py`, shared by the tests of this process; each test has an account of its
//! own in it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_config::{BehaviorVersion, ConfigLoader};
use aws_credential_types::Credentials;
use runner::providers::aws::{Aws, Settings};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

pub const REGION: &str = "eu-west-1";

/// An empty account on the shared server.
pub struct Account {
    pub number: String,
}

impl Account {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(100_000_000_001);
        Account { number: NEXT.fetch_add(1, Ordering::Relaxed).to_string() }
    }

    /// Where the server is, and this account's credentials.
    pub fn chain(&self) -> ConfigLoader {
        chain(&url(), &self.key())
    }

    /// For the SDK's own clients: what someone does behind the provider's back.
    pub async fn sdk(&self) -> aws_config::SdkConfig {
        let http = aws_smithy_http_client::Builder::new().build_http();
        self.chain().region(aws_config::Region::new(REGION)).http_client(http).load().await
    }

    /// The access key that stands for this account; moto sees only keys of 20 characters.
    pub fn key(&self) -> String {
        format!("NOTAREAL{}", self.number)
    }

    /// The same for a process of its own.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", url()),
            ("AWS_ACCESS_KEY_ID", self.key()),
            ("AWS_SECRET_ACCESS_KEY", "not-a-secret".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub fn aws(&self) -> Aws {
        self.aws_with(self.settings())
    }

    pub fn aws_with(&self, settings: Settings) -> Aws {
        Aws::connect_from(settings, self.chain())
    }

    pub fn settings(&self) -> Settings {
        Settings { region: Some(REGION.into()), account: Some(self.number.clone()), ..Settings::default() }
    }

    /// What the server was asked by this account, by operation.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(request("GET", &format!("calls?account={}", self.number), None)).expect("counts")
    }

    pub fn forget_calls(&self) {
        request("DELETE", &format!("calls?account={}", self.number), None);
    }

    /// New resources of a kind (`nat_gateway`, `vpc_endpoint`) are pending for so many seconds.
    pub fn delay(&self, kind: &str, seconds: f64) {
        request("POST", "delays", Some(json!({ "account": self.number, (kind): seconds })));
    }

    /// An object in S3 was written so many seconds before it was.
    pub fn age(&self, bucket: &str, key: &str, seconds: u64) {
        let age = json!({ "account": self.number, "bucket": bucket, "key": key, "seconds": seconds });
        request("POST", "age", Some(age));
    }

    /// Every write of a parameter, in the order in which they arrived: (name, value).
    pub fn parameters(&self) -> Vec<(String, String)> {
        let told = request("GET", &format!("parameters?account={}", self.number), None);
        serde_json::from_value(told["writes"].clone()).expect("pairs")
    }

    /// What the certificates of this account come to, and how many seconds after they were asked for.
    pub fn certificates_come_to(&self, status: &str, reason: Option<&str>, after: f64) {
        let outcome = json!({ "account": self.number, "status": status, "reason": reason, "after": after });
        request("POST", "certificates", Some(outcome));
    }

    /// The certificates of this account are issued once this resolver tells their records (`StandIn::zone_url`).
    pub fn certificates_ask(&self, resolver: &str) {
        request("POST", "certificates", Some(json!({ "account": self.number, "resolver": resolver })));
    }

    /// All that is in the account of EC2, whoever made it, from the server's own books.
    pub fn held(&self) -> Vec<Held> {
        self.books("held")
    }

    /// And of other services, as far as it can be tagged.
    pub fn held_elsewhere(&self) -> Vec<Held> {
        self.books("held_elsewhere")
    }

    fn books(&self, which: &str) -> Vec<Held> {
        let told = request("GET", &format!("{which}?account={}", self.number), None);
        serde_json::from_value(told["held"].clone()).expect("a list")
    }

    /// The passwords of the databases, by name.
    pub fn passwords(&self) -> BTreeMap<String, String> {
        serde_json::from_value(request("GET", &format!("passwords?account={}", self.number), None)).expect("texts")
    }

    /// The operation takes effect, and then its answer is an error 500, so often.
    pub fn lose_answer(&self, operation: &str, times: u32) {
        let fault = json!({ "account": self.number, "operation": operation, "code": "InternalError", "status": 500,
                            "times": times, "served": true });
        request("POST", "faults", Some(fault));
    }

    /// The next such operation fails with these words.
    pub fn fail_saying(&self, operation: &str, code: &str, message: &str) {
        let fault = json!({ "account": self.number, "operation": operation, "code": code, "message": message,
                            "status": 400, "times": 1 });
        request("POST", "faults", Some(fault));
    }

    /// Somebody's call of EC2 in the region of the playbooks, by its form; the status and the answer.
    pub fn ec2(&self, form: &str) -> (u16, String) {
        let scope = format!("{}/20300101/eu-central-1/ec2/aws4_request", self.key());
        let signed = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n"
        );
        let answer = ask("POST", "/", &signed, &format!("{form}&Version=2016-11-15"));
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), answer)
    }

    /// Python with boto3: someone else's hands on the same account.
    pub fn boto(&self, code: &str) -> String {
        let code = format!("import boto3\n{code}");
        let output = Command::new(python()).args(["-c", &code]).env_clear().envs(self.env()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The operation fails so often with this code before it is served.
    pub fn fail(&self, operation: &str, code: &str, status: u16, times: u32) {
        let fault =
            json!({ "account": self.number, "operation": operation, "code": code, "status": status, "times": times });
        request("POST", "faults", Some(fault));
    }
}

/// Something in an account.
#[derive(Clone, Debug, Deserialize)]
pub struct Held {
    /// `ec2 vpcs`, as the server calls them.
    pub kind: String,
    pub id: String,
    pub region: String,
    pub tags: BTreeMap<String, String>,
}

impl Held {
    /// `ec2 vpcs aws::vpc.prod of prod`: who it is, apart from its id. What is not ours has no address.
    pub fn name(&self) -> String {
        let tag = |name: &str| self.tags.get(name).map_or("-", String::as_str);
        let old = if self.tags.contains_key("runner:deposed") { ", the old one" } else { "" };
        format!("{} {} {} of {}{old}", self.region, self.kind, tag("runner:address"), tag("runner:stack"))
    }
}

/// A fixed endpoint and fixed credentials, whatever the environment says.
pub fn chain(url: &str, key: &str) -> ConfigLoader {
    let credentials = Credentials::new(key, "not-a-secret", None, None, "test");
    let chain = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(url).credentials_provider(credentials);
    // For the SDK's own clients; ours bring another.
    chain.http_client(aws_smithy_http_client::Builder::new().build_http())
}

pub fn url() -> String {
    format!("http://127.0.0.1:{}", port())
}

/// Where the server listens; the first call starts it. It ends with this process, whose end closes its input.
fn port() -> u16 {
    static SERVER: OnceLock<(u16, Child)> = OnceLock::new();
    SERVER.get_or_init(start).0
}

fn start() -> (u16, Child) {
    let python = python();
    let launcher = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/moto/launcher.py");
    let mut child = Command::new(&python)
        .arg(launcher)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("the launcher's first line");
    let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
    (port.unwrap_or_else(|| panic!("the launcher did not start: {line:?}")), child)
}

pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("RUNNER_MOTO_PYTHON") {
        return python.into();
    }
    let requirements = include_bytes!("../moto/requirements.txt");
    let digest: String = Sha256::digest(requirements).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let cache = std::env::var_os("RUNNER_TEST_CACHE")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/runner"));
    let home = cache.join(format!("moto-{digest}"));
    assert!(
        home.join("complete").exists(),
        "the AWS test server is not installed: run `make test`, or `tests/moto/setup.sh` once"
    );
    home.join("bin/python")
}

fn request(method: &str, path: &str, body: Option<Json>) -> Json {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let answer = ask(method, &format!("/moto-api/runner/{path}"), "", &body);
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let (start, end) = (body.find('{').expect("JSON"), body.rfind('}').expect("JSON"));
    serde_json::from_str(&body[start..=end]).expect("JSON")
}

/// An answer, whole.
fn ask(method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port())).expect("the server listens");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    answer
}
