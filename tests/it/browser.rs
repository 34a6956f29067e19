//! A headless Chromium, driven over its DevTools pipe: commands and answers as JSON, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Json>,
    count: u64,
    session: String,
    /// What the page wrote to its console as an error, and what was thrown in it.
    pub errors: Vec<String>,
    _home: tempfile::TempDir,
}

/// Where tests/chromium/setup.sh has put it.
fn folder() -> PathBuf {
    match std::env::var_os("RUNNER_CHROMIUM") {
        Some(folder) => folder.into(),
        None => {
            let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chromium/setup.sh");
            let said = Command::new(setup).stderr(Stdio::inherit()).output().unwrap();
            assert!(said.status.success(), "tests/chromium/setup.sh failed");
            String::from_utf8(said.stdout).unwrap().trim().into()
        }
    }
}

impl Browser {
    pub fn start() -> Self {
        let folder = folder();
        let home = tempfile::tempdir().unwrap();
        // The pipe is on descriptors 3 and 4.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"])
            .arg(folder.join("chromium"));
        command.args([
            "--headless=shell",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ]);
        command.arg(format!("--user-data-dir={}", home.path().display()));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home.path());
        command.env("LD_LIBRARY_PATH", folder.join("lib")).env("FONTCONFIG_FILE", folder.join("fonts.conf"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let _ = sender.send(serde_json::from_slice(&message).unwrap());
            }
        });
        let (session, errors) = (String::new(), vec![]);
        let mut browser = Browser { child, commands, messages, count: 0, session, errors, _home: home };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    pub fn call(&mut self, method: &str, params: Json) -> Json {
        self.count += 1;
        let mut command = json!({ "id": self.count, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        let answer = self.until(|message, id| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn until(&mut self, wanted: impl Fn(&Json, u64) -> bool) -> Json {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).expect("the browser answers");
            let params = &message["params"];
            match message["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.errors.push(params["exceptionDetails"].to_string()),
                Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                    self.errors.push(params["entry"].to_string())
                }
                Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                    self.errors.push(params["args"].to_string())
                }
                // A page that is complete in itself asks for nothing.
                Some("Network.requestWillBeSent") => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    if params["type"] != "Document" || !url.starts_with("file:") {
                        self.errors.push(format!("asks for {url}"));
                    }
                }
                _ => {}
            }
            if wanted(&message, self.count) {
                return message;
            }
        }
    }

    /// Opens a file in a window of this size, light or dark.
    pub fn open(&mut self, file: &Path, width: u32, dark: bool) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media);
        self.call("Page.navigate", json!({ "url": "about:blank" }));
        self.errors.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        let end = Instant::now() + PATIENCE;
        while self.run("location.protocol + document.readyState") != "file:complete" {
            assert!(Instant::now() < end, "the page is loaded");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What an expression is in the page.
    #[track_caller]
    pub fn run(&mut self, expression: &str) -> Json {
        let answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
