//! The tables that `runner` itself reads: each key is of its type, or told to be none.

use super::Inventory;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Map, Value};

/// A table of settings while it is read.
pub(super) struct Settings<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) name: &'static str,
    pub(super) map: &'a Map,
    pub(super) mistakes: Diagnostics,
}

impl Settings<'_> {
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.map.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                let told = self.inventory.wrong(&format!("{}.{key}", self.name), "a string", other);
                let number = matches!(other, Value::Int(_)) && key == "account";
                let hint = number.then_some("put it in quotes: a number loses its leading zeros");
                self.mistakes.push(told.maybe_hint(hint));
                None
            }
        }
    }

    /// Its shape: which regions there are changes.
    pub(super) fn region(&mut self, key: &str, region: &str) {
        let parts: Vec<&str> = region.split('-').collect();
        let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if parts.len() < 3 || !parts[..parts.len() - 1].iter().all(is_word) || !is_number(parts[parts.len() - 1]) {
            let path = format!("{}.{key}", self.name);
            let told = Diagnostic::error(format!("`{path}` is no region of AWS: \"{region}\""));
            self.mistakes.push(self.inventory.at(told, &path).hint("a region is called like \"eu-central-1\""));
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.map.get(key) else { return vec![] };
        let texts = |items: &[Value]| items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        value.as_list().and_then(texts).unwrap_or_else(|| {
            self.mistakes.push(self.inventory.wrong(&format!("{}.{key}", self.name), "a list of strings", value));
            vec![]
        })
    }

    pub(super) fn finish<T>(self, read: T) -> Result<T, Diagnostics> {
        if self.mistakes.is_empty() { Ok(read) } else { Err(self.mistakes) }
    }
}
