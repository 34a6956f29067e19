//! The rules of a security group: one meaning, one spelling.
//!
//! A rule as an author writes it is a block with many peers; AWS knows rules of one peer. Both become [`atoms`], which
//! are compared.

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, UserIdGroupPair};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cidr::{self, Family};
use crate::providers::typed::{typed_value, value_of};
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Value};

/// The fields that name who may be reached, or may reach.
const PEERS: [&str; 4] = ["cidr_blocks", "ipv6_cidr_blocks", "prefix_list_ids", "security_groups"];

/// Ports of one protocol, open to any number of peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// First port, or the type of ICMP messages (-1: all). Not for protocol `-1`.
    pub from_port: Option<i32>,
    /// Last port, or the code of ICMP messages; left out, the same as `from_port`.
    pub to_port: Option<i32>,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub protocol: String,
    /// Peers: IPv4 ranges.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub cidr_blocks: Vec<String>,
    /// Peers: IPv6 ranges.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub ipv6_cidr_blocks: Vec<String>,
    /// Peers: prefix lists.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub prefix_list_ids: Vec<String>,
    /// Peers: security groups, by id; one of another account as `account/id`.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub security_groups: Vec<String>,
    /// Peer: the group itself.
    #[serde(default, rename = "self")]
    pub itself: bool,
    /// What the rule is for.
    #[serde(default)]
    pub description: String,
}

/// Rules of one peer each.
pub(super) fn atomic(rules: &[Rule]) -> Result<Vec<Rule>, Fault> {
    rules.iter().flat_map(|rule| atoms(&value_of(rule))).map(|atom| typed_value(&atom)).collect()
}

/// One rule as rules of one peer each, in one spelling. A peer, or a list of them, that is not known yet counts as one.
pub(super) fn atoms(rule: &Value) -> Vec<Value> {
    let Value::Map(rule) = rule else { return vec![rule.clone()] };
    let mut shared = Map::new();
    let (protocol, from, to) = spelled(rule);
    for (name, value) in [("protocol", Some(protocol)), ("from_port", from), ("to_port", to)] {
        shared.extend(value.map(|value| (name.to_owned(), value)));
    }
    shared.extend(rule.get("description").filter(|d| !d.is_null()).map(|d| ("description".to_owned(), d.clone())));
    let atom = |name: &str, peer: Value| {
        let mut atom = shared.clone();
        atom.insert(name.to_owned(), peer);
        Value::Map(atom)
    };
    let mut atoms = vec![];
    for name in PEERS {
        match rule.get(name) {
            Some(Value::List(peers)) => {
                atoms.extend(peers.iter().map(|peer| atom(name, Value::List(vec![cidr::canonical(peer)]))));
            }
            None | Some(Value::Null) => {}
            Some(unknown) => atoms.push(atom(name, unknown.clone())),
        }
    }
    match rule.get("self") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(itself) => atoms.push(atom("self", itself.clone())),
    }
    atoms
}

/// Protocol and ports in the one form that AWS gives back.
fn spelled(rule: &Map) -> (Value, Option<Value>, Option<Value>) {
    let port = |name: &str| rule.get(name).filter(|port| !port.is_null()).cloned();
    let protocol = rule.get("protocol").cloned().unwrap_or_default();
    let Some(name) = protocol.as_str() else { return (protocol, port("from_port"), port("to_port")) };
    let name = match name.to_lowercase().as_str() {
        "all" | "-1" => "-1".to_owned(),
        "1" => "icmp".to_owned(),
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "58" => "icmpv6".to_owned(),
        other => other.to_owned(),
    };
    let (from, to) = match name.as_str() {
        "tcp" | "udp" => (port("from_port"), port("to_port").or_else(|| port("from_port"))),
        "icmp" | "icmpv6" => {
            let all = Some(Value::Int(-1));
            (port("from_port").or(all.clone()), port("to_port").or(all))
        }
        _ => (None, None),
    };
    (name.into(), from, to)
}

/// AWS's rules, one per peer, as an author would write them.
pub(super) fn rules(group: &aws_sdk_ec2::types::SecurityGroup, permissions: &[IpPermission]) -> Vec<Rule> {
    let mut rules = vec![];
    for permission in permissions {
        let mut add = |description: Option<&str>, peer: Rule| {
            rules.push(Rule {
                from_port: permission.from_port(),
                to_port: permission.to_port(),
                protocol: permission.ip_protocol().unwrap_or("-1").to_owned(),
                description: description.unwrap_or_default().to_owned(),
                ..peer
            })
        };
        let one = |text: Option<&str>| vec![text.unwrap_or_default().to_owned()];
        for range in permission.ip_ranges() {
            add(range.description(), Rule { cidr_blocks: one(range.cidr_ip()), ..Rule::default() });
        }
        for range in permission.ipv6_ranges() {
            add(range.description(), Rule { ipv6_cidr_blocks: one(range.cidr_ipv6()), ..Rule::default() });
        }
        for list in permission.prefix_list_ids() {
            add(list.description(), Rule { prefix_list_ids: one(list.prefix_list_id()), ..Rule::default() });
        }
        for pair in permission.user_id_group_pairs() {
            let peer = if pair.group_id() == group.group_id() {
                Rule { itself: true, ..Rule::default() }
            } else {
                let id = pair.group_id().unwrap_or_default();
                let other = pair.user_id().filter(|account| Some(*account) != group.owner_id());
                let id = other.map_or_else(|| id.to_owned(), |account| format!("{account}/{id}"));
                Rule { security_groups: vec![id], ..Rule::default() }
            };
            add(pair.description(), peer);
        }
    }
    // The same spelling as everywhere: no ports where they mean nothing.
    atomic(&rules).unwrap_or(rules)
}

/// An atomic rule as the API takes it.
pub(super) fn permission(id: &str, rule: &Rule) -> IpPermission {
    let description = Some(rule.description.clone()).filter(|text| !text.is_empty());
    let mut permission =
        IpPermission::builder().ip_protocol(&rule.protocol).set_from_port(rule.from_port).set_to_port(rule.to_port);
    for block in &rule.cidr_blocks {
        permission =
            permission.ip_ranges(IpRange::builder().cidr_ip(block).set_description(description.clone()).build());
    }
    for block in &rule.ipv6_cidr_blocks {
        let range = Ipv6Range::builder().cidr_ipv6(block).set_description(description.clone()).build();
        permission = permission.ipv6_ranges(range);
    }
    for list in &rule.prefix_list_ids {
        let list = PrefixListId::builder().prefix_list_id(list).set_description(description.clone()).build();
        permission = permission.prefix_list_ids(list);
    }
    let groups = rule.security_groups.iter().map(String::as_str).chain(rule.itself.then_some(id));
    for group in groups {
        let (account, group) = match group.split_once('/') {
            Some((account, group)) => (Some(account.to_owned()), group),
            None => (None, group),
        };
        let pair = UserIdGroupPair::builder().group_id(group).set_user_id(account);
        permission = permission.user_id_group_pairs(pair.set_description(description.clone()).build());
    }
    permission.build()
}

/// What AWS would refuse, or take in another meaning.
pub(super) fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = vec![];
    for direction in ["ingress", "egress"] {
        let rules = inputs.get(direction).and_then(Value::as_list).unwrap_or_default();
        for (i, rule) in rules.iter().enumerate() {
            if let Value::Map(rule) = rule {
                check_rule(&format!("{direction}[{i}]"), rule, &mut mistakes);
            }
        }
    }
    mistakes
}

fn check_rule(path: &str, rule: &Map, mistakes: &mut Vec<Mistake>) {
    let mut tell = |field: &str, what: String, hint: Option<&str>| {
        let path = if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") };
        mistakes.push(Mistake { path, what, hint: hint.map(str::to_owned) });
    };
    let has = |name: &str| match rule.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::List(items)) => !items.is_empty(),
        Some(_) => true,
    };
    if !PEERS.iter().any(|peers| has(peers)) && !has("self") {
        tell(
            "",
            "names no peer".into(),
            Some("give cidr_blocks, ipv6_cidr_blocks, prefix_list_ids, security_groups or self"),
        );
    }
    let (protocol, from, to) = spelled(rule);
    let ports = (from.as_ref().and_then(int), to.as_ref().and_then(int));
    let given = |name: &str| rule.get(name).and_then(int).filter(|port| *port != 0 && *port != -1);
    match protocol.as_str() {
        Some("tcp" | "udp") => {
            if from.is_none() {
                tell(
                    "from_port",
                    "is required".into(),
                    Some("0 to 65535; for all protocols and ports: protocol \"-1\""),
                );
            }
            for (name, port) in [("from_port", ports.0), ("to_port", ports.1)] {
                if let Some(port) = port.filter(|port| !(0..=65535).contains(port)) {
                    tell(name, format!("{port} is not a port"), Some("0 to 65535"));
                }
            }
            if let (Some(from), Some(to)) = ports
                && from > to
            {
                tell("to_port", format!("{to} is below from_port {from}"), None);
            }
        }
        Some("icmp" | "icmpv6") => {}
        Some("-1") if given("from_port").or(given("to_port")).is_some() => {
            tell(
                "from_port",
                "has no meaning for all protocols".into(),
                Some("leave the ports out, or name the protocol"),
            );
        }
        Some("-1") => {}
        Some(number) if number.parse::<u8>().is_ok() => {}
        Some(other) => tell(
            "protocol",
            format!("`{other}` is no protocol"),
            Some("tcp, udp, icmp, icmpv6, a number, or -1 for all"),
        ),
        None => {}
    }
    for (name, family, most) in [("cidr_blocks", Family::V4, 32), ("ipv6_cidr_blocks", Family::V6, 128)] {
        for (i, block) in rule.get(name).and_then(Value::as_list).unwrap_or_default().iter().enumerate() {
            mistakes.extend(cidr::mistake(&format!("{path}.{name}[{i}]"), Some(block), family, 0..=most));
        }
    }
}

fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::AwsKind;
    use super::super::security_group::{Inputs, Outputs, SecurityGroup};
    use super::*;
    use crate::resource::{Address, Kind, Reference};
    use serde_json::json;

    fn canonical(rules: serde_json::Value) -> Value {
        let kind = Kind::of::<Inputs, Outputs>(SecurityGroup::NAME, SecurityGroup::nature());
        kind.canonical(kind.input("ingress").unwrap(), &Value::from(rules))
    }

    #[test]
    fn rules_are_equal_if_they_let_the_same_through() {
        assert_eq!(
            canonical(json!([{ "from_port": 443, "protocol": "TCP", "cidr_blocks": ["10.0.0.0/8", "172.16.0.0/12"] }])),
            canonical(json!([
                { "from_port": 443, "to_port": 443, "protocol": "6", "cidr_blocks": ["172.16.0.0/12"], "self": false },
                { "from_port": 443, "to_port": 443, "protocol": "tcp", "cidr_blocks": ["10.0.0.0/8"], "description": "" },
            ])),
        );
        assert_eq!(
            canonical(json!([{ "from_port": 0, "to_port": 0, "protocol": "-1", "ipv6_cidr_blocks": ["0:0::/0"] }])),
            canonical(json!([{ "protocol": "all", "ipv6_cidr_blocks": ["::/0"] }])),
        );
        assert_ne!(
            canonical(json!([{ "from_port": 443, "protocol": "tcp", "self": true }])),
            canonical(json!([{ "from_port": 444, "protocol": "tcp", "self": true }])),
        );
    }

    #[test]
    fn a_peer_that_is_not_known_yet_is_one_peer() {
        let id: Value = Reference::new(Address::new("aws::security_group", "web"), "id").into();
        let rule = |peers: Value| {
            Value::List(vec![Value::Map(Map::from([
                ("protocol".into(), "-1".into()),
                ("security_groups".into(), peers),
            ]))])
        };
        let normalise = SecurityGroup::nature().normalise;
        let list = normalise("ingress", &rule(Value::List(vec![id.clone(), "sg-1".into()])));
        assert_eq!(list.as_list().unwrap().len(), 2);
        assert_eq!(normalise("ingress", &rule(id.clone())).as_list().unwrap().len(), 1);
    }

    #[test]
    fn what_aws_would_refuse_is_told_before() {
        let json = json!({ "ingress": [
            { "protocol": "tcp", "cidr_blocks": ["10.0.0.1/8"] },
            { "protocol": "tpc", "from_port": 1, "self": true },
            { "protocol": "tcp", "from_port": 90, "to_port": 80 },
        ] });
        let Value::Map(inputs) = Value::from(json) else { panic!("a map") };
        let told: Vec<String> = check(&inputs).into_iter().map(|m| format!("{}: {}", m.path, m.what)).collect();
        assert_eq!(
            told,
            [
                "ingress[0].from_port: is required",
                "ingress[0].cidr_blocks[0]: `10.0.0.1/8` has bits set behind its prefix",
                "ingress[1].protocol: `tpc` is no protocol",
                "ingress[2]: names no peer",
                "ingress[2].to_port: 80 is below from_port 90",
            ]
        );
    }
}
