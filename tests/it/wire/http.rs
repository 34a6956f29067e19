//! HTTP/1.1 messages, as far as somebody between two ends has to read them.

use std::io::{self, BufRead, BufReader, Read, Write};

/// A connection, in the clear or not.
pub trait Ends: Read + Write + Send {}

impl<T: Read + Write + Send> Ends for T {}

pub type Stream = BufReader<Box<dyn Ends>>;

/// A request or an answer, whole.
pub struct Message {
    /// `POST / HTTP/1.1`, `HTTP/1.1 200 OK`.
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What is said anew on each of the two connections.
const OF_THE_CONNECTION: [&str; 5] = ["content-length", "transfer-encoding", "connection", "keep-alive", "expect"];

impl Message {
    /// None once the other end has nothing more to ask.
    pub fn request(stream: &mut Stream) -> io::Result<Option<Message>> {
        let Some(mut message) = Self::head(stream)? else { return Ok(None) };
        if message.header("expect").is_some() {
            stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            stream.get_mut().flush()?;
        }
        message.body = match message.length()? {
            Some(length) => exactly(stream, length)?,
            None if message.is_chunked() => chunks(stream)?,
            None => vec![],
        };
        Ok(Some(message))
    }

    /// The answer to a request with this method.
    pub fn answer(stream: &mut Stream, method: &str) -> io::Result<Message> {
        let mut message = loop {
            let message = Self::head(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if !message.start.contains(" 100 ") {
                break message;
            }
        };
        let bare = [" 204 ", " 304 "].iter().any(|status| message.start.contains(status));
        message.body = match message.length()? {
            _ if bare || method == "HEAD" => vec![],
            Some(length) => exactly(stream, length)?,
            None if message.is_chunked() => chunks(stream)?,
            None => {
                let mut rest = vec![];
                stream.read_to_end(&mut rest)?;
                message.headers.push(("Connection".into(), "close".into()));
                rest
            }
        };
        Ok(message)
    }

    fn head(stream: &mut Stream) -> io::Result<Option<Message>> {
        let Some(start) = line(stream)? else { return Ok(None) };
        let mut headers = vec![];
        loop {
            let line = line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(Some(Message { start, headers, body: vec![] }));
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn ends_the_connection(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn length(&self) -> io::Result<Option<usize>> {
        let length = self.header("content-length").map(str::parse).transpose();
        length.map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
    }

    /// Says that the body has this length, and sends `part` of it.
    pub fn send(&self, stream: &mut Stream, length: usize, part: &[u8]) -> io::Result<()> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            if !OF_THE_CONNECTION.contains(&name.to_ascii_lowercase().as_str()) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        text += &format!("Content-Length: {length}\r\n\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(part);
        stream.get_mut().write_all(&bytes)?;
        stream.get_mut().flush()
    }
}

fn line(stream: &mut Stream) -> io::Result<Option<String>> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Ok(None),
        _ if line.ends_with('\n') => Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned())),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn exactly(stream: &mut Stream, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut body = vec![];
    loop {
        let size = line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        body.extend(exactly(stream, size)?);
        if size > 0 {
            line(stream)?;
            continue;
        }
        // Trailers, and the empty line after them.
        while line(stream)?.is_some_and(|line| !line.is_empty()) {}
        return Ok(body);
    }
}
