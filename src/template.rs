//! Templates: text with places to fill in, strict about names, and unable to see what is not known yet.
//!
//! A reference that is only passed on becomes part of the text ([`Value::Text`]). A template that would have to look
//! at one gives [`Rendered::Sees`] instead, and no text. [`guard`] finds the places where a value is looked at, by
//! syntax; [`unknown`] is the value that refuses to be. [`mistake`] turns the engine's errors into diagnostics.

mod asked;
mod check;
mod expr;
mod filters;
mod guard;
mod known;
mod limits;
mod mistake;
mod trace;
mod tree;
mod unknown;
mod yaml;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use crate::diagnostic::{Diagnostic, Diagnostics, Site, Sources};
use crate::resource::{Map, Reference, Value};
use crate::text_file;
use trace::Marks;
use unknown::Run;

/// A directory of templates. Nothing outside it can be read through it.
#[derive(Clone)]
pub struct Templates {
    root: PathBuf,
    sources: Sources,
}

/// What a template gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Rendered {
    /// A [`Value::String`], or a [`Value::Text`] if references were passed on.
    Text(Value),
    /// It has to see these first.
    Sees { references: Vec<Reference>, site: Site },
}

impl Templates {
    /// `root` as it shall stand in messages: best relative to where the person is.
    pub fn new(root: impl Into<PathBuf>, sources: Sources) -> Self {
        Templates { root: root.into(), sources }
    }

    /// Renders the template `name`, a path below the root with `/`.
    pub fn render(&self, name: &str, vars: &Map) -> Result<Rendered, Diagnostics> {
        if let Some((key, _)) = vars.iter().find(|(_, value)| unknown::is_reserved(value)) {
            let summary = format!("variable `{key}` of template `{name}` holds a reserved character");
            return Err(vec![Diagnostic::error(summary).because("U+F8F0 to U+F8F2 mark places in a template's text")]);
        }
        let run = Arc::new(Run::default());
        let environment = self.environment(&run, None);
        let context = minijinja::Value::from_pairs(vars.iter().map(|(k, v)| (k.clone(), unknown::pass(v, &run))));
        let rendered = environment.get_template(name).and_then(|template| template.render(context));
        // Whatever else went wrong: what looked at an unknown can only be judged once it is known.
        if let Some((references, site)) = run.seen() {
            let site = site.map(|(name, line, column)| Site::new(self.label(&name), line, column));
            let site = site.or_else(|| rendered.as_ref().err().map(|error| mistake::site(error, self, name)));
            return Ok(Rendered::Sees { references, site: site.unwrap_or_else(|| Site::new(self.label(name), 0, 0)) });
        }
        match rendered {
            Ok(text) => match run.fill(&text) {
                Some(text) => Ok(Rendered::Text(text)),
                // A mark that was taken apart: some way of looking that we do not know of. It must not pass.
                None => Ok(Rendered::Sees { references: run.passed(), site: Site::new(self.label(name), 0, 0) }),
            },
            Err(error) => Err(vec![mistake::diagnostic(&error, self, name, vars)]),
        }
    }

    fn environment(&self, run: &Arc<Run>, marks: Option<Arc<Marks>>) -> Environment<'static> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(limits::FUEL));
        environment.set_syntax(guard::ours());
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // It prints whatever is in reach, also what is not known and what is secret.
        environment.remove_global("debug");
        unknown::register(&mut environment, run);
        let templates = self.clone();
        environment.set_loader(move |name| match templates.read(name)? {
            Some(text) => {
                let file = templates.label(name);
                guard::guard(&text, name, marks.as_deref().map(|marks| (marks, file.as_str()))).map(Some)
            }
            None => Ok(None),
        });
        environment
    }

    /// The text of a template, confined to the root; `None` if there is none of that name.
    fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let refuse = |why: &str| Error::new(ErrorKind::InvalidOperation, format!("template `{name}` {why}"));
        let path = Path::new(name);
        if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(refuse("is outside the directory of templates"));
        }
        let Ok(full) = self.root.join(path).canonicalize() else { return Ok(None) };
        let unreadable = |error: std::io::Error| refuse(&format!("cannot be read: {error}"));
        let root = self.root.canonicalize().map_err(unreadable)?;
        if !full.starts_with(&root) {
            return Err(refuse("is a link to outside the directory of templates"));
        }
        let around = self.root.parent().filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !root.starts_with(around.canonicalize().map_err(unreadable)?) {
            return Err(refuse("is not read: the directory of templates is a link to outside the project"));
        }
        if full.is_dir() {
            return Ok(None);
        }
        let text = text_file::read(&full).map_err(unreadable)?;
        if text.contains(unknown::RESERVED) {
            return Err(refuse("holds a reserved character (U+F8F0 to U+F8F2)"));
        }
        self.sources.add(self.label(name), text.as_str());
        Ok(Some(text))
    }

    /// For each line of what [`Templates::render`] gives, the line of the template it comes from; best effort, and
    /// nothing if it cannot be told.
    pub fn trace(&self, name: &str, vars: &Map) -> Vec<Site> {
        let Ok(Rendered::Text(text)) = self.render(name, vars) else { return vec![] };
        let text = text.to_string();
        for outside_only in [false, true] {
            let marks = Arc::new(Marks { outside_only, ..Marks::default() });
            let run = Arc::new(Run::default());
            let environment = self.environment(&run, Some(marks.clone()));
            let context = minijinja::Value::from_pairs(vars.iter().map(|(k, v)| (k.clone(), unknown::pass(v, &run))));
            let Ok(traced) = environment.get_template(name).and_then(|template| template.render(context)) else {
                continue;
            };
            let (plain, lines) = marks.read(&traced);
            // A template that compared or measured marked text has gone another way.
            if run.seen().is_none() && run.fill(&plain).is_some_and(|plain| trace::agree(&plain.to_string(), &text)) {
                let nowhere = Site::new(self.label(name), 0, 0);
                return lines.into_iter().map(|site| site.unwrap_or_else(|| nowhere.clone())).collect();
            }
        }
        vec![]
    }

    /// A file below the root as it is, and its name in messages.
    pub fn plain(&self, name: &str) -> Result<(String, Arc<str>), Box<Diagnostic>> {
        match self.read(name) {
            Ok(Some(text)) => Ok((text, self.label(name).into())),
            Ok(None) => {
                let missing = Diagnostic::error(format!("there is no file {}", self.label(name)));
                let names = self.names();
                Err(Box::new(
                    missing.maybe_hint(
                        crate::diagnostic::closest(name, names.iter().map(String::as_str))
                            .map(|near| format!("did you mean `{near}`?")),
                    ),
                ))
            }
            Err(error) => Err(Box::new(Diagnostic::error(error.detail().unwrap_or("it cannot be read")))),
        }
    }

    /// A template as it is called in messages.
    fn label(&self, name: &str) -> String {
        let path = self.root.join(name).display().to_string();
        path.strip_prefix("./").map(str::to_owned).unwrap_or(path)
    }

    /// Every template below the root, for "did you mean".
    fn names(&self) -> Vec<String> {
        let (mut names, mut open) = (vec![], vec![self.root.clone()]);
        while let Some(directory) = open.pop() {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            for entry in entries {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(entry.path()),
                    _ => names.extend(entry.path().strip_prefix(&self.root).ok().map(|p| p.display().to_string())),
                }
            }
        }
        names.sort();
        names
    }
}

#[cfg(test)]
#[path = "template/tests.rs"]
mod tests;
