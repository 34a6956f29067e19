//! What a cluster says went wrong, as a [`Fault`]: its class decides what the engine may do, its hint what a person can.

use std::time::Duration;

use serde_json::Value as Json;

use super::fields::{self, conflicts};
use super::object::{at, text};
use crate::providers::causes::{chain, innermost};
use crate::resource::{Class, Fault};

/// Who asks for more is asked again after so many seconds all the same.
const LONGEST: u64 = 300;
const NO_LOGIN: &str = "the cluster does not accept the credentials";
const NO_ADDRESS: &str = "the cluster's address is not found";
const NO_CONNECTION: &str = "no connection to the cluster";

/// A fault from what kube-apiserver answers: a `Status`, or plain text from what stands before it. `operation` is such
/// as `k8s:Patch deployments.apps`.
pub fn of_status(operation: &str, status_code: u16, body: &str) -> Fault {
    let status = serde_json::from_str::<Json>(body).ok().filter(|json| text(json, &["kind"]) == Some("Status"));
    let mut fault = match &status {
        Some(status) => answered(operation, status_code, status),
        None => unexplained(operation, status_code, body),
    };
    fault.code =
        status.as_ref().and_then(|status| text(status, &["reason"])).filter(|r| !r.is_empty()).map(str::to_owned);
    fault.operation = Some(operation.to_owned());
    fault.retry_after = status.as_ref().filter(|_| fault.class == Class::Throttled).and_then(seconds_asked_for);
    fault
}

/// `Retry-After`, which the API server repeats in its answer.
fn seconds_asked_for(status: &Json) -> Option<Duration> {
    let seconds = at(status, &["details", "retryAfterSeconds"])?.as_u64()?;
    (seconds > 0).then(|| Duration::from_secs(seconds.min(LONGEST)))
}

/// Whether nothing can have been changed by it, so that it may be made again.
fn is_read(operation: &str) -> bool {
    let verb = operation.strip_prefix("k8s:").unwrap_or(operation);
    ["Get", "List", "Watch", "Discover", "DryRun"].iter().any(|read| verb.starts_with(read))
}

/// `deployments.apps` of `k8s:Patch deployments.apps`.
fn resource(operation: &str) -> &str {
    operation.split_once(' ').map_or(operation, |(_, resource)| resource)
}

fn unexplained(operation: &str, code: u16, body: &str) -> Fault {
    let first = beginning(body, 200);
    match code {
        404 => not_served(operation),
        401 => denied_login(),
        403 => Fault::new(Class::Denied, format!("refused: {first}")),
        429 | 503 => Fault::new(Class::Throttled, format!("the API server is busy: {first}")),
        500.. => Fault::new(Class::Ambiguous, format!("status {code} without an explanation: {first}"))
            .hint("what answered may be a proxy or load balancer before the API server"),
        _ => Fault::new(Class::Other, format!("status {code}: {first}")),
    }
}

/// The first line, and no more of it than that. What is cut off ends in `…`: so the masking of secrets knows it.
fn beginning(text: &str, characters: usize) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn not_served(operation: &str) -> Fault {
    Fault::new(Class::NotFound, format!("the cluster does not serve {}", resource(operation)))
        .hint("is the CustomResourceDefinition declared, and the version the one that it serves?")
}

/// Whether the cluster was not reached, or does not know who we are.
pub fn is_no_entry(fault: &Fault) -> bool {
    [NO_LOGIN, NO_ADDRESS, NO_CONNECTION].iter().any(|said| fault.message.contains(said))
}

fn denied_login() -> Fault {
    Fault::new(Class::Denied, NO_LOGIN).hint(
        "has the token expired? `kubectl auth whoami` shows who you are; on EKS the role needs an access entry (`aws::eks_access_entry`)",
    )
}

fn answered(operation: &str, code: u16, status: &Json) -> Fault {
    let message = text(status, &["message"]).unwrap_or_default().trim();
    let reason = text(status, &["reason"]).unwrap_or_default();
    if let Some(fault) = admission(code, message) {
        return fault;
    }
    if is_terminating(status, message) {
        return Fault::new(Class::Busy, readable(message))
            .hint("it is being deleted; what it waits for stands in its conditions and finalizers");
    }
    match (code, reason) {
        (401, _) => denied_login(),
        (403, _) => forbidden(message),
        (404, _) => not_found(operation, status, message),
        (409, "AlreadyExists") => Fault::new(Class::Exists, readable(message)),
        (409, _) => conflict(status, message),
        (422, _) => Fault::new(Class::Invalid, causes(status).unwrap_or_else(|| readable(&redacted(message)))),
        (429 | 503, _) => Fault::new(Class::Throttled, readable(message)),
        (500, _) if is_schema(message) => schema(message),
        (500.., _) => Fault::new(Class::Ambiguous, readable(message)),
        (413, _) => Fault::new(Class::Invalid, "the object is too large for the API server"),
        (400..=499, _) => Fault::new(Class::Invalid, causes(status).unwrap_or_else(|| readable(&redacted(message)))),
        _ => Fault::new(Class::Other, readable(message)),
    }
}

/// What stands between the API server and the object: webhooks, policies, pod security, quotas.
fn admission(code: u16, message: &str) -> Option<Fault> {
    let class = if code == 403 { Class::Denied } else { Class::Invalid };
    if message.contains("failed calling webhook") {
        let name = quoted_after(message, "webhook").unwrap_or("?");
        let why = message.rsplit_once("\": ").map_or(message, |(_, why)| why);
        return Some(
            Fault::new(Class::Busy, format!("the webhook `{name}` cannot be asked: {why}"))
                .hint("are the pods behind its Service ready? It refuses everything until they are"),
        );
    }
    if message.contains("denied the request") || message.contains("denied request:") {
        let who = ["webhook", "ValidatingAdmissionPolicy"];
        let who = who.into_iter().find_map(|sort| Some((sort, quoted_after(message, sort)?)));
        let (sort, name) = who.unwrap_or(("admission plugin", "?"));
        let why = message
            .split_once("denied the request")
            .or_else(|| message.split_once("denied request"))
            .map_or("", |(_, why)| why);
        let why = why.trim_start_matches(':').trim();
        return Some(
            Fault::new(class, format!("the {sort} `{name}` refuses it: {why}"))
                .hint("change the object so that it is let through, or ask those who keep the rule"),
        );
    }
    if message.contains("violates PodSecurity") {
        return Some(Fault::new(Class::Denied, readable(message)).hint(
            "the namespace's label `pod-security.kubernetes.io/enforce` sets the level: change the pod's `securityContext`, or the label",
        ));
    }
    if message.contains("exceeded quota") {
        return Some(
            Fault::new(Class::Denied, readable(message)).hint("raise the namespace's ResourceQuota, or ask for less"),
        );
    }
    None
}

/// The first quoted text after a word, in either sort of quotes.
fn quoted_after<'a>(message: &'a str, word: &str) -> Option<&'a str> {
    let rest = message.split_once(word)?.1;
    let start = rest.find(['"', '\''])?;
    let quote = rest[start..].chars().next()?;
    rest[start + 1..].split_once(quote).map(|(name, _)| name)
}

fn is_terminating(status: &Json, message: &str) -> bool {
    let causes = at(status, &["details", "causes"]).and_then(Json::as_array).into_iter().flatten();
    causes.into_iter().any(|cause| text(cause, &["reason"]) == Some("NamespaceTerminating"))
        || ["is being terminated", "object is being deleted", "definition is terminating"]
            .iter()
            .any(|said| message.contains(said))
}

fn forbidden(message: &str) -> Fault {
    // `pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "x"`
    let core = message.split_once("is forbidden: ").map_or(message, |(_, why)| why);
    let fault = Fault::new(Class::Denied, readable(core));
    if core.contains("attempting to grant RBAC permissions") {
        return fault.hint("nobody may grant rights that he does not have: apply this with cluster-admin rights");
    }
    fault.hint("give the user a Role or ClusterRole with that verb; on EKS, an access policy (`aws::eks_access_entry`)")
}

fn not_found(operation: &str, status: &Json, message: &str) -> Fault {
    let (kind, name) = (text(status, &["details", "kind"]), text(status, &["details", "name"]));
    match (kind, name) {
        (Some("namespaces"), Some(name)) if !resource(operation).starts_with("namespaces") => {
            Fault::new(Class::NotFound, format!("there is no namespace `{name}`"))
                .hint("declare it in the same playbook")
        }
        (_, None) if message.contains("could not find the requested resource") => not_served(operation),
        _ => Fault::new(Class::NotFound, readable(message)),
    }
}

fn conflict(status: &Json, message: &str) -> Fault {
    let all = conflicts(status);
    if !all.is_empty() {
        let told: Vec<String> = all.iter().map(|one| format!("`{}` is set by `{}`", one.path, one.manager)).collect();
        return Fault::new(Class::Other, format!("others set the same fields otherwise: {}", told.join(", ")))
            .hint("leave the field out of the manifest if it is theirs, or take it over with force");
    }
    if message.contains("UID in the precondition") {
        return Fault::new(Class::Other, "it is not the object that was planned for: someone has replaced it since");
    }
    Fault::new(Class::Busy, readable(message))
}

/// Server-side apply answers 500 to what does not fit the schema.
fn is_schema(message: &str) -> bool {
    ["failed to create typed", "failed to create manager", "field not declared in schema", "duplicate entries for key"]
        .iter()
        .any(|said| message.contains(said))
}

fn schema(message: &str) -> Fault {
    // `failed to create typed patch object (in/web; apps/v1, Kind=Deployment): .spec.x: field not declared in schema`
    let what = message.split_once("): ").map_or(message, |(_, what)| what);
    let what = what.trim_start_matches("errors:").split_whitespace().collect::<Vec<_>>().join(" ");
    let what = match what.split_once(": ").filter(|(field, _)| field.starts_with('.') && !field.contains(' ')) {
        Some((field, why)) => format!("`{}`: {}", fields::readable(field), plain(why)),
        None => plain(&what),
    };
    let hint = match () {
        _ if what.contains("not declared in schema") => "is the field misspelt, or of another version of the API?",
        _ if what.contains("duplicate entries") => {
            "two items of the list have one key; server-side apply cannot tell them apart"
        }
        _ => "is it quoted where it should not be, or not quoted where it should be?",
    };
    Fault::new(Class::Invalid, what).hint(hint)
}

/// `expected string, got &value.valueUnstructured{Value:true}` without what only its authors understand.
fn plain(why: &str) -> String {
    match why.split_once("&value.valueUnstructured{Value:") {
        Some((before, value)) => format!("{before}`{}`", value.trim_end_matches('}')),
        None => why.to_owned(),
    }
}

/// What is wrong, field by field.
fn causes(status: &Json) -> Option<String> {
    let all = at(status, &["details", "causes"])?.as_array()?;
    let told: Vec<String> = all
        .iter()
        .map(|cause| {
            let message = redacted(text(cause, &["message"]).unwrap_or_default());
            match text(cause, &["field"]).filter(|field| !field.is_empty() && *field != "<nil>") {
                Some(field) => format!("{field}: {message}"),
                None => message,
            }
        })
        .collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// A message without the value it quotes, if that is a whole structure: a Job's shows all of its pods, environment
/// included.
fn redacted(message: &str) -> String {
    const VALUE: &str = "Invalid value: ";
    let Some((before, rest)) = message.split_once(VALUE) else { return message.to_owned() };
    let is_plain = rest.len() < 200 && !rest.contains(['{', '}']);
    match rest.rsplit_once(": ") {
        _ if is_plain => message.to_owned(),
        Some((_, why)) if !why.contains(['{', '}']) => format!("{before}{why}"),
        _ => format!("{before}invalid value"),
    }
}

/// The fields that cannot be changed, if they are all that an answer is about: only then does a new object in the place
/// of the old one help.
pub fn immutable_fields(status_code: u16, body: &str) -> Vec<String> {
    const SAID: [&str; 7] = [
        "field is immutable",
        "is immutable after creation",
        "may not change once set",
        "cannot change roleRef",
        "updates to statefulset spec for fields other than",
        "updates to parameters are forbidden",
        "updates to provisioner are forbidden",
    ];
    let Ok(status) = serde_json::from_str::<Json>(body) else { return vec![] };
    let all = at(&status, &["details", "causes"]).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_about =
        |cause: &Json| text(cause, &["message"]).is_some_and(|message| SAID.iter().any(|said| message.contains(said)));
    if status_code != 422 || !all.iter().all(is_about) {
        return vec![];
    }
    all.iter().filter_map(|cause| text(cause, &["field"])).map(str::to_owned).collect()
}

/// A fault from the client: the answer, or why there is none.
pub fn of_error(operation: &str, error: &kube::Error) -> Fault {
    let mut fault = match error {
        // The client takes any text for an answer's reason; what an API server says of discovery is never a 404.
        kube::Error::Api(status) if is_discovery(operation) && (status.code == 404 || is_unparsed(&status.reason)) => {
            let first = beginning(&status.message, 100);
            Fault::new(Class::Other, format!("what answers is no API server: status {}: {first}", status.code))
                .hint("check the endpoint: it may be that of a proxy or of another service")
        }
        kube::Error::Api(status) => {
            let body = serde_json::to_value(status).map(|mut body| {
                body["kind"] = "Status".into();
                body.to_string()
            });
            return of_status(operation, status.code, &body.unwrap_or_default());
        }
        kube::Error::Auth(_) => Fault::new(Class::Denied, format!("no credentials could be had: {}", innermost(error)))
            .hint("does the command that the kubeconfig names work by itself, and is it logged in?"),
        kube::Error::HyperError(_) | kube::Error::Service(_) => unanswered(&chain(error), &innermost(error)),
        kube::Error::SerdeError(_) => {
            let class = if is_read(operation) { Class::Other } else { Class::Ambiguous };
            Fault::new(class, format!("what answers is no API server: {}", innermost(error)))
                .hint("check the endpoint: it may be that of a proxy or of another service")
        }
        _ => Fault::new(Class::Other, chain(error)),
    };
    fault.operation = Some(operation.to_owned());
    fault
}

fn is_discovery(operation: &str) -> bool {
    operation == "k8s:Discover"
}

fn is_unparsed(reason: &str) -> bool {
    reason == "Failed to parse error data"
}

fn unanswered(chain: &str, innermost: &str) -> Fault {
    let said = |words: &[&str]| words.iter().any(|word| chain.to_lowercase().contains(word));
    if said(&["dns error", "failed to lookup", "name or service not known"]) {
        return Fault::new(Class::Other, format!("{NO_ADDRESS}: {innermost}"))
            .hint("check the endpoint and the network; a private endpoint needs the VPN");
    }
    if said(&["certificate", "invalid peer", "handshake", "tls"]) {
        return Fault::new(Class::Other, format!("no trusted connection: {innermost}"))
            .hint("is the certificate authority (`certificate_authority_data`, in a kubeconfig `certificate-authority-data`) that of this cluster?");
    }
    if said(&["connection refused", "network is unreachable", "no route to host", "tcp connect"]) {
        return Fault::new(Class::Other, format!("{NO_CONNECTION}: {innermost}"))
            .hint("check the endpoint and the network; a private endpoint needs the VPN");
    }
    let what =
        if said(&["timed out", "deadline", "timeout"]) { "no answer came in time" } else { "the connection broke" };
    Fault::new(Class::Ambiguous, format!("{what}: {innermost}"))
}

/// Without a full stop at its end, and on one line.
fn readable(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "the API server gives no reason".to_owned() } else { line.trim_end_matches('.').to_owned() }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
