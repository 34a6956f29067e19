//! Secrets: named in the inventory, taken from where it says, and shown nowhere.
//!
//! A script only ever holds a reference to one (`secret("name")`), so a plan cannot hold its value; the value is filled
//! in for the comparison with what is live, and for the call that needs it. What leaves the process is searched for the
//! known values all the same, since a provider's error may repeat what it was sent.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where the value of a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Environment(String),
    /// A file; one line break at its end does not count.
    File(PathBuf),
    /// AWS Secrets Manager: name or ARN, and the key if the secret is a JSON object.
    SecretsManager { id: String, key: Option<String> },
    /// SSM Parameter Store: the name of a parameter, usually a SecureString.
    Parameter(String),
}

impl Source {
    /// What this machine knows by itself; `None` if it has to be asked of a provider.
    pub fn read(&self) -> Option<Result<String, String>> {
        Some(match self {
            Source::Environment(name) => {
                std::env::var(name).map_err(|_| format!("the environment variable `{name}` is not set, or not text"))
            }
            Source::File(path) => std::fs::read_to_string(path)
                .map(|text| text.strip_suffix('\n').map(|text| text.trim_end_matches('\r').to_owned()).unwrap_or(text))
                .map_err(|error| format!("failed to read {}: {error}", path.display())),
            Source::SecretsManager { .. } | Source::Parameter(_) => return None,
        })
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Environment(name) => write!(f, "environment variable {name}"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::SecretsManager { id, key: None } => write!(f, "Secrets Manager, {id}"),
            Source::SecretsManager { id, key: Some(key) } => write!(f, "Secrets Manager, {id}, key {key}"),
            Source::Parameter(name) => write!(f, "SSM parameter {name}"),
        }
    }
}

/// Shorter ones are in every other text, and could be guessed anyway.
const SHORTEST: usize = 4;

/// Shorter lines of a secret are in other texts too.
const LINE: usize = 8;

/// Which secrets there are, and the values that this run has learned. Cheap to clone; all clones know the same.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    sources: BTreeMap<String, Source>,
    values: BTreeMap<String, Arc<str>>,
    /// What to look for, and what to write in its place; longest first.
    masks: Vec<(String, String)>,
}

impl Secrets {
    /// Says which there are.
    pub fn name(&self, sources: BTreeMap<String, Source>) {
        self.0.write().expect("no holder panics").sources = sources;
    }

    pub fn names(&self) -> Vec<String> {
        self.0.read().expect("no holder panics").sources.keys().cloned().collect()
    }

    pub fn source(&self, name: &str) -> Option<Source> {
        self.0.read().expect("no holder panics").sources.get(name).cloned()
    }

    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.0.read().expect("no holder panics").values.get(name).cloned()
    }

    pub fn learn(&self, name: &str, value: &str) {
        let mut state = self.0.write().expect("no holder panics");
        state.values.insert(name.to_owned(), value.into());
        if value.len() < SHORTEST {
            return;
        }
        let json = serde_json::Value::from(value).to_string();
        let forms = [value.to_owned(), json[1..json.len() - 1].to_owned(), urlencoding::encode(value).into_owned()];
        let forms = forms.into_iter().chain(in_base64(value));
        // A text of several lines may be shown line by line.
        let lines = value.lines().filter(|line| line.len() >= LINE && *line != value).map(str::to_owned);
        for form in forms.chain(lines) {
            if !state.masks.iter().any(|(known, _)| *known == form) {
                state.masks.push((form, format!("(secret {name})")));
            }
        }
        state.masks.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
    }

    /// The text without any known secret in it: plain, as JSON writes it, in base64, or URL-encoded.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let state = self.0.read().expect("no holder panics");
        let mut masked = Cow::Borrowed(text);
        for (form, name) in &state.masks {
            if masked.contains(form.as_str()) {
                masked = Cow::Owned(masked.replace(form.as_str(), name));
            }
        }
        masked
    }

    /// Data with every text in it masked.
    pub fn mask_data<'a, T: Clone + Serialize + DeserializeOwned>(&self, data: &'a T) -> Cow<'a, T> {
        if self.is_empty() {
            return Cow::Borrowed(data);
        }
        let Ok(mut json) = serde_json::to_value(data) else { return Cow::Borrowed(data) };
        self.mask_json(&mut json);
        serde_json::from_value(json).map_or(Cow::Borrowed(data), Cow::Owned)
    }

    pub fn mask_json(&self, json: &mut serde_json::Value) {
        match json {
            serde_json::Value::String(text) => {
                if let Cow::Owned(masked) = self.mask(text) {
                    *text = masked;
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.mask_json(item)),
            serde_json::Value::Object(map) => map.values_mut().for_each(|item| self.mask_json(item)),
            _ => {}
        }
    }

    /// The names of the known secrets in a text, in any form that is masked.
    pub fn within(&self, text: &str) -> BTreeSet<String> {
        let state = self.0.read().expect("no holder panics");
        let found = state.masks.iter().filter(|(form, _)| text.contains(form.as_str()));
        found.filter_map(|(_, name)| Some(name.strip_prefix("(secret ")?.strip_suffix(')')?.to_owned())).collect()
    }

    /// True as long as there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.0.read().expect("no holder panics").masks.is_empty()
    }
}

/// What base64 makes of it by itself, and what stays the same of that wherever it stands in a longer text.
fn in_base64(value: &str) -> Vec<String> {
    let within = |before: usize| {
        let text = [&vec![0; before], value.as_bytes()].concat();
        let (from, to) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        STANDARD.encode(&text)[from..to].to_owned()
    };
    let mut forms: Vec<String> = [0, 1, 2].map(within).into_iter().filter(|form| form.len() >= LINE).collect();
    forms.push(STANDARD.encode(value));
    let for_urls: Vec<String> = forms.iter().map(|form| form.replace('+', "-").replace('/', "_")).collect();
    forms.extend(for_urls);
    forms
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.0.read().expect("no holder panics");
        f.debug_set().entries(state.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let secrets = Secrets::default();
        secrets.learn("db", "not \"a\" secret/1");
        secrets.learn("tiny", "a");
        for form in
            ["not \"a\" secret/1", "not \\\"a\\\" secret/1", "bm90ICJhIiBzZWNyZXQvMQ==", "not%20%22a%22%20secret%2F1"]
        {
            assert_eq!(secrets.mask(&format!("x={form}!")), "x=(secret db)!");
        }
        assert_eq!(secrets.mask("as a whole"), "as a whole");
        assert!(
            secrets.within("x=bm90ICJhIiBzZWNyZXQvMQ==!").contains("db") && secrets.within("as a whole").is_empty()
        );
        assert_eq!(format!("{secrets:?}"), r#"{"db", "tiny"}"#);
    }

    #[test]
    fn in_base64_it_is_found_wherever_it_stands() {
        let secrets = Secrets::default();
        secrets.learn("db", "NOTAREAL-password?>");
        for before in ["", "a", "ab", "abc", "password: "] {
            let encoded = STANDARD.encode(format!("{before}NOTAREAL-password?> and more"));
            for text in [encoded.clone(), encoded.replace('+', "-").replace('/', "_")] {
                let masked = secrets.mask(&text).into_owned();
                assert!(masked.contains("(secret db)"), "{before}: {text}");
                // Only the characters at its edges, which hold bits of others too, are left.
                assert!(masked.len() <= text.len() - 24 + "(secret db)".len(), "{before}: {masked}");
            }
        }
    }

    #[test]
    fn no_line_of_a_secret_is_shown_by_itself() {
        let secrets = Secrets::default();
        secrets.learn("key", "-----BEGIN\nNOTAREALKEYLINE\nend\n");
        assert_eq!(secrets.mask("  | NOTAREALKEYLINE\n  | end"), "  | (secret key)\n  | end");
    }

    #[test]
    fn one_secret_may_be_the_beginning_of_another() {
        let secrets = Secrets::default();
        secrets.learn("short", "NOTAREAL");
        secrets.learn("long", "NOTAREALKEY");
        assert_eq!(secrets.mask("NOTAREALKEY, NOTAREAL"), "(secret long), (secret short)");
    }

    #[test]
    fn a_file_loses_one_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "not-a-secret\n\n").unwrap();
        assert_eq!(Source::File(path).read(), Some(Ok("not-a-secret\n".into())));
        assert!(Source::Environment("RUNNER_NO_SUCH_VARIABLE".into()).read().unwrap().is_err());
        assert_eq!(Source::Parameter("/x".into()).read(), None);
    }
}
