//! What every command on a stack needs: its inventory, its provider, its voice.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::args::{Format, ReviewArgs, ShowArgs, StackArgs};
use super::ending::{Ending, end};
use super::history;
use super::journals;
use super::locks::{self, Locks};
use super::place::{SANDBOX, project_root};
use super::plan_file::PlanFile;
use super::ready::{Access, Ready};
use super::record::Record;
use super::recovery::Recovery;
use super::review::Review;
use super::signals::Signals;
use crate::diagnostic::{Diagnostic, Diagnostics, Site, Sources};
use crate::engine::journal::{Journal, Whose};
use crate::engine::lock::Lease;
use crate::engine::wait::Looks;
use crate::engine::{self, Forecast, History, Limiter, Outcome, Plan, Tools, World};
use crate::event::{Event, Events};
use crate::inventory::Inventory;
use crate::report::{self, Report, Tally};
use crate::resource::{Evaluation, Live, Map, Oracle, Provider};
use crate::script::{self, Script};
use crate::secret::{Secrets, Source};
use crate::template::Templates;

/// One command on one stack.
pub struct Session {
    pub report: Arc<Report>,
    pub events: Events,
    pub tally: Tally,
    pub inventory: Inventory,
    pub secrets: Secrets,
    pub provider: Arc<dyn Provider>,
    pub(super) review: Review,
    pub playbook: PathBuf,
    pub root: PathBuf,
    /// The file of the sandbox that stands in for the outside.
    pub sandbox: Option<PathBuf>,
    pub(super) run: String,
    pub(super) command: String,
    record: Record,
    pub(super) signals: Signals,
    /// What is asked of the provider in this run, all of it.
    limiter: Limiter,
    started: Instant,
    pub(super) locks: Option<Locks>,
    /// Where the lock of this checkout is.
    pub(super) lock_folder: PathBuf,
    /// It may change something.
    pub(super) writes: bool,
    /// Where the run is recorded, once it changes something.
    pub(super) folder: Option<PathBuf>,
    pub(super) recovery: Recovery,
    /// What the stages so far made, and runs shortly before.
    pub(super) made: Vec<Arc<Live>>,
    /// An earlier stage has been applied.
    pub applied: bool,
}

impl Session {
    /// Opens a session, or tells why not. No provider of one that only reads changes anything.
    pub fn open(args: &StackArgs, command: &str, access: Access) -> Result<Session, u8> {
        Session::open_for(args, command, access, &ReviewArgs::default())
    }

    /// The same; a dry run may rest on something else than the world as it is.
    pub fn open_for(args: &StackArgs, command: &str, access: Access, review: &ReviewArgs) -> Result<Session, u8> {
        let playbook = args.playbook.clone().expect("clap requires it");
        let name = match &args.inventory {
            Some(name) => name.clone(),
            None => playbook.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let start = Start {
            format: args.format,
            verbose: args.verbose,
            command,
            access,
            sandbox: args.sandbox.is_some(),
            page: args.report.as_deref(),
        };
        Self::begin(start, &playbook, &name, |sources, secrets| {
            let root = project_root(&playbook)?;
            Self::prepare(args, review, root, &name, access, sources, secrets)
        })
    }

    /// The same for a plan that was saved: all that it needs is in its file.
    pub fn of_plan(file: &PlanFile, how: &ShowArgs) -> Result<Session, u8> {
        let (sandbox, page) = (file.sandbox.is_some(), how.report.as_deref());
        let access = Access::Writes;
        let start = Start { format: how.format, verbose: how.verbose, command: "apply", access, sandbox, page };
        let root = file.root();
        // Beside the playbook are the policies.
        let playbook = if root == Path::new(".") { PathBuf::from(&file.playbook) } else { root.join(&file.playbook) };
        let session = Self::begin(start, &playbook, &file.stack, |sources, secrets| {
            for name in file.files.keys() {
                if let Ok(text) = std::fs::read_to_string(root.join(name)) {
                    sources.add(name.as_str(), text);
                }
            }
            let at = |(name, source): (&String, &Source)| match source {
                Source::File(path) => (name.clone(), Source::File(root.join(path))),
                other => (name.clone(), other.clone()),
            };
            let mut inventory = Inventory::default();
            inventory.name.clone_from(&file.stack);
            (inventory.aws, inventory.cloudflare) = (file.aws.clone(), file.cloudflare.clone());
            inventory.lock = file.lock.clone();
            inventory.secrets = file.secrets.iter().map(at).collect();
            let sandbox = file.sandbox.as_ref().map(|sandbox| root.join(sandbox));
            Ready::of(inventory, root, sandbox, &ReviewArgs::default(), access, secrets)
        });
        let mut session = session?;
        if !file.is_beside(&session.root)
            && let Some(folder) = locks::folder_elsewhere(file)
        {
            session.lock_folder = folder;
        }
        Ok(session)
    }

    fn begin(
        start: Start<'_>,
        playbook: &Path,
        name: &str,
        ready: impl FnOnce(&Sources, &Secrets) -> Result<Ready, Diagnostics>,
    ) -> Result<Session, u8> {
        let Start { command, access, sandbox, .. } = start;
        let sources = Sources::default();
        let format = match (start.format, access.is_read_only()) {
            (Format::Text, _) => report::Format::Text,
            (Format::Markdown, _) => report::Format::Markdown,
            (Format::Json, true) => report::Format::Json,
            (Format::Json, false) => report::Format::JsonLines,
        };
        let started = Instant::now();
        let secrets = Secrets::default();
        let mut report = Report::of_process(format, start.verbose > 0, sources, &secrets);
        if let Some(file) = start.page {
            match report::html::Page::at(file, &secrets) {
                Ok(page) => report.page = Some(page),
                Err(wrong) => {
                    report.diagnostic(&wrong);
                    report.no_document(&[*wrong]);
                    return Err(super::exit::FAILED);
                }
            }
        }
        let report = Arc::new(report);
        let (events, record, tally) = (Events::masking(secrets.clone()), Record::default(), Tally::default());
        // What only remembers comes first: whoever shows may be held up by who does not read.
        if access == Access::Writes {
            events.add(record.clone());
        }
        events.add(tally.clone());
        events.add(report.reader());
        if let Some(page) = &report.page {
            events.add(page.clone());
        }
        let run = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        events.emit(Event::RunStarted {
            run: run.clone(),
            stack: name.to_owned(),
            playbook: playbook.display().to_string(),
            command: command.to_owned(),
            sandbox,
        });
        let signals = Signals::listen()
            .map_err(|error| vec![Diagnostic::error("cannot listen for signals").because(error.to_string())]);
        let ready = signals.and_then(|signals| {
            let ending = Ending { report: report.clone(), events: events.clone(), record: record.clone(), started };
            ending.words(&signals, None);
            ready(&report.sources, &secrets).map(|ready| (ready, signals))
        });
        let (ready, signals) = match ready {
            Ok(ready) => ready,
            Err(wrong) => {
                tell(&report, &events, &wrong);
                return Err(end(&events, started, super::exit::FAILED));
            }
        };
        for diagnostic in ready.inventory.doubts.iter().cloned() {
            events.emit(Event::Told { diagnostic: Box::new(diagnostic) });
        }
        Ok(Session {
            limiter: Limiter::new(events.clone(), Some(signals.stopping())),
            report,
            events,
            tally,
            secrets,
            inventory: ready.inventory,
            provider: ready.provider,
            review: ready.review,
            playbook: playbook.to_owned(),
            lock_folder: ready.root.join(".runner/locks"),
            root: ready.root,
            sandbox: ready.sandbox,
            run,
            command: command.to_owned(),
            record,
            signals,
            started,
            locks: None,
            writes: access == Access::Writes,
            folder: None,
            recovery: Recovery::default(),
            made: vec![],
            applied: false,
        })
    }

    fn prepare(
        args: &StackArgs,
        review: &ReviewArgs,
        root: PathBuf,
        name: &str,
        access: Access,
        sources: &Sources,
        secrets: &Secrets,
    ) -> Result<Ready, Diagnostics> {
        let inventory = Inventory::load(&root.join("inventory"), name, &args.sets, sources, &root)?;
        let sandbox = args.sandbox.as_ref().map(|file| file.clone().unwrap_or_else(|| root.join(SANDBOX)));
        Ready::of(inventory, root, sandbox, review, access, secrets)
    }

    /// A fresh look at the world, for one evaluation and its plan.
    pub fn world(&self) -> Arc<World> {
        let world = World::new(self.provider.clone(), &self.inventory.name, self.events.clone());
        Arc::new(world.after(self.made.clone()).with_secrets(self.secrets.clone()).limited_by(self.limiter.clone()))
    }

    /// Runs the script. It blocks, and asks the forecast when it must see something.
    pub async fn evaluate(&self, forecast: Arc<Forecast>) -> Result<Evaluation, Diagnostics> {
        let stderr = self.report.stderr.clone();
        let evaluation =
            self.script(forecast, Arc::new(move |text, site| stderr.put(format!("{site}: {text}\n")))).await?;
        self.events.emit(Event::Evaluated {
            resources: evaluation.declarations.len(),
            phases: evaluation.phases.len(),
            stopped: evaluation.stop.is_some(),
        });
        Ok(evaluation)
    }

    /// The same, with what the script prints.
    pub(super) async fn script(
        &self,
        forecast: Arc<Forecast>,
        print: script::Print,
    ) -> Result<Evaluation, Diagnostics> {
        let sources = self.report.sources.clone();
        let templates = Templates::new(self.root.join("templates"), sources.clone());
        let (playbook, root) = (self.playbook.clone(), self.root.clone());
        let inventory = for_script(&self.inventory);
        let provider = self.provider.clone();
        let evaluation = tokio::task::spawn_blocking(move || {
            let oracle: Arc<dyn Oracle> = forecast;
            script::evaluate(&Script {
                playbook: &playbook,
                root: &root,
                inventory,
                kinds: provider.kinds(),
                lookups: provider.lookups(),
                compounds: provider.compounds(),
                files: Some(Arc::new(Beside(templates))),
                oracle,
                sources: &sources,
                print,
                limits: script::Limits::default(),
            })
        });
        evaluation.await.map_err(|error| {
            vec![Diagnostic::error("the script's thread ended unexpectedly").because(error.to_string())]
        })?
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.root.join(".runner/runs")
    }

    pub(super) fn sandbox_name(&self) -> Option<String> {
        // From wherever it is run.
        let whole = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
        self.sandbox.as_ref().map(|file| whole(file).display().to_string())
    }

    pub(super) fn lease(&self) -> Lease {
        self.locks.as_ref().map(|locks| locks.lease.clone()).unwrap_or_default()
    }

    /// What earlier runs took.
    pub(super) fn history(&self) -> History {
        history::read(&self.runs(), &self.inventory.name, self.sandbox.is_some())
    }

    /// Hears the policies: what they say becomes part of the plan.
    pub fn judge(&self, plan: &mut Plan) {
        let kinds = |name: &str| self.provider.kind(name).map(|kind| (*kind).clone());
        let limits = script::Limits::default();
        super::policies::judge(plan, &self.playbook, &self.root, &kinds, &self.report.sources, limits);
    }

    /// Tells what policies said of a plan; the exit code if it may not be applied.
    pub fn denied(&self, plan: &Plan) -> Option<u8> {
        self.warn(&super::policies::diagnostics(plan));
        if !plan.is_denied() {
            return None;
        }
        if self.applied {
            self.report.summary(&self.tally);
        }
        let further = if self.applied { "further " } else { "" };
        self.report.note(&format!("Nothing {further}was changed: a policy forbids it."));
        Some(super::exit::FAILED)
    }

    pub fn planned(&self, plan: &Plan) {
        let counts = plan.counts();
        self.events.emit(Event::Planned {
            create: counts.create,
            update: counts.update,
            replace: counts.replace,
            delete: counts.delete,
            unchanged: counts.unchanged,
        });
    }

    /// Does what a plan says.
    pub async fn apply(&mut self, plan: &Plan, parallelism: u16) -> Result<Outcome, Box<Diagnostic>> {
        let runs = self.runs();
        let nothing = if self.applied { "nothing further was changed" } else { "nothing was changed" };
        let unwritable = |error: std::io::Error| {
            Box::new(
                Diagnostic::error(format!("{nothing}: the run's record cannot be written"))
                    .because(format!("{}: {error}", runs.display()))
                    .hint("free some space or mend the permissions of `.runner`"),
            )
        };
        let folder = self.record.open(&self.runs(), &self.run).map_err(unwritable)?;
        if self.folder.replace(folder.clone()).is_none() {
            journals::prune(&self.runs());
        }
        let whose = Whose {
            run: self.run.clone(),
            stack: self.inventory.name.clone(),
            sandbox: self.sandbox_name(),
            outside: self.provider.whereabouts(),
        };
        let journal = Journal::at(&folder.join(journals::JOURNAL), whose).map_err(unwritable)?;
        let tools = Tools {
            provider: self.provider.clone(),
            stack: self.inventory.name.clone(),
            looks: Looks::new(self.provider.clone(), &self.inventory.name).limited_by(self.limiter.clone()),
            journal: journal.after(self.recovery.open(&self.provider.whereabouts()).into_iter().cloned()),
            events: self.events.clone(),
            secrets: self.secrets.clone(),
            stopping: self.lease().stopping(self.signals.stopping()),
            lease: self.lease(),
        };
        let kinds = |name: &str| self.provider.kind(name);
        self.last_words(true);
        self.signals.applying(true);
        let outcome = engine::apply(plan, &kinds, &tools, parallelism.into()).await;
        self.signals.applying(false);
        if let Ok(outcome) = &outcome {
            self.applied = true;
            self.made.extend(outcome.lives.values().cloned());
        }
        match self.signals.is_stopping() {
            // The run says itself how it ended.
            true => self.signals.says_it_itself(),
            false => self.last_words(self.applied),
        }
        outcome
    }

    fn last_words(&self, changed: bool) {
        let (report, events, record) = (self.report.clone(), self.events.clone(), self.record.clone());
        let ending = Ending { report, events, record, started: self.started };
        ending.words(&self.signals, changed.then(|| self.tally.clone()));
    }

    pub fn end(self, exit: u8) -> u8 {
        // A dry run leaves all to the next.
        if self.writes {
            self.recovery.settle(&self.run, self.folder.as_deref(), &self.provider.whereabouts());
        }
        end(&self.events, self.started, exit)
    }

    /// The exit code if nothing may follow this apply; whoever asked the run to stop is heard even if all was done.
    pub fn ended(&self, outcome: &Outcome) -> Option<u8> {
        let interrupted = outcome.interrupted && outcome.lost.is_none();
        match interrupted || self.signals.is_stopping() {
            true => Some(super::exit::INTERRUPTED),
            false => (!outcome.is_success()).then_some(super::exit::FAILED),
        }
    }

    /// Tells what stands in the way, after what has been done so far, and gives back the exit code for it.
    pub fn refuse(&self, wrong: &[Diagnostic]) -> u8 {
        if self.applied {
            self.report.summary(&self.tally);
        }
        tell(&self.report, &self.events, wrong);
        super::exit::FAILED
    }

    /// Tells what is wrong beside the document that the command gives all the same.
    pub fn warn(&self, wrong: &[Diagnostic]) {
        wrong.iter().for_each(|diagnostic| self.events.emit(Event::Told { diagnostic: Box::new(diagnostic.clone()) }));
    }

    /// The secrets that would be shown in a text.
    pub fn secrets_in(&self, text: &str) -> BTreeSet<String> {
        self.secrets.within(text)
    }
}

/// The inventory as a script has it.
pub(super) fn for_script(inventory: &Inventory) -> script::Inventory {
    script::Inventory {
        name: inventory.name.clone(),
        value: inventory.value(),
        files: inventory.files.clone(),
        secrets: inventory.secrets.keys().cloned().collect(),
    }
}

/// The files that a script may reach.
struct Beside(Templates);

impl script::Files for Beside {
    fn render(&self, path: &str, values: &Map) -> Result<script::Rendered, Diagnostics> {
        self.0.render(path, values)
    }

    fn trace(&self, path: &str, values: &Map) -> Vec<Site> {
        self.0.trace(path, values)
    }

    fn read(&self, path: &str) -> Result<(String, Arc<str>), Box<Diagnostic>> {
        self.0.plain(path)
    }
}

/// Which command, and how it speaks.
struct Start<'a> {
    format: Format,
    verbose: u8,
    command: &'a str,
    access: Access,
    sandbox: bool,
    /// Where a page is to be written.
    page: Option<&'a Path>,
}

/// Every diagnostic is an event, so that people, programs and the run's record have the same.
fn tell(report: &Report, events: &Events, wrong: &[Diagnostic]) {
    for diagnostic in wrong {
        events.emit(Event::Told { diagnostic: Box::new(diagnostic.clone()) });
    }
    report.no_document(wrong);
}

/// Runs a command on the threads it needs.
pub fn on_runtime(command: impl Future<Output = u8>) -> u8 {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            // A read that is still under way must not hold up the exit.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            let report = Report::of_process(report::Format::Text, false, Sources::default(), &Secrets::default());
            report.diagnostic(&Diagnostic::error("cannot start").because(error.to_string()));
            super::exit::FAILED
        }
    }
}
