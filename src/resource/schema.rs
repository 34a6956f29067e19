//! The shape of a kind, read off its `Inputs` and `Outputs` types: what may be written, and what comes back.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Map, Reference, Value};
use crate::diagnostic::closest;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    Any,
    Bool,
    Int,
    Float,
    String,
    /// A string that is one of these.
    Enum(Vec<String>),
    List(Box<Type>),
    /// A list whose order means nothing.
    Set(Box<Type>),
    Map(Box<Type>),
    Object(Vec<Field>),
}

/// One input: what an author may write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub required: bool,
    /// Changing it means a new resource.
    pub immutable: bool,
    /// Changing it stops the resource and starts it again.
    pub restarts: bool,
    /// Never shown.
    pub sensitive: bool,
    /// The provider drops this hold by itself when what it names is deleted.
    pub lets_go: bool,
    /// Where both go, what it names goes first, and this after it.
    pub outlives: bool,
    /// The kind whose resources it names, where their ids are names that could mean anything.
    pub names: Option<String>,
    /// It goes out and never comes back: nothing tells what it is now, so it is not compared.
    pub write_only: bool,
    /// The provider keeps it for us only; it means nothing to it.
    pub remembered: bool,
    /// What the provider takes if it is left out; makes `null` and the default compare equal.
    pub default: Option<Value>,
    pub doc: String,
}

/// One output: what a playbook may read from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub name: String,
    pub ty: Type,
    /// It is the id of something that comes and goes with the resource: who names that uses the resource.
    pub comes_along: bool,
    /// Inputs whose change gives it a new value; otherwise it stays for the resource's life.
    pub changes_with: Vec<String>,
    /// What a value looks like; the sandbox makes its own in this image.
    pub example: Option<Value>,
    pub doc: String,
}

/// A mistake in what an author wrote: `path` names the field (`route[0].cidr_blok`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub path: String,
    pub what: String,
    pub hint: Option<String>,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Type::Any => f.write_str("any value"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("integer"),
            Type::Float => f.write_str("number"),
            Type::String => f.write_str("string"),
            Type::Enum(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                f.write_str(&quoted.join(" or "))
            }
            Type::List(inner) => write!(f, "list of {inner}"),
            Type::Set(inner) => write!(f, "set of {inner}"),
            Type::Map(inner) => write!(f, "map of {inner}"),
            Type::Object(_) => f.write_str("map"),
        }
    }
}

/// The inputs of a kind, from the type that deserialises them.
///
/// Read per property: its doc comment, `required`, `default`, `uniqueItems` (a set), and the extensions that are named
/// after the fields of [`Field`] (`#[schemars(extend("immutable" = true))]`).
pub fn inputs<T: JsonSchema>() -> Vec<Field> {
    fields(schema_of::<T>().as_value())
}

/// The outputs of a kind, from the type that is serialised; extension `changes_with` lists input names.
pub fn outputs<T: JsonSchema>() -> Vec<Output> {
    let schema = schema_of::<T>();
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return vec![] };
    properties
        .iter()
        .map(|(name, property)| Output {
            name: name.clone(),
            ty: type_of(property),
            comes_along: property["comes_along"] == true,
            changes_with: property["changes_with"]
                .as_array()
                .map(|names| names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect())
                .unwrap_or_default(),
            example: property["examples"].as_array().and_then(|all| all.first()).map(|json| json.clone().into()),
            doc: doc_of(property),
        })
        .collect()
}

/// The doc comment of the type itself.
pub fn doc<T: JsonSchema>() -> String {
    doc_of(schema_of::<T>().as_value())
}

fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

fn doc_of(schema: &Json) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

fn fields(schema: &Json) -> Vec<Field> {
    let required: Vec<&str> =
        schema["required"].as_array().map(|r| r.iter().filter_map(Json::as_str).collect()).unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return vec![] };
    properties
        .iter()
        .map(|(name, property)| Field {
            name: name.clone(),
            ty: type_of(property),
            required: required.contains(&name.as_str()),
            immutable: property["immutable"] == true,
            restarts: property["restarts"] == true,
            sensitive: property["sensitive"] == true,
            lets_go: property["lets_go"] == true,
            outlives: property["outlives"] == true,
            names: property["names"].as_str().map(str::to_owned),
            write_only: property["write_only"] == true,
            remembered: property["remembered"] == true,
            default: property.get("default").filter(|d| !d.is_null()).map(|json| json.clone().into()),
            doc: doc_of(property),
        })
        .collect()
}

fn type_of(schema: &Json) -> Type {
    if let Some(words) = enum_words(schema) {
        return Type::Enum(words);
    }
    // `Option<T>` of anything that is not a plain type.
    if let Some(inner) = schema["anyOf"].as_array().and_then(|any| any.iter().find(|s| s["type"] != "null")) {
        return type_of(inner);
    }
    let name = match &schema["type"] {
        Json::String(name) => name.as_str(),
        Json::Array(names) => names.iter().filter_map(Json::as_str).find(|name| *name != "null").unwrap_or(""),
        _ => "",
    };
    match name {
        "boolean" => Type::Bool,
        "integer" => Type::Int,
        "number" => Type::Float,
        "string" => Type::String,
        "array" if schema["uniqueItems"] == true => Type::Set(Box::new(type_of(&schema["items"]))),
        "array" => Type::List(Box::new(type_of(&schema["items"]))),
        "object" if schema["properties"].is_object() => Type::Object(fields(schema)),
        "object" => Type::Map(Box::new(type_of(&schema["additionalProperties"]))),
        _ => Type::Any,
    }
}

fn enum_words(schema: &Json) -> Option<Vec<String>> {
    let words =
        |list: &Vec<Json>, of: &dyn Fn(&Json) -> Option<String>| list.iter().map(of).collect::<Option<Vec<_>>>();
    if let Some(list) = schema["enum"].as_array() {
        let named: Vec<Json> = list.iter().filter(|word| !word.is_null()).cloned().collect();
        return words(&named, &|word| word.as_str().map(str::to_owned));
    }
    schema["oneOf"].as_array().and_then(|list| words(list, &|one| one["const"].as_str().map(str::to_owned)))
}

/// What is said of a field that is missing.
pub const REQUIRED: &str = "is required";

/// Checks what an author wrote against the fields of a kind. `type_of` gives the type of a reference, if it has one.
pub fn check(fields: &[Field], inputs: &Map, type_of: &dyn Fn(&Reference) -> Option<Type>) -> Vec<Mistake> {
    let mut mistakes = vec![];
    check_object(fields, inputs, "", type_of, &mut mistakes);
    mistakes
}

fn check_object(
    fields: &[Field],
    map: &Map,
    path: &str,
    type_of: &dyn Fn(&Reference) -> Option<Type>,
    found: &mut Vec<Mistake>,
) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, value) in map {
        match fields.iter().find(|field| field.name == *name) {
            Some(field) if value.is_null() && !field.required => {}
            Some(field) => check_value(&field.ty, value, &inner(name), type_of, found),
            None => found.push(Mistake {
                path: inner(name),
                what: "there is no such field".into(),
                hint: Some(match closest(name, fields.iter().map(|f| f.name.as_str())) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "known fields: {}",
                        fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ")
                    ),
                }),
            }),
        }
    }
    for field in fields.iter().filter(|field| field.required && !map.contains_key(&field.name)) {
        found.push(Mistake {
            path: inner(&field.name),
            what: REQUIRED.into(),
            hint: field
                .doc
                .split("\n\n")
                .next()
                .filter(|doc| !doc.is_empty())
                .map(|doc| format!("`{}`: {}", field.name, doc.replace('\n', " "))),
        });
    }
}

fn check_value(
    ty: &Type,
    value: &Value,
    path: &str,
    type_of: &dyn Fn(&Reference) -> Option<Type>,
    found: &mut Vec<Mistake>,
) {
    let mut wrong = |hint: Option<String>| {
        found.push(Mistake {
            path: path.to_owned(),
            what: format!("expects {}, got {}", with_article(ty), shown(value)),
            hint,
        })
    };
    match (ty, value) {
        (Type::Any, _) => {}
        (_, Value::Reference(reference)) if reference.path.is_empty() => {
            wrong(Some(format!("name one of its attributes, for example `.id` of {}", reference.address)))
        }
        (_, Value::Reference(reference)) => match type_of(reference) {
            Some(given) if !fits(ty, &given) => found.push(Mistake {
                path: path.to_owned(),
                what: format!("expects {}, got `{reference}`, which is {}", with_article(ty), with_article(&given)),
                hint: None,
            }),
            _ => {}
        },
        (Type::Bool, Value::Bool(_)) | (Type::Int, Value::Int(_)) | (Type::Float, Value::Float(_) | Value::Int(_)) => {}
        (Type::String, Value::String(_) | Value::Text(_)) | (Type::Enum(_), Value::Text(_)) => {}
        (Type::Enum(words), Value::String(word)) if words.contains(word) => {}
        (Type::Enum(words), Value::String(word)) => {
            wrong(closest(word, words.iter().map(String::as_str)).map(|near| format!("did you mean \"{near}\"?")))
        }
        (Type::List(inner) | Type::Set(inner), Value::List(items)) => items
            .iter()
            .enumerate()
            .for_each(|(i, item)| check_value(inner, item, &format!("{path}[{i}]"), type_of, found)),
        (Type::Map(inner), Value::Map(map)) => {
            map.iter().for_each(|(key, item)| check_value(inner, item, &format!("{path}.{key}"), type_of, found))
        }
        (Type::Object(fields), Value::Map(map)) => check_object(fields, map, path, type_of, found),
        (Type::String, Value::Int(_) | Value::Float(_) | Value::Bool(_)) => wrong(Some("put it in quotes".into())),
        (Type::List(_) | Type::Set(_), _) => wrong(Some("put it in brackets: [ … ]".into())),
        _ => wrong(None),
    }
}

fn fits(wanted: &Type, given: &Type) -> bool {
    match (wanted, given) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::String | Type::Enum(_), Type::String | Type::Enum(_)) => true,
        (Type::Float, Type::Int) => true,
        (Type::List(a) | Type::Set(a), Type::List(b) | Type::Set(b)) | (Type::Map(a), Type::Map(b)) => fits(a, b),
        (Type::Map(_) | Type::Object(_), Type::Map(_) | Type::Object(_)) => true,
        (a, b) => a == b,
    }
}

fn with_article(ty: &Type) -> String {
    match ty {
        Type::Any | Type::Enum(_) => ty.to_string(),
        Type::Int => "an integer".into(),
        other => format!("a {other}"),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => format!("the string \"{text}\""),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => format!("the {} {value}", value.type_name()),
        Value::Reference(reference) if reference.path.is_empty() => format!("the whole resource {}", reference.address),
        other => format!("a {}", other.type_name()),
    }
}

/// The same value in the one form in which two of them compare equal: defaults filled in, `null` and what is empty
/// left out, sets sorted.
pub fn canonical(ty: &Type, value: &Value) -> Value {
    match (ty, value) {
        (Type::List(inner), Value::List(items)) => items.iter().map(|item| canonical(inner, item)).collect(),
        (Type::Set(inner), Value::List(items)) => {
            let mut keyed: Vec<(String, Value)> = items
                .iter()
                .map(|item| canonical(inner, item))
                .map(|item| (serde_json::Value::from(&item).to_string(), item))
                .collect();
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            keyed.dedup_by(|a, b| a.0 == b.0);
            keyed.into_iter().map(|(_, item)| item).collect()
        }
        (Type::Map(inner), Value::Map(map)) => {
            Value::Map(map.iter().map(|(k, v)| (k.clone(), canonical(inner, v))).collect())
        }
        (Type::Object(fields), Value::Map(map)) => Value::Map(
            fields
                .iter()
                .filter_map(|field| {
                    let given = map.get(&field.name).filter(|value| !value.is_null()).or(field.default.as_ref())?;
                    Some((field.name.clone(), canonical(&field.ty, given))).filter(|(_, value)| !value.is_empty())
                })
                .collect(),
        ),
        (Type::Float, Value::Int(i)) => Value::Float(*i as f64),
        (_, other) => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;

    /// A network.
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Inputs {
        /// The range.
        #[schemars(extend("immutable" = true))]
        cidr_block: String,
        #[schemars(extend("uniqueItems" = true))]
        subnet_ids: Option<Vec<String>>,
        tenancy: Option<Tenancy>,
        route: Option<Vec<Route>>,
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code)]
    enum Tenancy {
        Default,
        Dedicated,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Route {
        cidr_block: String,
        #[serde(default)]
        blackhole: bool,
    }

    fn mistakes(inputs: serde_json::Value) -> Vec<String> {
        let Value::Map(map) = Value::from(inputs) else { panic!("a map") };
        let types =
            |reference: &Reference| (reference.attribute() == Some("ids")).then(|| Type::List(Box::new(Type::String)));
        check(&super::inputs::<Inputs>(), &map, &types)
            .into_iter()
            .map(|m| format!("{}: {}{}", m.path, m.what, m.hint.map(|h| format!(" ({h})")).unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_type_becomes_fields() {
        let fields = super::inputs::<Inputs>();
        assert_eq!(super::doc::<Inputs>(), "A network.");
        let cidr = fields.iter().find(|f| f.name == "cidr_block").unwrap();
        assert!(cidr.required && cidr.immutable);
        assert_eq!(cidr.doc, "The range.");
        let ty = |name: &str| fields.iter().find(|f| f.name == name).unwrap().ty.to_string();
        assert_eq!(ty("subnet_ids"), "set of string");
        assert_eq!(ty("tenancy"), "\"default\" or \"dedicated\"");
        assert_eq!(ty("route"), "list of map");
    }

    #[test]
    fn every_mistake_is_told_with_its_field() {
        assert_eq!(
            mistakes(
                serde_json::json!({ "cidr_blok": 1, "subnet_ids": "a", "tenancy": "dedicatd", "route": [{ "cidr_block": true }] })
            ),
            [
                "cidr_blok: there is no such field (did you mean `cidr_block`?)",
                "route[0].cidr_block: expects a string, got the bool true (put it in quotes)",
                "subnet_ids: expects a set of string, got the string \"a\" (put it in brackets: [ … ])",
                "tenancy: expects \"default\" or \"dedicated\", got the string \"dedicatd\" (did you mean \"dedicated\"?)",
                "cidr_block: is required (`cidr_block`: The range.)",
            ]
        );
    }

    #[test]
    fn a_reference_is_checked_by_its_type() {
        let vpc = Address::new("aws::vpc", "main");
        let whole = Value::Reference(Reference { address: vpc.clone(), path: vec![] });
        let ids = Value::Reference(Reference::new(vpc.clone(), "ids"));
        let id = Value::Reference(Reference::new(vpc, "id"));
        let found = mistakes(serde_json::json!({ "cidr_block": whole, "subnet_ids": ids }));
        assert_eq!(
            found,
            [
                "cidr_block: expects a string, got the whole resource aws::vpc.main (name one of its attributes, for example `.id` of aws::vpc.main)"
            ]
        );
        assert_eq!(mistakes(serde_json::json!({ "cidr_block": ids })).len(), 1);
        assert_eq!(mistakes(serde_json::json!({ "cidr_block": id })), [""; 0]);
    }

    #[test]
    fn the_canonical_form_knows_defaults_sets_and_emptiness() {
        let fields = super::inputs::<Inputs>();
        let canon =
            |name: &str, json| canonical(&fields.iter().find(|f| f.name == name).unwrap().ty, &Value::from(json));
        use serde_json::json;
        assert_eq!(canon("subnet_ids", json!(["b", "a", "b"])), canon("subnet_ids", json!(["a", "b"])));
        assert_eq!(
            canon("route", json!([{ "cidr_block": "x" }])),
            canon("route", json!([{ "cidr_block": "x", "blackhole": false }]))
        );
        assert_ne!(canon("route", json!([{ "cidr_block": "x" }])), canon("route", json!([{ "cidr_block": "y" }])));
    }
}
