//! One keep-alive connection to the shop: bytes out, a head and a body of known length back.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Why a unit of work was not done, in words that are the same for all of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    words: String,
    /// Whether the connection can't be used any more.
    is_broken: bool,
}

impl Failure {
    /// An answer that was not the expected one.
    pub(crate) fn unexpected(words: impl Into<String>) -> Self {
        Self { words: words.into(), is_broken: false }
    }

    fn broken(words: impl Into<String>) -> Self {
        Self { words: words.into(), is_broken: true }
    }

    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::broken(format!("connection: {}", error.kind()))
    }
}

/// What a head says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    status: u16,
    /// Bytes of the head itself.
    length: usize,
    body_length: usize,
    has_retry_after: bool,
    /// Whether the server closes the connection after this answer.
    closes: bool,
}

impl Head {
    /// Reads the head at the beginning of `bytes`; `None` if its end has not come yet.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; 48];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(Failure::broken(format!("a head that is not HTTP: {error}"))),
        };
        let status = response.code.unwrap_or_default();
        let mut head = Self { status, length, body_length: 0, has_retry_after: false, closes: false };
        let mut told_length = matches!(status, 204 | 304);
        for header in response.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let text = std::str::from_utf8(header.value).unwrap_or_default();
                head.body_length =
                    text.trim().parse().map_err(|_| Failure::broken("a Content-Length that is no number"))?;
                told_length = true;
            } else if is("transfer-encoding") {
                return Err(Failure::broken("a body without Content-Length"));
            } else if is("retry-after") {
                head.has_retry_after = true;
            } else if is("connection") {
                head.closes = header.value.eq_ignore_ascii_case(b"close");
            }
        }
        if told_length { Ok(Some(head)) } else { Err(Failure::broken("a body without Content-Length")) }
    }
}

/// An answer; its body lies in the connection's buffer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) has_retry_after: bool,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Fails unless the status is `expected`; `what` names the request.
    pub(crate) fn expect(&self, what: &str, expected: u16) -> Result<(), Failure> {
        if self.status == expected {
            return Ok(());
        }
        let code = text_field(self.body, "code").unwrap_or_default();
        Err(Failure::unexpected(format!("{what}: {} {code}", self.status).trim_end()))
    }
}

/// The first text field of this name in a JSON body, as it is written; enough for ids, amounts and addresses.
pub(crate) fn text_field<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    /// What has come in, up to `filled`.
    input: Vec<u8>,
    filled: usize,
    /// For requests that are put together.
    pub(crate) output: Vec<u8>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, input: vec![0; 16 * 1024], filled: 0, output: Vec::with_capacity(2048) })
    }

    /// Opens it anew, after it broke.
    pub(crate) async fn reopen(&mut self) -> Result<(), Failure> {
        let output = std::mem::take(&mut self.output);
        *self = Self { output, ..Self::open(self.address).await? };
        Ok(())
    }

    /// Sends a request and waits for its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Failure> {
        self.stream.write_all(request).await?;
        let (head, body) = self.receive().await?;
        Ok(Answer { status: head.status, has_retry_after: head.has_retry_after, body: &self.input[body] })
    }

    /// Sends what was put together in [`output`](Self::output).
    pub(crate) async fn exchange_output(&mut self) -> Result<Answer<'_>, Failure> {
        self.stream.write_all(&self.output).await?;
        let (head, body) = self.receive().await?;
        Ok(Answer { status: head.status, has_retry_after: head.has_retry_after, body: &self.input[body] })
    }

    async fn receive(&mut self) -> Result<(Head, Range<usize>), Failure> {
        // Without pipelining nothing of the next answer is here yet.
        self.filled = 0;
        loop {
            if self.filled == self.input.len() {
                self.input.resize(self.input.len() * 2, 0);
            }
            let read = self.stream.read(&mut self.input[self.filled..]).await?;
            if read == 0 {
                return Err(Failure::broken("connection: closed by the shop"));
            }
            self.filled += read;
            let Some(head) = Head::read(&self.input[..self.filled])? else { continue };
            let end = head.length + head.body_length;
            if end > self.input.len() {
                self.input.resize(end, 0);
            }
            if self.filled < end {
                self.stream.read_exact(&mut self.input[self.filled..end]).await?;
            }
            if head.closes {
                self.reopen_quietly().await?;
            }
            return Ok((head.clone(), head.length..end));
        }
    }

    /// The shop closes the connection after this answer, which is kept.
    async fn reopen_quietly(&mut self) -> Result<(), Failure> {
        self.stream = TcpStream::connect(self.address).await?;
        self.stream.set_nodelay(true)?;
        Ok(())
    }
}

/// Connections that outlive one window.
pub(crate) struct Pool {
    address: SocketAddr,
    connections: Vec<Connection>,
}

impl Pool {
    /// None are open yet.
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, connections: Vec::new() }
    }

    /// Exactly so many, opened where they are missing.
    pub(crate) async fn of(&mut self, count: usize) -> Result<&mut [Connection], Failure> {
        self.connections.truncate(count);
        while self.connections.len() < count {
            self.connections.push(Connection::open(self.address).await?);
        }
        Ok(&mut self.connections)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_head_tells_status_and_length() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\ncontent-LENGTH: 12\r\nRetry-After: 1\r\n\r\nhello";
        let head = Head::read(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.body_length, head.has_retry_after, head.closes), (503, 12, true, false));
        assert_eq!(&bytes[head.length..], b"hello");
    }

    #[test]
    fn half_a_head_is_waited_for() {
        assert_eq!(Head::read(b"HTTP/1.1 200 OK\r\nContent-Length: 1").unwrap(), None);
        assert_eq!(Head::read(b"").unwrap(), None);
    }

    #[test]
    fn a_body_of_unknown_length_is_refused_and_never_guessed() {
        for head in ["transfer-encoding: chunked\r\n", "content-length: many\r\n", ""] {
            let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
            assert!(Head::read(bytes.as_bytes()).unwrap_err().is_broken(), "{head}");
        }
        assert!(Head::read(b"SSH-2.0\r\n\r\n").unwrap_err().is_broken());
        let empty = Head::read(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap().unwrap();
        assert!(empty.body_length == 0 && empty.closes);
    }

    #[test]
    fn fields_are_found_in_a_body() {
        let body = br#"{"id":"a-1","payment":{"checkoutUrl":null,"amount":"19.99"}}"#;
        assert_eq!(text_field(body, "id"), Some("a-1"));
        assert_eq!(text_field(body, "amount"), Some("19.99"));
        assert_eq!(text_field(body, "checkoutUrl"), None);
    }

    #[test]
    fn an_unexpected_answer_is_told_by_request_status_and_code() {
        let answer = Answer { status: 409, has_retry_after: false, body: br#"{"code":"cart_empty"}"# };
        assert!(answer.expect("POST /orders", 409).is_ok());
        let failure = answer.expect("POST /orders", 201).unwrap_err();
        assert_eq!((failure.words(), failure.is_broken()), ("POST /orders: 409 cart_empty", false));
    }
}
