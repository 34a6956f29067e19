//! What other people and tools do to a stack's objects meanwhile.

use http::{Method, Request};
use serde_json::Value as Json;

use super::Stack;

impl Stack {
    /// Asks the API server; `NS` in path and body is the stack's own name. Media: `json`, `merge-patch+json`,
    /// `apply-patch+yaml`, …
    pub fn ask(&self, method: Method, path: &str, media: &str, body: &Json) -> (u16, Json) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let named = |text: &str| text.replace("NS", &self.name);
        let request = Request::builder().method(method).uri(named(path)).header("accept", "application/json");
        let request = request.header("content-type", format!("application/{media}"));
        let body = if body.is_null() { String::new() } else { named(&body.to_string()) };
        let request = request.body(kube::client::Body::from(body.into_bytes())).unwrap();
        runtime.block_on(async {
            let answer = self.plane.client().send(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect_bytes().await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        })
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Json {
        let (status, object) = self.ask(Method::GET, path, "json", &Json::Null);
        assert_eq!(status, 200, "{path}: {object}");
        object
    }

    pub fn is_there(&self, path: &str) -> bool {
        self.ask(Method::GET, path, "json", &Json::Null).0 == 200
    }

    /// As `kubectl edit` does.
    #[track_caller]
    pub fn edit_live(&self, path: &str, patch: &Json) {
        self.patch_as("kubectl-edit", path, patch);
    }

    #[track_caller]
    pub fn patch_as(&self, manager: &str, path: &str, patch: &Json) {
        let path = format!("{path}?fieldManager={manager}");
        let (status, said) = self.ask(Method::PATCH, &path, "merge-patch+json", patch);
        assert_eq!(status, 200, "{said}");
    }

    #[track_caller]
    pub fn post(&self, path: &str, object: &Json) {
        let (status, said) = self.ask(Method::POST, path, "json", object);
        assert_eq!(status, 201, "{said}");
    }

    #[track_caller]
    pub fn delete_live(&self, path: &str) {
        let (status, said) = self.ask(Method::DELETE, path, "json", &Json::Null);
        assert!(status < 300, "{status} {said}");
    }

    /// Waits for what the cluster or a run under way brings about.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !holds() {
            assert!(start.elapsed() < std::time::Duration::from_secs(40), "{what} has not come after 40 s");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// The stack's own plan, which must say this.
    #[track_caller]
    pub fn plan_says(&self, lines: &[&str]) -> String {
        let plan = self.run("--dry-run").code(0).out;
        lines.iter().for_each(|line| self.says(&plan, line));
        plan
    }

    #[track_caller]
    pub fn says(&self, text: &str, line: &str) {
        let line = line.replace("NS", &self.name);
        assert!(text.contains(&line), "no {line:?} in\n{text}");
    }
}
