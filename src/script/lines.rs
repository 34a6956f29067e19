//! Which line of the whole program is which line of which file.
//!
//! All files of a playbook are compiled with line numbers of their own, so that a position alone says where it is:
//! Rhai's own notion of the current file is wrong for a closure that is called in another module.

use std::sync::Arc;

use rhai::Position;

use crate::diagnostic::Site;

/// Rhai counts lines in 16 bits.
pub(super) const MOST: usize = 65_000;

#[derive(Default, Clone)]
pub(super) struct Lines {
    /// The lines before each file, in ascending order, with the name to show.
    files: Vec<(usize, Arc<str>)>,
    used: usize,
}

impl Lines {
    /// Takes the lines a text needs; gives back how many stand before it, or `None` if they are used up.
    pub fn add(&mut self, file: Arc<str>, text: &str) -> Option<usize> {
        let before = self.used;
        let after = before + text.matches('\n').count() + 2;
        if after > MOST {
            return None;
        }
        self.files.push((before, file));
        self.used = after;
        Some(before)
    }

    pub fn site(&self, position: Position) -> Site {
        let line = position.line().unwrap_or(0);
        let at = self.files.partition_point(|(before, _)| *before < line.max(1)).saturating_sub(1);
        let Some((before, file)) = self.files.get(at) else { return Site::new("", 0, 0) };
        let column = position.position().unwrap_or(0).max(1);
        if line == 0 {
            return Site::new(file.clone(), 0, 0);
        }
        Site::new(file.clone(), (line - before) as u32, column as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_lines_of_its_own() {
        let mut lines = Lines::default();
        assert_eq!(lines.add("a".into(), "1\n2"), Some(0));
        assert_eq!(lines.add("b".into(), "1"), Some(3));
        let site = |line| lines.site(Position::new(line, 4)).to_string();
        assert_eq!([site(1), site(2), site(4)], ["a:1:4", "a:2:4", "b:1:4"]);
        assert_eq!(lines.add("c".into(), &"\n".repeat(MOST)), None);
    }
}
