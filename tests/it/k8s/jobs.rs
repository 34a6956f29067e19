//! Jobs that remove themselves once they are done: what counts as done.

use super::{Stack, until};

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: { name: NS }\n---\n";
const PATH: &str = "/apis/batch/v1/namespaces/NS/jobs/once";

fn stack(pod: &str, exit: u8) -> Stack {
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: once }}\nspec:\n  ttlSecondsAfterFinished: 0\n  backoffLimit: 0\n  \
         template:\n    metadata: {{ annotations: {{ fake/exit: \"{exit}\" }} }}\n    spec: {{ {pod}, containers: [{{ name: once, image: \
         once:1 }}] }}\n"
    );
    Stack::new(r#"k8s::manifest("app", #{ cluster: cluster, file: "app.yaml", namespace: "NS" });"#)
        .file("templates/app.yaml", &format!("{NAMESPACE}{job}"))
}

fn path(stack: &Stack) -> String {
    stack.named(PATH)
}

fn until_gone(stack: &Stack) {
    until("the end of the Job", || stack.live(&path(stack)).is_null().then_some(()));
}

#[test]
fn a_job_that_the_server_refused_is_not_done() {
    // Into a namespace that does not exist yet: only the apply tells that it is refused.
    let stack = stack("restartPolicy: Sometimes", 0);
    stack.run("--yes").code(1).tells(&["restartPolicy"]);
    stack.run("--dry-run").code(1).tells(&["restartPolicy"]);
    stack.edit("templates/app.yaml", "Sometimes", "Never");
    let plan = stack.run("--dry-run").code(0);
    plan.tells(&["1 to create"]);
    let mark = stack.plane.mark();
    stack.run("--yes").code(0);
    assert!(stack.requests(mark).iter().any(|one| one.resource == "jobs" && one.verb == "patch" && !one.dry_run));
    until_gone(&stack);
    stack.run("--dry-run --detailed-exitcode").code(0);
    stack.destroy().code(0);
}

#[test]
fn a_job_that_failed_and_is_gone_runs_once_more() {
    let stack = stack("restartPolicy: Never", 1);
    // Whether its end is seen before it is gone is a matter of luck.
    stack.run("--yes");
    until_gone(&stack);
    until("the news of its failure", || {
        stack.run("--dry-run").out.contains("it failed, removed itself, and runs once more").then_some(())
    });
    let mark = stack.plane.mark();
    stack.run("--yes");
    assert!(stack.requests(mark).iter().any(|one| one.resource == "jobs" && one.verb == "patch" && !one.dry_run));
    stack.destroy().code(0);
}

#[test]
fn in_a_namespace_made_anew_a_job_has_not_run() {
    let stack = stack("restartPolicy: Never", 0);
    stack.run("--yes").code(0);
    until_gone(&stack);
    stack.run("--dry-run --detailed-exitcode").code(0);
    let record = stack.parent()["data"]["jobs"].as_str().unwrap().to_owned();
    assert!(record.contains(stack.named("Job.batch/NS/once").as_str()), "{record}");
    stack.remove(&stack.named("/api/v1/namespaces/NS"));
    until("the end of the namespace", || stack.live(&stack.named("/api/v1/namespaces/NS")).is_null().then_some(()));
    stack.run("--dry-run").code(0).tells(&["2 to create"]);
    stack.run("--yes").code(0);
    until_gone(&stack);
    stack.run("--dry-run --detailed-exitcode").code(0);
    stack.destroy().code(0);
}
