//! The forms of a plan: text with its reasons, Markdown for a review, JSON by its schema.

use serde_json::{Value as Json, json};

use crate::project::{Project, last};

fn offline() -> Project {
    Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9")
}

fn schema() -> Json {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plan.schema.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// What in a document is not as the schema says: as far as the schema of a plan goes, and a field that it does not
/// know is wrong too.
fn misfits(root: &Json, schema: &Json, value: &Json, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return misfits(root, root.pointer(name.strip_prefix('#').unwrap()).unwrap(), value, at);
    }
    let mut wrong = vec![];
    for key in schema.as_object().into_iter().flatten().map(|(key, _)| key.as_str()) {
        let known = [
            "$schema",
            "$defs",
            "title",
            "description",
            "default",
            "format",
            "type",
            "anyOf",
            "oneOf",
            "enum",
            "const",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "minimum",
            "maximum",
        ];
        assert!(known.contains(&key), "the test has to learn `{key}`");
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let all: Vec<Vec<String>> = choices.iter().map(|one| misfits(root, one, value, at)).collect();
            if !all.iter().any(Vec::is_empty) {
                return all.into_iter().min_by_key(Vec::len).unwrap();
            }
        }
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        wrong.push(format!("{at}: {value} is none of {values:?}"));
    }
    if let Some(one) = schema.get("const")
        && one != value
    {
        wrong.push(format!("{at}: {value} is not {one}"));
    }
    let kind = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let types: Vec<&str> = match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ => vec![kind],
    };
    if !types.contains(&kind) {
        wrong.push(format!("{at}: {kind} in place of {types:?}"));
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for (index, item) in list.iter().enumerate() {
            wrong.extend(misfits(root, items, item, &format!("{at}[{index}]")));
        }
    }
    if let (Some(properties), Some(map)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, value) in map {
            match properties.get(name) {
                Some(known) => wrong.extend(misfits(root, known, value, &format!("{at}.{name}"))),
                None => wrong.push(format!("{at}.{name}: not in the schema")),
            }
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if !map.contains_key(name.as_str().unwrap()) {
                wrong.push(format!("{at}.{name} is missing"));
            }
        }
    }
    wrong
}

#[track_caller]
fn fits(text: &str) -> Json {
    let document: Json = serde_json::from_str(text).unwrap();
    let schema = schema();
    assert_eq!(misfits(&schema, &schema, &document, ""), [""; 0]);
    // The types that the schema is made of read it back without a loss.
    let read: runner::report::plan_json::Document = serde_json::from_str(text).unwrap();
    assert!(serde_json::to_value(&read).unwrap() == document, "something is lost");
    document
}

#[test]
fn the_schema_in_the_documentation_is_that_of_the_types() {
    let said = Project::new("").run("doc --schema").code(0).out;
    assert!(serde_json::from_str::<Json>(&said).unwrap() == schema(), "runner doc --schema > docs/plan.schema.json");
}

/// A small network of the sandbox: a VPC, two subnets, a security group in it.
const NETWORK: &str = r#"
let env = inventory();
let vpc = phase("network", || aws::vpc("main", #{ cidr_block: env.cidr, tags: #{ Team: env.team } }));
phase("subnets", || {
    for (range, i) in env.ranges {
        aws::subnet(`s${i}`, #{ vpc_id: vpc.id, cidr_block: range, tags: #{ Within: vpc.cidr_block } });
    }
});
output("vpc", vpc.id);
"#;

const INVENTORY: &str = "cidr = \"10.0.0.0/16\"\nteam = \"a\"\nranges = [\"10.0.1.0/24\", \"10.0.2.0/24\"]\n";

fn network() -> Project {
    let project = Project::new(INVENTORY).file("playbooks/prod.rhai", NETWORK);
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    project
}

const MOVED: &str = "playbooks/prod.rhai --sandbox --dry-run --set cidr=\"10.1.0.0/16\" \
                     --set ranges=[\"10.1.1.0/24\",\"10.1.2.0/24\"]";

#[test]
fn real_plans_are_as_the_schema_says() {
    let prod = fits(&offline().run("playbooks/prod.rhai --sandbox --dry-run --format json").code(0).out);
    assert_eq!(prod["changes"].as_array().unwrap().len(), 145);
    let project = network();
    let moved = fits(&project.run(&format!("{MOVED} --format json")).code(0).out);
    let subnet = moved["changes"].as_array().unwrap().iter().find(|c| c["address"] == "aws::subnet.s0").unwrap();
    assert_eq!(subnet["because"], json!([{ "address": "aws::vpc.main", "action": "replace" }]));
    assert_eq!(subnet["uses"], json!(["aws::vpc.main"]));
    let field = |path: &str| subnet["fields"].as_array().unwrap().iter().find(|f| f["path"] == path).unwrap();
    assert_eq!(
        (&field("vpc_id")["knowledge"], &field("vpc_id")["rests_on"]),
        (&json!("unknown"), &json!(["aws::vpc.main.id"]))
    );
    let within = field("tags.Within");
    assert_eq!(
        (&within["knowledge"], &within["rests_on"]),
        (&json!("predicted"), &json!(["aws::vpc.main.cidr_block"]))
    );
    assert_eq!((&within["after"], &within["known"]), (&json!("10.1.0.0/16"), &json!(true)));
    assert_eq!(field("cidr_block")["knowledge"], "known");
    let vpc = moved["changes"].as_array().unwrap().iter().find(|c| c["address"] == "aws::vpc.main").unwrap();
    assert!(
        vpc["takes_down"].as_array().unwrap().contains(&json!({ "address": "aws::subnet.s0", "action": "replace" }))
    );
    fits(&project.run("destroy playbooks/prod.rhai --sandbox --dry-run --format json").code(0).out);
    let stage = "let a = aws::eip(\"a\", #{ domain: \"vpc\" });\nif a.public_ip == \"1.2.3.4\" { throw 1 }";
    project.write("playbooks/stage.rhai", stage);
    let stage = fits(&project.run("playbooks/stage.rhai -i prod --sandbox --dry-run --format json").code(0).out);
    assert_eq!(stage["stop"]["references"], json!(["aws::eip.a.public_ip"]));
    project.write("playbooks/wrong.rhai", "throw \"out of cheese\";");
    let wrong = fits(&project.run("playbooks/wrong.rhai -i prod --sandbox --dry-run --format json").code(1).out);
    assert_eq!(wrong["diagnostics"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_protected_is_seen_and_stays() {
    let project = Project::new("").file(
        "playbooks/prod.rhai",
        "aws::eip(\"kept\", #{ domain: \"vpc\" }, #{ protect: true });\naws::eip(\"other\", #{ domain: \"vpc\" });\n",
    );
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    for args in ["--dry-run", "--yes", "--dry-run --plan-out plan"] {
        let said = project.run(&format!("destroy playbooks/prod.rhai --sandbox {args}")).code(1);
        assert!(said.out.contains("- aws::eip.other") && said.out.contains("- aws::eip.kept"), "{}", said.out);
        assert!(said.out.contains("! it is protected, and is not deleted"), "{}", said.out);
        assert!(said.err.contains("aws::eip.kept is protected"), "{}", said.err);
        assert_eq!(said.err.contains("No plan was saved to plan."), args.contains("plan-out"), "{}", said.err);
        assert!(!project.path("plan").exists());
    }
    fits(&project.run("destroy playbooks/prod.rhai --sandbox --dry-run --format json").code(1).out);
    project.run("playbooks/prod.rhai --sandbox --detailed-exitcode").code(64);
}

#[test]
fn a_saved_plan_is_shown_as_it_was_also_by_a_page_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let project = offline();
    let plan = project.run("playbooks/prod.rhai --sandbox --dry-run --format json --plan-out plan").code(0);
    let (shown, plan) = (fits(&project.run("show plan --format json").code(0).out), fits(&plan.out));
    assert_eq!(shown, plan);
    assert_eq!(plan["left_out"][0]["address"], "k8s::manifest.argocd");
    project.run("show plan --report page.html").code(0);
    let page = project.read("page.html");
    assert!(page.split("<noscript><p").nth(1).unwrap().contains(" + aws::vpc.prod "), "it is a text too");
    let mode = std::fs::metadata(project.path("page.html")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_replacement_says_what_it_takes_with_it_and_that_says_why() {
    let project = network();
    let plan = project.run(MOVED).code(0).out;
    assert!(plan.starts_with("Destroys 3 resources:\n"), "{plan}");
    for line in [
        "\"10.0.0.0/16\" -> \"10.1.0.0/16\"  # forces replacement\n",
        "        takes with it: aws::subnet.s0, aws::subnet.s1\n",
        "because aws::vpc.main is replaced  playbooks/prod.rhai:6\n",
        "(known after apply: aws::vpc.main.id)  # forces replacement\n",
        "~ tags.Within: \"10.0.0.0/16\" -> \"10.1.0.0/16\"  # as planned: aws::vpc.main.cidr_block\n",
    ] {
        assert!(plan.contains(line), "no {line:?} in\n{plan}");
    }
    let whole = offline().run("playbooks/prod.rhai --sandbox --dry-run").code(0).out;
    let counts: Vec<&str> = whole.lines().rev().take(20).collect();
    assert!(counts.iter().any(|line| line.starts_with("  create   ") && line.contains(" aws::subnet")), "{counts:?}");
    assert!(counts.iter().any(|line| line.starts_with("  phases   network: create 18, ")), "{counts:?}");
    assert_eq!(last(&whole), "Plan: 145 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    // An object reads as the YAML that it is.
    assert!(whole.contains("\n        spec:\n          minReadySeconds: 10\n"), "{whole}");
}

#[test]
fn markdown_is_a_comment_that_fits() {
    let project = offline();
    let plan = project.run("playbooks/prod.rhai --sandbox --dry-run --format markdown").code(0).out;
    assert!(
        plan.starts_with("### Plan for `prod`: 145 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged\n")
    );
    assert!(plan.chars().count() < 65_536, "{}", plan.chars().count());
    assert!(plan.contains("<details><summary><code>network</code>: 18 to create</summary>\n"), "{plan}");
    let named = |line: &&str| line.starts_with("+ ") && !line.starts_with("+  ");
    assert_eq!(plan.lines().filter(named).count(), 145, "each is named\n{plan}");
    let folded = plan.split("**Folded to fit a comment:** ").nth(1).expect("not all of it fits");
    let folded: usize = folded.split(' ').next().unwrap().parse().unwrap();
    assert!(folded < 145 && plan.chars().count() > 55_000, "the room is used, and {folded} are folded\n{plan}");
    assert!(plan.contains("\n+     cidr_block: \"10.0.0.0/16\"\n"), "what is short is whole\n{plan}");
    let left = "> **Left out of this plan:**\n> - `k8s::manifest.argocd`";
    assert!(plan.contains(left), "{plan}");
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let open = "--set database.protect=false --set edge.protect=false";
    let gone =
        project.run(&format!("destroy playbooks/prod.rhai --sandbox --dry-run --format markdown {open}")).code(1);
    let stays = "**delete** `aws::instance.sqlserver` (";
    let stays = gone.out.lines().find(|line| line.contains(stays)).expect("it is in the plan");
    assert!(stays.contains("; **it is protected, and is not deleted**"), "{stays}");
    assert!(gone.err.contains("aws::instance.sqlserver is protected"), "{}", gone.err);
    project.run(&format!("playbooks/prod.rhai --sandbox --yes {open}")).code(0);
    let gone =
        project.run(&format!("destroy playbooks/prod.rhai --sandbox --dry-run --format markdown {open}")).code(0);
    assert!(gone.out.chars().count() < 65_536);
    let plan: Json = serde_json::from_str(
        &project.run(&format!("destroy playbooks/prod.rhai --sandbox --dry-run --format json {open}")).code(0).out,
    )
    .unwrap();
    let changes = plan["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 145);
    for change in changes {
        let name = change["name"].as_str().unwrap();
        assert!(gone.out.contains(name), "{name} is named");
    }
    let wrong =
        project.run("playbooks/prod.rhai --sandbox --dry-run --format markdown --set apps.api.answers=1").code(1);
    assert!(wrong.out.starts_with("### No plan: 1 finding\n\n```text\nerror: "), "{}", wrong.out);
    for args in ["playbooks/prod.rhai", "destroy playbooks/prod.rhai --yes", "output playbooks/prod.rhai"] {
        let said = project.run(&format!("{args} --sandbox --format markdown")).code(64);
        assert!(said.err.contains("it goes with --dry-run"), "{}", said.err);
    }
}
