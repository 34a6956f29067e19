//! What Cloudflare says went wrong, as a [`Fault`]: its class decides what the engine may do, its hint what a person can.

use std::time::Duration;

use super::api::Told;
use crate::providers::causes::{innermost, lower_first};
use crate::resource::{Class, Fault};

/// What a token needs.
pub const TOKEN: &str = "create an API token with the permissions Zone / Zone / Read and Zone / DNS / Edit for the zone \
                         (My Profile, API Tokens), and put it where `[cloudflare] token` in the inventory says, or into \
                         `CLOUDFLARE_API_TOKEN`";

const UNKNOWN: &str = "Cloudflare does not know the API token";

const TROUBLE: &str = "Cloudflare has trouble, which its status page may tell more of; run again";

/// Nobody waits for longer, whatever they are told; in seconds.
const LONGEST: u64 = 3600;

/// A refusal.
pub struct Answer<'a> {
    pub operation: &'a str,
    pub is_read: bool,
    pub status: u16,
    pub errors: &'a [Told],
    /// In seconds.
    pub retry_after: Option<u64>,
}

pub fn answered(answer: &Answer, ray: Option<String>) -> Fault {
    let told = most_precise(answer.errors);
    let code = told.map(|told| told.code).unwrap_or_default();
    let message = told.map(|told| readable(&told.message)).filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| format!("Cloudflare answers with status {}", answer.status));
    let (class, message, hint) = in_words(answer, code, message);
    let mut fault = Fault::new(class, message);
    fault.hint = hint.map(str::to_owned);
    fault.code = (code != 0).then(|| code.to_string());
    fault.operation = Some(answer.operation.to_owned());
    fault.request_id = ray;
    if class == Class::Throttled {
        fault.retry_after = answer.retry_after.map(|seconds| Duration::from_secs(seconds.min(LONGEST)));
    }
    fault
}

/// Class, words and hint: by what stands behind the code where that is known, by the status otherwise. The codes are
/// those of the DNS records API.
fn in_words(answer: &Answer, code: u32, message: String) -> (Class, String, Option<&'static str>) {
    let adopt =
        "find out whose it is: adopt it with the option `adopt: \"<zone id>/<record id>\"`, or delete it by hand";
    let (class, words, hint) = match (answer.status, code) {
        (429, _) => (Class::Throttled, "Cloudflare limits how often it may be asked".to_owned(), None),
        (500.., _) => (Class::Ambiguous, message, Some(TROUBLE)),
        // What refuses without a word of the API's stands before it.
        (401 | 403, 0) => {
            let what = format!("something before Cloudflare's API refuses the request (status {})", answer.status);
            (Class::Denied, what, Some("check proxies (`HTTPS_PROXY`), firewalls and `CLOUDFLARE_BASE_URL`"))
        }
        (_, 81053) => {
            let what = "there is an A, AAAA or CNAME record of this name already, and a CNAME has to be alone";
            (Class::Exists, what.to_owned(), Some(adopt))
        }
        (_, 81054) => {
            let what = "there is a CNAME record of this name already, and it has to be alone";
            (Class::Exists, what.to_owned(), Some(adopt))
        }
        (_, 81056) => {
            let what = "this name is delegated to other name servers by NS records, and can have nothing else";
            (Class::Exists, what.to_owned(), Some("make the record there"))
        }
        (_, 81057 | 81058) => (Class::Exists, "the very same record is there already".to_owned(), Some(adopt)),
        (_, 81044) => (Class::NotFound, "the record is not there".to_owned(), None),
        (_, 7000 | 7003) => {
            let hint =
                "is it the zone's id, and may the token see that zone? `cloudflare::zone(\"example.com\").id` tells it";
            // That a zone is not seen does not say that a record is gone, and nothing comes of waiting for it.
            (Class::Invalid, "there is no such zone".to_owned(), Some(hint))
        }
        (_, 9313) => {
            let hint = "shorten `comment` or the record's name in the playbook: both are in it, with the stack's name; the \
                        free plan takes 100 characters";
            (Class::Invalid, message, Some(hint))
        }
        (_, 6003 | 6111) => {
            let what = "what was given as Cloudflare API token is none".to_owned();
            (Class::Denied, what, Some("it has to be an API token, not a Global API Key; without `Bearer` and quotes"))
        }
        (_, 1000) | (401, _) => (Class::Denied, UNKNOWN.to_owned(), Some(TOKEN)),
        (_, 9109) if message.contains("nvalid access token") => (Class::Denied, UNKNOWN.to_owned(), Some(TOKEN)),
        (_, 9109) if message.contains("location") => {
            let hint = "the token may be used from some addresses only: run from there, or widen its client IP filter";
            (Class::Denied, message, Some(hint))
        }
        (403, _) => refused(answer, &message),
        // Only the API itself, by its code, says that a record is gone.
        (404, _) => (Class::Other, message, Some("is `CLOUDFLARE_BASE_URL` right?")),
        _ => (Class::Invalid, message, None),
    };
    (class, words, hint)
}

/// The token is good, and not for this.
fn refused(answer: &Answer, message: &str) -> (Class, String, Option<&'static str>) {
    let (what, hint) = match answer.operation {
        "cloudflare:VerifyToken" => ("Cloudflare refuses the API token", TOKEN),
        "cloudflare:ListZones" => ("the API token may not see zones", TOKEN),
        _ if answer.is_read => ("the API token may not read the records of this zone", TOKEN),
        _ => (
            "the API token may not change the records of this zone",
            "give it the permission Zone / DNS / Edit for the zone; to read is enough for a dry run only",
        ),
    };
    (Class::Denied, format!("{what}: {message}"), Some(hint))
}

/// Zones are the first thing that is asked for. A token that the call before did not know is one of an account, or none.
pub fn of_zones(fault: Fault, unknown: bool) -> Fault {
    if fault.class != Class::Denied || !unknown || !may_be_of_account(&fault) {
        return fault;
    }
    let message = format!("{UNKNOWN}; or it is one of an account, and may not see zones");
    Fault { message, ..fault }
}

/// A token that an account owns is unknown to the call that verifies those of users.
pub fn may_be_of_account(fault: &Fault) -> bool {
    fault.class == Class::Denied && matches!(fault.code.as_deref(), None | Some("1000" | "9109" | "10000"))
}

/// An answer that is not what the API gives.
pub fn unreadable(operation: &str, why: &str) -> Fault {
    let mut fault = Fault::new(Class::Ambiguous, format!("the answer cannot be read: {why}"));
    fault.operation = Some(operation.to_owned());
    fault.hint = Some("is `CLOUDFLARE_BASE_URL` right?".to_owned());
    fault
}

/// It is whole, and says something else than it should; asked again, it would again.
pub fn of_another_form(operation: &str, is_read: bool, error: &serde_json::Error) -> Fault {
    let fault = unreadable(operation, &error.to_string());
    Fault { class: if is_read { Class::Other } else { fault.class }, ..fault }
}

pub fn unanswered(operation: &str, is_read: bool, error: &reqwest::Error) -> Fault {
    let mut fault = match error.is_connect() {
        // Nothing was sent, so that it may be sent again.
        true => Fault::new(
            if is_read { Class::Ambiguous } else { Class::Throttled },
            format!("no connection to Cloudflare: {}", innermost(error)),
        )
        .hint("check the network, proxies (`HTTPS_PROXY`) and `CLOUDFLARE_BASE_URL`"),
        false if error.is_timeout() => Fault::new(Class::Ambiguous, "no answer came in time").hint(TROUBLE),
        false => Fault::new(Class::Ambiguous, format!("the connection broke: {}", innermost(error))).hint(TROUBLE),
    };
    fault.operation = Some(operation.to_owned());
    fault
}

/// What `Retry-After` says: seconds, or a moment.
pub fn seconds_until(when: &str) -> Option<u64> {
    let when = when.trim();
    when.parse().ok().or_else(|| {
        let moment = jiff::fmt::rfc2822::parse(when).ok()?.timestamp();
        u64::try_from(moment.duration_since(jiff::Timestamp::now()).as_secs()).ok()
    })
}

/// "DNS Validation Error" alone says nothing: what is at the end of its chain does.
fn most_precise(errors: &[Told]) -> Option<&Told> {
    let first = errors.first()?;
    most_precise(&first.error_chain).or(Some(first))
}

fn readable(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    lower_first(line.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(operation: &str, status: u16, errors: serde_json::Value) -> Fault {
        let errors: Vec<Told> = serde_json::from_value(errors).unwrap();
        let is_read = operation.contains("List") || operation.contains("Verify");
        answered(&Answer { operation, is_read, status, errors: &errors, retry_after: Some(30) }, None)
    }

    fn error(code: u32, message: &str) -> serde_json::Value {
        serde_json::json!([{ "code": code, "message": message }])
    }

    #[test]
    fn what_to_do_follows_from_what_was_said() {
        let list = "cloudflare:ListDNSRecords";
        let create = "cloudflare:CreateDNSRecord";
        for (operation, status, code, class) in [
            (list, 429, 971, Class::Throttled),
            (create, 429, 971, Class::Throttled),
            (list, 502, 0, Class::Ambiguous),
            (create, 502, 0, Class::Ambiguous),
            (create, 400, 81053, Class::Exists),
            (create, 400, 81058, Class::Exists),
            (create, 400, 7003, Class::Invalid),
            ("cloudflare:DeleteDNSRecord", 404, 7003, Class::Invalid),
            ("cloudflare:DeleteDNSRecord", 404, 0, Class::Other),
            (list, 403, 9109, Class::Denied),
            ("cloudflare:DeleteDNSRecord", 404, 81044, Class::NotFound),
            (create, 400, 9005, Class::Invalid),
            (create, 403, 10000, Class::Denied),
            (list, 401, 1000, Class::Denied),
        ] {
            assert_eq!(told(operation, status, error(code, "x")).class, class, "{operation} {status} {code}");
        }
        assert_eq!(told(list, 429, error(971, "x")).retry_after, Some(Duration::from_secs(30)));
        assert_eq!(told(create, 400, error(9005, "x")).retry_after, None);
        let answer = Answer { operation: list, is_read: true, status: 429, errors: &[], retry_after: Some(u64::MAX) };
        assert_eq!(answered(&answer, None).retry_after, Some(Duration::from_secs(LONGEST)));
    }

    #[test]
    fn when_to_come_back_is_told_in_seconds_or_as_a_moment() {
        assert_eq!(seconds_until(" 30 "), Some(30));
        assert!(seconds_until("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|seconds| seconds > 1_000_000));
        assert_eq!(seconds_until("Sat, 01 Jan 2000 00:00:00 GMT"), None);
        assert_eq!(seconds_until("soon"), None);
    }

    #[test]
    fn the_end_of_the_chain_says_what_is_wrong() {
        let chain = error(9005, "Content for A record is invalid. Must be a valid IPv4 address.");
        let nested = serde_json::json!([{ "code": 1004, "message": "DNS Validation Error", "error_chain": chain }]);
        let fault = told("cloudflare:CreateDNSRecord", 400, nested);
        assert_eq!(
            fault.to_string(),
            "content for A record is invalid. Must be a valid IPv4 address (cloudflare:CreateDNSRecord, 9005)"
        );
    }

    #[test]
    fn who_may_not_is_told_what_the_token_needs() {
        let hint = |operation: &str| told(operation, 403, error(10000, "Authentication error")).hint.unwrap();
        assert!(hint("cloudflare:ListZones").contains("Zone / Zone / Read"));
        assert!(hint("cloudflare:CreateDNSRecord").contains("Zone / DNS / Edit"));
        let elsewhere = error(9109, "Cannot use the access token from location: 192.0.2.1");
        assert!(told("cloudflare:ListZones", 403, elsewhere).hint.unwrap().contains("IP filter"));
        assert!(may_be_of_account(&told("cloudflare:VerifyToken", 401, error(1000, "Invalid API Token"))));
        assert!(!may_be_of_account(&told("cloudflare:VerifyToken", 400, error(6003, "Invalid request headers"))));
    }
}
