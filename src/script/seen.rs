//! What counts as seeing: the hooks that [`super::rewrite`] calls, access to attributes, and the operators.
//!
//! Passing a reference on is free. Whatever needs to look at it gets the value it will have, or ends the stage.

use std::any::TypeId;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, Map, NativeCallContext, Position};

use super::rewrite;
use super::value::{DEPTH, Deferred, Handle, is_deeper, is_unknown, shown, to_value};
use super::world::{Outcome, World, attributes};
use crate::diagnostic::{Diagnostic, closest};
use crate::resource::{Reference, Segment, Type, Value};

/// The operators that always look at both sides.
const OPERATORS: [&str; 18] =
    ["==", "!=", "<", "<=", ">", ">=", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^", "..", "..="];

pub(super) fn register(engine: &mut Engine, world: &Arc<World>) {
    engine.register_type_with_name::<Deferred>("reference");
    engine.register_type_with_name::<Handle>("resource");
    engine.register_type_with_name::<Diagnostic>("error");
    engine.register_fn("to_string", |error: &mut Diagnostic| error.summary.clone());
    engine.register_get("summary", |error: &mut Diagnostic| error.summary.clone());
    hooks(engine, world);
    access(engine, world);
    assignment(engine, world);
    operators(engine, world);
    sums(engine, world);
    containers(engine, world);
}

fn hooks(engine: &mut Engine, world: &Arc<World>) {
    let w = world.clone();
    engine.register_fn(rewrite::SEE, move |ctx: NativeCallContext, v: Dynamic| w.see(&v, ctx.call_position()));
    for name in [rewrite::SEE_OUTERMOST, rewrite::CONDITION] {
        let w = world.clone();
        engine.register_fn(name, move |ctx: NativeCallContext, v: Dynamic| w.see_outermost(&v, ctx.call_position()));
    }
    let w = world.clone();
    engine.register_fn(rewrite::TYPE_OF, move |ctx: NativeCallContext, v: Dynamic| -> Outcome {
        let v = w.see_outermost(&v, ctx.call_position())?;
        Ok(ctx.engine().map_type_name(v.type_name()).into())
    });
    let w = world.clone();
    engine.register_fn(rewrite::NESTED, move |ctx: NativeCallContext, v: Dynamic| -> Outcome {
        if is_deeper(&v, DEPTH) {
            let told = Diagnostic::error(format!("lists and maps are nested more than {DEPTH} deep"));
            return Err(
                w.raise(ctx.call_position(), told.hint("look for a value that is put into itself, again and again"))
            );
        }
        Ok(v.flatten())
    });
    let w = world.clone();
    engine.register_fn(rewrite::TEXT, move |ctx: NativeCallContext, parts: Array| text(&w, &ctx, parts));
    // Printing is for people and gives nothing back, so it may show what is not known without ending the stage.
    let w = world.clone();
    engine
        .register_fn(rewrite::PRINT, move |ctx: NativeCallContext, v: Dynamic| w.say(&shown(&v), ctx.call_position()));
    engine.register_fn(rewrite::CLOSURE, |closure: rewrite::Closure| FnPtr::from(closure.0));
    let w = world.clone();
    engine.register_fn(rewrite::DEFINE, move |file: i64, name: ImmutableString, value: Dynamic| {
        w.state().constants.insert((file, name.to_string()), value.flatten_clone());
        value
    });
    let w = world.clone();
    engine.register_fn(rewrite::CONSTANT, move |ctx: NativeCallContext, file: i64, name: ImmutableString| -> Outcome {
        let value = w.state().constants.get(&(file, name.to_string())).cloned();
        value.ok_or_else(|| {
            let text = format!("the constant `{name}` is used before its file has set it");
            w.raise(ctx.call_position(), Diagnostic::error(text))
        })
    });
    let w = world.clone();
    engine.register_fn("is_known", move |ctx: NativeCallContext, v: Dynamic| w.is_known(&v, ctx.call_position()));
}

/// The text of `${…}`: text with references in it, where there are some.
fn text(world: &World, ctx: &NativeCallContext, parts: Array) -> Outcome {
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        values.push(piece(world, ctx, part)?);
    }
    Ok(super::value::to_dynamic(&Value::text(values)))
}

/// One part of a text. A list or a map is seen first: only the script knows how its text looks.
fn piece(world: &World, ctx: &NativeCallContext, part: Dynamic) -> Outcome<Value> {
    let part =
        if is_unknown(&part) && !stays_text(world, &part) { world.see(&part, ctx.call_position())? } else { part };
    if let Some(deferred) = part.read_lock::<Deferred>() {
        return Ok((*deferred.0).clone());
    }
    let mut part = part;
    if let Ok(text) = part.as_immutable_string_ref() {
        return Ok(Value::String(text.to_string()));
    }
    let text = ctx.call_native_fn_raw("to_string", true, &mut [&mut part])?;
    Ok(Value::String(text.into_immutable_string().map(|text| text.to_string()).unwrap_or_default()))
}

/// True for what may be embedded in text as it is: the text of its value is the same wherever it is made.
fn stays_text(world: &World, value: &Dynamic) -> bool {
    value.read_lock::<Deferred>().is_some_and(|deferred| match &*deferred.0 {
        Value::Reference(reference) => {
            matches!(world.type_of(reference), Some(Type::String | Type::Enum(_) | Type::Int | Type::Bool))
        }
        _ => true,
    })
}

/// True for what is text for certain, known or not.
fn is_text(world: &World, value: &Dynamic) -> bool {
    value.is_string()
        || value.read_lock::<Deferred>().is_some_and(|deferred| match &*deferred.0 {
            Value::Reference(reference) => {
                matches!(world.type_of(reference), Some(Type::String | Type::Enum(_)))
            }
            _ => true,
        })
}

pub(super) fn access(engine: &mut Engine, world: &Arc<World>) {
    let w = world.clone();
    engine.register_indexer_get(move |ctx: NativeCallContext, handle: &mut Handle, name: &str| {
        attribute(&w, &ctx, handle, name)
    });
    let w = world.clone();
    engine.register_indexer_get(move |ctx: NativeCallContext, deferred: &mut Deferred, key: &str| {
        part(&w, &ctx, deferred, Segment::Key(key.to_owned()))
    });
    let w = world.clone();
    engine.register_indexer_get(move |ctx: NativeCallContext, deferred: &mut Deferred, index: i64| {
        part(&w, &ctx, deferred, Segment::Index(index))
    });
    macro_rules! by_range {
        ($range:ty) => {
            let w = world.clone();
            engine.register_indexer_get(move |ctx: NativeCallContext, deferred: &mut Deferred, range: $range| {
                let mut seen = w.see(&deferred.clone().into(), ctx.call_position())?;
                let function = if seen.is_int() { "get_bits" } else { "sub_string" };
                ctx.call_native_fn_raw(function, true, &mut [&mut seen, &mut Dynamic::from(range)])
            });
        };
    }
    by_range!(std::ops::Range<i64>);
    by_range!(std::ops::RangeInclusive<i64>);
    // Every value of Rhai's has a property `tag` of its own, which would be taken for the attribute.
    let w = world.clone();
    engine.register_get("tag", move |ctx: NativeCallContext, handle: &mut Handle| attribute(&w, &ctx, handle, "tag"));
    let w = world.clone();
    engine.register_get("tag", move |ctx: NativeCallContext, deferred: &mut Deferred| {
        part(&w, &ctx, deferred, Segment::Key("tag".into()))
    });
}

fn attribute(world: &World, ctx: &NativeCallContext, handle: &Handle, name: &str) -> Outcome {
    let (kind, address) = (&handle.0.kind, &handle.0.address);
    if kind.attributes().any(|known| known == name) {
        return Ok(Deferred::reference(Reference::new(address.clone(), name)));
    }
    let hint = match closest(name, kind.attributes()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known attributes: {}", attributes(kind)),
    };
    let text = format!("`{address}` has no attribute `{name}`");
    Err(world.raise(behind(ctx.call_position()), Diagnostic::error(text).hint(hint)))
}

/// A part of what a reference stands for. An index that counts from the end has to see the list.
fn part(world: &World, ctx: &NativeCallContext, deferred: &Deferred, segment: Segment) -> Outcome {
    let position = ctx.call_position();
    let Value::Reference(reference) = &*deferred.0 else {
        let seen = world.see(&Dynamic::from(deferred.clone()), position)?;
        return index_of_text(world, ctx, seen, segment);
    };
    match (world.type_of(reference), &segment) {
        (Some(Type::String | Type::Enum(_)), Segment::Index(_)) => {
            let seen = world.see(&Dynamic::from(deferred.clone()), position)?;
            return index_of_text(world, ctx, seen, segment);
        }
        (Some(Type::Int), Segment::Index(index)) => {
            let mut seen = world.see(&Dynamic::from(deferred.clone()), position)?;
            return ctx.call_native_fn_raw("get_bit", true, &mut [&mut seen, &mut Dynamic::from(*index)]);
        }
        (_, Segment::Index(index)) if *index < 0 => {
            let seen = world.see(&Dynamic::from(deferred.clone()), position)?;
            let items = seen.as_array_ref().map(|items| items.to_vec()).unwrap_or_default();
            let at = items.len().checked_sub(index.unsigned_abs() as usize);
            return at
                .and_then(|at| items.get(at).cloned())
                .ok_or_else(|| Box::new(rhai::EvalAltResult::ErrorArrayBounds(items.len(), *index, position)));
        }
        _ => {}
    }
    let longer = reference.then(segment);
    if world.type_of(&longer).is_some() {
        return Ok(Deferred::reference(longer));
    }
    let text = format!("there is no `{longer}`");
    let diagnostic = match world.type_of(reference) {
        Some(Type::Object(fields)) => {
            let names: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
            Diagnostic::error(text).hint(format!("`{reference}` has {}", names.join(", ")))
        }
        Some(ty) => Diagnostic::error(text).hint(format!("`{reference}` is: {ty}")),
        None => Diagnostic::error(text),
    };
    Err(world.raise(behind(position), diagnostic))
}

/// The name behind the dot, where Rhai has the position of the dot.
fn behind(dot: Position) -> Position {
    match (dot.line(), dot.position()) {
        (Some(line), Some(column)) if column < u16::MAX as usize => Position::new(line as u16, column as u16 + 1),
        _ => dot,
    }
}

/// What Rhai does for a plain text: a character by its index, and no properties.
fn index_of_text(world: &World, ctx: &NativeCallContext, seen: Dynamic, segment: Segment) -> Outcome {
    let text = seen.as_immutable_string_ref().map(|text| text.to_string()).unwrap_or_default();
    let length = text.chars().count();
    match segment {
        Segment::Index(index) => {
            let at = if index < 0 { length.checked_sub(index.unsigned_abs() as usize) } else { Some(index as usize) };
            at.and_then(|at| text.chars().nth(at))
                .map(Dynamic::from)
                .ok_or_else(|| Box::new(rhai::EvalAltResult::ErrorStringBounds(length, index, ctx.call_position())))
        }
        Segment::Key(key) => {
            Err(world.raise(ctx.call_position(), Diagnostic::error(format!("a text has no property `{key}`"))))
        }
    }
}

const IN_PLACE: &str = "text with a reference in it cannot be changed in place";

/// Rhai writes a property back after a method call on it, so an unchanged value is no assignment.
fn assignment(engine: &mut Engine, world: &Arc<World>) {
    fn check(world: &World, ctx: &NativeCallContext, target: Reference, value: &Dynamic) -> Outcome<()> {
        match to_value(value) {
            Ok(Value::Reference(same)) if same == target => Ok(()),
            _ => {
                let text = format!("`{target}` is read-only");
                let hint = "a resource is what its declaration says: change its inputs where it is declared; what changes \
                            a text in place (`replace`, `trim`) is called on a variable: `let text = …; text.replace(…)`";
                Err(world.raise(behind(ctx.call_position()), Diagnostic::error(text).hint(hint)))
            }
        }
    }
    fn of(deferred: &Deferred) -> Option<&Reference> {
        match &*deferred.0 {
            Value::Reference(reference) => Some(reference),
            _ => None,
        }
    }
    let w = world.clone();
    engine.register_indexer_set(
        move |ctx: NativeCallContext, handle: &mut Handle, name: &str, value: Dynamic| -> Outcome<()> {
            check(&w, &ctx, Reference::new(handle.0.address.clone(), name), &value)
        },
    );
    let w = world.clone();
    engine.register_indexer_set(
        move |ctx: NativeCallContext, deferred: &mut Deferred, key: &str, value: Dynamic| -> Outcome<()> {
            match of(deferred) {
                Some(reference) => check(&w, &ctx, reference.then(Segment::Key(key.to_owned())), &value),
                None => Err(w.raise(ctx.call_position(), Diagnostic::error(IN_PLACE))),
            }
        },
    );
    let w = world.clone();
    engine.register_indexer_set(
        move |ctx: NativeCallContext, deferred: &mut Deferred, index: i64, value: Dynamic| -> Outcome<()> {
            match of(deferred) {
                Some(reference) => check(&w, &ctx, reference.then(Segment::Index(index)), &value),
                None => Err(w.raise(ctx.call_position(), Diagnostic::error(IN_PLACE))),
            }
        },
    );
}

fn operators(engine: &mut Engine, world: &Arc<World>) {
    for op in OPERATORS {
        let w = world.clone();
        engine.register_fn(op, move |ctx: NativeCallContext, a: Deferred, b: Dynamic| both(&w, &ctx, op, a.into(), b));
        let w = world.clone();
        engine.register_fn(op, move |ctx: NativeCallContext, a: Dynamic, b: Deferred| both(&w, &ctx, op, a, b.into()));
        let w = world.clone();
        engine.register_fn(op, move |ctx: NativeCallContext, a: Deferred, b: Deferred| {
            both(&w, &ctx, op, a.into(), b.into())
        });
    }
    // Whole resources are the same or not; that says nothing about what is unknown.
    for (op, same) in [("==", true), ("!=", false)] {
        engine.register_fn(op, move |a: Handle, b: Handle| (a.0.address == b.0.address) == same);
        let w = world.clone();
        engine.register_fn(op, move |ctx: NativeCallContext, a: Handle, _: Dynamic| {
            w.see(&a.into(), ctx.call_position())
        });
        let w = world.clone();
        engine.register_fn(op, move |ctx: NativeCallContext, _: Dynamic, b: Handle| {
            w.see(&b.into(), ctx.call_position())
        });
    }
    for op in ["!", "-"] {
        let w = world.clone();
        engine.register_fn(op, move |ctx: NativeCallContext, a: Deferred| -> Outcome {
            let mut a = w.see(&a.into(), ctx.call_position())?;
            ctx.call_native_fn_raw(op, true, &mut [&mut a])
        });
    }
}

impl From<Deferred> for Dynamic {
    fn from(deferred: Deferred) -> Self {
        Dynamic::from(deferred)
    }
}

impl From<Handle> for Dynamic {
    fn from(handle: Handle) -> Self {
        Dynamic::from(handle)
    }
}

fn both(world: &World, ctx: &NativeCallContext, op: &str, a: Dynamic, b: Dynamic) -> Outcome {
    let (mut a, mut b) = (world.see(&a, ctx.call_position())?, world.see(&b, ctx.call_position())?);
    ctx.call_native_fn_raw(op, true, &mut [&mut a, &mut b])
}

/// `+` and `+=`, which make text of text without looking at it.
fn sums(engine: &mut Engine, world: &Arc<World>) {
    fn sum(world: &World, ctx: &NativeCallContext, a: Dynamic, b: Dynamic) -> Outcome {
        let is_piece = |value: &Dynamic| !value.is_blob() && (!is_unknown(value) || stays_text(world, value));
        if (is_text(world, &a) || is_text(world, &b)) && is_piece(&a) && is_piece(&b) {
            return text(world, ctx, vec![a, b]);
        }
        both(world, ctx, "+", a, b)
    }
    let w = world.clone();
    engine.register_fn("+", move |ctx: NativeCallContext, a: Deferred, b: Dynamic| sum(&w, &ctx, a.into(), b));
    let w = world.clone();
    engine.register_fn("+", move |ctx: NativeCallContext, a: Dynamic, b: Deferred| sum(&w, &ctx, a, b.into()));
    let w = world.clone();
    engine.register_fn("+", move |ctx: NativeCallContext, a: Deferred, b: Deferred| sum(&w, &ctx, a.into(), b.into()));
    // The variable changes its type, which only a raw function may do.
    let w = world.clone();
    let types = [TypeId::of::<ImmutableString>(), TypeId::of::<Deferred>()];
    engine.register_raw_fn("+=", types, move |ctx, arguments: &mut [&mut Dynamic]| -> Outcome<()> {
        let (a, b) = (arguments[0].flatten_clone(), arguments[1].take());
        let total = sum(&w, &ctx, a, b)?;
        set(arguments[0], total);
        Ok(())
    });
    let w = world.clone();
    let types = [TypeId::of::<Deferred>(), TypeId::of::<Dynamic>()];
    engine.register_raw_fn("+=", types, move |ctx, arguments: &mut [&mut Dynamic]| -> Outcome<()> {
        let (a, mut b) = (arguments[0].flatten_clone(), arguments[1].take());
        let total = match stays_text(&w, &a) {
            true => sum(&w, &ctx, a, b)?,
            false => {
                let mut a = w.see_outermost(&a, ctx.call_position())?;
                let _: Dynamic = ctx.call_native_fn_raw("+=", true, &mut [&mut a, &mut b])?;
                a
            }
        };
        set(arguments[0], total);
        Ok(())
    });
    // What is added to a list joins it if it is a list itself, so that has to be certain.
    let w = world.clone();
    engine.register_fn(rewrite::ADDED, move |ctx: NativeCallContext, v: Dynamic| -> Outcome {
        if stays_text(&w, &v) { Ok(v) } else { w.see_outermost(&v, ctx.call_position()) }
    });
}

/// Puts a value of another type into a variable, which may be shared with a closure.
pub(super) fn set(variable: &mut Dynamic, value: Dynamic) {
    if variable.is_shared()
        && let Some(mut inner) = variable.write_lock::<Dynamic>()
    {
        *inner = value;
        return;
    }
    *variable = value;
}

/// Lists and maps with references in them, where Rhai makes text of them.
fn containers(engine: &mut Engine, world: &Arc<World>) {
    fn known(world: &World, ctx: &NativeCallContext, name: &str, value: Dynamic) -> Outcome {
        let mut value = world.see(&value, ctx.call_position())?;
        Ok(match name {
            "to_json" => rhai::format_map_as_json(&*value.as_map_ref().map_err(|_| "a map is a map")?).into(),
            "to_debug" => format!("{value:?}").into(),
            _ => return plain_text(ctx, &mut value),
        })
    }
    for name in ["to_string", "to_debug", "print", "debug"] {
        let w = world.clone();
        engine.register_fn(name, move |ctx: NativeCallContext, v: Array| known(&w, &ctx, name, v.into()));
        let w = world.clone();
        engine.register_fn(name, move |ctx: NativeCallContext, v: Map| known(&w, &ctx, name, v.into()));
        let w = world.clone();
        engine.register_fn(name, move |ctx: NativeCallContext, v: Deferred| known(&w, &ctx, name, v.into()));
        engine.register_fn(name, move |handle: Handle| handle.0.address.to_string());
    }
    let w = world.clone();
    engine.register_fn("to_json", move |ctx: NativeCallContext, v: Map| known(&w, &ctx, "to_json", v.into()));
    macro_rules! with_text {
        ($container:ty) => {
            let w = world.clone();
            engine.register_fn("+", move |ctx: NativeCallContext, a: ImmutableString, b: $container| -> Outcome {
                let b = known(&w, &ctx, "to_string", b.into())?;
                Ok(format!("{a}{b}").into())
            });
            let w = world.clone();
            engine.register_fn("+", move |ctx: NativeCallContext, a: $container, b: ImmutableString| -> Outcome {
                let a = known(&w, &ctx, "to_string", a.into())?;
                Ok(format!("{a}{b}").into())
            });
        };
    }
    with_text!(Array);
    with_text!(Map);
}

/// The text Rhai makes of a value, without asking the functions above again.
fn plain_text(ctx: &NativeCallContext, value: &mut Dynamic) -> Outcome {
    if value.is_array() || value.is_map() {
        return Ok(format!("{value}").into());
    }
    ctx.call_native_fn_raw("to_string", true, &mut [value])
}
