//! Text in Markdown: code that nothing in it can end, and parts that fold away.

/// How much is shown of one line.
const WIDE: usize = 400;

/// As GitHub might count at most: in UTF-16, and a line's end as two.
pub fn size(text: &str) -> usize {
    text.encode_utf16().count() + text.matches('\n').count()
}

/// A part that opens at a click; nothing if there is nothing in it. `summary` is HTML.
pub fn details(summary: &str, body: &str) -> String {
    match body {
        "" if !summary.starts_with("<code>") => String::new(),
        // A block of HTML too: nothing in it is read as Markdown.
        "" => format!("\n<p>{summary}</p>\n"),
        body => format!("\n<details><summary>{summary}</summary>\n\n{}\n\n</details>\n", body.trim_end_matches('\n')),
    }
}

/// Lines between fences that none of them can close.
pub fn fenced(language: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| cut(line)).collect();
    let longest = lines.iter().map(|line| run(line)).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}\n\n", lines.join("\n"))
}

/// The longest run of backticks.
fn run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text as code within a sentence.
pub fn code(text: &str) -> String {
    uncut(&shortened(text, WIDE))
}

pub fn uncut(text: &str) -> String {
    let text = harmless(text);
    let fence = "`".repeat(run(&text) + 1);
    let blank = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// Text within HTML.
pub fn html(text: &str) -> String {
    let text = harmless(&shortened(text, WIDE));
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

pub fn cut(line: &str) -> String {
    harmless(&shortened(line, WIDE))
}

pub fn shortened(text: &str, most: usize) -> String {
    let whole = text.chars().count();
    if whole <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most).collect();
    format!("{start}… ({} more characters)", whole - most)
}

/// On one line, and without what turns the direction of writing.
fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if c.is_control() && c != '\t' || turns(c) { '\u{fffd}' } else { c }).collect()
}
