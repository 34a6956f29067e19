//! `runner apply FILE`: what a saved plan says and nothing else. No script runs; everything is read again, and if anything
//! is not as it was, nothing is done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{ApplyFileArgs, Format};
use super::exit;
use super::place::SANDBOX;
use super::plan_file::{PlanFile, stale};
use super::run::{applied_outputs, asked};
use super::saving;
use super::session::Session;
use super::show::header;
use crate::diagnostic::{Diagnostic, Diagnostics, Sources};
use crate::engine::saved::Reread;
use crate::engine::{Forecast, Plan};
use crate::event::{Event, Events};
use crate::report::{self, Report};
use crate::resource::Evaluation;
use crate::secret::Secrets;

const ELSEWHERE: &str = "nothing was changed: the plan was made elsewhere";

pub fn run(args: &ApplyFileArgs) -> u8 {
    super::session::on_runtime(async {
        let file = match PlanFile::read(&args.show.file).and_then(|file| same_sandbox(args, file)) {
            Ok(file) => file,
            Err(wrong) => return unread(args.show.format, wrong),
        };
        let mut session = match Session::of_plan(&file, &args.show) {
            Ok(session) => session,
            Err(code) => return code,
        };
        session.report.note(&header(&file));
        let exit = apply(&mut session, &file, args).await;
        session.unlock().await;
        session.end(exit)
    })
}

async fn apply(session: &mut Session, file: &PlanFile, args: &ApplyFileArgs) -> u8 {
    let (mut plan, evaluation) = match ready(session, file, args).await {
        Ok(ready) => ready,
        Err(wrong) => return session.refuse(&wrong),
    };
    // What forbids it may have come since it was saved.
    session.judge(&mut plan);
    session.planned(&plan);
    session.recovered(&plan, file.plan.wish.phases.is_empty());
    session.report.plan(&file.plan.plan);
    if let Some(code) = session.denied(&plan) {
        return code;
    }
    if plan.is_empty() {
        follow(session, file);
        return exit::DONE;
    }
    let question = match file.plan.destroy {
        true => format!("Delete all of this, for good, from stack `{}`?", plan.stack),
        false => "Apply exactly this?".to_owned(),
    };
    if !args.apply.yes {
        if let Some(code) = asked(session, &question) {
            return code;
        }
        // The world did not wait for the answer.
        match ready(session, file, args).await {
            Ok((again, _)) => plan = again,
            Err(wrong) => return session.refuse(&wrong),
        }
    }
    let outcome = match session.apply(&plan, args.apply.parallelism).await {
        Ok(outcome) => outcome,
        Err(wrong) => return session.refuse(&[*wrong]),
    };
    session.report.summary(&session.tally);
    if let Some(code) = session.ended(&outcome) {
        return code;
    }
    follow(session, file);
    let outputs = applied_outputs(&evaluation, &outcome);
    let whole = file.plan.wish.phases.is_empty() && plan.stop.is_none() && !file.plan.destroy;
    if whole && (!outputs.is_empty() || session.report.format == report::Format::JsonLines) {
        session.report.outputs(&outputs);
    }
    exit::DONE
}

/// The plan with what is live, if all is as it was.
async fn ready(
    session: &mut Session,
    file: &PlanFile,
    args: &ApplyFileArgs,
) -> Result<(Plan, Evaluation), Diagnostics> {
    let again = || format!("plan again: {} --dry-run --plan-out {}", file.command(), args.show.file.display());
    let moved = file.moved(&session.root);
    if !moved.is_empty() {
        let told =
            stale("nothing was changed: the plan is stale, since the files it was made from have changed", moved);
        return Err(vec![told.hint(again())]);
    }
    if !file.is_beside(&session.root) {
        session.report.note("The project's files are not here: they were not compared with those of the plan, and its policies are not heard again.");
    }
    session.lock(args.apply.lock_timeout).await.map_err(|wrong| vec![*wrong])?;
    session.recall();
    let forecast =
        Arc::new(Forecast::new(session.world(), file.plan.wish.phases.clone(), tokio::runtime::Handle::current()));
    same_secrets(session, &forecast, file).await.map_err(|wrong| told_again(wrong, again()))?;
    let reread = file.plan.reread(&forecast, &file.salt).await;
    // Elsewhere all else is otherwise, too.
    let elsewhere = elsewhere(&file.whereabouts, &saving::whereabouts(session));
    if !elsewhere.is_empty() {
        let told = stale(ELSEWHERE, elsewhere);
        return Err(vec![told.hint("use the credentials and the region of the plan, or plan again with these")]);
    }
    match reread? {
        Reread::Same(plan, evaluation) => Ok((*plan, *evaluation)),
        Reread::Moved(moved, wrong) => {
            let summary = match moved.is_empty() {
                true => "nothing was changed: the plan is stale, and could not be made now",
                false => "nothing was changed: the plan is stale, since this has moved",
            };
            let mut told = vec![stale(summary, moved).hint(again())];
            told.extend(wrong);
            Err(told)
        }
    }
}

/// There is no stack yet that could tell it.
fn unread(format: Format, wrong: Box<Diagnostic>) -> u8 {
    let format = match format {
        // Markdown is refused before.
        Format::Text | Format::Markdown => report::Format::Text,
        Format::Json => report::Format::JsonLines,
    };
    let (secrets, events) = (Secrets::default(), Events::default());
    events.add(Report::of_process(format, false, Sources::default(), &secrets).reader());
    events.emit(Event::Told { diagnostic: wrong });
    exit::FAILED
}

/// What was planned with one value is not applied with another.
async fn same_secrets(session: &Session, forecast: &Forecast, file: &PlanFile) -> Result<(), Diagnostics> {
    let mut wrong: Diagnostics = vec![];
    for name in file.values.keys() {
        wrong.extend(forecast.world.learn_secret(name).await.err());
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let now = saving::values(&session.secrets, &file.salt, file.values.keys().cloned().collect()).await;
    let other = file.values.iter().filter(|(name, digest)| now.get(*name) != Some(*digest));
    let other: Vec<String> = other.map(|(name, _)| format!("the secret `{name}` has another value now")).collect();
    match other.is_empty() {
        true => Ok(()),
        false => Err(vec![stale("nothing was changed: the plan is stale, since this has moved", other)]),
    }
}

fn told_again(wrong: Diagnostics, again: String) -> Diagnostics {
    wrong.into_iter().map(|told| if told.hint.is_some() { told } else { told.hint(again.clone()) }).collect()
}

fn elsewhere(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let both = then.iter().filter_map(|(name, then)| Some((name, then, now.get(name)?)));
    both.filter(|(_, then, now)| then != now)
        .map(|(name, then, now)| format!("{name} {then} then, {now} now"))
        .collect()
}

/// A plan knows on which outside it was made; who names another means another plan.
fn same_sandbox(args: &ApplyFileArgs, file: PlanFile) -> Result<PlanFile, Box<Diagnostic>> {
    if let (Some(sandbox), Some(then)) = (&file.sandbox, file.whereabouts.get(saving::SANDBOX)) {
        let now = saving::sandbox(&file.root().join(sandbox));
        if *then != now {
            let told = stale(ELSEWHERE, vec![format!("sandbox {then} then, {now} now")]);
            return Err(Box::new(told.hint("apply it in the project that it was made in, or plan again in this one")));
        }
    }
    let Some(given) = &args.sandbox else { return Ok(file) };
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let root = file.root();
    let given: PathBuf = whole(&given.clone().unwrap_or_else(|| root.join(SANDBOX)));
    let refuse = |summary: &str| Box::new(Diagnostic::error(format!("nothing was changed: {summary}")));
    match &file.sandbox {
        Some(planned) if whole(&root.join(planned)) == given => Ok(file),
        Some(planned) => {
            let planned = planned.display();
            Err(refuse("the plan was made on another sandbox").because(format!("it was made on {planned}")).into())
        }
        None => Err(refuse("the plan was not made on a sandbox")
            .hint("leave out --sandbox to apply it to what it was made on")
            .into()),
    }
}

/// What is left to be done after a first stage.
fn follow(session: &Session, file: &PlanFile) {
    let Some(stop) = &file.plan.plan.stop else { return };
    let names: Vec<String> = stop.references.iter().map(|reference| format!("`{reference}`")).collect();
    session.report.note(&format!(
        "This was a first stage: the script ends at {}, where it needs {}. For the rest: {}",
        stop.site,
        names.join(", "),
        file.command()
    ));
}
