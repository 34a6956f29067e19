//! `runner` runs playbooks: it evaluates a script, plans what it declares against what is live, and applies the plan.
//!
//! ```text
//! script ──▶ declarations ──▶ refresh ──▶ diff ──▶ Plan ──▶ approve ──▶ apply ──▶ wait
//! (Rhai)      (plain data)    (reads)    (pure)   (data)                (writes)   (polls)
//! ```
//!
//! # The floors, from the top
//!
//! | floor | what it is |
//! |---|---|
//! | [`cli`] | the commands, one file each: arguments in, exit code out |
//! | [`report`] | the only place that prints: plans, progress, diagnostics, the reference |
//! | [`script`] | the only place that knows Rhai: a playbook becomes declarations |
//! | [`engine`] | the only place that orders work: forecast, plan, apply, wait |
//! | [`providers`] | the only place that talks to the outside: AWS, Kubernetes, Cloudflare; the sandbox and recordings stand in for all |
//! | [`inventory`], [`template`] | what playbooks read beside themselves |
//! | [`event`] | what happened, as facts; reports and records read one channel |
//! | [`resource`] | the vocabulary: kind, address, value with references, declaration, live, provider |
//! | [`diagnostic`], [`secret`], [`digest`], [`private_file`] | what went wrong, where, and what to do; what is never shown, what is only compared, and what only its owner reads |
//!
//! `script` and `engine` stand side by side, do not know each other, and meet only in `resource`: the script asks an
//! [`resource::Oracle`] for what it must see, and the engine's [`engine::Forecast`] is one.
//!
//! # What always holds
//!
//! - Imports go down, never up; each outside library has one room (`tests/it/tidy.rs`).
//! - The script never runs while something is being changed.
//! - An unknown never takes a branch: whatever sees a reference gets a certain value or ends the stage
//!   (`src/script/audit.rs`).
//! - What the script saw is what the plan does: both come from one forecast over one look at the world.
//! - A plan is plain data. Applying it runs no script. One that was saved is applied as it was shown, or not at all.
//! - Only a complete evaluation tells what is no longer declared.
//! - Nothing is changed that was not looked at again just before, and nothing that has changed since the plan.
//! - No create is repeated without looking first whether it took effect; no provider repeats one on its own.
//! - Who refuses because it is asked too often is asked more slowly by all, and nobody else is (`src/engine/limiter.rs`).
//! - Ownership is set in the call that creates.
//! - What is about to be done stands in the run's journal before the call, and the next run says what became of it; without
//!   a journal the tags alone lead to the same end (`src/engine/earlier.rs`).
//! - One run at a time writes to a stack, and asks its lease before each write (`src/engine/lock/`).
//! - Nothing new begins after a stop; what is in flight is awaited, or said to be unknown.
//! - A script, a template and an inventory have bounds: of steps, time, memory, depth and size.
//! - What a provider must be asked to tell (a dry run of the API server) is asked while planning, and is a line of the plan.
//! - A recording is written only if the same plan comes of it, with no secret in it (`src/providers/recording/`).
//! - A check runs nothing: no function of the script, no template, no provider.
//! - What a policy denies is not applied, and a policy that cannot tell denies.
//! - A secret is a reference in every script and plan; its value is filled in for a comparison and for a call, and what
//!   leaves the process is searched for it.
//!
//! # To add a kind
//!
//! Write `src/providers/aws/<kind>.rs` with its `Inputs`, `Outputs` and verbs, and add one line to the list in
//! `src/providers/aws/mod.rs`. The script function, its checks, the documentation and the sandbox's version of it
//! come from that. If AWS was not told of tags in that
//! service before, `src/providers/aws/tagging.rs` says how; what the test server does otherwise than AWS is filled in
//! under `tests/moto/gaps/`.

pub mod cli;
pub mod diagnostic;
pub mod digest;
pub mod engine;
pub mod event;
pub mod inventory;
pub mod private_file;
pub mod providers;
pub mod report;
pub mod resource;
pub mod script;
pub mod secret;
pub mod template;
pub mod text_file;
