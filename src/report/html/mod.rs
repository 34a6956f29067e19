//! A plan, and the run that applied it, as one page: `--report FILE.html`.
//!
//! The page needs no network and no other file. All that an author or a provider wrote is data in it, and its script
//! puts it on the page as text only; a policy in the page forbids it to fetch anything.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::plan_diff;
use super::plan_json::{ChangeDocument, LeftOutDocument, OutputDocument, PlanDocument, PolicyDocument, StopDocument};
use super::plan_text;
use super::plan_value as value;
use super::recovered;
use super::screen::Screen;
use super::sink::Sink;
use super::why::{self, Why};
use crate::diagnostic::Diagnostic;
use crate::engine::{Change, Counts, Plan};
use crate::event::{Event, Reader, Stamped};
use crate::private_file;
use crate::secret::Secrets;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 4] =
    [include_str!("page.js"), include_str!("graph.js"), include_str!("timeline.js"), include_str!("start.js")];

/// How many fields of one change are shown.
const FIELDS: usize = 400;
/// How much of one line.
const WIDE: usize = 4000;

/// A page that is written with every plan, so that it can be looked at before the answer, and at the end of the run.
#[derive(Clone)]
pub struct Page {
    file: PathBuf,
    state: Arc<Mutex<State>>,
    secrets: Secrets,
}

/// The process's page is not as it should be: its last writing failed.
static UNWRITTEN: AtomicBool = AtomicBool::new(false);

pub fn is_unwritten() -> bool {
    UNWRITTEN.load(Ordering::Relaxed)
}

#[derive(Default)]
struct State {
    plans: Vec<PlanData>,
    events: Vec<Stamped>,
}

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    version: &'static str,
    plans: &'a [PlanData],
    events: &'a [Stamped],
}

#[derive(Serialize)]
struct PlanData {
    stack: String,
    counts: Counts,
    empty: bool,
    changes: Vec<ChangeData>,
    outputs: Vec<OutputData>,
    stop: Option<StopDocument>,
    policies: Vec<PolicyDocument>,
    left_out: Vec<LeftOutDocument>,
    /// For who reads it where no script runs.
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct ChangeData {
    #[serde(flatten)]
    document: ChangeDocument,
    /// Reason and cause in words.
    why: Vec<String>,
    /// Sign and text of each line of the difference.
    lines: Vec<(char, String)>,
}

#[derive(Serialize)]
struct OutputData {
    name: String,
    value: String,
    known: bool,
}

impl Page {
    /// A page that is going to be at this place; it must be possible to write there.
    pub fn at(file: &Path, secrets: &Secrets) -> Result<Self, Box<Diagnostic>> {
        let page = Page { file: file.to_owned(), state: Arc::default(), secrets: secrets.clone() };
        private_file::can_write(file).map_err(|error| {
            let told = Diagnostic::error(format!("cannot write the report {}", file.display()));
            Box::new(
                told.because(error.to_string()).hint("`--report` takes the path of a file in a folder that exists"),
            )
        })?;
        Ok(page)
    }

    /// Adds a plan; a later one is a later stage of the same run.
    pub fn plan(&self, plan: &Plan) {
        let data = PlanData::from(&*self.secrets.mask_data(plan));
        self.state.lock().expect("no holder panics").plans.push(data);
        self.write();
    }

    fn write(&self) {
        let state = self.state.lock().expect("no holder panics");
        let text = draw(
            &Data { version: env!("CARGO_PKG_VERSION"), plans: &state.plans, events: &state.events },
            &self.secrets,
        );
        let written = private_file::write(&self.file, text.as_bytes());
        UNWRITTEN.store(written.is_err(), Ordering::Relaxed);
        if let Err(error) = written {
            let told = format!("error: the report {} could not be written: {error}\n", self.file.display());
            Sink::stderr().masking(self.secrets.clone()).put(told);
        }
    }
}

/// The events of the run, as they come; the last one writes the page.
impl Reader for Page {
    fn read(&mut self, event: &Stamped) {
        let last = matches!(event.event, Event::RunFinished { .. });
        if !matches!(event.event, Event::Listed { .. } | Event::Waiting { .. }) {
            self.state.lock().expect("no holder panics").events.push(event.clone());
        }
        // Said in words, among what else there is to be said.
        if let Some(told) = recovered::told(&event.event) {
            let told = Event::Told { diagnostic: Box::new(Diagnostic::warning(told)) };
            self.state.lock().expect("no holder panics").events.push(Stamped { at: event.at, event: told });
        }
        if last {
            self.write();
        }
    }
}

fn draw(data: &Data, secrets: &Secrets) -> String {
    let mut json = serde_json::to_value(data).unwrap_or_default();
    secrets.mask_json(&mut json);
    // In data of a page nothing may look like a tag or an entity.
    let json = json.to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let plain: Vec<String> = data.plans.iter().map(|plan| escaped(&secrets.mask(&plan.text))).collect();
    let parts = [
        ("/*style*/", STYLE.to_owned()),
        ("/*plain*/", plain.join("\n")),
        ("/*script*/", SCRIPTS.join("\n")),
        ("/*data*/", json),
    ];
    let mut page = String::new();
    let mut rest = PAGE;
    // Each place once, and nothing that was put in is looked through again.
    while let Some((at, (place, text))) =
        parts.iter().filter_map(|part| Some((rest.find(part.0)?, part))).min_by_key(|(at, _)| *at)
    {
        page.push_str(&rest[..at]);
        page.push_str(text);
        rest = &rest[at + place.len()..];
    }
    page + rest
}

/// Text of a page, in which nothing looks like a tag.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl From<&Plan> for PlanData {
    fn from(plan: &Plan) -> Self {
        let why = Why::of(plan);
        let document = PlanDocument::from(plan);
        let PlanDocument { stack, counts, empty, changes, outputs, stop, policies, left_out, .. } = document;
        let changes = plan.changes.iter().zip(changes).map(|(change, document)| of_change(change, document, &why));
        let output = |(planned, document): (_, OutputDocument)| OutputData {
            name: document.name,
            value: said(planned),
            known: document.known,
        };
        let values = plan.outputs.iter().map(|output| &output.value);
        PlanData {
            stack,
            counts,
            empty,
            changes: changes.collect(),
            outputs: values.zip(outputs).map(output).collect(),
            stop,
            policies,
            left_out,
            text: plan_text::draw(plan, &Screen::plain(), false),
        }
    }
}

fn of_change(change: &Change, mut document: ChangeDocument, why: &Why) -> ChangeData {
    let lines = plan_diff::lines(change, FIELDS).into_iter().map(|line| (line.sign(), cut(line.text)));
    let reason = change.reason.as_ref().map(why::reason);
    let words = reason.into_iter().chain(why::because(&why.because(change))).collect();
    // The lines tell it; twice would double the page.
    document.fields.clear();
    document.notes.clear();
    ChangeData { document, why: words, lines: lines.collect() }
}

fn said(value: &crate::resource::Value) -> String {
    let (first, rest) = value::block(value, 100);
    cut(std::iter::once(first).chain(rest).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(WIDE) {
        Some((at, _)) => format!("{}… ({} more characters)", &text[..at], text[at..].chars().count()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_data_cannot_end_the_script_that_holds_it() {
        let mut plan = example::plan();
        plan.changes[0].fields.push(example::field("note", None, Some("</pre><img src=x>".into())));
        plan.stack = "</script><img src=x onerror=alert(1)>&lt;/*script*/\u{2028}".into();
        let plans = [PlanData::from(&plan)];
        let page = draw(&Data { version: "0", plans: &plans, events: &[] }, &Secrets::default());
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("<img") && page.contains("&lt;img"));
        let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["plans"][0]["stack"], plan.stack);
        // Neither what is sensitive nor a place that is left open.
        assert!(!page.contains("hunter2") && !page.contains("/*style*/") && !page.contains("/*data*/"));
    }

    #[test]
    fn a_known_secret_is_not_in_the_page() {
        let secrets = Secrets::default();
        secrets.learn("password", "NOTAREAL-correct-horse");
        let mut plan = example::plan();
        let long = format!("{}NOTAREAL-correct-horse", "x".repeat(WIDE - 20));
        plan.changes[0].fields.push(example::field("note", None, Some(long.into())));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.html");
        let page = Page::at(&file, &secrets).unwrap();
        page.plan(&plan);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("(secr") && !text.contains("NOTAREAL"), "{}", text.len());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        assert!(Page::at(folder.path(), &secrets).is_err());
    }
}
