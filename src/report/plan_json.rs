//! The plan as one JSON document for programs, with a version of its own: it changes when this file says so.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::plan_value::SENSITIVE;
use super::why::{Knowledge, Why};
use crate::diagnostic::{Diagnostic, Site};
use crate::engine::{Action, Change, Counts, Estimate, FieldChange, Plan, Reason, Remark};
use crate::resource::{Address, LeftOut, Value};

/// `"format": 1`. Fields may be added within a version; none is renamed or removed.
pub const FORMAT: u32 = 1;

/// What `runner PLAYBOOK --dry-run --format json` gives: a plan, or why there is none. Fields may be added within a
/// format; none is renamed or removed, and a reader has to pass over those that it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Document {
    Plan(Box<PlanDocument>),
    Refusal(RefusalDocument),
}

/// There is no plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusalDocument {
    pub format: u32,
    pub diagnostics: Vec<Diagnostic>,
}

/// The schema of [`Document`], with a newline at its end.
pub fn schema() -> String {
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Document>();
    schema.insert("title".to_owned(), "A plan of runner".into());
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// All that would be done, and between what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDocument {
    /// 1
    pub format: u32,
    pub stack: String,
    pub counts: Counts,
    /// True if applying it would change nothing.
    pub empty: bool,
    pub changes: Vec<ChangeDocument>,
    pub outputs: Vec<OutputDocument>,
    /// Only if the plan is a first stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopDocument>,
    /// How long it may take; only if there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// What policies said of it; one that `denies` forbids to apply it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyDocument>,
    /// What the playbook declares and this plan does not know of, since it rests on nothing real.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutDocument>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutDocument {
    pub address: String,
    pub site: Site,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeDocument {
    pub address: String,
    pub kind: String,
    pub name: String,
    /// `none`, `create`, `update`, `replace`, `delete` or `orphan`.
    pub action: Action,
    pub reason: Option<Reason>,
    /// The provider's id of what exists now.
    pub id: Option<String>,
    /// Where it is declared.
    pub site: Option<Site>,
    /// The phases that it stands in, outermost first.
    pub phase: Vec<String>,
    /// What must exist before it, by address.
    pub needs: Vec<String>,
    /// What its present form uses, by address: it goes before that does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    /// The changes upstream that make it an update or a replacement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<LinkDocument>,
    /// For a delete or a replacement: what goes, or has to be changed, with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes_down: Vec<LinkDocument>,
    /// What differs; for a create all that is set, for a delete all that is lost.
    pub fields: Vec<FieldDocument>,
    /// Worth telling, and no change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Another change of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkDocument {
    pub address: String,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldDocument {
    /// `tags.Name`; in an object of Kubernetes `spec.containers[web].image`.
    pub path: String,
    pub before: Json,
    /// An unknown inside reads `{"$unknown": "aws::vpc.main.id"}`, an unknown part of a text `${aws::vpc.main.id}`.
    pub after: Json,
    /// False if something in `after` is only known after the apply.
    pub known: bool,
    /// `known`; `predicted`: what another change of the plan will make it; `unknown`: only the apply tells.
    #[serde(default)]
    pub knowledge: Knowledge,
    /// What a predicted or an unknown value rests on: `aws::vpc.main.id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<String>,
    /// It is for this that the resource has to be made anew.
    pub forces_replace: bool,
    /// True: the resource is stopped for it, and started again.
    pub restarts: bool,
    /// True: `before` and `after` read "(sensitive)".
    pub sensitive: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputDocument {
    pub name: String,
    pub value: Json,
    pub known: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyDocument {
    pub denies: bool,
    pub text: String,
    /// Of which change; null: of the plan as a whole.
    pub address: Option<String>,
    /// Where in the policy it is said.
    pub site: Site,
    pub hint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StopDocument {
    pub references: Vec<String>,
    pub site: Site,
    pub because: Option<String>,
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        let why = Why::of(plan);
        PlanDocument {
            format: FORMAT,
            stack: plan.stack.clone(),
            counts: plan.counts(),
            empty: plan.is_empty(),
            changes: plan.changes.iter().map(|one| change(one, &why)).collect(),
            outputs: plan
                .outputs
                .iter()
                .map(|output| OutputDocument {
                    name: output.name.clone(),
                    value: shown(&output.value),
                    known: output.value.is_known(),
                })
                .collect(),
            stop: plan.stop.as_ref().map(|stop| StopDocument {
                references: stop.references.iter().map(ToString::to_string).collect(),
                site: stop.site.clone(),
                because: stop.because.clone(),
            }),
            estimate: plan.estimate.clone(),
            policies: plan.policies.iter().map(policy).collect(),
            left_out: plan.left_out.iter().map(left_out).collect(),
        }
    }
}

fn left_out(one: &LeftOut) -> LeftOutDocument {
    LeftOutDocument { address: one.address.to_string(), site: one.site.clone(), why: one.why.clone() }
}

fn policy(remark: &Remark) -> PolicyDocument {
    PolicyDocument {
        denies: remark.denies,
        text: remark.text.clone(),
        address: remark.address.as_ref().map(ToString::to_string),
        site: remark.site.clone(),
        hint: remark.hint.clone(),
    }
}

fn change(change: &Change, why: &Why) -> ChangeDocument {
    let link = |(address, action): (&Address, Action)| LinkDocument { address: address.to_string(), action };

    ChangeDocument {
        address: change.address.to_string(),
        kind: change.address.kind.to_string(),
        name: change.address.name.to_string(),
        action: change.action,
        reason: change.reason.clone(),
        id: change.live.as_ref().map(|live| live.id.clone()),
        site: change.site.clone(),
        phase: change.phase.iter().map(ToString::to_string).collect(),
        needs: change.needs.iter().map(ToString::to_string).collect(),
        uses: why.uses(change).into_iter().map(ToString::to_string).collect(),
        because: why.because(change).into_iter().map(link).collect(),
        takes_down: why.takes_down(change).into_iter().map(|other| link((&other.address, other.action))).collect(),
        fields: change.fields.iter().map(|one| field(change, one)).collect(),
        notes: change.notes.clone(),
    }
}

fn field(change: &Change, field: &FieldChange) -> FieldDocument {
    let (knowledge, rests_on) = Why::knowledge(change, field);
    let side = |value: &Option<Value>| match value {
        None => Json::Null,
        Some(_) if field.sensitive => Json::from(SENSITIVE),
        Some(value) => shown(value),
    };
    FieldDocument {
        path: field.path.clone(),
        before: side(&field.before),
        after: side(&field.after),
        known: field.after.as_ref().is_none_or(Value::is_known),
        knowledge,
        rests_on: rests_on.iter().map(ToString::to_string).collect(),
        forces_replace: field.forces_replace,
        restarts: field.restarts,
        sensitive: field.sensitive,
    }
}

/// A value in which an unknown names itself.
pub fn shown(value: &Value) -> Json {
    match value {
        Value::Reference(reference) => serde_json::json!({ "$unknown": reference.to_string() }),
        Value::Text(_) => Json::from(value.to_string()),
        Value::List(items) => Json::Array(items.iter().map(shown).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), shown(value))).collect()),
        plain => Json::from(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_document_holds_what_a_program_needs_and_no_secret() {
        let json = serde_json::to_value(PlanDocument::from(&example::plan())).unwrap();
        assert_eq!(json["format"], 1);
        assert_eq!(json["counts"]["create"], 2);
        let subnet = &json["changes"][1];
        assert_eq!(subnet["address"], "aws::subnet.private-a");
        assert_eq!(subnet["site"]["line"], 12);
        let vpc = subnet["fields"].as_array().unwrap().iter().find(|f| f["path"] == "vpc_id").unwrap();
        assert_eq!(vpc["after"]["$unknown"], "aws::vpc.main.id");
        assert_eq!(vpc["known"], false);
        assert!(!json.to_string().contains("hunter2"));
    }
}
