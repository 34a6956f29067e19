//! That the stand-in does what its users rely on, over plain HTTP.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::StandIn;

/// Anyone with this token.
struct Client<'a> {
    at: &'a StandIn,
    token: String,
    http: reqwest::Client,
}

struct Told {
    status: u16,
    retry_after: Option<String>,
    text: String,
}

impl Told {
    fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn result(&self) -> Json {
        let body = self.json();
        assert_eq!((self.status, &body["success"], &body["errors"]), (200, &json!(true), &json!([])), "{body}");
        body["result"].clone()
    }

    /// The status and the code, with the code below it where there is one.
    fn refused(&self) -> (u16, u64, Option<u64>) {
        let body = self.json();
        assert_eq!((&body["success"], &body["result"]), (&json!(false), &json!(null)));
        let error = &body["errors"][0];
        (self.status, error["code"].as_u64().unwrap(), error["error_chain"][0]["code"].as_u64())
    }
}

impl<'a> Client<'a> {
    fn new(at: &'a StandIn) -> Self {
        Self::with(at, at.token())
    }

    fn with(at: &'a StandIn, token: &str) -> Self {
        runner_tls();
        Client { at, token: token.into(), http: reqwest::Client::new() }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Json>) -> Told {
        let mut request = self.http.request(method, format!("{}{path}", self.at.url()));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert!(answer.headers().contains_key("ratelimit") && answer.headers().contains_key("ratelimit-policy"));
        Told { status: answer.status().as_u16(), retry_after, text: answer.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Told {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, zone: &str, record: Json) -> Told {
        self.send(Method::POST, &format!("/zones/{zone}/dns_records"), Some(record)).await
    }

    async fn patch(&self, zone: &str, record: &str, fields: Json) -> Told {
        self.send(Method::PATCH, &format!("/zones/{zone}/dns_records/{record}"), Some(fields)).await
    }
}

/// As in the program: before the first connection.
fn runner_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn a(name: &str, content: &str) -> Json {
    json!({ "type": "A", "name": name, "content": content })
}

fn cname(name: &str, content: &str) -> Json {
    json!({ "type": "CNAME", "name": name, "content": content })
}

#[tokio::test]
async fn tokens() {
    let stand = StandIn::start();
    let (one, _) = (stand.zone("example.com"), stand.zone("example.org"));
    let (narrow, owned) = ("NOTAREAL-sees-one-zone", "cfat_NOTAREAL-belongs-to-an-account");
    stand.allow(narrow, &["example.com"], false);
    stand.allow(owned, &["example.com"], true);
    assert_eq!(stand.token().len(), 40);

    let (good, verify) = (Client::new(&stand), "/user/tokens/verify");
    assert_eq!(good.get(verify).await.result()["status"], "active");
    assert_eq!(good.get("/zones").await.result().as_array().unwrap().len(), 2);

    let narrow = Client::with(&stand, narrow);
    let zones = narrow.get("/zones").await.result();
    assert_eq!((zones.as_array().unwrap().len(), &zones[0]["id"]), (1, &json!(one)));
    assert_eq!(narrow.get("/zones?name=example.org").await.result(), json!([]));
    let other = good.get("/zones?name=example.org").await.result()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(narrow.get(&format!("/zones/{other}")).await.refused(), (403, 9109, None));
    assert_eq!(narrow.get(&format!("/zones/{other}/dns_records")).await.refused(), (403, 10000, None));
    assert_eq!(narrow.get(&format!("/zones/{one}/dns_records")).await.result(), json!([]));
    assert_eq!(narrow.post(&one, a("x", "192.0.2.1")).await.refused(), (403, 10000, None));

    let owned = Client::with(&stand, owned);
    assert_eq!(owned.get(verify).await.refused(), (401, 1000, None));
    owned.post(&one, a("x", "192.0.2.1")).await.result();

    let unknown = Client::with(&stand, &stand.token().replace("tests", "fools"));
    assert_eq!(unknown.get(verify).await.refused(), (401, 1000, None));
    assert_eq!(unknown.get("/zones").await.refused(), (403, 9109, None));
    for path in [verify, "/zones"] {
        assert_eq!(Client::with(&stand, "short").get(path).await.refused(), (400, 6003, Some(6111)));
    }
    assert_eq!(Client::with(&stand, "").get("/zones").await.refused(), (400, 9106, None));

    for status in ["disabled", "expired"] {
        stand.token_status(stand.token(), status);
        assert_eq!(good.get(verify).await.result()["status"], status);
        assert_eq!(good.get("/zones").await.refused(), (403, 9109, None));
    }
}

#[tokio::test]
async fn zones_and_pages() {
    let stand = StandIn::start();
    let zone = stand.zone_on("example.com", "pro");
    for number in 0..7 {
        stand.zone(&format!("zone{number}.example"));
        let comment = format!("Made by {}", number % 2);
        let mut record = a(&format!("h{number}"), "192.0.2.1");
        record["comment"] = comment.into();
        stand.put("example.com", record);
    }
    let client = Client::new(&stand);
    let told = client.get(&format!("/zones/{zone}")).await.result();
    assert_eq!(told["name"], "example.com");
    assert_eq!((&told["plan"]["legacy_id"], &told["status"]), (&json!("pro"), &json!("active")));
    assert_eq!(client.get("/zones/0123").await.refused(), (404, 7003, None));
    assert_eq!(client.get("/zones/0123/dns_records").await.refused(), (404, 7003, None));

    let body = client.get("/zones?page=2&per_page=5").await.json();
    let info = json!({ "page": 2, "per_page": 5, "count": 3, "total_count": 8, "total_pages": 2 });
    assert_eq!((&body["result_info"], body["result"].as_array().unwrap().len()), (&info, 3));

    stand.page_size(3);
    stand.forget_calls();
    let path = format!("/zones/{zone}/dns_records");
    let mut names = vec![];
    for page in 1..=3 {
        let body = client.get(&format!("{path}?per_page=100&page={page}")).await.json();
        assert_eq!((&body["result_info"]["per_page"], &body["result_info"]["total_pages"]), (&json!(3), &json!(3)));
        names.extend(body["result"].as_array().unwrap().iter().map(|record| record["name"].to_string()));
    }
    names.dedup();
    assert_eq!(names.len(), 7);
    assert_eq!(stand.calls(), [("GET /zones/:zone/dns_records".to_owned(), 3)].into());

    stand.page_size(100);
    let count = async |query: &str| client.get(&format!("{path}?{query}")).await.json()["result_info"]["count"].clone();
    assert_eq!(count("comment.contains=made%20BY+1").await, 3);
    assert_eq!(count("name.exact=h1.example.com&type=A").await, 1);
    assert_eq!(count("name=h1.example.com&type=TXT").await, 0);
    assert_eq!(count("content=192.0.2.1").await, 7);
    assert_eq!(client.get(&format!("{path}?colour=red")).await.status, 400);
}

#[tokio::test]
async fn a_record_comes_and_changes_and_goes() {
    let stand = StandIn::start();
    let zone = stand.zone("example.com");
    let client = Client::new(&stand);
    let made =
        client.post(&zone, json!({ "type": "A", "name": "WWW", "content": "192.0.2.1", "comment": "one" })).await;
    let made = made.result();
    for (field, value) in [
        ("name", json!("www.example.com")),
        ("ttl", json!(1)),
        ("proxied", json!(false)),
        ("proxiable", json!(true)),
        ("comment", json!("one")),
        ("tags", json!([])),
        ("meta", json!({})),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let id = made["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    let changed = client.patch(&zone, id, json!({ "ttl": 300 })).await.result();
    assert_eq!((&changed["ttl"], &changed["comment"]), (&json!(300), &json!("one")));
    for field in ["created_on", "comment_modified_on", "content"] {
        assert_eq!(changed[field], made[field], "{field}");
    }
    let proxied = client.patch(&zone, id, json!({ "proxied": true, "comment": "" })).await.result();
    assert_eq!((&proxied["ttl"], &proxied["comment"]), (&json!(1), &json!(null)));
    assert!(proxied.get("comment_modified_on").is_none());
    assert_eq!(client.get(&format!("/zones/{zone}/dns_records/{id}")).await.result(), proxied);
    let path = format!("/zones/{zone}/dns_records/{id}");
    let whole = json!({ "type": "A", "name": "www.example.com", "content": "192.0.2.2" });
    let put = client.send(Method::PUT, &path, Some(whole)).await.result();
    assert_eq!((&put["proxied"], &put["id"]), (&json!(false), &json!(id)));
    assert_eq!(client.send(Method::DELETE, &path, None).await.result(), json!({ "id": id }));
    assert_eq!(client.send(Method::DELETE, &path, None).await.refused(), (404, 81044, None));
    assert_eq!(client.get(&path).await.refused(), (404, 81044, None));
    assert_eq!(client.patch(&zone, id, json!({})).await.refused(), (404, 81044, None));
    assert_eq!(stand.calls()["DELETE /zones/:zone/dns_records/:record"], 2);

    // Someone else's hands.
    let id = stand.put("example.com", cname("a", "b.example."));
    stand.change(&id, json!({ "content": "c.example" }));
    assert_eq!(stand.records("example.com")[0]["content"], "c.example");
    stand.remove(&id);
    assert_eq!(stand.records("example.com"), [json!(null); 0]);
}

#[tokio::test]
async fn records_are_told_in_one_form() {
    let stand = StandIn::start();
    stand.zone("example.com");
    for (name, told) in [
        ("@", "example.com"),
        ("example.com.", "example.com"),
        ("A.Example.com", "a.example.com"),
        ("a.example.org", "a.example.org.example.com"),
        ("notexample.com", "notexample.com.example.com"),
        ("*.dev", "*.dev.example.com"),
        ("bücher", "xn--bcher-kva.example.com"),
        ("_x", "_x.example.com"),
    ] {
        let id = stand.put("example.com", json!({ "type": "TXT", "name": name, "content": name }));
        let records = stand.records("example.com");
        assert_eq!(records.iter().find(|record| record["id"] == id).unwrap()["name"], told);
    }
    let told = |record: Json, field: &str| {
        let id = stand.put("example.com", record);
        let records = stand.records("example.com");
        records.into_iter().find(|other| other["id"] == id).unwrap()[field].clone()
    };
    assert_eq!(told(json!({ "type": "AAAA", "name": "six", "content": "2001:DB8:0::1" }), "content"), "2001:db8::1");
    assert_eq!(told(cname("c", "d.example.net."), "content"), "d.example.net");
    let data = json!({ "flags": 0, "tag": "issue", "value": "letsencrypt.org" });
    let caa = json!({ "type": "CAA", "name": "@", "data": data });
    assert_eq!(told(caa, "content"), "0 issue \"letsencrypt.org\"");
    let data = json!({ "priority": 10, "weight": 5, "port": 5060, "target": "sip.example.com" });
    assert_eq!(told(json!({ "type": "SRV", "name": "_sip._tcp", "data": data }), "content"), "5 5060 sip.example.com");
    let mx = json!({ "type": "MX", "name": "@", "content": "mx.example.com.", "priority": 0 });
    assert_eq!(told(mx, "priority"), 0);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let stand = StandIn::start();
    let (zone, paid) = (stand.zone("example.com"), stand.zone_on("example.org", "pro"));
    let client = Client::new(&stand);
    let refused = async |record: Json| client.post(&zone, record).await.refused();
    let with = |fields: Json| {
        let mut record = a("new", "192.0.2.9");
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        record
    };
    let id = stand.put("example.com", a("a", "192.0.2.1"));
    stand.put("example.com", cname("c", "a.example.com"));
    stand.put("example.com", json!({ "type": "NS", "name": "n", "content": "ns.example.net" }));
    for (record, code) in [
        (cname("a", "b.example.com"), 81053),
        (cname("c", "b.example.com"), 81053),
        (a("c", "192.0.2.1"), 81054),
        (a("n", "192.0.2.1"), 81056),
        (a("A.example.com", "192.0.2.1"), 81058),
        (json!({ "type": "TXT", "name": "t", "content": "x", "proxied": true }), 9004),
        (with(json!({ "comment": "x".repeat(101) })), 9313),
        (with(json!({ "ttl": "soon" })), 9207),
    ] {
        assert_eq!(refused(record.clone()).await, (400, code, None), "{record}");
    }
    for (record, code) in [
        (a("x", "192.0.2"), 9005),
        (json!({ "type": "AAAA", "name": "x", "content": "192.0.2.1" }), 9006),
        (cname("x", "192.0.2.1"), 9007),
        (with(json!({ "ttl": 59 })), 9021),
        (with(json!({ "ttl": 86401 })), 9021),
        (a("a..b", "192.0.2.1"), 9000),
        (json!({ "type": "MX", "name": "x", "content": "mx.example.com" }), 9100),
        (json!({ "type": "CAA", "name": "x", "data": { "flags": 0, "tag": "issue" } }), 9101),
        (json!({ "type": "B", "name": "x", "content": "x" }), 9020),
        (with(json!({ "tags": ["team:a"] })), 9300),
    ] {
        assert_eq!(refused(record.clone()).await, (400, 1004, Some(code)), "{record}");
    }
    assert_eq!(client.patch(&zone, &id, json!({ "content": "x" })).await.refused(), (400, 9005, None));
    client.post(&zone, with(json!({ "comment": "é".repeat(100) }))).await.result();
    client.post(&paid, with(json!({ "comment": "x".repeat(500), "tags": ["team:a"] }))).await.result();
    client.post(&zone, a("a", "192.0.2.2")).await.result();
    assert_eq!(client.get("/nothing").await.refused(), (404, 7000, None));
    assert_eq!(client.send(Method::DELETE, &format!("/zones/{zone}/dns_records"), None).await.refused().1, 7001);
    let text = client.http.post(format!("{}/zones/{zone}/dns_records", stand.url())).body("name=x");
    assert_eq!(text.bearer_auth(&client.token).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn trouble_comes_as_often_as_it_was_asked_for() {
    let stand = StandIn::start();
    let zone = stand.zone("example.com");
    let client = Client::new(&stand);
    stand.throttle(2, 7);
    for _ in 0..2 {
        let told = client.get("/zones").await;
        assert_eq!((told.refused(), told.retry_after.as_deref()), ((429, 971, None), Some("7")));
    }
    assert_eq!(client.get("/zones").await.status, 200);

    let post = "POST /zones/:zone/dns_records";
    stand.fail(post, 500, 1000, "internal", 1);
    assert_eq!(client.get("/zones").await.status, 200, "another call");
    assert_eq!(client.post(&zone, a("a", "192.0.2.1")).await.refused(), (500, 1000, None));
    assert_eq!(stand.records("example.com").len(), 0);
    stand.fail(post, 520, 0, "Web server is returning an unknown error", 1);
    let told = client.post(&zone, a("a", "192.0.2.1")).await;
    assert!(told.status == 520 && told.text.contains("<html>"));

    stand.lose_answer(post, 1);
    let told = client.post(&zone, a("a", "192.0.2.1")).await;
    assert!(told.status == 502 && told.text.contains("<html>"));
    assert_eq!(stand.records("example.com").len(), 1, "it took effect");
    assert_eq!(client.post(&zone, a("a", "192.0.2.1")).await.refused(), (400, 81058, None));
    assert_eq!(stand.calls()[post], 4);
}

#[tokio::test]
async fn what_dns_would_answer() {
    let stand = StandIn::start();
    stand.zone("example.com");
    let id = stand.put("example.com", cname("_x", "_y.acm-validations.aws."));
    stand.put("example.com", a("a", "192.0.2.1"));
    stand.put("example.com", a("a", "192.0.2.2"));
    runner_tls();
    let http = reqwest::Client::new();
    let ask = async |name: &str, of: &str| -> Json {
        let url = format!("{}/resolve?name={name}&type={of}", stand.zone_url());
        http.get(url).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(ask("_X.example.com.", "CNAME").await, json!(["_y.acm-validations.aws"]));
    assert_eq!(ask("a.example.com", "A").await, json!(["192.0.2.1", "192.0.2.2"]));
    assert_eq!(ask("a.example.com", "CNAME").await, json!([]));
    stand.change(&id, json!({ "proxied": true }));
    assert_eq!(ask("_x.example.com", "CNAME").await, json!([]), "what is proxied is told as addresses");
    assert_eq!(stand.calls(), Default::default());
}

#[tokio::test]
async fn it_stops_when_dropped_and_serves_many_at_once() {
    let stand = StandIn::start();
    let zone = stand.zone("example.com");
    let client = Client::new(&stand);
    let all = (0..40).map(|number| client.post(&zone, a(&format!("h{number}"), "192.0.2.1")));
    assert!(futures_util::future::join_all(all).await.iter().all(|told| told.status == 200));
    assert_eq!(stand.records("example.com").len(), 40);
    let env = stand.env();
    assert_eq!(env[0], ("CLOUDFLARE_API_TOKEN".into(), stand.token().into()));
    let url = env[1].1.clone();
    drop(client);
    drop(stand);
    // What was waiting in the listener's queue at the end is cut off, what comes later is refused.
    assert!(reqwest::Client::new().get(format!("{url}/zones")).send().await.is_err());
}
