//! `runner destroy PLAYBOOK`: plan the removal of all that the stack owns, ask, delete.

use std::sync::Arc;

use super::args::DestroyArgs;
use super::exit;
use super::planned::Planned;
use super::ready::Access;
use super::run::asked;
use super::saving;
use super::session::Session;
use crate::diagnostic::Diagnostics;
use crate::engine::{self, Forecast, Wish, World};

pub fn run(args: DestroyArgs) -> u8 {
    super::session::on_runtime(async {
        let mut session = match Session::open_for(&args.stack, "destroy", Access::of(args.dry_run), &args.review) {
            Ok(session) => session,
            Err(code) => return code,
        };
        let exit = destroy(&mut session, &args).await;
        session.tell_unsaved(&args.plan_out, exit);
        session.unlock().await;
        session.end(exit)
    })
}

async fn destroy(session: &mut Session, args: &DestroyArgs) -> u8 {
    if let Err(wrong) = session.may_save(&args.plan_out) {
        return session.refuse(&[*wrong]);
    }
    if !args.dry_run
        && let Err(wrong) = session.lock(args.apply.lock_timeout).await
    {
        return session.refuse(&[*wrong]);
    }
    let wish = Wish { regions: session.inventory.aws.regions.clone(), ..Wish::default() };
    let planned = session.plan(true, async |session, world| plan(session, &wish, world, true).await).await;
    let planned = match planned {
        Ok(planned) => planned,
        Err(code) => return code,
    };
    let plan = &planned.plan;
    session.report.plan(plan);
    if let Err(wrong) = engine::refuse_protected(&plan.changes) {
        session.keep_what_was_read().await;
        session.warn(&wrong);
        return exit::FAILED;
    }
    let again = async |world| self::plan(session, &wish, world, false).await.map(|planned| planned.plan);
    if let Err(wrong) = session.keep(plan, again).await {
        session.warn(&[*wrong]);
        return exit::FAILED;
    }
    if let Some(code) = session.denied(plan) {
        return code;
    }
    if let Some(path) = &args.plan_out.plan_out
        && let Err(wrong) = saving::save(session, &args.stack.sets, planned.made(&wish, true), path).await
    {
        return session.refuse(&[*wrong]);
    }
    if plan.is_empty() || args.dry_run {
        return exit::DONE;
    }
    let question = format!("Delete all of this, for good, from stack `{}`?", plan.stack);
    if !args.apply.yes
        && let Some(code) = asked(session, &question)
    {
        return code;
    }
    match session.apply(plan, args.apply.parallelism).await {
        Ok(outcome) => {
            session.report.summary(&session.tally);
            session.ended(&outcome).unwrap_or(exit::DONE)
        }
        Err(wrong) => session.refuse(&[*wrong]),
    }
}

/// The script is run for what it says of protection and of how things are to be deleted; what is deleted comes from
/// the tags alone.
async fn plan(session: &Session, wish: &Wish, world: Arc<World>, first: bool) -> Result<Planned, Diagnostics> {
    let forecast = Arc::new(Forecast::new(world, vec![], tokio::runtime::Handle::current()));
    let evaluation = match first {
        true => session.evaluate(forecast.clone()).await?,
        false => session.script(forecast.clone(), Arc::new(|_, _| {})).await?,
    };
    let plan = engine::foresee_destroy(&forecast, &evaluation, wish).await?;
    Ok(Planned { forecast, evaluation, plan })
}
