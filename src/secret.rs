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
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where the value of a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
pub const SHORTEST: usize = 4;

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

    /// Every value that this run has learned, by its name.
    pub fn learned(&self) -> BTreeMap<String, Arc<str>> {
        self.0.read().expect("no holder panics").values.clone()
    }

    pub fn learn(&self, name: &str, value: &str) {
        let mut state = self.0.write().expect("no holder panics");
        state.values.insert(name.to_owned(), value.into());
        if value.len() < SHORTEST {
            return;
        }
        for form in forms(value) {
            if !state.masks.iter().any(|(known, _)| *known == form) {
                state.masks.push((form, format!("(secret {name})")));
            }
        }
        state.masks.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
    }

    /// The text without any known secret in it, in any of its [`forms`]; nor the beginning of one before a `…`, which is
    /// how all that is cut off ends.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let state = self.0.read().expect("no holder panics");
        let mut masked = Cow::Borrowed(text);
        for (form, name) in &state.masks {
            if masked.contains(form.as_str()) {
                masked = Cow::Owned(masked.replace(form.as_str(), name));
            }
        }
        match state.masks.is_empty() || !masked.contains(CUT) {
            true => masked,
            false => without_beginnings(masked, &state.masks),
        }
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

/// How a text ends that was too long.
const CUT: char = '…';

/// Of what is cut off the end is not there, so that no form is found in it.
fn without_beginnings<'a>(text: Cow<'a, str>, masks: &[(String, String)]) -> Cow<'a, str> {
    let mut whole = String::with_capacity(text.len());
    let mut changed = false;
    for part in text.split_inclusive(CUT) {
        let before = part.strip_suffix(CUT);
        let found = before.and_then(|before| {
            let found = masks.iter().filter_map(|(form, name)| Some((beginning(form, before)?, name)));
            found.max_by_key(|(length, _)| *length).map(|(length, name)| (&before[..before.len() - length], name))
        });
        match found {
            Some((kept, name)) => {
                changed = true;
                whole.extend([kept, name]);
                whole.push(CUT);
            }
            None => whole.push_str(part),
        }
    }
    if changed { Cow::Owned(whole) } else { text }
}

/// How many bytes of a form's beginning a text ends in.
fn beginning(form: &str, text: &str) -> Option<usize> {
    let lengths = (SHORTEST..form.len().min(text.len() + 1)).rev();
    lengths.filter(|length| form.is_char_boundary(*length)).find(|length| text.ends_with(&form[..*length]))
}

/// What becomes of a secret on its way through JSON, YAML, URLs, HTML, shells and base64, as a whole and line by line.
fn forms(value: &str) -> Vec<String> {
    let lines = value.lines().chain([value.trim()]).filter(|line| line.len() >= LINE && *line != value);
    let texts: Vec<&str> = [value].into_iter().chain(lines).collect();
    let mut forms: Vec<String> = texts.iter().flat_map(|text| spelled(text)).collect();
    forms.extend(in_base64(value));
    forms
}

fn spelled(text: &str) -> Vec<String> {
    let json = |text: &str| {
        let json = serde_json::Value::from(text).to_string();
        json[1..json.len() - 1].to_owned()
    };
    // As Go writes it, and as Python does.
    let careful: fn(char) -> bool = |c| matches!(c, '<' | '>' | '&');
    let in_ascii: fn(char) -> bool = |c| !c.is_ascii();
    let once = json(text);
    let mut forms = vec![text.to_owned(), by_number(&once, careful), by_number(&once, in_ascii), once];
    let twice: Vec<String> = forms[1..].iter().map(|once| json(once)).collect();
    forms.extend(twice);
    let url = urlencoding::encode(text).into_owned();
    let lower = url_in_lower_case(&url);
    forms.extend([url.replace("%20", "+"), lower.replace("%20", "+"), url, lower]);
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for (double, single) in [("&quot;", "'"), ("&quot;", "&apos;"), ("&quot;", "&#39;"), ("&#34;", "&#39;")] {
        forms.push(html.replace('"', double).replace('\'', single));
    }
    // SQL, PowerShell and YAML; then a shell.
    forms.extend([text.replace('\'', "''"), text.replace('\'', "'\\''")]);
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.extend([hex.to_uppercase(), hex]);
    // What this program does with texts: no control codes for a terminal, and messages begin in lower case.
    forms.push(text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect());
    let mut rest = text.chars();
    forms.extend(rest.next().map(|first| first.to_lowercase().chain(rest).collect::<String>()));
    forms
}

/// `\u00e4` for each of these characters.
fn by_number(json: &str, which: fn(char) -> bool) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match which(character) {
            true => {
                character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")))
            }
            false => text.push(character),
        }
    }
    text
}

fn url_in_lower_case(url: &str) -> String {
    let mut parts = url.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // What follows a percent sign are two digits.
        let (digits, rest) = part.split_at(part.len().min(2));
        lower.extend(["%", &digits.to_lowercase(), rest]);
    }
    lower
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

    const HARD: &str = "NOTAREAL \"Q'x+/=&%<>\\ä\r\nNOTAREAL-two/\"";

    #[test]
    fn others_spell_it_otherwise() {
        let secrets = Secrets::default();
        secrets.learn("db", HARD);
        for form in [
            r#"NOTAREAL \\\"Q'x+/=&%<>\\\\ä\\r\\nNOTAREAL-two/\\\""#,
            r#"NOTAREAL \"Q'x+/=\u0026%\u003c\u003e\\ä\r\nNOTAREAL-two/\""#,
            r#"NOTAREAL \"Q'x+/=&%<>\\\u00e4\r\nNOTAREAL-two/\""#,
            "NOTAREAL+%22Q%27x%2B%2F%3D%26%25%3C%3E%5C%C3%A4%0D%0ANOTAREAL-two%2F%22",
            "NOTAREAL%20%22Q%27x%2b%2f%3d%26%25%3c%3e%5c%c3%a4%0d%0aNOTAREAL-two%2f%22",
            "NOTAREAL &quot;Q'x+/=&amp;%&lt;&gt;\\ä\r\nNOTAREAL-two/&quot;",
            "NOTAREAL \"Q''x+/=&%<>\\ä\r\nNOTAREAL-two/\"",
            "NOTAREAL \"Q'\\''x+/=&%<>\\ä\r\nNOTAREAL-two/\"",
            "nOTAREAL \"Q'x+/=&%<>\\ä\r\nNOTAREAL-two/\"",
        ] {
            assert_eq!(secrets.mask(&format!("x={form}!")), "x=(secret db)!", "{form}");
        }
        // Of several lines each, too.
        assert_eq!(secrets.mask(r#"["NOTAREAL-two/\""]"#), r#"["(secret db)"]"#);
    }

    #[test]
    fn of_one_that_is_cut_off_the_beginning_is_not_shown() {
        let secrets = Secrets::default();
        secrets.learn("db", "NOTAREAL-password");
        assert_eq!(secrets.mask("it was NOTAREAL-pas… and NOTAREAL-password…"), "it was (secret db)… and (secret db)…");
        assert_eq!(secrets.mask("it is… NOT… so"), "it is… NOT… so");
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
