//! `runner PLAYBOOK`: evaluate, plan, show, ask, apply; and again where the script needed to see.

use std::sync::Arc;
use std::time::Instant;

use super::args::RunArgs;
use super::exit;
use super::session::Session;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::{self, Forecast, Plan, Wish};
use crate::event::Event;
use crate::report::Answer;
use crate::resource::{Evaluation, Value};

pub fn run(args: RunArgs) -> u8 {
    super::session::on_runtime(async {
        let mut session = match Session::open(&args.stack, "run", args.dry_run) {
            Ok(session) => session,
            Err(code) => return code,
        };
        let started = Instant::now();
        let exit = stages(&mut session, &args).await;
        session.events.emit(Event::RunFinished { exit, seconds: started.elapsed().as_secs_f64() });
        exit
    })
}

/// A stage ends where the script has to see what only an apply can tell; most playbooks have one.
async fn stages(session: &mut Session, args: &RunArgs) -> u8 {
    let mut applied = false;
    loop {
        if !args.dry_run
            && let Err(wrong) = session.lock()
        {
            return session.refuse(&[*wrong]);
        }
        let (evaluation, plan) = match plan(session, args).await {
            Ok(planned) => planned,
            Err(wrong) => return session.refuse(&wrong),
        };
        session.planned(&plan);
        if plan.is_empty() && applied && plan.stop.is_none() {
            // The last stage only looked.
            return finish(session, &evaluation, &plan, None);
        }
        session.report.plan(&plan);
        if args.dry_run {
            let pending = !plan.is_empty() || plan.stop.is_some();
            return if pending && args.detailed_exitcode { exit::CHANGES_PENDING } else { exit::DONE };
        }
        if plan.is_empty() {
            return match no_progress(&plan) {
                Some(wrong) => session.refuse(&[wrong]),
                None => exit::DONE,
            };
        }
        if !args.stack.yes
            && let Some(code) = asked(session, "Apply these changes?")
        {
            return code;
        }
        let outcome = match session.apply(&plan).await {
            Ok(outcome) => outcome,
            Err(wrong) => return session.refuse(&[*wrong]),
        };
        applied = true;
        if !outcome.is_success() {
            session.report.summary(&session.tally);
            return if outcome.interrupted { exit::INTERRUPTED } else { exit::FAILED };
        }
        if plan.stop.is_none() {
            return finish(session, &evaluation, &plan, Some(&outcome));
        }
    }
}

async fn plan(session: &Session, args: &RunArgs) -> Result<(Evaluation, Plan), Diagnostics> {
    let runtime = tokio::runtime::Handle::current();
    let forecast = Arc::new(Forecast::new(session.world(), args.phase.clone(), runtime));
    let evaluation = session.evaluate(forecast.clone()).await?;
    let wish = Wish { phases: args.phase.clone(), prune: args.prune, regions: session.inventory.aws.regions.clone() };
    let plan = engine::plan(&forecast, &evaluation, &wish).await?;
    Ok((evaluation, plan))
}

fn finish(session: &Session, evaluation: &Evaluation, plan: &Plan, outcome: Option<&engine::Outcome>) -> u8 {
    session.report.summary(&session.tally);
    let outputs: Vec<(String, Value)> = match outcome {
        Some(outcome) => {
            let value = |value: &Value| value.resolve(&mut |reference| outcome.value(reference));
            evaluation.outputs.iter().map(|(name, output)| (name.clone(), value(output))).collect()
        }
        None => plan.outputs.iter().map(|output| (output.name.clone(), output.value.clone())).collect(),
    };
    if !outputs.is_empty() && !plan.outputs.is_empty() {
        session.report.outputs(&outputs);
    }
    exit::DONE
}

/// Asks; `Some` is the exit code if the answer is not yes.
pub fn asked(session: &Session, question: &str) -> Option<u8> {
    match session.report.ask(question) {
        Answer::Yes => None,
        Answer::No => {
            session.report.note("Nothing was changed.");
            Some(exit::FAILED)
        }
        Answer::NoTerminal => Some(
            session.refuse(&[Diagnostic::error("nothing was changed: there is no terminal to ask on")
                .hint("pass --yes to apply without asking, or --dry-run to only see the plan")]),
        ),
    }
}

/// Everything is as declared, and still the script cannot go on.
fn no_progress(plan: &Plan) -> Option<Diagnostic> {
    let stop = plan.stop.as_ref()?;
    let names: Vec<String> = stop.references.iter().map(|reference| format!("`{reference}`")).collect();
    let mut wrong = Diagnostic::error(format!("the script needs {}, and no apply will tell", names.join(", ")));
    if let Some(because) = &stop.because {
        wrong = wrong.because(because.clone());
    }
    Some(
        wrong
            .at(&stop.site, "seen here")
            .hint("the provider reports no value for it; ask `is_known(…)` before looking"),
    )
}
