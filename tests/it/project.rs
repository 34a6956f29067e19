//! A project folder of its own and the binary run in it, as a person would.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a run may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Project {
    pub folder: TempDir,
    env: Vec<(String, String)>,
}

/// What a run said, and its exit code.
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Project {
    /// An empty folder with an inventory `prod` of this text.
    pub fn new(inventory: &str) -> Self {
        let project = Project { folder: tempfile::tempdir().unwrap(), env: vec![] };
        project.file("inventory/prod.toml", inventory)
    }

    /// The playbooks and inventories that ship.
    pub fn shipped() -> Self {
        let project = Project { folder: tempfile::tempdir().unwrap(), env: vec![] };
        for folder in ["playbooks", "inventory", "templates"] {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &project.path(folder));
        }
        project
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn file(self, file: &str, text: &str) -> Self {
        self.write(file, text);
        self
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    /// Replaces text in a file, which must have it.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        self.write(file, &text.replace(from, to));
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// `runner …`, without a terminal and with nothing of this process's environment.
    pub fn run(&self, args: &str) -> Said {
        self.say(self.command(env!("CARGO_BIN_EXE_runner")).args(args.split_whitespace()))
    }

    /// `runner …` with this process's own terminal; fails unless it ended well.
    pub fn show(&self, args: &str) {
        println!("\n$ runner {args}");
        let status = self.command(env!("CARGO_BIN_EXE_runner")).args(args.split_whitespace()).status().unwrap();
        assert!(status.success(), "{status}");
    }

    /// `NAME=value` of what a run is given, for another terminal.
    pub fn exports(&self) -> String {
        let exports = self.env.iter().map(|(name, value)| format!("export {name}='{value}'\n"));
        exports.collect()
    }

    /// `runner …`, left to itself, with its output to be read as it comes.
    pub fn start(&self, args: &str) -> Started {
        // Whoever began the tests with `nohup` did not mean what is tested.
        let mut command = self.command("env");
        command.args(["--default-signal=HUP", "--ignore-signal=XFSZ", env!("CARGO_BIN_EXE_runner")]);
        command.args(args.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Started { child, out, err }
    }

    /// `runner …` with a terminal, at which somebody types these lines; all that it shows is in `out`.
    pub fn typed(&self, args: &str, lines: &str) -> Said {
        self.shell(&format!("printf '{lines}' | script -qec 'runner {args}' /dev/null"))
    }

    /// A line of shell in which `runner` is the binary.
    pub fn shell(&self, line: &str) -> Said {
        self.say(self.command("sh").args(["-c", line]))
    }

    fn say(&self, command: &mut Command) -> Said {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        let id = child.id().to_string();
        // A run that never ends must fail its test, not hold up all others.
        std::thread::spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").arg(id).status();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(done);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    pub fn command(&self, program: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_runner")).parent().unwrap();
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().envs(self.env.iter().map(|(k, v)| (k, v)));
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("HOME", self.folder.path());
        command
    }
}

/// A run under way.
pub struct Started {
    child: Child,
    pub out: Receiver<String>,
    pub err: Receiver<String>,
}

impl Started {
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// From now on no file of it may grow.
    pub fn fill_disk(&self) {
        let status = Command::new("prlimit").args(["--fsize=1", "--pid", &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and gives back what it said since it was last listened to.
    pub fn end(mut self) -> Said {
        let until = Instant::now() + PATIENCE;
        while self.is_running() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let text = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect();
        Said { out: text(&self.out), err: text(&self.err), code }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Waits for the first line with this text.
#[track_caller]
pub fn heard(lines: &Receiver<String>, text: &str) -> String {
    let mut said = String::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        if line.contains(text) {
            return line;
        }
        said += &(line + "\n");
    }
    panic!("no {text:?} in\n{said}");
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

impl Said {
    /// Fails unless it ended with this code; says what it said.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The last line that is not empty.
pub fn last(text: &str) -> &str {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default()
}
