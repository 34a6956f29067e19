//! The audit that decides: an unknown never lies.
//!
//! Expressions are generated for every operator and every standard function, with a reference in every place and
//! beside operands of every kind. With an oracle that knows nothing, none of them may give a plain value that depends
//! on the unknown; with one that knows everything, each must give what Rhai gives for plain values.

mod expressions;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rhai::{Dynamic, Engine, EvalAltResult, Position, Scope};
use schemars::JsonSchema;

use self::expressions::{expressions, skipped};
use super::program::{File, join};
use super::value::{Handle, Resource, is_unknown};
use super::world::{Outcome, World};
use super::{Script, run, standard};
use crate::diagnostic::Diagnostic;
use crate::resource::kind::Nature;
use crate::resource::{Address, Declarations, Fault, Kind, Oracle, Reference, Sight, Value};

/// The fewest expressions the audit may shrink to.
const FLOOR: usize = 20_000;

/// A kind with an output of every type.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct Inputs {}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Outputs {
    id: String,
    n: i64,
    on: bool,
    ids: Vec<String>,
}

/// Knows nothing, or one of several worlds.
#[derive(Default)]
struct Worlds(AtomicUsize);

fn live(world: usize) -> Value {
    let json = [
        serde_json::json!({ "id": "s", "n": 2, "on": true, "ids": ["i1", "i2"] }),
        serde_json::json!({ "id": "zz", "n": 7, "on": false, "ids": [] }),
        serde_json::json!({ "id": "", "n": -1, "on": true, "ids": ["s"] }),
        serde_json::json!({ "id": "xs", "n": 1, "on": false, "ids": ["xs", "a", "a"] }),
    ];
    json[world - 1].clone().into()
}

impl Oracle for Worlds {
    fn see(&self, _: &Declarations, reference: &Reference) -> Result<Sight, Box<Diagnostic>> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(Sight::Unknown(None)),
            n => live(n)
                .get(&reference.path)
                .cloned()
                .map(Sight::Known)
                .ok_or_else(|| Box::new(Diagnostic::error(format!("there is no {reference}")))),
        }
    }

    fn look_up(&self, _: &str, _: &[Value]) -> Result<Value, Fault> {
        Ok(Value::Null)
    }
}

struct Bench {
    world: Arc<World>,
    oracle: Arc<Worlds>,
    engine: Engine,
    scope: Scope<'static>,
    rewriting: bool,
}

#[derive(Debug, PartialEq)]
enum Found {
    Stopped,
    Error(String),
    Reference,
    Plain(String),
    Panic,
}

impl Bench {
    fn new(rewriting: bool) -> Self {
        let kind = Arc::new(Kind::of::<Inputs, Outputs>("aws::thing", Nature::default()));
        let oracle = Arc::new(Worlds::default());
        let kinds = [kind.clone()];
        let script = Script { kinds: &kinds, oracle: oracle.clone(), ..Script::nothing() };
        let world = World::new(&script, Default::default());
        let mut engine = run::engine(&script, &world);
        engine.set_max_array_size(10_000).set_max_string_size(100_000);
        let mut scope = Scope::new();
        scope.push("v", Handle(Arc::new(Resource { address: Address::new("aws::thing", "main"), kind })));
        Bench { world, oracle, engine, scope, rewriting }
    }

    fn run(&self, expression: &str, world: usize) -> Found {
        self.oracle.0.store(world, Ordering::Relaxed);
        self.world.reset();
        let Ok(ast) = self.engine.compile_with_scope(&self.scope, expression) else {
            return Found::Error("does not compile".into());
        };
        let program = match self.rewriting {
            true => join(vec![File::new("x".into(), ast, false)], Default::default()).ast,
            false => ast,
        };
        let mut scope = self.scope.clone();
        let eval = || -> Outcome {
            let value = self.engine.eval_ast_with_scope::<Dynamic>(&mut scope, &program)?;
            if world == 0 { Ok(value) } else { self.world.see(&value, Position::NONE) }
        };
        let result = catch_unwind(AssertUnwindSafe(eval));
        let ended = self.world.state().end.is_some();
        match result {
            Err(_) => Found::Panic,
            _ if ended => Found::Stopped,
            Ok(Err(error)) => Found::Error(said(*error)),
            Ok(Ok(value)) if is_unknown(&value) => Found::Reference,
            Ok(Ok(value)) => Found::Plain(format!("{value:?}")),
        }
    }

    /// A plain value although nothing is known, and in some world where all is known the truth is another one.
    fn lie(&self, plain: &Engine, expression: &str) -> Option<String> {
        let found = self.run(expression, 0);
        let Found::Plain(value) = &found else {
            return (found == Found::Panic).then(|| format!("{expression} panics"));
        };
        // The truth is what plain Rhai says of plain values; a whole resource has none there.
        let truth = |world| match has_whole_resource(expression) {
            true => self.run(expression, world),
            false => truth(plain, expression, world),
        };
        (1..=4)
            .map(truth)
            .find(|truth| !same(&found, truth))
            .map(|truth| format!("{expression} gives {value}, but the truth is {truth:?}"))
    }
}

fn said(error: EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => said(*inner),
        EvalAltResult::ErrorRuntime(value, _) => {
            super::value::shown(&value.clone().try_cast::<Diagnostic>().map_or(value, |d| d.summary.into()))
        }
        other => other.to_string(),
    }
}

fn same(a: &Found, b: &Found) -> bool {
    match (a, b) {
        (Found::Plain(a), Found::Plain(b)) => a == b || is_its_own(a) && is_its_own(b),
        _ => a == b,
    }
}

fn has_whole_resource(expression: &str) -> bool {
    expression.replace("v.", "").split(|c: char| !c.is_alphanumeric()).any(|word| word == "v")
}

/// What plain Rhai says where `v` is a plain map.
fn truth(plain: &Engine, expression: &str, world: usize) -> Found {
    let mut scope = Scope::new();
    scope.push_dynamic("v", super::value::to_dynamic(&live(world)));
    let eval = || -> Outcome {
        let ast = plain.compile_with_scope(&scope, expression).map_err(EvalAltResult::from)?;
        plain.eval_ast_with_scope::<Dynamic>(&mut scope.clone(), &ast)
    };
    match catch_unwind(AssertUnwindSafe(eval)) {
        Err(_) => Found::Panic,
        Ok(Err(error)) => Found::Error(said(*error)),
        Ok(Ok(value)) => Found::Plain(format!("{value:?}")),
    }
}

/// Runs over all expressions on as many threads as there are processors.
fn everywhere<T: Send>(expressions: &[String], work: impl Fn(&[String]) -> Vec<T> + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get());
    let share = expressions.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let work = &work;
        let spawn = |part| {
            let thread = std::thread::Builder::new().stack_size(16 << 20);
            thread.spawn_scoped(scope, move || work(part)).expect("a thread starts")
        };
        let running: Vec<_> = expressions.chunks(share).map(spawn).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no panic escapes")).collect()
    })
}

/// A few of many, from all over.
fn spread(all: &[String]) -> Vec<&str> {
    all.iter().step_by(all.len() / 60 + 1).map(String::as_str).collect()
}

fn quietly() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // Rhai panics in some corners; each is counted, none need be shown.
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let in_rhai = info.location().is_some_and(|place| place.file().contains("rhai-"));
            if !in_rhai {
                usual(info);
            }
        }));
    });
}

#[test]
fn no_expression_gives_a_plain_value_that_depends_on_the_unknown() {
    quietly();
    let all = expressions();
    assert!(all.len() >= FLOOR, "only {} expressions", all.len());
    let lies = everywhere(&all, |part| {
        let (bench, plain) = (Bench::new(true), plain_engine());
        part.iter().filter_map(|expression| bench.lie(&plain, expression)).collect()
    });
    assert!(lies.is_empty(), "{} of {} lie:\n{}", lies.len(), all.len(), spread(&lies).join("\n"));
}

/// How many lies the audit finds in an interpreter that lacks something.
fn lies_of(mutant: impl Fn() -> Bench + Sync) -> usize {
    quietly();
    let all: Vec<String> = expressions().into_iter().step_by(4).collect();
    let lies = everywhere(&all, |part| {
        let (bench, plain) = (mutant(), plain_engine());
        part.iter().filter_map(|expression| bench.lie(&plain, expression)).collect()
    });
    lies.len()
}

#[test]
fn the_audit_finds_the_lies_of_scripts_that_are_not_rewritten() {
    let found = lies_of(|| Bench::new(false));
    assert!(found >= 3, "only {found}");
}

#[test]
fn the_audit_finds_the_lies_of_functions_that_do_not_know_references() {
    let found = lies_of(|| {
        let mut bench = Bench::new(false);
        bench.engine = plain_engine();
        super::seen::access(&mut bench.engine, &bench.world);
        bench
    });
    assert!(found >= 100, "only {found}");
}

#[test]
fn what_is_known_gives_what_a_plain_value_gives() {
    quietly();
    let all: Vec<String> = expressions();
    let differences = everywhere(&all, |part| {
        let (bench, plain) = (Bench::new(true), plain_engine());
        part.iter().filter_map(|expression| difference(&bench, &plain, expression)).collect::<Vec<_>>()
    });
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        all.len(),
        spread(&differences).join("\n")
    );
}

fn plain_engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_optimization_level(rhai::OptimizationLevel::None);
    engine.set_max_operations(100_000).set_max_array_size(10_000).set_max_string_size(100_000);
    engine.set_strict_variables(true).set_fail_on_invalid_map_property(true);
    engine
}

fn difference(bench: &Bench, plain: &Engine, expression: &str) -> Option<String> {
    if has_whole_resource(expression) {
        return None;
    }
    match (truth(plain, expression, 1), bench.run(expression, 1)) {
        (Found::Panic, _) | (Found::Error(_), Found::Error(_) | Found::Stopped) => None,
        (truth, found) if same(&truth, &found) => None,
        // An order that contradicts itself gives one result or another.
        _ if expression.contains(".sort(|x, y|") => None,
        // Bytes are not part of a playbook's vocabulary: no reference goes into them.
        _ if expression.contains("blob(") && ["+=", "push", "insert"].iter().any(|way| expression.contains(way)) => {
            None
        }
        // A reference is no function.
        (_, Found::Error(why)) if why.contains("not found: reduce") => None,
        // Where the standard function takes anything for `false`, ours insists on an answer; see `standard`.
        (_, Found::Error(why)) if why.contains("the function must answer") => None,
        (_, Found::Error(why)) if why.contains("is not part of playbooks") => None,
        (truth, found) => Some(format!("{expression}: plain {truth:?}, ours {found:?}")),
    }
}

/// Functions and points in time are not the same twice.
fn is_its_own(shown: &str) -> bool {
    shown.contains("Fn") || shown.contains("timestamp") || shown.contains("Instant")
}

#[test]
fn the_generator_covers_every_standard_function() {
    let all = expressions();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in standard::functions() {
        *seen.entry(name).or_default() +=
            all.iter().filter(|expression| expression.contains(&format!("{name}("))).take(1).count();
    }
    let missed: Vec<&&str> =
        seen.iter().filter(|(name, n)| **n == 0 && skipped(name).is_none()).map(|(name, _)| name).collect();
    let without_parameters = ["PI", "E", "is_def_fn"];
    assert!(missed.iter().all(|name| without_parameters.contains(name)), "{missed:?}");
}
