//! From a kind to a function of the script: one generic way for all kinds and lookups.

use std::sync::Arc;

use rhai::{Dynamic, Engine, FnPtr, FuncRegistration, ImmutableString, Module, NativeCallContext};

use super::compounds;
use super::options;
use super::templates::template;
use super::value::{Handle, Resource, to_dynamic, to_value};
use super::world::{Outcome, World, as_map};
use crate::diagnostic::{Diagnostic, Site, closest};
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::schema::{self, Field, Mistake, Output, Type};
use crate::resource::{Address, Declaration, Given, Kind, Map, Options, Reference};

const LONGEST_NAME: usize = 200;

/// The modules `aws`, `cloudflare`, … with a function for each kind and lookup.
pub(super) fn kinds(
    engine: &mut Engine,
    world: &Arc<World>,
    kinds: &[Arc<Kind>],
    lookups: &[Lookup],
    compounds: &[Compound],
) {
    let mut modules: std::collections::BTreeMap<&str, Module> = Default::default();
    for kind in kinds {
        if let Some((space, name)) = kind.name.split_once("::") {
            kind_functions(modules.entry(space).or_default(), name, kind, world);
        }
    }
    for lookup in lookups {
        if let Some((space, name)) = lookup.name.split_once("::") {
            lookup_functions(modules.entry(space).or_default(), name, lookup, world);
        }
    }
    for compound in compounds {
        if let Some((space, name)) = compound.name.split_once("::") {
            compounds::functions(modules.entry(space).or_default(), name, compound, world);
        }
    }
    for (space, module) in modules {
        engine.register_static_module(space, module.into());
    }
}

fn kind_functions(module: &mut Module, name: &str, kind: &Arc<Kind>, world: &Arc<World>) {
    let comments: Vec<String> = kind_doc(kind).lines().map(|line| format!("/// {line}").trim_end().into()).collect();
    let (w, k) = (world.clone(), kind.clone());
    FuncRegistration::new(name)
        .with_params_info(["name: String", "inputs: Map", "Dynamic"])
        .with_comments(&comments)
        .set_into_module(module, move |ctx: NativeCallContext, name: Dynamic, inputs: Dynamic| {
            declare(&w, &ctx, &k, [name, inputs, Dynamic::UNIT])
        });
    let (w, k) = (world.clone(), kind.clone());
    FuncRegistration::new(name)
        .with_params_info(["name: String", "inputs: Map", "options: Map", "Dynamic"])
        .with_comments(&comments)
        .set_into_module(module, move |ctx: NativeCallContext, name: Dynamic, inputs: Dynamic, options: Dynamic| {
            declare(&w, &ctx, &k, [name, inputs, options])
        });
}

fn kind_doc(kind: &Kind) -> String {
    let input = |f: &Field| line(&f.name, &f.ty, if f.required { ", required" } else { "" }, &f.doc);
    let output = |o: &Output| line(&o.name, &o.ty, "", &o.doc);
    let mut doc = kind.doc.clone();
    doc += "\n\n# Inputs\n\n";
    doc.extend(kind.inputs.iter().map(input));
    doc += "\n# Outputs\n\n";
    doc.extend(kind.outputs.iter().map(output));
    doc
}

pub(super) fn line(name: &str, ty: &Type, more: &str, doc: &str) -> String {
    let first = doc.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let colon = if first.is_empty() { "" } else { ": " };
    format!("* `{name}` ({ty}{more}){colon}{first}\n")
}

/// A call of a kind. Whatever is wrong is noted and the script goes on, so that one run finds all mistakes.
fn declare(world: &World, ctx: &NativeCallContext, kind: &Arc<Kind>, arguments: [Dynamic; 3]) -> Outcome<Handle> {
    let site = world.site(ctx);
    let [name, inputs, options] = arguments;
    let name = given_name(world, ctx, &kind.name, &name, &site)?;
    let address = Address::new(kind.name.clone(), name.as_str());
    let note = |mistake: Mistake| world.mistake(of_mistake(&address, &site, mistake));
    let inputs = match as_map(world, ctx, "inputs", &inputs) {
        Ok(mut inputs) => {
            inputs = kind.complete(&name, &inputs);
            schema::check(&kind.inputs, &inputs, &|reference| world.type_of(reference)).into_iter().for_each(note);
            (kind.nature.check)(&inputs).into_iter().for_each(note);
            inputs
        }
        Err(mistake) => {
            note(mistake);
            Map::new()
        }
    };
    let options = match as_map(world, ctx, "options", &options) {
        Ok(map) => {
            let (options, mistakes) = options::read(kind, &map);
            mistakes.into_iter().for_each(note);
            options
        }
        Err(mistake) => {
            note(mistake);
            Options::default()
        }
    };
    add(world, address.clone(), inputs, options, [&site, &site], "give one of them another name");
    Ok(Handle(Arc::new(Resource { address, kind: kind.clone() })))
}

/// Notes a declaration, if its address is not taken.
/// `call` is where it is declared from, if its own site is elsewhere: in a text.
pub(super) fn add(
    world: &World,
    address: Address,
    inputs: Map,
    options: Options,
    [site, call]: [&Site; 2],
    otherwise: &str,
) {
    let mut state = world.state();
    let phase = state.phase.clone();
    let twice = Diagnostic::error(format!("`{address}` is declared twice"));
    let declaration = Declaration { address, inputs, options, site: site.clone(), phase };
    if let Err(first) = state.declarations.add(declaration) {
        // One text declared twice says nothing of where.
        let again = if first.site == *site { call } else { site };
        let mut twice = twice.at(again, "declared again here").at(&first.site, "first declared here");
        if again != call {
            twice = twice.at(call, "by this");
        }
        state.mistakes.push(twice.hint(otherwise));
    }
}

/// The first argument of what declares something.
pub(super) fn given_name(
    world: &World,
    ctx: &NativeCallContext,
    callee: &str,
    name: &Dynamic,
    site: &Site,
) -> Outcome<String> {
    let name = world.see_outermost(name, ctx.call_position())?;
    let name = name.into_immutable_string().map_err(|got| {
        let text = format!("{callee}: the first argument is the resource's name, a string, not {got}");
        world.raise(ctx.call_position(), Diagnostic::error(text))
    })?;
    if let Some(what) = wrong_name(&name) {
        world.mistake(Diagnostic::error(format!("{callee}: {what}")).at(site, "declared here"));
    }
    Ok(name.to_string())
}

pub(super) fn of_mistake(address: &Address, site: &Site, mistake: Mistake) -> Diagnostic {
    let path = if mistake.path.is_empty() { String::new() } else { format!("`{}`: ", mistake.path) };
    Diagnostic::error(format!("{address}: {path}{}", mistake.what)).at(site, "declared here").maybe_hint(mistake.hint)
}

fn wrong_name(name: &str) -> Option<String> {
    match name {
        "" => Some("the name is empty".into()),
        _ if name.chars().any(char::is_control) => {
            Some("the name has a line break or another control character".into())
        }
        _ if name.chars().count() > LONGEST_NAME => Some(format!("the name is longer than {LONGEST_NAME} characters")),
        _ => None,
    }
}

fn lookup_functions(module: &mut Module, name: &str, lookup: &Lookup, world: &Arc<World>) {
    let required = lookup.parameters.iter().take_while(|field| field.required).count();
    let lookup = Arc::new(lookup.clone());
    let mut comments: Vec<String> = lookup.doc.lines().map(|line| format!("/// {line}").trim_end().into()).collect();
    comments.extend(lookup.returns.iter().map(|o| format!("/// {}", line(&o.name, &o.ty, "", &o.doc).trim_end())));
    for count in required..=lookup.parameters.len() {
        let mut info: Vec<String> = lookup.parameters[..count].iter().map(|f| format!("{}: Dynamic", f.name)).collect();
        info.push("Dynamic".into());
        let (w, l) = (world.clone(), lookup.clone());
        let types = vec![std::any::TypeId::of::<Dynamic>(); count];
        let call = move |ctx: Option<NativeCallContext>, arguments: &mut [&mut Dynamic]| {
            let ctx = ctx.ok_or("a lookup is called by a script")?;
            look_up(&w, &ctx, &l, arguments)
        };
        let function =
            rhai::RhaiFunc::Pure { func: Arc::new(call), has_context: true, is_pure: true, is_volatile: true };
        FuncRegistration::new(name)
            .with_params_info(&info)
            .with_comments(&comments)
            .set_into_module_raw(module, types, function);
    }
}

fn look_up(world: &World, ctx: &NativeCallContext, lookup: &Lookup, arguments: &[&mut Dynamic]) -> Outcome {
    let position = ctx.call_position();
    let mut values = vec![];
    for (argument, field) in arguments.iter().zip(&lookup.parameters) {
        let seen = world.see(argument, position)?;
        let value = to_value(&seen).map_err(|misfit| {
            let text = format!("{}: `{}` cannot be {}", lookup.name, field.name, misfit.what);
            world.raise(position, Diagnostic::error(text))
        })?;
        values.push(value);
    }
    let given: Map = lookup.parameters.iter().map(|f| f.name.clone()).zip(values.iter().cloned()).collect();
    if let Some(mistake) = schema::check(&lookup.parameters, &given, &|_| None).into_iter().next() {
        let text = format!("{}: `{}`: {}", lookup.name, mistake.path, mistake.what);
        return Err(world.raise(position, Diagnostic::error(text).maybe_hint(mistake.hint)));
    }
    let found = world.oracle.look_up(&lookup.name, &values);
    found.map(|value| to_dynamic(&value)).map_err(|fault| {
        let summary = match fault.is_at_the_door() {
            true => "cannot reach the provider".to_owned(),
            false => format!("{} failed", lookup.name),
        };
        let diagnostic = Diagnostic::error(summary).because(fault.to_string());
        world.raise(position, diagnostic.maybe_hint(fault.hint))
    })
}

/// `phase`, `output`, `inventory`, `secret` and `template`.
pub(super) fn words(engine: &mut Engine, world: &Arc<World>) {
    let w = world.clone();
    FuncRegistration::new("phase")
        .with_params_info(["name: String", "body: Fn", "Dynamic"])
        .with_comments(["/// A named part of the playbook, for selection and progress; gives what `body` gives."])
        .register_into_engine(engine, move |ctx: NativeCallContext, name: Dynamic, body: FnPtr| {
            phase(&w, &ctx, &name, &body)
        });
    let w = world.clone();
    FuncRegistration::new("output")
        .with_params_info(["name: String", "value: Dynamic", "()"])
        .with_comments(["/// A value to show after the run, and for others to read."])
        .register_into_engine(engine, move |ctx: NativeCallContext, name: ImmutableString, value: Dynamic| {
            output(&w, &ctx, &name, &value);
        });
    let w = world.clone();
    FuncRegistration::new("inventory")
        .with_params_info(["Map"])
        .with_comments(["/// What the inventory given on the command line holds."])
        .register_into_engine(engine, move || to_dynamic(&w.inventory.value));
    let w = world.clone();
    FuncRegistration::new("secret")
        .with_params_info(["name: String", "String"])
        .with_comments([
            "/// A secret that the inventory names under `[secrets]`: to be passed on, never to be looked at.",
        ])
        .register_into_engine(engine, move |ctx: NativeCallContext, name: ImmutableString| secret(&w, &ctx, &name));
    let w = world.clone();
    FuncRegistration::new("template")
        .with_params_info(["path: String", "values: Map", "String"])
        .with_comments(["/// The text of a template, with these values filled in."])
        .register_into_engine(engine, move |ctx: NativeCallContext, path: ImmutableString, values: Dynamic| {
            template(&w, &ctx, &path, &values)
        });
    let w = world.clone();
    FuncRegistration::new("template")
        .with_params_info(["path: String", "String"])
        .with_comments(["/// The text of a template that needs no values."])
        .register_into_engine(engine, move |ctx: NativeCallContext, path: ImmutableString| {
            template(&w, &ctx, &path, &Dynamic::UNIT)
        });
}

fn secret(world: &World, ctx: &NativeCallContext, name: &str) -> Outcome {
    let known = &world.inventory.secrets;
    if known.iter().any(|one| one == name) {
        return Ok(to_dynamic(&Reference::secret(name).into()));
    }
    let unknown = Diagnostic::error(format!("the inventory names no secret `{name}`"));
    let hint = match closest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("say where it is: `[secrets]` with `{name} = {{ env = \"…\" }}`, or file, secretsmanager, ssm"),
    };
    Err(world.raise(ctx.call_position(), unknown.hint(hint)))
}

fn phase(world: &World, ctx: &NativeCallContext, name: &Dynamic, body: &FnPtr) -> Outcome {
    let name = world.see(name, ctx.call_position())?;
    let name: Arc<str> = match name.into_immutable_string() {
        Ok(name) if wrong_name(&name).is_none() => name.as_str().into(),
        _ => {
            let text = "the first argument of `phase` is its name, a string that is not empty";
            return Err(world.raise(ctx.call_position(), Diagnostic::error(text)));
        }
    };
    {
        let mut state = world.state();
        if !state.phases.contains(&name) {
            state.phases.push(name.clone());
        }
        state.phase.push(name);
    }
    let result = body.call_raw(ctx, None, []);
    // Also after an error: the script may catch it and go on outside of the phase.
    world.state().phase.pop();
    result
}

fn output(world: &World, ctx: &NativeCallContext, name: &str, value: &Dynamic) {
    let site = world.site(ctx);
    if name.trim().is_empty() {
        let told = Diagnostic::error("the name of an output is empty").at(&site, "given here");
        return world.mistake(told.hint("`runner output PLAYBOOK NAME` asks for it by its name"));
    }
    let value = match to_value(value) {
        Ok(value) => value,
        Err(misfit) => {
            let text = format!("the output `{name}` cannot be {}", misfit.what);
            return world.mistake(Diagnostic::error(text).at(&site, "given here"));
        }
    };
    let mut whole = None;
    value.references(&mut |reference| {
        if reference.path.is_empty() {
            whole = Some(reference.address.clone());
        }
    });
    if let Some(address) = whole {
        let text = format!("the output `{name}` is the whole resource `{address}`");
        return world.mistake(Diagnostic::error(text).at(&site, "given here").hint("name one of its attributes"));
    }
    let mut state = world.state();
    let first = state.outputs.iter().find(|given| given.name == name).map(|given| given.site.clone());
    match first {
        Some(first) => state.mistakes.push(
            Diagnostic::error(format!("the output `{name}` is given twice"))
                .at(&site, "given again here")
                .at(&first, "first given here"),
        ),
        None => state.outputs.push(Given { name: name.to_owned(), value, site }),
    }
}
