//! DNS records through the binary, against a stand-in for Cloudflare.

use serde_json::{Value as Json, json};

use runner::providers::cloudflare::{Cloudflare, Settings, Tokens};
use runner::resource::{Address, Class, Create, Fault, Owner, Provider, Value, permission};

use crate::cloudflare::StandIn;
use crate::project::{Project, Said, last};

const INVENTORY: &str = "[cloudflare]\n";

const ZONE: &str = "let zone = cloudflare::zone(\"example.com\");\n";

/// One record of each type.
const RECORDS: &str = r#"
cloudflare::dns_record("www", #{ zone_id: zone.id, name: "www.example.com", type: "A", content: "192.0.2.1", proxied: true, comment: "The site" });
cloudflare::dns_record("www6", #{ zone_id: zone.id, name: "www.example.com", type: "AAAA", content: "2001:DB8:0::1", ttl: 300 });
cloudflare::dns_record("shop", #{ zone_id: zone.id, name: "Shop.example.com.", type: "CNAME", content: "Lb.example.net." });
cloudflare::dns_record("mail", #{ zone_id: zone.id, name: "example.com", type: "MX", content: "mx.example.net", priority: 10 });
cloudflare::dns_record("spf", #{ zone_id: zone.id, name: "example.com", type: "TXT", content: "v=spf1 -all" });
cloudflare::dns_record("issuers", #{ zone_id: zone.id, name: "example.com", type: "CAA", data: #{ tag: "issue", value: "amazon.com" } });
"#;

fn project(cloud: &StandIn, records: &str) -> Project {
    let project = Project::new(INVENTORY).file("playbooks/prod.rhai", &format!("{ZONE}{records}"));
    cloud.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value))
}

fn with_zone() -> StandIn {
    let cloud = StandIn::start();
    cloud.zone("example.com");
    cloud
}

fn run(project: &Project, args: &str) -> Said {
    project.run(&format!("playbooks/prod.rhai {args}"))
}

/// `TYPE name content` of every record, with its comment.
fn there(cloud: &StandIn) -> Vec<String> {
    let text = |record: &Json, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    let told = |record: &Json| {
        let parts = ["type", "name", "content", "comment"].map(|field| text(record, field));
        parts.join(" ").trim().to_owned()
    };
    cloud.records("example.com").iter().map(told).collect()
}

fn id(cloud: &StandIn, name: &str) -> String {
    let records = cloud.records("example.com");
    let found = records.iter().find(|record| record["name"] == name).expect("a record of this name");
    found["id"].as_str().unwrap().to_owned()
}

#[test]
fn records_come_stay_change_and_go() {
    let cloud = with_zone();
    let theirs = cloud.put(
        "example.com",
        json!({ "type": "A", "name": "other.example.com", "content": "192.0.2.9", "comment": "by hand" }),
    );
    let project = project(&cloud, RECORDS);
    run(&project, "--yes").code(0);
    assert_eq!(
        there(&cloud),
        [
            "CAA example.com 0 issue \"amazon.com\" [runner prod/issuers]",
            "MX example.com mx.example.net [runner prod/mail]",
            "TXT example.com \"v=spf1 -all\" [runner prod/spf]",
            "A other.example.com 192.0.2.9 by hand",
            "CNAME shop.example.com Lb.example.net [runner prod/shop]",
            "A www.example.com 192.0.2.1 The site [runner prod/www]",
            "AAAA www.example.com 2001:db8::1 [runner prod/www6]",
        ]
    );
    // Again: one call for the token, one for the zones, one for the records, and nothing to do.
    cloud.forget_calls();
    let again = run(&project, "").code(0);
    assert!(again.out.contains("Nothing to do: 6 resources are as declared."), "{}", again.out);
    let calls: Vec<String> = cloud.calls().into_iter().map(|(call, count)| format!("{count} {call}")).collect();
    assert_eq!(calls, ["1 GET /user/tokens/verify", "1 GET /zones", "1 GET /zones/:zone/dns_records"]);

    // Changes in place send only what changes; another type is another record.
    for (from, to) in [
        ("192.0.2.1\", proxied: true", "192.0.2.2\", proxied: false"),
        ("comment: \"The site\"", "comment: \"The old site\""),
        ("ttl: 300", "ttl: 600"),
        ("priority: 10", "priority: 20"),
        ("value: \"amazon.com\"", "value: \"amazontrust.com\""),
        ("v=spf1 -all", "v=spf1 ~all"),
        ("type: \"CNAME\", content: \"Lb.example.net.\"", "type: \"A\", content: \"192.0.2.3\""),
    ] {
        project.edit("playbooks/prod.rhai", from, to);
    }
    let plan = run(&project, "--dry-run").code(0).out;
    for line in [
        "~ content: \"192.0.2.1\" -> \"192.0.2.2\"",
        "~ comment: \"The site\" -> \"The old site\"",
        "~ proxied: true -> false",
        "~ ttl: 300 -> 600",
        "~ priority: 10 -> 20",
        "~ data.value: \"amazon.com\" -> \"amazontrust.com\"",
        "~ type:    \"CNAME\" -> \"A\"  # forces replacement",
    ] {
        assert!(plan.contains(line), "no {line:?} in\n{plan}");
    }
    assert_eq!(last(&plan), "Plan: 0 to create, 5 to update, 1 to replace, 0 to delete, 0 unchanged.");
    run(&project, "--yes").code(0);
    run(&project, "--dry-run --detailed-exitcode").code(0);
    let now = there(&cloud);
    for line in [
        "A www.example.com 192.0.2.2 The old site [runner prod/www]",
        "A shop.example.com 192.0.2.3 [runner prod/shop]",
        "TXT example.com \"v=spf1 ~all\" [runner prod/spf]",
        "CAA example.com 0 issue \"amazontrust.com\" [runner prod/issuers]",
    ] {
        assert!(now.iter().any(|told| told == line), "{now:?}");
    }

    // What someone changed by hand is put back; what is dropped is told, kept, and goes when asked for.
    cloud.change(&id(&cloud, "shop.example.com"), json!({ "content": "192.0.2.99" }));
    let plan = run(&project, "--dry-run").code(0).out;
    assert!(plan.contains("~ content: \"192.0.2.99\" -> \"192.0.2.3\""), "{plan}");
    run(&project, "--yes").code(0);
    let playbook = project.read("playbooks/prod.rhai");
    let fewer: Vec<&str> = playbook.lines().filter(|line| !line.contains("\"mail\"")).collect();
    project.write("playbooks/prod.rhai", &fewer.join("\n"));
    let plan = run(&project, "--dry-run").code(0).out;
    assert!(plan.contains("cloudflare::dns_record.mail"), "{plan}");
    run(&project, "--yes --prune").code(0);
    assert!(!there(&cloud).iter().any(|told| told.starts_with("MX")));

    // With an emptied playbook, without any lookup, the inventory's table is enough to find them all.
    project.write("playbooks/prod.rhai", "");
    let gone = project.run("destroy playbooks/prod.rhai --yes").code(0);
    assert!(gone.err.contains("Done: 5 deleted"), "{}", gone.err);
    assert_eq!(there(&cloud), ["A other.example.com 192.0.2.9 by hand"]);
    assert_eq!(id(&cloud, "other.example.com"), theirs);
}

#[test]
fn a_zone_of_many_pages_is_read_once() {
    let cloud = with_zone();
    for n in 0..250 {
        cloud.put("example.com", json!({ "type": "A", "name": format!("n{n}.example.com"), "content": "192.0.2.9" }));
    }
    let project = project(&cloud, RECORDS);
    run(&project, "--yes").code(0);
    cloud.forget_calls();
    run(&project, "--dry-run --detailed-exitcode").code(0);
    // The server gives a hundred at a time.
    assert_eq!(cloud.calls()["GET /zones/:zone/dns_records"], 3);
    assert_eq!(cloud.calls().values().sum::<u64>(), 5);
}

#[test]
fn a_dry_run_sends_nothing_that_could_change_something() {
    let cloud = with_zone();
    let project = project(&cloud, RECORDS);
    // To read is enough.
    cloud.allow("NOTAREAL-token-that-may-only-read-0000000", &["example.com"], false);
    let project = project.env("CLOUDFLARE_API_TOKEN", "NOTAREAL-token-that-may-only-read-0000000");
    run(&project, "--dry-run").code(0);
    assert!(cloud.calls().keys().all(|call| call.starts_with("GET ")), "{:?}", cloud.calls());
    // And not for an apply, which says what is missing.
    let refused = run(&project, "--yes").code(1);
    assert!(refused.err.contains("the API token may not change the records of this zone"), "{}", refused.err);
    assert!(refused.err.contains("Zone / DNS / Edit"), "{}", refused.err);
    assert_eq!(there(&cloud), [""; 0]);
}

#[test]
fn what_others_have_is_told_and_never_taken_over() {
    let cloud = with_zone();
    let spf = json!({ "type": "TXT", "name": "example.com", "content": "\"v=spf1 -all\"" });
    cloud.put("example.com", spf);
    cloud.put(
        "example.com",
        json!({ "type": "A", "name": "shop.example.com", "content": "192.0.2.9", "comment": "mine" }),
    );
    // Beside these two nothing is in the way: several addresses may share a name.
    cloud.put("example.com", json!({ "type": "A", "name": "www.example.com", "content": "192.0.2.200" }));
    let project = project(&cloud, RECORDS);
    let told = run(&project, "--yes").code(1);
    for line in [
        "cloudflare::dns_record.shop: `Shop.example.com.` (A 192.0.2.9) exists, not owned by stack `prod`",
        "cloudflare::dns_record.spf: `example.com` (TXT v=spf1 -all) exists, not owned by stack `prod`",
    ] {
        assert!(told.err.contains(line), "{}", told.err);
    }
    assert!(!told.err.contains("dns_record.www:"), "{}", told.err);
    assert_eq!(there(&cloud).len(), 3, "nothing was made");

    // One is adopted by its id, the other by being there; what cannot become what is declared is not.
    let zone = cloud.records("example.com")[0]["zone_id"].as_str().map(str::to_owned);
    assert_eq!(zone, None, "the API does not tell the zone of a record");
    let adopt = format!("adopt: \"{}/{}\"", id_of_zone(&project), id(&cloud, "example.com"));
    project.edit(
        "playbooks/prod.rhai",
        "content: \"v=spf1 -all\" }",
        &format!("content: \"v=spf1 -all\" }}, #{{ {adopt} }}"),
    );
    let refused = run(&project, "--yes").code(1);
    assert!(!refused.err.contains("dns_record.spf"), "{}", refused.err);
    cloud.remove(&id(&cloud, "shop.example.com"));
    cloud.put(
        "example.com",
        json!({ "type": "CNAME", "name": "shop.example.com", "content": "old.example.net", "comment": "mine" }),
    );
    project.edit(
        "playbooks/prod.rhai",
        "content: \"Lb.example.net.\" }",
        "content: \"Lb.example.net.\" }, #{ adopt: true }",
    );
    let plan = run(&project, "--dry-run").code(0).out;
    assert_eq!(last(&plan), "Plan: 4 to create, 2 to update, 0 to replace, 0 to delete, 0 unchanged.");
    run(&project, "--yes").code(0);
    run(&project, "--dry-run --detailed-exitcode").code(0);
    // What the author does not say of the comment stays.
    assert!(there(&cloud).contains(&"CNAME shop.example.com Lb.example.net mine [runner prod/shop]".to_owned()));
    assert!(there(&cloud).contains(&"TXT example.com \"v=spf1 -all\" [runner prod/spf]".to_owned()));
}

/// As a playbook would be told it.
fn id_of_zone(project: &Project) -> String {
    let asking = project.read("playbooks/prod.rhai");
    project.write("playbooks/prod.rhai", &format!("{ZONE}output(\"id\", zone.id);"));
    let out = run(project, "--dry-run --format json").code(0).out;
    project.write("playbooks/prod.rhai", &asking);
    let document: Json = serde_json::from_str(&out).unwrap();
    let outputs = document["outputs"].as_array().unwrap();
    outputs[0]["value"].as_str().unwrap().to_owned()
}

#[test]
fn answers_that_are_lost_make_nothing_twice() {
    let cloud = with_zone();
    let project = project(&cloud, RECORDS);
    cloud.lose_answer("POST /zones/:zone/dns_records", 2);
    run(&project, "--yes").code(0);
    assert_eq!(there(&cloud).len(), 6);
    assert_eq!(cloud.calls()["POST /zones/:zone/dns_records"], 6);
    run(&project, "--dry-run --detailed-exitcode").code(0);
    project.edit("playbooks/prod.rhai", "ttl: 300", "ttl: 600");
    cloud.lose_answer("PATCH /zones/:zone/dns_records/:record", 1);
    run(&project, "--yes").code(0);
    run(&project, "--dry-run --detailed-exitcode").code(0);
    cloud.lose_answer("DELETE /zones/:zone/dns_records/:record", 2);
    let gone = project.run("destroy playbooks/prod.rhai --yes").code(0);
    assert!(gone.err.contains("Done: 6 deleted"), "{}", gone.err);
    assert_eq!(there(&cloud), [""; 0]);
}

#[test]
fn a_limit_is_kept_to_and_a_short_failure_is_waited_out() {
    let cloud = with_zone();
    let project = project(&cloud, RECORDS);
    cloud.throttle(1, 1);
    let plan = run(&project, "--dry-run").code(0);
    assert!(plan.err.contains("asking again in 1"), "{}", plan.err);
    assert!(plan.err.contains("Cloudflare limits how often it may be asked"), "{}", plan.err);
    // In the middle of an apply, where the answer is that nothing was done.
    cloud.fail("POST /zones/:zone/dns_records", 429, 971, "Please wait and consider throttling your request speed", 3);
    run(&project, "--yes").code(0);
    assert_eq!(there(&cloud).len(), 6);
    cloud.fail("GET /zones/:zone/dns_records", 502, 0, "", 2);
    run(&project, "--dry-run --detailed-exitcode").code(0);
    // What stays so is told.
    cloud.fail("GET /zones/:zone/dns_records", 503, 0, "", 9);
    let told = run(&project, "--dry-run").code(1);
    assert!(told.err.contains("Cloudflare answers with status 503 (cloudflare:ListDNSRecords"), "{}", told.err);
}

#[test]
fn what_comes_between_plan_and_apply_is_told_in_the_authors_terms() {
    let cloud = with_zone();
    let shop = "cloudflare::dns_record(\"shop\", #{ zone_id: zone.id, name: \"shop.example.com\", type: \"CNAME\", content: \"lb.example.net\" });";
    let project = project(&cloud, shop);
    for (code, message, told) in [
        (81053, "An A, AAAA, or CNAME record with that host already exists.", "a CNAME has to be alone"),
        (81054, "A CNAME record with that host already exists.", "there is a CNAME record of this name already"),
        (81058, "An identical record already exists.", "the very same record is there already"),
        (9313, "DNS record comment exceeds the maximum length of 100 characters.", "shorten `comment`"),
    ] {
        cloud.fail("POST /zones/:zone/dns_records", 400, code, message, 1);
        let run = run(&project, "--yes").code(1);
        assert!(run.err.contains(told), "{}", run.err);
        assert!(run.err.contains(&format!("cloudflare:CreateDNSRecord, {code}")), "{}", run.err);
        assert!(run.err.contains("playbooks/prod.rhai:2:"), "{}", run.err);
    }
    // A real one: the comment of the free plan.
    project.edit("playbooks/prod.rhai", "content:", &format!("comment: \"{}\", content:", "long ".repeat(20)));
    let run = run(&project, "--yes").code(1);
    assert!(run.err.contains("the comment is too long"), "{}", run.err);
    assert_eq!(there(&cloud), [""; 0]);
}

#[test]
fn a_token_is_verified_before_anything_else() {
    let cloud = with_zone();
    let token = cloud.token();
    let told = |token: Option<&str>| {
        let project = Project::new(INVENTORY).file("playbooks/prod.rhai", &format!("{ZONE}{RECORDS}"));
        let project = project.env("CLOUDFLARE_BASE_URL", &cloud.url());
        let project = match token {
            Some(token) => project.env("CLOUDFLARE_API_TOKEN", token),
            None => project,
        };
        cloud.forget_calls();
        let run = run(&project, "--dry-run").code(1);
        assert!(run.err.contains("playbooks/prod.rhai:1:"), "{}", run.err);
        run.err
    };
    let none = told(None);
    assert!(none.contains("the environment variable `CLOUDFLARE_API_TOKEN` is not set"), "{none}");
    assert!(none.contains("Zone / Zone / Read and Zone / DNS / Edit"), "{none}");
    assert_eq!(cloud.calls().len(), 0);
    let unknown = told(Some("NOTAREAL-token-that-nobody-ever-made-000"));
    assert!(unknown.contains("Cloudflare does not know the API token"), "{unknown}");
    let with_blank = told(Some("NOTAREAL token"));
    assert!(with_blank.contains("it has characters that no token has"), "{with_blank}");
    let malformed = told(Some("NOTAREAL-too-short"));
    assert!(malformed.contains("API token") && malformed.contains("Global API Key"), "{malformed}");
    for status in ["disabled", "expired"] {
        cloud.token_status(token, status);
        let off = told(Some(token));
        assert!(off.contains(&format!("the Cloudflare API token is {status}")), "{off}");
        assert_eq!(cloud.calls().keys().collect::<Vec<_>>(), ["GET /user/tokens/verify"]);
    }
    cloud.token_status(token, "active");

    // One that an account owns is unknown to the call that verifies, and good.
    let of_account = "cfat_NOTAREAL-of-an-account-000000000000000";
    cloud.allow(of_account, &["example.com"], true);
    let project = project(&cloud, RECORDS).env("CLOUDFLARE_API_TOKEN", of_account);
    run(&project, "--yes").code(0);
    run(&project, "--dry-run --detailed-exitcode").code(0);
}

#[test]
fn a_zone_that_is_not_seen_is_told_with_what_is() {
    let cloud = with_zone();
    cloud.zone("example.org");
    let project = project(&cloud, "");
    let told = |zone: &str| {
        project.write("playbooks/prod.rhai", &format!("let zone = cloudflare::zone(\"{zone}\");"));
        run(&project, "--dry-run").code(1).err
    };
    assert!(told("staging.example.com").contains("is a name in the zone `example.com`"));
    assert!(told("exmaple.com").contains("did you mean `example.com`?"));
    assert!(told("other.net").contains("it sees example.com, example.org"));
    // The inventory may bound how far a run looks.
    project.write("inventory/prod.toml", "[cloudflare]\nzones = [\"example.org\"]\n");
    assert!(told("example.com").contains("is not among those of the inventory's `[cloudflare] zones`"));
    project.write("playbooks/prod.rhai", "");
    cloud.forget_calls();
    run(&project, "--dry-run").code(0);
    assert_eq!(cloud.calls()["GET /zones/:zone/dns_records"], 1);
}

#[test]
fn mistakes_have_their_place_and_send_nothing() {
    let cloud = with_zone();
    let project = project(&cloud, "");
    for (record, told) in [
        ("name: \"www\", type: \"A\", content: \"192.0.2.1\"", "`name`: \"www\" is not a complete name"),
        (
            "name: \"www.example.com\", type: \"A\", content: \"lb.example.com\"",
            "`content`: \"lb.example.com\" is not an IPv4 address",
        ),
        ("name: \"www.example.com\", type: \"SRV\", content: \"x\"", "expects \"A\" or \"AAAA\" or \"CAA\""),
        ("name: \"www.example.com\", type: \"MX\", content: \"mx.example.com\"", "`priority`: is required for MX"),
        ("name: \"www.example.com\", typ: \"A\", content: \"192.0.2.1\"", "did you mean `type`?"),
    ] {
        project.write(
            "playbooks/prod.rhai",
            &format!("cloudflare::dns_record(\"www\", #{{ zone_id: \"z\", {record} }});"),
        );
        let run = run(&project, "--dry-run").code(1);
        assert!(run.err.contains(told), "{}", run.err);
        assert!(run.err.contains("playbooks/prod.rhai:1:"), "{}", run.err);
    }
    assert_eq!(cloud.calls().len(), 0);
    project.write("inventory/prod.toml", "[cloudflare]\ntoken = \"dns\"\n");
    let run = run(&project, "--dry-run").code(1);
    assert!(run.err.contains("`cloudflare.token` names no secret: `dns`"), "{}", run.err);
    assert!(run.err.contains("inventory/prod.toml:2:1"), "{}", run.err);
    // The token itself, put there by mistake, is not repeated.
    let token = "NOTAREAL0token0that0was0pasted0here00000";
    project.write("inventory/prod.toml", &format!("[cloudflare]\ntoken = \"{token}\"\n"));
    let run = project.run("playbooks/prod.rhai --dry-run").code(1);
    assert!(run.err.contains("is to be the name of a secret, and no secret (inventory/prod.toml:2:1)"), "{}", run.err);
    assert!(!run.err.contains(token), "{}", run.err);
}

/// One record, as a playbook writes it.
fn record(address: &str, name: &str, of_type: &str, content: &str) -> String {
    format!(
        "cloudflare::dns_record(\"{address}\", #{{ zone_id: zone.id, name: \"{name}.example.com\", type: \"{of_type}\", content: \"{content}\" }});\n"
    )
}

#[test]
fn what_goes_with_this_plan_is_in_nobodys_way() {
    let cloud = with_zone();
    let project = project(&cloud, &record("www", "www", "CNAME", "a.example.net"));
    run(&project, "--yes").code(0);
    // The CNAME becomes an address, and another one comes beside it.
    let declare = |records: &[String]| project.write("playbooks/prod.rhai", &format!("{ZONE}{}", records.concat()));
    declare(&[record("www", "www", "A", "192.0.2.1"), record("www6", "www", "AAAA", "2001:db8::1")]);
    run(&project, "--yes").code(0);
    assert_eq!(there(&cloud).len(), 2);
    // They go, undeclared, and a CNAME comes where they are.
    declare(&[record("site", "www", "CNAME", "b.example.net")]);
    let kept = run(&project, "--yes").code(1);
    assert!(kept.err.contains("stack `prod` owns it as cloudflare::dns_record.www"), "{}", kept.err);
    assert!(kept.err.contains("--prune"), "{}", kept.err);
    run(&project, "--yes --prune").code(0);
    assert_eq!(there(&cloud), ["CNAME www.example.com b.example.net [runner prod/site]"]);
    // One moves away in place, and another comes to where it was.
    declare(&[record("site", "old", "CNAME", "b.example.net"), record("new", "www", "CNAME", "c.example.net")]);
    run(&project, "--yes").code(0);
    run(&project, "--dry-run --detailed-exitcode").code(0);
    assert_eq!(there(&cloud).len(), 2);
    // Two that cannot be both are told as they are written.
    declare(&[record("site", "old", "CNAME", "b.example.net"), record("new", "old", "CNAME", "c.example.net")]);
    let both = run(&project, "--yes").code(1);
    assert!(
        both.err.contains("cloudflare::dns_record.new: `old.example.com` (CNAME b.example.net) exists"),
        "{}",
        both.err
    );
}

#[test]
fn nothing_is_deleted_for_what_cannot_be_made() {
    let cloud = with_zone();
    let project = project(&cloud, &record("www", "www", "A", "192.0.2.1"));
    run(&project, "--yes").code(0);
    let theirs = cloud.put("example.com", json!({ "type": "A", "name": "www.example.com", "content": "192.0.2.9" }));
    // Beside a stranger's address there can be one of ours, and no CNAME.
    project.write("playbooks/prod.rhai", &format!("{ZONE}{}", record("www", "www", "CNAME", "a.example.net")));
    let told = run(&project, "--yes").code(1);
    assert!(told.err.contains("`www.example.com` (A 192.0.2.9) exists, not owned by stack `prod`"), "{}", told.err);
    assert_eq!(there(&cloud).len(), 2);
    assert!(told.err.contains("both cannot be"), "{}", told.err);
    // A CNAME has to go before an address comes: the other order is refused.
    cloud.remove(&theirs);
    project.edit("playbooks/prod.rhai", "\"a.example.net\" }", "\"a.example.net\" }, #{ replace: \"create_first\" }");
    let first = run(&project, "--yes").code(1);
    assert!(first.err.contains("cannot be made before the old one is deleted"), "{}", first.err);
}

#[test]
fn two_stacks_of_one_name_share_a_zone() {
    let cloud = with_zone();
    let of_account = |account: &str, host: &str| {
        let project = project(&cloud, &record("shop", host, "CNAME", "lb.example.net"));
        project.file("inventory/prod.toml", &format!("[aws]\naccount = \"{account}\"\n{INVENTORY}"))
    };
    let (one, other) = (of_account("111111111111", "shop"), of_account("222222222222", "shop2"));
    run(&one, "--yes").code(0);
    run(&other, "--yes").code(0);
    assert_eq!(there(&cloud).len(), 2);
    for project in [&one, &other] {
        run(project, "--dry-run --detailed-exitcode").code(0);
    }
    other.edit("playbooks/prod.rhai", "shop2", "shop");
    let taken = run(&other, "--yes").code(1);
    assert!(taken.err.contains("stack `prod@"), "{}", taken.err);
    let gone = other.run("destroy playbooks/prod.rhai --yes").code(0);
    assert!(gone.err.contains("Done: 1 deleted"), "{}", gone.err);
    assert_eq!(there(&cloud).len(), 1);
    run(&one, "--dry-run --detailed-exitcode").code(0);
}

#[test]
fn who_writes_into_a_comment_takes_nothing_away() {
    let cloud = with_zone();
    let project = project(&cloud, RECORDS);
    run(&project, "--yes").code(0);
    cloud.change(&id(&cloud, "shop.example.com"), json!({ "comment": "[runner prod/shop] ask Bob" }));
    run(&project, "--dry-run --detailed-exitcode").code(0);
    project.edit("playbooks/prod.rhai", "Lb.example.net.", "lb2.example.net");
    run(&project, "--yes").code(0);
    assert!(there(&cloud).contains(&"CNAME shop.example.com lb2.example.net ask Bob [runner prod/shop]".to_owned()));
    // A text that is written as nothing takes away what is there.
    project.edit("playbooks/prod.rhai", "\"lb2.example.net\" }", "\"lb2.example.net\", comment: \" \" }");
    run(&project, "--yes").code(0);
    run(&project, "--dry-run --detailed-exitcode").code(0);
    assert!(there(&cloud).contains(&"CNAME shop.example.com lb2.example.net [runner prod/shop]".to_owned()));
}

#[test]
fn a_record_is_made_only_where_it_is_found_again() {
    let cloud = with_zone();
    let other = cloud.zone("example.org");
    let project = project(&cloud, &record("www", "www", "A", "192.0.2.1"));
    project.edit("playbooks/prod.rhai", "www.example.com", "www.example.org");
    let outside = run(&project, "--yes").code(1);
    assert!(outside.err.contains("`www.example.org` is not in the zone `example.com`"), "{}", outside.err);
    project.write("inventory/prod.toml", "[cloudflare]\nzones = [\"example.com\"]\n");
    project.edit("playbooks/prod.rhai", "zone.id", &format!("\"{other}\""));
    let hidden = run(&project, "--yes").code(1);
    assert!(
        hidden.err.contains("is not among those that the API token sees and the inventory names"),
        "{}",
        hidden.err
    );
    assert_eq!(cloud.records("example.com").len() + cloud.records("example.org").len(), 0);
}

#[test]
fn a_renamed_record_is_the_same_and_two_of_one_name_are_told() {
    let cloud = with_zone();
    let project = project(&cloud, RECORDS);
    run(&project, "--yes").code(0);
    let before = id(&cloud, "shop.example.com");
    project.edit("playbooks/prod.rhai", "dns_record(\"shop\"", "dns_record(\"entrance\"");
    let told = run(&project, "--dry-run").code(1);
    assert!(told.err.contains("stack `prod` owns it as cloudflare::dns_record.shop"), "{}", told.err);
    project.edit(
        "playbooks/prod.rhai",
        "\"Lb.example.net.\" }",
        "\"Lb.example.net.\" }, #{ was: \"shop\", protect: true }",
    );
    run(&project, "--yes").code(0);
    assert_eq!(id(&cloud, "shop.example.com"), before);
    assert!(
        there(&cloud).contains(&"CNAME shop.example.com Lb.example.net [runner prod/entrance protected]".to_owned())
    );
    let refused = project.run("destroy playbooks/prod.rhai --yes").code(1);
    assert!(refused.err.contains("cloudflare::dns_record.entrance is protected"), "{}", refused.err);
}

/// Of a stand-in.
struct Known(&'static str);

#[async_trait::async_trait]
impl Tokens for Known {
    async fn token(&self) -> Result<String, Fault> {
        Ok(self.0.to_owned())
    }
}

#[tokio::test]
async fn a_record_is_not_sent_once_the_permission_has_ended() {
    let cloud = StandIn::start();
    let zone = cloud.zone("example.com");
    let settings = Settings { base_url: Some(cloud.url()), ..Settings::default() };
    let cloudflare = Cloudflare::new(settings, std::sync::Arc::new(Known(cloud.token())));
    let kind = cloudflare.kind("cloudflare::dns_record").unwrap();
    let address = Address::new("cloudflare::dns_record", "www");
    let owner = Owner { stack: "prod".into(), address, deposed: false, protect: false };
    let Value::Map(inputs) =
        Value::from(json!({ "zone_id": zone, "name": "www.example.com", "type": "A", "content": "192.0.2.1" }))
    else {
        panic!("a map")
    };
    let request = Create { region: None, owner, inputs, token: "token".into() };
    let make =
        async |may: bool| permission::with(std::sync::Arc::new(move || may), cloudflare.create(&kind, &request)).await;
    let fault = make(false).await.unwrap_err();
    assert_eq!(fault.class, Class::Throttled, "{fault}");
    assert!(fault.message.contains("was not sent"), "{fault}");
    assert!(cloud.records("example.com").is_empty());
    make(true).await.unwrap();
    assert_eq!(cloud.records("example.com").len(), 1);
}
