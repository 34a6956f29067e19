//! The plan as Markdown, for a comment below a pull request: what is destroyed stands open, all else folds away.
//!
//! A comment has a limit. What does not fit is folded step by step, creates first and of those the longest, and the
//! comment says so; what is deleted or replaced is named as long as names fit at all. Nothing that an author or a provider wrote is read as
//! Markdown or HTML: it stands in code, between fences longer than any inside.

use std::collections::HashSet;

use super::markdown::{code, cut, details, fenced, html, shortened, size, uncut};
use super::plan_diff::{self, MANY};
use super::plan_estimate;
use super::plan_value::{self as value, SENSITIVE};
use super::screen::count;
use super::why::{self, Why};
use crate::diagnostic::{Diagnostic, Severity, Site};
use crate::engine::{Action, Change, FieldChange, Plan};
use crate::resource::{Address, ReplaceOrder, Value};

/// GitHub takes 65,536 characters; some are left for whoever writes a line around it.
pub const BUDGET: usize = 65_000;

/// How much is shown of a value that stands in a sentence.
const NARROW: usize = 80;

/// How much is shown of a sort of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fold {
    Whole,
    Lines,
    Counts,
}

/// One step of folding: creates, updates, and what is destroyed.
type Step = (Fold, Fold, Fold);

const STEPS: [Step; 7] = [
    (Fold::Whole, Fold::Whole, Fold::Whole),
    (Fold::Lines, Fold::Whole, Fold::Whole),
    (Fold::Counts, Fold::Whole, Fold::Whole),
    (Fold::Counts, Fold::Lines, Fold::Whole),
    (Fold::Counts, Fold::Counts, Fold::Whole),
    (Fold::Counts, Fold::Counts, Fold::Lines),
    (Fold::Counts, Fold::Counts, Fold::Counts),
];

/// The whole plan, or as much of it as the budget allows.
pub fn draw(plan: &Plan, budget: usize) -> String {
    let mut text = String::new();
    for step in STEPS {
        let mut page = Page { plan, why: Why::of(plan), step, open: HashSet::new() };
        text = page.draw(None);
        if size(&text) > budget {
            continue;
        }
        // What room is left goes to the shortest: so the longest fold first.
        let mut open = page.folded_to_lines();
        open.sort_by_key(|(length, _)| *length);
        let mut room = budget - size(&text);
        open.retain(|(length, _)| {
            let fits = *length <= room;
            room = if fits { room - length } else { 0 };
            fits
        });
        while !open.is_empty() {
            page.open = open.iter().map(|(_, address)| *address).collect();
            let fuller = page.draw(None);
            if size(&fuller) <= budget {
                return fuller;
            }
            open.truncate(open.len() * 9 / 10);
        }
        return text;
    }
    // Not even the names fit: as many as do.
    let destroyed = plan.changes.iter().filter(|change| is_destroyed(change)).count();
    let page = Page { plan, why: Why::of(plan), step: STEPS[6], open: HashSet::new() };
    let (mut fits, mut too_many) = (0, destroyed);
    while too_many > fits + 1 {
        let middle = (fits + too_many) / 2;
        let tried = page.draw(Some(middle));
        if size(&tried) <= budget {
            (fits, text) = (middle, tried);
        } else {
            too_many = middle;
        }
    }
    text
}

/// Why there is no plan.
pub fn refusal(diagnostics: &[Diagnostic]) -> String {
    let mut lines = vec![];
    for told in diagnostics {
        let level = if told.severity == Severity::Error { "error" } else { "warning" };
        lines.push(format!("{level}: {}", told.summary));
        lines.extend(told.places.iter().map(|place| format!("  --> {}: {}", place.site, place.label)));
        lines.extend(told.causes.iter().map(|cause| format!("  caused by: {cause}")));
        lines.extend(told.hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    let mut lines: Vec<String> = lines.iter().flat_map(|text| text.lines()).map(cut).collect();
    let whole = lines.len();
    while size(&lines.join("\n")) > BUDGET - 1000 {
        lines.truncate(lines.len() * 9 / 10);
    }
    if lines.len() < whole {
        lines.push(format!("… {} more lines", whole - lines.len()));
    }
    format!("### No plan: {}\n\n{}", count(diagnostics.len(), "finding"), fenced("text", &lines))
}

fn is_destroyed(change: &Change) -> bool {
    matches!(change.action, Action::Delete | Action::Replace)
}

struct Page<'a> {
    plan: &'a Plan,
    why: Why<'a>,
    step: Step,
    /// Shown whole although others of their sort are folded to one line.
    open: HashSet<&'a Address>,
}

/// More of them say nothing new.
const REMARKS: usize = 20;

impl<'a> Page<'a> {
    /// The changes on one line, with how much longer each would be as a whole.
    fn folded_to_lines(&self) -> Vec<(usize, &'a Address)> {
        let folds = [(Action::Create, self.step.0), (Action::Update, self.step.1)];
        let actions = folds.into_iter().filter(|(_, fold)| *fold == Fold::Lines).map(|(action, _)| action);
        let plan = self.plan;
        let changes = actions.flat_map(|action| plan.changes.iter().filter(move |change| change.action == action));
        changes.map(|change| (size(&(self.details(change).join("\n") + "\n")), &change.address)).collect()
    }

    /// The lines of a difference, below the line of its change.
    fn details(&self, change: &Change) -> Vec<String> {
        let lines = plan_diff::lines(change, MANY);
        lines.iter().map(|line| cut(&format!("{}     {}", line.sign(), line.text))).collect()
    }

    /// `names`: how many of what is destroyed are named, if not all.
    fn draw(&self, names: Option<usize>) -> String {
        let mut text = format!("### Plan for {}: {}\n", code(&self.plan.stack), self.total());
        text.push_str(&self.policies());
        text.push_str(&self.left_out());
        let destroyed = self.of(&[Action::Delete, Action::Replace]);
        if !destroyed.is_empty() {
            let whom = count(destroyed.len(), "resource");
            text.push_str(&format!("\n> [!CAUTION]\n> **Destroys {whom}:**\n"));
            match self.step.2 {
                Fold::Counts => self.names(&destroyed, names, &mut text),
                _ => destroyed.iter().for_each(|change| text.push_str(&format!("> - {}\n", self.danger(change)))),
            }
        }
        text.push_str(&self.folded());
        for phase in self.phases() {
            text.push_str(&self.phase(&phase));
        }
        let kept = self.of(&[Action::Orphan]);
        text.push_str(&details("Not declared any more (kept; <code>--prune</code> deletes them)", &self.listed(&kept)));
        let mut owned = self.of(&[Action::None]);
        owned.retain(|change| change.reason.is_some());
        text.push_str(&details("Changes only in whose it is", &self.listed(&owned)));
        text.push_str(&self.outputs());
        if let Some(line) = self.plan.estimate.as_ref().and_then(|known| plan_estimate::line(known, false)) {
            text.push_str(&format!("\n{}\n", code(&line)));
        }
        if let Some(stop) = &self.plan.stop {
            let names: Vec<String> = stop.references.iter().map(|reference| code(&reference.to_string())).collect();
            let (verb, site) = (if names.len() == 1 { "is" } else { "are" }, code(&stop.site.to_string()));
            let because = stop.because.iter().map(|because| format!(": {}", code(because)));
            let because: String = because.collect();
            let names = names.join(", ");
            text.push_str(&format!("\n**The rest follows once** {names} {verb} known ({site}){because}.\n"));
        }
        text
    }

    /// What forbids it comes first, and is never folded away; then what is only to be minded.
    fn policies(&self) -> String {
        let mut text = String::new();
        for (denies, head) in
            [(true, "> [!CAUTION]\n> **Denied by policy:**\n"), (false, "> [!WARNING]\n> **Policies say:**\n")]
        {
            let said: Vec<_> = self.plan.policies.iter().filter(|remark| remark.denies == denies).collect();
            if said.is_empty() {
                continue;
            }
            text.push_str(&format!("\n{head}"));
            for remark in said.iter().take(REMARKS) {
                let of = remark.address.as_ref().map(|address| format!("{}: ", code(&address.to_string())));
                text.push_str(&format!("> - {}{}\n", of.unwrap_or_default(), code(&remark.text)));
            }
            if said.len() > REMARKS {
                text.push_str(&format!("> - and {} more\n", said.len() - REMARKS));
            }
        }
        text
    }

    /// What nobody reviews here.
    fn left_out(&self) -> String {
        if self.plan.left_out.is_empty() {
            return String::new();
        }
        let mut text = "\n> [!WARNING]\n> **Left out of this plan:**\n".to_owned();
        for one in self.plan.left_out.iter().take(REMARKS) {
            text.push_str(&format!(
                "> - {}, {}: {}\n",
                code(&one.address.to_string()),
                code(&place(&one.site)),
                one.why
            ));
        }
        if self.plan.left_out.len() > REMARKS {
            text.push_str(&format!("> - and {} more\n", self.plan.left_out.len() - REMARKS));
        }
        text
    }

    fn of(&self, actions: &[Action]) -> Vec<&Change> {
        self.plan.changes.iter().filter(|change| actions.contains(&change.action)).collect()
    }

    fn total(&self) -> String {
        let counts = self.plan.counts();
        if self.plan.is_empty() && self.plan.stop.is_none() {
            let kept = match counts.orphans {
                0 => String::new(),
                kept => format!(", {kept} kept though not declared"),
            };
            return format!("nothing to do, {} as declared{kept}", count(counts.unchanged, "resource"));
        }
        let mut parts = vec![format!("{} to create", counts.create), format!("{} to update", counts.update)];
        let strong = |number: usize, what: &str| match number {
            0 => format!("0 to {what}"),
            number => format!("**{number} to {what}**"),
        };
        parts.extend([strong(counts.replace, "replace"), strong(counts.delete, "delete")]);
        parts.push(format!("{} unchanged", counts.unchanged));
        if counts.orphans > 0 {
            parts.push(format!("{} kept though not declared", counts.orphans));
        }
        parts.join(", ")
    }

    /// `**replace** `aws::nat_gateway.main` (`nat-1`), forced by …; takes with it: …`
    fn danger(&self, change: &Change) -> String {
        let verb = match (change.action, change.options.replace) {
            (Action::Replace, ReplaceOrder::CreateFirst) => "replace (the new one first)",
            (Action::Replace, _) => "replace",
            _ => "delete",
        };
        let mut text = format!("**{verb}** {}", code(&change.address.to_string()));
        if let Some(live) = &change.live {
            text.push_str(&format!(" ({})", code(&live.id)));
        }
        for part in self.heads(change) {
            text.push_str(&format!(", {}", code(&part)));
        }
        for note in change.notes.iter().filter(|_| change.reason == Some(crate::engine::Reason::Destroyed)) {
            text.push_str(&format!("; **{note}**"));
        }
        if self.step.2 == Fold::Whole {
            for field in change.fields.iter().filter(|field| field.forces_replace) {
                text.push_str(&format!("; forced by {}{}", code(&field.path), both(field)));
            }
        }
        for taken in why::taken(&self.taken(change)) {
            let (what, names) = taken.split_once(": ").unwrap_or((&taken, ""));
            text.push_str(&format!("; **{what}**: {}", code(names)));
        }
        text
    }

    fn taken(&self, change: &Change) -> Vec<&Change> {
        let all = change.reason == Some(crate::engine::Reason::Destroyed);
        if all { vec![] } else { self.why.takes_down(change) }
    }

    /// By kind, for the smallest space.
    fn names(&self, destroyed: &[&Change], most: Option<usize>, text: &mut String) {
        let shown = &destroyed[..most.unwrap_or(destroyed.len()).min(destroyed.len())];
        let mut kinds: Vec<(&str, Action)> = vec![];
        for change in shown {
            let key = (&*change.address.kind, change.action);
            if !kinds.contains(&key) {
                kinds.push(key);
            }
        }
        for (kind, action) in kinds {
            let of_kind = shown.iter().filter(|change| *change.address.kind == *kind && change.action == action);
            let names: Vec<&str> = of_kind.map(|change| &*change.address.name).collect();
            let verb = if action == Action::Replace { "replace" } else { "delete" };
            text.push_str(&format!("> - **{verb}** {}: {}\n", code(kind), uncut(&names.join(" "))));
        }
        if shown.len() < destroyed.len() {
            let rest = why::per_kind(destroyed[shown.len()..].iter().copied());
            let number = destroyed.len() - shown.len();
            text.push_str(&format!("> - **and {number} more whose names do not fit here:** {}\n", code(&rest)));
        }
    }

    /// What was left out, and where it is to be had.
    fn folded(&self) -> String {
        let (creates, updates, destroyed) = self.step;
        let mut parts = vec![];
        let mut say = |fold: Fold, action: Action, changes: usize, what: &str, lines: &str| {
            let open = if fold == Fold::Lines { self.open_of(action) } else { 0 };
            let changes = changes - open;
            if fold > Fold::Whole && changes > 0 {
                let how = if fold == Fold::Lines { lines } else { "counted only" };
                parts.push(format!("{} {what} {how}", count(changes, "resource")));
            }
        };
        let counts = self.plan.counts();
        say(creates, Action::Create, counts.create, "to create", "on one line each");
        say(updates, Action::Update, counts.update, "to update", "on one line each");
        say(destroyed, Action::Replace, counts.replace, "to replace", "without what differs");
        if destroyed == Fold::Counts {
            parts.push("what is destroyed by name only".to_owned());
        }
        if parts.is_empty() {
            return String::new();
        }
        let parts = parts.join(", ");
        format!("\n**Folded to fit a comment:** {parts}. `--format text` and `--format json` have all of it.\n")
    }

    fn open_of(&self, action: Action) -> usize {
        let open = |change: &&Change| change.action == action && self.open.contains(&change.address);
        self.plan.changes.iter().filter(open).count()
    }

    fn phases(&self) -> Vec<Vec<std::sync::Arc<str>>> {
        let mut phases = vec![];
        for change in self.of(&[Action::Replace, Action::Delete, Action::Update, Action::Create]) {
            if !phases.contains(&change.phase) {
                phases.push(change.phase.clone());
            }
        }
        phases
    }

    fn phase(&self, phase: &[std::sync::Arc<str>]) -> String {
        let of = |action| -> Vec<&Change> {
            self.of(&[action]).into_iter().filter(|change| change.phase == *phase).collect()
        };
        let (mut counts, mut body, mut lines) = (vec![], String::new(), vec![]);
        let actions = [
            (Action::Delete, "delete", self.step.2),
            (Action::Replace, "replace", self.step.2),
            (Action::Update, "update", self.step.0.min(self.step.1)),
            (Action::Create, "create", self.step.0),
        ];
        for (action, verb, fold) in actions {
            let changes = of(action);
            if changes.is_empty() {
                continue;
            }
            counts.push(format!("{} to {verb}", changes.len()));
            let fold = if action == Action::Update { self.step.1 } else { fold };
            match fold {
                // Deletes are told above, whatever folds.
                _ if action == Action::Delete => {}
                Fold::Counts | Fold::Lines if action == Action::Replace => {}
                Fold::Whole | Fold::Lines => changes.iter().for_each(|change| {
                    lines.push(self.line(change));
                    if fold == Fold::Whole || self.open.contains(&change.address) {
                        lines.extend(self.details(change));
                    }
                }),
                Fold::Counts => {
                    let kinds = why::per_kind(changes.iter().copied());
                    body.push_str(&format!("{verb}: {}\n\n", code(&kinds)));
                }
            }
        }
        let name = if phase.is_empty() { "(no phase)".to_owned() } else { phase.join(" › ") };
        if !lines.is_empty() {
            body.push_str(&fenced("diff", &lines));
        }
        details(&format!("<code>{}</code>: {}", html(&name), counts.join(", ")), &body)
    }

    /// Reason, cause, place.
    fn heads(&self, change: &Change) -> Vec<String> {
        let reason = change.reason.as_ref().map(why::reason);
        let because = why::because(&self.why.because(change));
        reason.into_iter().chain(because).chain(change.site.as_ref().map(place)).collect()
    }

    fn line(&self, change: &Change) -> String {
        let sign = match change.action {
            Action::Create => "+",
            Action::Update => "!",
            Action::Delete | Action::Replace => "-",
            Action::None | Action::Orphan => " ",
        };
        let id = change.live.as_ref().map(|live| format!("  {}", live.id)).unwrap_or_default();
        let mut text = format!("{sign} {}{id}", change.address);
        if change.action == Action::Update && self.step.1 == Fold::Lines && !self.open.contains(&change.address) {
            let fields: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
            text.push_str(&format!("  {}", fields.join(", ")));
        }
        self.heads(change).iter().for_each(|part| text.push_str(&format!("  {part}")));
        text
    }

    fn listed(&self, changes: &[&Change]) -> String {
        if changes.is_empty() {
            return String::new();
        }
        if self.step.1 == Fold::Counts {
            return format!("{}\n\n", code(&why::per_kind(changes.iter().copied())));
        }
        let lines = changes.iter().flat_map(|change| {
            let notes = change.notes.iter().map(|note| format!("!     {note}"));
            std::iter::once(self.line(change)).chain(notes)
        });
        fenced("diff", &lines.collect::<Vec<_>>())
    }

    fn outputs(&self) -> String {
        if self.plan.outputs.is_empty() {
            return String::new();
        }
        let summary = count(self.plan.outputs.len(), "output");
        if self.step.1 == Fold::Counts {
            return details(&summary, "Too long to be told here.\n\n");
        }
        let mut lines = vec![];
        for output in &self.plan.outputs {
            let (first, rest) = value::block(&output.value, 100);
            lines.push(format!("{} = {first}", output.name).trim_end().to_owned());
            lines.extend(rest.into_iter().map(|line| format!("    {line}")));
        }
        details(&summary, &fenced("text", &lines))
    }
}

/// `: "a" → "b"`, as far as it may be shown and is short.
fn both(field: &FieldChange) -> String {
    if field.sensitive {
        return format!(": {}", code(SENSITIVE));
    }
    let side = |value: &Option<Value>| match value {
        Some(value) => code(&shortened(&value::inline(value), NARROW)),
        None => "*not set*".to_owned(),
    };
    format!(": {} → {}", side(&field.before), side(&field.after))
}

fn place(site: &Site) -> String {
    if site.line == 0 { site.file.to_string() } else { format!("{}:{}", site.file, site.line) }
}

#[cfg(test)]
#[path = "plan_markdown_tests.rs"]
mod tests;
