//! `--set key=value`: a value of the inventory, as it is given on the command line.

use std::fmt;
use std::str::FromStr;

use super::{AWS, CLOUDFLARE, Inventory, forget, value};
use crate::diagnostic::{Diagnostic, Site, closest};
use crate::resource::{Map, Value};

/// One of them; that it can be read at all is known when the arguments are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    given: String,
    keys: Vec<String>,
    text: String,
}

impl FromStr for Set {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let (path, text) = given.split_once('=').ok_or("there is no `=`: write `--set key=value`")?;
        let keys: Vec<String> = path.trim().split('.').map(str::to_owned).collect();
        if keys.iter().any(String::is_empty) {
            return Err("a key is empty: write `--set table.key=value`".into());
        }
        if keys[0] == "name" {
            return Err("`name` is what the stack is called, and cannot be set: choose it with --inventory".into());
        }
        if text.trim_start().starts_with(['[', '{']) && value(text).as_str().is_some() {
            return Err("it begins like a list or a table, and is none of TOML's".into());
        }
        Ok(Set { given: given.to_owned(), keys, text: text.to_owned() })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl Inventory {
    /// A key that no file has: a mistake if it is near to one that is there, else perhaps none.
    pub(super) fn doubt(&self, set: &Set) -> Option<Diagnostic> {
        // What runner itself reads need not be there.
        let settings: &[&str] = match set.keys[0].as_str() {
            "aws" => &AWS,
            "cloudflare" => &CLOUDFLARE,
            "lock" => &super::lock::KEYS,
            "secrets" => return None,
            _ => &[],
        };
        if set.keys.get(1).is_some_and(|key| settings.contains(&key.as_str())) {
            return None;
        }
        let (mut map, mut above) = (&self.values, String::new());
        for key in &set.keys {
            if let Some(value) = map.get(key) {
                map = value.as_map()?;
                above = format!("{above}{key}.");
                continue;
            }
            let what = format!("`--set {set}`: no file of the inventory has `{above}{key}`");
            return Some(match closest(key, map.keys().map(String::as_str).chain(settings.iter().copied())) {
                Some(near) => Diagnostic::error(what).hint(format!(
                    "did you mean `{above}{near}`? If not, give `{above}{key}` a value in a file of the inventory first"
                )),
                None => Diagnostic::warning(what).hint("give it a value there, for runs without `--set`"),
            });
        }
        None
    }

    pub(super) fn set(&mut self, set: &Set) -> Result<(), Diagnostic> {
        let value = self.fitting(set)?;
        let (last, tables) = set.keys.split_last().expect("there is a key");
        let mut map = &mut self.values;
        for (depth, key) in tables.iter().enumerate() {
            let next = map.entry(key.clone()).or_insert_with(|| Value::Map(Map::new()));
            let kind = next.type_name();
            let Value::Map(inner) = next else {
                let through = set.keys[..=depth].join(".");
                let told = self.misfit(set, &through, &format!("`{through}` is of type {kind}, and has no keys"));
                return Err(told.hint(format!("write `--set {through}=value`")));
            };
            map = inner;
        }
        map.insert(last.clone(), value);
        let path = set.keys.join(".");
        forget(&mut self.origins, &path);
        self.origins.insert(path, Site::new(format!("--set {set}"), 0, 0));
        Ok(())
    }

    /// What was given, as what stands in the inventory is: a list stays a list, and a text that looks like a number a text.
    fn fitting(&self, set: &Set) -> Result<Value, Diagnostic> {
        let given = value(&set.text);
        let (first, rest) = set.keys.split_first().expect("there is a key");
        let there = rest.iter().fold(self.values.get(first), |there, key| there?.as_map()?.get(key));
        match (there, &given) {
            (Some(Value::String(_)), Value::Bool(_) | Value::Int(_) | Value::Float(_)) => Ok(set.text.as_str().into()),
            (None, _) | (Some(Value::Int(_) | Value::Float(_)), Value::Int(_) | Value::Float(_)) => Ok(given),
            (Some(there), _) if there.type_name() != given.type_name() => {
                let path = set.keys.join(".");
                let why =
                    format!("`{path}` is of type {}, and this is of type {}", there.type_name(), given.type_name());
                let like = match there {
                    Value::List(_) => format!("{path}='[\"a\", \"b\"]'"),
                    Value::Map(_) => format!("{path}.key=value"),
                    Value::Bool(_) => format!("{path}=true"),
                    Value::Int(_) | Value::Float(_) => format!("{path}=1"),
                    _ => format!("{path}='\"text\"'"),
                };
                Err(self.misfit(set, &path, &why).hint(format!("write it like `--set {like}`")))
            }
            _ => Ok(given),
        }
    }

    fn misfit(&self, set: &Set, path: &str, why: &str) -> Diagnostic {
        let told = Diagnostic::error(format!("`--set {set}` does not fit the inventory")).because(why);
        match self.origin(path) {
            Some(site) => told.at(site, "defined here"),
            None => told,
        }
    }
}
