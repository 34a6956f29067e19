//! What one evaluation knows and has gathered; every native function of the script works on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rhai::{Dynamic, EvalAltResult, NativeCallContext, Position};

use super::lines::Lines;
use super::usage::{Timed, Usage};
use super::value::{Deferred, Handle, is_unknown, to_dynamic, to_value};
use super::{Files, Inventory, Print};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Site};
use crate::resource::schema::Mistake;
use crate::resource::{Declarations, Given, Kind, LeftOut, Map, Oracle, Reference, Sight, Stop, Type, Value};

pub(super) type Outcome<T = Dynamic> = Result<T, Box<EvalAltResult>>;

pub(super) struct World {
    pub oracle: Arc<dyn Oracle>,
    kinds: Mutex<HashMap<Arc<str>, Arc<Kind>>>,
    pub lines: Lines,
    pub inventory: Inventory,
    pub print: Print,
    pub files: Option<Arc<dyn Files>>,
    usage: Arc<Usage>,
    state: Mutex<State>,
    /// Set once the script may not go on; Rhai asks for it before every operation, so nothing can swallow it.
    ended: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    pub declarations: Declarations,
    pub outputs: Vec<Given>,
    pub phases: Vec<Arc<str>>,
    /// Where the script is, outermost first.
    pub phase: Vec<Arc<str>>,
    /// Constants at the top of each file, by file and name.
    pub constants: HashMap<(i64, String), Dynamic>,
    /// Mistakes in declarations: the script goes on, so that one run finds them all.
    pub mistakes: Diagnostics,
    /// Which template with which values gave a text.
    pub rendered: HashMap<u64, Origin>,
    pub end: Option<End>,
    pub left_out: Vec<LeftOut>,
}

/// Where a text comes from.
#[derive(Clone)]
pub(super) struct Origin {
    pub template: String,
    pub values: Arc<Map>,
}

/// Why the script may not go on. Kept beside Rhai's own errors, which a `try` or a standard function may swallow.
pub(super) enum End {
    Stop(Stop),
    Failed(Diagnostic),
    /// The declarations so far have mistakes, so nothing can be seen.
    Mistaken,
}

impl World {
    pub fn new(script: &super::Script, lines: Lines) -> Arc<Self> {
        let usage = Usage::new(script.limits);
        Arc::new(World {
            oracle: Arc::new(Timed { oracle: script.oracle.clone(), usage: usage.clone() }),
            kinds: Mutex::new(script.kinds.iter().map(|kind| (kind.name.clone(), kind.clone())).collect()),
            lines,
            inventory: script.inventory.clone(),
            print: script.print.clone(),
            files: script.files.clone(),
            usage,
            state: Mutex::default(),
            ended: AtomicBool::new(false),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn site(&self, ctx: &NativeCallContext) -> Site {
        self.lines.site(ctx.call_position())
    }

    /// Counts an operation; gives a reason if the script must end here.
    pub fn progress(&self) -> Option<Dynamic> {
        let gathered = || {
            let state = self.state();
            state.declarations.len() + state.outputs.len() + state.mistakes.len()
        };
        if let Some(why) = self.usage.step(gathered)
            && !self.ended.load(Ordering::Relaxed)
        {
            drop(self.end(End::Failed(why), Position::NONE));
        }
        self.ended.load(Ordering::Relaxed).then_some(Dynamic::UNIT)
    }

    /// Whether the script used up what it may.
    pub fn is_used_up(&self) -> bool {
        self.usage.is_used_up()
    }

    /// Passes on what the script prints, up to a limit; the script ends at the next operation after that.
    pub fn say(&self, text: &str, position: Position) {
        if self.may_tell(text, "prints", position) {
            (self.print)(text, self.lines.site(position));
        }
    }

    /// Counts what is said; ends the script after the limit.
    pub fn may_tell(&self, text: &str, does: &str, position: Position) -> bool {
        let said = self.usage.tells(text.len(), does);
        if let Err(Some(why)) = said {
            drop(self.end(End::Failed(why.at(&self.lines.site(position), "here")), position));
            return false;
        }
        said.is_ok()
    }

    /// Ends the script, for the first reason given.
    pub fn end(&self, end: End, position: Position) -> Box<EvalAltResult> {
        self.state().end.get_or_insert(end);
        self.ended.store(true, Ordering::Relaxed);
        Box::new(EvalAltResult::ErrorTerminated(Dynamic::UNIT, position))
    }

    pub fn mistake(&self, mistake: Diagnostic) {
        self.state().mistakes.push(mistake);
    }

    /// An error that the script may catch.
    pub fn raise(&self, position: Position, diagnostic: Diagnostic) -> Box<EvalAltResult> {
        Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(diagnostic), position))
    }

    /// The value as the script may look at it: every reference inside is seen, or the stage ends here.
    pub fn see(&self, value: &Dynamic, position: Position) -> Outcome {
        let mut value = value.flatten_clone();
        // A value that was seen may itself hold references: those of a resource it was computed from.
        while is_unknown(&value) {
            let mut references = vec![];
            if let Some(handle) = collect(&value, &mut references) {
                return Err(self.end(End::Failed(self.whole(&handle, position)), position));
            }
            let known = self.see_all(references, position)?;
            value = fill(&value, &known);
        }
        Ok(value)
    }

    /// Like [`World::see`], for what looks at the outermost value only (`for`, `??`, `type_of`).
    pub fn see_outermost(&self, value: &Dynamic, position: Position) -> Outcome {
        let mut value = value.flatten_clone();
        while value.is::<Deferred>() {
            let mut references = vec![];
            collect(&value, &mut references);
            let known = self.see_all(references, position)?;
            value = fill(&value, &known);
        }
        Ok(value)
    }

    fn see_all(&self, references: Vec<Reference>, position: Position) -> Outcome<HashMap<Reference, Value>> {
        let state = self.state();
        let mistaken = !state.mistakes.is_empty();
        let sights = references.into_iter().map(|reference| {
            let sight = self.oracle.see(&state.declarations, &reference)?;
            Ok((reference, sight))
        });
        let sights: Result<Vec<_>, Box<Diagnostic>> = if mistaken { Ok(vec![]) } else { sights.collect() };
        drop(state);
        if mistaken {
            return Err(self.end(End::Mistaken, position));
        }
        let sights = sights.map_err(|diagnostic| {
            let diagnostic = placed(*diagnostic, &self.lines.site(position), "seen here");
            self.end(End::Failed(diagnostic), position)
        })?;
        self.known_or_stop(sights, position)
    }

    fn known_or_stop(&self, sights: Vec<(Reference, Sight)>, position: Position) -> Outcome<HashMap<Reference, Value>> {
        let (mut known, mut unknown, mut because) = (HashMap::new(), vec![], None);
        for (reference, sight) in sights {
            match sight {
                Sight::Known(value) => drop(known.insert(reference, value)),
                Sight::Unknown(why) => {
                    unknown.push(reference);
                    because = because.or(why);
                }
            }
        }
        if unknown.is_empty() {
            return Ok(known);
        }
        let stop = Stop { references: unknown, site: self.lines.site(position), because };
        Err(self.end(End::Stop(stop), position))
    }

    /// Whether seeing would go on; never ends the stage.
    pub fn is_known(&self, value: &Dynamic, position: Position) -> Outcome<bool> {
        let mut references = vec![];
        if collect(value, &mut references).is_some() {
            return Ok(false);
        }
        if references.is_empty() {
            return Ok(true);
        }
        let state = self.state();
        if !state.mistakes.is_empty() {
            drop(state);
            return Err(self.end(End::Mistaken, position));
        }
        let mut all = true;
        for reference in references {
            match self.oracle.see(&state.declarations, &reference) {
                Ok(Sight::Known(_)) => {}
                Ok(Sight::Unknown(_)) => all = false,
                Err(diagnostic) => {
                    drop(state);
                    let diagnostic = placed(*diagnostic, &self.lines.site(position), "seen here");
                    return Err(self.end(End::Failed(diagnostic), position));
                }
            }
        }
        Ok(all)
    }

    /// The references' values, for a template that looks at them at a place of its own.
    pub fn see_references(
        &self,
        references: Vec<Reference>,
        position: Position,
        site: Option<Site>,
    ) -> Outcome<HashMap<Reference, Value>> {
        let known = self.see_all(references, position);
        match (site, &mut self.state().end) {
            (Some(site), Some(End::Stop(stop))) => stop.site = site,
            (Some(site), Some(End::Failed(diagnostic))) => {
                diagnostic.places.insert(0, Place { site, label: "looked at here".into() });
            }
            _ => {}
        }
        known
    }

    pub fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        self.kinds.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(name).cloned()
    }

    /// A kind that nobody could list before something of it was declared.
    pub fn learn_kind(&self, kind: &Arc<Kind>) {
        let mut kinds = self.kinds.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        kinds.entry(kind.name.clone()).or_insert_with(|| kind.clone());
    }

    pub fn type_of(&self, reference: &Reference) -> Option<Type> {
        if reference.secret_name().is_some() {
            return Some(Type::String);
        }
        self.kind(&reference.address.kind)?.type_at(&reference.path)
    }

    fn whole(&self, handle: &Handle, position: Position) -> Diagnostic {
        let address = &handle.0.address;
        Diagnostic::error(format!("a whole resource cannot be looked at: `{address}`"))
            .at(&self.lines.site(position), "seen here")
            .hint(format!("name one of its attributes: {}", attributes(&handle.0.kind)))
    }
}

/// A kind's attributes, as one reads them in a hint.
pub(super) fn attributes(kind: &Kind) -> String {
    kind.attributes().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The diagnostic with a place, if it came without one.
pub(super) fn placed(diagnostic: Diagnostic, site: &Site, label: &str) -> Diagnostic {
    if diagnostic.places.is_empty() { diagnostic.at(site, label) } else { diagnostic }
}

/// Gathers the references inside, each once; gives back a whole resource if there is one.
fn collect(value: &Dynamic, references: &mut Vec<Reference>) -> Option<Handle> {
    if let Ok(items) = value.as_array_ref() {
        return items.iter().find_map(|item| collect(item, references));
    }
    if let Ok(map) = value.as_map_ref() {
        return map.values().find_map(|item| collect(item, references));
    }
    if let Some(deferred) = value.read_lock::<Deferred>() {
        deferred.0.references(&mut |reference| {
            if !references.contains(reference) {
                references.push(reference.clone());
            }
        });
    }
    value.read_lock::<Handle>().map(|handle| handle.clone())
}

fn fill(value: &Dynamic, known: &HashMap<Reference, Value>) -> Dynamic {
    if let Ok(items) = value.as_array_ref() {
        return items.iter().map(|item| fill(item, known)).collect::<rhai::Array>().into();
    }
    if let Ok(map) = value.as_map_ref() {
        return Dynamic::from_map(map.iter().map(|(key, item)| (key.clone(), fill(item, known))).collect());
    }
    match value.read_lock::<Deferred>() {
        Some(deferred) => to_dynamic(&deferred.0.resolve(&mut |reference| known.get(reference).cloned())),
        None => value.flatten_clone(),
    }
}

impl World {
    /// Ready to run once more, after an end; what was gathered stays.
    pub fn renew(&self) {
        self.state().end = None;
        self.ended.store(false, Ordering::Relaxed);
        self.usage.restart();
    }
}

#[cfg(test)]
impl World {
    /// As if nothing had run yet.
    pub fn reset(&self) {
        *self.state() = State::default();
        self.ended.store(false, Ordering::Relaxed);
        self.usage.restart();
    }
}

/// A map argument; one that is not known as a whole is seen.
pub(super) fn as_map(world: &World, ctx: &NativeCallContext, name: &str, value: &Dynamic) -> Result<Map, Mistake> {
    let wrong = |what: String| Mistake { path: name.to_owned(), what, hint: None };
    let value = world.see_outermost(value, ctx.call_position()).map_err(|_| wrong("is not known".into()))?;
    if value.is_unit() {
        return Ok(Map::new());
    }
    let type_name = ctx.engine().map_type_name(value.type_name()).to_owned();
    match to_value(&value) {
        Ok(Value::Map(map)) => Ok(map),
        Ok(_) => Err(wrong(format!("expects a map `#{{ … }}`, got a value of type {type_name}"))),
        Err(misfit) => {
            Err(Mistake { path: misfit.field().to_owned(), what: format!("cannot be {}", misfit.what), hint: None })
        }
    }
}
