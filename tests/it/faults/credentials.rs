//! Credentials that expire midway: taken anew where that is possible, a clear stop where it is not.

use std::sync::atomic::{AtomicBool, Ordering};

use super::sweep::{Calls, Fault, answer, sweep};
use crate::moto::{Account, url};
use crate::project::Project;
use crate::wire::process::Case;
use crate::wire::{Call, Verdict, Wire};

fn expired(call: &Call) -> Verdict {
    answer(call, 400, "ExpiredToken", "The security token included in the request is expired")
}

/// A project whose credentials are not in the environment but where `~/.aws` says.
fn case() -> Case {
    let (account, wire) = (Account::new(), Wire::to(&url()));
    let project = Project::shipped();
    project.edit("inventory/prod.toml", "123456789012", &account.number);
    let project = project.env("AWS_ENDPOINT_URL", &wire.url()).env("AWS_EC2_METADATA_DISABLED", "true");
    Case { account, project, wire }
}

/// A command that gives credentials, others each time, and counts how often it was asked.
fn with_a_process() -> Case {
    let case = case();
    let (script, count) = (case.project.path("credentials.sh"), case.project.path("taken"));
    let text = format!(
        "echo x >> {count}\nn=$(wc -l < {count})\n\
         echo '{{\"Version\": 1, \"AccessKeyId\": \"{}\", \"SecretAccessKey\": \"NOTAREAL-'$n'\"}}'\n",
        case.account.key(),
        count = count.display(),
    );
    case.project.write("credentials.sh", &text);
    let config = format!("[default]\ncredential_process = sh {}\n", script.display());
    case.project.write(".aws/config", &config);
    case
}

fn file(account: &Account, secret: &str) -> String {
    format!("[default]\naws_access_key_id = {}\naws_secret_access_key = {secret}\n", account.key())
}

fn with_a_file() -> Case {
    let case = case();
    case.project.write(".aws/credentials", &file(&case.account, "NOTAREAL-old"));
    case
}

#[test]
fn credentials_of_a_process_are_taken_anew() {
    let fault = Fault::at("expired, a process gives new ones", Calls::Operations, expired);
    sweep(fault.over(with_a_process, |n, case| {
        let count = case.project.path("taken");
        Box::new(move |call| {
            let taken = std::fs::read_to_string(&count).unwrap_or_default().lines().count();
            if call.n >= n && taken < 2 { expired(call) } else { Verdict::Pass }
        })
    }));
}

#[test]
fn credentials_in_a_file_are_read_again() {
    let fault = Fault::at("expired, somebody logs in", Calls::Operations, expired);
    sweep(fault.over(with_a_file, |n, case| {
        let (path, text) = (case.project.path(".aws/credentials"), file(&case.account, "NOTAREAL-new"));
        let logged_in = AtomicBool::new(false);
        Box::new(move |call| {
            if call.n < n || logged_in.swap(true, Ordering::SeqCst) {
                return Verdict::Pass;
            }
            std::fs::write(&path, &text).unwrap();
            expired(call)
        })
    }));
}

#[test]
fn credentials_that_stay_expired_are_a_clear_stop() {
    let fault = Fault::from("expired, of the environment", Calls::Operations, |n| {
        Box::new(move |call| if call.n >= n { expired(call) } else { Verdict::Pass })
    });
    sweep(fault.always_stops("log in again"));
}

#[test]
fn new_credentials_of_another_account_are_refused() {
    let (case, other) = (with_a_file(), Account::new());
    let (path, text) = (case.project.path(".aws/credentials"), file(&other, "NOTAREAL-other"));
    case.wire.rule(move |call| match call.operation.as_str() {
        "ec2:CreateSubnet" => {
            std::fs::write(&path, &text).unwrap();
            expired(call)
        }
        _ => Verdict::Pass,
    });
    let ended = case.run(&format!("{} --yes", crate::wire::process::NETWORK)).with(1, "another account");
    assert!(ended.err.contains(&format!("belong to account {}", other.number)), "{}", ended.err);
    assert_eq!(other.calls().keys().filter(|call| !call.starts_with("sts:")).count(), 0, "{:?}", other.calls());
}
