use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;

const TEXT: &str = "kind: Pod\n";

/// A server on this machine that gives each path its answer, as it goes over the wire; and which requests it got.
fn server(answers: Vec<(&'static str, Vec<u8>)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(vec![]));
    let heard = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut buffer) = (String::new(), [0; 4096]);
            while !request.contains("\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read) if read > 0 => request.push_str(&String::from_utf8_lossy(&buffer[..read])),
                    _ => break,
                }
            }
            let path = request.split(' ').nth(1).unwrap_or_default();
            let answer = answers.iter().find(|(known, _)| *known == path).map(|(_, answer)| answer.clone());
            heard.lock().unwrap().push(request.clone());
            // Whoever has read enough goes away.
            let _ = stream
                .write_all(&answer.unwrap_or_else(|| b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()));
        }
    });
    (base, asked)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn moved(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn pin() -> String {
    digest(TEXT.as_bytes())
}

#[tokio::test]
async fn a_file_is_fetched_once_and_a_broken_copy_again() {
    let (base, asked) = server(vec![("/a", ok(TEXT.as_bytes())), ("/moved", moved("/a"))]);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("deep/files");
    for _ in 0..2 {
        assert_eq!(fetch(&format!("{base}/a"), &pin(), &cache).await.unwrap(), TEXT);
        assert_eq!(asked.lock().unwrap().len(), 1, "the second time from the cache");
    }
    assert!(asked.lock().unwrap()[0].contains("user-agent: runner/"));
    // Also without any network, and however the digest is written.
    assert_eq!(fetch("https://nowhere.invalid/a", &pin().to_uppercase(), &cache).await.unwrap(), TEXT);
    std::fs::write(cache.join(pin()), "kind: Rob").unwrap();
    assert_eq!(fetch(&format!("{base}/moved"), &pin(), &cache).await.unwrap(), TEXT);
    assert_eq!(asked.lock().unwrap().len(), 3, "redirected, then fetched");
    assert_eq!(std::fs::read_to_string(cache.join(pin())).unwrap(), TEXT);
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1, "no drafts are left");
}

#[tokio::test]
async fn what_is_not_as_pinned_is_refused_and_not_kept() {
    let (base, _) = server(vec![
        ("/other", ok(b"kind: Job\n")),
        ("/away", moved("http://example.com/a")),
        ("/round", moved("/round")),
        ("/large", ok(&vec![b'x'; LARGEST + 1])),
        ("/binary", ok(b"\xff\xfe")),
        ("/cut", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nkind".to_vec()),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let (cache, other) = (folder.path(), digest(b"kind: Job\n"));
    for (path, told, hint) in [
        ("/other", other.as_str(), "the pin is wrong"),
        ("/nosuch", "404", "does it lead to the file itself?"),
        ("/away", "http://example.com/a, which is not https", "by hand"),
        ("/round", "redirected again and again", "by hand"),
        ("/large", "larger than 32 MiB", "by hand"),
        ("/cut", "/cut: ", "by hand"),
    ] {
        let fault = fetch(&format!("{base}{path}"), &pin(), cache).await.unwrap_err();
        assert!(fault.to_string().contains(told), "{path}: {fault}");
        assert!(fault.hint.as_deref().is_some_and(|told| told.contains(hint)), "{path}: {:?}", fault.hint);
    }
    let fault = fetch(&format!("{base}/other"), &pin(), cache).await.unwrap_err();
    assert!(fault.to_string().contains(&pin()), "both digests are told: {fault}");
    assert_eq!(std::fs::read_dir(cache).unwrap().count(), 0, "nothing is kept");
    let binary = digest(b"\xff\xfe");
    assert!(fetch(&format!("{base}/binary"), &binary, cache).await.unwrap_err().to_string().contains("is no text"));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_told_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = fetch(&format!("http://{closed}/a"), &pin(), folder.path()).await.unwrap_err();
    let place = folder.path().join(pin());
    assert_eq!(fault.hint, Some(format!("on a closed network, put the file at {} by hand", place.display())));
    for (url, pin, told) in [
        ("http://example.com/a", pin(), "`http://example.com/a` is not https"),
        ("file:///etc/passwd", pin(), "is not https"),
        ("not a url", pin(), "`not a url`"),
        ("https://example.com/a", "abc".into(), "64 hexadecimal digits"),
        ("https://example.com/a", "../".repeat(22)[..64].to_owned(), "64 hexadecimal digits"),
    ] {
        let fault = fetch(url, &pin, folder.path()).await.unwrap_err();
        assert!(fault.to_string().contains(told), "{url}: {fault}");
    }
}
