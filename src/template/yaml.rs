//! YAML written so that every reader, old or new, takes it for the same.
//!
//! A text is in quotes even where it could do without: so a reference filled in later reads the same as a value known
//! from the start.

use crate::resource::{Map, Value};

/// A value as YAML, without a line break at its end.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(map) if !map.is_empty() => entries(map, 0, &mut out),
        Value::List(items) if !items.is_empty() => list(items, 0, &mut out),
        Value::String(text) => out.push_str(&quoted(text)),
        other => inline(other, 0, &mut out),
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}

fn entries(map: &Map, depth: usize, out: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        // The first entry of a map in a list stands beside its dash.
        if index > 0 || out.is_empty() || out.ends_with('\n') {
            out.push_str(&"  ".repeat(depth));
        }
        match is_plain(key) {
            true => out.push_str(key),
            false => out.push_str(&quoted(key)),
        }
        out.push(':');
        match value {
            Value::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                entries(inner, depth + 1, out);
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
            Value::Map(map) if !map.is_empty() => entries(map, depth + 1, out),
            // Flow style: rare, and JSON is YAML.
            Value::List(inner) if !inner.is_empty() => {
                out.push_str(&serde_json::Value::from(item).to_string());
                out.push('\n');
            }
            other => {
                inline(other, depth + 1, out);
                out.push('\n');
            }
        }
    }
}

fn inline(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Map(_) => out.push_str("{}"),
        Value::List(_) => out.push_str("[]"),
        Value::String(text) if is_block(text) => block(text, depth, out),
        Value::String(text) => out.push_str(&quoted(text)),
        other => out.push_str(&other.to_string()),
    }
}

/// True for lines that can stand as they are, indented.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
        && body.lines().all(|line| !line.ends_with([' ', '\t']) && !line.starts_with('\t'))
}

fn block(text: &str, depth: usize, out: &mut String) {
    let body = text.strip_suffix('\n').unwrap_or(text);
    out.push_str(if body.len() < text.len() { "|" } else { "|-" });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&"  ".repeat(depth));
            out.push_str(line);
        }
    }
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// True for a key that nobody takes for anything else.
fn is_plain(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let taken = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&word.as_str());
    // What begins as a number, a date or a sign may be one to somebody.
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && !taken
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
}

/// A text in double quotes, as both YAML and JSON read it.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04x}", c as u32)),
        }
    }
    out.push('"');
    out
}
