//! `runner doc`: the reference, from the same declarations that check a playbook.

use super::args::DocArgs;
use super::exit;
use crate::diagnostic::{Diagnostic, Sources, closest};
use crate::providers;
use crate::report::{Format, Report, plan_json, reference};
use crate::script;
use crate::secret::Secrets;

pub fn run(args: DocArgs) -> u8 {
    let report = Report::of_process(Format::Text, false, Sources::default(), &Secrets::default());
    let (kinds, lookups) = (providers::kinds(), providers::lookups());
    if args.definitions {
        report.stdout.put(script::definitions(&kinds, &lookups, &providers::compounds()));
        return exit::DONE;
    }
    if args.schema {
        report.stdout.put(plan_json::schema());
        return exit::DONE;
    }
    let compounds = providers::compounds();
    let compounds: Vec<&_> = compounds.iter().collect();
    let kinds: Vec<&_> = kinds.iter().map(|kind| &**kind).collect();
    let lookups: Vec<&_> = lookups.iter().collect();
    let text = match &args.name {
        None if args.markdown => reference::document(&kinds, &compounds, &lookups),
        None => reference::index(&kinds, &compounds, &lookups),
        Some(name) => {
            let kind = kinds.iter().find(|kind| *kind.name == **name).map(|kind| reference::of_kind_alone(kind));
            let lookup = lookups.iter().find(|lookup| *lookup.name == **name).map(|l| reference::of_lookup(l));
            let compound = compounds.iter().find(|one| *one.name == **name).map(|one| reference::of_compound(one));
            match (kind.or(compound), lookup) {
                // One name can be both: a lookup is called without inputs.
                (Some(kind), Some(lookup)) => format!("{kind}\n{lookup}"),
                (Some(text), None) | (None, Some(text)) => text,
                (None, None) => {
                    let known = kinds.iter().map(|kind| &*kind.name).chain(compounds.iter().map(|one| &*one.name));
                    let known = known.chain(lookups.iter().map(|lookup| &*lookup.name));
                    let hint = closest(name, known).map(|near| format!("did you mean `{near}`?"));
                    let unknown = Diagnostic::error(format!("there is no kind and no lookup `{name}`"));
                    report.diagnostic(&unknown.hint(hint.unwrap_or_else(|| "`runner doc` lists them all".into())));
                    return exit::USAGE;
                }
            }
        }
    };
    report.stdout.put(text);
    exit::DONE
}
