//! `--report FILE.html` in a browser, as a person opens it.

use serde_json::{Value as Json, json};

use crate::browser::Browser;
use crate::project::{Project, heard};

fn offline() -> Project {
    Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9")
}

/// How many of the changes are shown.
const SHOWN: &str = "document.querySelectorAll('.change:not([hidden])').length";

fn number(browser: &mut Browser, expression: &str) -> i64 {
    browser.run(expression).as_i64().unwrap()
}

#[track_caller]
fn quiet(browser: &Browser) {
    assert_eq!(browser.errors, [""; 0]);
}

/// Types a text into the search box.
fn search(browser: &mut Browser, text: &str) {
    let typed = json!(text);
    browser.run(&format!("$('search').value = {typed}; $('search').dispatchEvent(new Event('input')); 0"));
}

fn chip(browser: &mut Browser, action: &str) {
    browser.run(&format!("document.querySelector('.chip[data-action={action}]').click()"));
}

#[test]
fn the_plan_of_what_ships_is_a_page_to_search_and_look_at() {
    let project = offline();
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --report plan.html").code(0);
    assert!(said.out.ends_with("Plan: 145 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.\n"));
    assert!(!project.path(".runner").exists(), "the page is all that a dry run leaves");
    let file = project.path("plan.html");
    let mut browser = Browser::start();
    browser.open(&file, 1280, false);
    assert_eq!(number(&mut browser, SHOWN), 145);
    assert_eq!(browser.run("document.title"), "prod: plan of runner");
    // A name finds itself and what refers to it; of several words all must be there.
    let hidden = |browser: &mut Browser, address: &str| {
        browser.run(&format!("document.querySelector('[data-address=\"{address}\"]').hidden"))
    };
    search(&mut browser, "aws::subnet.private-eu-central-1a");
    assert!((1..20).contains(&number(&mut browser, SHOWN)));
    assert_eq!(hidden(&mut browser, "aws::subnet.private-eu-central-1a"), false);
    assert_eq!(hidden(&mut browser, "aws::ecr_repository.prod/api"), true);
    search(&mut browser, "AWS::subnet.private eu-central-1b network.rhai:90");
    assert_eq!(hidden(&mut browser, "aws::subnet.private-eu-central-1b"), false);
    assert_eq!(hidden(&mut browser, "aws::subnet.private-eu-central-1a"), true);
    search(&mut browser, "nowhere-to-be-found");
    assert_eq!(number(&mut browser, SHOWN), 0);
    assert_eq!(browser.run("$('shown').textContent"), "0 of 145 resources shown");
    search(&mut browser, "");
    let choose = |id: &str, value: &str| {
        format!("$('{id}').value = '{value}'; $('{id}').dispatchEvent(new Event('change')); {SHOWN}")
    };
    assert_eq!(number(&mut browser, &choose("phase", "network")), 18);
    assert_eq!(number(&mut browser, &choose("kind", "aws::subnet")), 7);
    assert_eq!(number(&mut browser, &choose("phase", "*")), 7, "all subnets are in that phase");
    browser.run(&choose("kind", "*"));
    chip(&mut browser, "create");
    assert_eq!(number(&mut browser, SHOWN), 0);
    chip(&mut browser, "create");
    // A change opens with its fields; an object of Kubernetes as YAML.
    browser.run("document.querySelector('[data-address=\"k8s::Deployment.keycloak/keycloak\"], [data-address^=\"k8s::Deployment\"]').open = true");
    browser.run("document.querySelector('[data-address=\"aws::subnet.public\"]').open = true");
    let text = "document.querySelector('[data-address=\"aws::subnet.public\"]').innerText";
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !browser.run(text).as_str().unwrap().contains("cidr_block: \"10.0.0.0/24\"") {
        assert!(std::time::Instant::now() < end, "{}", browser.run(text));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(browser.run(text).as_str().unwrap().contains("(known after apply: aws::vpc.prod.id)"));

    // The graph: one node for each, all within the picture, none on another, and what is pointed at shows its chain.
    browser.run("document.querySelector('[data-tab=graph]').click()");
    assert_eq!(number(&mut browser, "document.querySelectorAll('#tab-graph .node').length"), 145);
    let boxes = "[...document.querySelectorAll('#tab-graph .node')].map((n) => { const r = n.getBoundingClientRect(); \
                 return [r.left, r.top, r.right, r.bottom].map(Math.round); })";
    for width in [1280, 400] {
        browser.open(&file, width, width == 400);
        browser.run("document.querySelector('[data-tab=graph]').click()");
        let all: Vec<Vec<i64>> = serde_json::from_value(browser.run(boxes)).unwrap();
        for (index, one) in all.iter().enumerate() {
            assert!(one[0] >= 0 && one[2] <= i64::from(width), "{one:?} at {width}");
            for other in &all[..index] {
                let apart = one[0] >= other[2] || other[0] >= one[2] || one[1] >= other[3] || other[1] >= one[3];
                assert!(apart, "{one:?} lies on {other:?} at {width}");
            }
        }
        let wide = number(&mut browser, "document.documentElement.scrollWidth");
        assert!(wide <= i64::from(width), "nothing stands out of the window: {wide}");
    }
    let node = |address: &str| format!("document.querySelector('.node[data-address=\"{address}\"]')");
    browser.run(&format!("{}.dispatchEvent(new MouseEvent('mouseenter'))", node("aws::subnet.public")));
    let class = |browser: &mut Browser, address: &str| browser.run(&format!("{}.getAttribute('class')", node(address)));
    assert_eq!(class(&mut browser, "aws::vpc.prod"), "node create up");
    assert_eq!(class(&mut browser, "aws::nat_gateway.prod"), "node create down");
    assert_eq!(class(&mut browser, "aws::ssm_parameter./prod/vpn/peers"), "node create");
    browser.run(&format!("{}.dispatchEvent(new MouseEvent('click'))", node("aws::subnet.public")));
    assert_eq!(browser.run("document.querySelector('.struck').dataset.address"), "aws::subnet.public");
    assert_eq!(browser.run("$('tab-changes').hidden"), false);
    quiet(&browser);
}

/// Names, values and phases that would be a program if they were read as HTML.
#[test]
fn what_an_author_wrote_stays_text() {
    let evil = "</script><img src=x onerror=document.title=1>\\u0022 ' & `";
    let playbook = format!(
        "phase(\"{evil}\", || aws::vpc(\"main\", #{{ cidr_block: \"10.0.0.0/16\", tags: #{{ Name: \"{evil}\", \"{evil}\": \"1\" }} }}));\n\
         output(\"x\", \"{evil}\");"
    );
    let project = Project::new("").file("playbooks/prod.rhai", &playbook);
    project.run("playbooks/prod.rhai --sandbox --dry-run --report plan.html").code(0);
    let mut browser = Browser::start();
    browser.open(&project.path("plan.html"), 1280, false);
    browser.run("document.querySelector('.change').open = true; tab('graph'); tab('outputs'); 0");
    browser.run("changes.forEach((change) => document.body.append(inner(change)))");
    assert_eq!(number(&mut browser, "document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.run("document.title"), "prod: plan of runner");
    let text = browser.run("document.body.innerText");
    let shown = "</script><img src=x onerror=document.title=1>";
    assert!(text.as_str().unwrap().matches(shown).count() >= 3, "{text}");
    assert!(browser.run("document.querySelector('.phase').textContent").as_str().unwrap().starts_with(shown));
    quiet(&browser);
}

#[test]
fn a_run_shows_its_timeline_and_how_it_ended() {
    let project = offline();
    project.run("playbooks/prod.rhai --sandbox --yes --report run.html").code(0);
    let mut browser = Browser::start();
    browser.open(&project.path("run.html"), 1280, true);
    assert!(browser.run("$('outcome').textContent").as_str().unwrap().starts_with("done in "));
    browser.run("document.querySelector('[data-tab=timeline]').click()");
    assert_eq!(number(&mut browser, "document.querySelectorAll('.bar').length"), 145);
    // One after the other, and the last of them is what ended last.
    let path = "critical(operations()).map((one) => [one.address, one.start, one.end])";
    let path: Vec<(String, f64, f64)> = serde_json::from_value(browser.run(path)).unwrap();
    assert!(path.len() > 4, "{path:?}");
    assert!(path.windows(2).all(|pair| pair[0].2 <= pair[1].1 + 0.02), "{path:?}");
    let last = browser.run("Math.max(...operations().map((one) => one.end))").as_f64().unwrap();
    assert_eq!(path.last().unwrap().2, last);
    assert_eq!(number(&mut browser, "document.querySelectorAll('.bar.critical').length"), path.len() as i64);
    quiet(&browser);
    // Then a plan that destroys: danger stands on top, whatever is filtered.
    let moved = "playbooks/prod.rhai --sandbox --dry-run --set tags.Environment=live --report moved.html";
    project.edit("inventory/prod.toml", "\"10.0.10.0/24\"", "\"10.0.11.0/24\"");
    project.run(moved).code(0);
    browser.open(&project.path("moved.html"), 400, false);
    let danger = browser.run("$('danger').innerText");
    assert!(danger.as_str().unwrap().contains("replace aws::subnet.database-eu-central-1c"), "{danger}");
    assert!(danger.as_str().unwrap().contains("changed for it: aws::route_table.database"), "{danger}");
    let unchanged = number(&mut browser, "changes.filter((change) => change.action === 'none').length");
    assert_eq!(number(&mut browser, SHOWN), 145 - unchanged);
    chip(&mut browser, "none");
    assert_eq!(number(&mut browser, SHOWN), 145);
    quiet(&browser);
}

#[test]
fn a_run_that_fails_or_is_stopped_leaves_its_page_too() {
    let mut browser = Browser::start();
    let outcome = |browser: &mut Browser, project: &Project| -> String {
        browser.open(&project.path("run.html"), 1280, false);
        browser.run("$('outcome').textContent").as_str().unwrap().to_owned()
    };
    let project = offline();
    let run = project.start("playbooks/prod.rhai --sandbox --yes --report run.html");
    heard(&run.err, "created ");
    run.signal("TERM");
    run.end().code(130);
    assert!(outcome(&mut browser, &project).starts_with("interrupted in "));
    quiet(&browser);
    // The sandbox cannot write.
    let project = offline();
    std::fs::create_dir_all(project.path(".runner/sandbox.json.draft")).unwrap();
    let said = project.run("playbooks/prod.rhai --sandbox --yes --report run.html").code(1);
    assert!(outcome(&mut browser, &project).starts_with("failed in "), "{}", said.err);
    assert!(number(&mut browser, "document.querySelectorAll('.finding').length") > 0);
    quiet(&browser);
    // Nobody is there to be asked; and there is no plan at all.
    let project = offline();
    project.run("playbooks/prod.rhai --sandbox --report run.html").code(1);
    assert_eq!(outcome(&mut browser, &project), "plan");
    project.write("playbooks/prod.rhai", "throw \"out of cheese\";");
    project.run("playbooks/prod.rhai --sandbox --dry-run --report run.html").code(1);
    assert_eq!(outcome(&mut browser, &project), "no plan");
    let told: Json = browser.run("document.querySelector('.finding').innerText");
    assert!(told.as_str().unwrap().contains("out of cheese"), "{told}");
    quiet(&browser);
}

#[test]
fn a_page_that_could_not_be_written_is_told_before_anything_is_done() {
    let project = offline();
    for place in ["nowhere/plan.html", "playbooks"] {
        let said = project.run(&format!("playbooks/prod.rhai --sandbox --yes --report {place}")).code(1);
        assert!(said.err.starts_with(&format!("error: cannot write the report {place}\n")), "{}", said.err);
    }
    assert!(!project.path(".runner").exists());
    project.run("output playbooks/prod.rhai --sandbox --report a.html").code(64);
    assert!(!project.run("output --help").code(0).out.contains("--report"));
}
