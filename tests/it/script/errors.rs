//! What a person reads when a playbook is wrong.

use runner::script::Limits;

use super::Play;

fn bad(text: &str) -> String {
    let found = Play::new(text).bad().join("\n");
    for word in ["EvalAltResult", "anon$", "__f0", "Dynamic", "runner::"] {
        assert!(!found.contains(word), "{found}");
    }
    found.replace("playbooks/main.rhai:", "")
}

#[test]
fn an_error_says_what_is_wrong_and_where() {
    let mut wrong = vec![];
    for (script, expected) in [
        ("let network = 1;\nlet x = netwrk;", "2:9: there is no variable `netwrk` (hint: did you mean `network`?)"),
        ("let x = ;", "1:9: unexpected ';'"),
        (
            "awss::vpc(1, 2);",
            "1:1: there is no module or provider `awss` (hint: a module is imported with `import \"path\" as awss;`)",
        ),
        ("aws::vpcc(\"a\", #{});", "1:6: there is no kind or lookup `aws::vpcc` (hint: did you mean `aws::vpc`?)"),
        ("aws::vpc(\"a\");", "1:6: `aws::vpc` takes 2 or 3 argument(s), not 1"),
        ("fn f(a) { a }\nif false { f(1, 2); }", "2:12: `f` takes 1 argument(s), not 2"),
        ("let x = [1].fliter(|y| y);", "1:13: there is no function `fliter` (hint: did you mean `filter`?)"),
        (
            "let v = aws::vpc(\"a\", #{ cidr_block: \"x\" });\nlet x = v.idd;",
            "2:11: `aws::vpc.a` has no attribute `idd` (hint: did you mean `id`?)",
        ),
        (
            "let v = aws::vpc(\"a\", #{ cidr_block: \"x\" });\nv.id = 3;",
            "2:3: `aws::vpc.a.id` is read-only (hint: a resource is what its declaration says: change its inputs where it is declared; what changes a text in place (`replace`, `trim`) is called on a variable: `let text = …; text.replace(…)`)",
        ),
        (
            "let env = inventory();\nlet x = env.network.nosuch;",
            "2:21: `network.nosuch` is not in the inventory `prod` (hint: define it in inventory/prod.toml (or a file it extends: inventory/common.toml))",
        ),
        (
            "fn f(net) { net.database.sise }\nf(inventory());",
            "1:26: `database.sise` is not in the inventory `prod` (hint: did you mean `size`? If not, define it in inventory/prod.toml) [2:1 `f` called from here]",
        ),
        ("let m = #{ a: 1 };\nlet x = m.b;", "2:11: this map has no `b`"),
        ("let x = 1 + #{};", "1:11: `+` cannot work on these values: integer, map"),
        ("let x = 1; if x { }", "1:15: a value of type bool is needed here, not of type integer"),
        ("throw \"no zone\";", "1:1: no zone"),
        ("let x = [1, 2][5];", "1:16: there is no item 5 in a list of 2"),
        ("let x = 1; x.size = 2;", "1:14: a value of type integer has no property `size`"),
        ("let x = 1; x.size;", "1:14: a value of type integer has no property `size`"),
        (
            "output(\" \", 1);",
            "1:1: the name of an output is empty (hint: `runner output PLAYBOOK NAME` asks for it by its name)",
        ),
        ("let x = 1 / 0;", "1:11: division by zero: 1 / 0"),
        ("const X = 1; X = 2;", "1:14: cannot assign to constant X"),
        (
            "fn f(n) { f(n + 1) }\nf(1);",
            "2:1: functions call each other more than 64 deep (hint: a function that calls itself has to come to an end)",
        ),
        ("let x = eval(\"1\");", "1:9: reserved keyword 'eval' is disabled"),
        (
            "sleep(1);",
            "1:1: `sleep` is not part of playbooks (hint: the engine waits for every resource that another one needs)",
        ),
        ("let f = |x| x.nosuch; f.call(#{});", "1:15: this map has no `nosuch` [1:25 called from here]"),
    ] {
        let found = bad(script);
        if found != expected {
            wrong.push(format!("{script}\n  says  {found}\n  not   {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_loop_without_end_is_stopped_wherever_it_is() {
    for script in [
        "loop { }",
        "[1].map(|x| { loop { } });",
        "let m = #{}; let i = 0; loop { m[`${i}`] = i; i += 1; }",
        "phase(\"x\", || { loop { } });",
    ] {
        let mut play = Play::new(script);
        play.limits = Limits { operations: 100_000, ..Limits::default() };
        let found = play.bad();
        assert!(found.len() == 1 && found[0].contains("the script runs for more than 100000 operations"), "{found:?}");
    }
}

#[test]
fn what_grows_without_end_is_stopped() {
    for script in ["let s = \"x\"; loop { s += s; }", "let a = [1]; loop { a += a; }"] {
        let found = Play::new(script).bad();
        assert!(found[0].contains("a value grows too large"), "{found:?}");
    }
}

#[test]
fn deep_recursion_is_an_error_and_no_crash() {
    for script in [
        "fn f(n) { let g = |x| f(x); g.call(n + 1) } f(1);",
        "fn f(n) { [n].map(|x| f(x + 1)) } f(1);",
        "fn f(n) { phase(`p${n}`, || f(n + 1)) } f(1);",
        "fn f(n) { if true { if true { if true { `${f(n + 1)}` } } } } f(1);",
    ] {
        let found = Play::new(script).bad();
        assert!(found[0].contains("functions call each other more than 64 deep"), "{script}: {found:?}");
    }
    let nested = format!("let x = {}1{};", "(".repeat(2000), ")".repeat(2000));
    assert!(Play::new(&nested).bad()[0].contains("nested too deeply"));
}

#[test]
fn all_calls_of_what_does_not_exist_are_found_at_once() {
    assert_eq!(
        bad("if false { prnt(1); }\nfn f() { nosuch(); g.x() }\nlet a = || aws::subnt(1, 2);").lines().count(),
        1,
        "an undefined variable is found when the file is compiled"
    );
    assert_eq!(
        bad("if false { prnt(1); }\nfn f() { nosuch(); }\nlet a = || aws::subnt(1, 2);\n`${foo_bar(1)}`;"),
        "1:12: there is no function `prnt` (hint: did you mean `print`?)\n2:10: there is no function `nosuch`\n\
         3:17: there is no kind or lookup `aws::subnt` (hint: did you mean `aws::subnet`?)\n4:4: there is no function `foo_bar`"
    );
}

#[test]
fn a_caught_error_can_be_read_by_the_script() {
    let play = Play::new(
        "let v = aws::vpc(\"a\", #{ cidr_block: \"x\" }); try { v.nope } catch (e) { output(\"x\", e.summary); }",
    );
    assert_eq!(play.outputs(), r#"{"x":"`aws::vpc.a` has no attribute `nope`"}"#);
}

#[test]
fn a_value_nested_without_end_is_an_error_and_no_crash() {
    for script in [
        "let a = []; loop { a = [a]; }",
        "let a = #{}; loop { a = #{ a: a }; }",
        "let v = aws::vpc(\"a\", #{ cidr_block: \"x\" }); let a = [v.id]; loop { a = [a]; is_known(a); }",
    ] {
        let found = Play::new(script).bad();
        assert!(found[0].contains("nested more than 100 deep"), "{found:?}");
    }
}
