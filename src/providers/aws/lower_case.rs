//! Names that AWS turns into lower case without a word.

use crate::resource::schema::Mistake;
use crate::resource::{Map, Value};

/// What is called one thing in a playbook shall be called so everywhere: a name in other letters is a mistake.
pub fn check(inputs: &Map, fields: &[&str]) -> Vec<Mistake> {
    let named = fields.iter().filter_map(|field| Some((*field, inputs.get(*field)?)));
    let names = named.flat_map(|(field, value)| match value {
        Value::List(names) => names.iter().enumerate().map(|(at, name)| (format!("{field}[{at}]"), name)).collect(),
        name => vec![(field.to_owned(), name)],
    });
    let mistakes = names.filter_map(|(path, name)| {
        let lower = name.as_str().filter(|name| name.to_lowercase() != *name)?.to_lowercase();
        Some(Mistake { path, what: "must be in lower case".into(), hint: Some(format!("write \"{lower}\"")) })
    });
    mistakes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_in_other_letters_is_told() {
        let Value::Map(inputs) = Value::from(serde_json::json!({ "name": "Main", "names": ["a", "B"], "n": 1 })) else {
            panic!("a map")
        };
        let told = check(&inputs, &["name", "names", "n", "none"]);
        assert_eq!(told.iter().map(|mistake| mistake.path.as_str()).collect::<Vec<_>>(), ["name", "names[1]"]);
    }
}
