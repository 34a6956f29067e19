//! `runner unlock PLAYBOOK`: who has the lock of a stack; and away with the one that a run which is gone has left.

use std::sync::Arc;
use std::time::Duration;

use super::args::UnlockArgs;
use super::exit;
use super::ready::Access;
use super::run::asked;
use super::session::Session;
use crate::diagnostic::Diagnostic;
use crate::engine::lock::acquire::unreachable;
use crate::engine::lock::{Holder, LocalLock, Record};
use crate::resource::{LockStore, Stored, Written};

pub fn run(args: UnlockArgs) -> u8 {
    super::session::on_runtime(async {
        // The sandbox has nothing to unlock, and may be in use.
        let access = if args.stack.sandbox.is_some() { Access::Reads } else { Access::Unlocks };
        let session = match Session::open(&args.stack, "unlock", access) {
            Ok(session) => session,
            Err(code) => return code,
        };
        let exit = unlock(&session, &args).await;
        session.end(exit)
    })
}

async fn unlock(session: &Session, args: &UnlockArgs) -> u8 {
    let stack = &session.inventory.name;
    let here = match LocalLock::look(&session.lock_folder, stack) {
        Ok(here) => here,
        Err(wrong) => return session.refuse(&[*wrong]),
    };
    if let Some(holder) = &here {
        let who = holder.as_ref().map_or_else(|| "a run that has not said who it is".into(), Holder::line);
        session.report.note(&format!(
            "In this checkout stack `{stack}` is locked by {who}.\nThat lock is the process's own: it ends with it, and \
             there is nothing to remove."
        ));
    }
    let left = if here.is_some() { exit::FAILED } else { exit::DONE };
    match session.team_store() {
        Ok(Some((store, lease))) => team(session, args, store, lease).await.max(left),
        Ok(None) if here.is_some() => left,
        Ok(None) => {
            let team = match session.sandbox {
                Some(_) => "on the sandbox there is no lock of a team",
                None => "its inventory names no lock of a team",
            };
            session.report.note(&format!("Stack `{stack}` is not locked in this checkout, and {team}."));
            exit::DONE
        }
        Err(wrong) => session.refuse(&[*wrong]),
    }
}

async fn team(session: &Session, args: &UnlockArgs, store: Arc<dyn LockStore>, lease: Duration) -> u8 {
    let (stack, place) = (&session.inventory.name, store.place().to_owned());
    let unreachable = |cannot: &str, fault| {
        session.refuse(&[*unreachable(&*store, format!("cannot {cannot} the lock of stack `{stack}`"), &fault)])
    };
    let found = match store.read().await {
        Ok(found) => found,
        Err(fault) => return unreachable("look at", fault),
    };
    let Some(Stored { text, version, age }) = found else {
        session.report.note(&format!("Stack `{stack}` is not locked: {place} is not there."));
        return exit::DONE;
    };
    let record = Record::read(&text);
    match &record {
        Ok(record) if !record.held => {
            let who = record.holder.line();
            session.report.note(&format!("Stack `{stack}` is not locked: {place} is free. Last it was held by {who}."));
            return exit::DONE;
        }
        Ok(record) => {
            let state =
                if record.is_over(age) { "by a run that shows no sign of life any more" } else { "by a live run" };
            session.report.note(&format!("Stack `{stack}` is locked {state} ({place}):"));
            record.facts(age).iter().for_each(|fact| session.report.note(&format!("  {fact}")));
            if !record.is_over(age) && !args.force {
                return session.refuse(&[Diagnostic::error(format!(
                    "the lock of stack `{stack}` was left in place: its run is alive"
                ))
                .hint(format!(
                    "wait for it; if that run is gone, the lock ends by itself within {} s; --force takes it from a \
                         live run, which then stops before its next write",
                    record.lease + 1
                ))]);
            }
        }
        Err(why) => {
            session.report.note(&format!("{place} cannot be read as a lock: {why}."));
            if !args.force {
                return session.refuse(&[Diagnostic::error(format!("the lock of stack `{stack}` was left in place"))
                    .because(why.clone())
                    .hint("if nothing else uses that object, --force makes a free lock of it")]);
            }
        }
    }
    session
        .report
        .note("Whoever held it stops before its next write; a call that it has in flight may still take effect.");
    if !args.yes
        && let Some(code) = asked(session, "Remove this lock?")
    {
        return code;
    }
    let nobody = || Record::new(0, lease, Holder { stack: stack.clone(), ..Holder::default() });
    let free = record.unwrap_or_else(|_| nobody()).freed();
    match store.write(&free.text(), Some(&version)).await {
        Ok(Written::Done { .. }) => {
            session.report.note(&format!("Stack `{stack}` is not locked any more."));
            exit::DONE
        }
        Ok(Written::Moved) => session.refuse(&[Diagnostic::error("the lock was left in place: it has just changed")
            .hint("look again: its run is alive, or another has it now")]),
        Err(fault) => unreachable("remove", fault),
    }
}
