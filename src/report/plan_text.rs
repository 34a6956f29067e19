//! The plan on a terminal: what is destroyed first, then what is changed, then what is new.

use std::fmt::Write;

use super::plan_estimate;
use super::plan_value::{self as value, Delta, SENSITIVE};
use super::screen::{Ink, Screen, count};
use super::why::{self, Knowledge, Why};
use super::yaml::{self, Mark};
use crate::diagnostic::Site;
use crate::engine::{Action, Change, FieldChange, Plan, Reason};
use crate::resource::{ReplaceOrder, Value};

/// The whole plan as text, with a newline at its end.
pub fn draw(plan: &Plan, screen: &Screen, verbose: bool) -> String {
    let (ink, width) = (Ink(screen.colour), screen.width.clamp(60, 140));
    let mut page = Page { ink, width, verbose, why: Why::of(plan), text: String::new() };
    let of = |actions: &[Action]| -> Vec<&Change> {
        plan.changes.iter().filter(|change| actions.contains(&change.action)).collect()
    };
    let destroyed = of(&[Action::Delete, Action::Replace]);
    let title = format!("Destroys {}:", count(destroyed.len(), "resource"));
    page.section(&page.ink.alarm(title), &destroyed);
    let updated = of(&[Action::Update]);
    page.section(&page.ink.bold(format!("Updates {}:", count(updated.len(), "resource"))), &updated);
    let created = of(&[Action::Create]);
    page.section(&page.ink.bold(format!("Creates {}:", count(created.len(), "resource"))), &created);
    let orphans = of(&[Action::Orphan]);
    page.section(&page.ink.bold("Not declared any more (kept; --prune deletes them):"), &orphans);
    // An adoption or a rename changes only the ownership; it is not "unchanged" to whoever reviews it.
    let (owned, same): (Vec<&Change>, Vec<&Change>) = of(&[Action::None]).into_iter().partition(|c| c.reason.is_some());
    page.section(&page.ink.bold("Changes only in whose it is:"), &owned);
    if verbose {
        page.section(&page.ink.bold("Unchanged:"), &same);
    }
    page.left_out(plan);
    page.outputs(plan);
    page.stop(plan);
    page.parts(plan);
    page.estimate(plan);
    page.total(plan);
    page.text
}

/// What is made with more fields than this is shown by the first few: the schema of a definition.
const MANY: usize = 300;
const SOME: usize = 20;

/// A plan with no more changes than this can be counted by eye.
const FEW: usize = 8;

struct Page<'a> {
    ink: Ink,
    width: usize,
    verbose: bool,
    why: Why<'a>,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    fn section(&mut self, title: &str, changes: &[&Change]) {
        if changes.is_empty() {
            return;
        }
        self.line(title);
        let widest = changes.iter().map(|change| head(change).chars().count()).max().unwrap_or(0);
        let mut phase: &[_] = &[];
        let mut roomy = true;
        for change in changes {
            let lines = self.fields(change);
            if change.phase != phase {
                phase = &change.phase;
                self.line("");
                let name = phase.join(" › ");
                self.line(format!("  {}", self.ink.dim(if name.is_empty() { "(no phase)" } else { &name })));
            } else if roomy || !lines.is_empty() {
                self.line("");
            }
            roomy = !lines.is_empty();
            self.head(change, widest.min(self.width / 2));
            lines.iter().for_each(|line| self.line(format!("        {line}")));
        }
        self.line("");
    }

    /// `  + aws::subnet.private-a    playbooks/phases/network.rhai:12`
    fn head(&mut self, change: &Change, width: usize) {
        let head = head(change);
        let room = width.saturating_sub(head.chars().count());
        let mut notes: Vec<String> = vec![];
        notes.extend(change.reason.as_ref().map(|reason| self.ink.yellow(why::reason(reason))));
        notes.extend(why::because(&self.why.because(change)).map(|because| self.ink.yellow(because)));
        if let Some(site) = &change.site {
            notes.push(self.ink.dim(place(site)));
        }
        let (sign, name) = head.split_at(head.find(' ').unwrap_or(0));
        let sign = match change.action {
            Action::Create => self.ink.green(format!("{sign:>3}")),
            Action::Update => self.ink.yellow(format!("{sign:>3}")),
            Action::Delete | Action::Replace => self.ink.alarm(format!("{sign:>3}")),
            Action::None | Action::Orphan => format!("{sign:>3}"),
        };
        self.line(format!("  {sign}{}{:room$}  {}", self.ink.bold(name), "", notes.join("  ")));
    }

    /// The lines below a change; none where its name says it all.
    fn fields(&self, change: &Change) -> Vec<String> {
        let quiet = matches!(change.action, Action::Delete | Action::Orphan | Action::None);
        // Where everything goes nothing goes because of something else.
        let taken = if change.reason == Some(Reason::Destroyed) { vec![] } else { self.why.takes_down(change) };
        let taken = why::taken(&taken).into_iter().map(|line| self.ink.alarm(line));
        let notes = change.notes.iter().map(|note| self.ink.yellow(format!("! {note}")));
        if quiet && !self.verbose {
            // Why something is left alone.
            let stays = change.action == Action::Orphan || change.reason == Some(Reason::Destroyed);
            let notes: Vec<String> = notes.filter(|_| stays).collect();
            return taken.chain(notes).collect();
        }
        let widest = change.fields.iter().map(|field| field.path.chars().count()).max().unwrap_or(0);
        let single = matches!(change.action, Action::Create) || quiet;
        let draw = |field: &FieldChange| self.field(change, field, widest.min(28), single);
        let mut lines: Vec<String> = match change.fields.as_slice() {
            all if single && yaml::is_object(change) => self.object(all),
            many if single && !self.verbose && many.len() > MANY => {
                let rest = self.ink.dim(format!("… and {} more fields (--verbose)", many.len() - SOME));
                many[..SOME].iter().flat_map(draw).chain([rest]).collect()
            }
            all => all.iter().flat_map(draw).collect(),
        };
        lines.extend(taken);
        lines.extend(notes);
        lines
    }

    /// An object that is made, or is lost, as the YAML that it is.
    fn object(&self, fields: &[FieldChange]) -> Vec<String> {
        let shown = if !self.verbose && fields.len() > MANY { &fields[..SOME] } else { fields };
        let lines = yaml::lines(shown).into_iter().map(|line| match line.mark {
            Mark::Same => self.ink.dim(line.text),
            Mark::Added | Mark::Removed | Mark::Note => self.shade(&line.text),
        });
        let rest = fields.len() - shown.len();
        let rest = (rest > 0).then(|| self.ink.dim(format!("# … and {rest} more fields (--verbose)")));
        lines.chain(rest).collect()
    }

    fn field(&self, change: &Change, field: &FieldChange, widest: usize, single: bool) -> Vec<String> {
        let name = format!("{}:{:pad$}", field.path, "", pad = widest.saturating_sub(field.path.chars().count()));
        let forces = match (field.forces_replace, field.restarts) {
            (true, _) => format!("  {}", self.ink.alarm("# forces replacement")),
            (false, true) => format!("  {}", self.ink.alarm("# stops and starts it")),
            (false, false) => String::new(),
        };
        let from = match Why::knowledge(change, field) {
            (Knowledge::Predicted, from) if !single || self.verbose => {
                let from: Vec<String> = from.iter().map(ToString::to_string).collect();
                format!("  {}", self.ink.dim(format!("# as planned: {}", from.join(", "))))
            }
            _ => String::new(),
        };
        let sign = match (single, &field.before, &field.after) {
            (true, ..) => String::new(),
            (_, None, _) => format!("{} ", self.ink.green("+")),
            (_, _, None) => format!("{} ", self.ink.red("-")),
            _ => format!("{} ", self.ink.yellow("~")),
        };
        let room = self.width.saturating_sub(12 + widest);
        let (first, rest) = match (&field.before, &field.after) {
            _ if field.sensitive => (SENSITIVE.to_owned(), vec![]),
            (Some(before), Some(after)) if !single => self.both(before, after, room),
            (_, Some(only)) | (Some(only), None) => value::block(only, room),
            (None, None) => (String::new(), vec![]),
        };
        let mut lines = vec![format!("{sign}{name} {}{forces}{from}", self.shade(&first)).trim_end().to_owned()];
        lines.extend(rest.into_iter().map(|line| format!("    {}", self.shade(&line))));
        lines
    }

    fn both(&self, before: &Value, after: &Value, room: usize) -> (String, Vec<String>) {
        let deltas = value::deltas(before, after);
        if !deltas.is_empty() {
            let draw = |delta: Delta| match delta {
                Delta::Added(line) => self.ink.green(format!("+ {line}")),
                Delta::Removed(line) => self.ink.red(format!("- {line}")),
                Delta::Same(line) => self.ink.dim(format!("  {line}")),
            };
            return (String::new(), deltas.into_iter().map(draw).collect());
        }
        let (old, new) = (value::inline(before), value::inline(after));
        if old.chars().count() + new.chars().count() + 4 <= room {
            return (format!("{old} -> {new}"), vec![]);
        }
        (String::new(), vec![self.ink.red(format!("- {old}")), self.ink.green(format!("+ {new}"))])
    }

    /// What is not said is said quietly.
    fn shade(&self, line: &str) -> String {
        if !self.ink.0 {
            return line.to_owned();
        }
        let mut dimmed = String::new();
        let mut rest = line;
        while let Some(start) = rest.find(value::UNKNOWN) {
            let end = rest[start..].find(')').map_or(rest.len(), |length| start + length + 1);
            dimmed.push_str(&rest[..start]);
            dimmed.push_str(&self.ink.dim(&rest[start..end]));
            rest = &rest[end..];
        }
        dimmed.push_str(rest);
        dimmed.replace(SENSITIVE, &self.ink.dim(SENSITIVE))
    }

    /// What this plan does not know of.
    fn left_out(&mut self, plan: &Plan) {
        if plan.left_out.is_empty() {
            return;
        }
        self.line(self.ink.bold("Left out of this plan:"));
        self.line("");
        for one in &plan.left_out {
            let why = self.ink.yellow(&one.why);
            self.line(format!("  {}  {why}  {}", one.address, self.ink.dim(place(&one.site))));
        }
        self.line("");
    }

    fn outputs(&mut self, plan: &Plan) {
        if plan.outputs.is_empty() {
            return;
        }
        self.line(self.ink.bold("Outputs:"));
        self.line("");
        let widest = plan.outputs.iter().map(|output| output.name.chars().count()).max().unwrap_or(0);
        for output in &plan.outputs {
            let room = self.width.saturating_sub(6 + widest);
            let (first, rest) = value::block(&output.value, room);
            let line = format!("  {:widest$} = {first}", output.name);
            self.line(self.shade(&line));
            rest.iter().for_each(|line| self.line(format!("      {}", self.shade(line))));
        }
        self.line("");
    }

    fn stop(&mut self, plan: &Plan) {
        let Some(stop) = &plan.stop else { return };
        let names: Vec<String> = stop.references.iter().map(|reference| format!("`{reference}`")).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        let mut text = format!("The rest follows once {} {verb} known ({})", names.join(", "), stop.site);
        if let Some(because) = &stop.because {
            let _ = write!(text, ": {because}");
        }
        self.line(self.ink.yellow(text + "."));
        self.line("");
    }

    fn estimate(&mut self, plan: &Plan) {
        if let Some(line) = plan.estimate.as_ref().and_then(|known| plan_estimate::line(known, self.verbose)) {
            self.wrapped(&line, " → ");
            self.line("");
        }
    }

    /// On as many lines as it takes.
    fn wrapped(&mut self, text: &str, between: &str) {
        let mut line = String::new();
        for part in text.split_inclusive(between) {
            if !line.is_empty() && line.chars().count() + part.trim_end().chars().count() > self.width {
                self.line(line.trim_end());
                line = "  ".to_owned();
            }
            line.push_str(part);
        }
        self.line(line);
    }

    /// How many of each kind and in each phase, where that cannot be seen at a glance.
    fn parts(&mut self, plan: &Plan) {
        let doing = [
            (Action::Delete, "delete"),
            (Action::Replace, "replace"),
            (Action::Update, "update"),
            (Action::Create, "create"),
        ];
        let changing = || plan.changes.iter().filter(|change| doing.iter().any(|(action, _)| *action == change.action));
        if changing().count() <= FEW {
            return;
        }
        for (action, verb) in doing {
            let kinds = why::per_kind(changing().filter(|change| change.action == action));
            self.part(verb, &kinds);
        }
        let mut phases: Vec<&[_]> = vec![];
        for change in changing() {
            if !phases.contains(&change.phase.as_slice()) {
                phases.push(&change.phase);
            }
        }
        if phases.iter().any(|phase| !phase.is_empty()) {
            let told = phases.iter().map(|phase| {
                let numbers = doing.iter().filter_map(|(action, verb)| {
                    let number = changing().filter(|c| c.phase == *phase && c.action == *action).count();
                    (number > 0).then(|| format!("{verb} {number}"))
                });
                let name = if phase.is_empty() { "(no phase)".to_owned() } else { phase.join(" › ") };
                format!("{name}: {}", numbers.collect::<Vec<_>>().join(" "))
            });
            self.part("phases", &told.collect::<Vec<_>>().join(", "));
        }
        self.line("");
    }

    /// `  create   12 aws::subnet, …`, on as many lines as it takes.
    fn part(&mut self, name: &str, text: &str) {
        let mut line = String::new();
        let mut head = name;
        for part in text.split_inclusive(", ") {
            if !line.is_empty() && line.chars().count() + part.trim_end().chars().count() > self.width - 12 {
                self.line(format!("  {}{line}", self.ink.dim(format!("{head:<9}"))));
                (line, head) = (String::new(), "");
            }
            line.push_str(part);
        }
        if !line.is_empty() {
            self.line(format!("  {}{line}", self.ink.dim(format!("{head:<9}"))));
        }
    }

    fn total(&mut self, plan: &Plan) {
        let counts = plan.counts();
        let only_owned = plan.changes.iter().filter(|c| c.action == Action::None && c.reason.is_some()).count();
        if plan.is_empty() && only_owned == 0 && plan.stop.is_none() {
            let said = if counts.unchanged == 1 { "resource is as" } else { "resources are as" };
            return match counts.unchanged {
                0 if counts.orphans == 0 => {
                    self.line(format!("Nothing to do: stack `{}` has no resources.", plan.stack))
                }
                n if counts.orphans > 0 => self.line(format!(
                    "Nothing to do: {n} {said} declared, and {} kept though not declared.",
                    counts.orphans
                )),
                n => self.line(format!("Nothing to do: {n} {said} declared.")),
            };
        }
        let mut parts: Vec<String> = [
            (counts.create, "to create"),
            (counts.update, "to update"),
            (counts.replace, "to replace"),
            (counts.delete, "to delete"),
        ]
        .iter()
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
        parts.push(format!("{} unchanged", counts.unchanged));
        if counts.orphans > 0 {
            parts.push(format!("{} kept though not declared", counts.orphans));
        }
        self.line(format!("{} {}.", self.ink.bold("Plan:"), parts.join(", ")));
    }
}

fn place(site: &Site) -> String {
    if site.line == 0 { site.file.to_string() } else { format!("{}:{}", site.file, site.line) }
}

/// Sign, address, and the id of what exists.
fn head(change: &Change) -> String {
    let sign = match change.action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace if change.options.replace == ReplaceOrder::CreateFirst => "+/-",
        Action::Replace => "-/+",
        Action::Delete => "-",
        Action::None | Action::Orphan => ".",
    };
    // An id of kind and name says nothing that the address does not.
    let said = |id: &str| {
        let kind = change.address.kind.rsplit("::").next().unwrap_or_default();
        let named = id.split_once(':').is_some_and(|(_, rest)| rest.starts_with(kind));
        named && id.ends_with(&format!("/{}", change.address.name))
    };
    match change.live.as_ref().filter(|live| change.action != Action::None && !said(&live.id)) {
        Some(live) => format!("{sign} {}  {}", change.address, live.id),
        None => format!("{sign} {}", change.address),
    }
}

#[cfg(test)]
#[path = "plan_text_tests.rs"]
mod tests;
