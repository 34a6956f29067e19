//! The command line: a doc comment here is a line of `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::inventory::Set;
use crate::resource::Address;

/// Runs infrastructure playbooks written in Rhai: plans, asks, applies. No state file.
#[derive(Debug, Parser)]
#[command(
    name = "runner",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "runner [OPTIONS] <PLAYBOOK>\n       runner <COMMAND>",
    after_help = AFTER
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub run: RunArgs,
}

const AFTER: &str = "\
Examples:
  runner playbooks/prod.rhai --sandbox        try it: an embedded cloud, no credentials, no network
  runner check playbooks/prod.rhai            what is wrong with it, without running anything
  runner playbooks/prod.rhai --dry-run        what would change, for a review; touches nothing
  runner playbooks/prod.rhai --dry-run --replay main.json   the same without credentials, by what --record kept
  runner playbooks/prod.rhai --dry-run --format markdown    the same as a comment for a pull request
  runner playbooks/prod.rhai                  plan, ask, apply
  runner playbooks/prod.rhai -i staging       the same playbook with inventory/staging.toml
  runner output playbooks/prod.rhai vpc_id    one output as it is now, bare, for $(...); without a name all of them
  runner destroy playbooks/prod.rhai          plan the removal of all the stack owns, ask, delete
  runner playbooks/prod.rhai --dry-run --plan-out prod.plan   save the plan, for a review
  runner apply prod.plan                      apply that and nothing else; refused if anything has moved since
  runner unlock playbooks/prod.rhai           who has the lock of a stack, and away with it if that run is gone
  runner render apps/namespace.yaml -i prod   what a template gives

Exit codes: 0 done or nothing to do, 1 failed, 2 changes pending (with --detailed-exitcode), 64 wrong usage,
130 interrupted.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan the removal of all that the stack owns, ask, delete
    Destroy(DestroyArgs),
    /// What a saved plan would do, as its dry run told it; reads the file and changes nothing
    Show(ShowArgs),
    /// Apply a saved plan exactly as it was shown, or refuse it if anything has moved since
    Apply(ApplyFileArgs),
    /// Everything that can be known to be wrong with playbooks without running them: needs no credentials and no network
    Check(CheckArgs),
    /// What the playbook's outputs are now, for people and for scripts; reads, and changes nothing
    Output(OutputArgs),
    /// What a template gives with an inventory, as text; reads and changes nothing else
    Render(RenderArgs),
    /// Who has the lock of a stack; removes the one that a run which is gone has left
    Unlock(UnlockArgs),
    /// The reference of kinds and lookups: inputs, outputs, options
    Doc(DocArgs),
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub stack: StackArgs,

    #[command(flatten)]
    pub apply: ApplyArgs,

    /// Stop after the plan; makes no change, and nothing that could
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub review: ReviewArgs,

    /// Plan and apply only these phases (repeat it, or separate names by commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub phase: Vec<String>,

    /// Also delete what the stack owns and the playbook no longer declares; not with --phase, since only the whole
    /// playbook tells that. With an address only that: --prune=k8s::Namespace.old. What takes more with it than itself (a
    /// namespace, a custom resource definition, a volume claim) only goes so
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, value_delimiter = ',', conflicts_with = "phase")]
    pub prune: Option<Vec<Address>>,

    #[command(flatten)]
    pub plan_out: PlanOut,

    /// With --dry-run: plan again on every save of a file that the plan was made from, until Ctrl-C
    #[arg(long, requires = "dry_run", conflicts_with_all = ["detailed_exitcode", "plan_out", "record"])]
    pub watch: bool,

    /// With --dry-run: exit with 2 if there are changes
    #[arg(long, requires = "dry_run")]
    pub detailed_exitcode: bool,
}

#[derive(Debug, Args)]
pub struct DestroyArgs {
    #[command(flatten)]
    pub stack: StackArgs,

    #[command(flatten)]
    pub apply: ApplyArgs,

    /// Stop after the plan; makes no change
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub plan_out: PlanOut,

    #[command(flatten)]
    pub review: ReviewArgs,
}

/// A plan to be kept.
#[derive(Debug, Default, Args)]
pub struct PlanOut {
    /// With --dry-run: save the plan to FILE, for its owner only, to be shown by `runner show FILE` and applied as it is
    /// by `runner apply FILE`
    #[arg(long, value_name = "FILE", requires = "dry_run", conflicts_with_all = ["replay", "offline"])]
    pub plan_out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A plan that was saved with --plan-out
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// How the plan is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Also write the plan, and how applying it went, as a page for a browser: one file, complete in itself
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,

    /// Say more: also what is unchanged
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Args)]
pub struct ApplyFileArgs {
    #[command(flatten)]
    pub show: ShowArgs,

    #[command(flatten)]
    pub apply: ApplyArgs,

    /// Refuse the plan unless it was made on the sandbox in FILE [default: .runner/sandbox.json]; a plan that was made on
    /// one is always applied to that
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub sandbox: Option<Option<PathBuf>>,
}

/// What a dry run rests on, for reviews where there are no credentials.
#[derive(Clone, Debug, Default, Args)]
pub struct ReviewArgs {
    /// With --dry-run: keep all that the plan read in FILE, for --replay; no secret is in it
    #[arg(long, value_name = "FILE", requires = "dry_run", conflicts_with_all = ["replay", "offline", "yes"])]
    pub record: Option<PathBuf>,

    /// With --dry-run: plan against what --record kept in FILE, with no network and no credentials
    #[arg(long, value_name = "FILE", requires = "dry_run", conflicts_with_all = ["offline", "sandbox", "yes"])]
    pub replay: Option<PathBuf>,

    /// With --dry-run: plan as if nothing existed yet, with no network and no credentials
    #[arg(long, requires = "dry_run", conflicts_with_all = ["sandbox", "yes"])]
    pub offline: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The Rhai files to check, each with all that it imports
    #[arg(value_name = "PLAYBOOK", required = true)]
    pub playbooks: Vec<PathBuf>,

    /// The inventories to check them with (repeat it, or separate names by commas) [default: the playbook's name]
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub inventory: Vec<String>,

    /// Override an inventory value, by one of its type: --set network.zones='["a"]'. A key that no file has is told, and
    /// refused if it looks like another one misspelt
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<Set>,

    /// How findings are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Args)]
#[command(mut_arg("report", |report| report.hide(true)))]
pub struct OutputArgs {
    #[command(flatten)]
    pub stack: StackArgs,

    /// Only this one: a text as it is, a list or a map as one line of JSON
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
#[command(mut_arg("report", |report| report.hide(true)))]
pub struct UnlockArgs {
    #[command(flatten)]
    pub stack: StackArgs,

    /// Do not ask before removing it
    #[arg(short, long)]
    pub yes: bool,

    /// Also remove the lock of a live run, which then stops before its next write, and one that cannot be read
    #[arg(long)]
    pub force: bool,
}

/// What every command on a stack takes.
#[derive(Debug, Args)]
pub struct StackArgs {
    /// The Rhai file to run
    #[arg(value_name = "PLAYBOOK", required = true)]
    pub playbook: Option<PathBuf>,

    /// The inventory, `inventory/NAME.toml`, which is also the stack [default: the playbook's name]
    #[arg(short, long, value_name = "NAME")]
    pub inventory: Option<String>,

    /// Override an inventory value, by one of its type: --set network.zones='["a"]'. A key that no file has is told, and
    /// refused if it looks like another one misspelt
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<Set>,

    /// Use an embedded in-memory cloud, kept in FILE [default: .runner/sandbox.json]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub sandbox: Option<Option<PathBuf>>,

    /// How plans and results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Also write the plan, and how applying it went, as a page for a browser: one file, complete in itself
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,

    /// Say more: also what is unchanged
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What a command that applies takes besides.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Do not ask before applying
    #[arg(short, long)]
    pub yes: bool,

    /// How many changes may be written at a time; waiting for a provider does not count
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub parallelism: u16,

    /// How long to wait for a stack that another run is changing
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    pub lock_timeout: u64,
}

#[derive(Debug, Args)]
pub struct RenderArgs {
    /// A template: a file of `templates/`, by its path or as a playbook calls it
    #[arg(value_name = "TEMPLATE")]
    pub template: String,

    /// The inventory, `inventory/NAME.toml`; the template has it as `env`
    #[arg(short, long, value_name = "NAME")]
    pub inventory: String,

    /// Override an inventory value, by one of its type: --set network.zones='["a"]'. A key that no file has is told, and
    /// refused if it looks like another one misspelt
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<Set>,

    /// A variable of the template, as a playbook gives it: --var host=api.example.com
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub vars: Vec<(String, String)>,

    /// A variable that is a secret of the inventory, shown as `(secret NAME)`: --secret-var token=argocd_token
    #[arg(long = "secret-var", value_name = "NAME=SECRET", value_parser = variable)]
    pub secret_vars: Vec<(String, String)>,
}

/// `name=text`.
fn variable(given: &str) -> Result<(String, String), String> {
    match given.split_once('=') {
        None => Err("there is no `=`: write `name=value`".into()),
        Some(("", _)) => Err("the name is empty: write `name=value`".into()),
        Some((name, _)) if !name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            Err(format!("`{name}` cannot be the name of a variable"))
        }
        Some((name, text)) => Ok((name.to_owned(), text.to_owned())),
    }
}

#[derive(Debug, Args)]
pub struct DocArgs {
    /// A kind or lookup such as aws::subnet; without one, the list of all
    pub name: Option<String>,

    /// The whole reference as one Markdown document
    #[arg(long, conflicts_with = "name")]
    pub markdown: bool,

    /// Definitions for editors with a Rhai language server: save them as a .d.rhai file
    #[arg(long, conflicts_with_all = ["name", "markdown"])]
    pub definitions: bool,

    /// The JSON Schema of what a dry run gives with --format json
    #[arg(long, conflicts_with_all = ["name", "markdown", "definitions"])]
    pub schema: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For a comment on a pull request: a plan that folds, within GitHub's limit of 65,536 characters
    Markdown,
    /// One JSON document per plan, or for the outputs; with an apply, one event a line
    Json,
}
