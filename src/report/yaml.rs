//! The fields of a Kubernetes object as the YAML that they are, with what comes and what goes marked line by line.

use super::plan_value::{self as value, Delta, SENSITIVE};
use crate::engine::{Change, FieldChange};
use crate::resource::Value;

/// What a line says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Added,
    Removed,
    /// It only says where the others stand.
    Same,
    /// Worth telling.
    Note,
}

/// One line with its indentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub mark: Mark,
    pub text: String,
}

impl Line {
    /// As a difference begins its lines.
    pub fn sign(&self) -> char {
        match self.mark {
            Mark::Added => '+',
            Mark::Removed => '-',
            Mark::Same => ' ',
            Mark::Note => '!',
        }
    }
}

/// Whether its fields are places in an object of Kubernetes: such kinds are written with a capital.
pub fn is_object(change: &Change) -> bool {
    let name = change.address.kind.strip_prefix("k8s::");
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// These fields as one document, in their order.
pub fn lines(fields: &[FieldChange]) -> Vec<Line> {
    let mut root = Node::default();
    for field in fields {
        let mut node = &mut root;
        for step in steps(&field.path) {
            node = node.child(step);
        }
        node.field = Some(field);
    }
    let mut lines = vec![];
    root.below(0, &mut lines);
    lines
}

/// A step of a path: `.key`, or `[label]` for an item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(String),
}

/// `spec.ports[80].name`, `metadata.labels["a.b/c"]`; what follows a blank (` (order)`) stays with the last key.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = vec![];
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let mut texts = serde_json::Deserializer::from_str(inner).into_iter::<String>();
            // A key in quotes, as JSON writes it; else a label, in which brackets come in pairs.
            if inner.starts_with('"')
                && let Some(Ok(key)) = texts.next()
                && let Some(after) = inner[texts.byte_offset()..].strip_prefix(']')
            {
                steps.push(Step::Key(key));
                rest = after;
                continue;
            }
            let end = closing(inner);
            steps.push(Step::Item(inner[..end].to_owned()));
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Key(name[..end].to_owned()));
            rest = &name[end..];
        }
    }
    steps
}

/// Where the bracket closes that was open before this text.
fn closing(text: &str) -> usize {
    let mut open = 1;
    for (at, c) in text.char_indices() {
        open += match c {
            '[' => 1,
            ']' => -1,
            _ => 0,
        };
        if open == 0 {
            return at;
        }
    }
    text.len()
}

#[derive(Default)]
struct Node<'a> {
    children: Vec<(Step, Node<'a>)>,
    field: Option<&'a FieldChange>,
}

impl<'a> Node<'a> {
    fn child(&mut self, step: Step) -> &mut Node<'a> {
        let at = self.children.iter().position(|(other, _)| *other == step).unwrap_or_else(|| {
            self.children.push((step, Node::default()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// What all lines of it are, if they are one.
    fn mark(&self) -> Mark {
        let own = self.field.map(|field| match (&field.before, &field.after) {
            (None, _) => Mark::Added,
            (_, None) => Mark::Removed,
            _ => Mark::Same,
        });
        let mut marks = own.into_iter().chain(self.children.iter().map(|(_, node)| node.mark()));
        let first = marks.next().unwrap_or(Mark::Same);
        if marks.all(|mark| mark == first) { first } else { Mark::Same }
    }

    fn below(&self, depth: usize, lines: &mut Vec<Line>) {
        for (step, node) in &self.children {
            let head = match step {
                Step::Key(key) => format!("{}:", scalar(key)),
                Step::Item(_) => "-".to_owned(),
            };
            if let Some(field) = node.field {
                leaf(&head, field, depth, lines);
            }
            if node.children.is_empty() {
                continue;
            }
            let mark = node.mark();
            match step {
                Step::Item(label) => {
                    let from = lines.len();
                    node.below(depth + 1, lines);
                    lead(label, depth, mark, from, lines);
                }
                Step::Key(_) => {
                    lines.push(line(mark, depth, head));
                    node.below(depth + 1, lines);
                }
            }
        }
    }
}

/// Puts the dash before the line that names the item; without such a line the item is named by a comment.
fn lead(label: &str, depth: usize, mark: Mark, from: usize, lines: &mut Vec<Line>) {
    let indent = "  ".repeat(depth + 1);
    let names = |line: &Line| {
        let Some(text) = line.text.strip_prefix(&indent) else { return false };
        line.mark == mark && text.split_once(": ").is_some_and(|(_, value)| value == scalar(label) || value == label)
    };
    match lines[from..].iter().position(names) {
        Some(at) => {
            let mut first = lines.remove(from + at);
            first.text.replace_range(indent.len() - 2..indent.len(), "- ");
            lines.insert(from, first);
        }
        None => lines.insert(from, line(mark, depth, format!("- # {}", value::clean(label)))),
    }
}

fn line(mark: Mark, depth: usize, text: impl AsRef<str>) -> Line {
    Line { mark, text: format!("{}{}", "  ".repeat(depth), text.as_ref()) }
}

fn leaf(head: &str, field: &FieldChange, depth: usize, lines: &mut Vec<Line>) {
    let said = match (field.forces_replace, field.restarts) {
        (true, _) => "  # forces replacement",
        (false, true) => "  # stops and starts it",
        (false, false) => "",
    };
    let sides = [(&field.before, Mark::Removed), (&field.after, Mark::Added)];
    if field.sensitive {
        let (mark, _) = sides.iter().fold((Mark::Same, 0), |(mark, n), (side, own)| match side {
            Some(_) => (if n == 0 { *own } else { Mark::Same }, n + 1),
            None => (mark, n),
        });
        return lines.push(line(mark, depth, format!("{head} {SENSITIVE}{said}")));
    }
    if let (Some(before), Some(after)) = (&field.before, &field.after) {
        let deltas = value::deltas(before, after);
        if !deltas.is_empty() {
            let dash = if matches!(before, Value::List(_)) { "- " } else { "" };
            let block = if dash.is_empty() { " |" } else { "" };
            lines.push(line(Mark::Same, depth, format!("{head}{block}{said}")));
            lines.extend(deltas.into_iter().map(|delta| match delta {
                Delta::Added(text) => line(Mark::Added, depth + 1, format!("{dash}{text}")),
                Delta::Removed(text) => line(Mark::Removed, depth + 1, format!("{dash}{text}")),
                Delta::Same(text) => line(Mark::Same, depth + 1, format!("{dash}{text}")),
            }));
            return;
        }
    }
    for (side, mark) in sides {
        let Some(value) = side else { continue };
        let from = lines.len();
        tree(head, value, depth, mark, lines);
        if let Some(first) = lines.get_mut(from)
            && mark == Mark::Added
        {
            first.text.push_str(said);
        }
    }
}

/// A value under its key, or behind its dash.
fn tree(head: &str, value: &Value, depth: usize, mark: Mark, lines: &mut Vec<Line>) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            if head == "-" {
                let from = lines.len();
                map.iter().for_each(|(key, value)| tree(&format!("{}:", scalar(key)), value, depth + 1, mark, lines));
                let at = depth * 2;
                return lines[from].text.replace_range(at..at + 2, "- ");
            }
            lines.push(line(mark, depth, head));
            map.iter().for_each(|(key, value)| tree(&format!("{}:", scalar(key)), value, depth + 1, mark, lines));
        }
        Value::List(items) if !items.is_empty() => {
            lines.push(line(mark, depth, head));
            items.iter().for_each(|item| tree("-", item, depth + 1, mark, lines));
        }
        Value::String(_) | Value::Text(_) if value::text_of(value).trim_end().contains('\n') => {
            lines.push(line(mark, depth, format!("{head} |")));
            let (_, rest) = value::block(value, usize::MAX);
            let text = |line: String| line.strip_prefix("| ").map(str::to_owned).unwrap_or(line);
            lines.extend(rest.into_iter().map(|rest| line(mark, depth + 1, text(rest))));
        }
        Value::String(text) => lines.push(line(mark, depth, format!("{head} {}", scalar(text)))),
        other => lines.push(line(mark, depth, format!("{head} {}", value::inline(other)))),
    }
}

/// A text as YAML has it: bare where nothing can be read into it, else in quotes.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "null", "~"];
    let inner = |c: char| c.is_alphanumeric() || "-_./$@+=%".contains(c);
    let bare = text.starts_with(|c: char| c.is_alphabetic() || "/$_".contains(c))
        && text.chars().enumerate().all(|(at, c)| inner(c) || c == ':' && !text[at..].ends_with(':') || c == ' ')
        && !text.contains(": ")
        && !text.ends_with([' ', ':'])
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if bare { text.to_owned() } else { value::inline(&text.into()) }
}

#[cfg(test)]
mod tests {
    use super::super::example::field;
    use super::*;
    use serde_json::json;

    fn drawn(fields: &[FieldChange]) -> String {
        let all = lines(fields).into_iter().map(|line| format!("{} {}", line.sign(), line.text));
        all.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_path_is_taken_apart_as_it_was_put_together() {
        let key = |text: &str| Step::Key(text.into());
        assert_eq!(
            steps(r#"metadata.annotations["a.b/c]"].x[53/UDP][a[0]].y (order)"#),
            [
                key("metadata"),
                key("annotations"),
                key("a.b/c]"),
                key("x"),
                Step::Item("53/UDP".into()),
                Step::Item("a[0]".into()),
                key("y (order)")
            ]
        );
        assert_eq!(steps("spec[open"), [key("spec"), Step::Item("open".into())]);
    }

    #[test]
    fn what_changes_stands_where_it_is_in_the_object() {
        let image = |tag: i64| Some(Value::from(format!("registry.example.com/web:{tag}")));
        let at = "spec.template.spec.containers[web]";
        let fields = [
            field("metadata.labels[\"app.kubernetes.io/version\"]", Some("1".into()), Some("2".into())),
            field(&format!("{at}.args"), Some(json!(["-v", "1"]).into()), Some(json!(["-v", "2"]).into())),
            field(&format!("{at}.env[A]"), None, Some(json!({ "name": "A", "value": "yes" }).into())),
            field(&format!("{at}.image"), image(1), image(2)),
            FieldChange { sensitive: true, ..field("data.password", Some("a".into()), Some("b".into())) },
            field("data.file", Some("a\nb\nc\n".into()), Some("a\nB\nc\n".into())),
            field("spec.replicas", Some(2.into()), None),
        ];
        insta::assert_snapshot!(drawn(&fields), @r#"
          metadata:
            labels:
        -     app.kubernetes.io/version: "1"
        +     app.kubernetes.io/version: "2"
          spec:
            template:
              spec:
                containers:
                  - # web
                    args:
        -             - "1"
        +             - "2"
        +           env:
        +             - name: A
        +               value: "yes"
        -           image: registry.example.com/web:1
        +           image: registry.example.com/web:2
        -   replicas: 2
          data:
            password: (sensitive)
            file: |
              a
        -     b
        +     B
              c
        "#);
    }

    #[test]
    fn what_is_new_is_a_document_of_its_own() {
        let fields = [
            field("spec.ports[80].name", None, Some("http".into())),
            field("spec.ports[80].port", None, Some(80.into())),
            field("spec.ports[80].rules", None, Some(json!([{ "a": 1, "b": [{ "c": "x: y" }] }]).into())),
            field("spec.containers[web].image", None, Some("x".into())),
            field("spec.containers[web].name", None, Some("web".into())),
            field("spec.selector", None, Some(json!({}).into())),
        ];
        insta::assert_snapshot!(drawn(&fields), @r#"
        + spec:
        +   ports:
        +     - port: 80
        +       name: http
        +       rules:
        +         - a: 1
        +           b:
        +             - c: "x: y"
        +   containers:
        +     - name: web
        +       image: x
        +   selector: {}
        "#);
    }
}
