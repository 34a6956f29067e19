//! YAML read strictly, and written so that every reader takes it for the same.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Options;

use crate::resource::{Map, Reference, Value};

/// Deeper than any object a person or a generator writes, and shallow enough for the stack of any thread.
const DEPTH: usize = 100;

/// What is wrong with a text, with its line and column from 1; 0 if nobody knows.
#[derive(Debug)]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

/// One document. Integers stay integers, `0644` is octal as Kubernetes reads it, and only `true` and `false` are bools.
pub fn read(text: &str) -> Result<Value, Mistake> {
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        Node.deserialize(deserializer)
    });
    read.map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line() as usize, at.column() as usize));
        let told = error.to_string();
        let told = told.lines().next().unwrap_or("it is no YAML").trim().trim_start_matches("error: ");
        let told = match told.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
            Some((_, rest)) => rest,
            None => told.split(" at line ").next().unwrap_or(told),
        };
        Mistake { line, column, what: told.to_owned() }
    })
}

fn options() -> Options {
    let mut options = Options::default();
    let mut budget = options.budget.take().unwrap_or_default();
    budget.max_depth = DEPTH;
    budget.flow_nesting_limit = DEPTH;
    budget.max_events = 4_000_000;
    budget.max_nodes = 2_000_000;
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 100_000;
    options.duplicate_keys = serde_saphyr::options::DuplicateKeyPolicy::Error;
    options.strict_booleans = true;
    options.legacy_octal_numbers = true;
    options.underscored_numbers_as_strings = true;
    options.with_snippet = false;
    options
}

struct Node;

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("plain data")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E: serde::de::Error>(self, int: u64) -> Result<Value, E> {
        i64::try_from(int).map(Value::Int).map_err(|_| E::custom(format!("{int} is too large a number")))
    }

    fn visit_f64<E: serde::de::Error>(self, float: f64) -> Result<Value, E> {
        if float.is_finite() { Ok(Value::Float(float)) } else { Err(E::custom("a number must be finite")) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(item) = items.next_element_seed(Node)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Node)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}

/// An object with its well-known fields first, and references told in words.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(map) if !map.is_empty() => entries(map, 0, &FIRST, &mut out),
        Value::List(items) if !items.is_empty() => list(items, 0, &mut out),
        other => {
            inline(other, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

const FIRST: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

fn entries(map: &Map, depth: usize, first: &[&str], out: &mut String) {
    let leading = first.iter().filter_map(|key| map.get_key_value(*key));
    let rest = map.iter().filter(|(key, _)| !first.contains(&key.as_str()));
    for (index, (key, value)) in leading.chain(rest).enumerate() {
        // The first entry of a map in a list stands beside its dash.
        if index > 0 || out.is_empty() || out.ends_with('\n') {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str(&scalar(key));
        out.push(':');
        match value {
            Value::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                entries(inner, depth + 1, &[], out);
            }
            Value::List(items) if !items.is_empty() => {
                out.push('\n');
                list(items, depth, out);
            }
            other => {
                out.push(' ');
                inline(other, depth + 1, out);
                out.push('\n');
            }
        }
    }
}

fn list(items: &[Value], depth: usize, out: &mut String) {
    for item in items {
        out.push_str(&"  ".repeat(depth));
        out.push_str("- ");
        match item {
            Value::Map(map) if !map.is_empty() => entries(map, depth + 1, &["name"], out),
            // Flow style: rare, and JSON is YAML.
            Value::List(inner) if !inner.is_empty() => {
                out.push_str(&serde_json::Value::from(&told(item)).to_string());
                out.push('\n');
            }
            other => {
                inline(other, depth + 1, out);
                out.push('\n');
            }
        }
    }
}

/// A value with its references in words.
fn told(value: &Value) -> Value {
    value.resolve(&mut |reference| Some(Value::String(words(reference))))
}

fn words(reference: &Reference) -> String {
    match reference.secret_name() {
        Some(name) => format!("(secret {name})"),
        None => format!("(known after apply: {reference})"),
    }
}

fn inline(value: &Value, depth: usize, out: &mut String) {
    match told(value) {
        Value::Null => out.push_str("null"),
        Value::Map(_) => out.push_str("{}"),
        Value::List(_) => out.push_str("[]"),
        Value::String(text) if is_block(&text) => block(&text, depth, out),
        Value::String(text) => out.push_str(&scalar(&text)),
        other => out.push_str(&other.to_string()),
    }
}

/// True for lines that can stand as they are, indented.
fn is_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
        && text.lines().all(|line| !line.ends_with([' ', '\t']) && !line.starts_with('\t'))
}

fn block(text: &str, depth: usize, out: &mut String) {
    let body = text.trim_end_matches('\n');
    let blank = text.len() - body.len();
    out.push_str(match blank {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&"  ".repeat(depth));
            out.push_str(line);
        }
    }
    out.push_str(&"\n".repeat(blank.saturating_sub(1)));
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// A text on one line: bare if no reader, old or new, takes it for something else.
fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    // What begins as a number, a date or a sign may be one to somebody.
    let starts = first.is_alphabetic() || matches!(first, '/' | '_' | '(' | '$');
    let word = text.to_ascii_lowercase();
    let taken = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&word.as_str());
    starts
        && !taken
        && text.chars().all(is_printable)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for text in [
            "yes",
            "on",
            "0x1f",
            "1e3",
            "2024-01-01",
            "1_000",
            "",
            " a",
            "a: b",
            "a #b",
            "- a",
            "null",
            "~",
            "a\nb",
            "a\nb\n",
            "a\n\n b\n\n",
            "\ta\nb",
            "{a}",
            "é\u{7}",
            "\"q\" \\",
            "# x\ny",
            "a:",
            ".5",
            "@x",
            "key: |\n  v\n",
        ] {
            let value = Value::Map(Map::from([
                ("k".into(), text.into()),
                ("l".into(), Value::List(vec![text.into(), Value::Map(Map::from([("m".into(), text.into())]))])),
                ("n".into(), Value::List(vec![Value::List(vec![Value::Int(1)]), Value::Map(Map::new())])),
                (format!("x{text}"), Value::Float(1.5)),
            ]));
            let written = write(&value);
            assert_eq!(read(&written).unwrap(), value, "{written}");
        }
    }

    #[test]
    fn older_readers_get_quotes_and_people_get_words() {
        let id = Reference::new(Address::new("aws::vpc", "prod"), "id");
        let value = Value::Map(Map::from([
            ("apiVersion".into(), "v1".into()),
            ("a".into(), "yes".into()),
            ("b".into(), "1_000".into()),
            ("c".into(), Value::Reference(id)),
            ("d".into(), Value::Reference(Reference::secret("db"))),
            ("kind".into(), "Secret".into()),
        ]));
        let expected = "apiVersion: v1\nkind: Secret\na: \"yes\"\nb: \"1_000\"\n\
                        c: \"(known after apply: aws::vpc.prod.id)\"\nd: (secret db)\n";
        assert_eq!(write(&value), expected);
    }

    #[test]
    fn numbers_and_bools_are_what_kubernetes_takes_them_for() {
        let read = read("{a: 1, b: 0644, c: yes, d: true, e: '1', f: 1.5, g: ~, 80: x, h: 1_000}").unwrap();
        let json = serde_json::json!({
            "a": 1, "b": 0o644, "c": "yes", "d": true, "e": "1", "f": 1.5, "g": null, "80": "x", "h": "1_000",
        });
        assert_eq!(read, Value::from(json));
    }

    #[test]
    fn hostile_texts_are_refused() {
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (one, two) in "abcdefgh".chars().zip("bcdefghi".chars()) {
            bomb.push_str(&format!("{two}: &{two} [{}]\n", vec![format!("*{one}"); 10].join(", ")));
        }
        let nested = (0..5000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        for text in [bomb, "[".repeat(100_000), nested, "{a: ".repeat(50_000), "- ".repeat(50_000)] {
            assert!(read(&text).is_err());
        }
    }

    #[test]
    fn a_duplicate_key_is_told_by_name_and_line() {
        let mistake = read("a:\n  b: 1\n  b: 2\n").unwrap_err();
        assert_eq!(mistake.line, 3, "{mistake:?}");
        assert!(mistake.what.contains('b') && mistake.what.contains("duplicate"), "{mistake:?}");
    }
}
