//! `make demo-real`: the whole platform in one run against servers that speak like AWS, Kubernetes and Cloudflare, to look at
//! and to play with.

use std::io::{BufRead, IsTerminal};

use crate::control_plane::ControlPlane;
use crate::platform::Platform;

#[test]
#[ignore = "for people: `make demo-real`"]
fn demo_real() {
    let (prod, staging) = (ControlPlane::of_its_own(), ControlPlane::of_its_own());
    let platform = Platform::new(prod, Some(staging));
    let project = &platform.project;
    println!("AWS is at {}, in account {}", crate::moto::url(), platform.account.number);
    println!("Kubernetes is at {} for prod, at {} for staging", prod.server(), staging.server());
    println!("Cloudflare is at {}", platform.cloud.url());
    project.show("playbooks/prod.rhai --yes");
    project.show("playbooks/prod.rhai --dry-run --detailed-exitcode");
    println!("\nIn the zone {}:", crate::platform::ZONE);
    platform.records().iter().for_each(|record| println!("  {record}"));
    if std::io::stdin().is_terminal() {
        let bin = env!("CARGO_BIN_EXE_runner");
        println!(
            "\nAll of it is there. To play with it, in another terminal:\n\ncd {}",
            project.folder.path().display()
        );
        println!("{}alias runner='{bin}'", project.exports());
        println!("runner playbooks/prod.rhai -i staging\n\nEnter, here, takes everything down.");
        let _ = std::io::stdin().lock().read_line(&mut String::new());
    }
    let open = "--set database.protect=false --set edge.protect=false";
    project.show(&format!("playbooks/prod.rhai --yes {open}"));
    project.show(&format!("destroy playbooks/prod.rhai --yes {open}"));
    let left = (platform.tagged("prod"), platform.in_the_cluster(prod, "prod"), platform.records());
    assert_eq!(left, (vec![], vec![], vec![]));
    println!("\nNothing is left in AWS, in the cluster, or in the zone.");
}
