//! What went wrong, in words: an error and what caused it, as libraries nest them, and the messages of services.

use std::error::Error;

/// Outermost first.
pub fn all<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// What the last of them says, which is usually what happened.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    all(error).last().map(ToString::to_string).unwrap_or_default()
}

pub fn chain(error: &(dyn Error + 'static)) -> String {
    all(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Lower case at the start, unless the first word is a name or an abbreviation.
pub fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_begins_in_lower_case_unless_with_a_name() {
        assert_eq!(lower_first("The vpc ID"), "the vpc ID");
        assert_eq!(lower_first("VPC quota"), "VPC quota");
    }
}
