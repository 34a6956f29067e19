//! Modules: found beside the playbook and nowhere else.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rhai::{ASTNode, Engine, Expr, Position, Stmt};

use super::lines::{self, Lines};
use super::program::File;
use super::{Script, error};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::text_file;

/// All files, each after those it imports.
pub(super) struct Loaded {
    pub files: Vec<File>,
    pub lines: Lines,
}

struct Loader<'a> {
    engine: &'a Engine,
    script: &'a Script<'a>,
    /// The playbook's folder, which no import leaves.
    folder: PathBuf,
    root: PathBuf,
    /// `None`: it was tried, and it is broken.
    loaded: HashMap<PathBuf, Option<usize>>,
    /// Files being loaded, outermost first.
    open: Vec<(PathBuf, Arc<str>)>,
    result: Loaded,
    mistakes: Diagnostics,
}

/// An `import` as it stands in a file.
struct Import {
    /// `None` if the path is not plain text.
    path: Option<String>,
    alias: String,
    position: Position,
}

pub(super) fn load(engine: &Engine, script: &Script) -> Result<Loaded, Diagnostics> {
    let (loaded, mistakes) = load_what_can_be(engine, script);
    if mistakes.is_empty() { Ok(loaded) } else { Err(mistakes) }
}

/// The files that can be read and understood, and all that is wrong with the others.
pub(super) fn load_what_can_be(engine: &Engine, script: &Script) -> (Loaded, Diagnostics) {
    let nothing = || Loaded { files: vec![], lines: Lines::default() };
    let entry = match script.playbook.canonicalize() {
        Ok(entry) => entry,
        Err(error) => return (nothing(), vec![unreadable(script.playbook, &error)]),
    };
    let folder = entry.parent().unwrap_or(Path::new("/")).to_owned();
    let root = script.root.canonicalize().unwrap_or_else(|_| folder.clone());
    let (loaded, open, mistakes) = (HashMap::new(), vec![], vec![]);
    let mut loader = Loader { engine, script, folder, root, loaded, open, result: nothing(), mistakes };
    if let Err(diagnostic) = loader.file(&entry) {
        loader.mistakes.push(*diagnostic);
    }
    (loader.result, loader.mistakes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot read `{}`", path.display())).because(error.to_string())
}

impl Loader<'_> {
    /// Loads a file and, before it, what it imports. What is wrong inside is gathered; an error is for the importer.
    fn file(&mut self, path: &Path) -> Result<Option<usize>, Box<Diagnostic>> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let text = text_file::read(path).map_err(|error| unreadable(below, &error))?;
        let shown: Arc<str> = below.to_string_lossy().into();
        self.script.sources.add(shown.clone(), text.as_str());
        let before = self.result.lines.add(shown.clone(), &text).ok_or_else(|| {
            Diagnostic::error(format!("the playbook and its modules have more than {} lines", lines::MOST))
        })?;
        // `private` is a name here (see `run::as_name`), so the word is taken from before `fn`: same width, same columns.
        let code = text.replace(PRIVATE, "        fn ");
        let ast = match self.engine.compile(format!("{}{code}", "\n".repeat(before))) {
            Ok(ast) => ast,
            Err(parse) => {
                self.mistakes.push(error::of_parsing(&parse, &self.result.lines, &text));
                self.loaded.insert(path.to_owned(), None);
                self.named_in(path, shown, &text);
                return Ok(None);
            }
        };
        self.open.push((path.to_owned(), shown.clone()));
        let imports = imports(&ast);
        let mut file = File::new(shown, ast, self.open.len() > 1);
        file.private = text.split(PRIVATE).skip(1).map(first_word).collect();
        for import in imports {
            self.import(&mut file, path, &import);
        }
        self.open.pop();
        self.result.files.push(file);
        let index = self.result.files.len() - 1;
        self.loaded.insert(path.to_owned(), Some(index));
        Ok(Some(index))
    }

    /// Loads what a broken file imports, as far as its lines tell, so that the mistakes of those are told too.
    fn named_in(&mut self, path: &Path, shown: Arc<str>, text: &str) {
        self.open.push((path.to_owned(), shown));
        for line in text.lines() {
            let name = line.strip_prefix("import \"").and_then(|rest| rest.split_once('"')).map(|(name, _)| name);
            let Some(name) = name else { continue };
            let import = Import { path: Some(name.to_owned()), alias: String::new(), position: Position::NONE };
            if let Ok(module) = self.resolve(path, &import)
                && !self.loaded.contains_key(&module)
            {
                // What is wrong with the import itself is told once the file can be read.
                let _ = self.file(&module);
            }
        }
        self.open.pop();
    }

    fn import(&mut self, file: &mut File, importer: &Path, import: &Import) {
        let site = self.result.lines.site(import.position);
        let found = self.resolve(importer, import).and_then(|path| match self.loaded.get(&path) {
            Some(index) => Ok(*index),
            None => self.file(&path),
        });
        match found {
            Ok(None) => drop(file.broken.insert(import.alias.clone())),
            Ok(Some(_)) if import.alias.is_empty() => {}
            Ok(Some(index)) => match file.imports.insert(import.alias.clone(), index) {
                Some(other) if other != index => self.mistakes.push(
                    Diagnostic::error(format!("two modules are imported as `{}`", import.alias))
                        .at(&site, "the second one")
                        .hint("give one of them another name after `as`"),
                ),
                _ => {}
            },
            Err(diagnostic) => {
                file.broken.insert(import.alias.clone());
                self.mistakes.push(diagnostic.at(&site, "imported here"));
            }
        }
    }

    fn resolve(&self, importer: &Path, import: &Import) -> Result<PathBuf, Box<Diagnostic>> {
        let Some(name) = &import.path else {
            return Err(Diagnostic::error("the path of an import must be plain text")
                .hint("write it in quotes, without `${…}`: `import \"phases/network\" as network;`")
                .into());
        };
        let (base, rest) = match name.strip_prefix("./") {
            Some(rest) => (importer.parent().unwrap_or(&self.folder), rest),
            None => (self.folder.as_path(), name.as_str()),
        };
        let outside = || {
            Diagnostic::error(format!("`{name}` leaves the playbook's folder"))
                .hint(format!("modules are files in `{}` or below it", self.folder.display()))
        };
        let rest = Path::new(rest);
        if rest.as_os_str().is_empty() || !rest.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(outside().into());
        }
        let mut path = base.join(rest).into_os_string();
        if rest.extension().is_none_or(|extension| extension != "rhai") {
            path.push(".rhai");
        }
        let path = Path::new(&path);
        let found = path.canonicalize().map_err(|_| {
            let shown = path.strip_prefix(&self.root).unwrap_or(path);
            Diagnostic::error(format!("there is no module `{name}`"))
                .hint(format!("it would be the file `{}`", shown.display()))
        })?;
        if !found.starts_with(&self.folder) {
            return Err(outside().into());
        }
        match self.open.iter().position(|(open, _)| *open == found) {
            Some(first) => Err(self.circle(first).into()),
            None => Ok(found),
        }
    }

    fn circle(&self, first: usize) -> Diagnostic {
        let mut chain: Vec<&str> = self.open[first..].iter().map(|(_, shown)| &**shown).collect();
        chain.push(chain[0]);
        Diagnostic::error(format!("modules import each other in a circle: {}", chain.join(" → ")))
            .hint("move what they share into a module of its own")
    }
}

const PRIVATE: &str = "private fn ";

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn imports(ast: &rhai::AST) -> Vec<Import> {
    let mut found = vec![];
    ast.walk(&mut |nodes| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = nodes.last() {
            let path = match &import.0 {
                Expr::StringConstant(path, _) => Some(path.to_string()),
                _ => None,
            };
            found.push(Import { path, alias: import.1.name.to_string(), position: *position });
        }
        true
    });
    found
}
