//! Kinds, options, phases, lookups, outputs.

use std::time::Duration;

use runner::resource::{Address, ReplaceOrder, Value};
use runner::script::definitions;

use super::{Play, kinds, lookups};

#[test]
fn a_call_of_a_kind_is_a_declaration() {
    let evaluation = Play::new(
        r#"let env = inventory();
           let vpc = phase("network", || phase("base", || aws::vpc("main", #{ cidr_block: env.network.cidr })));
           aws::subnet("a", #{ vpc_id: vpc.id }, #{ after: [vpc], protect: true, adopt: "subnet-1", was: "old",
               ignore: ["cidr_block"], timeout: "1h30m", replace: "create_first", region: "eu-west-1" });
           aws::ecr_repository("app", #{});"#,
    )
    .good();
    let all: Vec<_> = evaluation.declarations.iter().collect();
    assert_eq!(all[0].phase.iter().map(|p| &**p).collect::<Vec<_>>(), ["network", "base"]);
    assert_eq!(all[0].site.to_string(), "playbooks/main.rhai:2:64");
    assert_eq!(Value::Map(all[0].inputs.clone()).to_string(), r#"{"cidr_block":"10.0.0.0/16"}"#);
    let options = &all[1].options;
    assert_eq!(options.after, [Address::new("aws::vpc", "main")]);
    assert!(options.protect);
    assert_eq!(options.timeout, Some(Duration::from_secs(5400)));
    assert_eq!(options.replace, ReplaceOrder::CreateFirst);
    assert_eq!((options.was.as_deref(), options.adopt.as_deref()), (Some("old"), Some("subnet-1")));
    assert_eq!(Value::Map(all[2].inputs.clone()).to_string(), r#"{"name":"app"}"#);
    assert_eq!(evaluation.phases.iter().map(|p| &**p).collect::<Vec<_>>(), ["network", "base"]);
}

#[test]
fn the_authors_own_name_tag_wins() {
    let evaluation = Play::new(r#"aws::vpc("a", #{ cidr_block: "x", tags: #{ Name: "mine", team: "t" } });"#).good();
    let first = evaluation.declarations.iter().next().unwrap().clone();
    assert_eq!(first.inputs["tags"].to_string(), r#"{"Name":"mine","team":"t"}"#);
}

#[test]
fn every_mistake_of_a_playbook_is_told_in_one_run() {
    let found = Play::new(
        "let vpc = aws::vpc(\"main\", #{ cidr_blok: 1 });\naws::subnet(\"a\", #{ vpc_id: vpc }, #{ afer: vpc, timeout: \"x\", ignore: [\"vpc\"] });\n\
         aws::vpc(\"main\", #{ cidr_block: \"x\" });\naws::vpc(\"\", #{ cidr_block: \"x\" });\naws::subnet(\"f\", #{ vpc_id: \"a\", route: [#{ cidr_block: || 1 }] });\n\
         aws::subnet(\"z\", #{ vpc_id: vpc.zones, cidr_block: vpc.size });\naws::subnet(\"z2\", 1);\noutput(\"x\", 1); output(\"x\", vpc.id); output(\"y\", vpc);",
    )
    .bad();
    assert_eq!(
        found,
        [
            "playbooks/main.rhai:1:16: aws::vpc.main: `cidr_blok`: there is no such field (hint: did you mean `cidr_block`?)",
            "playbooks/main.rhai:1:16: aws::vpc.main: `cidr_block`: is required (hint: `cidr_block`: The range of addresses, in CIDR notation.)",
            "playbooks/main.rhai:2:6: aws::subnet.a: `vpc_id`: expects a string, got the whole resource aws::vpc.main (hint: name one of its attributes, for example `.id` of aws::vpc.main)",
            "playbooks/main.rhai:2:6: aws::subnet.a: `afer`: there is no such option (hint: did you mean `after`?)",
            "playbooks/main.rhai:2:6: aws::subnet.a: `ignore`: `aws::subnet` has no input `vpc` (hint: known inputs: cidr_block, route, vpc_id)",
            "playbooks/main.rhai:2:6: aws::subnet.a: `timeout`: expects a duration, got \"x\" (hint: for example \"90s\", \"10m\", \"1h30m\", or a number of seconds)",
            "playbooks/main.rhai:3:6: `aws::vpc.main` is declared twice (hint: give one of them another name) [playbooks/main.rhai:1:16 first declared here]",
            "playbooks/main.rhai:4:6: aws::vpc: the name is empty",
            "playbooks/main.rhai:5:6: aws::subnet.f: `route[0].cidr_block`: cannot be a function",
            "playbooks/main.rhai:6:6: aws::subnet.z: `cidr_block`: expects a string, got `aws::vpc.main.size`, which is an integer",
            "playbooks/main.rhai:6:6: aws::subnet.z: `vpc_id`: expects a string, got `aws::vpc.main.zones`, which is a list of string",
            "playbooks/main.rhai:7:6: aws::subnet.z2: `inputs`: expects a map `#{ … }`, got a value of type i64",
            "playbooks/main.rhai:8:17: the output `x` is given twice [playbooks/main.rhai:8:1 first given here]",
            "playbooks/main.rhai:8:38: the output `y` is the whole resource `aws::vpc.main` (hint: name one of its attributes)",
        ]
    );
}

#[test]
fn reserved_words_are_names_where_nothing_else_can_stand() {
    let play = Play::new(
        "let env = inventory(); let m = #{ self: true, default: 1, private: 2, match: 3, public: 4, go: 5, module: 6 };\n\
         output(\"a\", env.default && m.self && env.network.private[1] == \"b\");\n\
         output(\"b\", m.default + m.private + m.match + m.public + m.go + m.module);",
    );
    assert_eq!(play.outputs(), r#"{"a":true,"b":21}"#);
}

#[test]
fn a_lookup_reads_and_its_fault_is_told_at_the_call() {
    let play = Play::new(
        "output(\"z\", aws::zones()); output(\"y\", aws::zones(\"r\").len()); output(\"p\", aws::parameter(\"known\"));",
    );
    assert_eq!(play.outputs(), r#"{"p":"found","y":2,"z":["a","b"]}"#);
    assert_eq!(
        Play::new("aws::parameter(\"x\");\n").bad(),
        ["playbooks/main.rhai:1:6: aws::parameter failed: there is no such parameter (hint: create it first)"]
    );
    assert_eq!(
        Play::new("aws::parameter(1);\n").bad(),
        [
            "playbooks/main.rhai:1:6: aws::parameter: `name`: expects a string, got the integer 1 (hint: put it in quotes)"
        ]
    );
}

/// A kind is called with inputs, a lookup without.
#[test]
fn one_name_can_be_a_kind_and_a_lookup() {
    let play = Play::new(
        "let found = aws::ecr_repository(\"known\");\naws::ecr_repository(\"app\", #{ name: found });\n\
         output(\"found\", found);",
    );
    assert_eq!(play.outputs(), r#"{"found":"found"}"#);
}

#[test]
fn the_inventory_is_the_scripts_own_copy() {
    let play = Play::new("let a = inventory(); a.name = \"x\"; a.more = 1; output(\"n\", inventory().name + a.name);");
    assert_eq!(play.outputs(), r#"{"n":"prodx"}"#);
}

#[test]
fn ten_thousand_declarations_are_taken() {
    let play = Play::new(
        "let v = aws::vpc(\"v\", #{ cidr_block: \"x\" }); let all = []; for i in 0..10000 { all.push(v.id); \
         aws::subnet(`s-${i}`, #{ vpc_id: v.id, cidr_block: `${v.id}-${i}` }); }",
    );
    assert_eq!(play.good().declarations.len(), 10_001);
}

#[test]
fn editors_get_definitions() {
    let text = definitions(&kinds(), &lookups(), &[]);
    for part in [
        "fn vpc(name: String, inputs: map) -> ?;",
        "The range of addresses",
        "fn zones(region: ?)",
        "fn phase(name: String, body: Fn)",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_playbook_in_phases_reads_as_the_design_says() {
    let play = Play::new(
        r#"import "phases/network" as network;
           let env = inventory();
           let net = phase("network", || network::build(env));
           let more = phase("more", || network::more(env, net));
           output("id", net.vpc.id);
           output("subnets", more.map(|s| s.id).len());"#,
    )
    .file(
        "playbooks/phases/network.rhai",
        r#"fn build(env) {
               let vpc = aws::vpc(env.name, #{ cidr_block: env.network.cidr });
               #{ vpc: vpc }
           }
           fn more(env, net) {
               let all = [];
               for (zone, i) in env.network.private {
                   all.push(aws::subnet(`private-${zone}`, #{ vpc_id: net.vpc.id, cidr_block: env.network.private[i] }));
               }
               all
           }"#,
    );
    let id = r#"{"$reference":{"address":"aws::vpc.prod","path":["id"]}}"#;
    assert_eq!(play.outputs(), format!(r#"{{"id":{id},"subnets":2}}"#));
    let phases: Vec<_> = play.good().declarations.iter().map(|d| format!("{} {}", d.address, d.phase[0])).collect();
    assert_eq!(phases, ["aws::vpc.prod network", "aws::subnet.private-a more", "aws::subnet.private-b more"]);
}
