//! `runner show FILE`: a saved plan as its dry run told it.

use super::args::{Format, ShowArgs};
use super::exit;
use super::plan_file::{PlanFile, stale};
use crate::diagnostic::{Severity, Sources};
use crate::report::{self, Report};
use crate::secret::Secrets;

pub fn run(args: &ShowArgs) -> u8 {
    let format = match args.format {
        Format::Text => report::Format::Text,
        Format::Markdown => report::Format::Markdown,
        Format::Json => report::Format::Json,
    };
    let secrets = Secrets::default();
    let mut report = Report::of_process(format, args.verbose > 0, Sources::default(), &secrets);
    if let Some(page) = &args.report {
        match report::html::Page::at(page, &secrets) {
            Ok(page) => report.page = Some(page),
            Err(wrong) => {
                report.diagnostic(&wrong);
                report.no_document(&[*wrong]);
                return exit::FAILED;
            }
        }
    }
    let file = match PlanFile::read(&args.file) {
        Ok(file) => file,
        Err(wrong) => {
            report.diagnostic(&wrong);
            report.no_document(&[*wrong]);
            return exit::FAILED;
        }
    };
    report.note(&header(&file));
    let moved = file.moved(&file.root());
    if !moved.is_empty() {
        let mut told = stale("the plan is stale: the files it was made from have changed since", moved);
        told.severity = Severity::Warning;
        report.diagnostic(&told.hint("`runner apply` refuses it; plan again"));
    }
    report.plan(&file.plan.plan);
    // A comment has said them already.
    if args.format != Format::Markdown {
        super::policies::diagnostics(&file.plan.plan).iter().for_each(|told| report.diagnostic(told));
    }
    exit::DONE
}

/// From when it is, and of what.
pub fn header(file: &PlanFile) -> String {
    let on = match &file.sandbox {
        Some(_) => " on the sandbox".to_owned(),
        None => file.whereabouts.iter().map(|(name, value)| format!(", {name} {value}")).collect(),
    };
    format!(
        "A plan of {} by runner {}{on}: `{}`",
        file.saved.strftime("%Y-%m-%d %H:%M:%S UTC"),
        file.runner,
        file.command()
    )
}
