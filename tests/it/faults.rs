//! Faults on the wire, each swept over the calls of the shipped network phase: the run converges, or stops with the
//! cause; then, without the fault, a run converges. Nothing is lost, nothing doubled, nothing stuck.
//!
//! `make test` sweeps every write and one read of each operation for the faults that bite most, one call of each operation
//! that writes and some reads for the others; with `RUNNER_SWEEP=full` (`make test-faults`) every call.

mod credentials;
mod sweep;
mod young;

use std::time::Duration;

use sweep::{Calls, Fault, answer, full, sweep};

use crate::wire::process::{Case, NETWORK};
use crate::wire::{Call, Verdict};

/// As a service says that it is asked too often.
fn throttled(call: &Call) -> Verdict {
    match call.service.as_str() {
        "ec2" => answer(call, 503, "RequestLimitExceeded", "Request limit exceeded."),
        _ => answer(call, 400, "Throttling", "Rate exceeded"),
    }
}

#[test]
fn a_throttled_call() {
    sweep(Fault::at("throttled, one call", Calls::Operations, throttled));
}

#[test]
fn a_storm_of_twenty_throttled_calls() {
    let storm =
        |n: usize| move |call: &Call| if (n..n + 20).contains(&call.n) { throttled(call) } else { Verdict::Pass };
    sweep(Fault::from("throttled, 20 calls", Calls::Operations, move |n| Box::new(storm(n))));
}

#[test]
fn an_internal_error() {
    let error = |call: &Call| answer(call, 500, "InternalError", "An internal error has occurred");
    sweep(Fault::at("InternalError, 500", Calls::Operations, error));
}

#[test]
fn an_unavailable_service() {
    let error = |call: &Call| answer(call, 503, "ServiceUnavailable", "The service is unavailable");
    sweep(Fault::at("ServiceUnavailable, 503", Calls::Operations, error));
}

#[test]
fn a_page_of_a_proxy() {
    let body = "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>";
    let page = move |_: &Call| Verdict::Answer { status: 502, content_type: "text/html", body: body.into() };
    sweep(Fault::at("HTML, 502", Calls::Operations, page));
}

#[test]
fn a_page_of_a_proxy_that_says_all_is_well() {
    let body = "<html><head><title>Log in</title></head><body><form></form></body></html>";
    let page = move |_: &Call| Verdict::Answer { status: 200, content_type: "text/html", body: body.into() };
    sweep(Fault::at("HTML, 200", Calls::Operations, page));
}

#[test]
fn a_connection_reset_before_the_call() {
    sweep(Fault::at("reset", Calls::Operations, |_| Verdict::Reset));
}

#[test]
fn an_answer_lost_after_the_call_took_effect() {
    sweep(Fault::at("answer lost", Calls::Writes, |_| Verdict::Lost));
}

#[test]
fn half_an_answer_that_pretends_to_be_whole() {
    sweep(Fault::at("half, as if whole", Calls::Writes, |_| Verdict::Truncate(0.5)));
}

#[test]
fn half_an_answer() {
    sweep(Fault::at("cut in half", Calls::Operations, |_| Verdict::Cut(0.5)));
}

#[test]
fn an_empty_answer() {
    sweep(Fault::at("empty, 200", Calls::Operations, |_| Verdict::Truncate(0.0)));
}

#[test]
fn a_slow_answer() {
    sweep(Fault::at("2 s late", Calls::Operations, |_| Verdict::Slow(Duration::from_secs(2))));
    // Nobody waits so long for an answer, and so long is the full sweep's alone.
    if full() {
        sweep(Fault::at("65 s late", Calls::Slowly, |_| Verdict::Slow(Duration::from_secs(65))));
    }
}

#[test]
fn a_clock_that_is_wrong() {
    // With the server's own time, an hour from here.
    let wrong = |call: &Call| {
        let Verdict::Answer { status, content_type, body } = answer(
            call,
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ) else {
            unreachable!()
        };
        let then = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let then = then.strftime("%a, %d %b %Y %H:%M:%S GMT");
        Verdict::Answer { status, content_type: format!("{content_type}\r\nDate: {then}").leak(), body }
    };
    sweep(Fault::at("clock wrong by 1 h", Calls::Operations, wrong).may_stop("this machine's clock is 59 min behind"));
}

/// The network is there, and the listing of something tells only half of it, as often as it is asked.
#[test]
fn half_a_listing_makes_nothing_again() {
    let shares: &[f64] = if full() { &[0.1, 0.3, 0.5, 0.7, 0.9, 0.99] } else { &[0.5] };
    let clean = sweep::clean();
    let mut reads: Vec<&str> = clean.calls.iter().filter(|call| call.reads).map(|c| c.operation.as_str()).collect();
    reads.sort_unstable();
    reads.dedup();
    let cases: Vec<(String, f64)> =
        reads.iter().flat_map(|name| shares.iter().map(|share| ((*name).to_owned(), *share))).collect();
    assert!(cases.len() >= 8, "{reads:?}");
    let (count, mut stopped) = (cases.len(), 0);
    for outcome in sweep::side_by_side(cases, |(operation, share)| {
        let told = format!("{operation} cut to {share}");
        let case = Case::new();
        case.run(&format!("{NETWORK} --yes")).with(0, &told);
        case.wire.forget();
        case.wire.rule({
            let operation = operation.clone();
            move |call| if call.operation == operation { Verdict::Truncate(share) } else { Verdict::Pass }
        });
        let ended = case.run(&format!("{NETWORK} --yes"));
        assert!(!ended.stuck && !ended.err.contains("panicked"), "{told}: {}", ended.err);
        let cut = case.wire.calls().iter().any(|call| call.operation == operation);
        assert_eq!(ended.code, Some(i32::from(cut)), "{told}: {}\n{}", ended.out, ended.err);
        assert!(!cut || ended.err.contains("the answer"), "{told}: {}", ended.err);
        let writes: Vec<String> = case.wire.calls().into_iter().filter(|c| !c.reads).map(|c| c.operation).collect();
        assert_eq!(writes, [""; 0], "{told}");
        case.wire.forget();
        sweep::settled(&case, &told);
        assert_eq!(sweep::difference(&case), (vec![], vec![]), "{told}");
        cut
    }) {
        stopped += usize::from(outcome);
    }
    assert!(stopped * 2 > count, "{stopped} of {count} were cut at all");
    println!("| half a listing, always | {count} | 0 | 0 | 0 | {stopped} stopped |");
}
