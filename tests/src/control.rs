//! A client of the daemon's control socket, as small as HTTP/1.1 allows, and the socket that the daemon reports its
//! readiness to.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixDatagram, UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(20);

/// An answer of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// The body as it came.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is none, or the status tells of an error.
    pub fn json(&self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("the daemon answered {}: {}", self.status, self.body);
        }
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {:?}", self.body))
    }
}

/// Speaks to a daemon's control socket; every request is a connection of its own.
#[derive(Debug, Clone)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// For the socket at this path, which need not exist yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Where the socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET` of a path such as `/v1/status`, as JSON.
    ///
    /// # Errors
    ///
    /// When the daemon does not answer, answers with an error, or not with JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.request("GET", path, "")?
            .json()
            .with_context(|| format!("GET {path}"))
    }

    /// The metrics page.
    ///
    /// # Errors
    ///
    /// When the daemon does not answer.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.request("GET", "/metrics", "")?.body)
    }

    /// Any request with a JSON body (or none); an error status is an answer like any other.
    ///
    /// # Errors
    ///
    /// When the daemon does not answer in HTTP.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<Response> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: tsnd\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let answer = self.exchange(&[head.as_bytes(), body.as_bytes()].concat())?;
        parse(&answer).with_context(|| format!("{method} {path}"))
    }

    /// Sends any bytes, however wrong, and reads until the daemon closes the connection.
    ///
    /// # Errors
    ///
    /// When the daemon cannot be reached or does not close the connection in 20 seconds.
    pub fn exchange(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.socket)
            .with_context(|| format!("connect to {}", self.socket.display()))?;
        stream.set_read_timeout(Some(BOUND))?;
        stream.set_write_timeout(Some(BOUND))?;
        // A daemon may refuse before it has read all of a bad request; its answer counts.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // Closing with a part of the request unread resets the connection, after the answer.
        if answer.is_empty() {
            read.context("read the daemon's answer")?;
        }
        Ok(answer)
    }
}

fn parse(answer: &[u8]) -> Result<Response> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .with_context(|| format!("no HTTP answer: {text:?}"))?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok());
    if head.to_ascii_lowercase().contains("transfer-encoding") {
        bail!("the answer is chunked, which this client does not read");
    }
    Ok(Response {
        status: status.with_context(|| format!("no status: {head:?}"))?,
        body: body.to_owned(),
    })
}

/// The socket that `NOTIFY_SOCKET` names: what systemd would hear of the daemon.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Listens at a path.
    ///
    /// # Errors
    ///
    /// When it cannot be bound.
    pub fn bind(path: PathBuf) -> Result<Self> {
        let socket =
            UnixDatagram::bind(&path).with_context(|| format!("bind {}", path.display()))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path })
    }

    /// The value of `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message, such as `READY=1\n`, if one waits.
    pub fn next(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let response = parse(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert_eq!(
            response,
            Response {
                status: 404,
                body: "{}".to_owned()
            }
        );
        assert!(response.json().is_err());
        assert!(parse(b"nonsense").is_err());
    }
}
