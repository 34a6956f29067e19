//! Filters that the engine does not bring: what manifests and scripts for hosts are put together with.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value as Any};
use sha2::{Digest, Sha256};

use super::unknown::{self, Run};
use super::yaml;

pub fn register(environment: &mut Environment, run: &Arc<Run>) {
    environment.add_filter("to_json", |value: Any| serde_json::Value::from(&unknown::known(&value)).to_string());
    let theirs = run.clone();
    environment.add_filter("to_yaml", move |state: &State, value: Any| {
        unknown::bounded(&value, &theirs)?;
        unknown::spelled(&theirs, state, &value).map(|value| yaml::write(&value))
    });
    let theirs = run.clone();
    environment.add_filter("quote", move |state: &State, value: Any| {
        unknown::text(&theirs, state, &value, 1, 0).map(|text| yaml::quoted(&text))
    });
    environment.add_filter("b64encode", |value: Any| plain(&value).map(|text| BASE64.encode(text)));
    environment.add_filter("b64decode", |value: Any| decoded(&plain(&value)?));
    environment.add_filter("sha256", |value: Any| {
        let digest = Sha256::digest(plain(&value)?);
        Ok::<String, Error>(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    });
}

/// The text of a value that can be meant as one.
fn plain(value: &Any) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::String | ValueKind::Bool | ValueKind::Number => Ok(unknown::known(value).to_string()),
        other => Err(wrong(&format!("this filter takes a text, and this is a value of type {other}"))),
    }
}

fn decoded(text: &str) -> Result<String, Error> {
    let text: String = text.split_whitespace().collect();
    let bytes = BASE64.decode(text).map_err(|_| wrong("this is not base64"))?;
    String::from_utf8(bytes).map_err(|_| wrong("what is decoded from base64 here is not text"))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.to_owned())
}
