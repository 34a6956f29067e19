//! Regions that only a resource of the stack opens: what lives on a cluster is reached through the cluster.

use std::collections::HashSet;
use std::sync::Arc;

use super::forecast::Forecast;
use super::refresh::cannot_read;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Address, Declaration, Declarations, Kind, Map, Reference, Value};

/// Something that opens a region.
struct Gate<'a> {
    declaration: &'a Arc<Declaration>,
    kind: Arc<Kind>,
    region: String,
}

impl Forecast {
    /// Opens what the wanted ones live in, as far as the way there is known already; the rest does not exist yet. With
    /// `now` by the way there is now, whatever becomes of it.
    pub(super) async fn open_gates(
        &self,
        declarations: &Declarations,
        wanted: &[Arc<Declaration>],
        now: bool,
    ) -> Result<(), Diagnostics> {
        let regions: HashSet<&str> = wanted.iter().filter_map(|one| one.options.region.as_deref()).collect();
        let named: HashSet<&Address> = wanted.iter().map(|one| &one.address).collect();
        let meant = |gate: &Gate| regions.contains(&*gate.region) || named.contains(&gate.declaration.address);
        let all = declarations.iter().filter_map(|declaration| self.gate(declaration));
        let gates: Vec<Gate> = all.filter(meant).filter(|gate| self.opens_now(&gate.declaration.address)).collect();
        for gate in &gates {
            let mut first = Self::closure(declarations, [&gate.declaration.address]);
            first.retain(|one| one.address != gate.declaration.address);
            Box::pin(self.changes(declarations, &first)).await?;
            let present = |reference: &Reference| self.value(reference).or_else(|| self.present(reference, now));
            let resolve = |(name, value): (&String, &Value)| (name.clone(), value.resolve(&mut |r| present(r)));
            let inputs: Map = gate.declaration.inputs.iter().map(resolve).collect();
            let known = inputs.values().all(Value::is_known).then_some(&inputs);
            let (name, region) = (&gate.declaration.address.name, &gate.declaration.options.region);
            self.world.open(&gate.region, name, region, known).map_err(|fault| {
                let cannot = Diagnostic::error(format!("{} cannot be reached", gate.declaration.address));
                let told = cannot.because(fault.to_string()).maybe_hint(fault.hint);
                vec![told.at(&gate.declaration.site, "declared here")]
            })?;
        }
        // One look each, so that what cannot be reached is told once and not for everything in it.
        for gate in gates.iter().filter(|gate| !self.world.is_closed(&Some(gate.region.clone()))) {
            self.world.owned(&gate.kind, &gate.declaration.options.region).await.map_err(|fault| {
                let told = match fault.operation.as_deref() {
                    Some(operation) if operation.ends_with(":Connect") => {
                        let cannot = Diagnostic::error(format!("{} cannot be reached", gate.declaration.address));
                        cannot.because(fault.message.clone()).maybe_hint(fault.hint.clone())
                    }
                    _ => cannot_read(&gate.kind.name, &fault),
                };
                vec![told.at(&gate.declaration.site, "reached as declared here")]
            })?;
        }
        Ok(())
    }

    /// The same for a plan that needs no changes: everything that could be opened is.
    pub(super) async fn open_all_gates(&self, declarations: &Declarations) -> Result<(), Diagnostics> {
        let gates: Vec<Arc<Declaration>> =
            declarations.iter().filter(|declaration| self.gate(declaration).is_some()).cloned().collect();
        self.open_gates(declarations, &gates, true).await
    }

    /// What is there now, though it may be about to change.
    fn present(&self, reference: &Reference, now: bool) -> Option<Value> {
        let live = self.known_change(&reference.address).filter(|_| now)?.live.clone()?;
        live.attribute(&reference.path).cloned()
    }

    fn gate<'a>(&self, declaration: &'a Arc<Declaration>) -> Option<Gate<'a>> {
        let kind = self.world.kind(&declaration.address.kind)?;
        let region = kind.nature.opens?(&declaration.address.name);
        Some(Gate { declaration, kind, region })
    }
}
