//! What Cloudflare makes of a DNS record that it is given: checked, completed, and compared with its neighbours.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value as Json, json};

/// An answer that is an error.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub errors: Json,
}

impl Refusal {
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Refusal { status, errors: json!([{ "code": code, "message": message.into() }]) }
    }

    /// A summary, and what it is about below it.
    pub fn chained(summary: (u32, &str), (code, message): (u32, &str)) -> Self {
        let chain = json!([{ "code": code, "message": message }]);
        Refusal { status: 400, errors: json!([{ "code": summary.0, "message": summary.1, "error_chain": chain }]) }
    }

    fn invalid(code: u32, message: &str) -> Self {
        Self::chained((1004, "DNS Validation Error"), (code, message))
    }

    /// What a POST is told below 1004 and other methods are told without it.
    fn of_field(how: How, code: u32, message: &str) -> Self {
        match how {
            How::Post => Self::invalid(code, message),
            How::Put | How::Patch => Self::new(400, code, message),
        }
    }
}

/// The method that brings a record.
#[derive(Clone, Copy, PartialEq)]
pub enum How {
    Post,
    Put,
    Patch,
}

/// Where a record is to stand.
pub struct Place<'a> {
    pub zone: &'a str,
    pub plan: &'a str,
    pub records: &'a [Json],
}

/// Types whose content is theirs to give, and those that are made from `data`, with its parts.
const PLAIN: [&str; 7] = ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT"];
const STRUCTURED: [(&str, &[&str]); 8] = [
    ("CAA", &["flags", "tag", "value"]),
    ("DS", &["key_tag", "algorithm", "digest_type", "digest"]),
    ("HTTPS", &["priority", "target", "value"]),
    ("SRV", &["priority", "weight", "port", "target"]),
    ("SSHFP", &["algorithm", "type", "fingerprint"]),
    ("SVCB", &["priority", "target", "value"]),
    ("TLSA", &["usage", "selector", "matching_type", "certificate"]),
    ("URI", &["weight", "target"]),
];
const ADDRESSING: [&str; 3] = ["A", "AAAA", "CNAME"];

/// The record as it will be told, from what is given and, for a change, what was there before.
pub fn complete(place: &Place, how: How, before: Option<&Json>, given: &Json) -> Result<Json, Refusal> {
    let unreadable = || Refusal::new(400, 9207, "Request body is invalid.");
    let given = given.as_object().ok_or_else(unreadable)?;
    let mut fields = json!({ "ttl": 1, "proxied": false, "comment": null, "tags": [], "settings": {} });
    let fields = fields.as_object_mut().expect("an object");
    if let (How::Patch, Some(before)) = (how, before) {
        fields.extend(before.as_object().expect("an object").clone());
    }
    for name in ["name", "type", "content", "data", "priority", "proxied", "ttl", "comment", "tags", "settings"] {
        if let Some(value) = given.get(name) {
            fields.insert(name.into(), value.clone());
        }
    }
    let text = |name: &str| fields.get(name).and_then(Json::as_str).map(str::to_owned);

    let name = text("name").and_then(|name| full_name(place.zone, &name));
    let name = name.ok_or_else(|| Refusal::of_field(how, 9000, "DNS name is invalid."))?;
    let of = text("type").unwrap_or_default();
    let told = content(how, place.zone, &of, fields)?;

    let proxied = fields["proxied"].as_bool().ok_or_else(unreadable)?;
    let proxiable = ADDRESSING.contains(&of.as_str());
    if proxied && !proxiable {
        return Err(Refusal::new(400, 9004, "This record type cannot be proxied."));
    }
    let ttl = match (proxied, fields["ttl"].as_u64().ok_or_else(unreadable)?) {
        (true, _) => 1,
        (false, ttl @ (1 | 60..=86400)) => ttl,
        (false, _) => {
            let message = "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for automatic.";
            return Err(Refusal::of_field(how, 9021, message));
        }
    };
    let comment = match &fields["comment"] {
        Json::Null => None,
        Json::String(comment) if comment.is_empty() => None,
        Json::String(comment) => Some(comment.clone()),
        _ => return Err(unreadable()),
    };
    let (longest, most_tags) = if place.plan == "free" { (100, 0) } else { (500, 20) };
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > longest) {
        let message = format!("DNS record comment exceeds the maximum length of {longest} characters.");
        return Err(Refusal::new(400, 9313, message));
    }
    let tags = fields["tags"].as_array().ok_or_else(unreadable)?;
    if tags.len() > most_tags {
        let message = format!("DNS record has {} tags, exceeding the quota of {most_tags}.", tags.len());
        return Err(Refusal::invalid(9300, &message));
    }

    let now = format!("{:.6}", jiff::Timestamp::now());
    let was = |field: &str| before.map(|before| before[field].clone()).filter(|value| !value.is_null());
    let mut record = json!({
        "id": was("id").unwrap_or_else(|| new_id().into()), "name": name, "type": of, "content": told.content,
        "proxiable": proxiable, "proxied": proxied, "ttl": ttl, "settings": fields["settings"], "meta": {},
        "comment": comment, "tags": tags, "created_on": was("created_on").unwrap_or_else(|| now.clone().into()),
        "modified_on": now,
    });
    if comment.is_some() {
        let same = was("comment").is_some_and(|before| before == record["comment"]);
        record["comment_modified_on"] =
            was("comment_modified_on").filter(|_| same).unwrap_or_else(|| now.clone().into());
    }
    for (name, value) in [("priority", told.priority), ("data", told.data)] {
        if !value.is_null() {
            record[name] = value;
        }
    }
    conflicts(place.records, &record)?;
    Ok(record)
}

pub fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

struct Told {
    content: String,
    priority: Json,
    data: Json,
}

/// The content in the form in which it is told.
fn content(how: How, zone: &str, of: &str, fields: &Map<String, Json>) -> Result<Told, Refusal> {
    let priority = || fields.get("priority").cloned().unwrap_or_default();
    if let Some((_, parts)) = STRUCTURED.iter().find(|(name, _)| *name == of) {
        let data = fields.get("data").cloned().unwrap_or_default();
        if let Some(missing) = parts.iter().find(|part| data[**part].is_null()) {
            return Err(Refusal::invalid(9101, &format!("{missing} is a required data field.")));
        }
        let part = |name: &&str| match &data[*name] {
            Json::String(text) if of == "CAA" && *name == "value" => format!("\"{text}\""),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let skipped = usize::from(of == "SRV");
        let content = parts[skipped..].iter().map(part).collect::<Vec<_>>().join(" ");
        let priority = match of {
            "SRV" => data["priority"].clone(),
            "URI" => priority(),
            _ => Json::Null,
        };
        return Ok(Told { content, priority, data });
    }
    if !PLAIN.contains(&of) {
        return Err(Refusal::invalid(9020, "Invalid DNS record type"));
    }
    let text = fields.get("content").and_then(Json::as_str).unwrap_or_default().trim();
    let wrong = |code, must: &str| Refusal::of_field(how, code, &format!("Content for {of} record is invalid. {must}"));
    let content = match of {
        "A" => text.parse::<Ipv4Addr>().map_err(|_| wrong(9005, "Must be a valid IPv4 address."))?.to_string(),
        "AAAA" => text.parse::<Ipv6Addr>().map_err(|_| wrong(9006, "Must be a valid IPv6 address."))?.to_string(),
        "CNAME" if text == "@" => zone.to_owned(),
        "CNAME" if is_host(bare(text)) => bare(text).to_owned(),
        "CNAME" => return Err(wrong(9007, "Must be a valid hostname.")),
        "MX" | "NS" | "PTR" => bare(text).to_owned(),
        _ => text.to_owned(),
    };
    if content.is_empty() {
        return Err(Refusal::invalid(9101, "content is a required data field."));
    }
    let priority = if of == "MX" { priority() } else { Json::Null };
    if of == "MX" && priority.as_u64().is_none_or(|priority| priority > 65535) {
        return Err(Refusal::invalid(9100, "priority is a required field."));
    }
    Ok(Told { content, priority, data: Json::Null })
}

pub fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Complete, in lower case and in Punycode.
pub fn full_name(zone: &str, told: &str) -> Option<String> {
    let told = bare(told).to_lowercase();
    if told == "@" {
        return Some(zone.to_owned());
    }
    let label = |label: &str| match label.is_ascii() {
        true => Some(label.to_owned()),
        false => reqwest::Url::parse(&format!("http://{label}/")).ok()?.host_str().map(str::to_owned),
    };
    let name = told.split('.').map(label).collect::<Option<Vec<_>>>()?.join(".");
    let name = if is_below(&name, zone) { name } else { format!("{name}.{zone}") };
    is_host(name.strip_prefix("*.").unwrap_or(&name)).then_some(name)
}

fn is_below(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_host(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(allowed);
    name.len() <= 253 && name.split('.').all(is_label) && name.parse::<Ipv4Addr>().is_err()
}

/// Which records cannot stand beside each other under one name.
fn conflicts(records: &[Json], new: &Json) -> Result<(), Refusal> {
    let others = || records.iter().filter(|other| other["id"] != new["id"] && other["name"] == new["name"]);
    let there = |types: &[&str]| others().any(|other| types.iter().any(|of| other["type"] == **of));
    let same = |field: &'static str| move |other: &Json| other[field] == new[field];
    let refuse = |code, message| Err(Refusal::new(400, code, message));
    match new["type"].as_str().unwrap_or_default() {
        "CNAME" if there(&ADDRESSING) => refuse(81053, "An A, AAAA, or CNAME record with that host already exists."),
        "A" | "AAAA" | "NS" if there(&["CNAME"]) => refuse(81054, "A CNAME record with that host already exists."),
        "A" | "AAAA" | "CNAME" if there(&["NS"]) => refuse(81056, "NS records with that host already exist."),
        _ if others().any(|other| ["type", "content", "priority"].into_iter().all(|field| same(field)(other))) => {
            refuse(81058, "An identical record already exists.")
        }
        _ => Ok(()),
    }
}
