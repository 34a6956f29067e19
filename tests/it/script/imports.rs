//! Modules: where they come from, and that files do not get into each other's way.

use super::Play;

#[test]
fn a_module_gives_functions_constants_and_closures() {
    let play = Play::new(
        r#"import "phases/net" as net;
           output("size", net::SIZE);
           output("twice", net::twice(4));
           output("later", net::later(5).call(1));
           output("mapped", [1, 2].map(net::adder(10)));"#,
    )
    .file(
        "playbooks/phases/net.rhai",
        r#"import "./inner" as inner;
           const SIZE = inner::HALF * 2;
           fn helper(x) { x * global::SIZE }
           fn twice(x) { helper(x) + inner::helper() }
           fn later(x) { |y| helper(x) + y }
           fn adder(n) { |x| x + n }"#,
    )
    .file("playbooks/phases/inner.rhai", "const HALF = 3; fn helper() { 100 }");
    assert_eq!(play.outputs(), r#"{"later":31,"mapped":[11,12],"size":6,"twice":124}"#);
}

#[test]
fn functions_of_one_name_are_not_confused() {
    let play = Play::new(
        r#"import "a" as a; import "b" as b;
           fn name() { "main" }
           fn twice(f) { f.call() + f.call() }
           output("a", a::run(|| name()));
           output("b", b::run(|| a::run(|| name())));
           output("own", name() + a::name() + b::name());
           output("pointer", a::run(Fn("name")));"#,
    )
    .file("playbooks/a.rhai", r#"fn name() { "a" } fn run(f) { name() + f.call() }"#)
    .file("playbooks/b.rhai", r#"fn name() { "b" } fn run(f) { name() + f.call() }"#);
    assert_eq!(play.outputs(), r#"{"a":"amain","b":"bamain","own":"mainab","pointer":"amain"}"#);
}

#[test]
fn a_place_is_in_the_file_it_is_in() {
    let play = Play::new(
        "import \"m\" as m;\n\nm::run(|| {\n  aws::subnet(\"x\", #{ vpc: 1 })\n});\nm::own();\nm::run(|| [1][7]);",
    )
    .file("playbooks/m.rhai", "fn run(f) {\n  f.call()\n}\nfn own() { aws::subnet(\"y\", #{ vpc: 1 }) }");
    let found: Vec<String> = play
        .run()
        .unwrap_err()
        .iter()
        .map(|d| d.places.iter().map(|p| p.site.to_string()).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        found,
        [
            "playbooks/main.rhai:4:8",
            "playbooks/main.rhai:4:8",
            "playbooks/m.rhai:4:17",
            "playbooks/m.rhai:4:17",
            "playbooks/main.rhai:7:15 playbooks/m.rhai:2:5 playbooks/main.rhai:7:4"
        ]
    );
}

#[test]
fn a_module_runs_once_and_before_the_playbook() {
    let play = Play::new("output(\"x\", 1); import \"a\" as a; import \"b\" as b; print(\"main\");")
        .file("playbooks/a.rhai", "import \"b\" as b; print(\"a\");")
        .file("playbooks/b.rhai", "print(\"b\");");
    play.good();
    let printed: Vec<String> = play.printed.lock().unwrap().clone();
    assert_eq!(printed, ["playbooks/b.rhai:1:1: b", "playbooks/a.rhai:1:18: a", "playbooks/main.rhai:1:51: main"]);
}

#[test]
fn an_import_does_not_leave_the_folder() {
    for path in ["../secret", "/etc/hostname", "phases/../../secret", "link", "linked/secret"] {
        let play = Play::new(&format!("import \"{path}\" as m;")).file("secret.rhai", "").file("out/secret.rhai", "");
        std::os::unix::fs::symlink(play.path("secret.rhai"), play.path("playbooks/link.rhai")).unwrap();
        std::os::unix::fs::symlink(play.path("out"), play.path("playbooks/linked")).unwrap();
        let found = play.bad();
        let expected = format!("playbooks/main.rhai:1:1: `{path}` leaves the playbook's folder");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    }
}

#[test]
fn a_circle_of_imports_shows_its_way() {
    let play = Play::new("import \"a\" as a;")
        .file("playbooks/a.rhai", "import \"b\" as b;")
        .file("playbooks/b.rhai", "\nimport \"a\" as a;");
    assert_eq!(
        play.bad(),
        [
            "playbooks/b.rhai:2:1: modules import each other in a circle: playbooks/a.rhai → playbooks/b.rhai → playbooks/a.rhai \
          (hint: move what they share into a module of its own)"
        ]
    );
}

#[test]
fn what_cannot_be_imported_is_told() {
    assert_eq!(
        Play::new("import \"nosuch\" as m;").bad(),
        ["playbooks/main.rhai:1:1: there is no module `nosuch` (hint: it would be the file `playbooks/nosuch.rhai`)"]
            .map(|line| line.to_owned())
    );
    assert_eq!(
        Play::new("let x = \"a\"; import x as m;").bad()[0],
        "playbooks/main.rhai:1:14: the path of an import must be plain text (hint: write it in quotes, without `${…}`: \
         `import \"phases/network\" as network;`)"
    );
    let private = Play::new("import \"m\" as m; m::f(); m::g(1); m::buidl(); m::NOPE; m::other();")
        .file("playbooks/m.rhai", "private fn f() { } fn g() { } fn build() { }");
    assert_eq!(
        private.bad(),
        [
            "playbooks/main.rhai:1:21: `m::f` is private to `playbooks/m.rhai`",
            "playbooks/main.rhai:1:29: `m::g` takes 0 argument(s), not 1",
            "playbooks/main.rhai:1:38: there is no function `m::buidl` (hint: did you mean `m::build`?)",
            "playbooks/main.rhai:1:47: there is no constant `m::NOPE`",
            "playbooks/main.rhai:1:59: there is no function `m::other`",
        ]
    );
}
