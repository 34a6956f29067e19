//! `runner output PLAYBOOK [NAME]`: what the outputs are now. It reads, and never changes anything.
//!
//! There is no state in which an earlier run left them: they are looked up in what is live. Where an apply would make one
//! otherwise, neither value would be right for whoever asks, and it is not told.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::args::OutputArgs;
use super::exit;
use super::ready::Access;
use super::session::Session;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, closest};
use crate::engine::{self, Forecast, Pending, Present};
use crate::report::plan_value;
use crate::resource::{Evaluation, Given, Stop, Value};

pub fn run(args: OutputArgs) -> u8 {
    super::session::on_runtime(async {
        let session = match Session::open(&args.stack, "output", Access::Reads) {
            Ok(session) => session,
            Err(code) => return code,
        };
        let exit = match read(&session, args.name.as_deref()).await {
            Ok(exit) => exit,
            Err(wrong) => session.refuse(&wrong),
        };
        session.end(exit)
    })
}

async fn read(session: &Session, name: Option<&str>) -> Result<u8, Diagnostics> {
    let forecast = Arc::new(Forecast::new(session.world(), vec![], tokio::runtime::Handle::current()));
    let evaluation = session.evaluate(forecast.clone()).await?;
    let wanted: Vec<Given> = match name {
        None => evaluation.outputs.clone(),
        Some(name) => match evaluation.outputs.iter().find(|output| output.name == name) {
            Some(output) => vec![output.clone()],
            None => return Err(vec![no_such(&evaluation, name)]),
        },
    };
    let outputs = engine::outputs::outputs(&forecast, &evaluation.declarations, &wanted).await?;
    let ahead = looked_ahead(&forecast, evaluation.stop.as_ref());
    match name {
        // Whoever takes one value would not see a warning.
        Some(_) if !ahead.is_empty() => Err(ahead.into_iter().map(as_error).collect()),
        Some(_) => outputs.iter().try_for_each(|output| one(session, output)).map(|()| exit::DONE),
        None => {
            session.warn(&ahead);
            Ok(all(session, &outputs, evaluation.stop.as_ref()))
        }
    }
}

fn as_error(warning: Diagnostic) -> Diagnostic {
    Diagnostic { severity: Severity::Error, ..warning }
}

/// Nothing but the value, or why there is none.
fn one(session: &Session, output: &Present) -> Result<(), Diagnostics> {
    if !output.pending.is_empty() {
        return Err(vec![cannot_tell(output)]);
    }
    let secrets = secrets_of(session, &output.value);
    if !secrets.is_empty() {
        return Err(vec![holds_secrets(session, output, &secrets)]);
    }
    session.report.value(&output.value);
    Ok(())
}

fn all(session: &Session, outputs: &[Present], stop: Option<&Stop>) -> u8 {
    let (known, waiting): (Vec<&Present>, Vec<&Present>) = outputs.iter().partition(|one| one.pending.is_empty());
    let known: Vec<(String, Value)> = known.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
    if outputs.is_empty() && stop.is_none() {
        session.report.note("The playbook has no outputs.");
    }
    if !known.is_empty() || session.report.format != crate::report::Format::Text {
        session.report.only_outputs(&known);
    }
    let mut wrong: Diagnostics = match waiting.as_slice() {
        [] => vec![],
        [output] => vec![cannot_tell(output)],
        several => vec![cannot_tell_several(several)],
    };
    wrong.extend(stop.map(|stop| {
        let more = Diagnostic::error(format!("there may be more outputs: {}", ends_for(stop)));
        at_stop(more, stop).hint(APPLY)
    }));
    session.warn(&wrong);
    if wrong.is_empty() { exit::DONE } else { exit::FAILED }
}

const APPLY: &str = "apply first";

fn no_such(evaluation: &Evaluation, name: &str) -> Diagnostic {
    let known = || evaluation.outputs.iter().map(|output| output.name.as_str());
    let near = closest(name, known());
    if let Some(stop) = &evaluation.stop {
        let told = Diagnostic::error(format!("there is no output `{name}` yet: {}", ends_for(stop)));
        let hint = near.map_or(APPLY.to_owned(), |near| format!("{APPLY}; or did you mean `{near}`?"));
        return at_stop(told, stop).hint(hint);
    }
    let names: Vec<&str> = known().collect();
    let hint = match (near, names.as_slice()) {
        (_, []) => "the playbook has no outputs".to_owned(),
        (Some(near), names) => format!("did you mean `{near}`? There are: {}", names.join(", ")),
        (None, names) => format!("there are: {}", names.join(", ")),
    };
    Diagnostic::error(format!("there is no output `{name}`")).hint(hint)
}

fn ends_for(stop: &Stop) -> String {
    let names: Vec<String> = stop.references.iter().map(|reference| format!("`{reference}`")).collect();
    format!("the script ends early, where it needs {}", names.join(", "))
}

fn at_stop(told: Diagnostic, stop: &Stop) -> Diagnostic {
    let told = told.at(&stop.site, "ends here for now");
    match &stop.because {
        Some(because) => told.because(because),
        None => told,
    }
}

fn cannot_tell(output: &Present) -> Diagnostic {
    let missing = output.pending.iter().any(|pending| pending.now.is_none());
    let what = if missing { "is not known yet" } else { "is about to change" };
    let told = Diagnostic::error(format!("the output `{}` {what}", output.name)).at(&output.site, "given here");
    output.pending.iter().fold(told, |told, pending| told.because(waits_for(pending))).hint(APPLY)
}

fn cannot_tell_several(outputs: &[&Present]) -> Diagnostic {
    let names: Vec<String> = outputs.iter().map(|output| format!("`{}`", output.name)).collect();
    let told = Diagnostic::error(format!("not known yet, or about to change: {}", names.join(", ")));
    let told = outputs.iter().fold(told, |told, output| {
        let first = output.pending.first().map(waits_for).unwrap_or_default();
        let more = output.pending.len().saturating_sub(1);
        told.at(&output.site, if more == 0 { first } else { format!("{first}, and {more} more") })
    });
    told.hint(APPLY)
}

/// Longer values say more than a reader wants to know here.
const SHORT: usize = 60;

fn waits_for(pending: &Pending) -> String {
    let short = |value: &Value| Some(plan_value::inline(value)).filter(|text| text.chars().count() <= SHORT);
    let (now, then) = (pending.now.as_ref().map(short), pending.then.as_ref().map(short));
    let reference = &pending.reference;
    let told = match (now, then) {
        (None, _) => format!("{reference} is known after apply"),
        _ if pending.hidden => format!("{reference} is about to change"),
        (Some(Some(now)), Some(Some(then))) => format!("{reference} is {now} and will be {then}"),
        (Some(Some(now)), None) => format!("{reference} is {now}, and what it will be is known after apply"),
        _ => format!("{reference} is about to change"),
    };
    match &pending.because {
        Some(because) => format!("{told}: {because}"),
        None => told,
    }
}

/// Constants that the script made of something are as right as what it saw.
fn looked_ahead(forecast: &Forecast, stop: Option<&Stop>) -> Diagnostics {
    let mut seen = engine::outputs::looked_ahead(forecast);
    seen.retain(|pending| !stop.is_some_and(|stop| stop.references.contains(&pending.reference)));
    if seen.is_empty() {
        return vec![];
    }
    let told =
        Diagnostic::warning("the script looked at what is about to change, and its outputs may follow from that");
    vec![seen.iter().fold(told, |told, pending| told.because(waits_for(pending))).hint(APPLY)]
}

/// By name in the playbook, or as they are in what is live.
fn secrets_of(session: &Session, value: &Value) -> BTreeSet<String> {
    let mut names = session.secrets_in(&value.to_string());
    names.extend(session.secrets_in(&serde_json::Value::from(value).to_string()));
    value.references(&mut |reference| names.extend(reference.secret_name().map(str::to_owned)));
    names
}

fn holds_secrets(session: &Session, output: &Present, names: &BTreeSet<String>) -> Diagnostic {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let what = if names.len() == 1 { "the secret" } else { "the secrets" };
    let told = Diagnostic::error(format!("the output `{}` holds {what} {}", output.name, quoted.join(", ")))
        .at(&output.site, "given here");
    let source = |name: &String| session.inventory.secrets.get(name).map(|source| format!("`{name}` is in: {source}"));
    let told = names.iter().filter_map(source).fold(told, Diagnostic::because);
    told.hint("a secret is never shown: take it from where it is")
}
