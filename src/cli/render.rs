//! `runner render TEMPLATE`: what a template gives, without a playbook around it.

use std::path::{Path, PathBuf};

use super::args::RenderArgs;
use super::exit;
use crate::diagnostic::{Diagnostic, Diagnostics, Sources, closest};
use crate::inventory::{self, Inventory};
use crate::report::{Format, Report};
use crate::resource::{Map, Reference};
use crate::secret::Secrets;
use crate::template::{Rendered, Templates};

pub fn run(args: RenderArgs) -> u8 {
    let sources = Sources::default();
    let report = Report::of_process(Format::Text, false, sources.clone(), &Secrets::default());
    match render(&args, &sources) {
        Ok(text) => {
            report.stdout.put(text);
            exit::DONE
        }
        Err(wrong) => {
            wrong.iter().for_each(|diagnostic| report.diagnostic(diagnostic));
            exit::FAILED
        }
    }
}

fn render(args: &RenderArgs, sources: &Sources) -> Result<String, Diagnostics> {
    let (root, name) = place(&args.template);
    let inventory = Inventory::load(&root.join("inventory"), &args.inventory, &args.sets, sources, &root)?;
    let vars = variables(args, &inventory)?;
    match Templates::new(root.join("templates"), sources.clone()).render(&name, &vars) {
        Ok(Rendered::Text(text)) => {
            Ok(text.resolve(&mut |reference| Some(format!("({reference})").into())).to_string())
        }
        // All but secrets is known.
        Ok(Rendered::Sees { references, site }) => {
            let names: Vec<&str> = references.iter().filter_map(Reference::secret_name).collect();
            let told = Diagnostic::error(format!("the secret `{}` cannot be looked at", names.join("`, `")));
            Err(vec![told.at(&site, "looked at here").hint("a template may pass it on, as it is or inside a text")])
        }
        Err(wrong) => Err(wrong.into_iter().map(|told| with_way_out(told, sources)).collect()),
    }
}

/// What a playbook would pass to the template.
fn variables(args: &RenderArgs, inventory: &Inventory) -> Result<Map, Diagnostics> {
    let mut vars = Map::from([("env".to_owned(), inventory.value())]);
    vars.extend(args.vars.iter().map(|(name, text)| (name.clone(), inventory::value(text))));
    let mut mistakes = vec![];
    for (name, secret) in &args.secret_vars {
        if inventory.secrets.contains_key(secret) {
            vars.insert(name.clone(), Reference::secret(secret).into());
            continue;
        }
        let near = closest(secret, inventory.secrets.keys().map(String::as_str));
        mistakes.push(
            Diagnostic::error(format!("the inventory names no secret `{secret}`"))
                .maybe_hint(near.map(|near| format!("did you mean `{near}`?"))),
        );
    }
    if mistakes.is_empty() { Ok(vars) } else { Err(mistakes) }
}

/// A name that is missing may be one that a playbook gives.
fn with_way_out(told: Diagnostic, sources: &Sources) -> Diagnostic {
    let Some(name) = told.summary.strip_suffix("` is not defined").and_then(|start| start.strip_prefix('`')) else {
        return told;
    };
    let inside = told.places.first().is_some_and(|place| {
        let text = sources.text(&place.site.file).unwrap_or_default();
        let line = text.lines().nth((place.site.line as usize).saturating_sub(1)).unwrap_or_default();
        (place.site.column as usize).checked_sub(2).and_then(|before| line.chars().nth(before)) == Some('.')
    });
    if inside {
        return told;
    }
    let way = format!("what a playbook passes is given with `--var {name}=…` or `--secret-var {name}=…`");
    let hint = match &told.hint {
        Some(hint) => format!("{hint}; {way}"),
        None => way,
    };
    told.hint(hint)
}

/// The project's folder, as a person would write it, and the template's name below its `templates/`.
fn place(template: &str) -> (PathBuf, String) {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    let shown = |root: &Path| if root == here { PathBuf::from(".") } else { root.to_owned() };
    // By its path, from wherever one stands; else as a playbook calls it, from inside of the project.
    if let Ok(file) = Path::new(template).canonicalize() {
        let roots = file.ancestors().filter(|folder| folder.join("inventory").is_dir());
        for root in roots {
            if let Ok(name) = file.strip_prefix(root.join("templates")) {
                return (shown(root), name.display().to_string());
            }
        }
    }
    let root = here.ancestors().find(|folder| folder.join("inventory").is_dir()).unwrap_or(&here);
    (shown(root), template.to_owned())
}
