//! Takes secrets out of what was read. A plan compares what is live with the value of a secret, and a replay has none:
//! so a stand-in is put wherever the value stood, in whatever form, and is taken for the value again in the replay.
//!
//! What is never shown but is no secret of the inventory (an older password, data that others put into a Secret) is
//! kept only where it is the author's own text.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value as Json;

use super::{Answer, Planned, Question};
use crate::providers::kubernetes;
use crate::resource::{Field, Kind, Live, Map, Previewed, Type, Value};
use crate::secret::Secrets;

/// What stands where something was left out. No author writes this, so it differs from whatever is wanted.
const LEFT_OUT: &str = "(left out of the recording)";
/// Shorter runs of letters are words.
const ENCODED: usize = 8;
/// Shorter lines of a secret are in other texts too.
const LINE: usize = 8;
/// How deep one encoding may be in another: a password in the credentials of a registry in a Secret is two.
const DEEPEST: usize = 4;

pub struct Scrub<'a> {
    kinds: &'a [Arc<Kind>],
    secrets: &'a Secrets,
    stand_ins: BTreeMap<String, String>,
    /// What is looked for, and what is put in its place; longest first.
    forms: Vec<(String, String)>,
    /// There is a plan.
    planned: bool,
    by_id: HashMap<(&'a str, &'a str), &'a Planned>,
    by_address: HashMap<String, &'a Planned>,
}

impl<'a> Scrub<'a> {
    pub fn new(kinds: &'a [Arc<Kind>], secrets: &'a Secrets, planned: Option<&'a [Planned]>) -> Self {
        let learned = secrets.learned();
        // One for each value: whoever takes one secret for the other must find them equal afterwards, too.
        let mut by_value: BTreeMap<&str, String> = BTreeMap::new();
        for value in learned.values() {
            by_value.entry(value).or_insert_with(|| stand_in(value, secrets));
        }
        let mut forms: Vec<(String, String)> = vec![];
        for (value, other) in &by_value {
            let inner = |text: &str| {
                let json = Json::from(text).to_string();
                json[1..json.len() - 1].to_owned()
            };
            forms.push(((*value).to_owned(), other.clone()));
            forms.push((inner(value), inner(other)));
            forms.push((urlencoding::encode(value).into_owned(), urlencoding::encode(other).into_owned()));
            let lines = value.lines().zip(other.lines()).filter(|(line, _)| line.len() >= LINE);
            forms.extend(lines.map(|(line, other)| (line.to_owned(), other.to_owned())));
        }
        forms.retain(|(form, _)| !form.is_empty());
        forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        let changes = planned.unwrap_or_default();
        let key = |one: &'a Planned| Some(((&*one.kind, one.id.as_deref()?), one));
        let address = |one: &'a Planned| Some((one.address.as_ref()?.to_string(), one));
        Scrub {
            kinds,
            secrets,
            stand_ins: learned.iter().map(|(name, value)| (name.clone(), by_value[&**value].clone())).collect(),
            forms,
            planned: planned.is_some(),
            by_id: changes.iter().filter_map(key).collect(),
            by_address: changes.iter().filter_map(address).collect(),
        }
    }

    pub fn stand_ins(&self) -> BTreeMap<String, String> {
        self.stand_ins.clone()
    }

    pub fn plain<T: serde::Serialize + serde::de::DeserializeOwned + Clone>(&self, whole: &T) -> T {
        let json = serde_json::to_value(whole).unwrap_or_default();
        serde_json::from_value(self.json(&json)).unwrap_or_else(|_| whole.clone())
    }

    pub fn answer(&self, question: Option<&Question>, answer: &Answer) -> Answer {
        match (question, self.plain(answer)) {
            (Some(Question::List { kind, .. }), Answer::Lives(lives)) => {
                Answer::Lives(lives.into_iter().map(|live| self.live(kind, live)).collect())
            }
            (Some(Question::Preview { address, .. }), Answer::Previewed(told)) => {
                Answer::Previewed(previewed(told, self.by_address.get(&address.to_string()).copied()))
            }
            (_, answer) => answer,
        }
    }

    /// With stand-ins wherever a secret was.
    pub fn json(&self, json: &Json) -> Json {
        match json {
            Json::String(text) => Json::String(self.text(text, 0)),
            Json::Array(items) => Json::Array(items.iter().map(|item| self.json(item)).collect()),
            Json::Object(map) => {
                Json::Object(map.iter().map(|(key, value)| (self.text(key, 0), self.json(value))).collect())
            }
            plain => plain.clone(),
        }
    }

    fn text(&self, text: &str, depth: usize) -> String {
        if self.forms.is_empty() {
            return text.to_owned();
        }
        let mut clean = self.encoded(text, depth);
        for (form, other) in self.forms.iter().filter(|(form, _)| form.len() <= text.len()) {
            if clean.contains(form.as_str()) {
                clean = clean.replace(form.as_str(), other);
            }
        }
        // What is left is in a form that has no stand-in; that it is gone is worth more than that it compares.
        match depth {
            0 => self.secrets.mask(&clean).into_owned(),
            _ => clean,
        }
    }

    /// Every run of characters that is base64 of something with a secret in it, encoded anew without it.
    fn encoded(&self, text: &str, depth: usize) -> String {
        if depth == DEEPEST || text.len() < ENCODED {
            return text.to_owned();
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            clean.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let padding = rest[end..].bytes().take(2).take_while(|byte| *byte == b'=').count();
            let (run, after) = rest.split_at(end + padding);
            match (end >= ENCODED).then(|| self.run(run, depth)).flatten() {
                Some(anew) => clean.push_str(&anew),
                None => clean.push_str(run),
            }
            rest = after;
        }
        clean.push_str(rest);
        clean
    }

    fn run(&self, run: &str, depth: usize) -> Option<String> {
        let for_urls = run.contains(['-', '_']);
        let with = if for_urls { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
        // In a URL it is mostly left out.
        let padded = run.ends_with('=') || !for_urls && run.len().is_multiple_of(4);
        let decoded = String::from_utf8(engine(with, true).decode(run).ok()?).ok()?;
        let clean = self.text(&decoded, depth + 1);
        (clean != decoded).then(|| engine(with, padded).encode(clean))
    }

    /// Without what is never shown, unless it is the author's.
    fn live(&self, kind: &str, mut live: Live) -> Live {
        let planned = self.by_id.get(&(kind, live.id.as_str())).copied();
        if !self.planned {
            let named = |name: &str| kubernetes::is_object(kind) && name == kubernetes::OBJECT;
            let inputs = live.inputs.iter_mut().filter(|(name, _)| !named(name));
            inputs.for_each(|(_, value)| leave_out(value));
            return live;
        }
        if kubernetes::is_object(kind) {
            self.object(kind, &mut live.inputs, planned);
            return live;
        }
        let known = self.kinds.iter().find(|known| *known.name == *kind);
        for (name, value) in &mut live.inputs {
            let hidden: Vec<&str> = planned
                .into_iter()
                .flat_map(|planned| &planned.hidden)
                .filter_map(|path| path.strip_prefix(name.as_str()))
                .filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                .collect();
            let sensitive = known.and_then(|kind| kind.input(name)).is_some_and(is_sensitive);
            let is_own = planned.is_some_and(|planned| {
                planned.inputs.get(name).is_some_and(|wanted| !wanted.is_null()) && !planned.ignored.contains(name)
            });
            for rest in &hidden {
                match (rest.strip_prefix('.'), &mut *value) {
                    (Some(key), Value::Map(map)) if map.contains_key(key) => {
                        map.entry(key.to_owned()).and_modify(leave_out);
                    }
                    _ => leave_out(value),
                }
            }
            if sensitive && (!is_own || !hidden.is_empty()) {
                leave_out(value);
            }
        }
        live
    }

    /// An object is not compared here but previewed, so all that matters is whose text it is.
    fn object(&self, kind: &str, inputs: &mut Map, planned: Option<&Planned>) {
        let secret = kubernetes::is_secret(kind);
        let wanted = planned.map(|planned| self.wanted(&planned.inputs));
        let hides = planned
            .is_some_and(|planned| !planned.hidden.is_empty() || planned.inputs.values().any(Value::holds_secret));
        if !secret && !hides {
            return;
        }
        let keep = |text: &str| {
            let own = |text: &str| wanted.as_ref().is_some_and(|wanted| wanted.contains(text));
            let decoded =
                || engine(&alphabet::STANDARD, true).decode(text).ok().and_then(|b| String::from_utf8(b).ok());
            own(text) || decoded().is_some_and(|decoded| own(&decoded))
        };
        for value in inputs.values_mut() {
            let Value::Map(object) = value else { continue };
            for (key, value) in object.iter_mut() {
                match (key.as_str(), &mut *value) {
                    ("apiVersion" | "kind" | "finished", _) => {}
                    ("metadata", Value::Map(metadata)) => {
                        let parts =
                            metadata.iter_mut().filter(|(key, _)| !matches!(key.as_str(), "name" | "namespace"));
                        parts.for_each(|(_, value)| leave_out_unless(value, &keep));
                    }
                    (_, value) => leave_out_unless(value, &keep),
                }
            }
        }
    }

    /// All texts of the author, with stand-ins for the secrets in them.
    fn wanted(&self, inputs: &Map) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        for value in inputs.values() {
            let filled = value.resolve(&mut |one| Some(self.stand_ins.get(one.secret_name()?)?.as_str().into()));
            filled.strings(&mut |text| {
                texts.insert(text.to_owned());
            });
        }
        texts
    }
}

fn previewed(mut told: Previewed, planned: Option<&Planned>) -> Previewed {
    for one in &mut told.differences {
        one.sensitive |= planned.is_some_and(|planned| planned.hidden.contains(&one.path));
        if one.sensitive {
            one.before = one.before.as_ref().map(|_| LEFT_OUT.into());
            one.after = one.after.as_ref().map(|_| LEFT_OUT.into());
        }
    }
    told
}

fn is_sensitive(field: &Field) -> bool {
    fn inside(ty: &Type) -> bool {
        match ty {
            Type::List(inner) | Type::Set(inner) | Type::Map(inner) => inside(inner),
            Type::Object(fields) => fields.iter().any(is_sensitive),
            _ => false,
        }
    }
    field.sensitive || inside(&field.ty)
}

fn leave_out(value: &mut Value) {
    leave_out_unless(value, &|_| false);
}

fn leave_out_unless(value: &mut Value, keep: &dyn Fn(&str) -> bool) {
    match value {
        Value::String(text) if !keep(text) => *text = LEFT_OUT.to_owned(),
        Value::List(items) => items.iter_mut().for_each(|item| leave_out_unless(item, keep)),
        Value::Map(map) => map.values_mut().for_each(|item| leave_out_unless(item, keep)),
        _ => {}
    }
}

fn engine(alphabet: &Alphabet, padded: bool) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padded)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

/// Line for line, since a secret of several lines may be shown so. Letters and digits are the same in every encoding of
/// a text.
fn stand_in(value: &str, secrets: &Secrets) -> String {
    let line = |line: &str| {
        let (text, end) = line.split_at(line.trim_end_matches('\r').len());
        if text.is_empty() { line.to_owned() } else { made_up(secrets) + end }
    };
    let lines: Vec<String> = value.split('\n').map(line).collect();
    lines.join("\n")
}

/// None in which, by chance, a short secret stands.
fn made_up(secrets: &Secrets) -> String {
    let made = || uuid::Uuid::new_v4().simple().to_string();
    (0..64).map(|_| made()).find(|text| secrets.within(text).is_empty()).unwrap_or_else(made)
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
