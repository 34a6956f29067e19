//! Inputs that are JSON documents: compared by what they mean, and `""` for none.

use super::policy;
use crate::resource::schema::Mistake;
use crate::resource::{Map, Value};

/// Two spellings with one meaning are equal; `""` is the same as nothing.
pub fn meaning(document: &Value) -> Value {
    match document.as_str() {
        Some("") => Value::Null,
        _ => policy::meaning(document),
    }
}

/// The document, unless it is `""`.
pub fn given(document: &Option<String>) -> Option<&str> {
    document.as_deref().filter(|text| !text.is_empty())
}

/// What AWS would refuse after everything else is made: text that is not JSON.
pub fn check(inputs: &Map, fields: &[&str]) -> Vec<Mistake> {
    let wrong = |field: &&str| {
        let text = inputs.get(*field)?.as_str().filter(|text| !text.is_empty())?;
        let error = serde_json::from_str::<serde_json::Value>(text).err()?;
        Some(Mistake { path: (*field).to_owned(), what: format!("is not JSON: {error}"), hint: None })
    };
    fields.iter().filter_map(wrong).collect()
}
