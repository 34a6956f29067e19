//! The inventory: what differs between one stack and another, as TOML files that build on each other.
//!
//! `inventory/prod.toml` may say `extends = "common"` (or a list, in which later ones win); tables are merged, everything
//! else replaces. `--set a.b=c` comes last.

mod lock;
mod set;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Site, Sources, closest};
use crate::resource::{Map, Value};
use crate::secret::Source;
use crate::text_file;

pub use self::lock::Lock;
pub use self::set::Set;
use self::settings::Settings;

/// The values of one stack, and where each of them stands.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Inventory {
    /// The inventory's name, and with it the stack's.
    pub name: String,
    pub values: Map,
    /// The files it was read from, most specific first, as they are called in messages.
    pub files: Vec<String>,
    pub aws: Aws,
    pub cloudflare: Option<Cloudflare>,
    pub lock: Option<Lock>,
    /// `[secrets]`: where each is.
    pub secrets: BTreeMap<String, Source>,
    /// What of `--set` may not have been meant so.
    pub doubts: Diagnostics,
    origins: BTreeMap<String, Site>,
}

/// `[aws]`: what the engine itself reads of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Aws {
    pub region: Option<String>,
    /// Other regions in which the stack has resources.
    pub regions: Vec<String>,
    /// The account that must be the caller's: a guard against the wrong credentials.
    pub account: Option<String>,
    pub profile: Option<String>,
}

const AWS: [&str; 4] = ["region", "regions", "account", "profile"];

/// `[cloudflare]`: where the token is, and how far to look.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cloudflare {
    /// The secret that is the API token.
    pub token: Option<String>,
    /// The zones in which the stack has records; none means all that the token may see.
    pub zones: Vec<String>,
    /// What tells this stack from others of its name that have records in these zones.
    pub owner: Option<String>,
}

/// How many files one inventory may be read from.
const MOST: usize = 100;

const CLOUDFLARE: [&str; 3] = ["token", "zones", "owner"];

impl Inventory {
    /// Reads `dir/name.toml` and what it extends, then applies `sets`. Files are called by their path below `root`.
    pub fn load(dir: &Path, name: &str, sets: &[Set], sources: &Sources, root: &Path) -> Result<Self, Diagnostics> {
        let mut reader = Reader { dir, root, sources, open: vec![], layers: vec![] };
        reader.read(name, None)?;
        let mut inventory = Inventory { name: name.to_owned(), ..Inventory::default() };
        for layer in reader.layers {
            inventory.files.retain(|file| *file != layer.file);
            inventory.files.insert(0, layer.file);
            merge(&mut inventory.values, layer.values, &mut inventory.origins, &layer.origins, "");
        }
        if inventory.values.contains_key("name") {
            return Err(vec![inventory.reserved()]);
        }
        let mut mistakes = vec![];
        for set in sets {
            match inventory.doubt(set) {
                Some(told) if told.severity == Severity::Error => mistakes.push(told),
                doubt => inventory.doubts.extend(doubt),
            }
            mistakes.extend(inventory.set(set).err());
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        inventory.values.insert("name".to_owned(), name.into());
        inventory.aws = inventory.read_aws()?;
        inventory.secrets = inventory.read_secrets(root)?;
        inventory.cloudflare = inventory.read_cloudflare()?;
        inventory.lock = inventory.read_lock()?;
        Ok(inventory)
    }

    /// All of it, as a playbook's `inventory()` gives it.
    pub fn value(&self) -> Value {
        Value::Map(self.values.clone())
    }

    /// Where the value at a path (`network.cidr`) was defined; for a table, where it was begun.
    pub fn origin(&self, path: &str) -> Option<&Site> {
        self.origins.get(path)
    }

    /// `env.name` is what the stack is called, and its resources are found by that.
    fn reserved(&self) -> Diagnostic {
        let told = Diagnostic::error("`name` of an inventory is the name of its stack, and cannot be set");
        self.at(told, "name").hint("it is the name of the file; call what you set here otherwise")
    }

    fn read_aws(&self) -> Result<Aws, Diagnostics> {
        let Some(mut table) = self.settings("aws", &AWS)? else { return Ok(Aws::default()) };
        let (region, account, profile) = (table.text("region"), table.text("account"), table.text("profile"));
        if let Some(account) = account.as_ref().filter(|a| a.len() != 12 || !a.bytes().all(|b| b.is_ascii_digit())) {
            let told = Diagnostic::error(format!("`aws.account` is not an account's number: \"{account}\""));
            table.mistakes.push(self.at(told, "aws.account").hint("an account's number has 12 digits"));
        }
        let regions = table.texts("regions");
        region.iter().for_each(|name| table.region("region", name));
        regions.iter().for_each(|name| table.region("regions", name));
        table.finish(Aws { region, regions, account, profile })
    }

    fn read_cloudflare(&self) -> Result<Option<Cloudflare>, Diagnostics> {
        let Some(mut table) = self.settings("cloudflare", &CLOUDFLARE)? else { return Ok(None) };
        let (token, zones, owner) = (table.text("token"), table.texts("zones"), table.text("owner"));
        if let Some(name) = token.as_ref().filter(|name| !self.secrets.contains_key(*name)) {
            table.mistakes.push(self.no_such_secret("cloudflare.token", name));
        }
        table.finish(Some(Cloudflare { token, zones, owner }))
    }

    fn no_such_secret(&self, path: &str, name: &str) -> Diagnostic {
        let names: Vec<&str> = self.secrets.keys().map(String::as_str).collect();
        let near = closest(name, names.iter().copied());
        let say_where = format!("say where it is: `[secrets]` with `cloudflare_token = …`, {SOURCES}");
        // It may be the secret itself, which is to be seen nowhere, its line in the file included.
        if near.is_none() && name.len() >= 20 && name.bytes().any(|byte| byte.is_ascii_digit()) {
            let place = self.origin(path).map(|site| format!(" ({site})")).unwrap_or_default();
            let told = Diagnostic::error(format!("`{path}` is to be the name of a secret, and no secret{place}"));
            return told.hint(format!("take it out of the file, and {say_where}"));
        }
        let told = self.at(Diagnostic::error(format!("`{path}` names no secret: `{name}`")), path);
        told.hint(near.map_or(say_where, |near| format!("did you mean `{near}`?")))
    }

    /// A table that `runner` itself reads; none if it is not there.
    fn settings<'a>(&'a self, name: &'static str, known: &[&str]) -> Result<Option<Settings<'a>>, Diagnostics> {
        let map = match self.values.get(name) {
            None => return Ok(None),
            Some(Value::Map(map)) => map,
            Some(other) => return Err(vec![self.wrong(name, "a table", other)]),
        };
        let mut mistakes = vec![];
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            // Other keys are the author's own business, unless they look like one of ours gone wrong.
            if let Some(near) = closest(key, known.iter().copied()).filter(|near| !map.contains_key(*near)) {
                let told = Diagnostic::error(format!("`{name}.{key}` is not a setting"));
                mistakes.push(self.at(told, &format!("{name}.{key}")).hint(format!("did you mean `{near}`?")));
            }
        }
        Ok(Some(Settings { inventory: self, name, map, mistakes }))
    }

    fn read_secrets(&self, root: &Path) -> Result<BTreeMap<String, Source>, Diagnostics> {
        let map = match self.values.get("secrets") {
            None => return Ok(BTreeMap::new()),
            Some(Value::Map(map)) => map,
            Some(other) => return Err(vec![self.wrong("secrets", "a table", other)]),
        };
        let (mut sources, mut mistakes) = (BTreeMap::new(), vec![]);
        for (name, value) in map {
            match source(value, root) {
                Some(source) => drop(sources.insert(name.clone(), source)),
                None => {
                    let told = Diagnostic::error(format!("`secrets.{name}` does not say where the secret is"));
                    mistakes.push(self.at(told, &format!("secrets.{name}")).hint(SOURCES));
                }
            }
        }
        if mistakes.is_empty() { Ok(sources) } else { Err(mistakes) }
    }

    fn wrong(&self, path: &str, wanted: &str, found: &Value) -> Diagnostic {
        let article = if found.type_name() == "integer" { "an" } else { "a" };
        self.at(Diagnostic::error(format!("`{path}` must be {wanted}, not {article} {}", found.type_name())), path)
    }

    fn at(&self, diagnostic: Diagnostic, path: &str) -> Diagnostic {
        match self.origin(path) {
            Some(site) => diagnostic.at(site, ""),
            None => diagnostic,
        }
    }
}

const SOURCES: &str = "one of { env = \"VARIABLE\" }, { file = \"path\" }, { ssm = \"/parameter\" }, \
                       { secretsmanager = \"name\" } or { secretsmanager = \"name\", key = \"key of a JSON object\" }";

fn source(value: &Value, root: &Path) -> Option<Source> {
    let map = value.as_map()?;
    let text = |key: &str| map.get(key)?.as_str().map(str::to_owned).filter(|text| !text.is_empty());
    let keys: Vec<&str> = map.keys().map(String::as_str).collect();
    Some(match keys.as_slice() {
        ["env"] => Source::Environment(text("env")?),
        ["file"] => Source::File(root.join(text("file")?)),
        ["ssm"] => Source::Parameter(text("ssm")?),
        ["secretsmanager"] => Source::SecretsManager { id: text("secretsmanager")?, key: None },
        ["key", "secretsmanager"] => Source::SecretsManager { id: text("secretsmanager")?, key: Some(text("key")?) },
        _ => return None,
    })
}

/// A value as it is given on the command line: what is not one of TOML is a string, since nobody wants to quote twice
/// for the shell's sake.
pub fn value(text: &str) -> Value {
    DeValue::parse(text).ok().and_then(|value| plain(value.get_ref()).ok()).unwrap_or_else(|| text.into())
}

/// One file.
struct Layer {
    file: String,
    values: Map,
    origins: BTreeMap<String, Site>,
}

struct Reader<'a> {
    dir: &'a Path,
    root: &'a Path,
    sources: &'a Sources,
    /// The names being read, outermost first.
    open: Vec<String>,
    /// What was read, the most general first.
    layers: Vec<Layer>,
}

impl Reader<'_> {
    fn read(&mut self, name: &str, asked: Option<&Site>) -> Result<(), Diagnostics> {
        let at = |diagnostic: Diagnostic| match asked {
            Some(site) => vec![diagnostic.at(site, "asked for here")],
            None => vec![diagnostic],
        };
        if self.open.iter().any(|open| open == name) {
            let chain = [&self.open[..], &[name.to_owned()]].concat().join(" → ");
            return Err(at(Diagnostic::error(format!("inventory `{name}` extends itself")).because(chain)));
        }
        if !Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_))) || name.is_empty()
        {
            return Err(at(Diagnostic::error(format!("`{name}` is not the name of an inventory"))));
        }
        // Each may name others twice, and they again.
        if self.layers.len() >= MOST {
            return Err(at(Diagnostic::error(format!("an inventory is made of more than {MOST} files"))));
        }
        let path = self.dir.join(format!("{name}.toml"));
        let file = path.strip_prefix(self.root).unwrap_or(&path).display().to_string();
        if text_file::leads_outside(&path, self.root) {
            let told = Diagnostic::error(format!("{file} is a link to outside the project"));
            return Err(at(told.hint("put the file itself there: what a stack is made of stands in its project")));
        }
        let text = match text_file::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(at(self.missing(name, &file))),
            Err(error) => {
                return Err(at(Diagnostic::error(format!("failed to read {file}")).because(error.to_string())));
            }
        };
        self.sources.add(file.as_str(), text.as_str());
        let mut layer = parse(&file, &text)?;
        self.open.push(name.to_owned());
        let site = layer.origins.get("extends").cloned();
        for base in bases(layer.values.remove("extends"), site.as_ref())? {
            self.read(&base, site.as_ref())?;
        }
        self.open.pop();
        layer.origins.remove("extends");
        self.layers.push(layer);
        Ok(())
    }

    fn missing(&self, name: &str, file: &str) -> Diagnostic {
        let entries = std::fs::read_dir(self.dir).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned)).collect();
        names.sort();
        let told =
            Diagnostic::error(format!("there is no inventory `{name}`")).because(format!("{file} does not exist"));
        if let Some(bare) = name.strip_suffix(".toml").filter(|bare| names.iter().any(|known| known == bare)) {
            return told.hint(format!("leave `.toml` off: `{bare}`"));
        }
        let make = format!("make it: `{file}` may be as short as `extends = \"common\"`");
        match closest(name, names.iter().map(String::as_str)) {
            Some(near) => told.hint(format!("did you mean `{near}`? there are: {}", names.join(", "))),
            None if names.is_empty() => told.hint(format!("make it: an empty `{file}` will do")),
            None => told.hint(format!("there are: {}; or {make}", names.join(", "))),
        }
    }
}

fn bases(extends: Option<Value>, site: Option<&Site>) -> Result<Vec<String>, Diagnostics> {
    let bases = match &extends {
        None => Some(vec![]),
        Some(Value::String(name)) => Some(vec![name.clone()]),
        Some(Value::List(names)) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    bases.ok_or_else(|| {
        let told = Diagnostic::error("`extends` must be the name of an inventory or a list of names");
        vec![match site {
            Some(site) => told.at(site, ""),
            None => told,
        }]
    })
}

fn parse(file: &str, text: &str) -> Result<Layer, Diagnostics> {
    let table = DeTable::parse(text).map_err(|error| {
        let site = site(file, text, error.span().map_or(0, |span| span.start));
        vec![Diagnostic::error(format!("failed to read {file} as TOML")).at(&site, error.message().trim())]
    })?;
    let mut layer = Layer { file: file.to_owned(), values: Map::new(), origins: BTreeMap::new() };
    let mut mistakes = vec![];
    layer.values = layer.table(text, table.get_ref(), "", &mut mistakes);
    if mistakes.is_empty() { Ok(layer) } else { Err(mistakes) }
}

impl Layer {
    fn table(&mut self, text: &str, table: &DeTable, above: &str, mistakes: &mut Diagnostics) -> Map {
        let mut map = Map::new();
        for (key, value) in table.iter() {
            let path = join(above, key.get_ref());
            let site = site(&self.file, text, key.span().start);
            self.origins.insert(path.clone(), site.clone());
            let value = match value.get_ref() {
                DeValue::Table(inner) => Value::Map(self.table(text, inner, &path, mistakes)),
                other => plain(other).unwrap_or_else(|why| {
                    mistakes.push(Diagnostic::error(format!("`{path}` {why}")).at(&site, ""));
                    Value::Null
                }),
            };
            map.insert(key.get_ref().to_string(), value);
        }
        map
    }
}

fn join(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

/// A value of TOML as ours; dates become the strings they were written as.
fn plain(value: &DeValue) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::Int)
            .map_err(|_| format!("is larger than an integer can be: {number}"))?,
        DeValue::Float(number) => {
            number.as_str().parse().map(Value::Float).map_err(|_| format!("is not a number: {number}"))?
        }
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| plain(item.get_ref())).collect::<Result<_, String>>()?)
        }
        DeValue::Table(table) => Value::Map(
            table
                .iter()
                .map(|(key, value)| Ok((key.get_ref().to_string(), plain(value.get_ref())?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}

fn site(file: &str, text: &str, offset: usize) -> Site {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Site::new(file, line as u32, column as u32)
}

/// Puts `over` on `under`: tables key by key, everything else in place of what was there.
fn merge(
    under: &mut Map,
    over: Map,
    origins: &mut BTreeMap<String, Site>,
    theirs: &BTreeMap<String, Site>,
    above: &str,
) {
    for (key, value) in over {
        let path = join(above, &key);
        match (under.get_mut(&key), value) {
            (Some(Value::Map(below)), Value::Map(value)) => {
                origins.extend(theirs.get(&path).map(|site| (path.clone(), site.clone())));
                merge(below, value, origins, theirs, &path);
            }
            (_, value) => {
                forget(origins, &path);
                let inside = format!("{path}.");
                let new = theirs.iter().filter(|(name, _)| **name == path || name.starts_with(&inside));
                origins.extend(new.map(|(name, site)| (name.clone(), site.clone())));
                under.insert(key, value);
            }
        }
    }
}

/// Drops the origins of a value that is replaced, and of all that was in it.
fn forget(origins: &mut BTreeMap<String, Site>, path: &str) {
    let inside = format!("{path}.");
    origins.retain(|name, _| name != path && !name.starts_with(&inside));
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
