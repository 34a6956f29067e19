//! What is made of a cluster's answers.

use std::time::Duration;

use serde_json::json;

use super::*;

fn body(code: u16, reason: &str, message: &str, details: Json) -> String {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, "details": details })
        .to_string()
}

fn fault(code: u16, reason: &str, message: &str, details: Json) -> Fault {
    of_status("k8s:Patch deployments.apps", code, &body(code, reason, message, details))
}

#[test]
fn a_schema_error_is_told_and_never_ambiguous() {
    let said = "failed to create typed patch object (in/web; apps/v1, Kind=Deployment): ";
    let found = fault(500, "", &format!("{said}.spec.replica: field not declared in schema"), Json::Null);
    assert_eq!((found.class, found.message.as_str()), (Class::Invalid, "`spec.replica`: field not declared in schema"));
    let found = fault(
        500,
        "",
        &format!("{said}errors:\n  .spec.ports: duplicate entries for key [containerPort=80,protocol=\"TCP\"]\n"),
        Json::Null,
    );
    assert_eq!(found.class, Class::Invalid);
    assert_eq!(found.message, "`spec.ports`: duplicate entries for key [containerPort=80,protocol=\"TCP\"]");
    let found = fault(
        500,
        "",
        &format!("{said}.data.debug: expected string, got &value.valueUnstructured{{Value:true}}"),
        Json::Null,
    );
    assert_eq!(found.message, "`data.debug`: expected string, got `true`");
    assert_eq!(fault(500, "InternalError", "etcdserver: leader changed", Json::Null).class, Class::Ambiguous);
    assert_eq!(
        of_status("k8s:List pods", 500, &body(500, "InternalError", "etcd", Json::Null)).class,
        Class::Ambiguous
    );
}

#[test]
fn classes_are_by_what_may_be_done() {
    let class = |code, reason, message| fault(code, reason, message, Json::Null).class;
    assert_eq!(class(429, "TooManyRequests", "too many"), Class::Throttled);
    assert_eq!(class(503, "ServiceUnavailable", "starting"), Class::Throttled);
    assert_eq!(class(409, "AlreadyExists", "namespaces \"a\" already exists"), Class::Exists);
    assert_eq!(
        class(409, "Conflict", "the object has been modified; please apply your changes to the latest version"),
        Class::Busy
    );
    assert_eq!(class(409, "Conflict", "object is being deleted: namespaces \"a\" already exists"), Class::Busy);
    assert_eq!(class(401, "Unauthorized", "Unauthorized"), Class::Denied);
    assert_eq!(class(400, "BadRequest", "metadata.managedFields must be nil"), Class::Invalid);
    assert_eq!(class(504, "Timeout", "request did not complete"), Class::Ambiguous);
    let terminating =
        json!({ "causes": [{ "reason": "NamespaceTerminating", "message": "namespace a is being terminated" }] });
    let found = fault(
        403,
        "Forbidden",
        "configmaps \"c\" is forbidden: unable to create new content in namespace a",
        terminating,
    );
    assert_eq!((found.class, found.code.as_deref()), (Class::Busy, Some("Forbidden")));
}

#[test]
fn a_conflict_lists_manager_and_field() {
    let causes = json!({ "causes": [{ "reason": "FieldManagerConflict", "field": ".spec.replicas", "message": "conflict with \"hpa\" using apps/v1" }] });
    let found = fault(409, "Conflict", "Apply failed with 1 conflict", causes);
    assert_eq!(found.message, "others set the same fields otherwise: `spec.replicas` is set by `hpa`");
    assert!(found.hint.unwrap().contains("force"));
}

#[test]
fn what_is_not_there_is_told_apart() {
    let namespace = json!({ "name": "shop", "kind": "namespaces" });
    assert_eq!(
        fault(404, "NotFound", "namespaces \"shop\" not found", namespace).message,
        "there is no namespace `shop`"
    );
    let plain = of_status("k8s:Patch widgets.example.com", 404, "404 page not found\n");
    assert_eq!(
        (plain.class, plain.message.as_str()),
        (Class::NotFound, "the cluster does not serve widgets.example.com")
    );
    let object = json!({ "name": "web", "kind": "deployments", "group": "apps" });
    assert_eq!(
        fault(404, "NotFound", "deployments.apps \"web\" not found", object).message,
        "deployments.apps \"web\" not found"
    );
}

#[test]
fn a_refusal_names_who_refuses() {
    let found = fault(
        403,
        "Forbidden",
        "pods is forbidden: User \"eve\" cannot list resource \"pods\" in API group \"\" in the namespace \"a\"",
        Json::Null,
    );
    assert_eq!(found.message, "User \"eve\" cannot list resource \"pods\" in API group \"\" in the namespace \"a\"");
    let found =
        fault(400, "BadRequest", "admission webhook \"validate.nginx\" denied the request: host taken", Json::Null);
    assert_eq!(found.class, Class::Invalid);
    assert_eq!(found.message, "the webhook `validate.nginx` refuses it: host taken");
    let unreachable = "Internal error occurred: failed calling webhook \"validate.nginx\": failed to call webhook: Post \"https://hook.in.svc:443/x?timeout=10s\": no endpoints available for service \"hook\"";
    let found = fault(500, "InternalError", unreachable, Json::Null);
    assert_eq!(found.class, Class::Busy);
    assert_eq!(
        found.message,
        "the webhook `validate.nginx` cannot be asked: no endpoints available for service \"hook\""
    );
    let security = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
    assert!(fault(403, "Forbidden", security, Json::Null).hint.unwrap().contains("securityContext"));
}

fn invalid(causes: &[(&str, &str)]) -> String {
    let causes: Vec<Json> = causes
        .iter()
        .map(|(field, message)| json!({ "reason": "FieldValueInvalid", "field": field, "message": message }))
        .collect();
    body(
        422,
        "Invalid",
        "Job.batch \"x\" is invalid: spec.template: Invalid value: {\"PASSWORD\":\"hunter2\"}",
        json!({ "causes": causes }),
    )
}

#[test]
fn what_cannot_be_changed_is_listed_and_a_pod_template_is_not_echoed() {
    let job = invalid(&[(
        "spec.template",
        "Invalid value: core.PodTemplateSpec{Env: \"PASSWORD: hunter2\"}: field is immutable",
    )]);
    let found = of_status("k8s:Patch jobs.batch", 422, &job);
    assert_eq!((found.class, found.message.as_str()), (Class::Invalid, "spec.template: field is immutable"));
    assert_eq!(immutable_fields(422, &job), ["spec.template"]);
    let set = invalid(&[(
        "spec",
        "Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden",
    )]);
    assert_eq!(immutable_fields(422, &set), ["spec"]);
    let class = invalid(&[("spec.loadBalancerClass", "Invalid value: \"b\": may not change once set")]);
    assert_eq!(immutable_fields(422, &class), ["spec.loadBalancerClass"]);
    assert_eq!(
        of_status("k8s:Patch services", 422, &class).message,
        "spec.loadBalancerClass: Invalid value: \"b\": may not change once set"
    );
    let mixed =
        invalid(&[("spec.selector", "field is immutable"), ("spec.replicas", "must be greater than or equal to 0")]);
    assert!(immutable_fields(422, &mixed).is_empty(), "a new object would not be valid either");
    assert!(immutable_fields(409, &job).is_empty() && immutable_fields(422, "oops").is_empty());
}

#[test]
fn no_answer_is_ambiguous_unless_nothing_was_sent() {
    let broken = || kube::Error::Service(std::io::Error::other("connection reset by peer").into());
    assert_eq!(of_error("k8s:Patch pods", &broken()).class, Class::Ambiguous);
    assert_eq!(of_error("k8s:List pods", &broken()).class, Class::Ambiguous);
    let refused = kube::Error::Service(std::io::Error::other("Connection refused (os error 111)").into());
    assert_eq!(of_error("k8s:Patch pods", &refused).class, Class::Other);
    let status = kube::core::Status::failure("pods \"a\" already exists", "AlreadyExists").with_code(409);
    let found = of_error("k8s:Patch pods", &kube::Error::Api(status.boxed()));
    assert_eq!((found.class, found.code.as_deref()), (Class::Exists, Some("AlreadyExists")));
}

#[test]
fn when_to_come_back_is_kept_where_it_is_said() {
    let after =
        |code, details| of_status("k8s:Patch pods", code, &body(code, "TooManyRequests", "x", details)).retry_after;
    assert_eq!(after(429, json!({ "retryAfterSeconds": 7 })), Some(Duration::from_secs(7)));
    assert_eq!(after(503, json!({ "retryAfterSeconds": 100_000 })), Some(Duration::from_secs(300)));
    assert_eq!(after(429, json!({ "retryAfterSeconds": 0 })), None);
    assert_eq!(after(504, json!({ "retryAfterSeconds": 7 })), None);
    assert_eq!(after(429, json!({})), None);
}
