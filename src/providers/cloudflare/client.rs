//! The way to Cloudflare: the token, the requests, and what holds for each of them.
//!
//! The token is verified before its first use. Nothing is sent again from here: the engine does that, by
//! [`Class`](crate::resource::Class). A client that may only read refuses to send anything else, and a listing that is
//! shorter than it says is an error.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Url};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::OnceCell;

use super::api::{Body, Envelope, Listed, Record, RecordId, Token};
use super::fault::{self, Answer};
use super::zone::{self, Zone, Zones};
use crate::providers::{causes, remote, tls};
use crate::resource::{Class, Fault, permission};

/// What the inventory and the environment say of Cloudflare.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where the API is, if not at its own place: `CLOUDFLARE_BASE_URL`.
    pub base_url: Option<String>,
    /// Zones beside which no other is looked at; empty means all that the token may see.
    pub zones: Vec<String>,
    /// The inventory has a table `[cloudflare]`, so that records are looked for although none is declared any more.
    pub declared: bool,
    /// What tells this stack from others of its name that have records in the same zones.
    pub owner: Option<String>,
    /// Refuse to send anything that could change something.
    pub read_only: bool,
}

/// Where the API token comes from.
#[async_trait]
pub trait Tokens: Send + Sync {
    async fn token(&self) -> Result<String, Fault>;
}

const BASE: &str = "https://api.cloudflare.com/client/v4";

pub struct Client {
    settings: Settings,
    tokens: Arc<dyn Tokens>,
    way: OnceCell<Way>,
    zones: OnceCell<Zones>,
    calls: Mutex<BTreeMap<String, u64>>,
}

/// A connection and a token that is good.
struct Way {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
    /// What the call that verifies said, if it does not know the token: it may be one that an account owns.
    unknown: Option<Fault>,
}

impl Client {
    pub fn new(settings: Settings, tokens: Arc<dyn Tokens>) -> Self {
        Client { settings, tokens, way: OnceCell::new(), zones: OnceCell::new(), calls: Mutex::default() }
    }

    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.lock().expect("no holder panics").clone()
    }

    /// Whether there is reason to look for what is no longer declared.
    pub fn is_in_use(&self) -> bool {
        self.settings.declared || self.zones.initialized()
    }

    /// The zones that this is about, as they were when they were first asked for.
    pub async fn zones(&self) -> Result<&Zones, Fault> {
        let zones = self.zones.get_or_try_init(|| async {
            let visible = match self.all::<Zone>("cloudflare:ListZones", &["zones"], 50).await {
                Err(fault) => Err(fault::of_zones(fault, self.way().await?.unknown.is_some())),
                other => other,
            };
            zone::chosen(visible?, &self.settings.zones)
        });
        zones.await
    }

    /// One of these zones. In another nothing of ours would be found again.
    pub async fn zone(&self, id: &str) -> Result<&Zone, Fault> {
        let zones = self.zones().await?;
        zones.chosen.iter().find(|zone| zone.id == id).ok_or_else(|| {
            let what = format!("the zone `{id}` is not among those that the API token sees and the inventory names");
            Fault::new(Class::Invalid, what).hint(
                "`cloudflare::zone(\"example.com\").id` tells a zone's id; `[cloudflare] zones` in the inventory, if it is \
                 there, has to name that zone",
            )
        })
    }

    pub async fn records(&self, zone: &Zone) -> Result<Vec<Record>, Fault> {
        let path = ["zones", &zone.id, "dns_records"];
        let mut records = self.all::<Record>("cloudflare:ListDNSRecords", &path, 1000).await.map_err(|fault| {
            let several = self.zones.get().is_some_and(|zones| zones.chosen.len() > 1);
            let fault = Fault { message: format!("zone {}: {}", zone.name, fault.message), ..fault };
            match several && fault.class == Class::Denied && self.settings.zones.is_empty() {
                true => fault.hint(
                    "give the token DNS / Read there too, or name the zones that this is about in the inventory: \
                     `[cloudflare] zones = […]`",
                ),
                false => fault,
            }
        })?;
        records.iter_mut().for_each(|record| zone.id.clone_into(&mut record.zone_id));
        Ok(records)
    }

    /// `None` if there is none.
    pub async fn record(&self, id: &RecordId) -> Result<Option<Record>, Fault> {
        let path = ["zones", &id.zone, "dns_records", &id.record];
        match self.call::<Record>("cloudflare:DNSRecordDetails", Method::GET, &path, None).await {
            Ok(mut record) => {
                id.zone.clone_into(&mut record.zone_id);
                Ok(Some(record))
            }
            Err(fault) if fault.class == Class::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub async fn create(&self, zone: &str, body: &Body) -> Result<Record, Fault> {
        self.call("cloudflare:CreateDNSRecord", Method::POST, &["zones", zone, "dns_records"], Some(body)).await
    }

    pub async fn update(&self, id: &RecordId, body: &Body) -> Result<(), Fault> {
        let path = ["zones", &id.zone, "dns_records", &id.record];
        let done = self.call::<IgnoredAny>("cloudflare:UpdateDNSRecord", Method::PATCH, &path, Some(body));
        done.await.map(drop)
    }

    /// What is gone already is deleted.
    pub async fn delete(&self, id: &RecordId) -> Result<(), Fault> {
        let path = ["zones", &id.zone, "dns_records", &id.record];
        match self.call::<IgnoredAny>("cloudflare:DeleteDNSRecord", Method::DELETE, &path, None).await {
            Err(fault) if fault.class != Class::NotFound => Err(fault),
            _ => Ok(()),
        }
    }

    /// All pages of a listing. What moves while it is read may be told twice or not at all, and is no listing.
    async fn all<T: DeserializeOwned + Listed>(
        &self,
        operation: &str,
        path: &[&str],
        per_page: u64,
    ) -> Result<Vec<T>, Fault> {
        let way = self.way().await?;
        let (mut all, mut seen, mut total): (Vec<T>, HashSet<String>, Option<u64>) = Default::default();
        let moved = || {
            let fault = Fault::new(Class::Throttled, "a listing changed while it was read");
            Fault { operation: Some(operation.to_owned()), ..fault }
        };
        for page in 1.. {
            let mut url = way.url(path);
            url.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("per_page", &per_page.to_string());
            let answer = self.send::<Vec<T>>(operation, way, way.http.get(url), true).await?;
            let items = answer.result.ok_or_else(|| fault::unreadable(operation, "it has no result"))?;
            let empty = items.is_empty();
            for item in items {
                if !seen.insert(item.id().to_owned()) {
                    return Err(moved());
                }
                all.push(item);
            }
            let paging = answer.result_info;
            let told = paging.and_then(|paging| paging.total_count);
            if total.is_some() && total != told {
                return Err(moved());
            }
            total = told;
            // Without a word of how many pages there are, the last one is empty.
            if empty || paging.and_then(|paging| paging.total_pages).is_some_and(|pages| page >= pages) {
                break;
            }
        }
        if total.is_some_and(|total| total != all.len() as u64) {
            return Err(moved());
        }
        Ok(all)
    }

    /// One request whose answer is one thing.
    async fn call<T: DeserializeOwned>(
        &self,
        operation: &str,
        method: Method,
        path: &[&str],
        body: Option<&Body>,
    ) -> Result<T, Fault> {
        let is_read = method == Method::GET;
        if self.settings.read_only && !is_read {
            let what = format!("refused to send {operation}: nothing may change");
            return Err(Fault::new(Class::ReadOnly, what));
        }
        let way = self.way().await?;
        if !is_read && !permission::holds() {
            return Err(permission::ended(operation));
        }
        let request = way.http.request(method, way.url(path));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = self.send::<T>(operation, way, request, is_read).await?;
        answer.result.ok_or_else(|| fault::unreadable(operation, "it has no result"))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        operation: &str,
        way: &Way,
        request: RequestBuilder,
        is_read: bool,
    ) -> Result<Envelope<T>, Fault> {
        *self.calls.lock().expect("no holder panics").entry(operation.to_owned()).or_default() += 1;
        let unanswered = |error: reqwest::Error| fault::unanswered(operation, is_read, &error);
        let request = request.header(AUTHORIZATION, way.authorization.clone());
        let answer = request.send().await.map_err(unanswered)?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, ray) = (answer.status().as_u16(), header("cf-ray"));
        let retry_after = header(RETRY_AFTER.as_str()).and_then(|when| fault::seconds_until(&when));
        let text = answer.bytes().await.map_err(unanswered)?;
        match serde_json::from_slice::<Envelope<T>>(&text) {
            Ok(envelope) if envelope.success && status < 400 => Ok(envelope),
            Ok(envelope) => {
                let answer = Answer { operation, is_read, status, errors: &envelope.errors, retry_after };
                Err(fault::answered(&answer, ray))
            }
            Err(error) if status < 400 && error.is_data() => Err(fault::of_another_form(operation, is_read, &error)),
            Err(_) if text.trim_ascii_start().starts_with(b"<") && status < 400 => {
                Err(fault::unreadable(operation, "it is a page of HTML, not the API's"))
            }
            Err(error) if status < 400 => Err(fault::unreadable(operation, &error.to_string())),
            // The result of a refusal may be anything; and what stands before the API answers in HTML.
            Err(_) => {
                let told: Result<Envelope<IgnoredAny>, _> = serde_json::from_slice(&text);
                let errors = told.map(|envelope| envelope.errors).unwrap_or_default();
                let answer = Answer { operation, is_read, status, errors: &errors, retry_after };
                Err(fault::answered(&answer, ray))
            }
        }
    }

    async fn way(&self) -> Result<&Way, Fault> {
        self.way
            .get_or_try_init(|| async {
                let mut way = self.connect().await?;
                way.unknown = self.verify(&way).await?;
                Ok(way)
            })
            .await
    }

    async fn connect(&self) -> Result<Way, Fault> {
        let base = self.settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/');
        let wrong = |why: String| {
            Fault::new(Class::Invalid, format!("`CLOUDFLARE_BASE_URL`: {why}")).hint(format!("leave it out for {BASE}"))
        };
        let base = Url::parse(base).map_err(|error| wrong(format!("`{base}`: {error}")))?;
        if !remote::is_allowed(&base) || base.cannot_be_a_base() {
            return Err(wrong(format!("`{base}` is not https, and a token is not sent in the open")));
        }
        let token = self.tokens.token().await?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| {
            Fault::new(Class::Denied, "the Cloudflare API token has characters that no token has").hint(fault::TOKEN)
        })?;
        authorization.set_sensitive(true);
        tls::ready();
        let http = reqwest::Client::builder()
            .user_agent(concat!("runner/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .build()
            .map_err(|error| Fault::new(Class::Other, causes::innermost(&error)))?;
        Ok(Way { http, base, authorization, unknown: None })
    }

    /// Whether the token is one, and active. One that an account owns, not a user, is unknown to this call alone: the
    /// next one shows whether it is good.
    async fn verify(&self, way: &Way) -> Result<Option<Fault>, Fault> {
        let request = way.http.get(way.url(&["user", "tokens", "verify"]));
        match self.send::<Token>("cloudflare:VerifyToken", way, request, true).await {
            Ok(answer) => match answer.result.map(|token| token.status) {
                Some(status) if status != "active" => {
                    Err(Fault::new(Class::Denied, format!("the Cloudflare API token is {status}")).hint(fault::TOKEN))
                }
                _ => Ok(None),
            },
            Err(fault) if fault::may_be_of_account(&fault) => Ok(Some(fault)),
            Err(fault) => Err(fault),
        }
    }
}

impl Way {
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}
