//! Eventual consistency: what was just made is not found for a while, neither by its id nor by its tags, and what names
//! it is refused.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::sweep::{Calls, Fault, Rule, answer, sweep};
use crate::wire::{Call, Verdict};

/// The tag of an answer that holds the id of what was made, and what is said of an id that is not known.
const MADE: [(&str, &str, &str); 8] = [
    ("ec2:CreateVpc", "vpcId", "InvalidVpcID.NotFound"),
    ("ec2:CreateSubnet", "subnetId", "InvalidSubnetID.NotFound"),
    ("ec2:CreateInternetGateway", "internetGatewayId", "InvalidInternetGatewayID.NotFound"),
    ("ec2:AllocateAddress", "allocationId", "InvalidAllocationID.NotFound"),
    ("ec2:CreateNatGateway", "natGatewayId", "NatGatewayNotFound"),
    ("ec2:CreateRouteTable", "routeTableId", "InvalidRouteTableID.NotFound"),
    ("ec2:CreateVpcEndpoint", "vpcEndpointId", "InvalidVpcEndpointId.NotFound"),
    ("ec2:CreateSecurityGroup", "groupId", "InvalidGroup.NotFound"),
];

#[derive(Clone)]
struct Young {
    id: String,
    unknown: &'static str,
    until: Instant,
}

/// What is made by such calls is not known for so long.
fn for_a_while(time: Duration, made_by: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Rule {
    let young: Arc<Mutex<Vec<Young>>> = Arc::default();
    Box::new(move |call| {
        let now = Instant::now();
        let unknown: Vec<Young> = young.lock().unwrap().iter().filter(|one| one.until > now).cloned().collect();
        let named = unknown.iter().find(|one| call.body.contains(&one.id));
        let made = MADE.iter().find(|(operation, ..)| call.operation == *operation);
        match (named, made) {
            (Some(one), _) if !call.reads || call.operation.ends_with("Attribute") => {
                answer(call, 400, one.unknown, &format!("The ID '{}' does not exist", one.id))
            }
            (_, Some((_, tag, unknown))) if made_by(call) => {
                let young = young.clone();
                Verdict::Alter(Box::new(move |body| {
                    let id = body.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once('<'));
                    if let Some((id, _)) = id {
                        let until = Instant::now() + time;
                        young.lock().unwrap().push(Young { id: id.to_owned(), unknown, until });
                    }
                    body
                }))
            }
            _ if call.reads && !unknown.is_empty() => Verdict::Alter(Box::new(move |body| {
                without(&body, &unknown.iter().map(|one| &*one.id).collect::<Vec<_>>())
            })),
            _ => Verdict::Pass,
        }
    })
}

/// A listing without the items that mention one of these.
fn without(body: &str, ids: &[&str]) -> String {
    let (mut kept, mut rest) = (String::new(), body);
    while let Some(at) = rest.find("<item>") {
        kept += &rest[..at];
        let (mut depth, mut end) = (0, at);
        loop {
            let open = rest[end..].find("<item>").map(|found| end + found);
            let Some(close) = rest[end..].find("</item>").map(|found| end + found) else { return body.to_owned() };
            match open {
                Some(open) if open < close => (depth, end) = (depth + 1, open + "<item>".len()),
                _ => (depth, end) = (depth - 1, close + "</item>".len()),
            }
            if depth == 0 {
                break;
            }
        }
        let item = &rest[at..end];
        if !ids.iter().any(|id| item.contains(id)) {
            kept += item;
        }
        rest = &rest[end..];
    }
    kept + rest
}

#[test]
fn a_listing_is_still_whole_without_some_of_it() {
    let listing = "<r><set><item><id>a</id><tags><item>x</item></tags></item><item><id>b</id></item></set></r>";
    assert_eq!(without(listing, &["a"]), "<r><set><item><id>b</id></item></set></r>");
    assert_eq!(without(listing, &["x", "b"]), "<r><set></set></r>");
    assert_eq!(without(listing, &[]), listing);
}

#[test]
fn what_was_just_made_is_not_found_for_a_while() {
    sweep(Fault::from("not found for 2 s", Calls::Creates, |n| {
        for_a_while(Duration::from_secs(2), move |call| call.n == n)
    }));
}

#[test]
fn nothing_that_was_just_made_is_found_for_a_while() {
    let case = crate::wire::process::Case::new();
    case.wire.rule(for_a_while(Duration::from_secs(2), |_| true));
    case.run(&format!("{} --yes", crate::wire::process::NETWORK)).with(0, "nothing is found for 2 s");
    case.wire.forget();
    super::sweep::settled(&case, "nothing is found for 2 s");
    assert_eq!(super::sweep::difference(&case), (vec![], vec![]));
}
