//! `cloudflare::dns_record`. Reads: one ListDNSRecords per zone (1,000 a page).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Body, Data, Record, RecordId};
use super::comment::{self, Scope};
use super::content;
use super::zone::Zone;
use crate::providers::typed::{map_of, typed};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Create, Fault, Kind, Live, Map, Owner, Status, Update, Value};

pub const NAME: &str = "cloudflare::dns_record";

/// A DNS record in a zone of Cloudflare. That it is the stack's own is remembered at the end of its comment.
///
/// ```rhai
/// let zone = cloudflare::zone("example.com");
/// cloudflare::dns_record("shop", #{
///     zone_id: zone.id, name: "shop.example.com", type: "CNAME", content: balancer.dns_name, proxied: true,
/// });
/// cloudflare::dns_record("mail", #{ zone_id: zone.id, name: "example.com", type: "MX", content: "mx.example.net", priority: 10 });
/// cloudflare::dns_record("issuers", #{
///     zone_id: zone.id, name: "example.com", type: "CAA", data: #{ tag: "issue", value: "amazon.com" },
/// });
/// ```
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Id of the zone, as `cloudflare::zone` tells it (Create DNS Record).
    #[schemars(extend("immutable" = true))]
    zone_id: String,
    /// The complete name, `shop.example.com`; that of the zone itself for its apex (Create DNS Record).
    name: String,
    /// What sort of record it is (Create DNS Record).
    #[schemars(extend("enum" = ["A", "AAAA", "CAA", "CNAME", "MX", "TXT"], "immutable" = true))]
    r#type: String,
    /// What it says: an address, a host's name, a text; quotes around a text may be left out. Not with `data` (Create DNS Record).
    content: Option<String>,
    /// What a CAA record says, in its parts (Create DNS Record).
    data: Option<Caa>,
    /// Of several MX records the lowest is asked first; required for them (Create DNS Record).
    priority: Option<i64>,
    /// Whether Cloudflare itself answers in its place, hides it, and passes on: for A, AAAA and CNAME (Create DNS Record).
    #[serde(default)]
    proxied: bool,
    /// For how many seconds others may keep it: 60 to 86,400, or 1 for automatic, which a proxied one always is (Create DNS
    /// Record).
    #[serde(default = "automatic")]
    ttl: i64,
    /// A note for people. With what runner adds to it, it has up to 100 characters on the free plan, 500 on others (Create
    /// DNS Record).
    comment: Option<String>,
}

fn automatic() -> i64 {
    1
}

/// What a CAA record says.
#[derive(Serialize, Deserialize, JsonSchema, Clone)]
pub struct Caa {
    /// 128 for authorities to refuse what they do not understand of it, else 0.
    #[serde(default)]
    flags: i64,
    /// `issue`, `issuewild` or `iodef`.
    #[schemars(extend("enum" = ["issue", "issuewild", "iodef"]))]
    tag: String,
    /// Who may issue (`amazon.com`), `;` for nobody, or where to report to (`mailto:…`).
    value: String,
}

#[derive(Serialize, JsonSchema)]
struct Outputs {
    /// Ids of the zone and of the record, `<zone>/<record>`, as `adopt` takes it.
    #[schemars(example = &"023e105f4ecef8ad9ca31a8372d0c353/372e67954025e0ba6aaa6d586b9e0b59")]
    id: String,
    /// Whether it could be proxied.
    #[schemars(example = true, extend("changes_with" = ["content"]))]
    proxiable: bool,
    /// When it was made.
    #[schemars(example = &"2026-01-01T00:00:00Z")]
    created_on: Option<String>,
}

pub fn kind() -> Arc<Kind> {
    Arc::new(Kind::of::<Inputs, Outputs>(
        NAME,
        Nature {
            natural_key: &["name", "type", "content"],
            in_the_way: Some(in_the_way),
            normalise: |field, value| match (field, value) {
                ("name", Value::String(name)) => content::host(name).into(),
                ("comment", Value::String(text)) if text.trim().is_empty() => Value::Null,
                ("comment", Value::String(text)) => text.trim().into(),
                _ => value.clone(),
            },
            fits: |field, wanted, live| field == "content" && fits(wanted, live),
            check,
            // Cloudflare may make us wait for five minutes.
            timeout: 900,
            ..Nature::default()
        },
    ))
}

/// The contents say the same, however they are written.
fn fits(wanted: &Map, live: &Map) -> bool {
    let text = |map: &Map, field: &str| map.get(field).and_then(Value::as_str).map(str::to_owned);
    let said = |map: &Map| Some(content::canonical(&text(map, "type")?, &text(map, "content")?));
    said(wanted).is_some_and(|wanted| said(live) == Some(wanted))
}

/// A CNAME is alone under its name, among those that lead somewhere; of others there may be several that differ.
fn in_the_way(wanted: &Map, live: &Map) -> bool {
    let of = |map: &Map, field: &str| map.get(field).and_then(Value::as_str).map(str::to_owned);
    if of(wanted, "zone_id").is_some_and(|zone| of(live, "zone_id") != Some(zone)) {
        return false;
    }
    let (Some(name), Some(of_type)) = (of(wanted, "name"), of(wanted, "type")) else { return false };
    if of(live, "name") != Some(content::host(&name)) {
        return false;
    }
    let leads = |of_type: &str| matches!(of_type, "A" | "AAAA" | "CNAME");
    match of(live, "type") {
        Some(there) if there == "CNAME" || of_type == "CNAME" => leads(&there) && leads(&of_type),
        Some(there) if there == of_type => fits(wanted, live) || of_type == "CAA" && same_data(wanted, live),
        _ => false,
    }
}

fn same_data(wanted: &Map, live: &Map) -> bool {
    let parts = |map: &Map| ["tag", "value"].map(|part| map.get("data")?.as_map()?.get(part).cloned());
    parts(wanted).iter().all(Option::is_some) && parts(wanted) == parts(live)
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut wrong = |path: &str, what: String, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what, hint: Some(hint.into()) });
    };
    let given = |field: &str| inputs.get(field).filter(|value| !value.is_null());
    let text = |field: &str| given(field).and_then(Value::as_str);
    let of_type = text("type");
    if let Some(zone) = text("zone_id").filter(|zone| zone.contains('.')) {
        wrong(
            "zone_id",
            format!("\"{zone}\" is a zone's name, not its id"),
            "`cloudflare::zone(\"example.com\").id` tells it",
        );
    }
    if let Some(name) = text("name") {
        if name == "@" || !name.trim_end_matches('.').contains('.') {
            wrong(
                "name",
                format!("\"{name}\" is not a complete name"),
                "write it with the zone's name: \"www.example.com\"",
            );
        } else if name.contains("://") || name.contains('/') || name.contains(char::is_whitespace) {
            wrong("name", format!("\"{name}\" is not a name"), "a host's name alone: \"www.example.com\"");
        } else if name.trim_end_matches('.').split('.').any(|label| label.is_empty() || label.chars().count() > 63) {
            wrong("name", format!("\"{name}\" is not a name"), "between its dots there are 1 to 63 characters");
        } else if name.trim_start_matches("*.").contains('*') {
            wrong(
                "name",
                format!("\"{name}\" is not a name"),
                "a `*` stands alone before the first dot: \"*.example.com\"",
            );
        }
    }
    match (of_type, given("content"), given("data")) {
        (Some("CAA"), Some(_), _) => {
            wrong("content", "is not for CAA".into(), "write `data: #{ tag: \"issue\", value: \"amazon.com\" }`")
        }
        (Some("CAA"), None, None) => {
            wrong("data", "is required for CAA".into(), "write `data: #{ tag: \"issue\", value: \"amazon.com\" }`")
        }
        (Some(other), _, Some(_)) if other != "CAA" => wrong("data", format!("is not for {other}"), "write `content`"),
        (Some(other), None, None) if other != "CAA" => {
            wrong("content", format!("is required for {other}"), "what the record says")
        }
        (Some(of_type), Some(Value::String(content)), None) => {
            if let Some((what, hint)) = wrong_content(of_type, content) {
                wrong("content", format!("\"{content}\" {what}"), hint);
            }
        }
        _ => {}
    }
    match (of_type, given("priority")) {
        (Some("MX"), None) => wrong("priority", "is required for MX".into(), "10, if there is only one"),
        (Some(other), Some(_)) if other != "MX" => wrong("priority", format!("is not for {other}"), "leave it out"),
        (_, Some(Value::Int(priority))) if !(0..=65535).contains(priority) => {
            wrong("priority", format!("{priority} is out of range"), "0 to 65535");
        }
        _ => {}
    }
    let flags = given("data").and_then(|data| data.as_map()?.get("flags"));
    if let Some(Value::Int(flags)) = flags
        && !(0..=255).contains(flags)
    {
        wrong("data.flags", format!("{flags} is out of range"), "0, or 128");
    }
    let proxied = given("proxied") == Some(&Value::Bool(true));
    if proxied && of_type.is_some_and(|of_type| !matches!(of_type, "A" | "AAAA" | "CNAME")) {
        wrong("proxied", "only A, AAAA and CNAME records can be proxied".into(), "leave it out");
    }
    match given("ttl") {
        Some(Value::Int(ttl)) if *ttl != 1 && proxied => {
            wrong("ttl", "is automatic for what is proxied".into(), "leave `ttl` out, or 1");
        }
        Some(Value::Int(ttl)) if *ttl != 1 && !(30..=86400).contains(ttl) => {
            wrong(
                "ttl",
                format!("{ttl} is out of range"),
                "60 to 86400 seconds (from 30 on with the Enterprise plan), or 1 for automatic",
            );
        }
        _ => {}
    }
    if let Some(text) = text("comment")
        && comment::has_mark(text)
    {
        wrong("comment", "has the mark in it that runner puts there".into(), "leave `[runner …]` out");
    }
    mistakes
}

fn wrong_content(of_type: &str, content: &str) -> Option<(&'static str, &'static str)> {
    match of_type {
        "A" if content.parse::<Ipv4Addr>().is_err() => {
            Some(("is not an IPv4 address", "192.0.2.1; a host's name goes into a CNAME record"))
        }
        "AAAA" if content.parse::<Ipv6Addr>().is_err() => {
            Some(("is not an IPv6 address", "2001:db8::1; a host's name goes into a CNAME record"))
        }
        "CNAME" | "MX" if content.parse::<Ipv4Addr>().is_ok() || content.parse::<Ipv6Addr>().is_ok() => {
            Some(("is an address, not a name", "an address goes into an A or AAAA record"))
        }
        "CNAME" | "MX" if content == "@" => Some(("is not a complete name", "write the zone's name: \"example.com\"")),
        "CNAME" | "MX" if content.contains('/') || content.contains(char::is_whitespace) || content.is_empty() => {
            Some(("is not a host's name", "\"www.example.com\", without scheme and path"))
        }
        _ => None,
    }
}

/// A record as the engine sees it.
pub fn live(record: &Record, scope: &Scope) -> Live {
    let (text, owner) = scope.parse(record.comment.as_deref().unwrap_or_default());
    let id = RecordId { zone: record.zone_id.clone(), record: record.id.clone() }.to_string();
    let data = match &record.data {
        Some(Data::Caa { flags, tag, value }) if record.r#type == "CAA" => {
            Some(Caa { flags: *flags, tag: tag.clone(), value: value.clone() })
        }
        _ => None,
    };
    let inputs = Inputs {
        zone_id: record.zone_id.clone(),
        name: record.name.clone(),
        r#type: record.r#type.clone(),
        // A text is shown as it reads, however it was written.
        content: data.is_none().then(|| match record.r#type.as_str() {
            "TXT" => content::canonical("TXT", &record.content),
            _ => record.content.clone(),
        }),
        data,
        priority: record.priority.filter(|_| record.r#type == "MX"),
        proxied: record.proxied.unwrap_or_default(),
        ttl: record.ttl.unwrap_or_else(automatic),
        comment: text,
    };
    let outputs = Outputs { id: id.clone(), proxiable: record.proxiable, created_on: record.created_on.clone() };
    Live { id, region: None, owner, inputs: map_of(&inputs), outputs: map_of(&outputs), status: Status::Ready }
}

/// The id of the zone that a record is to be in.
pub fn zone_of(inputs: &Map) -> &str {
    inputs.get("zone_id").and_then(Value::as_str).unwrap_or_default()
}

pub fn to_create(request: &Create, zone: &Zone, scope: &Scope) -> Result<Body, Fault> {
    let inputs: Inputs = typed(&request.inputs)?;
    Ok(Body {
        name: Some(name_in(zone, &inputs.name)?),
        content: sent_content(&inputs),
        comment: Some(complete_comment(inputs.comment.as_deref(), &request.owner, zone, scope)?),
        r#type: Some(inputs.r#type),
        data: inputs.data,
        priority: inputs.priority,
        proxied: Some(inputs.proxied),
        ttl: Some(inputs.ttl),
    })
}

/// What changes, and whose it is.
pub fn to_update(request: &Update, zone: &Zone, scope: &Scope) -> Result<Body, Fault> {
    // What the author left out is as it is.
    let mut complete = request.live.inputs.clone();
    for (name, value) in request.inputs.iter().filter(|(_, value)| !value.is_null()) {
        match (complete.get_mut(name), value) {
            (Some(Value::Map(parts)), Value::Map(written)) => parts.extend(written.clone()),
            _ => drop(complete.insert(name.clone(), value.clone())),
        }
    }
    let inputs: Inputs = typed(&complete)?;
    let changed = |field: &str| request.changed.iter().any(|name| name == field);
    let text = match changed("comment") {
        true => inputs.comment.as_deref(),
        false => request.live.inputs.get("comment").and_then(Value::as_str),
    };
    let ttl = if inputs.proxied { automatic() } else { inputs.ttl };
    Ok(Body {
        r#type: None,
        name: if changed("name") { Some(name_in(zone, &inputs.name)?) } else { None },
        content: sent_content(&inputs).filter(|_| changed("content")),
        data: inputs.data.filter(|_| changed("data")),
        priority: inputs.priority.filter(|_| changed("priority")),
        proxied: changed("proxied").then_some(inputs.proxied),
        ttl: (changed("ttl") || changed("proxied")).then_some(ttl),
        comment: Some(complete_comment(text, &request.owner, zone, scope)?),
    })
}

/// Of a name that is not in the zone Cloudflare would make one below it.
fn name_in(zone: &Zone, name: &str) -> Result<String, Fault> {
    let name = content::host(name);
    match zone.holds(&name) {
        true => Ok(name),
        false => Err(Fault::new(Class::Invalid, format!("`{name}` is not in the zone `{}`", zone.name))
            .hint("look up the zone that the name is in, or write the name with that of the zone at its end")),
    }
}

fn sent_content(inputs: &Inputs) -> Option<String> {
    inputs.content.as_ref().map(|text| content::to_send(&inputs.r#type, text))
}

/// With room for all that may have to be remembered of it later.
fn complete_comment(text: Option<&str>, owner: &Owner, zone: &Zone, scope: &Scope) -> Result<String, Fault> {
    let later = Owner { deposed: true, protect: true, ..owner.clone() };
    let (length, longest) = (scope.compose(text, &later).chars().count(), zone.longest_comment());
    if length > longest {
        let mark = scope.mark(&later);
        let what =
            format!("the comment is too long: with up to `{mark}` it has {length} characters, and {longest} fit");
        return Err(Fault::new(Class::Invalid, what)
            .hint("shorten `comment`, or the record's name in the playbook; the free plan takes 100, others 500"));
    }
    Ok(scope.compose(text, owner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;
    use serde_json::{Value as Json, json};

    fn map(json: Json) -> Map {
        match Value::from(json) {
            Value::Map(map) => map,
            other => panic!("{other} is no map"),
        }
    }

    fn told(inputs: Json) -> String {
        let mut all = json!({ "zone_id": "z", "name": "www.example.com", "type": "A", "content": "192.0.2.1" });
        for (name, value) in inputs.as_object().unwrap() {
            all[name] = value.clone();
        }
        check(&map(all)).iter().map(|m| format!("{}: {}", m.path, m.what)).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn mistakes_are_told_before_anything_is_asked() {
        assert_eq!(told(json!({})), "");
        for (inputs, what) in [
            (json!({ "name": "@" }), "name: \"@\" is not a complete name"),
            (json!({ "name": "www" }), "name: \"www\" is not a complete name"),
            (json!({ "name": "https://www.example.com" }), "name: \"https://www.example.com\" is not a name"),
            (json!({ "zone_id": "example.com" }), "zone_id: \"example.com\" is a zone's name, not its id"),
            (json!({ "name": "a..example.com" }), "name: \"a..example.com\" is not a name"),
            (json!({ "name": "a*.example.com" }), "name: \"a*.example.com\" is not a name"),
            (json!({ "content": "lb.example.com" }), "content: \"lb.example.com\" is not an IPv4 address"),
            (json!({ "type": "AAAA" }), "content: \"192.0.2.1\" is not an IPv6 address"),
            (json!({ "type": "CNAME" }), "content: \"192.0.2.1\" is an address, not a name"),
            (json!({ "type": "CNAME", "content": "http://a.b/" }), "content: \"http://a.b/\" is not a host's name"),
            (json!({ "content": null }), "content: is required for A"),
            (json!({ "type": "CAA" }), "content: is not for CAA"),
            (json!({ "type": "CAA", "content": null }), "data: is required for CAA"),
            (json!({ "data": { "tag": "issue", "value": "a" } }), "data: is not for A"),
            (json!({ "type": "MX", "content": "mx.example.com" }), "priority: is required for MX"),
            (json!({ "priority": 1 }), "priority: is not for A"),
            (json!({ "proxied": true, "ttl": 300 }), "ttl: is automatic for what is proxied"),
            (json!({ "ttl": 10 }), "ttl: 10 is out of range"),
            (json!({ "type": "TXT", "proxied": true }), "proxied: only A, AAAA and CNAME records can be proxied"),
            (json!({ "comment": "mine [runner a/b]" }), "comment: has the mark in it that runner puts there"),
        ] {
            assert_eq!(told(inputs), what);
        }
    }

    #[test]
    fn only_what_cannot_be_beside_it_is_in_the_way() {
        let record = |of_type: &str, content: &str| {
            map(json!({ "zone_id": "z", "name": "www.example.com", "type": of_type, "content": content }))
        };
        for (wanted, there, is) in [
            (("CNAME", "a.example.com"), ("CNAME", "b.example.com"), true),
            (("CNAME", "a.example.com"), ("A", "192.0.2.1"), true),
            (("AAAA", "2001:db8::1"), ("CNAME", "a.example.com"), true),
            (("A", "192.0.2.1"), ("A", "192.0.2.1"), true),
            (("A", "192.0.2.1"), ("A", "192.0.2.2"), false),
            (("TXT", "a"), ("TXT", "\"a\""), true),
            (("TXT", "a"), ("TXT", "b"), false),
            (("TXT", "a"), ("CNAME", "a.example.com"), false),
            (("CNAME", "a.example.com"), ("MX", "a.example.com"), false),
        ] {
            let found = in_the_way(&record(wanted.0, wanted.1), &record(there.0, there.1));
            assert_eq!(found, is, "{wanted:?} {there:?}");
        }
        let elsewhere = map(json!({ "zone_id": "y", "name": "www.example.com", "type": "A", "content": "192.0.2.1" }));
        assert!(!in_the_way(&record("A", "192.0.2.1"), &elsewhere));
    }

    #[test]
    fn an_update_sends_what_changes_and_keeps_the_text() {
        let record: Record = serde_json::from_value(json!({
            "id": "r", "zone_id": "z", "name": "www.example.com", "type": "TXT", "content": "\"a\"", "ttl": 1,
            "comment": "A text [runner prod/www]",
        }))
        .unwrap();
        let scope = Scope::default();
        let live = live(&record, &scope);
        let zone: Zone = serde_json::from_value(json!({ "id": "z", "name": "example.com" })).unwrap();
        assert_eq!(live.id, "z/r");
        assert_eq!(live.inputs["comment"], "A text".into());
        let owner = Owner { stack: "prod".into(), address: Address::new(NAME, "www"), deposed: false, protect: true };
        let body = |changed: &[&str], inputs: Json| {
            let (live, owner, inputs) = (live.clone(), owner.clone(), map(inputs));
            let changed = changed.iter().map(|name| (*name).to_owned()).collect();
            let request = Update { live, owner, inputs, changed, token: String::new() };
            serde_json::to_value(to_update(&request, &zone, &scope).unwrap()).unwrap()
        };
        assert_eq!(body(&[], json!({})), json!({ "comment": "A text [runner prod/www protected]" }));
        assert_eq!(
            body(&["content", "comment"], json!({ "content": "b", "comment": "B" })),
            json!({ "content": "\"b\"", "comment": "B [runner prod/www protected]" })
        );
    }
}
