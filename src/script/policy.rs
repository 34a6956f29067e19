//! Policies: scripts that look at a plan and may deny it. They declare nothing and read nothing but the plan.
//!
//! What is not known before the apply is a reference here too: a policy that looks at one cannot tell, and that denies.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rhai::{CallFnOptions, Dynamic, Engine, NativeCallContext, Position, Scope};

use super::program::{self, Function, Program};
use super::rewrite::mangled;
use super::value::to_dynamic;
use super::world::{End, World};
use super::{Limits, Script, error, run, seen, standard};
use crate::diagnostic::{Diagnostic, Diagnostics, Site, Sources, closest};
use crate::resource::{Kind, Map, Value};

/// The functions of a policy beside the standard ones.
const WORDS: [(&str, usize); 3] = [("deny", 1), ("warn", 1), ("is_known", 1)];

/// The functions of its own that are called, and how they are written.
const CALLED: [(&str, &str); 2] = [("change", "fn change(c)"), ("plan", "fn plan(p)")];

/// One file of policies.
pub struct Policy<'a> {
    pub file: &'a Path,
    /// What the paths in sites are relative to.
    pub root: &'a Path,
    pub sources: &'a Sources,
    pub kinds: &'a [Arc<Kind>],
    /// Of each call.
    pub limits: Limits,
}

/// What a policy said, or that it could not tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub denies: bool,
    pub text: String,
    pub hint: Option<String>,
    /// Of which change, by its place among them; `None`: of the plan.
    pub change: Option<usize>,
    pub site: Site,
}

type Heard = Arc<Mutex<Vec<(bool, String, Site)>>>;

/// Calls `change` of the policy with each change, and `plan` with the whole plan.
pub fn judge(policy: &Policy, changes: &[Map], plan: &Map) -> Vec<Said> {
    let denied = |told: Diagnostic| {
        let site = told.places.first().map_or_else(|| Site::new("", 0, 0), |place| place.site.clone());
        vec![Said { denies: true, text: broken(&told), hint: told.hint, change: None, site }]
    };
    run::on_a_thread(|| match load(policy) {
        Ok(mut court) => court.hold(changes, plan),
        Err(wrong) => wrong.into_iter().flat_map(denied).collect(),
    })
    .unwrap_or_else(denied)
}

/// What is wrong with a policy before there is any plan.
pub fn check(policy: &Policy) -> Diagnostics {
    run::on_a_thread(|| load(policy).err().unwrap_or_default()).unwrap_or_else(|failed| vec![failed])
}

/// How the text begins of a policy that failed.
pub const FAILED: &str = "the policy failed: ";

fn broken(told: &Diagnostic) -> String {
    let causes: String = told.causes.iter().map(|cause| format!(": {cause}")).collect();
    format!("{FAILED}{}{causes}", told.summary)
}

struct Court {
    engine: Engine,
    world: Arc<World>,
    program: Program,
    heard: Heard,
    limits: Limits,
}

fn load(policy: &Policy) -> Result<Court, Diagnostics> {
    let nothing = || Script { limits: policy.limits, ..Script::nothing() };
    let script = Script { playbook: policy.file, root: policy.root, sources: policy.sources, ..nothing() };
    let heard = Heard::default();
    let mut bare = Engine::new_raw();
    run::confine(&mut bare, &script.limits);
    let program = program::load(&bare, &script, &WORDS)?;
    let wrong = misread(&program);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if !CALLED.iter().any(|(name, _)| has(&program, name)) {
        let [(_, change), (_, plan)] = CALLED;
        let told = Diagnostic::error(format!("a policy defines `{change}` or `{plan}`, and this file has neither"));
        let shown = program.lines.site(Position::new(1, 1));
        return Err(vec![told.at(&Site::new(shown.file, 0, 0), "")]);
    }
    let world = World::new(&Script { kinds: policy.kinds, ..script }, program.lines.clone());
    let engine = engine(&nothing(), &world, &heard);
    Ok(Court { engine, world, program, heard, limits: policy.limits })
}

/// Functions that are meant to be called with a change or a plan, as it seems, and would not be: a guard that is passed over
/// guards nothing.
fn misread(program: &Program) -> Diagnostics {
    let told = |function: &Function| {
        let (name, count) = (function.name.as_str(), function.parameters);
        let called = CALLED.iter().find(|(called, _)| *called == name);
        let told = match called {
            Some(_) if count == 1 => return None,
            Some((_, how)) => {
                let told = Diagnostic::error(format!("`{name}` of a policy takes one parameter, and this one {count}"));
                told.hint(format!("as it is nothing calls it: write `{how}`"))
            }
            // Others are for the policy itself to call.
            None if function.is_used => return None,
            None => {
                let near = closest(name, CALLED.map(|(called, _)| called))?;
                Diagnostic::error(format!("nothing calls `{name}`")).hint(format!("did you mean `{near}`?"))
            }
        };
        Some(told.at(&program.lines.site(function.position), "defined here"))
    };
    program.functions.iter().filter_map(told).collect()
}

fn has(program: &Program, name: &str) -> bool {
    program.functions.iter().any(|function| function.name == name && function.parameters == 1)
}

fn engine(script: &Script, world: &Arc<World>, heard: &Heard) -> Engine {
    let mut engine = Engine::new();
    run::confine(&mut engine, &script.limits);
    seen::register(&mut engine, world);
    standard::register(&mut engine, world);
    for (word, denies) in [("deny", true), ("warn", false)] {
        let (w, h) = (world.clone(), heard.clone());
        engine.register_fn(word, move |ctx: NativeCallContext, text: Dynamic| {
            let text = super::value::shown(&text);
            if !w.may_tell(&text, "says", ctx.call_position()) {
                return;
            }
            h.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((denies, text, w.site(&ctx)));
        });
    }
    let w = world.clone();
    engine.on_progress(move |_| w.progress());
    engine
}

impl Court {
    fn hold(&mut self, changes: &[Map], plan: &Map) -> Vec<Said> {
        let mut scope = Scope::new();
        let begun = self.engine.run_ast_with_scope(&mut scope, &self.program.ast).map(drop);
        let mut said = self.said(begun, None);
        if said.iter().any(|said| said.denies) {
            return said;
        }
        if has(&self.program, "change") {
            for (index, change) in changes.iter().enumerate() {
                let result = self.call("change", change);
                said.extend(meant(self.said(result, Some(index)), change));
                // What has no end with one change has none with the thousand that follow, and it is denied already.
                if self.world.is_used_up() {
                    return once(said);
                }
            }
        }
        if has(&self.program, "plan") {
            let result = self.call("plan", plan);
            said.extend(meant(self.said(result, None), plan));
        }
        once(said)
    }

    fn call(&self, name: &str, given: &Map) -> Result<(), Box<rhai::EvalAltResult>> {
        self.world.renew();
        let name = mangled(self.program.entry, name);
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(true);
        let given = (to_dynamic(&Value::Map(given.clone())),);
        let ast = &self.program.ast;
        self.engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), ast, name, given).map(drop)
    }

    /// What was said since it was last asked, and how it ended.
    fn said(&self, result: Result<(), Box<rhai::EvalAltResult>>, change: Option<usize>) -> Vec<Said> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let mut said: Vec<Said> =
            heard.into_iter().map(|(denies, text, site)| Said { denies, text, hint: None, change, site }).collect();
        let end = self.world.state().end.take();
        let told = match (end, result) {
            (Some(End::Stop(stop)), _) => {
                let names: Vec<String> = stop.references.iter().map(|reference| format!("`{reference}`")).collect();
                let what = match stop.references.iter().any(|reference| reference.secret_name().is_some()) {
                    true => "which no policy may see",
                    false => "which is only known after the apply",
                };
                let text = format!("the policy cannot tell: it looks at {}, {what}", names.join(", "));
                let hint = "ask `is_known(…)` first, and say what shall hold if it is not".to_owned();
                said.push(Said { denies: true, text, hint: Some(hint), change, site: stop.site });
                return said;
            }
            (Some(End::Failed(told)), _) => told,
            (Some(End::Mistaken), _) => Diagnostic::error("it came to no end"),
            (None, Ok(())) => return said,
            (None, Err(error)) => error::of_running(*error, &self.program, &self.world.inventory, &self.limits),
        };
        let whole = || Site::new(self.program.lines.site(Position::new(1, 1)).file, 0, 0);
        let site = told.places.first().map_or_else(whole, |place| place.site.clone());
        said.push(Said { denies: true, text: broken(&told), hint: told.hint.clone(), change, site });
        said
    }
}

/// A field that is not there may be one that is, written otherwise.
fn meant(mut said: Vec<Said>, given: &Map) -> Vec<Said> {
    for one in said.iter_mut().filter(|one| one.hint.is_none()) {
        let missing = one.text.strip_prefix(FAILED).and_then(|text| text.strip_prefix("this map has no `"));
        let near = missing.and_then(|name| closest(name.trim_end_matches('`'), given.keys().map(String::as_str)));
        one.hint = near.map(|near| format!("did you mean `{near}`?"));
    }
    said
}

/// A policy that fails the same way for many changes says so of the first, and for how many more.
fn once(said: Vec<Said>) -> Vec<Said> {
    let mut told: Vec<(Said, usize)> = vec![];
    for one in said {
        let fails = one.text.starts_with(FAILED);
        let same = |(other, _): &&mut (Said, usize)| fails && (&other.text, &other.site) == (&one.text, &one.site);
        match told.iter_mut().find(same) {
            Some((_, more)) => *more += 1,
            None => told.push((one, 0)),
        }
    }
    let text = |(said, more): (Said, usize)| match more {
        0 => said,
        1 => Said { text: format!("{} (and for 1 more change)", said.text), ..said },
        more => Said { text: format!("{} (and for {more} more changes)", said.text), ..said },
    };
    told.into_iter().map(text).collect()
}
