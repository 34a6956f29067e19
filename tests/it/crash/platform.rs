//! The whole platform in a relay: every run is killed at its first write to AWS or to Cloudflare, or before its second, while
//! others are under way, and the next goes on. What is written
//! to Kubernetes is not counted, since its API server is reached by TLS: such writes are under way when others kill the run.

use super::relay::Relay;
use super::tally::Tally;
use crate::control_plane::ControlPlane;
use crate::moto::Held;
use crate::platform::Platform;
use crate::wire::Wire;
use crate::wire::process::run;

const PLAYBOOK: &str = "playbooks/prod.rhai";

/// The platform with both its wires.
struct Stage {
    platform: Platform,
    aws: Wire,
    cloudflare: Wire,
}

impl Stage {
    fn new() -> Stage {
        let Platform { account, cloud, project, prod } = Platform::new(ControlPlane::of_its_own(), None);
        let (aws, cloudflare) = (Wire::to(&crate::moto::url()), Wire::to(&cloud.url()));
        let project = project.env("AWS_ENDPOINT_URL", &aws.url()).env("CLOUDFLARE_BASE_URL", &cloudflare.url());
        Stage { platform: Platform { account, cloud, project, prod }, aws, cloudflare }
    }

    fn run(&self, args: &str) -> crate::wire::process::Ended {
        run(&self.platform.project, &[&self.aws, &self.cloudflare], args)
    }

    /// By their names, in all three places. Ids of AWS's, which records hold, are left out.
    fn holds(&self) -> Vec<String> {
        let account = &self.platform.account;
        let mut names: Vec<String> = account.held().iter().chain(&account.held_elsewhere()).map(Held::name).collect();
        let records = self.platform.records();
        // One that proves the certificate, by the name that AWS chose, and one for each host.
        names.extend(records.iter().map(|record| record.split(' ').take(2).collect::<Vec<_>>().join(" ")));
        names.extend(self.platform.in_the_cluster(self.platform.prod, "prod"));
        names.iter_mut().for_each(|name| {
            if name.contains("._") || name.starts_with("CNAME _") {
                *name = "CNAME of the certificate".to_owned();
            }
        });
        names.sort();
        names
    }
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_the_platform() {
    let clean = Stage::new();
    clean.run(&format!("{PLAYBOOK} --yes")).with(0, "without trouble");
    let wanted = clean.holds();
    assert!(wanted.len() > 100, "{wanted:#?}");
    let mut tally = Tally::default();
    for after in [true, false] {
        let stage = Stage::new();
        let wires = [&stage.aws, &stage.cloudflare];
        let relay = Relay { project: &stage.platform.project, wires: &wires, after };
        let account = &stage.platform.account;
        let mut one = relay.run(&format!("{PLAYBOOK} --yes"), || {
            account.held().iter().chain(&account.held_elsewhere()).map(Held::name).collect()
        });
        let told = format!("the platform, killed {}", if after { "after" } else { "before" });
        one.ended_well(&told, &stage.run(&format!("{PLAYBOOK} --yes")));
        one.nothing_to_do(&told, &stage.run(&format!("{PLAYBOOK} --dry-run --detailed-exitcode")));
        one.compare(&told, &wanted, &stage.holds());
        println!("{told}: {} runs", one.cases);
        tally.add(one);
    }
    tally.is_clean("the whole platform, in a relay", 40);
}
