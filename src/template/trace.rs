//! Which line of which template a line of text comes from: marks that are written along, and taken out again.

use std::sync::Mutex;

use crate::diagnostic::Site;

const OPEN: char = '\u{f8f5}';
const CLOSE: char = '\u{f8f6}';

/// The marks of one rendering.
#[derive(Default, Debug)]
pub struct Marks {
    pub sites: Mutex<Vec<Site>>,
    /// Not in text that the template itself gets hold of (macros, `{% set %}` blocks): it might compare or change it.
    pub outside_only: bool,
}

impl Marks {
    /// A mark for a line of a file.
    pub fn mark(&self, file: &str, line: usize) -> String {
        let mut sites = self.sites.lock().expect("no holder panics");
        sites.push(Site::new(file, line as u32, 0));
        format!("{OPEN}{}{CLOSE}", sites.len() - 1)
    }

    /// The text without its marks, and the site of each line where one is known.
    pub fn read(&self, traced: &str) -> (String, Vec<Option<Site>>) {
        let table = self.sites.lock().expect("no holder panics");
        let (mut text, mut lines, mut before) = (String::with_capacity(traced.len()), vec![], None::<Site>);
        for line in traced.split('\n') {
            let (mut plain, mut first, mut latest) = (String::new(), None, None);
            let mut rest = line;
            while let Some((head, tail)) = rest.split_once(OPEN) {
                plain.push_str(head);
                // What stands first on a line tells where it comes from.
                if first.is_none() && !plain.trim().is_empty() {
                    first = latest.clone().or(before.clone());
                }
                let Some((number, after)) = tail.split_once(CLOSE) else { break };
                latest = number.parse::<usize>().ok().and_then(|index| table.get(index)).cloned().or(latest);
                rest = after;
            }
            plain.push_str(rest);
            // Of a value of several lines only the first has a mark before it.
            before = latest.clone().or(before);
            lines.push(first.or(latest).or_else(|| before.clone()));
            text.push_str(&plain);
            text.push('\n');
        }
        text.pop();
        (text, lines)
    }
}

/// Whether two texts have the same lines, blanks around them apart.
pub fn agree(one: &str, two: &str) -> bool {
    let lines = |text: &str| text.split('\n').map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    lines(one) == lines(two)
}
