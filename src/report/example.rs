//! A small plan with something of everything, for the tests of every reporter.

use serde_json::json;

use crate::diagnostic::Site;
use crate::engine::{Action, Change, FieldChange, Plan, PlannedOutput, Reason};
use crate::resource::{Address, Live, Map, Options, Reference, Status, Stop, Value};

pub fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub fn reference(text: &str, attribute: &str) -> Value {
    Reference::new(address(text), attribute).into()
}

pub fn change(name: &str, action: Action, fields: Vec<FieldChange>) -> Change {
    Change {
        address: address(name),
        action,
        reason: None,
        fields,
        inputs: Map::new(),
        live: None,
        options: Options::default(),
        site: Some(Site::new("playbooks/phases/network.rhai", 12, 5)),
        phase: vec!["network".into()],
        needs: vec![],
        uses: vec![],
        notes: vec![],
        predicted: Default::default(),
    }
}

pub fn field(path: &str, before: Option<Value>, after: Option<Value>) -> FieldChange {
    FieldChange { path: path.into(), before, after, forces_replace: false, restarts: false, sensitive: false }
}

pub fn live(id: &str) -> Option<Live> {
    Some(Live {
        id: id.into(),
        region: None,
        owner: None,
        inputs: Map::new(),
        outputs: Map::new(),
        status: Status::Ready,
    })
}

/// Two creates, an update, a replacement, a deletion, an orphan and one that stays, as a first stage.
pub fn plan() -> Plan {
    let secret = FieldChange { sensitive: true, ..field("password", None, Some("hunter2".into())) };
    let zone = FieldChange {
        forces_replace: true,
        ..field("availability_zone", Some("eu-central-1a".into()), Some("eu-central-1b".into()))
    };
    let route = json!({ "cidr_block": "0.0.0.0/0", "nat_gateway_id": reference("aws::nat_gateway.main", "id") });
    let (one, two) = (Value::from(json!(["subnet-1", "subnet-2"])), Value::from(json!(["subnet-2", "subnet-3"])));
    Plan {
        stack: "prod".into(),
        changes: vec![
            Change {
                phase: vec![],
                ..change("aws::vpc.main", Action::Create, vec![field("cidr_block", None, Some("10.0.0.0/16".into()))])
            },
            change(
                "aws::subnet.private-a",
                Action::Create,
                vec![
                    field("cidr_block", None, Some("10.0.1.0/24".into())),
                    field("vpc_id", None, Some(reference("aws::vpc.main", "id"))),
                    secret,
                ],
            ),
            Change {
                live: live("rtb-1"),
                reason: Some(Reason::Renamed { from: address("aws::route_table.internal") }),
                ..change(
                    "aws::route_table.private",
                    Action::Update,
                    vec![
                        field("tags.Team", Some("a".into()), Some("b".into())),
                        field("tags.Cost", None, Some("1".into())),
                        field("subnet_ids", Some(one), Some(two)),
                        field("route", Some(Value::List(vec![])), Some(Value::List(vec![route.into()]))),
                    ],
                )
            },
            Change { live: live("nat-1"), ..change("aws::nat_gateway.main", Action::Replace, vec![zone]) },
            Change { live: live("vpce-1"), ..change("aws::vpc_endpoint.s3", Action::None, vec![]) },
            Change {
                live: live("eipalloc-1"),
                reason: Some(Reason::NotDeclared),
                site: None,
                phase: vec![],
                ..change("aws::eip.old", Action::Delete, vec![])
            },
            Change {
                live: live("sqs-1"),
                reason: Some(Reason::NotDeclared),
                site: None,
                phase: vec![],
                ..change("aws::sqs_queue.old", Action::Orphan, vec![])
            },
        ],
        outputs: vec![PlannedOutput {
            name: "endpoint".into(),
            value: Value::text(vec!["https://".into(), reference("aws::lb.main", "dns_name"), "/x".into()]),
        }],
        estimate: None,
        policies: vec![],
        left_out: vec![],
        stop: Some(Stop {
            references: vec![Reference::new(address("aws::eks_cluster.prod"), "endpoint")],
            site: Site::new("playbooks/prod.rhai", 41, 8),
            because: None,
        }),
    }
}
