//! Changes that only the provider can tell: it is asked for many at a time, in the order in which they rest on each
//! other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::forecast::{Forecast, Prepared};
use super::plan::{Action, Change, FieldChange};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Address, Declaration, Declarations, Difference, Owner, Preview, Previewed, Value};

/// How many questions are under way at a time.
const AT_A_TIME: usize = 16;

impl Forecast {
    /// The change of each of these, in their order; what was read before is all that is needed, but for previews.
    pub(super) async fn decide(
        &self,
        declarations: &Declarations,
        wanted: &[Arc<Declaration>],
    ) -> Result<Vec<Arc<Change>>, Diagnostics> {
        let mut settled: BTreeMap<usize, Result<Arc<Change>, Diagnostic>> = BTreeMap::new();
        // What rests on something that cannot be planned is not told as well: its only fault is that.
        let mut failed: HashSet<Address> = HashSet::new();
        let mut settle =
            |index, address: &Address, change: Result<Arc<Change>, Box<Diagnostic>>, failed: &mut HashSet<_>| {
                if change.is_err() {
                    failed.insert(address.clone());
                }
                settled.insert(index, change.map_err(|diagnostic| *diagnostic));
            };
        let mut open: Vec<(usize, Arc<Declaration>)> = wanted.iter().cloned().enumerate().collect();
        while !open.is_empty() {
            let (mut asked, mut later, mut undecided) = (vec![], vec![], HashSet::new());
            for (index, declaration) in open {
                let needs = declaration.needs();
                if needs.iter().any(|address| failed.contains(address)) {
                    failed.insert(declaration.address.clone());
                    continue;
                }
                // What merely comes first says nothing about a value.
                if needs.iter().any(|address| undecided.contains(address) && refers_to(&declaration, address)) {
                    undecided.insert(declaration.address.clone());
                    later.push((index, declaration));
                    continue;
                }
                let change = match self.prepare(declarations, &declaration) {
                    Ok(Ok(known)) => Ok(known),
                    Ok(Err(prepared)) if self.asks(&prepared, &declaration) => {
                        undecided.insert(declaration.address.clone());
                        asked.push((index, declaration, prepared));
                        continue;
                    }
                    Ok(Err(prepared)) => self.conclude(declarations, &declaration, prepared, None),
                    Err(diagnostic) => Err(diagnostic),
                };
                settle(index, &declaration.address, change, &mut failed);
            }
            let mut answers = self.ask(&asked).await;
            for (index, declaration, prepared) in asked {
                let answer = answers.remove(&index).expect("every question has an answer");
                let change = answer.and_then(|told| self.conclude(declarations, &declaration, prepared, Some(told)));
                settle(index, &declaration.address, change, &mut failed);
            }
            open = later;
        }
        let (mut decided, mut wrong) = (vec![], vec![]);
        for change in settled.into_values() {
            match change {
                Ok(change) => decided.push(change),
                Err(diagnostic) => wrong.push(diagnostic),
            }
        }
        if wrong.is_empty() { Ok(decided) } else { Err(wrong) }
    }

    /// What is outside the chosen phases stays as it is.
    fn asks(&self, prepared: &Prepared, declaration: &Declaration) -> bool {
        prepared.kind.nature.previewed && self.is_selected(declaration)
    }

    async fn ask(
        &self,
        asked: &[(usize, Arc<Declaration>, Prepared)],
    ) -> HashMap<usize, Result<Previewed, Box<Diagnostic>>> {
        let questions = asked.iter().map(|(index, declaration, prepared)| async move {
            let owner = Owner {
                stack: self.world.stack.clone(),
                address: declaration.address.clone(),
                deposed: false,
                protect: declaration.options.protect,
            };
            let inputs = prepared.inputs.iter().map(|(name, value)| (name.clone(), self.reveal(value))).collect();
            let live = prepared.live.as_ref().map(|live| (**live).clone());
            let request = Preview { region: declaration.options.region.clone(), owner, inputs, live };
            let ask = || self.world.provider.preview(&prepared.kind, &request);
            let answer = self.world.read(&prepared.kind.name, &request.region, ask).await.map_err(|fault| {
                let told = Diagnostic::error(format!("{} cannot be planned", declaration.address));
                let told = told.because(fault.to_string()).maybe_hint(fault.hint);
                Box::new(told.at(&declaration.site, "declared here"))
            });
            (*index, answer)
        });
        stream::iter(questions).buffer_unordered(AT_A_TIME).collect().await
    }

    /// What a preview says, as the lines of a change.
    pub(super) fn lines(&self, prepared: &Prepared, previewed: &Previewed) -> (Action, Vec<FieldChange>) {
        let anew = previewed.replaces.is_some();
        let fields: Vec<FieldChange> = previewed.differences.iter().map(|difference| self.line(difference)).collect();
        let action = match &prepared.live {
            None => Action::Create,
            Some(_) if anew => Action::Replace,
            Some(_) if fields.is_empty() => Action::None,
            Some(_) => Action::Update,
        };
        (action, fields)
    }

    /// The provider was given the values of secrets, and a plan shows none.
    fn line(&self, difference: &Difference) -> FieldChange {
        let told = |value: &Value| {
            let text = value.to_string();
            self.world.secrets.mask(&text) != text
        };
        let secret = [&difference.before, &difference.after].into_iter().flatten().any(told);
        let sensitive = difference.sensitive || secret;
        let shown = |value: &Option<Value>| match sensitive {
            true => value.as_ref().map(|_| Value::Null),
            false => value.clone(),
        };
        FieldChange {
            path: difference.path.clone(),
            before: shown(&difference.before),
            after: shown(&difference.after),
            forces_replace: difference.forces_replace,
            restarts: false,
            sensitive,
        }
    }
}

fn refers_to(declaration: &Declaration, address: &Address) -> bool {
    let mut refers = false;
    declaration.inputs.values().for_each(|value| value.references(&mut |r| refers |= r.address == *address));
    refers
}
