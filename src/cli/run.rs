//! `runner PLAYBOOK`: evaluate, plan, show, ask, apply; and again where the script needed to see.

use std::sync::Arc;

use super::args::RunArgs;
use super::exit;
use super::planned::Planned;
use super::ready::Access;
use super::saving;
use super::session::Session;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::{self, Forecast, Plan, Wish, World};
use crate::report::{Answer, Format};
use crate::resource::{Evaluation, Reference, Stop, Value};

pub fn run(args: RunArgs) -> u8 {
    super::session::on_runtime(async {
        let mut session = match Session::open_for(&args.stack, "run", Access::of(args.dry_run), &args.review) {
            Ok(session) => session,
            Err(code) => return code,
        };
        let exit = stages(&mut session, &args).await;
        session.tell_unsaved(&args.plan_out, exit);
        session.unlock().await;
        session.end(exit)
    })
}

/// A stage ends where the script has to see what only an apply can tell; most playbooks have one.
pub(super) async fn stages(session: &mut Session, args: &RunArgs) -> u8 {
    let mut before: Vec<Stop> = vec![];
    if let Err(wrong) = session.may_save(&args.plan_out) {
        return session.refuse(&[*wrong]);
    }
    loop {
        if !args.dry_run
            && let Err(wrong) = session.lock(args.apply.lock_timeout).await
        {
            return session.refuse(&[*wrong]);
        }
        let wish = Wish {
            phases: args.phase.clone(),
            prune: args.prune.as_ref().is_some_and(Vec::is_empty),
            prune_named: args.prune.iter().flatten().cloned().collect(),
            regions: session.inventory.aws.regions.clone(),
        };
        let planned =
            session.plan(args.phase.is_empty(), async |session, world| plan(session, &wish, world, true).await).await;
        let planned = match planned {
            Ok(planned) => planned,
            Err(code) => return code,
        };
        let Planned { evaluation, plan, .. } = &planned;
        let outside = plan.stop.as_ref().filter(|stop| is_outside(evaluation, stop, &args.phase));
        // All that this run may do is done; what else the script has to say is for other phases.
        let last = plan.stop.is_none() || outside.is_some();
        if plan.is_empty() && session.applied && last {
            // The last stage only looked.
            return finish(session, args, outside, planned_outputs(plan));
        }
        let stop = plan.stop.as_ref().filter(|_| !last);
        if let Some(stop) = stop.filter(|stop| !plan.is_empty() && before.iter().any(|old| same(old, stop))) {
            return session.refuse(&[again(stop)]);
        }
        session.report.plan(plan);
        if args.dry_run {
            let again = async |world| self::plan(session, &wish, world, false).await.map(|planned| planned.plan);
            if let Err(wrong) = session.keep(plan, again).await {
                session.warn(&[*wrong]);
                return exit::FAILED;
            }
        }
        if let Some(code) = session.denied(plan) {
            return code;
        }
        if args.dry_run {
            ends_at(session, outside);
            if let Some(path) = &args.plan_out.plan_out
                && let Err(wrong) = saving::save(session, &args.stack.sets, planned.made(&wish, false), path).await
            {
                return session.refuse(&[*wrong]);
            }
            let pending = !plan.is_empty() || !last;
            return if pending && args.detailed_exitcode { exit::CHANGES_PENDING } else { exit::DONE };
        }
        if plan.is_empty() {
            ends_at(session, outside);
            if let Some(stop) = stop {
                return session.refuse(&[no_progress(stop)]);
            }
            // A person has seen them in the plan.
            if session.report.format == Format::JsonLines {
                tell_outputs(session, args, planned_outputs(plan));
            }
            return exit::DONE;
        }
        if !args.apply.yes
            && let Some(code) = asked(session, "Apply these changes?")
        {
            return code;
        }
        let outcome = match session.apply(plan, args.apply.parallelism).await {
            Ok(outcome) => outcome,
            Err(wrong) => return session.refuse(&[*wrong]),
        };
        if let Some(code) = session.ended(&outcome) {
            session.report.summary(&session.tally);
            return code;
        }
        if last {
            return finish(session, args, outside, applied_outputs(evaluation, &outcome));
        }
        before.extend(planned.plan.stop);
    }
}

/// Whether the script stopped for the sake of what only other phases would make.
fn is_outside(evaluation: &Evaluation, stop: &Stop, phases: &[String]) -> bool {
    let declared = |reference: &Reference| evaluation.declarations.get(&reference.address);
    stop.references.iter().all(|reference| declared(reference).is_some_and(|found| !found.is_in_phase(phases)))
}

fn same(one: &Stop, other: &Stop) -> bool {
    one.references == other.references && one.site == other.site
}

fn ends_at(session: &Session, outside: Option<&Stop>) {
    let Some(stop) = outside else { return };
    let are = if stop.references.len() > 1 { "are" } else { "is" };
    let (site, names) = (&stop.site, names(stop));
    session
        .report
        .note(&format!("The script ends at {site}, where it needs {names}, which {are} not among the chosen phases."));
}

/// With `first` the script is heard; again it would say the same.
async fn plan(session: &Session, wish: &Wish, world: Arc<World>, first: bool) -> Result<Planned, Diagnostics> {
    let runtime = tokio::runtime::Handle::current();
    let forecast = Arc::new(Forecast::new(world, wish.phases.clone(), runtime).pruning(wish));
    let evaluation = match first {
        true => session.evaluate(forecast.clone()).await?,
        false => session.script(forecast.clone(), Arc::new(|_, _| {})).await?,
    };
    let plan = engine::plan(&forecast, &evaluation, wish).await?;
    Ok(Planned { forecast, evaluation, plan })
}

fn finish(session: &Session, args: &RunArgs, outside: Option<&Stop>, outputs: Vec<(String, Value)>) -> u8 {
    session.report.summary(&session.tally);
    ends_at(session, outside);
    tell_outputs(session, args, outputs);
    exit::DONE
}

/// Of a part of the playbook none are told. A program is told also that there are none.
fn tell_outputs(session: &Session, args: &RunArgs, outputs: Vec<(String, Value)>) {
    if args.phase.is_empty() && (!outputs.is_empty() || session.report.format == Format::JsonLines) {
        session.report.outputs(&outputs);
    }
}

fn planned_outputs(plan: &Plan) -> Vec<(String, Value)> {
    plan.outputs.iter().map(|output| (output.name.clone(), output.value.clone())).collect()
}

pub fn applied_outputs(evaluation: &Evaluation, outcome: &engine::Outcome) -> Vec<(String, Value)> {
    let value = |value: &Value| value.resolve(&mut |reference| outcome.value(reference));
    evaluation.outputs.iter().map(|output| (output.name.clone(), value(&output.value))).collect()
}

/// Asks; `Some` is the exit code if the answer is not yes.
pub fn asked(session: &Session, question: &str) -> Option<u8> {
    let nothing = if session.applied { "nothing further was changed" } else { "nothing was changed" };
    match session.report.ask(question) {
        Answer::Yes => None,
        Answer::No => {
            if session.applied {
                session.report.summary(&session.tally);
            }
            session.report.note(&format!("N{}.", &nothing[1..]));
            Some(exit::FAILED)
        }
        Answer::NoTerminal => Some(
            session.refuse(&[Diagnostic::error(format!("{nothing}: there is no terminal to ask on"))
                .hint("pass --yes to apply without asking, or --dry-run to only see the plan")]),
        ),
    }
}

/// Everything is as declared, and still the script cannot go on.
fn no_progress(stop: &Stop) -> Diagnostic {
    stopped(stop, format!("the script needs {}, and no apply will tell", names(stop)))
        .hint("the provider reports no value for it; ask `is_known(…)` before looking")
}

/// An apply that was to tell did not; the next would not either, and so on without end.
fn again(stop: &Stop) -> Diagnostic {
    stopped(stop, format!("the script still needs {}, and the apply before did not tell", names(stop)))
        .hint("every stage changes it anew: what is declared of it must not differ from one stage to the next")
}

fn stopped(stop: &Stop, summary: String) -> Diagnostic {
    let mut wrong = Diagnostic::error(summary);
    wrong.causes.extend(stop.because.clone());
    wrong.at(&stop.site, "seen here")
}

fn names(stop: &Stop) -> String {
    let names: Vec<String> = stop.references.iter().map(|reference| format!("`{reference}`")).collect();
    names.join(", ")
}
