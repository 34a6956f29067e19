//! Secrets that AWS keeps: one GetSecretValue per secret of Secrets Manager, whatever keys of it are asked for, and one
//! GetParameter per parameter, once in a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::client::Region;
use super::fault::OrFault;
use crate::resource::{Class, Fault};
use crate::secret::Source;

/// The texts of Secrets Manager that were asked for, by name or ARN: one may hold many secrets.
#[derive(Default)]
pub struct Texts(Mutex<HashMap<String, Arc<OnceCell<String>>>>);

impl Texts {
    async fn read(&self, region: &Region, id: &str) -> Result<String, Fault> {
        let cell = self.0.lock().expect("no holder panics").entry(id.to_owned()).or_default().clone();
        let text = cell.get_or_try_init(|| async {
            let call = region.secretsmanager.get_secret_value().secret_id(id);
            let answer = call.send().await.or_fault("secretsmanager:GetSecretValue")?;
            answer
                .secret_string()
                .map(str::to_owned)
                .ok_or_else(|| Fault::new(Class::Invalid, format!("the secret {id} is binary")).hint("keep it as text"))
        });
        text.await.cloned()
    }
}

pub async fn read(region: &Region, texts: &Texts, source: &Source) -> Result<String, Fault> {
    match source {
        Source::SecretsManager { id, key } => {
            let text = texts.read(region, id).await?;
            match key {
                Some(key) => value_of(id, key, &text),
                None => Ok(text),
            }
        }
        Source::Parameter(name) => {
            let call = region.ssm.get_parameter().name(name).with_decryption(true);
            let answer = call.send().await.or_fault("ssm:GetParameter")?;
            let value = answer.parameter().and_then(|parameter| parameter.value());
            value.map(str::to_owned).ok_or_else(|| Fault::new(Class::Other, format!("parameter {name} has no value")))
        }
        other => Err(Fault::new(Class::Invalid, format!("AWS keeps no {other}"))),
    }
}

/// One entry of a secret that is a JSON object. What is wrong is told without repeating any of it.
fn value_of(id: &str, key: &str, text: &str) -> Result<String, Fault> {
    let wrong = |what: &str| Fault::new(Class::Invalid, format!("the secret {id} {what}"));
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|_| wrong("is not a JSON object").hint("leave `key` out, or keep a JSON object there"))?;
    match json.get(key) {
        Some(serde_json::Value::String(value)) => Ok(value.clone()),
        Some(serde_json::Value::Number(value)) => Ok(value.to_string()),
        Some(_) => Err(wrong(&format!("has no text under the key `{key}`"))),
        None => Err(wrong(&format!("has no key `{key}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_out_and_mistakes_repeat_nothing() {
        let text = r#"{"password": "NOTAREAL", "port": 1433, "more": {}}"#;
        assert_eq!(value_of("db", "password", text).unwrap(), "NOTAREAL");
        assert_eq!(value_of("db", "port", text).unwrap(), "1433");
        for (key, text) in [("pass", text), ("more", text), ("password", "NOTAREAL")] {
            assert!(!value_of("db", key, text).unwrap_err().to_string().contains("NOTAREAL"));
        }
    }
}
