//! `runner destroy PLAYBOOK`: plan the removal of all that the stack owns, ask, delete.

use std::sync::Arc;

use super::args::DestroyArgs;
use super::exit;
use super::run::asked;
use super::session::Session;
use crate::diagnostic::Diagnostics;
use crate::engine::{self, Forecast, Plan, Wish};

pub fn run(args: DestroyArgs) -> u8 {
    super::session::on_runtime(async {
        let mut session = match Session::open(&args.stack, "destroy", args.dry_run) {
            Ok(session) => session,
            Err(code) => return code,
        };
        let exit = destroy(&mut session, &args).await;
        session.end(exit)
    })
}

async fn destroy(session: &mut Session, args: &DestroyArgs) -> u8 {
    if !args.dry_run
        && let Err(wrong) = session.lock()
    {
        return session.refuse(&[*wrong]);
    }
    let mut plan = match plan(session).await {
        Ok(plan) => plan,
        Err(wrong) => return session.refuse(&wrong),
    };
    session.judge(&mut plan);
    session.planned(&plan);
    session.report.plan(&plan);
    if let Some(code) = session.denied(&plan) {
        return code;
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
    match session.apply(&plan, args.apply.parallelism).await {
        Ok(outcome) => {
            session.report.summary(&session.tally);
            session.ended(&outcome).unwrap_or(exit::DONE)
        }
        Err(wrong) => session.refuse(&[*wrong]),
    }
}

/// The script is run for what it says of protection and of how things are to be deleted; what is deleted comes from
/// the tags alone.
async fn plan(session: &Session) -> Result<Plan, Diagnostics> {
    let world = session.world();
    let forecast = Arc::new(Forecast::new(world, vec![], tokio::runtime::Handle::current()));
    let evaluation = session.evaluate(forecast.clone()).await?;
    let wish = Wish { regions: session.inventory.aws.regions.clone(), ..Wish::default() };
    engine::plan_destroy(&forecast, &evaluation, &wish).await
}
