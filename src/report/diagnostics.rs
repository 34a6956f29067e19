//! Draws a diagnostic: what happened, the source line with a caret, why, and what to do.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::screen::Screen;
use crate::diagnostic::{Diagnostic, Place, Severity, Sources};

/// The full form, with a newline at its end.
pub fn draw(diagnostic: &Diagnostic, sources: &Sources, screen: &Screen) -> String {
    let renderer = if screen.colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(screen.width.max(40));
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let files = by_file(&diagnostic.places, sources);
    let mut group = Group::with_title(level.primary_title(diagnostic.summary.as_str()));
    for file in &files {
        group = file.draw(group);
    }
    for cause in &diagnostic.causes {
        group = group.element(Level::NOTE.with_name(Some("caused by")).message(cause.as_str()));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name(Some("hint")).message(hint.as_str()));
    }
    format!("{}\n", renderer.render(&[group]))
}

/// The places of one diagnostic that stand in one file, in the order in which files are first named.
struct File<'a> {
    name: &'a str,
    text: Option<std::sync::Arc<str>>,
    places: Vec<(&'a Place, bool)>,
}

fn by_file<'a>(places: &'a [Place], sources: &Sources) -> Vec<File<'a>> {
    let mut files: Vec<File> = vec![];
    for (index, place) in places.iter().enumerate() {
        let entry = (place, index == 0);
        match files.iter_mut().find(|file| file.name == &*place.site.file) {
            Some(file) => file.places.push(entry),
            None => {
                let text = sources.text(&place.site.file);
                files.push(File { name: &place.site.file, text, places: vec![entry] });
            }
        }
    }
    files
}

impl File<'_> {
    fn draw<'g>(&'g self, mut group: Group<'g>) -> Group<'g> {
        let spans: Vec<_> = self.places.iter().map(|(place, main)| (*place, *main, self.span(place))).collect();
        if let Some(text) = self.text.as_deref().filter(|_| spans.iter().any(|(_, _, span)| span.is_some())) {
            let mut snippet = Snippet::source(text).path(self.name);
            for (place, main, span) in &spans {
                let Some(span) = span else { continue };
                let kind = if *main { AnnotationKind::Primary } else { AnnotationKind::Context };
                let label = Some(place.label.as_str()).filter(|label| !label.is_empty());
                snippet = snippet.annotation(kind.span(span.clone()).label(label));
            }
            group = group.element(snippet);
        }
        // Where there is no text to show there still is a place to name.
        for (place, _, _) in spans.iter().filter(|(_, _, span)| span.is_none()) {
            let mut origin = Origin::path(self.name);
            if place.site.line > 0 {
                origin = origin.line(place.site.line as usize);
                if place.site.column > 0 {
                    origin = origin.char_column(place.site.column as usize);
                }
            }
            group = group.element(origin);
            if !place.label.is_empty() {
                group = group.element(Level::NOTE.no_name().message(place.label.as_str()));
            }
        }
        group
    }

    /// The bytes a place points at: the word that begins there, or the whole line if no column is known.
    fn span(&self, place: &Place) -> Option<std::ops::Range<usize>> {
        let text = self.text.as_deref()?;
        let line = text.split_inclusive('\n').nth(place.site.line.checked_sub(1)? as usize);
        // An error at the end of a file may stand on the empty line after its last.
        let line = line.or_else(|| (text.lines().count() + 1 == place.site.line as usize).then_some(""))?;
        let start = if line.is_empty() { text.len() } else { line.as_ptr() as usize - text.as_ptr() as usize };
        let line = line.trim_end_matches(['\n', '\r']);
        let Some(column) = place.site.column.checked_sub(1) else {
            let indent = line.len() - line.trim_start().len();
            return Some(start + indent..start + line.trim_end().len().max(indent));
        };
        let from = line.char_indices().nth(column as usize).map_or(line.len(), |(offset, _)| offset);
        Some(start + from..start + from + word(&line[from..]))
    }
}

/// How many bytes the word at the beginning of a text has: a name with its path, a string, or one character.
fn word(text: &str) -> usize {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    match text.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'' | '`')) => text[1..].find(quote).map_or(text.len(), |end| end + 2),
        Some(first) if name(first) => {
            let mut end = text.find(|c| !name(c)).unwrap_or(text.len());
            while let Some(rest) = text[end..].strip_prefix("::").filter(|rest| rest.starts_with(name)) {
                end += 2 + rest.find(|c| !name(c)).unwrap_or(rest.len());
            }
            end
        }
        Some(first) => first.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Site;

    fn drawn(diagnostic: &Diagnostic) -> String {
        let sources = Sources::default();
        sources.add("a.rhai", "let x = 1;\n\tlet v = aws::vpcc(\"ä\", #{});\n// 漢字 here\n");
        draw(diagnostic, &sources, &Screen::plain())
    }

    #[test]
    fn a_diagnostic_shows_the_line_why_and_what_to_do() {
        let d = Diagnostic::error("there is no kind `aws::vpcc`")
            .at(&Site::new("a.rhai", 2, 10), "called here")
            .at(&Site::new("a.rhai", 1, 5), "after this")
            .because("the provider `aws` does not have it")
            .hint("did you mean `aws::vpc`?");
        insta::assert_snapshot!(drawn(&d), @r#"
        error: there is no kind `aws::vpcc`
         --> a.rhai:2:10
          |
        1 | let x = 1;
          |     - after this
        2 |     let v = aws::vpcc("ä", #{});
          |             ^^^^^^^^^ called here
          |
          = caused by: the provider `aws` does not have it
          = hint: did you mean `aws::vpc`?
        "#);
    }

    #[test]
    fn a_place_without_its_text_is_still_named() {
        let d =
            Diagnostic::warning("it is old").at(&Site::new("b.rhai", 3, 4), "").at(&Site::new("c.toml", 0, 0), "see");
        insta::assert_snapshot!(drawn(&d), @r#"
        warning: it is old
        --> b.rhai:3:4
        ::: c.toml
         = see
        "#);
        insta::assert_snapshot!(drawn(&Diagnostic::error("it failed").because("of that")), @r#"
        error: it failed
         |
         = caused by: of that
        "#);
    }

    #[test]
    fn wide_characters_and_ends_of_lines_hold_their_place() {
        let d = Diagnostic::error("odd").at(&Site::new("a.rhai", 3, 7), "here").at(&Site::new("a.rhai", 2, 0), "all");
        insta::assert_snapshot!(drawn(&d), @r#"
        error: odd
         --> a.rhai:3:7
          |
        2 |     let v = aws::vpcc("ä", #{});
          |     ---------------------------- all
        3 | // 漢字 here
          |         ^^^^ here
        "#);
        insta::assert_snapshot!(drawn(&Diagnostic::error("ends").at(&Site::new("a.rhai", 4, 1), "here")), @r#"
        error: ends
         --> a.rhai:3:12
          |
        3 | // 漢字 here
          |             ^ here
        "#);
    }

    #[test]
    fn colour_is_the_same_text_in_paint() {
        let d = Diagnostic::error("odd").at(&Site::new("a.rhai", 1, 5), "here");
        let sources = Sources::default();
        sources.add("a.rhai", "let x = 1;\n");
        let painted = draw(&d, &sources, &Screen { colour: true, ..Screen::plain() });
        assert!(painted.contains("\u{1b}["));
        assert_eq!(console::strip_ansi_codes(&painted), draw(&d, &sources, &Screen::plain()));
    }
}
