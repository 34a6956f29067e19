//! Hostile projects: a playbook or a template cannot run forever, exhaust memory, overflow the stack, or read outside.
//! Each is run by the binary with little memory to have; what stops it must be told where it stands.

use crate::project::{Project, Said};

/// With 2.5 GB of address space, most of which is reserved for stacks and never used.
fn confined(project: &Project, command: &str) -> Said {
    project.shell(&format!("ulimit -v 2500000; exec runner {command}"))
}

#[track_caller]
fn stopped(name: &str, said: &Said, expected: &str) {
    let told = format!("{}{}", said.out, said.err);
    let shown: String = told.chars().take(600).collect();
    assert_eq!(said.code, 1, "{name}: {shown}");
    assert!(told.contains(expected), "{name}: {shown}");
}

fn playbook(text: &str) -> Said {
    let project = Project::new("x = 1\n").file("playbooks/prod.rhai", text);
    confined(&project, "playbooks/prod.rhai --sandbox --dry-run")
}

fn template(text: &str) -> Said {
    let project = Project::new("x = 1\n").file("templates/t.txt", text);
    confined(&project, "render t.txt -i prod")
}

const BIG: &str = "let big = \"x\"; for i in 0..22 { big += big; }\n";

#[test]
fn a_script_ends() {
    for (name, text, expected) in [
        ("recursion", "fn f(x) { f(x + 1) }\nf(0);", "deep"),
        ("a circle of functions", "fn a(x) { b(x) }\nfn b(x) { a(x) }\na(0);", "deep"),
        ("a closure", "let f = |x, f| f.call(x, f); f.call(1, f);", "deep"),
        ("through map", "fn f(x) { [1].map(|y| f(y)) }\nf(1);", "deep"),
        ("through phase", "fn f(n) { phase(`p${n}`, || f(n + 1)) }\nf(1);", "deep"),
        ("a flood", "loop { print(\"x\"); }", "prints more than 10000 times"),
        ("a flood of bytes", "let s = \"x\"; for i in 0..20 { s += s; } loop { print(s); }", "prints more than 16 MiB"),
        ("doubled text", "let s = \"x\"; loop { s += s; }", "grows too large"),
        ("doubled list", "let s = [1]; loop { s += s; }", "grows too large"),
        ("a map in itself", "let s = #{}; let i = 0; loop { s[`k${i}`] = s; i += 1; }", "grows too large"),
        ("a huge pad", "let s = []; s.pad(1000000000, 1);", "grows too large"),
        (
            "a map nested in itself",
            "let a = 1; for i in 0..300 { a = #{ a: a }; } output(\"a\", a);",
            "nested more than 100 deep",
        ),
        ("a list nested in itself", "let a = 1; for i in 0..200000 { a = [a]; }", "nested more than 100 deep"),
        ("a map nested in a map", "let a = #{}; for i in 0..200000 { a = #{ a: a }; }", "nested more than 100 deep"),
        (
            "a field over itself",
            "let a = #{}; for i in 0..200000 { let b = #{}; b.a = a; a = b; }",
            "more than 100 deep",
        ),
        ("pushed", "let a = []; for i in 0..200000 { let b = []; b.push(a); a = b; }", "more than 100 deep"),
        ("pushed into what was copied", "let a = [1]; loop { let b = a; a.clear(); a.push(b); }", "more than 100 deep"),
        ("inserted", "let a = [1]; loop { let b = a; a.clear(); a.insert(0, b); }", "more than 100 deep"),
        ("set", "let a = [1]; loop { let b = a; a.set(0, b); }", "more than 100 deep"),
        ("mixed in", "let a = #{ a: 1 }; loop { let b = a; a.mixin(#{ a: b }); }", "more than 100 deep"),
        ("reduced", "let l = []; l.pad(40000, 1); l.reduce(|a, x| [a], 1);", "nested more than 100 deep"),
        ("sleep", "sleep(1000);", "not part of playbooks"),
        ("eval", "eval(\"1\");", "eval"),
    ] {
        stopped(name, &playbook(text), expected);
    }
}

#[test]
fn a_script_takes_a_bounded_amount_of_memory() {
    for (name, text) in [
        ("a map filled key by key", "let a = #{}; let i = 0; loop { a[`k${i}`] = big + i; i += 1; }"),
        ("outputs", "for i in 0..2000 { output(`o${i}`, big + i); }"),
        ("tags", "for i in 0..2000 { aws::vpc(`v${i}`, #{ cidr_block: \"10.0.0.0/16\", tags: #{ a: big + i } }); }"),
    ] {
        stopped(name, &playbook(&format!("{BIG}{text}")), "takes more than 512 MiB of memory");
    }
}

#[test]
fn an_expression_is_of_a_size_to_be_read() {
    let many = |open: &str, middle: &str, close: &str| {
        format!("let x = {}{middle}{};", open.repeat(50_000), close.repeat(50_000))
    };
    for (name, text) in [
        ("parentheses", many("(", "1", ")")),
        ("lists", many("[", "", "]")),
        ("maps", many("#{a:", "1", "}")),
        ("not", many("!", "true", "")),
        ("sums", many("1+", "1", "")),
        ("and", many("true&&", "true", "")),
        ("attributes", format!("let x = #{{}}; x{};", ".a".repeat(50_000))),
        ("closures", many("|a| ", "1", "")),
        ("texts", many("`${", "1", "}`")),
        ("branches", format!("if false {{}} {}", "else if false {} ".repeat(50_000))),
        ("blocks", format!("{}{}", "{".repeat(50_000), "}".repeat(50_000))),
    ] {
        stopped(name, &playbook(&text), "nested too deeply");
    }
}

#[test]
fn a_template_ends_and_makes_a_bounded_amount_of_text() {
    for (name, text) in [
        (
            "loops",
            "{% for a in range(10000) %}{% for a in range(10000) %}{% for a in range(10000) %}{% endfor %}{% endfor %}{% endfor %}",
        ),
        (
            "doubled",
            "{% set n = namespace(s=\"x\") %}{% for a in range(40) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
        ),
        (
            "captured",
            "{% set n = namespace(s=\"x\") %}{% for a in range(40) %}{% set t %}{{ n.s }}{{ n.s }}{% endset %}{% set n.s = t %}{% endfor %}{{ n.s }}",
        ),
        (
            "lists",
            "{% set n = namespace(s=[1]) %}{% for a in range(40) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s | length }}",
        ),
        (
            "a list twice in itself",
            "{% set n = namespace(s=[1]) %}{% for a in range(40) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
        ),
        (
            "a list twice in itself, far inside",
            "{% set n = namespace(s=[1]) %}{% for a in range(40) %}{% set n.s = [n.s, n.s] %}{% endfor %}{% for a in range(90) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s }}",
        ),
        (
            "a deep list",
            "{% set n = namespace(s=[1]) %}{% for a in range(9000) %}{% for a in range(9) %}{% set n.s = [n.s] %}{% endfor %}{% endfor %}{{ n.s }}",
        ),
        (
            "a deep map",
            "{% set n = namespace(s=1) %}{% for a in range(9000) %}{% for a in range(9) %}{% set n.s = {\"a\": n.s} %}{% endfor %}{% endfor %}{{ n.s }}",
        ),
        ("a namespace in itself", "{% set n = namespace(s=1) %}{% set n.s = n %}{{ n.s }}"),
        (
            "calls with ever deeper lists",
            "{% macro m(x) %}{{ m([[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]) }}{% endmacro %}{{ m(1) }}",
        ),
        (
            "as YAML",
            "{% set n = namespace(s=[1]) %}{% for a in range(40) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s | to_yaml }}",
        ),
        (
            "replaced",
            "{% set n = namespace(s=\"xx\") %}{% for a in range(40) %}{% set n.s = n.s | replace(\"x\", n.s) %}{% endfor %}{{ n.s }}",
        ),
        ("joined", "{% set b = \"x\" * 1000000 %}{{ range(10000) | join(b) }}"),
        ("indented", "{{ \"x\\ny\" | indent(10000000000) }}"),
        ("formatted", "{{ \"%010000000000d\" | format(1) }}"),
        ("repeated", "{{ \"x\" * 100000000000 }}"),
        ("itself", "{% include \"t.txt\" %}"),
        ("a macro", "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}"),
    ] {
        stopped(name, &template(text), "t.txt");
    }
}

/// Some lists are made only while they are gone through. One of those in the next, and so on, must not take a frame of the
/// stack each.
#[test]
fn a_list_made_of_another_many_times_over_is_a_list() {
    let rounds = |start: &str, step: &str, end: &str| {
        let inner = format!(
            "{{% for a in range(9000) %}}{{% for a in range(3) %}}{{% set n.s = {step} %}}{{% endfor %}}{{% endfor %}}"
        );
        format!("{{% set n = namespace(s={start}) %}}{inner}{{{{ {end} }}}}")
    };
    for (start, step, end, expected) in [
        ("[7]", "n.s[0:]", "n.s", "[7]"),
        ("[7]", "n.s[::-1]", "n.s", "[7]"),
        ("[7]", "n.s|reverse", "n.s", "[7]"),
        ("[7]", "n.s * 1", "n.s", "[7]"),
        ("[7]", "n.s|chain([])", "n.s", "[7]"),
        ("{\"a\": 7}", "n.s|chain({})", "n.s.a", "7"),
        ("[[7]]", "[n.s[0][0:]]", "n.s", "[[7]]"),
        ("[7]", "n.s|map(\"int\")", "n.s", "[7]"),
    ] {
        let said = template(&rounds(start, step, end));
        assert_eq!((said.code, said.out.as_str()), (0, expected), "{step}: {}", said.err);
    }
}

#[test]
fn a_template_that_goes_on_is_told_its_bound_and_what_to_look_for() {
    let loops = "{% for a in range(10000) %}{% for a in range(10000) %}{% endfor %}{% endfor %}";
    let said = template(loops);
    stopped("loops", &said, "it takes more than 1000000 steps");
    stopped("loops", &said, "hint: look for loops inside of loops");
}

fn manifest(text: &[u8]) -> Said {
    let call = "k8s::manifest(\"m\", #{ cluster: k8s::cluster(\"main\", #{ cluster_name: \"x\", endpoint: \"https://127.0.0.1:1\",
        certificate_authority_data: \"eA==\" }), file: \"m.yaml\" });";
    let project = Project::new("x = 1\n").file("playbooks/prod.rhai", call).file("templates/m.yaml", "");
    std::fs::write(project.path("templates/m.yaml"), text).unwrap();
    confined(&project, "playbooks/prod.rhai --sandbox --dry-run")
}

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn a_manifest_is_read_or_refused_in_bounded_time_and_memory() {
    let mut laughs = format!("{CONFIG_MAP}data:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (one, two) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        laughs.push_str(&format!("  {two}: &{two} [{}]\n", vec![format!("*{one}"); 10].join(", ")));
    }
    let long = format!("{CONFIG_MAP}data:\n  a: &a {}\n  b: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(50_000));
    let documents = |count: usize, text: &str| -> String {
        (0..count).map(|at| format!("---\n{}{text}", CONFIG_MAP.replace("name: a", &format!("name: a{at}")))).collect()
    };
    let squares = documents(2000, &format!("x:\n  a: &a [{}]\n  b: [{}]\n", "x,".repeat(900), "*a,".repeat(90)));
    let texts = documents(10, &format!("x:\n  a: &a {}\n  b: [{}]\n", "x".repeat(600_000), "*a,".repeat(90)));
    let nested =
        |open: &str, close: &str| format!("{CONFIG_MAP}data: {}x{}\n", open.repeat(50_000), close.repeat(50_000));
    let steps: String = (1..5000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let data = |text: &str| format!("{CONFIG_MAP}data: {text}\n");
    let too_much = "it comes to more than 1000000 values or 64 MiB of text";
    for (name, text, expected) in [
        ("a billion laughs", laughs, "comes to more than"),
        ("a long text, again and again", long, too_much),
        ("much in each of many documents", squares, too_much),
        ("long texts in each of many documents", texts, too_much),
        ("lists", nested("[", "]"), "nested more than 100 deep"),
        ("maps", nested("{a: ", "}"), "nested more than 100 deep"),
        ("steps", data(&format!("\n{steps}")), "nested more than 100 deep"),
        ("lists of lists", format!("{CONFIG_MAP}data:\n  {}x\n", "- ".repeat(50_000)), "nested more than 100 deep"),
        ("an anchor in itself", data("&a {a: *a}"), "templates/m.yaml:4"),
        ("an alias of nothing", data("*nothing"), "templates/m.yaml:4"),
        ("no base64", data("{a: !!binary '?'}"), "base64"),
        ("twice the same key", data("{a: b, a: c}"), "the key `a` stands twice"),
        ("a key that is a list", data("{[a, b]: c}"), "expected string"),
        ("no number", data("{a: 1e999}"), "1e999"),
        ("half a character", data("\"\\uD800\""), "surrogate"),
        ("no objects", "---\na\n".repeat(2_000), "an object is a map"),
        ("many documents", "---\na\n".repeat(200_000), "it has more than 10000 documents"),
        ("no YAML", "---\n]\n".repeat(2_000), "templates/m.yaml:2"),
        ("the same object", documents(1, "").repeat(2_000), "is there twice"),
        (
            "a list in a list",
            format!("{}{}", "{kind: List, items: [".repeat(60), "]}".repeat(60)),
            "nested more than 100 deep",
        ),
        ("a large file", "#".repeat(17 << 20), "has more than 16 MiB"),
    ] {
        let said = manifest(text.as_bytes());
        stopped(name, &said, expected);
        assert!(said.out.len() + said.err.len() < 1 << 20, "{name} says {} bytes", said.out.len() + said.err.len());
    }
    stopped("no text", &manifest(&[0xff, 0xfe, b'a']), "UTF-8");
    // A tag that nobody knows does nothing.
    for (text, shown) in [("!include /etc/passwd", "data: /etc/passwd"), ("!!python/object:os.system x", "data: x")] {
        let tagged = manifest(data(text).as_bytes());
        assert!(tagged.code == 0 && tagged.out.contains(shown) && !tagged.out.contains("root:"), "{}", tagged.out);
    }
    let many = manifest(documents(2000, "").as_bytes());
    assert_eq!(many.code, 0, "what is only large is read: {}", many.err);
}

/// It is asked of each change anew what it says, and once it has said too much of one it is asked no more.
#[test]
fn a_policy_cannot_flood() {
    let declared = "for i in 0..50 { aws::vpc(`v${i}`, #{ cidr_block: \"10.0.0.0/16\" }); }";
    let project = Project::new("x = 1\n").file("playbooks/prod.rhai", declared);
    project.write("playbooks/policies/p.rhai", "fn change(c) { loop { warn(\"x\"); } }");
    let said = confined(&project, "playbooks/prod.rhai --sandbox --dry-run");
    stopped("a flood of warnings", &said, "says more than 10000 times");
    assert_eq!(format!("{}{}", said.out, said.err).matches("says more than").count(), 1);
}

#[test]
fn a_tag_of_a_template_is_of_a_size_to_be_read() {
    let many = |open: &str, middle: &str, close: &str| {
        format!("{{{{ {}{middle}{} }}}}", open.repeat(20_000), close.repeat(20_000))
    };
    for (name, text, expected) in [
        ("and", many("1 and ", "1", ""), "more than 500 words and signs"),
        ("sums", many("1+", "1", ""), "more than 500 words and signs"),
        ("not", many("not ", "1", ""), "more than 500 words and signs"),
        ("minus", many("-", "1", ""), "more than 500 words and signs"),
        ("filters", many("", "1", "|string"), "more than 500 words and signs"),
        ("attributes", many("", "x", ".a"), "more than 500 words and signs"),
        ("choices", many("1 if 1 else ", "1", ""), "more than 500 words and signs"),
        ("lists", many("[", "", "]"), "more than 500 words and signs"),
        ("branches", format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(20_000)), "more than 200 `elif`"),
    ] {
        stopped(name, &template(&text), expected);
    }
}

#[test]
fn nothing_outside_of_the_project_is_read() {
    let secret = "NOTAREALSECRET";
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x.rhai"), format!("fn {secret}() {{ 1 }}")).unwrap();
    std::fs::write(outside.path().join("x.txt"), secret).unwrap();
    let project = Project::new("x = 1\n").file("playbooks/prod.rhai", "").file("templates/t.txt", "");
    std::os::unix::fs::symlink(outside.path().join("x.rhai"), project.path("playbooks/link.rhai")).unwrap();
    std::os::unix::fs::symlink(outside.path(), project.path("playbooks/folder")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.txt"), project.path("templates/link.txt")).unwrap();
    std::os::unix::fs::symlink(outside.path(), project.path("templates/folder")).unwrap();
    let include = |file: &str| format!("{{% include \"{file}\" %}}");
    project.write("templates/include.txt", &include("link.txt"));
    project.write("templates/deep.txt", &include("folder/x.txt"));
    project.write("templates/up.txt", &include("../../etc/passwd"));
    let manifest = |file: &str| {
        let cluster = "k8s::cluster(\"c\", #{ cluster_name: \"c\", endpoint: \"https://127.0.0.1:1\", certificate_authority_data: \"eA==\" })";
        format!("k8s::manifest(\"m\", #{{ cluster: {cluster}, file: \"{file}\" }});")
    };
    let path = outside.path().display();
    for (name, text, expected) in [
        ("upwards", "import \"../../etc/passwd\" as p;".to_owned(), "leaves the playbook's folder"),
        ("absolute", format!("import \"{path}/x\" as p;"), "leaves the playbook's folder"),
        ("a link", "import \"link\" as p;".to_owned(), "leaves the playbook's folder"),
        ("a linked folder", "import \"folder/x\" as p;".to_owned(), "leaves the playbook's folder"),
        ("a template upwards", "output(\"a\", template(\"../../etc/passwd\", #{}));".to_owned(), "outside"),
        ("an absolute template", format!("output(\"a\", template(\"{path}/x.txt\", #{{}}));"), "outside"),
        ("a linked template", "output(\"a\", template(\"link.txt\", #{}));".to_owned(), "outside"),
        ("an included link", "output(\"a\", template(\"include.txt\", #{}));".to_owned(), "outside"),
        ("an included file of a linked folder", "output(\"a\", template(\"deep.txt\", #{}));".to_owned(), "outside"),
        ("an included path upwards", "output(\"a\", template(\"up.txt\", #{}));".to_owned(), "outside"),
        ("a linked manifest", manifest("link.txt"), "outside"),
        ("a manifest in a linked folder", manifest("folder/x.txt"), "outside"),
        ("a manifest upwards", manifest("../../x.txt"), "outside"),
        ("an absolute manifest", manifest(&format!("{path}/x.txt")), "outside"),
    ] {
        project.write("playbooks/prod.rhai", &text);
        let said = confined(&project, "playbooks/prod.rhai --sandbox --dry-run");
        stopped(name, &said, expected);
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{name}: {}{}", said.out, said.err);
    }
    let quiet = |name: &str, said: &Said| {
        stopped(name, said, "outside");
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{name}: {}{}", said.out, said.err);
    };
    for file in ["link.txt", "folder/x.txt", "include.txt", "deep.txt", "up.txt"] {
        quiet(file, &confined(&project, &format!("render {file} -i prod")));
        let said = confined(&project, &format!("render templates/{file} -i prod"));
        assert!(said.code == 1 && !said.out.contains(secret) && !said.err.contains(secret), "{file}: {}", said.err);
    }
    // Whole folders, and inventories: no TOML, so that its line would be shown.
    project.write("playbooks/prod.rhai", "output(\"a\", template(\"x.txt\", #{}));");
    std::fs::write(outside.path().join("x.toml"), secret).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.toml"), project.path("inventory/x.toml")).unwrap();
    std::os::unix::fs::symlink(outside.path(), project.path("inventory/folder")).unwrap();
    quiet("a linked inventory", &confined(&project, "playbooks/prod.rhai -i x --sandbox --dry-run"));
    for (name, base) in [("an inventory that extends a link", "x"), ("one of a linked folder", "folder/x")] {
        project.write("inventory/prod.toml", &format!("extends = \"{base}\"\n"));
        quiet(name, &confined(&project, "playbooks/prod.rhai --sandbox --dry-run"));
    }
    project.write("inventory/prod.toml", "x = 1\n");
    // Policies: no Rhai, so that its line would be shown; and those of a whole folder.
    project.write("playbooks/prod.rhai", "output(\"a\", 1);");
    std::fs::write(outside.path().join("p.rhai"), secret).unwrap();
    std::fs::create_dir(project.path("playbooks/policies")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("p.rhai"), project.path("playbooks/policies/p.rhai")).unwrap();
    for what in ["a linked policy", "linked policies"] {
        quiet(what, &confined(&project, "playbooks/prod.rhai --sandbox --dry-run"));
        quiet(what, &confined(&project, "check playbooks/prod.rhai"));
        std::fs::remove_dir_all(project.path("playbooks/policies")).unwrap();
        std::os::unix::fs::symlink(outside.path(), project.path("playbooks/policies")).unwrap();
    }
    std::fs::remove_file(project.path("playbooks/policies")).unwrap();
    project.write("playbooks/prod.rhai", "output(\"a\", template(\"x.txt\", #{}));");
    std::fs::remove_dir_all(project.path("templates")).unwrap();
    std::os::unix::fs::symlink(outside.path(), project.path("templates")).unwrap();
    quiet("linked templates", &confined(&project, "playbooks/prod.rhai --sandbox --dry-run"));
    std::fs::rename(project.path("inventory"), project.path("stacks")).unwrap();
    std::os::unix::fs::symlink(outside.path(), project.path("inventory")).unwrap();
    quiet("linked inventories", &confined(&project, "playbooks/prod.rhai -i x --sandbox --dry-run"));
}

/// A pipe never begins, and some files never end.
#[test]
fn what_is_no_text_of_a_project_is_not_waited_for() {
    for file in ["playbooks/prod.rhai", "playbooks/m.rhai", "playbooks/policies/p.rhai", "inventory/prod.toml"] {
        for (how, expected) in [("mkfifo", "it is no file"), ("truncate -s 17M", "it has more than 16 MiB")] {
            let project = Project::new("x = 1\n").file("playbooks/prod.rhai", "import \"m\" as m;");
            project.write("playbooks/m.rhai", "");
            project.shell(&format!("mkdir -p playbooks/policies; rm -f {file}; {how} {file}")).code(0);
            stopped(&format!("{how} {file}"), &confined(&project, "playbooks/prod.rhai --sandbox --dry-run"), expected);
        }
    }
}

#[test]
fn a_stack_cannot_be_called_by_a_path() {
    let project = Project::new("x = 1\n").file("playbooks/prod.rhai", "").file("up.toml", "x = 1\n");
    for name in ["../up", "../../etc/x", "a/b", "."] {
        let said = confined(&project, &format!("playbooks/prod.rhai -i {name} --sandbox --yes"));
        assert_ne!(said.code, 0, "{name}: {}{}", said.out, said.err);
        assert!(said.code > 0 && !said.err.contains("panicked"), "{name}: {}", said.err);
    }
}

#[test]
fn an_inventory_that_doubles_itself_ends() {
    let mut project =
        Project::new("extends = [\"i0\", \"i0\"]\n").file("playbooks/prod.rhai", "").file("inventory/i30.toml", "");
    for number in 0..30 {
        let text = format!("extends = [\"i{0}\", \"i{0}\"]\n", number + 1);
        project = project.file(&format!("inventory/i{number}.toml"), &text);
    }
    let said = confined(&project, "playbooks/prod.rhai --sandbox --dry-run");
    stopped("doubled", &said, "more than 100 files");
}
