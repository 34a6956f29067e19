//! Whose a record is: a mark at the end of its comment, behind what the author says there.
//!
//! `Entrance of the shop [runner prod/shop protected]`: stack and logical name, percent-encoded, then what else is to be
//! remembered. It is short because a comment is: 100 characters on the free plan, 500 on others.

use urlencoding::{decode, encode};

use super::dns_record::NAME;
use crate::resource::{Address, Owner};

const START: &str = "[runner ";
const DEPOSED: &str = "deposed";
const PROTECTED: &str = "protected";

/// The author's text with the owner's mark.
pub fn compose(text: Option<&str>, owner: &Owner) -> String {
    let mark = mark(owner);
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => format!("{text} {mark}"),
        None => mark,
    }
}

pub fn mark(owner: &Owner) -> String {
    let flags = [(owner.deposed, DEPOSED), (owner.protect, PROTECTED)];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| format!(" {name}")).collect();
    format!("{START}{}/{}{flags}]", encode(&owner.stack), encode(&owner.address.name))
}

/// The author's text, if there is any, and the owner, if one left a mark.
pub fn parse(comment: &str) -> (Option<&str>, Option<Owner>) {
    let (text, owner) = match split(comment) {
        Some((text, owner)) => (text, Some(owner)),
        None => (comment, None),
    };
    (Some(text.trim()).filter(|text| !text.is_empty()), owner)
}

fn split(comment: &str) -> Option<(&str, Owner)> {
    let (text, mark) = comment.trim_end().strip_suffix(']')?.rsplit_once(START)?;
    let mut words = mark.split(' ');
    let (stack, name) = words.next()?.split_once('/')?;
    let mut owner = Owner {
        stack: decode(stack).ok()?.into_owned(),
        address: Address::new(NAME, &*decode(name).ok()?),
        deposed: false,
        protect: false,
    };
    for word in words {
        match word {
            DEPOSED => owner.deposed = true,
            PROTECTED => owner.protect = true,
            _ => return None,
        }
    }
    Some((text, owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, deposed: bool, protect: bool) -> Owner {
        Owner { stack: "prod".into(), address: Address::new(NAME, name), deposed, protect }
    }

    #[test]
    fn what_was_written_is_read_back() {
        for name in ["shop", "*.example.com", "a ] b/c [runner x/y]", "ünï"] {
            for text in [None, Some("Entrance [of] the shop"), Some("]")] {
                for (deposed, protect) in [(false, false), (true, false), (true, true)] {
                    let owner = owner(name, deposed, protect);
                    assert_eq!(parse(&compose(text, &owner)), (text, Some(owner)));
                }
            }
        }
        assert_eq!(compose(Some("Shop"), &owner("shop", false, true)), "Shop [runner prod/shop protected]");
        assert_eq!(compose(Some(" "), &owner("shop", false, false)), "[runner prod/shop]");
    }

    #[test]
    fn what_others_wrote_is_theirs() {
        for text in ["by hand", "[runner prod]", "[runner prod/shop sold]", "[runner prod/shop] moved", "[other a/b]"] {
            assert_eq!(parse(text), (Some(text), None));
        }
        assert_eq!(parse("  "), (None, None));
    }
}
