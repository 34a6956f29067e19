//! The expressions the audit tries.

use super::standard;

/// Operands that hold no reference.
const PLAIN: [&str; 17] = [
    "()",
    "true",
    "1",
    "1.5",
    "'c'",
    "\"s\"",
    "\"\"",
    "[1,2]",
    "[]",
    "#{a:1}",
    "#{}",
    "0..3",
    "0..=3",
    "blob(2,1)",
    "|x| x",
    "Fn(\"print\")",
    "timestamp()",
];

/// Operands that hold one.
const UNKNOWN: [&str; 8] = ["v.id", "v.n", "v.on", "v.ids", "`x${v.id}`", "\"x\" + v.id", "[v.id]", "#{a: v.id}"];

const BINARY: [&str; 25] = [
    "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^", "..", "..=", "in",
    "!in", "&&", "||", "??", "^^",
];

const ASSIGNING: [&str; 11] = ["+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**=", "<<=", ">>="];

/// `D` is what holds a reference, `V` any operand.
const FORMS: [&str; 55] = [
    "let r = V; r[D]",
    "let r = D; r[V]",
    "let r = V; r[D] = 1; r",
    "if D == V { 1 } else { 2 }",
    "if D { 1 } else { 2 }",
    "if [V] == [D] { 1 } else { 2 }",
    "switch D { 1 => 1, \"s\" => 2, _ => 3 }",
    "switch V { 1 if D => 1, _ => 3 }",
    "switch [V, D] { [1, 2] => 1, _ => 3 }",
    "let n = 0; while D != V { n += 1; if n > 3 { break } } n",
    "let n = 0; do { n += 1; if n > 3 { break } } while D; n",
    "let n = 0; do { n += 1; if n > 3 { break } } until D; n",
    "let n = 0; for x in D { n += 1 } n",
    "let n = 0; for x in [V] { if x == D { n += 1 } } n",
    "let f = |x| x == D; f.call(V)",
    "let f = |x, y| x == y; f.curry(D).call(V)",
    "type_of(D)",
    "let z = D; z.type_of()",
    "let z = D; z.to_string()",
    "let z = D; z.to_debug()",
    "let z = D; `${z}` == V",
    "`${D}`.len()",
    "`${[D]}`",
    "`${#{a: D}}`",
    "#{a: D}.to_json()",
    "#{a: D} == #{a: V}",
    "#{a: D}.values() == [V]",
    "V in [D]",
    "D in [V]",
    "[V].contains(D)",
    "[D].index_of(V)",
    "[V].filter(|x| D)",
    "[V].filter(|x| x == D)",
    "[V].map(|x| x == D)",
    "[V, D].find(|x| D)",
    "[D, V].sort(|x, y| D)",
    "let a = [D, V]; a.sort(); a",
    "let a = [D, V]; a.dedup(); a",
    "[D, V].dedup(|x, y| D)",
    "[D, V].index_of(|x| D)",
    "[D, V].find_map(|x| D)",
    "[D, V].all(|x| x == V)",
    "[D, V].some(|x| x == V)",
    "let a = [D, V]; a.drain(|x| D)",
    "let a = [D, V]; a.retain(|x| x == V); a",
    "let a = [V, V]; a.split(|x| D)",
    "#{a: V}.filter(|k, x| D)",
    "let m = #{a: V}; m.drain(|k, x| D)",
    "let m = #{a: V}; m.retain(|k, x| D)",
    "let a = [2, 1]; a.sort(|x, y| D); a",
    "let a = [2, 1]; a.sort_by(|x, y| D); a",
    "let a = [2, 1]; a.order_by(|x, y| D); a",
    "[1].reduce(|s, x| D == V)",
    "[1, 2].zip([3, 4], |x, y| D == V)",
    "!D",
];

/// Every one of them, in one order.
pub(super) fn expressions() -> Vec<String> {
    let mut all = vec![];
    let operands: Vec<&str> = PLAIN.iter().chain(&UNKNOWN).copied().chain(["v"]).collect();
    for d in UNKNOWN {
        for v in &operands {
            for op in BINARY {
                all.push(format!("let r = {d} {op} {v}; r"));
                all.push(format!("let r = {v} {op} {d}; r"));
            }
            for op in ASSIGNING {
                all.push(format!("let r = {v}; r {op} {d}; r"));
                all.push(format!("let r = {d}; r {op} {v}; r"));
            }
            all.extend(FORMS.iter().map(|form| form.replace('D', d).replace('V', v)));
        }
    }
    let functions = standard::functions().iter().filter(|(name, count)| *count > 0 && skipped(name).is_none());
    for (name, count) in functions {
        for d in UNKNOWN {
            for place in 0..*count {
                for v in PLAIN {
                    call(&mut all, name, *count, place, d, v);
                }
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

fn call(all: &mut Vec<String>, name: &str, count: usize, place: usize, d: &str, v: &str) {
    let arguments = |filler| -> Vec<&str> {
        (0..count)
            .map(|i| {
                if i == place {
                    d
                } else if i == 0 {
                    v
                } else {
                    filler
                }
            })
            .collect()
    };
    let with_int = arguments("1");
    let rest: String = with_int[1..].iter().map(|argument| format!(", {argument}")).collect();
    all.push(format!("let q = {}; {name}(q{rest})", with_int[0]));
    if place == 0 {
        all.push(format!("let q = {}; {name}(q{rest}); q", with_int[0]));
    }
    if count > 1 {
        let with_text = arguments("\"a\"");
        all.push(format!("let q = {}; q.{name}({})", with_text[0], with_text[1..].join(", ")));
    }
}

/// What is left out, and why.
pub(super) fn skipped(name: &str) -> Option<&'static str> {
    match name {
        "sleep" | "exit" => Some("gives nothing back"),
        "pad" => Some("with these arguments takes all the memory it may"),
        "print" | "debug" => Some("shows what is not known to people and gives nothing back"),
        "rand" | "timestamp" => Some("differs by itself"),
        _ => None,
    }
}
