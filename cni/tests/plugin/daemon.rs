//! A daemon that does what the test says.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What a request gets.
pub enum Reply {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// Nothing, with the connection held open.
    Silence,
}

impl Reply {
    /// An answer of the API.
    pub fn answer(status: u16, body: &Value) -> Self {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-type: application/json");
        let length = format!("content-length: {}", body.len());
        Self::Bytes(format!("{head}\r\n{length}\r\n\r\n{body}").into_bytes())
    }
}

/// Listens until its process ends.
pub struct Daemon {
    requests: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Listens at this path.
    pub fn start(
        socket: &Path,
        mut reply: impl FnMut(&str, &str) -> Reply + Send + 'static,
    ) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&mut stream);
                let mut words = request.split(' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap());
                seen.lock().unwrap().push(format!("{method} {path}"));
                match reply(method, path) {
                    // A plugin whose deadline passed is gone.
                    Reply::Bytes(bytes) => drop(stream.write_all(&bytes)),
                    Reply::Silence => held.push(stream),
                }
            }
        });
        Self { requests }
    }

    /// Method and path of all requests, in order.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The request up to the end of its head: it has no body.
fn read(stream: &mut UnixStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    String::from_utf8(request).unwrap()
}
