//! A kind: its name, its schema, and what the engine must know of its nature.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;

use super::schema::{self, Field, Output, Type};
use super::{Map, Segment, Value};

/// A type of resource in its provider's own term: `aws::subnet`.
#[derive(Clone)]
pub struct Kind {
    pub name: Arc<str>,
    pub doc: String,
    pub inputs: Vec<Field>,
    pub outputs: Vec<Output>,
    pub nature: Nature,
}

/// What holds for every resource of a kind, beyond its shape.
#[derive(Clone, Copy)]
pub struct Nature {
    /// Kinds that must be there first although no input names them (a NAT gateway needs the VPC's internet gateway),
    /// and that therefore go after it when both are deleted.
    pub follows: &'static [&'static str],
    /// The inputs that together are the provider's own name for it, the one to look it up by first. Empty if the
    /// provider tells resources apart by ids only.
    pub natural_key: &'static [&'static str],
    /// Whether what is there keeps one with these inputs from being made, where that is not the natural key alone: of
    /// what has the first part of the key in common.
    pub in_the_way: Option<fn(inputs: &Map, live: &Map) -> bool>,
    /// The input whose default is the logical name, if there is one.
    pub named_by: Option<&'static str>,
    /// The form of one input in which two spellings with one meaning are equal, before the schema's own form.
    pub normalise: fn(field: &str, value: &Value) -> Value,
    /// Whether one input is as wanted although its forms differ, where telling takes more than that input alone: a
    /// minor version where the major one was asked for, the part of a map that was written.
    pub fits: fn(field: &str, wanted: &Map, live: &Map) -> bool,
    /// What is wrong with inputs that fit the schema; only what is known is looked at.
    pub check: fn(inputs: &Map) -> Vec<schema::Mistake>,
    /// A change from what is live to what is wanted that the provider would refuse, or that would replace what could be
    /// kept; only what is known is looked at.
    pub forbids: fn(wanted: &Map, live: &Map) -> Option<schema::Mistake>,
    /// Keys of a map input (tags) that others write on the resource, and that are not compared unless the author names
    /// them.
    pub foreign_key: fn(&str) -> bool,
    /// How the provider's ids begin (`vpc-`). Empty if its id is its natural key, or if ids have no common beginning.
    pub id_prefix: &'static str,
    /// What failed is never replaced for that, but brought right by an update: its last change failed, or it is too
    /// precious. The inputs to send again where nothing differs; none if only a person can help.
    pub mended_by: Option<&'static [&'static str]>,
    /// An update is taken before it is begun, and forgotten if it fails: ready alone does not say that it was made.
    pub settles: bool,
    /// What an output of one with these inputs looks like, where its example does not say: for the sandbox.
    pub made_up: fn(output: &str, inputs: &Map) -> Option<Value>,
    /// Only the provider can compare it with what is live.
    pub previewed: bool,
    /// It is the way to others, which live in the region of this name.
    pub opens: Option<fn(name: &str) -> String>,
    /// More goes with it than itself: what is no longer declared is only deleted when it is named.
    pub cascades: bool,
    /// The default for the option `timeout`, in seconds.
    pub timeout: u64,
}

impl Default for Nature {
    fn default() -> Self {
        Nature {
            follows: &[],
            natural_key: &[],
            in_the_way: None,
            named_by: None,
            normalise: |_, value| value.clone(),
            fits: |_, _, _| false,
            check: |_| vec![],
            forbids: |_, _| None,
            foreign_key: |_| false,
            id_prefix: "",
            mended_by: None,
            settles: false,
            made_up: |_, _| None,
            previewed: false,
            opens: None,
            cascades: false,
            timeout: 600,
        }
    }
}

/// A function that reads and never changes: `aws::availability_zones()`.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub name: Arc<str>,
    pub doc: String,
    /// In the order of the call.
    pub parameters: Vec<Field>,
    /// What the value it returns holds.
    pub returns: Vec<Output>,
}

impl Lookup {
    /// A lookup from its two types; the doc comment of `Returns` is its documentation, and the fields of `Parameters` are
    /// passed in the order of their names.
    pub fn of<Parameters: JsonSchema, Returns: JsonSchema>(name: &str) -> Self {
        Lookup {
            name: name.into(),
            doc: schema::doc::<Returns>(),
            parameters: schema::inputs::<Parameters>(),
            returns: schema::outputs::<Returns>(),
        }
    }
}

impl Kind {
    /// A kind from its two types; the doc comment of `Inputs` is its documentation.
    pub fn of<Inputs: JsonSchema, Outputs: JsonSchema>(name: &str, nature: Nature) -> Self {
        Kind {
            name: name.into(),
            doc: schema::doc::<Inputs>(),
            inputs: schema::inputs::<Inputs>(),
            outputs: schema::outputs::<Outputs>(),
            nature,
        }
    }

    /// Whether its ids are names, which may stand for something else elsewhere.
    pub fn is_named(&self) -> bool {
        self.nature.id_prefix.is_empty() && !self.nature.natural_key.is_empty()
    }

    pub fn input(&self, name: &str) -> Option<&Field> {
        self.inputs.iter().find(|field| field.name == name)
    }

    pub fn may_be_left_out(&self, name: &str) -> bool {
        self.input(name).is_some_and(|field| !field.required)
    }

    pub fn output(&self, name: &str) -> Option<&Output> {
        self.outputs.iter().find(|output| output.name == name)
    }

    /// Inputs as an author wrote them, with what the resource's logical name stands in for: what a provider is given,
    /// and what is compared.
    pub fn complete(&self, name: &str, inputs: &Map) -> Map {
        let mut complete = inputs.clone();
        if let Some(field) = self.nature.named_by
            && complete.get(field).is_none_or(Value::is_null)
        {
            complete.insert(field.to_owned(), name.into());
        }
        // Tags that were left out are not compared, so none is made up for them; a provider names what it makes.
        if self.input("tags").is_some_and(|field| matches!(field.ty, Type::Map(_)))
            && let Some(Value::Map(tags)) = complete.get_mut("tags")
        {
            tags.entry("Name".into()).or_insert_with(|| name.into());
        }
        complete
    }

    /// The names a playbook may read from a resource of this kind.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|o| o.name.as_str()).chain(self.inputs.iter().map(|f| f.name.as_str()))
    }

    /// The type of what stands at a path, or `None` if there cannot be anything.
    pub fn type_at(&self, path: &[Segment]) -> Option<Type> {
        let (first, rest) = path.split_first()?;
        let Segment::Key(name) = first else { return None };
        let ty = self.output(name).map(|o| &o.ty).or_else(|| self.input(name).map(|f| &f.ty))?;
        rest.iter().try_fold(ty.clone(), |ty, segment| match (ty, segment) {
            (Type::Any, _) => Some(Type::Any),
            (Type::List(inner) | Type::Set(inner), Segment::Index(_)) | (Type::Map(inner), Segment::Key(_)) => {
                Some(*inner)
            }
            (Type::Object(fields), Segment::Key(key)) => fields.into_iter().find(|f| f.name == *key).map(|f| f.ty),
            _ => None,
        })
    }

    /// The form of one input in which two spellings with one meaning are equal.
    pub fn canonical(&self, field: &Field, value: &Value) -> Value {
        schema::canonical(&field.ty, &(self.nature.normalise)(&field.name, value))
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thing.
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Inputs {
        name: Option<String>,
        tags: Option<std::collections::BTreeMap<String, String>>,
    }

    #[test]
    fn the_logical_name_stands_in_where_the_author_gave_none() {
        let nature = Nature { named_by: Some("name"), ..Nature::default() };
        let kind = Kind::of::<Inputs, Inputs>("aws::thing", nature);
        let complete = |json: serde_json::Value| match Value::from(json) {
            Value::Map(inputs) => serde_json::to_value(kind.complete("main", &inputs)).unwrap(),
            _ => panic!("a map"),
        };
        use serde_json::json;
        assert_eq!(complete(json!({})), json!({ "name": "main" }));
        assert_eq!(
            complete(json!({ "tags": { "a": "b" } })),
            json!({ "name": "main", "tags": { "Name": "main", "a": "b" } })
        );
        let given = json!({ "name": "other", "tags": { "Name": "third" } });
        assert_eq!(complete(given.clone()), given);
    }
}
