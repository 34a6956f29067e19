//! A way to the AWS test server on which a call can be held: before it arrives, or before its answer does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::moto;

pub struct Gate {
    port: u16,
    rules: Arc<Mutex<Rules>>,
    /// A call that is held now.
    held: Receiver<String>,
}

#[derive(Default)]
struct Rules {
    /// The next request with this text is held; before it arrives, or after it took effect.
    hold: Option<(String, bool)>,
    /// As long as fewer than so many with the second text came, those with the first get this answer.
    instead: Option<(String, String, usize, String)>,
    seen: Vec<String>,
}

impl Gate {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = Arc::new(Mutex::new(Rules::default()));
        let (sender, held) = channel();
        let shared = rules.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (rules, sender) = (shared.clone(), sender.clone());
                std::thread::spawn(move || pass(stream, &rules, &sender));
            }
        });
        Gate { port, rules, held }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next such call never arrives.
    pub fn hold_before(&self, text: &str) {
        self.rules.lock().unwrap().hold = Some((text.into(), false));
    }

    /// The next such call takes effect, and its answer never comes.
    pub fn hold_after(&self, text: &str) {
        self.rules.lock().unwrap().hold = Some((text.into(), true));
    }

    /// Such calls are answered with this until so many of the others have come, from now on.
    pub fn answer(&self, text: &str, other: &str, times: usize, body: &str) {
        let mut rules = self.rules.lock().unwrap();
        rules.seen.clear();
        rules.instead = Some((text.into(), other.into(), times, body.into()));
    }

    #[track_caller]
    pub fn wait_held(&self) -> String {
        self.held.recv_timeout(Duration::from_secs(90)).expect("the call came")
    }

    /// Until such a request has come.
    #[track_caller]
    pub fn wait_seen(&self, text: &str) {
        let until = Instant::now() + Duration::from_secs(90);
        while self.seen(text).is_empty() {
            assert!(Instant::now() < until, "no request has {text:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All requests with this text.
    pub fn seen(&self, text: &str) -> Vec<String> {
        let rules = self.rules.lock().unwrap();
        rules.seen.iter().filter(|request| request.contains(text)).cloned().collect()
    }
}

enum Way {
    Through,
    Held { through: bool },
    Answered(String),
}

fn pass(mut stream: TcpStream, rules: &Mutex<Rules>, held: &Sender<String>) -> Option<()> {
    let request = request(&mut stream)?;
    let text = String::from_utf8_lossy(&request).into_owned();
    let way = {
        let mut rules = rules.lock().unwrap();
        rules.seen.push(text.clone());
        let holds = rules.hold.take_if(|(needle, _)| text.contains(needle.as_str()));
        let instead = rules.instead.as_ref().filter(|(needle, other, times, _)| {
            text.contains(needle) && rules.seen.iter().filter(|seen| seen.contains(other)).count() < *times
        });
        match (holds, instead) {
            (Some((_, through)), _) => Way::Held { through },
            (None, Some((.., body))) => Way::Answered(body.clone()),
            (None, None) => Way::Through,
        }
    };
    match way {
        Way::Through => stream.write_all(&forward(&request)?).ok(),
        Way::Answered(body) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}",
                body.len()
            );
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).ok()
        }
        Way::Held { through } => {
            if through {
                forward(&request)?;
            }
            held.send(text).ok()?;
            // Until who asked is gone.
            let _ = stream.read(&mut [0; 64]);
            None
        }
    }
}

fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut piece = [0; 8192];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if bytes.len() >= end + 4 + length.unwrap_or(0usize) {
                return Some(bytes);
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

fn forward(request: &[u8]) -> Option<Vec<u8>> {
    let address = moto::url().strip_prefix("http://")?.to_owned();
    let mut server = TcpStream::connect(address).ok()?;
    let line = request.windows(2).position(|two| two == b"\r\n")? + 2;
    server.write_all(&request[..line]).ok()?;
    server.write_all(b"Connection: close\r\n").ok()?;
    server.write_all(&request[line..]).ok()?;
    let mut answer = vec![];
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
