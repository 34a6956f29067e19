//! Passing on is free, seeing is not.

use std::sync::Arc;

use runner::diagnostic::Site;
use runner::resource::{Map, Reference, Segment, Value};
use runner::script::Rendered;

use super::{Play, Renders, rendered};

const VPC: &str = "let vpc = aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" });\n";

fn play(rest: &str) -> Play {
    Play::new(&format!("{VPC}{rest}"))
}

/// Where and for what an evaluation stops.
fn stop(rest: &str) -> String {
    match play(rest).good().stop {
        Some(stop) => {
            let references: Vec<String> = stop.references.iter().map(|r| r.to_string()).collect();
            format!("{} {}", stop.site, references.join(" "))
        }
        None => "it does not stop".into(),
    }
}

#[test]
fn passing_a_reference_on_is_free() {
    for (script, expected) in [
        ("output(\"x\", vpc.id);", r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["id"]}}}"#),
        (
            "output(\"x\", vpc.nodes[0].name);",
            r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["nodes",0,"name"]}}}"#,
        ),
        (
            "output(\"x\", vpc.identity[\"k\"]);",
            r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["identity","k"]}}}"#,
        ),
        (
            "output(\"x\", `a-${vpc.id}-b`);",
            r#"{"x":{"$text":["a-",{"$reference":{"address":"aws::vpc.main","path":["id"]}},"-b"]}}"#,
        ),
        (
            "let s = \"a-\"; s += vpc.id; output(\"x\", s + 'c');",
            r#"{"x":{"$text":["a-",{"$reference":{"address":"aws::vpc.main","path":["id"]}},"c"]}}"#,
        ),
        (
            "let s = \"a-\"; let f = || s; s += vpc.id; output(\"x\", f.call());",
            r#"{"x":{"$text":["a-",{"$reference":{"address":"aws::vpc.main","path":["id"]}}]}}"#,
        ),
        (
            "output(\"x\", vpc.size + \"!\");",
            r#"{"x":{"$text":[{"$reference":{"address":"aws::vpc.main","path":["size"]}},"!"]}}"#,
        ),
        (
            "fn id(v) { v } output(\"x\", id(vpc.id));",
            r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["id"]}}}"#,
        ),
        (
            "let f = |x| [x, vpc.id]; output(\"x\", f.call(1));",
            r#"{"x":[1,{"$reference":{"address":"aws::vpc.main","path":["id"]}}]}"#,
        ),
        (
            "const ID = vpc.id; fn f() { global::ID } output(\"x\", f());",
            r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["id"]}}}"#,
        ),
        ("output(\"x\", () ?? vpc.id);", r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["id"]}}}"#),
        (
            "output(\"x\", [1].map(|i| vpc.tag));",
            r#"{"x":[{"$reference":{"address":"aws::vpc.main","path":["tag"]}}]}"#,
        ),
        ("output(\"x\", vpc.cidr_block);", r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["cidr_block"]}}}"#),
        ("output(\"x\", is_known(vpc.id));", r#"{"x":false}"#),
        ("output(\"x\", [vpc].len());", r#"{"x":1}"#),
    ] {
        assert_eq!(play(script).outputs(), expected, "{script}");
    }
}

#[test]
fn seeing_the_unknown_ends_the_stage_at_its_place() {
    for (script, expected) in [
        ("if vpc.ready { }", "playbooks/main.rhai:2:4 aws::vpc.main.ready"),
        ("let x = vpc.id == \"x\";", "playbooks/main.rhai:2:16 aws::vpc.main.id"),
        ("let x = vpc.size < 3;", "playbooks/main.rhai:2:18 aws::vpc.main.size"),
        ("let x = !vpc.ready;", "playbooks/main.rhai:2:9 aws::vpc.main.ready"),
        ("switch vpc.id { \"x\" => 1, _ => 2 }", "playbooks/main.rhai:2:8 aws::vpc.main.id"),
        ("switch `${vpc.id}-x` { \"x\" => 1, _ => 2 }", "playbooks/main.rhai:2:8 aws::vpc.main.id"),
        ("for z in vpc.zones { }", "playbooks/main.rhai:2:10 aws::vpc.main.zones"),
        ("let x = vpc.id ?? \"d\";", "playbooks/main.rhai:2:9 aws::vpc.main.id"),
        ("let x = [1,2].filter(|x| vpc.ready);", "playbooks/main.rhai:2:15 aws::vpc.main.ready"),
        ("let x = type_of(vpc.id);", "playbooks/main.rhai:2:17 aws::vpc.main.id"),
        ("let x = #{a: vpc.id}.to_json();", "playbooks/main.rhai:2:22 aws::vpc.main.id"),
        ("let x = [vpc.id] == [\"x\"];", "playbooks/main.rhai:2:18 aws::vpc.main.id"),
        ("let x = \"x\" in [vpc.id];", "playbooks/main.rhai:2:13 aws::vpc.main.id"),
        ("let x = vpc.id.len();", "playbooks/main.rhai:2:16 aws::vpc.main.id"),
        ("let m = #{}; m[vpc.id] = 1;", "playbooks/main.rhai:2:16 aws::vpc.main.id"),
        ("let x = [1][vpc.size];", "playbooks/main.rhai:2:13 aws::vpc.main.size"),
        ("let x = vpc.size + 1;", "playbooks/main.rhai:2:18 aws::vpc.main.size"),
        ("let x = `${vpc.zones}`;", "playbooks/main.rhai:2:9 aws::vpc.main.zones"),
        ("let x = []; x += vpc.zones;", "playbooks/main.rhai:2:18 aws::vpc.main.zones"),
        ("aws::vpc(vpc.id, #{});", "playbooks/main.rhai:2:6 aws::vpc.main.id"),
        ("while vpc.ready { }", "playbooks/main.rhai:2:7 aws::vpc.main.ready"),
        ("let x = vpc.arn + vpc.id; if x == \"a\" { }", "playbooks/main.rhai:2:32 aws::vpc.main.arn aws::vpc.main.id"),
    ] {
        assert_eq!(stop(script), expected, "{script}");
    }
}

#[test]
fn a_stage_holds_what_came_before_it() {
    let stage = play("output(\"a\", 1); phase(\"p\", || { aws::subnet(\"s\", #{ vpc_id: vpc.id }); if vpc.ready { } }); output(\"b\", 2);").good();
    assert_eq!(stage.declarations.len(), 2);
    let outputs: Vec<_> = stage.outputs.iter().map(|given| (&*given.name, &given.value, given.site.line)).collect();
    assert_eq!(outputs, [("a", &Value::Int(1), 2)]);
    assert_eq!(stage.phases.len(), 1);
    assert_eq!(stage.stop.unwrap().site.to_string(), "playbooks/main.rhai:2:75");
}

#[test]
fn nothing_swallows_the_end_of_a_stage() {
    for script in [
        "try { if vpc.ready { } } catch { } output(\"x\", 1);",
        "let a = [2, 1]; a.sort(|x, y| vpc.size); output(\"x\", a);",
        "let a = [vpc.id, \"b\"]; a.dedup(); output(\"x\", a);",
        "fn f(v) { try { return v.id == \"x\"; } catch { } 1 } output(\"x\", f(vpc));",
    ] {
        let evaluation = play(script).good();
        assert!(evaluation.stop.is_some() && evaluation.outputs.is_empty(), "{script}");
    }
}

#[test]
fn what_is_known_is_seen_and_the_script_goes_on() {
    let play = |script: &str| {
        play(script)
            .knows("aws::vpc.main.id", "vpc-1")
            .knows("aws::vpc.main.ready", true)
            .knows("aws::vpc.main.zones", Value::List(vec!["a".into(), "b".into()]))
    };
    for (script, expected) in [
        ("output(\"x\", if vpc.ready { 1 } else { 2 });", r#"{"x":1}"#),
        ("output(\"x\", vpc.id.len());", r#"{"x":5}"#),
        ("let t = `a-${vpc.id}`; output(\"x\", t == \"a-vpc-1\");", r#"{"x":true}"#),
        ("let n = 0; for (z, i) in vpc.zones { n += i + z.len(); } output(\"x\", n);", r#"{"x":3}"#),
        ("output(\"x\", switch vpc.id { \"vpc-1\" => 1, _ => 2 });", r#"{"x":1}"#),
        ("output(\"x\", `${vpc.zones}`);", r#"{"x":"[\"a\", \"b\"]"}"#),
        ("output(\"x\", vpc.zones[-1]);", r#"{"x":"b"}"#),
        ("let z = vpc.zones; z.push(\"c\"); output(\"x\", z);", r#"{"x":["a","b","c"]}"#),
        ("output(\"x\", is_known(vpc.id) && !is_known(vpc.arn));", r#"{"x":true}"#),
        // Passing on stays a reference even if the value is known: it carries the order.
        ("output(\"x\", vpc.ready);", r#"{"x":{"$reference":{"address":"aws::vpc.main","path":["ready"]}}}"#),
    ] {
        assert_eq!(play(script).outputs(), expected, "{script}");
    }
}

#[test]
fn printing_shows_the_unknown_to_people_and_does_not_stop() {
    let play = play("print(vpc.id); print(`id ${vpc.id}`); debug([vpc.id]); print(vpc); output(\"x\", print(vpc.id));");
    assert_eq!(play.outputs(), r#"{"x":null}"#);
    let printed = play.printed.lock().unwrap();
    assert_eq!(printed[0], "playbooks/main.rhai:2:1: (known after apply: aws::vpc.main.id)");
    assert_eq!(printed[1], "playbooks/main.rhai:2:16: id ${aws::vpc.main.id}");
    assert_eq!(printed[3], "playbooks/main.rhai:2:56: aws::vpc.main");
}

#[test]
fn a_whole_resource_is_not_looked_at() {
    assert_eq!(
        play("if vpc == 1 { }").bad(),
        [
            "playbooks/main.rhai:2:8: a whole resource cannot be looked at: `aws::vpc.main` (hint: name one of its attributes: \
          `arn`, `id`, `identity`, `nodes`, `ready`, `size`, `tag`, `zones`, `cidr_block`, `enable_dns`, `tags`)"
        ]
    );
    assert_eq!(play("let other = vpc; output(\"x\", vpc == other);").outputs(), r#"{"x":true}"#);
}

#[test]
fn a_template_embeds_references_and_stops_where_it_looks_at_one() {
    let mut play = play("output(\"x\", template(\"t\", #{ id: vpc.id, ready: vpc.ready }));");
    play.files = Some(Arc::new(Renders(|path: &str, values: &Map| match &values["ready"] {
        Value::Bool(ready) => rendered(Value::text(vec![format!("{path} {ready} ").into(), values["id"].clone()])),
        Value::Reference(reference) => {
            Ok(Rendered::Sees { references: vec![reference.clone()], site: Site::new("templates/t", 3, 7) })
        }
        _ => unreachable!(),
    })));
    assert_eq!(play.outputs(), "stopped at templates/t:3:7: [\"aws::vpc.main.ready\"]");
    let play = play.knows("aws::vpc.main.ready", true);
    let Value::Text(parts) = &play.good().outputs[0].value else { panic!() };
    assert_eq!(parts[0], "t true ".into());
    let Value::Reference(reference) = &parts[1] else { panic!() };
    assert_eq!(reference.path, [Segment::Key("id".into())]);
}

#[test]
fn a_secret_is_passed_on_and_never_looked_at() {
    let inputs = play("aws::vpc(\"b\", #{ cidr_block: `x-${secret(\"database\")}` });").good();
    let wanted = Value::text(vec!["x-".into(), Reference::secret("database").into()]);
    assert_eq!(inputs.declarations.iter().last().unwrap().inputs["cidr_block"], wanted);
    assert_eq!(wanted.to_string(), "x-${secret database}");
    assert_eq!(
        play("secret(\"databse\");").bad(),
        ["playbooks/main.rhai:2:1: the inventory names no secret `databse` (hint: did you mean `database`?)"]
    );
}
