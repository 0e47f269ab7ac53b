//! As much of HTTP/1.1 (RFC 9112) as a client of the daemon needs: one request on a connection, and its answer.

use std::io::{Read, Write};

/// The largest answer that is read.
const MAX_BYTES: u64 = 1 << 20;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Sends a request without a body, and reads the answer to its end.
///
/// # Errors
///
/// What is wrong with the answer, or with the connection.
pub(super) fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
) -> Result<Response, String> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: tsnd\r\nAccept: application/json\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let read = stream.take(MAX_BYTES + 1).read_to_end(&mut answer);
    read.map_err(|error| error.to_string())?;
    parse(&answer)
}

/// Writes a segment of a path (RFC 3986, section 3.3).
pub(super) fn encode(segment: &str) -> String {
    let bytes = segment.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}

fn parse(answer: &[u8]) -> Result<Response, String> {
    if answer.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    let Some(head_bytes) = answer
        .windows(END_OF_HEAD.len())
        .position(|part| part == END_OF_HEAD)
    else {
        return Err(format!(
            "it ends after {} bytes, within its head",
            answer.len()
        ));
    };
    let head = String::from_utf8_lossy(&answer[..head_bytes]);
    let body = &answer[head_bytes + END_OF_HEAD.len()..];
    let mut lines = head.split("\r\n");
    let status = status(lines.next().unwrap_or_default())?;
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(format!("it has the transfer encoding `{}`", value.trim()));
        }
        if name.eq_ignore_ascii_case("content-length") && value.trim() != body.len().to_string() {
            let has = body.len();
            return Err(format!(
                "its body should have {} bytes and has {has}",
                value.trim()
            ));
        }
    }
    Ok(Response {
        status,
        body: body.to_vec(),
    })
}

fn status(line: &str) -> Result<u16, String> {
    let mut words = line.split(' ');
    match (words.next(), words.next().map(str::parse)) {
        (Some("HTTP/1.1"), Some(Ok(status @ 200..=599))) => Ok(status),
        _ => Err(format!("it begins with `{}`", line.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A connection on which the answer is there already.
    struct Connection<'a> {
        sent: &'a mut Vec<u8>,
        answer: &'a [u8],
    }

    impl Read for Connection<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.answer.read(buffer)
        }
    }

    impl Write for Connection<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ask(answer: &[u8]) -> Result<Response, String> {
        let sent = &mut Vec::new();
        exchange(Connection { sent, answer }, "GET", "/v1/status")
    }

    #[test]
    fn a_request_is_whole_and_its_answer_understood() {
        let mut sent = Vec::new();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: a:b\r\ncontent-length: 2\r\n\r\n{}";
        let response = exchange(
            Connection {
                sent: &mut sent,
                answer,
            },
            "PUT",
            "/v1/x",
        )
        .unwrap();
        assert_eq!(
            response,
            Response {
                status: 200,
                body: b"{}".to_vec()
            }
        );
        let sent = String::from_utf8(sent).unwrap();
        assert!(
            sent.starts_with("PUT /v1/x HTTP/1.1\r\nHost: tsnd\r\n"),
            "{sent}"
        );
        assert!(
            sent.contains("\r\nConnection: close\r\n") && sent.ends_with("\r\n\r\n"),
            "{sent}"
        );
        assert_eq!(ask(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().status, 204);
        assert_eq!(ask(b"HTTP/1.1 404\r\n\r\n").unwrap().status, 404);
    }

    #[test]
    fn an_answer_that_is_cut_or_none_is_told() {
        for (answer, part) in [
            (&b""[..], "ends after 0 bytes"),
            (b"HTTP/1.1 200 OK\r\nContent-Le", "within its head"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
                "should have 9 bytes and has 2",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                "should have x bytes",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "`chunked`",
            ),
            (
                b"HTTP/1.1 99999 OK\r\n\r\n",
                "begins with `HTTP/1.1 99999 OK`",
            ),
            (b"HTTP/1.1 100 Continue\r\n\r\n", "begins with"),
            (b"SSH-2.0-x\r\n\r\n", "begins with `SSH-2.0-x`"),
            (b"\xff\xfe\r\n\r\n", "begins with"),
        ] {
            let error = ask(answer).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let endless = vec![b'x'; MAX_BYTES as usize + 1];
        assert!(ask(&endless).unwrap_err().contains("larger than"));
    }

    #[test]
    fn a_segment_cannot_become_two() {
        assert_eq!(encode("cbr0_a-b.1~"), "cbr0_a-b.1~");
        assert_eq!(encode("a/?#% ü"), "a%2F%3F%23%25%20%C3%BC");
    }
}
