//! Kubernetes through the binary, on a real API server.

mod apply;
mod clusters;
mod differences;
mod hand;
mod jobs;
mod life;
mod phase;
mod plan;
mod prune;
mod ready;
mod trouble;

use serde_json::Value as Json;

use crate::control_plane::{ControlPlane, Mark, Request};
use crate::project::{Project, Said};

/// A stack with a cluster, as a person would have it. Its name is its own, since all tests share the API server.
pub struct Stack {
    pub project: Project,
    pub name: String,
    pub plane: &'static ControlPlane,
}

impl Stack {
    /// A stack whose playbook has this after `let cluster = …;`; `NS` in it is a name that no other test uses.
    pub fn new(rest: &str) -> Self {
        let plane = ControlPlane::shared();
        let name = plane.unused("stack");
        Self::entered_by(name, plane.kubeconfig().to_str().unwrap(), rest)
    }

    pub fn entered_by(name: String, kubeconfig: &str, rest: &str) -> Self {
        let project = Project::new("").file(&format!("inventory/{name}.toml"), "");
        let stack = Stack { project, name, plane: ControlPlane::shared() };
        let connect = format!("let cluster = k8s::cluster(\"main\", #{{ kubeconfig: \"{kubeconfig}\" }});\n");
        stack.project.write("playbooks/main.rhai", &(connect + rest).replace("NS", &stack.name));
        stack
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        self.project.write(path, &text.replace("NS", &self.name));
        self
    }

    /// `runner playbooks/main.rhai -i NAME …`
    pub fn run(&self, args: &str) -> Said {
        self.project.run(&format!("playbooks/main.rhai -i {} {args}", self.name))
    }

    pub fn destroy(&self) -> Said {
        self.project.run(&format!("destroy playbooks/main.rhai -i {} --yes", self.name))
    }

    /// Applies, and then there is nothing to do.
    #[track_caller]
    pub fn apply(&self, args: &str) -> Said {
        let said = self.run(&format!("--yes {args}")).code(0);
        let again = self.run("--dry-run --detailed-exitcode").code(0);
        assert!(again.out.contains("Nothing to do"), "{}", again.out);
        said
    }

    /// What the API server was asked about this stack's namespace, and about what has none.
    pub fn requests(&self, since: Mark) -> Vec<Request> {
        let all = self.plane.requests(since).into_iter();
        all.filter(|request| request.namespace.starts_with(&self.name) || request.name.contains(&self.name)).collect()
    }

    pub fn edit(&self, file: &str, from: &str, to: &str) {
        self.project.edit(file, &from.replace("NS", &self.name), &to.replace("NS", &self.name));
    }

    /// What is there; null if nothing is.
    pub fn live(&self, path: &str) -> Json {
        match self.ask(http::Method::GET, path, "json", &Json::Null) {
            (404, _) => Json::Null,
            (200, object) => object,
            (code, answer) => panic!("{path}: {code}: {answer}"),
        }
    }

    #[track_caller]
    pub fn make(&self, path: &str, object: Json) -> Json {
        let object: Json = serde_json::from_str(&object.to_string().replace("NS", &self.name)).unwrap();
        let (code, answer) = self.ask(http::Method::POST, path, "json", &object);
        assert_eq!(code, 201, "{answer}");
        answer
    }

    #[track_caller]
    pub fn change(&self, path: &str, patch: Json) {
        let (code, answer) = self.ask(http::Method::PATCH, path, "merge-patch+json", &patch);
        assert_eq!(code, 200, "{answer}");
    }

    pub fn remove(&self, path: &str) {
        let (code, answer) = self.ask(http::Method::DELETE, path, "json", &Json::Null);
        assert!(matches!(code, 200 | 202 | 404), "{answer}");
    }

    /// `NS` in a text is this stack's own name.
    pub fn named(&self, text: &str) -> String {
        text.replace("NS", &self.name)
    }

    /// The parent of the stack's ApplySet; null if there is none.
    pub fn parent(&self) -> Json {
        self.live("/api/v1/namespaces/kube-system/configmaps/runner-NS")
    }
}

/// Looks until it is there.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < end, "{what}: not after a minute");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

impl Said {
    /// Fails unless each of these stands in what it said.
    #[track_caller]
    pub fn tells(self, texts: &[&str]) -> Self {
        for text in texts {
            let there = self.out.contains(text) || self.err.contains(text);
            assert!(there, "no {text:?} in\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        }
        self
    }

    /// Fails unless it told so many errors.
    #[track_caller]
    pub fn errors(self, count: usize) -> Self {
        let told = self.err.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(told, count, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }
}
