//! The commands: one file each. What they say goes through `report`, what they do through `script` and `engine`.
//!
//! What reads bytes that somebody else may have written is open to `fuzz/targets.rs`.

mod apply;
mod args;
mod check;
mod destroy;
mod doc;
mod ending;
mod hidden;
mod history;
mod journals;
mod locking;
mod locks;
mod output;
mod place;
pub mod plan_file;
mod planned;
pub mod policies;
mod ready;
mod recalling;
mod record;
mod recovery;
mod render;
mod review;
mod reviewing;
mod run;
mod saving;
mod session;
pub mod show;
mod signals;
mod unlock;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use clap::{CommandFactory, Parser};

pub use args::{Cli, Command};

use crate::diagnostic::{Sources, closest};
use crate::report::sink::{self, Sink};
use crate::report::{Format, Report, html};
use crate::secret::Secrets;

/// Exit codes, as `--help` tells them.
pub mod exit {
    pub const DONE: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const CHANGES_PENDING: u8 = 2;
    pub const USAGE: u8 = 64;
    pub const INTERRUPTED: u8 = 130;
}

/// Runs one command line to its exit code. Output that could not be written is no success, whatever else was.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let code = command(args);
    let lost = sink::lost();
    if let Some(told) = &lost {
        Report::of_process(Format::Text, false, Sources::default(), &Secrets::default()).diagnostic(told);
    }
    match code {
        exit::DONE | exit::CHANGES_PENDING if lost.is_some() || html::is_unwritten() => exit::FAILED,
        code => code,
    }
}

fn command(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = Cli::try_parse_from(&args);
    if parsed.as_ref().map_or_else(clap::Error::use_stderr, |cli| cli.command.is_none())
        && let Some(wrong) = misspelt(&args)
    {
        let _ = wrong.print();
        return exit::USAGE;
    }
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes.
            let code = if error.use_stderr() { exit::USAGE } else { exit::DONE };
            let printed = error.print();
            if !error.use_stderr() {
                sink::remember(&printed);
                let _ = Sink::stdout().flush();
            }
            return code;
        }
    };
    if let Some(wrong) = misfit(&cli) {
        let _ = Cli::command().error(clap::error::ErrorKind::ArgumentConflict, wrong).print();
        return exit::USAGE;
    }
    match cli.command {
        None if cli.run.watch => session::on_runtime(watch::watch(&cli.run)),
        None => run::run(cli.run),
        Some(Command::Destroy(args)) => destroy::run(args),
        Some(Command::Show(args)) => show::run(&args),
        Some(Command::Apply(args)) => apply::run(&args),
        Some(Command::Unlock(args)) => unlock::run(args),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::Output(args)) => output::run(args),
        Some(Command::Render(args)) => render::run(args),
        Some(Command::Doc(args)) => doc::run(args),
    }
}

/// What other tools call what is called otherwise here.
const ELSEWHERE: [(&str, &str); 4] = [
    ("plan", "runner PLAYBOOK --dry-run"),
    ("run", "runner PLAYBOOK"),
    ("validate", "runner check PLAYBOOK"),
    ("preview", "runner PLAYBOOK --dry-run"),
];

/// A command that is misspelt, or another tool's, is taken for a playbook.
fn misspelt(args: &[OsString]) -> Option<clap::Error> {
    let word = args.get(1)?.to_str().filter(|word| !Path::new(word).exists())?;
    let mut commands = Cli::command();
    commands.build();
    let names: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
    let meant = match ELSEWHERE.iter().find(|(theirs, _)| *theirs == word) {
        Some((_, ours)) => (*ours).to_owned(),
        None => format!("runner {}", closest(word, names).filter(|near| *near != word)?),
    };
    let wrong = format!("there is neither a command nor a playbook `{word}`: did you mean `{meant}`?");
    Some(commands.error(clap::error::ErrorKind::InvalidSubcommand, wrong))
}

/// What the arguments mean together, where clap cannot tell.
fn misfit(cli: &Cli) -> Option<&'static str> {
    let (format, plans_only) = match &cli.command {
        None => (cli.run.stack.format, cli.run.dry_run),
        Some(Command::Destroy(args)) => (args.stack.format, args.dry_run),
        Some(Command::Output(args)) if args.stack.report.is_some() => return Some("--report is for a plan or a run"),
        Some(Command::Unlock(args)) if args.stack.report.is_some() => return Some("--report is for a plan or a run"),
        Some(Command::Unlock(args)) => (args.stack.format, false),
        Some(Command::Output(args)) => (args.stack.format, false),
        Some(Command::Apply(args)) => (args.show.format, false),
        Some(Command::Check(args)) => (args.format, false),
        _ => return None,
    };
    (format == args::Format::Markdown && !plans_only)
        .then_some("--format markdown is for a plan that is only looked at: it goes with --dry-run, or with `show`")
}
