//! Functions that declare several resources from one text: `k8s::manifest(name, inputs)`.

use std::cell::OnceCell;
use std::sync::Arc;

use rhai::{Dynamic, FuncRegistration, Module, NativeCallContext};

use super::options;
use super::register::{add, given_name, line, of_mistake};
use super::templates::digest;
use super::value::{Handle, Resource};
use super::world::{Outcome, World, as_map};
use crate::diagnostic::{Diagnostic, Site};
use crate::resource::compound::{Asked, Compound, Flaw};
use crate::resource::schema::{self, Mistake};
use crate::resource::{Address, LeftOut, Map, Options, Value};

/// Where the text of a call may come from: its inputs of these names.
pub(super) const SOURCES: [&str; 3] = ["yaml", "file", "url"];

pub(super) fn functions(module: &mut Module, name: &str, compound: &Compound, world: &Arc<World>) {
    let mut doc = format!("{}\n\n# Inputs\n\n", compound.doc);
    doc.extend(
        compound.inputs.iter().map(|f| line(&f.name, &f.ty, if f.required { ", required" } else { "" }, &f.doc)),
    );
    let comments: Vec<String> = doc.lines().map(|line| format!("/// {line}").trim_end().into()).collect();
    let (w, c) = (world.clone(), compound.clone());
    FuncRegistration::new(name)
        .with_params_info(["name: String", "inputs: Map", "Map"])
        .with_comments(&comments)
        .set_into_module(module, move |ctx: NativeCallContext, name: Dynamic, inputs: Dynamic| {
            declare(&w, &ctx, &c, [name, inputs, Dynamic::UNIT])
        });
    let (w, c) = (world.clone(), compound.clone());
    FuncRegistration::new(name)
        .with_params_info(["name: String", "inputs: Map", "options: Map", "Map"])
        .with_comments(&comments)
        .set_into_module(module, move |ctx: NativeCallContext, name: Dynamic, inputs: Dynamic, options: Dynamic| {
            declare(&w, &ctx, &c, [name, inputs, options])
        });
}

/// What is wrong is noted and the script goes on, so that one run finds all mistakes. Gives the resources by what their
/// addresses are without the provider: `"Deployment.identity/keycloak"`.
fn declare(world: &World, ctx: &NativeCallContext, compound: &Compound, arguments: [Dynamic; 3]) -> Outcome {
    let site = world.site(ctx);
    let [name, inputs, given] = arguments;
    let name = given_name(world, ctx, &compound.name, &name, &site)?;
    let address = Address::new(compound.name.clone(), name.as_str());
    let note = |mistake: Mistake| world.mistake(of_mistake(&address, &site, mistake));
    let inputs = match as_map(world, ctx, "inputs", &inputs) {
        Ok(inputs) => inputs,
        Err(mistake) => {
            note(mistake);
            return Ok(Dynamic::from_map(rhai::Map::new()));
        }
    };
    let mistakes = schema::check(&compound.inputs, &inputs, &|reference| world.type_of(reference));
    let sound = mistakes.is_empty();
    mistakes.into_iter().for_each(note);
    let text = match sound.then(|| text(world, &inputs)) {
        Some(Ok(Some(text))) => text,
        // To play, nobody needs the web.
        Some(Ok(None)) => {
            let why = "its file cannot be had here: what it made is not compared, and deleted only by name".to_owned();
            world.state().left_out.push(LeftOut { address, site, why });
            return Ok(Dynamic::from_map(rhai::Map::new()));
        }
        Some(Err(wrong)) => {
            world.mistake(wrong(&address, &site));
            return Ok(Dynamic::from_map(rhai::Map::new()));
        }
        None => return Ok(Dynamic::from_map(rhai::Map::new())),
    };
    let declared = |address: &Address| world.state().declarations.get(address).map(|one| one.inputs.clone());
    let rendered = matches!(text.from, From::Template);
    let parts = match (compound.expand)(&Asked { inputs: &inputs, text: &text.value, rendered, declared: &declared }) {
        Ok(parts) => parts,
        Err(flaws) => {
            for flaw in flaws {
                match flaw {
                    Flaw::Input(mistake) => note(mistake),
                    Flaw::Text { line, column, what, hint } => {
                        let told = Diagnostic::error(format!("{address}: {what}")).maybe_hint(hint);
                        world.mistake(text.place(world, told, line, column).at(&site, "declared here"));
                    }
                }
            }
            return Ok(Dynamic::from_map(rhai::Map::new()));
        }
    };
    let given = as_map(world, ctx, "options", &given);
    let mut handles = rhai::Map::new();
    for (index, part) in parts.into_iter().enumerate() {
        let mut options = match &given {
            Ok(map) => {
                let (options, mistakes) = options::read(&part.kind, map);
                // The same for each of them.
                mistakes.into_iter().filter(|_| index == 0).for_each(note);
                options
            }
            Err(mistake) => {
                if index == 0 {
                    note(mistake.clone());
                }
                Options::default()
            }
        };
        options.region = part.region.or(options.region);
        options.after.push(part.inside);
        world.learn_kind(&part.kind);
        let address = Address::new(part.kind.name.clone(), part.name.as_str());
        let short = address.to_string().split_once("::").map_or_else(String::new, |(_, short)| short.to_owned());
        let otherwise =
            "one object stands in one manifest only; to add to one of another manifest, give that one `patches`";
        let stands = text.site(world, part.line).unwrap_or_else(|| site.clone());
        add(world, address.clone(), part.inputs, options, [&stands, &site], otherwise);
        handles.insert(short.into(), Dynamic::from(Handle(Arc::new(Resource { address, kind: part.kind }))));
    }
    Ok(Dynamic::from_map(handles))
}

/// A text, and what is known of where it stands.
struct Text {
    value: Value,
    from: From,
    /// What gave each line of a rendered text; found out when it is first asked for.
    lines: OnceCell<Vec<Site>>,
}

impl Text {
    fn new(value: Value, from: From) -> Self {
        Text { value, from, lines: OnceCell::new() }
    }
}

enum From {
    /// In the playbook, or put together there.
    Script,
    Template,
    File(Arc<str>),
    Web(String),
}

impl Text {
    /// Where a person would change that line, if it is not where the call stands.
    fn site(&self, world: &World, line: usize) -> Option<Site> {
        match &self.from {
            From::File(file) => Some(Site::new(file.clone(), line as u32, 1)),
            From::Template => self.traced(world, line),
            From::Script | From::Web(_) => None,
        }
    }

    fn traced(&self, world: &World, line: usize) -> Option<Site> {
        let lines = self.lines.get_or_init(|| {
            let origin = world.state().rendered.get(&digest(&self.value)).cloned();
            let origin = origin.zip(world.files.as_ref());
            origin.map(|(origin, files)| files.trace(&origin.template, &origin.values)).unwrap_or_default()
        });
        lines.get(line.checked_sub(1)?).cloned()
    }

    fn place(&self, world: &World, told: Diagnostic, line: usize, column: usize) -> Diagnostic {
        let whole = self.value.to_string();
        let source = whole.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
        let at_line = || format!("line {line} of the text: `{}`", source.chars().take(80).collect::<String>());
        match &self.from {
            _ if line == 0 => told,
            From::File(file) => told.at(&Site::new(file.clone(), line as u32, column as u32), "here"),
            From::Web(url) => told.because(format!("{url}, {}", at_line())),
            From::Script => told.because(at_line()),
            From::Template => match self.traced(world, line) {
                Some(site) => told.because(at_line()).at(&site, "this gave it"),
                None => told.because(at_line()),
            },
        }
    }
}

type Wrong = Box<dyn FnOnce(&Address, &Site) -> Diagnostic>;

fn text(world: &World, inputs: &Map) -> Result<Option<Text>, Wrong> {
    let given: Vec<&str> =
        SOURCES.into_iter().filter(|name| inputs.get(*name).is_some_and(|value| !value.is_null())).collect();
    let [source] = given.as_slice() else {
        let what =
            if given.is_empty() { "none is given".to_owned() } else { format!("{} are given", given.join(" and ")) };
        return Err(Box::new(move |address, site| {
            Diagnostic::error(format!("{address}: one of `yaml`, `file` and `url` says what it is; {what}"))
                .at(site, "declared here")
        }));
    };
    if *source != "url" && inputs.get("sha256").is_some_and(|value| !value.is_null()) {
        let source = (*source).to_owned();
        return Err(Box::new(move |address, site| {
            Diagnostic::error(format!("{address}: `sha256` goes with `url`, and `{source}` is given"))
                .at(site, "declared here")
                .hint("what is in the project needs no digest: take `sha256` out")
        }));
    }
    let value = inputs[*source].clone();
    match (*source, &value) {
        ("yaml", _) => {
            let rendered = world.state().rendered.contains_key(&digest(&value));
            Ok(Some(Text::new(value, if rendered { From::Template } else { From::Script })))
        }
        ("file", Value::String(path)) => {
            let read = world.files.as_ref().map(|files| files.read(path));
            match read {
                Some(Ok((text, name))) => Ok(Some(Text::new(text.into(), From::File(name)))),
                Some(Err(wrong)) => Err(Box::new(move |_, site| wrong.at(site, "declared here"))),
                None => Err(Box::new(|address, site| {
                    Diagnostic::error(format!("{address}: files are not available here")).at(site, "declared here")
                })),
            }
        }
        ("url", Value::String(url)) => {
            let Some(sha256) = inputs.get("sha256").and_then(Value::as_str) else {
                return Err(Box::new(|address, site| {
                    Diagnostic::error(format!("{address}: `url` goes with `sha256`")).at(site, "declared here").hint(
                        "what is not pinned could be something else tomorrow: `sha256: \"…\"`, as `sha256sum` tells it",
                    )
                }));
            };
            match world.oracle.fetch(url, sha256) {
                Ok(text) => Ok(text.map(|text| Text::new(text.into(), From::Web(url.clone())))),
                Err(fault) => Err(Box::new(move |address, site| {
                    Diagnostic::error(format!("{address}: its file cannot be had"))
                        .because(fault.to_string())
                        .at(site, "declared here")
                        .maybe_hint(fault.hint)
                })),
            }
        }
        (source, _) => {
            let source = source.to_owned();
            Err(Box::new(move |address, site| {
                Diagnostic::error(format!("{address}: `{source}` must be known before anything is applied"))
                    .at(site, "declared here")
            }))
        }
    }
}
