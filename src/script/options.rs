//! The third argument of every kind.

use std::time::Duration;

use crate::diagnostic::closest;
use crate::resource::declaration::ADOPT_IF_THERE;
use crate::resource::schema::Mistake;
use crate::resource::{Kind, Map, Options, ReplaceOrder, Value};

const KNOWN: [&str; 8] = ["after", "protect", "adopt", "was", "ignore", "timeout", "replace", "region"];

/// What the options say, with everything that is wrong with them.
pub(super) fn read(kind: &Kind, map: &Map) -> (Options, Vec<Mistake>) {
    let (mut options, mut mistakes) = (Options::default(), vec![]);
    for (name, value) in map {
        if value.is_null() && KNOWN.contains(&name.as_str()) {
            continue;
        }
        if let Err(mistake) = one(kind, name, value, &mut options) {
            mistakes.push(mistake);
        }
    }
    (options, mistakes)
}

fn wrong(path: &str, what: impl Into<String>, hint: Option<String>) -> Mistake {
    Mistake { path: path.to_owned(), what: what.into(), hint }
}

fn one(kind: &Kind, name: &str, value: &Value, options: &mut Options) -> Result<(), Mistake> {
    match name {
        "after" => after(value, options)?,
        "protect" => match value {
            Value::Bool(protect) => options.protect = *protect,
            other => return Err(expects(name, "true or false", other)),
        },
        "adopt" if *value == Value::Bool(true) => options.adopt = Some(ADOPT_IF_THERE.to_owned()),
        "adopt" => options.adopt = Some(text(name, value)?),
        "was" => options.was = Some(text(name, value)?),
        "region" => options.region = Some(text(name, value)?),
        "ignore" => options.ignore = ignore(kind, value)?,
        "timeout" => options.timeout = Some(timeout(value)?),
        "replace" => {
            options.replace = match value.as_str() {
                Some("create_first") => ReplaceOrder::CreateFirst,
                Some("delete_first") => ReplaceOrder::DeleteFirst,
                _ => {
                    let hint = "it says what comes first when the resource is replaced, and not whether: leave it out, and the old one goes first";
                    let wrong = expects(name, "\"create_first\" or \"delete_first\"", value);
                    return Err(Mistake { hint: Some(hint.into()), ..wrong });
                }
            }
        }
        unknown => {
            let hint = match closest(unknown, KNOWN) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known options: {}", KNOWN.join(", ")),
            };
            return Err(wrong(unknown, "there is no such option", Some(hint)));
        }
    }
    Ok(())
}

fn expects(name: &str, what: &str, got: &Value) -> Mistake {
    let got = match got {
        Value::String(text) => format!("\"{text}\""),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => format!("{got}"),
        other => format!("a {}", other.type_name()),
    };
    wrong(name, format!("expects {what}, got {got}"), None)
}

fn text(name: &str, value: &Value) -> Result<String, Mistake> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        other => Err(expects(name, "a string", other)),
    }
}

fn after(value: &Value, options: &mut Options) -> Result<(), Mistake> {
    let wrong = |value: &Value| Mistake {
        hint: Some("name the resource itself, not one of its attributes: `after: gateway`".into()),
        ..expects("after", "a resource or a list of resources", value)
    };
    match value {
        Value::Reference(reference) if reference.path.is_empty() => options.after.push(reference.address.clone()),
        Value::List(items) => items.iter().try_for_each(|item| match item {
            Value::List(_) => Err(wrong(item)),
            item => after(item, options),
        })?,
        // What a manifest gives: its objects by their addresses.
        Value::Map(all) => all.values().try_for_each(|item| match item {
            Value::Reference(_) => after(item, options),
            item => Err(wrong(item)),
        })?,
        other => return Err(wrong(other)),
    }
    Ok(())
}

fn ignore(kind: &Kind, value: &Value) -> Result<Vec<String>, Mistake> {
    if kind.nature.previewed {
        let hint = "leave the field out of the manifest: what is not in it is left to others";
        return Err(wrong("ignore", "does not apply to objects of a manifest", Some(hint.to_owned())));
    }
    let Value::List(items) = value else {
        return Err(expects("ignore", "a list of the kind's inputs", value));
    };
    let check = |item: &Value| {
        let name = text("ignore", item)?;
        if kind.input(&name).is_some() {
            return Ok(name);
        }
        let known: Vec<&str> = kind.inputs.iter().map(|field| field.name.as_str()).collect();
        let hint = match closest(&name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known inputs: {}", known.join(", ")),
        };
        Err(wrong("ignore", format!("`{}` has no input `{name}`", kind.name), Some(hint)))
    };
    items.iter().map(check).collect()
}

fn timeout(value: &Value) -> Result<Duration, Mistake> {
    let wrong = || Mistake {
        hint: Some("for example \"90s\", \"10m\", \"1h30m\", or a number of seconds".into()),
        ..expects("timeout", "a duration", value)
    };
    let seconds = match value {
        Value::Int(seconds) => u64::try_from(*seconds).ok(),
        Value::String(text) => seconds(text),
        _ => None,
    };
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// "1h30m" in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut rest) = (0u64, text.trim());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_people_write_it() {
        let given = ["90s", "10m", "1h30m", "", "10", "5d", "m"].map(seconds);
        assert_eq!(given, [Some(90), Some(600), Some(5400), Some(0), None, None, None]);
    }
}
