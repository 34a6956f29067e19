//! Names and paths of IAM, which has them alike for all it holds.

use crate::resource::schema::Mistake;
use crate::resource::{Map, Value};

/// The account that the sandbox's ARNs are of, and the examples'.
const ACCOUNT: &str = "111122223333";

/// The path of what has none of its own.
pub fn root() -> String {
    "/".into()
}

/// What IAM would refuse in `name` and `path`.
pub fn check(inputs: &Map, longest: usize) -> Vec<Mistake> {
    let mut mistakes = vec![];
    let mut wrong = |field: &str, what: String, hint: &str| {
        mistakes.push(Mistake { path: field.into(), what, hint: Some(hint.into()) });
    };
    if let Some(name) = inputs.get("name").and_then(Value::as_str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if name.is_empty() || !name.chars().all(allowed) {
            wrong("name", format!("IAM knows no such name as `{name}`"), "use letters, digits and _+=,.@-");
        } else if name.len() > longest {
            wrong("name", format!("has {} characters", name.len()), &format!("IAM takes at most {longest}"));
        }
    }
    if let Some(path) = inputs.get("path").and_then(Value::as_str)
        && !(path.starts_with('/') && path.ends_with('/'))
    {
        wrong("path", format!("`{path}` is no path"), "begin and end it with `/`");
    }
    mistakes
}

/// The ARN of what has this name and path, in the sandbox.
pub fn made_up_arn(of: &str, inputs: &Map) -> Option<Value> {
    let path = inputs.get("path").and_then(Value::as_str).unwrap_or("/");
    let name = inputs.get("name")?.as_str()?;
    Some(format!("arn:aws:iam::{ACCOUNT}:{of}{path}{name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_checked() {
        let told = |name: &str, path: &str| {
            let inputs = Map::from([("name".into(), name.into()), ("path".into(), path.into())]);
            check(&inputs, 10).into_iter().map(|m| format!("{}: {}", m.path, m.what)).collect::<Vec<_>>()
        };
        assert_eq!(told("a_b+c=d,.@", "/team/"), [""; 0]);
        assert_eq!(told("a b", "team"), ["name: IAM knows no such name as `a b`", "path: `team` is no path"]);
        assert_eq!(told("abcdefghijk", "/"), ["name: has 11 characters"]);
    }
}
