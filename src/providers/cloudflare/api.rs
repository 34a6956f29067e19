//! What Cloudflare's API v4 says and is told, as far as it matters here.

use std::fmt;
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::resource::{Class, Fault};

/// Around every answer.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct Envelope<T> {
    pub success: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub errors: Vec<Told>,
    #[serde(default = "none")]
    pub result: Option<T>,
    pub result_info: Option<Paging>,
}

fn none<T>() -> Option<T> {
    None
}

/// What is `null` counts as left out.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(given: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_default())
}

/// What a listing has many of.
pub trait Listed {
    fn id(&self) -> &str;
}

impl Listed for Record {
    fn id(&self) -> &str {
        &self.id
    }
}

/// One of the errors; those in its chain say more precisely what is wrong.
#[derive(Deserialize, Debug, Clone)]
pub struct Told {
    pub code: u32,
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    #[serde(default, deserialize_with = "or_default")]
    pub error_chain: Vec<Told>,
}

#[derive(Deserialize, Clone, Copy)]
pub struct Paging {
    pub total_pages: Option<u64>,
    pub total_count: Option<u64>,
}

/// What `GET /user/tokens/verify` says.
#[derive(Deserialize)]
pub struct Token {
    pub status: String,
}

/// A DNS record as it is.
#[derive(Deserialize, Clone, Debug)]
pub struct Record {
    pub id: String,
    /// Not told by the API any more: set by who lists a zone.
    #[serde(default)]
    pub zone_id: String,
    pub name: String,
    pub r#type: String,
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
    #[serde(default)]
    pub data: Option<Data>,
    #[serde(default)]
    pub priority: Option<i64>,
    #[serde(default)]
    pub proxied: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    pub proxiable: bool,
    #[serde(default)]
    pub ttl: Option<i64>,
    #[serde(default)]
    pub comment: Option<String>,
    #[serde(default)]
    pub created_on: Option<String>,
}

/// The parts of a record's content. Only those of CAA records are kept; other types have others.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
pub enum Data {
    Caa { flags: i64, tag: String, value: String },
    Other(IgnoredAny),
}

/// A record as it shall be; in an update, only what changes.
#[derive(Serialize, Default)]
pub struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<super::dns_record::Caa>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxied: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A record's id with its zone's: `023e…/372e…`, as Terraform imports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordId {
    pub zone: String,
    pub record: String,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.zone, self.record)
    }
}

impl FromStr for RecordId {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let is_id = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match text.split_once('/') {
            Some((zone, record)) if is_id(zone) && is_id(record) => {
                Ok(RecordId { zone: zone.to_owned(), record: record.to_owned() })
            }
            _ => Err(Fault::new(Class::Invalid, format!("`{text}` is not the id of a DNS record"))
                .hint("write it as \"<id of the zone>/<id of the record>\"")),
        }
    }
}
