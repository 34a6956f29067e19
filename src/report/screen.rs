//! What is known of the screens: whether somebody watches, how wide they are, and whether they show colour.

use console::{Style, Term};

/// One stream, as whoever writes to it must know it. Facts come in here once; nothing below asks the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// A person watches: bars and prompts make sense.
    pub terminal: bool,
    pub colour: bool,
    pub width: usize,
    pub height: usize,
}

/// Both streams, and how much to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub out: Screen,
    pub err: Screen,
    /// Also what does not change, and all that a deletion loses.
    pub verbose: bool,
}

impl Screen {
    /// A file or a pipe.
    pub fn plain() -> Self {
        Screen { terminal: false, colour: false, width: 120, height: 40 }
    }

    /// A terminal stream as it is now. `NO_COLOR` wins over `CLICOLOR_FORCE`, and that over what the terminal is.
    pub fn of(term: &Term, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty() && value != "0");
        let terminal = term.is_term();
        let dumb = variable("TERM").is_some_and(|value| value == "dumb");
        let colour = if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            false
        } else {
            set("CLICOLOR_FORCE") || (terminal && !dumb)
        };
        let (height, width) = term.size_checked().unwrap_or((40, 120));
        Screen { terminal: terminal && !dumb, colour, width: width.into(), height: height.into() }
    }
}

impl Look {
    pub fn plain() -> Self {
        Look { out: Screen::plain(), err: Screen::plain(), verbose: false }
    }

    /// The process's own streams.
    pub fn detect(verbose: bool) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Look { out: Screen::of(&Term::stdout(), variable), err: Screen::of(&Term::stderr(), variable), verbose }
    }
}

/// Text in colour, or the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink(pub bool);

impl Ink {
    fn paint(self, style: Style, text: impl std::fmt::Display) -> String {
        style.force_styling(self.0).apply_to(text).to_string()
    }

    pub fn bold(self, text: impl std::fmt::Display) -> String {
        self.paint(Style::new().bold(), text)
    }

    pub fn dim(self, text: impl std::fmt::Display) -> String {
        self.paint(Style::new().dim(), text)
    }

    pub fn red(self, text: impl std::fmt::Display) -> String {
        self.paint(Style::new().red(), text)
    }

    pub fn alarm(self, text: impl std::fmt::Display) -> String {
        self.paint(Style::new().red().bold(), text)
    }

    pub fn green(self, text: impl std::fmt::Display) -> String {
        self.paint(Style::new().green(), text)
    }

    pub fn yellow(self, text: impl std::fmt::Display) -> String {
        self.paint(Style::new().yellow(), text)
    }
}

/// `12 resources`, `1 resource`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `1.2s` below a minute, then `4m 07s`, then `1h 02m`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        _ if seconds < 59.95 => format!("{:.1}s", seconds.max(0.0)),
        0..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let all: Vec<String> = [0.04, 59.9, 59.96, 247.0, 3720.0].into_iter().map(duration).collect();
        assert_eq!(all, ["0.0s", "59.9s", "1m 00s", "4m 07s", "1h 02m"]);
    }

    #[test]
    fn no_color_wins() {
        let term = Term::buffered_stderr();
        let screen = |set: &[&str]| Screen::of(&term, |name| set.contains(&name).then(|| "1".to_owned())).colour;
        assert!(screen(&["CLICOLOR_FORCE"]));
        assert!(!screen(&["CLICOLOR_FORCE", "NO_COLOR"]));
    }
}
