//! Policy documents: two spellings with one meaning are equal.

use crate::resource::schema::Mistake;
use crate::resource::{Map, Value};

/// The meaning of a policy document: parsed, single values out of their lists, lists of words sorted. What is not
/// JSON stays as it is.
pub fn meaning(document: &Value) -> Value {
    match document.as_str().map(serde_json::from_str::<serde_json::Value>) {
        Some(Ok(json)) => simplest(&Value::from(json)),
        _ => document.clone(),
    }
}

/// A document as IAM tells it, which has it percent-encoded.
pub fn decoded(document: &str) -> String {
    let mut bytes = Vec::with_capacity(document.len());
    let mut rest = document.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|code| str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is wrong with a document as it is written.
pub fn mistake(path: &str, document: Option<&Value>) -> Option<Mistake> {
    let what = match serde_json::from_str(document?.as_str()?) {
        Ok(serde_json::Value::Object(_)) => return None,
        Ok(_) => "is no policy document, but another JSON value".to_owned(),
        Err(error) => format!("is no JSON: {error}"),
    };
    Some(Mistake { path: path.to_owned(), what, hint: Some("write a map and pass it through `to_json()`".into()) })
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
            let mut simple: Map = map.iter().map(|(key, value)| (key.clone(), simplest(value))).collect();
            if let Some(principals) = simple.get_mut("AWS") {
                *principals = accounts(principals);
            }
            match simple.get("AWS") {
                // `{"AWS": "*"}` is everyone, and so is `"*"`.
                Some(Value::String(all)) if all == "*" && simple.len() == 1 => "*".into(),
                _ => Value::Map(simple),
            }
        }
        plain => plain.clone(),
    }
}

/// An account's number stands for its root user's ARN, which is what AWS tells.
fn accounts(principals: &Value) -> Value {
    let number = |arn: &str| {
        let account = arn.split_once(":iam::")?.1.strip_suffix(":root")?;
        (arn.starts_with("arn:") && account.len() == 12).then(|| account.to_owned())
    };
    match principals {
        Value::List(items) => {
            let mut items: Vec<Value> = items.iter().map(accounts).collect();
            items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            Value::List(items)
        }
        Value::String(arn) => number(arn).map_or_else(|| principals.clone(), Value::from),
        other => other.clone(),
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
    #[test]
    fn an_account_is_its_root_user() {
        let trusts =
            |who: &str| meaning(&format!(r#"{{"Statement":{{"Principal":{{"AWS":{who}}}}}}}"#).as_str().into());
        assert_eq!(trusts(r#""111122223333""#), trusts(r#"["arn:aws:iam::111122223333:root"]"#));
        assert_eq!(
            trusts(r#"["444455556666","arn:aws:iam::111122223333:root"]"#),
            trusts(r#"["111122223333","arn:aws:iam::444455556666:root"]"#)
        );
        assert_ne!(trusts(r#""111122223333""#), trusts(r#""arn:aws:iam::111122223333:user/root""#));
    }

    #[test]
    fn what_iam_encodes_is_decoded() {
        assert_eq!(decoded("%7B%22a%22%3A%22100%25+%2B%C3%A4%22%7D"), r#"{"a":"100%++ä"}"#);
        assert_eq!(decoded("100%"), "100%");
    }

    #[test]
    fn a_document_is_json() {
        let told = |text: &str| mistake("policy", Some(&text.into())).map(|mistake| mistake.what);
        assert_eq!(told("{}"), None);
        assert!(told("{").unwrap().starts_with("is no JSON: "));
        assert_eq!(told("[]").unwrap(), "is no policy document, but another JSON value");
    }
}
