//! What became of something that an earlier run left unfinished, in words.

use crate::event::{Event, Found, Operation};

/// As a sentence; `None` for any other event.
pub fn told(event: &Event) -> Option<String> {
    let Event::Recovered { run, address, operation, found, ids } = event else { return None };
    let id = match ids.as_slice() {
        [] => String::new(),
        ids => format!(" ({})", ids.join(", ")),
    };
    let found = match (found, operation) {
        (Found::Adopted, _) => format!("it exists, adopted{id}"),
        (Found::Missing, _) => "it does not exist: it is in the plan again".to_owned(),
        (Found::Exists, _) => format!("it exists{id}"),
        (Found::Several, _) if ids.len() == 2 => format!("it exists twice: {}", ids.join(", ")),
        (Found::Several, _) => format!("it exists {} times: {}", ids.len(), ids.join(", ")),
        (Found::AsDeclared, _) => "it is as declared now".to_owned(),
        (Found::Differs, _) => "it still differs: it is in the plan".to_owned(),
        (Found::Gone, Operation::Create) => "it does not exist, and is no longer declared".to_owned(),
        (Found::Gone, _) => "it is gone".to_owned(),
        (Found::Remains, _) => format!("it is still there{id}"),
    };
    Some(format!("`{address}` was being {} when run {run} stopped: {found}", super::board::done(*operation)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_a_sentence() {
        let say = |found, operation, ids: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            let address = "aws::nat_gateway.prod".parse().unwrap();
            told(&Event::Recovered { run: "7f3a".into(), address, operation, found, ids }).unwrap()
        };
        let all = [
            say(Found::Adopted, Operation::Create, &["nat-1"]),
            say(Found::Missing, Operation::Create, &[]),
            say(Found::Several, Operation::Create, &["nat-1", "nat-2"]),
            say(Found::Gone, Operation::Create, &[]),
            say(Found::AsDeclared, Operation::Update, &["nat-1"]),
            say(Found::Differs, Operation::Update, &["nat-1"]),
            say(Found::Gone, Operation::Delete, &[]),
            say(Found::Remains, Operation::Delete, &["nat-1"]),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        `aws::nat_gateway.prod` was being created when run 7f3a stopped: it exists, adopted (nat-1)
        `aws::nat_gateway.prod` was being created when run 7f3a stopped: it does not exist: it is in the plan again
        `aws::nat_gateway.prod` was being created when run 7f3a stopped: it exists twice: nat-1, nat-2
        `aws::nat_gateway.prod` was being created when run 7f3a stopped: it does not exist, and is no longer declared
        `aws::nat_gateway.prod` was being updated when run 7f3a stopped: it is as declared now
        `aws::nat_gateway.prod` was being updated when run 7f3a stopped: it still differs: it is in the plan
        `aws::nat_gateway.prod` was being deleted when run 7f3a stopped: it is gone
        `aws::nat_gateway.prod` was being deleted when run 7f3a stopped: it is still there (nat-1)
        ");
        assert_eq!(told(&Event::ApplyStarted { operations: 1 }), None);
    }
}
