//! The only place that prints. It reads plans, diagnostics and events, and knows neither Rhai nor a provider.
//!
//! Plans, outputs and JSON go to stdout; progress, prompts and diagnostics to stderr. What the screens can do comes
//! in as a [`Look`]; nothing below asks the system, so that a test compares the exact text.

pub mod board;
pub mod diagnostics;
pub mod html;
mod markdown;
mod plan_diff;
pub mod plan_estimate;
pub mod plan_json;
pub mod plan_markdown;
pub mod plan_text;
pub mod plan_value;
pub mod progress;
pub mod recovered;
pub mod reference;
pub mod screen;
pub mod sink;
pub mod summary;
mod unfinished;
mod why;
pub mod yaml;

#[cfg(test)]
mod example;

use std::io::BufRead;
use std::sync::Mutex;

use jiff::Timestamp;
use serde::Serialize;

pub use plan_json::PlanDocument;
pub use screen::{Look, Screen};
pub use sink::{Buffer, JsonLines, Sink};
pub use summary::Tally;

use crate::diagnostic::{Diagnostic, Sources};
use crate::engine::Plan;
use crate::event::{Event, Reader, Stamped};
use crate::resource::Value;
use crate::secret::Secrets;

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A person.
    Text,
    /// A review of a change: a comment below a pull request.
    Markdown,
    /// A program that wants one document: a plan, or outputs.
    Json,
    /// A program that follows a run: one line per event, the plan among them.
    JsonLines,
}

/// What somebody said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// Nobody is there to ask.
    NoTerminal,
}

/// All that a command says goes through here.
pub struct Report {
    pub format: Format,
    pub stdout: Sink,
    pub stderr: Sink,
    pub look: Look,
    pub sources: Sources,
    /// Where answers come from; `None` if stdin is not a terminal.
    pub stdin: Option<Mutex<Box<dyn BufRead + Send>>>,
    /// `--report FILE`
    pub page: Option<html::Page>,
}

impl Report {
    /// The process's own streams.
    pub fn of_process(format: Format, verbose: bool, sources: Sources, secrets: &Secrets) -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let stdin = terminal.then(|| Mutex::new(Box::new(std::io::BufReader::new(std::io::stdin())) as Box<_>));
        let look = Look::detect(verbose);
        let (stdout, stderr) = (Sink::stdout().masking(secrets.clone()), Sink::stderr().masking(secrets.clone()));
        Report { format, stdout, stderr, look, sources, stdin, page: None }
    }

    /// Streams of a test, with nobody watching.
    pub fn buffered(format: Format, sources: Sources) -> (Self, Buffer, Buffer) {
        let (out, err) = (Buffer::default(), Buffer::default());
        let (stdout, stderr) = (Sink::new(out.clone()), Sink::new(err.clone()));
        (Report { format, stdout, stderr, look: Look::plain(), sources, stdin: None, page: None }, out, err)
    }

    pub fn plan(&self, plan: &Plan) {
        if let Some(page) = &self.page {
            page.plan(plan);
        }
        match self.format {
            Format::Text => self.stdout.put(plan_text::draw(plan, &self.look.out, self.look.verbose)),
            Format::Markdown => self.stdout.put(plan_markdown::draw(&self.masked(plan), plan_markdown::BUDGET)),
            Format::Json => self.document(&PlanDocument::from(plan)),
            Format::JsonLines => self.json_line("plan", &PlanDocument::from(plan)),
        }
    }

    /// Without any secret that is known: where lines are cut, half of one would not be recognised.
    fn masked<'a>(&self, plan: &'a Plan) -> std::borrow::Cow<'a, Plan> {
        self.stdout.secrets().mask_data(plan)
    }

    /// For a command without events; where there are some, `Event::Told` says it to all who read them.
    pub fn diagnostic(&self, diagnostic: &Diagnostic) {
        self.stderr.put(diagnostics::draw(diagnostic, &self.sources, &self.look.err));
    }

    /// The document of a command that was to give one and cannot; people have been told.
    pub fn no_document(&self, diagnostics: &[Diagnostic]) {
        match self.format {
            Format::Json => self
                .document(&plan_json::RefusalDocument { format: plan_json::FORMAT, diagnostics: diagnostics.to_vec() }),
            Format::Markdown => self.stdout.put(plan_markdown::refusal(diagnostics)),
            Format::Text | Format::JsonLines => {}
        }
    }

    /// All that a check found, as one document.
    pub fn findings(&self, diagnostics: &[Diagnostic]) {
        #[derive(Serialize)]
        struct Findings<'a> {
            format: u32,
            diagnostics: &'a [Diagnostic],
        }
        self.document(&Findings { format: plan_json::FORMAT, diagnostics });
    }

    /// A line for a person, beside the matter: "saved the plan to …".
    pub fn note(&self, text: &str) {
        self.stderr.put(format!("{text}\n"));
    }

    /// What shows a run as it goes; to be added to its events.
    pub fn reader(&self) -> Box<dyn Reader> {
        let (sources, screen) = (self.sources.clone(), self.look.err);
        let lines = || progress::Lines::new(self.stderr.clone(), sources.clone(), screen);
        match self.format {
            Format::JsonLines => Box::new(Program { lines: JsonLines(self.stdout.clone()), person: lines() }),
            _ if screen.terminal => Box::new(progress::Bars::new(console::Term::stderr(), sources, screen)),
            _ => Box::new(lines()),
        }
    }

    /// Asks, and takes nothing but `yes` for a yes.
    pub fn ask(&self, question: &str) -> Answer {
        let Some(stdin) = self.stdin.as_ref().filter(|_| self.look.err.terminal) else { return Answer::NoTerminal };
        let question = screen::Ink(self.look.err.colour).bold(question);
        self.stderr.put(format!("\n{question} Only `yes` is accepted: "));
        let mut line = String::new();
        let read = stdin.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).read_line(&mut line);
        match read {
            Ok(_) if line.trim() == "yes" => Answer::Yes,
            _ => Answer::No,
        }
    }

    /// After an apply; programs have had the events.
    pub fn summary(&self, tally: &Tally) {
        if self.format != Format::JsonLines {
            self.stderr.put(format!("\n{}", tally.draw(&self.sources, &self.look.err)));
        }
    }

    /// The same where the run ends at once; without a tally before anything was changed.
    pub fn cut_short(&self, tally: Option<&Tally>) {
        match tally {
            Some(tally) => self.summary(tally),
            // Below what a terminal shows of the question, or of the keys.
            None => self
                .note(&format!("{}Interrupted: nothing was changed.", if self.look.err.terminal { "\n" } else { "" })),
        }
        if tally.is_some_and(Tally::is_at_rest) {
            self.note("Nothing further was changed.");
        }
    }

    /// What became of something that an earlier run left, for whoever reads nothing but the plan.
    pub fn found(&self, event: &Event) {
        if let (Format::Markdown, Some(told)) = (self.format, recovered::told(event)) {
            self.stdout.put(format!("> {told}\n\n"));
        }
    }

    /// After a run.
    pub fn outputs(&self, outputs: &[(String, Value)]) {
        if self.format == Format::Text {
            self.stdout.put("\n");
        }
        self.only_outputs(outputs);
    }

    /// Where nothing else is told.
    pub fn only_outputs(&self, outputs: &[(String, Value)]) {
        let json = || -> serde_json::Map<String, serde_json::Value> {
            outputs.iter().map(|(name, value)| (name.clone(), plan_json::shown(value))).collect()
        };
        match self.format {
            Format::Text | Format::Markdown => self.stdout.put(summary::outputs(outputs, &self.look.out)),
            Format::Json => self.document(&json()),
            Format::JsonLines => self.json_line("outputs", &serde_json::json!({ "outputs": json() })),
        }
    }

    /// One value for a script: a text as it is, all else as JSON on one line.
    pub fn value(&self, value: &Value) {
        match self.format {
            Format::Text | Format::Markdown => self.stdout.put(format!("{value}\n")),
            Format::Json | Format::JsonLines => self.document(&plan_json::shown(value)),
        }
    }

    /// Any other document a command gives out as JSON.
    pub fn document(&self, document: &impl Serialize) {
        match serde_json::to_string_pretty(document) {
            Ok(json) => self.stdout.put(json + "\n"),
            Err(error) => self.stderr.put(format!("error: failed to write JSON: {error}\n")),
        }
    }

    fn json_line(&self, event: &'static str, document: &impl Serialize) {
        #[derive(Serialize)]
        struct Line<'a, T> {
            at: Timestamp,
            event: &'static str,
            #[serde(flatten)]
            document: &'a T,
        }
        let _ = JsonLines(self.stdout.clone()).put(&Line { at: Timestamp::now(), event, document });
    }
}

/// Events for a program; what went wrong also for the person who started it.
struct Program {
    lines: JsonLines<Sink>,
    person: progress::Lines<Sink>,
}

impl Reader for Program {
    fn read(&mut self, event: &Stamped) {
        self.lines.read(event);
        if matches!(event.event, Event::Told { .. }) {
            self.person.read(event);
        }
    }
}

/// A boxed reader is a reader, so that `Events::add` takes what [`Report::reader`] gives.
impl Reader for Box<dyn Reader> {
    fn read(&mut self, event: &Stamped) {
        (**self).read(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(line: &'static str) -> (Answer, String) {
        let (mut report, _, err) = Report::buffered(Format::Text, Sources::default());
        report.look.err.terminal = true;
        report.stdin = Some(Mutex::new(Box::new(line.as_bytes())));
        (report.ask("Apply these changes?"), err.text())
    }

    #[test]
    fn only_yes_is_a_yes() {
        assert_eq!(answered("yes\n"), (Answer::Yes, "\nApply these changes? Only `yes` is accepted: ".into()));
        assert_eq!(answered("y\n").0, Answer::No);
        assert_eq!(answered("").0, Answer::No);
        let (report, _, err) = Report::buffered(Format::Text, Sources::default());
        assert_eq!((report.ask("Apply?"), err.text()), (Answer::NoTerminal, String::new()));
    }

    #[test]
    fn programs_read_lines_and_people_a_plan() {
        let (report, out, err) = Report::buffered(Format::JsonLines, Sources::default());
        report.plan(&example::plan());
        let event = Event::Told { diagnostic: Box::new(Diagnostic::warning("it is old")) };
        report.reader().read(&Stamped { at: Timestamp::now(), event });
        report.outputs(&[("id".into(), "vpc-1".into())]);
        let lines: Vec<serde_json::Value> =
            out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["event"], "plan");
        assert_eq!(lines[0]["format"], 1);
        assert_eq!(lines[1]["event"], "told");
        assert_eq!(lines[2]["outputs"]["id"], "vpc-1");
        assert_eq!(err.text(), "warning: it is old\n");

        let (report, out, _) = Report::buffered(Format::Json, Sources::default());
        report.no_document(&[Diagnostic::error("it is broken")]);
        let document: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!((&document["format"], &document["diagnostics"][0]["summary"]), (&1.into(), &"it is broken".into()));

        let (report, out, _) = Report::buffered(Format::Text, Sources::default());
        report.plan(&example::plan());
        assert!(out.text().starts_with("Destroys 2 resources:\n"));
    }
}
