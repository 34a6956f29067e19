//! A change as the lines of a difference: what goes, what comes, and where that is.

use super::plan_value::{self as value, Delta, SENSITIVE};
use super::why::{Knowledge, Why};
use super::yaml::{self, Line, Mark};
use crate::engine::{Change, FieldChange};

/// A change with more fields than this is shown by the first ones: the schema of a definition.
pub const MANY: usize = 60;

/// The fields of a change and what is worth telling of it; an object of Kubernetes as YAML.
pub fn lines(change: &Change, most: usize) -> Vec<Line> {
    let shown = &change.fields[..change.fields.len().min(most)];
    let mut lines = match yaml::is_object(change) {
        true => yaml::lines(shown),
        false => shown.iter().flat_map(|field| of_field(change, field)).collect(),
    };
    let rest = change.fields.len() - shown.len();
    lines.extend((rest > 0).then(|| line(Mark::Same, format!("# … and {rest} more fields"))));
    lines.extend(change.notes.iter().map(|note| line(Mark::Note, note)));
    lines
}

fn line(mark: Mark, text: impl Into<String>) -> Line {
    Line { mark, text: text.into() }
}

/// `tags.Team: "a"` as it was, and as it will be.
fn of_field(change: &Change, field: &FieldChange) -> Vec<Line> {
    let path = &field.path;
    let mut said = match (field.forces_replace, field.restarts) {
        (true, _) => "  # forces replacement".to_owned(),
        (false, true) => "  # stops and starts it".to_owned(),
        (false, false) => String::new(),
    };
    if let (Knowledge::Predicted, from) = Why::knowledge(change, field) {
        let from: Vec<String> = from.iter().map(ToString::to_string).collect();
        said.push_str(&format!("  # as planned: {}", from.join(", ")));
    }
    if field.sensitive {
        let mark = match (&field.before, &field.after) {
            (None, _) => Mark::Added,
            (_, None) => Mark::Removed,
            _ => Mark::Note,
        };
        return vec![line(mark, format!("{path}: {SENSITIVE}{said}"))];
    }
    if let (Some(before), Some(after)) = (&field.before, &field.after) {
        let deltas = value::deltas(before, after);
        if !deltas.is_empty() {
            let head = line(Mark::Same, format!("{path}:{said}"));
            let deltas = deltas.into_iter().map(|delta| match delta {
                Delta::Added(text) => line(Mark::Added, format!("    {text}")),
                Delta::Removed(text) => line(Mark::Removed, format!("    {text}")),
                Delta::Same(text) => line(Mark::Same, format!("    {text}")),
            });
            return std::iter::once(head).chain(deltas).collect();
        }
    }
    let mut lines = vec![];
    for (side, mark) in [(&field.before, Mark::Removed), (&field.after, Mark::Added)] {
        let Some(side) = side else { continue };
        let (first, rest) = value::block(side, 100);
        let said = if mark == Mark::Added || field.after.is_none() { said.as_str() } else { "" };
        lines.push(line(mark, format!("{path}: {first}{said}").trim_end()));
        lines.extend(rest.into_iter().map(|rest| line(mark, format!("    {rest}"))));
    }
    lines
}
