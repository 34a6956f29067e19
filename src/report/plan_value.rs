//! Values as a person reads them in a plan: unknowns named, secrets hidden, long things on several lines.

use crate::resource::{Reference, Value};

/// How an unknown begins; it goes on with the reference, and a bracket.
pub const UNKNOWN: &str = "(known after apply";
pub const SENSITIVE: &str = "(sensitive)";

/// On one line: strings in quotes, `{ key: value }`, `["a", "b"]`.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => quoted(text),
        Value::Reference(reference) => unknown(reference),
        Value::Text(parts) => {
            let text: String = parts.iter().map(embedded).collect();
            format!("\"{text}\"")
        }
        Value::List(items) if items.is_empty() => "[]".to_owned(),
        Value::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Map(map) if map.is_empty() => "{}".to_owned(),
        Value::Map(map) => {
            let fields: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", name(key), inline(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// An unknown says what it will be: the review sees where it comes from.
pub fn unknown(reference: &Reference) -> String {
    match reference.secret_name() {
        Some(_) => format!("({reference})"),
        None => format!("{UNKNOWN}: {reference})"),
    }
}

/// A string as it would be written, in which a terminal's control codes do nothing.
fn quoted(text: &str) -> String {
    let mut quoted = serde_json::Value::from(text).to_string();
    if quoted.chars().any(char::is_control) {
        quoted = quoted.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    }
    quoted
}

fn embedded(part: &Value) -> String {
    match part {
        Value::Reference(reference) => unknown(reference),
        Value::String(text) => {
            let quoted = quoted(text);
            quoted[1..quoted.len() - 1].to_owned()
        }
        other => inline(other),
    }
}

/// A map's key: bare if it is a word.
fn name(key: &str) -> String {
    let bare = |c: char| c.is_alphanumeric() || "_-.:/".contains(c);
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { quoted(key) }
}

/// How many lines of one value are shown before the rest is counted.
const LINES: usize = 12;

/// On one line if it fits `width`, else the first line and those that follow, indented relative to it.
pub fn block(value: &Value, width: usize) -> (String, Vec<String>) {
    let line = inline(value);
    match value {
        Value::String(text) if text.trim_end().contains('\n') => (String::new(), lines(text)),
        Value::Text(_) if line.contains("\\n") => (String::new(), lines(&text_of(value))),
        Value::List(items) if line.chars().count() > width && items.len() > 1 => {
            (String::new(), shortened(items.iter().map(inline).collect()))
        }
        Value::Map(map) if line.chars().count() > width && map.len() > 1 => (
            String::new(),
            shortened(map.iter().map(|(key, value)| format!("{}: {}", name(key), inline(value))).collect()),
        ),
        _ => (line, vec![]),
    }
}

fn lines(text: &str) -> Vec<String> {
    shortened(text.lines().map(|line| format!("| {}", clean(line))).collect())
}

fn shortened(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > LINES + 1 {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("… {more} more lines"));
    }
    lines
}

/// Text with its unknowns named, as it is: with its line breaks.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Text(parts) => parts.iter().map(text_of).collect(),
        Value::Reference(reference) => unknown(reference),
        other => other.to_string(),
    }
}

pub fn clean(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// One line of a difference.
#[derive(Debug, PartialEq, Eq)]
pub enum Delta {
    Added(String),
    Removed(String),
    Same(String),
}

/// What differs between two values, element by element or line by line; empty if `before -> after` says it better.
pub fn deltas(before: &Value, after: &Value) -> Vec<Delta> {
    match (before, after) {
        (Value::List(before), Value::List(after)) => elements(before, after),
        (Value::String(_) | Value::Text(_), Value::String(_) | Value::Text(_)) => {
            let (before, after) = (text_of(before), text_of(after));
            let several = |text: &str| text.trim_end().contains('\n');
            if several(&before) || several(&after) { changed_lines(&before, &after) } else { vec![] }
        }
        _ => vec![],
    }
}

/// Lists as bags: what came and what went. Nothing if only the order differs, or all of it.
fn elements(before: &[Value], after: &[Value]) -> Vec<Delta> {
    let mut left: Vec<&Value> = after.iter().collect();
    let mut removed = vec![];
    for item in before {
        match left.iter().position(|candidate| *candidate == item) {
            Some(index) => drop(left.remove(index)),
            None => removed.push(Delta::Removed(inline(item))),
        }
    }
    removed.extend(left.into_iter().map(|item| Delta::Added(inline(item))));
    removed
}

/// The longest common subsequence of lines, with one unchanged line around each change.
fn changed_lines(before: &str, after: &str) -> Vec<Delta> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // Beyond this the table would be large and nobody would read it; both ends still match.
    let deltas = if old.len() * new.len() > 1_000_000 { trimmed(&old, &new) } else { common(&old, &new) };
    let changed: Vec<bool> = deltas.iter().map(|delta| !matches!(delta, Delta::Same(_))).collect();
    let near = |index: usize| changed[index.saturating_sub(1)..(index + 2).min(changed.len())].contains(&true);
    deltas.into_iter().enumerate().filter(|(index, _)| near(*index)).map(|(_, delta)| delta).collect()
}

fn common(old: &[&str], new: &[&str]) -> Vec<Delta> {
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] =
                if old[i] == new[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut deltas) = (0, 0, vec![]);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            deltas.push(Delta::Same(clean(old[i])));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || longest[i + 1][j] >= longest[i][j + 1]) {
            deltas.push(Delta::Removed(clean(old[i])));
            i += 1;
        } else {
            deltas.push(Delta::Added(clean(new[j])));
            j += 1;
        }
    }
    deltas
}

fn trimmed(old: &[&str], new: &[&str]) -> Vec<Delta> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let removed = old[head..old.len() - tail].iter().map(|line| Delta::Removed(clean(line)));
    removed.chain(new[head..new.len() - tail].iter().map(|line| Delta::Added(clean(line)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Address, Reference};
    use serde_json::json;

    fn id() -> Value {
        Reference::new(Address::new("aws::nat_gateway", "main"), "id").into()
    }

    #[test]
    fn values_read_on_one_line() {
        let route = Value::from(json!({ "cidr_block": "0.0.0.0/0", "nat_gateway_id": id() }));
        assert_eq!(
            inline(&route),
            r#"{ cidr_block: "0.0.0.0/0", nat_gateway_id: (known after apply: aws::nat_gateway.main.id) }"#
        );
        let url = Value::text(vec!["https://".into(), id(), "/x\"".into()]);
        assert_eq!(inline(&url), r#""https://(known after apply: aws::nat_gateway.main.id)/x\"""#);
        assert_eq!(inline(&"\u{1b}[2J\u{9b}".into()), "\"\\u001b[2J\u{fffd}\"");
    }

    #[test]
    fn lists_differ_by_what_came_and_went() {
        let (before, after) = (Value::from(json!(["a", "b", "b"])), Value::from(json!(["b", "a", "c"])));
        assert_eq!(deltas(&before, &after), [Delta::Removed("\"b\"".into()), Delta::Added("\"c\"".into())]);
    }

    #[test]
    fn texts_differ_by_lines_with_one_line_around() {
        let found = deltas(&"a\nb\nc\nd\ne\n".into(), &"a\nb\nC\nd\ne\n".into());
        let same = |text: &str| Delta::Same(text.into());
        assert_eq!(found, [same("b"), Delta::Removed("c".into()), Delta::Added("C".into()), same("d")]);
        assert_eq!(trimmed(&["a", "b", "c"], &["a", "x", "c"]), [Delta::Removed("b".into()), Delta::Added("x".into())]);
    }
}
