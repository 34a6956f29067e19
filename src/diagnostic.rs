//! What went wrong, where, and what to do about it: the only form in which an error reaches a person.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A position in a file that a person edits. Lines and columns count from 1; 0 means "somewhere in this file".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Site {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Site {
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Site { file: file.into(), line, column }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

/// A site with a word on what stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    pub site: Site,
    pub label: String,
}

/// One thing to tell a person. `summary` says what happened, `causes` why (outermost first), `places` where
/// (the first is the main one), `hint` what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    pub severity: Severity,
    pub summary: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn error(summary: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Error, summary: summary.into(), causes: vec![], places: vec![], hint: None }
    }

    pub fn warning(summary: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(summary) }
    }

    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub fn at(mut self, site: &Site, label: impl Into<String>) -> Self {
        self.places.push(Place { site: site.clone(), label: label.into() });
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn maybe_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }
}

/// One line without source text: for logs and for tests. `report` draws the full form.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.places.first() {
            write!(f, "{}: ", place.site)?;
        }
        write!(f, "{}", self.summary)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// All that one step found; never empty when it stands for a failure.
pub type Diagnostics = Vec<Diagnostic>;

/// The texts that sites point into, so that whoever draws a diagnostic needs no file access.
#[derive(Clone, Default, Debug)]
pub struct Sources(Arc<RwLock<BTreeMap<Arc<str>, Arc<str>>>>);

impl Sources {
    pub fn add(&self, file: impl Into<Arc<str>>, text: impl Into<Arc<str>>) {
        self.0.write().expect("no reader panics").insert(file.into(), text.into());
    }

    pub fn text(&self, file: &str) -> Option<Arc<str>> {
        self.0.read().expect("no writer panics").get(file).cloned()
    }

    /// Every file read so far, with its text, in the order of their names.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.0.read().expect("no writer panics").iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// The closest of `known` to a word that is not among them, for "did you mean".
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= word.len().max(candidate.len()).max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_finds_none() {
        let known = ["cidr_block", "vpc_id", "tags"];
        assert_eq!(closest("cidr_blok", known), Some("cidr_block"));
        assert_eq!(closest("vpcid", known), Some("vpc_id"));
        assert_eq!(closest("availability_zone", known), None);
    }

    #[test]
    fn a_diagnostic_reads_as_one_line() {
        let d = Diagnostic::error("unknown kind `aws::vpcc`")
            .at(&Site::new("a.rhai", 3, 5), "here")
            .hint("did you mean `aws::vpc`?");
        assert_eq!(d.to_string(), "a.rhai:3:5: unknown kind `aws::vpcc` (hint: did you mean `aws::vpc`?)");
    }
}
