//! Kubernetes through the binary, on a real API server.

mod apply;
mod hand;
mod life;
mod plan;

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
}
