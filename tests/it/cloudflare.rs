//! A stand-in for Cloudflare's API v4 in this process: zones, DNS records and tokens as the real one answers for them,
//! and the trouble that a test asks for. It also tells what DNS would answer, to whoever asks without a token.

mod records;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use records::{How, Place, Refusal, bare, complete, new_id};
use serde_json::{Value as Json, json};

const TOKEN: &str = "NOTAREAL0cloudflare0token0for0tests00000";

/// Stops when it is dropped.
pub struct StandIn {
    server: Arc<tiny_http::Server>,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl StandIn {
    /// Without zones, and with one token that may do everything.
    pub fn start() -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("a free port"));
        let state = Arc::new(Mutex::new(State { page_size: 100, ..State::default() }));
        let thread = std::thread::spawn({
            let (server, state) = (server.clone(), state.clone());
            move || server.incoming_requests().for_each(|request| serve(&state, request))
        });
        let new = StandIn { server, state, thread: Some(thread) };
        new.state().tokens.insert(TOKEN.into(), Token { zones: None, edit: true, status: "active".into() });
        new
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What `CLOUDFLARE_BASE_URL` is set to.
    pub fn url(&self) -> String {
        format!("{}/client/v4", self.zone_url())
    }

    /// Where `/resolve?name=…&type=…` is asked.
    pub fn zone_url(&self) -> String {
        format!("http://{}", self.server.server_addr())
    }

    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// For a process of its own.
    pub fn env(&self) -> Vec<(String, String)> {
        vec![("CLOUDFLARE_API_TOKEN".into(), TOKEN.into()), ("CLOUDFLARE_BASE_URL".into(), self.url())]
    }

    /// A new zone on the free plan; its id.
    pub fn zone(&self, name: &str) -> String {
        self.zone_on(name, "free")
    }

    /// The plan as in `legacy_id`: free, pro, business, enterprise.
    pub fn zone_on(&self, name: &str, plan: &str) -> String {
        let id = new_id();
        let (zone, plan) = (name.to_owned(), plan.to_owned());
        self.state().zones.push(Zone { id: id.clone(), name: zone, plan, records: vec![] });
        id
    }

    /// Another token, for the zones of these names. One whose text begins with `cfat_` belongs to an account.
    pub fn allow(&self, token: &str, zones: &[&str], edit: bool) {
        let zones = Some(zones.iter().map(|zone| (*zone).to_owned()).collect());
        self.state().tokens.insert(token.into(), Token { zones, edit, status: "active".into() });
    }

    /// `disabled` or `expired`; also for one that was not there.
    pub fn token_status(&self, token: &str, status: &str) {
        let unknown = Token { zones: Some(BTreeSet::new()), edit: false, status: String::new() };
        self.state().tokens.entry(token.into()).or_insert(unknown).status = status.into();
    }

    /// The records of the zone of this name as the API tells them, sorted by name, type and content.
    pub fn records(&self, zone: &str) -> Vec<Json> {
        let mut records = self.state().named(zone).records.clone();
        records.sort_by_key(|record| ["name", "type", "content"].map(|field| record[field].to_string()));
        records
    }

    /// Someone else's hands: a record is made in the zone of this name; its id.
    pub fn put(&self, zone: &str, record: Json) -> String {
        let made = self.state().named(zone).put(How::Post, None, &record);
        made.unwrap_or_else(|refusal| panic!("{}", refusal.errors))["id"].as_str().expect("an id").to_owned()
    }

    /// Someone else's hands: fields of a record change.
    pub fn change(&self, record: &str, fields: Json) {
        let changed = self.state().holding(record).put(How::Patch, Some(record), &fields);
        changed.unwrap_or_else(|refusal| panic!("{}", refusal.errors));
    }

    /// Someone else's hands: a record goes.
    pub fn remove(&self, record: &str) {
        self.state().holding(record).records.retain(|other| other["id"] != record);
    }

    /// How often each call was made: `GET /zones/:zone/dns_records/:record`, whatever it was answered.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.state().calls.clone()
    }

    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    /// No page holds more, whatever is asked for.
    pub fn page_size(&self, most: usize) {
        self.state().page_size = most;
    }

    /// The call is not served but fails, so often. With the code 0 the answer is an HTML page, as from an edge that
    /// does not reach the API.
    pub fn fail(&self, call: &str, status: u16, code: u32, message: &str, times: u32) {
        let answer = match code {
            0 => Answer::page(status, message),
            _ => Answer::refusal(&Refusal::new(status, code, message)),
        };
        self.state().faults.push(Fault { call: call.into(), answer, served: false, times });
    }

    /// The call is served, and then its answer is an error 502 with an HTML page, so often.
    pub fn lose_answer(&self, call: &str, times: u32) {
        let answer = Answer::page(502, "Bad gateway");
        self.state().faults.push(Fault { call: call.into(), answer, served: true, times });
    }

    /// The next requests are answered 429, whatever they are.
    pub fn throttle(&self, times: u32, retry_after: u32) {
        self.state().throttle = (times, retry_after);
    }
}

#[derive(Default)]
struct State {
    zones: Vec<Zone>,
    tokens: BTreeMap<String, Token>,
    calls: BTreeMap<String, u64>,
    faults: Vec<Fault>,
    throttle: (u32, u32),
    page_size: usize,
}

struct Zone {
    id: String,
    name: String,
    plan: String,
    records: Vec<Json>,
}

#[derive(Clone)]
struct Token {
    /// By name; `None` for all.
    zones: Option<BTreeSet<String>>,
    edit: bool,
    status: String,
}

struct Fault {
    call: String,
    answer: Answer,
    served: bool,
    times: u32,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    media: &'static str,
    body: String,
    retry_after: Option<u32>,
}

impl Answer {
    fn json(status: u16, body: &Json) -> Self {
        Answer { status, media: "application/json", body: body.to_string(), retry_after: None }
    }

    fn refusal(refusal: &Refusal) -> Self {
        let body = json!({ "result": null, "success": false, "errors": refusal.errors, "messages": [] });
        Self::json(refusal.status, &body)
    }

    fn page(status: u16, message: &str) -> Self {
        let body = format!("<!DOCTYPE html><html><head><title>{status}: {message}</title></head><body></body></html>");
        Answer { status, media: "text/html; charset=UTF-8", body, retry_after: None }
    }
}

/// What is asked, taken apart.
struct Asked {
    method: String,
    /// Without the base path.
    path: Vec<String>,
    query: BTreeMap<String, String>,
    authorization: Option<String>,
    body: String,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, mut request: tiny_http::Request) {
    let mut body = String::new();
    drop(request.as_reader().read_to_string(&mut body));
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let decoded =
        |text: &str| urlencoding::decode(&text.replace('+', " ")).map(|text| text.into_owned()).unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
    let header = request.headers().iter().find(|header| header.field.equiv("authorization"));
    let authorization = header.map(|header| header.value.as_str().to_owned());
    let segments = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let asked =
        |path: &str| Asked { method: request.method().to_string(), path: segments(path), query, authorization, body };
    let answer = match path.strip_prefix("/client/v4/") {
        Some(path) => lock(state).answer(&asked(path)),
        None if path == "/resolve" => lock(state).resolve(&asked(path)),
        None => Answer::page(404, "Not found"),
    };
    // Written by hand: one connection for each request leaves no client waiting on one that nobody serves any more.
    let mut head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\
         ratelimit: \"default\";r=1199;t=300\r\nratelimit-policy: \"default\";q=1200;w=300\r\n",
        answer.status,
        tiny_http::StatusCode(answer.status).default_reason_phrase(),
        answer.media,
        answer.body.len()
    );
    if let Some(seconds) = answer.retry_after {
        head += &format!("retry-after: {seconds}\r\n");
    }
    let mut writer = request.into_writer();
    drop(writer.write_all(format!("{head}\r\n{}", answer.body).as_bytes()).and_then(|()| writer.flush()));
}

impl Asked {
    /// With `:zone` and `:record` for ids.
    fn call(&self) -> String {
        let mut call = format!("{} ", self.method);
        for (place, part) in self.path.iter().enumerate() {
            let shown = match place.checked_sub(1).map(|before| self.path[before].as_str()) {
                Some("zones") => ":zone",
                Some("dns_records") => ":record",
                _ => part,
            };
            call = call + "/" + shown;
        }
        call
    }

    fn json(&self) -> Result<Json, Refusal> {
        let unreadable = "Failed to parse request body, content-type must be application/json";
        serde_json::from_str(&self.body).map_err(|_| Refusal::new(400, 9207, unreadable))
    }

    fn is_to_verify(&self) -> bool {
        self.path == ["user", "tokens", "verify"]
    }
}

/// What goes into an envelope.
struct Reply {
    result: Json,
    messages: Json,
    page: Option<Json>,
}

impl Reply {
    fn new(result: Json) -> Self {
        Reply { result, messages: json!([]), page: None }
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let call = asked.call();
        *self.calls.entry(call.clone()).or_default() += 1;
        if self.throttle.0 > 0 {
            self.throttle.0 -= 1;
            let refusal = Refusal::new(429, 971, "Please wait and consider throttling your request speed");
            return Answer { retry_after: Some(self.throttle.1), ..Answer::refusal(&refusal) };
        }
        let fault = self.faults.iter_mut().find(|fault| fault.call == call && fault.times > 0);
        let fault = fault.map(|fault| {
            fault.times -= 1;
            (fault.served, fault.answer.clone())
        });
        if let Some((false, answer)) = fault {
            return answer;
        }
        let reply = self.token(asked).and_then(|token| self.reply(asked, &token));
        match (fault, reply) {
            (Some((_, answer)), _) => answer,
            (None, Err(refusal)) => Answer::refusal(&refusal),
            (None, Ok(Reply { result, messages, page })) => {
                let mut body = json!({ "result": result, "success": true, "errors": [], "messages": messages });
                if let Some(page) = page {
                    body["result_info"] = page;
                }
                Answer::json(200, &body)
            }
        }
    }

    fn token(&self, asked: &Asked) -> Result<Token, Refusal> {
        let Some(header) = &asked.authorization else {
            return Err(match asked.is_to_verify() {
                true => Refusal::new(400, 1001, "Missing \"Authorization\" header"),
                false => Refusal::new(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers"),
            });
        };
        let given = header.strip_prefix("Bearer ").unwrap_or_default();
        let is_like_one = given.len() >= 40 && given.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        match self.tokens.get(given) {
            None if !is_like_one => {
                let about = (6111, "Invalid format for Authorization header");
                Err(Refusal::chained((6003, "Invalid request headers"), about))
            }
            Some(token) if asked.is_to_verify() && !given.starts_with("cfat_") => Ok(token.clone()),
            _ if asked.is_to_verify() => Err(Refusal::new(401, 1000, "Invalid API Token")),
            Some(token) if token.status == "active" => Ok(token.clone()),
            _ => Err(Refusal::new(403, 9109, "Invalid access token")),
        }
    }

    fn reply(&mut self, asked: &Asked, token: &Token) -> Result<Reply, Refusal> {
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        let page_size = self.page_size;
        let done = match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["user", "tokens", "verify"]) => {
                let told = json!([{ "code": 10000, "message": "This API Token is valid and active", "type": null }]);
                let messages = if token.status == "active" { told } else { json!([]) };
                Reply { messages, ..Reply::new(json!({ "id": new_id(), "status": token.status })) }
            }
            ("GET", ["zones"]) => {
                let seen = self.zones.iter().filter(|zone| token.sees(zone)).map(|zone| zone.told(token)).collect();
                paged(chosen(seen, asked, &["name", "status"])?, asked, 20, page_size.min(50))
            }
            ("GET", ["zones", id]) => {
                Reply::new(self.seen(id, asked, token, "Unauthorized to access requested resource", 9109)?.told(token))
            }
            (method, ["zones", id, "dns_records", rest @ ..]) if rest.len() < 2 => {
                let zone = self.seen(id, asked, token, "Authentication error", 10000)?;
                if method != "GET" && !token.edit {
                    return Err(Refusal::new(403, 10000, "Authentication error"));
                }
                match (method, rest.first()) {
                    ("GET", None) => {
                        let records = chosen(zone.records.clone(), asked, &["type", "name", "content"])?;
                        paged(records, asked, 100, page_size)
                    }
                    ("GET", Some(record)) => Reply::new(zone.records[zone.find(record)?].clone()),
                    ("POST", None) => Reply::new(zone.put(How::Post, None, &asked.json()?)?),
                    ("PUT", Some(record)) => Reply::new(zone.put(How::Put, Some(record), &asked.json()?)?),
                    ("PATCH", Some(record)) => Reply::new(zone.put(How::Patch, Some(record), &asked.json()?)?),
                    ("DELETE", Some(record)) => {
                        let place = zone.find(record)?;
                        Reply::new(json!({ "id": zone.records.remove(place)["id"] }))
                    }
                    _ => return Err(Refusal::new(405, 7001, format!("Method {method} not available for that URI."))),
                }
            }
            _ => return Err(Refusal::new(404, 7000, "No route for that URI")),
        };
        Ok(done)
    }

    /// The zone of this id; to a token that may not see it, the refusal told.
    fn seen(&mut self, id: &str, asked: &Asked, token: &Token, message: &str, code: u32) -> Result<&mut Zone, Refusal> {
        match self.zones.iter_mut().find(|zone| zone.id == id) {
            Some(zone) if token.sees(zone) => Ok(zone),
            Some(_) => Err(Refusal::new(403, code, message)),
            None => {
                let path = asked.path.join("/");
                let message =
                    format!("Could not route to /client/v4/{path}, perhaps your object identifier is invalid?");
                Err(Refusal::new(404, 7003, message))
            }
        }
    }

    /// What DNS would answer, wildcards apart. Behind the proxy only addresses are told, and Cloudflare's own.
    fn resolve(&self, asked: &Asked) -> Answer {
        let query = |name: &str| asked.query.get(name).map(|value| bare(value).to_lowercase()).unwrap_or_default();
        let (name, of) = (query("name"), query("type").to_uppercase());
        let named = self.zones.iter().flat_map(|zone| &zone.records).filter(|record| record["name"] == name);
        let contents = named.filter_map(|record| match (record["proxied"] == true, of.as_str()) {
            (true, "A") => Some(json!("198.51.100.1")),
            (true, "AAAA") => Some(json!("2001:db8::1")),
            (true, _) => None,
            (false, of) => (record["type"] == of).then(|| record["content"].clone()),
        });
        Answer::json(200, &contents.collect())
    }

    fn named(&mut self, zone: &str) -> &mut Zone {
        self.zones.iter_mut().find(|of| of.name == zone).unwrap_or_else(|| panic!("there is no zone {zone}"))
    }

    fn holding(&mut self, record: &str) -> &mut Zone {
        let zone = self.zones.iter_mut().find(|zone| zone.find(record).is_ok());
        zone.unwrap_or_else(|| panic!("there is no record {record}"))
    }
}

impl Token {
    fn sees(&self, zone: &Zone) -> bool {
        self.zones.as_ref().is_none_or(|zones| zones.contains(&zone.name))
    }
}

impl Zone {
    fn find(&self, record: &str) -> Result<usize, Refusal> {
        let found = self.records.iter().position(|other| other["id"] == record);
        found.ok_or_else(|| Refusal::new(404, 81044, "Record does not exist."))
    }

    fn put(&mut self, how: How, record: Option<&str>, given: &Json) -> Result<Json, Refusal> {
        let before = record.map(|record| self.find(record)).transpose()?;
        let place = Place { zone: &self.name, plan: &self.plan, records: &self.records };
        let new = complete(&place, how, before.map(|before| &self.records[before]), given)?;
        match before {
            Some(before) => self.records[before] = new.clone(),
            None => self.records.push(new.clone()),
        }
        Ok(new)
    }

    fn told(&self, token: &Token) -> Json {
        let mut permissions = vec!["#dns_records:read", "#zone:read"];
        permissions.extend(token.edit.then_some("#dns_records:edit"));
        let plan = self.plan[..1].to_uppercase() + &self.plan[1..];
        json!({
            "id": self.id, "name": self.name, "status": "active", "paused": false, "type": "full",
            "development_mode": 0, "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
            "original_name_servers": null, "original_registrar": null, "original_dnshost": null,
            "created_on": "2026-01-02T03:04:05.000000Z", "modified_on": "2026-01-02T03:04:05.000000Z",
            "activated_on": "2026-01-02T03:04:05.000000Z", "owner": { "id": null, "type": "user", "email": null },
            "account": { "id": "0123456789abcdef0123456789abcdef", "name": "Example" },
            "permissions": permissions, "meta": { "step": 2, "phishing_detected": false },
            "plan": { "id": format!("{:0>32}", ""), "name": format!("{plan} Website"), "legacy_id": self.plan },
        })
    }
}

/// Those that the query asks for. What it cannot be asked for is an error, so that no test passes because of a filter
/// that is ignored.
fn chosen(all: Vec<Json>, asked: &Asked, exact: &[&str]) -> Result<Vec<Json>, Refusal> {
    let mut chosen = all;
    for (filter, wanted) in &asked.query {
        let wanted = wanted.to_lowercase();
        let text = |one: &Json, field: &str| one[field].as_str().unwrap_or_default().to_lowercase();
        match filter.split_once('.').unwrap_or((filter, "exact")) {
            ("page" | "per_page", "exact") => {}
            (field, "exact") if exact.contains(&field) => chosen.retain(|one| text(one, field) == wanted),
            ("comment", "exact") => chosen.retain(|one| text(one, "comment") == wanted),
            ("comment", "contains") => chosen.retain(|one| text(one, "comment").contains(&wanted)),
            ("comment", "startswith") => chosen.retain(|one| text(one, "comment").starts_with(&wanted)),
            _ => return Err(Refusal::new(400, 1, format!("the stand-in does not know `{filter}`"))),
        }
    }
    Ok(chosen)
}

fn paged(all: Vec<Json>, asked: &Asked, default: usize, most: usize) -> Reply {
    let number = |name: &str| asked.query.get(name).and_then(|value| value.parse().ok());
    let per_page = number("per_page").unwrap_or(default).clamp(1, most.max(1));
    let page = number("page").unwrap_or(1).max(1);
    let total = all.len();
    let items: Vec<Json> = all.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let info = json!({ "page": page, "per_page": per_page, "count": items.len(), "total_count": total,
                       "total_pages": total.div_ceil(per_page) });
    Reply { page: Some(info), ..Reply::new(items.into()) }
}
