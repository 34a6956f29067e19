//! The value that is not known yet: it may be passed on and written out, and tells when anybody looks at it.
//!
//! Written out, it leaves a mark in the text; the marks are taken for the references they stand for at the end. The
//! guards that [`super::guard`] puts around every look refuse unknowns and marked text alike, so neither can be
//! compared, measured or changed.

use std::fmt;
use std::sync::{Arc, Mutex};

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value as Any};

use super::limits::{self, Parts};
use crate::resource::{Map, Reference, Segment, Value};

const OPEN: char = '\u{f8f0}';
const CLOSE: char = '\u{f8f1}';
/// Characters that neither a template nor a variable may hold.
pub const RESERVED: [char; 3] = [OPEN, CLOSE, '\u{f8f2}'];

/// What happens to the unknowns in one rendering.
#[derive(Default, Debug)]
pub struct Run(Mutex<Trace>);

type Look = (String, u32, u32);

#[derive(Default, Debug)]
struct Trace {
    seen: Vec<Reference>,
    /// The first look: template, line and column.
    site: Option<Look>,
    /// What each mark stands for.
    marks: Vec<Value>,
}

impl Run {
    fn see(&self, value: &Value, site: Option<Look>) {
        let mut trace = self.0.lock().expect("no holder panics");
        value.references(&mut |reference| {
            if !trace.seen.contains(reference) {
                trace.seen.push(reference.clone());
            }
        });
        trace.site = trace.site.take().or(site);
    }

    /// What had to be seen, if anything had to.
    pub fn seen(&self) -> Option<(Vec<Reference>, Option<Look>)> {
        let trace = self.0.lock().expect("no holder panics");
        (!trace.seen.is_empty()).then(|| (trace.seen.clone(), trace.site.clone()))
    }

    /// All references that were written out.
    pub fn passed(&self) -> Vec<Reference> {
        let trace = self.0.lock().expect("no holder panics");
        let mut passed = vec![];
        trace.marks.iter().for_each(|mark| mark.references(&mut |reference| passed.push(reference.clone())));
        passed
    }

    /// A value that is not known as it is written: marks in the place of its references.
    fn mark(&self, value: &Value) -> String {
        match value {
            Value::Text(parts) => parts.iter().map(|part| self.mark(part)).collect(),
            Value::Reference(_) => self.mark_one(value),
            known => known.to_string(),
        }
    }

    fn mark_one(&self, value: &Value) -> String {
        let mut trace = self.0.lock().expect("no holder panics");
        let index = trace.marks.iter().position(|mark| mark == value).unwrap_or(trace.marks.len());
        if index == trace.marks.len() {
            trace.marks.push(value.clone());
        }
        format!("{OPEN}{index}{CLOSE}")
    }

    /// The text with its marks taken for what they stand for; `None` if one of them is not whole.
    pub fn fill(&self, text: &str) -> Option<Value> {
        let trace = self.0.lock().expect("no holder panics");
        let (mut parts, mut rest) = (vec![], text);
        while let Some(at) = rest.find(RESERVED) {
            parts.push(Value::from(&rest[..at]));
            let (number, after) = rest[at..].strip_prefix(OPEN)?.split_once(CLOSE)?;
            parts.push(trace.marks.get(number.parse::<usize>().ok()?)?.clone());
            rest = after;
        }
        parts.push(Value::from(rest));
        Some(Value::text(parts))
    }
}

/// True if a reserved character is in it.
pub fn is_reserved(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(RESERVED),
        Value::List(items) | Value::Text(items) => items.iter().any(is_reserved),
        Value::Map(map) => map.iter().any(|(key, value)| key.contains(RESERVED) || is_reserved(value)),
        _ => false,
    }
}

/// A variable as the template gets it.
pub fn pass(value: &Value, run: &Arc<Run>) -> Any {
    match value {
        Value::Null => Any::from(()),
        Value::Bool(b) => Any::from(*b),
        Value::Int(i) => Any::from(*i),
        Value::Float(x) => Any::from(*x),
        Value::String(text) => Any::from(text.as_str()),
        Value::List(items) => Any::from(items.iter().map(|item| pass(item, run)).collect::<Vec<_>>()),
        Value::Map(map) => Any::from_pairs(map.iter().map(|(key, value)| (key.clone(), pass(value, run)))),
        Value::Reference(_) | Value::Text(_) => Any::from_object(Unknown { value: value.clone(), run: run.clone() }),
    }
}

#[derive(Debug)]
struct Unknown {
    value: Value,
    run: Arc<Run>,
}

/// What the engine may do with it without asking a guard; all but passing into it counts as seeing.
impl Object for Unknown {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Any) -> Option<Any> {
        let segment = match (key.as_str(), key.as_i64()) {
            (Some(name), _) if !name.contains(RESERVED) => Some(Segment::Key(name.to_owned())),
            (_, Some(index)) if index >= 0 => Some(Segment::Index(index)),
            _ => None,
        };
        match (&self.value, segment) {
            (Value::Reference(reference), Some(segment)) => {
                Some(pass(&Value::Reference(reference.then(segment)), &self.run))
            }
            _ => {
                self.run.see(&self.value, None);
                None
            }
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.run.see(&self.value, None);
        Enumerator::NonEnumerable
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.run.see(&self.value, None);
        false
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Any]) -> Result<Any, Error> {
        self.run.see(&self.value, None);
        Err(refusal())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, _: &str, _: &[Any]) -> Result<Any, Error> {
        self.run.see(&self.value, None);
        Err(refusal())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.run.see(&self.value, None);
        f.write_str("(not known yet)")
    }
}

fn refusal() -> Error {
    Error::new(ErrorKind::InvalidOperation, "this is only known after apply")
}

fn unknown(value: &Any) -> Option<&Unknown> {
    value.downcast_object_ref::<Unknown>()
}

/// The unknowns in a value: itself, marks in text, and, if `inside` says how deep it may go, what is inside.
fn find(value: &Any, run: &Run, inside: Option<usize>, found: &mut Vec<Value>, parts: &mut Parts) -> Result<(), Error> {
    parts.count(value.as_str().map_or(0, str::len))?;
    if let Some(unknown) = unknown(value) {
        found.push(unknown.value.clone());
        return Ok(());
    }
    if let Some(text) = value.as_str() {
        if text.contains(RESERVED) {
            found.push(
                run.fill(text).unwrap_or_else(|| Value::List(run.0.lock().expect("no holder panics").marks.clone())),
            );
        }
        return Ok(());
    }
    let Some(depth) = inside.filter(|_| matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable))
    else {
        return Ok(());
    };
    // Not passed over: what goes through a value later relies on this look at all of it.
    let depth = Some(depth.checked_sub(1).ok_or_else(limits::too_deep)?);
    let Ok(items) = value.try_iter() else { return Ok(()) };
    for item in items {
        if value.kind() == ValueKind::Map
            && let Ok(inner) = value.get_item(&item)
        {
            find(&inner, run, depth, found, parts)?;
        }
        find(&item, run, depth, found, parts)?;
    }
    Ok(())
}

/// Refuses a value that would be gone through without an end.
pub fn bounded(value: &Any, run: &Run) -> Result<(), Error> {
    find(value, run, ALL, &mut vec![], &mut Parts::default())
}

/// A list that is only made while it is gone through, made now: one that is made of another such, and so on, would be gone
/// through by as deep a recursion.
fn whole(value: &Any) -> Result<Any, Error> {
    let (mut items, mut parts) = (vec![], Parts::default());
    for item in value.try_iter()? {
        parts.count(0)?;
        items.push(item);
    }
    Ok(items.into())
}

/// The same of what `chain` gives, which may be a map.
fn chained(value: &Any) -> Result<Any, Error> {
    if value.kind() != ValueKind::Map {
        return whole(value);
    }
    let (mut pairs, mut parts) = (vec![], Parts::default());
    for key in value.try_iter()? {
        parts.count(0)?;
        let inner = value.get_item(&key)?;
        pairs.push((key, inner));
    }
    Ok(Any::from_pairs(pairs))
}

/// What is inside, too, as deep as a value may be; one that holds itself ends here.
const ALL: Option<usize> = Some(limits::DEPTH);

fn guard(run: &Run, state: &State, value: Any, inside: Option<usize>, line: u32, column: u32) -> Result<Any, Error> {
    let mut found = vec![];
    find(&value, run, inside, &mut found, &mut Parts::default())?;
    if found.is_empty() {
        return Ok(value);
    }
    found.iter().for_each(|value| run.see(value, Some((state.name().to_owned(), line, column))));
    Err(refusal())
}

/// The guards as filters, what is written where text goes, and the filters of our own.
pub fn register(environment: &mut Environment, run: &Arc<Run>) {
    for (name, inside) in [("__see", ALL), ("__walk", None)] {
        let run = run.clone();
        environment.add_filter(name, move |state: &State, value: Any, line: u32, column: u32| {
            guard(&run, state, value, inside, line, column)
        });
    }
    let theirs = run.clone();
    environment.add_filter("__bounded", move |value: Any| bounded(&value, &theirs).map(|()| value));
    environment.add_filter("__whole", |value: Any| match value.kind() {
        ValueKind::Iterable => whole(&value),
        _ => Ok(value),
    });
    environment.add_filter("__chained", |value: Any| chained(&value));
    let theirs = run.clone();
    environment.add_filter("__exists", move |state: &State, value: Any, line: u32, column: u32| {
        // A resource has the attributes of its kind; what is inside one may or may not be there.
        let certain = match unknown(&value).map(|unknown| &unknown.value) {
            Some(Value::Reference(reference)) => reference.path.len() <= 1,
            _ => true,
        };
        if certain { Ok(value) } else { guard(&theirs, state, value, None, line, column) }
    });
    let theirs = run.clone();
    environment.add_filter("__index", move |state: &State, value: Any, line: u32, column: u32| {
        let text = value.as_str().is_some();
        if text { guard(&theirs, state, value, None, line, column) } else { Ok(value) }
    });
    let theirs = run.clone();
    environment.add_filter("__text", move |state: &State, value: Any, line: u32, column: u32| {
        text(&theirs, state, &value, line, column)
    });
    let theirs = run.clone();
    environment.add_filter("__join", move |state: &State, value: Any, joiner: Option<Any>| {
        let joiner = joiner.map(|joiner| text(&theirs, state, &joiner, 0, 0)).transpose()?.unwrap_or_default();
        let (mut joined, mut parts) = (String::new(), Parts::default());
        for (index, item) in value.try_iter()?.enumerate() {
            let item = text(&theirs, state, &item, 0, 0)?;
            parts.count(item.len() + joiner.len())?;
            joined.push_str(if index > 0 { &joiner } else { "" });
            joined.push_str(&item);
        }
        Ok::<String, Error>(joined)
    });
    let theirs = run.clone();
    environment.add_filter("__carry", move |state: &State, value: Any, line: u32, column: u32| match unknown(&value) {
        Some(unknown) => Ok(Any::from(theirs.mark(&unknown.value))),
        None if value.as_str().is_some() => Ok(value),
        None => guard(&theirs, state, value, ALL, line, column),
    });
    let theirs = run.clone();
    environment.add_filter("__data", move |state: &State, value: Any, line: u32, column: u32| {
        // Nobody knows whether it will be a text or a map of many lines; a secret is a text.
        let shapeless = match unknown(&value).map(|unknown| &unknown.value) {
            Some(Value::Reference(reference)) => reference.secret_name().is_none(),
            _ => false,
        };
        if shapeless { guard(&theirs, state, value, None, line, column) } else { Ok(value) }
    });
    super::filters::register(environment, run);
    let theirs = run.clone();
    environment.set_formatter(move |out, state, value| {
        out.write_str(&text(&theirs, state, value, 0, 0)?).map_err(Error::from)
    });
}

/// A value as it is written: as [`Value`] writes itself inside a text, so that a reference filled in later reads the
/// same as a value known from the start.
pub fn text(run: &Run, state: &State, value: &Any, line: u32, column: u32) -> Result<String, Error> {
    if let Some(unknown) = unknown(value) {
        return Ok(run.mark(&unknown.value));
    }
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Undefined if line > 0 => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Undefined | ValueKind::None => Ok(String::new()),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            // Inside a list or a map it would have to be written as JSON, and that needs its characters.
            let value = guard(run, state, value.clone(), ALL, line, column)?;
            Ok(known(&value).to_string())
        }
        ValueKind::Bool | ValueKind::Number => Ok(known(value).to_string()),
        _ => Ok(value.to_string()),
    }
}

/// A value in our own words, with marks in the place of references.
pub fn spelled(run: &Run, state: &State, value: &Any) -> Result<Value, Error> {
    if let Some(unknown) = unknown(value) {
        return Ok(run.mark(&unknown.value).into());
    }
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.map(|item| spelled(run, state, &item));
            items.collect::<Result<Vec<_>, Error>>().map(Value::List)
        }
        ValueKind::Map => {
            let entry = |key: Any| {
                let key = guard(run, state, key, ALL, 0, 0)?;
                let value = value.get_item(&key)?;
                Ok::<_, Error>((key.to_string(), spelled(run, state, &value)?))
            };
            value.try_iter()?.map(entry).collect::<Result<Map, Error>>().map(Value::Map)
        }
        _ => Ok(known(value)),
    }
}

/// A value in our own words; only for what holds no unknown.
pub fn known(value: &Any) -> Value {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => match value.as_i64().filter(|_| value.is_integer()) {
            Some(integer) => Value::Int(integer),
            None => f64::try_from(value.clone()).map_or_else(|_| value.to_string().into(), Value::Float),
        },
        ValueKind::Seq | ValueKind::Iterable => match value.try_iter() {
            Ok(items) => items.map(|item| known(&item)).collect(),
            Err(_) => Value::Null,
        },
        ValueKind::Map => {
            let keys = value.try_iter().into_iter().flatten();
            Value::Map(
                keys.map(|key| (key.to_string(), value.get_item(&key).map_or(Value::Null, |v| known(&v))))
                    .collect::<Map>(),
            )
        }
        _ => value.to_string().into(),
    }
}
