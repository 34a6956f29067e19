//! What a database may be asked for: versions and storage that AWS changes by itself, and what it would refuse.

use super::block_storage::check_key;
use super::lower_case;
use crate::resource::schema::Mistake;
use crate::resource::{Map, Value};

/// PostgreSQL counts major versions by one number, the others by two.
pub fn major(engine: &str, version: &str) -> String {
    let parts = if engine.contains("postgres") { 1 } else { 2 };
    version.split('.').take(parts).collect::<Vec<_>>().join(".")
}

/// Whether one version is a later one of the same major version.
fn is_later_minor(engine: &str, version: &str, than: &str) -> bool {
    let numbers = |version: &str| version.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
    let (Some(now), Some(before)) = (numbers(version), numbers(than)) else { return false };
    major(engine, version) == major(engine, than) && now > before
}

pub fn fits(field: &str, wanted: &Map, live: &Map) -> bool {
    if let (Some(Value::Int(asked)), Some(Value::Int(now))) = (wanted.get(field), live.get(field)) {
        // AWS lets it grow by itself up to a limit, and rounds an increase up to a tenth; it never shrinks.
        let grows = live.get("max_allocated_storage").is_some_and(|limit| matches!(limit, Value::Int(1..)));
        return field == "allocated_storage" && now >= asked && (grows || *now <= asked + asked / 10 + 1);
    }
    let text = |inputs: &Map, field: &str| inputs.get(field).and_then(Value::as_str).map(str::to_owned);
    let (Some(asked), Some(now)) = (text(wanted, field), text(live, field)) else { return false };
    match field {
        // What AWS has brought in by itself it never takes back.
        "engine_version" => {
            let by_itself = live.get("auto_minor_version_upgrade") == Some(&Value::Bool(true));
            let engine = text(live, "engine").unwrap_or_default();
            now.strip_prefix(&asked).is_some_and(|rest| rest.starts_with('.'))
                || by_itself && is_later_minor(&engine, &now, &asked)
        }
        "kms_key_id" => now.strip_suffix(&asked).is_some_and(|rest| rest.ends_with(":key/")),
        _ => false,
    }
}

/// Storage only grows; to be told before anything is sent.
pub fn forbids(wanted: &Map, live: &Map) -> Option<Mistake> {
    let (Value::Int(asked), Value::Int(now)) = (wanted.get("allocated_storage")?, live.get("allocated_storage")?)
    else {
        return None;
    };
    (asked < now && !fits("allocated_storage", wanted, live)).then(|| Mistake {
        path: "allocated_storage".into(),
        what: format!("a database cannot shrink from {now} to {asked} GiB"),
        hint: Some("make another one, and bring the data over".into()),
    })
}

pub fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = lower_case::check(inputs, &["identifier"]);
    mistakes.extend(check_key("kms_key_id", inputs.get("kms_key_id")));
    let given = inputs.get("password").is_some_and(|password| !password.is_null());
    let managed = match inputs.get("manage_master_user_password") {
        None | Some(Value::Null | Value::Bool(false)) => Some(false),
        Some(Value::Bool(true)) => Some(true),
        Some(_) => None,
    };
    let mistake =
        |what: &str, hint: &str| Mistake { path: "password".into(), what: what.into(), hint: Some(hint.into()) };
    if let Some(Value::String(_)) = inputs.get("password") {
        mistakes.push(mistake(
            "stands in plain text in the playbook or the inventory",
            "say under `[secrets]` where it is, and pass `secret(\"…\")`",
        ));
    }
    match (given, managed) {
        (true, Some(true)) => mistakes.push(mistake(
            "has no use where AWS makes up the password",
            "leave it out, or `manage_master_user_password`",
        )),
        (false, Some(false)) => mistakes.push(mistake(
            "is required",
            "pass a secret, or set `manage_master_user_password` and let AWS make one up",
        )),
        _ => {}
    }
    mistakes
}
