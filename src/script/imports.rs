//! Modules: found beside the playbook and nowhere else.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rhai::{ASTNode, Engine, Expr, Position, Stmt};

use super::lines::{self, Lines};
use super::program::File;
use super::{Script, error};
use crate::diagnostic::{Diagnostic, Diagnostics};

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
    loaded: HashMap<PathBuf, usize>,
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
    let entry = script.playbook.canonicalize().map_err(|error| vec![unreadable(script.playbook, &error)])?;
    let folder = entry.parent().unwrap_or(Path::new("/")).to_owned();
    let root = script.root.canonicalize().unwrap_or_else(|_| folder.clone());
    let result = Loaded { files: vec![], lines: Lines::default() };
    let (loaded, open, mistakes) = (HashMap::new(), vec![], vec![]);
    let mut loader = Loader { engine, script, folder, root, loaded, open, result, mistakes };
    loader.file(&entry).map_err(|diagnostic| vec![*diagnostic])?;
    if loader.mistakes.is_empty() { Ok(loader.result) } else { Err(loader.mistakes) }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot read `{}`", path.display())).because(error.to_string())
}

impl Loader<'_> {
    /// Loads a file and, before it, what it imports. What is wrong inside is gathered; an error is for the importer.
    fn file(&mut self, path: &Path) -> Result<Option<usize>, Box<Diagnostic>> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let shown: Arc<str> = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into();
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
                return Ok(None);
            }
        };
        self.open.push((path.to_owned(), shown.clone()));
        let imports = imports(&ast);
        let mut file = File::new(shown, ast);
        file.private = text.split(PRIVATE).skip(1).map(first_word).collect();
        for import in imports {
            self.import(&mut file, path, &import);
        }
        self.open.pop();
        self.result.files.push(file);
        let index = self.result.files.len() - 1;
        self.loaded.insert(path.to_owned(), index);
        Ok(Some(index))
    }

    fn import(&mut self, file: &mut File, importer: &Path, import: &Import) {
        let site = self.result.lines.site(import.position);
        let found = self.resolve(importer, import).and_then(|path| match self.loaded.get(&path) {
            Some(index) => Ok(Some(*index)),
            None => self.file(&path),
        });
        match found {
            Ok(None) => {}
            Ok(Some(_)) if import.alias.is_empty() => {}
            Ok(Some(index)) => match file.imports.insert(import.alias.clone(), index) {
                Some(other) if other != index => self.mistakes.push(
                    Diagnostic::error(format!("two modules are imported as `{}`", import.alias))
                        .at(&site, "the second one")
                        .hint("give one of them another name after `as`"),
                ),
                _ => {}
            },
            Err(diagnostic) => self.mistakes.push(diagnostic.at(&site, "imported here")),
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
