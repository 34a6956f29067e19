//! Whose a record is: a mark in its comment, behind what the author says there.
//!
//! `Entrance of the shop [runner prod@3f9a1c/shop protected]`: stack, what tells it from other stacks of that name, and
//! logical name, percent-encoded, then what else is to be remembered. It is short because a comment is: 100 characters on
//! the free plan, 500 on others.

use sha2::{Digest, Sha256};
use urlencoding::{decode, encode};

use super::dns_record::NAME;
use crate::resource::{Address, Owner};

const START: &str = "[runner ";
const DEPOSED: &str = "deposed";
const PROTECTED: &str = "protected";

/// What tells this stack from another of the same name that has records in the same zone; empty if nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(String);

impl Scope {
    pub fn of(what: Option<&str>) -> Self {
        let digest = |what: &str| Sha256::digest(what).iter().take(3).map(|byte| format!("{byte:02x}")).collect();
        Scope(what.filter(|what| !what.is_empty()).map(digest).unwrap_or_default())
    }

    /// The author's text with the owner's mark.
    pub fn compose(&self, text: Option<&str>, owner: &Owner) -> String {
        let mark = self.mark(owner);
        match text.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => format!("{text} {mark}"),
            None => mark,
        }
    }

    pub fn mark(&self, owner: &Owner) -> String {
        let at = if self.0.is_empty() { String::new() } else { format!("@{}", self.0) };
        let flags = [(owner.deposed, DEPOSED), (owner.protect, PROTECTED)];
        let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| format!(" {name}")).collect();
        format!("{START}{}{at}/{}{flags}]", encode(&owner.stack), encode(&owner.address.name))
    }

    /// The author's text, if there is any, and the owner, if one left a mark. A stack of elsewhere keeps what tells it
    /// from ours in its name.
    pub fn parse(&self, comment: &str) -> (Option<String>, Option<Owner>) {
        let (text, owner) = match split(comment) {
            Some((before, scope, mut owner, after)) => {
                if scope != self.0 {
                    owner.stack = format!("{}@{scope}", owner.stack);
                }
                (format!("{} {}", before.trim(), after.trim()), Some(owner))
            }
            None => (comment.to_owned(), None),
        };
        (Some(text.trim().to_owned()).filter(|text| !text.is_empty()), owner)
    }
}

/// Whether a text holds what reads like a mark.
pub fn has_mark(text: &str) -> bool {
    split(text).is_some()
}

/// What stands before the last mark, what it says, and what somebody has written behind it since.
fn split(comment: &str) -> Option<(&str, &str, Owner, &str)> {
    let mut end = comment.len();
    loop {
        let start = comment[..end].rfind(START)?;
        let inside = &comment[start + START.len()..];
        if let Some((mark, after)) = inside.split_once(']')
            && let Some((scope, owner)) = read(mark)
        {
            return Some((&comment[..start], scope, owner, after));
        }
        end = start;
    }
}

fn read(mark: &str) -> Option<(&str, Owner)> {
    let mut words = mark.split(' ');
    let (stack, name) = words.next()?.split_once('/')?;
    let (stack, scope) = stack.split_once('@').unwrap_or((stack, ""));
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
    Some((scope, owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, deposed: bool, protect: bool) -> Owner {
        Owner { stack: "prod".into(), address: Address::new(NAME, name), deposed, protect }
    }

    #[test]
    fn what_was_written_is_read_back() {
        for scope in [Scope::default(), Scope::of(Some("123456789012"))] {
            for name in ["shop", "*.example.com", "a ] b/c [runner x/y]", "ünï@"] {
                for text in [None, Some("Entrance [of] the shop"), Some("]")] {
                    for (deposed, protect) in [(false, false), (true, false), (true, true)] {
                        let owner = owner(name, deposed, protect);
                        let read = scope.parse(&scope.compose(text, &owner));
                        assert_eq!(read, (text.map(str::to_owned), Some(owner)));
                    }
                }
            }
        }
        let plain = Scope::default();
        assert_eq!(plain.compose(Some("Shop"), &owner("shop", false, true)), "Shop [runner prod/shop protected]");
        assert_eq!(plain.compose(Some(" "), &owner("shop", false, false)), "[runner prod/shop]");
        let scoped = Scope::of(Some("123456789012"));
        assert_eq!(scoped.compose(None, &owner("shop", false, false)), "[runner prod@2a3334/shop]");
    }

    #[test]
    fn what_others_wrote_is_theirs() {
        for text in ["by hand", "[runner prod]", "[runner prod/shop sold]", "[runner prod/shop", "[other a/b]"] {
            assert_eq!(Scope::default().parse(text), (Some(text.to_owned()), None));
        }
        assert_eq!(Scope::default().parse("  "), (None, None));
        // A stack of the same name in another account.
        let theirs = Scope::of(Some("210987654321")).compose(None, &owner("shop", false, false));
        for ours in [Scope::default(), Scope::of(Some("123456789012"))] {
            let stack = ours.parse(&theirs).1.unwrap().stack;
            assert!(stack.starts_with("prod@"), "{stack}");
        }
        assert_eq!(Scope::of(Some("1")).parse("[runner prod/shop]").1.unwrap().stack, "prod@");
    }

    #[test]
    fn a_mark_is_found_where_somebody_wrote_on() {
        let (text, found) = Scope::default().parse("Shop [runner prod/shop] ask Bob");
        assert_eq!((text.as_deref(), found), (Some("Shop ask Bob"), Some(owner("shop", false, false))));
        assert!(has_mark("x [runner prod/shop] y") && !has_mark("[runner]"));
    }
}
