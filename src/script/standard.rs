//! Rhai's standard functions, made to look at references instead of past them.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};

use super::seen::set;
use super::value::{Deferred, to_value};
use super::world::{Outcome, World};
use crate::diagnostic::Diagnostic;

/// Of those with a reference among the arguments these need no look: they only pass it on, or are ours.
const PASSING: [&str; 10] =
    ["print", "debug", "to_string", "to_debug", "exit", "tag", "take", "reduce", "reduce_rev", "sleep"];

/// These pass on their last argument, and look at the others.
const PASSING_THE_LAST: [&str; 2] = ["push", "insert"];

/// Name and number of parameters of every function that comes with Rhai.
pub(super) fn functions() -> &'static BTreeSet<(String, usize)> {
    static ALL: OnceLock<BTreeSet<(String, usize)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let json = Engine::new().gen_fn_metadata_to_json(true).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
        let all = json["functions"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter()
            .filter_map(|f| Some((f["name"].as_str()?.to_owned(), f["numParams"].as_u64()? as usize)))
            .filter(|(name, _)| name.starts_with(char::is_alphabetic) && !name.contains('$'))
            .collect()
    })
}

/// The functions that get a version for a reference in each place.
pub(super) fn overridden() -> impl Iterator<Item = (&'static str, usize)> {
    let all = functions().iter().map(|(name, count)| (name.as_str(), *count));
    all.filter(|(name, count)| (1..=4).contains(count) && !PASSING.contains(name))
}

pub(super) fn register(engine: &mut Engine, world: &Arc<World>) {
    for (name, count) in overridden() {
        let places = if PASSING_THE_LAST.contains(&name) { count - 1 } else { count };
        for place in 0..places {
            let mut types = vec![TypeId::of::<Dynamic>(); count];
            types[place] = TypeId::of::<Deferred>();
            let w = world.clone();
            engine.register_raw_fn(name, types, move |ctx, arguments: &mut [&mut Dynamic]| -> Outcome {
                let mut seen = w.see(arguments[place], ctx.call_position())?;
                if place > 0 {
                    *arguments[place] = seen;
                    return ctx.call_native_fn_raw(name, true, arguments);
                }
                // The first one may be a variable. It keeps its reference unless the function changes it.
                let before = to_value(&seen).ok();
                let mut rest: Vec<Dynamic> = arguments[1..].iter_mut().map(|argument| argument.take()).collect();
                let mut all: Vec<&mut Dynamic> = std::iter::once(&mut seen).chain(rest.iter_mut()).collect();
                let result = ctx.call_native_fn_raw(name, true, &mut all)?;
                if to_value(&seen).ok() != before {
                    set(arguments[0], seen);
                }
                Ok(result)
            });
        }
    }
    predicates(engine, world);
    sorting(engine, world);
    refused(engine, world);
}

/// A predicate's answer, seen. The standard versions take everything that is not a bool for `false`.
fn holds(world: &World, ctx: &NativeCallContext, answer: Dynamic) -> Outcome<bool> {
    let answer = world.see(&answer, ctx.call_position())?;
    answer.as_bool().map_err(|got| {
        let text = format!("the function must answer true or false, not with a value of type {got}");
        world.raise(ctx.call_position(), Diagnostic::error(text))
    })
}

/// Asks about one item of a list; the function may take its index too.
fn ask(world: &World, ctx: &NativeCallContext, f: &FnPtr, item: &Dynamic, index: usize) -> Outcome<bool> {
    let mut this = item.clone();
    let answer =
        f.call_raw_with_extra_args("filter", ctx, Some(&mut this), [item.clone()], [(index as i64).into()], None)?;
    holds(world, ctx, answer)
}

fn predicates(engine: &mut Engine, world: &Arc<World>) {
    let w = world.clone();
    engine.register_fn("filter", move |ctx: NativeCallContext, list: Array, f: FnPtr| -> Outcome<Array> {
        let mut kept = vec![];
        for (i, item) in list.into_iter().enumerate() {
            if ask(&w, &ctx, &f, &item, i)? {
                kept.push(item);
            }
        }
        Ok(kept)
    });
    let w = world.clone();
    engine.register_fn("retain", move |ctx: NativeCallContext, list: &mut Array, f: FnPtr| -> Outcome<Array> {
        let (mut kept, mut out) = (vec![], vec![]);
        for (i, item) in list.clone().into_iter().enumerate() {
            if ask(&w, &ctx, &f, &item, i)? { kept.push(item) } else { out.push(item) }
        }
        *list = kept;
        Ok(out)
    });
    for (name, decisive) in [("all", false), ("some", true)] {
        let w = world.clone();
        engine.register_fn(name, move |ctx: NativeCallContext, list: Array, f: FnPtr| -> Outcome<bool> {
            for (i, item) in list.into_iter().enumerate() {
                if ask(&w, &ctx, &f, &item, i)? == decisive {
                    return Ok(decisive);
                }
            }
            Ok(!decisive)
        });
    }
    let w = world.clone();
    engine.register_fn("find", move |ctx: NativeCallContext, list: Array, f: FnPtr| -> Outcome {
        for (i, item) in list.into_iter().enumerate() {
            if ask(&w, &ctx, &f, &item, i)? {
                return Ok(item);
            }
        }
        Ok(Dynamic::UNIT)
    });
    let w = world.clone();
    engine.register_fn("index_of", move |ctx: NativeCallContext, list: Array, f: FnPtr| -> Outcome<i64> {
        for (i, item) in list.into_iter().enumerate() {
            if ask(&w, &ctx, &f, &item, i)? {
                return Ok(i as i64);
            }
        }
        Ok(-1)
    });
    let w = world.clone();
    engine.register_fn("filter", move |ctx: NativeCallContext, map: Map, f: FnPtr| -> Outcome<Map> {
        let mut kept = Map::new();
        for (key, item) in map {
            let answer = f.call_raw(&ctx, None, [key.to_string().into(), item.clone()])?;
            if holds(&w, &ctx, answer)? {
                kept.insert(key, item);
            }
        }
        Ok(kept)
    });
}

fn sorting(engine: &mut Engine, world: &Arc<World>) {
    let w = world.clone();
    engine.register_fn("sort", move |ctx: NativeCallContext, list: &mut Array, f: FnPtr| -> Outcome<()> {
        let mut failed = None;
        *list = merge_sort(std::mem::take(list), &mut |a, b| {
            if failed.is_some() {
                return true;
            }
            in_order(&w, &ctx, &f, a, b).unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        });
        failed.map_or(Ok(()), Err)
    });
    for name in ["sort", "sort_desc", "order", "order_desc"] {
        let w = world.clone();
        engine.register_raw_fn(name, [TypeId::of::<Array>()], move |ctx, arguments: &mut [&mut Dynamic]| -> Outcome {
            let mut list = w.see(arguments[0], ctx.call_position())?;
            let result = plain_sort(name, &ctx, &mut list)?;
            set(arguments[0], list);
            Ok(result)
        });
    }
    let w = world.clone();
    engine.register_fn("dedup", move |ctx: NativeCallContext, list: &mut Array| -> Outcome<()> {
        let seen = w.see(&list.clone().into(), ctx.call_position())?.into_array().unwrap_or_default();
        let mut kept: Array = vec![];
        for item in seen {
            let same = kept.last().is_some_and(|last| {
                let answer = ctx.call_native_fn_raw("==", true, &mut [&mut last.clone(), &mut item.clone()]);
                answer.is_ok_and(|answer| answer.as_bool().unwrap_or(false))
            });
            if !same {
                kept.push(item);
            }
        }
        *list = kept;
        Ok(())
    });
}

/// Rhai's own sort cannot be called from here: its name leads back to ours.
fn plain_sort(name: &str, ctx: &NativeCallContext, list: &mut Dynamic) -> Outcome {
    let descending = name.ends_with("_desc");
    let items = list.as_array_ref().map(|items| items.to_vec()).unwrap_or_default();
    let in_order = if descending { ">=" } else { "<=" };
    let mut failed = None;
    let sorted: Array = merge_sort(items, &mut |a, b| {
        let answer = ctx.call_native_fn_raw(in_order, true, &mut [&mut a.clone(), &mut b.clone()]);
        let is_of_one_type = a.type_id() == b.type_id();
        match answer.map(|answer| answer.as_bool()) {
            Ok(Ok(answer)) if is_of_one_type => answer,
            _ => {
                let kinds = (a.type_name(), b.type_name());
                failed.get_or_insert_with(|| format!("a {} and a {} cannot be put in order", kinds.0, kinds.1));
                true
            }
        }
    });
    if let Some(why) = failed {
        return Err(Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(Diagnostic::error(why)), ctx.call_position())));
    }
    if name.starts_with("order") {
        return Ok(sorted.into());
    }
    *list = sorted.into();
    Ok(Dynamic::UNIT)
}

fn in_order(world: &World, ctx: &NativeCallContext, f: &FnPtr, a: &Dynamic, b: &Dynamic) -> Outcome<bool> {
    let answer = f.call_raw(ctx, None, [a.clone(), b.clone()])?;
    let answer = world.see(&answer, ctx.call_position())?;
    answer.as_int().map(|order| order <= 0).or_else(|_| answer.as_bool()).map_err(|got| {
        let text = format!("the function must answer with a number or a bool, not with a value of type {got}");
        world.raise(ctx.call_position(), Diagnostic::error(text))
    })
}

/// Stable, and unlike the standard library's sort at ease with an order that contradicts itself.
fn merge_sort(mut list: Array, in_order: &mut impl FnMut(&Dynamic, &Dynamic) -> bool) -> Array {
    if list.len() < 2 {
        return list;
    }
    let right = list.split_off(list.len() / 2);
    let (left, right) = (merge_sort(list, in_order), merge_sort(right, in_order));
    let mut merged = Array::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if in_order(a, b) { left.next() } else { right.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

/// The rarely used ones that take a function and swallow its errors have a plain counterpart each.
fn refused(engine: &mut Engine, world: &Arc<World>) {
    let refuse = |w: &World, ctx: &NativeCallContext, name: &str, instead: &str| -> Outcome {
        let text = format!("`{name}` with a function is not part of playbooks");
        Err(w.raise(ctx.call_position(), Diagnostic::error(text).hint(format!("use {instead}"))))
    };
    for (name, instead) in [
        ("dedup", "`filter`"),
        ("drain", "`retain` or `filter`"),
        ("order", "`sort`"),
        ("order_by", "`sort`"),
        ("sort_by", "`sort`"),
        ("split", "`filter`"),
    ] {
        let w = world.clone();
        engine
            .register_fn(name, move |ctx: NativeCallContext, _: &mut Array, _: FnPtr| refuse(&w, &ctx, name, instead));
    }
    for name in ["drain", "retain"] {
        let w = world.clone();
        engine
            .register_fn(name, move |ctx: NativeCallContext, _: &mut Map, _: FnPtr| refuse(&w, &ctx, name, "`filter`"));
    }
    // It cannot be interrupted, and a plan must not take time.
    macro_rules! no_sleep {
        ($duration:ty) => {
            let w = world.clone();
            engine.register_fn("sleep", move |ctx: NativeCallContext, _: $duration| -> Outcome {
                let diagnostic = Diagnostic::error("`sleep` is not part of playbooks");
                let hint = "the engine waits for every resource that another one needs";
                Err(w.raise(ctx.call_position(), diagnostic.hint(hint)))
            });
        };
    }
    no_sleep!(i64);
    no_sleep!(f64);
    no_sleep!(Dynamic);
}
