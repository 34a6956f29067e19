//! Policy documents: two spellings with one meaning are equal.

use crate::resource::{Map, Value};

/// The meaning of a policy document: parsed, single values out of their lists, lists of words sorted. What is not
/// JSON stays as it is.
pub fn meaning(document: &Value) -> Value {
    match document.as_str().map(serde_json::from_str::<serde_json::Value>) {
        Some(Ok(json)) => simplest(&Value::from(json)),
        _ => document.clone(),
    }
}

fn simplest(value: &Value) -> Value {
    match value {
        Value::List(items) => {
            let mut items: Vec<Value> = items.iter().map(simplest).collect();
            if items.iter().all(|item| item.as_str().is_some()) {
                items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                items.dedup();
            }
            if items.len() == 1 { items.remove(0) } else { Value::List(items) }
        }
        Value::Map(map) => {
            let simple: Map = map.iter().map(|(key, value)| (key.clone(), simplest(value))).collect();
            match simple.get("AWS") {
                // `{"AWS": "*"}` is everyone, and so is `"*"`.
                Some(Value::String(all)) if all == "*" && simple.len() == 1 => "*".into(),
                _ => Value::Map(simple),
            }
        }
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_count() {
        let short =
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":["s3:Put","s3:Get"]}}"#;
        let long = r#"{ "Statement": [{"Action": ["s3:Get", "s3:Put"], "Principal": {"AWS": ["*"]}, "Effect": "Allow"}],
                        "Version": "2012-10-17" }"#;
        assert_eq!(meaning(&short.into()), meaning(&long.into()));
        assert_ne!(meaning(&short.into()), meaning(&short.replace("Put", "Delete").as_str().into()));
    }
}
