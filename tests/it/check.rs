//! `runner check`, and `--watch`.

use std::time::Duration;

use crate::project::{Project, Said, heard};

fn check(project: &Project, args: &str) -> Said {
    project.run(&format!("check {args}"))
}

#[test]
fn what_ships_is_clean() {
    let project = Project::shipped();
    let said = check(&project, "playbooks/prod.rhai -i prod,staging").code(0);
    assert_eq!(said.err, "Nothing is wrong with 1 playbook, as far as can be told without running.\n");
    assert!(!project.path(".runner").exists());
}

/// In a file: this in place of that, and what is told of it, at the line on which it stands.
type Mutation = (&'static str, &'static str, &'static str, &'static str);

const MUTATIONS: &[Mutation] = &[
    // Names.
    (
        "playbooks/phases/network.rhai",
        "aws::vpc(env.name",
        "aws::vpcc(env.name",
        "there is no kind or lookup `aws::vpcc`",
    ),
    ("playbooks/phases/vpn.rhai", "aws::ami(", "aws::amy(", "did you mean `aws::ami`?"),
    ("playbooks/phases/dns.rhai", "cloudflare::zone(", "cloudflare::zones(", "did you mean `cloudflare::zone`?"),
    ("playbooks/phases/dns.rhai", "in hosts(env)", "in host(env)", "did you mean `hosts`?"),
    ("playbooks/prod.rhai", "network::build(env)", "network::biuld(env)", "did you mean `network::build`?"),
    (
        "playbooks/prod.rhai",
        "network::routes(env, net, gateway)",
        "network::routes(env, net)",
        "takes 3 argument(s), not 2",
    ),
    ("playbooks/prod.rhai", "vpn::build(env, net)", "vnp::build(env, net)", "there is no module or provider `vnp`"),
    ("playbooks/prod.rhai", "images = phase(", "images = phases(", "did you mean `phase`?"),
    ("playbooks/prod.rhai", "\"phases/edge\"", "\"phases/egde\"", "there is no module `phases/egde`"),
    (
        "playbooks/phases/nodes.rhai",
        "let cluster = eks.cluster;",
        "let cluster = eks_.cluster;",
        "there is no variable `eks_`",
    ),
    ("playbooks/phases/edge.rhai", "port: port,\n", "port: prot,\n", "there is no variable `prot`"),
    (
        "playbooks/phases/platform.rhai",
        "urls + applications(env, cluster)",
        "urls + applications(env)",
        "takes 2 argument(s), not 1",
    ),
    (
        "playbooks/phases/vpn.rhai",
        "#{ domain: \"vpc\", instance: instance.id, tags: env.tags });",
        "#{ domain: \"vpc\" }, #{}, 1);",
        "takes 2 or 3 argument(s), not 4",
    ),
    // Fields.
    (
        "playbooks/phases/network.rhai",
        "cidr_block: net.cidr",
        "cidr_blok: net.cidr",
        "aws::vpc.prod: `cidr_blok`: there is no such field",
    ),
    (
        "playbooks/phases/cluster.rhai",
        "endpoint_private_access: true",
        "endpoint_privat_access: true",
        "`vpc_config.endpoint_privat_access`: there is no such field",
    ),
    (
        "playbooks/phases/nodes.rhai",
        "http_put_response_hop_limit: 1",
        "http_put_response_hop_limit: \"1\"",
        "`metadata_options.http_put_response_hop_limit`: expects an integer",
    ),
    (
        "playbooks/phases/edge.rhai",
        "internal: false",
        "internal: \"no\"",
        "aws::lb.prod-edge: `internal`: expects a bool",
    ),
    ("playbooks/phases/database.rhai", "times: [\"02:00\"]", "times: \"02:00\"", "put it in brackets"),
    (
        "playbooks/phases/vpn.rhai",
        "protocol: \"udp\", from_port: vpn.port",
        "protocl: \"udp\", from_port: vpn.port",
        "did you mean `protocol`?",
    ),
    (
        "playbooks/phases/edge.rhai",
        "load_balancer_type: \"network\"",
        "load_balancer_type: \"netwrok\"",
        "did you mean \"network\"?",
    ),
    (
        "playbooks/phases/database.rhai",
        "encrypted: true,\n        attachment",
        "encrypted: 1,\n        attachment",
        "`encrypted`: expects a bool",
    ),
    (
        "playbooks/phases/nodes.rhai",
        "tag_specifications: [#{ resource_type: \"volume\"",
        "tag_specifications: [#{ resource_typ: \"volume\"",
        "`tag_specifications[0].resource_typ`",
    ),
    ("playbooks/phases/platform.rhai", "namespace: \"argocd\",", "namespaze: \"argocd\",", "did you mean `namespace`?"),
    ("playbooks/phases/vpn.rhai", "vpc_id: net.vpc.id", "vpc_id: net.vpc", "got the whole resource aws::vpc.prod"),
    // Options.
    (
        "playbooks/phases/database.rhai",
        "ignore: [\"ami\", \"user_data\"]",
        "ignor: [\"ami\", \"user_data\"]",
        "did you mean `ignore`?",
    ),
    ("playbooks/phases/vpn.rhai", "ignore: [\"ami\"]", "ignore: [\"amy\"]", "has no input `amy`"),
    (
        "playbooks/phases/edge.rhai",
        "}, #{ protect: env.edge.protect });",
        "}, #{ protect: \"yes\" });",
        "`protect`: expects true or false",
    ),
    // Attributes.
    (
        "playbooks/phases/network.rhai",
        "gateway_id: gateway.id",
        "gateway_id: gateway.ident",
        "has no attribute `ident`",
    ),
    (
        "playbooks/phases/cluster.rhai",
        "cluster.identity_oidc_issuer",
        "cluster.oidc_issuer",
        "has no attribute `oidc_issuer`",
    ),
    (
        "playbooks/phases/platform.rhai",
        "eks.cluster.certificate_authority.data",
        "eks.cluster.certificate_authority.dta",
        "did you mean `data`?",
    ),
    ("playbooks/prod.rhai", "net.nat.public_ip", "net.natt.public_ip", "this map has no `natt`"),
    // Templates.
    ("playbooks/phases/vpn.rhai", "\"vpn/peers.conf\"", "\"vpn/peer.conf\"", "there is no template `vpn/peer.conf`"),
    (
        "playbooks/phases/platform.rhai",
        "file: \"apisix/crds.yaml\"",
        "file: \"apisix/crd.yaml\"",
        "there is no file templates/apisix/crd.yaml",
    ),
    ("templates/vpn/peers.conf", "{% endfor %}", "{% endfr %}", "syntax error"),
    ("templates/vpn/peers.conf", "{{ peer.public_key }}", "{{ peer.publik_key }}", "`publik_key` is not defined"),
    ("templates/nodes/node-config.txt", "{{ cluster.endpoint }}", "{{ cluster.endpont }}", "did you mean `endpoint`?"),
    (
        "templates/apps/_ingress.yaml",
        "{{ host | quote }}\n      http",
        "{{ hots | quote }}\n      http",
        "`hots` is not defined",
    ),
    ("templates/argocd/application.yaml", "env.argocd.revision", "env.argocd.revison", "did you mean `revision`?"),
    (
        "templates/apps/api.yaml",
        "\"apps/_ingress.yaml\"",
        "\"apps/_ingres.yaml\"",
        "did you mean `apps/_ingress.yaml`?",
    ),
    ("templates/apps/login.yaml", "client_secret | quote", "client_secret | qoute", "did you mean `quote`?"),
    // The inventory.
    (
        "playbooks/phases/registry.rhai",
        "env.registry.repositories",
        "env.registry.repos",
        "`registry.repos` is not in the inventory `prod`",
    ),
    (
        "playbooks/phases/nodes.rhai",
        "env.nodes.instance_type",
        "env.nodes.instance_typ",
        "did you mean `instance_type`?",
    ),
    ("playbooks/phases/network.rhai", "net.public,", "net.publik,", "`network.publik` is not in the inventory `prod`"),
    ("playbooks/phases/vpn.rhai", "vpn.address", "vpn.adress", "`vpn.adress` is not in the inventory `prod`"),
    (
        "playbooks/phases/database.rhai",
        "secret(\"sqlserver_password\"),\n        tags",
        "secret(\"sqlserver_pasword\"),\n        tags",
        "did you mean `sqlserver_password`?",
    ),
    ("inventory/common.toml", "keep = 50", "kepe = 50", "`registry.kepe` is read by nothing"),
    (
        "inventory/prod.toml",
        "private = [\"10.0.16.0/20\", \"10.0.32.0/20\", \"10.0.48.0/20\"]",
        "private = [\"10.0.16.0/20\"]\nspare = 1",
        "`network.spare` is read by nothing",
    ),
    // Syntax.
    ("playbooks/phases/registry.rhai", "let addresses = #{};", "let addresses = #{;", ""),
    ("playbooks/phases/dns.rhai", "let hosts = [];", "let hosts == [];", ""),
    // Twice.
    (
        "playbooks/phases/edge.rhai",
        "aws::lb_listener(\"https\"",
        "aws::lb_listener(\"http\"",
        "`aws::lb_listener.http` is declared twice",
    ),
];

#[test]
fn every_mutation_of_what_ships_is_found_on_its_line() {
    let mut missed = vec![];
    for (file, from, to, told) in MUTATIONS {
        let project = Project::shipped();
        let text = project.read(file);
        let at = text.find(from).unwrap_or_else(|| panic!("{file} has no {from:?}"));
        // Where the two begin to differ.
        let same = from.chars().zip(to.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>();
        let line = text[..at].matches('\n').count() + from[..same.min(from.len())].matches('\n').count() + 1;
        project.write(file, &text.replacen(from, to, 1));
        let said = check(&project, "playbooks/prod.rhai");
        let found = format!("{file}:{line}:");
        let is_warning = told.ends_with("read by nothing");
        let line = if is_warning { said.err.contains(told) && !said.err.is_empty() } else { said.err.contains(&found) };
        if !(line && said.err.contains(told) && said.code == i32::from(!is_warning || said.err.contains("error:"))) {
            missed.push(format!("{file}: {from:?} -> {to:?}: wanted {told:?} at {found}\n{}", said.err));
        }
    }
    assert!(missed.is_empty(), "{} of {} missed\n{}", missed.len(), MUTATIONS.len(), missed.join("\n"));
}

#[test]
fn all_findings_of_all_files_come_at_once_and_in_order() {
    let project = Project::new("cidr = \"10.0.0.0/16\"\nspare = 1\n")
        .file(
            "playbooks/prod.rhai",
            "import \"phases/a\" as a;\nimport \"phases/b\" as b;\nlet env = inventory();\n\
             aws::vpc(\"one\", #{ cidr_blok: env.cidr });\naws::vpc(\"two\", #{ cidr_block: env.cdir });\na::build(nosuch);\n",
        )
        .file("playbooks/phases/a.rhai", "fn build(env) {\n    let x = ;\n}\n")
        .file("playbooks/phases/b.rhai", "fn build(env) {\n    aws::nothing(1, 2);\n    let y = #{;\n}\n");
    let said = check(&project, "playbooks/prod.rhai --format json").code(1);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let all: Vec<String> = json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| format!("{}:{}", d["places"][0]["site"]["file"].as_str().unwrap(), d["places"][0]["site"]["line"]))
        .collect();
    assert_eq!(
        all,
        [
            "playbooks/phases/a.rhai:2",
            "playbooks/phases/b.rhai:3",
            "playbooks/prod.rhai:4",
            "playbooks/prod.rhai:4",
            "playbooks/prod.rhai:5",
            "playbooks/prod.rhai:6",
        ],
        "{}",
        said.out
    );
    // Modules of a broken playbook are looked at all the same.
    project.write("playbooks/prod.rhai", "import \"phases/a\" as a;\nimport \"phases/b\" as b;\nlet x = ;\n");
    let said = check(&project, "playbooks/prod.rhai").code(1);
    for place in ["phases/a.rhai:2:", "phases/b.rhai:3:", "prod.rhai:3:"] {
        assert!(said.err.contains(place), "{place}: {}", said.err);
    }
}

#[test]
fn a_finding_is_shown_with_its_line_and_what_was_meant() {
    let project = Project::new("cidr = \"10.0.0.0/16\"\n").file(
        "playbooks/prod.rhai",
        "let env = inventory();\nlet vpc = aws::vpc(\"main\", #{\n    cidr_block: env.cidr,\n    enable_dns_suport: true,\n});\n",
    );
    let said = check(&project, "playbooks/prod.rhai").code(1);
    insta::assert_snapshot!(said.err, @r#"
    error: aws::vpc.main: `enable_dns_suport`: there is no such field
     --> playbooks/prod.rhai:4:5
      |
    2 | let vpc = aws::vpc("main", #{
      |                --- declared here
    3 |     cidr_block: env.cidr,
    4 |     enable_dns_suport: true,
      |     ^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `enable_dns_support`?
    Checked 1 playbook: 1 error.
    "#);
}

#[test]
fn guards_are_respected_and_branches_not_taken_are_looked_at_leniently() {
    let project = Project::new("[vpn]\nenabled = false\n[apps.a]\nport = 1\n[apps.b]\n").file(
        "playbooks/prod.rhai",
        r#"let env = inventory();
if env.vpn.enabled { print(env.vpn.clients); }
if "domain" in env { print(env.domain); }
let zone = env.get("zone");
if !env.vpn.enabled || env.vpn.range == "x" { print("no"); }
for name in env.apps.keys() {
    let app = #{ port: 80 } + env.apps[name];
    if "host" in app { print(app.host); }
    print(app.port);
}
fn early(env) {
    if !env.vpn.enabled { return (); }
    print(env.vpn.peers);
}
early(env);
let made = if env.vpn.enabled { aws::vpc("a", #{ cidr_block: "10.0.0.0/16" }) } else { aws::vpc("b", #{ cidr_block: "10.0.0.0/16" }) };
print(made.id);
let rest = [];
while rest.len() < 3 { rest.push(rest.len()); }
let all = #{};
for item in rest { all[`${item}`] = item; }
print(all.x);
"#,
    );
    let said = check(&project, "playbooks/prod.rhai").code(0);
    assert!(said.err.starts_with("Nothing is wrong"), "{}", said.err);
}

/// Much of what the language can do, and nothing wrong.
const SOUND: &str = r#"
const ZONES = ["x", "y"];
const PORTS = #{ http: 80 };
let env = inventory();
let tools = #{ twice: |x| x * 2, n: 1 };
print(tools.twice(3));
let counter = 0;
let bump = || { counter += 1; counter };
bump.call();
if counter == 0 { print(env.nothere); }
for (z, i) in global::ZONES { print(`${z} ${i}`); }
print(global::PORTS.http);
let total = 0;
for (name, i) in env.hosts.keys() { total += i; let h = env.hosts[name]; if "port" in h { print(h.port); } else { print(h.ip); } }
for h in env.hosts.values() { print(h.ip); print(h.get("port") ?? 80); }
let s = switch env.on { true => "yes", false => "no" };
print(s);
let m = #{};
m.a = 1; m["b"] = 2; m.c = #{}; m.c.d = 3;
print(m.a + m.b + m.c.d);
let l = [1, 2, 3];
l.push(4); l.insert(0, 9); l[0] = 3;
print(l[4]);
let l2 = l.filter(|x| x > 1).map(|x| x + 1);
print(l2[0]);
let r = l.reduce(|sum, x| (sum ?? 0) + x);
let copy = m; copy.remove("a"); copy.e = 1; print(copy.e);
m.clear();
let nested = [#{ k: 1 }, #{ k: 2, o: 3 }];
for n in nested { if "o" in n { print(n.o); } print(n.k); }
let found = nested.find(|n| n.k == 2);
print(found.o);
fn fact(n) { if n < 2 { 1 } else { n * fact(n - 1) } }
print(fact(5));
fn pick(map, key) { if key in map { map[key] } else { () } }
print(pick(#{ a: 1 }, "b"));
fn fail(text) { throw text; }
fn checked(env) { if env.on { return 1; } fail("x"); env.never }
checked(env);
let v = if env.on { 1 } else { env.offonly };
let x = try_it(env);
fn try_it(env) { let got = (); try { got = env.maybe_not; } catch (e) { got = 5; } got }
let i = 0;
loop { i += 1; if i > 3 { break; } }
while i > 0 { i -= 1; if i == 2 { continue; } }
do { i += 1; } while i < 3;
let vpcs = env.list.map(|n| aws::vpc(n, #{ cidr_block: "10.0.0.0/16" }));
for v in vpcs { print(v.id); }
let by = #{};
for n in env.list { by[n] = aws::eip(n, #{ domain: "vpc" }); }
print(by.a.public_ip);
let subs = #{};
for n in 0..3 { subs[`s${n}`] = n; }
print(subs.s1);
let o = #{ tags: #{ A: "b" } };
aws::vpc("o", #{ cidr_block: "10.0.0.0/16" } + o, #{ after: [vpcs[0], by.a], timeout: "5m" });
aws::security_group("g", #{ name: "g", description: "d", vpc_id: vpcs[0].id, ingress: [80, 443].map(|p| #{ protocol: "tcp", from_port: p, to_port: p, cidr_blocks: ["0.0.0.0/0"] }) + [#{ protocol: "-1", cidr_blocks: env.ranges }] });
let t = env.t; print(t.x + env.empty.len()); t.z = 5; print(t.z); print(t.deep.y);
let f = Fn("fact"); print(f.call(3));
let q = env.t.deep; print(q.y.len());
print(type_of(env.list));
let u = "abc"; u.pop(); print(u[0]);
let parts = "a,b".split(","); print(parts[1]);
let rng = 1..5; for k in rng { print(k); }
switch i { 3 if env.on => print("x"), 4..9 => print("y"), _ => print("z") }
let both = env.list + ["c"]; print(both[2]);
let z = env.list; z += "d"; print(z[2]);
let ident = aws::caller(); print(ident.account_id);
let mm = #{ a: 1 } + if env.on { #{ b: 2 } } else { #{} }; print(mm.b);
let acc = #{}; [1,2].for_each(|k| { acc[`k${k}`] = k; }); print(acc.k1);
let sorted = env.list; sorted.sort(); print(sorted[0]);
let opts = #{ protect: env.on }; if env.on { opts.after = [by.b]; } aws::eip("withopts", #{ domain: "vpc" }, opts);
let all_ids = vpcs.map(|v| v.id); output("ids", all_ids); print(all_ids[0]);
fn mk(env, name) { aws::eip(name, #{ domain: "vpc" }) } for n in ["p", "q"] { mk(env, n); }
"#;

const SOUND_INVENTORY: &str = r#"
list = ["a", "b"]
empty = []
ranges = ["10.0.0.0/8"]
on = true
[t]
x = 1
[t.deep]
y = "s"
[hosts.one]
ip = "10.0.0.1"
[hosts.two]
ip = "10.0.0.2"
port = 5
"#;

#[test]
fn what_runs_is_not_found_fault_with() {
    let project = Project::new(SOUND_INVENTORY).file("playbooks/prod.rhai", SOUND);
    project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    let said = check(&project, "playbooks/prod.rhai").code(0);
    assert!(said.err.starts_with("Nothing is wrong"), "{}", said.err);
}

#[test]
fn nothing_is_rendered_read_or_asked() {
    // No credentials, and proxies that lead nowhere; a template whose rendering fails, and a lookup that would ask.
    let project = Project::new("")
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .file("templates/a.txt", "{{ [1, 2] | first | int / 0 }}{{ given }}")
        .file(
            "playbooks/prod.rhai",
            "let who = aws::caller();\nlet text = template(\"a.txt\", #{ given: who.account_id });\n\
             throw \"it runs\";\n",
        );
    let said = check(&project, "playbooks/prod.rhai").code(0);
    assert!(said.err.starts_with("Nothing is wrong"), "{}", said.err);
    assert!(!project.path(".runner").exists());
}

#[test]
fn several_playbooks_have_each_their_inventory() {
    let project = Project::new("a = 1\n")
        .file("inventory/other.toml", "b = 1\n")
        .file("playbooks/prod.rhai", "let env = inventory();\nprint(env.a);\n")
        .file("playbooks/other.rhai", "let env = inventory();\nprint(env.a);\n");
    let said = check(&project, "playbooks/prod.rhai playbooks/other.rhai").code(1);
    assert!(
        said.err.contains("`a` is not in the inventory `other`") && said.err.contains("other.rhai:2:"),
        "{}",
        said.err
    );
    assert!(said.err.contains("`b` is read by nothing") && !said.err.contains("inventory `prod`"), "{}", said.err);
}

#[test]
fn what_is_watched_may_rest_on_nothing() {
    let project = Project::new("cidr = \"10.0.0.0/16\"\n[aws]\nregion = \"eu-west-1\"\n")
        .file("playbooks/prod.rhai", "aws::vpc(\"main\", #{ cidr_block: inventory().cidr });\n");
    let mut run = project.start("playbooks/prod.rhai --offline --dry-run --watch");
    heard(&run.out, "Plan: 1 to create");
    heard(&run.err, "Watching");
    project.write("playbooks/prod.rhai", "aws::eip(\"a\", #{});\naws::eip(\"b\", #{});\n");
    assert!(heard(&run.err, "plan 2:").contains(" playbooks/prod.rhai was saved"));
    heard(&run.out, "Plan: 2 to create");
    heard(&run.err, "Watching");
    project.write("playbooks/policies/new.rhai", "fn change(c) { deny(\"never\"); }\n");
    assert!(heard(&run.err, "plan 3:").contains(" playbooks/policies was saved"));
    heard(&run.err, "denied: aws::eip.a: never");
    heard(&run.err, "Watching");
    assert!(run.is_running());
    run.signal("INT");
    assert_eq!(run.end().code, 130);
}

#[test]
fn watching_plans_again_on_every_save() {
    let project = Project::new("cidr = \"10.0.0.0/16\"\n")
        .file("playbooks/prod.rhai", "import \"m\" as m;\nm::build(inventory());\n")
        .file("playbooks/m.rhai", "fn build(env) { aws::vpc(\"main\", #{ cidr_block: env.cidr }); }\n")
        .file("templates/unread.txt", "x");
    let mut run = project.start("playbooks/prod.rhai --sandbox --dry-run --watch");
    heard(&run.out, "Plan: 1 to create");
    heard(&run.err, "Watching");
    project.write("templates/unread.txt", "xx");
    project.write("inventory/prod.toml", "cidr = \"10.0.0.0/8x\"\ncidr2 = 1\n");
    let line = heard(&run.err, "plan 2:");
    assert!(line.contains("inventory/prod.toml was saved"), "{line}");
    heard(&run.err, "Watching");
    project.write("playbooks/m.rhai", "fn build(env) { aws::vpcc(1); }\n");
    assert!(heard(&run.err, "plan 3:").contains("playbooks/m.rhai"));
    heard(&run.err, "there is no kind or lookup `aws::vpcc`");
    heard(&run.err, "Watching");
    project.write("playbooks/m.rhai", "fn build(env) { aws::vpc(\"other\", #{ cidr_block: \"10.0.0.0/16\" }); }\n");
    heard(&run.err, "plan 4:");
    heard(&run.out, "+ aws::vpc.other");
    heard(&run.err, "Watching");
    // The inventory may break, and be mended.
    project.write("inventory/prod.toml", "cidr = \n");
    heard(&run.err, "failed to read inventory/prod.toml");
    heard(&run.err, "Watching");
    project.write("inventory/prod.toml", "cidr = \"10.0.0.0/16\"\n");
    heard(&run.out, "+ aws::vpc.other");
    heard(&run.err, "Watching");
    std::thread::sleep(Duration::from_millis(50));
    assert!(run.is_running());
    run.signal("INT");
    assert_eq!(run.end().code, 130);
    assert!(!project.path(".runner").exists());
}
