//! What the outputs of a playbook are now, and which of them an apply would make otherwise.

use super::diff;
use super::forecast::Forecast;
use super::plan::{Action, Change};
use crate::diagnostic::{Diagnostics, Site};
use crate::resource::{Address, Declarations, Given, Reference, Status, Value};

/// An output as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    pub name: String,
    /// Filled in from what is live; a reference that is left is pending, or a secret.
    pub value: Value,
    pub site: Site,
    pub pending: Vec<Pending>,
}

/// An attribute that is not there yet, or that an apply would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub reference: Reference,
    /// `None`: it is not there.
    pub now: Option<Value>,
    /// `None`: only known after the apply.
    pub then: Option<Value>,
    /// Neither may be shown.
    pub hidden: bool,
    pub because: Option<String>,
}

/// Reads no more than what these rest on. Nothing is told of what the playbook no longer declares.
pub async fn outputs(
    forecast: &Forecast,
    declarations: &Declarations,
    given: &[Given],
) -> Result<Vec<Present>, Diagnostics> {
    let mut named: Vec<&Address> = vec![];
    given.iter().for_each(|output| output.value.references(&mut |reference| named.push(&reference.address)));
    let wanted = Forecast::closure(declarations, named);
    forecast.changes(declarations, &wanted).await?;
    Ok(given.iter().map(|output| present(forecast, output)).collect())
}

/// What the script looked at that an apply would change: what it made of that is not certain to be so now.
pub fn looked_ahead(forecast: &Forecast) -> Vec<Pending> {
    forecast.seen().iter().filter_map(|reference| forecast.now(reference).err()).collect()
}

fn present(forecast: &Forecast, output: &Given) -> Present {
    let mut pending: Vec<Pending> = vec![];
    let value = output.value.resolve(&mut |reference| {
        if reference.secret_name().is_some() {
            return None;
        }
        match forecast.now(reference) {
            Ok(value) => Some(value),
            Err(waits) => {
                if !pending.contains(&waits) {
                    pending.push(waits);
                }
                None
            }
        }
    });
    Present { name: output.name.clone(), value, site: output.site.clone(), pending }
}

impl Forecast {
    /// The value once the plan is applied, as an output shows it: with the names of the secrets in it.
    pub(super) fn planned(&self, reference: &Reference) -> Option<Value> {
        self.value(reference).or_else(|| {
            let written = written(&*self.known_change(&reference.address)?, reference)?.clone();
            (written.holds_secret() && is_known_but_for_secrets(&written)).then_some(written)
        })
    }

    /// What an attribute is now, if an apply would leave it so.
    fn now(&self, reference: &Reference) -> Result<Value, Pending> {
        let pending = |now: Option<Value>, then: Option<Value>, hidden: bool| {
            let because = self.why_unknown(reference);
            let (now, then) = if hidden { (now.map(|_| Value::Null), None) } else { (now, then) };
            Pending { reference: reference.clone(), now, then, hidden, because }
        };
        let then = self.planned(reference);
        let Some(change) = self.known_change(&reference.address) else { return Err(pending(None, then, false)) };
        let kind = self.world.kind(&reference.address.kind);
        let attribute = reference.attribute().unwrap_or_default();
        let input = kind.as_ref().and_then(|kind| kind.input(attribute));
        let written = written(&change, reference);
        let secret = written.filter(|value| value.holds_secret());
        let hidden = secret.is_some() || input.is_some_and(|field| field.sensitive);
        let Some(live) = &change.live else { return Err(pending(None, then, hidden)) };
        let differs = diff::changed_fields(&change.fields).iter().any(|name| name == attribute);
        // What is live has the secret itself; it is told by its name, or not at all.
        if let Some(named) = secret {
            return match !differs && is_known_but_for_secrets(named) {
                true => Ok(named.clone()),
                false => Err(pending(Some(Value::Null), None, hidden)),
            };
        }
        let ready = live.status == Status::Ready;
        let now = live.attribute(&reference.path).filter(|value| ready || !value.is_empty()).cloned();
        let same = match (&now, &then) {
            _ if change.action == Action::None => true,
            (_, None) => false,
            (now, then) if now == then => true,
            // Two spellings of one value, or one that is not read back.
            _ => written.is_some() && !differs && kind.is_some_and(|kind| !kind.nature.previewed),
        };
        match same {
            true => Ok(now.or(then).unwrap_or_default()),
            false => Err(pending(now.or_else(|| ready.then_some(Value::Null)), then, hidden)),
        }
    }
}

/// What the playbook says of an attribute, filled in as far as it is known.
fn written<'a>(change: &'a Change, reference: &Reference) -> Option<&'a Value> {
    let (_, rest) = reference.path.split_first()?;
    change.inputs.get(reference.attribute()?)?.get(rest).filter(|value| !value.is_null())
}

fn is_known_but_for_secrets(value: &Value) -> bool {
    let mut known = true;
    value.references(&mut |reference| known &= reference.secret_name().is_some());
    known
}
