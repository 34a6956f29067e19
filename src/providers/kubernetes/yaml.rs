//! YAML read strictly.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Options;

use crate::resource::{Map, Value};

/// Deeper than any object a person or a generator writes.
const DEPTH: usize = 100;

/// Values of all documents of a text, and the bytes of their words: ten times what the largest manifests have.
const NODES: usize = 1_000_000;
const BYTES: usize = 64 << 20;

/// How a text begins that tells so.
pub const TOO_MUCH: &str = "it comes to more than";

fn too_much() -> String {
    format!("{TOO_MUCH} {NODES} values or {} MiB of text, with what its aliases repeat", BYTES >> 20)
}

/// Enough for that depth in an unoptimised build. Only what is used is taken from the machine.
const STACK: usize = 64 << 20;

/// What is wrong with a text, with its line and column from 1; 0 if nobody knows.
#[derive(Debug)]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

/// How much the documents of one text may come to, all in all: aliases make much of little.
pub struct Room {
    nodes: usize,
    bytes: usize,
    used_up: bool,
}

impl Default for Room {
    fn default() -> Self {
        Room { nodes: NODES, bytes: BYTES, used_up: false }
    }
}

impl Room {
    /// What follows is not read.
    pub fn is_used_up(&self) -> bool {
        self.used_up
    }

    fn take(&mut self, value: &Value) -> Option<()> {
        self.nodes = self.nodes.checked_sub(1)?;
        match value {
            Value::String(text) => self.bytes = self.bytes.checked_sub(text.len())?,
            Value::List(items) => items.iter().try_for_each(|item| self.take(item))?,
            Value::Map(map) => {
                for (key, item) in map {
                    self.bytes = self.bytes.checked_sub(key.len())?;
                    self.take(item)?;
                }
            }
            _ => {}
        }
        Some(())
    }
}

/// One document. Integers stay integers, `0644` is octal as Kubernetes reads it, and only `true` and `false` are bools.
pub fn read(text: &str, room: &mut Room) -> Result<Value, Mistake> {
    let value = read_alone(text)?;
    if room.take(&value).is_none() {
        room.used_up = true;
        return Err(Mistake { line: 0, column: 0, what: too_much() });
    }
    Ok(value)
}

fn read_alone(text: &str) -> Result<Value, Mistake> {
    // The parser goes down by recursion, and not every thread has the stack for it.
    let read = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("yaml".into()).stack_size(STACK);
        thread.spawn_scoped(scope, || parse(text)).ok()?.join().ok()
    });
    read.unwrap_or_else(|| Err(Mistake { line: 0, column: 0, what: "the YAML cannot be read".into() }))
}

fn parse(text: &str) -> Result<Value, Mistake> {
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
        let what = match told.strip_prefix("duplicate mapping key: ").and_then(|rest| rest.split(',').next()) {
            Some(key) => format!("the key `{key}` stands twice"),
            None if told.starts_with("budget breached: Depth") || told.starts_with("recursion limit exceeded") => {
                format!("lists and maps are nested more than {DEPTH} deep")
            }
            None if told.starts_with("budget breached: Alias")
                || told.starts_with("budget breached: RecordedAnchor")
                || told.starts_with("alias replay limit") =>
            {
                format!("{TOO_MUCH} runner takes: its aliases repeat too much")
            }
            None if told.starts_with("budget breached") => too_much(),
            None => told.to_owned(),
        };
        Mistake { line, column, what }
    })
}

fn options() -> Options {
    let mut options = Options::default();
    let mut budget = options.budget.take().unwrap_or_default();
    budget.max_depth = DEPTH;
    budget.flow_nesting_limit = DEPTH;
    budget.max_events = 4_000_000;
    budget.max_nodes = NODES;
    budget.max_total_scalar_bytes = BYTES;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bools_are_what_kubernetes_takes_them_for() {
        let read = read_alone("{a: 1, b: 0644, c: yes, d: true, e: '1', f: 1.5, g: ~, 80: x, h: 1_000}").unwrap();
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
        let long = "{".repeat(10 << 20);
        for text in [bomb, long, "[".repeat(100_000), nested, "{a: ".repeat(50_000), "- ".repeat(50_000)] {
            assert!(read_alone(&text).is_err());
        }
    }

    #[test]
    fn what_one_document_may_have_many_may_not() {
        let text = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(900), "*a, ".repeat(90));
        let mut room = Room::default();
        let read = std::iter::repeat_with(|| read(&text, &mut room)).take(100).position(|read| read.is_err());
        assert_eq!(read, Some(12), "of 81993 values each");
        assert!(room.is_used_up());
    }

    #[test]
    fn a_duplicate_key_is_told_by_name_and_line() {
        let mistake = read_alone("a:\n  b: 1\n  b: 2\n").unwrap_err();
        assert_eq!(mistake.line, 3, "{mistake:?}");
        assert!(mistake.what.contains('b') && mistake.what.contains("`b` stands twice"), "{mistake:?}");
    }
}
