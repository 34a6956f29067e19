//! One evaluation from start to end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use rhai::module_resolvers::DummyModuleResolver;
use rhai::{Engine, EvalAltResult, OptimizationLevel, Scope, Token};

use super::program::{self, Program};
use super::world::{End, State, World};
use super::{Limits, Script, check, error, register, seen, standard};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{Evaluation, Kind};

/// Enough for `Limits::depth` calls and for a value nested `Limits::items` deep, which Rhai walks by recursion, in an
/// unoptimised build. Only what is used is taken from the machine.
const STACK: usize = 128 << 20;

/// The deepest nesting of one expression, and of blocks in it.
const EXPRESSION_DEPTH: usize = 256;

/// Runs a playbook's script to its end, or to where it must see what is not known yet. All mistakes are told at once.
///
/// The script runs on a thread of its own, so a caller on an async runtime should not wait for it there.
pub fn evaluate(script: &Script) -> Result<Evaluation, Diagnostics> {
    on_a_thread(|| run(script)).unwrap_or_else(|failed| Err(vec![failed]))
}

/// A thread with a stack for what is nested deeply; an error if it could not be had, or did not end well.
pub(super) fn on_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, Diagnostic> {
    std::thread::scope(|scope| {
        let run = || catch_unwind(AssertUnwindSafe(run));
        let thread = std::thread::Builder::new().name("script".into()).stack_size(STACK);
        let outcome = thread.spawn_scoped(scope, run).map(|handle| handle.join());
        match outcome {
            Ok(Ok(Ok(outcome))) => Ok(outcome),
            Ok(_) => Err(Diagnostic::error("the script interpreter failed")
                .hint("this is a mistake in runner: please report it")),
            Err(error) => Err(Diagnostic::error("cannot start the script").because(error.to_string())),
        }
    })
}

fn run(script: &Script) -> Result<Evaluation, Diagnostics> {
    // Compiling needs to know the providers' names, running what stands behind them; the lines are known in between.
    let blank = World::new(script, Default::default());
    let program = program::load(&engine(script, &blank), script, &check::OWN)?;
    let world = World::new(script, program.lines.clone());
    let engine = engine(script, &world);
    let result = engine.run_ast_with_scope(&mut Scope::new(), &program.ast);
    finish(&world, result, &program, script)
}

/// What has been gathered, and what the script ended with.
fn finish(
    world: &World,
    result: Result<(), Box<EvalAltResult>>,
    program: &Program,
    script: &Script,
) -> Result<Evaluation, Diagnostics> {
    let mut state = std::mem::take(&mut *world.state());
    let stop = match (state.end.take(), result) {
        (Some(End::Stop(stop)), _) => Some(stop),
        (Some(End::Mistaken), _) => None,
        (Some(End::Failed(mut diagnostic)), result) => {
            if diagnostic.places.is_empty()
                && let Err(error) = result
            {
                let found = error::of_running(*error, program, &script.inventory, &script.limits);
                diagnostic.places = found.places;
            }
            state.mistakes.push(diagnostic);
            None
        }
        (None, Err(error)) if !matches!(*error, EvalAltResult::Exit(..)) => {
            state.mistakes.push(error::of_running(*error, program, &script.inventory, &script.limits));
            None
        }
        (None, _) => None,
    };
    if !state.mistakes.is_empty() {
        return Err(state.mistakes);
    }
    let State { declarations, outputs, phases, left_out, .. } = state;
    Ok(Evaluation { declarations, outputs, phases, stop, left_out })
}

/// An engine with everything a playbook may call, and none of what it may not.
pub(super) fn engine(script: &Script, world: &Arc<World>) -> Engine {
    let mut engine = Engine::new();
    confine(&mut engine, &script.limits);
    seen::register(&mut engine, world);
    standard::register(&mut engine, world);
    register::words(&mut engine, world);
    register::kinds(&mut engine, world, script.kinds, script.lookups, script.compounds);
    let w = world.clone();
    engine.on_progress(move |_| w.progress());
    let w = world.clone();
    engine.on_print(move |text| w.say(text, rhai::Position::NONE));
    let w = world.clone();
    engine.on_debug(move |text, _, position| w.say(text, position));
    engine
}

pub(super) fn confine(engine: &mut Engine, limits: &Limits) {
    // The optimiser takes constants apart on its own terms: with it, some assignments panic and some errors vanish.
    engine.set_optimization_level(OptimizationLevel::None);
    // Otherwise an arithmetic error does not say where it is.
    engine.set_fast_operators(false);
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    engine.set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH);
    engine.set_max_call_levels(limits.depth);
    engine.set_max_array_size(limits.items);
    engine.set_max_map_size(limits.items);
    engine.set_max_string_size(limits.text);
    engine.set_module_resolver(DummyModuleResolver::new());
    engine.disable_symbol("eval");
    let previous = Mutex::new(None);
    #[allow(deprecated, reason = "volatile, not deprecated; the version is pinned")]
    engine.on_parse_token(move |token, _, _| {
        let mut previous = previous.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let token = as_name(token, previous.as_ref());
        *previous = Some(token.clone());
        token
    });
}

/// Lets reserved words be names where nothing else can stand: `vpc.default`, `#{ private: … }`.
fn as_name(token: Token, previous: Option<&Token>) -> Token {
    const SPECIAL: [&str; 9] =
        ["this", "Fn", "call", "curry", "type_of", "is_shared", "is_def_var", "is_def_fn", "eval"];
    let word = match &token {
        Token::Reserved(word) if !SPECIAL.contains(&word.as_str()) => word.to_string(),
        // A subnet is called private more often than a function is; `imports` takes the word from before `fn`.
        Token::Private => "private".into(),
        keyword if matches!(previous, Some(Token::Period | Token::Elvis)) && keyword.is_standard_keyword() => {
            keyword.literal_syntax().into()
        }
        _ => return token,
    };
    match word.chars().all(|c| c.is_alphanumeric() || c == '_') && !matches!(word.as_str(), "print" | "debug") {
        true => Token::Identifier(Box::new(word.as_str().into())),
        false => token,
    }
}

/// What an editor's language server reads to complete and explain kinds and lookups.
pub fn definitions(kinds: &[Arc<Kind>], lookups: &[Lookup], compounds: &[Compound]) -> String {
    let nothing = Script::nothing();
    let world = World::new(&nothing, Default::default());
    let mut engine = Engine::new_raw();
    register::kinds(&mut engine, &world, kinds, lookups, compounds);
    register::words(&mut engine, &world);
    engine.definitions().include_standard_packages(false).single_file()
}
